//! A bench for programs of other people: scripts in their place, and one profile run over the machine's own loads.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use kiln::check;
use kiln::engine::drive::{Operator, Pace, run_in_real_time};
use kiln::engine::{Against, Arrivals, Dut, Equipment, Machine, OperatorReply, Witness, rejudge};
use kiln::event::{Envelope, NodeSource, RunRecord, RunStart, ToolVersion};
use kiln::load::supervisor::{Supervisor, WorkerCommand};
use kiln::model::{LoadId, LoadOrder, Moment, Probe, Sample, StopHow, Text};
use kiln::node::sim::{NodeFile, SimNode};
use kiln::profile::{Request, Skus, resolve};
use kiln::report::{Language, reason, shown};

/// A node that has GPUs only to be planned for; loads are the machine's own.
struct Bench {
    node: SimNode,
    loads: Supervisor,
}

impl Bench {
    fn new() -> Self {
        let file = NodeFile::find("hgx-h200-8").expect("a node file");
        let node = SimNode::new(&file, 1, &[]).expect("a node");
        let program = env!("CARGO_BIN_EXE_kiln").into();
        let loads = Supervisor::new(WorkerCommand { program, args: vec!["worker".into()], env: Vec::new() });
        Self { node, loads }
    }
}

impl Dut for Bench {
    fn read_inventory(&mut self, now: Moment) {
        self.node.read_inventory(now);
    }

    fn sample(&mut self, now: Moment) {
        self.node.sample(now);
    }

    fn ask(&mut self, now: Moment, probe: Probe) {
        self.node.ask(now, probe);
    }

    fn start_load(&mut self, now: Moment, order: &LoadOrder) {
        self.loads.start_load(now, order);
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, how: StopHow) {
        self.loads.stop_load(now, load, how);
    }

    fn collect(&mut self, now: Moment, arrivals: &mut Arrivals) {
        self.node.collect(now, arrivals);
        self.loads.collect(now, arrivals);
    }

    fn next_arrival(&self) -> Option<Moment> {
        [self.node.next_arrival(), self.loads.next_arrival()].into_iter().flatten().min()
    }

    fn on_arrival(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        self.loads.on_arrival(wake);
    }
}

#[derive(Clone, Copy)]
pub(super) struct Nobody;

/// Keeps every event.
#[derive(Default)]
pub(super) struct Scribe(Vec<Envelope>);

impl Witness for Scribe {
    fn event(&mut self, envelope: &Envelope, _: &RunRecord) -> std::io::Result<()> {
        self.0.push(envelope.clone());
        Ok(())
    }

    fn sample(&mut self, _: &Sample) {}
}

impl Operator for Nobody {
    fn ask(&mut self, _: &Text) -> Option<OperatorReply> {
        None
    }
}

pub(super) fn started(profile: &str, set: &[(String, String)], skus: &Skus) -> RunStart {
    let request = Request {
        name: "tools.yaml",
        bytes: profile.as_bytes(),
        catalogue: check::catalogue(),
        skus,
        set,
        only: None,
        read: &|path| Err(format!("{path} is not there")),
    };
    let tool = ToolVersion { name: "kiln".to_owned(), version: "test".to_owned() };
    let profile = resolve(&request).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    RunStart { tool, ..RunStart::plain("tools", profile, NodeSource::Hardware) }
}

pub(super) fn run(profile: &str, set: &[(String, String)]) -> RunRecord {
    let skus = Skus::built_in().expect("SKU files");
    let equipment = Equipment { skus: &skus, catalogue: check::catalogue(), find_check: check::find };
    let start = started(profile, set, &skus);
    let (profile, mut scribe) = (start.profile.clone(), Scribe::default());
    let mut machine = Machine::new(equipment, start, None);
    let (_interrupt, signals) = tokio::sync::mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut bench = Bench::new();
    let driven = run_in_real_time(&mut machine, &mut bench, &mut scribe, Nobody, Pace::REAL_TIME, signals);
    runtime.block_on(driven).expect("driven");
    assert_eq!(machine.refusal(), None);
    let record = machine.record().clone();
    // Judged again from its events, the run says the same.
    let again = rejudge(&scribe.0, &profile, Against::default(), &equipment).expect("judged again").record;
    let nowhere = Path::new("/nonexistent");
    assert_eq!(told(&again, nowhere), told(&record, nowhere));
    record
}

/// Every case with its reason, and its measurements but for the evidence, with the folder of the fakes left out.
pub(super) fn told(record: &RunRecord, folder: &Path) -> String {
    let mut text = String::new();
    for step in &record.steps {
        for case in &step.cases {
            let why = case
                .reason
                .as_ref()
                .map_or(String::new(), |why| format!(" {}: {}", why.kind().word(), reason(Language::English, why)));
            let _ = writeln!(text, "{} [{}] {}{why}", step.key.path, case.component, case.outcome.shown());
            for one in &case.judgements {
                let measured = &one.measurement;
                if !["program", "output"].contains(&measured.name.as_str()) {
                    let _ = writeln!(
                        text,
                        "  {} {} {}",
                        measured.component,
                        measured.name,
                        shown(Language::English, measured)
                    );
                }
            }
        }
    }
    let path = std::env::var("PATH").unwrap_or_default().replace(':', ", ");
    text.replace(folder.to_str().expect("a plain path"), "FOLDER").replace(&path, "PATHS")
}

/// A folder of shell scripts.
pub(super) struct Fakes(pub(super) tempfile::TempDir);

impl Fakes {
    pub(super) fn new(scripts: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, script) in scripts {
            let file = folder.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("written");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("made runnable");
        }
        Self(folder)
    }

    pub(super) fn run(&self, steps: &str) -> String {
        let folder = self.0.path();
        told(&run(&profile(&steps.replace("FOLDER", folder.to_str().expect("a plain path"))), &[]), folder)
    }
}

pub(super) fn profile(steps: &str) -> String {
    format!(
        "schema: kiln.profile/1\nid: tools\nrevision: 1\ntitle: Tools\nskus: [h200-sxm]\nstages:\n  - id: s\n    steps:\n{steps}"
    )
}

/// What comes within the time anything here takes.
pub(super) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    // A channel that nobody sends on: waiting is the only thing it does.
    let (_silent, clock) = std::sync::mpsc::channel::<()>();
    for _ in 0..3000 {
        if let Some(seen) = look() {
            return seen;
        }
        let _ = clock.recv_timeout(Duration::from_millis(10));
    }
    panic!("it never came: {what}");
}

/// Set where the real programs must be there (by `ci/tools`): then one that is missing fails the test.
pub(super) const REQUIRED: &str = "KILN_TOOLS_REQUIRED";

pub(super) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether a program is there; one that is not is told, or fails the test where it must be there.
pub(super) fn installed_or_told(program: &str) -> bool {
    let there = installed(program);
    assert!(there || std::env::var_os(REQUIRED).is_none(), "{program} is not installed");
    if !there {
        let _ = writeln!(std::io::stderr(), "tools: {program} is not installed; it was NOT run (ci/tools installs it)");
    }
    there
}
