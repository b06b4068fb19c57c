//! What an operator reads in Japanese of real runs, one for every defect of the library: no words of ours are English.

use std::collections::BTreeSet;

use kiln::event::RunRecord;
use kiln::limit::{Measured, Scalar};
use kiln::node::sim::{FaultFile, FaultUse, NodeFile, SimNode};
use kiln::report::{Language, Languages, Paint, Traces, plain, run_page, step_line, verdict_block};

use crate::trial::Trial;

/// Between them they can have every defect.
const NODES: [&str; 4] = ["hgx-h200-8", "gb200-tray-4", "pcie-l40s-8", "hgx-h200-8-liquid"];

/// Two English words in a row: a sentence or a part of one. Names in capitals, codes with dots, paths and the names that
/// parts and measurements go by are none.
fn english(line: &str, names: &BTreeSet<String>) -> Option<String> {
    let is_word = |word: &&str| {
        word.len() > 1 && word.chars().all(|letter| letter.is_ascii_lowercase()) && !names.contains(*word)
    };
    let words: Vec<&str> = line.split([' ', ',', ';']).collect();
    let pair = words.windows(2).find(|pair| pair.iter().all(is_word));
    pair.map(|pair| pair.join(" "))
}

/// What the kernel, programs and readings say in their own words, and limits as the profile writes them.
fn quoted(record: &RunRecord) -> Vec<String> {
    let judgements = record.steps.iter().flat_map(|step| &step.cases).flat_map(|case| &case.judgements);
    let texts = judgements.filter_map(|one| match &one.measurement.value {
        Measured::Value(Scalar::Text(text)) => Some(plain(text).into_owned()),
        _ => None,
    });
    let judgements = record.steps.iter().flat_map(|step| &step.cases).flat_map(|case| &case.judgements);
    let limits = judgements.filter_map(|one| one.limit.as_deref()).map(|limit| plain(limit).into_owned());
    let tool = record.start.iter().map(|start| format!("{} {}", start.tool.name, start.tool.version));
    let lines = record.kernel.iter().map(|line| plain(&line.text).into_owned());
    let host = record.inventory.iter().filter_map(|inventory| inventory.node.model.value().cloned());
    let mut all: Vec<String> =
        texts.chain(lines).chain(limits).chain(tool).chain(host).filter(|text| text.contains(' ')).collect();
    // A longer quotation may hold a shorter one.
    all.sort_by_key(|text| std::cmp::Reverse(text.len()));
    all.dedup();
    all
}

/// What parts and measurements are called in every language.
fn names(record: &RunRecord) -> BTreeSet<String> {
    let judgements = record.steps.iter().flat_map(|step| &step.cases).flat_map(|case| &case.judgements);
    let measured = judgements.map(|one| &one.measurement);
    measured.flat_map(|one| [one.name.clone(), one.component.to_string()]).collect()
}

/// The text of a page: what stands between its tags, without style and script.
fn text_of(page: &str) -> String {
    let body = page.split_once("<body").map_or(page, |(_, body)| body);
    let body = body.split_once("<script").map_or(body, |(body, _)| body);
    let mut text = String::new();
    for piece in body.split('<').skip(1) {
        text.push_str(piece.split_once('>').map_or("", |(_, text)| text));
        text.push('\n');
    }
    for (code, letter) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")] {
        text = text.replace(code, letter);
    }
    text
}

fn shown(record: &RunRecord) -> String {
    let mut shown = text_of(&run_page(record, &Traces::of(record), &[], Languages::only(Language::Japanese)));
    shown.push_str(&verdict_block(record, Paint::Plain, Language::Japanese));
    for step in &record.steps {
        let took = step.finished.unwrap_or(step.started).since(step.started);
        shown.push_str(&step_line(&step.key, took, &step.cases, Paint::Plain, Language::Japanese));
        shown.push('\n');
    }
    shown
}

#[test]
fn no_page_and_no_line_on_the_console_has_english_of_ours_whatever_the_defect() {
    let trial = Trial::of("acceptance");
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for fault in FaultFile::embedded() {
        let fault = FaultUse::parse(fault).expect("a fault");
        let faults = std::slice::from_ref(&fault);
        let fits = |name: &&str| SimNode::new(&NodeFile::find(name).expect("a node"), 1, faults).is_ok();
        let node = NODES.iter().copied().find(fits).unwrap_or_else(|| panic!("no node has {}", fault.file.id));
        let record = trial.run_with(node, 1, faults).record;
        let (quoted, names) = (quoted(&record), names(&record));
        tried += 1;
        for line in shown(&record).lines() {
            let outside = |line: &str| line.split('`').step_by(2).collect::<String>();
            // Most lines have nothing that could be quoted, and there are many quotations.
            if english(&outside(line), &names).is_none() {
                continue;
            }
            let ours = quoted.iter().fold(line.to_owned(), |line, quotation| line.replace(quotation.as_str(), "…"));
            if let Some(words) = english(&outside(&ours), &names) {
                wrong.push(format!("{}: {words}: {ours}", fault.file.id));
            }
        }
    }
    assert!(tried > 100, "only {tried} defects were tried");
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong[..wrong.len().min(30)].join("\n"));
}

#[test]
fn english_between_tags_and_quotations_is_seen() {
    let names = BTreeSet::from(["clocks".to_owned()]);
    assert_eq!(english("負荷が失敗した: the node started again", &names), Some("the node".to_owned()));
    assert_eq!(english("監視 `lost` gpu/1, thermal.resistance 0.09 K/W", &names), None);
    assert_eq!(english("gpu/1 clocks changed, 規格", &names), None);
    assert_eq!(english("gpu/1 clocks were changed", &names), Some("were changed".to_owned()));
    assert_eq!(text_of("<body class=x><p>a &lt; b</p><script>not this</script>").trim(), "a < b");
}
