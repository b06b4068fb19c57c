//! `kiln record`: samples a node to a recording.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::Context as _;

use super::args::RecordArgs;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::look::Look;
use super::signals::Interrupts;
use super::{dut, printer};
use crate::disk::Folder;
use crate::engine::Arrivals;
use crate::event::NodeSource;
use crate::model::{Moment, Probe, Span, format_span};
use crate::node::record::Recorder;

/// Counters change slowly, and reading them takes calls by the dozen.
const COUNTERS_EVERY: Span = Span::from_secs(60);
/// An interrupt is answered within this time.
const LOOK_EVERY: Span = Span::from_millis(200);

/// `kiln record FILE [--for SPAN] [--every SPAN]`.
pub(super) fn record(args: &RecordArgs) -> Result<Exit, CommandError> {
    let shown = args.file.display();
    if args.every.is_zero() {
        return Err(CommandError::Usage(anyhow::anyhow!("`--every` must be more than nothing")));
    }
    let signals = Interrupts::listen(|_| {})?;
    let mut chosen = dut::choose(&args.node)?;
    let source = match &chosen.source {
        NodeSource::Hardware => "hardware".to_owned(),
        NodeSource::Simulated { node, seed, .. } => format!("SIMULATED node {node}, seed {seed}"),
        NodeSource::Replayed { file } => format!("REPLAYED from {file}"),
        NodeSource::StandIn { library } => format!("SIMULATED by the library {library}"),
    };
    let is_model = !matches!(chosen.source, NodeSource::Hardware | NodeSource::StandIn { .. });
    if is_model && args.span.is_none() {
        return Err(CommandError::Usage(anyhow::anyhow!(
            "say how long with `--for`: a model or recording is not waited for"
        )));
    }
    let file = new_file(&args.file).with_context(|| format!("{shown} cannot be made")).usage()?;
    let mut recorder = Recorder::new(BufWriter::new(file), &source).with_context(|| format!("{shown}")).no_claim()?;
    let mut look = Look::at(&mut chosen);
    let mut arrivals = Arrivals::default();
    let inventory = look.inventory_into(&mut arrivals)?;
    arrivals.inventories.push(Ok(Box::new(inventory)));
    let write = |recorder: &mut Recorder<BufWriter<File>>, now, arrivals: &mut Arrivals| {
        recorder.take(now, arrivals).with_context(|| format!("{shown} cannot be written")).no_claim()
    };
    write(&mut recorder, look.now(), &mut arrivals)?;
    let began = look.now();
    let end = args.span.map(|span| began + span);
    let (mut tick, mut counters) = (began, began);
    let mut ticks = 0_u64;
    while !signals.any() && end.is_none_or(|end| tick <= end) {
        look.ask(|dut, now| {
            if tick <= now {
                dut.sample(now);
            }
            if counters <= now {
                dut.ask(now, Probe::Counters);
            }
        });
        let now = look.now();
        if tick <= now {
            ticks += 1;
            tick = next(tick, args.every, now);
        }
        if counters <= now {
            counters = next(counters, COUNTERS_EVERY, now);
        }
        look.collect(&mut arrivals, tick.min(now + LOOK_EVERY), |_| false);
        write(&mut recorder, look.now(), &mut arrivals)?;
    }
    // The last tick is answered as late as the others.
    let last = look.now() + LOOK_EVERY;
    look.collect(&mut arrivals, last, |_| false);
    write(&mut recorder, look.now(), &mut arrivals)?;
    printer::note(&format!("{shown}: {ticks} ticks over {}", format_span(look.now().since(began))));
    Ok(Exit::Pass)
}

/// The next time of a series; what was missed is not made up for.
fn next(last: Moment, every: Span, now: Moment) -> Moment {
    let mut next = last + every;
    while next <= now {
        next = next + every;
    }
    next
}

/// A file that was not there; a link in its place is not followed.
fn new_file(path: &Path) -> std::io::Result<File> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(std::io::ErrorKind::InvalidFilename)?;
    Folder::open(path.parent().unwrap_or_else(|| Path::new("")))?.create_new(name)
}
