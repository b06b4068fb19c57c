//! What a run's screens for silent corruption exclude, and what they do not: arithmetic over the products compared.

use std::collections::{BTreeMap, BTreeSet};

use super::language::Language;
use super::phrase::Phrase;
use super::sentence;
use kiln_event::{Case, RunRecord, StepStatus};
use kiln_limit::Measured;
use kiln_model::{Component, Quantity, Unit, rarest_excluded};
use kiln_plan::PlannedStep;

const CHECK: &str = "gpu.screen";

/// One step's screens, over all of its rounds. Of a GPU that once was wrong nothing is excluded, and it is left out.
#[derive(Debug, PartialEq)]
struct Excluded<'r> {
    path: &'r str,
    /// GPUs without a wrong result.
    gpus: usize,
    /// Products of the GPU with the fewest.
    products: f64,
    /// Products of one multiprocessor while it worked alone, of the one with the fewest.
    alone: f64,
    /// MHz, of the GPU with the lowest: one multiprocessor at work, the light part, full power.
    clocks: Option<[f64; 3]>,
    held: Vec<Held>,
}

/// What is claimed at one held clock, and on how many GPUs nothing is.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    /// The clock as the profile has it, in percent of the greatest.
    share: f64,
    claimed: Option<Claim>,
    unclaimed: usize,
    /// Why, of the first of them.
    why: Option<Measured>,
}

/// Of the GPU with the lowest of each.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Claim {
    megahertz: f64,
    products: f64,
    alone: f64,
}

/// Names of what is measured at a held clock: the parameter, the clock, products, and those of one multiprocessor.
const HELD: [[&str; 4]; 2] = [
    ["low-clock", "clock.low", "products.low", "products.low.alone"],
    ["middle-clock", "clock.middle", "products.middle", "products.middle.alone"],
];

/// A sentence for each step that screened GPUs.
pub(super) fn sentences(record: &RunRecord, language: Language) -> Vec<String> {
    excluded(record).iter().map(|one| sentence(one, language)).collect()
}

fn sentence(one: &Excluded<'_>, language: Language) -> String {
    let rarest = |products: f64| rarest_excluded(products).to_string();
    let products = format!("{:.1e}", one.products);
    let (all, alone) = (rarest(one.products), rarest(one.alone));
    let told = Phrase::ScreenExcludes.with(language, &[&one.path, &one.gpus, &products, &all, &alone]);
    let clocks = one.clocks.map(|all| {
        let [single, light, full] = all.map(megahertz);
        Phrase::ScreenClocks.with(language, &[&single, &light, &full])
    });
    let held = one.held.iter().flat_map(|held| held_sentences(held, language));
    std::iter::once(told).chain(clocks).chain(held).collect()
}

fn megahertz(value: f64) -> Quantity {
    Quantity::new(value.round(), Unit::Megahertz)
}

fn held_sentences(held: &Held, language: Language) -> impl Iterator<Item = String> {
    let claimed = held.claimed.map(|claim| {
        let (all, alone) = (rarest_excluded(claim.products), rarest_excluded(claim.alone));
        Phrase::ScreenHeld.with(language, &[&megahertz(claim.megahertz), &all, &alone])
    });
    let unclaimed = held.why.as_ref().map(|why| {
        let why = match why {
            Measured::Missing(why) => sentence::missing(language, why),
            _ => Phrase::ScreenNoSetting.say(language).to_owned(),
        };
        Phrase::ScreenUnheld.with(language, &[&Quantity::new(held.share, Unit::Percent), &held.unclaimed, &why])
    });
    claimed.into_iter().chain(unclaimed)
}

fn excluded(record: &RunRecord) -> Vec<Excluded<'_>> {
    let Some(plan) = record.plan.as_deref() else { return Vec::new() };
    let steps = plan.stages.iter().flat_map(|stage| &stage.steps);
    steps.filter(|step| step.step.check == CHECK).filter_map(|step| of_step(record, step)).collect()
}

/// Sums of one GPU over the rounds.
#[derive(Debug, Default)]
struct Sums {
    products: f64,
    alone: f64,
    clocks: Vec<[f64; 3]>,
    /// By held clock, where the record has one: what is claimed, or why nothing is.
    held: [Option<Result<Claim, Measured>>; 2],
}

impl Sums {
    /// Adds what one round gave. What one round could not claim, the step does not.
    fn hold(&mut self, case: &Case) {
        for (slot, [_, clock, products, alone]) in self.held.iter_mut().zip(HELD) {
            let Some(round) = claim(case, clock, products, alone) else { continue };
            *slot = Some(match (slot.take(), round) {
                (Some(Ok(one)), Ok(other)) => Ok(Claim {
                    megahertz: one.megahertz.min(other.megahertz),
                    products: one.products + other.products,
                    alone: one.alone + other.alone,
                }),
                (Some(Err(why)), _) | (_, Err(why)) => Err(why),
                (None, round) => round,
            });
        }
    }
}

fn claim(case: &Case, clock: &str, products: &str, alone: &str) -> Option<Result<Claim, Measured>> {
    let value = |name: &str| case.judgements.iter().find(|one| one.measurement.name == name);
    let why = value(products)?.measurement.value.clone();
    let numbers = (number(case, clock), number(case, products), number(case, alone));
    Some(match numbers {
        (Some(megahertz), Some(products), Some(alone)) => Ok(Claim { megahertz, products, alone }),
        _ => Err(why),
    })
}

