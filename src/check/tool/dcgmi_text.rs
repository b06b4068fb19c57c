//! The table that `dcgmi diag` prints without `-j`, as the report it would have been: scripts around it may give no other.
//!
//! DCGM 3 tells of all GPUs in one cell (`Fail - GPUs: 0, 3`), DCGM 4 has a row for each (`GPU3: Fail`). Warnings follow the
//! test they are of. The names of columns and sections are those of `dcgmi/Diag.cpp` (NVIDIA/DCGM).

use serde_json::{Value, json};

/// What the last row was of: rows without a name go on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Result,
    Warning,
    Note,
}

#[derive(Debug)]
struct Test {
    name: String,
    /// A status, and the GPUs it is of where they are named.
    results: Vec<(String, Option<String>)>,
    /// Warnings, and the GPU each is of where it is named.
    warnings: Vec<(String, Option<String>)>,
}

/// Which GPUs a cell that says `All` is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum All {
    /// As many as the table says it found, from the first on.
    Found,
    /// Those that the arguments chose, which the table does not name.
    Chosen,
}

/// The report of a table that is there to its end, or that tells of a failure before it breaks off; `None` where there is none.
pub(super) fn report_in(text: &str, all: All) -> Option<Value> {
    let is_border = |line: &str| line.starts_with("+---") && line.bytes().all(|byte| b"+-".contains(&byte));
    let (mut tests, mut section, mut last) = (Vec::<Test>::new(), None, Row::Note);
    let mut ended = false;
    let mut every = None;
    for line in text.lines().map(str::trim) {
        if let Some(title) = section_of(line) {
            section = Some(title);
            continue;
        }
        if is_border(line) {
            ended = !tests.is_empty();
            continue;
        }
        let Some((name, value)) = cells(line) else { continue };
        if section.is_none_or(|title| title == "Metadata") {
            if name == "GPU Device IDs Detected" && all == All::Found {
                let numbers: Vec<String> = (0..value.split(',').count()).map(|number| number.to_string()).collect();
                every = Some(numbers.join(","));
            }
            continue;
        }
        ended = false;
        if name.starts_with("Warning") || name.starts_with("Error") {
            last = Row::Warning;
        } else if name.starts_with("Info") {
            last = Row::Note;
        } else if !name.is_empty() {
            last = Row::Result;
            tests.push(Test { name: name.to_owned(), results: Vec::new(), warnings: Vec::new() });
        }
        let of = name.split_once(": GPU").map(|(_, gpu)| gpu.to_owned());
        let test = tests.last_mut()?;
        match last {
            Row::Result => test.results.push(result(value, every.as_deref())),
            Row::Warning if name.is_empty() && !test.warnings.is_empty() => {
                let (whole, _) = test.warnings.last_mut()?;
                whole.push(' ');
                whole.push_str(value);
            }
            Row::Warning => test.warnings.push((value.to_owned(), of)),
            Row::Note => {}
        }
    }
    let failed = tests.iter().flat_map(|test| &test.results).any(|(status, _)| status.eq_ignore_ascii_case("fail"));
    (ended || failed).then(|| json!({ "DCGM GPU Diagnostic": { "test_categories": [{ "tests": tests.iter().map(Test::report).collect::<Vec<_>>() }] } }))
}

impl Test {
    /// The test as DCGM 3 reports it. A warning is told with the GPU that it names; one that names none with what failed, and
    /// where nothing did with every result.
    fn report(&self) -> Value {
        let failed = |status: &str| !["Pass", "Skip"].contains(&status);
        let nothing_failed = !self.results.iter().any(|(status, _)| failed(status));
        let one = |(status, gpus): &(String, Option<String>)| {
            let is_told_here = |of: &Option<String>| match (of, gpus) {
                (Some(of), Some(gpus)) => gpus.split(',').any(|gpu| gpu == of),
                (Some(_), None) => true,
                (None, _) => failed(status) || nothing_failed,
            };
            let warnings: Vec<&str> =
                self.warnings.iter().filter(|(_, of)| is_told_here(of)).map(|(warning, _)| warning.as_str()).collect();
            let mut result = json!({ "status": status, "warnings": warnings.join("; ") });
            if let Some(gpus) = gpus {
                result["gpu_ids"] = json!(gpus);
            }
            result
        };
        json!({ "name": self.name, "results": self.results.iter().map(one).collect::<Vec<_>>() })
    }
}

/// The title in `|-----  Deployment  --------+------|`.
fn section_of(line: &str) -> Option<&str> {
    let title = line.strip_prefix(['|', '+'])?.strip_prefix("-----  ")?;
    title.split("  ").next()
}

/// Name and value of `| PCIe                      | Pass - All       |`.
fn cells(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix('|')?.strip_suffix('|')?.split_once('|')?;
    Some((name.trim(), value.trim()))
}

/// `Pass - All`, `Fail - GPUs: 0, 3`, `GPU3: Fail`, `Skip`.
fn result(value: &str, every: Option<&str>) -> (String, Option<String>) {
    let numbered = value.strip_prefix("GPU").and_then(|rest| rest.split_once(": "));
    if let Some((gpu, status)) = numbered
        && gpu.bytes().all(|byte| byte.is_ascii_digit())
    {
        return (status.to_owned(), Some(gpu.to_owned()));
    }
    let (status, of) = value.split_once(" - ").unwrap_or((value, ""));
    let gpus = of.strip_prefix("GPU").and_then(|rest| rest.split_once(": ")).map(|(_, gpus)| gpus.replace(' ', ""));
    let gpus = gpus.or_else(|| every.filter(|_| of == "All").map(str::to_owned));
    (status.to_owned(), gpus)
}
