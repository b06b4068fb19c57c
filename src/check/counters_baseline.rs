//! `counters.baseline`: every error counter of every GPU, as it stands and as it has grown since the run's first look.

use super::declare::{flag, may, text};
use super::delta::between;
use super::links::{of_gpu, put_growth};
use super::look::{LOOK, Look};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, StepContext, Subject};
use kiln_limit::Missing;
use kiln_model::{Component, ComponentKind, GpuCounters, Moment, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec};

#[derive(Debug)]
pub(super) struct CountersBaseline;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "counters.baseline",
    summary: "Reads all error counters; the first use in a run is the baseline that later uses are compared with.",
    details: "Flags and totals (row remaps waiting or failed, banks without spare rows, the SRAM threshold) are absolute: \
              they accuse a part whenever they were raised. Counters of events mean something only as differences, so \
              their growth is told against the run's first look, and is missing where this is the first look or where a \
              counter went backwards. Put one use before the load, with limits on the flags, and one after it, with \
              limits on the growth. A PCIe link that rests in a lower generation recovers at each change of its speed; \
              there recoveries tell nothing and are unsupported.",
    params: &[],
    measurements: MEASUREMENTS,
    each: &[GPU, ComponentKind::NvLink],
    ..LOOK
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    flag("remap.pending", GPU, "whether a row remap waits for a reset"),
    flag("remap.failed", GPU, "whether a row remap ever failed"),
    may("remap.banks-exhausted", Unit::One, GPU, "memory banks without spare rows"),
    may("remap.total", Unit::One, GPU, "rows remapped in the part's life"),
    flag("sram.exceeded", GPU, "whether SRAM errors passed the part's own threshold"),
    may("ecc.corrected.total", Unit::One, GPU, "corrected errors since the driver loaded"),
    may("ecc.uncorrected.total", Unit::One, GPU, "uncorrectable errors since the driver loaded"),
    may("ecc.corrected", Unit::One, GPU, "corrected errors since the run's first look"),
    may("ecc.corrected.rate", Unit::PerHour, GPU, "the same for each hour of the run, an hour at least"),
    may("ecc.uncorrected", Unit::One, GPU, "uncorrectable errors since the run's first look"),
    may("remaps", Unit::One, GPU, "rows remapped since the run's first look"),
    may("pcie.replays", Unit::One, GPU, "PCIe packets sent again since the run's first look"),
    may("pcie.correctable", Unit::One, GPU, "correctable PCIe errors since the run's first look"),
    may("pcie.fatal", Unit::One, GPU, "fatal PCIe errors since the run's first look"),
    may(
        "pcie.retrains",
        Unit::One,
        GPU,
        "recoveries of the PCIe link since the run's first look, where it does not rest",
    ),
    may("nvlink.errors", Unit::One, GPU, "errors of all NVLinks since the run's first look"),
    text("nvlink.error-links", GPU, "the NVLinks with errors since the run's first look"),
    may("link.errors", Unit::One, ComponentKind::NvLink, "errors of one NVLink since the run's first look"),
];

impl Check for CountersBaseline {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn subject(&self) -> Subject {
        Subject::Condition
    }

    fn begin(&self, _: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Look::at_counters(measure))
    }
}

fn measure(context: &StepContext<'_>, counters: &[GpuCounters], first_look: bool) -> Done {
    let baseline = context.first_counters.filter(|_| !first_look);
    let mut sheet = Sheet::new(&SPEC, context.lost);
    for gpu in context.gpus() {
        let component = Component::Gpu(gpu);
        let Some(now) = of_gpu(counters, gpu) else {
            for spec in MEASUREMENTS.iter().filter(|spec| spec.of == GPU) {
                sheet.put(spec.name, component, Gauged::Missing(Missing::CountersUnread));
            }
            continue;
        };
        put_absolute(&mut sheet, component, now);
        match baseline.and_then(|first| of_gpu(first, gpu)) {
            Some(first) => {
                let corrected = between(&first.ecc_corrected, &now.ecc_corrected);
                sheet.put("ecc.corrected.rate", component, an_hour(corrected, context.began));
                for (name, grown) in growth(first, now) {
                    // A link that rests counts each of its ways down and up as a recovery.
                    let rests = name == "pcie.retrains" && context.resting_links.contains(&gpu);
                    sheet.put(name, component, if rests { Gauged::Unsupported } else { grown });
                }
                put_growth(&mut sheet, context.components, gpu, Some(first), Some(now));
            }
            None => put_no_growth(&mut sheet, context.components, component),
        }
    }
    Done::Measured(sheet.into_list())
}

/// Errors of one short run are no rate.
const LEAST_HOURS: f64 = 1.0;

/// What was counted from the run's beginning until `now`, for each hour.
fn an_hour(counted: Gauged, now: Moment) -> Gauged {
    let hours = (now.since(Moment::ZERO).as_secs_f64() / 3600.0).max(LEAST_HOURS);
    match counted {
        Gauged::Number { value, samples } => Gauged::Number { value: value / hours, samples },
        other => other,
    }
}

fn put_absolute(sheet: &mut Sheet<'_>, component: Component, now: &GpuCounters) {
    let remapped = Gauged::whole_of(&now.remap_corrected).plus(Gauged::whole_of(&now.remap_uncorrected));
    sheet.put("remap.pending", component, Gauged::flag_of(now.remap_pending));
    sheet.put("remap.failed", component, Gauged::flag_of(now.remap_failed));
    sheet.put("remap.banks-exhausted", component, Gauged::whole_of(&now.remap_banks_exhausted));
    sheet.put("remap.total", component, remapped);
    sheet.put("sram.exceeded", component, Gauged::flag_of(now.sram_threshold_exceeded));
    sheet.put("ecc.corrected.total", component, Gauged::whole_of(&now.ecc_corrected));
    sheet.put("ecc.uncorrected.total", component, Gauged::whole_of(&now.ecc_uncorrected));
}

