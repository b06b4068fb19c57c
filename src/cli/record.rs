//! `kiln record`: samples a node to a recording.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::Context as _;

use super::args::RecordArgs;
use super::exit_code::Exit;
use super::look::Look;
use super::signals::Interrupts;
use super::trouble::{Sorted as _, Trouble};
use super::{printer, station};
use crate::disk::Folder;
use crate::engine::Inbox;
use crate::event::NodeSource;
use crate::model::{Moment, Probe, Span, format_span};
use crate::node::record::Recorder;

/// Counters change slowly, and reading them takes calls by the dozen.
const COUNTERS_EVERY: Span = Span::from_secs(60);
/// An interrupt is answered within this time.
const LOOK_EVERY: Span = Span::from_millis(200);

/// `kiln record FILE [--for SPAN] [--every SPAN]`.
pub(super) fn record(args: &RecordArgs) -> Result<Exit, Trouble> {
    let shown = args.file.display();
    if args.every.is_zero() {
        return Err(Trouble::Usage(anyhow::anyhow!("`--every` must be more than nothing")));
    }
    let signals = Interrupts::listen(|_| {})?;
    let mut chosen = station::choose(&args.node)?;
    let source = match &chosen.source {
        NodeSource::Hardware => "hardware".to_owned(),
        NodeSource::Simulated { node, seed, .. } => format!("SIMULATED node {node}, seed {seed}"),
        NodeSource::Replayed { file } => format!("REPLAYED from {file}"),
        NodeSource::StandIn { library } => format!("SIMULATED by the library {library}"),
    };
    let is_model = !matches!(chosen.source, NodeSource::Hardware | NodeSource::StandIn { .. });
    if is_model && args.span.is_none() {
        return Err(Trouble::Usage(anyhow::anyhow!(
            "say how long with `--for`: a model or recording is not waited for"
        )));
    }
    let file = new_file(&args.file).with_context(|| format!("{shown} cannot be made")).usage()?;
    let mut recorder = Recorder::new(BufWriter::new(file), &source).with_context(|| format!("{shown}")).no_claim()?;
    let mut look = Look::at(&mut chosen);
    let mut inbox = Inbox::default();
    let inventory = look.inventory_into(&mut inbox)?;
    inbox.inventories.push(Ok(Box::new(inventory)));
    let write = |recorder: &mut Recorder<BufWriter<File>>, now, inbox: &mut Inbox| {
        recorder.take(now, inbox).with_context(|| format!("{shown} cannot be written")).no_claim()
    };
    write(&mut recorder, look.now(), &mut inbox)?;
    let began = look.now();
    let end = args.span.map(|span| began + span);
    let (mut tick, mut counters) = (began, began);
    let mut ticks = 0_u64;
    while !signals.any() && end.is_none_or(|end| tick <= end) {
        look.ask(|station, now| {
            if tick <= now {
                station.sample(now);
            }
            if counters <= now {
                station.ask(now, Probe::Counters);
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
        look.collect(&mut inbox, tick.min(now + LOOK_EVERY), |_| false);
        write(&mut recorder, look.now(), &mut inbox)?;
    }
    // The last tick is answered as late as the others.
    let last = look.now() + LOOK_EVERY;
    look.collect(&mut inbox, last, |_| false);
    write(&mut recorder, look.now(), &mut inbox)?;
    printer::tell(&format!("{shown}: {ticks} ticks over {}", format_span(look.now().since(began))));
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
