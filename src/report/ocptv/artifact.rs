//! The messages of OCPTV 2.0, as far as they are written here. What is not known is left out: the schema refuses nulls.

use serde::Serialize;
use serde_json::{Map, Value};

/// One line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub(super) sequence_number: u64,
    pub(super) timestamp: String,
    #[serde(flatten)]
    pub(super) artifact: Artifact,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Artifact {
    SchemaVersion {
        major: u32,
        minor: u32,
    },
    #[serde(rename = "testRunArtifact")]
    Run(RunArtifact),
    #[serde(rename = "testStepArtifact")]
    Step {
        test_step_id: String,
        #[serde(flatten)]
        artifact: StepArtifact,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum RunArtifact {
    TestRunStart {
        name: String,
        version: String,
        command_line: String,
        parameters: Map<String, Value>,
        dut_info: DutInfo,
        metadata: Map<String, Value>,
    },
    TestRunEnd {
        status: Status,
        result: RunResult,
    },
    Log(Log),
    Error(Error),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum StepArtifact {
    TestStepStart {
        name: String,
    },
    TestStepEnd {
        status: Status,
    },
    Measurement(Measurement),
    Diagnosis(Diagnosis),
    Log(Log),
    Error(Error),
    File {
        display_name: &'static str,
        /// Relative to where the stream's own file is.
        uri: &'static str,
        description: &'static str,
        content_type: &'static str,
        is_snapshot: bool,
    },
    Extension {
        name: &'static str,
        content: Value,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Status {
    Complete,
    Error,
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum RunResult {
    Pass,
    Fail,
    NotApplicable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Severity {
    Info,
    Warning,
    Error,
}

#[derive(Debug, Serialize)]
pub(super) struct Log {
    pub(super) severity: Severity,
    pub(super) message: String,
}

/// Trouble of the test; never a claim about hardware.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Error {
    /// Short and countable.
    pub(super) symptom: String,
    pub(super) message: String,
    pub(super) software_info_ids: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measurement {
    pub(super) name: String,
    pub(super) value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) validators: Vec<Validator>,
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) metadata: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Validator {
    pub(super) name: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: ValidatorKind,
    pub(super) value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ValidatorKind {
    Equal,
    NotEqual,
    LessThan,
    LessThanOrEqual,
    GreaterThan,
    GreaterThanOrEqual,
    RegexMatch,
    InSet,
}

#[derive(Debug, Serialize)]
pub(super) struct Diagnosis {
    /// Short and countable.
    pub(super) verdict: String,
    #[serde(rename = "type")]
    pub(super) kind: DiagnosisKind,
    pub(super) message: String,
    #[serde(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DiagnosisKind {
    Pass,
    Fail,
    Unknown,
}

/// Which hardware, and which part of it. Neither for what is not of the unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hardware_info_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subcomponent: Option<Subcomponent>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Subcomponent {
    #[serde(rename = "type")]
    pub(super) kind: SubcomponentKind,
    pub(super) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum SubcomponentKind {
    #[serde(rename = "UNSPECIFIED")]
    Unspecified,
    #[serde(rename = "ASIC")]
    Asic,
    #[serde(rename = "ASIC-SUBSYSTEM")]
    AsicSubsystem,
    #[serde(rename = "BUS")]
    Bus,
    #[serde(rename = "FUNCTION")]
    Function,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DutInfo {
    #[serde(rename = "dutInfoId")]
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) platform_infos: Vec<PlatformInfo>,
    pub(super) hardware_infos: Vec<HardwareInfo>,
    pub(super) software_infos: Vec<SoftwareInfo>,
}

#[derive(Debug, Serialize)]
pub(super) struct PlatformInfo {
    pub(super) info: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HardwareInfo {
    #[serde(rename = "hardwareInfoId")]
    pub(super) id: String,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serial_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) computer_system: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SoftwareInfo {
    #[serde(rename = "softwareInfoId")]
    pub(super) id: String,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    pub(super) software_type: SoftwareType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum SoftwareType {
    Firmware,
    System,
    Application,
}
