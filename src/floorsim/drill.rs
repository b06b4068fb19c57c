//! Defects of the floor itself, planted in lots of units, and what the floor makes of them: which it names, which go
//! through, and what it names that is sound.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::fmt;
use std::time::Duration;

use kiln_event::VerdictWord;
use kiln_floor::{Feed, Floor, Input, Place, Policy, Pulses, Rack, RunFacts, Site, Stage, Tick, Watts};
use kiln_wire::{LotId, RunId, Scope, Serial, Sync};

use super::chance::{Chance, MINUTE, SECOND, name};

/// Racks, slots of a rack, and how often all slots are filled anew: a lot of 1,008 units.
const RACKS: usize = 14;
const SLOTS: usize = 18;
const ROUNDS: usize = 4;
/// Racks that share a cooling unit.
const COOLED: usize = 4;
/// What sound units of a lot show all the same, with how likely each is. Assumed; a real lot's own rates take their place.
const BACKGROUND: [(&str, f64); 5] = [
    ("PCIE-WIDTH", 0.006),
    ("NVLINK-DOWN", 0.006),
    ("GPU-COOLING-CONTACT", 0.012),
    ("HBM-CORRECTED-RATE", 0.008),
    ("GPU-SLOW", 0.008),
];

/// What is wrong with the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Nothing is.
    None,
    /// A cooling unit gives too little: every fifth unit on it throttles.
    HotCooling,
    /// Part of the nodes runs an agent whose image has a bad network driver: every fifth of them.
    BadImage,
    /// A slot whose connector is bent: whatever is put in shows a narrow link.
    BentSlot,
    /// The units of two slots were swapped after the scan.
    MixedSerials,
    /// Units of one lot got bad paste: three of ten.
    BadPaste,
    /// A rack whose station measures low: every third sound unit seems slow.
    StationOff,
}

impl Defect {
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::HotCooling,
        Self::BadImage,
        Self::BentSlot,
        Self::MixedSerials,
        Self::BadPaste,
        Self::StationOff,
    ];

    pub const fn id(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::HotCooling => "hot-cdu",
            Self::BadImage => "bad-image",
            Self::BentSlot => "bent-slot",
            Self::MixedSerials => "mixed-serials",
            Self::BadPaste => "bad-paste",
            Self::StationOff => "station-off",
        }
    }
}

/// What became of many lots with one defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drilled {
    pub defect: Defect,
    pub lots: u32,
    /// Lots in which the floor named what was wrong, or held what it was about.
    pub caught: u32,
    /// Lots in which it named something sound.
    pub lots_with_false: u32,
    /// Units of all lots that were sent to repair for what the floor did to them, before it was named.
    pub wrongly_to_repair: u32,
}

impl Drilled {
    /// Lots in which what was wrong went unnamed.
    pub fn escaped(&self) -> u32 {
        if self.defect == Defect::None { 0 } else { self.lots - self.caught }
    }
}

impl fmt::Display for Drilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { defect, lots, caught, lots_with_false, wrongly_to_repair } = self;
        let escaped = self.escaped();
        write!(f, "{:<14} caught {caught:>4}  escaped {escaped:>4}  false {lots_with_false:>4}  ", defect.id())?;
        write!(f, "of {lots} lots; {wrongly_to_repair} units to repair for nothing")
    }
}

/// Drills one defect over so many lots.
pub fn drill(defect: Defect, lots: u32, seed: u64) -> Drilled {
    let mut drilled = Drilled { defect, lots, caught: 0, lots_with_false: 0, wrongly_to_repair: 0 };
    for lot in 0..lots {
        let mut floor = Lot::new(defect, seed.wrapping_add(u64::from(lot)));
        floor.test_all();
        let (caught, sound) = floor.named();
        drilled.caught += u32::from(caught);
        drilled.lots_with_false += u32::from(sound);
        drilled.wrongly_to_repair += floor.wrongly;
    }
    drilled
}

struct Lot {
    defect: Defect,
    chance: Chance,
    floor: Floor,
    now: u64,
    count: u64,
    /// Of what the defect is: a rack, a cooling unit, a slot, as the defect asks.
    at: usize,
    wrongly: u32,
    mismatched: u32,
    /// Racks in which a golden unit was run and did not pass.
    golden_fails: Vec<usize>,
}

/// One unit under test.
struct Unit {
    serial: Serial,
    rack: usize,
    slot: usize,
    lot: LotId,
    version: &'static str,
}

fn site(golden: bool) -> Site {
    let limit = Some(Watts(100_000_000));
    let mut places: Vec<Place> = (0..RACKS.div_ceil(COOLED))
        .map(|unit| Place {
            id: name(&format!("cdu-{unit}")),
            feed: Feed::Cooling,
            limit,
            ramp: None,
            under: Vec::new(),
        })
        .collect();
    let mut racks = Vec::new();
    for rack in 0..RACKS {
        let under = vec![rack / COOLED];
        places.push(Place { id: name(&format!("r{rack:02}")), feed: Feed::Rack, limit: None, ramp: None, under });
        racks.push(Rack {
            place: places.len() - 1,
            slots: (0..SLOTS).map(|slot| name(&format!("r{rack:02}-{slot:02}"))).collect(),
            draw: Watts(9_100),
            pulses: Pulses::Spread,
            golden_within: golden.then_some(Duration::from_secs(24 * 3600)),
        });
    }
    Site::new(places, racks)
}

