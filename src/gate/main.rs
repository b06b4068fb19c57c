//! `kiln-floor`: the floor's server.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use kiln_floor::Rights;
use kiln_floorsim::{
    Bmc, Defect, Faults, NewProgram, PowerSettings, SimSettings, drill, operator_day, power, simulate,
};
use kiln_gate::{
    Address, AddressError, Database, Form, LoadSettings, NatsSettings, OutletSettings, People, PeopleError, Person,
    RulesError, ServeSettings, Source, TlsSettings, audit, load, papers, real_runs, reindex, serve, summary,
};
use kiln_report::Language;

/// The floor of a factory: assigns tests to units, takes their results in, and decides what is done with each.
///
/// Runs are made by `kiln agent` on the nodes. What is not there yet is named in docs/floor.md.
#[derive(Debug, Parser)]
#[command(name = "kiln-floor", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve agents and the page for operators until interrupted.
    Serve(Box<ServeArgs>),
    /// Read a floor's file, and say what it comes to or everything that is wrong with it.
    Check {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Add, remove and list the people who may log in to a floor that speaks TLS.
    #[command(subcommand)]
    Person(PersonCommand),
    /// Write every event of a floor as a line of JSON, once their hash chain was found sound; also beside a floor at work.
    Audit {
        /// The floor's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Hold a floor's events and copies of runs against each other, make anew what follows from them, and say what differs.
    ///
    /// Nothing else may work in the folder. Ends with 0 if all is as it should be or was made so, with 1 if something is left for a
    /// person, and with 3, saying why, if it could not go through to the end: events that are damaged, not there or of a newer
    /// version, another kiln-floor at work in the folder, files that cannot be read or written.
    Reindex {
        /// The floor's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        #[command(flatten)]
        store: StoreArgs,
        /// Make the database anew from a file that `kiln-floor audit` wrote; the one that is there must be moved away before.
        #[arg(long, value_name = "FILE")]
        events: Option<PathBuf>,
    },
    /// Write a unit's papers: what was decided about it, signed by the floor, with the sealed runs. `kiln verify` reads them.
    Papers(PapersArgs),
    /// Simulate floors with their agents in virtual time, with faults of network and hosts by seed.
    ///
    /// Ends with 1 if something was lost, doubled, made up, or drew more than it may.
    Sim(SimArgs),
    /// Plant defects of the floor itself (cooling, image, slot, swapped units, lot, station) and count what it names.
    ///
    /// Ends with 1 if a defect escaped in any lot.
    Drill(DrillArgs),
    /// Measure a floor: many agents' calls, and pieces of journals, over TCP.
    #[command(hide = true)]
    Load(LoadArgs),
}

/// Where a floor's events are, if not in its folder.
#[derive(Debug, Args)]
struct StoreArgs {
    /// The database with the floor's events, as `postgres://USER@HOST/DATABASE`; without it they are in floor.db of its folder.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// A file with the password of the database's user in its first line; PGPASSWORD is read without it.
    #[arg(long, value_name = "FILE", requires = "store")]
    store_password: Option<PathBuf>,
    /// The certificate of the authority of the database's server; TLS is spoken with it, and known by it.
    #[arg(long, value_name = "FILE", requires = "store")]
    store_ca: Option<PathBuf>,
}

impl StoreArgs {
    fn database(&self) -> Result<Database, AddressError> {
        let Some(url) = &self.store else { return Ok(Database::Folder) };
        let address = Address::of(url, self.store_password.as_deref(), self.store_ca.as_deref())?;
        Ok(Database::Postgres(Box::new(address)))
    }
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The floor's folder: its events unless --store names a database, and a copy of every run.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// The address to listen on, loopback only without --tls; port 0 takes a free one, and the address is told on stdout.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Speak TLS: agents are enrolled and show certificates, people log in. Takes at least one admin (`kiln-floor person`).
    ///
    /// The floor has an authority of its own; agents (`--ca`) and browsers are given keys/ca.pem of its folder to know it by.
    #[arg(long)]
    tls: bool,
    /// A name or address that agents and browsers call the floor by; may be given several times.
    #[arg(long = "name", value_name = "NAME", requires = "tls")]
    names: Vec<String>,
    /// How long an agent's certificate holds, in seconds; 72 hours if left out.
    #[arg(long, value_name = "SECONDS", requires = "tls", hide = true)]
    agents_for: Option<u64>,
    /// The shipped profile that every unit must pass, for a floor without a file.
    #[arg(long, value_name = "NAME", default_value = "smoke", conflicts_with = "floor")]
    profile: String,
    /// The floor's file: route, racks, power and cooling, rules for tests that are repeated (`kiln-floor check`).
    #[arg(long, value_name = "FILE")]
    floor: Option<PathBuf>,
    /// The folder with the program that the floor's file wants agents to be (`agents:`); a signature lies beside it as `<name>.sig`.
    #[arg(long, value_name = "DIR", requires = "floor")]
    programs: Option<PathBuf>,
    /// The folder into which an order system drops a parts list for each unit (`kiln.parts/1`); its runs are held against it.
    #[arg(long, value_name = "DIR")]
    parts: Option<PathBuf>,
    /// A folder in which a JSON file is dropped for every disposition, for other systems to take away.
    #[arg(long, value_name = "DIR")]
    drop: Option<PathBuf>,
    /// An address that is called with a message for every disposition, or run; calls carry an Idempotency-Key.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// What the webhook is told: `disposition`, `result` (runs and dispositions), `cfx` (IPC-2591 `UnitsTested`), or `event` (all).
    #[arg(long, value_enum, value_name = "FORM", default_value = "disposition", requires = "webhook")]
    webhook_form: Form,
    /// A file with the secret that calls of the webhook are signed with (X-Kiln-Signature, HMAC-SHA-256).
    #[arg(long, value_name = "FILE", requires = "webhook")]
    webhook_secret: Option<PathBuf>,
    /// A NATS server that is told as well, as nats://HOST:PORT or tls://HOST:PORT; a JetStream stream must take the subjects.
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// What it is told: `event` (all that happens on the floor), `disposition`, `result`, or `cfx`.
    #[arg(long, value_enum, value_name = "FORM", default_value = "event", requires = "nats")]
    nats_form: Form,
    /// What subjects begin with, before the floor's name and the kind of message.
    #[arg(long, value_name = "SUBJECT", default_value = "kiln", requires = "nats")]
    nats_subject: String,
    /// A file with `user:password` or a token in its first line.
    #[arg(long, value_name = "FILE", requires = "nats")]
    nats_login: Option<PathBuf>,
    /// A manufacturing system, by an address or a folder: asked before each run whether it may begin, told of each result.
    #[arg(long, value_name = "URL|DIR")]
    mes: Option<String>,
    /// The certificate of the authority of a webhook or manufacturing system that is called by https, or of a NATS server by TLS.
    #[arg(long, value_name = "FILE")]
    outlet_ca: Option<PathBuf>,
    /// Language of the page where none is chosen.
    #[arg(long, value_enum, default_value = "ja")]
    lang: Lang,
}

#[derive(Debug, Subcommand)]
enum PersonCommand {
    /// Add a person; the PIN is read from the first line of stdin.
    Add {
        /// The floor's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// As it stands in the floor's events.
        #[arg(long)]
        name: String,
        /// What a scan of the badge gives.
        #[arg(long)]
        badge: String,
        #[arg(long, value_parser = roles())]
        role: Rights,
    },
    /// Remove a person; sessions end at once.
    Remove {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        #[arg(long)]
        name: String,
    },
    List {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

/// A role by its name.
fn roles() -> impl TypedValueParser<Value = Rights> {
    let shown = |role: Rights| {
        PossibleValue::new(role.word()).help(match role {
            Rights::Viewer => "Looks on; a screen on the wall",
            Rights::Operator => "Scans units and records work",
            Rights::Engineer => "Decides about held units, suspicions, starts and power",
            Rights::Admin => "Approves and revokes agents, lets people in again",
        })
    };
    PossibleValuesParser::new(Rights::ALL.map(shown)).try_map(|typed| {
        Rights::ALL.into_iter().find(|role| role.word() == typed).ok_or_else(|| format!("nobody has the role {typed}"))
    })
}

#[derive(Debug, Args)]
struct PapersArgs {
    /// The floor's folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// The unit's serial number.
    unit: kiln_wire::Serial,
    /// The folder to make.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The floor's name in the papers: that of its file.
    #[arg(long, value_name = "NAME", default_value = "floor")]
    floor_name: String,
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
    /// What each agent has to hand over of a journal as fast as it is answered, in MB; it ends when all is there.
    #[arg(long, value_name = "MB", default_value_t = 0)]
    backlog: u64,
}

#[derive(Debug, Args)]
struct SimArgs {
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    agents: u32,
    /// How many floors to simulate, each with a seed of its own.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// `all`, `none`, or kinds of faults with commas between, such as `loss,reboot`.
    #[arg(long, default_value = "all")]
    faults: Faults,
    /// Have each unit tested by the real engine, on a simulated node of its own: a shipped profile, or a file. Runs are scripted without it.
    ///
    /// One unit of ten has a defect of the library. A sound one must be released, and none with a defect that must be caught.
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["power", "operator"])]
    profile: Option<String>,
    /// With --profile: the kind of node that units are, by name or a node file.
    #[arg(long, value_name = "NODE", default_value = "hgx-h200-8", requires = "profile")]
    node: String,
    /// Have the floor want its agents to be another program, in waves: a `good` one, one that no node starts (`dead`), or one that
    /// starts and never reaches the floor (`mute`). Those that are no good must stop with the first wave.
    #[arg(long, value_name = "good|dead|mute", conflicts_with = "power")]
    program: Option<NewProgram>,
    /// Nobody reaches the floor for so many hours, ten minutes after it began; all that waited must come in afterwards, once.
    #[arg(long, value_name = "HOURS", conflicts_with = "power", value_parser = clap::value_parser!(u64).range(1..=720))]
    offline: Option<u64>,
    /// Some nodes hang for hours, and the floor power-cycles them by BMCs that do so, or say so and do nothing or too late.
    #[arg(long, value_name = "honest|lying", conflicts_with_all = ["power", "operator", "profile"])]
    bmc: Option<Bmc>,
    /// Simulate a day of one operator who makes mistakes instead, for so many trays as there are agents: no wrong unit may be started.
    #[arg(long, conflicts_with_all = ["power", "program", "offline"])]
    operator: bool,
    /// Simulate power alone, for so many hours: whether any place ever bears more than it can.
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u64).range(1..=8760))]
    power: Option<u64>,
    /// With --power: of a hundred runs, so many have a node that falls silent and burns on.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    silent: f64,
    /// With --power: what must be caught, power given back after so many minutes of silence.
    #[arg(long, value_name = "MINUTES", requires = "power")]
    give_back_after: Option<u64>,
}

