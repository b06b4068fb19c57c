//! Node files that come with the program, and reading any node file with its mistakes placed.
//!
//! What the values mean is left to `build`.

use std::path::Path;

use super::file::{NODE_SCHEMA, NodeFile};
use kiln_disk::{self as disk, MIB};
use kiln_profile::digest_of;
use kiln_yaml::{Diagnostic, Diagnostics, Document, Node, did_you_mean, from_node};

/// The most that is read of a node file. The YAML reader's own limit is below, and says so better.
const MOST: u64 = 16 * MIB;

/// Why there is no node file to use.
#[derive(Debug, thiserror::Error)]
pub enum NodeFileError {
    #[error("there is no node `{name}` and no such file{hint}")]
    Unknown { name: String, hint: String },
    #[error("cannot read {path}")]
    Unreadable { path: String, source: std::io::Error },
    #[error(transparent)]
    Malformed(#[from] Diagnostics),
}

macro_rules! embedded {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../fixtures/nodes/", $name, ".yaml"))),)*]
    };
}

const EMBEDDED: &[(&str, &str)] =
    embedded!("hgx-h100-8" "hgx-h200-8" "hgx-h200-8-liquid" "hgx-b200-8" "gb200-tray-4" "pcie-l40s-8" "hgx-a100-8");

impl NodeFile {
    /// Names of the nodes that come with the program.
    pub fn embedded() -> impl Iterator<Item = &'static str> {
        EMBEDDED.iter().map(|(name, _)| *name)
    }

    /// The same kind of node with parts that lie as far from one another as this.
    #[must_use]
    pub fn drawn_as(self, spread: kiln_model::Spread) -> Self {
        Self { drawn_as: spread, ..self }
    }

    /// The text of a node that comes with the program.
    pub fn embedded_text(name: &str) -> Option<&'static str> {
        EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// A node by name or by path: what looks like a path is one.
    pub fn find(name: &str) -> Result<Self, NodeFileError> {
        if let Some((name, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) {
            return Ok(Self::read(&format!("{name}.yaml"), text.as_bytes())?);
        }
        let path = Path::new(name);
        if !disk::is_path(name) && !path.exists() {
            let hint = did_you_mean(name, Self::embedded()).map(|hint| format!("; {hint}")).unwrap_or_default();
            return Err(NodeFileError::Unknown { name: name.to_owned(), hint });
        }
        let bytes = disk::read(path, MOST)
            .map_err(|source| NodeFileError::Unreadable { path: path.display().to_string(), source })?;
        Ok(Self::read(name, &bytes)?)
    }

    /// Reads a node file; `name` is what messages call it.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, Diagnostics> {
        let document = Document::parse(name, bytes)?;
        let mut all = Diagnostics::new();
        let mut file: Option<Self> = from_node(&document.root, &mut all);
        if let Some(file) = &mut file {
            file.digest = digest_of(bytes);
            check(file, &document.root, &mut all);
        }
        all.or(file)
    }
}

/// A number of a node file with the range in which the model works: beyond it a step would divide by zero or run away.
struct Range {
    path: &'static [&'static str],
    value: fn(&NodeFile) -> f64,
    low: f64,
    high: f64,
}

macro_rules! ranges {
    ($($($key:ident).+ : $low:literal ..= $high:literal;)*) => {
        &[$(Range {
            path: &[$(stringify!($key)),+],
            value: |file| f64::from(file.$($key).+),
            low: $low,
            high: $high,
        },)*]
    };
}

const RANGES: &[Range] = ranges! {
    host.psus: 0.0..=32.0;
    host.dimms: 0.0..=128.0;
    gpu.per_board: 1.0..=8.0;
    gpu.sms: 1.0..=1000.0;
    power.min: 1.0..=2000.0;
    power.limit: 20.0..=2000.0;
    power.idle: 1.0..=600.0;
    power.idle_memory: 0.0..=200.0;
    power.leakage: 0.0..=500.0;
    power.leakage_growth: 10.0..=200.0;
    power.capacitance: 0.001..=10.0;
    power.regulator_loss: 0.0..=0.5;
    power.memory_watt_per_gb_s: 0.0..=1.0;
    clocks.lowest: 10.0..=5000.0;
    clocks.idle: 10.0..=5000.0;
    clocks.max: 100.0..=5000.0;
    clocks.knee: 10.0..=5000.0;
    clocks.low_volts: 0.3..=2.0;
    clocks.high_volts: 0.3..=2.0;
    memory.size: 1024.0..=1_000_000.0;
    memory.bandwidth: 10.0..=20000.0;
    pcie.generation: 1.0..=6.0;
    pcie.idle_generation: 1.0..=6.0;
    pcie.width: 1.0..=16.0;
    pcie.efficiency: 0.01..=1.0;
    thermal.slowdown: 40.0..=120.0;
    thermal.operating_offset: -30.0..=0.0;
    thermal.slowdown_offset: -30.0..=0.0;
    thermal.shutdown_offset: -40.0..=0.0;
    thermal.contact: 0.001..=2.0;
    thermal.contact_memory: 0.005..=5.0;
    thermal.bridge: 0.01..=100.0;
    thermal.sink: 0.001..=2.0;
    thermal.die_capacity: 10.0..=10000.0;
    thermal.memory_capacity: 1.0..=10000.0;
    thermal.plate_capacity: 10.0..=100_000.0;
    thermal.flow_exponent: 0.0..=1.0;
    cooling.inlet: -10.0..=80.0;
    cooling.inlet_drift: 0.0..=10.0;
    cooling.branches: 1.0..=32.0;
    cooling.stream: 0.0..=0.2;
    cooling.lag: 0.1..=10000.0;
    spread.cooling: 0.0..=0.5;
    spread.leakage: 0.0..=0.9;
    spread.dynamic: 0.0..=0.5;
    spread.voltage: 0.0..=0.2;
    spread.bandwidth: 0.0..=0.5;
    spread.idle: 0.0..=0.5;
    spread.efficiency: 0.0..=0.5;
};

