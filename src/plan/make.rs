//! From a profile and an inventory to a plan, or to the reasons why this node cannot be tested with this profile.

use std::collections::{BTreeMap, BTreeSet};

use super::blind::blind_spots;
use super::{Plan, PlannedStage, PlannedStep, Readiness, Unmet};
use kiln_model::{Component, ComponentKind, Gpu, GpuIndex, Inventory, PciFunction, Reading, Remote, Span};
use kiln_profile::{Capability, Catalogue, Loop, OnUnmet, Profile, Sku, Skus, Step};

/// A step may take this much longer than estimated, and this much on top, before it counts as hung: real nodes settle
/// and load at their own pace, and a step that is only slow must end by its own limits.
const TIMEOUT_FACTOR: f64 = 1.5;
const TIMEOUT_MARGIN: Span = Span::from_secs(600);

/// Why a profile cannot be run on a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("the driver shows no GPU; check that the GPUs are seated and powered, and look at `dmesg | grep NVRM`")]
    NoGpu,
    #[error(
        "{component} is an unknown GPU model: `{name}`, PCI device {device}, subsystem {subsystem}; to teach it, make a \
         SKU file with `kiln sku new` and give its folder with --skus, or as `skus` beside the profile"
    )]
    UnknownGpu { component: Component, name: String, device: String, subsystem: String },
    #[error(
        "no GPU says what it is, nor does the PCI bus ({component}: {why}); look at `dmesg | grep NVRM`, reset the GPUs or the \
         node, then run again"
    )]
    NoAnswer { component: Component, why: String },
    #[error("profile `{profile}` is not for {found} (found on {component}); it is for {wanted}")]
    WrongSku { profile: String, component: Component, found: String, wanted: String },
    #[error("no step matches `--only {filter}`; steps are: {steps}")]
    NothingSelected { filter: String, steps: String },
    #[error("step `{path}` uses check `{check}`, which this version does not have")]
    UnknownCheck { path: String, check: String },
}

/// The model of every GPU, by what it says of itself, what the bus says of it, or what its siblings are; and the id of the
/// model that most of them are.
pub fn models_of(inventory: &Inventory, skus: &Skus) -> Result<(BTreeMap<GpuIndex, Sku>, String), PlanError> {
    let mut found = BTreeMap::new();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut silent = Vec::new();
    for gpu in &inventory.gpus {
        match told_model(gpu, inventory, skus)? {
            Some(sku) => {
                *counts.entry(sku.id.as_str()).or_default() += 1;
                found.insert(gpu.index, sku.clone());
            }
            None => silent.push(gpu),
        }
    }
    // What most GPUs are decides whether the profile fits; a single odd one is a finding of the unit, not a refusal.
    let most = counts.iter().max_by_key(|(_, count)| **count).map(|(id, _)| *id);
    let most = most.ok_or_else(|| silent.first().map_or(PlanError::NoGpu, |gpu| no_answer(gpu)))?;
    // A GPU that does not say what it is was built in beside its siblings: it is planned as one of them, and its silence is
    // for the run to judge.
    if let Some(sku) = skus.by_id(most) {
        found.extend(silent.iter().map(|gpu| (gpu.index, sku.clone())));
    }
    let most = most.to_owned();
    Ok((found, most))
}

/// The SKU of every GPU, where the profile is for them.
fn skus_of(profile: &Profile, inventory: &Inventory, skus: &Skus) -> Result<BTreeMap<GpuIndex, Sku>, PlanError> {
    let (found, most) = models_of(inventory, skus)?;
    if !profile.skus.contains(&most) {
        let component =
            found.iter().find(|(_, sku)| sku.id == most).map_or(Component::Node, |(gpu, _)| Component::Gpu(*gpu));
        return Err(PlanError::WrongSku {
            profile: profile.id.clone(),
            component,
            found: most,
            wanted: profile.skus.join(", "),
        });
    }
    Ok(found)
}

/// The model of a GPU by its identifiers as the driver or the bus gives them, or by its name. None of a GPU that does not answer.
fn told_model<'a>(gpu: &Gpu, inventory: &Inventory, skus: &'a Skus) -> Result<Option<&'a Sku>, PlanError> {
    if let Some(sku) = skus.of(gpu) {
        return Ok(Some(sku));
    }
    if gpu.identity.pci_device.value().is_some() {
        return Err(unknown_gpu(gpu));
    }
    let sits = |function: &&PciFunction| gpu.identity.pci_address.value() == Some(&function.address);
    if let Some(function) = inventory.pci.value().into_iter().flatten().find(sits) {
        let mut seated = gpu.clone();
        seated.identity.pci_device = Reading::Value(function.device.clone());
        return skus.of(&seated).map(Some).ok_or_else(|| unknown_gpu(&seated));
    }
    // Neither the driver nor the bus gives its identifiers. A name is less exact than they are (one name, several boards), so it
    // comes last; without a known name the GPU is one that does not say what it is.
    Ok(gpu.identity.name.value().and_then(|name| skus.by_name(name)))
}

