//! What OCPTV asks for beyond its schema: order, pairs, sequence numbers, and ids that lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The first rule that `stream` breaks, with its line; a stream that ends early is whole as far as it goes, and says
/// whether it came to its end by its last line.
pub fn broken_rule(stream: &str) -> Result<bool, String> {
    let mut rules = Rules::default();
    for (number, line) in (1..).zip(stream.lines()) {
        rules.line(line).map_err(|why| format!("line {number}: {why}"))?;
    }
    if !stream.is_empty() && !stream.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    Ok(rules.ended)
}

#[derive(Debug, Default)]
struct Rules {
    next: u64,
    started: bool,
    ended: bool,
    hardware: BTreeSet<String>,
    software: BTreeSet<String>,
    /// Steps by id: whether they are open.
    steps: BTreeMap<String, bool>,
    /// Series by step and id: how many elements came, `None` once ended.
    series: BTreeMap<(String, String), Option<u64>>,
}

type Kept = Result<(), String>;

fn ensure(kept: bool, why: impl FnOnce() -> String) -> Kept {
    if kept { Ok(()) } else { Err(why()) }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

impl Rules {
    fn line(&mut self, line: &str) -> Kept {
        let line: Value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
        let number = line["sequenceNumber"].as_u64();
        ensure(number == Some(self.next), || format!("sequence number {number:?} where {} is due", self.next))?;
        self.next += 1;
        ensure(!self.ended, || "nothing follows the end of the run".to_owned())?;
        if number == Some(0) {
            return ensure(line["schemaVersion"].is_object(), || "the version of the schema comes first".to_owned());
        }
        match (&line["testRunArtifact"], &line["testStepArtifact"]) {
            (Value::Object(_), Value::Null) => self.run(&line["testRunArtifact"]),
            (Value::Null, Value::Object(_)) => self.step(&line["testStepArtifact"]),
            _ => Err("neither of the run nor of a step".to_owned()),
        }
    }

    fn run(&mut self, artifact: &Value) -> Kept {
        if let Value::Object(start) = &artifact["testRunStart"] {
            ensure(!self.started, || "the run starts once".to_owned())?;
            self.started = true;
            let ids = |list: &str, id: &str| -> Result<BTreeSet<String>, String> {
                let infos = start["dutInfo"][list].as_array().into_iter().flatten();
                let ids: Vec<String> = infos.map(|info| text(info, id).to_owned()).collect();
                let set: BTreeSet<String> = ids.iter().cloned().collect();
                ensure(set.len() == ids.len(), || format!("an id of {list} is given twice"))?;
                Ok(set)
            };
            self.hardware = ids("hardwareInfos", "hardwareInfoId")?;
            self.software = ids("softwareInfos", "softwareInfoId")?;
            return Ok(());
        }
        ensure(self.started, || "the run has not started".to_owned())?;
        if artifact["testRunEnd"].is_object() {
            let open = self.steps.iter().find(|(_, open)| **open).map(|(id, _)| id.clone());
            ensure(open.is_none(), || format!("step {} is open at the end of the run", open.unwrap_or_default()))?;
            self.ended = true;
        }
        self.known_software(&artifact["error"])
    }

    fn step(&mut self, artifact: &Value) -> Kept {
        ensure(self.started, || "the run has not started".to_owned())?;
        let id = text(artifact, "testStepId").to_owned();
        if artifact["testStepStart"].is_object() {
            return ensure(self.steps.insert(id.clone(), true).is_none(), || format!("step {id} starts twice"));
        }
        ensure(self.steps.get(&id) == Some(&true), || format!("step {id} is not open"))?;
        if artifact["testStepEnd"].is_object() {
            self.steps.insert(id.clone(), false);
            let left = self.series.iter().find(|((step, _), count)| *step == id && count.is_some());
            let left = left.map(|((_, series), _)| series.clone());
            return ensure(left.is_none(), || format!("step {id} ends before its series {left:?}"));
        }
        self.series(&id, artifact)?;
        for kind in ["measurement", "diagnosis", "measurementSeriesStart"] {
            self.known_hardware(&artifact[kind])?;
            let value = &artifact[kind]["value"];
            for validator in artifact[kind]["validators"].as_array().into_iter().flatten() {
                fits(validator, value)?;
            }
        }
        self.known_software(&artifact["error"])
    }

    fn series(&mut self, step: &str, artifact: &Value) -> Kept {
        let key = |value: &Value| (step.to_owned(), text(value, "measurementSeriesId").to_owned());
        if let start @ Value::Object(_) = &artifact["measurementSeriesStart"] {
            let before = self.series.insert(key(start), Some(0));
            return ensure(before.is_none(), || format!("series {} starts twice", key(start).1));
        }
        if let element @ Value::Object(_) = &artifact["measurementSeriesElement"] {
            let Some(Some(count)) = self.series.get_mut(&key(element)) else {
                return Err(format!("series {} is not open", key(element).1));
            };
            *count += 1;
            let due = *count - 1;
            return ensure(element["index"].as_u64() == Some(due), || {
                format!("index {} where {due} is due", element["index"])
            });
        }
        if let end @ Value::Object(_) = &artifact["measurementSeriesEnd"] {
            let count = self.series.insert(key(end), None).flatten();
            return ensure(count.is_some() && end["totalCount"].as_u64() == count, || {
                format!("series {} has {count:?} elements and not {}", key(end).1, end["totalCount"])
            });
        }
        Ok(())
    }

    fn known_hardware(&self, artifact: &Value) -> Kept {
        let Some(id) = artifact["hardwareInfoId"].as_str() else { return Ok(()) };
        ensure(self.hardware.contains(id), || format!("no hardware has the id {id}"))
    }

    fn known_software(&self, error: &Value) -> Kept {
        let mut ids = error["softwareInfoIds"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let strange = ids.find(|id| !self.software.contains(*id));
        ensure(strange.is_none(), || format!("no software has the id {}", strange.unwrap_or_default()))
    }
}

/// Whether a validator can judge the value at all.
fn fits(validator: &Value, value: &Value) -> Kept {
    let bound = &validator["value"];
    let kind = text(validator, "type");
    let fits = match kind {
        "LESS_THAN" | "LESS_THAN_OR_EQUAL" | "GREATER_THAN" | "GREATER_THAN_OR_EQUAL" => {
            bound.is_number() && (value.is_number() || value.is_null())
        }
        "EQUAL" | "NOT_EQUAL" => value.is_null() || std::mem::discriminant(bound) == std::mem::discriminant(value),
        "REGEX_MATCH" | "REGEX_NO_MATCH" => value.is_string() || value.is_null(),
        "IN_SET" | "NOT_IN_SET" => bound.is_array(),
        _ => false,
    };
    ensure(fits, || format!("validator {kind} {bound} cannot judge {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small stream that keeps every rule, with a series.
    const SOUND: &[&str] = &[
        r#""schemaVersion":{"major":2,"minor":0}"#,
        r#""testRunArtifact":{"testRunStart":{"dutInfo":{"hardwareInfos":[{"hardwareInfoId":"gpu/0"}],"softwareInfos":[{"softwareInfoId":"kiln"}]}}}"#,
        r#""testStepArtifact":{"testStepId":"1","testStepStart":{"name":"a"}}"#,
        r#""testStepArtifact":{"testStepId":"1","measurement":{"name":"t","value":1.0,"hardwareInfoId":"gpu/0","validators":[{"type":"LESS_THAN","value":2}]}}"#,
        r#""testStepArtifact":{"testStepId":"1","measurementSeriesStart":{"measurementSeriesId":"0","name":"t"}}"#,
        r#""testStepArtifact":{"testStepId":"1","measurementSeriesElement":{"measurementSeriesId":"0","index":0,"value":1}}"#,
        r#""testStepArtifact":{"testStepId":"1","measurementSeriesEnd":{"measurementSeriesId":"0","totalCount":1}}"#,
        r#""testStepArtifact":{"testStepId":"1","error":{"symptom":"x","softwareInfoIds":["kiln"]}}"#,
        r#""testStepArtifact":{"testStepId":"1","testStepEnd":{"status":"COMPLETE"}}"#,
        r#""testRunArtifact":{"testRunEnd":{"status":"COMPLETE","result":"PASS"}}"#,
    ];

    fn stream(lines: &[String]) -> String {
        let lines = lines.iter().enumerate().map(|(number, line)| format!("{{\"sequenceNumber\":{number},{line}}}\n"));
        lines.collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_sound_stream_keeps_every_rule_wherever_it_is_cut() {
        let lines: Vec<String> = SOUND.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(broken_rule(&stream(&lines)), Ok(true));
        for cut in 0..lines.len() {
            assert_eq!(broken_rule(&stream(&lines[..cut])), Ok(false));
        }
    }

    #[test]
    fn every_rule_is_held() {
        let mut said = Vec::new();
        let mut hold = |what: &str, change: &dyn Fn(&mut Vec<String>)| {
            let mut lines: Vec<String> = SOUND.iter().map(|line| (*line).to_owned()).collect();
            change(&mut lines);
            let broken = broken_rule(&stream(&lines)).expect_err(what);
            said.push(format!("{what}: {broken}"));
        };
        hold("no version", &|lines| drop(lines.remove(0)));
        hold("no start", &|lines| drop(lines.remove(1)));
        hold("two starts", &|lines| lines.insert(2, SOUND[1].to_owned()));
        hold("no step", &|lines| drop(lines.remove(2)));
        hold("two steps of one id", &|lines| lines.insert(3, SOUND[2].to_owned()));
        hold("no end of the step", &|lines| drop(lines.remove(8)));
        hold("after the end of the step", &|lines| lines.swap(7, 8));
        hold("after the end of the run", &|lines| lines.push(SOUND[2].to_owned()));
        hold("strange hardware", &|lines| lines[3] = lines[3].replace("gpu/0", "gpu/1"));
        hold("strange software", &|lines| lines[7] = lines[7].replace("kiln", "kilt"));
        hold("unlike values", &|lines| lines[3] = lines[3].replace("1.0", "\"one\""));
        hold("no series", &|lines| drop(lines.remove(4)));
        hold("an element lost", &|lines| drop(lines.remove(5)));
        hold("an element out of turn", &|lines| lines[5] = lines[5].replace("\"index\":0", "\"index\":1"));
        hold("no end of the series", &|lines| drop(lines.remove(6)));
        insta::assert_snapshot!(said.join("\n"), @r#"
        no version: line 1: the version of the schema comes first
        no start: line 2: the run has not started
        two starts: line 3: the run starts once
        no step: line 3: step 1 is not open
        two steps of one id: line 4: step 1 starts twice
        no end of the step: line 9: step 1 is open at the end of the run
        after the end of the step: line 9: step 1 is not open
        after the end of the run: line 11: nothing follows the end of the run
        strange hardware: line 4: no hardware has the id gpu/1
        strange software: line 8: no software has the id kilt
        unlike values: line 4: validator LESS_THAN 2 cannot judge "one"
        no series: line 5: series 0 is not open
        an element lost: line 6: series 0 has Some(0) elements and not 1
        an element out of turn: line 6: index 1 where 0 is due
        no end of the series: line 8: step 1 ends before its series Some("0")
        "#);
        let skipped = stream(&SOUND.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
            .replace("Number\":4", "Number\":5");
        assert_eq!(broken_rule(&skipped), Err("line 5: sequence number Some(5) where 4 is due".to_owned()));
    }
}
