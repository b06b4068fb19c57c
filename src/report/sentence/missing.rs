//! Why a value is missing, and what a limit lacks to be judged by.

use super::load_fault::note_fact;
use super::program::unproven;
use super::{failure, gpus, seconds};
use crate::language::Language;
use kiln_limit::{Missing, NoReference, Setting};
use kiln_model::{LoadEnd, Source, SourceTrouble};

sentences! {
/// Why there is no value.
pub fn missing(language, Missing) {
    Missing::NotGiven =>
        "the check gave no such value",
        "検査から値が得られなかった";
    Missing::NotFinite =>
        "the result is not a finite number",
        "計算結果が有限の数にならない";
    Missing::NeverRead =>
        "it could not be read",
        "読み取れない";
    Missing::NoLongerOffered =>
        "it could be read when the run began, and now cannot",
        "試験開始時は読み取れたが、今は読み取れない";
    Missing::PowerLimitsUnread =>
        "the power limits could not be read",
        "電力上限を読み取れない";
    Missing::ClockReasonsUnread =>
        "clock event reasons could not be read",
        "クロック抑制の理由を読み取れない";
    Missing::NotListed =>
        "the driver does not list the part any more",
        "ドライバーの一覧から部品が消えた";
    Missing::NotTold { param } =>
        "`{param}` is given, and the node does not tell of it",
        "`{param}` の指定があるが、ノードからは読み取れない";
    Missing::GpuLost { at } =>
        "the GPU stopped answering at {at}",
        "GPUが {at} に応答しなくなった";
    Missing::PeerLost { gpu }, gpu = gpus(&[*gpu]) =>
        "{gpu} no longer answers",
        "{gpu} が応答しない";
    Missing::NoPartner =>
        "there is no partner left",
        "通信相手のGPUが残っていない";
    Missing::NoOtherGpu =>
        "there is no other GPU",
        "ほかのGPUがない";
    Missing::FailedReadings { failed, of } =>
        "{failed} of {of} readings failed",
        "{of} 回の読取りのうち {failed} 回が失敗";
    Missing::Coverage { readings, covered, window }, covered = seconds(*covered), window = seconds(*window) =>
        "{readings} good readings cover {covered} of {window}",
        "有効な読取り {readings} 回が {window} のうち {covered} しか覆わない";
    Missing::FewReadings { readings, least } =>
        "{readings} good readings in the window, {least} are needed: measure for longer",
        "窓内の有効な読取りは {readings} 回だけで、{least} 回必要。測定時間を延ばすこと";
    Missing::CoverageTogether { covered, window }, covered = seconds(*covered), window = seconds(*window) =>
        "power and energy were read together for {covered} of {window}",
        "電力と電力量を共に読み取れたのは {window} のうち {covered} だけ";
    Missing::TrafficCoverage { samples, covered, traffic }, covered = seconds(*covered), traffic = seconds(*traffic) =>
        "{samples} samples tell of {covered} of {traffic} of traffic",
        "標本 {samples} 個が通信時間 {traffic} のうち {covered} しか覆わない";
    Missing::NoStatistic =>
        "the readings allow no such statistic",
        "読み取った値からは統計値を計算できない";
    Missing::NoReadingUnderLoad =>
        "no reading under load",
        "負荷中の読取りがない";
    Missing::NoSampleInPulses =>
        "no sample during the pulses",
        "パルス中の標本がない";
    Missing::CountersUnread =>
        "the GPU's counters were not read",
        "GPUのカウンターを読み取れなかった";
    Missing::FirstLook =>
        "this is the run's first look at the counters",
        "この試験で最初のカウンター読取りである";
    Missing::CounterNeverRead =>
        "the counter was never read",
        "カウンターを一度も読み取れなかった";
    Missing::CounterReadOnce =>
        "the counter was read only once",
        "カウンターを一度しか読み取れなかった";
    Missing::CounterUnreadAtEnd =>
        "the counter could not be read at the end",
        "終了時にカウンターを読み取れなかった";
    Missing::CounterReadAtOneEnd =>
        "the counter could be read only at one end",
        "カウンターを開始時か終了時の一方でしか読み取れなかった";
    Missing::CounterCoverage { seen, window }, seen = seconds(*seen), window = seconds(*window) =>
        "the counter was read over {seen} of {window}",
        "カウンターを読み取れたのは {window} のうち {seen} だけ";
    Missing::CounterBackwards =>
        "the counter went backwards: the driver was reloaded or the GPU was reset",
        "カウンターが減った: ドライバーの再読込かGPUのリセットがあった";
    Missing::CounterFull { at } =>
        "the counter stands at {at}, the highest it can show; clear it and run again",
        "カウンターが表示できる最大値 {at} に達している。クリアして再実行する";
    Missing::LinkIsNew =>
        "the link was not there at the first look",
        "最初の読取り時にはリンクがなかった";
    Missing::LoadSilent { told, window }, told = seconds(*told), window = seconds(*window) =>
        "the load told of its work for {told} of {window}",
        "負荷の報告があったのは {window} のうち {told} だけ";
    Missing::LoadNeverReported =>
        "the load never reported",
        "負荷から一度も報告がなかった";
    Missing::ForeignProcess =>
        "a process that is not the test's came to the GPU while the load ran",
        "負荷の実行中に試験と無関係なプロセスがGPUを使い始めた";
    Missing::SlowerKernel { note }, note = note_fact(language, note) =>
        "not our best kernel: {note}",
        "最速のカーネルではない: {note}";
    Missing::NothingCompared =>
        "no result was compared",
        "計算結果を一つも照合していない";
    Missing::NoCopyTimed =>
        "no copy was timed",
        "計時できたコピーがない";
    Missing::NoTrafficTold =>
        "no traffic to some partner was reported",
        "通信の報告がない相手がある";
    Missing::NoPassFinished =>
        "no pass over the memory was finished",
        "メモリを一巡できなかった";
    Missing::MarchUnfinished =>
        "the march did not come to an end",
        "メモリ試験が終わらなかった";
    Missing::ScreenUnfinished =>
        "the screen did not come to an end",
        "SMの選別試験が終わらなかった";
    Missing::NotOffered =>
        "the program does not offer it",
        "プログラムがこの値を出さない";
    Missing::NoSpeedShown =>
        "it showed no speed",
        "速度の出力がない";
    Missing::NoValueChecked =>
        "no value was checked",
        "値を一つも照合していない";
    Missing::SilentOn { gpus }, gpus = self::gpus(gpus) =>
        "its output says nothing of {gpus}",
        "出力に {gpus} の結果がない";
    Missing::NotInReport { pointer } =>
        "the report has no `{pointer}`",
        "レポートに `{pointer}` がない";
    Missing::NotANumber { pointer, found } =>
        "`{pointer}` is {found}, not a number",
        "`{pointer}` の `{found}` は数ではない";
    Missing::NoReferenceTemperature =>
        "neither an inlet temperature nor an idle state to refer to",
        "基準にする入口温度も待機状態もない";
    Missing::NoIdleState =>
        "no idle state to refer to",
        "基準にする待機状態がない";
    Missing::LittlePower { watts } =>
        "{watts:.0} W of load are too little to tell it by",
        "負荷の電力 {watts:.0} W では小さすぎて求められない";
    Missing::NeverSteady =>
        "the temperature never stood still",
        "温度が安定しなかった";
    Missing::HardlyWarmer =>
        "the GPU was hardly warmer than at the end",
        "GPUの温度が終了時とほとんど変わらない";
    Missing::NeverBusy =>
        "the GPU was never busy",
        "GPUが一度も動作していない";
    Missing::BusyFor { busy }, busy = seconds(*busy) =>
        "the GPU was under load for {busy} only",
        "GPUの負荷時間が {busy} しかない";
    Missing::LoadUnchanged { samples } =>
        "the load did not change over {samples} samples",
        "標本 {samples} 個の間、負荷が変わらなかった";
    Missing::CauseUnchanged =>
        "what it follows did not change enough",
        "追従する元の値が十分に変化しなかった";
    Missing::ClockNotKept { held, mean } =>
        "the SM clock was to be held at {held:.0} MHz and ran at {mean:.0} MHz",
        "SMクロックを {held:.0} MHz に固定したはずが {mean:.0} MHz で動作した";
    Missing::ClockCeilingUnknown =>
        "the greatest clock is not known",
        "最大クロックが不明";
    Missing::NvlinkCountUnknown =>
        "the model's number of NVLinks is not known",
        "この型名のNVLinkの本数が不明";
    Missing::NvlinkSpeedUnknown =>
        "the speed of the model's NVLinks is not known",
        "この型名のNVLinkの速度が不明";
    Missing::NoNvlinkActive =>
        "no NVLink is active",
        "有効なNVLinkがない";
    Missing::GpuCountAmbiguous { sold, found }, sold = sold.iter().map(u32::to_string).collect::<Vec<_>>().join(", ") =>
        "this model is sold with {sold} GPUs in a node and {found} were found: say with gpus how many there must be",
        "この型名のノードにはGPUが {sold} 台の構成があり、{found} 台が見つかった。あるべき台数を `gpus` で指定する";
    Missing::GpuCountUnknown =>
        "how many GPUs there should be is not known: the model is unknown and gpus is not given",
        "あるべきGPUの台数が不明: 型名が不明で `gpus` の指定もない";
    Missing::ForeignBus =>
        "none of the driver's GPUs is on the PCI bus that this process sees: it is not this machine's bus",
        "ドライバーのGPUが一つも、このプロセスから見えるPCIバスにない: この装置のバスではない";
    Missing::KernelLogGaps =>
        "records of the kernel log were lost",
        "カーネルログの一部の記録が失われた";
} {
    Missing::Read(why) => failure(language, *why);
    Missing::SettingUnread { setting, failure: why } => format!("{}: {}", self::setting(language, *setting), failure(language, *why));
    Missing::LoadEnded(end) => load_end(language, end);
    Missing::KernelLogUnread(trouble) => kernel_log(language, *trouble);
    Missing::SourceGone { source, trouble } => gone(language, *source, *trouble);
    Missing::Program(why) => unproven(language, why);
    Missing::Legacy(text) => text.clone();
}
}

