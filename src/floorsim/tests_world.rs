//! Whole simulated floors, and what the invariants find where something is made wrong.

use super::*;

fn simulated(agents: usize, seed: u64, faults: &str) -> Simulated {
    simulate(&SimSettings { seed, faults: faults.parse().expect("faults"), ..SimSettings::of(agents) })
}

#[test]
fn without_faults_every_unit_comes_to_its_planted_end() {
    let done = simulated(60, 1, "none");
    assert_eq!(done.violations, Vec::<String>::new());
    assert_eq!(done.released + done.repair + done.held, 60);
    assert_eq!(done.freed, 0);
}

#[test]
fn whatever_network_hosts_and_floor_do_nothing_is_lost_doubled_or_different() {
    for seed in 0..8 {
        let done = simulated(60, seed, "all");
        assert_eq!(done.violations, Vec::<String>::new(), "seed {seed}");
        assert!(done.troubles > 100, "{done:?}");
    }
}

#[test]
fn runs_that_ended_while_nobody_reached_the_floor_for_three_days_all_come_in_once() {
    for faults in ["none", "all"] {
        let faults = faults.parse().expect("faults");
        let done = simulate(&SimSettings { seed: 0, faults, offline: Some(72), ..SimSettings::of(30) });
        assert_eq!(done.violations, Vec::<String>::new(), "{done}");
        assert!(done.waited > 10 && done.minutes > 72 * 60, "{done}");
    }
}

#[test]
fn one_seed_is_one_story() {
    assert_eq!(simulated(30, 5, "all"), simulated(30, 5, "all"));
}

/// Of 131 floors one had so many fails in a row of racks by chance; nobody looked, and its units waited for two days.
#[test]
fn a_place_that_is_suspected_by_chance_is_looked_at() {
    let settings = SimSettings { seed: 7, faults: Faults::none(), ..SimSettings::of(60) };
    let mut world = World::new(&settings);
    for node in &mut world.nodes[..30] {
        node.verdicts = vec![VerdictWord::Fail];
    }
    world.run();
    let suspected = |stamped: &Stamped| matches!(stamped.event, kiln_floor::FloorEvent::ScopeSuspected { .. });
    assert!(world.events.iter().any(suspected), "so many fails are noticed");
    assert_eq!(world.floor.state().suspects.keys().next(), None, "somebody looked");
}

#[test]
fn each_fault_alone_does_no_harm_either() {
    for fault in Faults::all().iter() {
        let done = simulated(30, 9, &fault.to_string());
        assert_eq!(done.violations, Vec::<String>::new(), "{fault}");
        assert!(done.happened.get(&fault).is_some_and(|count| *count > 0), "{fault} never happened: {done:?}");
    }
}

#[test]
fn a_release_that_no_nodes_disk_bears_out_is_found() {
    let settings = SimSettings { seed: 3, faults: Faults::none(), ..SimSettings::of(12) };
    let mut world = World::new(&settings);
    world.run();
    assert_eq!(world.simulated.violations, Vec::<String>::new());
    let is_release = |stamped: &&Stamped| {
        matches!(&stamped.event, kiln_floor::FloorEvent::Disposed { disposition, .. }
            if *disposition == kiln_floor::Disposition::Released)
    };
    let release: Vec<Stamped> = world.events.iter().find(is_release).cloned().into_iter().collect();
    assert_eq!(release.len(), 1);
    for node in &mut world.nodes {
        node.said.values_mut().for_each(|said| *said = VerdictWord::Error);
    }
    invariants::after_events(&mut world, &release);
    assert_eq!(world.simulated.violations.len(), 1, "{:?}", world.simulated.violations);
}

#[test]
fn a_release_of_a_unit_whose_defect_must_be_caught_is_found() {
    let skus = kiln_profile::Skus::built_in().expect("models");
    let mut runs = RealRuns::of(crate::real::tests::smoke(), skus, "pcie-l40s-8").expect("runs");
    let defect = runs.defects.iter().position(|defect| defect.must).expect("one that must be caught");
    // As if it were the test of two hours that must catch it.
    runs.length = 2 * HOUR;
    let runs = Some(Arc::new(runs));
    let settings = SimSettings { seed: 1, faults: Faults::none(), runs, ..SimSettings::of(3) };
    let mut world = World::new(&settings);
    world.run();
    let releases = |world: &World| -> Vec<Stamped> {
        let is_release = |stamped: &&Stamped| matches!(&stamped.event, kiln_floor::FloorEvent::Disposed { .. });
        world.events.iter().filter(is_release).cloned().collect()
    };
    assert!(!releases(&world).is_empty() && world.simulated.violations.is_empty(), "{}", world.simulated);
    for node in &mut world.nodes {
        node.real.iter_mut().for_each(|unit| unit.defect = Some(defect));
    }
    let released = releases(&world);
    invariants::after_events(&mut world, &released);
    let found = &world.simulated.violations;
    assert!(found.iter().any(|what| what.contains("was released with")), "{found:?}");
}

/// One seed of this many has some ten copies.
#[test]
fn every_copy_of_a_machine_is_found_and_no_machine_is_taken_for_two_by_its_own_late_calls() {
    let mut copies = 0;
    for seed in 0..20 {
        for faults in ["clone", "late,doubling"] {
            let faults = faults.parse().expect("faults");
            let mut world = World::new(&SimSettings { seed, faults, ..SimSettings::of(60) });
            world.run();
            assert_eq!(world.simulated.violations, Vec::<String>::new(), "seed {seed}");
            // Copies have boots of their own; what is taken away within two minutes is not found by calls.
            let is_copy = |boot: &kiln_wire::BootId| boot.as_str().len() > "boot-999".len();
            for (number, met) in world.events.iter().enumerate() {
                let kiln_floor::FloorEvent::AgentMet { agent: id, boot, .. } = &met.event else { continue };
                if !is_copy(boot) || met.at - EPOCH + 2 * MINUTE > TROUBLE {
                    continue;
                }
                copies += 1;
                // As one of two, or since both have written on with one run.
                let is_held = |later: &Stamped| matches!(&later.event, kiln_floor::FloorEvent::AgentHeld { agent, .. } if agent == id);
                assert!(world.events[number..].iter().any(is_held), "{id} in seed {seed}");
            }
            assert!(world.simulated.happened.contains_key(&Fault::Late) || world.faults.has(Fault::Clone));
        }
    }
    assert!(copies > 100, "{copies}");
}

#[test]
fn nodes_that_hang_come_back_by_their_bmcs_and_what_a_lying_one_says_is_never_believed() {
    for (bmc, faults) in [
        (Bmc::Honest, "freeze"),
        (Bmc::Lying, "freeze"),
        (Bmc::Honest, "freeze,floor-kill"),
        (Bmc::Lying, "freeze,floor-kill,loss,delay,doubling,kill"),
    ] {
        let (mut first, mut again) = (0, 0);
        for seed in 0..8 {
            let faults = faults.parse().expect("faults");
            let done = simulate(&SimSettings { seed, faults, bmc: Some(bmc), ..SimSettings::of(60) });
            assert_eq!(done.violations, Vec::<String>::new(), "{bmc:?}, seed {seed}");
            first += done.cycled;
            again += done.cycles - done.cycled;
        }
        assert!(first > 10, "{bmc:?}, {faults}: {first}");
        match bmc {
            Bmc::Lying => assert!(again > 3, "{again}"),
            // Of a floor that died nobody knows whether it had started what it ordered.
            Bmc::Honest => assert!(again == 0 || faults.contains("floor-kill"), "{again}"),
        }
    }
}
