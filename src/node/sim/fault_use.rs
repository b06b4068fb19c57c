//! Names a fault for a run, `cold-plate-loose@gpu/3:0.5`, and finds the component of the node that gets it.
//!
//! What the fault does during the run is in `fault_run`.

#![expect(
    clippy::cast_possible_truncation,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use std::sync::Arc;

use super::build::{Build, components};
use super::fault_change::{ChangeOf, FaultChange};
use super::fault_file::{FaultFile, FaultFileError};
use super::fault_part::Reach;
use super::fault_when::Traffic;
use super::file::NodeFile;
use super::noise::Noise;
use super::parameter::{Parameter, SiteParameter};
use kiln_model::{Component, ComponentKind, GpuIndex};
use kiln_yaml::{Diagnostic, Diagnostics, SourceText, TextPlace, did_you_mean};

/// A fault to put into a node.
#[derive(Debug, Clone)]
pub struct FaultUse {
    pub file: Arc<FaultFile>,
    /// The component; drawn from the seed if not given.
    pub component: Option<Component>,
    /// The severity; the default of the fault if not given.
    pub severity: Option<f64>,
    typed: TextPlace,
}

/// A defect in a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Injected {
    pub fault: String,
    pub component: Component,
    pub severity: f64,
    /// The code of the finding that a good profile gives.
    pub code: String,
    pub expected: Component,
    /// The other components it is on.
    pub beside: Vec<Component>,
}

/// A part of a fault on a component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) part: usize,
    pub(super) component: Component,
}

impl FaultUse {
    /// Reads `NAME`, `NAME@COMPONENT`, `NAME@COMPONENT:SEVERITY` or `NAME:SEVERITY`; the name may be a path.
    pub fn parse(text: &str) -> Result<Self, FaultFileError> {
        let source = SourceText::new("--fault", text);
        let at = |part: &str| {
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            TextPlace::new(&source, start..start + part.len())
        };
        let refuse = |part: &str, message: String, help: Option<String>| {
            let mut all = Diagnostics::new();
            all.push(Diagnostic::new(&at(part), message).maybe_help(help));
            FaultFileError::Malformed(all)
        };
        let (rest, severity) = match text.rsplit_once(':') {
            // A colon inside a path is part of the name.
            Some((rest, severity)) if !severity.contains(['/', '\\']) => {
                let number: f64 = severity.parse().map_err(|_| {
                    refuse(
                        severity,
                        format!("`{severity}` is not a severity"),
                        Some("write a number, as in `:0.5`".to_owned()),
                    )
                })?;
                (rest, Some(number))
            }
            _ => (text, None),
        };
        let (name, component) = match rest.split_once('@') {
            Some((name, component)) => {
                let parsed = component.parse().map_err(|error| refuse(component, format!("{error}"), None))?;
                (name, Some(parsed))
            }
            None => (rest, None),
        };
        let Some(file) = FaultFile::find(name)? else {
            let help = did_you_mean(name, FaultFile::embedded());
            return Err(refuse(name, format!("there is no fault `{name}`"), help));
        };
        let used = Self { file, component, severity, typed: TextPlace::new(&source, 0..text.len()) };
        match used.check_severity() {
            Some(problem) => Err(problem.into()),
            None => Ok(used),
        }
    }

    /// Creates the same without parsing.
    pub fn new(file: Arc<FaultFile>, component: Option<Component>, severity: Option<f64>) -> Self {
        let source = SourceText::new("--fault", file.id.clone());
        let typed = TextPlace::new(&source, 0..file.id.len());
        Self { file, component, severity, typed }
    }

    fn check_severity(&self) -> Option<Diagnostics> {
        let range = self.file.severity;
        let severity = self.severity?;
        if (range.min..=range.max).contains(&severity) {
            return None;
        }
        let (id, min, max) = (&self.file.id, range.min, range.max);
        let mut all = Diagnostics::new();
        let message = format!("severity {severity} of `{id}` is out of range: it goes from {min} to {max}");
        all.push(Diagnostic::new(&self.typed, message));
        Some(all)
    }

