//! How an interrupt from the keyboard or a service manager ends a drill: what is done so far is told, what runs is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::command_error::CommandError;
use crate::cli::printer;
use crate::cli::signals::Interrupts;

/// The flag is raised with the first interrupt, and the second one leaves at once.
pub(super) fn listen() -> Result<Arc<AtomicBool>, CommandError> {
    let raised = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&raised);
    Interrupts::listen(move |_| {
        if flag.swap(true, Ordering::Relaxed) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
        printer::tell("stopping: the matrix so far follows; once more to leave at once");
    })?;
    Ok(raised)
}
