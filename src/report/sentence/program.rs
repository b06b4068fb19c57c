//! Why a program's output says nothing of the unit, or proves nothing of a value. Where the fact is an error, its own message
//! says it in English.

use crate::language::Language;
use kiln_model::{ExitMeaning, OutputGap, Unproven, Unreadable};

sentences! {
/// Why an output that tells of no failure is no proof.
pub(super) fn unproven(language, Unproven) {
    Unproven::Idle { what } =>
        "`{what}`: no work was done",
        "`{what}`: 何も処理していない";
    Unproven::NothingMoved { what } =>
        "`{what}`: no data was moved",
        "`{what}`: データが転送されていない";
    Unproven::NothingBetweenGpus =>
        "nothing went between GPUs: the bus bandwidth is 0",
        "GPU間で何も転送されていない: バス帯域が 0";
    Unproven::NothingChecked =>
        "no value was checked (`#wrong` is N/A everywhere): give it `-c 1`",
        "値を一つも照合していない (`#wrong` がすべて N/A): `-c 1` を指定する";
    Unproven::EndedBefore { line, words }, words = words_after(words.as_deref()) =>
        "it ended before the line `{line}`{words}",
        "`{line}` の行の前に終わった{words}";
    Unproven::Unfinished =>
        "it did not come to its end",
        "最後まで実行されていない";
    Unproven::Skipped { words } =>
        "tests were skipped: `{words}`",
        "試験項目の一部が省かれた: `{words}`";
    Unproven::AllSkipped =>
        "everything was skipped",
        "すべての試験項目が省かれた";
    Unproven::AllWaived =>
        "everything was waived",
        "すべての試験項目が対象外とされた";
    Unproven::NotDone { words } =>
        "it did not do its work: `{words}`",
        "試験を行えなかった: `{words}`";
    Unproven::StoppedEarly { words } =>
        "it was stopped before its time: `{words}`",
        "予定の時間より前に停止した: `{words}`";
    Unproven::NotStarted { words } =>
        "it could not start: `{words}`",
        "開始できなかった: `{words}`";
    Unproven::Of { what, why }, why = unproven(language, why) =>
        "{what}: {why}",
        "{what}: {why}";
    Unproven::Words(words) =>
        "{words}",
        "プログラムの出力からは確認できない: `{words}`";
} {
}
}

/// Why a program's output says nothing of the unit.
pub(super) fn unreadable(language: Language, why: &Unreadable) -> String {
    let seen = |first: &Option<String>| match first {
        Some(line) => format!("先頭の行: `{line}`"),
        None => "出力なし".to_owned(),
    };
    match why {
        _ if language != Language::Japanese => why.to_string(),
        Unreadable::Endless => "出力が際限なく続いたため停止した".to_owned(),
        Unreadable::Form { title, expected, first } => {
            format!("{title} のどの既知の版の出力とも異なる (想定: {expected})。{}", seen(first))
        }
        Unreadable::Place { title, what, expected, first } => {
            format!("{title} の出力に想定外の内容がある: {} (想定: {expected})。{}", gap(what), seen(first))
        }
        Unreadable::Refused { title, words } => format!("{title} が試験を行わなかった: `{words}`"),
        Unreadable::Exit { title, meaning, words } => {
            format!("{title} が試験を行わなかった: {}{}", exit(*meaning), words_after(words.as_deref()))
        }
        Unreadable::NotJson { error } => format!("JSONではない: `{error}`"),
        Unreadable::Words(words) => words.clone(),
    }
}

fn gap(what: &OutputGap) -> String {
    match what {
        OutputGap::Lacks { place, key } => format!("`{place}` に `{key}` がない"),
        OutputGap::Empty { list } => format!("`{list}` に結果がない"),
        OutputGap::NoNumber { text } => format!("`{text}` は数値ではない"),
        OutputGap::Unknown { text } => format!("`{text}` は未知の語である"),
        OutputGap::NoSuchPart { text } => format!("`{text}` に当たる部品がない"),
        OutputGap::EndedBefore { text } => format!("`{text}` の前に終わった"),
        OutputGap::OtherCount { wanted, found } => format!("GPU {wanted} 台の試験に対し {found} 台の結果がある"),
        OutputGap::BrokenLine { line, setting } => {
            format!("`{line}` の行にメッセージが混ざっている。メッセージの出力先を変える (`{setting}`)")
        }
        OutputGap::Broken { error } => format!("レポートが壊れている: `{error}`"),
        OutputGap::Words(words) => format!("`{words}`"),
    }
}

const fn exit(meaning: ExitMeaning) -> &'static str {
    match meaning {
        ExitMeaning::Arguments => "引数を受け付けないか、準備ができなかった",
        ExitMeaning::Resources => "資源が足りなかった",
        ExitMeaning::NotHere => "この装置では実行できない",
        ExitMeaning::Untrusted => "プログラム自身が測定値を信頼できないとしている",
    }
}

/// A quotation that may be missing or empty, as the end of a sentence.
pub(super) fn words_after(words: Option<&str>) -> String {
    words.filter(|words| !words.is_empty()).map_or_else(String::new, |words| format!(": `{words}`"))
}