    /// Chooses the components of this node that get the fault, starting with that of its first part, and the severity. What makes
    /// this impossible is added to `all`.
    pub(super) fn place(
        &self,
        file: &NodeFile,
        build: &Build,
        noise: &mut Noise,
        all: &mut Diagnostics,
    ) -> Option<(Vec<Placed>, f64)> {
        if let Some(problem) = self.check_severity() {
            all.extend(problem);
            return None;
        }
        let kind = self.file.component();
        let candidates: Vec<Component> = components(build, kind)
            .into_iter()
            .filter(|candidate| self.component.is_none_or(|wanted| concerns(*candidate, wanted, file)))
            .collect();
        if let Some(wanted) = self.component.filter(|wanted| !build.has(*wanted)) {
            all.push(Diagnostic::new(&self.typed, format!("node `{}` has no `{wanted}`", file.id)));
            return None;
        }
        if candidates.is_empty() {
            let (id, word) = (&self.file.id, kind.word());
            let message = match self.component {
                Some(wanted) => format!("`{id}` is a fault of a component `{word}`, and `{wanted}` is or has none"),
                None => format!("`{id}` is a fault of a component `{word}`, and node `{}` has none", file.id),
            };
            all.push(Diagnostic::new(&self.typed, message));
            return None;
        }
        if !self.fits(file, all) {
            return None;
        }
        let first = candidates[noise.below(candidates.len() as u64) as usize];
        let mut placed = vec![Placed { part: 0, component: first }];
        for (at, part) in self.file.parts.iter().enumerate() {
            let own = components(build, part.component);
            let reached = reached(part.reach, first, own, file, noise);
            if reached.is_empty() && at > 0 {
                let (id, word) = (&self.file.id, part.component.word());
                let message = format!("a part of `{id}` is on a component `{word}`, and node `{}` has none", file.id);
                all.push(Diagnostic::new(&self.typed, message));
                return None;
            }
            placed.extend(reached.into_iter().map(|component| Placed { part: at, component }));
        }
        Some((placed, self.severity.unwrap_or(self.file.severity.default)))
    }

    /// Returns true if the node has all that the fault changes.
    fn fits(&self, file: &NodeFile, all: &mut Diagnostics) -> bool {
        use super::parameter::GpuParameter as G;
        let mut fits = true;
        let waits = self.file.parts.iter().any(|part| part.when.traffic.contains(&Traffic::Nvlink));
        if waits && file.nvlink.is_none() {
            let id = &file.id;
            all.push(Diagnostic::new(
                &self.typed,
                format!("node `{id}` has no NVLink whose traffic the fault waits for"),
            ));
            fits = false;
        }
        let changes = self.file.parts.iter().flat_map(|part| &part.changes);
        for FaultChange { to, place } in changes {
            let ChangeOf::Number { parameter, .. } = to else { continue };
            let missing = match parameter {
                Parameter::Gpu(G::FabricState | G::FabricStatus) => file.fabric.is_none(),
                Parameter::Gpu(G::FabricHealth) => {
                    file.fabric.as_ref().is_none_or(|fabric| fabric.health_mask.is_none())
                }
                Parameter::Gpu(G::C2cActive) => file.c2c.is_none(),
                // Peer copies run over NVLink where there is one.
                Parameter::Gpu(G::PcieP2p) => file.nvlink.is_some(),
                Parameter::Site(SiteParameter::SharedCapacity) => file.host.psus == 0,
                Parameter::Gpu(G::ApplicationClock) => !file.clocks.application,
                // With chip-to-chip links no copy uses the PCIe link.
                Parameter::Gpu(G::PcieToGpu | G::PcieToHost) => file.c2c.is_some(),
                Parameter::Gpu(
                    G::TempMemoryStuck | G::TempMemoryShift | G::TempMemoryNoise | G::TempMemoryLag | G::StackHeat,
                ) => !file.memory.sensor,
                Parameter::Site(
                    SiteParameter::PortUp
                    | SiteParameter::PortWidth
                    | SiteParameter::PortFlap
                    | SiteParameter::PortSymbolRate
                    | SiteParameter::PortReceiveRate,
                ) => file.host.nics.ports.is_none(),
                Parameter::Site(SiteParameter::FanSpeed) => file.cooling.fans.is_none(),
                _ => false,
            };
            if missing {
                let name = parameter.spec().name;
                let id = &file.id;
                all.push(
                    Diagnostic::new(place, format!("node `{id}` has nothing that `{name}` could change"))
                        .secondary(&self.typed, "asked for here"),
                );
                fits = false;
            }
        }
        fits
    }
}

