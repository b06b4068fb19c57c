//! How an interrupt from the keyboard or a service manager ends a drill: what is done so far is told, what runs is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::printer;

/// Listens on a thread of its own; the flag is raised with the first interrupt, and the second one leaves at once.
pub(super) fn listen() -> Arc<AtomicBool> {
    let raised = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&raised);
    let (ready, listening) = mpsc::channel();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let (Ok(mut interrupted), Ok(mut terminated)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            let _ = ready.send(());
            loop {
                tokio::select! {
                    _ = interrupted.recv() => {}
                    _ = terminated.recv() => {}
                }
                if flag.swap(true, Ordering::Relaxed) {
                    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                }
                printer::tell("stopping: the matrix so far follows; once more to leave at once");
            }
        });
    });
    // Nothing runs before it listens. An error means that it cannot, and then an interrupt ends the program at once.
    let _ = listening.recv();
    raised
}
