//! The route check: a manufacturing system is asked before a run begins, and nothing begins until it has answered.
//!
//! Over HTTP the question is a call with the answer in its answer; by files it is `ask/<key>.json` in a folder, answered by
//! `answer/<key>.json`. Either way the question has one name however often it is asked, and an answer counts only for the unit
//! and the run that it names.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kiln_disk as disk;
use kiln_floor::{Floor, Input, RouteAnswer, RouteQuestion, Stage, UnitParts, Wait};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::serve::Site;
use super::ways::Post;

/// How often it is looked for units that wait for an answer.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Questions that are asked at once; a system that hangs is not hung upon by every unit of a floor.
const TOGETHER: usize = 8;
const REASON_MOST: usize = 200;
/// The most that an answer by file has: what says yes or no, and a parts list.
const ANSWER_MOST: u64 = 2 * kiln_wire::PARTS_MOST;

/// Where questions go.
#[derive(Debug)]
pub(crate) enum Mes {
    Http(Post),
    /// A folder with `ask` and `answer` in it.
    Folder(PathBuf),
}

#[derive(Debug, Serialize)]
struct Asked<'a> {
    schema: &'static str,
    floor: &'a str,
    unit: &'a str,
    generation: u64,
    profile: &'a str,
}

/// What a system says. Fields beyond these are its own.
#[derive(Debug, Deserialize)]
struct Said {
    unit: String,
    generation: u64,
    allowed: bool,
    #[serde(default)]
    why: String,
    /// The unit's parts list, `kiln.parts/1` as JSON.
    #[serde(default)]
    parts: Option<serde_json::Value>,
}

fn key(question: &RouteQuestion) -> String {
    format!("{}-{}", question.unit, question.generation.0)
}

/// What an answer says to a question; None if it is another question's, or cannot be read.
fn read(question: &RouteQuestion, text: &[u8]) -> Option<RouteAnswer> {
    let said: Said = serde_json::from_slice(text).ok()?;
    if said.unit != question.unit.as_str() || said.generation != question.generation.0 {
        return None;
    }
    let line = |why: &str| why.chars().filter(|letter| !letter.is_control()).take(REASON_MOST).collect();
    if !said.allowed {
        return Some(RouteAnswer::Refused { why: line(&said.why) });
    }
    let parts = said.parts.map(|parts| {
        // Written by the floor, so that the same list is the same bytes however it was sent.
        let text = serde_json::to_vec_pretty(&parts).unwrap_or_default();
        UnitParts::read("the parts list in its answer", &text, Some(&question.unit))
    });
    Some(match parts.transpose() {
        Ok(parts) => RouteAnswer::Allowed { parts },
        // To test the unit without would be silent about it, and to ask again would get the same.
        Err(error) => RouteAnswer::Refused { why: line(&error.to_string()) },
    })
}

impl Mes {
    /// A folder, made if it is not there.
    pub(crate) fn folder(path: &Path) -> io::Result<Self> {
        for name in ["ask", "answer", "results"] {
            fs::create_dir_all(path.join(name))?;
        }
        Ok(Self::Folder(path.to_owned()))
    }

    /// Asks; None without an answer, which is asked again.
    fn ask(&self, floor: &str, question: &RouteQuestion) -> Option<RouteAnswer> {
        let asked = Asked {
            schema: "kiln.route-check/1",
            floor,
            unit: question.unit.as_str(),
            generation: question.generation.0,
            profile: &question.profile,
        };
        let body = serde_json::to_vec(&asked).ok()?;
        let key = key(question);
        match self {
            Self::Http(post) => {
                read(question, post.send("/route-check", &format!("route-{key}"), &body).ok()?.as_bytes())
            }
            Self::Folder(folder) => {
                // An answer that was there before the question would be one to another floor's.
                let (ask, answer) = (folder.join(format!("ask/{key}.json")), folder.join(format!("answer/{key}.json")));
                if !ask.exists() {
                    disk::replace(&ask, &body).ok()?;
                    return None;
                }
                read(question, &disk::read(&answer, ANSWER_MOST).ok()?)
            }
        }
    }

    /// An answer is kept: what was asked for it by file is taken away.
    fn done(&self, question: &RouteQuestion) {
        if let Self::Folder(folder) = self {
            let key = key(question);
            let _ = fs::remove_file(folder.join(format!("ask/{key}.json")));
            let _ = fs::remove_file(folder.join(format!("answer/{key}.json")));
        }
    }
}

/// What is to be asked now.
fn open(floor: &Floor) -> Vec<RouteQuestion> {
    let waits = floor.waits().iter().filter(|(_, wait)| matches!(wait, Wait::RouteCheck));
    let questions = waits.filter_map(|(unit, _)| {
        let known = floor.state().units.get(unit).filter(|known| known.stage == Stage::Ready)?;
        let stop = floor.policy().next_stop(&known.passed)?;
        let (unit, generation, profile) = (unit.clone(), known.generation.next(), stop.profile.clone());
        (!floor.state().is_cleared(&unit)).then_some(RouteQuestion { unit, generation, profile })
    });
    questions.collect()
}

