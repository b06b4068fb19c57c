//! Every way a run can end, by name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::run::{Course, Story};
use kiln_event::{LotFacts, LotValue, RunKind};
use kiln_limit::LotRange;
use kiln_model::{Moment, Span};

/// Every way a run can end, by name. Made once and kept.
pub fn endings() -> BTreeMap<&'static str, &'static Story> {
    static MADE: LazyLock<BTreeMap<&'static str, Story>> = LazyLock::new(make);
    MADE.iter().map(|(name, story)| (*name, story)).collect()
}

const COLD_PLATE: &[&str] = &["cold-plate-loose@gpu/1"];
const LOST: &[&str] = &["fell-off-bus@gpu/1"];
const WRONG: &[&str] = &["wrong-always@gpu/1"];
const COOLING_FOR_A_WHILE: &[&str] = &["faults/cooling-bad-for-a-while.yaml@gpu/1"];
const READINGS_FOR_A_WHILE: &[&str] = &["faults/readings-fail-for-a-while.yaml@gpu/1"];

/// A limit that the cold plate misses by so little that it is marginal.
const MARGINAL: &str = "\
stages:
  - identify
  - id: burn
    steps: [{ id: soak, limits: { thermal.resistance: { limit: '<= 0.09 K/W', marginal: '<= 0.064 K/W' } } }]
";

const WAIVED: &str = "\
waivers: [{ match: 'burn.soak[gpu/1].*', until: 2027-01-31, by: qa, reason: ECN-1042 }]
";

/// So little time to cool down after the burn that it is not enough.
const RESTLESS: &str = "\
stages:
  - identify
  - id: burn
    steps: [{ id: soak, with: { settle-within: 10s } }]
";

/// A guard that bad cooling trips before the soak ends.
const GUARDED: &str = "\
guards: [{ id: hot, each: gpu, trip: { temp.gpu: '>= 61 °C' }, hold: 3s, stop: step, code: GPU-OVERTEMP }]
";

/// A soak whose resistance is held against the lot.
const OF_A_LOT: &str = "\
stages:
  - identify
  - id: burn
    steps: [{ id: soak, lot: [thermal.resistance] }]
";

/// A lot whose good units are cooler in slot 5 than this node is, far below the limit.
fn lot() -> LotFacts {
    let value = LotValue {
        value: "burn.soak.thermal.resistance".to_owned(),
        chassis: "HGX H100 8-GPU server".to_owned(),
        model: "NVIDIA H100 80GB HBM3".to_owned(),
        place: "slot 5".to_owned(),
        range: LotRange { low: 0.045, high: 0.05, units: 40 },
    };
    let digest = format!("sha256:{}", "1".repeat(64));
    LotFacts { digest, simulated: true, units: 40, budget_percent: 1.0, values: vec![value], references: Vec::new() }
}

const AGAIN_AFTER_ERROR: &str = "\
stages:
  - identify
  - id: burn
    steps: [{ id: soak, retry: { max: 1, on: [error] } }]
";

const AGAIN_AFTER_FAIL: &str = "\
stages:
  - identify
  - id: burn
    steps: [{ id: soak, retry: { max: 1, on: [fail], reason: the rig shakes } }]
";

const THREE_ROUNDS: &str = "\
stages: [identify, { id: burn, loop: { count: 3 } }]
";

/// Nothing that an H100 has.
const NOTHING: &str = "\
stages:
  - { id: identify, steps: [{ id: inventory, requires: { c2c: skip } }] }
  - { id: burn, steps: [{ id: gemm, requires: { c2c: skip } }, { id: soak, requires: { c2c: skip } }] }
teardown: [{ id: load, use: load.none, requires: { c2c: skip } }]
";

