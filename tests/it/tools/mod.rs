//! Programs of other people as checks: through the real worker, the real supervisor and the engine on the world's clock.
//! Fakes for everything that can go wrong, and the real ones where they are installed (`ci/tools` installs them).

mod bench;
mod corpus;
mod ends;
mod findings;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kiln::check;
use kiln::engine::drive::run_in_virtual_time;
use kiln::engine::{Equipment, Machine};
use kiln::model::WallTime;
use kiln::node::sim::{NodeFile, SimNode};
use kiln::profile::Skus;

use self::bench::{Fakes, Nobody, Scribe, installed, installed_or_told, profile, run, started, told};

#[test]
fn whatever_goes_wrong_with_a_program_is_told_and_never_passes() {
    let fakes = Fakes::new(&[
        ("exits", "echo 'two of three'; exit 3"),
        ("crashes", "kill -SEGV $$"),
        ("garbage", "echo 'Segmentation fault' ; echo 'no such luck' >&2; exit 1"),
        ("hangs", "trap '' TERM; echo 'starting'; while :; do sleep 0.05; done"),
        ("floods", "exec cat /dev/zero"),
        ("lacks", "echo 'stress-ng: no resource' >&2; exit 3"),
        ("interpreter", ""),
    ]);
    let broken = fakes.0.path().join("interpreter");
    std::fs::write(broken, "#!/no/such/interpreter\n").expect("written");
    insta::assert_snapshot!("whatever-goes-wrong", fakes.run(
        r#"
      - { id: absent, use: tool.fio, with: { program: no-such-fio }, limits: { passed: "== true" } }
      - { id: skipped, use: tool.fio, with: { program: FOLDER/none, not-installed: skip }, limits: { passed: "== true" } }
      - { id: exits, use: tool.run, with: { program: FOLDER/exits }, limits: { passed: "== true" } }
      - { id: unjudged, use: tool.run, with: { program: FOLDER/exits } }
      - { id: crashes, use: tool.run, with: { program: FOLDER/crashes }, limits: { exit-code: "== 0" } }
      - { id: garbage, use: tool.fio, with: { program: FOLDER/garbage }, limits: { passed: "== true" } }
      - { id: hangs, use: tool.run, with: { program: FOLDER/hangs, within: 1s }, limits: { passed: "== true" } }
      - { id: floods, use: tool.run, with: { program: FOLDER/floods }, limits: { exit-code: "== 0" } }
      - { id: lacks, use: tool.stress-ng, with: { program: FOLDER/lacks }, limits: { passed: "== true" } }
      - { id: broken, use: tool.run, with: { program: FOLDER/interpreter }, limits: { passed: "== true" } }
      - { id: nowhere, use: tool.run, with: { program: "true", directory: FOLDER/none }, limits: { passed: "== true" } }
"#
    ));
}

