//! `config.restored`: whether every GPU is set up as it was when the run began.

use super::declare::{must, required, text};
use super::look::{LOOK, Look};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, StepContext};
use kiln_limit::{Missing, Setting, write_list};
use kiln_model::{Component, ComponentKind, Gpu, Inventory, Reading, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec};

#[derive(Debug)]
pub(super) struct ConfigRestored;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "config.restored",
    summary: "Compares how every GPU is set up with how it was when the run began.",
    details: "Meant for the teardown. Modes, pending modes, power limit and application clocks are compared; a setting that \
              could be read at the beginning and cannot be read now makes the comparison impossible, and says so.",
    params: &[],
    measurements: MEASUREMENTS,
    each: &[GPU],
    ..LOOK
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("changes", Unit::One, GPU, "settings that are not what they were"),
    required(text("changed", GPU, "the changed settings with both values, or none")),
];

impl Check for ConfigRestored {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, _: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Look::Inventory(measure))
    }
}

fn measure(context: &StepContext<'_>, found: &Inventory) -> Done {
    let mut sheet = Sheet::new(&SPEC, context.lost);
    for index in context.gpus() {
        let component = Component::Gpu(index);
        let (count, text) = if let Some((before, now)) = context.inventory.gpu(index).zip(found.gpu(index)) {
            compared(before, now)
        } else {
            let why = Gauged::Missing(Missing::NotListed);
            (why.clone(), why)
        };
        sheet.put("changes", component, count);
        sheet.put("changed", component, text);
    }
    Done::Measured(sheet.into_list())
}

/// Every setting as a text, so that each compares and shows alike.
fn settings(gpu: &Gpu) -> [(Setting, Reading<String>); 8] {
    let config = &gpu.config;
    let mode = |reading: Reading<bool>| reading.map(|on| if on { "enabled" } else { "disabled" }.to_owned());
    [
        (Setting::Ecc, mode(config.ecc)),
        (Setting::EccAfterReset, mode(config.ecc_pending)),
        (Setting::Mig, mode(config.mig)),
        (Setting::MigAfterReset, mode(config.mig_pending)),
        (Setting::Persistence, mode(config.persistence)),
        (Setting::ComputeMode, config.compute_mode.clone()),
        (Setting::PowerLimit, gpu.power.set.map(|watts| format!("{watts} W"))),
        (Setting::ApplicationClock, gpu.clocks.application_sm.map(|clock| format!("{clock} MHz"))),
    ]
}

fn compared(before: &Gpu, now: &Gpu) -> (Gauged, Gauged) {
    let mut changed = Vec::new();
    for ((name, was), (_, is)) in settings(before).into_iter().zip(settings(now)) {
        match (&was, &is) {
            (Reading::Value(_), Reading::Failed(why)) => {
                let why = Gauged::Missing(Missing::SettingUnread { setting: name, failure: *why });
                return (why.clone(), why);
            }
            // A driver that does not offer any more what it told before has not said that it is another setting now.
            (Reading::Value(_), Reading::Unsupported) => {
                let why = Gauged::Missing(Missing::NoLongerOffered);
                return (why.clone(), why);
            }
            // What could not be read before cannot be compared, and what was not offered cannot have been set.
            (Reading::Failed(_) | Reading::Unsupported, _) => {}
            (was, is) if was != is => changed.push(format!("{}: {was} -> {is}", name.name())),
            _ => {}
        }
    }
    let text = write_list(&changed);
    (Gauged::count(changed.len()), Gauged::Text(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, inventory, shown};

    #[test]
    fn an_untouched_gpu_has_no_changes_and_a_touched_one_names_them() {
        let mut rig = Rig::new(&ConfigRestored, 2);
        let mut found = inventory(2);
        found.gpus[1].power.set = Reading::Value(500.0);
        found.gpus[1].config.ecc_pending = Reading::Value(false);
        rig.found = Some(found);
        let done = rig.run(&ConfigRestored);
        assert_complete(&SPEC, &done, &rig.components);
        assert_eq!(shown(&done, Component::gpu(0), "changed"), "none");
        assert_eq!(shown(&done, Component::gpu(1), "changes"), "2");
        assert_eq!(
            shown(&done, Component::gpu(1), "changed"),
            "ecc after reset: enabled -> disabled, power limit: 700 W -> 500 W"
        );
    }

    #[test]
    fn what_cannot_be_read_any_more_cannot_be_compared() {
        let mut rig = Rig::new(&ConfigRestored, 1);
        let mut found = inventory(1);
        found.gpus[0].config.mig = Reading::Failed(kiln_model::ReadingFailure::Timeout);
        rig.found = Some(found);
        let done = rig.run(&ConfigRestored);
        assert_eq!(
            shown(&done, Component::gpu(0), "changes"),
            "missing: SettingUnread { setting: Mig, failure: Timeout }"
        );
    }

    #[test]
    fn what_is_not_offered_any_more_is_no_change() {
        type Withdraw = fn(&mut Gpu);
        let settings: [Withdraw; 6] = [
            |gpu| gpu.config.ecc = Reading::Unsupported,
            |gpu| gpu.config.mig = Reading::Unsupported,
            |gpu| gpu.config.persistence = Reading::Unsupported,
            |gpu| gpu.config.compute_mode = Reading::Unsupported,
            |gpu| gpu.power.set = Reading::Unsupported,
            |gpu| gpu.clocks.application_sm = Reading::Unsupported,
        ];
        for (place, withdraw) in settings.into_iter().enumerate() {
            let mut rig = Rig::new(&ConfigRestored, 1);
            let mut found = inventory(1);
            withdraw(&mut found.gpus[0]);
            let was_told = settings_differ(&found.gpus[0], &inventory(1).gpus[0]);
            rig.found = Some(found);
            let done = rig.run(&ConfigRestored);
            let expected = if was_told { "missing: NoLongerOffered" } else { "0" };
            assert_eq!(shown(&done, Component::gpu(0), "changes"), expected, "setting {place}");
        }
    }

    fn settings_differ(one: &Gpu, other: &Gpu) -> bool {
        settings(one) != settings(other)
    }
}
