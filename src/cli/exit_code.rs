//! Exit codes: an API for scripts, documented in `docs/outputs.md` and in `--help`.

use std::process::{ExitCode, Termination};

use crate::event::{Verdict, VerdictWord};

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every decisive limit was judged and met; or the command did what it was asked to.
    Pass,
    /// Proof that the unit is bad.
    Fail,
    /// Wrong usage, a mistake in a profile or file: nothing ran.
    Usage,
    /// No claim about the unit: trouble of our own or of the station, or data that cannot decide.
    NoClaim,
    /// Nothing was judged.
    Nothing,
    /// Every limit was met, and the unit is an outlier of its lot.
    Held,
    /// The node is being started anew as a step of the run asks for; nothing is known yet.
    Restarting,
    /// Aborted by operator or signal, with no failure proven before.
    Aborted,
}

/// The table for `--help`.
pub(super) const TABLE: &str = "\
Exit codes:
  0    PASS: every decisive limit judged and met
  1    FAIL: proof the unit is bad
  2    usage or profile error, nothing ran
  3    ERROR or INCONCLUSIVE: no claim about the unit
  4    nothing was judged
  5    HELD: every limit met, but an outlier of its lot
  6    the node is being started anew, as a step asked: finish the run with `kiln resume`
  130  ABORTED by operator or signal, no failure proven before";

impl Exit {
    pub const fn number(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::NoClaim => 3,
            Self::Nothing => 4,
            Self::Held => 5,
            Self::Restarting => 6,
            Self::Aborted => 130,
        }
    }

    pub const fn of(verdict: &Verdict) -> Self {
        match verdict.word {
            VerdictWord::Pass => Self::Pass,
            VerdictWord::Fail => Self::Fail,
            VerdictWord::Error | VerdictWord::Inconclusive => Self::NoClaim,
            VerdictWord::Nothing => Self::Nothing,
            VerdictWord::Held => Self::Held,
            VerdictWord::Aborted => Self::Aborted,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.number())
    }
}
