//! Reading SKU files: one YAML file for each GPU model.

use std::collections::BTreeMap;

use super::decode::{check_schema, id, text};
use super::facts::{FACTS, KERNELS};
use super::{Fact, PciId, Sku, Skus, builtin};
use kiln_model::{Quantity, Unit};
use kiln_yaml::{Diagnostic, Diagnostics, Document, Fields, Node, did_you_mean};

/// The schema a SKU file must name.
pub(super) const SCHEMA: &str = "kiln.sku/1";

/// More GPUs than any node has.
const MAX_GPUS: u8 = 64;

impl Skus {
    /// The models that are built in.
    pub fn built_in() -> Result<Self, Diagnostics> {
        Self::read(builtin::sku_files().into_iter().map(|(name, text)| (name, text.as_bytes())))
    }

    /// Reads SKU files, given by name and content, and holds them against one another.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, Diagnostics> {
        let mut all = Diagnostics::new();
        let mut skus: Vec<Sku> = Vec::new();
        for (name, bytes) in files {
            let document = match Document::parse(name, bytes) {
                Ok(document) => document,
                Err(errors) => {
                    all.extend(errors);
                    continue;
                }
            };
            if let Some(sku) = sku(&document.root, &mut all) {
                apart(&sku, &skus, &document.root, &mut all);
                skus.push(sku);
            }
        }
        all.or(Some(Self(skus)))
    }
}

/// Two models never share an id or a PCI id: a GPU would be either of them.
fn apart(sku: &Sku, others: &[Sku], root: &Node, all: &mut Diagnostics) {
    for other in others {
        if other.id == sku.id {
            let place = root.get("id").map_or(&root.place, |node| &node.place);
            all.push(Diagnostic::new(place, format!("there is another SKU `{}`", sku.id)));
        }
        for (index, pci) in sku.pci.iter().enumerate() {
            if other.pci.contains(pci) {
                let entry = root.get("pci").and_then(|node| node.elements()?.get(index)).unwrap_or(root);
                let message = format!("the PCI id {} belongs to `{}` as well", pci.device, other.id);
                all.push(Diagnostic::new(&entry.place.first_line(), message));
            }
        }
    }
}

fn sku(root: &Node, all: &mut Diagnostics) -> Option<Sku> {
    let mut fields = Fields::of(root, "a SKU", all)?;
    if let Some(schema) = fields.required("schema", all) {
        check_schema(schema, SCHEMA, all);
    }
    let sku_id = fields.required("id", all).and_then(|node| id(node, all));
    let title = fields.required("title", all).and_then(|node| text(node, all));
    let names = fields.required("names", all).map(|node| some(node, "names", all)).unwrap_or_default();
    let names = names.iter().filter_map(|node| node.text(all)).map(str::to_owned).collect();
    let pci = fields.required("pci", all).map(|node| some(node, "PCI ids", all)).unwrap_or_default();
    let pci = pci.iter().filter_map(|node| pci_id(node, all)).collect();
    let gpus = fields.required("gpus_per_node", all);
    let gpus_per_node = gpus.map(|node| gpu_counts(node, all));
    let facts = fields.required("facts", all).map(|node| facts(node, all));
    fields.finish(all);
    Some(Sku { id: sku_id?, title: title?, names, pci, gpus_per_node: gpus_per_node?, facts: facts? })
}

/// `8`, or `[4, 8]` for a model that is sold on boards of several sizes.
fn gpu_counts(node: &Node, all: &mut Diagnostics) -> Vec<u8> {
    let nodes = if node.elements().is_some() { some(node, "numbers of GPUs", all) } else { std::slice::from_ref(node) };
    let mut counts: Vec<u8> = Vec::new();
    for node in nodes {
        let Some(count) = node.whole::<u8>(all) else { continue };
        if !(1..=MAX_GPUS).contains(&count) {
            all.push(Diagnostic::new(&node.place, format!("a node has between 1 and {MAX_GPUS} GPUs")));
        }
        counts.push(count);
    }
    counts
}

fn some<'n>(node: &'n Node, what: &str, all: &mut Diagnostics) -> &'n [Node] {
    let elements = node.list(what, all).unwrap_or_default();
    if node.elements().is_some_and(<[Node]>::is_empty) {
        all.push(Diagnostic::new(&node.place, "the list is empty"));
    }
    elements
}

fn pci_id(node: &Node, all: &mut Diagnostics) -> Option<PciId> {
    let mut fields = Fields::of(node, "a PCI id", all)?;
    let device = fields.required("device", all).and_then(|node| hex(node, all));
    let subsystem = fields.optional("subsystem", all).and_then(|node| hex(node, all));
    fields.finish(all);
    Some(PciId { device: device?, subsystem })
}