/// Why a load that was to run until stopped is over.
pub(super) fn load_end(language: Language, end: &LoadEnd) -> String {
    match end {
        LoadEnd::Finished | LoadEnd::Stopped => {
            say!(language, "the load ended before the window was over", "測定時間が終わる前に負荷が終わった")
        }
        LoadEnd::GpuLost => say!(language, "the GPU went away under the load", "負荷中にGPUが応答しなくなった"),
        LoadEnd::Failed(why) => {
            let why = super::load_fault(language, why);
            say!(language, "the load failed: {why}", "負荷が失敗した: {why}")
        }
        LoadEnd::Unkillable => {
            say!(language, "the load does not die: the driver holds it", "負荷を終了できない: ドライバーが保持している")
        }
    }
}

fn setting(language: Language, setting: Setting) -> &'static str {
    match (language, setting) {
        (Language::English, setting) => setting.name(),
        (Language::Japanese, Setting::Ecc) => "ECC",
        (Language::Japanese, Setting::EccAfterReset) => "リセット後のECC",
        (Language::Japanese, Setting::Mig) => "MIG",
        (Language::Japanese, Setting::MigAfterReset) => "リセット後のMIG",
        (Language::Japanese, Setting::Persistence) => "永続モード",
        (Language::Japanese, Setting::ComputeMode) => "計算モード",
        (Language::Japanese, Setting::PowerLimit) => "電力上限",
        (Language::Japanese, Setting::ApplicationClock) => "アプリケーションクロック",
    }
}

