//! `config.policy`: whether the GPUs are set up as they should be for a test, and left alone by others.

use super::declare::{choice, flag, list, may, must, text};
use super::look::{LOOK, Look};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, StepContext, Subject};
use kiln_limit::{Missing, write_list};
use kiln_model::{Component, ComponentKind, Config, Gpu, Inventory, Process, Reading, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params};

#[derive(Debug)]
pub(super) struct ConfigPolicy;

const GPU: ComponentKind = ComponentKind::Gpu;

const MODES: &[&str] = &["enabled", "disabled", "any"];

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "config.policy",
    summary: "Reads how every GPU is set up: ECC, MIG, modes, power limit, clocks, pending changes, processes.",
    details: "Reads the inventory anew. For ecc, mig, persistence and compute-mode a parameter says what is asked for, \
              and a flag `….as-asked` says whether it is so; the state itself is told as a text. A part that has no such \
              setting tells `not-offered` and is as asked for where the setting would have to be off. The power limit \
              is the one in force, the least of all limits; compare it with sku.tdp, or look at its share of the \
              default. Settings that wait for a reset count as pending.",
    params: &[
        choice("ecc", MODES, "enabled", "what ECC must be"),
        choice("mig", MODES, "disabled", "what MIG must be"),
        choice("persistence", MODES, "any", "what persistence mode must be"),
        choice(
            "compute-mode",
            &["default", "exclusive-process", "prohibited", "any"],
            "default",
            "what the compute mode must be",
        ),
        list("processes", "names of processes that may be on the GPUs"),
    ],
    measurements: MEASUREMENTS,
    each: &[GPU],
    ..LOOK
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    text("ecc", GPU, "enabled, disabled or not-offered"),
    text("mig", GPU, "enabled, disabled or not-offered"),
    text("persistence", GPU, "enabled, disabled or not-offered"),
    text("compute-mode", GPU, "default, exclusive-process or prohibited"),
    flag("ecc.as-asked", GPU, "whether ECC is what the step asks for"),
    flag("mig.as-asked", GPU, "whether MIG is what the step asks for"),
    flag("persistence.as-asked", GPU, "whether persistence mode is what the step asks for"),
    flag("compute-mode.as-asked", GPU, "whether the compute mode is what the step asks for"),
    must("pending", Unit::One, GPU, "settings that wait for a reset"),
    may("power.limit", Unit::Watt, GPU, "the power limit in force"),
    may("power.limit.default", Unit::Watt, GPU, "the power limit the part comes with"),
    may("power.limit.share", Unit::Percent, GPU, "the power limit in force against the default"),
    text("clocks", GPU, "application clocks: default, changed or not-offered"),
    may("clock.sm.max", Unit::Megahertz, GPU, "the greatest SM clock"),
    may("processes", Unit::One, GPU, "processes on the GPU that are not allowed"),
    text("processes.named", GPU, "the processes that are not allowed, with their numbers"),
    text("recovery", GPU, "what the driver says the GPU needs, or not-offered"),
];

impl Check for ConfigPolicy {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn subject(&self) -> Subject {
        Subject::Condition
    }

    fn begin(&self, _: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Look::Inventory(measure))
    }
}

fn measure(context: &StepContext<'_>, found: &Inventory) -> Done {
    let mut sheet = Sheet::new(&SPEC, context.lost);
    for index in context.gpus() {
        let component = Component::Gpu(index);
        match found.gpu(index) {
            Some(gpu) => put_gpu(&mut sheet, context.params, component, gpu, context.inventory.gpu(index)),
            None => sheet.put("pending", component, Gauged::Missing(Missing::NotListed)),
        }
    }
    Done::Measured(sheet.into_list())
}

