//! A fault in a node over time: when it is active, and what of the model it then changes.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use super::build::{Build, GpuPart};
use super::exert::LoadWord;
use super::fault_change::{ChangeOf, Operation};
use super::fault_file::FaultFile;
use super::fault_lines::{sxid_line, xid_text};
use super::fault_part::FaultPart;
use super::fault_use::{FaultUse, Injected, Placed, related};
use super::fault_when::{Came, Traffic};
use super::file::NodeFile;
use super::gpu::Gpu;
use super::incident::short_address;
use super::noise::{Hazard, Noise};
use super::parameter::{
    GpuParameter as G, GpuValues, LinkParameter as L, LinkValues, Meaning, Parameter, ParameterSpec, SiteParameter as S,
};
use super::sim_node::SimNode;
use kiln_model::{Component, GpuIndex, LoadFault};
use kiln_yaml::Diagnostics;

/// Where the random streams of faults begin among those of a seed.
const FAULT_STREAM: u64 = 9000;
/// Distance between the random streams of two components of one fault.
const BESIDE_STREAM: u64 = 1000;
/// The time that a link needs to train again and settle, in seconds.
const RETRAINING: f64 = 5.0;
/// A temperature condition holds until the component has cooled this many kelvin below its threshold.
const HYSTERESIS: f64 = 2.0;
/// Interval at which a growing change is applied again, in seconds.
const GROWING_STEP: f64 = 5.0;

/// One part of a fault on one component of one node.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "four conditions that hold or do not, each on its own")]
pub(super) struct FaultRun {
    file: std::sync::Arc<FaultFile>,
    /// Index of the part in the fault file.
    part: usize,
    component: Component,
    severity: f64,
    /// The component that the finding is expected to name.
    expected: Component,
    /// Whether this is the component that the fault was placed on; the other components of the fault follow it.
    leads: bool,
    active: bool,
    came: Came,
    /// When it became active, and when a growing change was last applied, in seconds.
    since: f64,
    grown_at: f64,
    /// Whether the temperature conditions hold, with their hysteresis.
    hot: bool,
    cold: bool,
    /// When the next moment comes, and until when the effect of the last one stays, in seconds.
    next: f64,
    until: f64,
    hazard: Hazard,
    noise: Noise,
}

impl FaultRun {
    pub(super) fn place_all(
        uses: &[FaultUse],
        file: &NodeFile,
        build: &Build,
        seed: u64,
    ) -> Result<Vec<Self>, Diagnostics> {
        let mut all = Diagnostics::new();
        let mut placed = Vec::new();
        for (nth, used) in uses.iter().enumerate() {
            let mut drawn = Noise::new(seed, FAULT_STREAM + nth as u64);
            let Some((places, severity)) = used.place(file, build, &mut drawn, &mut all) else { continue };
            for (at, Placed { part, component }) in places.into_iter().enumerate() {
                // What a fault does on one component must not shift what it does on the next.
                let own = FAULT_STREAM + nth as u64 + BESIDE_STREAM * at as u64;
                let mut noise = if at == 0 { drawn.clone() } else { Noise::new(seed, own) };
                let hazard = Hazard::new(&mut noise);
                let every = used.file.parts[part].when.every;
                let next = every.map_or(f64::INFINITY, |every| every * (0.2 + 0.6 * noise.uniform()));
                placed.push(Self {
                    file: used.file.clone(),
                    part,
                    component,
                    severity,
                    expected: related(component, used.file.expect.component, file),
                    leads: at == 0,
                    active: false,
                    came: Came::default(),
                    since: 0.0,
                    grown_at: 0.0,
                    hot: false,
                    cold: false,
                    next,
                    until: f64::NEG_INFINITY,
                    hazard,
                    noise,
                });
            }
        }
        all.or(Some(placed))
    }

    fn part(&self) -> &FaultPart {
        &self.file.parts[self.part]
    }

    /// Returns true if it can start, end or grow during a run.
    pub(super) fn waits(&self) -> bool {
        !self.part().is_standing()
    }