fn no_answer(gpu: &Gpu) -> PlanError {
    PlanError::NoAnswer { component: Component::Gpu(gpu.index), why: gpu.identity.pci_device.to_string() }
}

fn unknown_gpu(gpu: &Gpu) -> PlanError {
    let first_four = |id: Option<&String>| id.and_then(|id| id.get(..4)).unwrap_or("????").to_owned();
    PlanError::UnknownGpu {
        component: Component::Gpu(gpu.index),
        name: gpu.identity.name.value().cloned().unwrap_or_else(|| "no name".to_owned()),
        device: first_four(gpu.identity.pci_device.value()),
        subsystem: first_four(gpu.identity.pci_subsystem.value()),
    }
}

/// Resolves `profile` on `inventory`. `only` narrows it to matching steps.
pub fn make(
    profile: &Profile,
    inventory: &Inventory,
    skus: &Skus,
    catalogue: Catalogue,
    only: Option<&str>,
) -> Result<Plan, PlanError> {
    let by_gpu = skus_of(profile, inventory, skus)?;
    let site = Site { inventory, skus: &by_gpu, catalogue, only };
    let mut stages = Vec::new();
    for stage in &profile.stages {
        let mut steps = Vec::new();
        for step in &stage.steps {
            let mut planned = site.step(&stage.id, step)?;
            if planned.readiness == Readiness::Ready {
                planned.readiness = site.readiness(&stage.requires);
            }
            steps.push(planned);
        }
        let running = steps.iter().filter(|step| step.readiness == Readiness::Ready).map(|step| step.estimate);
        let round = if stage.together { running.max().unwrap_or_default() } else { running.sum() };
        stages.push(PlannedStage {
            id: stage.id.clone(),
            repeat: stage.repeat,
            together: stage.together,
            needs: stage.needs.clone(),
            steps,
            estimate: round,
        });
    }
    let selected = stages.iter().flat_map(|stage| &stage.steps).any(|step| step.readiness != Readiness::Deselected);
    if let (false, Some(filter)) = (selected, only) {
        let steps: Vec<&str> = stages.iter().flat_map(|stage| &stage.steps).map(|step| step.path.as_str()).collect();
        return Err(PlanError::NothingSelected { filter: filter.to_owned(), steps: steps.join(", ") });
    }
    let everything = Site { only: None, ..site };
    let teardown =
        profile.teardown.iter().map(|step| everything.step("teardown", step)).collect::<Result<Vec<_>, _>>()?;
    let estimate =
        stages.iter().map(whole_stage).sum::<Span>() + teardown.iter().map(|step| step.estimate).sum::<Span>();
    let skus = by_gpu.iter().map(|(gpu, sku)| (Component::Gpu(*gpu), sku.id.clone())).collect();
    let steps: Vec<&PlannedStep> = stages.iter().flat_map(|stage| &stage.steps).chain(&teardown).collect();
    let blind = blind_spots(profile, inventory, &by_gpu, &steps);
    Ok(Plan { stages, teardown, skus, estimate, blind })
}

/// All rounds of a stage. A stage that loops for a time finishes the round it is in.
fn whole_stage(stage: &PlannedStage) -> Span {
    match stage.repeat {
        Loop::Count(count) => stage.estimate * count,
        Loop::For(span) if stage.estimate.is_zero() => span,
        Loop::For(span) => {
            stage.estimate * u32::try_from(span.as_nanos().div_ceil(stage.estimate.as_nanos())).unwrap_or(u32::MAX)
        }
    }
}

/// What steps are planned against.
#[derive(Clone, Copy)]
struct Site<'a> {
    inventory: &'a Inventory,
    skus: &'a BTreeMap<GpuIndex, Sku>,
    catalogue: Catalogue,
    only: Option<&'a str>,
}

