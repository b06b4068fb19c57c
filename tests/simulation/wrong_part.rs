//! A healthy part must not pay for what another one shows.

use kiln::event::{Outcome, standings};
use kiln::model::Component;

use crate::trial::Trial;

const AIR: [&str; 3] = ["hgx-h100-8", "hgx-h200-8", "hgx-b200-8"];

#[test]
fn a_sensor_that_reads_low_does_not_fail_its_twin() {
    let trial = Trial::of("acceptance");
    let twin = Component::gpu(7);
    std::thread::scope(|scope| {
        for node in AIR {
            let trial = &trial;
            scope.spawn(move || {
                for seed in 9001..9011 {
                    let tried = trial.run(node, seed, Some("sensor-shifted@gpu/3:0.3"));
                    let failed = standings(&tried.record)
                        .iter()
                        .any(|one| one.case.component == twin && one.outcome == Outcome::Fail);
                    assert!(!failed, "{node} seed {seed}:\n{}", tried.blemishes());
                    let named = tried.record.findings.iter().any(|finding| finding.component == twin);
                    assert!(!named, "{node} seed {seed}: {:?}", tried.record.findings);
                }
            });
        }
    });
}