/// What serde cannot know: ranges, and that parts of the file fit together.
fn check(file: &NodeFile, root: &Node, all: &mut Diagnostics) {
    let at = |path: &[&str]| path.iter().try_fold(root, |node, key| node.get(key)).unwrap_or(root);
    let mut refuse = |node: &Node, message: String| all.push(Diagnostic::new(&node.place, message));
    if file.schema != NODE_SCHEMA {
        refuse(at(&["schema"]), format!("this is not a node file: `schema` is `{}`, not `{NODE_SCHEMA}`", file.schema));
    }
    for range in RANGES {
        let value = (range.value)(file);
        if !(range.low..=range.high).contains(&value) {
            let name = range.path.join(".");
            refuse(at(range.path), format!("`{name}` must lie between {} and {}", range.low, range.high));
        }
    }
    if file.clocks.knee >= file.clocks.max {
        refuse(at(&["clocks", "knee"]), "`clocks.knee` must be below `clocks.max`".to_owned());
    }
    if file.power.min > file.power.limit {
        refuse(at(&["power", "min"]), "`power.min` must not be above `power.limit`".to_owned());
    }
    if file.power.max.is_some_and(|max| !(file.power.limit..=2000.0).contains(&max)) {
        refuse(at(&["power", "max"]), "`power.max` must lie between `power.limit` and 2000".to_owned());
    }
    if file.nvlink.as_ref().is_some_and(|nvlink| nvlink.links_to_switch.iter().map(|n| u32::from(*n)).sum::<u32>() > 32)
    {
        refuse(at(&["nvlink", "links_to_switch"]), "a GPU has at most 32 NVLinks".to_owned());
    }
    let slots = at(&["slots"]);
    if !(1..=32).contains(&file.slots.len()) {
        refuse(slots, "a node has 1 to 32 GPUs".to_owned());
    }
    for (slot, node) in file.slots.iter().zip(slots.elements().unwrap_or_default()) {
        if slot.branch >= file.cooling.branches {
            let branches = file.cooling.branches;
            refuse(node.get("branch").unwrap_or(node), format!("the node has {branches} branches, counted from 0"));
        }
        if !(0.0..=1.0).contains(&slot.place) {
            refuse(node.get("place").unwrap_or(node), "`place` is a share: 0 to 1".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h200(change: &[(&str, &str)]) -> String {
        let text = EMBEDDED.iter().find(|(name, _)| *name == "hgx-h200-8").expect("embedded").1;
        change.iter().fold(text.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        })
    }

    #[test]
    fn mistakes_of_form_are_placed() {
        let text = h200(&[("  limit: 700 W", "  limt: 700 W"), ("idle: 76 W ", "idle: 76 °C ")]);
        let error = NodeFile::read("bad.yaml", text.as_bytes()).expect_err("mistakes");
        insta::assert_snapshot!(error.render(false), @r#"
        error: the key `limit` is missing
          --> bad.yaml:36:3
           |
        36 |   min: 200 W
           |   ^^^ `limit` is missing here

        error: there is no key `limt` here
          --> bad.yaml:37:3
           |
        37 |   limt: 700 W
           |   ^^^^ unknown key
           |
           = help: did you mean `limit`?

        error: expected a value in W, found `76 °C`
          --> bad.yaml:38:9
           |
        38 |   idle: 76 °C                     # Hopper HGX capture: 67 to 71 W with five HBM stacks; a sixth is worth about 7 W
           |         ^^^^^
        "#);
    }

    #[test]
    fn mistakes_of_meaning_are_placed() {
        let text = h200(&[
            ("  contact: 0.022 K/W", "  contact: 0 K/W"),
            ("  knee: 1200 MHz", "  knee: 2200 MHz"),
            ("branch: 1, place: 0.49", "branch: 7, place: 1.49"),
        ]);
        let error = NodeFile::read("bad.yaml", text.as_bytes()).expect_err("mistakes");
        insta::assert_snapshot!(error.render(false), @r#"
        error: `clocks.knee` must be below `clocks.max`
          --> bad.yaml:51:9
           |
        51 |   knee: 2200 MHz                 # fitted with the two voltages: the slope of clock against the power cap
           |         ^^^^^^^^

        error: `thermal.contact` must lie between 0.001 and 2
          --> bad.yaml:92:12
           |
        92 |   contact: 0 K/W             # lid and paste of an 814 mm² die
           |            ^^^^^

        error: the node has 2 branches, counted from 0
           --> bad.yaml:119:66
            |
        119 |   - { address: "00000000:DB:00.0", module: "2", numa: 1, branch: 7, place: 1.49 }
            |                                                                  ^

        error: `place` is a share: 0 to 1
           --> bad.yaml:119:76
            |
        119 |   - { address: "00000000:DB:00.0", module: "2", numa: 1, branch: 7, place: 1.49 }
            |                                                                            ^^^^
        "#);
    }

    #[test]
    fn an_unknown_node_is_named_with_the_nearest() {
        let error = NodeFile::find("hgx-h200-9").expect_err("unknown");
        insta::assert_snapshot!(error.to_string(), @"there is no node `hgx-h200-9` and no such file; did you mean `hgx-h200-8`?");
    }
}
