//! One run of the small profile on the small node.

use std::cell::Cell;

use kiln_engine::drive::{Operator, run_in_virtual_time};
use kiln_engine::{Effect, Equipment, Machine, OperatorReply, RunInput, RunTick, Signal, Witness};
use kiln_event::{
    Envelope, LotFacts, NodeSource, Operation, RunEvent, RunKind, RunRecord, RunStart, StepKey, ToolVersion,
};
use kiln_model::{Component, Moment, Sample, Span, Text, WallTime};
use kiln_node::sim::{FaultUse, NodeFile, SimNode};
use kiln_profile::{Profile, Request, Skus, resolve};

/// Both GPUs of the node.
pub const GPUS: [Component; 2] = [Component::gpu(0), Component::gpu(1)];

const SEED: u64 = 7;

/// The file that all variants of the profile extend.
const PROFILE: &str = include_str!("../profile.yaml");

/// The events of a run, or of the first part of one.
#[derive(Debug, Clone, Default)]
pub struct Story {
    pub events: Vec<Envelope>,
}

impl Story {
    pub fn record(&self) -> RunRecord {
        RunRecord::of(&self.events)
    }

    /// One more event, `seconds` after the last: what a hostile node, another version or a half-written run would add.
    pub fn tell(&mut self, seconds: f64, event: RunEvent) -> &mut Self {
        let at = self.events.last().map_or(Moment::ZERO, |last| last.at) + Span::from_secs_f64(seconds);
        let seq = self.events.len() as u64;
        self.events.push(Envelope { seq, at, wall: wall(at, Span::ZERO), event });
        self
    }

    /// What a crash leaves behind in the middle of the first attempt at `path`.
    #[must_use]
    pub fn cut_in(&self, path: &str) -> Self {
        let begun = |event: &RunEvent| matches!(event, RunEvent::StepStarted { key } if key.path == path);
        self.up_to(|envelope| begun(&envelope.event))
    }

    /// What a crash leaves behind right after `path` has ended for the first time.
    #[must_use]
    pub fn cut_after(&self, path: &str) -> Self {
        let ended = |event: &RunEvent| matches!(event, RunEvent::StepFinished { key, .. } if key.path == path);
        self.up_to(|envelope| ended(&envelope.event))
    }

    fn up_to(&self, last: impl Fn(&Envelope) -> bool) -> Self {
        let at = self.events.iter().position(last).expect("the story has such an event");
        Self { events: self.events[..=at].to_vec() }
    }

    /// The first attempt at a step.
    pub fn key(path: &str) -> StepKey {
        StepKey { path: path.to_owned(), round: 1, attempt: 1 }
    }
}

/// How a run departs from the healthy one that nobody disturbs.
pub(crate) struct Course<'a> {
    /// Lines of a profile that extends the common one.
    pub(crate) profile: &'a str,
    pub(crate) kind: RunKind,
    pub(crate) simulated: bool,
    /// As `--fault` takes them; a name with a slash is a file of this crate.
    pub(crate) faults: &'a [&'a str],
    /// What good units of the lot measured.
    pub(crate) lot: Option<LotFacts>,
    /// When an operator presses Ctrl-C.
    pub(crate) interrupt: Option<Moment>,
}

impl Default for Course<'_> {
    fn default() -> Self {
        Self { profile: "", kind: RunKind::Production, simulated: false, faults: &[], lot: None, interrupt: None }
    }
}

