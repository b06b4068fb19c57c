//! The parts of `gpu.screen`: which multiprocessors work, on what, at which clock, in which order and for how long.

use super::StepContext;
use super::declare::{quantity, span};
use super::gpu_burn::{kernel, kernel_named};
use super::held_clock::held_clock;
use kiln_model::{LoadKind, Span, Turns, Unit};
use kiln_profile::{ParamSpec, Params};

/// The parameters that say how long each part is and at which clock.
pub(super) const PARAMS: [ParamSpec; 6] = [
    span("alone", "30s", "length of each of the two parts in which SMs work alone at the clock that the GPU chooses"),
    span("light", "3m", "length of the light part"),
    // It heats what the light part, at nine tenths of the power, has warmed for longer.
    span("full", "1m", "length of the part at full power"),
    span("held", "15s", "length of each of the six parts at a held clock; 0s for none of them"),
    // The lowest voltage is reached well above this: cells that fail with it fail here too, and are given the time of many reads.
    quantity("low-clock", (Unit::Percent, 10.0, 100.0), "30 %", "lower of the held clocks, as a share of the greatest"),
    // About where voltage begins to rise with the clock, and between what light work and a burn at the cap come to.
    quantity(
        "middle-clock",
        (Unit::Percent, 10.0, 100.0),
        "60 %",
        "higher of the held clocks, as a share of the greatest",
    ),
];

/// The clocks that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Low,
    Middle,
}

impl Level {
    pub(super) const ALL: [Self; 2] = [Self::Low, Self::Middle];

    /// The clock in MHz, unless a GPU tells of no greatest one.
    pub(super) fn megahertz(self, context: &StepContext<'_>) -> Option<f64> {
        held_clock(context, if self == Self::Low { "low-clock" } else { "middle-clock" })
    }

    /// Its parts: cool by turns and together, and together while the die is hot.
    pub(super) const fn parts(self) -> [Part; 3] {
        [Part::HeldAlone(self), Part::HeldCool(self), Part::HeldHot(self)]
    }
}

/// A part of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Cool,
    HeldAlone(Level),
    HeldCool(Level),
    Light,
    Full,
    HeldHot(Level),
    Hot,
}

/// All parts, in order: what heats comes late, and the lowest clock first after it, as the die cools within seconds then.
pub(super) const PARTS: [Part; 10] = [
    Part::Cool,
    Part::HeldAlone(Level::Low),
    Part::HeldCool(Level::Low),
    Part::HeldAlone(Level::Middle),
    Part::HeldCool(Level::Middle),
    Part::Light,
    Part::Full,
    Part::HeldHot(Level::Low),
    Part::HeldHot(Level::Middle),
    Part::Hot,
];

impl Part {
    pub(super) fn length(self, params: &Params) -> Span {
        let name = match self {
            Self::Cool | Self::Hot => "alone",
            Self::HeldAlone(_) | Self::HeldCool(_) | Self::HeldHot(_) => "held",
            Self::Light => "light",
            Self::Full => "full",
        };
        params.span(name).unwrap_or_default()
    }

    pub(super) const fn level(self) -> Option<Level> {
        match self {
            Self::HeldAlone(level) | Self::HeldCool(level) | Self::HeldHot(level) => Some(level),
            Self::Cool | Self::Light | Self::Full | Self::Hot => None,
        }
    }

    /// Its load, at the clock to hold if it is one of those with a held clock.
    pub(super) fn load(self, params: &Params, held: Option<f64>) -> LoadKind {
        let turns = match self {
            Self::Cool | Self::Hot | Self::HeldAlone(_) => Turns::EachInTurn,
            Self::HeldCool(_) | Self::HeldHot(_) | Self::Light | Self::Full => Turns::AllAtOnce,
        };
        let kernel = if self == Self::Light { kernel_named(params, "light-kernel") } else { kernel(params) };
        LoadKind::Screen { kernel, turns, held }
    }

    /// The part after this one.
    pub(super) fn next(self) -> Option<Self> {
        PARTS.iter().copied().skip_while(|part| *part != self).nth(1)
    }

    /// All parts that take time.
    pub(super) fn all(params: &Params) -> impl Iterator<Item = Self> {
        PARTS.into_iter().filter(|part| part.length(params) > Span::ZERO)
    }
}
