//! What the unit is made of, and where everything on the page comes from.

use super::super::phrase::Phrase;
use super::super::row::{Row, RowState};
use super::super::words;
use super::page::Page;
use super::summary::{stamp, time, tone};
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
    page.raw("<div class=scroll><table class=components>");
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
    let parts = host_parts(inventory);
    // Parts that nothing judged say nothing here: they are one click away.
    let (judged, silent): (Vec<_>, Vec<_>) = parts.iter().partition(|(part, _)| !outcomes(rows, *part).is_empty());
    for (component, cells) in judged {
        row(page, rows, *component, cells.each_ref().map(String::as_str));
    }
    page.raw("</table>");
    if !silent.is_empty() {
        page.raw("<details><summary>");
        page.say_with(Phrase::UnjudgedParts, &[&silent.len()]);
        page.raw("</summary><table class=components>");
        for (component, cells) in silent {
            row(page, rows, *component, cells.each_ref().map(String::as_str));
        }
        page.raw("</table></details>");
    }
    page.raw("</div>\n");
}

/// The host's parts with what is written in their row.
fn host_parts(inventory: &Inventory) -> Vec<(Component, [String; 6])> {
    let none = String::new;
    let mut parts = Vec::new();
    for (number, nic) in (0..).zip(inventory.host.nics.value().into_iter().flatten()) {
        parts.push((Component::Nic(number), [nic.name.clone(), none(), nic.model.clone(), none(), none(), none()]));
    }
    for (number, nvme) in (0..).zip(inventory.host.nvmes.value().into_iter().flatten()) {
        let cells = [nvme.name.clone(), nvme.serial.clone(), nvme.model.clone(), none(), none(), none()];
        parts.push((Component::Nvme(number), cells));
    }
    for (number, psu) in (0..).zip(inventory.host.psus.value().into_iter().flatten()) {
        let watts = psu.capacity_watts.get().map(|watts| format!("{watts} W")).unwrap_or_default();
        parts.push((Component::Psu(number), [none(), none(), watts, none(), none(), none()]));
    }
    parts
}

/// How everything ended that was asked of a part, best first.
fn outcomes(rows: &[Row<'_>], component: Component) -> Vec<Outcome> {
    let about = |row: &&Row<'_>| {
        row.component == component
            || (component != Component::Node && row.component.overlaps(component) && row.component != Component::Node)
    };
    let ended = |row: &Row<'_>| match row.state {
        RowState::Judged(standing) => Some(standing.outcome),
        RowState::Cut => Some(Outcome::Aborted),
        RowState::Unstarted(_) => None,
    };
    let mut outcomes: Vec<Outcome> = rows.iter().filter(about).filter_map(ended).collect();
    outcomes.sort();
    outcomes
}

fn row(page: &mut Page, rows: &[Row<'_>], component: Component, cells: [&str; 6]) {
    let outcomes = outcomes(rows, component);
    let passed =
        outcomes.iter().filter(|one| matches!(one, Outcome::Pass | Outcome::Marginal | Outcome::Waived)).count();
    let missed = outcomes.iter().filter(|one| **one == Outcome::NotReached).count();
    // A part that passed all it was asked until another stopped the run is told by what it passed.
    let worst = outcomes.iter().rev().find(|one| **one != Outcome::NotReached || passed == 0).copied();
    page.raw("<tr><td>");
    page.text(&component.to_string());
    page.raw("</td><td>");
    if let Some(worst) = worst {
        page.put(format_args!("<span class=\"word {}\">", tone(worst)));
        page.say(words::outcome_phrase(worst));
        page.raw("</span>");
        if passed + missed > 0 {
            page.raw(" <small>");
            page.say_with(Phrase::PassedOf, &[&passed]);
            if missed > 0 {
                page.raw(", ");
                page.say_with(Phrase::NotReachedOf, &[&missed]);
            }
            page.raw("</small>");
        }
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
        line(page, Phrase::Profile, &format!("{} r{}", profile.id, profile.revision));
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
        time_line(page, Phrase::Begun, &stamp(begun));
    }
    if let Some(ended) = record.last_wall {
        time_line(page, Phrase::LastEvent, &stamp(ended));
    }
    line(page, Phrase::RunClock, &record.last_at.to_string());
    line(page, Phrase::Resumes, &record.resumes.to_string());
    if record.restarted() > 0 {
        line(page, Phrase::RestartsAsked, &record.restarted().to_string());
    }
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

fn time_line(page: &mut Page, name: Phrase, stamp: &str) {
    page.raw("<tr>");
    page.head_cell(name);
    page.raw("<td>");
    time(page, stamp);
    page.raw("</td></tr>\n");
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
