//! `result.json`: everything a run found out, for machines. Values are unrounded and each stands with its limit.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde::Serialize;

use super::document::{
    Answered, Cut, Document, Found, Gpu, Judged as JudgedRun, Kernel, KernelLine, Late, LoadFailure, Lost, Node, Noted,
    Plain, Reach, Reason, Replayed, Rest, Simulated, Stage, State, Step, StepState, TestCase, Times, Tripped,
    Unstarted, UsedProfile, Value, ValueOutcome, WrongResult,
};
use super::language::Language;
use super::layout::Layout;
use super::verdict::verdict_so_far;
use super::{explain, sentence, value, words};
use kiln_diagnose::names_trouble;
use kiln_event::{Case, Finding, Interruption, NodeSource, RunRecord, RunStart, StepStatus, Verdict};
use kiln_limit::{Judged, Judgement, Measured, Scalar};
use kiln_model::{Component, Inventory, KernelRecord, KernelSource, LoadEnd, Moment, Reading, WallTime};
use kiln_plan::{PlannedStep, Readiness};
use kiln_profile::{GuardResult, GuardStop};

const SCHEMA: &str = "kiln.result/1";

/// Writes the whole file, case by case: of a run of days it is many megabytes.
pub fn write_result(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let verdict = verdict_so_far(record);
    let mut out = io::BufWriter::new(out);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Layout::default());
    document(record, &verdict).serialize(&mut serializer)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// The JSON Schema of `result.json`.
pub fn result_schema() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Document<'static>>().to_value()
}

fn document<'a>(record: &'a RunRecord, verdict: &'a Verdict) -> Document<'a> {
    let start = record.start.as_deref();
    let source = start.map(|start| &start.source);
    Document {
        schema: SCHEMA,
        run_id: start.map_or("", |start| &start.run_id),
        simulated: start.and_then(|start| match &start.source {
            NodeSource::Simulated { node, seed, faults, .. } => Some(Simulated { node, seed: *seed, faults }),
            NodeSource::StandIn { library } => Some(Simulated { node: library, seed: start.seed, faults: &[] }),
            _ => None,
        }),
        surroundings: start.and_then(|start| start.surroundings.as_ref()),
        replayed: source.and_then(|source| match source {
            NodeSource::Replayed { file } => Some(Replayed { file }),
            _ => None,
        }),
        state: if record.verdict.is_some() { State::Finished } else { State::Unfinished },
        verdict: JudgedRun { verdict, meaning: words::meaning(verdict) },
        findings: record.findings.iter().map(found).collect(),
        tool: start.map(|start| &start.tool),
        kind: start.map(|start| start.kind),
        seed: start.map(|start| start.seed),
        operation: start.map(|start| &start.operation),
        profile: start.map(profile),
        times: Times {
            started: record.started_wall.map(stamp),
            ended: record.last_wall.map(stamp),
            elapsed_s: record.last_at.seconds(),
            resumes: record.resumes,
            restarts: u32::try_from(record.restarted()).ok().filter(|restarts| *restarts > 0),
            boots: u32::try_from(record.boots()).ok().filter(|boots| *boots > 0),
        },
        node: record.inventory.as_deref().map(node),
        gpus: gpus(record),
        interruptions: interruptions(record),
        lost: record
            .lost
            .iter()
            .map(|(gpu, at)| Lost { at_s: at.seconds(), component: Component::Gpu(*gpu) })
            .collect(),
        guards: guards(record),
        mismatches: mismatches(record),
        load_failures: load_failures(record),
        notes: notes(record),
        host_late: host_late(record),
        kernel: kernel(record),
        stages: stages(record),
        steps: steps(record),
        unstarted: unstarted(record),
    }
}

fn stamp(wall: WallTime) -> String {
    wall.to_string()
}

fn text(reading: &Reading<String>) -> Option<&str> {
    reading.value().map(String::as_str)
}

fn found(finding: &Finding) -> Found<'_> {
    Found {
        code: &finding.code,
        component: finding.component,
        suspects: &finding.suspects,
        serial: finding.serial.as_deref(),
        slot: finding.slot.as_deref(),
        pci_address: finding.pci_address.as_deref(),
        cause: &finding.cause,
        action: finding.action,
        what_to_do: words::action(finding.action),
        confidence: finding.confidence,
        evidence: finding
            .evidence
            .iter()
            .map(|evidence| Rest {
                from: evidence.from.word(),
                component: evidence.component,
                text: sentence::evidence(Language::English, evidence),
            })
            .collect(),
    }
}

fn profile(start: &RunStart) -> UsedProfile<'_> {
    UsedProfile {
        id: &start.profile.id,
        revision: start.profile.revision,
        title: &start.profile.title,
        digest: &start.profile_digest,
        parts_digest: start.parts.as_ref().map(|parts| parts.digest.as_str()),
        sku_digests: &start.sku_digests,
        vars: &start.profile.vars,
        deviations: &start.profile.deviations,
        without: &start.profile.without,
    }
}

