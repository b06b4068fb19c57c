//! Every fact is told in both languages, and no sentence of ours is English where Japanese is asked for.

use super::test_facts::{
    absent, gaps, gpu_works, load_faults, note_facts, open_errors, run_failures, unproven, unreadables, wrong_places,
};
use super::*;
use kiln_event::*;
use kiln_limit::{Judged, Judgement, LotRange, Measurement, Missing, NoReference, Range, Setting, Unjudged, WaiverUse};
use kiln_model::{
    Change, Component, Fact, FactState, LoadEnd, Mismatch, Moment, ProgramAbsent, Restart, RestartRefusal, Sensor,
    Source, SourceTrouble, Unanswered, Unit, Unreadable, WrongPlace,
};
use kiln_plan::Unmet;
use kiln_profile::Capability;

/// What others say in English stays English, and is left out of the search for words of ours.
const QUOTED: &str = "QUOTED";

pub(super) fn quoted() -> String {
    QUOTED.to_owned()
}

pub(super) const GPU: GpuIndex = GpuIndex(3);
pub(super) const AT: Moment = Moment::from_secs(61);
const SPAN: Span = Span::from_secs(11);

/// English words in a row outside of quotations: a sentence, or a part of one.
fn english(text: &str) -> Option<String> {
    let mut outside = String::new();
    for (nth, part) in text.split('`').enumerate() {
        outside.push_str(if nth % 2 == 0 { part } else { QUOTED });
    }
    // Names in capital letters, of sensors and measurements, and what a shell is given are no words of a sentence.
    let is_word = |word: &&str| word.len() > 1 && word.chars().all(|letter| letter.is_ascii_lowercase());
    let words: Vec<&str> = outside.split([' ', ',', ';']).collect();
    let pair = words.windows(2).find(|pair| pair.iter().all(is_word));
    pair.map(|pair| pair.join(" "))
}

/// Asserts that a text has both languages.
#[track_caller]
fn assert_both(what: &dyn std::fmt::Debug, tell: &dyn Fn(Language) -> String) {
    let (en, ja) = (tell(Language::English), tell(Language::Japanese));
    assert!(!en.is_empty() && !ja.is_empty(), "{what:?}");
    assert!(en.chars().all(|letter| letter < '\u{3000}'), "{what:?} is not English: {en}");
    assert_eq!(english(&ja), None, "{what:?} has English: {ja}");
    let quotes = en.contains(QUOTED) && en.replace(QUOTED, "").trim_matches([':', ' ', '`']).len() < 10;
    assert!(quotes || en != ja || english(&en).is_none(), "{what:?} is the same in both: {ja}");
    for text in [&en, &ja] {
        assert!(!text.contains('{') || text.contains("{ program"), "{what:?} has an open blank: {text}");
        assert!(!text.contains("  ") && text.trim() == text.as_str(), "{what:?}: {text:?}");
    }
}

