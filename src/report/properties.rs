//! What belongs to a run as a whole, as names and values: who tested what with which profile on which node.

use std::fmt::Display;

use super::language::Language;
use super::remark::remarks;
use super::verdict::verdict_so_far;
use super::words;
use kiln_event::{NodeSource, RunRecord, RunStart};
use kiln_model::{Inventory, Reading};

/// In a fixed order; what is not known is left out.
pub(super) fn properties(record: &RunRecord) -> Vec<(String, String)> {
    let mut list = List::default();
    if let Some(start) = &record.start {
        list.run(start);
    }
    list.add("verdict", words::verdict(&verdict_so_far(record)));
    list.maybe("started", record.started_wall);
    list.maybe("ended", record.last_wall.filter(|_| record.verdict.is_some()));
    list.add("resumes", record.resumes);
    if let Some(inventory) = &record.inventory {
        list.node(inventory);
    }
    for (remark, number) in remarks(record, Language::English).into_iter().zip(1..) {
        list.add(&format!("remark.{number}"), remark);
    }
    list.0
}

#[derive(Debug, Default)]
struct List(Vec<(String, String)>);

impl List {
    fn add(&mut self, name: &str, value: impl Display) {
        self.0.push((name.to_owned(), value.to_string()));
    }

    fn maybe(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn reading(&mut self, name: &str, reading: &Reading<String>) {
        self.maybe(name, reading.value());
    }

    fn run(&mut self, start: &RunStart) {
        self.add("run.id", &start.run_id);
        self.add("run.kind", start.kind.word());
        self.add("simulated", matches!(start.source, NodeSource::Simulated { .. } | NodeSource::StandIn { .. }));
        match &start.source {
            NodeSource::Hardware => {}
            NodeSource::Simulated { node, seed, faults, spread } => {
                if !spread.is_tight() {
                    self.add("simulated.spread", spread.word());
                }
                self.add("simulated.node", node);
                self.add("simulated.seed", seed);
                self.add("simulated.faults", faults.join(", "));
            }
            NodeSource::Replayed { file } => self.add("replayed.file", file),
            NodeSource::StandIn { library } => self.add("simulated.library", library),
        }
        if let Some(surroundings) = &start.surroundings {
            self.add("library.nvml", &surroundings.nvml);
            self.add("library.cuda", &surroundings.cuda);
            self.add("host-root", &surroundings.host_root);
        }
        self.add("tool", format!("{} {}", start.tool.name, start.tool.version));
        self.add("profile.id", &start.profile.id);
        self.add("profile.revision", start.profile.revision);
        self.add("profile.digest", &start.profile_digest);
        self.maybe("parts.digest", start.parts.as_ref().map(|parts| &parts.digest));
        for (id, digest) in &start.sku_digests {
            self.add(&format!("sku.{id}.digest"), digest);
        }
        for (deviation, number) in start.profile.deviations.iter().zip(1..) {
            self.add(&format!("deviation.{number}"), words::deviation(deviation));
        }
        for (path, number) in start.profile.without.iter().zip(1..) {
            self.add(&format!("left-out.{number}"), path);
        }
        self.maybe("dut.serial", start.operation.serial.as_ref());
        self.maybe("station", start.operation.station.as_ref());
        self.maybe("operator", start.operation.operator.as_ref());
        self.maybe("order", start.operation.order.as_ref());
    }

    fn node(&mut self, inventory: &Inventory) {
        self.reading("node.model", &inventory.node.model);
        self.reading("node.serial", &inventory.node.serial);
        self.reading("node.board-serial", &inventory.node.board_serial);
        self.reading("node.hostname", &inventory.node.hostname);
        self.reading("node.bios", &inventory.node.bios);
        self.reading("driver", &inventory.driver);
        self.reading("cuda", &inventory.cuda);
        for gpu in &inventory.gpus {
            let name = |what: &str| format!("gpu/{}.{what}", gpu.index.0);
            let identity = &gpu.identity;
            self.reading(&name("name"), &identity.name);
            self.reading(&name("slot"), &identity.slot);
            self.reading(&name("serial"), &identity.serial);
            self.reading(&name("uuid"), &identity.uuid);
            self.reading(&name("part"), &identity.part_number);
            self.reading(&name("vbios"), &identity.vbios);
            self.reading(&name("pci"), &identity.pci_address);
        }
    }
}