fn node(inventory: &Inventory) -> Node<'_> {
    Node {
        model: text(&inventory.node.model),
        serial: text(&inventory.node.serial),
        board_serial: text(&inventory.node.board_serial),
        hostname: text(&inventory.node.hostname),
        boot_id: text(&inventory.node.boot_id),
        bios: text(&inventory.node.bios),
        driver: text(&inventory.driver),
        cuda: text(&inventory.cuda),
        cpu_model: text(&inventory.host.cpu_model),
        memory_mib: inventory.host.memory_mib.get(),
    }
}

fn gpus(record: &RunRecord) -> Vec<Gpu<'_>> {
    let skus = record.plan.as_ref().map(|plan| plan.skus.as_slice()).unwrap_or_default();
    let sku =
        |index| skus.iter().find(|(component, _)| *component == Component::Gpu(index)).map(|(_, sku)| sku.as_str());
    let gpus = record.inventory.iter().flat_map(|inventory| &inventory.gpus);
    gpus.map(|gpu| Gpu {
        index: gpu.index.0,
        sku: sku(gpu.index),
        name: text(&gpu.identity.name),
        slot: text(&gpu.identity.slot),
        serial: text(&gpu.identity.serial),
        uuid: text(&gpu.identity.uuid),
        part_number: text(&gpu.identity.part_number),
        vbios: text(&gpu.identity.vbios),
        pci_address: text(&gpu.identity.pci_address),
        memory_mib: gpu.memory_mib.get(),
        power_limit_w: gpu.power.enforced.get(),
    })
    .collect()
}

fn interruptions(record: &RunRecord) -> Vec<Cut> {
    let cut = |(index, (at, by)): (usize, &(Moment, Interruption))| Cut {
        at_s: at.seconds(),
        by: match by {
            Interruption::Signal => "signal",
            Interruption::Kill => "kill",
            Interruption::Failure(_) => "failure",
        },
        text: words::interruption(by),
        settled: index < record.settled && matches!(by, Interruption::Failure(_)),
    };
    record.interruptions.iter().enumerate().map(cut).collect()
}

fn guards(record: &RunRecord) -> Vec<Tripped<'_>> {
    let tripped = record.trips.iter().map(|(at, trip)| Tripped {
        at_s: at.seconds(),
        guard: &trip.guard,
        component: trip.component,
        code: &trip.code,
        stopped: match trip.stop {
            GuardStop::Step => "step",
            GuardStop::Stage => "stage",
            GuardStop::Run => "run",
        },
        result: match trip.result {
            GuardResult::Fail => "fail",
            GuardResult::Inconclusive => "inconclusive",
        },
        text: sentence::trip_cause(Language::English, &trip.cause),
        reading: trip.reading,
    });
    tripped.collect()
}

fn mismatches(record: &RunRecord) -> Vec<WrongResult> {
    let wrong = record.mismatches.iter().map(|(at, _, mismatch, celsius)| WrongResult {
        at_s: at.seconds(),
        component: Component::Gpu(mismatch.gpu),
        place: mismatch.place.to_string(),
        iteration: mismatch.iteration,
        word: mismatch.word,
        flipped_bits: mismatch.flipped_bits,
        gpu_celsius: celsius.get(),
    });
    wrong.collect()
}

fn load_failures(record: &RunRecord) -> Vec<LoadFailure> {
    let mut failures = Vec::new();
    for (at, _, gpu, end) in &record.load_ends {
        let text = match end {
            LoadEnd::Finished | LoadEnd::Stopped => continue,
            LoadEnd::GpuLost => "the GPU went away under the load".to_owned(),
            LoadEnd::Failed(why) => why.to_string(),
            LoadEnd::Unkillable => "the load does not die: the driver holds it".to_owned(),
        };
        failures.push(LoadFailure { at_s: at.seconds(), component: gpu.map(Component::Gpu), text });
    }
    failures
}

fn notes(record: &RunRecord) -> Vec<Noted> {
    let notes = record.notes.iter().map(|note| Noted {
        at_s: note.at.seconds(),
        component: note.gpu.map(Component::Gpu),
        kind: note.kind,
        text: note.what.to_string(),
    });
    notes.collect()
}

fn host_late(record: &RunRecord) -> Vec<Late<'_>> {
    let late = record.late.iter().map(|(_, key, lateness)| Late {
        step: &key.path,
        round: key.round,
        attempt: key.attempt,
        due: lateness.due,
        taken: lateness.taken,
        worst_s: lateness.worst.as_secs_f64(),
        silence_s: lateness.silence.as_secs_f64(),
    });
    late.collect()
}