/// Selects the components of `own` that a further part of a fault reaches; `first` is the component of its first part.
fn reached(reach: Reach, first: Component, own: Vec<Component>, file: &NodeFile, noise: &mut Noise) -> Vec<Component> {
    let on_first = |other: &Component| match (other.gpu_index(), first.gpu_index()) {
        (Some(other), Some(first)) => other == first,
        _ => *other == first,
    };
    let mut draw = |from: Vec<Component>, count: usize| {
        let mut from = from;
        let mut drawn = Vec::new();
        while drawn.len() < count && !from.is_empty() {
            drawn.push(from.swap_remove(noise.below(from.len() as u64) as usize));
        }
        drawn
    };
    let half = own.len() / 2;
    match reach {
        Reach::One => Vec::new(),
        Reach::Half => draw(own.into_iter().filter(|other| *other != first).collect(), half.max(1) - 1),
        Reach::All => own.into_iter().filter(|other| *other != first).collect(),
        Reach::Same => draw(own.into_iter().filter(|other| concerns(*other, first, file)).collect(), 1),
        Reach::Another => draw(own.into_iter().filter(|other| !on_first(other)).collect(), 1),
        Reach::Others => own.into_iter().filter(|other| !on_first(other)).collect(),
        Reach::Twin => draw(own.into_iter().filter(|other| are_twins(*other, first, file)).collect(), 1),
    }
}

/// Returns true if two GPUs, or components of them, are in the same place of different branches.
fn are_twins(one: Component, two: Component, file: &NodeFile) -> bool {
    let slot = |component: Component| component.gpu_index().and_then(|gpu| file.slots.get(gpu.at()));
    let (Some(one), Some(two)) = (slot(one), slot(two)) else { return false };
    one.branch != two.branch && (one.place - two.place).abs() < 1e-9
}

/// Returns true if naming `wanted` can mean a fault on `candidate`: the same component, a part of it, or what it belongs to.
fn concerns(candidate: Component, wanted: Component, file: &NodeFile) -> bool {
    if candidate == wanted {
        return true;
    }
    // There is one station and one node: any component of the node means them.
    if matches!(candidate.kind(), ComponentKind::Node | ComponentKind::Station) {
        return true;
    }
    if wanted == Component::Node {
        return true;
    }
    let Some(gpu) = wanted.gpu_index() else { return false };
    match candidate {
        Component::Gpu(own) | Component::Pcie(own) | Component::Memory(own) => own == gpu,
        // Naming the GPU leaves open which of its links is meant.
        Component::NvLink(own, _) => {
            wanted == Component::Gpu(own) || (own == gpu && !matches!(wanted, Component::NvLink(..)))
        }
        Component::CoolingBranch(branch) => branch_of(gpu, file) == Some(branch),
        Component::Fan(fan) => branch_of(gpu, file) == Some(fan / fans_per_branch(file)),
        _ => true,
    }
}

fn branch_of(gpu: GpuIndex, file: &NodeFile) -> Option<u8> {
    file.slots.get(gpu.at()).map(|slot| slot.branch)
}

/// Returns the component of this kind that belongs to `component`.
pub(super) fn related(component: Component, kind: ComponentKind, file: &NodeFile) -> Component {
    if component.kind() == kind {
        return component;
    }
    let gpu = component.gpu_index();
    match (kind, gpu, component) {
        (ComponentKind::Station, ..) => Component::Station,
        (ComponentKind::Gpu, Some(gpu), _) => Component::Gpu(gpu),
        (ComponentKind::Pcie, Some(gpu), _) => Component::Pcie(gpu),
        (ComponentKind::Memory, Some(gpu), _) => Component::Memory(gpu),
        (ComponentKind::CoolingBranch, _, Component::Fan(fan)) => Component::CoolingBranch(fan / fans_per_branch(file)),
        (ComponentKind::CoolingBranch, Some(gpu), _) => {
            branch_of(gpu, file).map_or(Component::Node, Component::CoolingBranch)
        }
        _ => Component::Node,
    }
}

