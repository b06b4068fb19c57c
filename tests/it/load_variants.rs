//! What loads can be told to do otherwise, and what once made them hang, miss or outstay: on a driver without a GPU.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kiln::load::worker::{Beside, Images, Injection, MarchPattern, MarchWork, Variant};
use kiln::model::{BurnKernel, LoadEnd, LoadKind, LoadSaid, NoteKind, Screened, Turns, WrongPlace};

use crate::load_on_a_fake_gpu::{Bench, Told};

const BF16: LoadKind = LoadKind::Burn(BurnKernel::Bf16);
const SCREEN: LoadKind = LoadKind::Screen { kernel: BurnKernel::Bf16, turns: Turns::EachInTurn, held: None };
const MARCH: LoadKind = LoadKind::March { coverage: 0.98 };

/// The greatest rate of memory that was told.
fn memory(told: &Told) -> f64 {
    let rate = |said: &LoadSaid| match said {
        LoadSaid::Progress { memory_gb_per_s, .. } => Some(*memory_gb_per_s),
        _ => None,
    };
    told.0.iter().filter_map(rate).fold(0.0, f64::max)
}

#[test]
fn a_burn_can_do_without_its_memory_stream() {
    let without = Variant { beside: Beside::Nothing, ..Variant::default() };
    let told = Bench::of(BF16).vary(without).lasting(300).run();
    assert_eq!((told.end(), memory(&told)), (&LoadEnd::Finished, 0.0));
    assert!(told.counts().0 > 0 && told.counts().1 == 0);
    assert!(memory(&Bench::of(BF16).lasting(300).run()) > 0.0);
}

#[test]
fn the_fallback_can_be_asked_for_and_says_so() {
    let fallback = Variant { images: Images::Fallback, ..Variant::default() };
    let told = Bench::of(BF16).vary(fallback).lasting(100).run();
    assert_eq!(told.end(), &LoadEnd::Finished);
    let notes = told.notes();
    assert!(notes.iter().any(|note| note.ends_with("only the fallback was asked for")), "{notes:?}");
}

#[test]
fn a_march_can_keep_to_one_pattern_and_a_copy_can_stand_beside_it() {
    let works = MarchPattern::ALL.map(MarchWork::Only).into_iter().chain([MarchWork::DeviceCopy]);
    for work in works {
        let told = Bench::of(MARCH).vary(Variant { march: work, ..Variant::default() }).run();
        assert_eq!(told.end(), &LoadEnd::Finished, "{work:?}");
        assert!(memory(&told) > 0.0 && told.counts().1 == 0, "{work:?}: {:?}", told.0);
        // Of four sweeps three read.
        let read = told.counts().0 * 8 / (60 << 20);
        assert_eq!(read, if work == MarchWork::DeviceCopy { 0 } else { 3 }, "{work:?}");
    }
}

#[test]
fn every_flipped_bit_is_found_once() {
    let loads = [BurnKernel::Bf16, BurnKernel::Fp8, BurnKernel::Fp32, BurnKernel::Fp64].map(LoadKind::Burn);
    for kind in loads.into_iter().chain([MARCH]) {
        let told = Bench::of(kind.clone()).inject(Injection::BitFlips { count: 12 }).lasting(60_000).run();
        assert_eq!((told.end(), told.counts().1), (&LoadEnd::Finished, 12), "{kind:?}: {:#?}", told.0);
        let found = |said: &LoadSaid| match said {
            LoadSaid::Mismatched(wrong) => Some((wrong.iteration, wrong.word, wrong.flipped_bits)),
            _ => None,
        };
        let found: BTreeSet<_> = told.0.iter().filter_map(found).collect();
        assert!(found.len() == 12 && found.iter().all(|(.., bits)| *bits == 1), "{kind:?}: {found:?}");
    }
}

/// Flipped, found, and results wrong.
fn flips(told: &Told) -> (u32, u32, u64) {
    let flips = |said: &LoadSaid| match said {
        LoadSaid::Flipped { flipped, found, .. } => Some((*flipped, *found)),
        _ => None,
    };
    let (flipped, found) = told.0.iter().find_map(flips).unwrap_or_else(|| panic!("not told: {:#?}", told.0));
    (flipped, found, told.counts().1)
}

