//! The command line as typed. What it means is for the file of each command.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::args_agent::{AGENT_EXITS, AgentArgs};
use super::args_bench::{BENCH_EXITS, BenchArgs, CalibrateArgs};
use super::args_lot::{
    BaselineArgs, DiffArgs, LotCommand, MsaArgs, RejudgeArgs, SealArgs, StatsArgs, VERIFY_EXITS, VerifyArgs,
};
use super::args_profile::{PartsCommand, ProfileCommand, SkuCommand};
use super::exit_code;
use super::language::scanned;
use super::restart::RestartCommands;
use crate::event::JunitDialect;
use crate::load::worker::Injection;
use crate::model::{GpuSet, Span, Spread, parse_span};
use crate::report::Languages;
use crate::rundir::FORMATS;
use kiln_wire::RunId;

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
    /// When to colour what is written: on a terminal (`auto`, which heeds `NO_COLOR`), `always` or `never`.
    #[arg(long, global = true, value_name = "WHEN")]
    pub color: Option<Color>,
    /// Show no progress and tell nothing on stderr but errors, warnings and questions.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Tell on stderr what the program does; twice for more, three times for all. `KILN_LOG` chooses more finely.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Settings of this station, instead of `~/.config/kiln/config.yaml` and `/etc/kiln/config.yaml`.
    #[arg(long, global = true, value_name = "FILE", env = "KILN_CONFIG")]
    pub config: Option<PathBuf>,
    /// A folder of SKU files, for GPU models that are not built in. A folder `skus` beside the profile is read without it.
    #[arg(long, global = true, value_name = "DIR", env = "KILN_SKUS")]
    pub skus: Option<PathBuf>,
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
    /// Test this node for a floor (kiln-floor): take assignments, run them, hand the results over.
    #[command(after_help = AGENT_EXITS)]
    Agent(Box<AgentArgs>),
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
    /// Facts of a lot from runs that passed, and units held against them as outliers.
    #[command(subcommand)]
    Lot(LotCommand),
    /// How well measurements repeat: a gauge study over runs of the same units again.
    Msa(MsaArgs),
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
        /// As JSON.
        #[arg(long, conflicts_with = "support")]
        json: bool,
        /// Print the documentation page of what is judged with which driver and generation of GPU, as Markdown.
        #[arg(long, conflicts_with = "name")]
        support: bool,
    },
    /// List what is built in: profiles, nodes, faults, SKUs, checks or findings.
    List {
        what: Listed,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a first profile to start from.
    Init {
        /// The profile file to write; it must not exist.
        #[arg(default_value = "profile.yaml")]
        file: PathBuf,
    },
    /// Print the completions of a shell.
    Completions { shell: clap_complete::Shell },
    /// Print the manual page, or write the pages of all commands to a folder.
    Man {
        /// The folder to write `kiln.1`, `kiln-run.1`, ... to.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Show what a node is made of, or write it to a node file.
    Node(Box<NodeArgs>),
    /// Bills of materials: make one of a node, or check one.
    #[command(subcommand)]
    Parts(PartsCommand),
    /// Facts about GPU models: make a file of a node, or list what is known.
    #[command(subcommand)]
    Sku(SkuCommand),
    /// Sample a node to a recording, which `--replay` plays.
    Record(Box<RecordArgs>),
    /// Measure a node without judging it: every kernel, memory, copies, and whether flipped bits are found.
    #[command(after_help = BENCH_EXITS)]
    Bench(Box<BenchArgs>),
    /// Make benches into proposed facts of a GPU model and parameters of its simulation, as files to review.
    Calibrate(CalibrateArgs),
    /// Is this machine ready for a run? Each line with what to do.
    #[command(after_help = DOCTOR_EXITS)]
    Doctor(DoctorArgs),
    /// The inside of a load's child process; started by a run, never by hand.
    #[command(hide = true)]
    Worker {
        /// Only load the kernels onto the GPUs at these addresses and say what came of it.
        #[arg(long, value_delimiter = ',')]
        look: Vec<String>,
        /// Run each of them for a window as well.
        #[arg(long, requires = "look")]
        compute: bool,
    },
    /// Tell what a finding code, or an Xid or SXid of NVIDIA's driver, means.
    Explain {
        /// A code such as `GPU-COOLING-CONTACT`, `79`, `xid 79` or `sxid 12028`; without one, all findings are listed.
        #[arg(num_args = 0..=2)]
        code: Vec<String>,
        /// As JSON.
        #[arg(long, conflicts_with = "page")]
        json: bool,
        /// Print the documentation page of all codes, as Markdown.
        #[arg(long, conflicts_with = "code")]
        page: bool,
    },
}

/// When to colour what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Listed {
    Profiles,
    Nodes,
    Faults,
    Skus,
    Checks,
    Findings,
}