/// `first` is the GPU as it was when the run began.
fn put_gpu(sheet: &mut Sheet<'_>, params: &Params, component: Component, gpu: &Gpu, first: Option<&Gpu>) {
    let config = &gpu.config;
    let first = first.map(|gpu| &gpu.config);
    for (name, as_asked, of) in [
        ("ecc", "ecc.as-asked", (|config| config.ecc) as fn(&Config) -> Reading<bool>),
        ("mig", "mig.as-asked", |config| config.mig),
        ("persistence", "persistence.as-asked", |config| config.persistence),
    ] {
        let state = if is_withdrawn(first.map(of), of(config)) { WITHDRAWN } else { state(of(config)) };
        put_asked(sheet, params.text(name), as_asked, component, &state);
        sheet.put(name, component, state);
    }
    let told = |config: &Config| config.compute_mode.as_ref().map(|_| true);
    let withdrawn = is_withdrawn(first.map(told), told(config));
    let mode = if withdrawn { WITHDRAWN } else { offered(&config.compute_mode) };
    put_asked(sheet, params.text("compute-mode"), "compute-mode.as-asked", component, &mode);
    sheet.put("compute-mode", component, mode);
    sheet.put("pending", component, pending(gpu));
    sheet.put("power.limit", component, Gauged::number_of(&gpu.power.enforced));
    sheet.put("power.limit.default", component, Gauged::number_of(&gpu.power.default));
    let share = match (gpu.power.enforced, gpu.power.default) {
        (Reading::Value(limit), Reading::Value(default)) if default > 0.0 => Gauged::once(limit * 100.0 / default),
        (Reading::Unsupported, _) | (_, Reading::Unsupported) => Gauged::Unsupported,
        _ => Gauged::Missing(Missing::PowerLimitsUnread),
    };
    sheet.put("power.limit.share", component, share);
    sheet.put("clocks", component, clocks(gpu));
    sheet.put("clock.sm.max", component, Gauged::number_of(&gpu.clocks.max_sm));
    let allowed = params.texts("processes").unwrap_or_default();
    let foreign = |processes: &[Process]| -> Vec<Process> {
        processes.iter().filter(|process| !allowed.contains(&process.name)).cloned().collect()
    };
    sheet.put("processes", component, Gauged::of(&gpu.processes, |all| Gauged::count(foreign(all).len())));
    sheet.put("processes.named", component, Gauged::of(&gpu.processes, |all| named_processes(&foreign(all))));
    sheet.put("recovery", component, offered(&config.recovery_action));
}

/// `python3 (pid 4242), nvidia-cuda-mps (pid 17)`, or none.
pub(super) fn named_processes(processes: &[Process]) -> Gauged {
    let named: Vec<String> =
        processes.iter().map(|process| format!("{} (pid {})", process.name, process.pid)).collect();
    Gauged::Text(write_list(named))
}

/// A driver that does not offer any more what it told when the run began has not said what the setting is now.
const WITHDRAWN: Gauged = Gauged::Missing(Missing::NoLongerOffered);

const fn is_withdrawn(first: Option<Reading<bool>>, now: Reading<bool>) -> bool {
    matches!((first, now), (Some(Reading::Value(_)), Reading::Unsupported))
}

/// A setting a part does not have cannot be switched on: that is a known state, unlike a failed reading.
fn state(reading: Reading<bool>) -> Gauged {
    match reading {
        Reading::Unsupported => Gauged::Text("not-offered".to_owned()),
        reading => Gauged::of(&reading, |on| Gauged::Text(if *on { "enabled" } else { "disabled" }.to_owned())),
    }
}

fn offered(reading: &Reading<String>) -> Gauged {
    match reading {
        Reading::Unsupported => Gauged::Text("not-offered".to_owned()),
        reading => Gauged::text_of(reading),
    }
}

fn put_asked(sheet: &mut Sheet<'_>, asked: Option<&str>, name: &str, component: Component, state: &Gauged) {
    let Some(asked) = asked.filter(|asked| *asked != "any") else { return };
    let gauged = match state {
        Gauged::Text(state) if state == "not-offered" => Gauged::Flag(matches!(asked, "disabled" | "default")),
        Gauged::Text(state) => Gauged::Flag(state == asked),
        other => other.clone(),
    };
    sheet.put(name, component, gauged);
}