/// More than the log on the GPU has records for.
#[test]
fn a_flipped_bit_counts_as_found_only_in_its_own_place() {
    for kind in [BF16, MARCH] {
        let told = Bench::of(kind.clone()).inject(Injection::BitFlips { count: 100 }).lasting(60_000).run();
        assert_eq!(flips(&told), (100, 100, 100), "{kind:?}");
    }
    let told = Bench::of(BF16).fault("astray").inject(Injection::BitFlips { count: 40 }).lasting(60_000).run();
    let (flipped, found, wrong) = flips(&told);
    // As many wrong results as flipped bits, but not of them.
    assert!((flipped, wrong) == (40, 40) && (1..40).contains(&found), "{found} found");
}

fn screened(told: &Told) -> Screened {
    let of = |said: &LoadSaid| if let LoadSaid::Screened(screened) = said { Some(screened.clone()) } else { None };
    told.0.iter().find_map(of).unwrap_or_else(|| panic!("not told: {:#?}", told.0))
}

#[test]
fn a_screen_names_the_multiprocessor_that_computes_wrong() {
    let healthy = Bench::of(SCREEN).run();
    assert_eq!((healthy.end(), healthy.counts().1), (&LoadEnd::Finished, 0));
    // Four processors of two units; exact, random and toggling, four windows, alone and together; and what two of them were learnt by.
    let results = 2 * 3 * 4 * 4 * 2 * 64 * 256_u32;
    assert_eq!(healthy.counts().0, u64::from(results) + 2 * 4 * 2 * 64 * 256, "{:?}", healthy.0);
    let of = screened(&healthy);
    assert_eq!((of.sms, of.unreached.as_slice()), (4, [].as_slice()));
    // A result of random operands is the sum of more products than one of exact operands.
    assert!(of.products > 16.0 * f64::from(results), "{of:?}");
    // Four alone and all together do the same: an eighth each.
    assert!((of.least_alone * 8.0 - of.products).abs() < 1.0, "{of:?}");
    let told = Bench::of(SCREEN).fault("one-sm").run();
    assert!(told.counts().1 > 0);
    let places: BTreeSet<String> = told.places().into_iter().map(|place| place[..4].to_owned()).collect();
    assert_eq!(places, ["SM 2".to_owned()].into(), "{:?}", told.places());
    let sm = |said: &LoadSaid| if let LoadSaid::Mismatched(wrong) = said { Some(wrong.sm) } else { None };
    assert!(told.0.iter().filter_map(sm).all(|sm| sm == Some(2)), "{:?}", told.0);
}

#[test]
fn a_screen_finds_what_is_wrong_only_where_nearly_all_wires_switch_at_once() {
    let burn = Bench::of(BF16).fault("switching").lasting(300).run();
    assert_eq!((burn.end(), burn.counts().1), (&LoadEnd::Finished, 0), "random bits do not show it");
    let told = Bench::of(SCREEN).fault("switching").run();
    assert!(told.counts().1 > 0);
    assert!(told.places().iter().all(|place| place.starts_with("SM 2")), "{:?}", told.places());
}

#[test]
fn a_screen_of_all_multiprocessors_together_owes_none_alone() {
    let kind = LoadKind::Screen { kernel: BurnKernel::Fp32, turns: Turns::AllAtOnce, held: None };
    let told = Bench::of(kind).lasting(300).run();
    assert_eq!((told.end(), told.counts().1, memory(&told)), (&LoadEnd::Finished, 0, 0.0));
    let of = screened(&told);
    assert_eq!((of.sms, of.least_alone, of.unreached.as_slice()), (4, 0.0, [].as_slice()));
    assert!(of.products > told.counts().0 as f64, "{of:?}");
}

fn wrong_at_work(said: &LoadSaid) -> bool {
    // Units that differ when a burn is set up are told otherwise.
    matches!(said, LoadSaid::Mismatched(wrong) if matches!(wrong.place, WrongPlace::Sm { unit: Some(_), .. }))
}

/// A round over the multiprocessors of a large GPU takes seconds, so that most screens are stopped within one.
#[test]
fn a_screen_that_is_stopped_within_a_round_tells_what_it_found_and_whom_it_did_not_reach() {
    let bench = Bench::of(SCREEN).with("KILN_FAKE_CUDA_MULTIPROCESSORS", "32").inject(Injection::Slow);
    let told = bench.fault("one-sm").lasting(60_000).until(wrong_at_work).run();
    assert_eq!(told.end(), &LoadEnd::Stopped);
    assert!(told.counts().1 > 0, "the last second is lost: {:#?}", told.0);
    let of = screened(&told);
    assert!(of.sms == 32 && of.unreached.last() == Some(&31) && of.unreached.len() < 32, "{of:?}");
}

