//! `kiln verify`: whether a sealed run is what was sealed.

use serde_json::json;

use super::args_lot::VerifyArgs;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::printer;
use crate::event::{RunRecord, concluded};
use crate::journal;
use crate::seal::{self, PublicKey, SealError, Verified};

/// `kiln verify RUN --key PUB`.
pub(super) fn verify(args: &VerifyArgs) -> Result<Exit, CommandError> {
    let key = PublicKey::read(&args.key)?;
    let record = || -> anyhow::Result<RunRecord> {
        let record = RunRecord::of(&journal::read(&args.run)?.events);
        concluded(&record)?;
        Ok(record)
    };
    let found = seal::verify(&args.run, &key, record);
    if args.json {
        return tell_json(found);
    }
    let verified = found?.no_claim()?;
    printer::result(&text(&verified)).no_claim()?;
    Ok(Exit::Pass)
}

fn text(verified: &Verified) -> String {
    let simulated = if verified.simulated { " (SIMULATED: not of a real unit)" } else { "" };
    let serials: Vec<String> =
        verified.serials.iter().map(|(component, serial)| format!("{component} {serial}")).collect();
    format!(
        "everything is what was sealed on {} by {}\nrun {}: {}{simulated}\nunit: {}\nfiles: {}\n",
        verified.sealed_at,
        verified.key,
        verified.run_id,
        verified.verdict.word.shown(),
        serials.join(", "),
        verified.files.join(", ")
    )
}

fn tell_json(found: Result<anyhow::Result<Verified>, SealError>) -> Result<Exit, CommandError> {
    let (sound, document) = match found {
        Ok(Ok(verified)) => (
            true,
            json!({
                "schema": "kiln.verify/1",
                "sound": true,
                "run_id": verified.run_id,
                "verdict": verified.verdict,
                "simulated": verified.simulated,
                "sealed_at": verified.sealed_at,
                "serials": verified.serials,
                "journal_root": verified.journal_root,
                "files": verified.files,
                "key": verified.key,
            }),
        ),
        Ok(Err(error)) => (false, json!({"schema": "kiln.verify/1", "sound": false, "what": error.to_string()})),
        Err(error) => {
            let file = if let SealError::Altered(altered) = &error { Some(altered.file.clone()) } else { None };
            (false, json!({"schema": "kiln.verify/1", "sound": false, "file": file, "what": error.to_string()}))
        }
    };
    printer::json(&document).no_claim()?;
    Ok(if sound { Exit::Pass } else { Exit::NoClaim })
}
