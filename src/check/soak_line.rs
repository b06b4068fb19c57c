//! What a soak makes of rest and load together: the straight line of temperature over power, whose slope is cooling and whose crossing at
//! zero power is the sensor's.

use super::gauge::LoadGauge;
use super::settle::Idle;
use super::sheet::Gauged;
use super::window::Window;
use kiln_limit::Missing;
use kiln_model::Span;

/// The straight line through two points, at rest and under load: temperature rise over the inlet against power.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// In K/W. A constant offset of the sensor does not affect it.
    pub(super) slope: f64,
    /// The rise over the inlet at zero power, in K; `None` without an inlet temperature.
    crossing: Option<f64>,
    samples: u64,
}

/// The line of one GPU. `idle` is how it rested before the load, `cool` the inlet then.
pub(super) fn line(gauge: &LoadGauge, idle: Option<Idle>, cool: Option<f64>, over: Span) -> Result<Line, Gauged> {
    let (die, power) = (gauge.die.gauged(over, Window::mean), gauge.power.gauged(over, Window::mean));
    let inlet = gauge.inlet.gauged(over, Window::mean);
    let (Gauged::Number { value: die, samples }, Gauged::Number { value: power, .. }) = (&die, &power) else {
        return Err(if die.number().is_none() { die } else { power });
    };
    let Some(Idle { die: idle_die, power: Some(idle_power) }) = idle else {
        return Err(Gauged::Missing(Missing::NoIdleState));
    };
    if power - idle_power < LEAST_STEP {
        return Err(Gauged::Missing(Missing::LittlePower { watts: power - idle_power }));
    }
    let (rise, crossing) = match (inlet, cool) {
        (Gauged::Number { value: inlet, .. }, Some(cool)) => {
            let rise = die - inlet - (idle_die - cool);
            (rise, Some(idle_die - cool - rise / (power - idle_power) * idle_power))
        }
        (Gauged::Missing(why), _) => return Err(Gauged::Missing(why)),
        // The temperature of the coolant cancels out as long as it is constant.
        _ => (die - idle_die, None),
    };
    Ok(Line { slope: rise / (power - idle_power), crossing, samples: *samples })
}

/// Where the line crosses zero power: a wrong zero of the sensor, and what the GPU's own power does not explain.
pub(super) fn offset(line: Result<Line, Gauged>) -> Gauged {
    match line {
        Ok(Line { crossing: Some(value), samples, .. }) => Gauged::Number { value, samples },
        Ok(_) => Gauged::Unsupported,
        Err(why) => why,
    }
}

/// The least power under load above idle, in W. With less, one degree of a whole-degree sensor moves the crossing by more than a
/// degree.
const LEAST_STEP: f64 = 100.0;
