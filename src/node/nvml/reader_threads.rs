//! One thread for each GPU, and the deadlines of what the threads were asked.
//!
//! A call of the library can hang for ever when its GPU fell off the bus. Nobody waits for a thread here: the one who
//! collects sees the deadline pass, answers in its place, and after some overruns leaves the thread to itself.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::gather::GpuFacts;
use kiln_model::{GpuCounters, GpuIndex, Moment, ReadingFailure, Sample, Span};

/// How long calls may take before their GPU is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For the readings of one tick.
    pub tick: Span,
    /// For an inventory or the counters of all links.
    pub inventory: Span,
    /// How many overruns in a row make a GPU lost.
    pub overruns: u32,
}

impl Default for Deadlines {
    /// A tick takes milliseconds on a healthy GPU; five seconds are a hang. An inventory talks to every link, and a GPU
    /// without persistence mode first initialises, which takes seconds.
    fn default() -> Self {
        Self { tick: Duration::from_secs(5), inventory: Duration::from_secs(30), overruns: 3 }
    }
}

/// What a GPU can be asked. The number names the question where several answers belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    Tick,
    Inventory(u64),
    Counters(u64),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are ticks: they pass without an allocation")]
pub(super) enum Done {
    Tick(Sample),
    Inventory(u64, Box<GpuFacts>),
    Counters(u64, Box<GpuCounters>),
}

/// Reads one GPU. Calls may block for as long as they like.
pub(super) trait GpuReader: Send + 'static {
    fn sample(&mut self) -> Sample;
    fn facts(&mut self) -> GpuFacts;
    fn counters(&mut self) -> GpuCounters;
}

#[derive(Debug)]
struct Asked {
    ticket: u64,
    job: Job,
    /// When its turn came, as far as is known from outside.
    began: Moment,
    /// How long the program had not run until then.
    stalled: Span,
    /// Answered with a failure already; what the thread may still say is thrown away.
    given_up: bool,
}

/// One GPU's thread, seen from outside.
#[derive(Debug)]
struct ReaderThread {
    gpu: GpuIndex,
    jobs: Sender<(u64, Job)>,
    asked: VecDeque<Asked>,
    overruns: u32,
    lost: bool,
}

/// All threads.
pub(super) struct ReaderThreads {
    threads: Vec<ReaderThread>,
    replies: Receiver<(GpuIndex, u64, Done)>,
    deadlines: Deadlines,
    tickets: u64,
    /// How long the program has not run until now.
    stalled: Span,
    /// Failures to answer with at the next collection.
    failed: Vec<(GpuIndex, Done)>,
}

