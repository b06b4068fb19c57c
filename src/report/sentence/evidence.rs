//! What a finding rests on, and why a guard tripped.

use super::failure;
use super::gpu_work::wrong_place;
use crate::language::Language;
use crate::value;
use kiln_diagnose as diagnose;
use kiln_event::{Evidence, EvidenceFact, EvidenceSource, Lateness, TripCause};
use kiln_model::{Change, FactState, Quantity, Sensor, format_span};

sentences! {
/// Why a guard tripped.
pub fn trip_cause(language, TripCause) {
    TripCause::Reading { sensor, value, held },
            value = quantity(*sensor, *value),
            sensor = sensor.name(),
            held = format_span(*held) =>
        "{sensor} is {value} and has been in the trip range for {held}",
        "{sensor} が {value} で、作動範囲に {held} とどまった";
    TripCause::NotOffered { sensor }, sensor = sensor.name() =>
        "{sensor} is not offered by this part and its driver, and the guard requires it",
        "監視に必要な {sensor} を、この部品とドライバーでは読み取れない";
    TripCause::Silent { sensor, span }, sensor = sensor.name(), span = format_span(*span) =>
        "{sensor} has given no reading for {span}",
        "{sensor} を {span} の間読み取れない";
    TripCause::SilentOnAll { sensor, span }, sensor = sensor.name(), span = format_span(*span) =>
        "{sensor} has given no reading on any GPU for {span}",
        "すべてのGPUで {sensor} を {span} の間読み取れない";
    TripCause::NothingHeard { span }, span = format_span(*span) =>
        "no GPU has given any reading for {span}",
        "すべてのGPUから {span} の間何も読み取れない";
    TripCause::GpuLost =>
        "the GPU no longer answers",
        "GPUが応答しない";
    TripCause::Xid { code }, meaning = diagnose::xid(*code).map_or_else(String::new, |row| format!(": {}", row.meaning)) =>
        "Xid {code}{meaning}",
        "Xid {code} が記録された (`kiln explain {code}` を参照)";
} {
    TripCause::Legacy(text) => text.clone();
}
}

sentences! {
fn fact(language, EvidenceFact) {
    EvidenceFact::Trip { at, cause }, cause = trip_cause(language, cause) =>
        "{cause} at {at}",
        "{at} に {cause}";
    EvidenceFact::Logged { text, at, before: None } =>
        "{text} at {at}",
        "{at} に {text}";
    EvidenceFact::Logged { text, at: _, before: Some(before) }, before = format_span(*before) =>
        "{text} {before} before the run",
        "試験の {before} 前に {text}";
    EvidenceFact::Lost { at } =>
        "no call was answered any more from {at} on",
        "{at} 以降、呼出しに応答がない";
    EvidenceFact::SilentFromStart { failure: why }, why = failure(language, *why) =>
        "no call was answered when the run began: {why}",
        "試験開始時から呼出しに応答がない: {why}";
    EvidenceFact::Mismatch { at, mismatch, celsius },
            place = wrong_place(language, &mismatch.place),
            word = mismatch.word,
            bits = mismatch.flipped_bits,
            warm = warm(language, *celsius) =>
        "wrong result from {place} at {at}, word {word}, {bits} bits flipped{warm}",
        "{at} に {place} の計算結果に誤り、ワード {word}、反転 {bits} ビット{warm}";
    EvidenceFact::OneSm { sm, told, of } =>
        "SM {sm} computed {told} of the {of} wrong results that were told one by one",
        "個別に記録された誤り {of} 件のうち {told} 件が SM {sm} によるもの";
    EvidenceFact::Late(Lateness { due, taken, worst, silence }), worst = format_span(*worst), silence = format_span(*silence) =>
        "samples: {taken} of {due} due were taken, the latest {worst} late; a load was silent for {silence}",
        "予定 {due} 回のうち {taken} 回を採取、最大 {worst} の遅れ。負荷の報告が {silence} 途絶えた";
    EvidenceFact::Changed { at, change }, change = self::change(language, change) =>
        "{change}, as the run went on at {at}",
        "{at} の試験再開時に {change}";
    EvidenceFact::Unrecognised { at } =>
        "no serial number and no UUID could be compared as the run went on at {at}",
        "{at} の試験再開時に、照合できる製造番号もUUIDもなかった";
    EvidenceFact::Booted { at } =>
        "the node had been started anew as the run went on at {at}, and no step had asked for it",
        "{at} の試験再開時に、工程の指示によらずノードが再起動していた";
    EvidenceFact::NotWithDriver { addresses }, addresses = addresses.join(", ") =>
        "not with the driver: {addresses}",
        "ドライバーが認識していない: {addresses}";
} {
    EvidenceFact::Value(judgement) => value::sentence_in(language, judgement);
    EvidenceFact::Legacy(text) => text.clone();
}
}

/// What a piece of evidence says.
pub fn evidence(language: Language, evidence: &Evidence) -> String {
    fact(language, &evidence.fact)
}

/// Where a piece of evidence comes from.
pub fn from(language: Language, source: &EvidenceSource) -> String {
    match source {
        EvidenceSource::Step(id) | EvidenceSource::Guard(id) => id.clone(),
        EvidenceSource::KernelLog => say!(language, "kernel log", "カーネルログ"),
        EvidenceSource::Readings => say!(language, "readings", "読取り"),
        EvidenceSource::Results => say!(language, "results", "計算結果"),
        EvidenceSource::PciBus => say!(language, "PCI bus", "PCIバス"),
        EvidenceSource::Resume => say!(language, "resume", "再開"),
    }
}

fn quantity(sensor: Sensor, value: f64) -> Quantity {
    Quantity::new(value, sensor.unit())
}

fn warm(language: Language, celsius: Option<f64>) -> String {
    celsius.map_or_else(String::new, |celsius| say!(language, ", die at {celsius} °C", "、ダイ温度 {celsius} °C"))
}

fn change(language: Language, change: &Change) -> String {
    let (what, was, is) = (change.fact.word(), state(language, &change.was), state(language, &change.is));
    say!(language, "{what} was {was}, is {is}", "{what} が {was} から {is} に変化")
}

fn state(language: Language, state: &FactState) -> String {
    match state {
        FactState::Value(value) => value.clone(),
        FactState::There => say!(language, "there", "あり"),
        FactState::NotThere => say!(language, "not there", "なし"),
        FactState::OneOf(count) => say!(language, "one of {count}", "{count} 個のうち1個"),
        FactState::Unsupported => say!(language, "unsupported", "非対応"),
        FactState::Unread(why) => failure(language, *why),
    }
}