fn hex(node: &Node, all: &mut Diagnostics) -> Option<String> {
    let text = node.text(all)?;
    let is_hex = text.len() == 4 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    if !is_hex {
        let help = "write four lower-case hexadecimal digits in quotes, such as \"2330\"";
        all.push(Diagnostic::new(&node.place, format!("`{text}` is not a PCI id")).help(help));
    }
    Some(text.to_owned())
}

fn facts(node: &Node, all: &mut Diagnostics) -> BTreeMap<String, Fact> {
    let mut facts = BTreeMap::new();
    for (key, value) in node.mapping("`facts`", all).unwrap_or_default() {
        let name = key.raw().unwrap_or_default();
        let Some(spec) = FACTS.iter().find(|spec| spec.name == name) else {
            let help = did_you_mean(name, FACTS.iter().map(|spec| spec.name));
            all.push(Diagnostic::new(&key.place, format!("there is no fact `{name}`")).maybe_help(help));
            continue;
        };
        facts.extend(fact(value, spec.unit, all).map(|fact| (name.to_owned(), fact)));
    }
    let unloaded = facts.get(KERNELS).is_some_and(|fact: &Fact| fact.value.value == 0.0);
    for spec in FACTS.iter().filter(|spec| spec.everywhere && !facts.contains_key(spec.name)) {
        if !(unloaded && spec.is_floor()) && node.get(spec.name).is_none() {
            let place = node.entries().and_then(|entries| entries.first()).map_or(&node.place, |(key, _)| &key.place);
            let message = format!("the fact `{}` is missing", spec.name);
            all.push(Diagnostic::new(place, message).help(format!("{}, in {}", spec.summary, spec.unit)));
        }
    }
    facts
}

