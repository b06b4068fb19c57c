//! Codes of the node around its GPUs: host memory and firmware, network cards, drives, power and cooling.

use super::{Entry, new};
use kiln_event::Action;

/// In alphabetical order.
pub(super) const ENTRIES: &[Entry] = &[
    new(
        "COOLING-BRANCH-FLOW",
        ("Flow through one cooling branch too low", "冷却系統1系統の流量不足"),
        (
            "All GPUs of one coolant branch or fan zone run hot at a normal inlet temperature: too little flows through it.",
            "同じ冷却系統のGPUがすべて高温で、入口温度は正常。その系統の流量が不足している。",
        ),
        Action::CheckCoolant,
        "The thermal resistance of neighbouring GPUs is up together while the others keep theirs: a closed valve, a kinked hose, a blocked filter or a fan that stands or blows backwards. One GPU alone would be its contact; all GPUs with a hot inlet the station. Where all good units of a chassis show it, one of its halves is warmer by design: a lot of its own says so (`kiln lot build --by-design`). Branches are not listed by the node; the number counts blocks of neighbouring GPUs from 0.",
        &[],
    ),
    new(
        "HOST-DIMM-ERRORS",
        ("Host memory corrects errors", "ホストメモリの訂正エラー"),
        (
            "The host's memory modules corrected errors during the run.",
            "試験中にホストメモリで訂正可能エラーが発生した。",
        ),
        Action::ReplaceFru,
        "EDAC names controller and channel in the evidence. Reseat the module once; replace it if it goes on.",
        &[],
    ),
    new(
        "HOST-DIMM-MISSING",
        ("Host memory lacking", "ホストメモリ不足"),
        (
            "The host sees fewer memory modules or less memory than the node must have.",
            "ホストのメモリモジュール数または容量が規定より少ない。",
        ),
        Action::Reseat,
        "One module less is one channel less: host bandwidth falls with it.",
        &[],
    ),
    new(
        "HOST-FIRMWARE",
        ("Host firmware differs", "ホストファームウェア不一致"),
        ("The host's BIOS is not the released version.", "ホストのBIOSが指定版ではない。"),
        Action::UpdateFirmware,
        "Same on every unit of a batch or on one alone; the profile says which version is right.",
        &[],
    ),
    new(
        "HOST-HARDWARE",
        ("Host hardware error", "ホストのハードウェアエラー"),
        ("The kernel logged a hardware error of the host.", "カーネルがホストのハードウェアエラーを記録した。"),
        Action::CallEngineer,
        "A machine check that was not corrected, or an error that the firmware reported. One that was corrected counts by its rate. The GPUs are not to blame.",
        &[],
    ),
    new(
        "HOST-MEMORY-UNCORRECTABLE",
        ("Host memory error not corrected", "ホストメモリの訂正不能エラー"),
        (
            "The kernel or the firmware told of an error of host memory that was not corrected.",
            "ホストメモリの訂正不能エラーをカーネルまたはファームウェアが記録した。",
        ),
        Action::ReplaceFru,
        "EDAC, a firmware report (APEI) or a machine check. The module is named where the log names it.",
        &[],
    ),
    new(
        "HOST-PCIE-ERRORS",
        ("PCIe errors of another device", "GPU以外のPCIeエラー"),
        (
            "PCIe errors were logged for a port or device that is no GPU.",
            "GPU以外のポートまたはデバイスでPCIeエラーが記録された。",
        ),
        Action::Reseat,
        "An uncorrected error, a link that went down or a port that shut its link is proof; corrected ones count by their rate. The address says which device.",
        &[],
    ),
    new(
        "HOST-SETTING",
        ("Host setting differs", "ホスト設定不一致"),
        ("A setting of the host is not what the profile asks for.", "ホストの設定が指定と異なる。"),
        Action::Reconfigure,
        "Clock source, driver or CUDA version. It touches all GPUs alike, which tells it from a fault of one.",
        &[],
    ),
    new(
        "HOST-SUSPECT",
        ("Unexplained trouble in the kernel log", "カーネルログの未解明の異常"),
        (
            "The kernel logged trouble that proves nothing by itself: a lockup, a crash, heat, or an error nobody knows.",
            "カーネルが単独では原因を断定できない異常(ロックアップ、クラッシュ、過熱、未知のエラー)を記録した。",
        ),
        Action::CallEngineer,
        "Software can cause it as well as hardware, so that the unit is neither proven good nor bad. The evidence quotes the lines.",
        &[],
    ),
    new(
        "HOST-WRONG-DATA",
        ("Host kept wrong data", "ホストのデータ化け"),
        (
            "A program read back other data from host memory than it had written.",
            "ホストメモリから、書き込んだ内容と異なるデータが読み出された。",
        ),
        Action::Reseat,
        "Memory, its controller or the processor; error correction saw nothing. The program's words are in the evidence and may name the DIMM. Reseat the DIMMs and test again; on a second time replace what it names.",
        &["stressapptest: hardware incidents"],
    ),
    new(
        "NIC-FAULT",
        ("Network interface failed", "ネットワークI/F故障"),
        (
            "A network interface or its firmware reported a fatal error.",
            "ネットワークインターフェースまたはそのファームウェアが致命的エラーを報告した。",
        ),
        Action::Reseat,
        "Told by the health watch of its driver. Power off and reseat the card; on a second time replace it.",
        &[],
    ),
    new(
        "NIC-LINK-DOWN",
        ("Network link down", "ネットワークリンク断"),
        (
            "A port of the network has no link while others of its kind have one, or its link went down during the run.",
            "同型の他のポートはリンクしているのに、このポートはリンクがない、または試験中に切れた。",
        ),
        Action::Reseat,
        "The port, its transceiver, the cable, or the port of the switch at the station: all of them look alike from here. Swap the cable with a neighbour's first, and see which of the two ports it follows. Where all ports lose their links at once, it is the switch.",
        &["https://docs.nvidia.com/nvsentinel/components/nic-health-monitor/link-counter-detection"],
    ),
    new(
        "NIC-LINK-ERRORS",
        ("Errors on a network link", "ネットワークリンクのエラー"),
        (
            "A port of the network counted more errors on its link during the run than a good link has.",
            "試験中、ネットワークポートのリンクエラーが正常なリンクより多かった。",
        ),
        Action::Reseat,
        "A dirty fibre end, a strained cable, a transceiver, or the port. Clean and reseat the cable, then swap it with a neighbour's. Symbol errors are held against one wrong bit in 10^12, where ibdiagnet warns.",
        &["https://docs.nvidia.com/networking/display/ibdiagnetusermanualv211/bit+error+rate+(ber)"],
    ),
    new(
        "NIC-MISSING",
        ("Network interface missing", "ネットワークI/F欠品"),
        (
            "The host has fewer network interfaces than the node must have.",
            "ネットワークインターフェースの数が規定より少ない。",
        ),
        Action::Reseat,
        "Counted by the operating system. Reseat card and riser.",
        &[],
    ),
    new(
        "NIC-SPEED",
        ("Network interface too slow", "ネットワークI/F速度低下"),
        (
            "A network interface runs slower than the others of its model.",
            "ネットワークインターフェースの速度が同型の他より低い。",
        ),
        Action::Reseat,
        "A transceiver, a cable, or a port of the switch at the station. Swap the cable first.",
        &[],
    ),
    new(
        "NODE-COOLING",
        ("Several GPUs hot for their power", "複数GPUの放熱不足"),
        (
            "Several GPUs or all are hotter for their power than their model or the others allow, at a normal inlet temperature, and no single contact or branch explains it.",
            "入口温度は正常だが、複数または全てのGPUが電力あたり高温。個々の密着不良や1系統の流量不足だけでは説明できない。",
        ),
        Action::CheckCooling,
        "What all share: fans, the main flow, ducts and covers. One GPU alone would be its contact, a block of neighbours a branch. Without an inlet sensor the station's air or coolant may be the cause as well.",
        &[],
    ),
    new(
        "NODE-POWER-BRAKE",
        ("Power brake on most GPUs", "多数GPUの電源保護による減速(パワーブレーキ)"),
        (
            "The power brake slowed most GPUs at once: the node's power supplies are at their limit or signal a fault.",
            "多数のGPUで同時に電源保護による減速(パワーブレーキ)が作動。ノードの電源が限界または異常。",
        ),
        Action::CheckPower,
        "Only at full load, gone at idle, again at every pulse. Look at every supply, its input and the feed of the station.",
        &[],
    ),
    new(
        "NODE-REBOOTED",
        ("Node rebooted by itself", "ノードの予期しない再起動"),
        ("The node started anew during the run without being told to.", "試験中にノードが指示なく再起動した。"),
        Action::CheckPower,
        "Weak power delivery shows at load steps of all GPUs in phase. A power cut at the station looks the same: it does not follow load steps.",
        &[],
    ),
    new(
        "NODE-RESTARTED",
        ("Node restarted while the run was away", "中断中のノード再起動"),
        (
            "As the run was taken up again, the node had been started anew, and no step had asked for it.",
            "試験の再開時に、工程の指示によらずノードが再起動していた。",
        ),
        Action::CheckPower,
        "A power cut, or somebody who switched it off, looks like a node that resets itself under load. What had passed stays passed; what was cut off was run again. At the third such boot nothing more is run, and the run cannot end in PASS. Look at the node's own event log (BMC) and at the feed.",
        &[],
    ),
    new(
        "NODE-SLOW",
        ("Most GPUs slow", "多数のGPUが低速"),
        (
            "Most GPUs do less work than they must, so the cause is one they share.",
            "多数のGPUの性能が規定より低く、原因は共通部分にある。",
        ),
        Action::CallEngineer,
        "Power of the node, a setting of the host or the driver, cooling; or a limit that does not fit the model.",
        &[],
    ),
    new(
        "NVME-FAULT",
        ("Drive failed", "ドライブ故障"),
        (
            "The controller of a drive went down, or the drive lost data.",
            "ドライブのコントローラーが停止したか、データを失った。",
        ),
        Action::ReplaceFru,
        "Told by its driver or the block layer. The drive is named by its kernel name.",
        &[],
    ),
    new(
        "NVME-MISSING",
        ("NVMe drive missing", "NVMe欠品"),
        ("The host has fewer NVMe drives than the node must have.", "NVMeドライブの数が規定より少ない。"),
        Action::Reseat,
        "Counted by the operating system. Reseat the drive.",
        &[],
    ),
    new(
        "PSU-FAILED",
        ("Power supply failed", "電源ユニット故障"),
        ("A power supply reports a fault or gives nothing.", "電源ユニットが異常を報告、または出力していない。"),
        Action::ReplaceFru,
        "The others carry its load until they reach their limit.",
        &[],
    ),
];
