//! Models with facts and no node file of their own: a healthy node of each, made of a shipped node with what differs, passes. L4 is not
//! among them nor in the shipped profiles: 72 W are too little to tell its cooling by. Neither is T4, which no kernel runs on.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use kiln::event::VerdictWord;
use kiln::model::Lacking;
use kiln::node::sim::NodeFile;
use kiln::report::{Language, blind_lines};

use crate::trial::Trial;

/// The model, the shipped node that is most like it, and what is otherwise.
type Model = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const MODELS: [Model; 6] = [
    (
        "a100-sxm-40",
        "hgx-a100-8",
        &[
            ("pci_device: 20b210de", "pci_device: 20b010de"),
            ("name: NVIDIA A100-SXM4-80GB", "name: NVIDIA A100-SXM4-40GB"),
            ("size: 81920 MiB", "size: 40960 MiB"),
            ("bandwidth: 1750 GB/s", "bandwidth: 1330 GB/s"),
            ("bar1: 131072 MiB", "bar1: 65536 MiB"),
            ("memory: 1593 MHz", "memory: 1215 MHz"),
        ],
    ),
    (
        "h800-sxm",
        "hgx-h100-8",
        &[
            ("pci_device: 233010de", "pci_device: 232410de"),
            ("name: NVIDIA H100 80GB HBM3", "name: NVIDIA H800"),
            ("links_to_switch: [5, 4, 4, 5]", "links_to_switch: [2, 2, 2, 2]"),
            ("fp64: { flop_per_clock: 33792", "fp64: { flop_per_clock: 506"),
        ],
    ),
    (
        "h20",
        "hgx-h100-8",
        &[
            ("pci_device: 233010de", "pci_device: 232910de"),
            ("name: NVIDIA H100 80GB HBM3", "name: NVIDIA H20"),
            ("sms: 132", "sms: 78"),
            ("limit: 700 W", "limit: 500 W"),
            ("capacitance: 0.41", "capacitance: 0.22"),
            ("size: 81559 MiB", "size: 97871 MiB"),
            ("bandwidth: 2930 GB/s", "bandwidth: 2290 GB/s"),
            ("bf16: { flop_per_clock: 540672, efficiency: 0.84", "bf16: { flop_per_clock: 79872, efficiency: 0.93"),
            ("fp8: { flop_per_clock: 1081344, efficiency: 0.84", "fp8: { flop_per_clock: 159744, efficiency: 0.90"),
            ("fp32: { flop_per_clock: 33792", "fp32: { flop_per_clock: 19968"),
            ("fp64: { flop_per_clock: 33792", "fp64: { flop_per_clock: 506"),
        ],
    ),
    (
        "rtx-pro-6000",
        "pcie-l40s-8",
        &[
            ("pci_device: 26b910de", "pci_device: 2bb510de"),
            ("name: NVIDIA L40S", "name: NVIDIA RTX PRO 6000 Blackwell Server Edition"),
            ("sms: 142", "sms: 188"),
            ("min: 100 W", "min: 150 W"),
            ("limit: 350 W", "limit: 600 W"),
            ("leakage: 28 W", "leakage: 48 W"),
            ("capacitance: 0.165", "capacitance: 0.230"),
            ("memory: 9001 MHz", "memory: 12481 MHz"),
            ("bf16: { flop_per_clock: 145408", "bf16: { flop_per_clock: 192512"),
            ("fp8: { flop_per_clock: 290816", "fp8: { flop_per_clock: 385024"),
            ("fp32: { flop_per_clock: 36352", "fp32: { flop_per_clock: 48128"),
            ("size: 46068 MiB", "size: 97887 MiB"),
            ("bandwidth: 726 GB/s", "bandwidth: 1480 GB/s"),
            ("bar1: 65536 MiB", "bar1: 131072 MiB"),
            ("generation: 4\n  width: 16\n  idle_generation: 1", "generation: 5\n  width: 16\n  idle_generation: 1"),
            ("sink: 0.070 K/W", "sink: 0.040 K/W"),
            ("contact: 0.040 K/W", "contact: 0.020 K/W"),
            ("stream: 0.0070 K/W", "stream: 0.0045 K/W"),
            ("die_capacity: 300", "die_capacity: 600"),
            ("plate_capacity: 1900", "plate_capacity: 3200"),
        ],
    ),
    (
        "b300",
        "hgx-b200-8",
        &[
            ("pci_device: 290110de", "pci_device: 318210de"),
            ("name: NVIDIA B200", "name: NVIDIA B300 SXM6 AC"),
            ("limit: 1000 W", "limit: 1100 W"),
            ("capacitance: 0.51", "capacitance: 0.50"),
            ("size: 183359 MiB", "size: 275040 MiB"),
            ("bandwidth: 5850 GB/s", "bandwidth: 6130 GB/s"),
            ("bar1: 262144 MiB", "bar1: 524288 MiB"),
            ("fp64: { flop_per_clock: 20000", "fp64: { flop_per_clock: 648"),
        ],
    ),
    (
        "gb300",
        "gb200-tray-4",
        &[
            ("pci_device: 294110de", "pci_device: 31c210de"),
            ("name: NVIDIA GB200", "name: NVIDIA GB300"),
            ("sms: 152", "sms: 148"),
            ("limit: 1200 W", "limit: 1400 W"),
            ("max: 2062 MHz", "max: 2070 MHz"),
            ("size: 189471 MiB", "size: 284208 MiB"),
            ("bar1: 262144 MiB", "bar1: 524288 MiB"),
            ("pcie:\n  generation: 5", "pcie:\n  generation: 6"),
            ("idle_generation: 5 ", "idle_generation: 6 "),
            ("bf16: { flop_per_clock: 1245184", "bf16: { flop_per_clock: 1212416"),
            ("fp64: { flop_per_clock: 20500", "fp64: { flop_per_clock: 648"),
        ],
    ),
];