impl Site<'_> {
    fn step(&self, stage: &str, step: &Step) -> Result<PlannedStep, PlanError> {
        let path = format!("{stage}.{}", step.id);
        let spec = self
            .catalogue
            .find(&step.check)
            .ok_or_else(|| PlanError::UnknownCheck { path: path.clone(), check: step.check.clone() })?;
        let estimate = (spec.estimate)(&step.params, self.inventory.gpus.len());
        let timeout = step.timeout.unwrap_or_else(|| estimate.mul_f64(TIMEOUT_FACTOR) + TIMEOUT_MARGIN);
        let readiness = if self.only.is_some_and(|filter| !selects(filter, stage, &path)) {
            Readiness::Deselected
        } else {
            self.readiness(&step.requires)
        };
        let components = self.components(step.each);
        Ok(PlannedStep { path, step: step.clone(), components, estimate, timeout, readiness })
    }

    fn readiness(&self, requires: &BTreeMap<Capability, OnUnmet>) -> Readiness {
        for (capability, on_unmet) in requires {
            if let Some(why) = self.lacks(*capability) {
                return match on_unmet {
                    OnUnmet::Skip => Readiness::Skip(why),
                    OnUnmet::Error => Readiness::Unmet(why),
                };
            }
        }
        Readiness::Ready
    }

    /// Why the node has not got the capability, if so. A GPU's model decides what it should have; whether it works is
    /// for checks.
    fn lacks(&self, capability: Capability) -> Option<Unmet> {
        let fact = |name: &str| self.skus.values().any(|sku| sku.fact(name).is_some_and(|fact| fact.value > 0.0));
        let has = match capability {
            Capability::NvlinkSwitch | Capability::Fabric if linked_directly(self.inventory) => {
                return Some(Unmet::LinkedDirectly);
            }
            Capability::Nvlink | Capability::NvlinkSwitch => fact("nvlink.links"),
            Capability::Fabric => fact("fabric"),
            Capability::C2c => fact("c2c.links"),
            Capability::MemoryTemperature => fact("temp.memory.max"),
            // Whether these can be read is only known by reading; the checks say what they could not read.
            Capability::InletTemperature | Capability::KernelLog => true,
            Capability::Peers => return (self.inventory.gpus.len() < 2).then_some(Unmet::NoPeers),
        };
        let models: BTreeSet<&String> = self.skus.values().map(|sku| &sku.id).collect();
        (!has).then(|| Unmet::Lacks { models: models.into_iter().cloned().collect(), capability })
    }

    fn components(&self, each: ComponentKind) -> Vec<Component> {
        let gpus = || self.inventory.gpus.iter().map(|gpu| gpu.index);
        match each {
            ComponentKind::Gpu => gpus().map(Component::Gpu).collect(),
            ComponentKind::Pcie => gpus().map(Component::Pcie).collect(),
            ComponentKind::Memory => gpus().map(Component::Memory).collect(),
            ComponentKind::NvLink => {
                let links = |gpu: &Gpu| {
                    gpu.nvlinks
                        .value()
                        .map(Vec::as_slice)
                        .unwrap_or_default()
                        .iter()
                        .map(|link| link.link)
                        .collect::<Vec<_>>()
                };
                self.inventory
                    .gpus
                    .iter()
                    .flat_map(|gpu| links(gpu).into_iter().map(|link| Component::NvLink(gpu.index, link)))
                    .collect()
            }
            ComponentKind::Pair => gpus()
                .flat_map(|from| gpus().filter(move |to| *to != from).map(move |to| Component::Pair(from, to)))
                .collect(),
            _ => vec![Component::Node],
        }
    }
}

/// Whether links lead from GPU to GPU and none that tells its far end to a switch.
fn linked_directly(inventory: &Inventory) -> bool {
    let links = inventory.gpus.iter().filter_map(|gpu| gpu.nvlinks.value()).flatten();
    let ends: Vec<&Remote> = links.filter_map(|link| link.remote.value()).collect();
    ends.iter().any(|end| matches!(end, Remote::Gpu(_))) && !ends.iter().any(|end| matches!(end, Remote::Switch { .. }))
}

/// Whether a step is meant by a filter: a comma-separated list of stages or `stage.step`, `*` for any run of characters.
fn selects(filter: &str, stage: &str, path: &str) -> bool {
    filter.split(',').map(str::trim).any(|pattern| matches_glob(pattern, stage) || matches_glob(pattern, path))
}

/// `*` matches any run of characters; everything else itself.
pub fn matches_glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).filter(|at| tail.is_char_boundary(*at)).any(|at| matches_glob(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        assert!(matches_glob("burn.*", "burn.gemm"));
        assert!(matches_glob("*", ""));
        assert!(!matches_glob("burn", "burn.gemm"));
        assert!(matches_glob("*.burn[gpu/*].power", "soak.burn[gpu/3].power"));
    }

    #[test]
    fn a_filter_selects_stages_and_steps() {
        assert!(selects("burn", "burn", "burn.gemm"));
        assert!(selects("x, burn.g*", "burn", "burn.gemm"));
        assert!(!selects("idle", "burn", "burn.gemm"));
    }
}
