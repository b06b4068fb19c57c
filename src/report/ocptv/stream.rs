//! Events into lines, one after the other; keeps only what later lines need.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::artifact::{
    Artifact, Diagnosis, DiagnosisKind, Line, Log, RunArtifact, RunResult, Severity, Status, StepArtifact,
};
use super::dut::{self, Dut};
use super::told::{self, Limits, error, log};
use crate::json;
use crate::language::Language;
use crate::plain::plain;
use crate::{remark, sentence, words};
use kiln_disk::{self as disk, RunFile};
use kiln_event::{
    Case, Envelope, GuardTrip, Interruption, NodeSource, Outcome, RunEvent, RunStart, StepKey, Verdict, VerdictWord,
};
use kiln_model::{Component, Inventory, LoadEnd, WallTime};
use kiln_plan::Plan;
use kiln_profile::{Deviation, GuardResult};

/// The last step, which holds findings and verdict. No step of a profile is called so: those have a stage before a dot.
const CONCLUSION: &str = "conclusion";

/// The files beside the stream that hold more than it.
const FILES: [(&str, RunFile); 3] =
    [("journal", disk::JOURNAL), ("result", disk::RESULT), ("telemetry", disk::PARQUET)];

/// All lines of a run.
pub fn ocptv(events: &[Envelope]) -> String {
    let mut stream = Ocptv::default();
    events.iter().map(|event| stream.event(event)).collect()
}

/// A run as OCPTV tells of it, line by line.
#[derive(Debug, Default)]
pub struct Ocptv {
    sequence: u64,
    start: Option<Box<RunStart>>,
    state: State,
    dut: Dut,
    /// Limits of every planned step by its path.
    limits: BTreeMap<String, Limits>,
    /// Ids of the steps that run.
    running: BTreeMap<StepKey, String>,
    /// How often every id was given: an end without a beginning may come twice.
    given: BTreeMap<String, u32>,
    concluding: bool,
    /// Whether anything was proven against the unit.
    failed: bool,
    /// Told before the unit was.
    early: Vec<(WallTime, Log)>,
    text: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Begun,
    Ended,
}

impl Ocptv {
    /// The lines that `envelope` adds, each with its line break.
    pub fn event(&mut self, envelope: &Envelope) -> String {
        if self.state != State::Ended {
            self.tell(envelope.wall, &envelope.event);
        }
        std::mem::take(&mut self.text)
    }

