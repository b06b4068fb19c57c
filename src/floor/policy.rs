//! What a site decided: which profiles a unit must pass, how often it may be tried, and when a person must look.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kiln_event::VerdictWord;
use kiln_wire::{Digest, Serial};

use super::parts::PartsRule;
use super::power_cycle::CycleRules;
use super::rollout::RolloutRules;
use super::site::Site;

/// One stop of a unit's route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// A shipped profile's name.
    pub profile: String,
    /// What the profile must be; not given, the node's own is trusted and told.
    pub digest: Option<Digest>,
    pub variables: BTreeMap<String, String>,
    /// A step of it compares the inventory with the unit's parts list.
    pub compares_parts: bool,
}

/// Faults that are counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultClass {
    pub id: String,
    /// Codes of findings; one that ends in `*` stands for all that begin so.
    pub codes: Vec<String>,
    /// How often a unit may be repaired for it. One more fail holds the unit.
    pub repairs: u32,
}

impl FaultClass {
    pub fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|own| own.strip_suffix('*').map_or(own == code, |stem| code.starts_with(stem)))
    }
}

/// How often a unit is tested again by itself. A fail never is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retest {
    /// Runs at one stop, of all kinds, before a person must look. Recorded work begins the count anew.
    pub most: u32,
    pub error: u32,
    pub inconclusive: u32,
    pub aborted: u32,
    pub classes: Vec<FaultClass>,
}

impl Default for Retest {
    fn default() -> Self {
        Self { most: 3, error: 1, inconclusive: 1, aborted: 1, classes: Vec::new() }
    }
}

impl Retest {
    /// How often in a row an ending without a claim is followed by another try.
    pub const fn repeats(&self, verdict: VerdictWord) -> u32 {
        match verdict {
            // An outlier is an outlier the next time as well: a person looks.
            VerdictWord::Pass | VerdictWord::Fail | VerdictWord::Held => 0,
            VerdictWord::Inconclusive => self.inconclusive,
            VerdictWord::Aborted => self.aborted,
            VerdictWord::Error | VerdictWord::Nothing => self.error,
        }
    }

    /// The class that a fail with these codes belongs to: that of its most important code that has one.
    pub fn class(&self, codes: &[String]) -> Option<&FaultClass> {
        codes.iter().find_map(|code| self.classes.iter().find(|class| class.has(code)))
    }
}

/// When so many units in so short a time do not pass that nothing more is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Of the runs under way and lately ended, in percent.
    pub percent: u32,
    pub within: Duration,
    /// Fewer than this many never stop a floor.
    pub least: u32,
}

impl Default for Breaker {
    /// Ten minutes and five percent are what fleets that had mass failures from one cause would have needed; three units
    /// may fail together by chance.
    fn default() -> Self {
        Self { percent: 5, within: Duration::from_secs(600), least: 4 }
    }
}

/// A site's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What the floor is called.
    pub name: String,
    /// Every profile a unit must pass, in order.
    pub route: Vec<Stop>,
    /// How often agents are to call.
    pub poll_every: Duration,
    pub retest: Retest,
    pub site: Site,
    /// Units that are known to be sound, by which stations are proven. They are outside of all counts.
    pub golden: BTreeSet<Serial>,
    /// None: however many fail, the next are started.
    pub breaker: Option<Breaker>,
    /// A manufacturing system is asked before each run, and nothing begins before it allowed it.
    pub route_check: bool,
    /// Whether a unit may begin without a parts list.
    pub parts: PartsRule,
    /// The program that agents should be; None leaves each as it is.
    pub upgrade: Option<RolloutRules>,
    /// How nodes that hang are switched off and on; None leaves that to people.
    pub power_cycle: Option<CycleRules>,
}

impl Policy {
    /// How many stops of the route a unit has passed, in their order, by the profiles that it passed. A route may have been changed since:
    /// what is not in it any more counts for nothing, and what came into it is still to be passed.
    pub fn stops_passed(&self, profiles: &[String]) -> usize {
        let next =
            |at: usize, profile: &String| at + usize::from(self.route.get(at).is_some_and(|s| s.profile == *profile));
        profiles.iter().fold(0, next)
    }

    /// The stop that a unit is tested at next. One that has passed all of a route which was longer is tested at the last stop once more: a unit
    /// is released by a run and not by a file.
    pub fn next_stop(&self, profiles: &[String]) -> Option<&Stop> {
        self.route.get(self.stops_passed(profiles)).or(self.route.last())
    }

    /// The rules of a floor that was given none: one profile, one repeat, a call every two seconds.
    pub fn one_profile(profile: &str) -> Self {
        let stop = Stop { profile: profile.to_owned(), digest: None, variables: BTreeMap::new(), compares_parts: true };
        Self {
            name: String::new(),
            route: vec![stop],
            poll_every: Duration::from_secs(2),
            retest: Retest::default(),
            site: Site::default(),
            golden: BTreeSet::new(),
            breaker: None,
            route_check: false,
            parts: PartsRule::default(),
            upgrade: None,
            power_cycle: None,
        }
    }
}
