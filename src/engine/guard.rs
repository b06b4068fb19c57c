//! Always-on stop rules: they watch every reading and say when one trips or clears. They only watch; stopping is the
//! machine's work.
//!
//! ```text
//!             bound met            held for `hold`
//!   quiet ------------------> met ----------------> tripped
//!     ^                        |                       |
//!     +------- bound unmet ----+      clear bound met, or unmet for CLEAR_AFTER
//!     +------------------------------------------------+
//! ```
//! Stale data is hot data: where a guard says so, a sensor that gives no reading for too long trips like a bad one.

use std::collections::BTreeMap;

use kiln_diagnose::SENSORS_SILENT;
use kiln_event::{GuardTrip, TripCause};
use kiln_limit::{Bound, IfUnsupported, References, Settled};
use kiln_model::{Component, GpuIndex, Moment, Reading, Sample, Sensor, Span};
use kiln_profile::{Guard, GuardResult, GuardScope, Sku, Trigger};

/// Without a clear bound of its own, a guard must see its trip bound unmet for this long before it can trip again:
/// several times the driver's slowest sensor period, so that a reading dancing on the bound is one trip and not many.
const CLEAR_AFTER: Span = Span::from_secs(30);

/// Before a sensor counts as silent it must have been asked this often since its last reading: a stall of our own, in
/// which nobody asked, is no silence of the sensor's.
const ASKED_AT_LEAST: u32 = 3;

/// The code of a trip for want of a sensor: it accuses no part.
const NOT_OFFERED: &str = "GUARD-UNSUPPORTED";

/// What a guard has to say after a reading.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum GuardNews {
    Tripped(GuardTrip),
    Cleared { guard: String, component: Component },
}

#[derive(Debug, Clone, Copy, Default)]
struct Watch {
    met_since: Option<Moment>,
    unmet_since: Option<Moment>,
    tripped: bool,
    /// Tripped together with all others.
    shared: bool,
    last_reading: Option<Moment>,
    /// How often it was asked since.
    asked: u32,
    /// Whether the part or its driver ever offered the sensor, as far as is known.
    offered: Offered,
}

/// What is known of a sensor: one that never was offered cannot fall silent, one that was can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Offered {
    #[default]
    Unknown,
    Ever,
    Never,
}

/// What a guard holds a GPU's readings against: to resolve it anew for each of them cost more than all else that guards do.
#[derive(Debug)]
struct Bounds {
    trip: Settled,
    clear: Option<Settled>,
}

impl Bounds {
    /// A bound that cannot be resolved here does not trip: the profile reader refuses guards relative to peers or a baseline, and
    /// a missing SKU fact is the plan's to report.
    fn of(guard: &Guard, sku: Option<&Sku>) -> Self {
        let Trigger::Reading { sensor, bound } = &guard.trigger else {
            return Self { trip: Settled::Nothing, clear: None };
        };
        let fact = |fact: &str| sku?.fact(fact);
        let references = References { sku: &fact, ..References::NONE };
        let settled = |bound: &Bound| Settled::new(bound, sensor.unit(), &references);
        Self { trip: settled(bound), clear: guard.clear.as_ref().map(settled) }
    }
}

/// One guard with its state per GPU.
#[derive(Debug)]
struct Post {
    guard: Guard,
    watches: BTreeMap<GpuIndex, Watch>,
    /// What the bounds come to for each GPU's model.
    bounds: BTreeMap<GpuIndex, Bounds>,
    /// What was accused when the sensor fell silent on all GPUs at once, until it is heard again.
    silent: Option<Component>,
}

impl Post {
    /// What the GPUs share that silences this sensor on all of them at once, if it does: nothing at all is heard of any
    /// GPU (the driver, the program or a recording that is over), or just this sensor of none. One GPU is not "all".
    fn shared_silence(
        &self,
        now: Moment,
        stale: Span,
        heard: &BTreeMap<GpuIndex, Moment>,
        lost: &BTreeMap<GpuIndex, Moment>,
    ) -> Option<Component> {
        // They fall silent together, but are asked one after another; half the time is together.
        let old = |since: Option<Moment>| since.is_none_or(|since| now.since(since) > stale / 2);
        let present = || self.watches.iter().filter(|(gpu, _)| !lost.contains_key(gpu));
        if present().count() < 2 || !present().all(|(_, watch)| old(watch.last_reading)) {
            return None;
        }
        let unheard = heard.iter().filter(|(gpu, _)| !lost.contains_key(gpu)).all(|(_, at)| old(Some(*at)));
        Some(if unheard { Component::Station } else { Component::Node })
    }