impl Lot {
    fn new(defect: Defect, seed: u64) -> Self {
        let mut chance = Chance::of(seed);
        let mut policy = Policy::one_profile("acceptance");
        policy.site = site(defect == Defect::StationOff);
        policy.golden = [name("GOLD")].into();
        let at = chance.below(RACKS as u64 * SLOTS as u64) as usize;
        Self {
            defect,
            chance,
            floor: Floor::of(policy, &[]),
            now: MINUTE,
            count: 0,
            at,
            wrongly: 0,
            mismatched: 0,
            golden_fails: Vec::new(),
        }
    }

    fn rack(&self) -> usize {
        self.at % RACKS
    }

    fn tell(&mut self, input: Input) -> Option<RunId> {
        self.count += 1;
        self.now += SECOND;
        let tick = Tick { now: self.now, fresh_run: name(&format!("run-{}", self.count)) };
        let answer = self.floor.handle(&tick, input).ok()?;
        answer.reply?.desired.map(|assignment| assignment.run)
    }

    fn scan(&mut self, unit: &Unit) {
        let (rack, slot) = (unit.rack, unit.slot);
        let slot = Some(name(&format!("r{rack:02}-{slot:02}")));
        let (lot, unit) = (Some(unit.lot.clone()), unit.serial.clone());
        self.tell(Input::Scanned { unit, at: None, slot, lot, by: "p".to_owned() });
    }

    /// The node of a unit calls; its run, if it gets one. A node may be another one than was scanned there.
    fn call(&mut self, unit: &Unit, says: &Serial, place: (usize, usize)) -> Option<RunId> {
        let sync = Sync {
            serial: Some(says.clone()),
            slot: Some(name(&format!("r{:02}-{:02}", place.0, place.1))),
            version: Some(unit.version.to_owned()),
            ..Sync::idle(name(&format!("agent-{}", unit.serial)), name("boot-1"))
        };
        self.tell(Input::Synced(sync))
    }

    /// A run comes to its end; its journal says this serial number.
    fn arrive(&mut self, run: RunId, says: &Serial, codes: Vec<String>) {
        let verdict = if codes.is_empty() { VerdictWord::Pass } else { VerdictWord::Fail };
        let serial = Some(says.clone());
        self.tell(Input::Arrived(RunFacts { serial, codes, ..RunFacts::plain(run, verdict) }));
    }

    /// What a run of a unit shows: what is wrong with the unit, and whether the floor did something to it.
    fn shows(&mut self, unit: &Unit) -> (Vec<String>, bool) {
        let mut codes = Vec::new();
        for (code, rate) in BACKGROUND {
            if self.chance.happens(rate) {
                codes.push(code.to_owned());
            }
        }
        let own = !codes.is_empty();
        let here = unit.rack == self.rack();
        let done = match self.defect {
            Defect::HotCooling => (unit.rack / COOLED == self.rack() / COOLED, 0.20, "GPU-THERMAL-SLOWDOWN"),
            Defect::BadImage => (unit.version == "0.2.0", 0.20, "NIC-SPEED"),
            Defect::BentSlot => (here && unit.slot == self.at / RACKS, 1.0, "PCIE-WIDTH"),
            Defect::BadPaste => (unit.lot.as_str() == "lot-3", 0.30, "GPU-COOLING-CONTACT"),
            Defect::StationOff => (here, 0.33, "GPU-SLOW"),
            Defect::None | Defect::MixedSerials => (false, 0.0, ""),
        };
        if done.0 && self.chance.happens(done.1) && !codes.iter().any(|code| code == done.2) {
            codes.push(done.2.to_owned());
        }
        // Bad paste is the unit's own, and repair is right for it.
        let by_floor = !own && !codes.is_empty() && self.defect != Defect::BadPaste;
        (codes, by_floor)
    }

