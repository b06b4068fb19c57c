//! A bench as a table for people.

use std::fmt::Write as _;

use kiln_event::NodeSource;
use kiln_model::Endpoint;

use super::aims;
use super::document::{Bench, GpuMeasured, PhaseMeasured};
use super::phase::Work;
use super::scatter::Scatter;
use super::screen;

/// What stands first where readings are not of hardware.
pub(super) fn caveat(source: &NodeSource) -> Option<String> {
    match source {
        NodeSource::Hardware => None,
        NodeSource::Simulated { node, seed, .. } => {
            Some(format!("SIMULATED node {node}, seed {seed}: no hardware was measured"))
        }
        NodeSource::Replayed { file } => Some(format!("REPLAYED from {file}: no hardware was measured")),
        NodeSource::StandIn { library } => {
            Some(format!("SIMULATED by the library {library}: no hardware was measured"))
        }
    }
}

/// One line for each GPU of each phase, then copies, flips and what was in the way.
pub fn table(bench: &Bench) -> String {
    let mut text = String::new();
    if let Some(caveat) = caveat(&bench.source) {
        let _ = writeln!(text, "{caveat}");
    }
    let name = bench.gpus.iter().find_map(|unit| unit.name.as_deref()).unwrap_or("GPU of unknown name");
    let driver = bench.driver.as_deref().unwrap_or("unknown");
    let _ = writeln!(text, "{} x {name}, driver {driver}, {}\n", bench.gpus.len(), bench.at);
    let _ = writeln!(
        text,
        "{:<24} {:>6} {:>8} {:>8} {:>7} {:>6} {:>10} {:>9} {:>6} {:>5}",
        "phase", "gpu", "W", "instant", "MHz", "C", "TFLOP/s", "GB/s", "duty %", "wrong"
    );
    for phase in &bench.phases {
        for gpu in phase.gpus.iter().filter(|gpu| !gpu.is_empty()) {
            line(&mut text, phase, gpu);
        }
    }
    march(&mut text, bench);
    copies(&mut text, bench);
    flips(&mut text, bench);
    wrong(&mut text, bench);
    screen::tell(&mut text, bench);
    steps(&mut text, bench);
    aims::tell(&mut text, bench);
    for phase in &bench.phases {
        if let Some(why) = &phase.trouble {
            let _ = writeln!(text, "not measured: {}: {why}", phase.name);
        }
    }
    let mut notes: Vec<String> = bench
        .phases
        .iter()
        .flat_map(|phase| phase.notes.iter().map(|note| format!("{}: {note}", phase.name)))
        .collect();
    notes.dedup();
    for note in notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn shown(spread: Option<Scatter>, digits: usize) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| format!("{:.digits$}", spread.mean))
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

impl GpuMeasured {
    fn is_empty(&self) -> bool {
        self.power_watts.is_none() && self.tflops.is_none() && self.memory_gb_per_s.is_none() && self.wrong() == 0
    }
}

fn line(text: &mut String, phase: &PhaseMeasured, gpu: &GpuMeasured) {
    let _ = writeln!(
        text,
        "{:<24} {:>6} {:>8} {:>8} {:>7} {:>6} {:>10} {:>9} {:>6} {:>5}",
        phase.name,
        gpu.gpu.0,
        shown(gpu.power_watts, 1),
        shown(gpu.power_instant_watts, 1),
        shown(gpu.clock_mhz, 0),
        shown(gpu.celsius, 0),
        shown(gpu.tflops, 1),
        shown(gpu.memory_gb_per_s, 0),
        number(gpu.duty_percent, 1),
        gpu.wrong(),
    );
}

/// Marches as a share of what the driver's own copy moves.
fn march(text: &mut String, bench: &Bench) {
    if !bench.phases.iter().any(|phase| phase.work == Work::DeviceCopy) {
        return;
    }
    let _ = writeln!(text, "\nmarch against the device copy, %");
    for phase in bench.phases.iter().filter(|phase| matches!(phase.work, Work::March { .. })) {
        let share = |gpu: &GpuMeasured| number(aims::of_the_copy(bench, gpu), 1);
        let shares: Vec<String> = phase.gpus.iter().map(|gpu| format!("{:>6}", share(gpu))).collect();
        let _ = writeln!(text, "{:<24} {}", phase.name, shares.join(" "));
    }
}

fn copies(text: &mut String, bench: &Bench) {
    let end = |end| match end {
        Endpoint::Host => "host".to_owned(),
        Endpoint::Gpu(gpu) => format!("gpu/{}", gpu.0),
    };
    for phase in bench.phases.iter().filter(|phase| !phase.transfers.is_empty()) {
        let _ = writeln!(text, "\n{}, GB/s", phase.name);
        let mut way: Vec<(String, Vec<f64>)> = Vec::new();
        for transfer in &phase.transfers {
            let name = format!("{} -> {}", end(transfer.from), end(transfer.to));
            match way.iter_mut().find(|(known, _)| *known == name) {
                Some((_, speeds)) => speeds.push(transfer.gb_per_s),
                None => way.push((name, vec![transfer.gb_per_s])),
            }
        }
        for (name, speeds) in way {
            let _ = writeln!(text, "  {name:<18} {}", shown(Scatter::of(&speeds), 1));
        }
    }
}

