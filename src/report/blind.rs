//! What a run will not judge, in sentences: said before it begins and again with its verdict.

use super::language::Language;
use super::phrase::Phrase;
use kiln_model::{Component, Lacking};
use kiln_plan::{BlindSpot, Plan};

/// A sentence for each reading that driver or part do not offer and something of the plan is judged by.
pub fn blind_lines(plan: &Plan, language: Language) -> Vec<String> {
    plan.blind.iter().map(|spot| line(spot, language)).collect()
}

fn line(spot: &BlindSpot, language: Language) -> String {
    let said = if spot.lacking.has_stand_in() { Phrase::JudgedByStandIn } else { Phrase::NotJudgedFor };
    let gpus: Vec<String> = spot.gpus.iter().map(|gpu| format!("gpu/{}", gpu.0)).collect();
    // What the node lacks is of no GPU.
    let parts = if gpus.is_empty() { Component::Node.to_string() } else { gpus.join(", ") };
    said.with(language, &[&spot.limits.join(", "), &parts, &why(spot.lacking).say(language)])
}

const fn why(lacking: Lacking) -> Phrase {
    match lacking {
        Lacking::MarginCall => Phrase::LacksMarginCall,
        Lacking::Margin => Phrase::LacksMargin,
        Lacking::ThrottleCounters => Phrase::LacksThrottleCounters,
        Lacking::ThrottleTimes => Phrase::LacksThrottleTimes,
        Lacking::SramThreshold => Phrase::LacksSramThreshold,
        Lacking::PcieErrors => Phrase::LacksPcieErrors,
        Lacking::LinkEnds => Phrase::LacksLinkEnds,
        Lacking::Kernels => Phrase::LacksKernels,
        Lacking::Supplies => Phrase::LacksSupplies,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::{GpuIndex, Span};

    #[test]
    fn what_is_not_judged_and_what_is_judged_by_less_are_said_apart() {
        let spot = |lacking, limits: &[&str]| BlindSpot {
            lacking,
            gpus: vec![GpuIndex(0), GpuIndex(1)],
            limits: limits.iter().map(|limit| (*limit).to_owned()).collect(),
        };
        let plan = Plan {
            stages: Vec::new(),
            teardown: Vec::new(),
            skus: Vec::new(),
            estimate: Span::ZERO,
            blind: vec![
                spot(Lacking::Margin, &["over-temperature", "soak.heat.margin.min"]),
                spot(Lacking::ThrottleCounters, &["load.gemm.throttle.thermal"]),
                BlindSpot { gpus: Vec::new(), ..spot(Lacking::Supplies, &["identify.inventory.psus.failed"]) },
            ],
        };
        insta::assert_snapshot!(blind_lines(&plan, Language::English).join("\n"), @r"
        over-temperature, soak.heat.margin.min cannot be judged on gpu/0, gpu/1: driver and part offer neither the distance to slowdown nor an absolute threshold
        load.gemm.throttle.thermal of gpu/0, gpu/1 is judged by less: the driver does not count the time slowed down, so it is summed from the reasons seen at each sample
        identify.inventory.psus.failed cannot be judged on node: the power supplies answer to the management controller alone, and nothing here asks it
        ");
    }
}
