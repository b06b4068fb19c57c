//! Why a case says what it says, and who interrupted a run.

use super::evidence::trip_cause;
use super::gpu_work::wrong_place;
use super::load_fault::absent;
use super::missing::{load_end, missing, no_reference};
use super::program::unreadable;
use crate::language::Language;
use crate::phrase::Phrase;
use crate::{value, words};
use kiln_event::{
    BadParameter, GuardStop, Halted, Interruption, LoadTrouble, Outcome, ProgramTrouble, Reason, RestartTrouble,
    Restless, RunFailure,
};
use kiln_limit::{Judged, Judgement, Measured, Unjudged, WaiverUse};
use kiln_model::{GpuIndex, RestartRefusal, Unanswered, Unreadable, format_span};
use kiln_plan::Unmet;
use kiln_profile::Capability;

sentences! {
/// Why a case has its outcome.
pub fn reason(language, Reason) {
    Reason::Alike { judgement, parts }, value = value::sentence_in(language, judgement) =>
        "{value}; all {parts} parts alike, so it is none of them alone",
        "{value}。{parts} 部品すべてが同様のため、特定の部品の不良ではない";
    Reason::NotMeasured(judgement), name = &judgement.measurement.name, why = unmeasured(language, judgement) =>
        "`{name}` was not measured: {why}",
        "`{name}` は測定できなかった: {why}";
    Reason::Unsupported(judgement), name = &judgement.measurement.name =>
        "`{name}` is not supported by this part, and the profile requires it",
        "`{name}` はこの部品では測定できないが、プロファイルが求めている";
    Reason::NoReference(judgement),
            name = &judgement.measurement.name,
            limit = judgement.limit.as_deref().unwrap_or_default(),
            what = lacking(language, judgement) =>
        "`{name}` has limit `{limit}`, and there is no {what} to compare with",
        "`{name}` の規格 `{limit}` と比べる値がない: {what}";
    Reason::NoLimit =>
        "no limit applied, so nothing was judged",
        "適用できる規格がなく、何も判定していない";
    Reason::Lost { at } =>
        "the GPU no longer answers since {at}",
        "GPUが {at} から応答しない";
    Reason::Mismatch { at, mismatch }, place = wrong_place(language, &mismatch.place) =>
        "wrong result from {place} at {at}",
        "{at} に {place} の計算結果に誤り";
    Reason::Trip { guard, cause }, cause = trip_cause(language, cause) =>
        "guard `{guard}`: {cause}",
        "監視 `{guard}`: {cause}";
    Reason::Timeout { after }, after = format_span(*after) =>
        "the step was not done after {after}",
        "工程が {after} を過ぎても終わらなかった";
    Reason::Unkillable =>
        "the load does not die: the driver holds it; the GPUs may still be under load",
        "負荷を終了できない: ドライバーが保持している。GPUにまだ負荷がかかっている可能性がある";
    Reason::NobodyAsked =>
        "nobody could be asked: there is no terminal to answer at",
        "質問に答える端末がなく、確認できない";
    Reason::Restless { gpus }, gpus = restless(language, gpus) =>
        "the node did not come to rest: {gpus}",
        "ノードが安定しない: {gpus}";
    Reason::Load(LoadTrouble::NotRunning { after }), after = super::seconds(*after) =>
        "the load was not running {after} after its start",
        "負荷が開始から {after} を過ぎても動作していない";
    Reason::Load(LoadTrouble::CopiesUnfinished { after }), after = super::seconds(*after) =>
        "a round of copies was not done after {after}",
        "一巡のコピーが {after} を過ぎても終わらなかった";
    Reason::Program { program, trouble: ProgramTrouble::Overdue { after, printed } },
            after = format_span(*after),
            printed = printed_words(language, printed.as_deref()) =>
        "`{program}` still ran after {after} and was stopped; {printed}",
        "`{program}` が {after} を過ぎても終わらず停止した。{printed}";
    Reason::Program {
        program,
        trouble: ProgramTrouble::Unreadable { exit, why: why @ (Unreadable::Refused { .. } | Unreadable::Exit { .. }), printed },
    },
            exit = exit_code(language, *exit),
            why = unreadable(language, why),
            printed = printed_words(language, printed.as_deref()) =>
        "`{program}`{exit} gave no result: {why}; {printed}",
        "`{program}`{exit}から結果が得られない: {why}。{printed}";
    Reason::Program { program, trouble: ProgramTrouble::Unreadable { exit, why, printed } },
            exit = exit_code(language, *exit),
            why = unreadable(language, why),
            printed = printed_words(language, printed.as_deref()) =>
        "the output of `{program}`{exit} is not understood: {why}; {printed}",
        "`{program}` の出力{exit}を解釈できない: {why}。{printed}";
    Reason::Program { program, trouble: ProgramTrouble::Foreign { gpu, of } }, gpu = super::gpus(&[*gpu]) =>
        "the output of `{program}` is not of this node: it tells of {gpu}, and the driver shows {of} GPUs",
        "`{program}` の出力はこのノードのものではない: {gpu} の結果があるが、ドライバーの示すGPUは {of} 台である";
    Reason::Program { program, trouble: ProgramTrouble::Ended(end) }, end = load_end(language, end) =>
        "`{program}`: {end}",
        "`{program}`: {end}";
    Reason::Probe { said: Unanswered::CountersNotRecorded } =>
        "the recording has no counters",
        "記録にカウンターがない";
    Reason::Restart(RestartTrouble::Refused(RestartRefusal::NotOffered)) =>
        "this node cannot be started anew from here",
        "このノードはここから再起動できない";
    Reason::Restart(RestartTrouble::Refused(RestartRefusal::NotAllowed(how))), key = how.word() =>
        "the station's settings name no command for it; put `{key}: COMMAND` into kiln.config if this machine may be restarted",
        "ステーションの設定にコマンドがない。再起動してよい装置なら設定ファイルに `{key}: コマンド` を書く";
    Reason::Restart(RestartTrouble::Refused(RestartRefusal::NotStarted { command, error })) =>
        "`{command}` could not be started: {error}",
        "`{command}` を起動できない: {error}";
    Reason::Restart(RestartTrouble::Refused(RestartRefusal::Failed { command, exit, printed })),
            exit = exit_code(language, *exit),
            printed = printed_words(language, Some(printed.as_str()).filter(|printed| !printed.is_empty())) =>
        "`{command}` did not take the order{exit}; {printed}",
        "`{command}` が指示を受け付けなかった{exit}。{printed}";
    Reason::Restart(RestartTrouble::Refused(RestartRefusal::Hung { command })) =>
        "`{command}` did not end and was stopped",
        "`{command}` が終わらないため停止した";
    Reason::Restart(RestartTrouble::StillUp { after }), after = format_span(*after) =>
        "the node was told to start anew and was still up after {after}",
        "再起動を指示したが、{after} を過ぎてもノードが停止しない";
    Reason::Restart(RestartTrouble::SameBoot) =>
        "the node was told to start anew, and its boot id is the same as before",
        "再起動を指示したが、ブートIDが前と同じである";
    Reason::Restart(RestartTrouble::BootUnread) =>
        "the boot id cannot be read, so nothing tells whether the node was started anew",
        "ブートIDを読み取れず、再起動したかどうか分からない";
    Reason::Stopped(Halted::ByBoots { boots }) =>
        "the node started anew {boots} times by itself while the run was away",
        "中断中にノードが指示なく {boots} 回再起動した";
    Reason::NoPorts { shown: true } =>
        "no port has a link: nobody has connected them",
        "リンクのあるポートがない: 未接続である";
    Reason::NoPorts { shown: false } =>
        "the node shows no InfiniBand or RoCE port",
        "ノードにInfiniBandまたはRoCEのポートがない";
    Reason::Deselected =>
        "left out by --only",
        "`--only` の指定により省いた";
    Reason::Needs { step } =>
        "needs `{step}`, which has not passed",
        "先に合格すべき `{step}` が合格していない";
    Reason::NeedsStage { stage, step } =>
        "needs stage `{stage}`; `{step}` has not passed",
        "先に合格すべき工程群 `{stage}` のうち `{step}` が合格していない";
} {
    Reason::Limit(judgement) | Reason::Marginal(judgement) | Reason::Outlier(judgement) =>
        value::sentence_in(language, judgement);
    Reason::Waived(judgement) => waived(language, judgement);
    Reason::GuardStop(stop) => guard_stop(language, stop);
    Reason::Interrupted | Reason::Stopped(Halted::ByOperator) => by_operator(language);
    Reason::Probe { said: Unanswered::Words(words) } => words.clone();
    Reason::NotInstalled { said } | Reason::NotApplicable { said } => absent(language, said);
    Reason::Parameter(bad) => parameter(language, bad);
    Reason::Unmet(what) => unmet(language, what);
    Reason::Stopped(Halted::ByGuard(stop)) => guard_stop(language, stop);
    Reason::Stopped(Halted::ByStep { step, outcome }) => ended(language, step, *outcome);
    Reason::Legacy { kind: _, text } => text.clone();
}
}

