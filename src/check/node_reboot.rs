//! `node.reboot`: the node is started anew, and comes back.
//!
//! The run goes down with the node. What came of it is seen when it is taken up again, by the boot id.

use super::declare::{choice, flag, may, required, span};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::{Boot, Phase, Reason, RestartTrouble};
use kiln_model::{Component, ComponentKind, Moment, Restart, Span, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct NodeReboot;

const NODE: ComponentKind = ComponentKind::Node;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "node.reboot",
    summary: "Starts the node anew, and goes on once it is back.",
    details: "The order is written to the journal before it is given. The run goes down with the node and is finished by \
              `kiln resume`, which the agent of a floor does by itself; whatever was found of the unit's condition before \
              is looked at again then. That the node was started anew is read off its boot id. A node is started anew \
              by the command that the station's settings name for it (`reboot`, `power-cycle`), and by nothing else; \
              without it, or if the node does not go down, the step ends without a result. For a loop of restarts, \
              repeat a stage of this and of what is to be looked at after each.",
    params: &[
        choice("how", &["reboot", "power-cycle"], "reboot", "by its operating system, or by switching its power"),
        span("within", "10m", "how long the node may take until it goes down"),
    ],
    measurements: MEASUREMENTS,
    each: &[NODE],
    wear: Wear::None,
    exclusive: true,
    watcher: false,
    // The run's clock stands while the node is away; a node that does not go down takes all of this.
    estimate: |params: &Params, _| params.span("within").unwrap_or_default(),
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    required(flag("restarted", NODE, "whether another boot id stands in the place of the one before")),
    may("away", Unit::Second, NODE, "from the order until the run went on, by the wall clock"),
];

impl Check for NodeReboot {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, _: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Run)
    }
}

#[derive(Debug)]
struct Run;

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        let failed = |why| Done::Failed { why: Reason::Restart(why), measured: Vec::new() };
        let within = context.params.span("within").unwrap_or_default();
        match seen {
            // Nothing could tell afterwards whether it was started anew.
            Seen::Began if context.inventory.node.boot_id.value().is_none() => {
                wants.end(failed(RestartTrouble::BootUnread));
            }
            Seen::Began => {
                wants.enter(Phase::Waiting, None);
                let how = context.params.text("how").and_then(Restart::of_word).unwrap_or(Restart::Reboot);
                wants.restart(how, within);
                wants.wake_at(now + within);
            }
            Seen::Woken => wants.end(failed(RestartTrouble::StillUp { after: within })),
            Seen::Restarted { boot, after } => wants.end(match boot {
                Boot::AsAsked => Done::Measured(measured(context, after)),
                Boot::Same => failed(RestartTrouble::SameBoot),
                Boot::NotCompared | Boot::Another => failed(RestartTrouble::BootUnread),
            }),
            _ => {}
        }
    }
}

fn measured(context: &StepContext<'_>, after: Option<Span>) -> Vec<kiln_limit::Measurement> {
    let mut sheet = Sheet::new(&SPEC, context.lost);
    sheet.put("restarted", Component::Node, Gauged::Flag(true));
    if let Some(after) = after {
        sheet.put("away", Component::Node, Gauged::once(after.as_secs_f64()));
    }
    sheet.into_list()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, lines};
    use kiln_model::Reading;

    fn rig() -> Rig {
        let mut rig = Rig::new(&NodeReboot, 1);
        rig.inventory.node.boot_id = Reading::Value("first".to_owned());
        rig
    }

    fn failed(done: Done) -> RestartTrouble {
        match done {
            Done::Failed { why: Reason::Restart(why), .. } => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_node_that_came_back_with_another_boot_id_was_restarted() {
        let mut rig = rig();
        rig.restarted = Some((Boot::AsAsked, Some(Span::from_secs(312))));
        let done = rig.run(&NodeReboot);
        assert_complete(&SPEC, &done, &[Component::Node]);
        assert_eq!(lines(&done, Component::Node), "restarted true\naway 312 s");
    }

    #[test]
    fn a_node_that_goes_down_takes_the_step_with_it_and_one_that_does_not_is_our_trouble() {
        let mut rig = rig();
        rig.spans(&[("within", 30)]);
        rig.set("how", kiln_profile::ParamValue::Text("power-cycle".to_owned()));
        assert_eq!(failed(rig.run(&NodeReboot)), RestartTrouble::StillUp { after: Span::from_secs(30) });
        assert_eq!(rig.story, ["00:00:00 Waiting", "00:00:00 restart PowerCycle"]);
    }

    #[test]
    fn what_the_boot_id_does_not_tell_is_not_taken_for_a_restart() {
        let mut rig = rig();
        for (boot, trouble) in [(Boot::Same, RestartTrouble::SameBoot), (Boot::NotCompared, RestartTrouble::BootUnread)]
        {
            rig.restarted = Some((boot, None));
            assert_eq!(failed(rig.run(&NodeReboot)), trouble);
        }
        rig.restarted = None;
        rig.inventory.node.boot_id = Reading::Unsupported;
        assert_eq!(failed(rig.run(&NodeReboot)), RestartTrouble::BootUnread);
        assert_eq!(rig.story, Vec::<String>::new(), "nothing was started anew");
    }
}
