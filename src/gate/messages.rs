//! What other systems are told, each a function of the floor's events alone: the same event is the same bytes, whenever and
//! however often it is sent.

use kiln_event::VerdictWord;
use kiln_floor::{FloorEvent, FloorState, RunFacts, Stamped};
use serde::Serialize;
use serde_json::json;

/// A unit's disposition, with what it was made from.
#[derive(Debug, Serialize)]
struct Dropped<'a> {
    schema: &'static str,
    floor: &'a str,
    /// The number of the floor's event: the same message is the same fact.
    seq: u64,
    /// Microseconds since 1970, UTC.
    at: u64,
    unit: &'a str,
    slot: Option<&'a str>,
    lot: Option<&'a str>,
    disposition: kiln_floor::Disposition,
    because: &'a kiln_floor::Because,
    by: &'a kiln_floor::Actor,
    runs: Vec<Run<'a>>,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the message")]
struct Run<'a> {
    run: &'a str,
    profile: &'a str,
    verdict: VerdictWord,
    codes: &'a [String],
}

/// What a system wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// `kiln.disposition/1`: what was decided about a unit.
    Disposition,
    /// `kiln.result/1` for every run, and `kiln.disposition/1`.
    Result,
    /// IPC-2591 (CFX) `UnitsTested` for every run.
    Cfx,
    /// `kiln.floor-event/1`: every event of the floor.
    Event,
}

/// A message about one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) seq: u64,
    /// What a receiver tells repetitions by.
    pub(crate) key: String,
    /// The unit it is about, if it is about one.
    pub(crate) unit: String,
    /// What it is, as one word.
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
}

impl Form {
    /// The message about an event, if the form has one for it. `before` is the state that the event came into.
    pub(crate) fn message(
        self,
        floor: &str,
        before: &FloorState,
        stamped: &Stamped,
    ) -> serde_json::Result<Option<Message>> {
        let (unit, kind, body) = match (&stamped.event, self) {
            (FloorEvent::Disposed { unit, .. }, Self::Disposition | Self::Result) => {
                (unit.to_string(), "disposition".to_owned(), disposition(floor, before, stamped)?)
            }
            (FloorEvent::RunArrived { unit, facts, .. }, Self::Result) => {
                (unit.to_string(), "result".to_owned(), result(floor, before, stamped, facts)?)
            }
            (FloorEvent::RunArrived { unit, facts, .. }, Self::Cfx) => {
                (unit.to_string(), "units-tested".to_owned(), units_tested(floor, before, stamped, facts)?)
            }
            (_, Self::Event) => {
                let (kind, body) = event(floor, stamped)?;
                (String::new(), kind, Some(body))
            }
            _ => return Ok(None),
        };
        let key = format!("{}-{:012}", if floor.is_empty() { "floor" } else { floor }, stamped.seq);
        Ok(body.map(|body| Message { seq: stamped.seq, key, unit, kind, body }))
    }
}

/// An event as it is kept, with which floor's it is; and what it is called.
fn event(floor: &str, stamped: &Stamped) -> serde_json::Result<(String, Vec<u8>)> {
    let event = serde_json::to_value(&stamped.event)?;
    // One without fields is its name, every other one has its name as the only key.
    let name = event.as_str().or_else(|| event.as_object()?.keys().next().map(String::as_str));
    let name = name.unwrap_or("event").to_owned();
    let Stamped { seq, at, actor, .. } = stamped;
    let told = json!({
        "schema": "kiln.floor-event/1", "floor": floor, "seq": seq, "at": at, "actor": actor, "event": event,
    });
    Ok((name, serde_json::to_vec_pretty(&told)?))
}