sentences! {
/// What a step requires and the node has not got.
pub fn unmet(language, Unmet) {
    Unmet::Lacks { models, capability }, models = models.join(", "), what = capability_words(language, *capability) =>
        "{models} has no {what}",
        "{models} には{what}がない";
    Unmet::NoPeers =>
        "the node has a single GPU, so there are no peers",
        "GPUが1台のノードのため、比べる相手がない";
    Unmet::LinkedDirectly =>
        "the GPUs are linked to one another directly: there is no NVLink switch, and each pair has a part of the links",
        "GPU同士が直接つながり、NVLinkスイッチがない。各ペアにはリンクの一部だけがある";
} {
    Unmet::Legacy(text) => text.clone();
}
}

sentences! {
fn parameter(language, BadParameter) {
    BadParameter::NoProgram =>
        "the profile names no program: write `with: {{ program: ... }}`",
        "プロファイルにプログラムの指定がない。`with: {{ program: ... }}` と書く";
    BadParameter::Value(text) =>
        "`values` has `{text}`; write `name=/json/pointer`, the name in lower case",
        "`values` に `{text}` がある。`name=/json/pointer` の形で、名前は小文字で書く";
    BadParameter::Pattern { param, error } =>
        "{param}: {error}",
        "{param}: {error}";
} {
}
}