    /// Returns true if no part of these faults was ever active, because what they wait for never happened.
    pub(super) fn never_held(runs: &[Self]) -> bool {
        !runs.is_empty() && runs.iter().all(|run| !run.came.was_tried(&run.part().when))
    }

    /// Lists what these inject, one entry for each fault.
    pub(super) fn injected(runs: &[Self]) -> Vec<Injected> {
        let mut all: Vec<Injected> = Vec::new();
        for run in runs {
            match all.last_mut() {
                Some(last) if !run.leads => last.beside.push(run.component),
                _ => all.push(run.as_injected()),
            }
        }
        all
    }

    fn as_injected(&self) -> Injected {
        Injected {
            beside: Vec::new(),
            fault: self.file.id.clone(),
            component: self.component,
            severity: self.severity,
            code: self.file.expect.code.clone(),
            expected: self.expected,
        }
    }

    fn stands(&self, boots: u32) -> bool {
        let when = &self.part().when;
        when.is_standing() && (!when.after_reboot || boots > 0)
    }

    /// Iterates over the numbers it changes: the parameter, the operation, and the seconds over which the change sets in.
    fn numbers(&self) -> impl Iterator<Item = (Parameter, Operation, Option<f64>)> {
        self.part().changes.iter().filter_map(|change| match &change.to {
            ChangeOf::Number { parameter, operation, over } => Some((*parameter, *operation, *over)),
            ChangeOf::Word { .. } | ChangeOf::CopyOfNeighbour(_) => None,
        })
    }

    /// Applies one operation to one value at `now`. Events and codes are not levels and stay as they are.
    fn change(&self, value: &mut f64, spec: ParameterSpec, (operation, over): (Operation, Option<f64>), now: f64) {
        if spec.meaning == Meaning::Level {
            let share = over.map_or(1.0, |over| ((now - self.since) / over.max(1e-3)).clamp(0.0, 1.0));
            let whole = operated(*value, operation, self.severity);
            *value = (*value + (whole - *value) * share).clamp(spec.low, spec.high);
        }
    }

    /// Returns true if a growing change must be applied again.
    fn has_grown(&mut self, now: f64) -> bool {
        let longest = self.numbers().filter_map(|(_, _, over)| over).fold(0.0, f64::max);
        let grows = self.active && self.grown_at < self.since + longest && now >= self.grown_at + GROWING_STEP;
        if grows {
            self.grown_at = now;
        }
        grows
    }

    /// Applies the levels this fault changes on a GPU in slot `slot`.
    fn change_gpu(&self, slot: usize, values: &mut GpuValues, links: &mut [LinkValues], now: f64) {
        let Some(gpu) = self.component.gpu_index().filter(|gpu| gpu.at() == slot) else { return };
        for (parameter, operation, over) in self.numbers() {
            let how = (operation, over);
            match (parameter, self.component) {
                (Parameter::Gpu(own), _) => self.change(&mut values[own], own.spec(), how, now),
                (Parameter::Link(own), Component::NvLink(at, link)) if at == gpu => {
                    if let Some(link) = links.get_mut(usize::from(link)) {
                        self.change(&mut link[own], own.spec(), how, now);
                    }
                }
                _ => {}
            }
        }
    }
}

fn operated(value: f64, operation: Operation, severity: f64) -> f64 {
    match operation {
        Operation::Set(formula) => formula.at(severity),
        Operation::Scale(formula) => value * formula.at(severity),
        Operation::Add(formula) => value + formula.at(severity),
    }
}

