//! What a run would say of this machine before it loads it: the plan of a profile, and its first stage judged by the engine
//! itself, so that `kiln doctor` knows no rules of its own.

use super::args::DoctorArgs;
use super::command_error::CommandError;
use super::drive::Prompter;
use super::run::equipment;
use super::signals::Interrupts;
use super::skus::own_digests;
use super::{drive, dut, files};
use crate::check;
use crate::engine::{Machine, Witness};
use crate::event::{Envelope, RunKind, RunRecord, RunStart, VerdictWord, roll_up};
use crate::model::{Inventory, Sample};
use crate::node::NodeLock;
use crate::node::doctor::{Identified, Planned};
use crate::plan::{self, Readiness};
use crate::profile::{Profile, Skus};
use crate::report::{self, Language};

/// The profile whose rules are taken: the shortest of the shipped ones; they share their first stage.
const PROFILE: &str = "smoke";
/// Its stage that needs no load.
const STAGE: &str = "identify";

/// What the profile's plan says of the node. A node that cannot be planned on is told by its models.
pub(super) fn planned(inventory: &Inventory, skus: &Skus) -> Result<Option<Planned>, CommandError> {
    let file = files::find_profile(PROFILE)?;
    let mut profile = files::resolve(&file, skus, &[], None)?;
    allow_own_models(&mut profile, skus);
    let Ok(plan) = plan::make(&profile, inventory, skus, check::catalogue(), None) else { return Ok(None) };
    let steps = plan.steps();
    let unmet = steps.filter_map(|step| match &step.readiness {
        Readiness::Unmet(why) => Some(format!("{} cannot run: {}", step.path, report::unmet(Language::English, why))),
        Readiness::Ready | Readiness::Skip(_) | Readiness::Deselected => None,
    });
    let unmet = unmet.collect();
    Ok(Some(Planned { profile: PROFILE.to_owned(), unmet, blind: report::blind_lines(&plan, Language::English) }))
}

/// Runs the first stage. Nothing of it is kept but what is said.
pub(super) fn identified(args: &DoctorArgs, skus: &Skus) -> Result<Identified, CommandError> {
    let file = files::find_profile(PROFILE)?;
    let mut profile = files::resolve(&file, skus, &[], Some(STAGE))?;
    allow_own_models(&mut profile, skus);
    let Ok(mut chosen) = dut::hardware(&args.hardware, 1.0, None) else { return Ok(Identified::NotTried) };
    let _node = if chosen.source.is_hardware() {
        match NodeLock::take(std::path::Path::new("kiln doctor")) {
            Ok(lock) => Some(lock),
            Err(error) => return Ok(Identified::Refused(error.to_string())),
        }
    } else {
        None
    };
    let start = RunStart {
        kind: RunKind::of(&profile, false),
        surroundings: chosen.surroundings.clone(),
        profile_digest: profile.digest(),
        ..RunStart::plain(&uuid::Uuid::now_v7().to_string(), profile, chosen.source.clone())
    };
    let mut machine = Machine::new(equipment(skus), start, Some(STAGE.to_owned()));
    let prompter = Prompter { answer: None, language: Language::English };
    let driven = drive::drive(&mut machine, &mut chosen, &mut Unkept, None, prompter, &Interrupts::default());
    if let Some(refusal) = machine.refusal() {
        return Ok(Identified::Refused(refusal.to_string()));
    }
    if let Err(error) = driven {
        return Ok(Identified::Refused(error.to_string()));
    }
    Ok(judged(machine.record()))
}

fn judged(record: &RunRecord) -> Identified {
    let mut unmet = report::unmet_lines(record, Language::English);
    let verdict = record.verdict.clone().unwrap_or_else(|| roll_up(record));
    // A part of a run is no acceptance, so that it is inconclusive at best.
    let whole = matches!(verdict.word, VerdictWord::Pass | VerdictWord::Inconclusive);
    if unmet.is_empty() && (!whole || verdict.failed + verdict.errors + verdict.inconclusive > 0) {
        unmet.push(format!("it ends in {}", verdict.word.shown()));
    }
    let cases = record.steps.iter().flat_map(|step| &step.cases).filter(|case| !case.judgements.is_empty()).count();
    Identified::Judged { cases, unmet }
}

/// A model from a file of the station's own is judged as one of the profile's: the profile made for it takes this stage over.
fn allow_own_models(profile: &mut Profile, skus: &Skus) {
    profile.skus.extend(own_digests(skus).into_keys());
}

/// Keeps nothing: the machine's own record is all that is looked at.
struct Unkept;

impl Witness for Unkept {
    fn event(&mut self, _: &Envelope, _: &RunRecord) -> std::io::Result<()> {
        Ok(())
    }

    fn sample(&mut self, _: &Sample) {}
}
