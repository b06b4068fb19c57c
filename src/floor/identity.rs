//! Who agents and people are, as far as the floor decides it: which key a person approved for which name, how long its
//! certificate holds, and who is locked out. Signatures and certificates themselves are for the gate.

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_wire::{AgentId, Digest, Serial};
use serde::{Deserialize, Serialize};

use super::event::{Actor, FloorEvent};
use super::machine::Handling;
use super::refusal::Refusal;
use super::state::FloorState;

/// How long an approved agent may fetch its certificate without showing one: the answer that brought it may have been lost.
pub const FETCH_WITHIN: Duration = Duration::from_secs(3600);

/// The key that a person approved for an agent's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub key: Digest,
    /// The same key whole, as PEM: what the agent's seals are checked with.
    pub public_key: String,
    /// The serial number its node said when it was approved.
    pub serial: Option<Serial>,
    pub approved_at: u64,
    /// When the last certificate ends, in microseconds since 1970.
    pub until: Option<u64>,
    pub revoked: bool,
}

/// What a person may do; each may what those before may as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rights {
    /// Looks on; a screen on the wall.
    Viewer,
    /// Scans units and records work.
    Operator,
    /// Decides about held units, suspicions, starts and power.
    Engineer,
    /// Approves and revokes agents, lets people in again.
    Admin,
}

impl Rights {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Engineer, Self::Admin];

    /// The role by its name, as it is typed and kept.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Engineer => "engineer",
            Self::Admin => "admin",
        }
    }
}

/// A person in the list of those who may log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub name: String,
    pub badge: String,
    pub rights: Rights,
    /// Of what the PIN is checked with: another one means another PIN.
    pub pin: Digest,
}

/// Why an agent's certificate is not made, or no longer holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("agent {0} is not approved here; a person compares the code it shows with the one on the floor's page")]
    Unknown(AgentId),
    #[error("agent {0} was revoked here; give the machine a fresh spool, and it is enrolled under a new name")]
    Revoked(AgentId),
    #[error(
        "agent {0} is enrolled here with another key: a copy of its name, or a spool that lost its key; revoke it on the \
         floor's page, and give this machine a fresh spool"
    )]
    OtherKey(AgentId),
}

/// A key that asks to be an agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub agent: AgentId,
    pub key: Digest,
    pub public_key: String,
    pub serial: Option<Serial>,
    /// What the machine said of itself, for the person who approves it.
    pub evidence: BTreeMap<String, String>,
}

impl FloorState {
    /// Whether an agent is who it was approved as.
    pub fn identified(&self, agent: &AgentId, key: &Digest) -> Result<&Identity, IdentityError> {
        let identity = self.identities.get(agent).ok_or_else(|| IdentityError::Unknown(agent.clone()))?;
        if identity.revoked {
            return Err(IdentityError::Revoked(agent.clone()));
        }
        if identity.key != *key {
            return Err(IdentityError::OtherKey(agent.clone()));
        }
        Ok(identity)
    }

    pub(super) fn of_identity(&mut self, event: &FloorEvent, at: u64) {
        match event {
            FloorEvent::AgentApproved { agent, key, public_key, serial, .. } => {
                let identity = Identity {
                    key: key.clone(),
                    public_key: public_key.clone(),
                    serial: serial.clone(),
                    approved_at: at,
                    until: None,
                    revoked: false,
                };
                self.identities.insert(agent.clone(), identity);
            }
            FloorEvent::AgentCertified { agent, until } => {
                if let Some(identity) = self.identities.get_mut(agent) {
                    identity.until = Some(*until);
                }
            }
            FloorEvent::AgentRevoked { agent, .. } => {
                if let Some(identity) = self.identities.get_mut(agent) {
                    identity.revoked = true;
                }
            }
            FloorEvent::PersonLocked { name } => drop(self.locked.insert(name.clone())),
            FloorEvent::PersonUnlocked { name } => drop(self.locked.remove(name)),
            FloorEvent::PersonListed(listed) => {
                if listed.rights < Rights::Engineer {
                    self.forget_what_was_asked_by(&listed.name);
                }
                self.people.insert(listed.name.clone(), listed.clone());
            }
            FloorEvent::PersonUnlisted { name } => {
                self.forget_what_was_asked_by(name);
                self.people.remove(name);
            }
            _ => {}
        }
    }
}

impl FloorState {
    /// Of two people who agree both may decide at that moment: whose badge or role was taken away has no say any more.
    fn forget_what_was_asked_by(&mut self, name: &str) {
        for unit in self.units.values_mut() {
            unit.release_asked.take_if(|(by, _)| by == name);
        }
    }
}

impl Handling<'_> {
    /// An agent is given a certificate: it shows one that still holds, or was approved a moment ago.
    pub(super) fn certified(
        &mut self,
        agent: AgentId,
        key: &Digest,
        shows_one: bool,
        until: u64,
    ) -> Result<(), Refusal> {
        let identity = self.floor.state.identified(&agent, key)?;
        let within = u64::try_from(FETCH_WITHIN.as_micros()).unwrap_or(u64::MAX);
        if !shows_one && identity.approved_at.saturating_add(within) < self.tick.now {
            return Err(IdentityError::Unknown(agent).into());
        }
        self.record(Actor::Agent(agent.clone()), FloorEvent::AgentCertified { agent, until });
        Ok(())
    }

    /// A person approves a key. One machine has one identity: another one with the same serial number ends.
    pub(super) fn approved(&mut self, candidate: Candidate, by: &str) -> Result<(), Refusal> {
        let Candidate { agent, key, public_key, serial, evidence } = candidate;
        match self.floor.state.identified(&agent, &key) {
            Ok(_) | Err(IdentityError::Unknown(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let same_machine = |identity: &Identity| identity.serial.is_some() && identity.serial == serial;
        let identities = self.floor.state.identities.iter();
        let others = identities.filter(|(id, identity)| **id != agent && !identity.revoked && same_machine(identity));
        let others: Vec<AgentId> = others.map(|(id, _)| id.clone()).collect();
        let person = || Actor::Person(by.to_owned());
        for other in others {
            let why = format!("agent {agent} was approved for the same serial number");
            self.record(person(), FloorEvent::AgentRevoked { agent: other, why });
        }
        self.record(person(), FloorEvent::AgentApproved { agent, key, public_key, serial, evidence });
        Ok(())
    }

    /// Takes note of what has changed in the list of people.
    pub(super) fn listed(&mut self, people: Vec<Listed>) {
        let known = &self.floor.state.people;
        let gone = known.keys().filter(|name| people.iter().all(|listed| listed.name != **name));
        let gone: Vec<String> = gone.cloned().collect();
        let is_news = |listed: &Listed| known.get(&listed.name) != Some(listed);
        let news: Vec<Listed> = people.into_iter().filter(is_news).collect();
        for name in gone {
            self.record(Actor::Floor, FloorEvent::PersonUnlisted { name });
        }
        for listed in news {
            self.record(Actor::Floor, FloorEvent::PersonListed(listed));
        }
    }

    pub(super) fn revoked(&mut self, agent: AgentId, why: String) -> Result<FloorEvent, Refusal> {
        match self.floor.state.identities.get(&agent) {
            None => Err(IdentityError::Unknown(agent).into()),
            Some(identity) if identity.revoked => Err(IdentityError::Revoked(agent).into()),
            Some(_) => Ok(FloorEvent::AgentRevoked { agent, why }),
        }
    }
}
