//! `kernel.log`: what the kernel has logged against the hardware since the run began.

use std::collections::BTreeMap;

use super::declare::{may, must, text};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, Seen, StepContext, Subject, Wants};
use crate::diagnose::{AerSeverity, BurnIn, KernelLine, Origin, gpu_at, read_kernel_line, sxid, xid};
use crate::event::Phase;
use crate::model::{Component, ComponentKind, GpuIndex, KernelRecord, KernelSource, Moment, Span, Unit};
use crate::profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct KernelLog;

const GPU: ComponentKind = ComponentKind::Gpu;
const NODE: ComponentKind = ComponentKind::Node;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "kernel.log",
    summary: "Reads what the kernel has logged since the run began: Xid, SXid, PCIe errors, other hardware errors.",
    details: "Every record of the run is looked at, so a use after the load sees what happened under it. Xid codes are \
              counted by what they mean for a new part under a load that is known to be good: those that fail a burn-in, \
              those that are suspect, and those the load program causes itself (13, 31, 43, 45), which are no hardware \
              fault by themselves. Codes newer than the table are suspect. Records that name no GPU of the inventory \
              count for the node. Where records were lost nothing can be said to be absent, and the counts are missing \
              unless they are above zero already.",
    params: &[],
    measurements: MEASUREMENTS,
    each: &[GPU, NODE],
    wear: Wear::None,
    faults: &["fell-off-bus", "hbm-uncorrectable"],
    exclusive: false,
    watcher: false,
    estimate: |_: &Params, _| Span::from_secs(1),
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("xid.failing", Unit::One, GPU, "Xid records that fail a burn-in"),
    must("xid.suspect", Unit::One, GPU, "Xid records that need an explanation"),
    may("xid.own", Unit::One, GPU, "Xid records of the kinds a load program causes itself"),
    may("xid.other", Unit::One, GPU, "Xid records without bearing on the unit"),
    text("xid.codes", GPU, "the Xid codes logged, in ascending order, or none"),
    must("aer.corrected", Unit::One, GPU, "corrected PCIe errors logged"),
    must("aer.uncorrected", Unit::One, GPU, "uncorrected PCIe errors logged"),
    must("off-bus", Unit::One, GPU, "lines that say the GPU is not reachable or could not be started"),
    may("sxid.failing", Unit::One, NODE, "SXid records that fail a burn-in"),
    may("sxid.suspect", Unit::One, NODE, "SXid records that need an explanation"),
    may("sxid.other", Unit::One, NODE, "SXid records that are harmless one by one"),
    text("sxid.codes", NODE, "the SXid codes logged, in ascending order, or none"),
    may("hardware", Unit::One, NODE, "other hardware errors: machine checks, uncorrected memory errors of the host"),
    may("edac.corrected", Unit::One, NODE, "corrected errors of the host's memory that were logged"),
    may("boots", Unit::One, NODE, "times the kernel started"),
    may("unplaced", Unit::One, NODE, "records against GPUs or devices that are not in the inventory"),
    may("gaps", Unit::One, NODE, "places where records were lost"),
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
    fn observe(&mut self, context: &StepContext<'_>, _: Moment, seen: Seen<'_>, wants: &mut Wants) {
        if matches!(seen, Seen::Began) {
            wants.enter(Phase::Measuring, None);
            wants.end(measure(context));
        }
    }
}

#[derive(Debug, Default)]
struct Charges {
    failing: usize,
    suspect: usize,
    own: usize,
    other: usize,
    aer_corrected: usize,
    aer_uncorrected: usize,
    off_bus: usize,
    codes: BTreeMap<u32, usize>,
}

#[derive(Debug, Default)]
struct Log {
    gpus: BTreeMap<GpuIndex, Charges>,
    switches: Charges,
    hardware: usize,
    edac_corrected: usize,
    boots: usize,
    unplaced: usize,
    gaps: usize,
}

