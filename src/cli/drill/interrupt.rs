//! How an interrupt from the keyboard or a service manager ends a drill: what is done so far is told, what runs is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::printer;

/// Listens on a thread of its own; the flag is raised with the first interrupt, and the second one leaves at once.
pub(super) fn listen() -> Arc<AtomicBool> {
    let raised = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&raised);
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let kind = tokio::signal::unix::SignalKind::terminate();
            let Ok(mut terminated) = tokio::signal::unix::signal(kind) else { return };
            loop {
                tokio::select! {
                    interrupted = tokio::signal::ctrl_c() => if interrupted.is_err() { return },
                    _ = terminated.recv() => {}
                }
                if flag.swap(true, Ordering::Relaxed) {
                    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                }
                printer::tell("stopping: the matrix so far follows; once more to leave at once");
            }
        });
    });
    raised
}
