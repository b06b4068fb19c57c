//! Queues of work on a GPU, and the marks in them by which work is timed.
#![expect(unsafe_code, reason = "calls into the driver's library")]

use std::ptr::null_mut;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{DriverError, NOT_READY};
use super::gpu::Gpu;
use super::memory::{Buffer, HostBuffer, Queued};
use super::symbols::Handle;

/// Does not wait for the stream that has no name.
const NON_BLOCKING: u32 = 1;
/// Goes on when the flag is at least the value.
const AT_LEAST: u32 = 0;

/// A queue.
#[derive(Debug)]
pub struct Stream {
    pub(super) gpu: Arc<Gpu>,
    pub(super) handle: Handle,
    /// Copies of pinned memory that are not known to be done.
    copies: Mutex<Vec<Queued>>,
}

/// A mark in a queue.
#[derive(Debug)]
pub struct Event {
    gpu: Arc<Gpu>,
    handle: Handle,
}

impl Stream {
    pub fn new(gpu: &Arc<Gpu>) -> Result<Self, DriverError> {
        gpu.enter()?;
        let mut handle = null_mut();
        // SAFETY: the pointer is to a live handle.
        unsafe { gpu.driver.stream_create(&raw mut handle, NON_BLOCKING) }?;
        Ok(Self { gpu: Arc::clone(gpu), handle, copies: Mutex::default() })
    }

    /// Copies of pinned memory that are not known to be done.
    fn copies(&self) -> std::sync::MutexGuard<'_, Vec<Queued>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// Whether all that was queued is done.
    pub fn is_done(&self) -> Result<bool, DriverError> {
        self.gpu.enter()?;
        let mut copies = self.copies();
        // SAFETY: the stream is live.
        match unsafe { self.gpu.driver.stream_query(self.handle) } {
            Ok(()) => {
                copies.clear();
                Ok(true)
            }
            Err(error) if error.code == NOT_READY => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Holds everything queued after it back until the flag is raised to one. It must be raised whatever happens.
    pub fn wait_for_flag(&self, flag: &HostBuffer) -> Result<(), DriverError> {
        let address = flag.address_for(&self.gpu)?;
        // SAFETY: the address is of mapped memory that outlives the work, which the caller waits for.
        unsafe { self.gpu.driver.stream_wait_value(self.handle, address, 1, AT_LEAST) }
    }

    pub fn mark(&self, event: &Event) -> Result<(), DriverError> {
        self.gpu.enter()?;
        // SAFETY: both are live and of the same context.
        unsafe { self.gpu.driver.event_record(event.handle, self.handle) }
    }

    pub fn fill(&self, to: &Buffer, value: u32) -> Result<(), DriverError> {
        self.gpu.enter()?;
        // SAFETY: the buffer has that many words.
        unsafe { self.gpu.driver.set_words(to.address(), value, to.bytes() / 4, self.handle) }
    }

    /// Queues a copy from the host.
    pub fn copy_in(&self, to: &Buffer, from: &HostBuffer, bytes: usize) -> Result<(), DriverError> {
        assert!(bytes <= to.bytes() && bytes <= from.bytes(), "a copy stays inside both buffers");
        self.gpu.enter()?;
        self.copies().push(from.queue());
        // SAFETY: both have room for it, checked above; the host's is not looked at until it is known to be done.
        unsafe { self.gpu.driver.copy_to_device(to.address(), from.pointer(), bytes, self.handle) }
    }

    /// Queues a copy to the host.
    pub fn copy_out(&self, to: &HostBuffer, from: &Buffer, at: usize, bytes: usize) -> Result<(), DriverError> {
        assert!(bytes <= to.bytes() && at + bytes <= from.bytes(), "a copy stays inside both buffers");
        self.gpu.enter()?;
        self.copies().push(to.queue());
        // SAFETY: both have room for it, checked above; the host's is not looked at until it is known to be done.
        unsafe { self.gpu.driver.copy_to_host(to.pointer(), from.address() + at as u64, bytes, self.handle) }
    }

    pub fn copy_within(&self, to: &Buffer, from: &Buffer, at: usize, bytes: usize) -> Result<(), DriverError> {
        assert!(bytes <= to.bytes() && at + bytes <= from.bytes(), "a copy stays inside both buffers");
        self.gpu.enter()?;
        // SAFETY: both have room for it, checked above, and are of this GPU or reachable from it.
        unsafe { self.gpu.driver.copy_on_device(to.address(), from.address() + at as u64, bytes, self.handle) }
    }

    pub fn copy_to_peer(&self, to: &Buffer, from: &Buffer, bytes: usize) -> Result<(), DriverError> {
        assert!(bytes <= to.bytes() && bytes <= from.bytes(), "a copy stays inside both buffers");
        self.gpu.enter()?;
        let (there, here) = (to.gpu().context, from.gpu().context);
        // SAFETY: both have room for it, checked above; the contexts are those they were made in.
        unsafe { self.gpu.driver.copy_to_peer(to.address(), there, from.address(), here, bytes, self.handle) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // What it was never waited for may still be on its way: those buffers stay closed.
        self.copies().drain(..).for_each(std::mem::forget);
        if !self.gpu.is_wedged() && self.gpu.enter().is_ok() {
            // SAFETY: made in `new` and destroyed once.
            let _ = unsafe { self.gpu.driver.stream_destroy(self.handle) };
        }
    }
}

impl Event {
    pub fn new(gpu: &Arc<Gpu>) -> Result<Self, DriverError> {
        gpu.enter()?;
        let mut handle = null_mut();
        // SAFETY: the pointer is to a live handle.
        unsafe { gpu.driver.event_create(&raw mut handle, 0) }?;
        Ok(Self { gpu: Arc::clone(gpu), handle })
    }

    /// Seconds of the GPU's clock from an earlier mark to this one, both passed.
    pub fn seconds_since(&self, earlier: &Self) -> Result<f64, DriverError> {
        self.gpu.enter()?;
        let mut milliseconds = 0.0;
        // SAFETY: the pointer is to a live number, the events are live.
        unsafe { self.gpu.driver.event_elapsed(&raw mut milliseconds, earlier.handle, self.handle) }?;
        Ok(f64::from(milliseconds) / 1e3)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if !self.gpu.is_wedged() && self.gpu.enter().is_ok() {
            // SAFETY: made in `new` and destroyed once.
            let _ = unsafe { self.gpu.driver.event_destroy(self.handle) };
        }
    }
}

// SAFETY: the driver's handles may be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: as above.
unsafe impl Send for Event {}