    fn tell(&mut self, wall: WallTime, event: &RunEvent) {
        match event {
            RunEvent::RunStarted(start) => {
                self.start = Some(start.clone());
                self.put(wall, Artifact::SchemaVersion { major: 2, minor: 0 });
            }
            RunEvent::InventoryRead(inventory) => self.begin(wall, Some(inventory)),
            RunEvent::PlanMade(plan) => self.plan(plan),
            RunEvent::StepStarted { key } => drop(self.open(wall, key)),
            RunEvent::StepFinished { key, cases, .. } => self.step(wall, key, cases),
            RunEvent::OperatorAsked { key, prompt } => {
                self.in_step(wall, Some(key), log(Severity::Info, format!("operator asked: {}", prompt.en)));
            }
            RunEvent::RestartAsked { key, how, .. } => {
                let text = format!("the node is started anew: {}", how.word());
                self.in_step(wall, Some(key), log(Severity::Info, text));
            }
            RunEvent::OperatorAnswered { key, yes, comment } => {
                let answer = if *yes { "yes" } else { "no" };
                let comment = comment.as_ref().map(|comment| format!(", {comment}")).unwrap_or_default();
                self.in_step(wall, Some(key), log(Severity::Info, format!("operator answered: {answer}{comment}")));
            }
            RunEvent::ResultMismatched { mismatch, .. } => {
                let text = format!("{}: wrong result at {}", Component::Gpu(mismatch.gpu), mismatch.place);
                self.in_step(wall, None, log(Severity::Error, text));
            }
            RunEvent::KernelLogged(record) if json::matters(record) => {
                self.log(wall, log(Severity::Warning, format!("kernel: {}", record.text)));
            }
            RunEvent::LoadNoted { gpu, what, .. } => {
                self.in_step(wall, None, log(Severity::Warning, remark::note_in(Language::English, *gpu, what)));
            }
            RunEvent::HostLate { key, lateness } => {
                let text = remark::late_in(Language::English, key, lateness);
                self.in_step(wall, Some(key), log(Severity::Warning, text));
            }
            RunEvent::GpuLost { gpu } => {
                self.log(wall, log(Severity::Error, format!("{} does not answer any more", Component::Gpu(*gpu))));
            }
            RunEvent::LoadEnded { gpu, end, .. } => self.load_ended(wall, gpu.map(Component::Gpu), end),
            RunEvent::GuardTripped(trip) => self.guard(wall, trip),
            RunEvent::FindingMade(finding) => {
                let told = told::finding(finding, self.failed, &self.dut);
                self.conclude(wall, told);
            }
            RunEvent::RunInterrupted { by } => {
                let artifact = match by {
                    Interruption::Failure(why) => RunArtifact::Error(error("run-failure", &why.to_string())),
                    by => RunArtifact::Log(log(Severity::Warning, words::interruption(by))),
                };
                self.run(wall, artifact);
            }
            RunEvent::RunResumed { interrupted, .. } => self.resumed(wall, interrupted),
            RunEvent::RunFinished { verdict } => self.end(wall, verdict),
            RunEvent::KernelLogged(_)
            | RunEvent::SourceTold(_)
            | RunEvent::StageStarted { .. }
            | RunEvent::StageFinished { .. }
            | RunEvent::PhaseEntered { .. }
            | RunEvent::LoadStarted { .. }
            | RunEvent::CountersRead(_)
            | RunEvent::LinkRests { .. }
            | RunEvent::GuardCleared { .. }
            | RunEvent::Unknown => {}
        }
    }

    // --- the frame ---

    /// Tells of the unit; once, and before all else but the version.
    fn begin(&mut self, wall: WallTime, inventory: Option<&Inventory>) {
        if self.state != State::Before {
            return;
        }
        self.state = State::Begun;
        if self.sequence == 0 {
            self.put(wall, Artifact::SchemaVersion { major: 2, minor: 0 });
        }
        let start = self.start.take();
        let (dut, info) = dut::dut(start.as_deref(), inventory);
        self.dut = dut;
        let artifact = RunArtifact::TestRunStart {
            name: start.as_deref().map_or_else(|| "run".to_owned(), title),
            version: start.as_ref().map_or_else(String::new, |start| start.tool.version.clone()),
            command_line: start.as_deref().map_or_else(|| "kiln run".to_owned(), command_line),
            parameters: start.as_deref().map(parameters).unwrap_or_default(),
            dut_info: info,
            metadata: start.as_deref().map(metadata).unwrap_or_default(),
        };
        self.put(wall, Artifact::Run(artifact));
        for (wall, log) in std::mem::take(&mut self.early) {
            self.run(wall, RunArtifact::Log(log));
        }
    }

    fn plan(&mut self, plan: &Plan) {
        let steps = plan.steps();
        self.limits = steps.map(|step| (step.path.clone(), step.step.limits.clone())).collect();
    }

    fn end(&mut self, wall: WallTime, verdict: &Verdict) {
        // A step that came to no end is not left open: this run has come to its own.
        for id in std::mem::take(&mut self.running).into_values() {
            self.put_step(wall, id, StepArtifact::TestStepEnd { status: Status::Error });
        }
        for (display_name, RunFile { name: uri, about: description, content_type, .. }) in FILES {
            let is_snapshot = false;
            self.conclude(wall, StepArtifact::File { display_name, uri, description, content_type, is_snapshot });
        }
        let mut content = serde_json::to_value(verdict).expect("a verdict is plain data");
        content["@type"] = "kiln.verdict/1".into();
        content["meaning"] = words::meaning(verdict).into();
        content["shown"] = words::verdict(verdict).into();
        self.conclude(wall, StepArtifact::Extension { name: "kiln.verdict", content });
        self.conclude(wall, StepArtifact::TestStepEnd { status: Status::Complete });
        let (status, result) = match verdict.word {
            VerdictWord::Pass => (Status::Complete, RunResult::Pass),
            VerdictWord::Fail => (Status::Complete, RunResult::Fail),
            // OCPTV has no word for data that cannot decide; what is neither pass nor fail did not come off.
            // COMPLETE has to be PASS or FAIL.
            VerdictWord::Error | VerdictWord::Inconclusive | VerdictWord::Held => {
                (Status::Error, RunResult::NotApplicable)
            }
            VerdictWord::Aborted | VerdictWord::Nothing => (Status::Skip, RunResult::NotApplicable),
        };
        self.run(wall, RunArtifact::TestRunEnd { status, result });
        self.state = State::Ended;
    }

