//! What a bench measures, one thing after another: the load of each phase, and what of it is done otherwise than in a run.

use kiln_load::worker::{Beside, Images, Injection, MarchPattern, MarchWork, Variant};
use kiln_model::{BurnKernel, CopyDirection, LoadKind, Span, Turns};
use serde::{Deserialize, Serialize};

/// What one phase does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Nothing runs.
    Rest,
    Burn {
        kernel: BurnKernel,
        beside: Beside,
        images: Images,
    },
    /// All algorithms in turn, or one pattern alone.
    March {
        pattern: Option<MarchPattern>,
    },
    /// The driver's own copy inside each GPU.
    DeviceCopy,
    HostCopy(CopyDirection),
    PairCopy,
    AllToAll,
    /// Bits flipped on purpose on every GPU, to count how many are found.
    Flips {
        kernel: BurnKernel,
        count: u32,
    },
    /// The same work on every multiprocessor alone and on all together.
    Screen {
        kernel: BurnKernel,
    },
    /// Rest, load, rest, sampled as fast as the driver answers.
    Step {
        kernel: BurnKernel,
    },
}

/// One thing to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    pub name: String,
    pub work: Work,
    /// How long its load runs; loads that are finite end by themselves.
    pub span: Span,
}

/// How long and how much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Of each phase.
    pub each: Span,
    /// Bits to flip on each GPU.
    pub flips: u32,
    /// GPUs of the node: with one there are no pairs.
    pub gpus: usize,
}

impl Work {
    /// The load, if there is one.
    pub const fn load(self) -> Option<LoadKind> {
        match self {
            Self::Rest => None,
            Self::Burn { kernel, .. } | Self::Flips { kernel, .. } | Self::Step { kernel } => {
                Some(LoadKind::Burn(kernel))
            }
            Self::Screen { kernel } => Some(LoadKind::Screen { kernel, turns: Turns::EachInTurn, held: None }),
            Self::March { .. } => Some(LoadKind::March { coverage: 0.95 }),
            Self::DeviceCopy => Some(LoadKind::March { coverage: 0.0 }),
            Self::HostCopy(direction) => Some(LoadKind::HostCopy(direction)),
            Self::PairCopy => Some(LoadKind::PairCopy),
            Self::AllToAll => Some(LoadKind::AllToAll),
        }
    }

    /// What the load does otherwise than in a run.
    pub fn variant(self) -> Variant {
        let usual = Variant::default();
        match self {
            Self::Burn { beside, images, .. } => Variant { beside, images, ..usual },
            Self::March { pattern: Some(pattern) } => Variant { march: MarchWork::Only(pattern), ..usual },
            Self::DeviceCopy => Variant { march: MarchWork::DeviceCopy, ..usual },
            Self::Flips { .. } => Variant { beside: Beside::Nothing, ..usual },
            _ => usual,
        }
    }

    pub const fn injection(self) -> Option<Injection> {
        match self {
            Self::Flips { count, .. } => Some(Injection::BitFlips { count }),
            _ => None,
        }
    }

    /// Whether it ends by itself, however long that takes.
    pub const fn is_finite(self) -> bool {
        matches!(self, Self::HostCopy(_) | Self::PairCopy | Self::Flips { .. })
    }
}

const fn burn_name(kernel: BurnKernel) -> &'static str {
    match kernel {
        BurnKernel::Bf16 => "bf16",
        BurnKernel::Fp8 => "fp8",
        BurnKernel::Fp32 => "fp32",
        BurnKernel::Fp64 => "fp64",
    }
}

/// Everything that is measured, in this order: rest first, so that it is of a cool node.
pub fn phases(lengths: Lengths) -> Vec<Phase> {
    let Lengths { each, flips, gpus } = lengths;
    let mut all = Vec::new();
    let mut add = |name: String, work| all.push(Phase { name, work, span: each });
    let kernels = [BurnKernel::Bf16, BurnKernel::Fp8, BurnKernel::Fp32, BurnKernel::Fp64];
    add("rest".to_owned(), Work::Rest);
    add("step bf16".to_owned(), Work::Step { kernel: BurnKernel::Bf16 });
    for (images, which) in [(Images::Best, ""), (Images::Fallback, ", fallback")] {
        for kernel in kernels {
            for (beside, with) in [(Beside::MemoryStream, "with stream"), (Beside::Nothing, "alone")] {
                let name = format!("{} {with}{which}", burn_name(kernel));
                // The text that every driver compiles has no eight-bit products.
                if !(images == Images::Fallback && kernel == BurnKernel::Fp8) {
                    add(name, Work::Burn { kernel, beside, images });
                }
            }
        }
    }
    add("march".to_owned(), Work::March { pattern: None });
    for pattern in MarchPattern::ALL {
        add(format!("march {}", pattern.name()), Work::March { pattern: Some(pattern) });
    }
    add("device copy".to_owned(), Work::DeviceCopy);
    add("copy from host".to_owned(), Work::HostCopy(CopyDirection::HostToDevice));
    add("copy to host".to_owned(), Work::HostCopy(CopyDirection::DeviceToHost));
    add("copy both ways".to_owned(), Work::HostCopy(CopyDirection::Both));
    if gpus > 1 {
        add("copy pairs".to_owned(), Work::PairCopy);
        add("copy all to all".to_owned(), Work::AllToAll);
    }
    for kernel in [BurnKernel::Bf16, BurnKernel::Fp8, BurnKernel::Fp64] {
        add(format!("screen {}", burn_name(kernel)), Work::Screen { kernel });
    }
    if flips > 0 {
        for kernel in kernels {
            add(format!("flips {}", burn_name(kernel)), Work::Flips { kernel, count: flips.div_ceil(4) });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_measured_once_and_under_its_own_name() {
        let all = phases(Lengths { each: Span::from_secs(10), flips: 100, gpus: 8 });
        let mut names: Vec<&str> = all.iter().map(|phase| phase.name.as_str()).collect();
        insta::assert_snapshot!(names.join("\n"));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        let alone = phases(Lengths { each: Span::from_secs(10), flips: 0, gpus: 1 });
        assert!(alone.iter().all(|phase| !matches!(phase.work, Work::PairCopy | Work::AllToAll | Work::Flips { .. })));
    }
}
