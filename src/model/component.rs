//! Names of everything that can be at fault: a GPU, one of its links, a pair of GPUs, the node itself.
//!
//! A component says where; which serial number sits there is the inventory's business.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A GPU's place in the node, as the driver counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GpuIndex(pub u8);

impl GpuIndex {
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// Anything with its own serial, slot or link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    Node,
    Gpu(GpuIndex),
    /// The PCIe link of a GPU.
    Pcie(GpuIndex),
    /// The HBM of a GPU.
    Memory(GpuIndex),
    NvLink(GpuIndex, u8),
    /// Traffic from one GPU to another.
    Pair(GpuIndex, GpuIndex),
    Switch(u8),
    Nic(u8),
    /// A port of an RDMA device: which device, which port as the kernel counts.
    Port(u8, u8),
    Psu(u8),
    Cpu(u8),
    Dimm(u8),
    Nvme(u8),
    Fan(u8),
    /// A branch of the coolant loop or a fan zone, shared by some GPUs.
    CoolingBranch(u8),
    /// The test station: its air, its coolant, its network. Never the unit's fault.
    Station,
}

/// The kind of a component, without which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentKind {
    Node,
    Gpu,
    Pcie,
    Memory,
    NvLink,
    Pair,
    Switch,
    Nic,
    Port,
    Psu,
    Cpu,
    Dimm,
    Nvme,
    Fan,
    CoolingBranch,
    Station,
}

impl ComponentKind {
    /// The one word for each kind, in profiles, fault files, journals and everything shown.
    pub const WORDS: [(&'static str, Self); 16] = [
        ("node", Self::Node),
        ("gpu", Self::Gpu),
        ("pcie", Self::Pcie),
        ("memory", Self::Memory),
        ("nvlink", Self::NvLink),
        ("pair", Self::Pair),
        ("switch", Self::Switch),
        ("nic", Self::Nic),
        ("port", Self::Port),
        ("psu", Self::Psu),
        ("cpu", Self::Cpu),
        ("dimm", Self::Dimm),
        ("nvme", Self::Nvme),
        ("fan", Self::Fan),
        ("cooling", Self::CoolingBranch),
        ("station", Self::Station),
    ];

    /// Words that version 0.1 wrote and took in some places; they are read everywhere and written nowhere.
    pub const OLD_WORDS: [(&'static str, Self); 2] =
        [("cooling-branch", Self::CoolingBranch), ("nv-link", Self::NvLink)];

    /// The word for this kind.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("component", |(word, _)| word)
    }

    /// The kind of a word, new or old.
    pub fn of_word(text: &str) -> Option<Self> {
        Self::WORDS.iter().chain(&Self::OLD_WORDS).find(|(word, _)| *word == text).map(|(_, kind)| *kind)
    }
}

impl Serialize for ComponentKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for ComponentKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::of_word(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no kind of component")))
    }
}

impl Component {
    pub const fn gpu(index: u8) -> Self {
        Self::Gpu(GpuIndex(index))
    }

    pub const fn kind(self) -> ComponentKind {
        match self {
            Self::Node => ComponentKind::Node,
            Self::Gpu(_) => ComponentKind::Gpu,
            Self::Pcie(_) => ComponentKind::Pcie,
            Self::Memory(_) => ComponentKind::Memory,
            Self::NvLink(..) => ComponentKind::NvLink,
            Self::Pair(..) => ComponentKind::Pair,
            Self::Switch(_) => ComponentKind::Switch,
            Self::Nic(_) => ComponentKind::Nic,
            Self::Port(..) => ComponentKind::Port,
            Self::Psu(_) => ComponentKind::Psu,
            Self::Cpu(_) => ComponentKind::Cpu,
            Self::Dimm(_) => ComponentKind::Dimm,
            Self::Nvme(_) => ComponentKind::Nvme,
            Self::Fan(_) => ComponentKind::Fan,
            Self::CoolingBranch(_) => ComponentKind::CoolingBranch,
            Self::Station => ComponentKind::Station,
        }
    }

    /// The GPU this component is or belongs to. A pair belongs to the first of the two.
    pub const fn gpu_index(self) -> Option<GpuIndex> {
        match self {
            Self::Gpu(gpu) | Self::Pcie(gpu) | Self::Memory(gpu) | Self::NvLink(gpu, _) | Self::Pair(gpu, _) => {
                Some(gpu)
            }
            _ => None,
        }
    }

