//! The command line as typed. What it means is for the file of each command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit_code;
use super::language::scanned;
use crate::report::Languages;

/// Burn-in and acceptance tests for GPU servers.
///
/// Runs a YAML profile of stress, thermal and interconnect checks on this node, or on a simulated one (--sim), and ends
/// in a verdict, a page for people, JUnit, JSON and a journal.
#[derive(Debug, Parser)]
#[command(name = "kiln", version, after_help = exit_code::TABLE, arg_required_else_help = true)]
pub(super) struct Cli {
    /// Language of console, prompts and pages: `en`, `ja`, or for pages both as `en,ja` or `ja,en`. The console follows the
    /// locale if left out, and pages carry both. What machines read is English.
    #[arg(long, global = true, value_name = "LANG")]
    pub lang: Option<Languages>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a profile and give a verdict.
    #[command(after_help = exit_code::TABLE)]
    Run(Box<RunArgs>),
    /// Finish a run after a crash or reboot.
    Resume(ResumeArgs),
    /// Run a profile on simulated nodes with known defects: which would it let through?
    #[command(after_help = DRILL_EXITS)]
    Drill(Box<DrillArgs>),
    /// Rebuild the reports of a run from its journal, or print one.
    Report(ReportArgs),
    /// Judge old runs by another profile: what would come out otherwise?
    Rejudge(RejudgeArgs),
    /// Set two runs side by side, measurement by measurement.
    Diff(DiffArgs),
    /// Statistics over runs: yield, causes, distributions, units that stand apart.
    Stats(StatsArgs),
    /// Make the file that `of baseline` limits are held against from runs that passed.
    Baseline(BaselineArgs),
    /// Sign everything in a run directory, or make a key to sign with.
    Seal(SealArgs),
    /// Check a sealed run, offline, and name the first place that is not what was sealed.
    #[command(after_help = VERIFY_EXITS)]
    Verify(VerifyArgs),
    /// Look at profiles without running them.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// List the checks, or tell all about one.
    Checks {
        /// A check, such as `gpu.burn`.
        name: Option<String>,
    },
    /// Show what a node is made of.
    Node(NodeArgs),
    /// The inside of a load's child process; started by a run, never by hand.
    #[command(hide = true)]
    Worker,
    /// Tell what a finding code means.
    Explain {
        /// A code such as `GPU-COOLING-CONTACT`; without one, all are listed.
        code: Option<String>,
    },
}