#[expect(clippy::too_many_lines, reason = "one line for each variant")]
fn all_missing() -> Vec<Missing> {
    let (covered, window) = (SPAN, Span::from_secs(60));
    let troubles = [
        SourceTrouble::Absent,
        SourceTrouble::NoPermission,
        SourceTrouble::Directory,
        SourceTrouble::OtherKind,
        SourceTrouble::Failed(5),
        SourceTrouble::ReaderGone,
        SourceTrouble::Replaced,
        SourceTrouble::NotTold,
    ];
    let sources = [
        Source::KernelLog,
        Source::DriverEvents,
        Source::MemoryControllers,
        Source::PcieCounters,
        Source::PciBus,
        Source::Infiniband,
    ];
    let settings = [
        Setting::Ecc,
        Setting::EccAfterReset,
        Setting::Mig,
        Setting::MigAfterReset,
        Setting::Persistence,
        Setting::ComputeMode,
        Setting::PowerLimit,
        Setting::ApplicationClock,
    ];
    let mut ends = vec![LoadEnd::Finished, LoadEnd::Stopped, LoadEnd::GpuLost, LoadEnd::Unkillable];
    ends.extend(load_faults().into_iter().map(LoadEnd::Failed));
    let failures =
        [ReadingFailure::Lost, ReadingFailure::Timeout, ReadingFailure::NoPermission, ReadingFailure::Driver(15)];
    let mut all = vec![
        Missing::NotGiven,
        Missing::NotFinite,
        Missing::NeverRead,
        Missing::NoLongerOffered,
        Missing::PowerLimitsUnread,
        Missing::ClockReasonsUnread,
        Missing::NotListed,
        Missing::NotTold { param: "nics".to_owned() },
        Missing::GpuLost { at: AT },
        Missing::PeerLost { gpu: GPU },
        Missing::NoPartner,
        Missing::NoOtherGpu,
        Missing::FailedReadings { failed: 6, of: 100 },
        Missing::Coverage { readings: 3, covered, window },
        Missing::FewReadings { readings: 3, least: 5 },
        Missing::CoverageTogether { covered, window },
        Missing::TrafficCoverage { samples: 3, covered, traffic: window },
        Missing::NoStatistic,
        Missing::NoReadingUnderLoad,
        Missing::NoSampleInPulses,
        Missing::CountersUnread,
        Missing::FirstLook,
        Missing::CounterNeverRead,
        Missing::CounterReadOnce,
        Missing::CounterUnreadAtEnd,
        Missing::CounterReadAtOneEnd,
        Missing::CounterCoverage { seen: covered, window },
        Missing::CounterBackwards,
        Missing::CounterFull { at: 255 },
        Missing::LinkIsNew,
        Missing::LoadSilent { told: covered, window },
        Missing::LoadNeverReported,
        Missing::ForeignProcess,
        Missing::NothingCompared,
        Missing::NoCopyTimed,
        Missing::NoTrafficTold,
        Missing::NoPassFinished,
        Missing::MarchUnfinished,
        Missing::ScreenUnfinished,
        Missing::NoReferenceTemperature,
        Missing::NoIdleState,
        Missing::LittlePower { watts: 12.4 },
        Missing::NeverSteady,
        Missing::HardlyWarmer,
        Missing::NeverBusy,
        Missing::BusyFor { busy: covered },
        Missing::LoadUnchanged { samples: 31 },
        Missing::CauseUnchanged,
        Missing::ClockNotKept { held: 990.0, mean: 1980.0 },
        Missing::ClockCeilingUnknown,
        Missing::NvlinkCountUnknown,
        Missing::NvlinkSpeedUnknown,
        Missing::NoNvlinkActive,
        Missing::GpuCountAmbiguous { sold: vec![8, 4], found: 4 },
        Missing::GpuCountUnknown,
        Missing::ForeignBus,
        Missing::KernelLogGaps,
        Missing::NotOffered,
        Missing::NoSpeedShown,
        Missing::NoValueChecked,
        Missing::SilentOn { gpus: vec![GPU] },
        Missing::NotInReport { pointer: "/a/b".to_owned() },
        Missing::NotANumber { pointer: "/a/b".to_owned(), found: quoted() },
        Missing::Legacy(quoted()),
    ];
    all.extend(note_facts().into_iter().map(|note| Missing::SlowerKernel { note: Box::new(note) }));
    all.extend(unproven().into_iter().map(Missing::Program));
    all.extend(failures.map(Missing::Read));
    all.extend(settings.map(|setting| Missing::SettingUnread { setting, failure: ReadingFailure::Timeout }));
    all.extend(ends.into_iter().map(Missing::LoadEnded));
    all.extend(troubles.map(Missing::KernelLogUnread));
    all.extend(sources.into_iter().flat_map(|source| troubles.map(|trouble| Missing::SourceGone { source, trouble })));
    all
}

fn references() -> Vec<NoReference> {
    vec![
        NoReference::Sku("tdp".to_owned()),
        NoReference::SkuUnit { fact: "tdp".to_owned(), unit: Unit::Celsius },
        NoReference::Peers,
        NoReference::Baseline,
        NoReference::First,
        NoReference::Lot,
        NoReference::TermUnit { term: "5 W".to_owned(), unit: Unit::Celsius },
        NoReference::NotFinite { term: "5 W".to_owned() },
        NoReference::EmptyRange { low: 2.0, high: 1.0 },
        NoReference::Pattern("^96".to_owned()),
        NoReference::Legacy(quoted()),
    ]
}

