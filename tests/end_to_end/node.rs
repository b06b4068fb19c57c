//! A node of fake driver libraries, and the shipped binary run on it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::available_parallelism;

use serde_json::Value;

/// How many places are taken. Each run hurries, and a machine that is late for one looks like GPUs that are; most of its time it
/// waits all the same. There are two places for each core, of which a run of eight GPUs takes two.
static TAKEN: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// What stands in for NVIDIA's libraries, built beside the tests because they depend on it.
pub(crate) const LIBRARY: &str = "libkiln_fake_driver.so";

pub(crate) fn library() -> PathBuf {
    let tests = std::env::current_exe().expect("the test's own path");
    let library = tests.with_file_name(LIBRARY);
    assert!(library.exists(), "{} is not there", library.display());
    library
}

/// Places on this machine, until they are dropped.
pub(crate) struct Places(usize);

fn take(wanted: usize, all: usize) -> Places {
    let (taken, given_back) = &TAKEN;
    let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = given_back.wait_while(taken, |taken| *taken + wanted > all).unwrap_or_else(PoisonError::into_inner);
    *taken += wanted;
    Places(wanted)
}

impl Drop for Places {
    fn drop(&mut self) {
        let (taken, given_back) = &TAKEN;
        *taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        given_back.notify_all();
    }
}

fn places() -> usize {
    2 * available_parallelism().map_or(1, usize::from)
}

/// Takes the whole machine, for several runs at once.
pub(crate) fn alone() -> Places {
    take(places(), places())
}

/// Takes a core of it, for a run of eight GPUs.
pub(crate) fn eight_gpus() -> Places {
    take(2, places())
}

/// Takes half a core of it, for a run of two GPUs.
pub(crate) fn two_gpus() -> Places {
    take(1, places())
}

/// A node to run on.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) faults: &'static str,
    pub(crate) settings: &'static [(&'static str, &'static str)],
}

pub(crate) const HEALTHY: Node = Node { name: "hgx-h200-8", faults: "", settings: &[] };

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) output: Output,
    pub(crate) result: Value,
}

impl Node {
    /// Runs with arguments, so many times faster than real time.
    pub(crate) fn run(&self, speed: u32, arguments: &[&str]) -> Outcome {
        let folder = tempfile::tempdir().expect("folder");
        let run = folder.path().join("run");
        let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
        kiln.arg("run").args(arguments).args(["--sim-speed", &speed.to_string()]).arg("--out").arg(&run);
        self.surround(&mut kiln, folder.path(), speed);
        let output = kiln.output().expect("the binary");
        let result = read(&run).unwrap_or_default();
        Outcome { output, result }
    }

    /// Sets what a program needs to be on this node, with what the libraries share in a folder.
    pub(crate) fn surround(&self, kiln: &mut Command, folder: &Path, speed: u32) {
        let [bench, host] = ["bench", "host"].map(|name| folder.join(name));
        for made in [&bench, &host] {
            std::fs::create_dir(made).expect("folder");
        }
        kiln.env("KILN_NVML_LIB", library());
        kiln.env("KILN_CUDA_LIB", library());
        kiln.env("KILN_FAKE_BENCH", &bench).env("KILN_FAKE_HOST", &host).env("KILN_HOST_ROOT", &host);
        kiln.env("KILN_FAKE_NODE", self.name).env("KILN_FAKE_FAULTS", self.faults);
        kiln.env("KILN_FAKE_SPEED", speed.to_string()).env("KILN_FAKE_CUDA_MEMORY_MIB", "40");
        kiln.envs(self.settings.iter().copied());
    }
}

fn read(run: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(run.join("result.json")).ok()?).ok()
}

impl Outcome {
    /// Exit code, verdict, and each finding with its component.
    pub(crate) fn told(&self) -> String {
        let mut text = format!("exit {}", self.output.status.code().unwrap_or(-1));
        let _ = write!(text, " {}", self.result["verdict"]["word"].as_str().unwrap_or("no verdict"));
        for finding in self.result["findings"].as_array().into_iter().flatten() {
            let word = |name: &str| finding[name].as_str().unwrap_or("?").to_owned();
            let _ = write!(text, ", {} on {}", word("code"), word("component"));
        }
        text
    }

    pub(crate) fn everything(&self) -> String {
        let said = [&self.output.stdout, &self.output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        said.concat()
    }
}
