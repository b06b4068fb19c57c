//! The invented node, profile and plan that the invented runs are told about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::invented::GPUS;
use super::{JunitDialect, NodeSource, Operation, RunKind, RunStart, ToolVersion};
use kiln_limit::{Bound, Limit, Scalar, Term};
use kiln_model::{
    ClockLimits, Component, ComponentKind, Config, Gpu, GpuIndex, Host, Identity, Inventory, NodeIdentity,
    PcieCapability, PowerLimits, Quantity, Reading, Text, ThermalLimits, Unit,
};
use kiln_plan::{Plan, PlannedStage, PlannedStep, Readiness};
use kiln_profile::{Loop, Params, Policy, Profile, Retry, Stage, Step, Telemetry, Then, Waiver};

pub(super) fn start(kind: RunKind, source: NodeSource) -> RunStart {
    RunStart {
        run_id: "0195d0c0-7c00-7000-8000-000000000001".to_owned(),
        tool: ToolVersion { name: "kiln".to_owned(), version: "0.1.0".to_owned() },
        kind,
        source,
        source_digest: None,
        surroundings: None,
        operation: Operation {
            serial: Some("SRV0001".to_owned()),
            station: Some("st-07".to_owned()),
            operator: Some("sato".to_owned()),
            order: Some("PO-4711".to_owned()),
        },
        seed: 7,
        profile: profile(),
        profile_digest: format!("sha256:{}", "0".repeat(64)),
        parts: None,
        sku_digests: std::collections::BTreeMap::new(),
        baseline: BTreeMap::new(),
        lot: None,
        guard_bands: BTreeMap::new(),
        junit: JunitDialect::default(),
    }
}

fn profile() -> Profile {
    let stage = |id: &str, steps: Vec<Step>| Stage {
        id: id.to_owned(),
        title: None,
        then: THEN,
        repeat: Loop::Count(1),
        together: false,
        needs: Vec::new(),
        requires: BTreeMap::new(),
        steps,
    };
    Profile {
        id: "acceptance".to_owned(),
        revision: 3,
        title: Text { en: "Node acceptance".to_owned(), ja: Some("ノード受入試験".to_owned()) },
        skus: vec!["h100-sxm".to_owned()],
        telemetry: Telemetry { every: Duration::from_secs(1) },
        guards: Vec::new(),
        stages: vec![
            stage("identify", vec![step("inventory", "inventory.match")]),
            stage("burn", vec![step("gemm", "gpu.burn"), step("soak", "thermal.soak")]),
        ],
        teardown: vec![step("load", "load.none")],
        waivers: vec![Waiver {
            matches: "burn.soak[gpu/1].*".to_owned(),
            until: "2026-12-31".parse().expect("a day"),
            by: "qa".to_owned(),
            reason: "ECN-1042".to_owned(),
        }],
        vars: BTreeMap::new(),
        without: Vec::new(),
        deviations: Vec::new(),
    }
}

const THEN: Then = Then { fail: Policy::Continue, error: Policy::Continue, inconclusive: Policy::Continue };

fn step(id: &str, check: &str) -> Step {
    let limit = Limit {
        bound: Bound::OneOf(vec![Scalar::Flag(true)]),
        text: "== true".to_owned(),
        marginal: Some(Bound::AtMost(Term::Absolute(Quantity::new(1.0, Unit::One)))),
        code: None,
        decisive: true,
        miss: kiln_limit::Miss::Proof,
        source: None,
        unsupported: kiln_limit::IfUnsupported::Error,
    };
    Step {
        id: id.to_owned(),
        check: check.to_owned(),
        title: None,
        each: ComponentKind::Gpu,
        params: Params::default(),
        limits: BTreeMap::from([("matches".to_owned(), limit)]),
        lot: Vec::new(),
        then: THEN,
        retry: Retry { max: 0, on: BTreeSet::new(), delay: Duration::ZERO },
        timeout: None,
        needs: Vec::new(),
        requires: BTreeMap::new(),
    }
}

pub(super) fn plan() -> Plan {
    let planned = |stage: &str, step: &Step, components: &[Component]| PlannedStep {
        path: format!("{stage}.{}", step.id),
        step: step.clone(),
        components: components.to_vec(),
        estimate: Duration::from_secs(60),
        timeout: Duration::from_secs(600),
        readiness: Readiness::Ready,
    };
    let profile = profile();
    Plan {
        stages: profile
            .stages
            .iter()
            .map(|stage| PlannedStage {
                together: stage.together,
                needs: stage.needs.clone(),
                id: stage.id.clone(),
                repeat: stage.repeat,
                steps: stage.steps.iter().map(|step| planned(&stage.id, step, &GPUS)).collect(),
                estimate: Duration::from_secs(60) * stage.steps.len() as u32,
            })
            .collect(),
        teardown: profile.teardown.iter().map(|step| planned("teardown", step, &[Component::Node])).collect(),
        skus: GPUS.iter().map(|gpu| (*gpu, "h100-sxm".to_owned())).collect(),
        estimate: Duration::from_secs(240),
        blind: Vec::new(),
    }
}

pub fn inventory() -> Inventory {
    let text = |text: &str| Reading::Value(text.to_owned());
    Inventory {
        node: NodeIdentity {
            model: text("HGX-2U"),
            serial: text("SRV0001"),
            hostname: text("node-1"),
            bios: text("1.4b"),
            ..NodeIdentity::default()
        },
        driver: text("580.105.08"),
        cuda: text("13.0"),
        gpus: (0..2).map(gpu).collect(),
        left_out: Vec::new(),
        pci: Reading::Unsupported,
        host: Host::default(),
    }
}

fn gpu(index: u8) -> Gpu {
    let text = |text: String| Reading::Value(text);
    Gpu {
        index: GpuIndex(index),
        identity: Identity {
            name: text("NVIDIA H100 80GB HBM3".to_owned()),
            pci_address: text(format!("00000000:{:02X}:00.0", 0x52 + index)),
            pci_device: text("233010de".to_owned()),
            pci_subsystem: text("16c110de".to_owned()),
            slot: text((3 + index).to_string()),
            serial: text(format!("165012300000{index}")),
            uuid: text(format!("GPU-00000000-0000-0000-0000-00000000000{index}")),
            part_number: text("2330-885-A1".to_owned()),
            vbios: text("96.00.99.00.01".to_owned()),
            inforom: Reading::Unsupported,
            gsp_firmware: Reading::Unsupported,
            inforom_valid: Reading::Unsupported,
        },
        memory_mib: Reading::Value(81_559),
        bar1_mib: Reading::Unsupported,
        power: PowerLimits { enforced: Reading::Value(700.0), ..PowerLimits::default() },
        clocks: ClockLimits::default(),
        thermal: ThermalLimits::default(),
        config: Config::default(),
        pcie: PcieCapability::default(),
        nvlinks: Reading::Unsupported,
        fabric: Reading::Unsupported,
        c2c: Reading::Unsupported,
        processes: Reading::Unsupported,
        lacks: Vec::new(),
    }
}