fn make() -> BTreeMap<&'static str, Story> {
    let plain = Course::default;
    let simulated = |profile, faults| Course { profile, faults, simulated: true, ..plain() }.run();
    let of = |profile, faults| Course { profile, faults, ..plain() }.run();
    let pass = plain().run();
    let unfinished = pass.cut_in("burn.soak");
    BTreeMap::from([
        ("simulated", simulated("", &[])),
        ("partial", Course { kind: RunKind::Partial, ..plain() }.run()),
        ("before-plan", plain().stopped_before_the_node_answered()),
        ("nothing", of(NOTHING, &[])),
        ("aborted", Course { interrupt: Some(Moment::from_secs(30)), ..plain() }.run()),
        ("resumed", plain().resume(unfinished.clone(), Span::from_secs(600))),
        ("unfinished", unfinished),
        ("fail-limit", simulated("", COLD_PLATE)),
        ("fail-mismatch", simulated("", WRONG)),
        ("marginal", simulated(MARGINAL, COLD_PLATE)),
        ("waived", simulated(WAIVED, COLD_PLATE)),
        ("error", simulated("", READINGS_FOR_A_WHILE)),
        ("inconclusive", simulated(RESTLESS, &[])),
        ("guard", of("", LOST)),
        ("held", Course { profile: OF_A_LOT, lot: Some(lot()), ..plain() }.run()),
        ("over-temperature", of(GUARDED, COLD_PLATE)),
        ("retried", of(AGAIN_AFTER_ERROR, READINGS_FOR_A_WHILE)),
        ("unstable", of(AGAIN_AFTER_FAIL, COOLING_FOR_A_WHILE)),
        ("rounds", of(THREE_ROUNDS, COOLING_FOR_A_WHILE)),
        ("pass", pass),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_event::{ReasonKind, RunEvent, VerdictWord};

    #[test]
    fn every_story_ends_as_its_name_says() {
        type Word = VerdictWord;
        let expected = [
            ("aborted", Some(Word::Aborted), Some(ReasonKind::Interrupted)),
            ("before-plan", Some(Word::Aborted), None),
            ("error", Some(Word::Error), Some(ReasonKind::NotMeasured)),
            ("fail-limit", Some(Word::Fail), Some(ReasonKind::Limit)),
            ("fail-mismatch", Some(Word::Fail), Some(ReasonKind::Mismatch)),
            ("guard", Some(Word::Fail), Some(ReasonKind::Lost)),
            ("held", Some(Word::Held), Some(ReasonKind::Outlier)),
            ("inconclusive", Some(Word::Inconclusive), Some(ReasonKind::Restless)),
            ("marginal", Some(Word::Pass), Some(ReasonKind::Marginal)),
            ("nothing", Some(Word::Nothing), Some(ReasonKind::Unmet)),
            ("over-temperature", Some(Word::Fail), Some(ReasonKind::Guard)),
            ("partial", Some(Word::Inconclusive), None),
            ("pass", Some(Word::Pass), None),
            ("resumed", Some(Word::Pass), None),
            ("retried", Some(Word::Pass), Some(ReasonKind::NotMeasured)),
            ("rounds", Some(Word::Fail), Some(ReasonKind::Limit)),
            ("simulated", Some(Word::Pass), None),
            ("unfinished", None, None),
            ("unstable", Some(Word::Inconclusive), Some(ReasonKind::Limit)),
            ("waived", Some(Word::Pass), Some(ReasonKind::Waived)),
        ];
        let found = endings();
        let found = found.iter().map(|(name, story)| {
            let record = story.record();
            let worst = record.steps.iter().flat_map(|step| &step.cases).max_by_key(|case| case.outcome);
            let why = worst.and_then(|case| case.reason.as_ref()).map(kiln_event::Reason::kind);
            (*name, record.verdict.map(|verdict| verdict.word), why)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_story_is_the_same_whenever_it_is_made() {
        let again = Course { faults: COLD_PLATE, simulated: true, ..Course::default() }.run();
        assert_eq!(again.events, endings()["fail-limit"].events);
        let starts = |event: &RunEvent| matches!(event, RunEvent::RunStarted(_));
        assert!(endings().values().all(|story| starts(&story.events[0].event)));
    }
}
