//! `kernel.log`: what the kernel has logged against the hardware, during the run and since the machine was started.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;

use super::declare::{may, must, text};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, Seen, StepContext, Subject, Wants};
use kiln_diagnose::{Charge, CodeCharge, KernelEvent, Places, charges, kernel_events};
use kiln_event::Phase;
use kiln_limit::{Missing, write_list};
use kiln_model::{
    Component, ComponentKind, GpuIndex, KernelSource, Moment, Source, SourceReport, SourceState, SourceTrouble, Span,
    Unit, overwritten, trouble_of,
};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct KernelLog;

const GPU: ComponentKind = ComponentKind::Gpu;
const NODE: ComponentKind = ComponentKind::Node;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "kernel.log",
    summary: "Reads what the kernel has logged: Xid, SXid, PCIe errors, memory and processor errors, NICs, drives, lockups.",
    details: "Every record of the run is looked at, so a use after the load sees what happened under it. Lines that belong \
              together are one event. Xid codes are counted by what they mean for a new part under a load that is known to \
              be good: those that fail a burn-in, those that are suspect, those of the kinds a program causes (13, 31, 43, \
              45) by our own load or by another program. Codes newer than the table are suspect. Of what was logged before \
              the run, since the machine was started, only proof of broken hardware counts; after a repair without a \
              restart it still does. An error of a PCIe port counts for the GPU that alone is below it, errors of other \
              devices for the node. Corrected errors are counted over the hours of the run, at least one. Where the log \
              cannot be read, or records were lost during the run, nothing can be said to be absent, and the counts are \
              missing unless they are above zero already.",
    params: &[],
    measurements: MEASUREMENTS,
    each: &[GPU, NODE],
    wear: Wear::None,
    exclusive: false,
    watcher: false,
    estimate: |_: &Params, _| Span::from_secs(1),
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("xid.failing", Unit::One, GPU, "Xid events that fail a burn-in"),
    must("xid.suspect", Unit::One, GPU, "Xid events that need an explanation"),
    must("xid.own", Unit::One, GPU, "Xid events of the kinds a program causes, under our own load"),
    may("xid.foreign", Unit::One, GPU, "Xid events of those kinds that another program caused"),
    may("xid.harmless", Unit::One, GPU, "Xid events of links during the run that are harmless one by one"),
    may("xid.other", Unit::One, GPU, "Xid events without bearing on the unit, and effects of others"),
    text("xid.codes", GPU, "the Xid codes logged, in ascending order, or none"),
    must("aer.corrected", Unit::One, GPU, "corrected PCIe errors logged for the GPU or its port"),
    may("aer.corrected.rate", Unit::PerHour, GPU, "the same over the hours of the run, at least one"),
    must(
        "aer.uncorrected",
        Unit::One,
        GPU,
        "uncorrected PCIe errors, links that went down, ports that shut their link",
    ),
    must("off-bus", Unit::One, GPU, "events that say the GPU is not reachable or could not be started"),
    may("sxid.failing", Unit::One, NODE, "SXid events that fail a burn-in"),
    may("sxid.suspect", Unit::One, NODE, "SXid events that need an explanation"),
    may("sxid.other", Unit::One, NODE, "SXid events of the run that are harmless one by one"),
    text("sxid.codes", NODE, "the SXid codes logged, in ascending order, or none"),
    may(
        "hardware",
        Unit::One,
        NODE,
        "hardware errors of the host that were not corrected: processors, memory, NICs, drives, PCIe devices that are no GPU",
    ),
    may(
        "hardware.suspect",
        Unit::One,
        NODE,
        "trouble that proves nothing by itself: lockups, heat, devices the IOMMU stopped, unknown lines",
    ),
    may("pcie.uncorrected", Unit::One, NODE, "uncorrected PCIe errors of devices that are no GPU"),
    may(
        "pcie.corrected.rate",
        Unit::PerHour,
        NODE,
        "corrected PCIe errors of those, over the hours of the run, at least one",
    ),
    may("edac.corrected", Unit::One, NODE, "corrected errors of the host's memory and processors that were logged"),
    may("edac.corrected.rate", Unit::PerHour, NODE, "the same over the hours of the run, at least one"),
    may("boots", Unit::One, NODE, "times the kernel started during the run"),
    may("unplaced", Unit::One, NODE, "events against GPUs that are not in the inventory"),
    may("gaps", Unit::One, NODE, "places where records were lost during the run"),
    may("overwritten", Unit::One, NODE, "records since the machine was started that were gone when the run began"),
    may("sources", Unit::One, NODE, "sources of the node that are followed; missing where one was and no longer is"),
];

