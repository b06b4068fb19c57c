//! `operator.confirm`: a question that only a person can answer.

use super::declare::{flag, required, text};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::Phase;
use kiln_model::{Component, ComponentKind, Moment, Span, Text};
use kiln_profile::{CheckSpec, MeasurementSpec, ParamKind, ParamSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct OperatorConfirm;

const NODE: ComponentKind = ComponentKind::Node;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "operator.confirm",
    summary: "Asks the operator a question that is answered with yes or no.",
    details: "For what no sensor tells: a label, a leak, a noise. The answer and the comment go into the record. Where \
              nobody can be asked, or nobody answers in the step's time, the step ends without a result and is never \
              taken for a yes.",
    params: &[ParamSpec {
        name: "prompt",
        kind: ParamKind::Localized,
        default: None,
        summary: "the question, as a string or with en and ja",
    }],
    measurements: MEASUREMENTS,
    each: &[NODE],
    wear: Wear::None,
    exclusive: false,
    watcher: false,
    // A person at the node; the step's timeout is for the profile to set.
    estimate: |_: &Params, _| Span::from_secs(60),
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    required(flag("confirmed", NODE, "whether the operator said yes")),
    text("comment", NODE, "what the operator said beside it"),
];

impl Check for OperatorConfirm {
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
    fn observe(&mut self, context: &StepContext<'_>, _: Moment, seen: Seen<'_>, wants: &mut Wants) {
        match seen {
            Seen::Began => {
                wants.enter(Phase::Waiting, None);
                let prompt = context.params.localized("prompt").cloned();
                wants.ask_operator(prompt.unwrap_or_else(|| Text::english("Is everything in order?")));
            }
            Seen::OperatorAnswered { yes, comment } => {
                let mut sheet = Sheet::new(&SPEC, context.lost);
                sheet.put("confirmed", Component::Node, Gauged::Flag(yes));
                if let Some(comment) = comment {
                    sheet.put("comment", Component::Node, Gauged::Text(comment.to_owned()));
                }
                wants.end(Done::Measured(sheet.into_list()));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, lines};
    use kiln_profile::ParamValue;

    #[test]
    fn the_answer_and_the_comment_are_told() {
        let mut rig = Rig::new(&OperatorConfirm, 1);
        rig.set("prompt", ParamValue::Localized(Text::english("Is the label on?")));
        rig.operator = Some((false, Some("torn".to_owned())));
        let done = rig.run(&OperatorConfirm);
        assert_complete(&SPEC, &done, &[Component::Node]);
        assert_eq!(rig.story, ["00:00:00 Waiting", "00:00:00 ask: Is the label on?"]);
        assert_eq!(lines(&done, Component::Node), "confirmed false\ncomment torn");
    }
}