/// Why the kernel log says nothing, and what to do.
fn kernel_log(language: Language, trouble: SourceTrouble) -> String {
    let why = match trouble {
        SourceTrouble::Absent => say!(
            language,
            "there is no /dev/kmsg; run on the host, or give the container the device (`--device /dev/kmsg`)",
            "/dev/kmsg がない。ホスト上で実行するか、コンテナにデバイスを渡す (`--device /dev/kmsg`)",
        ),
        SourceTrouble::NoPermission => say!(
            language,
            "no permission; run as root, or give the container the capability SYSLOG",
            "権限がない。rootで実行するか、コンテナにSYSLOG権限を与える",
        ),
        SourceTrouble::Directory => say!(
            language,
            "/dev/kmsg is a folder; give the container the device (`--device /dev/kmsg`)",
            "/dev/kmsg がフォルダーになっている。コンテナにデバイスを渡す (`--device /dev/kmsg`)",
        ),
        SourceTrouble::OtherKind => say!(
            language,
            "/dev/kmsg is another device, or a file without a record; give the container the kernel's own (`--device /dev/kmsg`)",
            "/dev/kmsg が別のデバイスか、記録のないファイルである。コンテナにカーネルのものを渡す (`--device /dev/kmsg`)",
        ),
        SourceTrouble::Failed(code) => say!(
            language,
            "reading failed with error {code}; see whether `dmesg` works",
            "読取りがエラー {code} で失敗した。`dmesg` が動くか確認する",
        ),
        SourceTrouble::ReaderGone => {
            say!(language, "its reader stopped; test again", "読取り処理が止まった。再試験する")
        }
        SourceTrouble::Replaced => {
            say!(
                language,
                "/dev/kmsg was cut or replaced; test again",
                "/dev/kmsg が切り詰められたか置き換えられた。再試験する"
            )
        }
        SourceTrouble::NotTold => say!(
            language,
            "nothing tells whether it was followed; record it again",
            "追跡していたか記録がない。記録し直す",
        ),
    };
    say!(language, "the kernel log could not be read: {why}", "カーネルログを読み取れない: {why}")
}

