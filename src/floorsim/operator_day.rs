//! What an operator does wrong in a simulated day, and what came of the day.

use std::collections::BTreeMap;
use std::fmt;

/// What an operator does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mistake {
    /// The label of another tray is scanned.
    OtherLabel,
    /// A serial number is typed with a wrong digit.
    Mistyped,
    /// The label of another slot is scanned.
    OtherSlot,
    /// The slot is not scanned.
    NoSlot,
    /// The same is scanned twice.
    Twice,
    /// Two trays change places, and nobody scans them.
    Swapped,
    /// A tray is pulled in its run and put elsewhere.
    Pulled,
    /// A held unit is let go on without a look.
    LetGo,
    /// Work is recorded that nobody did.
    NoWork,
}

impl Mistake {
    const fn word(self) -> &'static str {
        match self {
            Self::OtherLabel => "label of another tray",
            Self::Mistyped => "mistyped",
            Self::OtherSlot => "label of another slot",
            Self::NoSlot => "no slot",
            Self::Twice => "twice",
            Self::Swapped => "swapped",
            Self::Pulled => "pulled in its run",
            Self::LetGo => "let go without a look",
            Self::NoWork => "work that nobody did",
        }
    }
}

/// What came of a day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperatorDay {
    pub trays: usize,
    pub mistakes: BTreeMap<Mistake, u64>,
    pub starts: u64,
    pub released: usize,
    /// Trays that are not released, under repair or scrapped at the end of the day.
    pub open: usize,
    /// Scans and decisions that the floor refused.
    pub refused: u64,
    /// How often a unit was held.
    pub held: u64,
    /// Starts in another slot than was scanned, of machines that cannot tell their slot.
    pub unseen: u64,
    /// What must never be so, and was.
    pub violations: Vec<String>,
}

impl fmt::Display for OperatorDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trays, mistakes, starts, released, open, refused, held, unseen, violations } = self;
        let count: u64 = mistakes.values().sum();
        write!(f, "{trays} trays, {count} mistakes, {refused} refused, {held} times held, {starts} starts, ")?;
        write!(f, "{unseen} of them in a slot that nobody could know to be another; ")?;
        write!(f, "{released} released, {open} open in the evening")?;
        for (mistake, count) in mistakes {
            write!(f, "; {} {count}", mistake.word())?;
        }
        violations.iter().try_for_each(|what| write!(f, "\n  WRONG: {what}"))
    }
}
