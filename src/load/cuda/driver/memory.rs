//! Memory on the GPU and pinned memory on the host.
#![expect(unsafe_code, reason = "calls into the driver's library; host memory it hands out")]

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::error::DriverError;
use super::gpu::Gpu;
use super::symbols::Address;

/// For all contexts, and mapped into their addresses.
const PORTABLE_AND_MAPPED: u32 = 1 | 2;

/// Memory of a GPU.
#[derive(Debug)]
pub struct Buffer {
    gpu: Arc<Gpu>,
    address: Address,
    bytes: usize,
}

impl Buffer {
    pub fn new(gpu: &Arc<Gpu>, bytes: usize) -> Result<Self, DriverError> {
        gpu.enter()?;
        let mut address = 0;
        // SAFETY: the pointer is to a live address.
        unsafe { gpu.driver.memory_alloc(&raw mut address, bytes) }?;
        Ok(Self { gpu: Arc::clone(gpu), address, bytes })
    }

    pub const fn address(&self) -> u64 {
        self.address
    }

    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.gpu.is_wedged() && self.gpu.enter().is_ok() {
            // SAFETY: allocated in `new` and freed once.
            let _ = unsafe { self.gpu.driver.memory_free(self.address) };
        }
    }
}

/// Memory of the host that copy engines can reach.
#[derive(Debug)]
pub struct HostBuffer {
    gpu: Arc<Gpu>,
    pointer: *mut c_void,
    bytes: usize,
    /// Copies from or to it that were queued and are not known to be done.
    queued: Arc<AtomicUsize>,
}

/// A copy that was queued. Dropped once the queue is known to be empty.
#[derive(Debug)]
pub(super) struct Queued(Arc<AtomicUsize>);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl HostBuffer {
    /// Pinned where this thread runs: on its NUMA node, as long as there is room.
    pub fn new(gpu: &Arc<Gpu>, bytes: usize) -> Result<Self, DriverError> {
        gpu.enter()?;
        let mut pointer = null_mut();
        // SAFETY: the pointer is to a live pointer.
        unsafe { gpu.driver.host_alloc(&raw mut pointer, bytes, PORTABLE_AND_MAPPED) }?;
        // SAFETY: allocated just now with this length, and seen by nobody else.
        unsafe { std::ptr::write_bytes(pointer.cast::<u8>(), 0, bytes) };
        Ok(Self { gpu: Arc::clone(gpu), pointer, bytes, queued: Arc::default() })
    }

    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes that a copy from or to it is queued.
    pub(super) fn queue(&self) -> Queued {
        self.queued.fetch_add(1, Ordering::Relaxed);
        Queued(Arc::clone(&self.queued))
    }

    pub(super) const fn pointer(&self) -> *mut c_void {
        self.pointer
    }

    /// Where a GPU finds it.
    pub fn address_for(&self, gpu: &Gpu) -> Result<u64, DriverError> {
        gpu.enter()?;
        let mut address = 0;
        // SAFETY: the pointer is one that `cuMemHostAlloc` gave.
        unsafe { gpu.driver.host_address(&raw mut address, self.pointer, 0) }?;
        Ok(address)
    }

    /// As words.
    ///
    /// # Panics
    ///
    /// While a copy from or to it may still be on its way: its stream must have been waited for.
    pub fn words(&mut self) -> &mut [u64] {
        assert_eq!(
            self.queued.load(Ordering::Acquire),
            0,
            "a copy of pinned memory is waited for before it is looked at"
        );
        // SAFETY: pinned memory is page-aligned and initialised in `new`; `self` is borrowed for as long as the slice, so that
        // no copy is queued meanwhile, and none is on its way. Kernels that reach it by its address only read it.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.cast(), self.bytes / 8) }
    }

    /// Its first word as a flag that streams wait for and kernels look at.
    pub fn raise_flag(&self, value: u32) {
        assert!(self.bytes >= size_of::<u32>(), "a flag has room for a word");
        // SAFETY: aligned, initialised, at least a word long; the other side only reads it.
        unsafe { AtomicU32::from_ptr(self.pointer.cast()) }.store(value, Ordering::Release);
    }
}

impl Drop for HostBuffer {
    fn drop(&mut self) {
        if !self.gpu.is_wedged() && self.gpu.enter().is_ok() {
            // SAFETY: allocated in `new` and freed once.
            let _ = unsafe { self.gpu.driver.host_free(self.pointer) };
        }
    }
}
