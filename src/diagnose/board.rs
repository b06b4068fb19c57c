//! The board on which rules pin their suspicions, and from which findings are read once causes have taken their effects.
//!
//! Rules may pin freely; that a lost GPU is one finding and not twenty is settled here, by `relation`.

use std::collections::BTreeSet;

use super::alike::gather_alike;
use super::catalogue::{self, Entry};
use super::relation::explains;
use super::scene::Scene;
use kiln_event::{Action, Confidence, Evidence, EvidenceSource, Finding};
use kiln_model::{Component, Text};

/// Evidence told of one finding; the same limit missed in every round of a long run says nothing new.
const MOST_EVIDENCE: usize = 12;

/// A possible cause.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Suspicion {
    pub(super) entry: &'static Entry,
    pub(super) component: Component,
    /// Others the evidence cannot tell from `component`; empty where it can.
    pub(super) suspects: Vec<Component>,
    pub(super) confidence: Confidence,
    pub(super) evidence: Vec<Evidence>,
    /// What is particular here, told after the general cause.
    pub(super) remark: Option<Text>,
    pub(super) slot: Option<String>,
    /// Where on the bus, for what is not in the inventory.
    pub(super) pci_address: Option<String>,
    /// What to do here, where it is not what the code asks for in general.
    pub(super) action: Option<Action>,
}

#[derive(Debug, Default)]
pub(super) struct Board {
    suspicions: Vec<Suspicion>,
    /// Places in the scene's facts that some rule has explained.
    claimed: BTreeSet<usize>,
}

impl Board {
    /// Pins a suspicion. A second one of the same code on the same component adds its evidence to the first.
    pub(super) fn accuse(
        &mut self,
        code: &str,
        component: Component,
        confidence: Confidence,
        evidence: impl IntoIterator<Item = Evidence>,
    ) -> &mut Suspicion {
        let found = self.suspicions.iter().position(|one| one.entry.code == code && one.component == component);
        let place = found.unwrap_or_else(|| {
            self.suspicions.push(Suspicion {
                entry: catalogue::entry_or_general(code),
                component,
                suspects: Vec::new(),
                confidence,
                evidence: Vec::new(),
                remark: None,
                slot: None,
                pci_address: None,
                action: None,
            });
            self.suspicions.len() - 1
        });
        let suspicion = &mut self.suspicions[place];
        suspicion.confidence = suspicion.confidence.max(confidence);
        for one in evidence {
            add(&mut suspicion.evidence, one);
        }
        suspicion
    }

    pub(super) fn claim(&mut self, fact: usize) {
        self.claimed.insert(fact);
    }

    pub(super) fn is_claimed(&self, fact: usize) -> bool {
        self.claimed.contains(&fact)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.suspicions.is_empty()
    }

    /// Whether `code` stands against `component` itself.
    pub(super) fn has(&self, code: &str, component: Component) -> bool {
        self.suspicions.iter().any(|one| one.entry.code == code && one.component == component)
    }

    /// Takes the suspicions of `code` off the board.
    pub(super) fn take(&mut self, code: &str) -> Vec<Suspicion> {
        let (taken, left) = std::mem::take(&mut self.suspicions).into_iter().partition(|one| one.entry.code == code);
        self.suspicions = left;
        taken
    }

    pub(super) fn put(&mut self, suspicion: Suspicion) {
        self.suspicions.push(suspicion);
    }

    pub(super) fn of(&self, code: &str) -> impl Iterator<Item = &Suspicion> {
        self.suspicions.iter().filter(move |one| one.entry.code == code)
    }

    /// Gives every effect to its cause and makes findings of what is left.
    pub(super) fn findings(self, scene: &Scene<'_>) -> Vec<Finding> {
        let all = self.suspicions;
        let mut cause_of: Vec<Option<usize>> = Vec::new();
        for effect in &all {
            cause_of.push(all.iter().position(|cause| explains(cause, effect)));
        }
        let mut kept: Vec<Option<Suspicion>> = all.iter().cloned().map(Some).collect();
        for (place, effect) in all.iter().enumerate() {
            let Some(root) = root(&cause_of, place) else { continue };
            kept[place] = None;
            if let Some(cause) = &mut kept[root] {
                for evidence in &effect.evidence {
                    add(&mut cause.evidence, evidence.clone());
                }
            }
        }
        let kept = gather_alike(kept.into_iter().flatten().collect(), scene);
        let mut findings: Vec<Finding> = kept.into_iter().map(|one| finding(one, scene)).collect();
        // The surest first; the order within is that of code and component, so that two runs compare.
        findings.sort_by(|one, two| {
            let key =
                |finding: &Finding| (std::cmp::Reverse(finding.confidence), finding.code.clone(), finding.component);
            key(one).cmp(&key(two))
        });
        findings
    }
}

/// The cause at the end of the chain. `relation` has no circles; should two explain one another, both stay.
fn root(cause_of: &[Option<usize>], place: usize) -> Option<usize> {
    let mut at = cause_of[place]?;
    for _ in 0..cause_of.len() {
        match cause_of[at] {
            Some(next) if next == place => return None,
            Some(next) => at = next,
            None => return Some(at),
        }
    }
    None
}

fn add(evidence: &mut Vec<Evidence>, one: Evidence) {
    let same =
        |other: &Evidence| (&other.from, other.component, other.subject()) == (&one.from, one.component, one.subject());
    // The log may say different things under one name.
    let logged = one.from == EvidenceSource::KernelLog;
    let told = evidence.iter().any(|other| *other == one || (!logged && same(other)));
    // A step and part of which nothing is told yet is told of however long the list is: what is shown as a consequence of
    // this cause and not as a defect of its own is read off here.
    let new = !evidence.iter().any(|other| other.from == one.from && other.component == one.component);
    if !told && (new || evidence.len() < MOST_EVIDENCE) {
        evidence.push(one);
    }
}

fn finding(one: Suspicion, scene: &Scene<'_>) -> Finding {
    let gpu = one.component.gpu_index().and_then(|gpu| scene.inventory.gpu(gpu));
    let identity = gpu.map(|gpu| &gpu.identity);
    let cause = match &one.remark {
        None => one.entry.cause.text(),
        Some(remark) => Text {
            en: format!("{} {}", one.entry.cause.en, remark.en),
            ja: remark.ja.as_ref().map(|ja| format!("{}{ja}", one.entry.cause.ja)),
        },
    };
    Finding {
        code: one.entry.code.to_owned(),
        component: one.component,
        suspects: one.suspects,
        serial: scene.inventory.serial(one.component).map(str::to_owned),
        slot: one.slot.or_else(|| scene.slot_of(one.component)),
        pci_address: one.pci_address.or_else(|| identity.and_then(|identity| identity.pci_address.value().cloned())),
        cause,
        action: one.action.unwrap_or(one.entry.action),
        confidence: one.confidence,
        evidence: one.evidence,
    }
}