impl SimNode {
    /// Applies the texts that standing faults change, before the node is assembled.
    pub(super) fn dress(&mut self, parts: &mut [GpuPart]) {
        for fault in self.faults.iter().filter(|fault| fault.stands(self.boots)) {
            for change in &fault.part().changes {
                let Some(slot) = fault.component.gpu_index().map(GpuIndex::at) else {
                    if let ChangeOf::Word { word, text } = &change.to {
                        self.words.insert(*word, text.clone());
                    }
                    continue;
                };
                match &change.to {
                    ChangeOf::Word { word, text } => {
                        parts[slot].words.insert(*word, text.clone());
                    }
                    ChangeOf::CopyOfNeighbour(word) => {
                        let neighbour = (slot + 1) % parts.len();
                        if let Some(text) = parts[neighbour].words.get(word).cloned() {
                            parts[slot].words.insert(*word, text);
                        }
                    }
                    ChangeOf::Number { .. } => {}
                }
            }
        }
    }

    /// Returns the values of a part with all standing faults applied.
    pub(super) fn standing_values(&self, part: &GpuPart) -> GpuValues {
        let mut values = part.values;
        let mut links = part.links.clone();
        for fault in self.faults.iter().filter(|fault| fault.stands(self.boots)) {
            fault.change_gpu(part.slot, &mut values, &mut links, self.seconds());
        }
        values
    }

