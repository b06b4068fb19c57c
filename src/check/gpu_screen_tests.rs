//! What a screen starts, adds up and claims, and what it does not claim where clocks were not held.

use super::*;
use crate::rig::{Rig, Scene, assert_complete, lines, progress, shown};
use kiln_model::{BurnKernel, ClockRefusal, LoadKind, Mismatch, Process, Reading, Screened, Sensor, Turns, WrongPlace};

/// The clock to be held of a load, if one is.
fn held(scene: &Scene<'_>) -> Option<f64> {
    let Some((LoadKind::Screen { held, .. }, _)) = scene.load else { return None };
    *held
}

/// Ends each load after its length, and reports what it compared.
fn screening(scene: &Scene<'_>, unreached: &[u32]) -> Vec<LoadSaid> {
    let Some((kind, seconds)) = scene.load else { return Vec::new() };
    let LoadKind::Screen { kernel, turns, held } = kind else { panic!("another load: {kind:?}") };
    let length = match (kernel, turns, held) {
        (_, _, Some(_)) => 15.0,
        (_, Turns::EachInTurn, None) => 30.0,
        (BurnKernel::Fp32, ..) => 180.0,
        _ => 60.0,
    };
    if seconds < length {
        return vec![progress(scene, 700.0)];
    }
    let screened = Screened {
        gpu: scene.gpu,
        sms: 132,
        products: if held.is_some() { 1e14 } else { 1e15 },
        least_alone: match (turns, held) {
            (Turns::AllAtOnce, _) => 0.0,
            (Turns::EachInTurn, None) => 3e12,
            (Turns::EachInTurn, Some(_)) => 1e12,
        },
        unreached: unreached.to_vec(),
    };
    let mut said = vec![LoadSaid::Screened(screened)];
    // The toy node has one load; its last GPU ends it.
    if scene.gpu == GpuIndex(1) {
        said.push(LoadSaid::Ended { gpu: None, end: LoadEnd::Finished });
    }
    said
}

/// Two GPUs that keep every clock that is held.
fn rig() -> Rig {
    let mut rig = Rig::new(&GpuScreen, 2);
    rig.works = Box::new(|scene| screening(scene, &[]));
    rig.sensors = Box::new(|scene, sample| {
        if let Some(held) = held(scene) {
            sample.put(Sensor::ClockSm, held + 7.0);
        }
    });
    rig
}

