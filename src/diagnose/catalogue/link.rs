//! Codes of links and what joins them: NVLink, its switches and fabric, PCIe and the chip-to-chip link.

use super::{Entry, new};
use kiln_event::Action;

/// In alphabetical order.
pub(super) const ENTRIES: &[Entry] = &[
    new(
        "C2C-DEGRADED",
        ("Chip-to-chip links lacking", "チップ間リンク不足"),
        (
            "Fewer chip-to-chip links to the Grace CPU are up than the model has.",
            "Grace CPUとのチップ間リンクが規定数より少ない。",
        ),
        Action::CallEngineer,
        "Counts the active links against the model's. Host copies of that GPU are slower in proportion; PCIe and NVLink are not affected.",
        &[],
    ),
    new(
        "FABRIC-DEGRADED",
        ("NVLink fabric degraded", "NVLinkファブリック劣化"),
        (
            "The GPU is registered with its fabric, and the fabric's health mask says that something of it is bad.",
            "GPUはファブリックに登録済みだが、健全性マスクに異常がある。",
        ),
        Action::CallEngineer,
        "The mask holds 2-bit fields: degraded bandwidth, route recovery, route unhealthy, access timeout; 1 is bad, 2 is good. A mask of 0xaa is all good.",
        &["NVML nvmlGpuFabricInfoV"],
    ),
    new(
        "FABRIC-NOT-READY",
        ("NVLink fabric not ready", "NVLinkファブリック未準備"),
        (
            "The GPU is not registered with the NVLink fabric, so that peers cannot be reached although links may be active.",
            "GPUがNVLinkファブリックに登録されていない。リンクが有効でも他GPUに届かない。",
        ),
        Action::Reconfigure,
        "All GPUs together point at the fabric manager; one GPU alone at its links or its registration. A registration in progress during the first two minutes after a boot is healthy.",
        &["NVML nvmlGpuFabricInfoV"],
    ),
    new(
        "NVLINK-BANDWIDTH",
        ("GPU-to-GPU copies slow", "GPU間転送の低速"),
        (
            "Copies from or to this GPU are slow, although its links are up at full speed and count no errors.",
            "リンクは正常なのに、このGPUとの転送が遅い。",
        ),
        Action::CallEngineer,
        "Every pair of one GPU slow and no other points at that GPU; a single slow pair at the path between two, and which end cannot be told.",
        &[],
    ),
    new(
        "NVLINK-DOWN",
        ("NVLink failed during the run", "試験中のNVLink断"),
        (
            "An NVLink that was up when the run began went down during it.",
            "試験開始時に有効だったNVLinkが試験中に切れた。",
        ),
        Action::Reseat,
        "Logged as Xid 74, or 145 to 150 on the fifth generation. Bandwidth of all the GPU's pairs falls by its share. Which end is bad a single link cannot tell.",
        &["NVIDIA Xid catalogue: 74, 144 to 150"],
    ),
    new(
        "NVLINK-ERRORS",
        ("NVLink errors under traffic", "通信中のNVLinkエラー"),
        ("An NVLink counts errors in proportion to traffic.", "通信量に比例してNVLinkのエラーが増える。"),
        Action::Reseat,
        "CRC errors at the receiver, replays at the sender. One link alone may be bad at either end; several links of one GPU point at the GPU, several GPUs at one switch at the switch.",
        &[],
    ),
    new(
        "NVLINK-INACTIVE",
        ("NVLink inactive", "NVLink無効"),
        ("Fewer NVLinks are up than the model has.", "有効なNVLinkが規定より少ない。"),
        Action::Reseat,
        "Down since boot: no errors are counted on it, and every pair of the GPU is slower by its share. Reseat the module; the switch end is the other suspect.",
        &[],
    ),
    new(
        "NVLINK-MISWIRED",
        ("NVLink ends at the wrong place", "NVLinkの接続先不正"),
        (
            "An NVLink ends at another switch or port than the same link of the other GPUs.",
            "NVLinkの接続先が他のGPUと異なる。",
        ),
        Action::CallEngineer,
        "State, speed and error counters are good. A cable or a board in the wrong place.",
        &[],
    ),
    new(
        "NVLINK-SLOW",
        ("NVLink too slow", "NVLink速度低下"),
        ("An NVLink is up at a lower speed than the model's.", "NVLinkが規定より低い速度で動作している。"),
        Action::Reseat,
        "One link at half speed costs a few percent of bandwidth; the speed field is the sharper sign.",
        &[],
    ),
    new(
        "PCIE-BAR1",
        ("BAR1 too small", "BAR1容量不足"),
        (
            "The BAR1 aperture is smaller than the model's: resizable BAR is off.",
            "BAR1の容量が規定より小さい。Resizable BARが無効。",
        ),
        Action::Reconfigure,
        "A BIOS setting. Mapped copies and GPUDirect are slow or refused; plain copies keep their speed.",
        &[],
    ),
    new(
        "PCIE-ERRORS",
        ("PCIe errors", "PCIeエラー多発"),
        (
            "The PCIe link of the GPU sends packets again more often than a sound link.",
            "GPUのPCIeリンクで再送が多すぎる。",
        ),
        Action::Reseat,
        "Replays and corrected errors in proportion to traffic: a marginal signal by riser, retimer, cable or connector. Counts since boot say nothing, their growth does.",
        &[],
    ),
    new(
        "PCIE-GENERATION",
        ("PCIe generation too low", "PCIe世代低下"),
        (
            "Under traffic the PCIe link runs at a lower generation than it must.",
            "通信中のPCIeリンクが規定より低い世代で動作している。",
        ),
        Action::Reseat,
        "An idle link may rest in a lower generation; this one was carrying data. Bandwidth is a half or a quarter.",
        &[],
    ),
    new(
        "PCIE-NUMA",
        ("NUMA node wrong", "NUMAノード不正"),
        (
            "The NUMA node the host gives the GPU does not fit its place on the bus.",
            "GPUのNUMAノードがバス上の位置と一致しない。",
        ),
        Action::Reconfigure,
        "A BIOS setting or table. Copies through the other socket are slower and less even.",
        &[],
    ),
    new(
        "PCIE-P2P",
        ("Peer copies go through the host", "P2P転送不可"),
        (
            "Copies between GPUs over PCIe are far slower than the links: peer access is off.",
            "PCIe経由のGPU間転送が遅い。P2Pが無効。",
        ),
        Action::Reconfigure,
        "Access control services or the IOMMU send peer traffic through the root port or host memory. Host copies are as fast as they must be.",
        &[],
    ),
    new(
        "PCIE-SLOW",
        ("Host copies slow", "ホスト間転送の低速"),
        (
            "Copies between host and GPU are slow, although generation, width and errors of the link are as they must be.",
            "リンクは正常なのに、ホストとGPUの転送が遅い。",
        ),
        Action::CallEngineer,
        "All GPUs alike point at a setting of the host, the GPUs of one socket at its memory, one GPU at its path.",
        &[],
    ),
    new(
        "PCIE-UNSTABLE",
        ("PCIe link unstable", "PCIeリンク不安定"),
        (
            "The PCIe link changed its speed or width under load, or had fatal errors.",
            "負荷中にPCIeリンクの速度・幅が変化、または致命的エラーが発生。",
        ),
        Action::Reseat,
        "Link retraining costs moments of bandwidth each time and often comes before a lost GPU. Riser, retimer, cable, seating.",
        &[],
    ),
    new(
        "PCIE-WIDTH",
        ("PCIe lanes lacking", "PCIeレーン不足"),
        ("The PCIe link uses fewer lanes than it must.", "PCIeリンクの使用レーン数が規定より少ない。"),
        Action::Reseat,
        "Trained at boot, because a lane or a pair of lanes does not work. Copies halve with the lanes. Reseat module and riser.",
        &[],
    ),
    new(
        "SWITCH-ERRORS",
        ("NVLink switch errors", "NVLinkスイッチのエラー"),
        ("An NVLink switch reports errors.", "NVLinkスイッチがエラーを報告した。"),
        Action::ReplaceFru,
        "SXid records of non-fatal classes, or links of several GPUs with errors that all end at one switch.",
        &["NVIDIA Fabric Manager user guide: SXid"],
    ),
    new(
        "SWITCH-FATAL",
        ("NVLink switch failed", "NVLinkスイッチ故障"),
        (
            "An NVLink switch reports a fatal error: a port or the whole fabric is lost.",
            "NVLinkスイッチで致命的エラー。ポートまたはファブリック全体が失われた。",
        ),
        Action::ReplaceFru,
        "What the GPUs log at the same time are its effects.",
        &["NVIDIA Fabric Manager user guide: SXid"],
    ),
    new(
        "SWITCH-SLOW",
        ("All GPU-to-GPU copies slow", "全GPU間転送の低速"),
        (
            "Copies between all GPUs are slow, although links are up: something they share, such as a switch.",
            "リンクは有効なのに全GPU間の転送が遅い。スイッチなど共通部分の異常。",
        ),
        Action::CallEngineer,
        "Traffic is spread over all switches, so the slowest sets the pace of all, and copies alone cannot tell which it is.",
        &[],
    ),
];