/// Whether a line of the kernel log is told of.
pub(super) fn matters(line: &KernelRecord) -> bool {
    line.source != KernelSource::KernelLog || names_trouble(&line.text)
}

fn kernel(record: &RunRecord) -> Kernel<'_> {
    let lines = record.kernel.iter().filter(|line| matters(line));
    // What was logged before the run has its place before it.
    let at = |line: &KernelRecord| line.before().map_or(line.at.seconds(), |before| -before.as_secs_f64());
    let records: Vec<_> = lines.map(|line| KernelLine { at_s: at(line), text: &line.text }).collect();
    Kernel { others: record.kernel.len() - records.len(), records }
}

fn stages(record: &RunRecord) -> Vec<Stage<'_>> {
    let stages = record.stages.iter().map(|stage| Stage {
        id: &stage.id,
        round: stage.round,
        started_s: stage.started.seconds(),
        finished_s: stage.finished.map(Moment::seconds),
    });
    stages.collect()
}

fn planned(record: &RunRecord) -> impl Iterator<Item = &PlannedStep> {
    record.plan.as_deref().into_iter().flat_map(kiln_plan::Plan::steps)
}

fn steps(record: &RunRecord) -> Vec<Step<'_>> {
    let checks: BTreeMap<&str, &str> =
        planned(record).map(|step| (step.path.as_str(), step.step.check.as_str())).collect();
    let decisive = record.decisive();
    let steps = record.steps.iter().enumerate().map(|(index, step)| Step {
        path: &step.key.path,
        check: checks.get(step.key.path.as_str()).copied(),
        round: step.key.round,
        attempt: step.key.attempt,
        last_attempt: decisive.contains(&index),
        state: match step.status {
            StepStatus::Running => StepState::Running,
            StepStatus::Finished => StepState::Finished,
            StepStatus::Interrupted => StepState::Interrupted,
        },
        started: stamp(step.started_wall),
        started_s: step.started.seconds(),
        finished_s: step.finished.map(Moment::seconds),
        operator: step.answer.as_ref().map(|(yes, comment)| Answered { yes: *yes, comment: comment.as_deref() }),
        cases: &step.cases,
    });
    steps.collect()
}

pub(super) fn case(case: &Case) -> TestCase<'_> {
    TestCase {
        component: case.component,
        outcome: case.outcome,
        reason: case
            .reason
            .as_ref()
            .map(|reason| Reason { kind: reason.kind().word(), text: sentence::reason(Language::English, reason) }),
        values: case.judgements.iter().map(|one| judged(one, case.component)).collect(),
    }
}

fn judged(judgement: &Judgement, case: Component) -> Value<'_> {
    let measurement = &judgement.measurement;
    let (value, missing) = match &measurement.value {
        Measured::Value(Scalar::Number(number)) => (Some(Plain::Number(*number)), None),
        Measured::Value(Scalar::Text(text)) => (Some(Plain::Text(text)), None),
        Measured::Value(Scalar::Flag(flag)) => (Some(Plain::Flag(*flag)), None),
        Measured::Unsupported => (None, Some("unsupported".to_owned())),
        Measured::Missing(why) => (None, Some(sentence::missing(Language::English, why))),
    };
    Value {
        name: &measurement.name,
        component: (measurement.component != case).then_some(measurement.component),
        value,
        unit: measurement.unit,
        missing,
        samples: measurement.samples,
        outcome: match &judgement.outcome {
            Judged::Outlier => ValueOutcome::Outlier,
            _ if judgement.limit.is_none() => ValueOutcome::Told,
            Judged::Pass => ValueOutcome::Pass,
            Judged::Marginal => ValueOutcome::Marginal,
            Judged::Fail => ValueOutcome::Fail,
            Judged::Unjudged(_) => ValueOutcome::Unjudged,
        },
        limit: judgement.limit.as_deref(),
        low: judgement.range.low,
        high: judgement.range.high,
        margin: value::margin(judgement),
        lot: judgement.lot.as_ref().map(|lot| Reach { low: lot.low, high: lot.high, units: lot.units }),
        guard_band: judgement.guard_band,
        unjudged: match &judgement.outcome {
            Judged::Unjudged(why) => Some(value::why_unjudged(why)),
            _ => None,
        },
        decisive: judgement.decisive,
        code: judgement.code.as_deref(),
        source: judgement.source.as_deref(),
        waiver: judgement.waiver.as_ref().map(|waiver| sentence::waiver(Language::English, waiver)),
    }
}