#[test]
fn ten_loads_follow_one_another_and_their_products_add_up() {
    let mut rig = rig();
    let done = rig.run(&GpuScreen);
    assert_complete(&SPEC, &done, &rig.components);
    let started = rig.story.iter().filter_map(|line| Some(line.split_once(" start ")?.1));
    insta::assert_snapshot!(started.collect::<Vec<_>>().join("\n"), @"
    Screen { kernel: Bf16, turns: EachInTurn, held: None } on 2 GPUs
    Screen { kernel: Bf16, turns: EachInTurn, held: Some(600.0) } on 2 GPUs
    Screen { kernel: Bf16, turns: AllAtOnce, held: Some(600.0) } on 2 GPUs
    Screen { kernel: Bf16, turns: EachInTurn, held: Some(1185.0) } on 2 GPUs
    Screen { kernel: Bf16, turns: AllAtOnce, held: Some(1185.0) } on 2 GPUs
    Screen { kernel: Fp32, turns: AllAtOnce, held: None } on 2 GPUs
    Screen { kernel: Bf16, turns: AllAtOnce, held: None } on 2 GPUs
    Screen { kernel: Bf16, turns: AllAtOnce, held: Some(600.0) } on 2 GPUs
    Screen { kernel: Bf16, turns: AllAtOnce, held: Some(1185.0) } on 2 GPUs
    Screen { kernel: Bf16, turns: EachInTurn, held: None } on 2 GPUs
    ");
    insta::assert_snapshot!(lines(&done, Component::gpu(0)), @"
    excluded 1535517723198537
    products 4600000000000000
    excluded.alone 2002849204172
    products.alone 6000000000000
    clock.low 607 MHz
    excluded.low 100142460208600
    products.low 300000000000000
    excluded.low.alone 333808200695
    products.low.alone 1000000000000
    clock.middle 1192 MHz
    excluded.middle 100142460208600
    products.middle 300000000000000
    excluded.middle.alone 333808200695
    products.middle.alone 1000000000000
    clocks.unscreened 0
    sms 132
    sms.unreached 0
    sms.wrong none
    clock.alone 1755 MHz
    clock.light 1755 MHz
    clock.full 1755 MHz
    clock.alone.of-greatest 88.6364 %
    temp.cool 44.8148 °C
    temp.hot 53 °C
    verified 380000
    mismatches 0
    processes.joined 0
    ");
}

#[test]
fn a_clock_that_was_not_held_is_not_claimed_and_the_other_one_is() {
    let mut rig = rig();
    rig.sensors = Box::new(|scene, sample| {
        let heated = scene.at > 200.0 && scene.gpu == GpuIndex(0);
        match held(scene) {
            // The die is hot, and something slows it down below the middle clock.
            Some(1185.0) if heated => sample.put(Sensor::ClockSm, 990.0),
            Some(held) => sample.put(Sensor::ClockSm, held),
            None => {}
        }
    });
    let done = rig.run(&GpuScreen);
    let of = |gpu, name| shown(&done, Component::gpu(gpu), name);
    let unheld = "missing: ClockNotKept { held: 1185.0, mean: 990.0 }";
    assert_eq!([of(0, "products.middle"), of(0, "products.middle.alone")], [unheld, unheld]);
    assert_eq!([of(0, "clock.middle"), of(0, "clock.low")], ["990 MHz", "600 MHz"]);
    assert_eq!([of(0, "clocks.unscreened"), of(1, "clocks.unscreened")], ["1", "0"]);
    assert_eq!(of(0, "products.low"), "300000000000000");
    assert_eq!(of(0, "mismatches"), "0", "what was compared at another clock was compared all the same");
}

#[test]
fn a_clock_that_is_given_back_before_its_load_has_ended_is_not_counted_against_it() {
    let mut rig = rig();
    // A worker that takes four seconds to leave its GPU.
    rig.works = Box::new(|scene| match scene.load {
        Some((kind, seconds)) if held(scene).is_some() => {
            screening(&Scene { load: Some((kind, (seconds - 4.0).max(0.0))), ..*scene }, &[])
        }
        _ => screening(scene, &[]),
    });
    rig.sensors = Box::new(|scene, sample| {
        if let Some(clock) = held(scene) {
            let over = scene.load.is_some_and(|(_, seconds)| seconds > 17.0);
            sample.put(Sensor::ClockSm, if over { 1980.0 } else { clock });
        }
    });
    let done = rig.run(&GpuScreen);
    assert_eq!(shown(&done, Component::gpu(0), "clocks.unscreened"), "0");
    assert_eq!(shown(&done, Component::gpu(1), "clock.low"), "600 MHz");
}

/// What is told of GPU 0 where the clocks of some GPUs cannot be held, and how many loads there were.
fn refused(why: ClockRefusal, gpus: fn(GpuIndex) -> bool) -> (Done, usize) {
    let mut rig = rig();
    rig.works = Box::new(move |scene| {
        let end = || LoadEnd::Failed(LoadFault::ClockNotHeld(why.clone()));
        // Where every GPU has left by itself, the engine tells of no further end.
        match held(scene) {
            Some(_) if gpus(scene.gpu) => vec![LoadSaid::Ended { gpu: Some(scene.gpu), end: end() }],
            _ => screening(scene, &[]),
        }
    });
    let done = rig.run(&GpuScreen);
    assert_complete(&SPEC, &done, &rig.components);
    (done, rig.story.iter().filter(|line| line.contains(" start ")).count())
}

#[test]
fn where_no_clock_may_be_held_the_other_parts_run_and_what_was_not_screened_is_counted() {
    let (done, loads) = refused(ClockRefusal::NotPermitted, |_| true);
    assert_eq!(loads, 5, "four, and one that asked in vain");
    let of = |name| shown(&done, Component::gpu(0), name);
    assert_eq!(of("clocks.unscreened"), "2");
    assert_eq!(of("products.low"), "missing: LoadEnded(Failed(ClockNotHeld(NotPermitted)))");
    assert_eq!((of("products").as_str(), of("mismatches").as_str()), ("4000000000000000", "0"));
    let (done, _) = refused(ClockRefusal::NotOffered, |_| true);
    let of = |name| shown(&done, Component::gpu(0), name);
    assert_eq!([of("clocks.unscreened"), of("clock.low"), of("products.low")], ["unsupported"; 3]);
    assert_eq!(of("mismatches"), "0");
}

#[test]
fn a_gpu_that_takes_no_clock_leaves_its_sibling_its_parts() {
    let (done, loads) = refused(ClockRefusal::Call { call: "x".to_owned(), code: 999 }, |gpu| gpu == GpuIndex(0));
    assert_eq!(loads, 10);
    let of = |gpu, name| shown(&done, Component::gpu(gpu), name);
    assert_eq!((of(0, "clocks.unscreened").as_str(), of(1, "clocks.unscreened").as_str()), ("2", "0"));
    assert_eq!((of(0, "mismatches").as_str(), of(1, "products.low").as_str()), ("0", "300000000000000"));
}

#[test]
fn without_time_or_without_a_greatest_clock_no_clock_is_held() {
    let mut rig = rig();
    rig.spans(&[("held", 0)]);
    let done = rig.run(&GpuScreen);
    assert_eq!(rig.story.iter().filter(|line| line.contains(" start ")).count(), 4);
    assert_eq!(shown(&done, Component::gpu(0), "products.low"), "missing: NothingCompared");
    assert_eq!(shown(&done, Component::gpu(0), "clocks.unscreened"), "0", "none was to be held");
    let mut rig = self::rig();
    rig.inventory.gpus[1].clocks.max_sm = Reading::Unsupported;
    let done = rig.run(&GpuScreen);
    assert_eq!(rig.story.iter().filter(|line| line.contains(" start ")).count(), 4);
    assert_eq!(shown(&done, Component::gpu(0), "products.low"), "missing: ClockCeilingUnknown");
    assert_eq!(shown(&done, Component::gpu(0), "clocks.unscreened"), "2");
}

fn wrong(scene: &Scene<'_>, sm: u32) -> LoadSaid {
    let (gpu, place) = (scene.gpu, WrongPlace::Sm { sm, unit: Some(sm) });
    LoadSaid::Mismatched(Mismatch { gpu, place, iteration: 1, word: 2, flipped_bits: 1, sm: Some(sm) })
}

#[test]
fn a_wrong_result_names_its_sm_and_takes_the_claim_away() {
    let mut rig = Rig::new(&GpuScreen, 2);
    rig.works = Box::new(|scene| {
        let at_work = scene.load.is_some_and(|(_, seconds)| seconds == 10.0);
        let bad = scene.gpu == GpuIndex(0) && at_work;
        let mut said = screening(scene, &[]);
        said.extend(bad.then(|| wrong(scene, 56)));
        said
    });
    let done = rig.run(&GpuScreen);
    let of = |gpu, name| shown(&done, Component::gpu(gpu), name);
    assert_eq!((of(0, "mismatches"), of(0, "sms.wrong")), ("10".to_owned(), "56".to_owned()));
    assert_eq!((of(1, "mismatches"), of(1, "sms.wrong")), ("0".to_owned(), "none".to_owned()));
    assert!(of(1, "excluded").starts_with("1535517"), "{}: 4.6e15 products", of(1, "excluded"));
    let excluded = crate::rig::measured(&done).iter().filter(|one| one.name == "excluded").count();
    assert_eq!(excluded, 1, "of a GPU that was wrong nothing is excluded");
}

#[test]
fn an_sm_counts_as_unreached_only_if_neither_part_had_it_alone() {
    let mut rig = Rig::new(&GpuScreen, 2);
    // Parts begin later and later: SM 3 is left out of the first alone, SM 9 of both.
    rig.works = Box::new(|scene| screening(scene, if scene.at < 60.0 { &[3, 9] } else { &[9] }));
    let done = rig.run(&GpuScreen);
    assert_eq!(shown(&done, Component::gpu(0), "sms.unreached"), "1");
}

#[test]
fn a_screen_that_breaks_off_has_found_nothing_right() {
    let mut rig = Rig::new(&GpuScreen, 2);
    rig.works = Box::new(|scene| match scene.load {
        Some((_, seconds)) if scene.gpu == GpuIndex(0) && seconds == 20.0 => {
            let end = LoadEnd::Failed("out of memory".to_owned().into());
            vec![wrong(scene, 7), LoadSaid::Ended { gpu: Some(scene.gpu), end }]
        }
        _ => screening(scene, &[]),
    });
    let done = rig.run(&GpuScreen);
    assert_complete(&SPEC, &done, &rig.components);
    let of = |gpu, name| shown(&done, Component::gpu(gpu), name);
    assert!(of(0, "products").starts_with("missing: LoadEnded"), "{}", of(0, "products"));
    assert_eq!(of(0, "mismatches"), "1", "what was wrong was wrong");
    assert_eq!(of(1, "mismatches"), "0");
}

#[test]
fn a_load_that_does_not_end_is_not_waited_for_without_end() {
    let mut rig = Rig::new(&GpuScreen, 1);
    rig.works = Box::new(|scene| vec![progress(scene, 700.0)]);
    let done = rig.run(&GpuScreen);
    assert_eq!(shown(&done, Component::gpu(0), "mismatches"), "missing: ScreenUnfinished");
    assert!(rig.took < 150.0, "{}", rig.took);
}

#[test]
fn a_lost_gpu_ends_the_screen_of_itself_alone() {
    let mut rig = Rig::new(&GpuScreen, 2);
    rig.loses = [(GpuIndex(0), 40)].into();
    rig.works = Box::new(|scene| screening(scene, &[]));
    let done = rig.run(&GpuScreen);
    assert!(shown(&done, Component::gpu(0), "mismatches").starts_with("missing: GpuLost"));
    assert_eq!(shown(&done, Component::gpu(1), "mismatches"), "0");
}

#[test]
fn a_process_that_comes_while_sms_are_screened_is_told_and_our_own_are_not() {
    let with = |theirs: usize| {
        let mut rig = rig();
        let mut found = rig.inventory.clone();
        for gpu in &mut found.gpus {
            let one = |pid| Process { pid, name: "unknown".to_owned(), memory_mib: 1 };
            let count = if gpu.index == GpuIndex(1) { 1 + theirs } else { 1 };
            gpu.processes = Reading::Value((0..count).map(|pid| one(u32::try_from(pid).expect("a number"))).collect());
        }
        rig.found = Some(found);
        shown(&rig.run(&GpuScreen), Component::gpu(1), "processes.joined")
    };
    assert_eq!(with(0), "0");
    assert_ne!(with(1), "0");
}
