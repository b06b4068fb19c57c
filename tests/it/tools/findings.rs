//! What a program says failed becomes one finding: the part it names, a code, its own words, and what to do.

use std::path::Path;

use kiln::diagnose::findings;
use kiln::event::{Action, EvidenceFact};
use kiln::limit::{Measured, Scalar};

use super::bench::{Fakes, profile, run};

/// The findings of one step that plays an output: part, code and action, with the words that are quoted.
fn found(check: &str, file: &str, args: &str) -> Vec<(String, String, Action, String)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tools");
    let script = format!("[ \"$1\" = --version ] && echo 'fake 1.0' || cat {}/{file}", fixtures.display());
    let fakes = Fakes::new(&[(check, &script)]);
    let folder = fakes.0.path().display();
    let step = format!(
        "      - {{ id: t, use: tool.{check}, with: {{ program: {folder}/{check}, args: {args} }}, limits: {{ passed: \"== true\" }} }}"
    );
    let quoted = |fact: &EvidenceFact| match fact {
        EvidenceFact::Value(judgement) if judgement.measurement.name == "failure" => {
            match &judgement.measurement.value {
                Measured::Value(Scalar::Text(words)) => Some(words.clone()),
                _ => None,
            }
        }
        _ => None,
    };
    let told = findings(&run(&profile(&step), &[])).into_iter().map(|finding| {
        let words =
            finding.evidence.iter().filter_map(|evidence| quoted(&evidence.fact)).collect::<Vec<_>>().join("; ");
        (finding.component.to_string(), finding.code, finding.action, words)
    });
    told.collect()
}

#[test]
fn what_a_program_says_of_a_part_is_one_finding_of_that_part_in_its_words() {
    let faulty = found("gpu-burn", "gpu-burn/2026-i3-faulty.txt", "[-i, 3, 60]");
    let [(part, code, action, words)] = &faulty[..] else { panic!("{faulty:?}") };
    assert_eq!((part.as_str(), code.as_str(), *action), ("gpu/3", "GPU-WRONG-RESULTS", Action::ReplaceFru));
    assert!(words.contains("FAULTY"), "{words}");
    for file in ["dcgmi/3.3-fail.json", "dcgmi/4-pass-with-warning.json"] {
        let failed = found("dcgmi", file, "[-r, 3]");
        assert!(!failed.is_empty(), "{file}");
        for (part, code, action, words) in &failed {
            assert!(part.starts_with("gpu/"), "{file}: {failed:?}");
            assert_eq!((code.as_str(), *action), ("TOOL-FAILED", Action::Reseat), "{file}: {part}");
            let status = ["FAIL: ", "PASS: ", "WARN: "].iter().any(|status| words.to_uppercase().contains(status));
            assert!(status, "{file}: {words}");
        }
    }
}

#[test]
fn what_dcgm_asks_for_is_what_to_do_and_its_settings_accuse_nobody() {
    let graded = found("dcgmi", "dcgmi/4-graded-failures.json", "[-r, 3]");
    let mut asked: Vec<(&str, Action)> = graded.iter().map(|(part, _, action, _)| (part.as_str(), *action)).collect();
    asked.sort_by_key(|(part, _)| *part);
    assert_eq!(
        asked,
        [
            ("gpu/0", Action::ReplaceFru),
            ("gpu/1", Action::ResetGpu),
            ("gpu/2", Action::ReplaceFru),
            ("gpu/3", Action::ResetGpu),
            ("gpu/4", Action::CheckCooling),
            ("gpu/5", Action::Reseat),
        ]
    );
    assert_eq!(found("dcgmi", "dcgmi/4-settings.json", "[-r, 3]"), []);
    let beside = found("dcgmi", "dcgmi/4-settings-beside-a-fault.json", "[-r, 3]");
    let [(part, _, action, _)] = &beside[..] else { panic!("{beside:?}") };
    assert_eq!((part.as_str(), *action), ("gpu/1", Action::ResetGpu));
}

#[test]
fn what_a_program_says_of_the_host_names_its_kind() {
    for file in ["stressapptest/1.0.11-hardware.txt", "stressapptest/1.0.11-killed-after-an-error.txt"] {
        let incident = found("stressapptest", file, "[]");
        let [(part, code, action, words)] = &incident[..] else { panic!("{file}: {incident:?}") };
        assert_eq!((part.as_str(), code.as_str(), *action), ("node", "HOST-WRONG-DATA", Action::Reseat), "{file}");
        assert!(!words.is_empty());
    }
    let wrong = found("nccl", "nccl-tests/2.19-wrong.txt", "[]");
    let [(part, code, action, words)] = &wrong[..] else { panic!("{wrong:?}") };
    assert_eq!((part.as_str(), code.as_str(), *action), ("node", "TOOL-FAILED", Action::CallEngineer));
    assert!(!words.is_empty());
}

#[test]
fn what_a_program_does_not_prove_accuses_no_part() {
    assert_eq!(found("gpu-burn", "gpu-burn/2026-ok-without-calculating.txt", "[60]"), []);
    assert_eq!(found("stressapptest", "stressapptest/1.0.11-procedural.txt", "[]"), []);
    assert_eq!(found("dcgmi", "dcgmi/4-all-skipped.json", "[-r, 3]"), []);
    assert_eq!(found("nccl", "nccl-tests/2.17-killed-rank.txt", "[]"), []);
    assert_eq!(found("fio", "fio/3.37-no-space-in-the-run.json", "[]"), []);
}
