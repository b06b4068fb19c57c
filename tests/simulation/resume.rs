//! Every prefix of a run's journal is a state of the machine: taken up again it comes to the verdict and the findings of the
//! run that nobody cut off.

use std::collections::BTreeSet;
use std::path::Path;

use kiln::check;
use kiln::engine::drive::{Operator, run_in_virtual_time};
use kiln::engine::{Equipment, Machine, OperatorReply, Witness};
use kiln::event::{Envelope, RunRecord, VerdictWord, concluded};
use kiln::journal::{Durability, FILE_NAME, Journal};
use kiln::model::{Component, Sample, Text, WallTime};
use kiln::node::sim::{FaultUse, NodeFile, SimNode};

use crate::trial::Trial;

#[derive(Default)]
struct Notes(Vec<Envelope>);

impl Witness for Notes {
    fn event(&mut self, envelope: &Envelope, _: &RunRecord) -> std::io::Result<()> {
        self.0.push(envelope.clone());
        Ok(())
    }

    fn sample(&mut self, _: &Sample) {}
}

impl Operator for Notes {
    fn ask(&mut self, _: &Text) -> Option<OperatorReply> {
        None
    }
}

/// A node with its faults, and the profile it is tested with.
struct Story<'a> {
    trial: &'a Trial,
    node: &'a str,
    seed: u64,
    faults: &'a [&'a str],
}

/// What a run says of the unit.
#[derive(Debug, PartialEq)]
struct Conclusion {
    word: VerdictWord,
    findings: BTreeSet<(String, Component)>,
}

impl Story<'_> {
    /// The events of the run, from its beginning or from what `before` holds of it.
    fn events(&self, before: &[Envelope]) -> Vec<Envelope> {
        let file = NodeFile::find(self.node).expect("a node file");
        let faults: Vec<FaultUse> = self.faults.iter().map(|fault| FaultUse::parse(fault).expect("a fault")).collect();
        let mut dut = SimNode::new(&file, self.seed, &faults).expect("a node");
        let equipment = Equipment { skus: &self.trial.skus, catalogue: check::catalogue(), find_check: check::find };
        let mut machine = match before {
            [] => Machine::new(equipment, self.trial.start(self.seed), None),
            _ => Machine::resume(equipment, RunRecord::of(before), None).expect("a run that had begun"),
        };
        let mut notes = Notes(before.to_vec());
        let epoch = WallTime::from_second(1_800_000_000).expect("epoch");
        run_in_virtual_time(&mut machine, &mut dut, &mut notes, &mut Notes::default(), epoch, &mut || None)
            .expect("driven");
        assert_eq!(machine.refusal(), None);
        notes.0
    }

    fn conclusion(&self, events: &[Envelope], cut: usize) -> Conclusion {
        let record = RunRecord::of(events);
        let told = format!("{} seed {} {:?}, cut at {cut}", self.node, self.seed, self.faults);
        assert_eq!(concluded(&record), Ok(()), "{told}");
        let findings: BTreeSet<_> = record.findings.iter().map(|one| (one.code.clone(), one.component)).collect();
        assert_eq!(findings.len(), record.findings.len(), "{told}: a finding stands twice");
        let word = record.verdict.unwrap_or_else(|| panic!("{told}: the run came to no end")).word;
        Conclusion { word, findings }
    }

    /// Cuts the run off after each of the events that `cuts` chooses.
    fn holds(&self, cuts: impl Fn(usize) -> Vec<usize>) {
        let events = self.events(&[]);
        let expected = self.conclusion(&events, events.len());
        for cut in cuts(events.len()) {
            let found = self.conclusion(&self.events(&events[..cut]), cut);
            let (node, seed, faults) = (self.node, self.seed, self.faults);
            assert_eq!(
                found,
                expected,
                "{node} seed {seed} {faults:?}, cut at {cut} after {:.200}",
                format!("{:?}", events[cut - 1].event)
            );
        }
    }
}

