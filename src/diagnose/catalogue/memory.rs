//! Codes of GPU memory: HBM stacks and the on-chip SRAM.

use super::{Entry, new};
use kiln_event::Action;

/// In alphabetical order.
pub(super) const ENTRIES: &[Entry] = &[
    new(
        "HBM-COOLING-CONTACT",
        ("Memory runs hot over its die", "メモリの熱接触不良"),
        (
            "The memory of one GPU is much hotter than its die, compared with its siblings.",
            "1基のGPUでメモリだけがダイより大幅に高温。",
        ),
        Action::Reseat,
        "The die has good contact and the memory beside it has not. A hot die warms its memory, too; then the finding is the die's contact.",
        &[],
    ),
    new(
        "HBM-CORRECTED-RATE",
        ("Many corrected memory errors", "訂正可能メモリエラー多発"),
        (
            "The memory corrects far more errors than that of a healthy new part.",
            "メモリの訂正可能エラーが新品として多すぎる。",
        ),
        Action::ReplaceFru,
        "Healthy parts correct none to a few a day. The rate grows with traffic and temperature and ends in uncorrectable errors and remapped rows.",
        &[],
    ),
    new(
        "HBM-COVERAGE",
        ("Memory not fully tested", "メモリ試験範囲不足"),
        ("The pattern test did not cover as much memory as it must.", "メモリ試験の範囲が規定に足りない。"),
        Action::RetestLonger,
        "What was not covered was not tested. Something else held memory, or an allocation failed.",
        &[],
    ),
    new(
        "HBM-REMAP-FAILED",
        ("Memory row remapping failed", "メモリ行の再割り当て失敗"),
        (
            "A bad memory row could not be replaced: there are no spare rows left.",
            "不良メモリ行を置き換える予備行がない。",
        ),
        Action::ReplaceFru,
        "The failure flag stays, Xid 64 is logged, and the same address fails again.",
        &["NVIDIA Xid catalogue: 64"],
    ),
    new(
        "HBM-REMAP-PENDING",
        ("Memory row remapping waits for a reset", "メモリ行の再割り当て待ち"),
        ("A bad memory row waits for a reset to be replaced.", "不良メモリ行の置き換えがリセット待ち。"),
        Action::ResetGpu,
        "Left by an uncorrectable error before or during the run. Reset, read the counters again and march through the memory; a new part with such a history is suspect.",
        &["NVIDIA Xid catalogue: 63"],
    ),
    new(
        "HBM-SLOW",
        ("Memory slower than it must be", "メモリ帯域不足"),
        (
            "The memory moves less data than that of its siblings or its model must.",
            "メモリ帯域が他のGPUまたは規定より低い。",
        ),
        Action::ReplaceFru,
        "Channels switched off or refreshed twice as often. Hot memory refreshes more and is told as that; compute throughput hardly moves.",
        &[],
    ),
    new(
        "HBM-STUCK-CELL",
        ("Memory keeps wrong patterns", "メモリの固着セル"),
        (
            "The pattern test read back something other than it wrote, without an ECC event.",
            "メモリ試験で書き込みと異なる値が読まれ、ECCは反応していない。",
        ),
        Action::ReplaceFru,
        "Fixed addresses and bits, at every pass. Wrong arithmetic names a multiprocessor instead.",
        &[],
    ),
    new(
        "HBM-UNCORRECTABLE",
        ("Uncorrectable memory error", "訂正不能メモリエラー"),
        ("The memory had an error that ECC could not correct.", "ECCで訂正できないメモリエラーが発生した。"),
        Action::ReplaceFru,
        "Xid 48 with 94 or 95, the uncorrected counter, a row to remap and a load thrown off are one event. In a new part one is enough.",
        &["NVIDIA Xid catalogue: 48, 63, 94, 95, 171"],
    ),
    new(
        "SRAM-THRESHOLD",
        ("On-chip memory errors over threshold", "オンチップメモリの閾値超過"),
        (
            "The GPU's on-chip memory has had more errors than the part's own threshold.",
            "GPU内蔵メモリのエラーが部品自身の閾値を超えた。",
        ),
        Action::ReplaceFru,
        "The flag stays over resets. Not the HBM: pattern tests of memory do not see it.",
        &["NVIDIA Xid catalogue: 172"],
    ),
    new(
        "SRAM-UNCORRECTABLE",
        ("Uncorrectable on-chip memory error", "オンチップメモリの訂正不能エラー"),
        (
            "The GPU's on-chip memory had an error that could not be corrected.",
            "GPU内蔵メモリで訂正不能エラーが発生した。",
        ),
        Action::ReplaceFru,
        "Xid 172 beside 48, or 94, 95 or 140 that name a cache or another unit of the die, without a row to remap. In a new part one is enough. A unit that was only handed broken data tells of neither memory: that is GPU-XID.",
        &["NVIDIA Xid catalogue: 48, 94, 95, 140, 172"],
    ),
];
