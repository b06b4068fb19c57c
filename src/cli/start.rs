//! Where the program starts: logging, arguments, the command asked for, its exit code.

use clap::Parser as _;
use clap::error::ErrorKind;

use super::args::{Cli, Command};
use super::command_error::CommandError;
use super::exit_code::Exit;
use super::language::Spoken;
use super::{
    agent, baseline, checks, cuda_look, diff, doctor, drill, lot, node, printer, profile, record, rejudge, report, run,
    seal, stats, verify,
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
    start_logging();
    command(cli.command, Spoken(cli.lang)).unwrap_or_else(|trouble| trouble.tell())
}

fn command(command: Command, spoken: Spoken) -> Result<Exit, CommandError> {
    match command {
        Command::Run(args) => run::run(&args, spoken),
        Command::Resume(args) => run::resume(&args, spoken),
        Command::Agent(args) => agent::agent(&args),
        Command::Drill(args) => drill::drill(&args),
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
        Command::Checks { name } => checks::checks(name.as_deref()),
        Command::Node(args) => node::node(&args),
        Command::Record(args) => record::record(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Worker { look } if !look.is_empty() => cuda_look::answer(&look),
        Command::Worker { .. } => {
            // Its end is told on its pipe, not by its exit code.
            worker::main(std::io::stdin(), std::io::stdout(), &mut CudaEngine::from_environment());
            Ok(Exit::Pass)
        }
        Command::Explain { page: true, .. } => checks::explain_page(),
        Command::Explain { code, page: false } => checks::explain(code.as_deref(), spoken.console()),
    }
}

/// Diagnostics of the program itself, silent unless `KILN_LOG` asks for them (`KILN_LOG=kiln=debug`).
fn start_logging() {
    let Some(filter) =
        std::env::var("KILN_LOG").ok().and_then(|filter| filter.parse::<tracing_subscriber::EnvFilter>().ok())
    else {
        return;
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call would be a defect of ours, and no reason to refuse a run.
    let _ = subscriber.with_ansi(printer::wants_color()).try_init();
}
