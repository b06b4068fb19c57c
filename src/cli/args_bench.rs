//! The command line of `kiln bench` and `kiln calibrate` as typed.

use std::path::PathBuf;

use clap::Args;

use super::args::NodeChoice;
use crate::model::{Span, parse_span};

pub(super) const BENCH_EXITS: &str = "\
Exit codes:
  0    everything was measured, except what a simulated node does not model
  2    wrong usage
  3    something could not be measured; the rest was
  130  interrupted; what was measured by then was written";

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(flatten)]
    pub node: NodeChoice,
    /// How long each load runs.
    #[arg(long = "for", value_name = "SPAN", value_parser = parse_span, default_value = "10s")]
    pub span: Span,
    /// Bits to flip on each GPU, over all kernels, to count how many are found.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub flips: u32,
    /// Measure only what begins like this (`march`, `bf16 alone`), comma-separated.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Write all of it as JSON, for `kiln calibrate`.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// A folder for bench.json, bench.txt and the plots; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CalibrateArgs {
    /// Files of `kiln bench --json`, of one or many nodes with one model of GPU.
    #[arg(required = true, value_name = "BENCH.json")]
    pub benches: Vec<PathBuf>,
    /// The simulated node to hold them against; the first built-in one with this model if left out.
    #[arg(long, value_name = "NODE")]
    pub sim: Option<String>,
    /// A folder for the proposed files, to be compared with those there are.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Take benches of simulated nodes and of stand-ins for the driver too. What comes of them is marked.
    #[arg(long)]
    pub allow_stand_in: bool,
}
