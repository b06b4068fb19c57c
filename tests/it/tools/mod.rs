//! Programs of other people as checks: through the real worker, the real supervisor and the engine on the world's clock.
//! Fakes for everything that can go wrong, and the real ones where they are installed (`ci/tools` installs them).

mod bench;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kiln::check;
use kiln::engine::drive::run_in_virtual_time;
use kiln::engine::{Equipment, Machine};
use kiln::load::worker::{ToWorker, WorkOrder, encode};
use kiln::model::{LoadId, LoadKind, LoadOrder, ProgramOrder, ProgramReader, WallTime};
use kiln::node::sim::{NodeFile, SimNode};
use kiln::profile::Skus;

use self::bench::{Fakes, Nobody, Scribe, profile, run, started, told};

/// Set where the real programs must be there (by `ci/tools`): then one that is missing fails the test.
const REQUIRED: &str = "KILN_TOOLS_REQUIRED";

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
    insta::assert_snapshot!(fakes.run(
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
    ), @"
    s.absent [node] ERROR not-installed: `no-such-fio` is not installed: it is in no directory of PATH (PATHS); install it, or name its file under `program`
    s.skipped [node] SKIPPED not-applicable: FOLDER/none is no program that can be run
    s.exits [node] FAIL limit: passed false, limit == true
      node passed false
      node version unsupported
      node exit-code 3
    s.unjudged [node] INCONCLUSIVE no-limit: no limit applied, so nothing was judged
      node passed false
      node version unsupported
      node exit-code 3
    s.crashes [node] FAIL limit: exit-code 139, limit == 0 (0)
      node passed false
      node version unsupported
      node exit-code 139
    s.garbage [node] ERROR unreadable: the output of `FOLDER/garbage` (exit code 1) is not understood: expected value at line 1 column 1; it printed: Segmentation fault / -- on standard error: / no such luck
      node version unsupported
    s.hangs [node] ERROR timeout: `FOLDER/hangs` still ran after 1s and was stopped; it printed: starting
      node version unsupported
    s.floods [node] ERROR unreadable: the output of `FOLDER/floods` is not understood: it printed without end and was stopped; it printed: �
      node version unsupported
    s.lacks [node] ERROR unreadable: the output of `FOLDER/lacks` (exit code 3) is not understood: exit code 3: it lacked the resources for a stressor; it printed: -- on standard error: / stress-ng: no resource
      node version unsupported
    s.broken [node] ERROR load: `FOLDER/interpreter`: the load failed: FOLDER/interpreter cannot be started: its interpreter or loader is not on this machine
      node version unsupported
    s.nowhere [node] ERROR load: `true`: the load failed: there is no directory FOLDER/none to run in
    ");
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
    s.missing [node] ERROR not-measured: `value.lost` was not measured: missing: the report has no `/no/such`
      node value.lost missing: the report has no `/no/such`
      node passed true
      node version unsupported
      node exit-code 0
    s.unnamed [node] ERROR not-measured: `value.count` was not measured: missing: the check gave no such value
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
    insta::assert_snapshot!(played(&[
        ("dcgmi", "dcgmi-diag.json", "each: gpu, limits: { pcie.passed: \"== true\" }"),
        ("nvbandwidth", "nvbandwidth.json", "limits: { device_to_device_memcpy_read_ce: \">= 270 GB/s\" }"),
        ("nccl", "nccl-tests.json", "limits: { bus.bandwidth: \">= 400 GB/s\", wrong: \"== 0\" }"),
        ("gpu-burn", "gpu-burn.txt", "limits: { passed: \"== true\" }"),
    ]), @r#"
    s.dcgmi [gpu/0] PASS
      gpu/0 software.passed false
      gpu/0 pcie.passed true
      node passed false
      node version fake 1.0
      node exit-code 0
    s.dcgmi [gpu/1] ERROR not-measured: `pcie.passed` was not measured: missing: skipped: ["not in the table"]
      gpu/1 software.passed true
      gpu/1 pcie.passed missing: skipped: ["not in the table"]
    s.dcgmi [gpu/2] ERROR not-measured: `pcie.passed` was not measured: missing: the check gave no such value
      gpu/2 pcie.passed missing: the check gave no such value
    s.dcgmi [gpu/3] ERROR not-measured: `pcie.passed` was not measured: missing: the check gave no such value
      gpu/3 pcie.passed missing: the check gave no such value
    s.dcgmi [gpu/4] ERROR not-measured: `pcie.passed` was not measured: missing: the check gave no such value
      gpu/4 pcie.passed missing: the check gave no such value
    s.dcgmi [gpu/5] ERROR not-measured: `pcie.passed` was not measured: missing: the check gave no such value
      gpu/5 pcie.passed missing: the check gave no such value
    s.dcgmi [gpu/6] ERROR not-measured: `pcie.passed` was not measured: missing: the check gave no such value
      gpu/6 pcie.passed missing: the check gave no such value
    s.dcgmi [gpu/7] ERROR not-measured: `pcie.passed` was not measured: missing: the check gave no such value
      gpu/7 pcie.passed missing: the check gave no such value
    s.nvbandwidth [node] PASS
      gpu/0/pcie host_to_device_memcpy_ce 55.63 GB/s
      gpu/1/pcie host_to_device_memcpy_ce 55.6 GB/s
      gpu/0-gpu/1 device_to_device_memcpy_read_ce 276.07 GB/s
      gpu/1-gpu/0 device_to_device_memcpy_read_ce 276.36 GB/s
      gpu/0/pcie host_device_latency_sm 0.77258 µs
      gpu/1/pcie host_device_latency_sm 0.7728 µs
      node multinode_device_to_device_memcpy_read_ce missing: Waived
      node passed true
      node version v0.8
      node exit-code 0
    s.nccl [node] PASS
      node message.size 8589934592 B
      node algorithm.bandwidth 274.5 GB/s
      node bus.bandwidth 480.4 GB/s
      node wrong 0
      node passed true
      node version unsupported
      node exit-code 0
    s.gpu-burn [node] FAIL limit: passed false, limit == true
      gpu/0 passed true
      gpu/1 passed false
      gpu/0 throughput 6311 GFLOP/s
      gpu/0 errors 0
      gpu/1 throughput 6440 GFLOP/s
      gpu/1 errors 524288000
      node passed false
      node version unsupported
      node exit-code 0
    "#);
}

#[test]
fn the_output_of_programs_for_the_host_becomes_measurements_of_their_checks() {
    insta::assert_snapshot!(played(&[
        ("stress-ng", "stress-ng.yaml", "limits: { cpu.operations: \">= 100 Hz\", io.operations: \">= 1 Hz\" }"),
        ("stressapptest", "stressapptest.txt", "limits: { errors: \"== 0\" }"),
        ("fio", "fio.json", "limits: { t.read.latency.p99: \"<= 1 ms\" }"),
        ("iperf3", "iperf3.json", "limits: { received.bandwidth: \">= 1 GB/s\" }"),
        ("ib-write-bw", "ib_write_bw.txt", "limits: { 65536.average.bandwidth: \">= 45 GB/s\" }"),
    ]), @"
    s.stress-ng [node] ERROR not-measured: `io.operations` was not measured: missing: the check gave no such value
      node cpu.operations 291.34 Hz
      node cpu.time 3.00337 s
      node vm.operations 13766.3 Hz
      node vm.time 3.02347 s
      node passed true
      node version fake 1.0
      node exit-code 0
      node io.operations missing: the check gave no such value
    s.stressapptest [node] PASS
      node memory.bandwidth 1006.91 MB/s
      node incidents 0
      node errors 0
      node passed true
      node version 1.0.6_autoconf
      node exit-code 0
    s.fio [node] FAIL limit: t.read.latency.p99 8093.7 µs, limit <= 1 ms (1000 µs)
      node t.read.bandwidth 419.43 MB/s
      node t.read.operations 3200 Hz
      node t.read.latency.p99 8093.7 µs
      node t.write.bandwidth 417.047 MB/s
      node t.write.operations 3181.82 Hz
      node t.write.latency.p99 80.384 µs
      node errors 0
      node passed true
      node version fake 1.0
      node exit-code 0
    s.iperf3 [node] PASS
      node sent.bandwidth 1.59512 GB/s
      node received.bandwidth 1.58365 GB/s
      node retransmits 2
      node passed true
      node version fake 1.0
      node exit-code 0
    s.ib-write-bw [node] PASS
      node 65536.peak.bandwidth 49.218 GB/s
      node 65536.average.bandwidth 49.2124 GB/s
      node passed true
      node version fake 1.0
      node exit-code 0
    ");
}

#[test]
fn a_program_does_not_outlive_its_worker() {
    let fakes = Fakes::new(&[(
        "waits",
        "echo $$ > $(dirname $0)/pid.new; mv $(dirname $0)/pid.new $(dirname $0)/pid; exec sleep 1000",
    )]);
    let program = fakes.0.path().join("waits").display().to_string();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_kiln"))
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a worker");
    let reader = ProgramReader::Values(Vec::new());
    let order = ProgramOrder { program, args: Vec::new(), directory: None, version: Vec::new(), reader };
    let kind = LoadKind::Program(Box::new(order));
    let order = LoadOrder { id: LoadId(1), kind, gpus: [].into(), seed: 1, span: None };
    let work = WorkOrder { order, devices: Vec::new(), injection: None };
    let mut stdin = worker.stdin.take().expect("its input");
    for message in [ToWorker::Order(Box::new(work)), ToWorker::Begin { at: 0 }] {
        stdin.write_all(encode(&message).as_bytes()).expect("sent");
    }
    let mut lines = BufReader::new(worker.stdout.take().expect("its output")).lines();
    assert!(lines.any(|line| line.expect("a line").contains("running")));
    let pid = eventually(|| std::fs::read_to_string(fakes.0.path().join("pid")).ok());
    let stat = format!("/proc/{}/stat", pid.trim());
    assert!(Path::new(&stat).exists());
    worker.kill().expect("killed");
    worker.wait().expect("waited for");
    eventually(|| {
        let stat = std::fs::read_to_string(&stat).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

/// What comes within the time anything here takes.
fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    // A channel that nobody sends on: waiting is the only thing it does.
    let (_silent, clock) = std::sync::mpsc::channel::<()>();
    for _ in 0..2000 {
        if let Some(seen) = look() {
            return seen;
        }
        let _ = clock.recv_timeout(Duration::from_millis(10));
    }
    panic!("it never came");
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
    let installed = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    let programs = ["stress-ng", "stressapptest", "fio", "iperf3"];
    let missing: Vec<&str> = programs.into_iter().filter(|program| !installed(program)).collect();
    assert!(missing.is_empty() || std::env::var_os(REQUIRED).is_none(), "not installed: {missing:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let server = installed("iperf3").then(Server::start);
    let port = server.as_ref().map_or(5201, |(_, port)| *port);
    let scratch = folder.path().join("scratch").display().to_string();
    let set: Vec<(String, String)> = [
        ("seconds", "2".to_owned()),
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
        if missing.contains(&program) {
            let _ =
                writeln!(std::io::stderr(), "tools: {program} is not installed; it was NOT run (ci/tools installs it)");
        }
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
