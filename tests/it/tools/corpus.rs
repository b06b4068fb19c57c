//! What programs print, good and bad, by program and version (`fixtures/tools`), and what is read from each. The forms are
//! those of the programs' own sources and of logs that people published; the numbers are invented.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use kiln::check::{Output, adapter};
use kiln::event::{ProgramTrouble, Reason};
use kiln::limit::{Measured, Measurement, Scalar};
use kiln::model::{Component, Tool, Unreadable};
use kiln::report::{Language, missing, reason};

/// The folder of each program.
const FOLDERS: [(&str, Tool); 9] = [
    ("dcgmi", Tool::DcgmDiag),
    ("fio", Tool::Fio),
    ("gpu-burn", Tool::GpuBurn),
    ("ib_write_bw", Tool::IbWriteBw),
    ("iperf3", Tool::Iperf3),
    ("nccl-tests", Tool::NcclTests),
    ("nvbandwidth", Tool::NvBandwidth),
    ("stress-ng", Tool::StressNg),
    ("stressapptest", Tool::StressAppTest),
];

/// Exit codes other than 0, as the programs' sources give them.
const EXITS: &[(&str, i32)] = &[
    ("dcgmi/3.3-fail.json", 226),
    ("dcgmi/3.1-texts.json", 226),
    ("dcgmi/4-fail-and-skip.json", 226),
    ("dcgmi/3.3-text-cut-off-after-a-failure.txt", 226),
    ("dcgmi/4-cuda-call-failed.json", 226),
    ("dcgmi/4-cuda-would-not-begin.json", 226),
    ("dcgmi/4-services.json", 226),
    ("dcgmi/3.3-text-no-library.txt", 226),
    ("dcgmi/4-graded-failures.json", 226),
    ("dcgmi/4-iterations.json", 226),
    ("dcgmi/4-runtime-error.json", 255),
    ("dcgmi/4-settings.json", 226),
    ("dcgmi/4-settings-beside-a-fault.json", 226),
    ("dcgmi/4-skipped-and-set-otherwise.json", 226),
    ("dcgmi/already-running.txt", 225),
    ("dcgmi/no-host-engine.txt", 255),
    ("fio/3.16-error-with-notes.json", 1),
    ("fio/3.37-every-ten-seconds-and-then-an-error.json", 1),
    ("fio/3.33-no-trim.json", 1),
    ("fio/3.37-io-error.json", 1),
    ("fio/3.37-no-space.txt", 1),
    ("fio/3.37-no-space-in-the-run.json", 1),
    ("fio/3.37-verify.json", 1),
    ("fio/3.37-verify-error-84.json", 1),
    ("gpu-burn/2023-all-died-at-once.txt", 123),
    ("gpu-burn/2026-cut-off.txt", 137),
    ("gpu-burn/2026-cut-off-after-errors.txt", 137),
    ("gpu-burn/2026-cut-off-after-a-death.txt", 137),
    ("gpu-burn/2026-no-device.txt", 19),
    ("gpu-burn/2026-none-started.txt", 123),
    ("gpu-burn/2026-uncorrectable.txt", 123),
    ("ib_write_bw/24-completion-error.txt", 1),
    ("ib_write_bw/24-no-server.txt", 1),
    ("ib_write_bw/24-retries-exceeded.txt", 1),
    ("iperf3/3.17-refused.json", 1),
    ("iperf3/3.9-closed-halfway.json", 1),
    ("nccl-tests/1.0-broadcast-out-of-bounds.txt", 1),
    ("nccl-tests/2.17-aborted-at-once.txt", 3),
    ("nccl-tests/2.17-aborted.txt", 3),
    ("nccl-tests/2.17-killed.txt", 137),
    ("nccl-tests/2.17-killed-after-a-wrong-value.txt", 137),
    ("nccl-tests/2.17-killed-rank.txt", 137),
    ("nccl-tests/2.17-link-error.txt", 2),
    ("nccl-tests/2.17-terminated-with-a-warning.txt", 143),
    ("nccl-tests/2.17-slower-than-asked.txt", 1),
    ("nccl-tests/usage.txt", 1),
    ("nvbandwidth/0.4-no-json.txt", 1),
    ("nvbandwidth/0.7-text-wrong-data.txt", 1),
    ("nvbandwidth/0.2-text-dumped-core.txt", 134),
    ("stress-ng/0.17-bit-errors.yaml", 2),
    ("stress-ng/0.18-no-resource.txt", 3),
    ("stress-ng/0.18-quiet-failed.yaml", 2),
    ("stress-ng/0.18-verify-fails.yaml", 2),
    ("stressapptest/1.0.11-hardware-without-times.txt", 1),
    ("stressapptest/1.0.11-hardware.txt", 1),
    ("stressapptest/1.0.11-killed-after-an-error.txt", 137),
    ("stressapptest/1.0.11-killed.txt", 137),
    ("stressapptest/1.0.11-procedural.txt", 1),
    ("stressapptest/1.0.9-too-little-memory.txt", 1),
];

