//! What the error codes of the CUDA driver mean here, and what to do about them.
//!
//! The numbers are those of the driver's header, `cuda.h`.

/// What a code means, in English and in Japanese.
#[must_use]
pub const fn meaning(code: i32) -> (&'static str, &'static str) {
    match code {
        1 => (
            "an argument was refused; this is a defect of this program",
            "引数が拒否された。本プログラムの不具合である",
        ),
        2 => ("out of GPU memory", "GPUメモリが不足している"),
        3 | 4 => ("the driver is not running in this process", "このプロセスでドライバーが動作していない"),
        34 => (
            "the library is a stub for linking, not a driver; take the toolkit's stubs out of the library path",
            "リンク用のスタブであり、ドライバーではない。ツールキットのstubsをライブラリのパスから外す",
        ),
        46 => (
            "the GPU is taken: it is in exclusive mode and another process has it, or use is prohibited",
            "GPUが占有されている: 排他モードで他のプロセスが使用中か、使用が禁止されている",
        ),
        100 => ("the driver sees no GPU", "ドライバーからGPUが見えない"),
        101 => ("there is no such GPU any more", "そのGPUはもうない"),
        200 | 209 => ("the driver does not take this kernel image", "ドライバーがこのカーネルイメージを受け付けない"),
        222 => (
            "the driver is too old for the kernels; install release 535 or later",
            "ドライバーが古すぎる。リリース535以降を入れる",
        ),
        214 => (
            "an uncorrectable memory error (ECC) hit the running kernel",
            "実行中のカーネルで訂正不能メモリエラー (ECC) が起きた",
        ),
        220 => ("an uncorrectable NVLink error hit the running work", "実行中に訂正不能NVLinkエラーが起きた"),
        500 => (
            "the kernel image lacks a kernel; this is a defect of this program",
            "カーネルイメージにカーネルがない。本プログラムの不具合である",
        ),
        700 => ("a kernel used an address that is not mapped", "カーネルが割り当てのないアドレスを使用した"),
        701 => (
            "a kernel needs more registers or threads than there are",
            "カーネルに必要なレジスターまたはスレッドが足りない",
        ),
        702 => {
            ("the driver stopped a kernel for running too long", "実行時間が長すぎるためドライバーがカーネルを止めた")
        }
        716 => ("a kernel used a misaligned address", "カーネルが境界に合わないアドレスを使用した"),
        715 => ("a kernel hit an instruction the GPU calls illegal", "GPUが不正とする命令をカーネルが実行した"),
        719 => (
            "a kernel failed on the GPU; the kernel log may name an Xid",
            "カーネルがGPU上で失敗した。カーネルログにXidがある可能性がある",
        ),
        721 => ("the GPU contained an error and must be reset", "GPUがエラーを封じ込めた。リセットが必要である"),
        801 => ("this GPU or driver cannot do that", "このGPUまたはドライバーでは行えない"),
        802 => (
            "the system is not ready: start nvidia-fabricmanager and wait until the fabric is up",
            "システムの準備ができていない。nvidia-fabricmanagerを起動し、ファブリックの準備を待つ",
        ),
        803 => (
            "library and kernel driver are of different versions; reboot or reload the driver",
            "ライブラリとカーネルドライバーの版が異なる。再起動するかドライバーを再読込みする",
        ),
        999 => (
            "the driver reports an unknown error; the kernel log may name an Xid",
            "ドライバーが不明なエラーを報告した。カーネルログにXidがある可能性がある",
        ),
        _ => ("see the driver's list of errors", "ドライバーのエラー一覧を参照"),
    }
}
