//! gpu-burn: the verdict on each GPU in the table at its end, speeds and errors from its lines of progress.
//!
//! Its forms are those of `gpu_burn-drv.cpp` (wilicc/gpu-burn). It begins with the output of `nvidia-smi -L`, whose lines
//! look like verdicts; it says `OK` of a GPU that never calculated; errors are counted in 32 bits that overflow and start
//! again from zero at every tenth of the run; and with `-i` it calls the GPU it was given number 0.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use super::adapter::Adapter;
use super::declared;
use super::output::{Output, Told, Unread, Verdict, argument, ended_before, no_such_part, unknown};
use crate::declare::may;
use kiln_limit::Measurement;
use kiln_limit::Missing;
use kiln_model::{Component, ComponentKind, GpuIndex, OutputGap, Tool, Unit, Unproven};
use kiln_profile::CheckSpec;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(crate) static ADAPTER: Adapter = Adapter {
    tool: Tool::GpuBurn,
    title: "gpu-burn",
    spec: CheckSpec {
        name: "tool.gpu-burn",
        summary: "Runs gpu-burn and tells the verdict, speed and errors of each GPU.",
        details: "How long is for the arguments: `args: [\"3600\"]`; `-i 3` tests gpu/3 alone. It reads its kernels from \
                  where it runs: give its folder as `directory`. A GPU has passed only if it says OK, counted no error \
                  and showed a speed. Its error count overflows, so any number but zero is an error. The speed is the \
                  median of what it showed.",
        params: &declared::params(Tool::GpuBurn),
        measurements: declared::measurements![
            may("throughput", Unit::Gigaflops, GPU, "the median of its lines of progress"),
            may("errors", Unit::One, GPU, "wrong results over the whole run"),
            may("gpus", Unit::One, ComponentKind::Node, "GPUs it tested"),
        ],
        each: declared::NODE_OR_GPU,
        exclusive: true,
        ..declared::STRESS
    },
    first: &[],
    last: &[],
    version: &[],
    version_in: (&[], '\n'),
    expected: "`proc'd:`, `Tested N GPUs:`, `GPU 0: OK` / `GPU 0: FAULTY`",
    takes_every_gpu: |args| argument(args, &["-i"]).is_empty(),
    read,
};

/// What says why there is no table, the most telling first.
const NO_TABLE: &[&str] =
    &["Couldn't init", "Failure during compute", "No CUDA devices", "No clients are alive", "Error:"];

/// The verdict on a GPU that computed wrong.
const FAULTY: &str = "FAULTY";

/// What the lines of progress say of one GPU.
#[derive(Debug, Clone, Default)]
struct Burn {
    speeds: Vec<f64>,
    /// The most it had calculated.
    calculated: i64,
    died: bool,
    /// Errors of the tenths of the run that are over, and of the one that runs.
    past_errors: f64,
    errors: f64,
}

impl Burn {
    fn take(&mut self, calculated: i64, speed: f64, errors: f64) {
        if calculated < 0 {
            self.died = true;
        } else {
            self.calculated = self.calculated.max(calculated);
            self.speeds.extend((speed > 0.0).then_some(speed));
        }
        if errors < self.errors {
            self.past_errors += self.errors;
        }
        self.errors = errors;
    }

    fn wrong(&self) -> f64 {
        self.past_errors + self.errors
    }

    /// The verdict on its GPU, by the word of the table (none where it was not printed), what it showed, and what all of it said of a failure.
    fn verdict(&self, word: &str, words: Option<&str>) -> Verdict {
        let why = words.map_or_else(String::new, |words| format!(": {words}"));
        match word {
            _ if self.died && self.calculated == 0 && why.contains("Couldn't init") => {
                Verdict::Unproven(Unproven::NotStarted { words: words.unwrap_or_default().to_owned() })
            }
            _ if self.died => Verdict::Failed(format!("{word} (DIED!){why}").trim_start().to_owned()),
            "" if self.wrong() != 0.0 => Verdict::Failed(format!("errors: {}", self.wrong())),
            _ if word == FAULTY || self.wrong() != 0.0 => Verdict::Failed(format!("{word}, errors: {}", self.wrong())),
            _ if self.speeds.is_empty() || self.calculated == 0 => {
                Verdict::Unproven(Unproven::Idle { what: "0 Gflop/s".to_owned() })
            }
            _ => Verdict::Passed,
        }
    }
}

