//! What is told of one result of a step: its measurements with validators, a diagnosis, or the trouble that left it without.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::artifact::{Diagnosis, DiagnosisKind, Error, Log, Measurement, Severity, Status, StepArtifact};
use super::dut::{Dut, KILN};
use super::validator::{number, scalar, validators};
use crate::language::Language;
use crate::plain::plain;
use crate::{explain, sentence, value, words};
use kiln_event::{Case, Finding, Outcome, Reason};
use kiln_limit::{Judged, Judgement, Limit, Measured};
use kiln_model::Component;

pub(super) type Limits = BTreeMap<String, Limit>;

pub(super) fn log(severity: Severity, message: impl Into<String>) -> Log {
    let message: String = message.into();
    Log { severity, message: plain(&message).into_owned() }
}

pub(super) fn error(symptom: &str, message: &str) -> Error {
    Error { symptom: symptom.to_owned(), message: plain(message).into_owned(), software_info_ids: vec![KILN] }
}

/// Everything about one result of the step at `path`.
pub(super) fn case(path: &str, case: &Case, limits: Option<&Limits>, dut: &Dut) -> Vec<StepArtifact> {
    let limit = |judgement: &Judgement| limits.and_then(|limits| limits.get(&judgement.measurement.name));
    let mut told: Vec<StepArtifact> =
        case.judgements.iter().map(|judgement| measurement(judgement, limit(judgement), dut)).collect();
    let headline = explain::headline(case);
    let text = format!("{}: {headline}", case.component);
    let kind = case.reason.as_ref().map_or("error", |reason| reason.kind().word());
    let of = |what: &str| format!("{}-{what}", path.replace('.', "-"));
    let diagnosed = |verdict: String, kind| {
        StepArtifact::Diagnosis(Diagnosis {
            verdict: plain(&verdict).into_owned(),
            kind,
            message: text.clone(),
            place: dut.place(case.component),
        })
    };
    told.push(match case.outcome {
        Outcome::Pass => diagnosed(of("pass"), DiagnosisKind::Pass),
        Outcome::Marginal => diagnosed(of("marginal"), DiagnosisKind::Pass),
        Outcome::Waived => diagnosed(of("waived"), DiagnosisKind::Pass),
        Outcome::Fail => {
            let code = value::worst(&case.judgements).and_then(|judgement| judgement.code.clone());
            diagnosed(
                code.filter(|_| matches!(case.reason, Some(Reason::Limit(_)))).unwrap_or_else(|| of(kind)),
                DiagnosisKind::Fail,
            )
        }
        Outcome::Held => diagnosed(of("held"), DiagnosisKind::Unknown),
        Outcome::Inconclusive => diagnosed(of("inconclusive"), DiagnosisKind::Unknown),
        Outcome::Error => StepArtifact::Error(error(kind, &text)),
        Outcome::Aborted => StepArtifact::Log(log(Severity::Warning, text)),
        Outcome::Skipped => {
            StepArtifact::Log(log(Severity::Info, format!("{}: not applicable: {headline}", case.component)))
        }
        Outcome::NotReached => {
            StepArtifact::Log(log(Severity::Info, format!("{}: not reached: {headline}", case.component)))
        }
    });
    told
}

/// How an attempt ended. A fail is a whole result; what has none for some part is not.
pub(super) fn status(cases: &[Case]) -> Status {
    let any = |wanted: &[Outcome]| cases.iter().any(|case| wanted.contains(&case.outcome));
    let idle = [Outcome::Skipped, Outcome::NotReached, Outcome::Aborted];
    if any(&[Outcome::Error]) || cases.is_empty() {
        Status::Error
    } else if any(&[Outcome::Aborted]) || cases.iter().all(|case| idle.contains(&case.outcome)) {
        Status::Skip
    } else {
        Status::Complete
    }
}

/// A value that is not there is a warning where it should be: OCPTV has no measurement without one.
fn measurement(judgement: &Judgement, limit: Option<&Limit>, dut: &Dut) -> StepArtifact {
    let measured = &judgement.measurement;
    let value = match &measured.value {
        Measured::Value(value) => scalar(value),
        Measured::Unsupported | Measured::Missing(_) => None,
    };
    let Some(value) = value else {
        let text = format!("{}: {}: {}", measured.component, value::sentence(judgement), value::judged(judgement));
        let wanted = judgement.limit.is_some() && judgement.decisive;
        return StepArtifact::Log(log(if wanted { Severity::Warning } else { Severity::Info }, text));
    };
    StepArtifact::Measurement(Measurement {
        name: measured.name.clone(),
        unit: value.is_number().then(|| measured.unit.symbol()),
        value,
        validators: validators(judgement, limit),
        place: dut.place(measured.component),
        metadata: metadata(judgement),
    })
}

fn metadata(judgement: &Judgement) -> Map<String, Value> {
    let outcome = match &judgement.outcome {
        _ if judgement.limit.is_none() => "told".to_owned(),
        Judged::Pass => "pass".to_owned(),
        Judged::Marginal => "marginal".to_owned(),
        Judged::Outlier => "outlier".to_owned(),
        Judged::Fail => "fail".to_owned(),
        Judged::Unjudged(why) => format!("unjudged: {}", value::why_unjudged(why)),
    };
    let mut map = Map::new();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            map.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    add("@type", Some("kiln.judgement/1".into()));
    add("outcome", Some(outcome.into()));
    add("component", Some(judgement.measurement.component.to_string().into()));
    add("samples", Some(judgement.measurement.samples.into()));
    add("limit", text(&judgement.limit));
    add("margin", value::margin(judgement).and_then(number));
    add("code", text(&judgement.code));
    add("source", text(&judgement.source));
    add("waiver", judgement.waiver.as_ref().map(|waiver| sentence::waiver(Language::English, waiver).into()));
    add("decisive", (!judgement.decisive).then(|| false.into()));
    map
}

/// A finding. One about the station, or of a run in which nothing failed, proves nothing against the unit.
pub(super) fn finding(finding: &Finding, failed: bool, dut: &Dut) -> StepArtifact {
    let mut message = format!("{}. {}", finding.cause.en, words::action(finding.action));
    if finding.suspects.len() > 1 {
        let suspects: Vec<String> = finding.suspects.iter().map(ToString::to_string).collect();
        message = format!("{message}. Any of: {}", suspects.join(", "));
    }
    let proven = failed && finding.component != Component::Station;
    StepArtifact::Diagnosis(Diagnosis {
        verdict: finding.code.clone(),
        kind: if proven { DiagnosisKind::Fail } else { DiagnosisKind::Unknown },
        message: plain(&message).into_owned(),
        place: dut.place(finding.component),
    })
}
