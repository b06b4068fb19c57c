//! What can go wrong between and on the machines, and how often.

use std::fmt;
use std::str::FromStr;

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Answers and calls take long.
    Delay,
    /// A call, or the answer to one that was taken, does not come.
    Loss,
    /// A call comes twice, the second time late.
    Doubling,
    /// Calls of a node's boot before the last one come minutes after the first one of the next.
    Late,
    /// A node has no network for minutes to hours.
    Cut,
    /// Calls come through and answers do not, for minutes.
    HalfOpen,
    /// The agent's process dies; the run goes on.
    Kill,
    /// The whole node stands still for minutes, then goes on as if nothing had been.
    Freeze,
    /// The node boots: the run is cut in the middle of a line.
    Reboot,
    /// A second machine with a copy of the node's disk calls for a while.
    Clone,
    /// The floor's clock jumps by hours, both ways, while the floor begins again: it sees no jump but then.
    ClockJump,
    /// The floor's disk takes nothing for a while, and then the node's.
    FullDisk,
    /// The floor's process dies and begins again from its events.
    FloorKill,
}

const ALL: [(Fault, &str); 13] = [
    (Fault::Delay, "delay"),
    (Fault::Loss, "loss"),
    (Fault::Doubling, "doubling"),
    (Fault::Late, "late"),
    (Fault::Cut, "cut"),
    (Fault::HalfOpen, "half-open"),
    (Fault::Kill, "kill"),
    (Fault::Freeze, "freeze"),
    (Fault::Reboot, "reboot"),
    (Fault::Clone, "clone"),
    (Fault::ClockJump, "clock-jump"),
    (Fault::FullDisk, "full-disk"),
    (Fault::FloorKill, "floor-kill"),
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = ALL.iter().find(|(fault, _)| fault == self).map_or("", |(_, word)| word);
        f.write_str(word)
    }
}

/// Which faults there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn all() -> Self {
        Self(ALL.iter().map(|(fault, _)| *fault).collect())
    }

    pub const fn none() -> Self {
        Self(Vec::new())
    }

    pub fn iter(&self) -> impl Iterator<Item = Fault> {
        self.0.iter().copied()
    }

    pub fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }
}

impl FromStr for Faults {
    type Err = String;

    /// Reads `all`, `none`, or words with commas between.
    fn from_str(text: &str) -> Result<Self, String> {
        let one = |word: &str| {
            let found = ALL.iter().find(|(_, known)| *known == word.trim()).map(|(fault, _)| *fault);
            let known: Vec<&str> = ALL.iter().map(|(_, word)| *word).collect();
            found.ok_or_else(|| format!("`{word}` is no fault; known are all, none, {}", known.join(", ")))
        };
        match text {
            "all" => Ok(Self::all()),
            "none" => Ok(Self::none()),
            words => words.split(',').map(one).collect::<Result<_, _>>().map(Self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named_one_by_one_or_all_together() {
        assert_eq!("all".parse(), Ok(Faults::all()));
        assert_eq!("none".parse(), Ok(Faults::none()));
        assert_eq!("loss, clone".parse(), Ok(Faults(vec![Fault::Loss, Fault::Clone])));
        let told = "los".parse::<Faults>().expect_err("unknown");
        assert!(told.contains("`los` is no fault") && told.contains("half-open"), "{told}");
        assert_eq!(Fault::HalfOpen.to_string(), "half-open");
    }
}
