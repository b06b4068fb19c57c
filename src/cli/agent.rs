//! `kiln agent`: works for a floor. Runs are made by this same program, each a process of its own.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use kiln_link::{
    Being, Client, Clock, End, Identity, Launch, Program, Programs, SOCKET_VARIABLE, STARTED_AS, Settings, Spool,
    Supervised, WATCHDOG_VARIABLE, drive as work, in_memory,
};
use kiln_seal::PublicKey;
use kiln_wire::{AgentId, Assignment, BootId, Digest, EVIDENCE_LONGEST, EVIDENCE_MOST, Serial};

use super::against::lot_fits;
use super::args::NodeChoice;
use super::args_agent::AgentArgs;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::language::scanned;
use super::look::Look;
use super::{drive, dut, files, printer, skus};
use crate::disk;

/// Changes at every boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// `kiln agent --floor URL`.
pub(super) fn agent(args: &AgentArgs) -> Result<Exit, CommandError> {
    if args.node.replay.is_some() {
        return Err(CommandError::Usage(anyhow!("a recording cannot be tested; leave out `--replay`")));
    }
    if let Some(lot) = &args.lot {
        lot_fits(lot, || Ok(dut::choose(&args.node)?.source))?;
    }
    // Before anything is made in the spool.
    if args.ca.is_none() {
        Client::of(&args.floor).usage()?;
    }
    let lost = in_memory(&args.spool).with_context(|| format!("the spool {}", args.spool.display())).no_claim()?;
    if let Some(kind) = lost {
        let told = forgetful(&args.spool, kind);
        if args.lasting_spool {
            return Err(CommandError::Usage(anyhow!(told)));
        }
        printer::tell(&format!("WARNING: {told}"));
    }
    let own = std::env::current_exe().context("this program cannot be found again to start runs with").no_claim()?;
    let started_as = std::env::var(STARTED_AS).ok();
    loop {
        let spool = Spool::open(&args.spool).no_claim()?;
        let mut programs = Programs::open(&spool, &own, started_as.as_deref()).no_claim()?;
        let being = match programs.launch(started_as.as_deref()).no_claim()? {
            Launch::Be { program, declined, trial } => {
                let trial_until = trial.map(|trial| drive::monotonic() + trial.within);
                Being { program: Some(program), declined, trial_until }
            }
            Launch::Become { path, program } => {
                programs.will_not_start(&become_it(&path, program.as_ref())).no_claim()?;
                continue;
            }
        };
        match work_as(args, being, &own, spool, programs)? {
            End::Done => return Ok(Exit::Pass),
            End::Held(_) => return Ok(Exit::NoClaim),
            End::Changed => {}
        }
    }
}

/// What a spool in memory comes to.
fn forgetful(spool: &Path, kind: &str) -> String {
    format!(
        "the spool {} is on {kind}, which is in memory: a reboot takes away every run that is not at the floor yet, what was \
         assigned, and the agent's name and key; give --spool a folder on a disk",
        spool.display()
    )
}

/// Becomes another program under the same number and with the same arguments; it returns only with why that cannot be.
fn become_it(path: &Path, program: Option<&Digest>) -> io::Error {
    let mut command = Command::new(path);
    command.args(std::env::args_os().skip(1));
    match program {
        Some(program) => command.env(STARTED_AS, program.as_str()),
        None => command.env_remove(STARTED_AS),
    };
    command.exec()
}

/// Is the agent, until it ends or another program is to be it.
fn work_as(args: &AgentArgs, being: Being, own: &Path, spool: Spool, programs: Programs) -> Result<End, CommandError> {
    let client = match &args.ca {
        Some(ca) => Client::secured(&args.floor, ca, Identity::open(&spool).no_claim()?).usage()?,
        None => Client::of(&args.floor).usage()?,
    };
    let settings = Settings {
        boot: boot_id()?,
        serial: serial(args)?,
        slot: args.slot.as_deref().map(str::parse).transpose().usage()?,
        fresh_id: format!("agent-{}", uuid::Uuid::now_v7()).parse::<AgentId>().no_claim()?,
        evidence: args.ca.as_ref().map(|_| with_spool(evidence(args), &args.spool)).unwrap_or_default(),
        once: args.once,
        being,
        programs_key: args.programs_key.as_deref().map(PublicKey::read).transpose().usage()?,
    };
    let (program, node, lot) = (own.to_owned(), args.node.clone(), args.lot.clone());
    let runs = Runs { program, node, lot, sim_speed: args.sim_speed };
    work(settings, spool, programs, client, &runs, &Wall::of_environment()).no_claim()
}

fn boot_id() -> Result<BootId, CommandError> {
    let bytes = disk::read(Path::new(BOOT_ID), 4096).with_context(|| format!("{BOOT_ID} cannot be read")).no_claim()?;
    String::from_utf8_lossy(&bytes).trim().parse().no_claim()
}

/// The serial number from the label, or what the node says of itself, read as a scanner would give it.
fn serial(args: &AgentArgs) -> Result<Option<Serial>, CommandError> {
    if let Some(serial) = &args.serial {
        return Ok(Some(serial.parse().usage()?));
    }
    let mut chosen = dut::choose(&args.node)?;
    let inventory = Look::at(&mut chosen).inventory()?;
    let said = inventory.node.serial.value().and_then(|text| scanned(text).ok());
    let serial = said.as_deref().and_then(|text| text.parse().ok());
    if let (Some(text), None) = (&said, &serial) {
        printer::tell(&format!("the node says `{text}` is its serial number, which none is; give it with --serial"));
    }
    Ok(serial)
}

