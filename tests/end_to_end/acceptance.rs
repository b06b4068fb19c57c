//! The whole of the acceptance, shortened, through the real NVML backend and the real workers on a node of fake driver libraries.
//! It takes some nine minutes, so `cargo test` leaves it out; `cargo test --test acceptance` runs it, as does `ci/check acceptance`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of tests and stand-ins are small, or words that are taken as they are"
)]

mod node;

use node::{HEALTHY, eight_gpus};

#[test]
fn acceptance_passes_on_a_healthy_node_through_the_real_workers() {
    let _place = eight_gpus();
    let outcome = HEALTHY.run(4, &["fixtures/profiles/acceptance-short.yaml"]);
    assert_eq!(outcome.told(), "exit 0 PASS", "{}", outcome.everything());
}