const SMOKE: [&[&str]; 8] = [
    &[],
    &["gpu-missing@gpu/2"],
    &["pcie-gen-down@gpu/1"],
    &["power-cap-low@gpu/0", "ecc-off@gpu/3"],
    &["slow-outlier@gpu/2"],
    &["clock-stuck-low@gpu/1"],
    &["compute-mode-exclusive@gpu/1"],
    &["wrong-vbios@gpu/3", "sensor-stuck@gpu/0"],
];

#[test]
fn a_smoke_test_cut_off_after_any_event_ends_as_it_would_have() {
    // Fresh in every run of this test, and told where it fails.
    let seed = uuid::Uuid::now_v7().as_u128() as u64 % 1_000_000;
    let trial = Trial::of("smoke");
    std::thread::scope(|scope| {
        for node in ["hgx-h200-8", "gb200-tray-4", "pcie-l40s-8"] {
            let trial = &trial;
            scope.spawn(move || {
                for faults in SMOKE {
                    Story { trial, node, seed, faults }.holds(|events| (1..events).collect());
                }
            });
        }
    });
}

const ACCEPTANCE: [&[&str]; 5] = [
    &[],
    &["psus-too-weak"],
    &["cold-plate-loose@gpu/3"],
    &["wrong-always@gpu/5"],
    &["nvlink-inactive@gpu/1", "hbm-slow@gpu/6"],
];

#[test]
fn an_acceptance_cut_off_anywhere_accuses_no_other_part() {
    let trial = Trial::of("acceptance");
    std::thread::scope(|scope| {
        for (number, faults) in ACCEPTANCE.into_iter().enumerate() {
            let trial = &trial;
            scope.spawn(move || {
                let story = Story { trial, node: "hgx-h200-8", seed: 3, faults };
                story.holds(|events| (1..events).filter(|cut| cut % 5 == number).collect());
            });
        }
    });
}

/// Takes up what is left of a journal that was cut off at this byte, as its reader gives it.
fn from_bytes(story: &Story<'_>, folder: &Path, bytes: &[u8]) -> Option<Vec<Envelope>> {
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join(FILE_NAME), bytes).expect("written");
    let (mut journal, read) = Journal::open_for_resume(folder, Durability::EverySync).expect("readable at any cut");
    let record = RunRecord::of(&read.events);
    record.start.as_ref()?;
    let events = if record.verdict.is_some() { read.events.clone() } else { story.events(&read.events) };
    for event in &events[read.events.len()..] {
        journal.append(event).expect("appended");
    }
    journal.close().expect("closed");
    Some(kiln::journal::read(folder).expect("sound").events)
}

#[test]
fn a_journal_cut_off_at_any_byte_of_its_ends_is_taken_up() {
    let trial = Trial::of("smoke");
    let story = Story { trial: &trial, node: "hgx-h200-8", seed: 5, faults: &["slow-outlier@gpu/2"] };
    let events = story.events(&[]);
    let expected = story.conclusion(&events, events.len());
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Journal::create(&folder.path().join("whole"), Durability::EverySync).expect("created");
    for event in &events {
        journal.append(event).expect("appended");
    }
    journal.close().expect("closed");
    let bytes = std::fs::read(folder.path().join("whole").join(FILE_NAME)).expect("journal");
    let begun = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).expect("two lines").0;
    // The header and the first event end somewhere in the first part; nothing had begun before.
    let cuts = (0..100).chain(begun - 50..begun + 50).chain(bytes.len() - 100..=bytes.len());
    for cut in cuts {
        match from_bytes(&story, &folder.path().join(cut.to_string()), &bytes[..cut]) {
            None => assert!(cut < begun, "cut at byte {cut}"),
            Some(all) => assert_eq!(story.conclusion(&all, cut), expected, "cut at byte {cut}"),
        }
    }
}