impl Course<'_> {
    pub(crate) fn run(&self) -> Story {
        let skus = skus();
        let mut machine = Machine::new(equipment(&skus), self.start(&skus), None);
        self.drive(&mut machine, Story::default(), Span::ZERO)
    }

    /// Takes the run up where `story` ends, `later` on the wall clock.
    pub(crate) fn resume(&self, story: Story, later: Span) -> Story {
        let skus = skus();
        let mut machine = Machine::resume(equipment(&skus), story.record(), None).expect("the story has a start");
        self.drive(&mut machine, story, later)
    }

    /// Stopped by an operator while the driver has yet to answer.
    pub(crate) fn stopped_before_the_node_answered(&self) -> Story {
        let skus = skus();
        let mut machine = Machine::new(equipment(&skus), self.start(&skus), None);
        let mut effects = Vec::new();
        machine.begin(&mut effects);
        let now = Moment::from_secs(30);
        let tick = RunTick { now, wall: wall(now, Span::ZERO) };
        machine.handle(tick, RunInput::Signalled(Signal::First), &mut effects);
        let recorded = |effect| if let Effect::Record(envelope) = effect { Some(*envelope) } else { None };
        Story { events: effects.into_iter().filter_map(recorded).collect() }
    }

    fn drive(&self, machine: &mut Machine<'_>, story: Story, later: Span) -> Story {
        let mut node = SimNode::new(&node(), SEED, &self.faults()).expect("the node can be built");
        let now = Cell::new(machine.last_moment());
        let mut listener = Listener { story, now: &now };
        let mut interrupt = self.interrupt;
        let mut signal = || interrupt.take_if(|due| *due <= now.get()).map(|_| Signal::First);
        let epoch = wall(now.get(), later);
        run_in_virtual_time(machine, &mut node, &mut listener, &mut Nobody, epoch, &mut signal)
            .expect("this listener takes everything");
        assert_eq!(machine.refusal(), None);
        listener.story
    }

    fn faults(&self) -> Vec<FaultUse> {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/");
        let full = |fault: &&str| if fault.contains(".yaml") { format!("{own}{fault}") } else { (*fault).to_owned() };
        self.faults.iter().map(|fault| FaultUse::parse(&full(fault)).expect("a fault")).collect()
    }

    fn start(&self, skus: &Skus) -> RunStart {
        let source = NodeSource::Simulated {
            node: node().id,
            seed: SEED,
            faults: self.faults.iter().map(|fault| (*fault).to_owned()).collect(),
            spread: kiln_model::Spread::Tight,
        };
        let source = if self.simulated { source } else { NodeSource::Hardware };
        RunStart {
            tool: ToolVersion { name: "kiln".to_owned(), version: "0.1.0".to_owned() },
            kind: self.kind,
            operation: Operation {
                serial: None,
                station: Some("st-07".to_owned()),
                operator: Some("sato".to_owned()),
                order: Some("PO-4711".to_owned()),
            },
            seed: SEED,
            profile_digest: format!("sha256:{}", "0".repeat(64)),
            lot: self.lot.clone(),
            ..RunStart::plain("0195d0c0-7c00-7000-8000-000000000001", profile(self.profile, skus), source)
        }
    }
}

/// When every run began, and how long after that `now` is, with `later` in between.
fn wall(now: Moment, later: Span) -> WallTime {
    let began: WallTime = "2026-03-01T06:00:00Z".parse().expect("a time");
    began + now.since(Moment::ZERO) + later
}

fn skus() -> Skus {
    Skus::built_in().expect("the SKU files are sound")
}

fn equipment(skus: &Skus) -> Equipment<'_> {
    Equipment { skus, catalogue: kiln_check::catalogue(), find_check: kiln_check::find }
}

/// An air-cooled H100 node with two GPUs in it.
fn node() -> NodeFile {
    let mut file = NodeFile::find("hgx-h100-8").expect("a node file");
    "hgx-h100-2".clone_into(&mut file.id);
    file.slots.truncate(2);
    file
}

fn profile(changes: &str, skus: &Skus) -> Profile {
    let variant = format!(
        "schema: kiln.profile/1\nid: acceptance\nrevision: 3\nextends: common.yaml\n\
         title: {{ en: Node acceptance, ja: ノード受入試験 }}\n{changes}"
    );
    let request = Request {
        name: "profile.yaml",
        bytes: if changes.is_empty() { PROFILE } else { &variant }.as_bytes(),
        catalogue: kiln_check::catalogue(),
        skus,
        set: &[],
        only: None,
        read: &|_| Ok(PROFILE.as_bytes().to_vec()),
    };
    resolve(&request).unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

/// Keeps what is recorded, and knows how late it is.
struct Listener<'a> {
    story: Story,
    now: &'a Cell<Moment>,
}

impl Witness for Listener<'_> {
    fn event(&mut self, envelope: &Envelope, _: &RunRecord) -> std::io::Result<()> {
        self.now.set(envelope.at);
        self.story.events.push(envelope.clone());
        Ok(())
    }

    fn sample(&mut self, sample: &Sample) {
        self.now.set(sample.at);
    }
}

struct Nobody;

impl Operator for Nobody {
    fn ask(&mut self, _: &Text) -> Option<OperatorReply> {
        None
    }
}
