//! `kiln seal`: signs a finished run, or makes the key for it.

use std::path::Path;

use anyhow::anyhow;

use super::args_lot::SealArgs;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::printer;
use crate::disk::{GIB, JUNIT};
use crate::model::WallTime;
use crate::rundir::{self, RunDir};
use crate::seal::{self, SecretKey};

/// `kiln seal RUN --key KEY`, `kiln seal --new-key FILE`.
pub(super) fn seal(args: &SealArgs) -> Result<Exit, CommandError> {
    if let Some(path) = &args.new_key {
        return new_key(path);
    }
    let (Some(run), Some(key)) = (&args.run, &args.key) else {
        return Err(CommandError::Usage(anyhow!("which run, and with which key? `kiln seal RUN --key KEY`")));
    };
    let key = SecretKey::read(key)?;
    let dir = RunDir::open(run)?.lock()?;
    let found = dir.run()?;
    if found.torn {
        return Err(CommandError::Usage(anyhow!("{}; `kiln resume` finishes the run", found.lacks.join("; "))));
    }
    // Its own name for the folder is all that is taken from the file there is.
    let junit = dir.folder().read(JUNIT.name, GIB).ok();
    let reports = rundir::rebuilt(&dir, &found, junit.as_deref())?;
    let sealed = seal::seal(run, &found.record, found.root, &reports, &key, now())?;
    let files = sealed.files.join(", ");
    printer::result(&format!("sealed {} with key {}: {files}", run.display(), sealed.key)).no_claim()?;
    Ok(Exit::Pass)
}

fn new_key(path: &Path) -> Result<Exit, CommandError> {
    let (key, public_path) = SecretKey::create(path)?;
    let text = format!(
        "secret key in {} (keep it on the station), public key in {} (give it to whoever verifies): {}",
        path.display(),
        public_path.display(),
        key.public().id()
    );
    printer::result(&text).no_claim()?;
    Ok(Exit::Pass)
}

#[expect(clippy::disallowed_methods, reason = "the edge reads the clock for the seal's date")]
fn now() -> WallTime {
    WallTime::now()
}
