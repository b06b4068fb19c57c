//! The words of Japanese, for whoever writes a phrase: one word for one thing, wherever it stands.
//!
//! Left the English word, then the Japanese one, then what must not be written for it. The test reads every source file and
//! shipped profile.

use std::fs;
use std::path::Path;

struct Word {
    english: &'static str,
    japanese: &'static str,
    instead_of: &'static [&'static str],
}

const fn word(english: &'static str, japanese: &'static str, instead_of: &'static [&'static str]) -> Word {
    Word { english, japanese, instead_of }
}

/// Words of every text.
const WORDS: &[Word] = &[
    word("simulated", "シミュレーション", &["模擬"]),
    word("test station", "試験ステーション", &["試験場所"]),
    word("order", "作業指示番号", &["作業指示\"", "作業指示 "]),
    word("confidence", "確信度", &["確度"]),
    word("finding", "検出内容", &["所見"]),
    word("event", "イベント", &["事象"]),
    word("trip of a guard", "監視による停止", &["監視作動"]),
    word("error counters", "エラー数", &["誤りの計数"]),
    word("provenance", "試験条件・トレーサビリティ", &["来歴"]),
    word("digest", "ハッシュ値", &["要約値"]),
    word("reading", "測定値", &["読み値"]),
    word("warming up", "ウォームアップ", &["暖機"]),
    word("interrupted by a signal", "操作により中断", &["信号により"]),
    word("power brake", "電源保護による減速(パワーブレーキ)", &["電源ブレーキ", "電力ブレーキ"]),
    word("not decisive", "判定対象外", &["判定外"]),
    word("sensor", "センサー", &["センサ"]),
    word("driver", "ドライバー", &["ドライバ"]),
    word("run", "試験", &["実行番号", "実行数", "部分実行", "つの実行", "の実行の", "実行は終わ", "実行が終わ"]),
    word("parts", "部品", &["箇所"]),
];

/// Words of outcomes. In a cause 異常 says that a part is not as it should be; of a run without a verdict it must not.
const OUTCOMES: &[Word] = &[word("ERROR", "試験エラー", &["異常"])];

/// Looks for what must not be written, in lines without the words that must.
fn misused(words: &[Word], text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for word in words {
            let rest = line.replace(word.japanese, "");
            for wrong in word.instead_of.iter().filter(|wrong| rest.contains(**wrong)) {
                found.push(format!("{number}: `{wrong}`; write {} ({})", word.japanese, word.english));
            }
        }
    }
    found
}

fn files(folder: &Path, all: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            files(&entry, all);
        } else if entry.extension().is_some_and(|end| end == "rs" || end == "yaml") {
            all.push(entry);
        }
    }
}

#[test]
fn one_thing_has_one_word_in_japanese() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = Vec::new();
    for folder in ["src", "profiles", "fixtures/faults"] {
        files(&root.join(folder), &mut all);
    }
    assert!(all.len() > 100, "{} files", all.len());
    let mut found = Vec::new();
    for path in all.iter().filter(|path| !path.ends_with("report/glossary.rs")) {
        let text = fs::read_to_string(path).expect("a text");
        let wrong = misused(WORDS, &text).into_iter();
        let of_outcomes = path.ends_with("report/phrase.rs") || path.ends_with("gate/phrase.rs");
        let wrong = wrong.chain(if of_outcomes { misused(OUTCOMES, &text) } else { Vec::new() });
        found.extend(wrong.map(|wrong| format!("{}:{wrong}", path.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_wrong_word_is_found_and_the_right_one_is_not() {
    assert_eq!(misused(WORDS, "センサー値").len(), 0);
    assert_eq!(misused(WORDS, "センサ値とセンサー値").len(), 1);
    assert_eq!(misused(OUTCOMES, "Error: \"ERROR\", \"異常\";").len(), 1);
}
