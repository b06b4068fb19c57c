//! The arguments of `kiln profile`, `kiln parts` and `kiln sku` as typed.

use std::path::PathBuf;

use clap::Subcommand;

use super::args::NodeChoice;

#[derive(Debug, Subcommand)]
pub(super) enum ProfileCommand {
    /// Check a profile: every mistake at once, each placed.
    Check {
        /// A built-in profile or a file.
        profile: String,
        /// Set a variable of the profile. Repeatable.
        #[arg(long = "set", value_name = "NAME=VALUE")]
        sets: Vec<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the resolved profile with where each value came from.
    Explain {
        /// A built-in profile or a file.
        profile: String,
        /// Set a variable of the profile. Repeatable.
        #[arg(long = "set", value_name = "NAME=VALUE")]
        sets: Vec<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print what would run on which component for how long.
    Plan {
        /// A built-in profile or a file.
        profile: String,
        #[command(flatten)]
        node: Box<NodeChoice>,
        /// Set a variable of the profile. Repeatable.
        #[arg(long = "set", value_name = "NAME=VALUE")]
        sets: Vec<String>,
        /// Plan only these stages or steps, as `kiln run --only` takes them.
        #[arg(long, value_name = "FILTER")]
        only: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of profiles, for editors.
    Schema,
    /// List the built-in profiles, or print one to start from.
    Show {
        /// A built-in profile; without one, all are listed.
        profile: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PartsCommand {
    /// Print the parts list of a node as it is, to start from. It is only as right as the node.
    Make {
        #[command(flatten)]
        node: NodeChoice,
    },
    /// Check a parts list: every mistake at once, each placed.
    Check {
        /// The parts list.
        file: PathBuf,
    },
    /// Print the JSON Schema of parts lists.
    Schema,
}

#[derive(Debug, Subcommand)]
pub(super) enum SkuCommand {
    /// Print a SKU file of the node's GPUs to start from: what can be read is filled in, the rest is for a data sheet.
    New {
        /// The id of the new SKU: lower-case letters, digits and dashes.
        id: String,
        #[command(flatten)]
        node: Box<NodeChoice>,
    },
    /// List the models that are known, those of --skus too.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}
