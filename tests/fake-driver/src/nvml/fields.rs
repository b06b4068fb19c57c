//! Field values: many readings in one call.

use std::ffi::c_int;

use kiln_model::{LinkState, Reading, Remote, Sensor};
use nvml_wrapper_sys::bindings as sys;

use crate::nvml::answer::{Code, INVALID_ARGUMENT, NOT_SUPPORTED, SUCCESS, call, settled};
use crate::nvml::device::whole;
use crate::nvml::links::{counters, link, remote};
use crate::nvml::node::{self, Seen};

/// A value with the type the driver gives it.
enum Typed {
    Unsigned(u32),
    Long(u64),
    Signed(i32),
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetFieldValues(
    device: sys::nvmlDevice_t,
    count: c_int,
    values: *mut sys::nvmlFieldValue_t,
) -> Code {
    call(|| {
        let count = usize::try_from(count).map_err(|_| INVALID_ARGUMENT)?;
        if values.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: the interface asks callers for `count` initialised entries.
        let values = unsafe { std::slice::from_raw_parts_mut(values, count) };
        node::of("nvmlDeviceGetFieldValues", device, |seen| {
            for value in values.iter_mut() {
                answer(seen, value);
            }
            Ok(())
        })
    })
}

fn answer(seen: &Seen<'_>, value: &mut sys::nvmlFieldValue_t) {
    value.timestamp = (seen.sample.at.nanos() / 1000) as i64;
    value.nvmlReturn = match field(seen, value.fieldId, value.scopeId) {
        Ok(typed) => {
            (value.valueType, value.value) = match typed {
                Typed::Unsigned(number) => (1, sys::nvmlValue_t { ullVal: number.into() }),
                Typed::Long(number) => (3, sys::nvmlValue_t { ullVal: number }),
                Typed::Signed(number) => (5, sys::nvmlValue_t { siVal: number }),
            };
            SUCCESS
        }
        Err(code) => code,
    };
}

/// Whether the driver numbers fields as before 580.82.
fn is_old(seen: &Seen<'_>) -> bool {
    let mut numbers = seen.inventory.driver.value().map(String::as_str).unwrap_or_default().split('.');
    let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok()).unwrap_or_default();
    (next(), next()) < (580, 82)
}

fn field(seen: &Seen<'_>, id: u32, scope: u32) -> Result<Typed, Code> {
    let version = seen.inventory.driver.value().map_or("", String::as_str);
    if !crate::nvml::release::offers_field(version, id) {
        // How a driver answers for a number that it does not know.
        return Err(INVALID_ARGUMENT);
    }
    let sensor = |sensor, unit| whole(seen, sensor, unit).map(Typed::Long);
    let count = |reading: Reading<u64>| settled(reading).map(Typed::Long);
    let kelvin = |reading: Reading<f64>| settled(reading).map(|kelvin| Typed::Signed(kelvin.round() as i32));
    let shifted = if is_old(seen) { 251..254 } else { 269..272 };
    if shifted.contains(&id) {
        let times = [Sensor::ThrottleSwThermal, Sensor::ThrottleHwThermal, Sensor::ThrottlePowerBrake];
        return sensor(times[(id - shifted.start) as usize], 1e-9);
    }
    match id {
        3 => sensor(Sensor::EccCorrected, 1.0),
        4 => sensor(Sensor::EccUncorrected, 1.0),
        38 => total(seen, |link| link.crc),
        45 => total(seen, |_| Reading::Value(0)),
        52 => total(seen, |link| link.replay),
        59 => total(seen, |link| link.recovery),
        74 => sensor(Sensor::ThrottlePowerCap, 1e-9),
        82 => whole(seen, Sensor::TempMemory, 1.0).map(|celsius| Typed::Unsigned(celsius as u32)),
        83 => sensor(Sensor::Energy, 1e-3),
        94 => sensor(Sensor::PcieReplays, 1.0),
        142 => count(seen.counters.remap_corrected),
        143 => count(seen.counters.remap_uncorrected),
        144 => count(seen.counters.remap_pending.map(u64::from)),
        145 => count(seen.counters.remap_failed.map(u64::from)),
        146 => match remote(seen, scope)? {
            Remote::Switch { port, .. } => Ok(Typed::Unsigned(port.into())),
            _ => Err(NOT_SUPPORTED),
        },
        161 => count(counters(seen, scope)?.replay),
        162 => count(counters(seen, scope)?.recovery),
        163 => count(counters(seen, scope)?.crc),
        164 => settled(link(seen, scope)?.speed_mb_per_s).map(Typed::Unsigned),
        165 => settled(link(seen, scope)?.state).map(|state| Typed::Unsigned((state == LinkState::Active).into())),
        169 => count(seen.counters.pcie_retrains),
        170..=172 => c2c(seen, id, scope),
        173 => count(seen.counters.pcie_correctable),
        180 => count(seen.counters.pcie_fatal),
        185 if scope == 0 => whole(seen, Sensor::Power, 1e-3).map(|power| Typed::Unsigned(power as u32)),
        186 if scope == 0 => whole(seen, Sensor::PowerInstant, 1e-3).map(|power| Typed::Unsigned(power as u32)),
        193 => kelvin(seen.gpu.thermal.shutdown_margin),
        194 => kelvin(seen.gpu.thermal.slowdown_margin),
        196 => kelvin(seen.gpu.thermal.operating_margin),
        230 => settled(seen.gpu.config.recovery_action.clone()).map(|action| {
            let actions = ["none", "reset", "reboot", "drain-p2p", "drain-and-reset"];
            Typed::Unsigned(actions.iter().position(|known| *known == action).unwrap_or(99) as u32)
        }),
        _ => Err(NOT_SUPPORTED),
    }
}

fn total(seen: &Seen<'_>, of: impl Fn(&kiln_model::LinkCounters) -> Reading<u64>) -> Result<Typed, Code> {
    let links = settled(seen.counters.links.clone())?;
    links.iter().map(|link| settled(of(link))).sum::<Result<u64, Code>>().map(Typed::Long)
}

fn c2c(seen: &Seen<'_>, id: u32, scope: u32) -> Result<Typed, Code> {
    let c2c = settled(seen.gpu.c2c)?;
    if id != 170 && scope >= c2c.links.into() {
        return Err(INVALID_ARGUMENT);
    }
    Ok(Typed::Unsigned(match id {
        170 => c2c.links.into(),
        171 => u32::from(scope < c2c.links_active.into()),
        _ => c2c.speed_mb_per_s,
    }))
}