fn causes() -> Vec<TripCause> {
    let (sensor, span) = (Sensor::TempMargin, SPAN);
    vec![
        TripCause::Reading { sensor, value: -2.0, held: span },
        TripCause::NotOffered { sensor },
        TripCause::Silent { sensor, span },
        TripCause::SilentOnAll { sensor, span },
        TripCause::NothingHeard { span },
        TripCause::GpuLost,
        TripCause::Xid { code: 79 },
        TripCause::Xid { code: 9999 },
        TripCause::Legacy(quoted()),
    ]
}

fn judgement(outcome: Judged) -> Judgement {
    let measurement = Measurement::number("temp.max", Component::Gpu(GPU), Unit::Celsius, 93.0, 60);
    Judgement::new(measurement, Some("<= 90 °C"), Range { low: None, high: Some(90.0) }, outcome)
}

fn waiver_use() -> WaiverUse {
    let [matches, reason, until, by] = ["a.b[gpu/3].temp.max", "ECN-1042", "2030-12-31", "qa"].map(str::to_owned);
    WaiverUse { matches, reason, until, by }
}

fn mismatch() -> Mismatch {
    Mismatch {
        gpu: GPU,
        place: WrongPlace::Sm { sm: 41, unit: None },
        iteration: 7,
        word: 1024,
        flipped_bits: 1,
        sm: None,
    }
}

fn unmets() -> Vec<Unmet> {
    let all = [
        Capability::Nvlink,
        Capability::NvlinkSwitch,
        Capability::Fabric,
        Capability::C2c,
        Capability::MemoryTemperature,
        Capability::InletTemperature,
        Capability::KernelLog,
        Capability::Peers,
    ];
    let lacks = |capability| Unmet::Lacks { models: vec!["l40s".to_owned()], capability };
    all.map(lacks).into_iter().chain([Unmet::NoPeers, Unmet::LinkedDirectly, Unmet::Legacy(quoted())]).collect()
}