#[test]
fn a_screen_whose_span_ends_within_a_round_ends_with_it_but_not_before_its_first() {
    let unit = 64 * 256;
    // Results of a launch: four windows of two units; 48 alone, and three in which all 16 do as much.
    let round = 4 * 2 * unit * (48 + 48);
    // The second span ends in the second round, which takes a second at the least.
    for (span, rounds) in [(1, round..=round), (1_500, round..=2 * round - 1)] {
        let bench = Bench::of(SCREEN).with("KILN_FAKE_CUDA_MULTIPROCESSORS", "16").inject(Injection::Slow);
        let told = bench.lasting(span).run();
        assert_eq!(told.end(), &LoadEnd::Finished);
        assert!(screened(&told).unreached.is_empty(), "{:?}", told.0);
        // Less what was compared to set it up, with random and with toggling operands.
        let compared = told.counts().0 - 2 * 16 * 2 * unit;
        assert!(rounds.contains(&compared), "{compared} in {span} ms, {round} in a round");
    }
}

#[test]
fn marches_and_copies_that_are_stopped_tell_of_their_last_second() {
    for work in [MarchWork::Passes, MarchWork::DeviceCopy] {
        let bench = Bench::of(MARCH).vary(Variant { march: work, ..Variant::default() }).inject(Injection::Slow);
        // Told to stop as soon as it runs: less than a second of work, and nothing has been told of it by then.
        let told = bench.fault("stuck").lasting(60_000).until(|said| *said == LoadSaid::Running).run();
        assert_eq!(told.end(), &LoadEnd::Stopped, "{work:?}");
        let tells = told.0.iter().filter(|said| matches!(said, LoadSaid::Progress { .. })).count();
        assert!(tells > 0, "{work:?}: {:#?}", told.0);
    }
}

/// The queue of copies through the host fills, and the caller waits: behind a closed gate that would be for ever.
#[test]
fn copies_through_the_host_are_not_queued_behind_a_gate_that_only_their_caller_opens() {
    for (kind, span) in [(LoadKind::PairCopy, 60_000), (LoadKind::AllToAll, 10)] {
        let told = Bench::of(kind).gpus(2).with("KILN_FAKE_CUDA_PEERS", "0").lasting(span).run();
        assert_eq!(told.end(), &LoadEnd::Finished, "{:#?}", told.0);
        let moved = told.0.iter().filter(|said| matches!(said, LoadSaid::Moved(_))).count();
        assert!(moved >= 2, "{:#?}", told.0);
    }
}

#[test]
fn more_peers_than_the_driver_opens_are_a_note_and_no_failure() {
    let bench = Bench::of(LoadKind::PairCopy).gpus(3).with("KILN_FAKE_CUDA_GPUS", "3");
    let told = bench.with("KILN_FAKE_CUDA_PEERS_MOST", "1").run();
    assert_eq!(told.end(), &LoadEnd::Finished, "{:#?}", told.0);
    let closed = |said: &LoadSaid| match said {
        LoadSaid::Noted { kind: NoteKind::ThroughHost, what, .. } => Some(what.to_string()),
        _ => None,
    };
    insta::assert_snapshot!(told.0.iter().filter_map(closed).collect::<Vec<_>>().join("\n"), @"
    the driver opens no further direct way, to gpu/2: copies go through the host
    the driver opens no further direct way, to gpu/2: copies go through the host
    the driver opens no further direct way, to gpu/1: copies go through the host
    ");
    assert_eq!(told.0.iter().filter(|said| matches!(said, LoadSaid::Moved(_))).count(), 6);
}

/// The stream ends long after the burn beside it, and the load ends with it: what it found last is told all the same.
#[test]
fn what_the_last_sweep_beside_a_burn_finds_is_told() {
    let told = Bench::of(BF16).fault("late-stream").lasting(200).run();
    assert_eq!(told.end(), &LoadEnd::Finished);
    let places = told.places();
    assert!(places.iter().any(|place| place == "memory stream at 0x1f40"), "{places:?}");
    assert!(told.counts().1 > 0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a real process runs on the clock of the world")]
fn a_pulse_that_is_on_longer_than_its_span_ends_with_it_and_tells_of_its_work() {
    let kind = LoadKind::Pulse { kernel: BurnKernel::Bf16, hertz: 0.05, duty: 0.99 };
    let began = Instant::now();
    let told = Bench::of(kind).lasting(2_500).run();
    assert_eq!(told.end(), &LoadEnd::Finished);
    // The pulse itself would be on for 19.8 s.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let tells = told.0.iter().filter(|said| matches!(said, LoadSaid::Progress { .. })).count();
    assert!(tells >= 2, "{:#?}", told.0);
}
