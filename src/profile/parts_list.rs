//! The bill of materials of one unit, as an order or an MES has it: `schema: kiln.parts/1`, YAML or JSON.
//!
//! One profile serves all orders: what only the order knows is given beside it, is compared wherever the profile compares the
//! inventory, and leaves the profile's digest as it is.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ParamValue, Profile, digest_of};
use kiln_model::{Inventory, Quantity, Reading, Unit};
use kiln_yaml::{Diagnostic, Diagnostics, Document, Fields, Node};

/// What `schema:` says in a parts list.
pub const PARTS_SCHEMA: &str = "kiln.parts/1";

/// The check that compares a node with its parts list.
const COMPARES: &str = "inventory.match";

/// What a unit is to be made of. What is not said is not compared; what is said and cannot be read is missing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartsList {
    /// `sha256:…` of the file's bytes.
    pub digest: String,
    /// Work order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Serial number of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    #[serde(default)]
    pub gpus: GpuParts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nics: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nvmes: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimms: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psus: Option<u32>,
    /// Memory of the host as fitted, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_memory_mib: Option<f64>,
    /// Versions of which the BIOS must be one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bios: Vec<String>,
}

/// What the GPUs are to be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GpuParts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Of the GPUs that were fitted, in any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<String>,
    /// Part numbers of which every GPU's must be one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// VBIOS versions of which every GPU's must be one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vbios: Vec<String>,
}

/// A parts list as it is typed.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PartsFile<'a> {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<&'a str>,
    gpus: &'a GpuParts,
    #[serde(skip_serializing_if = "Option::is_none")]
    nics: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nvmes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_memory: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    bios: &'a [String],
}

/// The JSON Schema of the file as it is written.
pub fn parts_schema() -> serde_json::Value {
    let texts = |about: &str| serde_json::json!({ "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1, "uniqueItems": true, "description": about });
    let count =
        |about: &str| serde_json::json!({ "type": "integer", "minimum": 1, "maximum": 1024, "description": about });
    let compared = ["serial", "gpus", "nics", "nvmes", "dimms", "psus", "host-memory", "bios"]
        .map(|key| serde_json::json!({ "required": [key] }));
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Parts list of one unit under test",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema"],
        // An order alone compares nothing.
        "anyOf": compared,
        "properties": {
            "schema": { "const": PARTS_SCHEMA },
            "order": { "type": "string", "minLength": 1, "description": "work order" },
            "serial": { "type": "string", "minLength": 1, "description": "serial number of the node" },
            "gpus": {
                "type": "object",
                "additionalProperties": false,
                "minProperties": 1,
                "properties": {
                    "count": count("GPUs the node must have"),
                    "serials": texts("serial numbers of the GPUs, in any order"),
                    "parts": texts("part numbers of which every GPU's must be one"),
                    "vbios": texts("VBIOS versions of which every GPU's must be one"),
                },
            },
            "nics": count("network interfaces the node must have"),
            "nvmes": count("NVMe drives the node must have"),
            "dimms": count("memory modules the node must have"),
            "psus": count("power supplies the node must have"),
            "host-memory": { "type": "string", "description": "memory of the host as fitted, such as `2 TiB`" },
            "bios": texts("versions of which the BIOS must be one"),
        },
    })
}

/// Why a parts list does not go with a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartsListError {
    #[error(
        "the profile compares no inventory (no step uses `{COMPARES}`), so that the parts list would be held against nothing"
    )]
    Uncompared,
    #[error("step {step} says `{param}: …` itself, and the parts list says otherwise; take it out of one of them")]
    Contradicted { step: String, param: String },
}

