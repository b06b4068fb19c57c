//! The files of a run directory: what each is called, what it holds, and whether it can be made again.

/// One file of a run directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunFile {
    /// Relative to the run directory, with `/` between folders.
    pub name: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    pub about: &'static str,
    pub made: Made,
}

/// Where a file comes from, which is what a seal asks before it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Written while the run goes on; nothing else has what it holds.
    Recorded,
    /// Follows from the recorded files, byte for byte.
    Rebuilt,
    /// Signs all the others.
    Sealed,
}

pub const JOURNAL: RunFile = RunFile {
    name: "journal.jsonl",
    content_type: "application/jsonl",
    about: "every event of the run, hash-chained",
    made: Made::Recorded,
};
pub const SAMPLES: RunFile = RunFile {
    name: "telemetry/samples.ktb",
    content_type: "application/octet-stream",
    about: "every reading of every tick, in compressed columns",
    made: Made::Recorded,
};
pub const PARQUET: RunFile = RunFile {
    name: "telemetry/samples.parquet",
    content_type: "application/vnd.apache.parquet",
    about: "every reading of every tick, one row per GPU and tick",
    made: Made::Rebuilt,
};
pub const PAGE: RunFile =
    RunFile { name: "report.html", content_type: "text/html", about: "the page for people", made: Made::Rebuilt };
pub const RESULT: RunFile = RunFile {
    name: "result.json",
    content_type: "application/json",
    about: "everything the run found out",
    made: Made::Rebuilt,
};
pub const JUNIT: RunFile = RunFile {
    name: "junit.xml",
    content_type: "application/xml",
    about: "one test case for every step and component",
    made: Made::Rebuilt,
};
pub const OCPTV: RunFile = RunFile {
    name: "ocptv.jsonl",
    content_type: "application/jsonl",
    about: "run, steps, measurements, diagnoses and verdict as OCPTV",
    made: Made::Rebuilt,
};
/// What the program did, for whoever must find out why it hung; bounded, and judged by nobody.
pub const LOG: RunFile = RunFile {
    name: "kiln.log",
    content_type: "text/plain",
    about: "what the program itself did and waited for",
    made: Made::Recorded,
};
pub const SEAL: RunFile = RunFile {
    name: "seal.json",
    content_type: "application/vnd.dsse+json",
    about: "a signature over all other files",
    made: Made::Sealed,
};

/// Every file a run directory can have.
pub const RUN_FILES: [RunFile; 9] = [JOURNAL, SAMPLES, PARQUET, PAGE, RESULT, JUNIT, OCPTV, LOG, SEAL];
