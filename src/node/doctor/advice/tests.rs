//! What is advised on machines made up here.

use std::path::PathBuf;

use super::*;
use crate::nvml::{LibraryFacts, NvmlOpenError};
use kiln_model::{C2c, Component, Fabric, GpuIndex, ReadingFailure};
use kiln_plan::PlanError;

fn gpu(index: u8, state: FabricState) -> Gpu {
    let mut gpu = Gpu::bare(GpuIndex(index));
    gpu.identity.uuid = Reading::Value(format!("GPU-{index}"));
    gpu.identity.pci_address = Reading::Value(["00000000:19:00.0", "00000000:3b:00.0"][usize::from(index)].to_owned());
    gpu.config.persistence = Reading::Value(true);
    gpu.fabric = Reading::Value(Fabric {
        state,
        status: 0,
        cluster_uuid: String::new(),
        clique: 0,
        health_mask: Reading::Unsupported,
    });
    gpu
}

fn on_the_bus(address: &str) -> PciDetail {
    PciDetail {
        address: address.to_owned(),
        device: "233510de".to_owned(),
        ports: Vec::new(),
        subsystem: Reading::Unsupported,
        driver: Reading::Value("nvidia".to_owned()),
        generation: Reading::Unsupported,
        max_generation: Reading::Unsupported,
        width: Reading::Unsupported,
        max_width: Reading::Unsupported,
        numa_node: Reading::Unsupported,
        iommu_group: Reading::Unsupported,
        aer_correctable: Reading::Unsupported,
        aer_nonfatal: Reading::Unsupported,
        aer_fatal: Reading::Unsupported,
    }
}

fn ready() -> DoctorFacts {
    let gpus = vec![gpu(0, FabricState::Completed), gpu(1, FabricState::Completed)];
    DoctorFacts {
        library: Ok(LibraryFacts {
            library: PathBuf::from("libnvidia-ml.so.1"),
            driver: Reading::Value("580.105.08".to_owned()),
            cuda: Reading::Value("13.0".to_owned()),
            nvml: Reading::Unsupported,
            gpus: 2,
        }),
        inventory: Some(Box::new(Inventory { gpus, ..Inventory::default() })),
        models: Some(Ok(vec!["h200-sxm".to_owned()])),
        cuda: CudaFacts::Loaded { slower: Vec::new() },
        planned: Some(Planned { profile: "smoke".to_owned(), unmet: Vec::new(), blind: Vec::new() }),
        identified: Identified::Judged { cases: 40, unmet: Vec::new() },
        pci: Reading::Value(vec![on_the_bus("00000000:19:00.0"), on_the_bus("00000000:3b:00.0")]),
        is_root: true,
        kernel_log: Ok(()),
        serial: Reading::Value("S1".to_owned()),
        fabric_manager: Service::Running,
        imex: Service::NotRunning,
        imex_channel: false,
        disk: "runs".to_owned(),
        disk_free_mib: Reading::Value(50_000),
        clock_synced: Reading::Value(true),
    }
}

