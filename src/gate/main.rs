//! `kiln-floor`: the floor's server.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use kiln_gate::{LoadSettings, ServeSettings, load, serve};
use kiln_report::Language;

/// The floor of a factory: assigns tests to units, takes their results in, and decides what is done with each.
///
/// Runs are made by `kiln agent` on the nodes. Not there yet: TLS, enrolment of agents, and everything docs/floor.md names.
#[derive(Debug, Parser)]
#[command(name = "kiln-floor", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve agents and the page for operators until interrupted.
    Serve(ServeArgs),
    /// Measure a floor: many agents' calls, and pieces of journals, over TCP.
    #[command(hide = true)]
    Load(LoadArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The floor's folder: its events, and a copy of every run.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The address to listen on, loopback only; port 0 takes a free one, and the address is told on stdout.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The shipped profile that every unit must pass.
    #[arg(long, value_name = "NAME", default_value = "smoke")]
    profile: String,
    /// Language of the page where none is chosen.
    #[arg(long, value_enum, default_value = "ja")]
    lang: Lang,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    Ja,
    En,
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// The floor's address.
    #[arg(long, value_name = "ADDRESS")]
    floor: SocketAddr,
    #[arg(long, default_value_t = 1000)]
    agents: usize,
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Pieces of journals a second, of all agents together.
    #[arg(long, default_value_t = 10)]
    appends: usize,
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return told(&error),
    };
    match Cli::parse().command {
        Command::Serve(args) => {
            let language = match args.lang {
                Lang::Ja => Language::Japanese,
                Lang::En => Language::English,
            };
            let settings = ServeSettings { data: args.data, listen: args.listen, profile: args.profile, language };
            let listening = |address| {
                let mut out = std::io::stdout().lock();
                let _ = writeln!(out, "http://{address}/").and_then(|()| out.flush());
            };
            match runtime.block_on(serve(settings, listening)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => told(&error),
            }
        }
        Command::Load(args) => {
            let LoadArgs { floor, agents, seconds, appends } = args;
            match runtime.block_on(load(LoadSettings { floor, agents, seconds, appends })) {
                Ok(measured) => {
                    let _ = writeln!(std::io::stdout().lock(), "{measured}");
                    ExitCode::SUCCESS
                }
                Err(error) => told(&error),
            }
        }
    }
}

fn told(error: &dyn std::error::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr().lock(), "error: {error}");
    ExitCode::from(3)
}
