//! A step in progress: its check's run and what the machine must remember about it.

use std::collections::{BTreeMap, BTreeSet};

use super::judging::Judge;
use super::schedule::StepRef;
use kiln_check::{Check, CheckRun};
use kiln_event::{Lateness, RunRecord, StepEnding, StepKey};
use kiln_limit::Measurement;
use kiln_model::{Component, GpuIndex, Moment, Probe, WallTime};
use kiln_plan::PlannedStep;
use kiln_profile::{CheckSpec, Sku};

pub(super) struct ActiveStep {
    pub key: StepKey,
    pub step_ref: StepRef,
    pub planned: PlannedStep,
    pub run: Option<Box<dyn CheckRun>>,
    pub began: Moment,
    pub times_out: Moment,
    pub wake: Option<Moment>,
    pub probes: BTreeSet<Probe>,
    /// Whether an answer of the operator is awaited.
    pub asking: bool,
    /// Whether the step knows that only watchers are left.
    pub told_alone: bool,
    pub measured: Vec<Measurement>,
    /// Set once the step is to end; it closes when its loads are gone.
    pub ending: Option<StepEnding>,
    pub trips_from: usize,
    pub mismatches_from: usize,
    pub lateness: Lateness,
    spec: &'static CheckSpec,
    gpus: BTreeSet<GpuIndex>,
}

impl ActiveStep {
    pub(super) fn new(
        key: StepKey,
        step_ref: StepRef,
        planned: PlannedStep,
        check: &'static dyn Check,
        now: Moment,
        all_gpus: BTreeSet<GpuIndex>,
    ) -> Self {
        let own: BTreeSet<GpuIndex> = planned.components.iter().filter_map(|component| component.gpu_index()).collect();
        let gpus = if planned.components.contains(&Component::Node) { all_gpus } else { own };
        Self {
            key,
            step_ref,
            times_out: now + planned.timeout,
            planned,
            run: None,
            began: now,
            wake: None,
            probes: BTreeSet::new(),
            asking: false,
            told_alone: false,
            measured: Vec::new(),
            ending: None,
            trips_from: 0,
            mismatches_from: 0,
            lateness: Lateness::default(),
            spec: check.spec(),
            gpus,
        }
    }

    pub(super) fn has_gpu(&self, gpu: GpuIndex) -> bool {
        self.gpus.contains(&gpu)
    }

    pub(super) fn is_watcher(&self) -> bool {
        self.spec.watcher
    }

    pub(super) fn judge<'a>(
        &'a self,
        record: &'a RunRecord,
        skus: &'a BTreeMap<GpuIndex, Sku>,
        wall: WallTime,
    ) -> Judge<'a> {
        Judge {
            planned: &self.planned,
            spec: self.spec,
            skus,
            record,
            wall,
            trips_from: self.trips_from,
            mismatches_from: self.mismatches_from,
        }
    }
}