impl PartsList {
    /// Reads a parts list; `name` is what messages call it.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, Diagnostics> {
        let document = Document::parse(name, bytes)?;
        let mut all = Diagnostics::new();
        let list = read_list(&document.root, &mut all);
        all.or(list.map(|list| Self { digest: digest_of(bytes), ..list }))
    }

    /// What a healthy node is made of, as its order would have it.
    pub fn of(healthy: &Inventory) -> Self {
        let host = &healthy.host;
        // A node without any has nothing that could be missing.
        let some = |count: Option<usize>| count.filter(|count| *count > 0).and_then(|count| u32::try_from(count).ok());
        let of_gpus = |read: fn(&kiln_model::GpuIdentity) -> &Reading<String>| {
            let mut texts: Vec<String> =
                healthy.gpus.iter().filter_map(|gpu| read(&gpu.identity).value().cloned()).collect();
            texts.sort();
            texts.dedup();
            texts
        };
        let mut list = Self {
            serial: healthy.node.serial.value().cloned(),
            gpus: GpuParts {
                count: some(Some(healthy.gpus.len())),
                serials: of_gpus(|identity| &identity.serial),
                parts: of_gpus(|identity| &identity.part_number),
                vbios: of_gpus(|identity| &identity.vbios),
            },
            nics: some(host.nics.value().map(Vec::len)),
            nvmes: some(host.nvmes.value().map(Vec::len)),
            psus: some(host.psus.value().map(Vec::len)),
            dimms: some(host.dimms.get().map(usize::from)),
            host_memory_mib: host.memory_mib.get().map(|mib| mib as f64),
            bios: healthy.node.bios.value().cloned().into_iter().collect(),
            ..Self::default()
        };
        list.digest = digest_of(list.to_yaml().as_bytes());
        list
    }

    /// What the order of a node says: how many parts of each kind, serial numbers and BIOS. It is read off the same node without
    /// a defect. What GPUs of a node share is for a profile's own limits to hold.
    pub fn as_ordered(healthy: &Inventory) -> Self {
        let list = Self::of(healthy);
        let mut list = Self { gpus: GpuParts { serials: list.gpus.serials, ..GpuParts::default() }, ..list };
        list.digest = digest_of(list.to_yaml().as_bytes());
        list
    }

    /// Whether a step of this profile compares the inventory, so that a list is held against something.
    pub fn is_compared_by(profile: &Profile) -> bool {
        profile.stages.iter().flat_map(|stage| &stage.steps).any(|step| step.check == COMPARES)
    }

    /// The file that reads back to this list.
    pub fn to_yaml(&self) -> String {
        let file = PartsFile {
            schema: PARTS_SCHEMA,
            order: self.order.as_deref(),
            serial: self.serial.as_deref(),
            gpus: &self.gpus,
            nics: self.nics,
            nvmes: self.nvmes,
            dimms: self.dimms,
            psus: self.psus,
            host_memory: self.host_memory_mib.map(|mib| format!("{mib} MiB")),
            bios: &self.bios,
        };
        serde_yaml::to_string(&file).expect("texts and numbers can be written as YAML")
    }

    /// Gives the list to every step that compares the inventory. What the profile says itself must be the same.
    pub fn apply(&self, profile: &mut Profile) -> Result<(), PartsListError> {
        let params = self.params();
        if !Self::is_compared_by(profile) {
            return Err(PartsListError::Uncompared);
        }
        for step in profile.stages.iter().flat_map(|stage| &stage.steps).filter(|step| step.check == COMPARES) {
            let differs =
                |(param, value): &(&&str, &ParamValue)| step.params.0.get(**param).is_some_and(|own| own != *value);
            if let Some((param, _)) = params.iter().find(differs) {
                return Err(PartsListError::Contradicted { step: step.id.clone(), param: (*param).to_owned() });
            }
        }
        self.fill(profile);
        Ok(())
    }

    /// Gives the list to every step that compares the inventory, as far as the profile says nothing itself.
    pub fn fill(&self, profile: &mut Profile) {
        let params = self.params();
        for step in profile.stages.iter_mut().flat_map(|stage| &mut stage.steps).filter(|step| step.check == COMPARES) {
            for (param, value) in &params {
                step.params.0.entry((*param).to_owned()).or_insert_with(|| value.clone());
            }
        }
    }

    /// The same as parameters of the check.
    fn params(&self) -> BTreeMap<&'static str, ParamValue> {
        // Parameters are patterns, a parts list has what is printed on the part.
        let exactly =
            |texts: &[String]| texts.iter().map(|text| format!("^{}$", regex::escape(text))).collect::<Vec<_>>();
        let mut params = BTreeMap::new();
        let counts = [
            ("gpus", self.gpus.count),
            ("nics", self.nics),
            ("nvmes", self.nvmes),
            ("dimms", self.dimms),
            ("psus", self.psus),
        ];
        params.extend(counts.into_iter().filter_map(|(name, count)| Some((name, ParamValue::Count(count?)))));
        let texts = [
            ("serials", self.gpus.serials.clone()),
            ("parts", exactly(&self.gpus.parts)),
            ("vbios", exactly(&self.gpus.vbios)),
            ("bios", exactly(&self.bios)),
        ];
        params.extend(
            texts
                .into_iter()
                .filter(|(_, texts)| !texts.is_empty())
                .map(|(name, texts)| (name, ParamValue::Texts(texts))),
        );
        params.extend(self.host_memory_mib.map(|mib| ("host-memory", ParamValue::Number(mib))));
        params
    }
}