fn unstarted(record: &RunRecord) -> Vec<Unstarted<'_>> {
    let begun: BTreeSet<&str> = record.steps.iter().map(|step| step.key.path.as_str()).collect();
    let unstarted = planned(record).filter(|step| !begun.contains(step.path.as_str())).map(|step| Unstarted {
        path: &step.path,
        components: &step.components,
        why: match &step.readiness {
            Readiness::Skip(why) | Readiness::Unmet(why) => sentence::unmet(Language::English, why),
            Readiness::Deselected => "left out by --only".to_owned(),
            Readiness::Ready => explain::end(record),
        },
    });
    unstarted.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use kiln_stories::endings;

    fn result(record: &RunRecord) -> String {
        let mut bytes = Vec::new();
        write_result(record, &mut bytes).expect("written");
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn every_ending_has_its_file() {
        for (name, story) in endings() {
            let file = result(&story.record());
            // The long one shows all; of the others, what differs.
            let shown = if name == "fail-limit" { file.as_str() } else { file.split("\"tool\"").next().unwrap() };
            insta::assert_snapshot!(name, shown);
        }
    }

    #[test]
    fn the_schema_is_the_one_that_was_reviewed() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&result_schema()).expect("schema"));
    }

    #[test]
    fn every_ending_is_valid_under_the_schema() {
        let schema = result_schema();
        for (name, story) in endings() {
            for cut in 0..=story.events.len() {
                let record = RunRecord::of(&story.events[..cut]);
                let document = serde_json::from_str(&result(&record)).expect("JSON");
                assert_eq!(refusal(&schema, &schema, &document), None, "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn the_schema_refuses_what_is_no_result() {
        let schema = result_schema();
        let sound: Json = serde_json::from_str(&result(&endings()["fail-limit"].record())).expect("JSON");
        let refused = |change: &dyn Fn(&mut Json)| {
            let mut document = sound.clone();
            change(&mut document);
            refusal(&schema, &schema, &document).is_some()
        };
        assert!(!refused(&|_| ()));
        assert!(refused(&|document| document["verdict"]["word"] = "GREAT".into()));
        assert!(refused(&|document| document["steps"][0]["cases"][0]["component"] = 3.into()));
        assert!(refused(&|document| document["times"]["elapsed_s"] = Json::Null));
        assert!(refused(&|document| document["surprise"] = true.into()));
        assert!(refused(&|document| drop(document.as_object_mut().unwrap().remove("simulated"))));
    }

    /// Where `value` departs from `schema`. Knows the keywords our schema uses and refuses to judge by any other.
    fn refusal(root: &Json, schema: &Json, value: &Json) -> Option<String> {
        let Json::Object(keywords) = schema else { return (schema == &Json::Bool(false)).then(|| "false".to_owned()) };
        let refused = |schema: &Json, value: &Json| refusal(root, schema, value);
        let fits =
            |schemas: &Json| schemas.as_array().unwrap().iter().filter(|one| refused(one, value).is_none()).count();
        let of = |keyword: &str| keywords.get(keyword).unwrap_or(&Json::Null);
        for (keyword, rule) in keywords {
            let wrong = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "examples" | "format" => None,
                "$ref" => refused(root.pointer(&rule.as_str().unwrap()[1..]).expect("a definition"), value),
                "type" => {
                    let names = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                    (!names.iter().any(|name| is_a(value, name.as_str().unwrap()))).then(|| format!("no {rule}"))
                }
                "enum" => (!rule.as_array().unwrap().contains(value)).then(|| format!("none of {rule}")),
                "const" => (rule != value).then(|| format!("not {rule}")),
                "minimum" => {
                    value.as_f64().filter(|number| *number < rule.as_f64().unwrap()).map(|_| "small".to_owned())
                }
                "maximum" => value.as_f64().filter(|number| *number > rule.as_f64().unwrap()).map(|_| "big".to_owned()),
                "anyOf" => (fits(rule) == 0).then(|| "none of the choices".to_owned()),
                "oneOf" => (fits(rule) != 1).then(|| format!("{} of the choices", fits(rule))),
                "items" => value.as_array().into_iter().flatten().find_map(|item| refused(rule, item)),
                "required" => {
                    let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                    let object = value.as_object();
                    names
                        .into_iter()
                        .find(|name| object.is_some_and(|o| !o.contains_key(*name)))
                        .map(|n| format!("no {n}"))
                }
                "properties" => {
                    rule.as_object().unwrap().iter().find_map(|(name, schema)| {
                        refused(schema, value.get(name)?).map(|why| format!("{name}: {why}"))
                    })
                }
                "additionalProperties" => value.as_object().into_iter().flatten().find_map(|(name, value)| {
                    let known = of("properties").get(name).is_some();
                    if known { None } else { refused(rule, value).map(|why| format!("{name}: {why}")) }
                }),
                unknown => panic!("the schema uses `{unknown}`, which this test does not know"),
            };
            if wrong.is_some() {
                return wrong;
            }
        }
        None
    }

    fn is_a(value: &Json, name: &str) -> bool {
        match name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            unknown => panic!("no type `{unknown}`"),
        }
    }
}