/// Arguments that choose GPUs or cases.
const ARGS: &[(&str, &[&str])] = &[
    ("gpu-burn/2026-i2-ok.txt", &["-i", "2", "30"]),
    ("stress-ng/0.15-ended-early.yaml", &["--cpu", "1", "-t", "10"]),
    ("gpu-burn/2026-i3-faulty.txt", &["-i3", "30"]),
    ("nvbandwidth/0.9-asked-and-waived.json", &["-t", "device_to_device_memcpy_read_ce,host_to_device_memcpy_ce"]),
];

/// The outputs that prove that all is well. No other may pass.
const GOOD: &[&str] = &[
    "dcgmi/3.3-pass.json",
    "dcgmi/3.3-text-pass.txt",
    "dcgmi/4-cpu.json",
    "dcgmi/4-iterations-pass.json",
    "dcgmi/4-pass.json",
    "dcgmi/4-seven-gpus.json",
    "dcgmi/4-text-before.json",
    "dcgmi/4.2-text-pass.txt",
    "fio/3.37-json-plus.json",
    "fio/3.37-text-before.json",
    "fio/3.37-went-on-without-errors.json",
    "fio/json.json",
    "gpu-burn/1.1-mig-without-temperatures.txt",
    "gpu-burn/2026-eight-ok.txt",
    "gpu-burn/2026-i2-ok.txt",
    "ib_write_bw/24-both-ends.txt",
    "ib_write_bw/24-cuda-buffers.txt",
    "ib_write_bw/24-gbits-sizes.txt",
    "ib_write_bw/24-lines-in-the-table.txt",
    "ib_write_bw/24-no-peak.txt",
    "ib_write_bw/5-mb.txt",
    "ib_write_bw/6-mib.txt",
    "iperf3/3.1-udp.json",
    "iperf3/3.17-reverse.json",
    "iperf3/3.17-udp.json",
    "iperf3/tcp.json",
    "nccl-tests/1.0-all-reduce.txt",
    "nccl-tests/2.0-all-gather.txt",
    "nccl-tests/2.0-all-reduce.txt",
    "nccl-tests/2.17-all-reduce.txt",
    "nccl-tests/2.17-alltoall.txt",
    "nccl-tests/2.17-json.json",
    "nccl-tests/2.17-mpirun-tags.txt",
    "nccl-tests/2.17-srun-labels.txt",
    "nccl-tests/2.18-warned.txt",
    "nccl-tests/2.19-alltoall-json.json",
    "nccl-tests/2.19-per-iteration.txt",
    "nvbandwidth/0.8-json.json",
    "nvbandwidth/0.8-text.txt",
    "nvbandwidth/0.9-pass.json",
    "nvbandwidth/0.9-ten-gpus.json",
    "stress-ng/0.15.yaml",
    "stress-ng/0.18-pass.yaml",
    "stressapptest/1.0.11-pass.txt",
    "stressapptest/1.0.6-pass-without-times.txt",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/tools")
}

/// What the adapter makes of one file.
fn played(tool: Tool, folder: &str, file: &str) -> Result<Vec<Measurement>, Unreadable> {
    let path = root().join(folder).join(file);
    let stdout = fs::read_to_string(&path).expect("a text");
    let stderr = fs::read_to_string(path.with_extension("stderr")).unwrap_or_default();
    let name = format!("{folder}/{file}");
    let exit = EXITS.iter().find(|(of, _)| *of == name).map_or(0, |(_, exit)| *exit);
    let args = ARGS.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, args)| *args);
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    adapter(tool).read(&Output { stdout: &stdout, stderr: &stderr, exit, args: &args })
}

