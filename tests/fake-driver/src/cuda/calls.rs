//! The driver's functions as a program finds them in its library.

#![expect(unused_unsafe, reason = "some functions of the driver take no pointer")]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::shared::Work;
use kiln_node::sim::Presence;

use crate::cuda::kernels::{Launch, exists};
use crate::cuda::queue::{Passed, Queue, settle};
use crate::cuda::seat::Seat;
use crate::cuda::world::{Fault, world};

const OK: c_int = 0;
const OUT_OF_MEMORY: c_int = 2;
const INVALID: c_int = 1;
const NOT_FOUND: c_int = 500;
const NOT_READY: c_int = 600;
const TAKEN: c_int = 46;
const NO_IMAGE: c_int = 209;
const TOO_MANY_PEERS: c_int = 711;
const NO_SUCH_DEVICE: c_int = 101;

struct Stream {
    queue: Queue,
}

struct Event {
    passed: Passed,
}

thread_local! {
    /// The GPU this thread talks to.
    static CURRENT: Cell<i32> = const { Cell::new(-1) };
}

fn sticky() -> c_int {
    let gone = |seat: &Seat| seat.presence(CURRENT.get()) == Presence::Lost;
    match world().sticky.load(Ordering::SeqCst) {
        OK if world().seat.as_ref().is_some_and(gone) => NO_SUCH_DEVICE,
        code => code,
    }
}

/// What the driver's own compiler says of a text that it does not take, where it was given room to.
fn tell_compiler_error(count: usize, options: *const c_int, values: *const *mut c_void) {
    const BUFFER: c_int = 5;
    const SIZE: c_int = 6;
    let said = b"ptxas application ptx input, line 9; fatal   : Unsupported .version 9.9; current version is '8.8'\n\0";
    // SAFETY: both lists are of this length, as the caller says.
    let given = |wanted: c_int| (0..count).find(|at| unsafe { *options.add(*at) } == wanted);
    let (Some(buffer), Some(size)) = (given(BUFFER), given(SIZE)) else { return };
    // SAFETY: likewise; the size stands where its pointer would, and the buffer has that much room.
    unsafe {
        let room = (*values.add(size)).addr().min(said.len());
        std::ptr::copy_nonoverlapping(said.as_ptr(), (*values.add(buffer)).cast::<u8>(), room);
    }
}

/// Leaves early with an error that stays.
macro_rules! unless_broken {
    () => {
        match sticky() {
            OK => {}
            code => return code,
        }
    };
}

/// The functions, each exported under its own name. Pointers are what the driver's header asks for: that is the contract of
/// the whole file, so it is not repeated at each.
macro_rules! export {
    ($($name:ident($($argument:ident: $kind:ty),*) $body:block)*) => { $(
        /// # Safety
        /// Pointers must be what the driver's header asks for.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $kind),*) -> c_int {
            // SAFETY: as the header asks.
            unsafe { $body }
        }
    )* };
}

unsafe fn stream<'a>(handle: *mut c_void) -> &'a Stream {
    // SAFETY: handles are made by `cuStreamCreate` and live until they are destroyed.
    unsafe { &*handle.cast() }
}

unsafe fn event<'a>(handle: *mut c_void) -> &'a Event {
    // SAFETY: as above, by `cuEventCreate`.
    unsafe { &*handle.cast() }
}

unsafe fn put_text(to: *mut c_char, length: c_int, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(length as usize - 1)];
    // SAFETY: the caller has room for `length` bytes.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.cast(), bytes.len());
        *to.add(bytes.len()) = 0;
    }
}

fn pci(device: c_int) -> String {
    let of_bench = world().seat.as_ref().and_then(|seat| seat.gpu(device)).map(|gpu| short(&gpu.pci));
    of_bench.unwrap_or_else(|| format!("0000:{:02X}:00.0", device + 1))
}

/// The driver writes four digits of the domain, the management library eight.
fn short(address: &str) -> String {
    let short = address.strip_prefix("0000").filter(|short| short.len() == 12);
    short.unwrap_or(address).to_uppercase()
}

