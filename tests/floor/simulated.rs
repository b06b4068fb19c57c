//! The simulations as a person starts them.

use std::process::{Command, Output};

fn floor(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kiln-floor")).args(args).output().expect("kiln-floor")
}

#[test]
fn a_simulation_ends_well_and_the_mutation_that_gives_power_back_by_a_timeout_does_not() {
    let told = |out: &Output| String::from_utf8_lossy(&out.stdout).into_owned();
    let well = floor(&["sim", "--agents", "30", "--seeds", "2"]);
    assert!(well.status.success() && told(&well).contains("2 floors, 0 not as they should be"), "{well:?}");
    let power = ["sim", "--agents", "144", "--power", "12", "--seeds", "1", "--silent", "5"];
    let well = floor(&power);
    assert!(well.status.success() && told(&well).contains("never above any place"), "{well:?}");
    let mutant = floor(&[&power[..], &["--give-back-after", "10"]].concat());
    assert!(mutant.status.code() == Some(1) && told(&mutant).contains("ABOVE "), "{mutant:?}");
    let day = floor(&["sim", "--operator", "--agents", "12", "--seeds", "2"]);
    assert!(day.status.success() && told(&day).contains("12 trays"), "{day:?}");
    // What simulates nothing has found nothing to be well.
    for nothing in
        [&["sim", "--seeds", "0"][..], &["sim", "--power", "0"], &["sim", "--offline", "0"], &["drill", "--lots", "0"]]
    {
        assert_eq!(floor(nothing).status.code(), Some(2), "{nothing:?}");
    }
    let wrong = floor(&["sim", "--faults", "lost"]);
    assert!(
        wrong.status.code() == Some(2) && String::from_utf8_lossy(&wrong.stderr).contains("is no fault"),
        "{wrong:?}"
    );
}