/// What is read of one file: lines of measurements, or the error; and whether it passes.
fn read(tool: Tool, folder: &str, file: &str) -> (String, Option<bool>) {
    match played(tool, folder, file) {
        Err(error) => (format!("  ERROR {error}\n"), None),
        Ok(measured) => {
            let line = |one: &Measurement| {
                format!("  {} {} = {}\n", one.component, one.name, kiln::report::shown(Language::English, one))
            };
            let passed = measured.iter().find(|one| one.name == "passed" && one.component == Component::Node);
            let passed = match passed.map(|one| &one.value) {
                Some(Measured::Value(Scalar::Flag(passed))) => Some(*passed),
                _ => None,
            };
            (measured.iter().map(line).collect(), passed)
        }
    }
}

fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder of its own for each program");
    let names = entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn every_output_is_read_as_what_it_is() {
    for (folder, tool) in FOLDERS {
        let mut text = String::new();
        for file in files(folder).iter().filter(|file| !file.ends_with(".stderr")) {
            let _ = write!(text, "{file}\n{}", read(tool, folder, file).0);
        }
        insta::assert_snapshot!(folder, text);
    }
}

#[test]
fn an_output_passes_only_where_it_proves_that_all_is_well() {
    let mut passed = Vec::new();
    for (folder, tool) in FOLDERS {
        let good = |file: &String| read(tool, folder, file).1 == Some(true);
        passed.extend(
            files(folder)
                .into_iter()
                .filter(|file| !file.ends_with(".stderr"))
                .filter(good)
                .map(|file| format!("{folder}/{file}")),
        );
    }
    assert_eq!(passed, GOOD);
}

/// Two words in a row outside of backticks, which hold what the program says.
fn english(text: &str) -> Option<String> {
    // The names of programs are nobody's words.
    let text = text.replace("dcgmi diag", "");
    let outside: String = text.split('`').step_by(2).collect();
    let is_word = |word: &&str| word.len() > 1 && word.chars().all(|letter| letter.is_ascii_lowercase());
    let words: Vec<&str> = outside.split([' ', ',', ';']).collect();
    let pair = words.windows(2).find(|pair| pair.iter().all(is_word));
    pair.map(|pair| pair.join(" "))
}

#[test]
fn why_an_output_proves_nothing_is_told_in_japanese_with_no_english_of_ours() {
    let mut told = 0;
    for (folder, tool) in FOLDERS {
        for file in files(folder).iter().filter(|file| !file.ends_with(".stderr")) {
            let texts: Vec<String> = match played(tool, folder, file) {
                Ok(measured) => {
                    let why = |one: &Measurement| match &one.value {
                        Measured::Missing(why) => Some(missing(Language::Japanese, why)),
                        _ => None,
                    };
                    measured.iter().filter_map(why).collect()
                }
                Err(why) => {
                    let trouble = ProgramTrouble::Unreadable { exit: Some(1), why, printed: None };
                    vec![reason(Language::Japanese, &Reason::Program { program: folder.to_owned(), trouble })]
                }
            };
            told += texts.len();
            for text in texts {
                assert_eq!(english(&text), None, "{folder}/{file}: {text}");
                assert!(text.chars().any(|letter| letter > '\u{3000}'), "{folder}/{file}: {text}");
            }
        }
    }
    assert!(told > 20, "only {told} outputs prove nothing");
}

