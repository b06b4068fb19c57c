//! `kiln agent` as typed.

use std::path::PathBuf;

use clap::Args;

use super::args::NodeChoice;
use super::language::scanned;

pub(super) const AGENT_EXITS: &str = "\
Ending the agent leaves its run alone: the run goes on by itself, and an agent started again takes it up.

Exit codes:
  0    with --once: the floor holds every run and wants no other
  2    wrong usage, or an address that is neither on this machine nor https
  3    the spool cannot be read or written, or with --once: held until a person has looked";

#[derive(Debug, Args)]
pub(super) struct AgentArgs {
    /// The floor's address, such as `http://127.0.0.1:8080`, which is for loopback only, or `https://floor.example:8443`.
    #[arg(long, value_name = "URL")]
    pub floor: String,
    /// The certificate of the floor's own authority (`keys/ca.pem` in its folder), for a floor that is called by https.
    ///
    /// The agent makes a key in its spool and shows a code; once a person has compared it on the floor's page, the floor
    /// gives it a certificate, which the agent renews.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    #[command(flatten)]
    pub node: NodeChoice,
    /// The folder for the agent's name, its assignment and its runs; it must outlive a reboot.
    #[arg(long, value_name = "DIR", default_value = "spool")]
    pub spool: PathBuf,
    /// End with 2 where the spool is on a file system in memory, which a reboot takes away; it is told and used without this.
    #[arg(long)]
    pub lasting_spool: bool,
    /// Serial number of the node, from its label; what the node says itself if left out.
    #[arg(long, value_name = "SERIAL", value_parser = scanned)]
    pub serial: Option<String>,
    /// The slot the node is in, as the floor's file names it; the floor holds a unit that was scanned into another one.
    #[arg(long, value_name = "SLOT")]
    pub slot: Option<String>,
    /// The lot that units are held against, as `kiln run --lot` takes it. An outlier ends in HELD, and the floor holds its unit.
    #[arg(long, value_name = "FILE")]
    pub lot: Option<PathBuf>,
    /// The public key that programs from the floor must be signed with, in PEM; any other is refused.
    ///
    /// The floor may have its agents become another program, in waves (`agents:` in its file). Without this option an agent
    /// takes what its floor offers once the digest is right, so that whoever may write the floor's file decides what runs here.
    #[arg(long, value_name = "FILE")]
    pub programs_key: Option<PathBuf>,
    /// How fast a simulated node runs: 1 is real time. As fast as possible if left out.
    #[arg(long, value_name = "FACTOR", requires = "sim")]
    pub sim_speed: Option<f64>,
    /// End once the floor wants nothing more of this unit.
    #[arg(long)]
    pub once: bool,
}
