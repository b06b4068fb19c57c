//! Kernels of the loaded image, and their launch.
#![expect(
    clippy::cast_possible_wrap,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]
#![expect(unsafe_code, reason = "calls into the driver's library")]

use std::ffi::{CString, c_int, c_void};
use std::ptr::null_mut;
use std::sync::Arc;

use super::error::DriverError;
use super::gpu::Gpu;
use super::stream::Stream;
use super::symbols::Handle;
use crate::cuda::layout::{BurnArgs, ChaseArgs, ChecksumArgs, HangArgs, MarchArgs};

const MAX_DYNAMIC_SHARED: c_int = 8;

/// The arguments of one kind of kernel.
pub trait Arguments: Copy + private::Closed {}

mod private {
    pub trait Closed {}
}

macro_rules! arguments {
    ($($kind:ty),*) => { $(impl private::Closed for $kind {} impl Arguments for $kind {})* };
}
arguments!(BurnArgs, MarchArgs, ChecksumArgs, ChaseArgs, HangArgs);

/// How many blocks of how many threads.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    pub blocks: u32,
    pub threads: u32,
    pub shared_bytes: u32,
}

/// A kernel of the image.
#[derive(Debug)]
pub struct Kernel<A> {
    gpu: Arc<Gpu>,
    handle: Handle,
    arguments: std::marker::PhantomData<A>,
}

impl<A: Arguments> Kernel<A> {
    /// Finds a kernel by its name. The name decides what its arguments are; all of one kind begin alike.
    pub fn new(gpu: &Arc<Gpu>, name: &str) -> Result<Self, DriverError> {
        gpu.enter()?;
        let mut handle = null_mut();
        let text = CString::new(name).unwrap_or_default();
        // SAFETY: the pointers are to a live handle and a text that ends with a zero.
        unsafe { gpu.driver.module_function(&raw mut handle, gpu.module, text.as_ptr()) }?;
        Ok(Self { gpu: Arc::clone(gpu), handle, arguments: std::marker::PhantomData })
    }

    /// Allows more shared memory than a kernel gets unasked.
    pub fn allow_shared(&self, bytes: u32) -> Result<(), DriverError> {
        self.gpu.enter()?;
        // SAFETY: the function is live.
        unsafe { self.gpu.driver.function_set(self.handle, MAX_DYNAMIC_SHARED, bytes as c_int) }
    }

    /// Queues a launch. The memory its arguments point to must live until it is done.
    pub fn launch(&self, stream: &Stream, grid: Grid, arguments: A) -> Result<(), DriverError> {
        self.gpu.enter()?;
        let mut arguments = arguments;
        let mut list: [*mut c_void; 1] = [(&raw mut arguments).cast()];
        // SAFETY: the kernel takes exactly one argument of this type, which the driver copies before it returns.
        unsafe {
            self.gpu.driver.launch(
                self.handle,
                grid.blocks,
                1,
                1,
                grid.threads,
                1,
                1,
                grid.shared_bytes,
                stream.handle,
                list.as_mut_ptr(),
                null_mut(),
            )
        }
    }
}
