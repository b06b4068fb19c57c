//! Everything statistics say of a lot, one part for each profile.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Cause, Exclusion, RunSummary, Spread, Yields, pareto, spreads, yields};

/// A run that does not count, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Left {
    pub run_id: String,
    pub unit: String,
    pub why: Exclusion,
}

/// Of all runs of one profile, by its id and revision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    pub profile: String,
    /// More than one: the same revision was run with other variables or from another text.
    pub profile_digests: Vec<String>,
    /// Not of real units.
    pub simulated: bool,
    pub runs: usize,
    pub left_out: Vec<Left>,
    pub yields: Yields,
    pub pareto: Vec<Cause>,
    pub spreads: Vec<Spread>,
}

/// Over all runs; `golden` are the serial numbers of reference units.
pub fn stats(runs: &[RunSummary], golden: &[String]) -> Vec<Stats> {
    let simulated = runs.iter().all(|run| run.simulated);
    let mut profiles: BTreeMap<&str, Vec<&RunSummary>> = BTreeMap::new();
    for run in runs {
        profiles.entry(&run.profile).or_default().push(run);
    }
    profiles.into_iter().map(|(profile, runs)| of_profile(profile, &runs, golden, simulated)).collect()
}

fn of_profile(profile: &str, runs: &[&RunSummary], golden: &[String], simulated: bool) -> Stats {
    let mut counted = Vec::new();
    let mut left_out = Vec::new();
    for run in runs {
        let mixed = (run.simulated && !simulated).then_some(Exclusion::Simulated);
        match mixed.or_else(|| run.exclusion(golden)) {
            None => counted.push(*run),
            Some(why) => left_out.push(Left { run_id: run.run_id.clone(), unit: run.unit().to_owned(), why }),
        }
    }
    let mut digests: Vec<String> = counted.iter().map(|run| run.profile_digest.clone()).collect();
    digests.sort();
    digests.dedup();
    Stats {
        profile: profile.to_owned(),
        profile_digests: digests,
        simulated,
        runs: counted.len(),
        left_out,
        yields: yields(&counted),
        pareto: pareto(&counted),
        spreads: spreads(&counted),
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]
mod tests {
    use super::super::{Facts, NoCapability, ValueKey, Values};
    use super::*;
    use kiln_event::{RunKind, Verdict, VerdictWord};
    use kiln_limit::Range;
    use kiln_model::{Component, Span, Unit, WallTime};

    fn verdict(word: VerdictWord) -> Verdict {
        Verdict {
            word,
            marginal: false,
            retried: false,
            partial: false,
            deviations: 0,
            failed: 0,
            errors: 0,
            inconclusive: 0,
            held: 0,
            passed: 0,
            waived: 0,
            skipped: 0,
            not_reached: 0,
        }
    }

    fn summary(serial: &str, hour: u64, word: VerdictWord, power: f64) -> RunSummary {
        let key = ValueKey {
            step: "burn.gemm".to_owned(),
            measurement: "power.mean".to_owned(),
            component: Component::gpu(0),
        };
        let range = Range { low: Some(650.0), high: None };
        let facts = Facts { unit: Unit::Watt, limit: Some(">= 650 W".to_owned()), range };
        RunSummary {
            run_id: format!("{serial}-{hour}"),
            serial: Some(serial.to_owned()),
            started: Some(WallTime::UNIX_EPOCH + Span::from_secs(hour * 3600)),
            profile: "acceptance revision 3".to_owned(),
            profile_digest: "sha256:aa".to_owned(),
            simulated: false,
            verdict: Some(verdict(word)),
            kind: RunKind::Production,
            findings: Vec::new(),
            values: [(key, power, facts)].into_iter().collect(),
        }
    }

    /// 40 units with a spread around 690 W.
    fn lot() -> Vec<RunSummary> {
        let power = |unit: u32| 690.0 + f64::from(unit * 7 % 11) - 5.0;
        (0..40).map(|unit| summary(&format!("U{unit:02}"), 1, VerdictWord::Pass, power(unit))).collect()
    }

    #[test]
    fn attempts_are_counted_by_unit_in_the_order_they_were_begun() {
        let runs = vec![
            summary("A", 2, VerdictWord::Pass, 690.0),
            summary("A", 1, VerdictWord::Fail, 600.0),
            summary("B", 1, VerdictWord::Pass, 690.0),
            summary("C", 1, VerdictWord::Error, 690.0),
            summary("D", 1, VerdictWord::Aborted, 690.0),
            summary("G", 1, VerdictWord::Pass, 690.0),
        ];
        let stats = &stats(&runs, &["G".to_owned()])[0];
        let attempts: Vec<_> = stats.yields.attempts.iter().map(|one| (one.units, one.passed)).collect();
        assert_eq!(attempts, [(3, 1), (1, 1)], "an error has not passed");
        assert_eq!((stats.yields.units, stats.yields.passed_at_last), (3, 2));
        let left: Vec<_> = stats.left_out.iter().map(|left| (left.unit.as_str(), left.why)).collect();
        assert_eq!(left, [("D", Exclusion::Aborted), ("G", Exclusion::Golden)]);
    }

    #[test]
    fn partial_and_simulated_runs_do_not_count_among_real_ones() {
        let mut runs = lot();
        runs[0].kind = RunKind::Partial;
        runs[1].simulated = true;
        runs[2].verdict = None;
        let mixed = stats(&runs, &[]);
        let left: Vec<_> = mixed[0].left_out.iter().map(|left| left.why).collect();
        assert_eq!(left, [Exclusion::Partial, Exclusion::Simulated, Exclusion::Unfinished]);
        assert!(!mixed[0].simulated);
        for run in &mut runs {
            run.simulated = true;
        }
        assert!(stats(&runs, &[])[0].simulated, "a lot of models says so");
    }

    #[test]
    fn a_capability_is_the_distance_to_the_nearer_end() {
        let spread = &stats(&lot(), &[])[0].spreads[0];
        let capability = spread.capability.as_ref().expect("a capability");
        let expected = (spread.mean - 650.0) / (3.0 * spread.deviation.expect("a deviation"));
        assert!((capability.cpk - expected).abs() < 1e-12);
    }

    #[test]
    fn a_capability_is_refused_with_the_reason() {
        let reason = |change: &dyn Fn(&mut Vec<RunSummary>)| {
            let mut runs = lot();
            change(&mut runs);
            stats(&runs, &[])[0].spreads[0].capability.clone().expect_err("refused")
        };
        let each = |runs: &mut Vec<RunSummary>, change: &dyn Fn(usize, &mut f64, &mut Facts)| {
            for (index, run) in runs.iter_mut().enumerate() {
                let changed = |(key, value): (&ValueKey, super::super::Value<'_, Facts>)| {
                    let (mut number, mut facts) = (value.number, value.facts.clone());
                    change(index, &mut number, &mut facts);
                    (key.clone(), number, facts)
                };
                run.values = run.values.iter().map(changed).collect::<Values>();
            }
        };
        assert_eq!(reason(&|runs| runs.truncate(29)), NoCapability::TooFew { units: 29, needed: 30 });
        assert_eq!(reason(&|runs| each(runs, &|_, _, facts| facts.limit = None)), NoCapability::NoLimit);
        assert_eq!(reason(&|runs| each(runs, &|_, number, _| *number = 690.0)), NoCapability::NoSpread);
        assert_eq!(reason(&|runs| each(runs, &|_, _, facts| facts.range = Range::default())), NoCapability::NoRange);
        let moving: &dyn Fn(usize, &mut f64, &mut Facts) =
            &|index, _, facts| facts.range.low = Some(650.0 + index as f64);
        assert_eq!(reason(&|runs| each(runs, moving)), NoCapability::LimitMoves);
        let changed: &dyn Fn(usize, &mut f64, &mut Facts) = &|index, _, facts| {
            if index > 20 {
                facts.limit = Some(">= 660 W".to_owned());
            }
        };
        let limits = vec![">= 650 W".to_owned(), ">= 660 W".to_owned()];
        assert_eq!(reason(&|runs| each(runs, changed)), NoCapability::LimitsChanged { limits });
    }

    #[test]
    fn a_unit_apart_from_its_lot_is_named_though_it_passed() {
        let mut runs = lot();
        runs.push(summary("ODD", 1, VerdictWord::Pass, 651.0));
        let outliers = &stats(&runs, &[])[0].spreads[0].outliers;
        assert_eq!(outliers.iter().map(|one| one.unit.as_str()).collect::<Vec<_>>(), ["ODD"]);
        assert!(outliers[0].z < -3.5);
        let few = stats(&runs[36..], &[]);
        assert!(few[0].spreads[0].outliers.is_empty(), "five units are no lot");
    }

    #[test]
    fn causes_come_most_frequent_first() {
        let mut runs = lot();
        let cause = |code: &str, gpu| (code.to_owned(), Component::gpu(gpu));
        runs[0].findings = vec![cause("B", 1), cause("A", 1)];
        runs[1].findings = vec![cause("B", 1), cause("B", 2)];
        let pareto = &stats(&runs, &[])[0].pareto;
        let told: Vec<_> = pareto.iter().map(|one| (one.code.as_str(), one.runs, one.findings)).collect();
        assert_eq!(told, [("B", 2, 3), ("A", 1, 1)]);
        assert_eq!(pareto[0].components, [(Component::gpu(1), 2), (Component::gpu(2), 1)]);
        assert_eq!(pareto.iter().map(|one| one.cumulative_percent).collect::<Vec<_>>(), [75.0, 100.0]);
    }

    #[test]
    fn a_baseline_is_the_median_of_what_passed() {
        let mut runs = lot();
        runs.push(summary("BAD", 1, VerdictWord::Fail, 300.0));
        let (baseline, left) = super::super::baseline(&runs, &[]);
        let value = baseline.values["burn.gemm.power.mean[gpu/0]"];
        assert_eq!((value.median, value.runs, value.unit), (690.0, 40, Unit::Watt));
        assert_eq!(left.iter().map(|(run, why)| (run.unit(), *why)).collect::<Vec<_>>(), [("BAD", "did not pass")]);
    }
}