/// With what the person who approves an agent should know of its spool.
fn with_spool(mut evidence: BTreeMap<String, String>, spool: &Path) -> BTreeMap<String, String> {
    if let Ok(Some(kind)) = in_memory(spool) {
        // The spool is told before anything else, if not everything can be.
        while evidence.len() >= EVIDENCE_MOST {
            evidence.pop_last();
        }
        evidence.insert("spool".to_owned(), format!("in memory ({kind}): lost at a reboot"));
    }
    evidence
}

/// What the machine says of itself, for the person who compares codes. All of it can be invented.
fn evidence(args: &AgentArgs) -> BTreeMap<String, String> {
    if let Some(node) = &args.node.sim {
        return BTreeMap::from([("simulated".to_owned(), node.clone())]);
    }
    let root = args.node.hardware.host_root.as_deref().unwrap_or(Path::new("/"));
    let said = |path: PathBuf| {
        let text = String::from_utf8_lossy(&disk::read(&path, 4096).ok()?).trim().to_owned();
        (!text.is_empty()).then(|| text.chars().filter(|letter| !letter.is_control()).take(EVIDENCE_LONGEST).collect())
    };
    let dmi = ["sys_vendor", "product_name", "product_serial", "product_uuid", "board_serial"];
    let dmi = dmi.map(|file| (file.to_owned(), root.join("sys/class/dmi/id").join(file)));
    let cards = root.join("sys/class/net").read_dir().into_iter().flatten().flatten();
    let mut cards: Vec<_> = cards
        .map(|card| (format!("mac {}", card.file_name().to_string_lossy()), card.path().join("address")))
        .filter(|(name, _)| name != "mac lo")
        .collect();
    cards.sort();
    dmi.into_iter()
        .chain(cards)
        .filter_map(|(name, path)| Some((name.chars().take(EVIDENCE_LONGEST).collect(), said(path)?)))
        .take(EVIDENCE_MOST)
        .collect()
}

struct Wall {
    /// Who watches over this agent, if somebody does.
    supervised: Option<RefCell<Supervised>>,
}

impl Wall {
    fn of_environment() -> Self {
        let (socket, within) = (std::env::var_os(SOCKET_VARIABLE), std::env::var_os(WATCHDOG_VARIABLE));
        let supervised = Supervised::of(socket.as_deref(), within.as_deref()).unwrap_or_else(|error| {
            printer::tell(&format!("the service manager's socket cannot be used, so that it hears nothing: {error}"));
            None
        });
        Self { supervised: supervised.map(RefCell::new) }
    }
}

impl Clock for Wall {
    fn now(&self) -> Duration {
        drive::monotonic()
    }

    #[expect(clippy::disallowed_methods, reason = "the agent's loop is a driver")]
    fn wait(&self, span: Duration) {
        std::thread::sleep(span);
    }

    fn alive(&self) {
        if let Some(supervised) = &self.supervised {
            supervised.borrow_mut().alive(self.now());
        }
    }

    fn jitter(&self) -> f64 {
        // The last bits of a time-ordered UUID are random.
        f64::from(uuid::Uuid::now_v7().as_u128() as u32) / f64::from(u32::MAX)
    }
}

struct Runs {
    program: PathBuf,
    node: NodeChoice,
    lot: Option<PathBuf>,
    sim_speed: Option<f64>,
}

impl Runs {
    fn hardware(&self, command: &mut Command) {
        let paths = [("--nvml-lib", &self.node.hardware.nvml_lib), ("--host-root", &self.node.hardware.host_root)];
        for (flag, path) in paths {
            if let Some(path) = path {
                command.arg(flag).arg(path);
            }
        }
        if let Some(speed) = self.sim_speed {
            command.arg("--sim-speed").arg(speed.to_string());
        }
    }
}

impl Program for Runs {
    fn start(&self, assignment: &Assignment, parts: Option<&Path>, folder: &Path) -> Result<Command, String> {
        let sets: Vec<(String, String)> =
            assignment.variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        if let Some(wanted) = &assignment.digest {
            let here = digest(&assignment.profile, &sets).map_err(|trouble| format!("{trouble:?}"))?;
            if here != wanted.as_str() {
                let profile = &assignment.profile;
                return Err(format!(
                    "profile {profile} is {here} here, and {wanted} is wanted; use the floor's version"
                ));
            }
        }
        let mut command = Command::new(&self.program);
        command.arg("run").arg(&assignment.profile);
        command.args(["--run-id", assignment.run.as_str(), "--serial", assignment.unit.as_str(), "--out"]).arg(folder);
        command.arg("--seed").arg(self.node.seed.to_string());
        for (name, value) in &sets {
            command.arg("--set").arg(format!("{name}={value}"));
        }
        if let Some(node) = &self.node.sim {
            command.arg("--sim").arg(node);
        }
        for fault in &self.node.faults {
            command.arg("--fault").arg(OsString::from(fault));
        }
        if let Some(lot) = &self.lot {
            command.arg("--lot").arg(lot);
        }
        if let Some(parts) = parts {
            command.arg("--parts").arg(parts);
        }
        self.hardware(&mut command);
        Ok(command)
    }

    fn resume(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("resume").arg(folder);
        self.hardware(&mut command);
        command
    }

    fn tell(&self, text: &str) {
        printer::tell(text);
    }
}

fn digest(profile: &str, sets: &[(String, String)]) -> Result<String, CommandError> {
    Ok(files::resolve(&files::find_profile(profile)?, &skus::of_profile(profile)?, sets, None)?.digest())
}
