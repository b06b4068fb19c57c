//! Codes of the run itself, its station, operator, programs and sensors, and of what several parts share.

use super::{Entry, new};
use kiln_event::Action;

/// In alphabetical order.
pub(super) const ENTRIES: &[Entry] = &[
    new(
        "ALL-PARTS-ALIKE",
        ("The same on all GPUs", "全GPUに同じ症状"),
        (
            "All GPUs show the same defect at once, so the cause is one they share: driver, settings, node, test program or station.",
            "すべてのGPUに同じ症状が同時に出ている。原因は共通のもの(ドライバー、設定、ノード、試験プログラム、設備)である。",
        ),
        Action::CallEngineer,
        "Parts do not break alike in the same minute. Compare with another node of the same set-up, another driver release and another station before any part is touched. Proof that only a part's own hardware can give, such as wrong results or uncorrectable memory errors, is never gathered here, and what the cooling, the supplies or the switches give to all GPUs has codes of its own.",
        &[],
    ),
    new(
        "GUARD-UNSUPPORTED",
        ("Guard without its sensor", "監視センサー非対応"),
        (
            "The profile requires a guard on a reading that this part and its driver do not offer; no part is to blame.",
            "プロファイルが求める監視のセンサーを、この部品とドライバーが提供していない。部品の不良ではない。",
        ),
        Action::Reconfigure,
        "A part that never had the reading cannot fall silent. Install a newer driver, or write `unsupported: skip` at the guard where the run may go on without it.",
        &[],
    ),
    new(
        "LIMIT-MISSED",
        ("Value outside its limit", "規格外の測定値"),
        (
            "A measured value is outside its limit, and no rule knows the cause.",
            "測定値が規格外。原因は特定されていない。",
        ),
        Action::CallEngineer,
        "The evidence has the value and the limit. The limit may be wrong for this part; more often the part is.",
        &[],
    ),
    new(
        "LOAD-FAULT",
        ("Load program stopped by the driver", "負荷プログラムの異常終了"),
        (
            "The driver stopped the load program, and no fault of the hardware was found beside it.",
            "ドライバーが負荷プログラムを停止した。ハードウェアの異常は見つかっていない。",
        ),
        Action::RetestLonger,
        "Xid 13, 31, 43 and 45 are what a faulty program causes. The load is known to be good, so the GPU is suspect from the first: repeat the load on this GPU; on a second time replace it.",
        &["NVIDIA Xid catalogue: 13, 31, 43, 45"],
    ),
    new(
        "LOAD-LEFT",
        ("Load or process left", "負荷・プロセスの残留"),
        ("At the end of the run something still used the GPU.", "試験終了時にGPUが使用中のまま。"),
        Action::CallEngineer,
        "Utilisation or a process that should be gone. Do not hand the node on before it is.",
        &[],
    ),
    new(
        "LOT-OUTLIER",
        ("Outlier of its lot", "ロットの外れ値"),
        (
            "Every limit was met, but the part measures otherwise than nearly all good parts of its kind in this place.",
            "規格はすべて満たしたが、同じ位置の同種の良品の分布から外れている。",
        ),
        Action::CallEngineer,
        "Part average testing (AEC-Q001): robust median and sigma of at least 30 good units, for each value and place. Nothing is proven \
         against the part; outliers fail early more often than others, so that a person looks before the unit is shipped. If all parts of \
         a unit stand apart alike, look for what they share: a batch of paste or pads, a fan or pump setting, firmware. Until then the \
         unit is held.",
        &["https://www.aecouncil.com/Documents/AEC_Q001_Rev_D.pdf"],
    ),
    new(
        "OPERATOR-REFUSED",
        ("Operator said no", "作業者による否認"),
        (
            "The operator answered a question of the profile with no.",
            "作業者がプロファイルの確認に「いいえ」と答えた。",
        ),
        Action::CallEngineer,
        "The question and the comment are in the record.",
        &[],
    ),
    new(
        "SENSOR-IMPLAUSIBLE",
        ("Sensor reads what cannot be", "センサー値の矛盾"),
        ("A sensor of the GPU shows values that physics rules out.", "GPUのセンサーが物理的にあり得ない値を示す。"),
        Action::ReplaceFru,
        "A die colder than its inlet, warmer than any power explains, or jumping by tens of kelvins in a second; power that disagrees with the energy counter. What such a sensor says of cooling is worth nothing.",
        &[],
    ),
    new(
        "SENSOR-STUCK",
        ("Sensor stuck", "センサー固着"),
        ("A sensor of the GPU does not move although its load does.", "負荷が変わってもGPUのセンサー値が変化しない。"),
        Action::ReplaceFru,
        "Its siblings move. Guards are blind on this GPU, so nothing that needs the sensor was tested.",
        &[],
    ),
    new(
        "SENSORS-SILENT",
        ("Readings stopped for all GPUs at once", "全GPUの測定値が同時に途絶"),
        (
            "Readings stopped for all GPUs at the same moment, so no GPU is to blame: the driver hung, the program was not answered, or the recording was over.",
            "すべてのGPUの測定値が同時に止まった。GPUの不良ではなく、ドライバーの停止、プログラムの停滞、または記録の終わりである。",
        ),
        Action::FixStation,
        "A guard waits a few seconds for a reading and then stops the run, since stale data is treated as hot data. One GPU that falls silent while its siblings answer is GPU-HANG. If only one sensor is gone on all GPUs while others are read, the finding is against the node: the driver no longer offers that reading.",
        &[],
    ),
    new(
        "STATION-INLET-APART",
        ("Inlet unlike that of the lot", "ロットと異なる入口温度"),
        (
            "Parts measure otherwise than the good units of their lot, which were tested at another inlet temperature.",
            "ロットの良品と測定値が異なるが、ロットは別の入口温度で測定されている。",
        ),
        Action::CallEngineer,
        "Leakage, clocks at the power cap and what is reckoned over the inlet change with it, so that an outlier at another inlet is no outlier \
         of its lot yet. Test again at the lot's inlet, or make a lot at this one. Until then the unit is held.",
        &[],
    ),
    new(
        "STATION-INLET-HOT",
        ("Inlet too hot", "入口温度超過"),
        (
            "The air or coolant that the station offers is too hot; the unit is not to blame.",
            "試験ステーションの空気または冷却液が高温。装置の不良ではない。",
        ),
        Action::FixStation,
        "Every GPU is warmer by the same amount and keeps its thermal resistance. Recirculated air follows the node's own power with minutes of delay.",
        &[],
    ),
    new(
        "STATION-LATE",
        ("The test station was too slow", "試験ホストの遅れ"),
        (
            "The host did not come round to reading the node as often as it was to, so that parts of the run could not be judged.",
            "試験ホストの処理が遅れ、予定どおりに測定できなかったため、一部を判定できなかった。",
        ),
        Action::FixStation,
        "Samples that were due are counted against those that were taken, and how long a running load told nothing of its work. Free the host of other work, give it more processors, or lower `--sim-speed`. Late samples are never evidence against a GPU: statistics weigh readings by the time they stand for, and are missing where readings do not cover their window.",
        &[],
    ),
    new(
        "TOOL-FAILED",
        ("A program found a fault", "外部プログラムが異常を報告"),
        (
            "A program that the profile runs says that its test failed here; its own words are in the evidence.",
            "プロファイルが実行する外部プログラムが、ここでの試験失敗を報告した。その文言は証拠にある。",
        ),
        Action::CallEngineer,
        "What the failure means is for the documents of that program. Of a GPU that it names, reseat the part and run the program again; a part that fails a second time is to be replaced.",
        &[],
    ),
    new(
        "UNIT-CHANGED",
        ("Changed while the run was interrupted", "中断中の構成変更"),
        (
            "As the run was taken up again, a part was another one, or less than the one the run had begun with.",
            "試験の再開時に、部品が開始時と異なるか、開始時より劣っていた。",
        ),
        Action::CallEngineer,
        "What was proven before an interruption was proven of the parts of then. The evidence says what was and what is. Such a run cannot end in PASS; begin it anew on the unit as it is. A part that is worse may have lost something at the reboot: a memory stack, PCIe lanes, a link.",
        &[],
    ),
    new(
        "UNIT-UNRECOGNISED",
        ("Unit cannot be recognised", "装置を識別できない"),
        (
            "As the run was taken up again, nothing could be read that tells this unit from another of the same make.",
            "試験の再開時に、同型の別装置と区別できる情報が読み取れなかった。",
        ),
        Action::CallEngineer,
        "Serial numbers of node and board and the GPUs' serial numbers and UUIDs were unreadable then or are now, so that the two halves of the run may be of two units. Run as root, or begin the run anew.",
        &[],
    ),
];