#[test]
fn an_output_that_breaks_off_anywhere_never_passes_by_its_text_alone() {
    // Reports with a footer or a closing brace: cut before their last lines there is no proof in them.
    for (folder, tool, file) in [
        ("gpu-burn", Tool::GpuBurn, "2026-eight-ok.txt"),
        ("stressapptest", Tool::StressAppTest, "1.0.11-pass.txt"),
        ("nccl-tests", Tool::NcclTests, "2.17-all-reduce.txt"),
        ("dcgmi", Tool::DcgmDiag, "4-pass.json"),
        ("dcgmi", Tool::DcgmDiag, "4.2-text-pass.txt"),
        ("nvbandwidth", Tool::NvBandwidth, "0.9-pass.json"),
        ("fio", Tool::Fio, "3.37-json-plus.json"),
        ("iperf3", Tool::Iperf3, "3.17-udp.json"),
    ] {
        let whole = fs::read_to_string(root().join(folder).join(file)).expect("a text");
        let lines: Vec<&str> = whole.lines().filter(|line| !line.trim().is_empty()).collect();
        // The last lines of nccl-tests come after its proof.
        let proof = lines.iter().position(|line| line.starts_with("# Out of bounds")).unwrap_or(lines.len() - 1);
        for count in 0..proof {
            let cut = lines[..count].join("\n");
            let read = adapter(tool).read(&Output { stdout: &cut, stderr: "", exit: 0, args: &[] });
            let well = Measured::Value(Scalar::Flag(true));
            let passed = read.is_ok_and(|all| {
                all.iter().any(|one| one.name == "passed" && one.component == Component::Node && one.value == well)
            });
            assert!(!passed, "{folder}/{file} passes after {count} lines");
        }
    }
}

#[test]
fn a_good_text_with_a_bad_exit_code_proves_nothing_unless_that_code_is_a_verdict() {
    for (folder, tool) in FOLDERS {
        for file in files(folder).iter().filter(|file| GOOD.contains(&format!("{folder}/{file}").as_str())) {
            let stdout = fs::read_to_string(root().join(folder).join(file)).expect("a text");
            for exit in [1, 2, 137] {
                let output = Output { stdout: &stdout, stderr: "out of luck\n", exit, args: &[] };
                let of: BTreeMap<String, String> = match adapter(tool).read(&output) {
                    // What the program means by such a code.
                    Err(_) => continue,
                    Ok(all) => all
                        .iter()
                        .filter(|one| one.component == Component::Node)
                        .map(|one| (one.name.clone(), kiln::report::shown(Language::English, one)))
                        .collect(),
                };
                let said = format!("exit-code {exit}: out of luck");
                // By its manual that is a stressor that failed, and without notes nothing else tells.
                if (tool, exit) == (Tool::StressNg, 2) {
                    assert_eq!((of["passed"].as_str(), of["failure"].as_str()), ("false", said.as_str()), "{file}");
                } else {
                    assert!(of["passed"].contains(&said), "{folder}/{file}: {}", of["passed"]);
                    assert_eq!(of.get("failure"), None, "{folder}/{file}");
                }
            }
        }
    }
}

#[test]
fn everything_read_is_declared_by_its_check_in_the_same_unit() {
    for (folder, tool) in FOLDERS {
        let spec = kiln::check::adapter(tool).check();
        for file in files(folder) {
            let stdout = fs::read_to_string(root().join(folder).join(&file)).expect("a text");
            let output = Output { stdout: &stdout, stderr: "", exit: 0, args: &[] };
            for measured in adapter(tool).read(&output).into_iter().flatten() {
                // What is missing has no value to be of another unit.
                let Measured::Value(value) = &measured.value else { continue };
                // As a profile names it.
                let name = measured.name.to_lowercase().replace(['/', ' '], "-");
                let declared = spec.measurement(&name).unwrap_or_else(|| panic!("{folder}/{file}: {name}"));
                let number = matches!(value, Scalar::Number(_));
                assert_eq!(declared.unit, measured.unit, "{folder}/{file}: {name}");
                assert_eq!(declared.kind == kiln::profile::ValueKind::Number, number, "{folder}/{file}: {name}");
            }
        }
    }
}

#[test]
fn versions_stand_in_the_output_of_some() {
    let version = |folder: &str, tool, file: &str| {
        let text = fs::read_to_string(root().join(folder).join(file)).expect("a text");
        adapter(tool).version_told(&text).unwrap_or_default()
    };
    let table = [
        version("nvbandwidth", Tool::NvBandwidth, "0.8-json.json"),
        version("nvbandwidth", Tool::NvBandwidth, "0.9-pass.json"),
        version("nvbandwidth", Tool::NvBandwidth, "0.8-text.txt"),
        version("stressapptest", Tool::StressAppTest, "1.0.11-pass.txt"),
        version("nccl-tests", Tool::NcclTests, "2.17-all-reduce.txt"),
        version("nccl-tests", Tool::NcclTests, "2.0-all-reduce.txt"),
    ];
    assert_eq!(table, ["v0.8", "v0.9", "v0.8", "1.0.11_autoconf", "2.17.6", ""]);
}
