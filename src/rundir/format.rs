//! Every output format of a run, behind one trait and in one list.

use std::io::{self, Write};

use super::labels::labels;
use super::view::RunView;
use kiln_disk::{JUNIT, OCPTV, PAGE, PARQUET, RESULT, RunFile};
use kiln_event::{JunitDialect, RunRecord};
use kiln_report::{self as report, Junit};
use kiln_telemetry::{self as telemetry, ExportError};

/// What kind of stream a format may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text for people. On a terminal a final line break is added.
    Text,
    /// Text for programs, written byte for byte.
    Exact,
    /// Binary data, which a terminal must not receive.
    Binary,
}

impl Form {
    pub(super) const fn is_binary(self) -> bool {
        matches!(self, Self::Binary)
    }
}

/// An output format.
pub trait Format: Sync {
    /// The name that `--format` takes.
    fn name(&self) -> &'static str;

    /// A one-line description.
    fn about(&self) -> &'static str;

    fn form(&self) -> Form;

    /// The file of the run directory that has this format, if there is one for this run.
    fn file(&self, record: &RunRecord) -> Option<RunFile>;

    /// Returns true if the format can say that the journal is damaged. Such a format is written from the events before the
    /// damage; any other is refused.
    fn tells_damage(&self) -> bool {
        false
    }

    fn write(&self, view: &RunView<'_>, out: &mut (dyn Write + Send)) -> Result<(), FormatError>;
}

/// Why a run could not be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    NoTelemetry(String),
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// All formats, in the order in which they are listed to the user.
pub const FORMATS: [&dyn Format; 12] = [
    &TextFormat {
        name: "text",
        about: "The verdict with findings, as at the end of a run",
        file: |_| None,
        text: |view| report::verdict_block(view.record, view.look.paint, view.look.language),
        ..PLAIN
    },
    &ResultFormat,
    &TextFormat {
        name: "junit",
        about: "JUnit, valid under the schema of Jenkins",
        file: |record| (dialect(record) == JunitDialect::Strict).then_some(JUNIT),
        text: |view| report::junit(view.record, Junit::Strict),
        ..PLAIN
    },
    &TextFormat {
        name: "junit-rich",
        about: "JUnit with properties, times and attachments of every case",
        file: |record| (dialect(record) == JunitDialect::Rich).then_some(JUNIT),
        text: |view| report::junit(view.record, Junit::Rich { folder: view.folder }),
        ..PLAIN
    },
    &TextFormat {
        name: "ocptv",
        about: "OCPTV 2.0, one JSON object a line",
        file: |_| Some(OCPTV),
        text: |view| report::ocptv(view.events),
        form: Form::Exact,
    },
    &TextFormat {
        name: "csv",
        about: "One measurement a row, RFC 4180",
        text: |view| report::csv(view.record),
        form: Form::Exact,
        ..PLAIN
    },
    &TextFormat {
        name: "csv-excel",
        about: "The same with a byte order mark: Excel reads it as UTF-8 in any country",
        text: |view| report::csv_for_excel(view.record),
        form: Form::Exact,
        ..PLAIN
    },
    &TextFormat {
        name: "rows",
        about: "One measurement a row, as a JSON object a line",
        text: |view| report::json_rows(view.record),
        form: Form::Exact,
        ..PLAIN
    },
    &TextFormat {
        name: "dcgm-json",
        about: "What readers of `dcgmi diag -j` understand, as DCGM 4 writes it",
        text: |view| report::dcgm(view.record),
        ..PLAIN
    },
    &TextFormat {
        name: "dcgm3-json",
        about: "The same as DCGM 3 writes it, which many readers still expect",
        text: |view| report::dcgm3(view.record),
        ..PLAIN
    },
    &TextFormat { name: "html", about: "The page for people, in one file", file: |_| Some(PAGE), text: page, ..PLAIN },
    &ParquetFormat,
];

/// Finds a format by its name.
pub fn format(name: &str) -> Option<&'static dyn Format> {
    FORMATS.into_iter().find(|format| format.name() == name)
}

fn dialect(record: &RunRecord) -> JunitDialect {
    record.start.as_ref().map(|start| start.junit).unwrap_or_default()
}

fn page(view: &RunView<'_>) -> String {
    let traces = view.readings().traces(view.record);
    report::run_page(view.record, &traces, view.lacks, view.look.languages)
}

/// A format that is built in memory as one text.
struct TextFormat {
    name: &'static str,
    about: &'static str,
    form: Form,
    file: fn(&RunRecord) -> Option<RunFile>,
    text: fn(&RunView<'_>) -> String,
}

const PLAIN: TextFormat = TextFormat { name: "", about: "", form: Form::Text, file: |_| None, text: |_| String::new() };

impl Format for TextFormat {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn form(&self) -> Form {
        self.form
    }

    fn file(&self, record: &RunRecord) -> Option<RunFile> {
        (self.file)(record)
    }

    fn tells_damage(&self) -> bool {
        self.name == "html"
    }

    fn write(&self, view: &RunView<'_>, out: &mut (dyn Write + Send)) -> Result<(), FormatError> {
        Ok(out.write_all((self.text)(view).as_bytes())?)
    }
}

/// `result.json`, which is written as it is made.
struct ResultFormat;

impl Format for ResultFormat {
    fn name(&self) -> &'static str {
        "json"
    }

    fn about(&self) -> &'static str {
        "Everything the run found out: result.json"
    }

    fn form(&self) -> Form {
        Form::Text
    }

    fn file(&self, _: &RunRecord) -> Option<RunFile> {
        Some(RESULT)
    }

    fn write(&self, view: &RunView<'_>, out: &mut (dyn Write + Send)) -> Result<(), FormatError> {
        Ok(report::write_result(view.record, out)?)
    }
}

/// Telemetry as Parquet.
struct ParquetFormat;

impl Format for ParquetFormat {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn about(&self) -> &'static str {
        "Telemetry: one row per GPU and tick"
    }

    fn form(&self) -> Form {
        Form::Binary
    }

    fn file(&self, _: &RunRecord) -> Option<RunFile> {
        Some(PARQUET)
    }

    fn write(&self, view: &RunView<'_>, out: &mut (dyn Write + Send)) -> Result<(), FormatError> {
        let mut readings = view.readings();
        let reader = readings.reader().map_err(FormatError::NoTelemetry)?;
        for gap in telemetry::export(reader, &labels(view.record), &mut *out)? {
            view.tell(format!("telemetry: {gap}"));
        }
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_disk::{Made, RUN_FILES};
    use kiln_stories::endings;

    #[test]
    fn every_file_that_can_be_made_again_has_one_form_that_makes_it() {
        let mut record = endings()["pass"].record();
        for junit in [JunitDialect::Strict, JunitDialect::Rich] {
            record.start.as_mut().expect("a start").junit = junit;
            for file in RUN_FILES.into_iter().filter(|file| file.made == Made::Rebuilt) {
                let makers = FORMATS.iter().filter(|format| format.file(&record) == Some(file));
                assert_eq!(makers.count(), 1, "{} under {junit:?}", file.name);
            }
        }
    }

    #[test]
    fn every_form_is_found_by_its_name_and_only_by_that() {
        for one in FORMATS {
            assert_eq!(format(one.name()).map(Format::about), Some(one.about()));
            assert!(!one.about().is_empty());
        }
        assert!(format("pdf").is_none());
    }
}
