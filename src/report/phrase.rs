//! The catalogue: every phrase that people are told by reports, console and prompts, in all languages.
//!
//! A phrase without one of the languages does not compile. `{0}`, `{1}` stand for what is filled in.

use std::fmt::Display;

use super::language::Language;
use super::plain::plain;

macro_rules! phrases {
    ($($name:ident: $en:literal, $ja:literal;)*) => {
        /// Something that is said, in whichever language.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Phrase { $($name,)* }

        impl Phrase {
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The phrase as it stands, blanks unfilled.
            pub(crate) const fn say(self, language: Language) -> &'static str {
                match language {
                    Language::English => match self { $(Self::$name => $en,)* },
                    Language::Japanese => match self { $(Self::$name => $ja,)* },
                }
            }
        }
    };
}

impl Phrase {
    /// The phrase with its blanks filled in.
    pub(crate) fn with(self, language: Language, blanks: &[&dyn Display]) -> String {
        let mut text = String::new();
        let mut rest = self.say(language);
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let (number, after) = after.split_once('}').unwrap_or((after, ""));
            if let Some(blank) = number.parse().ok().and_then(|number: usize| blanks.get(number)) {
                // Names and serial numbers are other people's: no colour or command of a terminal comes in with them.
                text.push_str(&plain(&blank.to_string()));
            }
            rest = after;
        }
        text.push_str(rest);
        text
    }
}

