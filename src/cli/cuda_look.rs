//! Whether loads can run on this machine: the kernels are loaded onto every GPU, and run there if asked, in a process of its own, as
//! each load is, so that a driver that crashes or hangs takes nothing with it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::printer;
use crate::load::cuda::{Closeness, CudaEngine, Looked};
use crate::load::worker::Device;
use crate::model::{GpuIndex, Inventory};
use crate::node::doctor::CudaFacts;

/// A driver that has to compile the kernels itself takes some seconds a GPU.
const WITHIN: Duration = Duration::from_secs(120);

/// The side of the child: addresses as `3=00000000:5d:00.0`, answers as one line of JSON.
pub(super) fn answer(wanted: &[String], compute: bool) -> Result<Exit, CommandError> {
    let closeness = if compute { Closeness::Compute } else { Closeness::Load };
    let device = |text: &String| {
        let (gpu, pci) = text.split_once('=')?;
        Some(Device { gpu: GpuIndex(gpu.parse().ok()?), pci: Some(pci.to_owned()) })
    };
    let devices: Vec<Device> = wanted.iter().filter_map(device).collect();
    let text = serde_json::to_string(&CudaEngine::from_environment().look(&devices, closeness)).no_claim()?;
    printer::result(&(text + "\n")).no_claim()?;
    Ok(Exit::Pass)
}

/// The side of the parent.
pub(super) fn ask(inventory: &Inventory, closeness: Closeness) -> CudaFacts {
    let seat = |gpu: &crate::model::Gpu| Some(format!("{}={}", gpu.index.0, gpu.identity.pci_address.value()?));
    let seats: Vec<String> = inventory.gpus.iter().filter_map(seat).collect();
    if seats.is_empty() {
        return CudaFacts::NotTried;
    }
    match looked(&seats.join(","), closeness) {
        Ok(looked) => told(looked, closeness),
        Err(why) => CudaFacts::Refused(vec![why]),
    }
}

fn told(looked: Vec<Looked>, closeness: Closeness) -> CudaFacts {
    // What is wrong on one GPU says more than what is refused on another.
    let wrong: Vec<String> = looked.iter().filter_map(|one| one.wrong.clone()).collect();
    if !wrong.is_empty() {
        return CudaFacts::Wrong(wrong);
    }
    let refused: Vec<String> = looked.iter().filter_map(|one| one.refused.clone()).collect();
    if !refused.is_empty() {
        return CudaFacts::Refused(refused);
    }
    let images: BTreeSet<String> = looked.iter().flat_map(|one| one.images.clone()).collect();
    let results = looked.iter().map(|one| one.results).sum();
    let slower = looked.into_iter().filter_map(|one| one.slower).collect();
    match closeness {
        Closeness::Load => CudaFacts::Loaded { slower },
        Closeness::Compute => CudaFacts::Computed { images: images.into_iter().collect(), results, slower },
    }
}

fn looked(seats: &str, closeness: Closeness) -> Result<Vec<Looked>, String> {
    let unable = |error: &dyn std::fmt::Display| format!("the kernels could not be tried: {error}");
    let program = std::env::current_exe().map_err(|error| unable(&error))?;
    let mut child = Command::new(program)
        .args(["worker", "--look", seats])
        .args((closeness == Closeness::Compute).then_some("--compute"))
        // GPUs are found by their address, whatever a user has hidden or ordered otherwise.
        .env_remove("CUDA_VISIBLE_DEVICES")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| unable(&error))?;
    let (told, came) = channel();
    if let Some(mut output) = child.stdout.take() {
        thread::spawn(move || {
            let mut text = String::new();
            let read = output.read_to_string(&mut text).map(|_| text);
            // Nobody listens once the time is up.
            let _ = told.send(read);
        });
    }
    let Ok(read) = came.recv_timeout(WITHIN) else {
        // One that hangs in the driver may not even die; nobody waits for it.
        let _ = child.kill();
        return Err(format!("loading the kernels was not done after {} s: the CUDA driver hangs", WITHIN.as_secs()));
    };
    let ended = child.wait().map_err(|error| unable(&error))?;
    match read {
        Ok(text) if !text.trim().is_empty() => serde_json::from_str(text.trim()).map_err(|error| unable(&error)),
        _ => Err(unable(&format!("the process that loads them ended with {ended}"))),
    }
}