fn growth(first: &GpuCounters, now: &GpuCounters) -> [(&'static str, Gauged); 7] {
    let remaps = between(&first.remap_corrected, &now.remap_corrected)
        .plus(between(&first.remap_uncorrected, &now.remap_uncorrected));
    [
        ("ecc.corrected", between(&first.ecc_corrected, &now.ecc_corrected)),
        ("ecc.uncorrected", between(&first.ecc_uncorrected, &now.ecc_uncorrected)),
        ("remaps", remaps),
        ("pcie.replays", between(&first.pcie_replays, &now.pcie_replays)),
        ("pcie.correctable", between(&first.pcie_correctable, &now.pcie_correctable)),
        ("pcie.fatal", between(&first.pcie_fatal, &now.pcie_fatal)),
        ("pcie.retrains", between(&first.pcie_retrains, &now.pcie_retrains)),
    ]
}

fn put_no_growth(sheet: &mut Sheet<'_>, components: &[Component], component: Component) {
    let why = || Gauged::Missing(Missing::FirstLook);
    for name in [
        "ecc.corrected",
        "ecc.corrected.rate",
        "ecc.uncorrected",
        "remaps",
        "pcie.replays",
        "pcie.correctable",
        "pcie.fatal",
        "pcie.retrains",
        "nvlink.errors",
        "nvlink.error-links",
    ] {
        sheet.put(name, component, why());
    }
    for link in components.iter().filter(|it| it.kind() == ComponentKind::NvLink && component.overlaps(**it)) {
        sheet.put("link.errors", *link, why());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, counters, lines, shown};
    use kiln_model::{GpuIndex, Reading};

    fn grown() -> GpuCounters {
        let mut later = counters(0);
        later.ecc_corrected = Reading::Value(7);
        later.pcie_replays = Reading::Value(0);
        if let Reading::Value(links) = &mut later.links {
            links[2].crc = Reading::Value(12);
            links[2].replay = Reading::Unsupported;
        }
        later
    }

    #[test]
    fn the_first_look_has_totals_and_no_growth() {
        let mut rig = Rig::new(&CountersBaseline, 1);
        let done = rig.run(&CountersBaseline);
        insta::assert_snapshot!(lines(&done, Component::gpu(0)), @r"
        remap.pending false
        remap.failed false
        remap.banks-exhausted 0
        remap.total 0
        sram.exceeded false
        ecc.corrected.total 2
        ecc.uncorrected.total 0
        ecc.corrected missing: FirstLook
        ecc.corrected.rate missing: FirstLook
        ecc.uncorrected missing: FirstLook
        remaps missing: FirstLook
        pcie.replays missing: FirstLook
        pcie.correctable missing: FirstLook
        pcie.fatal missing: FirstLook
        pcie.retrains missing: FirstLook
        nvlink.errors missing: FirstLook
        nvlink.error-links missing: FirstLook
        ");
    }

    #[test]
    fn later_looks_are_held_against_the_first() {
        let mut rig = Rig::new(&CountersBaseline, 1);
        rig.first_counters = Some(vec![counters(0)]);
        rig.counters = vec![vec![grown()]];
        rig.components.push(Component::NvLink(GpuIndex(0), 2));
        let done = rig.run(&CountersBaseline);
        let gpu = Component::gpu(0);
        assert_eq!(shown(&done, gpu, "ecc.corrected"), "5");
        assert_eq!(shown(&done, gpu, "ecc.corrected.rate"), "5 1/h", "a run of seconds counts as one of an hour");
        assert_eq!(shown(&done, gpu, "pcie.replays"), "missing: CounterBackwards");
        assert_eq!(shown(&done, gpu, "nvlink.errors"), "missing: CounterReadAtOneEnd");
        assert_eq!(shown(&done, Component::NvLink(GpuIndex(0), 2), "link.errors"), shown(&done, gpu, "nvlink.errors"));
    }

    #[test]
    fn recoveries_of_a_link_that_rests_are_not_counted_against_it() {
        let retrains = |resting: &[u8]| {
            let mut rig = Rig::new(&CountersBaseline, 1);
            rig.first_counters = Some(vec![counters(0)]);
            let mut later = counters(0);
            later.pcie_retrains = later.pcie_retrains.map(|count| count + 2);
            rig.counters = vec![vec![later]];
            rig.resting_links = resting.iter().copied().map(GpuIndex).collect();
            shown(&rig.run(&CountersBaseline), Component::gpu(0), "pcie.retrains")
        };
        assert_eq!((retrains(&[]).as_str(), retrains(&[0]).as_str()), ("2", "unsupported"));
    }

    #[test]
    fn links_with_errors_are_listed() {
        let mut rig = Rig::new(&CountersBaseline, 1);
        let mut first = counters(0);
        if let Reading::Value(links) = &mut first.links {
            links[2].replay = Reading::Unsupported;
        }
        rig.first_counters = Some(vec![first]);
        rig.counters = vec![vec![grown()]];
        let done = rig.run(&CountersBaseline);
        assert_eq!(shown(&done, Component::gpu(0), "nvlink.errors"), "12");
        assert_eq!(shown(&done, Component::gpu(0), "nvlink.error-links"), "2");
    }
}
