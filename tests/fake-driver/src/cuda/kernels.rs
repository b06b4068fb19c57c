//! The kernels by name, each run by its CPU reference on the fake's memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kiln_load::cuda::layout::{
    BURN_COMPARE, BURN_RECORD, BURNS, Burn, BurnArgs, ChaseArgs, ChecksumArgs, HangArgs, Log, MARCH_VERIFY,
    MARCH_WRITE, MarchArgs, Number, OPERANDS_TOGGLING,
};
use kiln_load::cuda::reference::{Units, burn, chase, checksum, golden, march};

use crate::shared::Work;
use kiln_node::sim::Presence;

use crate::cuda::seat::Seat;
use crate::cuda::world::{Fault, world};

/// The chunk number of a memory stream beside a burn.
const OF_THE_STREAM: u32 = u32::MAX;
/// Windows of a burn that are computed on a bench; the others would come out the same.
const COMPUTED_WINDOWS: u32 = 2;
/// Pairs of a memory stream that are swept on a bench, and the least time a sweep is said to take there: the stream is a
/// load, and no check judges its speed.
const SWEPT_PAIRS: u64 = 4096;
const SWEEP_SECONDS: f64 = 0.01;

/// How long a memory stream takes that is late: many burns of the fake.
const LATE: Duration = Duration::from_millis(300);

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
        "burn_fp8_mma" => (major == 12 || world().capability == (8, 9)) && !portable,
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

    /// Runs on the GPU at a place and gives the seconds it would have taken there.
    pub fn run(self, device: i32) -> f64 {
        if world().seat.as_ref().is_some_and(|seat| seat.presence(device) == Presence::Hung) {
            hang();
        }
        if world().fault == Fault::Hang && matches!(self, Self::Burn(..) | Self::March(_)) {
            hang();
        }
        if let Self::Hang(args) = self {
            // SAFETY: the address is of pinned memory that the caller keeps until the stream is done.
            let flag = unsafe { AtomicU32::from_ptr(args.flag as *mut u32) };
            while flag.load(Ordering::Acquire) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            return 0.0;
        }
        if let Some(seat) = &world().seat {
            return self.run_on_bench(seat, device);
        }
        if let (Fault::LateStream, Self::March(MarchArgs { chunk: OF_THE_STREAM, .. })) = (world().fault, &self) {
            std::thread::sleep(LATE);
        }
        let _one = RUNNING.lock().expect("unpoisoned");
        match self {
            Self::Burn(kernel, args, blocks) => run_burn(kernel, &args, blocks),
            Self::March(args) => run_march(&args),
            small => small.run_small(),
        }
        0.0
    }

    fn run_small(self) {
        match self {
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
            Self::Burn(..) | Self::March(_) | Self::Hang(_) => {}
        }
    }

    /// Runs as much as shows what is wrong, and takes as long as the node's GPU would.
    fn run_on_bench(self, seat: &Seat, device: i32) -> f64 {
        let Some(gpu) = seat.gpu(device) else { return 0.0 };
        let (began, speeds) = (Instant::now(), gpu.speeds);
        match &self {
            Self::Burn(kernel, args, blocks) => {
                let (work, rate) = match kernel.number {
                    Number::Bf16 => (Work::Bf16, speeds.tflops[0]),
                    Number::E4m3 => (Work::Fp8, speeds.tflops[1]),
                    Number::F32 => (Work::Fp32, speeds.tflops[2]),
                    Number::F64 => (Work::Fp64, speeds.tflops[3]),
                };
                seat.does(device, work);
                let units = f64::from(blocks * kernel.shape.units);
                let flop = kernel.shape.flop() as f64 * units * f64::from(args.steps) * f64::from(args.windows);
                let seconds = flop / (rate.max(1e-3) * 1e12);
                run_some_windows(*kernel, args, *blocks, seat.computes_wrong(device));
                std::thread::sleep(Duration::from_secs_f64(seconds).saturating_sub(began.elapsed()));
                seat.does(device, work);
                seconds
            }
            Self::March(args) => {
                let passes = f64::from((args.flags & (MARCH_VERIFY | MARCH_WRITE)).count_ones());
                let seconds = passes * 16.0 * args.pairs as f64 / (speeds.memory.max(1e-3) * 1e9);
                if args.chunk == OF_THE_STREAM {
                    run_march(&MarchArgs { pairs: args.pairs.min(SWEPT_PAIRS), ..*args });
                    let seconds = seconds.max(SWEEP_SECONDS);
                    std::thread::sleep(Duration::from_secs_f64(seconds).saturating_sub(began.elapsed()));
                    seconds
                } else {
                    seat.does(device, Work::March);
                    let wrong = args.flags & MARCH_VERIFY != 0 && seat.computes_wrong(device);
                    let inject_word = if wrong { args.pairs } else { args.inject_word };
                    run_march(&MarchArgs { inject_word, ..*args });
                    seat.does(device, Work::March);
                    seconds
                }
            }
            Self::Checksum(_) | Self::Chase(_) | Self::Hang(_) => {
                let _one = RUNNING.lock().expect("unpoisoned");
                self.run_small();
                0.0
            }
        }
    }
}

/// The first windows of a launch and the one with an injected fault; one result is wrong if the node had one wrong.
fn run_some_windows(kernel: Burn, args: &BurnArgs, blocks: u32, wrong: bool) {
    let _one = RUNNING.lock().expect("unpoisoned");
    if args.mode == BURN_RECORD {
        return run_burn(kernel, args, blocks);
    }
    let some = args.windows.min(COMPUTED_WINDOWS);
    let inject_window = if wrong { args.first_window } else { args.inject_window };
    run_burn(kernel, &BurnArgs { windows: some, inject_window, ..*args }, blocks);
    let later = args.first_window + u64::from(some)..args.first_window + u64::from(args.windows);
    let mut left = u64::from(args.windows - some);
    if later.contains(&args.inject_window) {
        run_burn(kernel, &BurnArgs { first_window: args.inject_window, windows: 1, ..*args }, blocks);
        left -= 1;
    }
    let working = if args.only_sm == 0 { blocks } else { 1 };
    log(args.log).verified += left * u64::from(working * kernel.shape.units) * u64::from(kernel.shape.cells());
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
    let astray = u32::from(world().fault == Fault::Astray);
    let args = &BurnArgs { inject_word: args.inject_word | astray, ..*args };
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
            Fault::Switching if args.operands != OPERANDS_TOGGLING => {}
            Fault::OneSm | Fault::Switching if unit / kernel.shape.units == 2 => found[99] ^= 1 << 12,
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
    march(args, memory, log(args.log), |at, word| match world().fault {
        Fault::Stuck if args.chunk == 0 && at == 1000 => word | 1 << 33,
        Fault::LateStream if args.chunk == OF_THE_STREAM && at == 1000 => word ^ 1 << 33,
        _ => word,
    });
    std::thread::sleep(Duration::from_nanos(u64::from(args.slow)));
}
