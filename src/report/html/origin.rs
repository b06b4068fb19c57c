//! What the unit is made of, and where everything on the page comes from.

use super::super::phrase::Phrase;
use super::super::row::{Row, RowState};
use super::super::words;
use super::page::Page;
use super::summary::{stamp, tone};
use kiln_event::{NodeSource, Outcome, RunKind, RunRecord, Surroundings};
use kiln_model::{Component, Inventory, Reading};

/// A table of all components with serial number and slot.
pub(super) fn components(page: &mut Page, record: &RunRecord, rows: &[Row<'_>]) {
    page.section(Phrase::Components);
    let Some(inventory) = record.inventory.as_deref() else {
        page.raw("<p class=dim>");
        page.say(Phrase::NoInventory);
        page.raw("</p>\n");
        return;
    };
    page.raw("<div class=scroll><table>");
    page.head_row(&[
        Phrase::Component,
        Phrase::Result,
        Phrase::Slot,
        Phrase::Serial,
        Phrase::Model,
        Phrase::PartNumber,
        Phrase::Firmware,
        Phrase::PciAddress,
    ]);
    let text = |reading: &Reading<String>| reading.value().cloned().unwrap_or_default();
    let node = &inventory.node;
    let bios = text(&node.bios);
    row(page, rows, Component::Node, ["", &text(&node.serial), &text(&node.model), "", &bios, ""]);
    for gpu in &inventory.gpus {
        let identity = &gpu.identity;
        let cells = [
            text(&identity.slot),
            text(&identity.serial),
            text(&identity.name),
            text(&identity.part_number),
            text(&identity.vbios),
            text(&identity.pci_address),
        ];
        row(page, rows, Component::Gpu(gpu.index), cells.each_ref().map(String::as_str));
    }
    host(page, rows, inventory);
    page.raw("</table></div>\n");
}

fn host(page: &mut Page, rows: &[Row<'_>], inventory: &Inventory) {
    for (number, nic) in (0..).zip(inventory.host.nics.value().into_iter().flatten()) {
        row(page, rows, Component::Nic(number), [&nic.name, "", &nic.model, "", "", ""]);
    }
    for (number, nvme) in (0..).zip(inventory.host.nvmes.value().into_iter().flatten()) {
        row(page, rows, Component::Nvme(number), [&nvme.name, &nvme.serial, &nvme.model, "", "", ""]);
    }
    for (number, psu) in (0..).zip(inventory.host.psus.value().into_iter().flatten()) {
        let watts = psu.capacity_watts.get().map(|watts| format!("{watts} W")).unwrap_or_default();
        row(page, rows, Component::Psu(number), ["", "", &watts, "", "", ""]);
    }
}

fn row(page: &mut Page, rows: &[Row<'_>], component: Component, cells: [&str; 6]) {
    let about = |row: &&Row<'_>| {
        row.component == component
            || (component != Component::Node && row.component.overlaps(component) && row.component != Component::Node)
    };
    let outcomes = rows.iter().filter(about).filter_map(|row| match row.state {
        RowState::Judged(standing) => Some(standing.outcome),
        RowState::Cut => Some(Outcome::Aborted),
        RowState::Unstarted(_) => None,
    });
    page.raw("<tr><td>");
    page.text(&component.to_string());
    page.raw("</td><td>");
    if let Some(worst) = outcomes.max() {
        page.put(format_args!("<span class=\"word {}\">", tone(worst)));
        page.say(words::outcome_phrase(worst));
        page.raw("</span>");
    }
    page.raw("</td>");
    for cell in cells {
        page.cell(cell);
    }
    page.raw("</tr>\n");
}

/// Which profile, tool, driver, firmware, station and clock.
pub(super) fn origin(page: &mut Page, record: &RunRecord) {
    page.section(Phrase::Provenance);
    page.raw("<table>");
    if let Some(start) = &record.start {
        let profile = &start.profile;
        line(page, Phrase::RunId, &start.run_id);
        line(page, Phrase::Profile, &format!("{} revision {}", profile.id, profile.revision));
        line(page, Phrase::Digest, &start.profile_digest);
        if let Some(parts) = &start.parts {
            line(page, Phrase::PartsDigest, &parts.digest);
        }
        let vars: Vec<String> = profile.vars.iter().map(|(name, value)| format!("{name}={value}")).collect();
        line(page, Phrase::Variables, &vars.join(", "));
        let deviations: Vec<String> = profile.deviations.iter().map(words::deviation).collect();
        phrase_line(page, Phrase::Deviations, &deviations.join("; "), Phrase::NoDeviations);
        if !profile.without.is_empty() {
            line(page, Phrase::WithoutOfParent, &profile.without.join(", "));
        }
        match start.kind {
            RunKind::Production => {}
            RunKind::Partial => phrase_line(page, Phrase::Kind, "", Phrase::FlagPartial),
            RunKind::Deviating => phrase_line(page, Phrase::Kind, "", Phrase::FlagDeviating),
        }
        line(page, Phrase::Tool, &format!("{} {}", start.tool.name, start.tool.version));
        match &start.source {
            NodeSource::Hardware => phrase_line(page, Phrase::Source, "", Phrase::Hardware),
            NodeSource::Simulated { node, .. } => line(page, Phrase::Source, &format!("SIMULATED {node}")),
            NodeSource::Replayed { file } => line(page, Phrase::Source, &format!("REPLAYED {file}")),
            NodeSource::StandIn { library } => line(page, Phrase::Source, &format!("SIMULATED {library}")),
        }
        if let Some(surroundings) = &start.surroundings {
            let Surroundings { nvml, cuda, host_root, .. } = surroundings;
            line(page, Phrase::Libraries, &format!("{nvml}, {cuda}"));
            line(page, Phrase::HostRoot, host_root);
        }
        line(page, Phrase::Seed, &start.seed.to_string());
        let operation = &start.operation;
        for (name, value) in [
            (Phrase::Station, &operation.station),
            (Phrase::Operator, &operation.operator),
            (Phrase::Order, &operation.order),
            (Phrase::ScannedSerial, &operation.serial),
        ] {
            phrase_line(page, name, value.as_deref().unwrap_or_default(), Phrase::NotGiven);
        }
        let waivers = profile
            .waivers
            .iter()
            .map(|one| format!("{} until {} by {}: {}", one.matches, one.until, one.by, one.reason));
        let waivers: Vec<String> = waivers.collect();
        if !waivers.is_empty() {
            line(page, Phrase::Waivers, &waivers.join("; "));
        }
    }
    if let Some(inventory) = record.inventory.as_deref() {
        node_lines(page, inventory);
    }
    clock_lines(page, record);
    page.raw("</table>\n");
}

fn node_lines(page: &mut Page, inventory: &Inventory) {
    let host = &inventory.host;
    for (name, reading) in [
        (Phrase::Driver, &inventory.driver),
        (Phrase::Cuda, &inventory.cuda),
        (Phrase::Bios, &inventory.node.bios),
        (Phrase::Hostname, &inventory.node.hostname),
        (Phrase::BootId, &inventory.node.boot_id),
        (Phrase::CpuModel, &host.cpu_model),
        (Phrase::ClockSource, &host.clock_source),
    ] {
        phrase_line(page, name, reading.value().map_or("", String::as_str), Phrase::Unsupported);
    }
    let mut firmware: Vec<String> = Vec::new();
    for gpu in &inventory.gpus {
        let part = |name: &str, reading: &Reading<String>| reading.value().map(|value| format!("{name} {value}"));
        let identity = &gpu.identity;
        let parts =
            [part("VBIOS", &identity.vbios), part("InfoROM", &identity.inforom), part("GSP", &identity.gsp_firmware)];
        let told = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        if !told.is_empty() && !firmware.contains(&told) {
            firmware.push(told);
        }
    }
    phrase_line(page, Phrase::GpuFirmware, &firmware.join(" | "), Phrase::Unsupported);
}

fn clock_lines(page: &mut Page, record: &RunRecord) {
    if let Some(begun) = record.started_wall {
        line(page, Phrase::Begun, &stamp(begun));
    }
    if let Some(ended) = record.last_wall {
        line(page, Phrase::LastEvent, &stamp(ended));
    }
    line(page, Phrase::RunClock, &record.last_at.to_string());
    line(page, Phrase::Resumes, &record.resumes.to_string());
    if record.boots() > 0 {
        line(page, Phrase::Boots, &record.boots().to_string());
    }
}

fn line(page: &mut Page, name: Phrase, value: &str) {
    page.raw("<tr>");
    page.head_cell(name);
    page.raw("<td><code>");
    page.text(value);
    page.raw("</code></td></tr>\n");
}

/// A value, or a phrase where it is empty.
fn phrase_line(page: &mut Page, name: Phrase, value: &str, otherwise: Phrase) {
    if value.is_empty() {
        page.raw("<tr>");
        page.head_cell(name);
        page.raw("<td class=dim>");
        page.say(otherwise);
        page.raw("</td></tr>\n");
    } else {
        line(page, name, value);
    }
}
