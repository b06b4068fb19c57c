//! The driver that waits on the world's clock, with tokio's timers, at a pace: 1 is real time, 60 an hour a minute.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Notify, mpsc};

use super::performer::{DriveError, Operator, Performer};
use crate::{Dut, Machine, OperatorReply, RunInput, RunTick, Signal, Witness};
use kiln_model::{Moment, Span, Text, WallTime};

/// How fast the run's clock goes against the world's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace(f64);

impl Pace {
    pub const REAL_TIME: Self = Self(1.0);

    /// Paces that make sense: a hundred times slower than the world, so that one can look on, to a day in a second. Long
    /// before that a host is late with every reading, and the run says so; beyond it, one late timer skips whole steps.
    pub const RANGE: RangeInclusive<f64> = 0.01..=100_000.0;

    /// `None` for anything outside [`Pace::RANGE`].
    pub fn new(factor: f64) -> Option<Self> {
        Self::RANGE.contains(&factor).then_some(Self(factor))
    }
}

/// A timer that is later than this by the world's clock is told in the log: half of what a sample of one a second may be off.
const LATE: Span = Span::from_millis(500);

/// Interrupts as they come in.
pub type Signals = mpsc::UnboundedReceiver<Signal>;

/// Runs the machine to its end on the world's clock.
///
/// The operator is asked on a thread of its own: a prompt that nobody answers must not hold up guards.
pub async fn run_in_real_time(
    machine: &mut Machine<'_>,
    dut: &mut dyn Dut,
    witness: &mut dyn Witness,
    operator: impl Operator + Send + 'static,
    pace: Pace,
    mut signals: Signals,
) -> Result<(), DriveError> {
    let arrived = Arc::new(Notify::new());
    let notify = Arc::clone(&arrived);
    dut.on_arrival(Box::new(move || notify.notify_one()));
    let (questions, mut answers) = ask_apart(operator);
    let clock = Clock::start(machine.last_moment(), pace);
    let mut performer = Performer::new(machine, dut, witness);
    performer.settle(clock.tick())?;
    while !performer.finished {
        if let Some(prompt) = performer.asked.take()
            && questions.send(prompt).is_err()
        {
            performer.feed(clock.tick(), RunInput::OperatorUnavailable)?;
            continue;
        }
        let next = performer.next_moment();
        let wait = async {
            match next {
                Some(next) => tokio::time::sleep_until(clock.world(next).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(signal) = signals.recv() => performer.feed(clock.tick(), RunInput::Signalled(signal))?,
            Some(reply) = answers.recv() => {
                let input = reply.map_or(RunInput::OperatorUnavailable, RunInput::OperatorAnswered);
                performer.feed(clock.tick(), input)?;
            }
            () = arrived.notified() => performer.settle(clock.tick())?,
            () = wait => {
                // A timer may fire a little early; the moment waited for has come all the same.
                let mut tick = clock.tick();
                let due = next.unwrap_or_default();
                let late = tick.now.since(due);
                if late.div_f64(pace.0) > LATE {
                    tracing::warn!(at = %tick.now, ?late, "the timer came late: this machine is short of processor time");
                }
                tick.now = tick.now.max(due);
                if performer.deadline.is_some_and(|deadline| deadline <= tick.now) {
                    performer.deadline = None;
                    performer.feed(tick, RunInput::DeadlineReached)?;
                } else {
                    performer.settle(tick)?;
                }
            }
        }
    }
    Ok(())
}

type Answers = mpsc::UnboundedReceiver<Option<OperatorReply>>;

fn ask_apart(mut operator: impl Operator + Send + 'static) -> (std::sync::mpsc::Sender<Text>, Answers) {
    let (questions, asked) = std::sync::mpsc::channel::<Text>();
    let (reply, answers) = mpsc::unbounded_channel();
    // The thread ends when the run does and its channel closes; one blocked on the terminal ends with the process.
    std::thread::spawn(move || {
        while let Ok(prompt) = asked.recv() {
            if reply.send(operator.ask(&prompt)).is_err() {
                break;
            }
        }
    });
    (questions, answers)
}

/// The run's clock tied to the world's.
#[derive(Debug, Clone, Copy)]
struct Clock {
    began: Instant,
    at: Moment,
    pace: f64,
}

#[expect(clippy::disallowed_methods, reason = "this is the driver: it reads the clocks for everybody else")]
impl Clock {
    fn start(at: Moment, pace: Pace) -> Self {
        Self { began: Instant::now(), at, pace: pace.0 }
    }

    fn tick(&self) -> RunTick {
        RunTick { now: self.at + self.began.elapsed().mul_f64(self.pace), wall: WallTime::now() }
    }

    /// When the world's clock will stand at a moment of the run's.
    fn world(&self, moment: Moment) -> Instant {
        let span: Span = moment.since(self.at).div_f64(self.pace);
        self.began + span
    }
}