#[derive(Debug, Args)]
struct DrillArgs {
    /// How many lots of 1,008 units for each defect.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    lots: u32,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Works through seeds on all cores, and tells of each as it is done; how many were not as they should be.
fn for_each_seed(first: u64, count: u64, work: impl Fn(u64) -> (bool, String) + Sync) -> u64 {
    let (next, wrong) = (AtomicU64::new(first), AtomicU64::new(0));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let (right, told) = work(seed);
                    wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
                    let _ = writeln!(std::io::stdout().lock(), "seed {seed}: {told}");
                }
            });
        }
    });
    wrong.into_inner()
}

fn sim(args: &SimArgs) -> ExitCode {
    let runs = match args.profile.as_ref().map(|profile| real_runs(profile, &args.node)).transpose() {
        Ok(runs) => runs.map(std::sync::Arc::new),
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "error: {error}");
            return ExitCode::from(2);
        }
    };
    let wrong = if let Some(hours) = args.power {
        for_each_seed(args.seed, args.seeds, |seed| {
            let outcome = power(PowerSettings {
                nodes: args.agents as usize,
                hours,
                seed,
                silent_percent: args.silent,
                give_back_after_minutes: args.give_back_after,
            });
            (outcome.breach.is_none(), outcome.to_string())
        })
    } else if args.operator {
        for_each_seed(args.seed, args.seeds, |seed| {
            let day = operator_day(args.agents as usize, seed);
            (day.violations.is_empty() && day.open == 0, day.to_string())
        })
    } else {
        for_each_seed(args.seed, args.seeds, |seed| {
            let (faults, program, offline) = (args.faults.clone(), args.program, args.offline);
            let settings = SimSettings { seed, faults, program, offline, ..SimSettings::of(args.agents as usize) };
            let done = simulate(&SimSettings { runs: runs.clone(), bmc: args.bmc, ..settings });
            (done.violations.is_empty(), done.to_string())
        })
    };
    let _ = writeln!(std::io::stdout().lock(), "{} floors, {wrong} not as they should be", args.seeds);
    ExitCode::from(u8::from(wrong > 0))
}

