//! What the fake pretends to have, from the environment or from the bench it stands on, and the memory it has given out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::cuda::seat::Seat;

/// What goes wrong, as `KILN_FAKE_CUDA_FAULT` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// `init=CODE`: the driver does not start.
    Init(i32),
    /// `taken`: no context, as in exclusive mode.
    Taken,
    /// `image`: cubins are refused; `images`: PTX too.
    Image,
    Images,
    /// `memory=PERCENT`: allocations fail beyond that share.
    Memory(u64),
    /// `launch=CODE@N`: the Nth launch fails with an error that stays.
    Launch(i32, u32),
    /// `wrong`: unit 1 computes one bit wrong; `systematic`: all units the same.
    Wrong,
    Systematic,
    /// `nan`: unit 2 computes not-a-number.
    Nan,
    /// `stuck`: a bit of memory is stuck at one.
    Stuck,
    /// `spoiled-copy`: one word of each copy between GPUs or to the host arrives wrong.
    SpoiledCopy,
    /// `slow-copy`: copies take a hundred times as long.
    SlowCopy,
    /// `late-stream`: the memory stream beside a burn is slow, and wrong at its end.
    LateStream,
    /// `one-sm`: multiprocessor 2 computes one bit wrong.
    OneSm,
    /// `switching`: multiprocessor 2 computes one bit wrong where nearly all wires of the operands switch at once.
    Switching,
    /// `astray`: flips in even words land one word further on: each is a missed flip, and an error that nobody asked for.
    Astray,
    /// `hang`: burn and march kernels never end.
    Hang,
}

pub struct World {
    pub gpus: i32,
    pub memory: u64,
    pub capability: (i32, i32),
    pub multiprocessors: i32,
    pub compute_mode: i32,
    pub mig: bool,
    pub peers: bool,
    /// Direct ways out of one GPU that the driver opens.
    pub peers_most: usize,
    /// Those that are open: from, to.
    pub ways: Mutex<BTreeSet<(i32, i32)>>,
    pub fault: Fault,
    /// Where it stands on a bench: GPUs, speeds and what is wrong are those of the node there.
    pub seat: Option<Seat>,
    pub launches: AtomicU32,
    /// An error that every later call gives, once there is one.
    pub sticky: AtomicI32,
    /// Address, GPU and words of what was given out.
    pub given: Mutex<BTreeMap<u64, (i32, Vec<u64>)>>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(format!("KILN_FAKE_CUDA_{name}")).ok()
}

fn number<T: std::str::FromStr>(name: &str, default: T) -> T {
    variable(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn fault(text: &str) -> Fault {
    let (name, rest) = text.split_once('=').unwrap_or((text, ""));
    match name {
        "init" => Fault::Init(rest.parse().expect("a code")),
        "taken" => Fault::Taken,
        "image" => Fault::Image,
        "images" => Fault::Images,
        "memory" => Fault::Memory(rest.parse().expect("a percentage")),
        "launch" => {
            let (code, at) = rest.split_once('@').expect("CODE@N");
            Fault::Launch(code.parse().expect("a code"), at.parse().expect("a count"))
        }
        "wrong" => Fault::Wrong,
        "systematic" => Fault::Systematic,
        "nan" => Fault::Nan,
        "stuck" => Fault::Stuck,
        "spoiled-copy" => Fault::SpoiledCopy,
        "slow-copy" => Fault::SlowCopy,
        "late-stream" => Fault::LateStream,
        "one-sm" => Fault::OneSm,
        "switching" => Fault::Switching,
        "astray" => Fault::Astray,
        "hang" => Fault::Hang,
        "" => Fault::None,
        other => panic!("the fake has no fault `{other}`"),
    }
}

pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let capability = variable("CAPABILITY").unwrap_or_else(|| "9.0".to_owned());
        let (major, minor) = capability.split_once('.').expect("such as 9.0");
        let seat = Seat::from_environment();
        World {
            gpus: seat.as_ref().map_or_else(|| number("GPUS", 2), Seat::gpus),
            memory: number("MEMORY_MIB", 64) << 20,
            capability: (major.parse().expect("a number"), minor.parse().expect("a number")),
            multiprocessors: number("MULTIPROCESSORS", 4),
            compute_mode: number("COMPUTE_MODE", 0),
            mig: number("MIG", 0) == 1,
            peers: number("PEERS", 1) == 1,
            peers_most: number("PEERS_MOST", usize::MAX),
            ways: Mutex::default(),
            fault: fault(&variable("FAULT").unwrap_or_default()),
            seat,
            launches: AtomicU32::new(0),
            sticky: AtomicI32::new(0),
            given: Mutex::default(),
        }
    })
}

impl World {
    pub fn used(&self, gpu: i32) -> u64 {
        let given = self.given.lock().expect("unpoisoned");
        given.values().filter(|(owner, _)| *owner == gpu).map(|(_, words)| words.len() as u64 * 8).sum()
    }

    /// Gives out memory; of no GPU where `gpu` is negative.
    pub fn give(&self, gpu: i32, bytes: usize) -> Option<u64> {
        let room = if let Fault::Memory(percent) = self.fault { self.memory * percent / 100 } else { self.memory };
        if gpu >= 0 && self.used(gpu) + bytes as u64 > room {
            return None;
        }
        // Filled with what a driver leaves behind: not zeros.
        let mut words = vec![0xDEAD_BEEF_DEAD_BEEF; bytes.div_ceil(8)];
        let address = words.as_mut_ptr() as u64;
        self.given.lock().expect("unpoisoned").insert(address, (gpu, words));
        Some(address)
    }

    pub fn take_back(&self, address: u64) -> bool {
        self.given.lock().expect("unpoisoned").remove(&address).is_some()
    }

    pub fn break_for_good(&self, code: i32) {
        self.sticky.store(code, Ordering::SeqCst);
    }
}
