//! The kernels by name, each run by its CPU reference on the fake's memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kiln::load::cuda::layout::{
    BURN_COMPARE, BURNS, Burn, BurnArgs, ChaseArgs, ChecksumArgs, HangArgs, Log, MarchArgs, Number,
};
use kiln::load::cuda::reference::{Units, burn, chase, checksum, golden, march};

use crate::world::{Fault, world};

/// One at a time: two may write into one log.
static RUNNING: Mutex<()> = Mutex::new(());

/// A launch with its arguments, ready to run on a stream.
pub enum Launch {
    Burn(Burn, BurnArgs, u32),
    March(MarchArgs),
    Checksum(ChecksumArgs),
    Chase(ChaseArgs),
    Hang(HangArgs),
}

/// The kernel of a name, if the image for this capability has it.
pub fn exists(name: &str) -> bool {
    let (major, _) = world().capability;
    let portable = world().fault == Fault::Image || !matches!(major, 8 | 9 | 10 | 12);
    match name {
        "march" | "checksum" | "chase" | "hang" | "burn_bf16_mma" | "burn_fp32" | "burn_fp64_mma" => true,
        "burn_bf16_wgmma" | "burn_fp8_wgmma" => major == 9 && !portable,
        "burn_bf16_tcgen05" | "burn_fp8_tcgen05" => major == 10 && !portable,
        "burn_fp8_mma" => major == 12 && !portable,
        _ => false,
    }
}

impl Launch {
    /// # Safety
    /// `arguments` must point to what the kernel of this name takes.
    pub unsafe fn new(name: &str, blocks: u32, arguments: *const std::ffi::c_void) -> Option<Self> {
        // SAFETY: the caller says so.
        unsafe {
            Some(match name {
                "march" => Self::March(*arguments.cast()),
                "checksum" => Self::Checksum(*arguments.cast()),
                "chase" => Self::Chase(*arguments.cast()),
                "hang" => Self::Hang(*arguments.cast()),
                _ => Self::Burn(*BURNS.iter().find(|burn| burn.name == name)?, *arguments.cast(), blocks),
            })
        }
    }

    pub fn run(self) {
        if world().fault == Fault::Hang && matches!(self, Self::Burn(..) | Self::March(_)) {
            hang();
        }
        if let Self::Hang(args) = self {
            // SAFETY: the address is of pinned memory that the caller keeps until the stream is done.
            let flag = unsafe { AtomicU32::from_ptr(args.flag as *mut u32) };
            while flag.load(Ordering::Acquire) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            return;
        }
        let _one = RUNNING.lock().expect("unpoisoned");
        match self {
            Self::Burn(kernel, args, blocks) => run_burn(kernel, &args, blocks),
            Self::March(args) => run_march(&args),
            Self::Checksum(args) => {
                let sum = checksum(words(args.base, args.pairs * 2), args.first_word);
                let out = words(args.out, 1);
                out[0] = out[0].wrapping_add(sum);
            }
            Self::Chase(args) => {
                let began = Instant::now();
                let longest = world().given.lock().expect("unpoisoned").get(&args.base).map(|(_, words)| words.len());
                let end = chase(words(args.base, longest.unwrap_or(0) as u64), args.hops);
                let out = words(args.out, 2);
                (out[0], out[1]) = (end, began.elapsed().as_nanos() as u64);
            }
            Self::Hang(_) => {}
        }
    }
}

fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// The fake's memory at an address.
fn words(address: u64, count: u64) -> &'static mut [u64] {
    if count == 0 {
        return &mut [];
    }
    // SAFETY: addresses come out of the fake's own allocations, which live until they are freed by a caller that has
    // waited for the stream; kernels run one at a time.
    unsafe { std::slice::from_raw_parts_mut(address as *mut u64, count as usize) }
}

fn narrow(address: u64, count: usize) -> &'static mut [u32] {
    // SAFETY: as in `words`.
    unsafe { std::slice::from_raw_parts_mut(address as *mut u32, count) }
}

fn log(address: u64) -> &'static mut Log {
    // SAFETY: as above; the buffer was made for a log.
    unsafe { &mut *(address as *mut Log) }
}

type Key = (&'static str, u64, u32, u32, u32, u32);

/// What a GPU computes, in whatever way it does: computed once and remembered.
fn results(kernel: Burn, args: &BurnArgs) -> Arc<Vec<u64>> {
    static KNOWN: Mutex<BTreeMap<Key, Arc<Vec<u64>>>> = Mutex::new(BTreeMap::new());
    let key = (kernel.name, args.seed, args.operands, args.limit, args.tiles, args.steps);
    let mut known = KNOWN.lock().expect("unpoisoned");
    Arc::clone(known.entry(key).or_insert_with(|| Arc::new(golden(args, kernel.number, kernel.shape))))
}

fn run_burn(kernel: Burn, args: &BurnArgs, blocks: u32) {
    let right = results(kernel, args);
    let units = (blocks * kernel.shape.units) as usize;
    let cells = kernel.shape.cells() as usize;
    let wide = kernel.number == Number::F64;
    let golden: Vec<u64> = match (args.mode, wide) {
        (BURN_COMPARE, true) => words(args.golden, cells as u64).to_vec(),
        (BURN_COMPARE, false) => narrow(args.golden, cells).iter().map(|word| u64::from(*word)).collect(),
        _ => Vec::new(),
    };
    let mut dump = vec![0; units * cells];
    let mut sms = vec![0; units];
    let sums = words(args.sums, units as u64);
    let mut parts = Units { golden: &golden, dump: &mut dump, sums, sms: &mut sms };
    burn(kernel, args, blocks, log(args.log), &mut parts, |window, unit| {
        let mut found = (*right).clone();
        match world().fault {
            Fault::Wrong if unit == 1 && window % 2 == 0 => found[99] ^= 1 << 12,
            Fault::Systematic => found[99] ^= 1 << 12,
            Fault::Nan if unit == 2 => found[7] = if wide { f64::NAN.to_bits() } else { u64::from(f32::NAN.to_bits()) },
            _ => {}
        }
        found
    });
    if wide {
        words(args.dump, dump.len() as u64).copy_from_slice(&dump);
    } else {
        narrow(args.dump, dump.len()).iter_mut().zip(&dump).for_each(|(word, put)| *word = *put as u32);
    }
    if args.mode != BURN_COMPARE {
        narrow(args.sms, units).copy_from_slice(&sms);
    }
    std::thread::sleep(Duration::from_nanos(u64::from(args.slow) * u64::from(args.windows)));
}

fn run_march(args: &MarchArgs) {
    let memory = words(args.base, args.pairs * 2);
    march(args, memory, log(args.log), |at, word| {
        let stuck = world().fault == Fault::Stuck && args.chunk == 0 && at == 1000;
        if stuck { word | 1 << 33 } else { word }
    });
    std::thread::sleep(Duration::from_nanos(u64::from(args.slow)));
}
