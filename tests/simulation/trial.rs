//! One run of a built-in profile on a simulated node, in virtual time, with nobody watching.

use std::fmt::Write as _;

use kiln::check;
use kiln::engine::drive::{Operator, run_in_virtual_time};
use kiln::engine::{Dut, Equipment, Machine, OperatorReply, Witness};
use kiln::event::{Envelope, NodeSource, RunRecord, RunStart, ToolVersion};
use kiln::model::{Sample, Text, WallTime};
use kiln::node::sim::{FaultUse, NodeFile, SimNode};
use kiln::profile::{Profile, Request, Skus, builtin, resolve};
use kiln::report::{Language, reason};

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
    pub(crate) skus: Skus,
}

/// What came of a run.
pub(crate) struct Tried {
    pub(crate) record: RunRecord,
}

impl Trial {
    pub(crate) fn of(profile: &str) -> Self {
        Self::with(profile, &[])
    }

    /// The profile with some of its variables changed.
    pub(crate) fn with(profile: &str, set: &[(&str, &str)]) -> Self {
        let bytes = builtin::profile(profile).expect("a built-in profile").as_bytes();
        Self::resolved(&format!("built-in:{profile}.yaml"), bytes, set)
    }

    /// A profile that is written in a test.
    pub(crate) fn written(text: &str) -> Self {
        Self::resolved("test.yaml", text.as_bytes(), &[])
    }

    fn resolved(name: &str, bytes: &[u8], set: &[(&str, &str)]) -> Self {
        let set: Vec<_> = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let skus = Skus::built_in().expect("SKU files");
        let request = Request {
            name,
            bytes,
            catalogue: check::catalogue(),
            skus: &skus,
            set: &set,
            only: None,
            read: &|path| Err(format!("{path} is not built in")),
        };
        let profile = resolve(&request).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        Self { profile, skus }
    }

    /// The beginning of a run of it.
    pub(crate) fn start(&self, seed: u64) -> RunStart {
        let tool = ToolVersion { name: "kiln".to_owned(), version: "test".to_owned() };
        let plain = RunStart::plain(&format!("trial-{seed}"), self.profile.clone(), NodeSource::Hardware);
        RunStart { tool, seed, ..plain }
    }

    pub(crate) fn run(&self, node: &str, seed: u64, fault: Option<&str>) -> Tried {
        let faults: Vec<FaultUse> = fault.map(|fault| FaultUse::parse(fault).expect("a fault")).into_iter().collect();
        self.run_with(node, seed, &faults)
    }

    pub(crate) fn run_with(&self, node: &str, seed: u64, faults: &[FaultUse]) -> Tried {
        self.run_of(&NodeFile::find(node).expect("a node file"), seed, faults)
    }

    pub(crate) fn run_of(&self, file: &NodeFile, seed: u64, faults: &[FaultUse]) -> Tried {
        let mut dut = SimNode::new(file, seed, faults).expect("a node");
        self.run_on(&mut dut, seed)
    }

    pub(crate) fn run_on(&self, dut: &mut dyn Dut, seed: u64) -> Tried {
        let start = self.start(seed);
        let equipment = Equipment { skus: &self.skus, catalogue: check::catalogue(), find_check: check::find };
        let mut machine = Machine::new(equipment, start, None);
        let epoch = WallTime::from_second(1_800_000_000).expect("epoch");
        run_in_virtual_time(&mut machine, dut, &mut Nobody, &mut Nobody, epoch, &mut || None).expect("driven");
        assert!(machine.refusal().is_none(), "seed {seed}: {:?}", machine.refusal());
        Tried { record: machine.record().clone() }
    }
}

impl Tried {
    /// What did not pass, for the message of a failing test.
    pub(crate) fn blemishes(&self) -> String {
        let mut text = String::new();
        for step in &self.record.steps {
            for case in step.cases.iter().filter(|case| case.outcome > kiln::event::Outcome::Skipped) {
                let why = case.reason.as_ref().map_or_else(String::new, |why| reason(Language::English, why));
                let _ = writeln!(text, "{} [{}] {}: {why}", step.key.path, case.component, case.outcome.shown());
            }
        }
        text
    }
}