fn reasons() -> Vec<Reason> {
    let failed = || Box::new(judgement(Judged::Fail));
    let unjudged = |why| Box::new(judgement(Judged::Unjudged(why)));
    let mut waived = judgement(Judged::Fail);
    waived.waiver = Some(waiver_use());
    let lot = LotRange { low: 60.0, high: 80.0, units: 40 };
    let outlier = || Box::new(judgement(Judged::Pass).within_lot(lot));
    let stop = |cause| GuardStop { guard: "hot".to_owned(), component: Component::Gpu(GPU), cause };
    let program = |trouble| Reason::Program { program: "fio".to_owned(), trouble };
    let restart = |refusal| Reason::Restart(RestartTrouble::Refused(refusal));
    let unread = |why| ProgramTrouble::Unreadable { exit: Some(1), why, printed: None };
    let (after, why) = (SPAN, Unreadable::Words(quoted()));
    let mut all = vec![
        Reason::Limit(failed()),
        Reason::Marginal(failed()),
        Reason::Outlier(outlier()),
        Reason::Waived(Box::new(waived)),
        Reason::Alike { judgement: failed(), parts: 8 },
        Reason::Unsupported(unjudged(Unjudged::Unsupported)),
        Reason::NoLimit,
        Reason::Lost { at: AT },
        Reason::Mismatch { at: AT, mismatch: mismatch() },
        Reason::Interrupted,
        Reason::Timeout { after },
        Reason::Unkillable,
        Reason::NobodyAsked,
        Reason::Restless { gpus: vec![Restless { gpu: GPU, busy: true }, Restless { gpu: GPU, busy: false }] },
        Reason::Probe { said: Unanswered::Words(quoted()) },
        Reason::Probe { said: Unanswered::CountersNotRecorded },
        restart(RestartRefusal::NotOffered),
        restart(RestartRefusal::NotAllowed(Restart::PowerCycle)),
        restart(RestartRefusal::NotStarted { command: quoted(), error: quoted() }),
        restart(RestartRefusal::Failed { command: quoted(), exit: Some(1), printed: quoted() }),
        restart(RestartRefusal::Failed { command: quoted(), exit: None, printed: String::new() }),
        restart(RestartRefusal::Hung { command: quoted() }),
        Reason::Restart(RestartTrouble::StillUp { after }),
        Reason::Restart(RestartTrouble::SameBoot),
        Reason::Restart(RestartTrouble::BootUnread),
        Reason::Stopped(Halted::ByBoots { boots: 3 }),
        Reason::Load(LoadTrouble::NotRunning { after }),
        Reason::Load(LoadTrouble::CopiesUnfinished { after }),
        program(ProgramTrouble::Overdue { after, printed: Some(quoted()) }),
        program(ProgramTrouble::Overdue { after, printed: None }),
        program(ProgramTrouble::Unreadable { exit: Some(1), why: why.clone(), printed: Some(quoted()) }),
        program(ProgramTrouble::Unreadable { exit: None, why, printed: None }),
        program(ProgramTrouble::Foreign { gpu: GPU, of: 2 }),
        program(ProgramTrouble::Ended(LoadEnd::Stopped)),
        Reason::NotInstalled { said: absent() },
        Reason::NoPorts { shown: true },
        Reason::NoPorts { shown: false },
        Reason::Parameter(BadParameter::NoProgram),
        Reason::Parameter(BadParameter::Value("Iops: 3".to_owned())),
        Reason::Parameter(BadParameter::Pattern { param: "bios".to_owned(), error: quoted() }),
        Reason::NotApplicable { said: ProgramAbsent::NoProgram { path: quoted() } },
        Reason::Deselected,
        Reason::Needs { step: "burn.gemm".to_owned() },
        Reason::NeedsStage { stage: "burn".to_owned(), step: "burn.gemm".to_owned() },
        Reason::Stopped(Halted::ByOperator),
        Reason::Stopped(Halted::ByGuard(stop(TripCause::GpuLost))),
        Reason::Legacy { kind: ReasonKind::Timeout, text: quoted() },
    ];
    all.extend(unreadables().into_iter().map(|why| program(unread(why))));
    let outcomes = [Outcome::Fail, Outcome::Error, Outcome::Inconclusive, Outcome::Aborted];
    let ended = |outcome| Reason::Stopped(Halted::ByStep { step: "burn.gemm".to_owned(), outcome });
    all.extend(outcomes.map(ended));
    all.extend(unmets().into_iter().map(Reason::Unmet));
    all.extend(causes().into_iter().map(|cause| Reason::Trip { guard: "hot".to_owned(), cause }));
    all.extend(causes().into_iter().map(|cause| Reason::GuardStop(stop(cause))));
    all.extend(references().into_iter().map(|what| Reason::NoReference(unjudged(Unjudged::NoReference(what)))));
    all.extend(all_missing().into_iter().map(|why| {
        let mut unmeasured = judgement(Judged::Unjudged(Unjudged::NotMeasured));
        unmeasured.measurement = Measurement::missing("temp.max", Component::Gpu(GPU), Unit::Celsius, why);
        Reason::NotMeasured(Box::new(unmeasured))
    }));
    all
}

fn facts() -> Vec<EvidenceFact> {
    let states = [
        FactState::Value("5".to_owned()),
        FactState::There,
        FactState::NotThere,
        FactState::OneOf(2),
        FactState::Unsupported,
        FactState::Unread(ReadingFailure::Timeout),
    ];
    let mut all = vec![
        EvidenceFact::Value(Box::new(judgement(Judged::Fail))),
        EvidenceFact::Logged { text: quoted(), at: AT, before: None },
        EvidenceFact::Logged { text: quoted(), at: AT, before: Some(SPAN) },
        EvidenceFact::Lost { at: AT },
        EvidenceFact::SilentFromStart { failure: ReadingFailure::Lost },
        EvidenceFact::Mismatch { at: AT, mismatch: mismatch(), celsius: Some(83.0) },
        EvidenceFact::Mismatch { at: AT, mismatch: mismatch(), celsius: None },
        EvidenceFact::OneSm { sm: 56, told: 7, of: 8 },
        EvidenceFact::Late(Lateness::default()),
        EvidenceFact::Unrecognised { at: AT },
        EvidenceFact::Booted { at: AT },
        EvidenceFact::NotWithDriver { addresses: vec!["00000000:53:00.0".to_owned()] },
        EvidenceFact::Legacy(quoted()),
    ];
    all.extend(states.map(|is| {
        let was = FactState::Value("4".to_owned());
        EvidenceFact::Changed { at: AT, change: Change { component: Component::Node, fact: Fact::Dimms, was, is } }
    }));
    all.extend(causes().into_iter().map(|cause| EvidenceFact::Trip { at: AT, cause }));
    all
}