impl fmt::Debug for ReaderThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReaderThreads").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl ReaderThreads {
    /// Starts a thread for each reader. `arrived` is called whenever an answer is ready.
    pub(super) fn start(
        readers: Vec<(GpuIndex, Box<dyn GpuReader>)>,
        deadlines: Deadlines,
        arrived: impl Fn() + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let (reply, replies) = channel();
        let mut threads = Vec::new();
        for (gpu, mut reader) in readers {
            let (jobs, asked) = channel::<(u64, Job)>();
            let (reply, arrived) = (reply.clone(), arrived.clone());
            // The handle is let go: a thread that hangs in the library must not be joined.
            thread::Builder::new().name(format!("gpu {}", gpu.0)).spawn(move || {
                while let Ok((ticket, job)) = asked.recv() {
                    if reply.send((gpu, ticket, perform(reader.as_mut(), job))).is_err() {
                        break;
                    }
                    arrived();
                }
            })?;
            threads.push(ReaderThread { gpu, jobs, asked: VecDeque::new(), overruns: 0, lost: false });
        }
        Ok(Self { threads, replies, deadlines, tickets: 0, stalled: Span::ZERO, failed: Vec::new() })
    }

    pub(super) fn gpus(&self) -> impl Iterator<Item = GpuIndex> + '_ {
        self.threads.iter().map(|thread| thread.gpu)
    }

    /// Says how long in all the program has not run: in that time no call could come back, and none is overdue for it.
    pub(super) const fn has_stalled(&mut self, stalled: Span) {
        self.stalled = stalled;
    }

    /// Asks every GPU. One that hangs is answered for with a failure.
    pub(super) fn ask(&mut self, now: Moment, job: Job) {
        for thread in &mut self.threads {
            self.tickets += 1;
            if let Some(failure) = thread.ask((now, self.stalled), self.tickets, job, self.deadlines.overruns) {
                self.failed.push((thread.gpu, failed(thread.gpu, now, job, failure)));
            }
        }
    }

    /// Everything that has come in, and a failure for each question whose deadline has passed.
    pub(super) fn collect(&mut self, now: Moment) -> Vec<(GpuIndex, Done)> {
        let mut news = std::mem::take(&mut self.failed);
        while let Ok((gpu, ticket, done)) = self.replies.try_recv() {
            if let Some(thread) = self.threads.iter_mut().find(|thread| thread.gpu == gpu)
                && thread.finished((now, self.stalled), ticket)
            {
                news.push((gpu, done));
            }
        }
        for thread in &mut self.threads {
            thread.look((now, self.stalled), &self.deadlines, &mut news);
        }
        news
    }

    /// Whether something is ready without waiting.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        if !self.failed.is_empty() {
            return Some(Moment::ZERO);
        }
        self.threads.iter().filter_map(|thread| thread.deadline(self.stalled, &self.deadlines)).min()
    }
}

impl ReaderThread {
    fn hangs(&self) -> bool {
        self.asked.front().is_some_and(|head| head.given_up)
    }

    /// Puts the question in the queue, or says why not.
    fn ask(&mut self, (now, stalled): (Moment, Span), ticket: u64, job: Job, most: u32) -> Option<ReadingFailure> {
        if self.hangs() && job == Job::Tick {
            self.overruns += 1;
            self.lost |= self.overruns >= most;
        }
        if self.lost {
            return Some(ReadingFailure::Lost);
        }
        if self.hangs() {
            return Some(ReadingFailure::Timeout);
        }
        // A tick that still waits for its turn will read what this one would.
        if job == Job::Tick && self.asked.iter().skip(1).any(|asked| asked.job == Job::Tick) {
            return None;
        }
        if self.jobs.send((ticket, job)).is_err() {
            // The thread is gone: its reader panicked.
            self.lost = true;
            return Some(ReadingFailure::Lost);
        }
        self.asked.push_back(Asked { ticket, job, began: now, stalled, given_up: false });
        None
    }

    /// A reply came. Whether it still counts.
    fn finished(&mut self, (now, stalled): (Moment, Span), ticket: u64) -> bool {
        let Some(place) = self.asked.iter().position(|asked| asked.ticket == ticket) else { return false };
        let given_up = self.asked[place].given_up;
        self.asked.drain(..=place);
        if let Some(next) = self.asked.front_mut() {
            (next.began, next.stalled) = (now, stalled);
        }
        if !given_up {
            self.overruns = 0;
        }
        !given_up && !self.lost
    }

    fn deadline(&self, stalled: Span, deadlines: &Deadlines) -> Option<Moment> {
        let head = self.asked.front().filter(|head| !head.given_up)?;
        Some(head.began + head.job.limit(deadlines) + stalled.saturating_sub(head.stalled))
    }

