//! Every reading of one GPU with every kind of answer that is none, before the run and during it: what a run makes of it. Which code
//! of the driver's library is which kind is held in `tests/it/driver_calls.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use kiln::event::{RunRecord, VerdictWord};
use kiln::model::{Component, GpuIndex, Inventory, Moment, Reading, ReadingFailure, Sample, Sensor};

use crate::trial::Trial;
use crate::withheld::{Withheld, node};

const SICK: GpuIndex = GpuIndex(3);
/// In the middle of the burn.
const DURING: Moment = Moment::from_secs(90);

/// No answer to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    NotOffered,
    NotAllowed,
    Fails,
    Late,
}

const ANSWERS: [Answer; 4] = [Answer::NotOffered, Answer::NotAllowed, Answer::Fails, Answer::Late];

impl Answer {
    fn reading(self) -> Reading<f64> {
        match self {
            Self::NotOffered => Reading::Unsupported,
            Self::NotAllowed => Reading::Failed(ReadingFailure::NoPermission),
            // NVML_ERROR_UNKNOWN of nvml.h.
            Self::Fails => Reading::Failed(ReadingFailure::Driver(999)),
            Self::Late => Reading::Failed(ReadingFailure::Timeout),
        }
    }
}

fn run(trial: &Trial, inventory: &dyn Fn(&mut Inventory), sample: &dyn Fn(&mut Sample)) -> RunRecord {
    let mut dut = Withheld { node: node("hgx-h200-8"), inventory, sample, counters: &|_| {} };
    trial.run_on(&mut dut, 1).record
}

/// The verdict, after the rules that hold for any of them.
fn told(record: &RunRecord, what: &str, answer: Answer) -> VerdictWord {
    let word = record.verdict.as_ref().expect("a verdict").word;
    let of_another = |finding: &&kiln::event::Finding| finding.component.gpu_index().is_some_and(|gpu| gpu != SICK);
    assert_eq!(record.findings.iter().find(of_another), None, "{what} {answer:?}: another GPU is accused");
    if answer != Answer::Late {
        // No answer is no proof. Calls that hang are, as a GPU that hangs is.
        assert_ne!(word, VerdictWord::Fail, "{what} {answer:?}: {:?}", record.findings);
    }
    word
}

/// What comes of each, gathered by its word.
fn table(mut each: impl FnMut(Answer, bool) -> Vec<(String, VerdictWord)>) -> String {
    let mut text = String::new();
    for answer in ANSWERS {
        for before in [true, false] {
            let mut words: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
            for (name, word) in each(answer, before) {
                words.entry(word.shown()).or_default().insert(name);
            }
            let when = if before { "from the start" } else { "later on" };
            let _ = writeln!(text, "{answer:?} {when}");
            for (word, names) in words {
                let _ = writeln!(text, "  {word}: {}", names.into_iter().collect::<Vec<_>>().join(", "));
            }
        }
    }
    text
}

#[test]
fn every_sensor_that_gives_no_value_ends_in_what_it_proves() {
    let trial = Trial::of("smoke");
    let table = table(|answer, before| {
        let of = |sensor: Sensor| {
            let sample = move |sample: &mut Sample| {
                if sample.gpu == SICK && (before || sample.at >= DURING) {
                    sample.set(sensor, answer.reading());
                }
            };
            (sensor.name().to_owned(), told(&run(&trial, &|_| {}, &sample), sensor.name(), answer))
        };
        Sensor::ALL.iter().copied().map(of).collect()
    });
    insta::assert_snapshot!(table);
}

#[test]
fn a_gpu_that_is_gone_is_the_fault_of_its_place_whenever_that_is() {
    let trial = Trial::of("smoke");
    for from in [Moment::ZERO, DURING] {
        let sample = move |sample: &mut Sample| {
            if sample.gpu == SICK && sample.at >= from {
                sample.fail_all(ReadingFailure::Lost);
            }
        };
        let record = run(&trial, &|_| {}, &sample);
        assert_eq!(record.verdict.as_ref().map(|verdict| verdict.word), Some(VerdictWord::Fail));
        let [finding] = &record.findings[..] else { panic!("{:?}", record.findings) };
        assert_eq!((finding.code.as_str(), finding.component), ("GPU-LOST", Component::Gpu(SICK)));
        assert!(finding.pci_address.is_some() && finding.slot.is_some() && finding.serial.is_some());
    }
}

/// `nvmlDeviceGetPciInfo` is not offered everywhere, and a container may hide the bus.
#[test]
fn a_gpu_without_identifiers_is_of_the_model_of_its_name_or_of_its_siblings() {
    let trial = Trial::of("smoke");
    for (all, named) in [(true, true), (false, true), (false, false)] {
        let inventory = move |inventory: &mut Inventory| {
            inventory.pci = Reading::Unsupported;
            for gpu in inventory.gpus.iter_mut().filter(|gpu| all || gpu.index == SICK) {
                gpu.identity.pci_device = Reading::Unsupported;
                gpu.identity.pci_subsystem = Reading::Unsupported;
                if !named {
                    gpu.identity.name = Reading::Unsupported;
                }
            }
        };
        let record = run(&trial, &inventory, &|_| {});
        let plan = record.plan.as_ref().expect("a plan");
        let models: Vec<&str> = plan.skus.iter().map(|(_, model)| model.as_str()).collect();
        assert_eq!(models, ["h200-sxm"; 8], "named: {named}");
        assert_eq!(record.findings, [], "named: {named}");
    }
}
