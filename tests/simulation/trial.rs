//! One run of a built-in profile on a simulated node, in virtual time, with nobody watching.

use std::fmt::Write as _;

use kiln::check;
use kiln::engine::drive::{Operator, run_in_virtual_time};
use kiln::engine::{Equipment, Machine, OperatorReply, Witness};
use kiln::event::{Envelope, NodeSource, Operation, RunKind, RunRecord, RunStart, ToolVersion};
use kiln::model::{Sample, Text, WallTime};
use kiln::node::sim::{FaultUse, NodeFile, SimNode};
use kiln::profile::{Profile, Request, Skus, builtin, resolve};

struct Nobody;

impl Witness for Nobody {
    fn event(&mut self, _: &Envelope, _: &RunRecord) -> std::io::Result<()> {
        Ok(())
    }

    fn sample(&mut self, _: &Sample) {}
}

impl Operator for Nobody {
    fn ask(&mut self, _: &Text) -> Option<OperatorReply> {
        None
    }
}

/// A built-in profile, resolved once for many runs.
pub(crate) struct Trial {
    profile: Profile,
    skus: Skus,
}

/// What came of a run.
pub(crate) struct Tried {
    pub(crate) record: RunRecord,
}

impl Trial {
    pub(crate) fn of(profile: &str) -> Self {
        let skus = Skus::built_in().expect("SKU files");
        let request = Request {
            name: &format!("built-in:{profile}.yaml"),
            bytes: builtin::profile(profile).expect("a built-in profile").as_bytes(),
            catalogue: check::catalogue(),
            skus: &skus,
            set: &[],
            only: None,
            read: &|path| Err(format!("{path} is not built in")),
        };
        let profile = resolve(&request).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        Self { profile, skus }
    }

    pub(crate) fn run(&self, node: &str, seed: u64, fault: Option<&str>) -> Tried {
        let file = NodeFile::find(node).expect("a node file");
        let faults: Vec<FaultUse> = fault.map(|fault| FaultUse::parse(fault).expect("a fault")).into_iter().collect();
        let mut station = SimNode::new(&file, seed, &faults).expect("a node");
        let start = RunStart {
            run_id: format!("trial-{seed}"),
            tool: ToolVersion { name: "kiln".to_owned(), version: "test".to_owned() },
            kind: RunKind::Production,
            source: NodeSource::Hardware,
            surroundings: None,
            operation: Operation::default(),
            seed,
            profile: self.profile.clone(),
            profile_digest: String::new(),
            baseline: std::collections::BTreeMap::new(),
            junit: kiln::event::JunitDialect::default(),
        };
        let equipment = Equipment { skus: &self.skus, catalogue: check::catalogue(), find_check: check::find };
        let mut machine = Machine::new(equipment, start, None);
        let epoch = WallTime::from_second(1_800_000_000).expect("epoch");
        run_in_virtual_time(&mut machine, &mut station, &mut Nobody, &mut Nobody, epoch, &mut || None).expect("driven");
        assert_eq!(machine.refusal(), None, "{node} seed {seed} {fault:?}");
        Tried { record: machine.record().clone() }
    }
}

impl Tried {
    /// What did not pass, for the message of a failing test.
    pub(crate) fn blemishes(&self) -> String {
        let mut text = String::new();
        for step in &self.record.steps {
            for case in step.cases.iter().filter(|case| case.outcome > kiln::event::Outcome::Skipped) {
                let why = case.reason.as_ref().map_or("", |why| &why.text);
                let _ = writeln!(text, "{} [{}] {}: {why}", step.key.path, case.component, case.outcome.shown());
            }
        }
        text
    }
}
