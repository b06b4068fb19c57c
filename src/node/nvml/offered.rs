//! What drivers are known not to offer, by their release and the generation of the part, before any of them is asked.
//!
//! A run asks the machine itself; this table is for what is written down beforehand, and a test holds it against the backend on
//! stand-ins of every release. From the history of nvml.h (NVIDIA/go-nvml): `nvmlDeviceGetMarginTemperature` came with release 570,
//! the fields that count time by clock event reason with 575. Ampere shows thresholds in degrees and no margin with any release
//! (NVIDIA/k8s-test-infra, qx-a100.xml of driver 570).

use kiln_model::Lacking;

/// The releases that runs were tried with on stand-ins, from the least that is promised on.
pub const RELEASES: [u32; 6] = [535, 550, 570, 575, 580, 595];

/// A generation of GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    Ampere,
    Ada,
    Hopper,
    Blackwell,
}

impl Generation {
    pub const ALL: [Self; 4] = [Self::Ampere, Self::Ada, Self::Hopper, Self::Blackwell];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ampere => "Ampere",
            Self::Ada => "Ada",
            Self::Hopper => "Hopper",
            Self::Blackwell => "Blackwell",
        }
    }
}

/// What a driver of that release does not offer for a part of that generation.
pub fn lacking(release: u32, generation: Generation) -> Vec<Lacking> {
    let mut lacks = Vec::new();
    match generation {
        Generation::Ampere => lacks.push(Lacking::MarginCall),
        Generation::Ada | Generation::Hopper | Generation::Blackwell if release < 570 => lacks.push(Lacking::Margin),
        Generation::Ada | Generation::Hopper | Generation::Blackwell => {}
    }
    if release < 575 {
        lacks.push(Lacking::ThrottleCounters);
    }
    lacks
}
