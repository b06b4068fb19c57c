//! How an order may be done otherwise than a run does it, so that its parts can be measured apart.

use serde::{Deserialize, Serialize};

/// What is done otherwise. As it is by default, an order is done as in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Variant {
    #[serde(default)]
    pub beside: Beside,
    #[serde(default)]
    pub images: Images,
    #[serde(default)]
    pub march: MarchWork,
}

/// What runs beside the products of a burn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Beside {
    #[default]
    MemoryStream,
    Nothing,
}

/// Which kernel images are offered to the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Images {
    /// The part's own first.
    #[default]
    Best,
    /// Only the text that every driver compiles.
    Fallback,
}

/// What a march does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarchWork {
    /// All algorithms in turn.
    #[default]
    Passes,
    /// Moving inversions of one pattern, over and over.
    Only(MarchPattern),
    /// No march: copies from one half of the memory to the other by the driver's own means, to be held against.
    DeviceCopy,
}

/// What words of a march hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarchPattern {
    Constant,
    Address,
    Walking,
    Modulo,
    Random,
}

impl MarchPattern {
    pub const ALL: [Self; 5] = [Self::Constant, Self::Address, Self::Walking, Self::Modulo, Self::Random];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Address => "address",
            Self::Walking => "walking",
            Self::Modulo => "modulo",
            Self::Random => "random",
        }
    }
}
