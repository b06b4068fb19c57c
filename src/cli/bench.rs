//! `kiln bench`: measures a node through the workers that every run uses, and judges nothing.

use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::args_bench::BenchArgs;
use super::command_error::{CommandError, Sorted as _};
use super::dut::{ChosenBench, Workbench, choose_bench};
use super::exit_code::Exit;
use super::look::Look;
use super::signals::Interrupts;
use super::{drive, printer, skus};
use crate::bench::{self, BENCH_SCHEMA, Bench, Lengths, Meter, Phase, PhaseMeasured, Trouble, Unit, Work};
use crate::disk::{self, Folder, Keep};
use crate::engine::Arrivals;
use crate::model::{GpuIndex, Inventory, LoadId, LoadOrder, Moment, Span, StopHow};
use crate::profile::Skus;

/// Between two samples, but for the step.
const EVERY: Span = Span::from_millis(500);
/// Least between two samples of the step: faster than any driver renews its power readings (20 to 100 ms).
const FASTEST: Span = Span::from_millis(10);
/// How long answers to a sample are awaited before the next is asked for.
const ANSWERED: Span = Span::from_secs(2);
/// An interrupt is answered within this time.
const LOOK_EVERY: Span = Span::from_millis(200);
/// Context, kernels, and the results that must come out, on a slow host; a worker is given up a little earlier.
const SET_UP: Span = Span::from_secs(180);
/// From asking a load to stop to killing it, and to giving it up.
const ASKED: Span = Span::from_secs(15);
const KILLED: Span = Span::from_secs(15);
/// The longest that a load may take which ends by itself.
const FINITE: Span = Span::from_secs(600);

/// `kiln bench [--for SPAN] [--json FILE] [--out DIR]`.
pub(super) fn bench(args: &BenchArgs) -> Result<Exit, CommandError> {
    if args.span.is_zero() {
        return Err(CommandError::Usage(anyhow!("`--for` must be more than nothing")));
    }
    let only = names(&args.only)?;
    let signals = Interrupts::listen(|_| {})?;
    let mut chosen = choose_bench(&args.node)?;
    let wanted = |phase: &Phase| only.is_empty() || only.iter().any(|name| phase.name.starts_with(name.as_str()));
    let bench = measure(&mut chosen, (args.span, args.flips, args.node.seed), wanted, &signals, true)?;
    if bench.phases.is_empty() && !signals.any() {
        let (only, gpus) = (only.join(","), bench.gpus.len());
        return Err(CommandError::Usage(anyhow!(
            "`--only {only}` names nothing that is measured here: copies between GPUs need two of them, the node has {gpus}, \
             and flips need `--flips` above 0; `kiln bench` alone measures all there is"
        )));
    }
    let json = bench::document(&bench).no_claim()?;
    if let Some(file) = &args.json {
        disk::replace(file, json.as_bytes())
            .with_context(|| format!("{} cannot be written", file.display()))
            .no_claim()?;
    }
    if let Some(folder) = &args.out {
        write(folder, &bench, &json).with_context(|| format!("{} cannot be written", folder.display())).no_claim()?;
    }
    printer::result(&bench::table(&bench)).no_claim()?;
    let missed = bench.phases.iter().any(|phase| matches!(phase.trouble, Some(Trouble::Missed(_))));
    Ok(match (signals.any(), missed) {
        (true, _) => Exit::Aborted,
        (false, true) => Exit::NoClaim,
        (false, false) => Exit::Pass,
    })
}

/// How the phases that are wanted begin. Names that no phase of any node begins with are refused: one that is mistyped would be
/// left out unnoticed beside others.
fn names(pieces: &[String]) -> Result<Vec<String>, CommandError> {
    let all = bench::phases(Lengths { each: EVERY, flips: 1, gpus: 2 });
    let known = |name: &str| !name.is_empty() && all.iter().any(|phase| phase.name.starts_with(name));
    let (mut only, mut unknown): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for piece in pieces.iter().map(|piece| piece.trim()) {
        // `bf16 alone, fallback` has a comma of its own.
        let joined = only.last().map(|last| format!("{last}, {piece}")).filter(|joined| known(joined));
        match (joined, only.last_mut()) {
            (Some(joined), Some(last)) => *last = joined,
            _ if known(piece) => only.push(piece.to_owned()),
            _ => unknown.push(format!("`{piece}`")),
        }
    }
    if unknown.is_empty() {
        return Ok(only);
    }
    let all: Vec<&str> = all.iter().map(|phase| phase.name.as_str()).collect();
    Err(CommandError::Usage(anyhow!(
        "`--only` has {}, and no phase begins like that; name phases by how they begin, with commas between them: {}",
        unknown.join(", "),
        all.join("; ")
    )))
}