fn pending(gpu: &Gpu) -> Gauged {
    let config = &gpu.config;
    let mut count = 0;
    for (now, later) in [(&config.ecc, &config.ecc_pending), (&config.mig, &config.mig_pending)] {
        match (now, later) {
            (Reading::Value(now), Reading::Value(later)) => count += usize::from(now != later),
            (Reading::Failed(why), _) | (_, Reading::Failed(why)) => return Gauged::Missing(Missing::Read(*why)),
            // A setting the part does not have cannot be pending.
            (Reading::Unsupported, _) | (_, Reading::Unsupported) => {}
        }
    }
    Gauged::count(count)
}

fn clocks(gpu: &Gpu) -> Gauged {
    match (gpu.clocks.application_sm, gpu.clocks.default_application_sm) {
        (Reading::Value(set), Reading::Value(default)) => {
            // Clocks come in steps of 15 MHz at the finest; anything below one is rounding.
            Gauged::Text(if (set - default).abs() < 1.0 { "default" } else { "changed" }.to_owned())
        }
        (Reading::Failed(why), _) | (_, Reading::Failed(why)) => Gauged::Missing(Missing::Read(why)),
        (Reading::Unsupported, _) | (_, Reading::Unsupported) => Gauged::Text("not-offered".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, lines, raised, shown};
    use kiln_profile::ParamValue;

    fn run(change: impl FnOnce(&mut Rig)) -> (Done, Rig) {
        let mut rig = Rig::new(&ConfigPolicy, 2);
        change(&mut rig);
        (rig.run(&ConfigPolicy), rig)
    }

    #[test]
    fn a_gpu_set_up_as_asked_raises_nothing() {
        let (done, rig) = run(|_| {});
        assert_complete(&SPEC, &done, &rig.components);
        assert_eq!(raised(&done), [""; 0]);
        insta::assert_snapshot!(lines(&done, Component::gpu(1)), @r"
        ecc.as-asked true
        ecc enabled
        mig.as-asked true
        mig disabled
        persistence enabled
        compute-mode.as-asked true
        compute-mode default
        pending 0
        power.limit 700 W
        power.limit.default 700 W
        power.limit.share 100 %
        clocks default
        clock.sm.max 1980 MHz
        processes 0
        processes.named none
        recovery none
        ");
    }

    #[test]
    fn ecc_off_a_lowered_limit_and_a_stranger_are_seen() {
        let (done, _) = run(|rig| {
            let gpu = &mut rig.inventory.gpus[1];
            gpu.config.ecc = Reading::Value(false);
            gpu.power.enforced = Reading::Value(560.0);
            let stranger = |name: &str| Process { pid: 1, name: name.to_owned(), memory_mib: 1 };
            gpu.processes = Reading::Value(vec![stranger("python"), stranger("nv-hostengine")]);
            rig.set("processes", ParamValue::Texts(vec!["nv-hostengine".to_owned()]));
        });
        assert_eq!(raised(&done), ["gpu/1 ecc.as-asked"]);
        let gpu = Component::gpu(1);
        assert_eq!(shown(&done, gpu, "pending"), "1");
        assert_eq!(shown(&done, gpu, "power.limit.share"), "80 %");
        assert_eq!(shown(&done, gpu, "processes"), "1");
    }

    #[test]
    fn a_part_without_mig_has_it_off_but_one_without_ecc_has_it_not_on() {
        let (done, _) = run(|rig| {
            rig.inventory.gpus[0].config.mig = Reading::Unsupported;
            rig.inventory.gpus[0].config.ecc = Reading::Unsupported;
        });
        assert_eq!(shown(&done, Component::gpu(0), "mig"), "not-offered");
        assert_eq!(raised(&done), ["gpu/0 ecc.as-asked"]);
    }

    #[test]
    fn a_setting_that_the_driver_does_not_offer_any_more_is_not_wrong_but_unknown() {
        let (done, _) = run(|rig| {
            let mut found = rig.inventory.clone();
            found.gpus[0].config.ecc = Reading::Unsupported;
            found.gpus[0].config.compute_mode = Reading::Unsupported;
            rig.found = Some(found);
        });
        for name in ["ecc", "ecc.as-asked", "compute-mode", "compute-mode.as-asked"] {
            assert_eq!(shown(&done, Component::gpu(0), name), "missing: NoLongerOffered", "{name}");
        }
        assert_eq!(raised(&done), [""; 0]);
    }
}
