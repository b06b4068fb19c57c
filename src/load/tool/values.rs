//! Numbers picked from the JSON report of a program that has no adapter, and its exit code as its verdict.

use serde_json::Value;

use kiln_limit::{Measurement, Missing};
use kiln_model::{Component, NamedValue, Unit, Unreadable};

/// Without a value to pick there is nothing to be read, whatever was printed. What the report does not hold is missing:
/// a report of another shape is not a measurement of zero.
pub(super) fn read(wanted: &[NamedValue], output: &str, exit: i32) -> Result<Vec<Measurement>, Unreadable> {
    let mut measured = Vec::new();
    if !wanted.is_empty() {
        let report = serde_json::from_str::<Value>(output);
        let report = report.map_err(|error| Unreadable::NotJson { error: error.to_string() })?;
        measured.extend(wanted.iter().map(|value| pick(value, &report)));
    }
    measured.push(Measurement::flag("passed", Component::Node, exit == 0));
    Ok(measured)
}

/// Longest quotation of what stands in the place of a number.
const FOUND: usize = 200;

fn pick(wanted: &NamedValue, report: &Value) -> Measurement {
    let (name, pointer) = (format!("value.{}", wanted.name), &wanted.pointer);
    let missing = |why| Measurement::missing(&name, Component::Node, Unit::One, why);
    match report.pointer(pointer) {
        None => missing(Missing::NotInReport { pointer: pointer.clone() }),
        Some(found) => {
            if let Some(number) = found.as_f64() {
                Measurement::number(&name, Component::Node, Unit::One, number, 1)
            } else {
                let found = found.to_string().chars().take(FOUND).collect();
                missing(Missing::NotANumber { pointer: pointer.clone(), found })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_picked_and_the_rest_is_missing() {
        let value = |name: &str, pointer: &str| NamedValue { name: name.to_owned(), pointer: pointer.to_owned() };
        let wanted = [value("iops", "/jobs/0/iops"), value("name", "/jobs/0/name"), value("lost", "/jobs/1/iops")];
        let report = r#"{"jobs": [{"iops": 12.5, "name": "a"}]}"#;
        let lines = |exit| {
            let measured = read(&wanted, report, exit).expect("readable");
            measured.iter().map(|one| format!("{} {:?}", one.name, one.value)).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(lines(2), @r#"
        value.iops Value(Number(12.5))
        value.name Missing(NotANumber { pointer: "/jobs/0/name", found: "\"a\"" })
        value.lost Missing(NotInReport { pointer: "/jobs/1/iops" })
        passed Value(Flag(false))
        "#);
        let error = read(&wanted, "oops", 0).expect_err("no report");
        assert_eq!(error.to_string(), "it is not JSON: expected value at line 1 column 1");
        assert_eq!(read(&[], "oops", 0), Ok(vec![Measurement::flag("passed", Component::Node, true)]));
    }
}