/// From where to where a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    FromHost,
    ToHost,
    Within,
    ToPeer(c_int),
}

/// Streams with copies between GPUs that are still to be done.
static CROSSING: AtomicUsize = AtomicUsize::new(0);

/// Copies through the host that fit into a queue before the caller has to wait: each is many pieces.
const STAGED_MOST: usize = 6;

/// Smaller copies are housekeeping.
const WORTH_TELLING: usize = 1 << 20;

/// The seconds a copy would take on the bench.
fn copy_seconds(device: c_int, way: Way, bytes: usize) -> f64 {
    let Some(seat) = &world().seat else { return 0.0 };
    let Some(speeds) = seat.gpu(device).map(|gpu| gpu.speeds) else { return 0.0 };
    if bytes >= WORTH_TELLING {
        match way {
            Way::FromHost | Way::ToHost => seat.does(device, Work::HostCopy),
            Way::ToPeer(peer) => {
                seat.does(device, Work::PairCopy);
                seat.does(peer, Work::PairCopy);
            }
            Way::Within => {}
        }
    }
    let rate = match way {
        Way::FromHost => speeds.from_host,
        Way::ToHost => speeds.to_host,
        Way::Within => speeds.memory / 2.0,
        // Seven ways out of a GPU share its links.
        Way::ToPeer(_) if CROSSING.load(Ordering::SeqCst) > 1 => speeds.all / (speeds.pairs.len().max(2) - 1) as f64,
        Way::ToPeer(peer) => speeds.pairs.get(peer as usize).copied().unwrap_or(0.0),
    };
    bytes as f64 / (rate.max(1e-3) * 1e9)
}

/// Queues a copy of bytes; one that leaves a GPU may arrive spoiled.
unsafe fn copy(handle: *mut c_void, to: u64, from: u64, bytes: usize, way: Way) -> c_int {
    unless_broken!();
    let leaves = matches!(way, Way::ToHost | Way::ToPeer(_));
    // SAFETY: the caller's stream.
    let queue = &unsafe { stream(handle) }.queue;
    let device = queue.gpu;
    let crosses = matches!(way, Way::ToPeer(_));
    let crossing = Arc::clone(&queue.crossing);
    if crosses && crossing.fetch_add(1, Ordering::SeqCst) == 0 {
        CROSSING.fetch_add(1, Ordering::SeqCst);
    }
    queue.push(move || {
        if world().fault == Fault::SlowCopy {
            std::thread::sleep(Duration::from_millis(20));
        }
        // SAFETY: both sides are memory the caller keeps until the stream is done.
        unsafe { std::ptr::copy(from as *const u8, to as *mut u8, bytes) };
        if leaves && world().fault == Fault::SpoiledCopy && bytes >= 1 << 16 {
            // SAFETY: as above, 8 bytes within.
            unsafe { *((to + 8000) as *mut u64) ^= 1 << 40 };
        }
        let seconds = copy_seconds(device, way, bytes);
        if crosses && crossing.fetch_sub(1, Ordering::SeqCst) == 1 {
            CROSSING.fetch_sub(1, Ordering::SeqCst);
        }
        seconds
    });
    OK
}