#[test]
fn every_fact_is_told_in_both_languages_with_no_english_of_ours_in_japanese() {
    for one in all_missing() {
        assert_both(&one, &|language| missing(language, &one));
    }
    for one in note_facts() {
        assert_both(&one, &|language| note_fact(language, &one));
    }
    for one in references() {
        assert_both(&one, &|language| no_reference(language, &one));
    }
    for one in causes() {
        assert_both(&one, &|language| trip_cause(language, &one));
    }
    for one in reasons() {
        assert_both(&one, &|language| reason(language, &one));
    }
    for fact in facts() {
        let one = Evidence { from: EvidenceSource::Readings, component: Component::Gpu(GPU), fact };
        assert_both(&one, &|language| evidence(language, &one));
    }
    for source in [
        EvidenceSource::KernelLog,
        EvidenceSource::Readings,
        EvidenceSource::Results,
        EvidenceSource::PciBus,
        EvidenceSource::Resume,
    ] {
        assert_both(&source, &|language| from(language, &source));
    }
    for by in [Interruption::Signal, Interruption::Kill].into_iter().chain(run_failures().map(Interruption::Failure)) {
        assert_both(&by, &|language| interruption(language, &by));
    }
    for one in wrong_places() {
        assert_both(&one, &|language| wrong_place(language, &one));
    }
}

/// The names of the variants that the text of an enum in `source` declares.
fn variants<'s>(source: &'s str, name: &str) -> Vec<&'s str> {
    let (_, body) = source.split_once(&format!("pub enum {name} {{\n")).expect("the enum");
    let (body, _) = body.split_once("\n}").expect("its end");
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(|letter: char| letter.is_ascii_uppercase()));
    names.map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default()).collect()
}

#[test]
fn no_variant_is_left_out_of_the_test_above() {
    fn told<T: std::fmt::Debug>(all: &[T]) -> Vec<String> {
        let name = |one: &T| format!("{one:?}").split(|c: char| !c.is_ascii_alphanumeric()).next().map(str::to_owned);
        all.iter().filter_map(name).collect()
    }
    let sources = [
        (include_str!("../../model/missing.rs"), "Missing", told(&all_missing())),
        (include_str!("../../model/load_fault.rs"), "LoadFault", told(&load_faults())),
        (include_str!("../../model/load_fault.rs"), "OpenError", told(&open_errors())),
        (include_str!("../../model/gpu_work.rs"), "GpuWork", told(&gpu_works())),
        (include_str!("../../model/gpu_work.rs"), "WrongPlace", told(&wrong_places())),
        (include_str!("../../event/run_failure.rs"), "RunFailure", told(&run_failures())),
        (include_str!("../../model/load_note.rs"), "NoteFact", told(&note_facts())),
        (include_str!("../../model/program.rs"), "Unreadable", told(&unreadables())),
        (include_str!("../../model/program_output.rs"), "OutputGap", told(&gaps())),
        (include_str!("../../model/program_output.rs"), "Unproven", told(&unproven())),
        (include_str!("../../limit/references.rs"), "NoReference", told(&references())),
        (include_str!("../../event/trip.rs"), "TripCause", told(&causes())),
        (include_str!("../../event/reason.rs"), "Reason", told(&reasons())),
        (include_str!("../../event/evidence.rs"), "EvidenceFact", told(&facts())),
        (include_str!("../../plan/planned.rs"), "Unmet", told(&unmets())),
    ];
    for (source, name, told) in sources {
        let all = variants(source, name);
        assert!(all.len() > 2, "{name}: {all:?}");
        for variant in all {
            assert!(told.iter().any(|one| one == variant), "{name}::{variant} is not driven");
        }
    }
}
