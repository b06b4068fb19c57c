//! fio: bandwidth, operations and latency of each job from its JSON report (`json` and `json+`).

use serde_json::Value;

use super::adapter::{Adapter, names_no_gpu};
use super::declared;
use super::output::{Output, Told, Unread, Verdict, empty, lacks, last_json_in};
use crate::declare::may;
use kiln_limit::Measurement;
use kiln_model::{Component, ComponentKind, Tool, Unit, Unproven};
use kiln_profile::CheckSpec;

const NODE: ComponentKind = ComponentKind::Node;

pub(crate) static ADAPTER: Adapter = Adapter {
    tool: Tool::Fio,
    title: "fio",
    spec: CheckSpec {
        name: "tool.fio",
        summary: "Runs fio (`--output-format=json`) and tells the bandwidth, operations and latency of each of its jobs.",
        details: "Jobs are for the arguments: `args: [--name=scratch, --filename=/data/kiln.tmp, --size=4G, \
                  --rw=randread, --direct=1]`. Measurements carry the name of the job. A job that moved no byte has not \
                  passed; one without room, rights or memory is an ERROR. Whatever it is told to write to is overwritten: never name a disk with data.",
        params: &declared::params(Tool::Fio),
        measurements: declared::measurements![
            may("errors", Unit::One, NODE, "jobs that ended in an error"),
            may("*.bandwidth", Unit::MegabytePerSecond, NODE, "of a job and way: scratch.read.bandwidth"),
            may("*.operations", Unit::Hertz, NODE, "operations a second of a job and way"),
            may("*.latency.p99", Unit::Microsecond, NODE, "completion latency that 99 % of the operations kept to"),
        ],
        ..declared::STRESS
    },
    first: &["--output-format=json"],
    last: &[],
    version: &["--version"],
    version_in: (&[], '\n'),
    expected: "JSON `jobs`",
    takes_every_gpu: names_no_gpu,
    read,
};

/// Words of its messages that tell of trouble; others are notes.
const TROUBLE: &[&str] = &["error", "bad", "fail", "errno", "No space", "not permitted", "denied", "No such"];

/// What fio says of errors. Its report has such words in its keys, so only its messages are looked at.
fn words<'a>(output: &Output<'a>) -> Option<&'a str> {
    let messages =
        || output.lines().map(str::trim).filter(|line| line.starts_with("fio:") || line.starts_with("verify:"));
    messages().find(|line| TROUBLE.iter().any(|word| line.contains(word)))
}

/// What it says when a signal ends it.
const STOPPED: &str = "fio: terminating on signal";

/// Errors of a job that tell of what it was told to do and of what was left to do it with, and of no drive: EPERM, ENOENT, EINTR,
/// EBADF, EAGAIN, ENOMEM, EACCES, EBUSY, EEXIST, ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE, ENOTTY, ETXTBSY, EFBIG, ENOSPC, EROFS,
/// ENOSYS, EOPNOTSUPP, EDQUOT (`errno-base.h` and `errno.h` of include/uapi/asm-generic in Linux).
const OF_THE_SET_UP: [i64; 22] = [1, 2, 4, 9, 11, 12, 13, 16, 17, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30, 38, 95, 122];

fn read(output: &Output<'_>) -> Result<Told, Unread> {
    let refused = |why: Unread| match words(output) {
        Some(words) if output.exit != 0 => Unread::Refused(words.to_owned()),
        _ => why,
    };
    let report = last_json_in(output.stdout).map_err(refused)?;
    // Of several machines each has its jobs under another key, and the last sums up.
    let jobs = report["jobs"].as_array().or_else(|| report["client_stats"].as_array()).ok_or(Unread::Form)?;
    let (mut measured, mut verdict, mut failed) = (Vec::new(), Verdict::Passed, 0_u32);
    for job in jobs {
        let name = job["jobname"].as_str().ok_or_else(|| lacks("jobs", "jobname"))?;
        let error = job["error"].as_i64().ok_or_else(|| lacks(name, "error"))?;
        // With `continue_on_error` a job goes on and ends well; what it met is told apart (`show_thread_status_json` of stat.c).
        let went_on = job["total_err"].as_i64().filter(|count| *count != 0).and_then(|_| job["first_error"].as_i64());
        let error = if error == 0 { went_on.unwrap_or(0) } else { error };
        let before = measured.len();
        for way in ["read", "write", "trim"] {
            take(job, name, way, &mut measured)?;
        }
        if error != 0 {
            failed += 1;
            let words = words(output).map_or_else(String::new, |words| format!(": {words}"));
            let words = format!("{name}: error {error}{words}");
            verdict = verdict.and(if OF_THE_SET_UP.contains(&error) {
                Verdict::Unproven(Unproven::NotDone { words })
            } else {
                Verdict::Failed(words)
            });
        } else if measured.len() == before {
            verdict = verdict.and(Verdict::Unproven(Unproven::Idle { what: name.to_owned() }));
        }
    }
    if jobs.is_empty() {
        return Err(empty("jobs"));
    }
    // Somebody ended it before its time, and it may call that a success (`sig_int` of backend.c).
    if let Some(words) = output.words(&[STOPPED]) {
        verdict = verdict.and(Verdict::Unproven(Unproven::StoppedEarly { words: words.to_owned() }));
    }
    measured.push(Measurement::number("errors", Component::Node, Unit::One, failed.into(), jobs.len() as u64));
    Ok(Told::new(measured, verdict))
}

/// One way of a job, if it moved anything.
fn take(job: &Value, job_name: &str, way: &str, measured: &mut Vec<Measurement>) -> Result<(), Unread> {
    if job[way].is_null() {
        return Ok(());
    }
    let field = |key: &str| {
        let value = job[way][key].as_f64();
        value.ok_or_else(|| lacks(job_name, format!("{way}.{key}")))
    };
    if field("io_bytes")? <= 0.0 {
        return Ok(());
    }
    let mut number = |what: &str, unit, value| {
        let name = format!("{job_name}.{way}.{what}");
        measured.push(Measurement::number(&name, Component::Node, unit, value, 1));
    };
    number("bandwidth", Unit::MegabytePerSecond, field("bw_bytes")? / 1e6);
    number("operations", Unit::Hertz, field("iops")?);
    if let Some(p99) = job[way]["clat_ns"]["percentile"]["99.000000"].as_f64() {
        number("latency.p99", Unit::Microsecond, p99 / 1e3);
    }
    Ok(())
}