    /// Determines which faults are active after `dt` more seconds, and applies their changes.
    pub(super) fn judge_faults(&mut self, dt: f64) {
        let mut faults = std::mem::take(&mut self.faults);
        let mut changed = false;
        let mut fired: Vec<(usize, u64)> = Vec::new();
        for (at, fault) in faults.iter_mut().enumerate() {
            let holds = self.holds(fault);
            let moments = fault.moments(holds, self.seconds(), dt);
            fault.note(holds, moments, self.seconds(), dt);
            let at_moments = fault.part().when.has_moments();
            let active = if at_moments { self.seconds() < fault.until } else { holds };
            let began = if at_moments { moments } else { u64::from(active && !fault.active) };
            if active != fault.active {
                changed = true;
                (fault.since, fault.grown_at) = (self.seconds(), self.seconds());
            }
            fault.active = active;
            changed |= fault.has_grown(self.seconds());
            if began > 0 {
                fired.push((at, began));
            }
        }
        self.faults = faults;
        if changed {
            self.apply_levels();
        }
        for (at, times) in fired {
            self.fire(at, times);
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.now as f64 / 1e9
    }

    /// Returns true if the conditions of a fault hold, apart from its moments.
    fn holds(&self, fault: &mut FaultRun) -> bool {
        let when = fault.part().when.clone();
        let gpu = fault.component.gpu_index().map(GpuIndex::at);
        let concerned = |own: &&Gpu| gpu.is_none_or(|slot| own.part.slot == slot);
        let node = usize::from(matches!(fault.component, Component::Memory(_)));
        let temperatures = || self.gpus.iter().filter(concerned).map(|gpu| gpu.temperatures[node]);
        if let Some(above) = when.above {
            fault.hot = temperatures().fold(f64::MIN, f64::max) >= if fault.hot { above - HYSTERESIS } else { above };
        }
        if let Some(below) = when.below {
            fault.cold = temperatures().fold(f64::MAX, f64::min) < if fault.cold { below + HYSTERESIS } else { below };
        }
        let is_over = when.until.is_some_and(|until| self.seconds() >= until);
        if !when.suits(fault.hot, fault.cold) || !when.has_begun(self.seconds(), self.boots) || is_over {
            return false;
        }
        let carries = |gpu: &Gpu, traffic: &Traffic| match traffic {
            Traffic::Nvlink => gpu.activity.nvlink > 0.0,
            Traffic::Pcie => gpu.activity.host > 0.0,
            Traffic::Memory => gpu.activity.memory > 0.2,
        };
        let works = |gpu: &Gpu| {
            when.traffic.iter().all(|traffic| carries(gpu, traffic))
                && when.drawing.is_none_or(|watts| gpu.power >= watts)
                && when.clock.is_none_or(|clock| gpu.activity.busy && gpu.clock >= clock)
                && when.clock_below.is_none_or(|clock| gpu.activity.busy && gpu.clock < clock)
        };
        let works_anywhere = self.gpus.iter().filter(concerned).any(works);
        let place = gpu.and_then(|slot| self.gpus.iter().position(|gpu| gpu.part.slot == slot));
        let runs = |word: &LoadWord| self.loads.iter().any(|load| load.is_kind(*word, place));
        (!when.is_of_work() || works_anywhere) && when.load.iter().all(runs)
    }

    /// Starts from healthy parts and applies every active fault, in the order in which they were given.
    pub(super) fn apply_levels(&mut self) {
        let now = self.seconds();
        self.site.values = self.build.site.clone();
        for gpu in &mut self.gpus {
            gpu.values = gpu.part.values;
            gpu.links.clone_from(&gpu.part.links);
        }
        for fault in self.faults.iter().filter(|fault| fault.active) {
            for gpu in &mut self.gpus {
                fault.change_gpu(gpu.part.slot, &mut gpu.values, &mut gpu.links, now);
            }
            let Some(values) = self.site.values.get_mut(&fault.component) else { continue };
            for (parameter, operation, over) in fault.numbers() {
                if let Parameter::Site(own) = parameter {
                    fault.change(&mut values[own], own.spec(), (operation, over), now);
                }
            }
        }
        self.refit();
        self.brake_all();
    }

    /// Carries out what a fault does at its moments.
    fn fire(&mut self, at: usize, times: u64) {
        let fault = &self.faults[at];
        let (component, severity) = (fault.component, fault.severity);
        let events: Vec<(Parameter, f64)> = fault
            .numbers()
            .filter(|(parameter, ..)| parameter.spec().meaning != Meaning::Level)
            .map(|(parameter, operation, _)| (parameter, operated(0.0, operation, severity)))
            .collect();
        let lines = fault.part().log.clone();
        for (parameter, value) in events {
            match parameter {
                Parameter::Gpu(own) => {
                    let slot = component.gpu_index().map_or(usize::MAX, GpuIndex::at);
                    if let Some(gpu) = self.gpus.iter().position(|gpu| gpu.part.slot == slot) {
                        self.fire_gpu(gpu, own, value, times);
                    }
                }
                Parameter::Link(L::Down) => {
                    if let Component::NvLink(owner, link) = component
                        && let Some(gpu) = self.gpus.iter().position(|gpu| gpu.part.slot == owner.at())
                    {
                        self.link_down(gpu, link);
                    }
                }
                Parameter::Link(_) => {}
                Parameter::Site(own) => self.fire_site(component, own, value, times),
            }
        }
        let slot = component.gpu_index().map(GpuIndex::at);
        let gpu = self.gpus.iter().find(|gpu| Some(gpu.part.slot) == slot);
        let address = gpu.map_or_else(|| "0000:00:00".to_owned(), short_address);
        for line in &lines {
            (0..times).for_each(|_| self.log(line.replace("{pci}", &address)));
        }
    }

    fn fire_gpu(&mut self, gpu: usize, parameter: G, value: f64, times: u64) {
        if self.gpus[gpu].lost {
            return;
        }
        let count = (value.round() as u64).max(1) * times;
        let own = &mut self.gpus[gpu];
        match parameter {
            G::Lost => self.lose(gpu, "GPU has fallen off the bus."),
            G::Wrong if own.activity.arithmetic > 0.0 => {
                // What goes wrong at a moment does so on a multiprocessor that is at work then, or shows nothing.
                let share = own.activity.arithmetic;
                let shown = (0..count).filter(|_| share >= 1.0 || own.noise.uniform() < share).count();
                own.errors.wrong(shown as u64);
            }
            G::Uncorrected => {
                let values = own.values;
                own.errors.uncorrectable(count, &values, &mut own.noise);
            }
            G::SramUncorrected => own.errors.sram(count),
            G::PcieFatal => {
                own.errors.fatal += count;
                self.log_aer(gpu, "Uncorrected (Fatal)");
            }
            G::PcieRetrain => {
                own.errors.retrains += count;
                own.pcie_down_until = self.now as f64 / 1e9 + RETRAINING;
                self.work_changed = true;
            }
            G::Xid => {
                for _ in 0..times {
                    self.log_xid(gpu, value as u32, xid_text(value as u32));
                }
            }
            _ => {}
        }
        if self.gpus[gpu].errors.incidents.is_empty() {
            return;
        }
        self.handle_incidents();
    }

    fn fire_site(&mut self, component: Component, parameter: S, value: f64, times: u64) {
        match (parameter, component) {
            (S::SwitchCode, Component::Switch(switch)) => {
                for _ in 0..times {
                    self.log(sxid_line(switch, value as u32));
                }
            }
            (S::Reboot, _) => self.restart(),
            (S::PortFlap, Component::Nic(nic)) => {
                self.ports.flap(nic, (value.round() as u64).max(1) * times, self.now);
            }
            (S::DimmCorrected, Component::Dimm(dimm)) => {
                let count = value.round() as u64 * times;
                self.log(format!("EDAC MC{0}: {count} CE memory read error on CPU_SrcID#{0}_MC#0_Chan#{1}_DIMM#0 (channel:{1} slot:0 page:0x0 offset:0x0 grain:32 syndrome:0x0)", dimm / 16, dimm % 16));
            }
            _ => {}
        }
    }

    fn log_aer(&mut self, gpu: usize, severity: &str) {
        let address = short_address(&self.gpus[gpu]);
        self.log(format!("pcieport {address}.0: AER: {severity} error message received from {address}.0"));
    }

    /// Restarts the node without being asked: loads are gone, counters start from zero, the boot id changes.
    fn restart(&mut self) {
        self.boots += 1;
        let loads = std::mem::take(&mut self.loads);
        for load in &loads {
            load.cut_off(self.now, LoadFault::Rebooted, &mut self.pending.loads);
        }
        let boot_id = self.boot_id();
        self.log(format!("Linux version 6.8.0-generic: boot {boot_id}"));
        let (seed, kind) = (self.seed, self.build.kind.clone());
        for gpu in &mut self.gpus {
            let (temperatures, index, part) = (gpu.temperatures, gpu.index, gpu.part.clone());
            *gpu = Gpu::new(part, index, &kind, seed.wrapping_add(u64::from(self.boots)), temperatures[2]);
            gpu.temperatures = temperatures;
        }
        self.apply_levels();
    }

    pub(super) fn boot_id(&self) -> String {
        let mut noise = Noise::new(self.seed, 60 + u64::from(self.boots));
        let (a, b) = (noise.bits(), noise.bits());
        let (a1, a2, a3) = (a >> 32, a >> 16 & 0xffff, a & 0xffff);
        format!("{a1:08x}-{a2:04x}-{a3:04x}-{:04x}-{:012x}", b >> 48, b & 0xffff_ffff_ffff)
    }

    /// Asserts the power brake on every GPU while the power supplies are overloaded.
    fn brake_all(&mut self) {
        if self.overdrawn {
            self.gpus.iter_mut().for_each(|gpu| gpu.values[G::Brake] = 1.0);
        }
    }
}

impl FaultRun {
    /// Keeps what has come about of its conditions.
    fn note(&mut self, holds: bool, moments: u64, now: f64, dt: f64) {
        let when = &self.part().when;
        let (warm, in_time) = (when.suits(self.hot, self.cold), when.has_begun(now, 1));
        self.came.note(warm, in_time, holds.then_some(dt), moments);
    }

    /// Counts the moments of the fault in the `dt` seconds up to `now`.
    fn moments(&mut self, holds: bool, now: f64, dt: f64) -> u64 {
        let when = self.part().when.clone();
        let count = if let Some(every) = when.every {
            let mut count = 0;
            while self.next <= now {
                self.next += every;
                count += u64::from(holds);
            }
            count
        } else if let Some(rate) = when.rate.filter(|_| holds) {
            self.hazard.pass(rate * dt / 3600.0, &mut self.noise)
        } else {
            0
        };
        if count > 0 {
            self.until = now + when.lasting.unwrap_or(0.0);
        }
        count
    }
}
