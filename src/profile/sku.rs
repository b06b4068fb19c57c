//! What is known of a GPU model: facts with units and sources, found by PCI id, never by name alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest_of;
use kiln_model::{Gpu, Quantity, Text, Unit};

/// One fact with its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    pub value: Quantity,
    pub source: String,
}

/// A PCI id as four lower-case hexadecimal digits each; without a subsystem it stands for every board of the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PciId {
    pub device: String,
    pub subsystem: Option<String>,
}

/// One GPU model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sku {
    pub id: String,
    pub title: Text,
    /// Names the driver prints for it.
    pub names: Vec<String>,
    pub pci: Vec<PciId>,
    /// The numbers in which it is sold in one node, the usual one first.
    pub gpus_per_node: Vec<u8>,
    pub facts: BTreeMap<String, Fact>,
}

impl Sku {
    pub fn fact(&self, name: &str) -> Option<Quantity> {
        self.facts.get(name).map(|fact| fact.value)
    }

    /// The fact in `unit`; `None` if the part has no such thing.
    pub fn fact_in(&self, name: &str, unit: Unit) -> Option<f64> {
        self.fact(name)?.value_in(unit)
    }
}

impl Sku {
    /// `sha256:…` of everything known of the model.
    pub fn digest(&self) -> String {
        digest_of(serde_json::to_string(self).expect("facts are plain data, which always has a JSON form").as_bytes())
    }
}

/// All known models.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Skus(pub Vec<Sku>);

impl Skus {
    pub fn by_id(&self, id: &str) -> Option<&Sku> {
        self.0.iter().find(|sku| sku.id == id)
    }

    /// The one model that the driver calls so. None where several are.
    pub fn by_name(&self, name: &str) -> Option<&Sku> {
        let mut called = self.0.iter().filter(|sku| sku.names.iter().any(|one| one == name));
        called.next().filter(|_| called.next().is_none())
    }

    /// The model of a GPU by its PCI ids; the more specific match wins.
    pub fn of(&self, gpu: &Gpu) -> Option<&Sku> {
        let device = gpu.identity.pci_device.value()?.get(..4)?;
        let subsystem = gpu.identity.pci_subsystem.value().and_then(|id| id.get(..4));
        let matching = |exact: bool| {
            self.0.iter().find(|sku| {
                sku.pci.iter().any(|id| {
                    id.device.eq_ignore_ascii_case(device)
                        && if exact {
                            id.subsystem
                                .as_deref()
                                .zip(subsystem)
                                .is_some_and(|(one, two)| one.eq_ignore_ascii_case(two))
                        } else {
                            id.subsystem.is_none()
                        }
                })
            })
        };
        matching(true).or_else(|| matching(false))
    }
}
