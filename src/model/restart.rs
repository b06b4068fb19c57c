//! Starting a node anew: how, and what comes of asking for it.
//!
//! Whoever asks goes down with the node, so that the order is written down before it is given; what came of it is seen
//! after the boot, by the boot id.

use serde::{Deserialize, Serialize};

/// How a node is to be started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// By its operating system; power stays on.
    Reboot,
    /// By whoever switches its power: a cold start.
    PowerCycle,
}

impl Restart {
    /// As profiles and settings write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::PowerCycle => "power-cycle",
        }
    }

    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Reboot, Self::PowerCycle].into_iter().find(|restart| restart.word() == word)
    }
}

/// What became of an order to start anew that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarting {
    /// The node goes down, and with it whoever asked.
    UnderWay,
    /// The node is gone already. Another process goes on with it as it is after the boot.
    Gone,
}

/// Why an order to start anew was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartRefusal {
    /// Nothing here can be started anew, as with a recording.
    NotOffered,
    /// The station's settings name no command for it.
    NotAllowed(Restart),
    /// The command was not found or could not be started.
    NotStarted { command: String, error: String },
    /// The command ended otherwise than well; None if a signal ended it.
    Failed { command: String, exit: Option<i32>, printed: String },
    /// The command had not ended after some seconds and was stopped.
    Hung { command: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for restart in [Restart::Reboot, Restart::PowerCycle] {
            assert_eq!(Restart::of_word(restart.word()), Some(restart));
        }
        assert_eq!(Restart::of_word("halt"), None);
    }
}