/// Asks for as long as the floor is served. A system that is away is asked again; its units wait, and the page says for what.
pub(crate) async fn keep_asking(site: Arc<Site>, mes: Arc<Mes>) {
    let mut asking: JoinSet<(RouteQuestion, Option<RouteAnswer>)> = JoinSet::new();
    let mut under_way: BTreeSet<RouteQuestion> = BTreeSet::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        while let Some(done) = asking.try_join_next() {
            let Ok((question, answer)) = done else { continue };
            under_way.remove(&question);
            if let Some(answer) = answer
                && site.desk.tell(Input::RouteAnswered { question: question.clone(), answer }).await.is_ok()
            {
                mes.done(&question);
            }
        }
        let Ok((floor, questions)) = site.desk.look(|floor, _| (floor.policy().name.clone(), open(floor))).await else {
            return;
        };
        for question in questions {
            if asking.len() >= TOGETHER || !under_way.insert(question.clone()) {
                continue;
            }
            let (mes, floor) = (Arc::clone(&mes), floor.clone());
            asking.spawn_blocking(move || {
                let answer = mes.ask(&floor, &question);
                (question, answer)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> RouteAnswer {
        RouteAnswer::Allowed { parts: None }
    }

    #[test]
    fn an_answer_counts_only_for_the_unit_and_run_that_it_names() {
        let question = RouteQuestion {
            unit: "SRV1".parse().expect("a serial"),
            generation: kiln_wire::Generation(3),
            profile: "smoke".to_owned(),
        };
        let answer = |text: &str| read(&question, text.as_bytes());
        assert_eq!(answer(r#"{"unit":"SRV1","generation":3,"allowed":true,"more":1}"#), Some(allowed()));
        let why = "hold\u{7} at station 4".to_owned();
        let text = serde_json::json!({ "unit": "SRV1", "generation": 3, "allowed": false, "why": why }).to_string();
        let refused = RouteAnswer::Refused { why: "hold at station 4".to_owned() };
        assert_eq!(answer(&text), Some(refused));
        for text in [
            "",
            "{}",
            "yes",
            r#"{"unit":"SRV2","generation":3,"allowed":true}"#,
            r#"{"unit":"SRV1","generation":2,"allowed":true}"#,
            r#"{"unit":"SRV1","generation":3}"#,
            r#"{"unit":"SRV1","generation":3,"allowed":"yes"}"#,
        ] {
            assert_eq!(answer(text), None, "{text}");
        }
    }

    #[test]
    fn a_yes_may_carry_the_units_parts_list_and_one_that_is_none_is_a_no() {
        let question = RouteQuestion {
            unit: "SRV1".parse().expect("a serial"),
            generation: kiln_wire::Generation(1),
            profile: "smoke".to_owned(),
        };
        let answer = |parts: serde_json::Value| {
            let said = serde_json::json!({ "unit": "SRV1", "generation": 1, "allowed": true, "parts": parts });
            read(&question, said.to_string().as_bytes()).expect("an answer")
        };
        let list = serde_json::json!({ "schema": "kiln.parts/1", "order": "WO-1", "nvmes": 8 });
        let RouteAnswer::Allowed { parts: Some(first) } = answer(list.clone()) else { panic!("no list") };
        assert_eq!(first.unit().as_str(), "SRV1");
        let again = serde_json::json!({ "nvmes": 8, "order": "WO-1", "schema": "kiln.parts/1" });
        assert_eq!(answer(again), RouteAnswer::Allowed { parts: Some(first) }, "in whatever order it was sent");
        assert_eq!(answer(serde_json::Value::Null), allowed());
        for (wrong, says) in [
            (serde_json::json!({ "schema": "kiln.parts/1", "nvme": 8 }), "did you mean"),
            (serde_json::json!({ "schema": "kiln.parts/1", "nvmes": 8, "serial": "SRV2" }), "of unit SRV2"),
            (serde_json::json!("a list"), "parts list"),
        ] {
            let RouteAnswer::Refused { why } = answer(wrong) else { panic!("{says}") };
            assert!(why.contains(says), "{why}");
        }
    }

    #[test]
    fn by_files_a_question_is_asked_once_and_its_answer_read_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let mes = Mes::folder(dir.path()).expect("made");
        let question = RouteQuestion {
            unit: "SRV1".parse().expect("a serial"),
            generation: kiln_wire::Generation(1),
            profile: "smoke".to_owned(),
        };
        assert_eq!(mes.ask("Hall", &question), None);
        assert_eq!(mes.ask("Hall", &question), None);
        let asked = fs::read_to_string(dir.path().join("ask/SRV1-1.json")).expect("asked");
        assert!(asked.contains("\"profile\":\"smoke\""), "{asked}");
        let answer = dir.path().join("answer/SRV1-1.json");
        fs::write(&answer, "{\"unit\":\"SRV1\",\"gener").expect("half");
        assert_eq!(mes.ask("Hall", &question), None);
        fs::write(&answer, r#"{"unit":"SRV1","generation":1,"allowed":true}"#).expect("whole");
        assert_eq!(mes.ask("Hall", &question), Some(allowed()));
        mes.done(&question);
        assert!(!answer.exists() && !dir.path().join("ask/SRV1-1.json").exists());
    }
}