    fn test_all(&mut self) {
        if self.defect == Defect::StationOff {
            self.golden_round();
        }
        for round in 0..ROUNDS {
            let mut units = Vec::new();
            for rack in 0..RACKS {
                for slot in 0..SLOTS {
                    let number = units.len() + round * RACKS * SLOTS;
                    units.push(Unit {
                        serial: name(&format!("SRV{number:05}")),
                        rack,
                        slot,
                        // Lots come in as they were built, a few to a round.
                        lot: name(&format!("lot-{}", (number * 7 / (RACKS * SLOTS * ROUNDS)).min(6))),
                        version: if self.chance.one_in(3) { "0.2.0" } else { "0.1.0" },
                    });
                }
            }
            for unit in &units {
                self.scan(unit);
            }
            let swapped = self.chance.below(units.len() as u64 - 1) as usize;
            // Runs end in any order.
            let mut order: Vec<usize> = (0..units.len()).collect();
            for number in (1..order.len()).rev() {
                let other = self.chance.below(number as u64 + 1) as usize;
                order.swap(number, other);
            }
            for number in order {
                let unit = &units[number];
                let other = match self.defect {
                    Defect::MixedSerials if number == swapped => &units[number + 1],
                    Defect::MixedSerials if number == swapped + 1 => &units[number - 1],
                    _ => unit,
                };
                // The node that was put here says its own serial number, from this place.
                let Some(run) = self.call(unit, &other.serial, (unit.rack, unit.slot)) else {
                    // The floor holds the unit whose tray is elsewhere than it was scanned, before any load; or
                    // for the slot it was scanned into, if a held unit was never taken out of that.
                    let stage = self.floor.state().units.get(&other.serial).map(|unit| unit.stage.clone());
                    let held = other.serial != unit.serial && matches!(stage, Some(Stage::Held(_)));
                    self.mismatched += u32::from(held);
                    continue;
                };
                self.tested(unit, &other.serial, run);
            }
        }
    }

    fn tested(&mut self, unit: &Unit, says: &Serial, run: RunId) {
        let (codes, by_floor) = self.shows(unit);
        self.arrive(run, says, codes);
        let stage = &self.floor.state().units[&unit.serial].stage;
        self.wrongly += u32::from(by_floor && matches!(stage, Stage::Disposed(kiln_floor::Disposition::Repair)));
    }

    /// A unit that is known to be sound goes through every rack.
    fn golden_round(&mut self) {
        for rack in 0..RACKS {
            let unit = Unit { serial: name("GOLD"), rack, slot: 0, lot: name("golden"), version: "0.1.0" };
            self.scan(&unit);
            let Some(run) = self.call(&unit, &unit.serial, (rack, 0)) else { continue };
            // It is measured thrice by itself; a station that is off by so much shows it once in three.
            let off = rack == self.rack() && self.chance.happens(0.33);
            self.arrive(run, &unit.serial, if off { vec!["GPU-SLOW".to_owned()] } else { Vec::new() });
            if off {
                self.golden_fails.push(rack);
                let why = "golden unit taken out".to_owned();
                let act = kiln_floor::Act::Free { unit: unit.serial.clone(), why };
                self.tell(Input::Told { act, by: "p".to_owned() });
            }
        }
    }

    /// Whether what is wrong was named, and whether something sound was.
    fn named(&self) -> (bool, bool) {
        let suspects: Vec<&Scope> = self.floor.state().suspects.keys().collect();
        let rack = format!("r{:02}", self.rack());
        let is_it = |scope: &&Scope| match (self.defect, scope) {
            (Defect::HotCooling, Scope::Cooling(unit)) => unit.as_str() == format!("cdu-{}", self.rack() / COOLED),
            // Racks of the unit are seen first where they are hit hardest: that is the place to look, too.
            (Defect::HotCooling, Scope::Rack(found)) => {
                let number = found.as_str().trim_start_matches('r').parse::<usize>();
                number.is_ok_and(|number| number / COOLED == self.rack() / COOLED)
            }
            (Defect::BadImage, Scope::Agent(version)) => version == "0.2.0",
            (Defect::BentSlot, Scope::Slot(slot)) => slot.as_str() == format!("{rack}-{:02}", self.at / RACKS),
            (Defect::BentSlot | Defect::StationOff, Scope::Rack(found)) => found.as_str() == rack,
            (Defect::BadPaste, Scope::Lot(lot)) => lot.as_str() == "lot-3",
            _ => false,
        };
        // A rack in which no golden unit was run says nothing.
        let by_golden =
            self.golden_fails.contains(&self.rack()) && !self.floor.state().golden_passes.contains_key(&name(&rack));
        let caught = match self.defect {
            Defect::None => false,
            Defect::MixedSerials => self.mismatched as usize == 2 * ROUNDS,
            _ => by_golden || suspects.iter().any(is_it),
        };
        (caught, suspects.iter().any(|scope| !is_it(scope)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defects_of_the_floor_are_named_and_sound_stations_are_not() {
        for (defect, least) in [
            (Defect::HotCooling, 6),
            (Defect::BadImage, 6),
            (Defect::BentSlot, 6),
            (Defect::MixedSerials, 6),
            (Defect::BadPaste, 6),
            (Defect::StationOff, 5),
        ] {
            let drilled = drill(defect, 6, 1);
            assert!(drilled.caught >= least, "{drilled}");
        }
        // A rack in which the golden unit got no run was not proven to be off.
        let mut unproven = Lot::new(Defect::StationOff, 1);
        assert!(!unproven.named().0, "nothing was run yet");
        unproven.golden_round();
        let passed = |lot: &Lot| lot.floor.state().golden_passes.len();
        assert_eq!(passed(&unproven) + unproven.golden_fails.len(), RACKS, "a golden unit was not run");
        let sound = drill(Defect::None, 12, 1);
        assert!(sound.lots_with_false <= 1, "{sound}");
    }
}
