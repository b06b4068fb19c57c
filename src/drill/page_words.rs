//! What the page of a drill says, in both languages. English sentences that the terminal says too are the terminal's.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use super::document::Drill;
use super::healthy::{Against, FalseAlarm, Healthy};
use super::matrix::{Coverage, LeftOutWhy, Miss, MissKind, NOTHING_NAMED};
use super::text;
use kiln_lot::{Interval, wilson_95};
use kiln_report::Language;

/// One of two texts.
pub(super) const fn say<'a>(language: Language, english: &'a str, japanese: &'a str) -> &'a str {
    if matches!(language, Language::Japanese) { japanese } else { english }
}

pub(super) fn title(language: Language, drill: &Drill) -> String {
    let Drill { profile, revision, .. } = drill;
    if language != Language::Japanese {
        return format!("Drill of {profile} revision {revision}");
    }
    format!("プロファイル {profile} 第 {revision} 版の検出力試験")
}

/// On what nodes, how much was found, and from which seeds.
pub(super) fn heading(language: Language, drill: &Drill) -> String {
    let (nodes, found) = (drill.nodes.join(", "), coverage(language, &drill.coverage));
    let Drill { seeds, first_seed, .. } = drill;
    if language != Language::Japanese {
        return format!(
            "SIMULATED nodes: {nodes}. {found}. {seeds} seeds from {first_seed} on for each fault and severity. {}.",
            text::parts_list(drill)
        );
    }
    let parts = if drill.parts_list {
        "各試験にノードの部品表 (製造番号、BIOS、ドライブ・インターフェース・電源・DIMMの数) を与えた"
    } else {
        "部品表を与えていない。部品表でしか分からない不良は、プロファイルに記載がなければ見逃す"
    };
    format!(
        "シミュレーションのノード: {nodes}。{found}。不良と程度ごとにシード {first_seed} から {seeds} 個。{parts}。"
    )
}

fn coverage(language: Language, coverage: &Coverage) -> String {
    if language != Language::Japanese {
        return text::coverage_words(coverage);
    }
    format!(
        "{} 回中 {} 回検出 ({} 種の不良のうち {} 種は毎回検出)",
        coverage.tried, coverage.caught, coverage.faults, coverage.faults_caught
    )
}

/// From which severity on faults are found, beside what that costs in false alarms; `None` for a single severity.
pub(super) fn curve(language: Language, drill: &Drill) -> Option<String> {
    let curve = drill.curve.as_ref()?;
    if language != Language::Japanese {
        return Some(format!("{}; {}", curve.words(), text::alarm_words(drill)));
    }
    let from = |severity: Option<f64>| {
        severity.map_or_else(|| "この試験の程度では届かない".to_owned(), |at| format!("程度 x{at:.2} 以上"))
    };
    let tried: usize = drill.healthy.iter().map(|healthy| healthy.tried).sum();
    let alarms: usize = drill.healthy.iter().map(|healthy| healthy.alarms.len()).sum();
    let alarmed = match tried {
        0 => "正常なノードは試験していない".to_owned(),
        _ => {
            format!("正常なノード {tried} 回中 {alarms} 回が不合格 ({})", percents(language, wilson_95(alarms, tried)))
        }
    };
    let (half, nearly_all) = (from(curve.half), from(curve.nearly_all));
    Some(format!(
        "50 % を検出: {half}、99 % を検出: {nearly_all} (全程度を試験した不良 {} 種)。{alarmed}",
        curve.faults
    ))
}

fn percents(language: Language, interval: Interval) -> String {
    if language != Language::Japanese {
        return text::percents(interval);
    }
    format!("{}～{}", text::percent(interval.low), text::percent(interval.high))
}

/// What became of the faults that their files say must be caught.
pub(super) fn must(language: Language, must: &Coverage) -> String {
    if language != Language::Japanese {
        return text::must_words(must);
    }
    let share = |count: usize| text::percent(count as f64 / must.tried.max(1) as f64);
    format!(
        "2時間の試験で検出すべき不良: {}、{}、うち別の部品を指摘 {}",
        coverage(language, must),
        share(must.caught),
        share(must.caught - must.named)
    )
}