phrases! {
    // Verdicts and outcomes.
    Pass: "PASS", "合格";
    Marginal: "MARGINAL", "合格(限界)";
    Waived: "WAIVED", "特採";
    Skipped: "SKIPPED", "対象外";
    NotReached: "NOT REACHED", "未実施";
    Inconclusive: "INCONCLUSIVE", "判定不能";
    Held: "HELD", "保留";
    Aborted: "ABORTED", "中断";
    Error: "ERROR", "試験エラー";
    Fail: "FAIL", "不合格";
    NothingJudged: "NOTHING JUDGED", "判定なし";
    CutShort: "CUT SHORT", "途中打切り";
    FlagMarginal: "marginal", "限界";
    FlagRetried: "retried", "再試行あり";
    FlagPartial: "partial run", "部分試験";
    FlagDeviating: "less was run than the profile stands for", "プロファイルの条件を満たさない試験";
    WithOneDeviation: "with 1 deviation", "(逸脱 1 件)";
    WithDeviations: "with {0} deviations", "(逸脱 {0} 件)";
    MeansMarginal: "every limit was met, at least one only just", "すべての規格を満たしましたが、余裕の少ない項目があります";
    MeansWaived: "every limit was judged, and met or waived", "すべての規格を判定し、満たすか特採としました";
    MeansPass: "every limit was judged and met", "すべての規格を判定し、満たしました";
    MeansDeviating: "every limit was met, but less was run than the profile stands for: no acceptance", "すべての規格を満たしましたが、プロファイルの条件を満たさない試験のため、受入判定ではありません";
    MeansFail: "the unit is proven bad", "不良を検出しました(装置不良)";
    MeansError: "no claim about the unit: the test itself had trouble", "試験側の問題のため、装置の良否は判定していません";
    MeansPartial: "only a part was run: no acceptance", "一部だけの試験のため、受入判定ではありません";
    MeansHeld: "every limit was met, but the unit is an outlier of its lot: not proven bad, and not to be shipped unseen", "すべての規格を満たしましたが、ロットの分布から外れています。不良とは判定できませんが、確認が済むまで出荷を保留してください";
    OutsideLot: "apart from its lot of {0} units ({1} to {2})", "ロット({0} 台)の範囲外({1} 〜 {2})";
    GuardBandIs: "guard band {0}", "ガードバンド {0}";
    FirstLot: "a first lot: no {0} units of its kind to compare with, so that physics and its own siblings alone have judged it", "初回ロット: 比べる同種の装置 {0} 台分のデータがないため、物理的な規格と同じ装置内のGPUとの比較だけで判定しました";
    MeansInconclusive: "the data cannot decide", "データからは良否を判定できません";
    MeansAborted: "stopped before its end: no claim about the unit", "途中で中断したため、装置の良否は判定していません";
    MeansNothing: "nothing was judged: no claim about the unit", "何も判定していません";
    // What to do.
    DoReseat: "power off, reseat the part and its cables, then test again", "電源を切り、部品とケーブルを挿し直して再試験する";
    DoReplace: "replace the part, keep it with this report, then test again", "部品を交換し、外した部品はこの報告書と共に保管して再試験する";
    DoCoolant: "check the fans of the zone, or coolant supply, flow and connections of the branch, then test again", "その系統のファン、または冷却液の供給・流量・接続を確認して再試験する";
    DoCooling: "check fans, ducts and coolant flow first, then that cold plate or heatsink sit flat and their screws and paste are right, then test again", "まずファン・ダクト・冷却液の流量、次にコールドプレートまたはヒートシンクの密着・ねじ・熱伝導材を確認して再試験する";
    DoPower: "check power cables, supplies and power limits, then test again", "電源ケーブル・電源ユニット・電力上限を確認して再試験する";
    DoReconfigure: "set the configuration the profile asks for, then test again", "プロファイルが求める設定に直して再試験する";
    DoFirmware: "install the firmware the profile asks for, then test again", "指定版のファームウェアを入れて再試験する";
    DoRetest: "test again with a longer profile: the evidence is too thin", "証拠が不十分。より長いプロファイルで再試験する";
    DoReset: "reset the GPU (`nvidia-smi -r`, or start the node again), then test again", "GPUをリセットし(`nvidia-smi -r`、またはノードの再起動)、再試験する";
    DoReboot: "start the node again, then test again", "ノードを再起動して再試験する";
    DoStation: "repair the test station: the unit is not to blame", "試験設備を直す。装置の不良ではない";
    DoEngineer: "call a test engineer", "試験技術者を呼ぶ";
    ConfidenceLow: "low", "低";
    ConfidenceMedium: "medium", "中";
    ConfidenceHigh: "high", "高";
    // How runs end and what they are.
    BySignal: "stopped by a signal", "操作により中断 (Ctrl-C)";
    ByKill: "stopped at once by a second signal", "2回目の操作により即時中断 (Ctrl-C)";
    Simulated: "SIMULATED: no hardware was tested (node {0}, seed {1}, faults: {2})", "シミュレーション: 実機は試験していません (ノード {0}, シード {1}, 故障: {2})";
    SimulatedShort: "SIMULATED", "シミュレーション";
    Replayed: "REPLAYED: no hardware was tested now (recording {0})", "再生: 実機は今回試験していません (記録 {0})";
    StandIn: "SIMULATED: no hardware was tested (the driver library {0} is a stand-in)", "シミュレーション: 実機は試験していません (ドライバーライブラリ {0} は代用品)";
    NoFaults: "none", "なし";
    NotAtEnd: "the run has not come to its end; `kiln resume` takes it up", "試験は終わっていません。`kiln resume` で再開できます";
    BootedBetween: "boots of the node while the run was interrupted: {0}", "中断中のノード起動回数: {0}";
    RestartedBetween: "restarts of the node that steps asked for: {0}", "工程の指示によるノード再起動回数: {0}";
    Restarts: "the node is started anew; once it is back, the run goes on with `kiln resume {0}`", "ノードを再起動する。起動後に `kiln resume {0}` で試験を続ける";
    StoppedAt: "stopped at {0}: {1}", "{0} に停止: {1}";
    EndAborted: "aborted", "中断した";
    EndStopped: "the run stopped: {0}", "試験が停止した: {0}";
    EndNotReached: "the run did not come to its end", "試験が最後まで終わっていない";
    EndByResult: "an earlier result ended the run", "先の結果により試験を終えた";
    // What a run cannot judge.
    NoteWord: "NOTE", "注意";
    NotJudgedFor: "{0} cannot be judged on {1}: {2}", "{1} の {0} は判定できない: {2}";
    JudgedByStandIn: "{0} of {1} is judged by less: {2}", "{1} の {0} は代わりの値で判定する: {2}";
    LacksMarginCall: "driver or part do not offer the distance to slowdown, so it is the absolute threshold less the temperature", "減速までの余裕を読めないため、絶対しきい値と温度の差を用いる";
    LacksMargin: "driver and part offer neither the distance to slowdown nor an absolute threshold", "減速までの余裕も絶対しきい値も読めない";
    LacksThrottleCounters: "the driver does not count the time slowed down, so it is summed from the reasons seen at each sample", "減速時間の計数がないため、標本ごとの減速理由から積算する";
    LacksThrottleTimes: "the driver tells neither the time slowed down nor the reasons", "減速時間も減速理由も読めない";
    LacksSramThreshold: "the driver does not tell whether the SRAM errors on record passed the part's threshold", "記録されたSRAMエラーがしきい値を超えたか読めない";
    LacksPcieErrors: "neither driver nor kernel count PCIe errors", "ドライバーもカーネルもPCIeエラーを計数しない";
    LacksLinkEnds: "the driver does not show what the NVLinks end at", "NVLinkの接続先が読めない";
    LacksKernels: "no kernel of this program runs on the part, so that every step with a load ends in ERROR", "このGPUで動くカーネルがなく、負荷をかける工程はすべてERRORになる";
    LacksSupplies: "the power supplies answer to the management controller alone, and nothing here asks it", "電源ユニットは管理コントローラーにのみ応答し、ここからは問い合わせない";
    // Counts.
    Passed: "{0} passed", "合格 {0}";
    Failed: "{0} failed", "不合格 {0}";
    WithErrors: "{0} with errors", "試験エラー {0}";
    WereHeld: "{0} held", "保留 {0}";
    WereInconclusive: "{0} inconclusive", "判定不能 {0}";
    WereWaived: "{0} waived", "特採 {0}";
    NotApplicable: "{0} not applicable", "対象外 {0}";
    WereNotReached: "{0} not reached", "未実施 {0}";
    NoCases: "no cases", "項目なし";
    OnePart: "1 part", "1 部品";
    Parts: "{0} parts", "{0} 部品";
    OneStep: "1 step", "1 工程";
    Steps: "{0} steps", "{0} 工程";
    AndMore: "(and {0} more)", "(ほか {0} 件)";
    AndMoreInFiles: "and {0} more; all are in result.json and junit.xml", "ほか {0} 件。すべて result.json と junit.xml にある";
    NearestToLimit: "{0}, nearest to its limit: {1} {2}", "{0}、余裕が最小の項目: {1} {2}";
    // Identity lines.
    ProfileRevision: "profile {0} revision {1}", "プロファイル {0} 改訂 {1}";
    SerialIs: "serial {0}", "製造番号 {0}";
    SlotIs: "slot {0}", "スロット {0}";
    StationIs: "station {0}", "試験ステーション {0}";
    Took: "took {0}", "所要 {0}";
    RunIs: "run {0}", "試験 {0}";
    RoundIs: " round {0}", " {0} 巡目";
    AttemptIs: " attempt {0}", " 試行 {0}";
    // Labels in front of a finding's lines; all as wide as the widest.
    LabelMeasured: "measured ", "測定値   ";
    LabelCause: "cause    ", "原因     ";
    LabelDo: "do       ", "処置     ";
    LabelAlso: "also on  ", "同様     ";
    LabelStep: "step     ", "工程     ";
    LabelGuard: "guard    ", "監視     ";
    LabelBecause: "because  ", "理由     ";
    LabelAmbiguous: "ambiguous", "候補     ";
    EvidenceOn: "{0} on {1}: {2}", "{0}, {1}: {2}";
    CauseWithConfidence: "{0} (confidence {1})", "{0} (確信度: {1})";
    AnyOf: "any of {0}", "{0} のいずれか";
    WasRunning: "{0} was running", "{0} の実行中";
    Unstable: "an earlier attempt failed and a later one passed: the unit is unstable", "前の試行で不合格、後の試行で合格。装置が不安定";
    // A value and its limit.
    LimitIs: "limit {0}", "規格 {0}";
    AtLeast: "at least {0}", "{0} 以上";
    AtMost: "at most {0}", "{0} 以下";
    FromTo: "{0} to {1}", "{0} ～ {1}";
    Unsupported: "unsupported", "非対応";
    MissingBecause: "missing: {0}", "欠測: {0}";
    ManyMissing: "{0} values missing: {1} ({2} and {3} more)", "{0} 項目が欠測: {1}（{2} ほか {3} 項目）";
    // The live console.
    Stopping: "STOPPING", "停止中";
    Resumed: "RESUMED", "再開";
    Guard: "GUARD", "監視による停止";
    Lost: "LOST", "応答なし";
    Running: "RUNNING", "実行中";
    LostText: "gpu/{0} does not answer", "gpu/{0} が応答しない";
    GuardOn: "{0} on {1}: {2}", "{0}, {1}: {2}";
    Note: "NOTE", "注記";
    NotedOn: "{0}: {1}", "{0}: {1}";
    ScreenExcludes: "{0}: nothing wrong on {1} GPUs in {2} products or more on each; wrong results rarer than 1 in 10^{3} products were not excluded (95 %), of a single SM that works alone rarer than 1 in 10^{4}.", "{0}: GPU {1} 台で、各 {2} 回以上の積和演算に誤りなし。10^{3} 回に1回より稀な誤りは除外できていない(信頼水準95 %)。単独で動作した1基のSMについては 10^{4} 回に1回より稀な誤り。";
    ScreenClocks: " Clocks that the GPUs chose came to {0} with one SM at work, {1} under the light load and {2} at full power.", "GPUが選んだクロックは、1基のSMのみの動作時 {0}、軽負荷時 {1}、最大電力時 {2} であった。";
    ScreenHeld: " At a held clock of {0}: rarer than 1 in 10^{1}, of a single SM rarer than 1 in 10^{2}.", "{0} に固定したクロックでは、10^{1} 回に1回、1基のSMについては 10^{2} 回に1回より稀な誤り。";
    ScreenUnheld: " Not screened at {0} of the greatest SM clock (GPUs: {1}): {2}.", "最大SMクロックの {0} では、GPU {1} 台を選別試験できていない: {2}。";
    ScreenNoSetting: "the part or its driver has no such setting", "このGPUまたはドライバーにはその設定がない";
    HostLate: "HOST LATE", "遅延";
    HostWasLate: "{0}: the host took {1} of {2} samples that were due, the latest {3} late", "{0}: 予定{2}回のうち{1}回を採取、最大{3}の遅れ";
    Remarks: "Remarks", "注記";
    MoreFindings: "and {0} more findings above", "ほか {0} 件は上に示す";
    CutAndAgain: "{0} cut short and to be run again", "{0}が途中で切れたため、やり直す";
    Progress: "{0} of about {1}, {2} done", "{0} / 約 {1}、{2}完了";
    ProgressFailed: ", {0} failed", "、不合格 {0}";
    ProgressTrouble: ", {0} without result", "、結果なし {0}";
    OfAbout: " of about {0}", " / 約 {0}";
    PhaseRunning: "running", "実行中";
    PhaseSettling: "settling", "安定待ち";
    PhaseWarming: "warming up", "ウォームアップ中";
    PhaseMeasuring: "measuring", "測定中";
    PhaseCooling: "cooling down", "冷却中";
    PhaseWaiting: "waiting", "待機中";
    Hottest: "gpu/{0} hottest at {1} °C, {2} W together", "最高温は gpu/{0} の {1} °C、合計 {2} W";
    NoTemperatures: "no temperatures", "温度なし";
    // Told by the command line.
    YesOrNo: "[y/n]", "[y: はい / n: いいえ]";
    FirstSignal: "stopping: loads are being stopped and the teardown runs; once more to kill the loads", "停止します。負荷を止め、後始末をしています。もう一度で負荷を強制終了します";
    SecondSignal: "killing the loads; once more to leave at once", "負荷を強制終了します。もう一度で直ちに終了します";
    ThirdSignal: "leaving", "終了します";
    FilesAre: "journal and reports: {0}", "記録と報告書: {0}";
    // Pages: headings and labels.
    WhatToDo: "What to do", "処置";
    Components: "Components", "構成部品";
    OverTime: "Over time", "時間変化";
    PulseResponse: "Pulse response", "パルス応答";
    CoolingAndLinks: "Cooling and links", "放熱とリンク";
    Measurements: "Measurements", "測定値";
    Provenance: "Provenance", "試験条件・トレーサビリティ";
    Events: "Events", "イベント";
    NoEvents: "no guard tripped, nothing was lost, no error in the kernel log", "監視による停止、応答喪失、カーネルログのエラーなし";
    KernelLog: "kernel log", "カーネルログ";
    WrongResults: "wrong results", "計算結果の誤り";
    LoadFailed: "load failed", "負荷の失敗";
    Time: "time", "時刻";
    What: "what", "内容";
    Component: "component", "部品";
    AsRecorded: "as recorded", "記録の原文";
    Result: "result", "結果";
    Slot: "slot", "スロット";
    Serial: "serial", "製造番号";
    Model: "model", "型名";
    PartNumber: "part number", "部品番号";
    Firmware: "firmware", "ファームウェア";
    PciAddress: "PCI address", "PCIアドレス";
    NoInventory: "the run ended before the inventory was read", "構成を読む前に試験が終わった";
    Profile: "profile", "プロファイル";
    Begun: "begun", "開始";
    Duration: "duration", "所要時間";
    Station: "station", "試験ステーション";
    Operator: "operator", "作業者";
    Order: "order", "作業指示番号";
    WithConfidence: "(confidence {0})", "(確信度: {0})";
    Lacking: "Missing data:", "データの欠落:";
    NoTelemetry: "There are no readings over time: telemetry is missing or cannot be read.", "時系列データがない。テレメトリが無いか、読めない。";
    NoReadings: "no readings", "測定値なし";
    GpuTemperature: "GPU temperature", "GPU温度";
    TemperatureMargin: "Margin to slowdown", "減速までの余裕";
    UnjudgedParts: "{0} parts that no limit is about", "判定対象外の部品 {0} 件";
    PassedOf: "{0} passed", "合格 {0}";
    NotReachedOf: "{0} not reached", "未実施 {0}";
    FilterRows: "filter: gpu/3, power, FAIL ...", "絞り込み: gpu/3、power、不合格 …";
    MemoryTemperature: "Memory temperature", "メモリ温度";
    InletTemperature: "Inlet temperature", "入口温度";
    Power: "Power", "電力";
    SmClock: "SM clock", "SMクロック";
    ThrottleReasons: "Why clocks were held down", "クロック抑制の理由";
    ReasonHwThermal: "hardware thermal", "ハードウェア温度";
    ReasonBrake: "power brake", "電源保護による減速(パワーブレーキ)";
    ReasonSwThermal: "software thermal", "ソフトウェア温度";
    ReasonHwSlowdown: "hardware slowdown", "ハードウェア減速";
    ReasonPowerCap: "power cap (usual at full load)", "電力上限 (全負荷では通常)";
    ReasonSet: "clock setting", "クロック設定";
    ReasonIdle: "idle", "待機";
    ErrorsOverTime: "Errors as they were counted", "エラー数の推移";
    NoErrors: "no counter of errors moved", "エラー数は増えていない";
    AllGpus: "all GPUs", "全GPU";
    MostGpus: "10 % to 90 %", "10 %～90 %";
    Median: "median", "中央値";
    Apart: "named by a finding, or far from the others", "検出内容のあるGPU、離れたGPU";
    PowerInPulse: "Power in the pulse step", "パルス工程の電力";
    ClockInPulse: "SM clock in the pulse step", "パルス工程のSMクロック";
    PowerSwing: "Swing of power in the pulse step", "パルス工程の電力振幅";
    ResistancePerSlot: "Thermal resistance by slot", "スロット別の熱抵抗";
    PairMatrix: "Bandwidth from row to column", "行から列への帯域";
    LinkMatrix: "NVLinks as the driver reports them, by link number", "ドライバーが示すNVLink (リンク番号別)";
    Measurement: "measurement", "測定項目";
    Limit: "limit", "規格";
    Peers: "peers: median", "同種部品の中央値";
    Margin: "margin", "余裕";
    Value: "value", "値";
    NoLimit: "–", "–";
    NotDecisive: "not decisive", "判定対象外";
    WorstOfRounds: "each part's worst of {0} rounds", "部品ごとに {0} 巡のうち最悪の値";
    AllAlike: "all {0}", "全 {0}";
    AllValues: "all {0} values", "全 {0} 値";
    SeeMatrix: "{0} values: see the matrix", "{0} 値: マトリクスを参照";
    RunId: "run", "試験番号";
    PartsDigest: "parts list digest", "部品表のハッシュ値";
    Digest: "profile digest", "プロファイルのハッシュ値";
    Variables: "variables", "変数";
    Deviations: "deviations", "逸脱";
    NoDeviations: "none", "なし";
    WithoutOfParent: "left out of the parent", "親プロファイルから省いた工程";
    Kind: "kind", "種別";
    Tool: "tool", "試験プログラム";
    Source: "readings from", "測定値の取得元";
    Hardware: "hardware", "実機";
    Seed: "seed of the loads", "負荷のシード";
    ScannedSerial: "scanned serial", "読取製造番号";
    NotGiven: "not given", "指定なし";
    Waivers: "waivers", "特採";
    Driver: "driver", "ドライバー";
    Libraries: "driver libraries", "ドライバーのライブラリ";
    HostRoot: "files of the host", "ホストのファイル";
    TakenFrom: "taken from elsewhere: {0}={1}", "通常と異なる場所から読込: {0}={1}";
    Cuda: "CUDA", "CUDA";
    Bios: "BIOS", "BIOS";
    Hostname: "host name", "ホスト名";
    BootId: "boot id", "起動ID";
    CpuModel: "CPU", "CPU";
    ClockSource: "clock source", "時計の種類";
    GpuFirmware: "GPU firmware", "GPUファームウェア";
    LastEvent: "last event", "最後のイベント";
    RunClock: "run clock at the end", "終了時の試験時計";
    Resumes: "resumes", "再開回数";
    RestartsAsked: "restarts by steps", "工程による再起動回数";
    Boots: "boots while interrupted", "中断中の起動回数";
    // Pages of several runs.
    DiffTitle: "Two runs side by side", "2回の試験の比較";
    StatsTitle: "Statistics of a lot", "ロットの統計";
    RejudgeTitle: "Judged again", "再判定";
    BaselineTitle: "Baseline", "基準値";
    JudgedOtherwise: "Judged otherwise", "判定が異なる";
    OtherValues: "Judged alike, other values", "判定は同じ、値が異なる";
    OnlyInOne: "In one run only", "一方の試験のみ";
    OtherProfiles: "the profiles are not the same: limits and parameters may differ", "プロファイルが異なるため、規格やパラメータが違う場合がある";
    LaidOver: "Laid over each other", "重ね書き";
    LaidOverNote: "A and B: all GPUs of each run, and the median", "AとB: 各試験の全GPUの範囲と中央値";
    EachGpu: "Each GPU: A and B", "GPU別: AとB";
    Change: "change", "変化";
    Run: "run", "試験";
    Findings: "findings", "検出内容";
    Step: "step", "工程";
    Before: "before", "前";
    After: "after", "後";
    Nothing: "none", "なし";
    Runs: "runs", "試験数";
    Units: "units", "台数";
    LeftOut: "left out", "除外";
    Yield: "Yield", "歩留り";
    Attempt: "attempt", "試行";
    PassedUnits: "passed", "合格";
    Percent: "share", "割合";
    AtLast: "at last", "最終";
    Pareto: "Findings by number", "検出内容の件数順";
    Places: "where", "部品";
    Distributions: "Measurements with a limit, first run of every unit", "規格のある測定値 (各装置の初回)";
    Distribution: "least, 5 %, median, 95 %, greatest", "最小・5 %・中央値・95 %・最大";
    Histogram: "Histogram", "ヒストグラム";
    RunChart: "Run chart", "ランチャート";
    Interval95: "95 % interval", "95 % 信頼区間";
    Moved: "{0} in a row on one side of the median", "中央値の同じ側に {0} 台連続";
    Cpk: "Cpk", "Cpk";
    NoCpk: "no Cpk: {0}", "Cpkなし: {0}";
    Outliers: "Units apart from the lot", "ロットから離れた装置";
    Deviation: "median deviation", "中央絶対偏差";
    Unreadable: "could not be read", "読めなかった試験";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn blanks(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(number, _)| number).collect()
    }

    #[test]
    fn every_phrase_is_there_in_all_languages_with_the_same_blanks() {
        for phrase in Phrase::ALL {
            let (en, ja) = (phrase.say(Language::English), phrase.say(Language::Japanese));
            assert!(!en.trim().is_empty() && !ja.trim().is_empty(), "{phrase:?}");
            assert_eq!(blanks(en), blanks(ja), "{phrase:?}");
            let japanese = ja.chars().any(|letter| letter > '\u{3000}');
            let letters = en.chars().any(|letter| letter.is_ascii_alphabetic() && !en.contains("{0}, {1}"));
            assert!(japanese || !letters || SAME_IN_BOTH.contains(&en), "{phrase:?} is not Japanese: {ja}");
            assert!(en.is_ascii() || !en.chars().any(|letter| letter > '\u{3000}'), "{phrase:?} is not English: {en}");
        }
    }

    /// Names and units that Japanese writes as English does.
    const SAME_IN_BOTH: &[&str] = &["CUDA", "BIOS", "CPU", "Cpk", "{0} on {1}: {2}"];

    #[test]
    fn labels_are_equally_wide_in_every_language() {
        use Phrase::{LabelAmbiguous, LabelBecause, LabelCause, LabelDo, LabelGuard, LabelMeasured, LabelStep};
        for language in Language::ALL {
            for label in [LabelMeasured, LabelCause, LabelDo, LabelStep, LabelGuard, LabelBecause, LabelAmbiguous] {
                assert_eq!(unicode_width::UnicodeWidthStr::width(label.say(language)), 9, "{label:?}");
            }
        }
    }

    #[test]
    fn blanks_are_filled_by_number_and_what_fills_them_is_left_alone() {
        assert_eq!(Phrase::StoppedAt.with(Language::Japanese, &[&"00:01:00", &"{0}"]), "00:01:00 に停止: {0}");
        assert_eq!(Phrase::Parts.with(Language::English, &[&8]), "8 parts");
    }
}