    /// Whether the readings of another GPU have tripped it already, where it is the node's and trips once.
    fn is_tripped_elsewhere(&self, gpu: GpuIndex) -> bool {
        let others = || self.watches.iter().filter(|(other, _)| **other != gpu);
        self.guard.scope == GuardScope::Node && others().any(|(_, watch)| watch.tripped)
    }
}

/// All guards of a profile.
#[derive(Debug, Default)]
pub(super) struct Guards {
    posts: Vec<Post>,
    /// When each GPU last gave a reading of any kind.
    heard: BTreeMap<GpuIndex, Moment>,
}

impl Guards {
    pub(super) fn new(guards: &[Guard], gpus: &[GpuIndex], skus: &BTreeMap<GpuIndex, Sku>, now: Moment) -> Self {
        let watch = Watch { last_reading: Some(now), ..Watch::default() };
        let posts = guards
            .iter()
            .map(|guard| {
                let watches = gpus.iter().map(|gpu| (*gpu, watch)).collect();
                let bounds = gpus.iter().map(|gpu| (*gpu, Bounds::of(guard, skus.get(gpu)))).collect();
                Post { guard: guard.clone(), watches, bounds, silent: None }
            })
            .collect();
        Self { posts, heard: gpus.iter().map(|gpu| (*gpu, now)).collect() }
    }

    /// Takes in one GPU's readings.
    pub(super) fn sampled(&mut self, now: Moment, sample: &Sample, news: &mut Vec<GuardNews>) {
        if Sensor::ALL.iter().any(|sensor| sample.get(*sensor).is_some()) {
            self.heard.insert(sample.gpu, now);
        }
        for post in &mut self.posts {
            let Trigger::Reading { sensor, .. } = &post.guard.trigger else {
                continue;
            };
            let elsewhere = post.is_tripped_elsewhere(sample.gpu);
            let Some(watch) = post.watches.get_mut(&sample.gpu) else { continue };
            let Some(bounds) = post.bounds.get(&sample.gpu) else { continue };
            if sample[*sensor] == Reading::Unsupported && watch.offered != Offered::Ever {
                watch.offered = Offered::Never;
                if post.guard.unsupported == IfUnsupported::Skip {
                    (watch.last_reading, watch.asked) = (Some(now), 0);
                }
            }
            let Some(value) = sample.get(*sensor) else { continue };
            watch.offered = Offered::Ever;
            watch.last_reading = Some(now);
            watch.asked = 0;
            let met = bounds.trip.holds(value);
            let component = component(&post.guard, sample.gpu);
            if watch.tripped {
                let clear = bounds.clear.as_ref().map(|clear| clear.holds(value));
                if let Some(cleared) = cleared(watch, now, met, clear)
                    && cleared
                {
                    let shared = watch.shared;
                    *watch = Watch { last_reading: Some(now), offered: Offered::Ever, ..Watch::default() };
                    if elsewhere && !shared {
                        continue;
                    }
                    // What tripped once for all of them clears once, with the first that is heard again.
                    let component = if shared { post.silent.take() } else { Some(component) };
                    let guard = post.guard.id.clone();
                    news.extend(component.map(|component| GuardNews::Cleared { guard, component }));
                }
                continue;
            }
            if !met {
                watch.met_since = None;
                continue;
            }
            let since = *watch.met_since.get_or_insert(now);
            if now.since(since) >= post.guard.hold {
                watch.tripped = true;
                watch.unmet_since = None;
                let cause = TripCause::Reading { sensor: *sensor, value, held: now.since(since) };
                if !elsewhere {
                    news.push(GuardNews::Tripped(trip(&post.guard, component, cause, Some(value))));
                }
            }
        }
    }