fn measure(context: &StepContext<'_>) -> Done {
    let mut log = Log::default();
    for record in context.kernel {
        log.take(context, record);
    }
    let mut sheet = Sheet::new(&SPEC, context.lost);
    let gaps = log.gaps;
    // Nothing can be said to be absent from a log with gaps.
    let count = |count: usize| {
        if count == 0 && gaps > 0 {
            Gauged::missing("records of the kernel log were lost")
        } else {
            Gauged::count(count)
        }
    };
    let none = Charges::default();
    for gpu in context.gpus() {
        let component = Component::Gpu(gpu);
        let charges = log.gpus.get(&gpu).unwrap_or(&none);
        // The log is not the GPU's: it is read even when the GPU no longer answers.
        sheet.put_anyway("xid.failing", component, count(charges.failing));
        sheet.put_anyway("xid.suspect", component, count(charges.suspect));
        sheet.put_anyway("xid.own", component, count(charges.own));
        sheet.put_anyway("xid.other", component, count(charges.other));
        sheet.put_anyway("xid.codes", component, charges.listed());
        sheet.put_anyway("aer.corrected", component, count(charges.aer_corrected));
        sheet.put_anyway("aer.uncorrected", component, count(charges.aer_uncorrected));
        sheet.put_anyway("off-bus", component, count(charges.off_bus));
    }
    let node = Component::Node;
    sheet.put("sxid.failing", node, count(log.switches.failing));
    sheet.put("sxid.suspect", node, count(log.switches.suspect));
    sheet.put("sxid.other", node, count(log.switches.other));
    sheet.put("sxid.codes", node, log.switches.listed());
    sheet.put("hardware", node, count(log.hardware));
    sheet.put("edac.corrected", node, count(log.edac_corrected));
    sheet.put("boots", node, count(log.boots));
    sheet.put("unplaced", node, count(log.unplaced));
    sheet.put("gaps", node, Gauged::count(gaps));
    Done::Measured(sheet.into_list())
}

impl Charges {
    fn listed(&self) -> Gauged {
        let codes: Vec<String> = self.codes.keys().map(u32::to_string).collect();
        Gauged::Text(if codes.is_empty() { "none".to_owned() } else { codes.join(", ") })
    }

    fn count(&mut self, burn_in: BurnIn) {
        match burn_in {
            BurnIn::Fails => self.failing += 1,
            BurnIn::Suspect => self.suspect += 1,
            BurnIn::Counts | BurnIn::Tolerated => self.other += 1,
        }
    }
}

impl Log {
    fn take(&mut self, context: &StepContext<'_>, record: &KernelRecord) {
        if record.source == KernelSource::Gap {
            self.gaps += 1;
            return;
        }
        let inventory = context.inventory;
        match read_kernel_line(&record.text) {
            Some(KernelLine::Xid(line)) => {
                let Some(charges) = self.charges(gpu_at(line.pci, inventory)) else { return };
                *charges.codes.entry(line.code).or_default() += 1;
                match xid(line.code) {
                    Some(row) if row.origin == Origin::LoadProgram => charges.own += 1,
                    Some(row) => charges.count(row.burn_in_when(line.declared)),
                    None => charges.suspect += 1,
                }
            }
            Some(KernelLine::Sxid(line)) => {
                *self.switches.codes.entry(line.code).or_default() += 1;
                self.switches.count(sxid(line.code).map_or(BurnIn::Suspect, |row| row.burn_in));
            }
            Some(KernelLine::Aer(line)) if !line.announces => {
                let Some(charges) = self.charges(gpu_at(line.pci, inventory)) else { return };
                match line.severity {
                    AerSeverity::Corrected => charges.aer_corrected += 1,
                    AerSeverity::NonFatal | AerSeverity::Fatal => charges.aer_uncorrected += 1,
                }
            }
            Some(KernelLine::OffTheBus { pci } | KernelLine::InitFailed { pci, .. }) => {
                if let Some(charges) = self.charges(pci.and_then(|pci| gpu_at(pci, inventory))) {
                    charges.off_bus += 1;
                }
            }
            Some(KernelLine::Aer(_)) => {}
            None => {
                self.hardware += usize::from(names_hardware(&record.text));
                self.edac_corrected += edac_corrected(&record.text);
                // The kernel's banner is its first line after every start.
                self.boots += usize::from(record.text.contains("Linux version "));
            }
        }
    }