/// Serves until the process ends; it returns with why.
fn serve_floor(runtime: &tokio::runtime::Runtime, args: ServeArgs) -> Result<(), Box<dyn std::error::Error>> {
    let language = match args.lang {
        Lang::Ja => Language::Japanese,
        Lang::En => Language::English,
    };
    let database = args.store.database()?;
    let rules = args.floor.map_or(Source::Profile(args.profile), Source::File);
    let agents_for = args.agents_for.map(std::time::Duration::from_secs);
    let tls = args.tls.then_some(TlsSettings { names: args.names, agents_for });
    let outlets = OutletSettings {
        drop: args.drop,
        webhook: args.webhook.map(|url| (url, args.webhook_form)),
        webhook_secret: args.webhook_secret,
        nats: args.nats.map(|url| NatsSettings {
            url,
            form: args.nats_form,
            subject: args.nats_subject,
            login: args.nats_login,
        }),
        mes: args.mes,
        authority: args.outlet_ca,
    };
    let scheme = if args.tls { "https" } else { "http" };
    let (data, listen, programs, parts) = (args.data, args.listen, args.programs, args.parts);
    let settings = ServeSettings { data, database, listen, rules, language, outlets, programs, parts, tls };
    let listening = |address| {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{scheme}://{address}/").and_then(|()| out.flush());
    };
    Ok(runtime.block_on(serve(settings, listening))?)
}