export! {
    cuInit(_flags: c_uint) {
        if let Fault::Init(code) = world().fault { code } else { OK }
    }
    cuDriverGetVersion(version: *mut c_int) { *version = 12_090; OK }
    cuDeviceGet(device: *mut c_int, ordinal: c_int) {
        if ordinal >= world().gpus { return NO_SUCH_DEVICE; }
        *device = ordinal;
        OK
    }
    cuDeviceGetByPCIBusId(device: *mut c_int, address: *const c_char) {
        let wanted = CStr::from_ptr(address).to_string_lossy().to_uppercase();
        match (0..world().gpus).find(|device| pci(*device).to_uppercase() == short(&wanted)) {
            Some(found) => { *device = found; OK }
            None => NO_SUCH_DEVICE,
        }
    }
    cuDeviceGetPCIBusId(text: *mut c_char, length: c_int, device: c_int) { put_text(text, length, &pci(device)); OK }
    cuDeviceGetName(text: *mut c_char, length: c_int, _device: c_int) {
        put_text(text, length, if world().mig { "NVIDIA Fake MIG 1g.10gb" } else { "NVIDIA Fake" });
        OK
    }
    cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, _device: c_int) {
        *value = match attribute {
            16 => world().multiprocessors,
            20 => world().compute_mode,
            75 => world().capability.0,
            76 => world().capability.1,
            97 => 227 << 10,
            _ => return INVALID,
        };
        OK
    }
    cuDevicePrimaryCtxRetain(context: *mut *mut c_void, device: c_int) {
        if world().fault == Fault::Taken { return TAKEN; }
        *context = std::ptr::without_provenance_mut(device as usize + 1);
        OK
    }
    cuDevicePrimaryCtxRelease_v2(_device: c_int) { OK }
    cuCtxSetCurrent(context: *mut c_void) { CURRENT.set(context as usize as i32 - 1); OK }
    cuDeviceCanAccessPeer(can: *mut c_int, _device: c_int, _peer: c_int) { *can = c_int::from(world().peers); OK }
    cuCtxEnablePeerAccess(peer: *mut c_void, _flags: c_uint) {
        let way = (CURRENT.get(), peer as usize as i32 - 1);
        let mut ways = world().ways.lock().expect("unpoisoned");
        if !ways.contains(&way) && ways.iter().filter(|(from, _)| *from == way.0).count() >= world().peers_most {
            return TOO_MANY_PEERS;
        }
        ways.insert(way);
        OK
    }
    cuMemGetInfo_v2(free: *mut usize, total: *mut usize) {
        unless_broken!();
        *total = world().memory as usize;
        *free = (world().memory - world().used(CURRENT.get())) as usize;
        OK
    }
    cuMemAlloc_v2(address: *mut u64, bytes: usize) {
        unless_broken!();
        match world().give(CURRENT.get(), bytes) {
            Some(given) => { *address = given; OK }
            None => OUT_OF_MEMORY,
        }
    }
    cuMemFree_v2(address: u64) { settle(); if world().take_back(address) { OK } else { INVALID } }
    cuMemHostAlloc(pointer: *mut *mut c_void, bytes: usize, _flags: c_uint) {
        match world().give(-1, bytes) {
            Some(given) => { *pointer = given as *mut c_void; OK }
            None => OUT_OF_MEMORY,
        }
    }
    cuMemFreeHost(pointer: *mut c_void) { settle(); if world().take_back(pointer as u64) { OK } else { INVALID } }
    cuMemHostGetDevicePointer_v2(address: *mut u64, pointer: *mut c_void, _flags: c_uint) { *address = pointer as u64; OK }
    cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, handle: *mut c_void) {
        copy(handle, to, from as u64, bytes, Way::FromHost)
    }
    cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, handle: *mut c_void) {
        copy(handle, to as u64, from, bytes, Way::ToHost)
    }
    cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, handle: *mut c_void) { copy(handle, to, from, bytes, Way::Within) }
    cuMemcpyPeerAsync(to: u64, there: *mut c_void, from: u64, _here: *mut c_void, bytes: usize, handle: *mut c_void) {
        let peer = there as usize as c_int - 1;
        let queue = &stream(handle).queue;
        let open = world().ways.lock().expect("unpoisoned").contains(&(queue.gpu, peer));
        if !open {
            queue.wait_for_room(STAGED_MOST);
        }
        copy(handle, to, from, bytes, Way::ToPeer(peer))
    }
    cuMemsetD32Async(to: u64, value: c_uint, count: usize, handle: *mut c_void) {
        unless_broken!();
        stream(handle).queue.push(move || {
            // SAFETY: memory the caller keeps until the stream is done.
            unsafe { std::slice::from_raw_parts_mut(to as *mut u32, count) }.fill(value);
            0.0
        });
        OK
    }
    cuModuleLoadDataEx(module: *mut *mut c_void, image: *const c_void, count: c_uint, options: *mut c_int,
        values: *mut *mut c_void) {
        let elf = *image.cast::<[u8; 4]>() == *b"\x7fELF";
        match (world().fault, elf) {
            (Fault::Images, _) | (Fault::Image, true) => {
                // Only the compiler of texts has something to say.
                if !elf { tell_compiler_error(count as usize, options, values); }
                NO_IMAGE
            }
            _ => { *module = std::ptr::without_provenance_mut(0x1000); OK }
        }
    }
    cuModuleUnload(_module: *mut c_void) { OK }
    cuModuleGetFunction(function: *mut *mut c_void, _module: *mut c_void, name: *const c_char) {
        let name = CStr::from_ptr(name).to_string_lossy().into_owned();
        if !exists(&name) { return NOT_FOUND; }
        *function = Box::into_raw(Box::new(name)).cast();
        OK
    }
    cuFuncSetAttribute(_function: *mut c_void, _attribute: c_int, _value: c_int) { OK }
    cuLaunchKernel(function: *mut c_void, grid_x: c_uint, _grid_y: c_uint, _grid_z: c_uint, _block_x: c_uint,
        _block_y: c_uint, _block_z: c_uint, _shared: c_uint, handle: *mut c_void, arguments: *mut *mut c_void,
        _extra: *mut *mut c_void) {
        unless_broken!();
        let Some(launch) = Launch::new(&*function.cast::<String>(), grid_x, *arguments) else { return INVALID };
        let number = world().launches.fetch_add(1, Ordering::SeqCst) + 1;
        let breaks = match world().fault {
            Fault::Launch(code, at) if number >= at => Some(code),
            _ => None,
        };
        let queue = &stream(handle).queue;
        let device = queue.gpu;
        queue.push(move || match breaks {
            Some(code) => {
                world().break_for_good(code);
                0.0
            }
            None => launch.run(device),
        });
        OK
    }
    cuStreamCreate(handle: *mut *mut c_void, _flags: c_uint) {
        *handle = Box::into_raw(Box::new(Stream { queue: Queue::new(CURRENT.get()) })).cast();
        OK
    }
    cuStreamDestroy_v2(handle: *mut c_void) { drop(Box::from_raw(handle.cast::<Stream>())); OK }
    cuStreamQuery(handle: *mut c_void) {
        unless_broken!();
        if stream(handle).queue.is_done() { sticky() } else { NOT_READY }
    }
    cuStreamWaitValue32_v2(handle: *mut c_void, address: u64, value: c_uint, _flags: c_uint) {
        unless_broken!();
        stream(handle).queue.wait_for(address, value);
        OK
    }
    cuEventCreate(handle: *mut *mut c_void, _flags: c_uint) {
        *handle = Box::into_raw(Box::new(Event { passed: Passed::default() })).cast();
        OK
    }
    cuEventDestroy_v2(handle: *mut c_void) { drop(Box::from_raw(handle.cast::<Event>())); OK }
    cuEventRecord(handle: *mut c_void, queue: *mut c_void) {
        unless_broken!();
        stream(queue).queue.mark(&Arc::clone(&event(handle).passed));
        OK
    }
    cuEventElapsedTime(milliseconds: *mut f32, start: *mut c_void, end: *mut c_void) {
        let passed = |handle| *event(handle).passed.lock().expect("unpoisoned");
        match (passed(start), passed(end)) {
            (Some(start), Some(end)) if world().seat.is_some() => { *milliseconds = ((end.1 - start.1) * 1e3) as f32; OK }
            (Some(start), Some(end)) => { *milliseconds = end.0.duration_since(start.0).as_secs_f32() * 1e3; OK }
            _ => NOT_READY,
        }
    }
}
