//! The supervisor against workers that misbehave: real processes (shell scripts) for what pipes and signals do, and an
//! actor in the place of a process for what no test can make a process do.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::groups::Supervisor;
use super::line::Heard;
use super::process::{Exit, Process};
use super::spawner::WorkerCommand;
use super::worker_handle::{News, WorkerHandle};
use crate::worker::{FromWorker, ToWorker, Variant, WorkOrder, encode};
use kiln_model::Arrivals;
use kiln_model::{
    BurnKernel, GpuIndex, LoadEnd, LoadId, LoadKind, LoadOrder, LoadReport, LoadSaid, Moment, Span, StopHow,
};

const HELLO: &str = r#"echo '{"v":3,"say":{"hello":{"pid":1}}}'"#;
const READY: &str = r#"echo '{"v":3,"say":"ready"}'"#;
const RUNNING: &str = r#"echo '{"v":3,"say":{"said":"running"}}'"#;
const FINISHED: &str = r#"echo '{"v":3,"say":{"said":{"ended":{"gpu":null,"end":"finished"}}}}'"#;
/// Waits for the word to begin.
const BEGIN: &str = r#"while read -r line; do case "$line" in *begin*) break;; esac; done"#;
/// Goes on until told to stop.
const UNTIL_STOP: &str = r#"while read -r line; do case "$line" in *stop*) break;; esac; done"#;
/// Reads until its pipe is closed and takes no order.
const DEAF: &str = "while :; do read -r line || exec sleep 1000; done";

fn order(gpus: &[u8]) -> LoadOrder {
    LoadOrder {
        id: LoadId(1),
        kind: LoadKind::Burn(BurnKernel::Bf16),
        gpus: gpus.iter().map(|gpu| GpuIndex(*gpu)).collect(),
        seed: 1,
        span: None,
    }
}

/// A supervisor over shell scripts, with a clock that stands still while anything comes in and jumps to what is due
/// next when nothing does.
struct Shop {
    supervisor: Supervisor,
    woken: Receiver<()>,
    now: Moment,
    told: Vec<LoadReport>,
}

impl Shop {
    fn open(lines: &[&str], gpus: &[u8]) -> Self {
        let args = vec!["-c".into(), lines.join("\n").into()];
        let command = WorkerCommand { program: "sh".into(), args, env: Vec::new() };
        let (wake, woken) = channel();
        let mut supervisor = Supervisor::new(command);
        supervisor.on_arrival(Box::new(move || {
            let _ = wake.send(());
        }));
        supervisor.start_load(Moment::ZERO, &order(gpus));
        Self { supervisor, woken, now: Moment::ZERO, told: Vec::new() }
    }

    /// Runs until `done` says so. Fails rather than hangs.
    fn until(&mut self, done: impl Fn(&[LoadReport]) -> bool) {
        for _ in 0..20_000 {
            let mut arrivals = Arrivals::default();
            self.supervisor.collect(self.now, &mut arrivals);
            self.told.append(&mut arrivals.loads);
            if done(&self.told) {
                return;
            }
            if self.woken.recv_timeout(Duration::from_millis(25)).is_ok() {
                while self.woken.try_recv().is_ok() {}
            } else if let Some(next) = self.supervisor.next_arrival() {
                self.now = self.now.max(next);
            }
        }
        panic!("it never came: {:?}", self.told);
    }

    fn until_over(mut self) -> Vec<LoadSaid> {
        self.until(|told| told.iter().any(|report| matches!(report.said, LoadSaid::Ended { gpu: None, .. })));
        self.told.into_iter().map(|report| report.said).collect()
    }

    fn until_running(&mut self) {
        self.until(|told| told.iter().any(|report| report.said == LoadSaid::Running));
    }
}