#[test]
fn arguments_reach_a_program_as_they_stand_in_the_profile() {
    let fakes = Fakes::new(&[(
        "report",
        r#"[ "$1" = --version ] && echo 'report 7' && exit 0
pwd >&2
printf '{"count": %s, "first": %s, "input": "%s"}' $# "'$1'" "$(cat)" | tr "'" '"'"#,
    )]);
    insta::assert_snapshot!(fakes.run(
        r#"
      - id: args
        use: tool.run
        with:
          program: FOLDER/report
          version-args: [--version]
          args: ["$(touch FOLDER/owned); `id` | &", "a b", ""]
          values: [count=/count, first=/first, "lost=/no/such"]
        limits: { value.count: "== 3", passed: "== true" }
      - id: missing
        use: tool.run
        with: { program: FOLDER/report, values: [lost=/no/such] }
        limits: { value.lost: "== 3" }
      - id: unnamed
        use: tool.run
        with: { program: FOLDER/report }
        limits: { value.count: "== 3" }
"#
    ), @r#"
    s.args [node] PASS
      node value.count 3
      node value.first missing: `/first` is "$(touch FOLDER/owned); `id` | &", not a number
      node value.lost missing: the report has no `/no/such`
      node passed true
      node version report 7
      node exit-code 0
    s.missing [node] ERROR not-measured: `value.lost` was not measured: the report has no `/no/such`
      node value.lost missing: the report has no `/no/such`
      node passed true
      node version unsupported
      node exit-code 0
    s.unnamed [node] ERROR not-measured: `value.count` was not measured: the check gave no such value
      node passed true
      node version unsupported
      node exit-code 0
      node value.count missing: the check gave no such value
    "#);
    assert!(!fakes.0.path().join("owned").exists());
}

/// Runs every check of `steps` with a program that prints a recorded output: the check's name after `tool.`, the file, the
/// rest of its step.
fn played(steps: &[(&str, &str, &str)]) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tools");
    let script = |file: &str| format!("[ \"$1\" = --version ] && echo 'fake 1.0' || cat {}/{file}", fixtures.display());
    let scripts: Vec<(&str, String)> = steps.iter().map(|(name, file, _)| (*name, script(file))).collect();
    let scripts: Vec<(&str, &str)> = scripts.iter().map(|(name, script)| (*name, script.as_str())).collect();
    let step = |(name, _, rest): &(&str, &str, &str)| {
        format!("      - {{ id: {name}, use: tool.{name}, with: {{ program: FOLDER/{name} }}, {rest} }}")
    };
    Fakes::new(&scripts).run(&steps.iter().map(step).collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_output_of_programs_for_gpus_becomes_measurements_of_their_checks() {
    insta::assert_snapshot!(
        "programs-for-gpus",
        played(&[
            ("dcgmi", "dcgmi/4-fail-and-skip.json", "each: gpu, limits: { pcie.passed: \"== true\" }"),
            (
                "nvbandwidth",
                "nvbandwidth/0.8-json.json",
                "limits: { device_to_device_memcpy_read_ce: \">= 270 GB/s\" }"
            ),
            ("nccl", "nccl-tests/2.17-json.json", "limits: { bus.bandwidth: \">= 400 GB/s\", wrong: \"== 0\" }"),
            ("gpu-burn", "gpu-burn/1.0-faulty-overflow.txt", "limits: { passed: \"== true\" }"),
        ])
    );
}

#[test]
fn outputs_of_another_node_or_without_proof_do_not_pass() {
    insta::assert_snapshot!(
        "no-proof",
        played(&[
            ("nvbandwidth", "nvbandwidth/0.9-ten-gpus.json", "limits: { passed: \"== true\" }"),
            ("dcgmi", "dcgmi/4-seven-gpus.json", "limits: { passed: \"== true\" }"),
            ("gpu-burn", "gpu-burn/2026-i3-faulty.txt", "limits: { passed: \"== true\" }"),
            ("nccl", "nccl-tests/2.17-not-checked.txt", "limits: { passed: \"== true\" }"),
            ("fio", "fio/terse.txt", "limits: { passed: \"== true\" }"),
        ])
    );
}

#[test]
fn the_output_of_programs_for_the_host_becomes_measurements_of_their_checks() {
    insta::assert_snapshot!(
        "programs-for-the-host",
        played(&[
            (
                "stress-ng",
                "stress-ng/0.15.yaml",
                "limits: { cpu.operations: \">= 100 Hz\", io.operations: \">= 1 Hz\" }"
            ),
            ("stressapptest", "stressapptest/1.0.6-pass-without-times.txt", "limits: { errors: \"== 0\" }"),
            ("fio", "fio/json.json", "limits: { t.read.latency.p99: \"<= 1 ms\" }"),
            ("iperf3", "iperf3/tcp.json", "limits: { received.bandwidth: \">= 1 GB/s\" }"),
            ("ib-write-bw", "ib_write_bw/6-mib.txt", "limits: { 65536.average.bandwidth: \">= 45 GB/s\" }"),
        ])
    );
}

#[test]
fn a_simulated_node_runs_no_programs_and_says_so() {
    let skus = Skus::built_in().expect("SKU files");
    let steps = "      - { id: disk, use: tool.fio, limits: { passed: \"== true\" } }\n      - { id: gpus, use: tool.gpu-burn, limits: { passed: \"== true\" } }\n";
    let equipment = Equipment { skus: &skus, catalogue: check::catalogue(), find_check: check::find };
    let mut machine = Machine::new(equipment, started(&profile(steps), &[], &skus), None);
    let file = NodeFile::find("hgx-h200-8").expect("a node file");
    let mut node = SimNode::new(&file, 1, &[]).expect("a node");
    let epoch = WallTime::from_second(1_800_000_000).expect("epoch");
    run_in_virtual_time(&mut machine, &mut node, &mut Scribe::default(), &mut Nobody, epoch, &mut || None)
        .expect("driven");
    insta::assert_snapshot!(told(machine.record(), Path::new("/nonexistent")), @"
    s.disk [node] ERROR load: `fio`: the load failed: programs are not available on a simulated node
    s.gpus [node] ERROR load: `gpu_burn`: the load failed: programs are not available on a simulated node
    ");
}

/// A server for the network test; killed when it is dropped.
struct Server(Child);

impl Server {
    fn start() -> (Self, u16) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port();
        let mut server = Command::new("iperf3")
            .args(["-s", "--forceflush", "-p", &free.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut lines = BufReader::new(server.stdout.take().expect("its output")).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line.contains("listening"))), "iperf3 does not listen");
        (Self(server), free)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_example_runs_the_real_programs() {
    let programs = ["stress-ng", "stressapptest", "fio", "iperf3"];
    let missing: Vec<&str> = programs.into_iter().filter(|program| !installed_or_told(program)).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let server = installed("iperf3").then(Server::start);
    let port = server.as_ref().map_or(5201, |(_, port)| *port);
    let scratch = folder.path().join("scratch").display().to_string();
    let set: Vec<(String, String)> = [
        ("seconds", "4".to_owned()),
        ("within", "2m".to_owned()),
        ("memory", "64".to_owned()),
        ("scratch", scratch),
        ("size", "8M".to_owned()),
        ("station", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("profiles/examples/host-tools.yaml");
    let profile = std::fs::read_to_string(file).expect("the example");
    let record = run(&profile, &set);
    let mut wanted = String::new();
    let mut seen = String::new();
    let steps = [("processors", "ERROR"), ("memory", "ERROR"), ("disk", "ERROR"), ("network", "SKIPPED")];
    for ((step, absent), program) in steps.into_iter().zip(programs) {
        let _ = writeln!(wanted, "host.{step} {}", if missing.contains(&program) { absent } else { "PASS" });
    }
    for step in &record.steps {
        for case in &step.cases {
            let _ = writeln!(seen, "{} {}", step.key.path, case.outcome.shown());
        }
    }
    assert_eq!(seen, wanted, "{}", told(&record, folder.path()));
    let versions = told(&record, folder.path()).lines().filter(|line| line.starts_with("  node version ")).count();
    assert_eq!(versions, programs.len() - missing.len(), "{}", told(&record, folder.path()));
}