    fn charges(&mut self, gpu: Option<GpuIndex>) -> Option<&mut Charges> {
        if gpu.is_none() {
            self.unplaced += 1;
        }
        Some(self.gpus.entry(gpu?).or_default())
    }
}

/// Errors told by a line of the form `EDAC MC1: 3 CE memory read error on ...`.
fn edac_corrected(text: &str) -> usize {
    let told = || {
        let (_, rest) = text.split_once("EDAC MC")?.1.split_once(": ")?;
        let (count, rest) = rest.split_once(' ')?;
        rest.starts_with("CE ").then(|| count.parse().ok())?
    };
    told().unwrap_or(0)
}

/// Lines of the machine check handler, of EDAC and of firmware-first error reports that tell of an uncorrected error.
/// Corrected host memory errors are told by counters, not here.
fn names_hardware(text: &str) -> bool {
    let has = |needle: &str| text.contains(needle);
    (has("mce: ") && has("[Hardware Error]") && has("Machine check"))
        || (has("EDAC ") && has(" UE "))
        || (has("[Hardware Error]: ") && has("event severity: fatal"))
        || has("nvme") && has("controller is down")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::rig::{Rig, assert_complete, lines, shown};

    fn run(texts: &[&str]) -> Done {
        let mut rig = Rig::new(&KernelLog, 2);
        rig.kernel = texts
            .iter()
            .map(|text| KernelRecord {
                at: Moment::ZERO,
                source: if text.is_empty() { KernelSource::Gap } else { KernelSource::KernelLog },
                text: (*text).to_owned(),
            })
            .collect();
        let done = rig.run(&KernelLog);
        assert_complete(&SPEC, &done, &rig.components);
        done
    }

    #[test]
    fn codes_are_counted_by_what_they_mean_and_named() {
        let done = run(&[
            "NVRM: Xid (PCI:0000:20:00): 79, GPU has fallen off the bus.",
            "NVRM: Xid (PCI:0000:20:00): 43, pid=1, name=kiln, Ch 00000008",
            "NVRM: Xid (PCI:0000:20:00): 9999, something new",
            "NVRM: GPU 0000:20:00.0: GPU has fallen off the bus.",
            "nvidia 0000:10:00.0: PCIe Bus Error: severity=Corrected, type=Data Link Layer, (Receiver ID)",
            "pcieport 0000:0f:01.0: AER: Corrected error received: 0000:10:00.0",
            "nvidia-nvswitch0: SXid (PCI:0000:83:00.0): 20034, Fatal, Link 30 LTSSM Fault Up",
            "mce: [Hardware Error]: CPU 3: Machine check events logged",
            "NVRM: Xid (PCI:0000:77:00): 48, a GPU that is not here",
            "EDAC MC1: 3 CE memory read error on CPU_SrcID#1_MC#0_Chan#2_DIMM#0 (channel:2 slot:0)",
            "EDAC MC1: Giving out device to module",
            "usb 1-1: new high-speed USB device number 2",
        ]);
        insta::assert_snapshot!(lines(&done, Component::gpu(0)), @r"
        xid.failing 0
        xid.suspect 0
        xid.own 0
        xid.other 0
        xid.codes none
        aer.corrected 1
        aer.uncorrected 0
        off-bus 0
        ");
        insta::assert_snapshot!(lines(&done, Component::gpu(1)), @r"
        xid.failing 1
        xid.suspect 1
        xid.own 1
        xid.other 0
        xid.codes 43, 79, 9999
        aer.corrected 0
        aer.uncorrected 0
        off-bus 1
        ");
        insta::assert_snapshot!(lines(&done, Component::Node), @r"
        sxid.failing 1
        sxid.suspect 0
        sxid.other 0
        sxid.codes 20034
        hardware 1
        edac.corrected 3
        boots 0
        unplaced 1
        gaps 0
        ");
    }

    #[test]
    fn nothing_is_absent_from_a_log_with_gaps() {
        let done = run(&["", "NVRM: Xid (PCI:0000:20:00): 79, GPU has fallen off the bus."]);
        assert_eq!(shown(&done, Component::gpu(0), "xid.failing"), "missing: records of the kernel log were lost");
        assert_eq!(shown(&done, Component::gpu(1), "xid.failing"), "1");
    }
}