fn read_list(root: &Node, all: &mut Diagnostics) -> Option<PartsList> {
    let mut fields = Fields::of(root, "a parts list", all)?;
    fields.schema(PARTS_SCHEMA, all);
    let list = PartsList {
        digest: String::new(),
        order: text(&mut fields, "order", all),
        serial: text(&mut fields, "serial", all),
        gpus: fields.optional("gpus", all).and_then(|node| read_gpus(node, all)).unwrap_or_default(),
        nics: count(&mut fields, "nics", all),
        nvmes: count(&mut fields, "nvmes", all),
        dimms: count(&mut fields, "dimms", all),
        psus: count(&mut fields, "psus", all),
        host_memory_mib: fields.optional("host-memory", all).and_then(|node| memory(node, all)),
        bios: texts(&mut fields, "bios", all),
    };
    fields.finish(all);
    if list.params().is_empty() && list.serial.is_none() && all.is_empty() {
        let message = "this parts list says nothing: a run with it would compare nothing";
        all.push(Diagnostic::new(&root.place, message).help("write for example `gpus: { count: 8 }`"));
    }
    Some(list)
}

fn read_gpus(node: &Node, all: &mut Diagnostics) -> Option<GpuParts> {
    let mut fields = Fields::of(node, "gpus", all)?;
    let gpus = GpuParts {
        count: count(&mut fields, "count", all),
        serials: texts(&mut fields, "serials", all),
        parts: texts(&mut fields, "parts", all),
        vbios: texts(&mut fields, "vbios", all),
    };
    if let (Some(count), serials @ 1..) = (gpus.count, gpus.serials.len())
        && count as usize != serials
        && let Some(node) = fields.key("serials")
    {
        let message = format!("{serials} serial numbers are listed for {count} GPUs");
        all.push(Diagnostic::new(&node.place, message).help("list them all, or leave one of the two out"));
    }
    fields.finish(all);
    Some(gpus)
}

fn text(fields: &mut Fields<'_>, key: &'static str, all: &mut Diagnostics) -> Option<String> {
    said(fields.optional(key, all)?, all)
}

/// A text with something in it: an empty one is a field nobody filled in.
fn said(node: &Node, all: &mut Diagnostics) -> Option<String> {
    let text = node.text(all)?.trim();
    if text.is_empty() {
        all.push(Diagnostic::new(&node.place, "this is empty").help("fill it in, or leave the line out"));
        return None;
    }
    Some(text.to_owned())
}

/// A count of 1 or more: of what there is to be none of, nothing can be missing.
fn count(fields: &mut Fields<'_>, key: &'static str, all: &mut Diagnostics) -> Option<u32> {
    let node = fields.optional(key, all)?;
    let count = node.whole::<u32>(all)?;
    if !(1..=1024).contains(&count) {
        all.push(Diagnostic::new(&node.place, format!("`{count}` is not a count from 1 to 1024")));
        return None;
    }
    Some(count)
}