impl Check for KernelLog {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn subject(&self) -> Subject {
        Subject::Condition
    }

    fn begin(&self, _: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Run)
    }
}

#[derive(Debug)]
struct Run;

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        if matches!(seen, Seen::Began) {
            wants.enter(Phase::Measuring, None);
            wants.end(measure(context, now));
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    failing: u64,
    suspect: u64,
    own: u64,
    foreign: u64,
    counted: u64,
    other: u64,
    aer_corrected: u64,
    aer_uncorrected: u64,
    off_bus: u64,
    codes: BTreeMap<u32, u64>,
}

#[derive(Debug, Default)]
struct Log {
    gpus: BTreeMap<GpuIndex, Counts>,
    switches: Counts,
    hardware: u64,
    hardware_suspect: u64,
    pcie_uncorrected: u64,
    pcie_corrected: u64,
    corrected: u64,
    boots: u64,
    unplaced: u64,
}

/// How a count is to be put down, given how the log was followed.
struct Reader {
    /// Why nothing can be said to be absent.
    blind: Option<Missing>,
    hours: f64,
}

impl Reader {
    fn count(&self, count: u64) -> Gauged {
        self.gauged(count, count as f64)
    }

    fn rate(&self, count: u64) -> Gauged {
        self.gauged(count, count as f64 / self.hours)
    }

    fn gauged(&self, count: u64, value: f64) -> Gauged {
        match &self.blind {
            Some(why) if count == 0 => Gauged::Missing(why.clone()),
            _ => Gauged::once(value),
        }
    }
}

fn measure(context: &StepContext<'_>, now: Moment) -> Done {
    let events = kernel_events(context.kernel);
    let places = Places::of(context.inventory, &events);
    let mut log = Log::default();
    for (event, charge) in events.iter().zip(charges(&events, &places)) {
        log.take(event, charge);
    }
    let gaps = context.kernel.iter().filter(|record| record.source == KernelSource::Gap).count();
    let trouble = trouble_of(Source::KernelLog, context.sources);
    let lost = (gaps > 0).then_some(Missing::KernelLogGaps);
    // A run of minutes is no reason to take a handful of errors for a flood.
    let reader =
        Reader { blind: trouble.map(Missing::KernelLogUnread).or(lost), hours: (now.seconds() / 3600.0).max(1.0) };
    let mut sheet = Sheet::new(&SPEC, context.lost);
    put_gpus(&mut sheet, context, &log, &reader);
    put_node(&mut sheet, context, &log, &reader);
    sheet.put("gaps", Component::Node, trouble.map_or_else(|| Gauged::count(gaps), |_| reader.count(gaps as u64)));
    Done::Measured(sheet.into_list())
}

fn put_gpus(sheet: &mut Sheet<'_>, context: &StepContext<'_>, log: &Log, reader: &Reader) {
    let none = Counts::default();
    for gpu in context.gpus() {
        let component = Component::Gpu(gpu);
        let counts = log.gpus.get(&gpu).unwrap_or(&none);
        // The log is not the GPU's: it is read even when the GPU no longer answers.
        let mut put = |name: &str, gauged: Gauged| sheet.put_anyway(name, component, gauged);
        put("xid.failing", reader.count(counts.failing));
        put("xid.suspect", reader.count(counts.suspect));
        put("xid.own", reader.count(counts.own));
        put("xid.foreign", reader.count(counts.foreign));
        put("xid.harmless", reader.count(counts.counted));
        put("xid.other", reader.count(counts.other));
        put("xid.codes", counts.listed(reader));
        put("aer.corrected", reader.count(counts.aer_corrected));
        put("aer.corrected.rate", reader.rate(counts.aer_corrected));
        put("aer.uncorrected", reader.count(counts.aer_uncorrected));
        put("off-bus", reader.count(counts.off_bus));
    }
}