    // --- steps ---

    fn open(&mut self, wall: WallTime, key: &StepKey) -> String {
        let plain = format!("{}@{}#{}", key.path, key.round, key.attempt);
        let given = self.given.entry(plain.clone()).or_default();
        *given += 1;
        let id = if *given == 1 { plain } else { format!("{plain}~{given}") };
        self.running.insert(key.clone(), id.clone());
        self.put_step(wall, id.clone(), StepArtifact::TestStepStart { name: key.path.clone() });
        id
    }

    fn step(&mut self, wall: WallTime, key: &StepKey, cases: &[Case]) {
        if !self.running.contains_key(key) {
            self.open(wall, key);
        }
        let Some(id) = self.running.remove(key) else { return };
        for case in cases {
            self.failed |= case.outcome == Outcome::Fail;
            for artifact in told::case(&key.path, case, self.limits.get(&key.path), &self.dut) {
                self.put_step(wall, id.clone(), artifact);
            }
        }
        self.put_step(wall, id, StepArtifact::TestStepEnd { status: told::status(cases) });
    }

    /// Into the step meant, or the one that runs, or the run where none does.
    fn in_step(&mut self, wall: WallTime, key: Option<&StepKey>, log: Log) {
        let step = key.map_or_else(|| self.running.values().next(), |key| self.running.get(key));
        match step.cloned() {
            Some(id) => self.put_step(wall, id, StepArtifact::Log(log)),
            None => self.log(wall, log),
        }
    }

    /// Into the last step, which the first such line begins.
    fn conclude(&mut self, wall: WallTime, artifact: StepArtifact) {
        if !std::mem::replace(&mut self.concluding, true) {
            let start = StepArtifact::TestStepStart { name: CONCLUSION.to_owned() };
            self.put_step(wall, CONCLUSION.to_owned(), start);
        }
        self.put_step(wall, CONCLUSION.to_owned(), artifact);
    }

    fn guard(&mut self, wall: WallTime, trip: &GuardTrip) {
        self.failed |= trip.result == GuardResult::Fail;
        let cause = sentence::trip_cause(Language::English, &trip.cause);
        let diagnosis = StepArtifact::Diagnosis(Diagnosis {
            verdict: plain(&trip.code).into_owned(),
            kind: match trip.result {
                GuardResult::Fail => DiagnosisKind::Fail,
                GuardResult::Inconclusive => DiagnosisKind::Unknown,
            },
            message: plain(&format!("guard {}: {cause}", trip.guard)).into_owned(),
            place: self.dut.place(trip.component),
        });
        match self.running.values().next().cloned() {
            Some(id) => self.put_step(wall, id, diagnosis),
            None => self.conclude(wall, diagnosis),
        }
    }

    fn load_ended(&mut self, wall: WallTime, component: Option<Component>, end: &LoadEnd) {
        let (symptom, text) = match end {
            LoadEnd::Finished | LoadEnd::Stopped | LoadEnd::GpuLost => return,
            LoadEnd::Failed(why) => ("load-failed", why.to_string()),
            LoadEnd::Unkillable => ("load-unkillable", "the load does not die: the driver holds it".to_owned()),
        };
        let place = component.map(|component| format!("{component}: ")).unwrap_or_default();
        self.run(wall, RunArtifact::Error(error(symptom, &format!("{place}{text}"))));
    }