fn fact(node: &Node, unit: Unit, all: &mut Diagnostics) -> Option<Fact> {
    let mut fields = Fields::of(node, "a fact", all)?;
    let value = fields.required("value", all).and_then(|node| {
        let value: Quantity = node.parse_with(str::parse, all)?;
        if value.unit.dimension() != unit.dimension() {
            all.push(Diagnostic::new(&node.place, format!("this fact is in {unit}, not in {}", value.unit)));
        }
        Some(value)
    });
    let source = fields.required("source", all).and_then(|node| {
        let source = node.text(all)?;
        if source.trim().is_empty() {
            all.push(Diagnostic::new(&node.place, "a fact without a source is a guess"));
        }
        Some(source.to_owned())
    });
    fields.finish(all);
    Some(Fact { value: value?, source: source? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: [&str; 14] = [
        "a100-sxm-40",
        "a100-sxm",
        "b200-sxm",
        "b300",
        "gb200",
        "gb300",
        "h100-sxm",
        "h20",
        "h200-sxm",
        "h800-sxm",
        "l4",
        "l40s",
        "rtx-pro-6000",
        "t4",
    ];

    /// Value of a fact in its unit of declaration.
    fn get(sku: &Sku, name: &str) -> Option<f64> {
        let spec = FACTS.iter().find(|spec| spec.name == name).unwrap();
        sku.fact_in(name, spec.unit)
    }

    /// A floor for a load, which every part has that a load runs on and no other.
    fn floor(sku: &Sku, name: &str) -> Option<f64> {
        let floor = get(sku, name);
        assert_eq!(floor.is_some(), get(sku, KERNELS) != Some(0.0), "{}: {name}", sku.id);
        floor
    }

    fn all(sku: &Sku, names: &[&str]) -> Vec<f64> {
        names.iter().map(|name| get(sku, name).unwrap_or_else(|| panic!("{} has no {name}", sku.id))).collect()
    }

    #[track_caller]
    fn within(sku: &Sku, what: &str, value: f64, low: f64, high: f64) {
        assert!((low..=high).contains(&value), "{}: {what} is {value}, outside {low}..{high}", sku.id);
    }

    #[test]
    fn every_model_of_the_program_is_read() {
        let skus = Skus::built_in().unwrap_or_else(|errors| panic!("{errors}"));
        let ids: Vec<&str> = skus.0.iter().map(|sku| sku.id.as_str()).collect();
        assert_eq!(ids, SHIPPED);
        for sku in &skus.0 {
            assert!(sku.title.ja.is_some(), "{} has no Japanese title", sku.id);
            let file = format!("profiles/skus/{}.yaml", sku.id);
            assert!(builtin::sku_files().contains_key(file.as_str()), "{file}");
        }
    }

    /// The bounds are physics and the standards, not other people's tables: a floor off by a thousand cannot ship.
    #[test]
    fn every_number_is_inside_physical_bounds() {
        for sku in &Skus::built_in().unwrap().0 {
            let &[tdp, power_min, idle] = all(sku, &["tdp", "power.min", "power.idle.max"]).as_slice() else {
                panic!()
            };
            within(sku, "tdp", tdp, 60.0, 1500.0);
            within(sku, "power.min", power_min, 40.0, tdp);
            // The smallest parts keep half their power while their clocks are up (L4: 27 of 72 W).
            within(sku, "power.idle.max", idle, 15.0, 0.55 * tdp);
            let &[memory, peak, bar1] = all(sku, &["memory", "memory.bandwidth", "bar1"]).as_slice() else { panic!() };
            within(sku, "memory", memory, 15_000.0, 320_000.0);
            within(sku, "memory.bandwidth", peak, 0.25, 10.0);
            // Few multiprocessors do not fill a wide memory (H20: 78 at 4 TB/s).
            if let Some(floor) = floor(sku, "memory.bandwidth.min") {
                within(sku, "memory.bandwidth.min / memory.bandwidth", floor / peak, 0.45, 0.98);
            }
            within(sku, "bar1", bar1, 256.0, 1_048_576.0);
            let &[sm, clock] = all(sku, &["clock.sm.max", "clock.memory.max"]).as_slice() else { panic!() };
            within(sku, "clock.sm.max", sm, 1000.0, 3500.0);
            if let Some(load) = floor(sku, "clock.sm.load.min") {
                within(sku, "clock.sm.load.min / clock.sm.max", load / sm, 0.3, 0.999);
            }
            within(sku, "clock.memory.max", clock, 1000.0, 15_000.0);
            links(sku);
            throughput(sku);
            heat(sku, tdp);
        }
    }

    fn links(sku: &Sku) {
        let &[generation, width] = all(sku, &["pcie.gen", "pcie.width"]).as_slice() else { panic!() };
        within(sku, "pcie.gen", generation, 3.0, 6.0);
        assert!([8.0, 16.0].contains(&width), "{}: pcie.width is {width}", sku.id);
        // PCI Express base specification: 8 GT/s at generation 3, doubling each time; 128b/130b up to 5, 242B/256B flits at 6.
        let coding = if generation >= 6.0 { 242.0 / 256.0 } else { 128.0 / 130.0 };
        let mut bus = 8.0 * 2.0_f64.powf(generation - 3.0) * width / 8.0 * coding;
        if let (Some(links), Some(speed)) = (get(sku, "c2c.links"), get(sku, "c2c.speed")) {
            within(sku, "c2c.links", links, 1.0, 20.0);
            within(sku, "c2c.speed", speed, 10_000.0, 100_000.0);
            bus = bus.max(links * speed / 1000.0);
        }
        let least = if get(sku, "c2c.links").is_some() { 0.2 } else { 0.6 };
        for name in ["pcie.h2d.min", "pcie.d2h.min"] {
            if let Some(floor) = floor(sku, name) {
                within(sku, name, floor / bus, least, 1.0);
            }
        }
        if get(sku, "nvlink.links").is_some() {
            let &[links, speed, pair, fan_out] =
                all(sku, &["nvlink.links", "nvlink.speed", "nvlink.pair.min", "nvlink.all-to-all.min"]).as_slice()
            else {
                panic!()
            };
            within(sku, "nvlink.links", links, 4.0, 36.0);
            within(sku, "nvlink.speed", speed, 20_000.0, 110_000.0);
            let port = links * speed / 1000.0;
            within(sku, "nvlink.pair.min / port", pair / port, 0.5, 1.0);
            within(sku, "nvlink.all-to-all.min / port", fan_out / port, 0.5, 1.0);
        }
        let fabric = all(sku, &["fabric"])[0];
        assert!(fabric == 0.0 || fabric == 1.0, "{}: fabric is {fabric}", sku.id);
    }

    fn throughput(sku: &Sku) {
        // Above the dense peak of the fastest part there is (B300 class), by data sheets; below what the smallest does under its
        // cap (L4 at 72 W) a part is no data-centre GPU.
        for (name, low, high) in [
            ("throughput.bf16.min", 30.0, 2500.0),
            ("throughput.fp8.min", 60.0, 5000.0),
            ("throughput.fp32.min", 10.0, 95.0),
            ("throughput.fp64.min", 0.5, 70.0),
        ] {
            if let Some(value) = get(sku, name) {
                within(sku, name, value, low, high);
            }
        }
        if let (Some(fp32), Some(bf16)) = (floor(sku, "throughput.fp32.min"), floor(sku, "throughput.bf16.min")) {
            within(sku, "fp32 / bf16", fp32 / bf16, 0.01, 0.5);
        }
    }

    fn heat(sku: &Sku, tdp: f64) {
        let names = ["temp.slowdown", "temp.shutdown", "temp.max-operating"];
        let thresholds = all(sku, &names);
        for (name, value) in names.iter().zip(&thresholds) {
            assert!((-30.0..=0.0).contains(value) || (60.0..=110.0).contains(value), "{}: {name} is {value}", sku.id);
        }
        assert!(
            thresholds.iter().all(|value| *value <= 0.0) || thresholds.iter().all(|value| *value >= 60.0),
            "{}: offsets and absolute temperatures are mixed",
            sku.id
        );
        if let Some(memory) = get(sku, "temp.memory.max") {
            within(sku, "temp.memory.max", memory, 80.0, 110.0);
        }
        let &[die, inlet, resistance] =
            all(sku, &["temp.slowdown.die", "thermal.inlet.max", "thermal.resistance.max"]).as_slice()
        else {
            panic!()
        };
        within(sku, "temp.slowdown.die", die, 70.0, 100.0);
        within(sku, "thermal.inlet.max", inlet, 25.0, 55.0);
        let formula = (die - inlet) / tdp;
        within(sku, "thermal.resistance.max / formula", resistance / formula, 0.98, 1.02);
    }

    #[test]
    fn a_wrong_sku_file_is_refused_with_every_error() {
        let file = b"schema: kiln.sku/2\nid: H100\ntitle: { en: x }\nnames: []\npci:\n  - { device: 2330x }\n\
            gpus_per_node: 0\nfacts:\n  tdpp: { value: 700 W, source: s }\n  tdp: { value: 700 K, source: \"\" }\n";
        let error = Skus::read([("x.yaml", file.as_slice())]).unwrap_err().render(false);
        let first: Vec<&str> = error.split("\n\n").take(8).collect();
        insta::assert_snapshot!(first.join("\n\n"), @r#"
        error: the schema is `kiln.sku/2`, but `kiln.sku/1` is read here
         --> x.yaml:1:9
          |
        1 | schema: kiln.sku/2
          |         ^^^^^^^^^^
          |
          = help: this file was written for another version of kiln

        error: `H100` is not an id
         --> x.yaml:2:5
          |
        2 | id: H100
          |     ^^^^
          |
          = help: ids are up to 64 lower-case ASCII letters, digits and `-`; write for example `h100`

        error: the list is empty
         --> x.yaml:4:8
          |
        4 | names: []
          |        ^^

        error: `2330x` is not a PCI id
         --> x.yaml:6:15
          |
        6 |   - { device: 2330x }
          |               ^^^^^
          |
          = help: write four lower-case hexadecimal digits in quotes, such as "2330"

        error: a node has between 1 and 64 GPUs
         --> x.yaml:7:16
          |
        7 | gpus_per_node: 0
          |                ^

        error: there is no fact `tdpp`
         --> x.yaml:9:3
          |
        9 |   tdpp: { value: 700 W, source: s }
          |   ^^^^
          |
          = help: did you mean `tdp`?

        error: the fact `power.min` is missing
         --> x.yaml:9:3
          |
        9 |   tdpp: { value: 700 W, source: s }
          |   ^^^^
          |
          = help: lowest power limit the driver accepts, in W

        error: the fact `power.idle.max` is missing
         --> x.yaml:9:3
          |
        9 |   tdpp: { value: 700 W, source: s }
          |   ^^^^
          |
          = help: highest idle board power of a healthy, settled part, in W
        "#);
    }

    #[test]
    fn two_models_never_share_a_pci_id() {
        let text = builtin::sku_files()["profiles/skus/h100-sxm.yaml"];
        let files = [("a.yaml", text.as_bytes()), ("b.yaml", text.as_bytes())];
        insta::assert_snapshot!(Skus::read(files).unwrap_err(), @r#"
        error: there is another SKU `h100-sxm`
         --> b.yaml:4:5
          |
        4 | id: h100-sxm
          |     ^^^^^^^^

        error: the PCI id 2330 belongs to `h100-sxm` as well
          --> b.yaml:11:5
           |
        11 |   - { device: "2330" }
           |     ^^^^^^^^^^^^^^^^^^
        "#);
    }
}