fn write(folder: &Path, bench: &Bench, json: &str) -> std::io::Result<()> {
    let folder = Folder::create(folder)?;
    let table = bench::table(bench);
    let plots = bench::plots(bench);
    let texts = [("bench.json", json), ("bench.txt", table.as_str())];
    for (name, text) in texts.into_iter().chain(plots.iter().map(|(name, text)| (name.as_str(), text.as_str()))) {
        folder.replace(name, text.as_bytes(), Keep::Synced)?;
    }
    Ok(())
}

/// Measures what is wanted of a node, each phase for so long with so many flipped bits and this seed.
pub(super) fn measure(
    chosen: &mut ChosenBench,
    (each, flips, seed): (Span, u32, u64),
    wanted: impl Fn(&Phase) -> bool,
    signals: &Interrupts,
    loud: bool,
) -> Result<Bench, CommandError> {
    let at = drive::now().to_string();
    let mut look = Look::on(&mut *chosen.dut, &chosen.source);
    let inventory = look.inventory()?;
    let units = units(&inventory, &skus::known()?);
    if units.is_empty() {
        return Err(CommandError::NoClaim(anyhow!("the node shows no GPU; `kiln doctor` looks at why")));
    }
    let lengths = Lengths { each, flips, gpus: units.len() };
    let mut measured = Vec::new();
    for (number, phase) in (1..).zip(bench::phases(lengths).iter().filter(|phase| wanted(phase))) {
        if signals.any() {
            break;
        }
        if loud {
            printer::note(&format!("{number}: {}", phase.name));
        }
        let bencher = Bencher { phase, id: LoadId(number), units: &units, seed, signals };
        measured.push(bencher.run(&mut look));
    }
    let text = |reading: &crate::model::Reading<String>| reading.value().cloned();
    Ok(Bench {
        schema: BENCH_SCHEMA.to_owned(),
        source: chosen.source.clone(),
        surroundings: chosen.surroundings.clone(),
        tool: concat!("kiln ", env!("CARGO_PKG_VERSION")).to_owned(),
        at,
        driver: text(&inventory.driver),
        cuda: text(&inventory.cuda),
        node: text(&inventory.node.model),
        gpus: units,
        phases: measured,
    })
}

fn units(inventory: &Inventory, skus: &Skus) -> Vec<Unit> {
    let unit = |gpu: &crate::model::Gpu| {
        let sku = skus.of(gpu);
        Unit {
            gpu: gpu.index,
            name: gpu.identity.name.value().cloned(),
            serial: gpu.identity.serial.value().cloned(),
            uuid: gpu.identity.uuid.value().cloned(),
            sku: sku.map(|sku| sku.id.clone()),
            power_limit_watts: gpu.power.enforced.value().copied(),
            bf16_per_clock: sku.and_then(|sku| sku.fact_in("bf16.per-clock", crate::model::Unit::One)),
        }
    };
    inventory.gpus.iter().map(unit).collect()
}

/// One phase being measured.
struct Bencher<'a> {
    phase: &'a Phase,
    id: LoadId,
    units: &'a [Unit],
    seed: u64,
    signals: &'a Interrupts,
}

/// When samples are asked for.
struct Sampling {
    every: Span,
    due: Moment,
    unanswered: usize,
    asked: Moment,
}

