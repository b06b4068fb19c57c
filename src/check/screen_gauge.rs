//! What `gpu.screen` found on one GPU, part by part, and the measurements that come of it.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::{BTreeMap, BTreeSet};

use super::held_clock::KEPT_WITHIN;
use super::screen_part::{Level, PARTS, Part};
use super::sheet::{Gauged, Sheet};
use super::window::Window;
use kiln_limit::Missing;
use kiln_model::{
    ClockRefusal, Component, LoadEnd, LoadFault, Moment, Reading, Sample, Screened, Sensor, Span, excluded_one_in,
};

/// The clocks to hold, in MHz; not known where a GPU tells of no greatest one.
pub(super) type Clocks = BTreeMap<Level, Option<f64>>;

/// What was found on one GPU.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    pub(super) parts: BTreeMap<Part, PartGauge>,
    /// The SMs that computed wrong results.
    pub(super) wrong: BTreeSet<u32>,
    /// Why its load ended before it should have.
    pub(super) broken: Option<Missing>,
    /// Why its clock could not be held.
    pub(super) refused: Option<ClockRefusal>,
}

/// One part on one GPU.
#[derive(Debug)]
pub(super) struct PartGauge {
    clock: Window,
    die: Window,
    /// From the first to the last word of its work: before and after it, it waits for the others, or its clock is given back already.
    worked: Option<(Moment, Moment)>,
    /// Sampled since the last word: whether it still worked then, the next one tells.
    pending: Vec<(Moment, [Reading<f64>; 2])>,
    pub(super) verified: u64,
    pub(super) mismatches: u64,
    /// Wrong results that were reported one by one. Those found while a load is set up are not in the load's own count.
    pub(super) told: u64,
    pub(super) screened: Option<Screened>,
}

/// Names of what is measured at one held clock.
struct Names {
    clock: &'static str,
    products: &'static str,
    excluded: &'static str,
    products_alone: &'static str,
    excluded_alone: &'static str,
}

const LOW: Names = Names {
    clock: "clock.low",
    products: "products.low",
    excluded: "excluded.low",
    products_alone: "products.low.alone",
    excluded_alone: "excluded.low.alone",
};

const MIDDLE: Names = Names {
    clock: "clock.middle",
    products: "products.middle",
    excluded: "excluded.middle",
    products_alone: "products.middle.alone",
    excluded_alone: "excluded.middle.alone",
};

impl PartGauge {
    pub(super) fn new(every: Span) -> Self {
        Self {
            clock: Window::sampled(every),
            die: Window::sampled(every),
            worked: None,
            pending: Vec::new(),
            verified: 0,
            mismatches: 0,
            told: 0,
            screened: None,
        }
    }

    pub(super) fn sample(&mut self, sample: &Sample) {
        if self.worked.is_some() {
            self.pending.push((sample.at, [sample[Sensor::ClockSm], sample[Sensor::TempGpu]]));
        }
    }

    /// Takes in that it worked until now.
    pub(super) fn work(&mut self, now: Moment) {
        self.worked = Some((self.worked.map_or(now, |(since, _)| since), now));
        for (at, [clock, die]) in self.pending.extract_if(.., |(at, _)| *at <= now) {
            self.clock.take(at, clock);
            self.die.take(at, die);
        }
    }

    fn over(&self) -> Span {
        self.worked.map_or(Span::ZERO, |(since, until)| until.since(since))
    }
}