fn gone(language: Language, source: Source, trouble: SourceTrouble) -> String {
    let what = match source {
        Source::KernelLog => say!(language, "the kernel log", "カーネルログ"),
        Source::DriverEvents => say!(language, "the driver's event channel", "ドライバーのイベント通知"),
        Source::MemoryControllers => {
            say!(language, "the counters of the memory controllers", "メモリコントローラーのカウンター")
        }
        Source::PcieCounters => {
            say!(language, "the error counters of PCIe devices", "PCIeデバイスのエラーカウンター")
        }
        Source::PciBus => say!(language, "the PCI bus under /sys", "/sys のPCIバス"),
        Source::Infiniband => say!(language, "the network ports under /sys", "/sys のネットワークポート"),
    };
    let why = match trouble {
        SourceTrouble::NoPermission => say!(language, "permission was taken away", "権限がなくなった"),
        SourceTrouble::Failed(code) => {
            say!(language, "reading failed with error {code}", "読取りがエラー {code} で失敗した")
        }
        _ => say!(language, "it went away", "なくなった"),
    };
    say!(
        language,
        "{what} could no longer be read: {why}; see what was unloaded or unmounted, and test again",
        "{what}が途中から読み取れない: {why}。アンロードやアンマウントがなかったか確認し、再試験する",
    )
}

/// What a relative limit lacks.
pub fn no_reference(language: Language, what: &NoReference) -> String {
    match what {
        NoReference::Sku(fact) => format!("sku.{fact}"),
        NoReference::SkuUnit { fact, unit } => say!(language, "sku.{fact} in {unit}", "{unit} 単位の sku.{fact}"),
        NoReference::Peers => say!(language, "peers", "同種の部品"),
        NoReference::Baseline => say!(language, "baseline", "基準値"),
        NoReference::First => say!(language, "first value", "初回の値"),
        NoReference::Lot => say!(language, "lot", "ロットの値"),
        NoReference::TermUnit { term, unit } => say!(language, "{term} in {unit}", "{unit} 単位の {term}"),
        NoReference::NotFinite { term } => say!(language, "a finite value for {term}", "{term} の有限の値"),
        NoReference::EmptyRange { low, high } => say!(
            language,
            "a range that is not empty: {low} is more than {high}",
            "空でない範囲 (下限 {low} が上限 {high} を超える)",
        ),
        NoReference::Pattern(pattern) => say!(language, "pattern {pattern}", "正規表現 {pattern}"),
        NoReference::Legacy(text) => text.clone(),
    }
}