/// Which node.
#[derive(Debug, Clone, Args)]
pub(super) struct SimArgs {
    /// Simulate this node instead of testing the machine: a name (`hgx-h200-8`) or a node file.
    #[arg(long, value_name = "NODE")]
    pub sim: Option<String>,
    /// Give the simulated node a fault, as `NAME@COMPONENT[:SEVERITY]`, e.g. `cold-plate-loose@gpu/3`. Repeatable.
    #[arg(long = "fault", value_name = "FAULT", requires = "sim")]
    pub faults: Vec<String>,
    /// Seed of the simulated node's healthy spread and noise, and of operands.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// A built-in profile (smoke, acceptance, burnin-24h, burnin-72h, burnin-168h, interconnect) or a file.
    #[arg(default_value = "smoke")]
    pub profile: String,
    #[command(flatten)]
    pub node: SimArgs,
    /// How fast a simulated node runs: 1 is real time, 60 an hour in a minute. As fast as possible if left out.
    #[arg(long, value_name = "FACTOR", requires = "sim")]
    pub sim_speed: Option<f64>,
    /// Set a variable of the profile; recorded as a deviation. Repeatable.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub sets: Vec<String>,
    /// Run only these stages or steps (`burn`, `burn.gemm`, `link.*`, comma-separated). Such a run is never an acceptance.
    #[arg(long, value_name = "FILTER")]
    pub only: Option<String>,
    /// The folder of this run; it must not hold another. `runs/<run id>` if left out.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Serial number of the node, from its label; the run is refused if the node says another.
    /// Letters of full width are read as plain ones.
    #[arg(long, value_name = "SERIAL", value_parser = scanned)]
    pub serial: Option<String>,
    /// Name of the test station.
    #[arg(long, value_name = "NAME", env = "KILN_STATION")]
    pub station: Option<String>,
    /// Who runs it.
    #[arg(long, value_name = "NAME", env = "KILN_OPERATOR")]
    pub operator: Option<String>,
    /// Work order.
    #[arg(long, value_name = "ORDER", value_parser = scanned)]
    pub order: Option<String>,
    /// What `of baseline` limits are held against: a file of `kiln baseline`, or the folder of an earlier run.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Answer every operator prompt with this instead of asking.
    #[arg(long, value_name = "ANSWER")]
    pub answer: Option<YesNo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum YesNo {
    Yes,
    No,
}

const DRILL_EXITS: &str = "\
Exit codes:
  0    every defect caught with its part named, no false alarm
  1    a defect escaped or was blamed on the wrong part, or a healthy node was not passed
  2    usage error, or a mistake in a profile, node or fault file: nothing ran
  3    the results could not be written
  130  interrupted; the matrix so far was told";

#[derive(Debug, Args)]
pub(super) struct DrillArgs {
    /// Built-in profiles or files; of several a comparison is told at the end.
    #[arg(required = true, value_name = "PROFILE")]
    pub profiles: Vec<String>,
    /// The node to drill on: a name (`hgx-h200-8`), a node file, or `all` that fit the profile. With several, a fault goes
    /// into the first that can have it, and healthy runs are made of each. Repeatable.
    #[arg(long = "sim", value_name = "NODE", required = true)]
    pub sims: Vec<String>,
    /// Which faults: names or fault files, `*` standing for anything, `@COMPONENT` for where. Repeatable, or comma-separated.
    #[arg(long, value_name = "GLOB", default_value = "*")]
    pub faults: Vec<String>,
    /// How badly, as multiples of each fault's default. Misses below 1 are told, not counted.
    #[arg(long, value_name = "X", value_delimiter = ',', default_value = "1")]
    pub severity: Vec<f64>,
    /// Runs of each fault at each severity.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub seeds: u64,
    /// Runs of each healthy node, to count false alarms.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub healthy: u64,
    /// Runs at the same time; as many as there are cores if left out. The result does not depend on it.
    #[arg(long, value_name = "N")]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// The folder for drill.json, junit.xml and drill.html, with a folder in it for each of several profiles;
    /// `drills/<profile>` if left out.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Also tell what would be lost without each step and with less of the soak.
    #[arg(long)]
    pub shorten: bool,
    /// Set a variable of the profile. Repeatable.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub sets: Vec<String>,
    /// Share of the runs of one fault that may escape or name the wrong part, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub allow_misses: f64,
    /// Share of the runs of one healthy node that may not pass, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub allow_alarms: f64,
}

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// The folder of the run.
    pub run: PathBuf,
    /// How fast a simulated node runs; as fast as possible if left out.
    #[arg(long, value_name = "FACTOR")]
    pub sim_speed: Option<f64>,
    /// Answer every operator prompt with this instead of asking.
    #[arg(long, value_name = "ANSWER")]
    pub answer: Option<YesNo>,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The folder of the run. Without --format, its reports are rebuilt in place.
    #[arg(required_unless_present = "schema")]
    pub run: Option<PathBuf>,
    /// Print one report instead.
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
    /// Print the JSON Schema of result.json.
    #[arg(long)]
    pub schema: bool,
}

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

const VERIFY_EXITS: &str = "\
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
    /// The folder of the run.
    pub run: PathBuf,
    /// The public key of the station that sealed it.
    #[arg(long, value_name = "PUB")]
    pub key: PathBuf,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    Text,
    Json,
    Junit,
    /// The page for people, in one file.
    Html,
    /// Telemetry: one row per GPU and tick.
    Parquet,
}

#[derive(Debug, Subcommand)]
pub(super) enum ProfileCommand {
    /// Check a profile: every mistake at once, each placed.
    Check {
        /// A built-in profile or a file.
        profile: String,
        #[arg(long = "set", value_name = "NAME=VALUE")]
        sets: Vec<String>,
    },
    /// Print the resolved profile with where each value came from.
    Explain {
        /// A built-in profile or a file.
        profile: String,
        #[arg(long = "set", value_name = "NAME=VALUE")]
        sets: Vec<String>,
    },
    /// Print what would run on which component for how long.
    Plan {
        /// A built-in profile or a file.
        profile: String,
        #[command(flatten)]
        node: SimArgs,
        #[arg(long = "set", value_name = "NAME=VALUE")]
        sets: Vec<String>,
        #[arg(long, value_name = "FILTER")]
        only: Option<String>,
    },
    /// Print the JSON Schema of profiles, for editors.
    Schema,
    /// List the built-in profiles, or print one to start from.
    Show {
        /// A built-in profile; without one, all are listed.
        profile: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    #[command(flatten)]
    pub node: SimArgs,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}