impl Gauge {
    /// `greatest`: the greatest clock of the GPU in MHz, if its driver tells.
    pub(super) fn put(&self, sheet: &mut Sheet<'_>, gpu: Component, held: &Clocks, greatest: Option<f64>) {
        let mismatches: u64 = self.parts.values().map(|part| part.mismatches.max(part.told)).sum();
        let verified: u64 = self.parts.values().map(|part| part.verified).sum();
        let claim = |sheet: &mut Sheet<'_>, (products, excluded): (&str, &str), gauged: Gauged| {
            if let (Some(products), 0) = (gauged.number(), mismatches) {
                sheet.put(excluded, gpu, Gauged::once(excluded_one_in(products)));
            }
            sheet.put(products, gpu, gauged);
        };
        let free = PARTS.into_iter().filter(|part| part.level().is_none());
        let ran = free.chain(self.parts.keys().copied().filter(|part| part.level().is_some()));
        claim(sheet, ("products", "excluded"), self.products(ran, |screened| screened.products));
        let alone = self.products([Part::Cool, Part::Hot], |screened| screened.least_alone);
        claim(sheet, ("products.alone", "excluded.alone"), alone);
        for (level, names) in [(Level::Low, LOW), (Level::Middle, MIDDLE)] {
            let kept = self.kept(level, held);
            let of = |gauged: Gauged| kept.clone().map_or(gauged, |why| self.whole(why));
            sheet.put(names.clock, gpu, self.clock(level, held));
            let products = self.products(level.parts(), |screened| screened.products);
            claim(sheet, (names.products, names.excluded), of(products));
            let alone = self.products([Part::HeldAlone(level)], |screened| screened.least_alone);
            claim(sheet, (names.products_alone, names.excluded_alone), of(alone));
        }
        sheet.put("clocks.unscreened", gpu, self.unscreened(held));
        let sms = self.parts.values().filter_map(|part| part.screened.as_ref()).map(|screened| screened.sms).max();
        let nothing = || Gauged::Missing(self.broken.clone().unwrap_or(Missing::NothingCompared));
        sheet.put("sms", gpu, sms.map_or_else(nothing, |sms| Gauged::once(sms.into())));
        sheet.put("sms.unreached", gpu, self.unreached().map_or_else(nothing, Gauged::count));
        let wrong: Vec<String> = self.wrong.iter().map(u32::to_string).collect();
        sheet.put("sms.wrong", gpu, Gauged::Text(if wrong.is_empty() { "none".to_owned() } else { wrong.join(", ") }));
        for (name, part) in [("clock.alone", Part::Cool), ("clock.light", Part::Light), ("clock.full", Part::Full)] {
            sheet.put(name, gpu, self.window(part, |gauge| &gauge.clock, Window::mean));
        }
        let of_greatest = match (self.window(Part::Cool, |gauge| &gauge.clock, Window::mean), greatest) {
            (Gauged::Number { value, samples }, Some(greatest)) => {
                Gauged::Number { value: 100.0 * value / greatest, samples }
            }
            (Gauged::Number { .. }, None) => Gauged::Missing(Missing::ClockCeilingUnknown),
            (other, _) => other,
        };
        sheet.put("clock.alone.of-greatest", gpu, of_greatest);
        sheet.put("temp.cool", gpu, self.window(Part::Cool, |gauge| &gauge.die, Window::mean));
        sheet.put("temp.hot", gpu, self.window(Part::Hot, |gauge| &gauge.die, Window::max));
        let compared = |value: u64| match (verified, mismatches) {
            (0, 0) => nothing(),
            _ => Gauged::Number { value: value as f64, samples: verified },
        };
        sheet.put("verified", gpu, compared(verified));
        // Wrong results count even if the screen broke off. That there were none is then unknown.
        sheet.put("mismatches", gpu, if mismatches > 0 { compared(mismatches) } else { self.whole(compared(0)) });
    }

    fn whole(&self, gauged: Gauged) -> Gauged {
        self.broken.as_ref().map_or(gauged, |why| Gauged::Missing(why.clone()))
    }

    /// Adds up a value over parts, each of which must have reported it.
    fn products(&self, parts: impl IntoIterator<Item = Part>, of: fn(&Screened) -> f64) -> Gauged {
        let told = |part: Part| self.parts.get(&part).and_then(|gauge| gauge.screened.as_ref()).map(of);
        let all: Option<Vec<f64>> = parts.into_iter().map(told).collect();
        let samples = all.as_ref().map_or(0, Vec::len) as u64;
        match all.map(|all| all.into_iter().sum()) {
            Some(value) if value > 0.0 => self.whole(Gauged::Number { value, samples }),
            _ => self.whole(Gauged::Missing(Missing::NothingCompared)),
        }
    }

    /// Why nothing is claimed of the parts at a held clock, if there is a reason.
    fn kept(&self, level: Level, held: &Clocks) -> Option<Gauged> {
        let held = match held.get(&level) {
            None => return Some(Gauged::Missing(Missing::NothingCompared)),
            Some(None) => return Some(Gauged::Missing(Missing::ClockCeilingUnknown)),
            Some(Some(held)) => *held,
        };
        match &self.refused {
            Some(ClockRefusal::NotOffered) => return Some(Gauged::Unsupported),
            Some(why) => {
                let fault = LoadFault::ClockNotHeld(why.clone());
                return Some(Gauged::Missing(Missing::LoadEnded(LoadEnd::Failed(fault))));
            }
            None => {}
        }
        level.parts().into_iter().find_map(|part| match self.window(part, |gauge| &gauge.clock, Window::mean) {
            Gauged::Number { value: mean, .. } => {
                let lost = (mean - held).abs() > KEPT_WITHIN;
                lost.then_some(Gauged::Missing(Missing::ClockNotKept { held, mean }))
            }
            other => Some(other),
        })
    }

    /// The clock of the part that was farthest from the one to be held.
    fn clock(&self, level: Level, held: &Clocks) -> Gauged {
        let asked = held.get(&level).copied().flatten();
        let off =
            |gauged: &Gauged| asked.zip(gauged.number()).map_or(f64::INFINITY, |(held, mean)| (mean - held).abs());
        let means = level.parts().map(|part| self.window(part, |gauge| &gauge.clock, Window::mean));
        let farthest = means.into_iter().max_by(|one, other| off(one).total_cmp(&off(other)));
        match (self.kept(level, held), farthest) {
            (Some(why), Some(far)) if far.number().is_none() => self.whole(why),
            (_, Some(far)) => self.whole(far),
            (_, None) => self.whole(Gauged::Missing(Missing::NothingCompared)),
        }
    }

    /// Counts the clocks that were to be held and of which nothing is claimed.
    fn unscreened(&self, held: &Clocks) -> Gauged {
        let whys: Vec<Gauged> = held.keys().filter_map(|level| self.kept(*level, held)).collect();
        let not_offered = !whys.is_empty() && whys.iter().all(|why| *why == Gauged::Unsupported);
        self.whole(if not_offered { Gauged::Unsupported } else { Gauged::count(whys.len()) })
    }

    /// Counts the SMs that never worked alone.
    fn unreached(&self) -> Option<usize> {
        let of = |part: Part| self.parts.get(&part)?.screened.as_ref().map(|screened| &screened.unreached);
        let (cool, hot) = (of(Part::Cool)?, of(Part::Hot)?);
        Some(cool.iter().filter(|sm| hot.contains(sm)).count())
    }

    fn window(&self, part: Part, of: fn(&PartGauge) -> &Window, statistic: fn(&Window) -> Option<f64>) -> Gauged {
        let nothing = || Gauged::Missing(self.broken.clone().unwrap_or(Missing::NothingCompared));
        self.parts.get(&part).map_or_else(nothing, |gauge| of(gauge).gauged(gauge.over(), statistic))
    }
}