/// Which node.
#[derive(Debug, Clone, Args)]
pub(super) struct NodeChoice {
    /// Simulate this node instead of testing the machine: a name (`hgx-h200-8`) or a node file.
    #[arg(long, value_name = "NODE")]
    pub sim: Option<String>,
    /// Play a recording of `kiln record` instead of testing the machine. What a load would measure is not in it.
    #[arg(long, value_name = "FILE", conflicts_with = "sim")]
    pub replay: Option<PathBuf>,
    #[command(flatten)]
    pub hardware: HardwareArgs,
    /// Give the simulated node a fault, as `NAME@COMPONENT[:SEVERITY]`, e.g. `cold-plate-loose@gpu/3`. Repeatable.
    #[arg(long = "fault", value_name = "FAULT", requires = "sim")]
    pub faults: Vec<String>,
    /// Seed of the simulated node's healthy spread and noise, and of operands.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How far the simulated node's healthy parts lie from one another: `tight` as its file says, `usual` as over a fleet on
    /// average (8 % in throughput at the power cap), `wide` as the widest that was published (22 %).
    #[arg(long, value_name = "tight|usual|wide", default_value = "tight", requires = "sim")]
    pub spread: Spread,
}

/// How the machine's own GPUs are reached.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct HardwareArgs {
    /// The NVIDIA management library; `libnvidia-ml.so.1` of the installed driver if left out.
    #[arg(long, value_name = "PATH", env = "KILN_NVML_LIB")]
    pub nvml_lib: Option<PathBuf>,
    /// Where the host's `/proc`, `/sys`, `/dev` and `/run` are, for a container that has them mounted elsewhere.
    #[arg(long, value_name = "DIR", env = "KILN_HOST_ROOT")]
    pub host_root: Option<PathBuf>,
    /// What starts this machine anew, from the station's settings.
    #[arg(skip)]
    pub restarts: Box<RestartCommands>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// A built-in profile (smoke, acceptance, burnin-24h, burnin-72h, burnin-168h, interconnect, restarts) or a file.
    #[arg(default_value = "smoke")]
    pub profile: String,
    #[command(flatten)]
    pub node: NodeChoice,
    /// How fast a simulated node runs: 1 is real time, 60 an hour in a minute. As fast as possible if left out.
    #[arg(long, value_name = "FACTOR")]
    pub sim_speed: Option<f64>,
    /// Have the loads commit a fault, to show that it is found: `bitflip@ITERATION`, `bitflips@COUNT`, `hang` or `slow`. Such a run is never an
    /// acceptance.
    #[arg(long, value_name = "FAULT", conflicts_with_all = ["sim", "replay"])]
    pub inject: Option<Injection>,
    /// Set a variable of the profile; recorded as a deviation. Repeatable.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub sets: Vec<String>,
    /// Run only these stages or steps (`burn`, `burn.gemm`, `link.*`, comma-separated). Such a run is never an acceptance.
    #[arg(long, value_name = "FILTER")]
    pub only: Option<String>,
    /// Test only these GPUs, by the numbers of `kiln node`: `0-3,5`. The others get no load, and what they read and log is left
    /// out. Such a run is never an acceptance: its verdict says that it deviates.
    #[arg(long, value_name = "GPUS")]
    pub gpus: Option<GpuSet>,
    /// The folder of this run; it must not hold another. `runs/<run id>` if left out.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where runs are put whose folder is not named, from the station's settings.
    #[arg(skip)]
    pub runs: Option<PathBuf>,
    /// The name of this run, made elsewhere; a fresh UUID if left out.
    #[arg(long, value_name = "ID", hide = true)]
    pub run_id: Option<RunId>,
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
    /// The bill of materials the unit is held against: a file of `kiln parts make`, of an order or an MES.
    #[arg(long, value_name = "FILE")]
    pub parts: Option<PathBuf>,
    /// What `of baseline` limits are held against: a file of `kiln baseline`, or the folder of an earlier run.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// The lot that the unit is held against where the profile asks for it: a file of `kiln lot build`. An outlier ends in
    /// HELD. Without one only physics and the unit's own siblings judge, and every report says so.
    #[arg(long, value_name = "FILE")]
    pub lot: Option<PathBuf>,
    /// How far the gauge may be off: the document of `kiln msa --json`. Nearer than that to an end of its limit a value
    /// neither passes plainly nor proves a fault.
    #[arg(long, value_name = "FILE")]
    pub guard_bands: Option<PathBuf>,
    /// Answer every operator prompt with this instead of asking.
    #[arg(long, value_name = "ANSWER")]
    pub answer: Option<YesNo>,
    /// Which JUnit the run leaves as junit.xml: `strict` is valid under the schema of Jenkins, `rich` has properties,
    /// times and attachments of every case.
    #[arg(long, value_name = "DIALECT", default_value = "strict")]
    pub junit: JunitChoice,
    /// Print OCPTV lines on stdout while the run goes on, and nothing else there.
    #[arg(long, value_name = "-")]
    pub ocptv: Option<Stdout>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum JunitChoice {
    Strict,
    Rich,
}