    /// Looks for GPUs whose readings have become too old, each time they are asked anew. Silence is no proof against the
    /// unit: such a trip stops like any other, and is inconclusive.
    pub(super) fn look_for_stale(&mut self, now: Moment, lost: &BTreeMap<GpuIndex, Moment>, news: &mut Vec<GuardNews>) {
        for post in &mut self.posts {
            let (Trigger::Reading { sensor, .. }, Some(stale)) = (&post.guard.trigger, post.guard.stale) else {
                continue;
            };
            let shared = post.shared_silence(now, stale, &self.heard, lost);
            let mut told = post.guard.scope == GuardScope::Node && post.watches.values().any(|watch| watch.tripped);
            for (gpu, watch) in &mut post.watches {
                let age = watch.last_reading.map(|last| now.since(last)).unwrap_or_default();
                watch.asked += 1;
                if watch.tripped || lost.contains_key(gpu) || age <= stale || watch.asked < ASKED_AT_LEAST {
                    continue;
                }
                watch.tripped = true;
                watch.shared = shared.is_some();
                if told {
                    continue;
                }
                told = post.guard.scope == GuardScope::Node || shared.is_some();
                post.silent = shared;
                // A guard that can do without the reading is not what trips when a GPU falls silent altogether.
                let never = watch.offered == Offered::Never && post.guard.unsupported == IfUnsupported::Error;
                let (sensor, span) = (*sensor, age);
                let cause = match shared {
                    _ if never => TripCause::NotOffered { sensor },
                    Some(Component::Station) => TripCause::NothingHeard { span },
                    Some(_) => TripCause::SilentOnAll { sensor, span },
                    None => TripCause::Silent { sensor, span },
                };
                let mut trip = trip(&post.guard, shared.unwrap_or(component(&post.guard, *gpu)), cause, None);
                trip.result = GuardResult::Inconclusive;
                if never {
                    NOT_OFFERED.clone_into(&mut trip.code);
                } else if shared.is_some() {
                    SENSORS_SILENT.clone_into(&mut trip.code);
                }
                news.push(GuardNews::Tripped(trip));
            }
        }
    }

    /// A GPU stopped answering.
    pub(super) fn lost(&mut self, gpu: GpuIndex, news: &mut Vec<GuardNews>) {
        self.fire(|trigger| *trigger == Trigger::GpuLost, gpu, &TripCause::GpuLost, news);
    }

    /// The kernel logged an Xid that a burn-in must not see.
    pub(super) fn xid(&mut self, gpu: GpuIndex, code: u32, news: &mut Vec<GuardNews>) {
        self.fire(|trigger| *trigger == Trigger::Xid, gpu, &TripCause::Xid { code }, news);
    }

    fn fire(&mut self, which: impl Fn(&Trigger) -> bool, gpu: GpuIndex, cause: &TripCause, news: &mut Vec<GuardNews>) {
        for post in self.posts.iter_mut().filter(|post| which(&post.guard.trigger)) {
            if let Some(watch) = post.watches.get_mut(&gpu).filter(|watch| !watch.tripped) {
                watch.tripped = true;
                let component = component(&post.guard, gpu);
                news.push(GuardNews::Tripped(trip(&post.guard, component, cause.clone(), None)));
            }
        }
    }
}

fn cleared(watch: &mut Watch, now: Moment, met: bool, clear: Option<bool>) -> Option<bool> {
    match clear {
        Some(clear) => Some(clear),
        None if met => {
            watch.unmet_since = None;
            None
        }
        None => {
            let since = *watch.unmet_since.get_or_insert(now);
            Some(now.since(since) >= CLEAR_AFTER)
        }
    }
}

fn component(guard: &Guard, gpu: GpuIndex) -> Component {
    match guard.scope {
        GuardScope::EachGpu => Component::Gpu(gpu),
        GuardScope::Node => Component::Node,
    }
}