fn flips(text: &mut String, bench: &Bench) {
    let mut all = (0, 0);
    for phase in &bench.phases {
        let Work::Flips { count, .. } = phase.work else { continue };
        if phase.trouble.is_some() {
            continue;
        }
        let found: u64 = phase.gpus.iter().filter_map(|gpu| gpu.flips).map(|flips| u64::from(flips.found)).sum();
        let total = u64::from(count) * phase.gpus.len() as u64;
        let more: u64 = phase.gpus.iter().map(|gpu| gpu.wrong_of_itself(phase.work)).sum();
        let more = if more > 0 { format!(", and {more} WRONG that nobody flipped") } else { String::new() };
        let _ = write!(text, "{}", if all.1 == 0 { "\n" } else { "" });
        let _ = writeln!(text, "{}: {found} of {total} flipped bits found{more}", phase.name);
        all = (all.0 + found, all.1 + total);
    }
    if all.1 > 0 {
        let _ = writeln!(text, "flipped bits found: {} of {}", all.0, all.1);
    }
}

/// What a load computed wrong that was there for something else.
fn wrong(text: &mut String, bench: &Bench) {
    for phase in &bench.phases {
        if matches!(phase.work, Work::Flips { .. } | Work::Screen { .. }) {
            continue;
        }
        for gpu in phase.gpus.iter().filter(|gpu| gpu.wrong() > 0) {
            let _ = writeln!(text, "{}, gpu/{}: {}", phase.name, gpu.gpu.0, screen::wrong(gpu));
        }
    }
}

fn steps(text: &mut String, bench: &Bench) {
    for phase in &bench.phases {
        for trace in &phase.traces {
            let rises = |column: &[Option<f64>]| {
                trace.rise(column).map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"))
            };
            let _ = writeln!(
                text,
                "{}, gpu/{}: {} readings, one in {}; 90 % of the step in averaged power after {}, in instant power after {}",
                phase.name,
                trace.gpu.0,
                trace.seconds.len(),
                trace.period().map_or_else(|| "-".to_owned(), |period| format!("{:.0} ms", period * 1e3)),
                rises(&trace.watts),
                rises(&trace.watts_instant),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{BENCH_SCHEMA, Flips};
    use kiln_model::{BurnKernel, GpuIndex, Mismatch, WrongPlace};

    fn gpu(mismatches: u64, places: &[WrongPlace], flips: Option<(u32, u32)>) -> GpuMeasured {
        let told = places.iter().map(|place| Mismatch {
            gpu: GpuIndex(0),
            place: place.clone(),
            iteration: 0,
            word: 0,
            flipped_bits: 1,
            sm: None,
        });
        GpuMeasured {
            gpu: GpuIndex(0),
            power_watts: None,
            power_instant_watts: None,
            clock_mhz: None,
            celsius: None,
            memory_celsius: None,
            tflops: None,
            memory_gb_per_s: None,
            per_clock: None,
            duty_percent: None,
            covered_percent: None,
            verified: 1_000_000,
            mismatches,
            told: told.collect(),
            flips: flips.map(|(flipped, found)| Flips { flipped, found }),
            screened: None,
        }
    }

    fn told(work: Work, gpu: GpuMeasured) -> String {
        let phase = PhaseMeasured {
            name: "phase".to_owned(),
            work,
            seconds: 10.0,
            gpus: vec![gpu],
            transfers: Vec::new(),
            notes: Vec::new(),
            trouble: None,
            traces: Vec::new(),
        };
        let bench = Bench {
            schema: BENCH_SCHEMA.to_owned(),
            source: NodeSource::Hardware,
            surroundings: None,
            tool: "kiln".to_owned(),
            at: String::new(),
            driver: None,
            cuda: None,
            node: None,
            gpus: Vec::new(),
            phases: vec![phase],
        };
        let text = table(&bench);
        let lines = text.lines().skip(3).filter(|line| !line.is_empty() && !line.starts_with("phase   "));
        lines.collect::<Vec<_>>().join("\n")
    }

    const BF16: BurnKernel = BurnKernel::Bf16;

    #[test]
    fn a_missed_flip_is_not_made_up_for_by_a_wrong_result_elsewhere() {
        let work = Work::Flips { kernel: BF16, count: 10 };
        assert_eq!(
            told(work, gpu(10, &[], Some((10, 9)))),
            "phase: 9 of 10 flipped bits found, and 1 WRONG that nobody flipped\nflipped bits found: 9 of 10"
        );
        assert_eq!(
            told(work, gpu(10, &[], Some((10, 10)))),
            "phase: 10 of 10 flipped bits found\nflipped bits found: 10 of 10"
        );
        // Nothing was told of them: none is known to be found.
        assert_eq!(told(work, gpu(10, &[], None)), "phase: 0 of 10 flipped bits found\nflipped bits found: 0 of 10");
    }

    #[test]
    fn a_unit_that_differs_when_a_screen_is_set_up_is_wrong_though_nothing_was_counted() {
        let place = WrongPlace::SmAlone { sm: 17, agree: 263, units: 264 };
        assert_eq!(
            told(Work::Screen { kernel: BF16 }, gpu(0, std::slice::from_ref(&place), None)),
            "phase, gpu/0: 1000000 results, 1 WRONG: SM 17, unlike 263 of 264 units (1 told)"
        );
        let burn = Work::Step { kernel: BF16 };
        assert_eq!(
            told(burn, gpu(3, std::slice::from_ref(&place), None)),
            format!("phase, gpu/0: 3 WRONG: {place} (1 told)")
        );
    }
}