fn shown(facts: &DoctorFacts) -> String {
    let line = |line: &Advice| {
        format!("{:?} {}: {} > {}", line.readiness, line.subject, line.finding, line.action).trim_end().to_owned()
    };
    advise(facts).iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_machine_that_is_ready_has_nothing_to_do() {
    insta::assert_snapshot!(shown(&ready()));
}

#[test]
fn everything_wrong_has_its_own_line_and_its_own_remedy() {
    let mut facts = ready();
    let mut superchip = gpu(0, FabricState::InProgress);
    superchip.c2c = Reading::Value(C2c { links: 10, links_active: 10, speed_mb_per_s: 40_000 });
    superchip.config.persistence = Reading::Value(false);
    facts.inventory = Some(Box::new(Inventory { gpus: vec![superchip], ..Inventory::default() }));
    facts.is_root = false;
    facts.kernel_log = Err(SourceTrouble::NoPermission);
    facts.serial = Reading::Failed(ReadingFailure::NoPermission);
    facts.disk_free_mib = Reading::Value(12);
    facts.clock_synced = Reading::Value(false);
    insta::assert_snapshot!(shown(&facts));
}

#[test]
fn without_a_driver_the_line_says_what_to_install() {
    let library = "libnvidia-ml.so.1".to_owned();
    let missing = DoctorFacts { library: Err(NvmlOpenError::LibraryMissing { library }), inventory: None, ..ready() };
    insta::assert_snapshot!(shown(&missing));
}

#[test]
fn a_gpu_held_by_another_driver_is_named() {
    let mut facts = ready();
    let mut held = on_the_bus("00000000:4c:00.0");
    held.driver = Reading::Value("vfio-pci".to_owned());
    facts.pci = facts.pci.map(|bus| [bus, vec![held]].concat());
    let line = advise(&facts).into_iter().find(|line| line.subject == "GPUs").expect("a line");
    assert_eq!((line.readiness, line.finding.as_str()), (Readiness::Bad, "the bus shows 3, the driver 2"));
    assert_eq!(line.action, "give back to the nvidia driver: 00000000:4c:00.0 by vfio-pci");
}

#[test]
fn what_a_run_would_not_pass_is_not_ready() {
    type Change = fn(&mut DoctorFacts);
    fn first(facts: &mut DoctorFacts) -> &mut Gpu {
        &mut facts.inventory.as_mut().expect("an inventory").gpus[0]
    }
    let changes: [(&str, Change); 10] = [
        ("first stage", |facts| {
            let unmet = vec!["identify.config gpu/1: ecc.as-asked false, limit == true".to_owned()];
            facts.identified = Identified::Judged { cases: 40, unmet };
        }),
        ("first stage", |facts| facts.identified = Identified::Refused("another run has the node; wait".to_owned())),
        ("profile", |facts| {
            let unmet = vec!["links.pairs cannot run: no NVLink".to_owned()];
            facts.planned = Some(Planned { profile: "smoke".to_owned(), unmet, blind: Vec::new() });
        }),
        ("CUDA", |facts| facts.cuda = CudaFacts::Wrong(vec!["gpu/1: 3 of 512 results are wrong".to_owned()])),
        ("GPUs", |facts| first(facts).memory_mib = Reading::Failed(ReadingFailure::Lost)),
        ("GPUs", |facts| facts.pci = Reading::Value(Vec::new())),
        ("models", |facts| {
            let why = ReadingFailure::Lost.to_string();
            facts.models = Some(Err(PlanError::NoAnswer { component: Component::gpu(0), why }));
        }),
        ("CUDA", |facts| facts.cuda = CudaFacts::Refused(vec!["libcuda.so.1 cannot be opened".to_owned()])),
        ("driver", |facts| {
            facts.inventory.as_mut().expect("an inventory").driver = Reading::Value("525.147.05".to_owned());
        }),
        ("GPUs", |facts| first(facts).identity.uuid = Reading::Failed(ReadingFailure::Driver(999))),
    ];
    for (subject, change) in changes {
        let mut facts = ready();
        change(&mut facts);
        let bad: Vec<&str> =
            advise(&facts).iter().filter(|line| line.readiness == Readiness::Bad).map(|line| line.subject).collect();
        assert_eq!(bad, [subject]);
    }
}

#[test]
fn a_fabric_that_has_not_joined_asks_for_its_manager() {
    let mut facts = ready();
    let gpus = vec![gpu(0, FabricState::Completed), gpu(1, FabricState::InProgress)];
    facts.inventory = Some(Box::new(Inventory { gpus, ..Inventory::default() }));
    facts.fabric_manager = Service::NotRunning;
    let line = advise(&facts).into_iter().find(|line| line.subject == "fabric").expect("a line");
    assert_eq!((line.readiness, line.finding.as_str()), (Readiness::Bad, "1 of 2 GPUs have not joined"));
    assert_eq!(line.action, "start it: `systemctl start nvidia-fabricmanager`");
}

#[test]
fn what_the_profile_does_not_judge_here_is_said_and_does_not_keep_from_being_ready() {
    let mut facts = ready();
    let blind = vec!["over-temperature cannot be judged on gpu/0".to_owned()];
    facts.planned = Some(Planned { profile: "smoke".to_owned(), unmet: Vec::new(), blind });
    let lines = advise(&facts);
    let line = lines.iter().find(|line| line.subject == "limits").expect("a line");
    assert_eq!(
        (line.readiness, line.finding.as_str()),
        (Readiness::Warning, "over-temperature cannot be judged on gpu/0")
    );
    assert!(lines.iter().all(|line| line.readiness != Readiness::Bad));
}
