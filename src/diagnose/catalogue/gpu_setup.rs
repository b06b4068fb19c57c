//! Codes of what a GPU is and how it is set: identity, firmware, modes, clocks, and what else uses it.

use super::{Entry, new};
use kiln_event::Action;

/// In alphabetical order.
pub(super) const ENTRIES: &[Entry] = &[
    new(
        "GPU-CLOCK-SETTING",
        ("Clocks left set", "クロック設定の残留"),
        (
            "An application or locked clock is set below the default: a setting left over, not a fault of the part.",
            "アプリケーションクロックが既定より低く設定されたまま。部品の不良ではない。",
        ),
        Action::Reconfigure,
        "Power and clocks under load are low and steady, the reason given is the application clock, the part is cool. Reset it with `nvidia-smi -rac` and `-rgc`.",
        &[],
    ),
    new(
        "GPU-CLOCK-STUCK",
        ("Clock stuck low", "クロック低下固着"),
        (
            "The SM clock stays far below its greatest under full load and the GPU gives no reason for it.",
            "全負荷でもSMクロックが低いままで、理由が示されない。",
        ),
        Action::CallEngineer,
        "Throughput falls in proportion to the clock, power and temperature are low. A power cap, heat, the power brake and set clocks all give a reason; a clock that does so is none of this. A power cycle may cure it; a part that does it again is replaced.",
        &[],
    ),
    new(
        "GPU-CONFIG-CHANGED",
        ("Setting not restored", "設定が元に戻っていない"),
        ("A setting of the GPU is not what it was when the run began.", "GPUの設定が試験開始時と異なる。"),
        Action::Reconfigure,
        "Found in the teardown. Something changed a mode, the power limit or a clock during the run.",
        &[],
    ),
    new(
        "GPU-CONFIG-ECC",
        ("ECC off", "ECCが無効"),
        (
            "ECC is off, or will be after the next reset, where it must be on.",
            "ECCが無効、または次のリセット後に無効になる。",
        ),
        Action::Reconfigure,
        "With ECC off, memory errors are not counted and not corrected: counters that stay at zero then prove nothing. Turn it on with `nvidia-smi -e 1`, reset, and test again.",
        &[],
    ),
    new(
        "GPU-CONFIG-MIG",
        ("MIG on", "MIGが有効"),
        (
            "MIG is on, or will be after the next reset, where it must be off.",
            "MIGが有効、または次のリセット後に有効になる。",
        ),
        Action::Reconfigure,
        "Loads see slices of the GPU: throughput and memory are those of a slice, and NVLink traffic is off. Turn it off with `nvidia-smi -mig 0`, reset, and test again.",
        &[],
    ),
    new(
        "GPU-CONFIG-MODE",
        ("Mode not as asked", "動作モード不一致"),
        (
            "Persistence or compute mode is not what the profile asks for.",
            "パーシステンスモードまたはコンピュートモードが指定と異なる。",
        ),
        Action::Reconfigure,
        "An exclusive or prohibited compute mode keeps loads from starting; without persistence mode the first use after idle is slow.",
        &[],
    ),
    new(
        "GPU-DRIVER-UNFIT",
        ("Driver cannot start the GPU as installed", "ドライバーの導入不良"),
        (
            "What is installed of the GPU driver cannot start the GPU: its firmware is missing or of another release, or it is of the flavour for other GPUs. Install driver and firmware in one release.",
            "導入済みのGPUドライバーではGPUを起動できない(ファームウェアがない、版が異なる、または種類が合わない)。ドライバーとファームウェアを同じ版で入れ直す。",
        ),
        Action::FixStation,
        "`GSP firmware image version mismatch` and its like before `RmInitAdapter failed` in the kernel log. Nothing is known of the GPU; one that does not start with a driver that fits is GPU-NOT-STARTED.",
        &[],
    ),
    new(
        "GPU-FIRMWARE-MISMATCH",
        ("Firmware differs", "ファームウェア不一致"),
        (
            "VBIOS, InfoROM or GSP firmware differs from that of the other GPUs or from the released versions.",
            "VBIOS・InfoROM・GSPファームウェアが他のGPUまたは指定版と異なる。",
        ),
        Action::UpdateFirmware,
        "The majority of the node is taken to be right; a list of allowed versions in the profile decides where all are wrong alike. Often without any other sign.",
        &[],
    ),
    new(
        "GPU-FOREIGN-PROCESS",
        ("Foreign process on the GPU", "無関係なプロセス"),
        ("A process that is not part of the test uses the GPU.", "試験と無関係なプロセスがGPUを使用している。"),
        Action::Reconfigure,
        "It takes its share of throughput and memory, and its utilisation keeps the node from coming to rest. Stop it and test again.",
        &[],
    ),
    new(
        "GPU-IDENTITY-DUPLICATE",
        ("Serial number or UUID twice", "シリアル番号・UUIDの重複"),
        (
            "Two GPUs of the node carry the same serial number or UUID.",
            "ノード内の2基のGPUが同じシリアル番号またはUUIDを持つ。",
        ),
        Action::CallEngineer,
        "Copied InfoROM contents. Which of the two is right cannot be told from the node; compare with the labels.",
        &[],
    ),
    new(
        "GPU-IDLE-POWER",
        ("Too much power at rest", "アイドル電力過大"),
        (
            "The GPU draws far more power at rest than its siblings or its model do.",
            "アイドル時の消費電力が他のGPUや規定より大幅に大きい。",
        ),
        Action::RetestLonger,
        "Nothing of ours runs, no foreign process is listed, and the power stays up: a leaky die, a regulator with losses, or a state that the driver does not leave. What it draws at rest is lacking under load, where the part is slow at the same cap. Start the node again; if it stays, replace the module.",
        &[],
    ),
    new(
        "GPU-INFOROM-CORRUPT",
        ("InfoROM corrupt", "InfoROM破損"),
        ("The checksums of the GPU's InfoROM do not hold.", "GPUのInfoROMのチェックサムが不正。"),
        Action::UpdateFirmware,
        "Serial number, part number and error history may be missing or wrong. The GPU works under load. Flashing the InfoROM may cure it; otherwise replace the part.",
        &[],
    ),
    new(
        "GPU-MISSING",
        ("GPU missing", "GPU欠品・未認識"),
        (
            "The driver lists fewer GPUs than the node must have, and the PCI bus does not show the missing one either.",
            "GPUの数が規定より少なく、PCIバスにも現れない。",
        ),
        Action::Reseat,
        "Numbers close ranks over a missing GPU, so it is named by its empty slot and not by an index. On the bus but not with the driver is GPU-NOT-STARTED.",
        &[],
    ),
    new(
        "GPU-PART-MISMATCH",
        ("Part differs", "部品不一致"),
        (
            "The GPU is not the same part as the others: name, part number, board id or memory size differ.",
            "GPUの名称・部品番号・基板ID・メモリ容量のいずれかが他と異なる。",
        ),
        Action::ReplaceFru,
        "It may work perfectly; its bandwidth, power and clocks differ because it is a different part.",
        &[],
    ),
    new(
        "GPU-SERIAL-UNEXPECTED",
        ("Serial number not expected", "シリアル番号不一致"),
        (
            "The GPU's serial number is not among those shipped for this node.",
            "GPUのシリアル番号がこのノード向け出荷一覧にない。",
        ),
        Action::CallEngineer,
        "A swapped part or a wrong list. The result must not be filed under the expected serial number.",
        &[],
    ),
    new(
        "GPU-TOPOLOGY",
        ("GPU at the wrong place", "GPUの接続位置不正"),
        (
            "The GPU's PCI address does not fit the order of the others: it hangs on another root port or socket.",
            "GPUのPCIアドレスが他と整合しない。別のルートポートに接続されている。",
        ),
        Action::CallEngineer,
        "A riser or cable in the wrong connector. Copies to its supposed NUMA node are slower; link width and generation are full.",
        &[],
    ),
];