pub(super) fn partial(language: Language, drill: &Drill) -> String {
    let Drill { runs_done, runs_planned, .. } = drill;
    if language != Language::Japanese {
        return format!("PARTIAL: interrupted after {runs_done} of {runs_planned} runs.");
    }
    format!("途中まで: {runs_planned} 回中 {runs_done} 回で中断した。")
}

pub(super) fn healthy(language: Language, healthy: &Healthy) -> String {
    if language != Language::Japanese {
        return text::healthy_line(healthy);
    }
    let without = match healthy.without_verdict {
        0 => String::new(),
        count => format!("、判定なし {count} 回"),
    };
    format!(
        "{}: {} の試験 {} 回中、誤って不合格 {} 回{without} (真の割合の95 %区間: {})",
        healthy.node,
        text::shown(healthy.run_s),
        healthy.tried,
        healthy.false_alarms,
        percents(language, healthy.interval)
    )
}

/// What spoke against a healthy node.
pub(super) fn alarm(language: Language, alarm: &FalseAlarm) -> String {
    match &alarm.against {
        _ if language != Language::Japanese => alarm.why.clone(),
        Some(Against { step, by: what, component }) => {
            let step = step.as_deref().unwrap_or("工程の間");
            format!("{step} {} ({component})", by(language, what))
        }
        None => "合格としなかった根拠の記録なし".to_owned(),
    }
}

/// Why a fault was not drilled.
pub(super) fn left_out(language: Language, why: &LeftOutWhy) -> String {
    match why {
        _ if language != Language::Japanese => why.to_string(),
        LeftOutWhy::Severity { min, max } => format!("程度の範囲は {min} から {max} まで"),
        LeftOutWhy::NeverCame { node, runs } => {
            format!("`{node}` では発生の条件が満たされなかった (数えない試験 {runs} 回)")
        }
        LeftOutWhy::NoNode { .. } => "指定されたどのノードにも、この不良はありえない".to_owned(),
    }
}

/// What proved a defect, as [`super::proof`] names it: `limit`, `lot` or `guard` and a name, or a word.
pub(super) fn by(language: Language, what: &str) -> String {
    if language != Language::Japanese {
        return what.to_owned();
    }
    match what.split_once(' ') {
        Some(("limit", name)) => format!("規格 {name}"),
        Some(("lot", name)) => format!("ロット {name}"),
        Some(("guard", name)) => format!("監視 {name}"),
        _ if what == "mismatch" => "計算結果の誤り".to_owned(),
        _ if what == "GPU lost" => "GPU応答なし".to_owned(),
        _ => what.to_owned(),
    }
}

/// A run that did not go well.
pub(super) fn missed(language: Language, missed: &Miss) -> String {
    let Miss { seed, component, text, .. } = missed;
    if language != Language::Japanese {
        return format!("seed {seed} on {component}: {text}");
    }
    format!("シード {seed}、{component}: {} ({})", miss(language, missed.kind), miss_text(missed))
}

/// What was said in place of the right part: codes and places, or a verdict and what spoke for it.
fn miss_text(miss: &Miss) -> String {
    match miss.text.split_once(": ") {
        Some((verdict, what)) if miss.kind == MissKind::Held => format!("{verdict}: {}", by(Language::Japanese, what)),
        _ if miss.text == NOTHING_NAMED => "部品の指摘なし".to_owned(),
        _ => miss.text.clone(),
    }
}

/// Why a run did not go well. The words behind it are codes and places.
const fn miss(language: Language, kind: MissKind) -> &'static str {
    match kind {
        MissKind::Escaped => say(language, "escaped", "見逃し"),
        MissKind::Held => say(language, "held", "確証なく保留"),
        MissKind::WrongComponent => say(language, "wrong part", "別の部品を指摘"),
    }
}