fn node(like: &str, changes: &[(&str, &str)]) -> NodeFile {
    let mut text = NodeFile::embedded_text(like).expect("a shipped node").to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{like} has no `{from}`");
        text = text.replacen(from, to, 1);
    }
    NodeFile::read("made.yaml", text.as_bytes()).unwrap_or_else(|errors| panic!("{like}: {errors}"))
}

/// A T4 is a part that no kernel of this program runs on; what is simulated under its name is another.
#[test]
fn a_plan_for_a_part_without_kernels_names_every_step_that_puts_a_load_on_it() {
    let changes = [("pci_device: 26b910de", "pci_device: 1eb810de"), ("name: NVIDIA L40S", "name: Tesla T4")];
    for profile in ["acceptance", "interconnect", "burnin-24h"] {
        let loop_once = if profile == "burnin-24h" { "vars: { length: { value: 1h, min: 1h } }\n" } else { "" };
        let text = format!(
            "schema: kiln.profile/1\nid: old\nrevision: 1\ntitle: {{ en: Old }}\nextends: {profile}\nskus: [t4]\n{loop_once}"
        );
        let tried = Trial::written(&text).run_of(&node("pcie-l40s-8", &changes), 1, &[]);
        let plan = tried.record.plan.as_ref().expect("a plan");
        let spot = plan.blind.iter().find(|spot| spot.lacking == Lacking::Kernels).expect("a blind spot");
        assert_eq!(spot.gpus.len(), 8);
        let loaded = tried.record.steps.iter().filter(|step| !step.loads.is_empty());
        let paths: BTreeSet<&str> = loaded.map(|step| step.key.path.as_str()).collect();
        assert!(!paths.is_empty(), "{profile}");
        for path in paths {
            let named = spot.limits.iter().any(|limit| limit.starts_with(&format!("{path}.")));
            assert!(named, "{profile}: {path} is not among {:?}", spot.limits);
        }
        let lines = blind_lines(plan, Language::English);
        assert!(lines.iter().any(|line| line.contains("no kernel of this program runs on the part")), "{lines:?}");
    }
}

#[test]
fn a_plan_for_a_node_whose_supplies_answer_to_nobody_says_that_they_are_not_judged() {
    let file = NodeFile::find("pcie-l40s-8").expect("a node file");
    let told = |psus: u8| {
        let mut file = file.clone();
        file.host.psus = psus;
        let tried = Trial::of("smoke").run_of(&file, 1, &[]);
        let plan = tried.record.plan.as_ref().expect("a plan");
        let spot = plan.blind.iter().find(|spot| spot.lacking == Lacking::Supplies);
        (tried.record.verdict.as_ref().map(|verdict| verdict.word), spot.map(|spot| spot.limits.clone()))
    };
    let (word, limits) = told(0);
    assert_eq!(word, Some(VerdictWord::Pass));
    let limits = limits.expect("a blind spot");
    assert!(limits.contains(&"identify.inventory.psus.failed".to_owned()), "{limits:?}");
    assert_eq!(told(file.host.psus), (Some(VerdictWord::Pass), None));
}

#[test]
fn a_healthy_node_of_every_model_without_a_file_of_its_own_passes() {
    let mut told = String::new();
    for profile in ["smoke", "acceptance"] {
        let trial = Trial::of(profile);
        for (model, like, changes) in MODELS {
            let tried = trial.run_of(&node(like, changes), 1, &[]);
            let planned = tried.record.plan.as_ref().expect("a plan").skus.iter().all(|(_, sku)| sku == model);
            assert!(planned, "{model}");
            let word = tried.record.verdict.as_ref().map(|verdict| verdict.word);
            if word != Some(VerdictWord::Pass) {
                let _ = writeln!(told, "{profile} on {model}:\n{}", tried.blemishes());
            }
        }
    }
    assert!(told.is_empty(), "{told}");
}