fn end_of(lines: &[&str]) -> String {
    match Shop::open(lines, &[0]).until_over().pop() {
        Some(LoadSaid::Ended { gpu: None, end: LoadEnd::Failed(why) }) => why.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn workers_that_break_the_rules_are_killed_and_named() {
    let scripts: &[(&str, &[&str])] = &[
        ("crash", &[HELLO, "echo 'cuda: bad day' >&2", "kill -SEGV $$"]),
        ("leaves", &[HELLO, READY, "exit 3"]),
        ("leaves without a word", &["exit 0"]),
        ("garbage", &[HELLO, "echo 'CUDA error at line 3'", "exec sleep 1000"]),
        ("half a line", &[HELLO, r#"printf '{"v":3,"say":'"#]),
        ("half a line and no more", &[HELLO, r#"printf '{"v":3,"say":'"#, DEAF]),
        ("wrong version", &[r#"echo '{"v":4,"say":{"hello":{"pid":1}}}'"#, "exec sleep 1000"]),
        ("out of turn", &[HELLO, RUNNING, "exec sleep 1000"]),
        ("flood", &[HELLO, r#"while :; do echo '{"v":3,"say":"alive"}'; done"#]),
        ("no end of line", &["exec tr '\\0' x < /dev/zero"]),
        ("never up", &["exec sleep 1000"]),
        ("never ready", &[HELLO, "exec sleep 1000"]),
        ("hangs at work", &[HELLO, READY, BEGIN, RUNNING, "exec sleep 1000"]),
    ];
    let table: Vec<String> = scripts.iter().map(|(name, lines)| format!("{name}: {}", end_of(lines))).collect();
    insta::assert_snapshot!(table.join("\n"), @r#"
    crash: the worker crashed with signal 11; it wrote: cuda: bad day
    leaves: the worker left with code 3
    leaves without a word: the worker left with code 0
    garbage: the worker was killed: it said what is not the protocol: "CUDA error at line 3"
    half a line: the worker was killed: it broke off within a line: "{\"v\":3,\"say\":"
    half a line and no more: the worker was killed: it did not get ready for 120 s
    wrong version: the worker was killed: it speaks version 4 of the protocol and this program version 3; install the same kiln
    out of turn: the worker was killed: it spoke out of turn: Said(Running)
    flood: the worker was killed: it floods: more than 4000 messages within a second
    no end of line: the worker was killed: it wrote a line without end
    never up: the worker was killed: it did not come up for 20 s
    never ready: the worker was killed: it did not get ready for 120 s
    hangs at work: the worker was killed: it hangs: it said nothing for 30 s
    "#);
}

#[test]
fn a_worker_that_cannot_be_started_is_a_failure_of_its_load() {
    let command = WorkerCommand { program: "/nonexistent/worker".into(), args: Vec::new(), env: Vec::new() };
    let mut supervisor = Supervisor::new(command);
    supervisor.start_load(Moment::ZERO, &order(&[0, 1]));
    let mut arrivals = Arrivals::default();
    supervisor.collect(Moment::ZERO, &mut arrivals);
    let told: Vec<String> = arrivals.loads.iter().map(|report| format!("{:?}", report.said)).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    Ended { gpu: Some(GpuIndex(0)), end: Failed(NoWorker { error: "No such file or directory (os error 2)" }) }
    Ended { gpu: Some(GpuIndex(1)), end: Failed(NoWorker { error: "No such file or directory (os error 2)" }) }
    Ended { gpu: None, end: Failed(NoWorkers) }
    "#);
    assert_eq!(supervisor.next_arrival(), None);
}

#[test]
fn all_workers_begin_together_and_the_load_ends_with_the_last() {
    let mut shop = Shop::open(&[HELLO, READY, BEGIN, RUNNING, UNTIL_STOP, FINISHED], &[0, 1, 2]);
    shop.until_running();
    assert_eq!(shop.told.len(), 1, "three workers make one `Running`");
    shop.supervisor.stop_load(shop.now, LoadId(1), StopHow::Gently);
    let said = shop.until_over();
    assert_eq!(said[1..], [LoadSaid::Ended { gpu: None, end: LoadEnd::Finished }]);
}

#[test]
fn one_gpu_in_trouble_does_not_end_the_load_of_the_others() {
    // The worker of GPU 1 crashes once it runs.
    let crash = r#"case "$first" in *'"gpu":1'*) kill -ABRT $$;; esac"#;
    let mut shop = Shop::open(&["read -r first", HELLO, READY, BEGIN, RUNNING, crash, UNTIL_STOP, FINISHED], &[0, 1]);
    let lost = |report: &LoadReport| matches!(report.said, LoadSaid::Ended { gpu: Some(_), .. });
    shop.until(|told| told.iter().any(lost));
    shop.supervisor.stop_load(shop.now, LoadId(1), StopHow::Gently);
    let said = shop.until_over();
    let ends: Vec<String> =
        said.iter().filter(|said| **said != LoadSaid::Running).map(|said| format!("{said:?}")).collect();
    insta::assert_snapshot!(ends.join("\n"), @r#"
    Ended { gpu: Some(GpuIndex(1)), end: Failed(WorkerCrashed { signal: 6, wrote: "" }) }
    Ended { gpu: None, end: Finished }
    "#);
}

#[test]
fn a_worker_that_ignores_being_asked_is_terminated() {
    let mut shop =
        Shop::open(&["trap 'exit 0' TERM", HELLO, READY, BEGIN, RUNNING, "while :; do read -r x; done"], &[0]);
    shop.until_running();
    shop.supervisor.stop_load(shop.now, LoadId(1), StopHow::Gently);
    assert_eq!(shop.until_over().pop(), Some(LoadSaid::Ended { gpu: None, end: LoadEnd::Stopped }));
}

#[test]
fn a_worker_that_ignores_the_polite_signal_is_killed() {
    let mut shop = Shop::open(&["trap '' TERM", HELLO, READY, BEGIN, RUNNING, DEAF], &[0]);
    shop.until_running();
    let before = shop.now;
    shop.supervisor.stop_load(shop.now, LoadId(1), StopHow::Gently);
    shop.until(|told| told.iter().any(|report| matches!(report.said, LoadSaid::Ended { .. })));
    assert!(shop.now >= before + Span::from_secs(6), "asked for 3 s and terminated for 3 s before");
}

#[test]
fn what_a_worker_left_in_its_group_dies_with_it() {
    let mut shop = Shop::open(&[HELLO, READY, BEGIN, RUNNING, "sleep 1000 & echo $! >&2", "kill -KILL $$"], &[0]);
    shop.until(|told| told.iter().any(|report| matches!(report.said, LoadSaid::Ended { .. })));
    let Some(LoadSaid::Ended { end: LoadEnd::Failed(why), .. }) = shop.told.last().map(|report| &report.said) else {
        panic!("not a failure: {:?}", shop.told);
    };
    let left: i32 = why.to_string().rsplit(' ').next().and_then(|pid| pid.parse().ok()).expect("a process number");
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    // A wake may still come in from the pipes; it ends one look, not the looking.
    let looked = (0..1000).any(|_| {
        gone() || {
            let _ = shop.woken.recv_timeout(Duration::from_millis(5));
            false
        }
    });
    assert!(looked, "process {left} outlived its group");
}

/// A process that says what it is told to say and dies only if it is let.
#[derive(Debug)]
struct Actor {
    says: Vec<Heard>,
    mortal: bool,
    killed: bool,
    /// How it leaves by itself, once it has said everything and been looked for so often.
    leaves: Option<(Exit, u32)>,
    sent: std::sync::mpsc::Sender<String>,
}

impl Process for Actor {
    fn send(&mut self, line: &str) {
        let _ = self.sent.send(line.trim_end().to_owned());
    }
    fn hear(&mut self) -> Option<Heard> {
        (!self.says.is_empty()).then(|| self.says.remove(0))
    }
    fn terminate(&mut self) {
        let _ = self.sent.send("TERM".to_owned());
    }
    fn kill(&mut self) {
        self.killed = true;
        let _ = self.sent.send("KILL".to_owned());
    }
    fn exit(&mut self) -> Option<Exit> {
        if let Some((exit, looks)) = &mut self.leaves {
            *looks = looks.saturating_sub(1);
            return (*looks == 0).then_some(*exit);
        }
        (self.killed && self.mortal).then_some(Exit::Signal(9))
    }
    fn last_words(&self) -> String {
        String::new()
    }
}

fn act(says: &[FromWorker], mortal: bool) -> (WorkerHandle, Receiver<String>) {
    let (sent, seen) = channel();
    let says = says.iter().map(|message| Heard::Line(encode(message).trim_end().to_owned())).collect();
    hand_of(Actor { says, mortal, killed: false, leaves: None, sent }, seen)
}

fn hand_of(actor: Actor, seen: Receiver<String>) -> (WorkerHandle, Receiver<String>) {
    let work = WorkOrder { order: order(&[0]), devices: Vec::new(), injection: None, variant: Variant::default() };
    let worker =
        WorkerHandle::new(Moment::ZERO, [GpuIndex(0)].into(), Box::new(actor), &ToWorker::Order(Box::new(work)));
    (worker, seen)
}

#[test]
fn a_worker_held_by_the_driver_is_given_up_and_not_waited_for() {
    let (mut worker, seen) = act(&[FromWorker::Hello { pid: 1 }, FromWorker::Ready], false);
    let mut story = Vec::new();
    let mut news = Vec::new();
    worker.turn(Moment::ZERO, &mut news);
    worker.begin(Moment::ZERO, 5);
    worker.stop(Moment::from_secs(1), StopHow::Gently);
    for second in 1..30 {
        worker.turn(Moment::from_secs(second), &mut news);
        let lines = seen.try_iter().filter(|line| !line.contains("order"));
        lines.for_each(|line| story.push(format!("{second:2} s: > {line}")));
        news.drain(..).for_each(|news| story.push(format!("{second:2} s: {news:?}")));
    }
    assert_eq!(worker.due(), None);
    insta::assert_snapshot!(story.join("\n"), @r#"
     1 s: > {"v":3,"say":{"lease":1}}
     1 s: > {"v":3,"say":{"begin":{"at":5}}}
     1 s: > {"v":3,"say":"stop"}
     4 s: > TERM
     7 s: > KILL
    15 s: Over(Unkillable)
    "#);
}

#[test]
fn leases_go_out_each_second_and_end_with_the_stop() {
    let (mut worker, seen) = act(&[FromWorker::Hello { pid: 1 }, FromWorker::Ready], true);
    let mut news = Vec::new();
    for tenth in 0..30 {
        worker.turn(Moment::from_nanos(tenth * 100_000_000), &mut news);
    }
    worker.stop(Moment::from_secs(3), StopHow::Kill);
    worker.turn(Moment::from_secs(4), &mut news);
    // Its pipe stays open: something it started may hold it. A second later that is not waited for any more.
    worker.turn(Moment::from_secs(5), &mut news);
    let leases = seen.try_iter().filter(|line| line.contains("lease")).count();
    assert_eq!(leases, 3);
    assert_eq!(news, [News::Over(LoadEnd::Stopped)]);
}

/// How it ends when its pipe closes before its end can be seen, as it does on a busy machine.
fn end_after_closing(leaves: Option<(Exit, u32)>) -> String {
    let (sent, seen) = channel();
    let actor = Actor { says: vec![Heard::Closed], mortal: true, killed: false, leaves, sent };
    let (mut worker, _seen) = hand_of(actor, seen);
    let mut news = Vec::new();
    for second in 0..20 {
        worker.turn(Moment::from_secs(second), &mut news);
    }
    match news.as_slice() {
        [News::Over(LoadEnd::Failed(why))] => why.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_worker_that_left_by_itself_was_not_stopped() {
    let told = [
        end_after_closing(Some((Exit::Code(0), 3))),
        end_after_closing(Some((Exit::Signal(11), 3))),
        end_after_closing(None),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    the worker left with code 0
    the worker crashed with signal 11
    the worker closed its pipe, did not leave and was ended
    ");
}
