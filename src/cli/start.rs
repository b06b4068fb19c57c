//! Where the program starts: logging, arguments, the command asked for, its exit code.

use clap::Parser as _;
use clap::error::ErrorKind;

use super::args::{Cli, Color, Command};
use super::command_error::CommandError;
use super::config::Config;
use super::exit_code::Exit;
use super::language::Spoken;
use super::{
    agent, baseline, bench, calibrate, checks, cuda_look, diff, doctor, drill, explain, init, list, logging, lot, node,
    parts, printer, profile, record, rejudge, report, run, seal, shell, skus, stats, support, verify,
};
use crate::load::cuda::CudaEngine;
use crate::load::worker;

/// Runs the command line and gives the exit code.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results, everything else is wrong usage, told with what was typed.
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    let _ = error.print();
                    Exit::Pass
                }
                _ => {
                    printer::tell(error.render().to_string().trim_end());
                    Exit::Usage
                }
            };
        }
    };
    settled(cli).unwrap_or_else(|error| error.tell())
}

/// Runs the command with what the station's settings add to what was typed.
fn settled(cli: Cli) -> Result<Exit, CommandError> {
    let mut command = cli.command;
    // A worker is a child of a run that has read them.
    let config = if matches!(command, Command::Worker { .. }) {
        Config::default()
    } else {
        Config::read(cli.config.as_deref())?
    };
    printer::set_color(cli.color.or(config.color).unwrap_or(Color::Auto));
    printer::set_quiet(cli.quiet);
    let spoken = Spoken(cli.lang.or(config.lang));
    printer::set_language(spoken.console());
    logging::start(cli.verbose);
    if let Some(folder) = cli.skus {
        skus::look_in(folder);
    }
    match &mut command {
        Command::Run(args) => {
            args.station = args.station.take().or(config.station);
            args.runs = config.runs;
            *args.node.hardware.restarts = config.restarts;
        }
        Command::Resume(args) => *args.hardware.restarts = config.restarts,
        Command::Doctor(args) => args.out = args.out.take().or(config.runs),
        _ => {}
    }
    run_command(command, spoken)
}

fn run_command(command: Command, spoken: Spoken) -> Result<Exit, CommandError> {
    match command {
        Command::Run(args) => run::run(&args, spoken),
        Command::Resume(args) => run::resume(&args, spoken),
        Command::Agent(args) => agent::agent(&args),
        Command::Drill(args) => drill::drill(&args, spoken),
        Command::Report(args) => report::report(&args, spoken),
        Command::Rejudge(args) => rejudge::rejudge(&args, spoken),
        Command::Diff(args) => diff::diff(&args, spoken),
        Command::Stats(args) => stats::stats(&args, spoken),
        Command::Baseline(args) => baseline::baseline(&args, spoken),
        Command::Lot(command) => lot::lot(&command),
        Command::Msa(args) => lot::msa(&args),
        Command::Seal(args) => seal::seal(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Profile(command) => profile::profile(command),
        Command::Checks { support: true, .. } => support::support(),
        Command::Checks { name, json, support: false } => checks::checks(name.as_deref(), json),
        Command::List { what, json } => list::list(what, json, spoken.console()),
        Command::Init { file } => init::init(&file),
        Command::Completions { shell } => shell::completions(shell),
        Command::Man { out } => shell::man(out.as_deref()),
        Command::Node(args) => node::node(&args),
        Command::Parts(command) => parts::parts(command),
        Command::Sku(command) => skus::sku(command, spoken),
        Command::Record(args) => record::record(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Calibrate(args) => calibrate::calibrate(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Worker { look, compute } if !look.is_empty() => cuda_look::answer(&look, compute),
        Command::Worker { .. } => {
            // Its end is told on its pipe, not by its exit code.
            worker::main(std::io::stdin(), std::io::stdout(), &mut CudaEngine::from_environment());
            Ok(Exit::Pass)
        }
        Command::Explain { page: true, .. } => explain::explain_page(),
        Command::Explain { code, json, page: false } => explain::explain(&code, json, spoken.console()),
    }
}