fn by_operator(language: Language) -> String {
    say!(language, "aborted by the operator", "作業者が中断した")
}

fn guard_stop(language: Language, stop: &GuardStop) -> String {
    let GuardStop { guard, component, cause } = stop;
    let cause = trip_cause(language, cause);
    say!(
        language,
        "guard `{guard}` tripped on {component}: {cause}",
        "{component} に対する監視 `{guard}` が作動した: {cause}"
    )
}

fn ended(language: Language, step: &str, outcome: Outcome) -> String {
    let outcome = words::outcome_phrase(outcome).say(language);
    say!(language, "`{step}` ended in {outcome}", "`{step}` の結果が{outcome}")
}

/// The waiver with what it waives.
fn waived(language: Language, judgement: &Judgement) -> String {
    let sentence = value::sentence_in(language, judgement);
    match &judgement.waiver {
        Some(waiver) => format!("{}; {sentence}", self::waiver(language, waiver)),
        None => sentence,
    }
}

/// `ECN-1042, until 2030-12-31 (by qa)`.
pub fn waiver(language: Language, waiver: &WaiverUse) -> String {
    let WaiverUse { reason, until, by, .. } = waiver;
    if until.is_empty() {
        return reason.clone();
    }
    say!(language, "{reason}, until {until} (by {by})", "{reason} ({until} まで、承認 {by})")
}

/// Why a judgement has no value.
fn unmeasured(language: Language, judgement: &Judgement) -> String {
    match &judgement.measurement.value {
        Measured::Missing(why) => missing(language, why),
        _ => value::shown(language, &judgement.measurement),
    }
}

fn lacking(language: Language, judgement: &Judgement) -> String {
    match &judgement.outcome {
        Judged::Unjudged(Unjudged::NoReference(what)) => no_reference(language, what),
        _ => String::new(),
    }
}

fn restless(language: Language, gpus: &[Restless]) -> String {
    let one = |Restless { gpu: GpuIndex(gpu), busy }: &Restless| {
        if *busy {
            say!(language, "gpu/{gpu} is busy", "gpu/{gpu} が動作中")
        } else {
            say!(language, "gpu/{gpu} has no steady temperature", "gpu/{gpu} の温度が安定しない")
        }
    };
    gpus.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn printed_words(language: Language, printed: Option<&str>) -> String {
    match printed {
        Some(printed) => say!(language, "it printed: {printed}", "出力: {printed}"),
        None => say!(language, "it printed nothing", "出力なし"),
    }
}

fn exit_code(language: Language, exit: Option<i32>) -> String {
    exit.map_or_else(String::new, |code| say!(language, " (exit code {code})", " (終了コード {code}) "))
}

fn capability_words(language: Language, capability: Capability) -> String {
    match capability {
        Capability::Nvlink => say!(language, "NVLinks", "NVLink"),
        Capability::NvlinkSwitch => say!(language, "NVLink switch", "NVLinkスイッチ"),
        Capability::Fabric => say!(language, "NVLink fabric", "NVLinkファブリック"),
        Capability::C2c => say!(language, "chip-to-chip links", "チップ間リンク"),
        Capability::MemoryTemperature => say!(language, "a memory temperature sensor", "メモリ温度センサー"),
        Capability::InletTemperature => say!(language, "an inlet temperature sensor", "入口温度センサー"),
        Capability::KernelLog => say!(language, "a kernel log", "カーネルログ"),
        Capability::Peers => say!(language, "peers", "比べる相手"),
    }
}

sentences! {
/// Which trouble of this program's own ended a run.
pub(crate) fn run_failure(language, RunFailure) {
    RunFailure::Unwritten { path, error } =>
        "cannot write {path}: {error}",
        "{path} に書き込めない: {error}";
    RunFailure::OutOfOrder { path, came, due } =>
        "event {came} came to {path} where event {due} was due",
        "{path} にイベント {due} の代わりにイベント {came} が渡された";
} {
    RunFailure::Words(words) => words.clone();
}
}

/// Who interrupted a run.
pub fn interruption(language: Language, by: &Interruption) -> String {
    match by {
        Interruption::Signal => Phrase::BySignal.say(language).to_owned(),
        Interruption::Kill => Phrase::ByKill.say(language).to_owned(),
        Interruption::Failure(why) => {
            let why = run_failure(language, why);
            say!(language, "{why}", "試験側のエラー: {why}")
        }
    }
}