    fn resumed(&mut self, wall: WallTime, interrupted: &[StepKey]) {
        for key in interrupted {
            if let Some(id) = self.running.remove(key) {
                let why = error("interrupted", "the program or the machine went away while the step ran");
                self.put_step(wall, id.clone(), StepArtifact::Error(why));
                self.put_step(wall, id, StepArtifact::TestStepEnd { status: Status::Error });
            }
        }
        self.log(wall, log(Severity::Warning, "the run was taken up again after an interruption"));
    }

    // --- lines ---

    fn log(&mut self, wall: WallTime, log: Log) {
        if self.state == State::Before {
            self.early.push((wall, log));
        } else {
            self.run(wall, RunArtifact::Log(log));
        }
    }

    fn run(&mut self, wall: WallTime, artifact: RunArtifact) {
        self.begin(wall, None);
        self.put(wall, Artifact::Run(artifact));
    }

    fn put_step(&mut self, wall: WallTime, test_step_id: String, artifact: StepArtifact) {
        self.begin(wall, None);
        self.put(wall, Artifact::Step { test_step_id, artifact });
    }

    fn put(&mut self, wall: WallTime, artifact: Artifact) {
        let line = Line { sequence_number: self.sequence, timestamp: wall.to_string(), artifact };
        self.sequence += 1;
        self.text.push_str(&serde_json::to_string(&line).expect("every key is a string"));
        self.text.push('\n');
    }
}

/// Whoever reads only the first lines must not take a model for a machine.
fn title(start: &RunStart) -> String {
    let profile = &start.profile.id;
    match start.source {
        NodeSource::Hardware => profile.clone(),
        NodeSource::Simulated { .. } | NodeSource::StandIn { .. } => format!("SIMULATED {profile}"),
        NodeSource::Replayed { .. } => format!("REPLAYED {profile}"),
    }
}

/// The command that asks for this run again; the journal does not keep the words that were typed.
fn command_line(start: &RunStart) -> String {
    let mut words = vec!["kiln run".to_owned(), start.profile.id.clone()];
    if let NodeSource::Simulated { node, seed, faults, spread } = &start.source {
        words.push(format!("--sim {node} --seed {seed}"));
        words.extend((!spread.is_tight()).then(|| format!("--spread {}", spread.word())));
        words.extend(faults.iter().map(|fault| format!("--fault {fault}")));
    }
    words.extend(start.profile.deviations.iter().filter_map(|deviation| match deviation {
        Deviation::Set { name, value, .. } => Some(format!("--set {name}={value}")),
        Deviation::Only { filter } => Some(format!("--only {filter}")),
        Deviation::Gpus { chosen } => Some(format!("--gpus {chosen}")),
        // Of the machine, not of the command; the metadata tells.
        Deviation::Surroundings { .. } => None,
    }));
    words.join(" ")
}

fn parameters(start: &RunStart) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("profile".to_owned(), start.profile.id.as_str().into());
    map.insert("revision".to_owned(), start.profile.revision.into());
    map.insert("digest".to_owned(), start.profile_digest.as_str().into());
    if let Some(parts) = &start.parts {
        map.insert("parts_digest".to_owned(), parts.digest.as_str().into());
    }
    map.insert("seed".to_owned(), start.seed.into());
    map.insert("vars".to_owned(), serde_json::to_value(&start.profile.vars).expect("variables are plain data"));
    map
}

fn metadata(start: &RunStart) -> Map<String, Value> {
    let mut map = Map::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            map.insert(name.to_owned(), plain(&value).into_owned().into());
        }
    };
    add("@type", Some("kiln.run/1".to_owned()));
    add("runId", Some(start.run_id.clone()));
    add("kind", Some(start.kind.word().to_owned()));
    let deviations: Vec<String> = start.profile.deviations.iter().map(words::deviation).collect();
    add("deviations", Some(deviations.join("; ")).filter(|text| !text.is_empty()));
    add("leftOut", Some(start.profile.without.join(", ")).filter(|text| !text.is_empty()));
    add("notice", words::banner(&start.source));
    add("surroundings", start.surroundings.as_ref().map(ToString::to_string));
    add("station", start.operation.station.clone());
    add("operator", start.operation.operator.clone());
    add("order", start.operation.order.clone());
    map
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