/// The exit code of something that is done or says why not.
fn ended(done: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => told(&*error),
    }
}

fn checked(file: &std::path::Path) -> ExitCode {
    match summary(file) {
        Ok(text) => {
            let _ = writeln!(std::io::stdout().lock(), "{text}");
            ExitCode::SUCCESS
        }
        // As `kiln profile check` ends: the file is wrong, or cannot be read.
        Err(error @ RulesError::Unread { .. }) => told(&error),
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "{error}");
            ExitCode::from(2)
        }
    }
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return told(&error),
    };
    match Cli::parse().command {
        Command::Serve(args) => ended(serve_floor(&runtime, *args)),
        Command::Check { file } => checked(&file),
        Command::Person(command) => ended(person(command).map_err(Into::into)),
        Command::Audit { data, store } => {
            let database = store.database().map_err(Into::into);
            ended(database.and_then(|from| Ok(audit(&data, &from, &mut std::io::stdout().lock())?)))
        }
        Command::Reindex { data, store, events } => {
            let database = store.database().map_err(Into::into);
            let found = database.and_then(|database| Ok(reindex(&data, &database, events.as_deref())?));
            match found {
                Ok(found) => {
                    let _ = writeln!(std::io::stdout().lock(), "{found}");
                    ExitCode::from(u8::from(!found.is_sound()))
                }
                Err(error) => ended(Err(error)),
            }
        }
        Command::Papers(PapersArgs { data, store, unit, out, floor_name }) => {
            let database = store.database().map_err(Into::into);
            ended(database.and_then(|from| Ok(papers(&data, &from, &floor_name, &unit, &out)?)))
        }
        Command::Sim(args) => sim(&args),
        Command::Drill(args) => {
            let mut escaped = 0;
            for defect in Defect::ALL {
                let drilled = drill(defect, args.lots, args.seed);
                let _ = writeln!(std::io::stdout().lock(), "{drilled}");
                escaped += drilled.escaped();
            }
            ExitCode::from(u8::from(escaped > 0))
        }
        Command::Load(args) => {
            let LoadArgs { floor, agents, seconds, appends, backlog } = args;
            match runtime.block_on(load(LoadSettings { floor, agents, seconds, appends, backlog })) {
                Ok(measured) => {
                    let _ = writeln!(std::io::stdout().lock(), "{measured}");
                    ExitCode::SUCCESS
                }
                Err(error) => told(&error),
            }
        }
    }
}

fn person(command: PersonCommand) -> Result<(), PeopleError> {
    match command {
        PersonCommand::Add { data, name, badge, role } => {
            let people = People::open(&data)?;
            let mut pin = String::new();
            let read = std::io::stdin().read_line(&mut pin);
            read.map_err(|error| PeopleError::File { path: "stdin".into(), what: error.to_string() })?;
            people.add(&name, &badge, role, &pin)
        }
        PersonCommand::Remove { data, name } => People::open(&data)?.remove(&name),
        PersonCommand::List { data } => {
            for Person { name, badge, role, .. } in People::open(&data)?.all()? {
                let _ = writeln!(std::io::stdout().lock(), "{name}\t{badge}\t{}", role.word());
            }
            Ok(())
        }
    }
}

fn told(error: &dyn std::error::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr().lock(), "error: {error}");
    ExitCode::from(3)
}