    /// Gives up what is overdue, and with it everything that waits behind.
    fn look(&mut self, (now, stalled): (Moment, Span), deadlines: &Deadlines, news: &mut Vec<(GpuIndex, Done)>) {
        if self.deadline(stalled, deadlines).is_none_or(|deadline| now < deadline) {
            return;
        }
        self.overruns += 1;
        self.lost |= self.overruns >= deadlines.overruns;
        let head = self.asked.front().map(|asked| asked.job);
        tracing::warn!(at = %now, gpu = self.gpu.0, job = ?head, lost = self.lost, "a driver call is over its time");
        let failure = if self.lost { ReadingFailure::Lost } else { ReadingFailure::Timeout };
        for asked in self.asked.iter_mut().filter(|asked| !asked.given_up) {
            asked.given_up = true;
            news.push((self.gpu, failed(self.gpu, now, asked.job, failure)));
        }
    }
}

impl Job {
    fn limit(self, deadlines: &Deadlines) -> Span {
        match self {
            Self::Tick => deadlines.tick,
            Self::Inventory(_) | Self::Counters(_) => deadlines.inventory,
        }
    }
}

fn perform(reader: &mut dyn GpuReader, job: Job) -> Done {
    match job {
        Job::Tick => Done::Tick(reader.sample()),
        Job::Inventory(number) => Done::Inventory(number, Box::new(reader.facts())),
        Job::Counters(number) => Done::Counters(number, Box::new(reader.counters())),
    }
}

