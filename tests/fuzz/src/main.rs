//! Everything Kiln reads, fed to libFuzzer: `KILN_FUZZ` names which. Started by `ci/fuzz`, which builds it with the coverage
//! that libFuzzer steers by.
//!
//! A finding is a panic, an input that takes too long, or one that takes too much memory. What a reader refuses is none.
#![no_main]

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use kiln_model::Tool;
use kiln_node::record::{Recording, Replay};
use kiln_node::sim::{FaultFile, NodeFile, SimNode};
use kiln_node::snapshot::{decoded, node_file, read_smi};
use kiln_profile::{Request, Skus};
use kiln_report::{Language, Paint};
use kiln_rundir::{FORMATS, Look, RunDir};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};

/// A reader under test.
type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 9] = [
    ("profile", profile),
    ("node", node),
    ("fault", fault),
    ("journal", journal),
    ("telemetry", telemetry),
    ("recording", recording),
    ("xml", xml),
    ("tool", tool),
    ("baseline", baseline),
];

fuzz_target!(|bytes: &[u8]| {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("KILN_FUZZ").unwrap_or_default();
        let found = TARGETS.iter().find(|(target, _)| *target == name);
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        found.unwrap_or_else(|| panic!("KILN_FUZZ is `{name}`; it must be one of {}", names.join(", "))).1
    })(bytes);
});

fn profile(bytes: &[u8]) {
    static SKUS: OnceLock<Skus> = OnceLock::new();
    let skus = SKUS.get_or_init(|| Skus::built_in().expect("shipped facts"));
    // Nothing of this machine is read as a parent.
    let read = |_: &str| Err("there is no such file".to_owned());
    let request =
        Request { name: "fuzz.yaml", bytes, catalogue: kiln_check::catalogue(), skus, set: &[], only: None, read: &read };
    match kiln_profile::resolve(&request) {
        Ok(profile) => {
            let _ = (profile.digest(), kiln_profile::explain(&request).map(|text| text.to_string()));
        }
        Err(mistakes) => {
            let _ = mistakes.to_string();
        }
    }
}

fn node(bytes: &[u8]) {
    match NodeFile::read("fuzz.yaml", bytes) {
        Ok(file) => {
            let _ = SimNode::new(&file, 1, &[]).map_err(|mistakes| mistakes.to_string());
        }
        Err(mistakes) => {
            let _ = mistakes.to_string();
        }
    }
}

fn fault(bytes: &[u8]) {
    let _ = FaultFile::read("fuzz.yaml", bytes).map_err(|mistakes| mistakes.to_string());
}

/// A run directory of this process, where memory is the disk.
fn room() -> &'static PathBuf {
    static ROOM: OnceLock<PathBuf> = OnceLock::new();
    ROOM.get_or_init(|| {
        let room = PathBuf::from(format!("/dev/shm/kiln-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(room.join("telemetry")).expect("a folder in /dev/shm");
        room
    })
}

/// Reads the run directory as `kiln report` does, in every form.
fn tell() {
    let Ok(dir) = RunDir::open(room()) else { return };
    let Ok(run) = dir.sound_run() else { return };
    let languages = "en,ja".parse().expect("languages");
    let look = Look { language: Language::Japanese, paint: Paint::Plain, languages };
    let Ok(view) = dir.view(&run, look) else { return };
    for format in FORMATS {
        let _ = format.write(&view, &mut std::io::sink());
    }
}

/// Lines without their chain values, which are put behind them: a forger can do the same, and no fuzzer guesses SHA-256.
fn journal(bytes: &[u8]) {
    let mut chain = [0_u8; 32];
    let mut whole = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let body = line.strip_suffix(b"}").unwrap_or(line);
        let mut hash = Sha256::new();
        hash.update(chain);
        hash.update(body);
        chain = hash.finalize().into();
        whole.extend_from_slice(body);
        whole.extend_from_slice(b",\"chain\":\"");
        for byte in chain {
            write!(whole, "{byte:02x}").expect("memory");
        }
        whole.extend_from_slice(b"\"}\n");
    }
    std::fs::write(room().join("journal.jsonl"), whole).expect("written");
    tell();
}

/// Beside a journal that is sound.
fn telemetry(bytes: &[u8]) {
    static JOURNAL: OnceLock<()> = OnceLock::new();
    JOURNAL.get_or_init(|| {
        let whole = include_bytes!("../../../fixtures/journals/whole.jsonl");
        std::fs::write(room().join("journal.jsonl"), whole).expect("written");
    });
    std::fs::write(room().join("telemetry/samples.ktb"), bytes).expect("written");
    tell();
}

fn recording(bytes: &[u8]) {
    match Recording::read(bytes) {
        Ok(recording) => {
            let replay = Replay::new(recording);
            let _ = (replay.span(), replay.next_arrival());
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
}

fn xml(bytes: &[u8]) {
    match read_smi(&decoded(bytes)) {
        Ok(report) => {
            let _ = node_file(&report.inventory, &report.samples, "fuzz").map_err(|error| error.to_string());
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
}

/// The first byte chooses the program.
fn tool(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else { return };
    let stdout = String::from_utf8_lossy(text);
    let known = Tool::ALL[usize::from(*first) % Tool::ALL.len()];
    let output = kiln_check::Output { stdout: &stdout, stderr: "", exit: 0, args: &[] };
    let _ = kiln_check::adapter(known).read(&output).map_err(|error| error.to_string());
    let _ = kiln_check::adapter(known).version_told(&stdout);
}

fn baseline(bytes: &[u8]) {
    if let Ok(baseline) = serde_json::from_slice::<kiln_lot::Baseline>(bytes) {
        let _ = baseline.numbers();
    }
}