fn disposition(floor: &str, before: &FloorState, stamped: &Stamped) -> serde_json::Result<Option<Vec<u8>>> {
    let FloorEvent::Disposed { unit, disposition, because, .. } = &stamped.event else { return Ok(None) };
    let known = before.units.get(unit);
    let runs = known.map_or(&[][..], |known| &known.runs).iter().map(|outcome| Run {
        run: outcome.facts.run.as_str(),
        profile: &outcome.profile,
        verdict: outcome.facts.verdict,
        codes: &outcome.facts.codes,
    });
    let dropped = Dropped {
        schema: "kiln.disposition/1",
        floor,
        seq: stamped.seq,
        at: stamped.at,
        unit: unit.as_str(),
        slot: known.and_then(|known| known.slot.as_ref()).map(kiln_wire::SlotId::as_str),
        lot: known.and_then(|known| known.lot.as_ref()).map(kiln_wire::LotId::as_str),
        disposition: *disposition,
        because,
        by: &stamped.actor,
        runs: runs.collect(),
    };
    serde_json::to_vec_pretty(&dropped).map(Some)
}

fn profile_of(before: &FloorState, facts: &RunFacts) -> String {
    before.runs.get(&facts.run).map(|run| run.profile.clone()).unwrap_or_default()
}

fn result(
    floor: &str,
    before: &FloorState,
    stamped: &Stamped,
    facts: &RunFacts,
) -> serde_json::Result<Option<Vec<u8>>> {
    let FloorEvent::RunArrived { unit, generation, golden, .. } = &stamped.event else { return Ok(None) };
    let slot = before.units.get(unit).and_then(|unit| unit.slot.as_ref());
    let told = json!({
        "schema": "kiln.result/1",
        "floor": floor,
        "seq": stamped.seq,
        "at": stamped.at,
        "unit": unit,
        "slot": slot,
        "generation": generation,
        "golden": golden,
        "profile": profile_of(before, facts),
        "run": facts,
    });
    serde_json::to_vec_pretty(&told).map(Some)
}

/// A moment as CFX has it: ISO 8601.
fn moment(micros: u64) -> String {
    let at = i64::try_from(micros).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// IPC-2591, `CFX.Production.TestAndInspection.UnitsTested`, version 1.7: one unit, one test, its codes as symptoms.
fn units_tested(
    floor: &str,
    before: &FloorState,
    stamped: &Stamped,
    facts: &RunFacts,
) -> serde_json::Result<Option<Vec<u8>>> {
    let FloorEvent::RunArrived { unit, golden, .. } = &stamped.event else { return Ok(None) };
    // A golden unit is the station's own proof, and no product.
    if *golden {
        return Ok(None);
    }
    // A run without a claim did not pass, and is no fail of the unit's either.
    let result = match facts.verdict {
        VerdictWord::Pass if !facts.partial => "Passed",
        VerdictWord::Fail => "Failed",
        VerdictWord::Aborted => "Aborted",
        VerdictWord::Pass
        | VerdictWord::Held
        | VerdictWord::Error
        | VerdictWord::Inconclusive
        | VerdictWord::Nothing => "Error",
    };
    let symptoms: Vec<_> = facts.codes.iter().map(|code| json!({ "UniqueIdentifier": code })).collect();
    let told = json!({
        "MessageName": "CFX.Production.TestAndInspection.UnitsTested",
        "Version": "1.7",
        "TimeStamp": moment(stamped.at),
        "UniqueID": format!("{floor}-{}", stamped.seq),
        "Source": floor,
        "MessageBody": {
            "$type": "CFX.Production.TestAndInspection.UnitsTested, CFX",
            "TransactionID": facts.run,
            "TestMethod": "Automated",
            "TestedUnits": [{
                "UnitIdentifier": unit,
                "UnitPositionNumber": 1,
                "OverallResult": result,
                "Tests": [{
                    "UniqueIdentifier": facts.run,
                    "TestName": profile_of(before, facts),
                    "Result": result,
                    "SymptomsFound": symptoms,
                }],
            }],
        },
    });
    serde_json::to_vec_pretty(&told).map(Some)
}