fn trip(guard: &Guard, component: Component, cause: TripCause, reading: Option<f64>) -> GuardTrip {
    GuardTrip {
        guard: guard.id.clone(),
        component,
        code: guard.code.clone(),
        stop: guard.stop,
        result: guard.result,
        cause,
        reading,
        // The machine knows the others.
        around: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_limit::Term;
    use kiln_model::{Quantity, Sensor, Unit};
    use kiln_profile::GuardStop;

    const SILENT: TripCause = TripCause::Silent { sensor: Sensor::TempMargin, span: Span::from_secs(11) };

    fn guards(hold: u64, stale: Option<u64>) -> Guards {
        let bound = Bound::AtMost(Term::Absolute(Quantity::new(0.0, Unit::Celsius)));
        let guard = Guard {
            id: "over-temperature".to_owned(),
            scope: GuardScope::EachGpu,
            trigger: Trigger::Reading { sensor: Sensor::TempMargin, bound },
            hold: Span::from_secs(hold),
            clear: None,
            stale: stale.map(Span::from_secs),
            unsupported: IfUnsupported::Error,
            stop: GuardStop::Run,
            result: GuardResult::Fail,
            code: "GPU-OVERTEMP".to_owned(),
        };
        Guards::new(&[guard], &[GpuIndex(0)], &BTreeMap::new(), Moment::ZERO)
    }

    fn feed(guards: &mut Guards, second: u64, margin: Option<f64>) -> Vec<GuardNews> {
        let now = Moment::from_secs(second);
        let mut sample = Sample::new(GpuIndex(0), now);
        if let Some(margin) = margin {
            sample.put(Sensor::TempMargin, margin);
        }
        let mut news = Vec::new();
        guards.sampled(now, &sample, &mut news);
        guards.look_for_stale(now, &BTreeMap::new(), &mut news);
        news
    }

    #[test]
    fn a_guard_trips_only_after_holding() {
        let mut guards = guards(3, None);
        let readings = [5.0, -1.0, 5.0, -1.0, -1.0, -1.0];
        for (second, margin) in readings.into_iter().enumerate() {
            assert_eq!(feed(&mut guards, second as u64, Some(margin)), []);
        }
        let news = feed(&mut guards, 6, Some(-2.0));
        let GuardNews::Tripped(trip) = &news[0] else { panic!("{news:?}") };
        let (sensor, held) = (Sensor::TempMargin, Span::from_secs(3));
        assert_eq!(trip.cause, TripCause::Reading { sensor, value: -2.0, held });
        assert_eq!(feed(&mut guards, 7, Some(-2.0)), [], "one trip, not one a second");
    }

    #[test]
    fn a_tripped_guard_clears_with_hysteresis() {
        let mut guards = guards(0, None);
        assert_eq!(feed(&mut guards, 0, Some(-1.0)).len(), 1);
        assert_eq!(feed(&mut guards, 1, Some(1.0)), []);
        assert_eq!(feed(&mut guards, 20, Some(-1.0)), [], "still the same trip");
        assert_eq!(feed(&mut guards, 21, Some(1.0)), []);
        assert!(matches!(feed(&mut guards, 51, Some(1.0))[..], [GuardNews::Cleared { .. }]));
        assert_eq!(feed(&mut guards, 52, Some(-1.0)).len(), 1);
    }

    #[test]
    fn a_sensor_gone_silent_stops_like_a_hot_one_and_proves_nothing() {
        let mut guards = guards(3, Some(10));
        assert_eq!(feed(&mut guards, 1, Some(30.0)), []);
        for second in 2..=11 {
            assert_eq!(feed(&mut guards, second, None), []);
        }
        let news = feed(&mut guards, 12, None);
        let GuardNews::Tripped(trip) = &news[0] else { panic!("{news:?}") };
        assert_eq!(trip.cause, SILENT);
        assert_eq!((trip.stop, trip.result), (GuardStop::Run, GuardResult::Inconclusive));
    }

    #[test]
    fn a_guard_of_the_node_trips_and_clears_once_whatever_the_number_of_gpus() {
        let told = |scope: GuardScope, readings: &dyn Fn(u64) -> Option<f64>| {
            let mut guard = guards(3, Some(10)).posts.remove(0).guard;
            guard.scope = scope;
            let gpus = [GpuIndex(0), GpuIndex(1), GpuIndex(2)];
            let mut guards = Guards::new(&[guard], &gpus, &BTreeMap::new(), Moment::ZERO);
            let mut news = Vec::new();
            for second in 1..=60 {
                let now = Moment::from_secs(second);
                for gpu in gpus {
                    let mut sample = Sample::new(gpu, now);
                    if let Some(margin) = readings(second) {
                        sample.put(Sensor::TempMargin, margin);
                    }
                    guards.sampled(now, &sample, &mut news);
                }
                guards.look_for_stale(now, &BTreeMap::new(), &mut news);
            }
            let trips = news.iter().filter(|news| matches!(news, GuardNews::Tripped(_))).count();
            (trips, news.len() - trips)
        };
        let (hot, silent) = (|second| Some(if second < 10 { -1.0 } else { 5.0 }), |_| None);
        assert_eq!((told(GuardScope::EachGpu, &hot), told(GuardScope::Node, &hot)), ((3, 3), (1, 1)));
        assert_eq!((told(GuardScope::EachGpu, &silent), told(GuardScope::Node, &silent)), ((1, 0), (1, 0)));
    }

    /// What trips and clears on three GPUs, asked every second up to the 40th; `readings` fills in a GPU's sample.
    fn of_three(readings: &dyn Fn(u64, GpuIndex, &mut Sample)) -> Vec<String> {
        let gpus = [GpuIndex(0), GpuIndex(1), GpuIndex(2)];
        let mut guards =
            Guards::new(&[guards(3, Some(10)).posts.remove(0).guard], &gpus, &BTreeMap::new(), Moment::ZERO);
        let mut told = Vec::new();
        for second in 1..=40 {
            let now = Moment::from_secs(second);
            let mut news = Vec::new();
            for gpu in gpus {
                let mut sample = Sample::new(gpu, now);
                readings(second, gpu, &mut sample);
                guards.sampled(now, &sample, &mut news);
            }
            guards.look_for_stale(now, &BTreeMap::new(), &mut news);
            told.extend(news.into_iter().map(|news| match news {
                GuardNews::Tripped(trip) => format!("{second} {} {}: {:?}", trip.component, trip.code, trip.cause),
                GuardNews::Cleared { component, .. } => format!("{second} {component} cleared"),
            }));
        }
        told
    }

    #[test]
    fn what_falls_silent_on_all_gpus_at_once_is_told_once_and_of_what_they_share() {
        let margin = |sample: &mut Sample| sample.put(Sensor::TempMargin, 30.0);
        let ended = of_three(&|second, _, sample| {
            if second < 12 {
                margin(sample);
            }
        });
        assert_eq!(ended, ["22 station SENSORS-SILENT: NothingHeard { span: 11s }"]);
        let sensor = of_three(&|second, _, sample| {
            sample.put(Sensor::Power, 70.0);
            if !(12..25).contains(&second) {
                margin(sample);
            }
        });
        let cause = TripCause::SilentOnAll { sensor: Sensor::TempMargin, span: Span::from_secs(11) };
        assert_eq!(sensor[0], format!("22 node SENSORS-SILENT: {cause:?}"));
        assert_eq!(sensor.len(), 1, "{sensor:?}");
        let one = of_three(&|second, gpu, sample| {
            if second < 12 || gpu != GpuIndex(1) {
                margin(sample);
            }
        });
        assert_eq!(one, [format!("22 gpu/1 GPU-OVERTEMP: {SILENT:?}")]);
        // Not together: the second falls silent long after the first.
        let apart = of_three(&|second, gpu, sample| {
            if second < 5 + 9 * u64::from(gpu.0) {
                margin(sample);
            }
        });
        assert!(apart[0].contains("gpu/0 GPU-OVERTEMP"), "{apart:?}");
    }

    #[test]
    fn a_sensor_the_part_does_not_have_is_silent_only_where_the_profile_says_so() {
        for (unsupported, trips) in [(IfUnsupported::Error, 1), (IfUnsupported::Skip, 0)] {
            let mut guards = guards(3, Some(10));
            guards.posts[0].guard.unsupported = unsupported;
            let news: Vec<GuardNews> = (1..=20).flat_map(|second| feed(&mut guards, second, None)).collect();
            assert_eq!(news.len(), trips, "{unsupported:?}: {news:?}");
            for news in news {
                let GuardNews::Tripped(trip) = news else { panic!("{news:?}") };
                assert_eq!((trip.code.as_str(), trip.result), ("GUARD-UNSUPPORTED", GuardResult::Inconclusive));
            }
        }
    }

    #[test]
    fn a_sensor_that_gave_readings_and_is_then_said_to_be_unsupported_fell_silent() {
        let mut guards = guards(3, Some(10));
        guards.posts[0].guard.unsupported = IfUnsupported::Skip;
        assert_eq!(feed(&mut guards, 1, Some(30.0)), []);
        let news: Vec<GuardNews> = (2..=20).flat_map(|second| feed(&mut guards, second, None)).collect();
        let [GuardNews::Tripped(trip)] = &news[..] else { panic!("{news:?}") };
        assert_eq!((trip.code.as_str(), &trip.cause), ("GPU-OVERTEMP", &SILENT));
    }

    #[test]
    fn a_stall_of_our_own_is_no_silence_of_the_sensor() {
        let mut guards = guards(3, Some(10));
        assert_eq!(feed(&mut guards, 1, Some(30.0)), []);
        let mut news = Vec::new();
        guards.look_for_stale(Moment::from_secs(60), &BTreeMap::new(), &mut news);
        assert_eq!(news, [], "nobody had asked for a minute");
    }
}