fn of_step<'r>(record: &'r RunRecord, step: &'r PlannedStep) -> Option<Excluded<'r>> {
    let path = step.path.as_str();
    let mut sums: BTreeMap<Component, Sums> = BTreeMap::new();
    let mut wrong: BTreeSet<Component> = BTreeSet::new();
    let own = record.steps.iter().filter(|step| step.key.path == path && step.status == StepStatus::Finished);
    for case in own.flat_map(|step| &step.cases) {
        // What was not wrong says so; where nothing was compared to the end, that is not known.
        match number(case, "mismatches") {
            Some(0.0) => {}
            Some(_) => {
                wrong.insert(case.component);
            }
            None => continue,
        }
        let (Some(products), Some(alone)) = (number(case, "products"), number(case, "products.alone")) else {
            continue;
        };
        let sum = sums.entry(case.component).or_default();
        sum.products += products;
        sum.alone += alone;
        let clocks = ["clock.alone", "clock.light", "clock.full"].map(|name| number(case, name));
        if let [Some(single), Some(light), Some(full)] = clocks {
            sum.clocks.push([single, light, full]);
        }
        sum.hold(case);
    }
    sums.retain(|component, _| !wrong.contains(component));
    let held = (0..HELD.len()).filter_map(|at| {
        let all: Vec<&Result<Claim, Measured>> = sums.values().filter_map(|sums| sums.held[at].as_ref()).collect();
        let whys = all.iter().filter_map(|one| one.as_ref().err());
        (!all.is_empty()).then(|| Held {
            share: step.step.params.number(HELD[at][0]).unwrap_or_default(),
            claimed: all.iter().filter_map(|one| one.as_ref().ok().copied()).reduce(lowest),
            unclaimed: whys.clone().count(),
            why: whys.clone().next().cloned(),
        })
    });
    let held = held.collect();
    let least = |of: fn(&Sums) -> f64| sums.values().map(of).reduce(f64::min);
    let lower = |one: [f64; 3], two: [f64; 3]| [one[0].min(two[0]), one[1].min(two[1]), one[2].min(two[2])];
    Some(Excluded {
        path,
        gpus: sums.len(),
        products: least(|sums| sums.products)?,
        alone: least(|sums| sums.alone)?,
        clocks: sums.values().flat_map(|sums| sums.clocks.iter().copied()).reduce(lower),
        held,
    })
}

fn lowest(one: Claim, other: Claim) -> Claim {
    Claim {
        megahertz: one.megahertz.min(other.megahertz),
        products: one.products.min(other.products),
        alone: one.alone.min(other.alone),
    }
}

fn number(case: &Case, name: &str) -> Option<f64> {
    case.judgements.iter().find(|one| one.measurement.name == name)?.measurement.as_number()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::Missing;

    #[test]
    fn a_screen_says_what_it_does_not_exclude_in_both_languages() {
        let one = Excluded {
            path: "load.screen",
            gpus: 8,
            products: 6.4e16,
            alone: 5.1e12,
            clocks: Some([1980.0, 1965.4, 1562.0]),
            held: vec![
                Held {
                    share: 30.0,
                    claimed: Some(Claim { megahertz: 600.0, products: 9e15, alone: 6e11 }),
                    unclaimed: 1,
                    why: Some(Missing::ClockNotKept { held: 600.0, mean: 1980.0 }.into()),
                },
                Held { share: 60.0, claimed: None, unclaimed: 8, why: Some(Measured::Unsupported) },
            ],
        };
        let told = [Language::English, Language::Japanese].map(|language| sentence(&one, language));
        let english = "load.screen: nothing wrong on 8 GPUs in 6.4e16 products or more on each; wrong results rarer than 1 in \
                       10^16 products were not excluded (95 %), of a single SM that works alone rarer than 1 in 10^12. Clocks \
                       that the GPUs chose came to 1980 MHz with one SM at work, 1965 MHz under the light load and 1562 MHz \
                       at full power. At a held clock of 600 MHz: rarer than 1 in 10^15, of a single SM rarer than 1 in 10^11. \
                       Not screened at 30 % of the greatest SM clock (GPUs: 1): the SM clock was to be held at 600 MHz and \
                       ran at 1980 MHz. Not screened at 60 % of the greatest SM clock (GPUs: 8): the part or its driver has \
                       no such setting.";
        let japanese = "load.screen: GPU 8 台で、各 6.4e16 回以上の積和演算に誤りなし。10^16 回に1回より稀な誤りは除外できていない\
                        (信頼水準95 %)。単独で動作した1基のSMについては 10^12 回に1回より稀な誤り。GPUが選んだクロックは、1基のSMの\
                        みの動作時 1980 MHz、軽負荷時 1965 MHz、最大電力時 1562 MHz であった。600 MHz に固定したクロックでは、\
                        10^15 回に1回、1基のSMについては 10^11 回に1回より稀な誤り。最大SMクロックの 30 % では、GPU 1 台を選別\
                        試験できていない: SMクロックを 600 MHz に固定したはずが 1980 MHz で動作した。最大SMクロックの 60 % では、\
                        GPU 8 台を選別試験できていない: このGPUまたはドライバーにはその設定がない。";
        assert_eq!(told, [english, japanese]);
        let bare = sentence(&Excluded { clocks: None, held: Vec::new(), ..one }, Language::English);
        assert!(!bare.contains("MHz"), "{bare}");
    }
}
