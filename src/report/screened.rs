//! What a run's screens for silent corruption exclude, and what they do not: arithmetic over the products compared.

use std::collections::{BTreeMap, BTreeSet};

use super::language::Language;
use super::phrase::Phrase;
use kiln_event::{Case, RunRecord, StepStatus};
use kiln_model::{Component, Quantity, Unit, rarest_excluded};

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
}

/// A sentence for each step that screened GPUs.
pub(super) fn sentences(record: &RunRecord, language: Language) -> Vec<String> {
    excluded(record).iter().map(|one| sentence(one, language)).collect()
}

fn sentence(one: &Excluded<'_>, language: Language) -> String {
    let rarest = |products: f64| rarest_excluded(products).to_string();
    let products = format!("{:.1e}", one.products);
    let (all, alone) = (rarest(one.products), rarest(one.alone));
    let told = Phrase::ScreenExcludes.with(language, &[&one.path, &one.gpus, &products, &all, &alone]);
    let Some([single, light, full]) = one.clocks.map(|all| all.map(|mhz| Quantity::new(mhz.round(), Unit::Megahertz)))
    else {
        return told;
    };
    format!("{told}{}", Phrase::ScreenClocks.with(language, &[&single, &light, &full]))
}

fn excluded(record: &RunRecord) -> Vec<Excluded<'_>> {
    let Some(plan) = record.plan.as_deref() else { return Vec::new() };
    let steps = plan.stages.iter().flat_map(|stage| &stage.steps);
    let paths = steps.filter(|step| step.step.check == CHECK).map(|step| step.path.as_str());
    paths.filter_map(|path| of_step(record, path)).collect()
}

/// Sums of one GPU over the rounds.
#[derive(Debug, Default)]
struct Sums {
    products: f64,
    alone: f64,
    clocks: Vec<[f64; 3]>,
}

fn of_step<'r>(record: &'r RunRecord, path: &'r str) -> Option<Excluded<'r>> {
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
    }
    sums.retain(|component, _| !wrong.contains(component));
    let least = |of: fn(&Sums) -> f64| sums.values().map(of).reduce(f64::min);
    let lower = |one: [f64; 3], two: [f64; 3]| [one[0].min(two[0]), one[1].min(two[1]), one[2].min(two[2])];
    Some(Excluded {
        path,
        gpus: sums.len(),
        products: least(|sums| sums.products)?,
        alone: least(|sums| sums.alone)?,
        clocks: sums.values().flat_map(|sums| sums.clocks.iter().copied()).reduce(lower),
    })
}

fn number(case: &Case, name: &str) -> Option<f64> {
    case.judgements.iter().find(|one| one.measurement.name == name)?.measurement.as_number()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_says_what_it_does_not_exclude_in_both_languages() {
        let one = Excluded {
            path: "load.screen",
            gpus: 8,
            products: 6.4e16,
            alone: 5.1e12,
            clocks: Some([1980.0, 1965.4, 1562.0]),
        };
        let told = [Language::English, Language::Japanese].map(|language| sentence(&one, language));
        let english = "load.screen: nothing wrong on 8 GPUs in 6.4e16 products or more on each; wrong results rarer than 1 in \
                       10^16 products were not excluded (95 %), of a single SM that works alone rarer than 1 in 10^12. Clocks \
                       were not locked; they came to 1980 MHz with one SM at work, 1965 MHz under the light load and 1562 MHz \
                       at full power.";
        let japanese = "load.screen: GPU 8 台で、各 6.4e16 回以上の積和演算に誤りなし。10^16 回に1回より稀な誤りは除外できていない\
                        (信頼水準95 %)。単独で動作した1基のSMについては 10^12 回に1回より稀な誤り。クロックは固定せず、1基のSMの\
                        みの動作時 1980 MHz、軽負荷時 1965 MHz、最大電力時 1562 MHz であった。";
        assert_eq!(told, [english, japanese]);
        let bare = sentence(&Excluded { clocks: None, ..one }, Language::English);
        assert!(!bare.contains("MHz"), "{bare}");
    }
}