impl Bencher<'_> {
    fn gpus(&self) -> impl Iterator<Item = GpuIndex> {
        self.units.iter().map(|unit| unit.gpu)
    }

    fn run(&self, look: &mut Look<'_, dyn Workbench>) -> PhaseMeasured {
        let mut meter = Meter::new(self.phase, self.gpus(), look.now());
        let work = self.phase.work;
        let every = if matches!(work, Work::Step { .. }) { FASTEST } else { EVERY };
        let now = look.now();
        let mut sampling = Sampling { every, due: now, unanswered: 0, asked: now };
        let Some(kind) = work.load() else {
            self.watch(look, &mut meter, &mut sampling, now + self.phase.span, |_| false);
            return meter.close(self.units, look.now());
        };
        if !look.ask(|dut, _| dut.prepare(work.injection(), work.variant())) {
            meter.trouble(Trouble::NotModelled);
            return meter.close(self.units, look.now());
        }
        // What a step comes from, and what it goes back to.
        let rest = if matches!(work, Work::Step { .. }) { self.phase.span.mul_f64(0.5) } else { Span::ZERO };
        self.watch(look, &mut meter, &mut sampling, look.now() + rest, |_| false);
        let span = (!work.is_finite()).then_some(self.phase.span);
        let order = LoadOrder { id: self.id, kind, gpus: self.gpus().collect(), seed: self.seed, span };
        look.ask(|dut, now| dut.start_load(now, &order));
        let started = look.now();
        self.watch(look, &mut meter, &mut sampling, started + SET_UP, |meter| {
            meter.running().is_some() || meter.is_over()
        });
        if meter.running().is_none() {
            meter.trouble(Trouble::Missed(format!("the load did not begin within {} s", SET_UP.as_secs())));
        } else {
            let end = look.now() + span.unwrap_or(FINITE);
            self.watch(look, &mut meter, &mut sampling, end, Meter::is_over);
        }
        self.stop(look, &mut meter, &mut sampling);
        self.watch(look, &mut meter, &mut sampling, look.now() + rest, |_| false);
        if self.signals.any() {
            meter.trouble(Trouble::Missed("interrupted".to_owned()));
        }
        meter.close(self.units, look.now())
    }

    /// Asks a load to stop that has not, and kills it if that does not help. None is left behind.
    fn stop(&self, look: &mut Look<'_, dyn Workbench>, meter: &mut Meter, sampling: &mut Sampling) {
        for (how, within) in [(StopHow::Gently, ASKED), (StopHow::Kill, KILLED)] {
            if meter.is_over() {
                return;
            }
            look.ask(|dut, now| dut.stop_load(now, self.id, how));
            let until = look.now() + within;
            // An interrupt has been heard by now.
            while !meter.is_over() && look.now() < until {
                take(look, meter, sampling, self.units.len(), until);
            }
        }
        if !meter.is_over() {
            meter.trouble(Trouble::Missed("the load does not die: the driver holds it".to_owned()));
        }
    }

    /// Samples and listens until a moment, until there is enough, or until somebody interrupts.
    fn watch(
        &self,
        look: &mut Look<'_, dyn Workbench>,
        meter: &mut Meter,
        sampling: &mut Sampling,
        until: Moment,
        enough: impl Fn(&Meter) -> bool,
    ) {
        while look.now() < until && !enough(meter) && !self.signals.any() {
            take(look, meter, sampling, self.units.len(), until);
        }
    }
}

/// Asks for a sample if one is due and the last was answered, and takes in what comes next.
fn take(look: &mut Look<'_, dyn Workbench>, meter: &mut Meter, sampling: &mut Sampling, gpus: usize, until: Moment) {
    let now = look.now();
    if sampling.due <= now && (sampling.unanswered == 0 || sampling.asked + ANSWERED <= now) {
        look.ask(kiln_model::Dut::sample);
        *sampling = Sampling { every: sampling.every, due: now + sampling.every, unanswered: gpus, asked: now };
    }
    let mut arrivals = Arrivals::default();
    let next = if sampling.due > now { sampling.due } else { now + LOOK_EVERY };
    let until = next.min(until).min(now + LOOK_EVERY);
    look.collect(&mut arrivals, until, |arrivals| !arrivals.loads.is_empty() || arrivals.samples.len() >= gpus);
    sampling.unanswered = sampling.unanswered.saturating_sub(arrivals.samples.len());
    arrivals.samples.iter().for_each(|sample| meter.sample(sample));
    arrivals.loads.iter().for_each(|report| meter.hear(report));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<Vec<String>, String> {
        let pieces: Vec<String> = text.split(',').map(str::to_owned).collect();
        names(&pieces).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn a_name_that_no_phase_begins_with_is_refused_beside_known_ones() {
        assert_eq!(asked("march, flips fp32"), Ok(vec!["march".to_owned(), "flips fp32".to_owned()]));
        assert_eq!(asked("bf16 alone, fallback,rest"), Ok(vec!["bf16 alone, fallback".to_owned(), "rest".to_owned()]));
        assert_eq!(names(&[]).ok(), Some(Vec::new()), "all that there is");
        for (text, name) in
            [("march,marsh", "`marsh`"), ("march,", "``"), ("fallback", "`fallback`"), ("Rest", "`Rest`")]
        {
            let refused = asked(text).expect_err(text);
            assert!(refused.contains(name) && refused.contains("march walking; "), "{text}: {refused}");
        }
    }
}
