//! Codes of what a GPU does under load: it is lost, hangs, computes wrong, gets too hot or runs slow.

use super::{Entry, new};
use kiln_event::Action;

/// In alphabetical order.
pub(super) const ENTRIES: &[Entry] = &[
    new(
        "GPU-COOLING-CONTACT",
        ("Bad thermal contact of one GPU", "GPU1基の熱接触不良"),
        (
            "One GPU is far hotter for its power than its siblings at the same inlet temperature: its cold plate or heatsink has bad contact.",
            "1基のGPUだけ電力あたりの温度が高く、入口温度は正常。コールドプレートまたはヒートシンクの接触不良。",
        ),
        Action::Reseat,
        "The thermal resistance in K/W is up on one GPU alone. Idle hides it, because it grows with power. A whole branch hot is the branch's flow, all GPUs hot the inlet. Remount with fresh thermal interface material; if it comes back, replace the module.",
        &[],
    ),
    new(
        "GPU-COOLING-DRIFT",
        ("Thermal contact gets worse", "熱接触の劣化進行"),
        (
            "The thermal resistance of one GPU rose during the soak: its thermal interface material moves or dries.",
            "ソーク中に1基のGPUの熱抵抗が上昇した。熱伝導材の移動または乾燥。",
        ),
        Action::Reseat,
        "Warming-up ends after minutes and then K/W stands still; this one goes on rising with the inlet steady. Load cycles speed it up. Renew the thermal interface material.",
        &[],
    ),
    new(
        "GPU-HANG",
        ("GPU hangs", "GPU応答停止"),
        (
            "The GPU's firmware does not answer the driver any more, though the GPU is still on the bus.",
            "GPUのファームウェアが応答しない。バス上には存在する。",
        ),
        Action::ResetGpu,
        "Xid 119 or 120, driver calls that time out, readings that stop. A lost GPU (Xid 79) answers at once that it is gone. A reset or reboot may cure it: repeat the test then. Where it was logged before the run, the GPU answered again and hangs anew, a reset was not enough, and the part is to be replaced.",
        &["NVIDIA Xid catalogue: 119, 120"],
    ),
    new(
        "GPU-LOST",
        ("GPU fell off the bus", "GPUがバスから消失"),
        (
            "The GPU answers no call: it fell off the PCIe bus, or the driver gave it up.",
            "GPUが応答しない。PCIeバスから消えたか、ドライバーが見放した。",
        ),
        Action::Reseat,
        "Xid 79, every call fails as lost, its load dies; the codes and limits that follow are its effects and are listed here. Power off, reseat module and power, repeat the same load; on a second time replace the part.",
        &["NVIDIA Xid catalogue: 79"],
    ),
    new(
        "GPU-NOT-STARTED",
        ("GPU on the bus but not started", "GPUが初期化されない"),
        (
            "The PCI bus shows a GPU that the driver could not start.",
            "PCIバスには現れるが、ドライバーが初期化できないGPUがある。",
        ),
        Action::Reseat,
        "`RmInitAdapter failed` in the kernel log, often Xid 143. A cold power cycle may cure it; it counts as intermittent then.",
        &["NVIDIA Xid catalogue: 143"],
    ),
    new(
        "GPU-OVERTEMP",
        ("GPU too hot", "GPU過熱"),
        ("The GPU reached the temperature at which it slows itself down.", "GPUが自己減速温度に達した。"),
        Action::CheckCooling,
        "A guard stopped the step. Where K/W, inlet and siblings tell the cause apart, the finding is that cause and this its evidence.",
        &[],
    ),
    new(
        "GPU-POWER-BRAKE",
        ("Power brake on one GPU", "GPU1基の電源保護による減速(パワーブレーキ)"),
        (
            "The hardware power brake slowed the GPU: its power feed or connector gives in under load.",
            "電源保護による減速(パワーブレーキ)が作動。GPUへの給電または接続が負荷に耐えない。",
        ),
        Action::CheckPower,
        "Clocks fall within milliseconds, power and temperature after them; the reason bit 0x80 is set and its counter grows. Most GPUs at once is the node's supply (NODE-POWER-BRAKE). Xid 54 says that auxiliary power is missing.",
        &["NVIDIA Xid catalogue: 54"],
    ),
    new(
        "GPU-POWER-CAP",
        ("Power limit lowered", "電力上限の低下"),
        ("The power limit in force is below the part's default.", "適用中の電力上限が既定より低い。"),
        Action::Reconfigure,
        "Power under load stands exactly at the lower limit with the power cap as reason, as on any healthy part; clocks and temperature are lower. Set it with `nvidia-smi -pl`, and look for who lowers it.",
        &[],
    ),
    new(
        "GPU-POWER-EXCESS",
        ("Too much power for its work", "消費電力過大"),
        (
            "At the same clock and for the same work the GPU draws far more power than its siblings.",
            "同じクロック・同じ処理で、消費電力が他のGPUより大幅に大きい。",
        ),
        Action::CallEngineer,
        "The SM clock was held below the power cap, where parts of one model are equally fast. What one draws beyond its siblings is leakage, losses of its regulators, a voltage set too high, or a power sensor that reads high; at the cap it shows as a lower clock. A hot die leaks more: bad contacts and missing air have codes of their own and come first. Another run says the same. The part is slow in every job that reaches the cap; whether it is taken is for whoever buys it.",
        &["Sinha et al., SC 2022, arXiv 2208.11035"],
    ),
    new(
        "GPU-RECOVERY-NEEDED",
        ("Driver asks for a recovery", "復旧操作の要求"),
        (
            "The driver says that the GPU needs a reset, a drain or a reboot.",
            "ドライバーがGPUのリセット等を要求している。",
        ),
        Action::ResetGpu,
        "Announced after errors (Xid 154). Do it, read the counters again and repeat the test.",
        &["NVIDIA Xid catalogue: 154"],
    ),
    new(
        "GPU-SLOW",
        ("GPU slower than its siblings", "他より遅いGPU"),
        (
            "The GPU does less work than its siblings or its model must, and nothing explains it.",
            "GPUの処理性能が他のGPUまたは規定より低く、原因となる他の異常がない。",
        ),
        Action::ReplaceFru,
        "Power cap, heat, brake, set and stuck clocks, another process and a different part were looked for and not found. Low clocks at the cap mean leaky silicon; full clocks with little work disabled or slow units.",
        &[],
    ),
    new(
        "GPU-SM-WRONG",
        ("One SM computes wrong", "単一SMの計算結果の誤り"),
        (
            "One multiprocessor of the GPU computed wrong results that ECC did not see.",
            "GPU内の1基のSMの計算結果に誤りがあり、ECCでは検出されない。",
        ),
        Action::ReplaceFru,
        "Results are compared bit for bit, and each wrong one carries the number of the multiprocessor that computed it. More than half of those told came from one; wrong results from all over the part are GPU-WRONG-RESULTS. The same multiprocessor on all GPUs is a kernel or a driver, and no part.",
        &["Hochschild et al., Cores that don't count, HotOS 2021, https://doi.org/10.1145/3458336.3465297"],
    ),
    new(
        "GPU-THERMAL-SLOWDOWN",
        ("Slowed for heat without being hot", "高温でない熱減速"),
        (
            "The GPU slowed itself down for heat although its thermal resistance and its inlet are normal.",
            "熱抵抗も入口温度も正常なのに、GPUが熱により減速した。",
        ),
        Action::ReplaceFru,
        "The threshold, a regulator or a memory that the die temperature does not show. Hot dies have a cause in contact, flow or inlet, and are told as that.",
        &[],
    ),
    new(
        "GPU-WRONG-RESULTS",
        ("Wrong results", "計算結果の誤り"),
        ("The GPU computed wrong results that ECC did not see.", "GPUの計算結果に誤りがあり、ECCでは検出されない。"),
        Action::ReplaceFru,
        "Results are compared bit for bit with a computed reference; the evidence names the multiprocessor and the die temperature. Wrong only when hot is still wrong. One is enough.",
        &[],
    ),
    new(
        "GPU-XID",
        ("Hardware error in the kernel log", "カーネルログのハードウェアエラー"),
        (
            "The driver logged an error of this GPU that a new part must not have.",
            "新品では起きてはならないエラーをドライバーが記録した。",
        ),
        Action::CallEngineer,
        "An Xid that no other finding explains. The evidence quotes it; the Xid table says what it means.",
        &["NVIDIA Xid catalogue"],
    ),
];