fn put_node(sheet: &mut Sheet<'_>, context: &StepContext<'_>, log: &Log, reader: &Reader) {
    let mut put = |name: &str, gauged: Gauged| sheet.put(name, Component::Node, gauged);
    put("sxid.failing", reader.count(log.switches.failing));
    put("sxid.suspect", reader.count(log.switches.suspect));
    put("sxid.other", reader.count(log.switches.counted));
    put("sxid.codes", log.switches.listed(reader));
    put("hardware", reader.count(log.hardware));
    put("hardware.suspect", reader.count(log.hardware_suspect));
    put("pcie.uncorrected", reader.count(log.pcie_uncorrected));
    put("pcie.corrected.rate", reader.rate(log.pcie_corrected));
    // Without a driver for the memory controllers nobody logs what memory corrected.
    let untold = log.corrected == 0 && reader.blind.is_none();
    let corrected = |told: Gauged| match trouble_of(Source::MemoryControllers, context.sources) {
        Some(_) if untold => match ended(Source::MemoryControllers, context.sources) {
            Some(trouble) => Gauged::Missing(Missing::SourceGone { source: Source::MemoryControllers, trouble }),
            None => Gauged::Unsupported,
        },
        _ => told,
    };
    put("edac.corrected", corrected(reader.count(log.corrected)));
    put("edac.corrected.rate", corrected(reader.rate(log.corrected)));
    put("boots", reader.count(log.boots));
    put("unplaced", reader.count(log.unplaced));
    put("overwritten", reader.count(overwritten(Source::KernelLog, context.sources)));
    put("sources", sources(context.sources));
}

const SOURCES: [Source; 6] = [
    Source::KernelLog,
    Source::DriverEvents,
    Source::MemoryControllers,
    Source::PcieCounters,
    Source::PciBus,
    Source::Infiniband,
];

/// How many sources are followed. One that went away took its evidence with it; the driver's event channel alone has
/// nothing that a log that is followed has not.
fn sources(reports: &[SourceReport]) -> Gauged {
    let log = trouble_of(Source::KernelLog, reports);
    let mut followed = 0;
    for source in SOURCES {
        match ended(source, reports) {
            Some(_) if source == Source::DriverEvents && log.is_none() => {}
            Some(trouble) if source == Source::KernelLog => return Gauged::Missing(Missing::KernelLogUnread(trouble)),
            Some(trouble) => return Gauged::Missing(Missing::SourceGone { source, trouble }),
            None => followed += usize::from(trouble_of(source, reports).is_none()),
        }
    }
    match log {
        Some(trouble) => Gauged::Missing(Missing::KernelLogUnread(trouble)),
        None => Gauged::count(followed),
    }
}

/// Why a source that was followed is so no longer.
fn ended(source: Source, reports: &[SourceReport]) -> Option<SourceTrouble> {
    match reports.iter().rev().find(|report| report.source == source)?.state {
        SourceState::Ended(trouble) => Some(trouble),
        SourceState::Followed(_) | SourceState::Closed(_) => None,
    }
}

impl Counts {
    fn listed(&self, reader: &Reader) -> Gauged {
        match (&reader.blind, self.codes.is_empty()) {
            (Some(why), true) => Gauged::Missing(why.clone()),
            (None, true) | (_, false) => Gauged::Text(write_list(self.codes.keys())),
        }
    }

    fn take(&mut self, code: u32, how: CodeCharge) {
        *self.codes.entry(code).or_default() += 1;
        *match how {
            CodeCharge::Failing => &mut self.failing,
            CodeCharge::Suspect => &mut self.suspect,
            CodeCharge::Own => &mut self.own,
            CodeCharge::Foreign => &mut self.foreign,
            CodeCharge::Counted => &mut self.counted,
            CodeCharge::Other => &mut self.other,
            CodeCharge::Ignored => return,
        } += 1;
    }
}

impl Log {
    fn take(&mut self, event: &KernelEvent, charge: Charge) {
        let count = event.count;
        match charge {
            Charge::Xid { gpu, code, how } => self.gpus.entry(gpu).or_default().take(code, how),
            Charge::Sxid { code, how, .. } => self.switches.take(code, how),
            Charge::OffBus(gpu) => self.gpus.entry(gpu).or_default().off_bus += count,
            Charge::GpuPcie { gpu, corrected: true } => self.gpus.entry(gpu).or_default().aer_corrected += count,
            Charge::GpuPcie { gpu, corrected: false } => self.gpus.entry(gpu).or_default().aer_uncorrected += count,
            Charge::HostPcie { corrected: true } => self.pcie_corrected += count,
            // Also an error of the host's hardware: whoever asks for the one limit means it.
            Charge::HostPcie { corrected: false } => {
                self.pcie_uncorrected += count;
                self.hardware += count;
            }
            Charge::Hardware => self.hardware += count,
            Charge::HardwareSuspect(_) | Charge::Installation => self.hardware_suspect += count,
            Charge::Corrected => self.corrected += count,
            Charge::Boot => self.boots += count,
            Charge::Unplaced => self.unplaced += count,
            Charge::Nothing => {}
        }
    }
}

#[cfg(test)]
#[path = "kernel_log_tests.rs"]
mod tests;
