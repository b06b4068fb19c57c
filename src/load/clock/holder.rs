//! The process that locks a clock and gives it back. It has a session of its own and takes no signal that can be refused, so that
//! what ends the worker, or a service as a whole, leaves it the time to give the clock back. Only if it is itself killed by force
//! does the clock stay locked; `nvidia-smi -rgc` gives it back.
#![expect(unsafe_code, reason = "no library in use here ignores signals")]

use std::ffi::c_int;
use std::io::{Read as _, Write as _, stdin, stdout};

use serde::{Deserialize, Serialize};

use super::library::Management;
use kiln_model::{ClockRefusal, GpuIndex};

/// The variable that tells a fresh process of this binary what to hold.
pub(super) const VARIABLE: &str = "KILN_HOLD_CLOCK";

/// What to hold.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hold {
    pub(super) gpu: GpuIndex,
    /// PCI address; without one the GPU is found by its index.
    pub(super) pci: Option<String>,
    pub(super) megahertz: u32,
}

impl Hold {
    pub(super) fn to_text(&self) -> String {
        // Numbers and an address: nothing in there can fail to be written as JSON.
        serde_json::to_string(self).expect("an order to hold clocks is plain data")
    }
}

/// What the holder said of holding or giving back.
pub(super) fn read_answer(line: &str) -> Result<Result<(), ClockRefusal>, String> {
    if line.is_empty() {
        return Err("it ended without a word".to_owned());
    }
    serde_json::from_str(line).map_err(|_| format!("it said {line:?}"))
}

#[expect(clippy::disallowed_methods, reason = "this process is to be the holder, and has no journal and no load")]
/// Becomes the holder it was started for. Returns only where there is none.
pub(crate) fn become_holder_if_asked() {
    let Some(order) = std::env::var_os(VARIABLE) else { return };
    let order = order.to_str().and_then(|text| serde_json::from_str::<Hold>(text).ok());
    std::process::exit(order.map_or(1, |hold| i32::from(keep(&hold).is_err())));
}

/// Locks, waits until nobody wants it any more, gives back, and says both times what came of it.
fn keep(hold: &Hold) -> Result<(), ClockRefusal> {
    outlive_others();
    let locked = Management::open().and_then(|management| {
        let gpu = management.gpu(hold.gpu, hold.pci.as_deref())?;
        management.lock(gpu, hold.megahertz)?;
        Ok((management, gpu))
    });
    say(&locked.as_ref().map(|_| ()).map_err(Clone::clone));
    let (management, gpu) = locked?;
    // Whatever is read: it is the end that counts.
    let _ = stdin().read_to_end(&mut Vec::new());
    let given_back = management.give_back(gpu);
    say(&given_back);
    given_back
}

fn say(answer: &Result<(), ClockRefusal>) {
    // A worker that is gone hears nothing.
    let _ = serde_json::to_writer(stdout(), answer);
    let _ = writeln!(stdout());
}

unsafe extern "C" {
    /// `signal(2)` of the C library that std links; `1` is `SIG_IGN`.
    fn signal(number: c_int, action: usize) -> usize;
}

const IGNORE: usize = 1;
/// SIGHUP, SIGINT, SIGPIPE and SIGTERM: numbers that all of Linux shares (signal(7)).
const REFUSED: [c_int; 4] = [1, 2, 13, 15];

fn outlive_others() {
    // A process that leads a group already has no need of another session.
    let _ = rustix::process::setsid();
    // As process lists show it.
    let _ = rustix::thread::set_name(c"clock-holder");
    for number in REFUSED {
        // SAFETY: the signals exist, and ignoring one has no handler that could do wrong.
        unsafe { signal(number, IGNORE) };
    }
}
