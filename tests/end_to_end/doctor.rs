//! `kiln doctor` on a node of fake driver libraries: it judges as a run does, and is ready only where a run can pass.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::node::{HEALTHY, Node, eight_gpus};

/// The exit code, and each line that is not good, with its first words.
struct Seen {
    code: Option<i32>,
    lines: Vec<Value>,
}

impl Seen {
    fn of(node: &Node, arguments: &[&str], cuda: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
        kiln.args(["doctor", "--json", "--out"]).arg(folder.path()).args(arguments);
        node.surround(&mut kiln, folder.path(), 1);
        if let Some(library) = cuda {
            kiln.env("KILN_CUDA_LIB", library);
        }
        let output = kiln.output().expect("the binary");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(told["ready"] == true, output.status.code() == Some(0), "{text}");
        Self { code: output.status.code(), lines: told["lines"].as_array().cloned().expect("lines") }
    }

    fn findings<'a>(&'a self, readiness: &'a str, subject: &'a str) -> Vec<&'a str> {
        let meant = |line: &&Value| line["readiness"] == readiness && line["subject"] == subject;
        self.lines.iter().filter(meant).filter_map(|line| line["finding"].as_str()).collect()
    }

    #[track_caller]
    fn has(&self, readiness: &str, subject: &str, said: &str) {
        let findings = self.findings(readiness, subject);
        assert!(findings.iter().any(|finding| finding.contains(said)), "no {readiness} {subject}: {:#?}", self.lines);
    }
}

/// What each of these looks sees. They wait more than they compute, so they are side by side.
fn seen<const N: usize>(looks: [(Node, &[&str], Option<&Path>); N]) -> [Seen; N] {
    std::thread::scope(|scope| {
        let look = |(node, arguments, cuda)| scope.spawn(move || Seen::of(&node, arguments, cuda));
        looks.map(look).map(|looking| looking.join().expect("a look"))
    })
}

fn set(settings: &'static [(&'static str, &'static str)]) -> Node {
    Node { settings, ..HEALTHY }
}

#[test]
fn a_healthy_node_is_ready_and_its_kernels_have_computed_right() {
    let _place = eight_gpus();
    let [asked, quick] = seen([(HEALTHY, &["--gpu"], None), (HEALTHY, &[], None)]);
    assert_eq!(asked.code, Some(0), "{:#?}", asked.lines);
    asked.has("good", "CUDA", "kernels of compute_80 PTX, sm_90a ran, ");
    asked.has("good", "CUDA", " results compared and right");
    asked.has("good", "first stage", "none of which keeps a run from passing");
    // Without being asked nothing is put to work.
    quick.has("good", "CUDA", "kernels load on every GPU");
}

#[test]
fn a_node_whose_kernels_compute_wrong_or_cannot_be_loaded_is_not_ready() {
    let _place = eight_gpus();
    let hangs = set(&[("KILN_FAKE_CUDA_FAULT", "hang"), ("KILN_LOAD_PATIENCE_MS", "300")]);
    let [wrong, hangs, missing] = seen([
        (set(&[("KILN_FAKE_CUDA_FAULT", "wrong")]), &["--gpu"], None),
        (hangs, &[], None),
        (HEALTHY, &[], Some(Path::new("/nowhere/libcuda.so.1"))),
    ]);
    assert_eq!(wrong.code, Some(3));
    wrong.has("bad", "CUDA", "results are wrong with ");
    assert_eq!(hangs.code, Some(0), "what hangs is not asked without --gpu");
    assert_eq!(missing.code, Some(3));
    missing.has("bad", "CUDA", "/nowhere/libcuda.so.1 cannot be opened");
}

#[test]
fn a_node_on_which_no_run_can_pass_is_not_ready_and_says_which_part_of_it() {
    let _place = eight_gpus();
    let [unset, few] =
        seen([(Node { faults: "ecc-off@gpu/3", ..HEALTHY }, &[], None), (set(&[("KILN_FAKE_GPUS", "7")]), &[], None)]);
    assert_eq!(unset.code, Some(3));
    unset.has("bad", "first stage", "identify.config gpu/3: ");
    let healthy = |line: &&str| !line.contains("gpu/3");
    assert_eq!(unset.findings("bad", "first stage").into_iter().filter(healthy).collect::<Vec<_>>(), [""; 0]);

    assert_eq!(few.code, Some(3));
    few.has("bad", "GPUs", "the bus shows 8, the driver 7");
    few.has("bad", "first stage", "identify.inventory node: ");
}

#[test]
fn what_an_older_driver_does_not_let_be_judged_is_said_and_the_node_is_ready_all_the_same() {
    let _place = eight_gpus();
    let [older, least, portable] = seen([
        (set(&[("KILN_FAKE_DRIVER", "535.183.06")]), &[], None),
        (set(&[("KILN_FAKE_DRIVER", "525.147.05")]), &[], None),
        (set(&[("KILN_FAKE_CUDA_FAULT", "image")]), &[], None),
    ]);
    assert_eq!(older.code, Some(0), "{:#?}", older.lines);
    older.has("warning", "limits", "over-temperature, load.gemm.margin.min cannot be judged on gpu/0, gpu/1");
    older.has("warning", "limits", "is judged by less");
    assert_eq!(least.code, Some(3));
    least.has("bad", "driver", "525.147.05");
    assert_eq!(portable.code, Some(0), "{:#?}", portable.lines);
    portable.has("warning", "CUDA", "not the ones made for the part");
}