fn fans_per_branch(file: &NodeFile) -> u8 {
    file.cooling.fans.as_ref().map_or(1, |fans| fans.per_branch.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimNode;

    /// Asks for a fault in a node, and returns where it is placed or what is wrong.
    fn ask(node: &str, fault: &str) -> String {
        let file = NodeFile::find(node).expect("node");
        let sim = FaultUse::parse(fault)
            .map_err(|error| error.to_string())
            .and_then(|used| SimNode::new(&file, 1, &[used]).map_err(|error| error.render(false)));
        match sim {
            Ok(node) => {
                let placed = &node.injected()[0];
                format!("{} {} {}", placed.component, placed.severity, placed.expected)
            }
            Err(error) => error,
        }
    }

    #[test]
    fn a_component_named_is_the_one_or_points_at_it() {
        assert_eq!(ask("hgx-h200-8", "cold-plate-loose@gpu/3:0.5"), "gpu/3 0.5 gpu/3");
        assert_eq!(ask("hgx-h200-8", "hbm-slow@gpu/3"), "gpu/3/memory 1 gpu/3/memory");
        assert_eq!(ask("hgx-h200-8", "branch-blocked@gpu/5"), "cooling/1 1 cooling/1");
        assert_eq!(ask("hgx-h200-8", "nvlink-slow@gpu/2/nvlink/7"), "gpu/2/nvlink/7 1 gpu/2/nvlink/7");
        assert!(ask("hgx-h200-8", "nvlink-slow@gpu/2").starts_with("gpu/2/nvlink/"));
        assert_eq!(ask("hgx-h200-8", "fan-failed@fan/6"), "fan/6 1 cooling/1");
        assert_eq!(ask("hgx-h200-8", "inlet-hot@gpu/3"), "station 1 station");
        assert_eq!(ask("hgx-h200-8", "gpu-missing@gpu/3"), "gpu/3 1 node");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let refused = [
            ("hgx-h200-8", "cold-plate-lose@gpu/3"),
            ("hgx-h200-8", "cold-plate-loose@gpu/9"),
            ("hgx-h200-8", "cold-plate-loose@gpu"),
            ("hgx-h200-8", "cold-plate-loose@gpu/1:9"),
            ("hgx-h200-8", "cold-plate-loose:x"),
            ("hgx-h200-8", "c2c-link-down@gpu/1"),
            ("gb200-tray-4", "switch-slow"),
            ("hgx-h200-8", "nvlink-inactive@nic/1"),
        ];
        let all: Vec<String> = refused.iter().map(|(node, fault)| ask(node, fault)).collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        error: there is no fault `cold-plate-lose`
         --> --fault:1:1
          |
        1 | cold-plate-lose@gpu/3
          | ^^^^^^^^^^^^^^^
          |
          = help: did you mean `cold-plate-loose`?
        error: node `hgx-h200-8` has no `gpu/9`
         --> --fault:1:1
          |
        1 | cold-plate-loose@gpu/9
          | ^^^^^^^^^^^^^^^^^^^^^^
        error: `gpu` names no component; write for example `gpu/3`, `gpu/3/nvlink/7`, `gpu/3/pcie`, `nic/1` or `node`
         --> --fault:1:18
          |
        1 | cold-plate-loose@gpu
          |                  ^^^
        error: severity 9 of `cold-plate-loose` is out of range: it goes from 0.1 to 4
         --> --fault:1:1
          |
        1 | cold-plate-loose@gpu/1:9
          | ^^^^^^^^^^^^^^^^^^^^^^^^
        error: `x` is not a severity
         --> --fault:1:18
          |
        1 | cold-plate-loose:x
          |                  ^
          |
          = help: write a number, as in `:0.5`
        error: node `hgx-h200-8` has nothing that `c2c.active` could change
          --> c2c-link-down.yaml:11:3
           |
        11 |   c2c.active: { add: -1 }
           |   ^^^^^^^^^^
           |
          ::: --fault:1:1
           |
         1 | c2c-link-down@gpu/1
           | ------------------- asked for here
        error: `switch-slow` is a fault of a component `switch`, and node `gb200-tray-4` has none
         --> --fault:1:1
          |
        1 | switch-slow
          | ^^^^^^^^^^^
        error: `nvlink-inactive` is a fault of a component `nvlink`, and `nic/1` is or has none
         --> --fault:1:1
          |
        1 | nvlink-inactive@nic/1
          | ^^^^^^^^^^^^^^^^^^^^^
        "#);
    }
}
