//! The arguments of commands on runs that are over: judging again, comparing, counting, sealing.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::lot::USUAL_BUDGET;

use super::language::scanned;

#[derive(Debug, Args)]
pub(super) struct RejudgeArgs {
    /// Folders of runs, or folders of such folders.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The profile to judge by: a built-in one or a file.
    #[arg(long, value_name = "PROFILE")]
    pub profile: String,
    /// Set a variable of the profile. Repeatable.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub sets: Vec<String>,
    /// What `of baseline` limits are held against, instead of what the runs had.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// The lot that units are held against, instead of what the runs had: a file of `kiln lot build`.
    #[arg(long, value_name = "FILE")]
    pub lot: Option<PathBuf>,
    /// How far the gauge may be off, instead of what the runs had: the document of `kiln msa --json`.
    #[arg(long, value_name = "FILE")]
    pub guard_bands: Option<PathBuf>,
    /// Tell every run with every value that is judged otherwise, after the summary.
    #[arg(long)]
    pub all: bool,
    /// As JSON, schema `kiln.rejudge/1`.
    #[arg(long)]
    pub json: bool,
    /// Write it to this file as a page as well.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// Folder of a run.
    pub a: PathBuf,
    /// Folder of the run to hold against it.
    pub b: PathBuf,
    /// Only this measurement, such as `power.mean`. Repeatable.
    #[arg(long = "measurement", value_name = "NAME")]
    pub measurements: Vec<String>,
    /// Tell what is the same as well.
    #[arg(long)]
    pub all: bool,
    /// As JSON, schema `kiln.diff/1`.
    #[arg(long)]
    pub json: bool,
    /// Write it to this file as a page as well, with the plots of both runs laid over each other.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    /// Folders of runs, or folders of such folders.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Serial number of a golden unit, whose runs do not count. Repeatable.
    #[arg(long = "golden", value_name = "SERIAL", value_parser = scanned)]
    pub golden: Vec<String>,
    /// Only this measurement, such as `power.mean`. Repeatable.
    #[arg(long = "measurement", value_name = "NAME")]
    pub measurements: Vec<String>,
    /// As JSON, schema `kiln.stats/1`.
    #[arg(long)]
    pub json: bool,
    /// Write it to this file as a page as well.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct BaselineArgs {
    /// Folders of runs, or folders of such folders.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Write it here instead of to stdout.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write it to this file as a page as well.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum LotCommand {
    /// Make robust facts by model, chassis, slot and profile revision from runs that passed (part average testing).
    Build(LotBuildArgs),
    /// Hold units against a lot: INSIDE, HELD as an outlier (not proven bad), or UNKNOWN where there are too few like it.
    #[command(after_help = LOT_EXITS)]
    Judge(LotJudgeArgs),
}

pub(super) const LOT_EXITS: &str = "\
Exit codes:
  0    every unit that could be judged is inside its lot
  2    wrong usage
  3    a unit is held
  4    there are too few units like any of these: nothing was judged";

#[derive(Debug, Args)]
pub(super) struct LotBuildArgs {
    /// Folders of runs, or folders of such folders.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Share of good units that may be held, in percent: the limits follow from it.
    #[arg(long, value_name = "PERCENT", default_value_t = USUAL_BUDGET)]
    pub budget: f64,
    /// Count units as well that missed nothing but limits with `with-lot`: the first ones of a chassis whose places are unlike by
    /// design. Look at what is told of them before you use the lot.
    #[arg(long)]
    pub by_design: bool,
    /// Write it here instead of to stdout.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct LotJudgeArgs {
    /// Folders of runs, or folders of such folders. Thirty and more are looked at as a lot as well.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The file of `kiln lot build`.
    #[arg(long, value_name = "FILE")]
    pub lot: PathBuf,
    /// As JSON, schema `kiln.lot-judgement/1`.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct MsaArgs {
    /// Folders of runs of the same units again, or folders of such folders.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// As JSON, schema `kiln.msa/1`.
    #[arg(long)]
    pub json: bool,
}

pub(super) const VERIFY_EXITS: &str = "\
Exit codes:
  0    everything is what was sealed
  2    wrong usage
  3    something is not what was sealed, or the seal is not of this key";

#[derive(Debug, Args)]
pub(super) struct SealArgs {
    /// The folder of the run.
    #[arg(required_unless_present = "new_key")]
    pub run: Option<PathBuf>,
    /// The secret key to sign with, Ed25519 in PEM.
    #[arg(long, value_name = "KEY", env = "KILN_KEY", required_unless_present = "new_key")]
    pub key: Option<PathBuf>,
    /// Make a key pair instead: the secret key in FILE, the public one in FILE.pub.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "key"])]
    pub new_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The folder of the run; with --floor-key, the folder of a unit's papers (`kiln-floor papers`).
    pub run: PathBuf,
    /// The public key of the station that sealed it.
    #[arg(long, value_name = "PUB")]
    pub key: PathBuf,
    /// The public key of the floor that signed the papers (`keys/floor.key.pub` of its folder): verify them with every run in
    /// them.
    #[arg(long, value_name = "PUB", conflicts_with = "json")]
    pub floor_key: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}