    /// Whether `self` is `other`, or a part of it, or the other way round: `gpu/3` and `gpu/3/nvlink/7` overlap.
    pub fn overlaps(self, other: Self) -> bool {
        let whole = |one: Self, two: Self| match one {
            Self::Node => true,
            Self::Gpu(gpu) => match two {
                Self::Pair(from, to) => from == gpu || to == gpu,
                _ => two.gpu_index() == Some(gpu),
            },
            Self::Nic(nic) => one == two || matches!(two, Self::Port(of, _) if of == nic),
            _ => one == two,
        };
        whole(self, other) || whole(other, self)
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("node"),
            Self::Gpu(gpu) => write!(f, "gpu/{}", gpu.0),
            Self::Pcie(gpu) => write!(f, "gpu/{}/pcie", gpu.0),
            Self::Memory(gpu) => write!(f, "gpu/{}/memory", gpu.0),
            Self::NvLink(gpu, link) => write!(f, "gpu/{}/nvlink/{link}", gpu.0),
            Self::Pair(from, to) => write!(f, "gpu/{}-gpu/{}", from.0, to.0),
            Self::Switch(n) => write!(f, "switch/{n}"),
            Self::Nic(n) => write!(f, "nic/{n}"),
            Self::Port(nic, port) => write!(f, "nic/{nic}/port/{port}"),
            Self::Psu(n) => write!(f, "psu/{n}"),
            Self::Cpu(n) => write!(f, "cpu/{n}"),
            Self::Dimm(n) => write!(f, "dimm/{n}"),
            Self::Nvme(n) => write!(f, "nvme/{n}"),
            Self::Fan(n) => write!(f, "fan/{n}"),
            Self::CoolingBranch(n) => write!(f, "cooling/{n}"),
            Self::Station => f.write_str("station"),
        }
    }
}

/// What is wrong with a component as typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no component; write for example `gpu/3`, `gpu/3/nvlink/7`, `gpu/3/pcie`, `nic/1` or `node`")]
pub struct ParseComponentError(pub String);

impl FromStr for Component {
    type Err = ParseComponentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseComponentError(text.to_owned());
        let number = |text: &str| text.parse::<u8>().map_err(|_| refuse());
        if let Some((from, to)) = text.split_once('-') {
            let side = |text: &str| text.strip_prefix("gpu/").ok_or_else(refuse).and_then(number).map(GpuIndex);
            return Ok(Self::Pair(side(from)?, side(to)?));
        }
        // One more than any has, so that what is longer is refused.
        let mut parts = [""; 5];
        let count = parts.iter_mut().zip(text.split('/')).map(|(part, found)| *part = found).count();
        Ok(match &parts[..count] {
            ["node"] => Self::Node,
            ["station"] => Self::Station,
            ["gpu", n] => Self::Gpu(GpuIndex(number(n)?)),
            ["gpu", n, "pcie"] => Self::Pcie(GpuIndex(number(n)?)),
            ["gpu", n, "memory"] => Self::Memory(GpuIndex(number(n)?)),
            ["gpu", n, "nvlink", link] => Self::NvLink(GpuIndex(number(n)?), number(link)?),
            ["switch", n] => Self::Switch(number(n)?),
            ["nic", n] => Self::Nic(number(n)?),
            ["nic", n, "port", port] => Self::Port(number(n)?, number(port)?),
            ["psu", n] => Self::Psu(number(n)?),
            ["cpu", n] => Self::Cpu(number(n)?),
            ["dimm", n] => Self::Dimm(number(n)?),
            ["nvme", n] => Self::Nvme(number(n)?),
            ["fan", n] => Self::Fan(number(n)?),
            ["cooling", n] => Self::CoolingBranch(number(n)?),
            _ => return Err(refuse()),
        })
    }
}

impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Component {
    /// From where it stands in the file: a journal names thousands.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;
        impl Visitor<'_> for Named {
            type Value = Component;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Component, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Named)
    }
}

impl schemars::JsonSchema for Component {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Component".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "examples": ["gpu/3", "gpu/3/nvlink/7", "gpu/1-gpu/5", "node"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_read_back_as_printed() {
        for text in [
            "node",
            "gpu/3",
            "gpu/3/pcie",
            "gpu/3/memory",
            "gpu/3/nvlink/7",
            "gpu/1-gpu/5",
            "nic/1",
            "nic/1/port/2",
            "station",
        ] {
            assert_eq!(text.parse::<Component>().map(|c| c.to_string()), Ok(text.to_owned()));
        }
        assert!("gpu".parse::<Component>().is_err());
        assert!("gpu/300".parse::<Component>().is_err());
    }

    #[test]
    fn every_kind_has_one_word_which_is_the_one_its_components_are_printed_with() {
        for text in [
            "node",
            "gpu/3",
            "gpu/3/pcie",
            "gpu/3/memory",
            "gpu/3/nvlink/7",
            "switch/1",
            "nic/1",
            "psu/1",
            "cpu/1",
            "dimm/1",
            "nvme/1",
            "fan/1",
            "cooling/1",
            "station",
        ] {
            let kind = text.parse::<Component>().expect(text).kind();
            assert!(text.split('/').any(|part| part == kind.word()), "{text} is a {}", kind.word());
            assert_eq!(ComponentKind::of_word(kind.word()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("a word"), kind.word());
        }
        assert_eq!(ComponentKind::of_word("cooling-branch"), Some(ComponentKind::CoolingBranch));
        assert_eq!(ComponentKind::of_word("branch"), None);
    }

    #[test]
    fn a_link_overlaps_its_gpu_and_not_a_sibling() {
        let link = Component::NvLink(GpuIndex(3), 7);
        assert!(link.overlaps(Component::gpu(3)));
        assert!(Component::gpu(3).overlaps(link));
        assert!(!link.overlaps(Component::gpu(2)));
        assert!(Component::Pair(GpuIndex(1), GpuIndex(5)).overlaps(Component::gpu(5)));
        assert!(
            Component::Port(1, 1).overlaps(Component::Nic(1)) && !Component::Port(1, 1).overlaps(Component::Nic(2))
        );
    }
}