impl From<JunitChoice> for JunitDialect {
    fn from(choice: JunitChoice) -> Self {
        match choice {
            JunitChoice::Strict => Self::Strict,
            JunitChoice::Rich => Self::Rich,
        }
    }
}

/// The one place a stream can go besides the run directory, which always has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Stdout {
    #[value(name = "-")]
    Stdout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum YesNo {
    Yes,
    No,
}

const DOCTOR_EXITS: &str = "\
Exit codes:
  0    ready, or ready with less than there could be
  2    wrong usage
  3    not ready: a run would fail or prove nothing";

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
    /// The seed of the first run of each fault; the next runs take the next ones. Fresh if left out, and told, so that limits
    /// are not tuned to seeds: the same seed is the same drill.
    #[arg(long, value_name = "SEED")]
    pub first_seed: Option<u64>,
    /// How far healthy parts lie from one another: `tight` as the node file says, `usual` as over a fleet on average (8 % in
    /// throughput at the power cap), `wide` as the widest that was published (22 %).
    #[arg(long, value_name = "tight|usual|wide", default_value = "tight")]
    pub spread: Spread,
    /// Runs of each healthy node, to count false alarms.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub healthy: u64,
    /// Healthy units of each node that a lot is made of first, where the profile holds values against one. With fewer than
    /// 30 every run is that of a first lot.
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub lot: u64,
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
    /// Propose limits with which so many percent of healthy nodes are not passed, over all limits, and tell what each would
    /// cost in detection. It takes 100 healthy runs and more.
    #[arg(long, value_name = "PERCENT")]
    pub tune: Option<f64>,
    /// Drill the profile as it is. Otherwise every run is given the bill of materials of its node, as an order would give it:
    /// serial numbers, BIOS, and how many drives, interfaces, supplies and memory modules there are.
    #[arg(long)]
    pub no_parts_list: bool,
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
    #[command(flatten)]
    pub hardware: HardwareArgs,
    /// How fast a simulated node runs; as fast as possible if left out.
    #[arg(long, value_name = "FACTOR")]
    pub sim_speed: Option<f64>,
    /// Answer every operator prompt with this instead of asking.
    #[arg(long, value_name = "ANSWER")]
    pub answer: Option<YesNo>,
    /// Print OCPTV lines on stdout, those of the run so far first, and nothing else there.
    #[arg(long, value_name = "-")]
    pub ocptv: Option<Stdout>,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The folder of the run. Without --format, its reports are rebuilt in place.
    #[arg(required_unless_present = "schema")]
    pub run: Option<PathBuf>,
    /// Print one report instead.
    #[arg(long, value_parser = report_format())]
    pub format: Option<String>,
    /// Print the JSON Schema of result.json.
    #[arg(long)]
    pub schema: bool,
}

/// The names of the forms a run is told in, with what each is.
fn report_format() -> PossibleValuesParser {
    FORMATS.map(|format| PossibleValue::new(format.name()).help(format.about())).into()
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct NodeArgs {
    #[command(subcommand)]
    pub command: Option<NodeCommand>,
    #[command(flatten)]
    pub node: NodeChoice,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Write a node file of this node, so that it can be simulated anywhere.
    Snapshot {
        /// The node file to write.
        file: PathBuf,
        /// Its id; the file's name if left out.
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        node: NodeChoice,
    },
    /// Make a node file of what `nvidia-smi -q -x` wrote.
    Import {
        /// The XML; `-` for stdin.
        xml: PathBuf,
        /// Write the node file here instead of to stdout.
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Its id; the XML file's name if left out.
        #[arg(long)]
        id: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    /// The recording to write.
    pub file: PathBuf,
    #[command(flatten)]
    pub node: NodeChoice,
    /// How long; until it is interrupted if left out.
    #[arg(long = "for", value_name = "SPAN", value_parser = parse_span)]
    pub span: Option<Span>,
    /// How often.
    #[arg(long, value_name = "SPAN", value_parser = parse_span, default_value = "1s")]
    pub every: Span,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub hardware: HardwareArgs,
    /// Where run directories are going to be written; the folder of the station's settings, or `runs`, if left out.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Also put every kernel on every GPU to work for a moment and compare its results, about a second a GPU. Nothing may run there.
    #[arg(long)]
    pub gpu: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}