fn read(output: &Output<'_>) -> Result<Told, Unread> {
    let lines: Vec<&str> = output.stdout.split(['\r', '\n']).map(str::trim).collect();
    let table = lines.iter().enumerate().rev().find_map(|(at, line)| {
        let count = line.strip_prefix("Tested ")?.strip_suffix(" GPUs:")?.parse::<usize>().ok()?;
        Some((at, count))
    });
    let Some((at, count)) = table else {
        // It was stopped: errors that it had counted by then are errors all the same.
        if let Some(told) = cut_short(output, &lines) {
            return Ok(told);
        }
        return Err(match output.words(NO_TABLE) {
            Some(words) => Unread::Refused(words.to_owned()),
            None if output.words(&["Burning for", "proc'd:"]).is_some() => ended_before("Tested N GPUs:"),
            None => Unread::Form,
        });
    };
    let verdicts: Vec<(usize, &str)> = lines[at + 1..].iter().filter_map(|line| verdict_line(line)).collect();
    if verdicts.len() != count || verdicts.iter().enumerate().any(|(at, (gpu, _))| at != *gpu) {
        return Err(other_count(count, verdicts.len()));
    }
    if let Some((_, word)) = verdicts.iter().find(|(_, word)| !["OK", FAULTY].contains(word)) {
        return Err(unknown(*word));
    }
    let burns = progress(&lines[..at], count)?;
    let first = first_gpu(output, count)?;
    let words = output.words(&["Failure during compute", "Couldn't init"]);
    if nobody_began(&burns) {
        return Err(Unread::Refused(output.words(NO_TABLE).unwrap_or("(DIED!)").to_owned()));
    }
    let (mut measured, mut whole) = (Vec::new(), Verdict::Passed);
    for ((gpu, word), burn) in verdicts.into_iter().zip(&burns) {
        let index = u8::try_from(first + gpu).map_err(|_| no_such_part(format!("GPU {gpu}")))?;
        let component = Component::Gpu(GpuIndex(index));
        let verdict = burn.verdict(word, words);
        measured.extend(verdict.of_part("passed", component));
        match kiln_model::median(&burn.speeds) {
            Some(speed) => {
                let shown = burn.speeds.len() as u64;
                measured.push(Measurement::number("throughput", component, Unit::Gigaflops, speed, shown));
            }
            None => {
                measured.push(Measurement::missing("throughput", component, Unit::Gigaflops, Missing::NoSpeedShown));
            }
        }
        measured.push(Measurement::number("errors", component, Unit::One, burn.wrong(), 1));
        whole = whole.and(match verdict {
            Verdict::Passed => Verdict::Passed,
            Verdict::Failed(words) => Verdict::Failed(format!("{component}: {words}")),
            Verdict::Unproven(why) => Verdict::Unproven(why.of(component.to_string())),
        });
    }
    measured.push(Measurement::number("gpus", Component::Node, Unit::One, count as f64, 1));
    Ok(Told::new(measured, whole))
}

/// What is proven by an output without its table: the GPUs that computed wrong or died at work.
fn cut_short(output: &Output<'_>, lines: &[&str]) -> Option<Told> {
    let (_, first) = lines.iter().find_map(|line| line.split_once("proc'd:"))?;
    let count = calculations(first.split_once("errors:")?.0).len();
    let burns = progress(lines, count).ok().filter(|burns| !nobody_began(burns))?;
    let words = output.words(&["Failure during compute", "Couldn't init"]);
    let (mut measured, mut whole) = (Vec::new(), Verdict::Passed);
    for (gpu, burn) in (first_gpu(output, count).ok()?..).zip(&burns) {
        let verdict = burn.verdict("", words);
        if let Verdict::Failed(words) = &verdict {
            let component = Component::Gpu(GpuIndex(u8::try_from(gpu).ok()?));
            measured.extend(verdict.of_part("passed", component));
            whole = whole.and(Verdict::Failed(format!("{component}: {words}")));
        }
    }
    (whole != Verdict::Passed).then(|| Told::new(measured, whole))
}

/// Whether all of several GPUs were given up before any had calculated: what they share failed, and what is told of errors was
/// never counted (issue 69 of wilicc/gpu-burn).
fn nobody_began(burns: &[Burn]) -> bool {
    burns.len() > 1 && burns.iter().all(|burn| burn.died && burn.calculated == 0)
}

fn other_count(wanted: usize, found: usize) -> Unread {
    Unread::Place(OutputGap::OtherCount { wanted, found })
}

fn verdict_line(line: &str) -> Option<(usize, &str)> {
    let (gpu, word) = line.strip_prefix("GPU ")?.split_once(": ")?;
    Some((gpu.parse().ok()?, word.trim()))
}

/// The GPU that is number 0 of the table: one tested alone is named where it was set up, and by `-i`.
fn first_gpu(output: &Output<'_>, count: usize) -> Result<usize, Unread> {
    let chosen = output.argument(&["-i"]);
    if count != 1 {
        return match chosen.last() {
            None => Ok(0),
            // `-i` asks for one GPU.
            Some(_) => Err(other_count(1, count)),
        };
    }
    let set_up = output.stdout.split(['\r', '\n']).find_map(|line| {
        line.trim().strip_prefix("Initialized device ")?.split_whitespace().next()?.parse::<usize>().ok()
    });
    match (set_up, chosen.last()) {
        (Some(gpu), _) => Ok(gpu),
        (None, None) => Ok(0),
        (None, Some(gpu)) => gpu.parse().map_err(|_| no_such_part(format!("-i {gpu}"))),
    }
}

fn progress(lines: &[&str], count: usize) -> Result<Vec<Burn>, Unread> {
    let mut burns = vec![Burn::default(); count];
    for line in lines {
        let Some((_, rest)) = line.split_once("proc'd:") else { continue };
        let Some((done, rest)) = rest.split_once("errors:") else { continue };
        let errors = rest.split("temps:").next().unwrap_or_default();
        let (done, errors) = (calculations(done), errors_of(errors));
        if let Some(other) = [done.len(), errors.len()].into_iter().find(|length| *length != count) {
            return Err(other_count(count, other));
        }
        for ((burn, (calculated, speed)), errors) in burns.iter_mut().zip(done).zip(errors) {
            burn.take(calculated, speed, errors);
        }
    }
    Ok(burns)
}

/// `600 (6311 Gflop/s) - -1 (0 Gflop/s)`.
fn calculations(text: &str) -> Vec<(i64, f64)> {
    let one = |part: &str| {
        let (count, rest) = part.trim().split_once(" (")?;
        Some((count.parse().ok()?, rest.split_once(" Gflop/s")?.0.parse().ok()?))
    };
    text.split(" - ").filter_map(one).collect()
}

/// `0 - -524288000  (WARNING!)`: signs belong to the numbers, lone dashes separate them.
fn errors_of(text: &str) -> Vec<f64> {
    let plain = text.replace("(WARNING!)", " ").replace("(DIED!)", " ");
    plain.split_whitespace().filter_map(|word| word.parse::<f64>().ok()).map(f64::abs).collect()
}
