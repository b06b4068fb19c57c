//! Nothing that a program started outlives its worker, its supervisor or itself: children in its group, in sessions of
//! their own, and orphans, whichever process is killed or stopped. With real processes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use kiln::load::worker::{ToWorker, Variant, WorkOrder, encode};
use kiln::model::{LoadId, LoadKind, LoadOrder, ProgramOrder, ProgramReader};

use super::bench::{Fakes, eventually, installed_or_told};

/// Starts four processes that write down their numbers: a child, one in a session of its own, an orphan in a session of
/// its own, and the script itself. `$0` is the folder.
const FAMILY: &str = r#"
f=$(dirname "$0")
note='echo $$ > "$0.new"; mv "$0.new" "$0"; exec sleep 98765'
sh -c "$note" "$f/child" &
setsid sh -c "$note" "$f/session" &
(setsid sh -c "$note" "$f/orphan" &)
sh -c 'echo $PPID > "$0.new"; mv "$0.new" "$0"' "$f/script"
"#;
const MEMBERS: [&str; 4] = ["child", "session", "orphan", "script"];

/// A worker with one program, and the numbers of all it started.
struct Family {
    worker: Child,
    stdin: Option<ChildStdin>,
    pids: Vec<i32>,
    _fakes: Fakes,
}

impl Family {
    /// Starts a worker whose program is the family and then does `last`.
    fn start(last: &str) -> Self {
        let fakes = Fakes::new(&[("family", &format!("{FAMILY}{last}"))]);
        let (worker, stdin) = work(&fakes.0.path().join("family").display().to_string(), &[]);
        let number = |name: &str| {
            let file = fakes.0.path().join(name);
            eventually(name, || std::fs::read_to_string(&file).ok()?.trim().parse::<i32>().ok())
        };
        let pids = MEMBERS.iter().map(|name| number(name)).collect();
        Self { worker, stdin: Some(stdin), pids, _fakes: fakes }
    }

    fn script(&self) -> i32 {
        self.pids[3]
    }

    fn assert_alive(&self) {
        let dead: Vec<&str> =
            MEMBERS.iter().zip(&self.pids).filter(|(_, pid)| !lives(**pid)).map(|(name, _)| *name).collect();
        assert!(dead.is_empty(), "{dead:?} did not live");
    }

    fn assert_all_gone(&self) {
        for (name, pid) in MEMBERS.iter().zip(&self.pids) {
            eventually(&format!("the end of the {name}"), || (!lives(*pid)).then_some(()));
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let _ = self.worker.kill();
        let _ = self.worker.wait();
    }
}

/// A worker that runs a program.
fn work(program: &str, args: &[&str]) -> (Child, ChildStdin) {
    let mut worker = Command::new(env!("CARGO_BIN_EXE_kiln"));
    let mut worker = worker.arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a worker");
    let reader = ProgramReader::Values(Vec::new());
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    let order = ProgramOrder { program: program.to_owned(), args, directory: None, version: Vec::new(), reader };
    let kind = LoadKind::Program(Box::new(order));
    let order = LoadOrder { id: LoadId(1), kind, gpus: [].into(), seed: 1, span: None };
    let work = WorkOrder { order, devices: Vec::new(), injection: None, variant: Variant::default() };
    let mut stdin = worker.stdin.take().expect("its input");
    for message in [ToWorker::Order(Box::new(work)), ToWorker::Begin { at: 0 }] {
        stdin.write_all(encode(&message).as_bytes()).expect("sent");
    }
    let mut lines = BufReader::new(worker.stdout.take().expect("its output")).lines();
    assert!(lines.any(|line| line.expect("a line").contains("running")));
    // Somebody must go on reading, or its words stop the worker.
    std::thread::spawn(move || lines.for_each(drop));
    (worker, stdin)
}

/// Everything that descends from a process now.
fn descendants(root: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let parents: Vec<(i32, i32)> = numbers.filter_map(|pid| Some((pid, stat(pid)?.1))).collect();
    let (mut found, mut next) = (Vec::new(), vec![root]);
    while let Some(parent) = next.pop() {
        let children = parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid);
        next.extend(children.clone());
        found.extend(children);
    }
    found
}

fn stat(pid: i32) -> Option<(String, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat[stat.rfind(')')? + 2..].split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

fn lives(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

fn signal(pid: i32, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().expect("sh");
    assert!(status.success(), "kill -{name} {pid}");
}

#[test]
fn all_that_a_program_started_dies_with_a_killed_worker() {
    let mut family = Family::start("wait");
    family.assert_alive();
    family.worker.kill().expect("killed");
    family.assert_all_gone();
}

#[test]
fn all_that_a_program_started_dies_when_the_supervisor_is_gone() {
    let mut family = Family::start("trap '' TERM; while :; do wait; sleep 0.05; done");
    family.assert_alive();
    family.stdin = None;
    family.assert_all_gone();
}

#[test]
fn all_that_a_program_started_dies_when_the_lease_runs_out() {
    let family = Family::start("wait");
    family.assert_alive();
    // The pipe is open, and nothing comes through it.
    family.assert_all_gone();
}

#[test]
fn all_that_a_program_started_dies_under_a_worker_that_is_stopped() {
    let family = Family::start("wait");
    family.assert_alive();
    signal(family.worker.id() as i32, "STOP");
    family.assert_all_gone();
}

#[test]
fn all_that_a_program_started_dies_when_its_keeper_is_killed() {
    let family = Family::start("wait");
    family.assert_alive();
    let (_, keeper) = stat(family.script()).expect("the script lives");
    assert!(keeper != family.worker.id() as i32 && Path::new(&format!("/proc/{keeper}")).exists());
    signal(keeper, "KILL");
    family.assert_all_gone();
}

#[test]
fn real_programs_die_with_a_killed_worker() {
    // The processes each has at least, with its keeper.
    let programs: [(&str, &[&str], usize); 3] = [
        ("stress-ng", &["--cpu", "2", "--timeout", "1000"], 4),
        ("stressapptest", &["-M", "16", "-s", "1000", "-m", "1"], 2),
        ("fio", &["--name=x", "--ioengine=null", "--size=1g", "--rw=read", "--time_based", "--runtime=1000"], 3),
    ];
    for (program, args, count) in programs.into_iter().filter(|(program, ..)| installed_or_told(program)) {
        let (mut worker, _stdin) = work(program, args);
        let pids = eventually(program, || Some(descendants(worker.id() as i32)).filter(|pids| pids.len() >= count));
        worker.kill().expect("killed");
        worker.wait().expect("waited for");
        for pid in pids {
            eventually(&format!("the end of {pid} of {program}"), || (!lives(pid)).then_some(()));
        }
    }
}

#[test]
fn a_program_that_ends_leaves_nothing_running() {
    let family = Family::start(
        r#"until [ -f "$f/child" ] && [ -f "$f/session" ] && [ -f "$f/orphan" ]; do sleep 0.02; done; exit 0"#,
    );
    family.assert_all_gone();
}