fn texts(fields: &mut Fields<'_>, key: &'static str, all: &mut Diagnostics) -> Vec<String> {
    let Some(node) = fields.optional(key, all) else { return Vec::new() };
    let Some(elements) = node.list("texts", all) else { return Vec::new() };
    if elements.is_empty() {
        all.push(Diagnostic::new(&node.place, "this list is empty").help("fill it in, or leave the line out"));
    }
    let mut texts: Vec<String> = Vec::new();
    for element in elements {
        let Some(text) = said(element, all) else { continue };
        if texts.contains(&text) {
            all.push(Diagnostic::new(&element.place, format!("`{text}` is listed twice")));
        }
        texts.push(text);
    }
    texts
}

fn memory(node: &Node, all: &mut Diagnostics) -> Option<f64> {
    let quantity: Quantity = node.parse_with(str::parse, all)?;
    let mib = quantity.value_in(Unit::Mebibyte).filter(|mib| *mib >= 1024.0);
    if mib.is_none() {
        all.push(Diagnostic::new(&node.place, "this is no size of a host's memory").help("write for example `2 TiB`"));
    }
    mib
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PartsList, String> {
        PartsList::read("parts.yaml", text.as_bytes()).map_err(|errors| errors.render(false))
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = read("schema: kiln.parts/1\norder: WO-1\ngpus: { count: 2, serials: [A, B] }\nhost-memory: 2 TiB\n")
            .unwrap();
        let json = read(
            r#"{"schema": "kiln.parts/1", "order": "WO-1", "gpus": {"count": 2, "serials": ["A", "B"]}, "host-memory": "2097152 MiB"}"#,
        )
        .unwrap();
        assert_eq!(PartsList { digest: String::new(), ..yaml.clone() }, PartsList { digest: String::new(), ..json });
        assert_eq!(yaml.host_memory_mib, Some(2_097_152.0));
        assert!(yaml.digest.starts_with("sha256:") && yaml.digest.len() == 71);
    }

    #[test]
    fn what_is_written_reads_back_to_the_same_list() {
        let list = read(
            "schema: kiln.parts/1\nserial: \"0012\"\ngpus: { count: 1, serials: [\"16\"], parts: [900-A.1], vbios: [97.0] }\n\
             nics: 10\ndimms: 32\nhost-memory: 2 TiB\nbios: [\"1.2: a\"]\n",
        )
        .unwrap();
        let again = read(&list.to_yaml()).unwrap();
        assert_eq!(PartsList { digest: String::new(), ..again }, PartsList { digest: String::new(), ..list });
    }

    #[test]
    fn mistakes_are_told_all_at_once_with_their_places() {
        let errors =
            read("schema: kiln.parts/2\nnisc: 4\npsus: 0\nhost-memory: 2 W\ngpus:\n  count: 3\n  serials: [A, A]\n")
                .unwrap_err();
        for part in [
            "parts.yaml:1:9",
            "did you mean `nics`",
            "parts.yaml:3:7",
            "parts.yaml:4:14",
            "`A` is listed twice",
            "2 serial numbers",
        ] {
            assert!(errors.contains(part), "{part} is not in:\n{errors}");
        }
    }

    #[test]
    fn a_list_that_says_nothing_is_refused() {
        for text in ["", "order: X1\n", "order: X1\ngpus: {}\n"] {
            assert!(read(&format!("schema: kiln.parts/1\n{text}")).unwrap_err().contains("says nothing"), "{text}");
        }
        for text in ["serial: \"\"\n", "gpus: { serials: [] }\n", "bios: [\" \"]\n"] {
            assert!(read(&format!("schema: kiln.parts/1\n{text}")).unwrap_err().contains("is empty"), "{text}");
        }
    }
}