fn failed(gpu: GpuIndex, now: Moment, job: Job, failure: ReadingFailure) -> Done {
    match job {
        Job::Tick => {
            let mut sample = Sample::new(gpu, now);
            sample.fail_all(failure);
            Done::Tick(sample)
        }
        Job::Inventory(number) => Done::Inventory(number, Box::new(GpuFacts::failed(gpu, failure))),
        Job::Counters(number) => Done::Counters(number, Box::new(GpuCounters::failed(gpu, failure))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;
    use kiln_model::{Reading, Sensor};

    /// A GPU whose every call waits for leave.
    struct Gated {
        gpu: GpuIndex,
        leave: Receiver<()>,
    }

    impl GpuReader for Gated {
        fn sample(&mut self) -> Sample {
            let _ = self.leave.recv();
            let mut sample = Sample::new(self.gpu, Moment::ZERO);
            sample.put(Sensor::TempGpu, 40.0);
            sample
        }

        fn facts(&mut self) -> GpuFacts {
            let _ = self.leave.recv();
            GpuFacts::failed(self.gpu, ReadingFailure::Driver(1))
        }

        fn counters(&mut self) -> GpuCounters {
            let _ = self.leave.recv();
            GpuCounters::failed(self.gpu, ReadingFailure::Driver(1))
        }
    }

    /// Two GPUs, how to let each answer once, and word of each answer.
    fn threads() -> (ReaderThreads, Vec<Sender<()>>, Receiver<()>) {
        let (told, arrived) = mpsc::channel();
        let mut leaves = Vec::new();
        let mut readers: Vec<(GpuIndex, Box<dyn GpuReader>)> = Vec::new();
        for gpu in [GpuIndex(0), GpuIndex(1)] {
            let (give, leave) = mpsc::channel();
            leaves.push(give);
            readers.push((gpu, Box::new(Gated { gpu, leave })));
        }
        let threads = ReaderThreads::start(readers, Deadlines::default(), move || {
            let _ = told.send(());
        });
        (threads.expect("threads"), leaves, arrived)
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_secs(seconds)
    }

    /// GPU and its temperature for each sample.
    fn shown(news: &[(GpuIndex, Done)]) -> Vec<String> {
        news.iter()
            .map(|(gpu, done)| match done {
                Done::Tick(sample) => format!("{} {}", gpu.0, sample[Sensor::TempGpu]),
                Done::Inventory(..) => format!("{} inventory", gpu.0),
                Done::Counters(..) => format!("{} counters", gpu.0),
            })
            .collect()
    }

    #[test]
    fn a_gpu_that_hangs_times_out_then_is_lost_and_the_other_goes_on() {
        let (mut threads, leaves, arrived) = threads();
        let mut told = Vec::new();
        for second in 0..9 {
            threads.ask(at(second), Job::Tick);
            leaves[1].send(()).expect("thread");
            arrived.recv().expect("an answer");
            let mut news = shown(&threads.collect(at(second)));
            news.sort();
            told.push(format!("{second}: {}", news.join(", ")));
        }
        insta::assert_snapshot!(told.join("\n"), @r"
        0: 1 40
        1: 1 40
        2: 1 40
        3: 1 40
        4: 1 40
        5: 0 call timed out, 0 call timed out, 1 40
        6: 0 call timed out, 1 40
        7: 0 GPU is lost, 1 40
        8: 0 GPU is lost, 1 40
        ");
        // The call comes back after all: too late, nobody listens any more.
        leaves[0].send(()).expect("thread");
        arrived.recv().expect("an answer");
        assert_eq!(shown(&threads.collect(at(9))), Vec::<String>::new());
        threads.ask(at(9), Job::Tick);
        assert_eq!(shown(&threads.collect(at(9))), ["0 GPU is lost"]);
    }

    #[test]
    fn a_call_that_comes_back_late_is_dropped_and_the_gpu_goes_on() {
        let (mut threads, leaves, arrived) = threads();
        threads.ask(at(0), Job::Tick);
        leaves[1].send(()).expect("thread");
        arrived.recv().expect("an answer");
        assert_eq!(threads.next_deadline(), Some(at(5)));
        assert_eq!(shown(&threads.collect(at(0))), ["1 40"]);
        assert_eq!(shown(&threads.collect(at(5))), ["0 call timed out"]);
        assert_eq!(threads.next_deadline(), None);
        leaves[0].send(()).expect("thread");
        arrived.recv().expect("an answer");
        assert_eq!(shown(&threads.collect(at(6))), Vec::<String>::new());
        threads.ask(at(6), Job::Tick);
        leaves[0].send(()).expect("thread");
        arrived.recv().expect("an answer");
        assert_eq!(shown(&threads.collect(at(6))), ["0 40"]);
    }

    #[test]
    fn a_call_is_not_overdue_for_the_time_in_which_nothing_ran() {
        let (mut threads, leaves, arrived) = threads();
        threads.ask(at(0), Job::Tick);
        threads.has_stalled(Duration::from_secs(29));
        assert_eq!(shown(&threads.collect(at(30))), Vec::<String>::new(), "one second of its own");
        assert_eq!(threads.next_deadline(), Some(at(34)));
        for leave in &leaves {
            leave.send(()).expect("thread");
        }
        arrived.recv().expect("an answer");
        arrived.recv().expect("an answer");
        let mut news = shown(&threads.collect(at(30)));
        news.sort();
        assert_eq!(news, ["0 40", "1 40"]);
        threads.ask(at(31), Job::Tick);
        let timed_out = ["0 call timed out", "1 call timed out"];
        assert_eq!(shown(&threads.collect(at(36))), timed_out, "what was missed before excuses nothing now");
    }

    #[test]
    fn an_inventory_has_a_longer_deadline_and_answers_under_its_number() {
        let (mut threads, _leaves, _arrived) = threads();
        threads.ask(at(0), Job::Inventory(7));
        assert_eq!(shown(&threads.collect(at(29))), Vec::<String>::new());
        let news = threads.collect(at(30));
        let failed = Done::Inventory(7, Box::new(GpuFacts::failed(GpuIndex(0), ReadingFailure::Timeout)));
        assert_eq!(news[0], (GpuIndex(0), failed));
    }

    #[test]
    fn a_failed_tick_is_a_failure_of_every_sensor() {
        let Done::Tick(sample) = failed(GpuIndex(3), at(1), Job::Tick, ReadingFailure::Lost) else { panic!("a tick") };
        assert!(sample.is_lost());
        assert!(Sensor::ALL.iter().all(|sensor| sample[*sensor] == Reading::Failed(ReadingFailure::Lost)));
    }
}
