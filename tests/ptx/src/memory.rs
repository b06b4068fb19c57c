//! Memory of a block and of the GPU: bytes, what was allocated and written, and who touched them last.
//!
//! Two accesses to one place by different threads, one of them a write, must be put in order by a barrier of the block
//! between them. Each place keeps its last writer and reader with the number of barriers before the access; that finds every such
//! pair within a launch whatever order the warps ran in. Nothing orders blocks, so accesses of two blocks always conflict unless
//! both are atomic.

use crate::fault::{Fault, Kind};

/// Who accesses memory, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Actor {
    pub(crate) block: u32,
    pub(crate) thread: u32,
    /// Barriers the block has passed.
    pub(crate) epoch: u32,
    /// Proxy fences the thread has passed.
    pub(crate) fences: u32,
}

impl Actor {
    const fn name(self) -> u32 {
        self.block << 12 | (self.thread + 1)
    }
}

/// Names of readers and writers that are no single thread.
const NOBODY: u32 = 0;
const MANY: u32 = u32::MAX;
const ATOMIC: u32 = u32::MAX - 1;
/// Epoch of readers in more than one block.
const ANY_EPOCH: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, Default)]
struct Touched {
    writer: u32,
    write_epoch: u32,
    fences: u32,
    reader: u32,
    read_epoch: u32,
}

/// A byte that was allocated, and one that was written.
const ALLOCATED: u8 = 1;
const WRITTEN: u8 = 2;

#[derive(Debug)]
pub(crate) struct Store {
    name: &'static str,
    /// The address of the first byte.
    base: u64,
    bytes: Vec<u8>,
    state: Vec<u8>,
    /// Bytes that share one entry of `touched`; no access is smaller.
    granule: usize,
    touched: Vec<Touched>,
}

impl Store {
    pub(crate) fn new(name: &'static str, base: u64, granule: usize) -> Self {
        Self { name, base, bytes: Vec::new(), state: Vec::new(), granule, touched: Vec::new() }
    }

    /// Adds bytes that may be accessed; those up to `alignment` before them may not.
    pub(crate) fn allocate(&mut self, size: usize, alignment: usize) -> u64 {
        let start = self.bytes.len().next_multiple_of(alignment);
        // What nobody wrote must not look like a result.
        self.bytes.resize(start + size, 0xA5);
        self.state.resize(start, 0);
        self.state.resize(start + size, ALLOCATED);
        self.touched.resize((start + size).div_ceil(self.granule), Touched::default());
        self.base + start as u64
    }

    /// Forgets who touched what: a launch is over.
    pub(crate) fn forget(&mut self) {
        self.touched.fill(Touched::default());
    }

    fn place(&self, address: u64, size: usize) -> Result<usize, Fault> {
        let start = address.wrapping_sub(self.base);
        let inside = usize::try_from(start)
            .ok()
            .filter(|start| start.checked_add(size).is_some_and(|end| end <= self.bytes.len()))
            .filter(|start| self.state[*start..*start + size].iter().all(|state| *state >= ALLOCATED));
        inside.ok_or_else(|| Fault::new(Kind::Bounds, format!("{size} bytes at {address:#x} of {} memory", self.name)))
    }

    fn aligned(&self, address: u64, size: usize) -> Result<usize, Fault> {
        if !address.is_multiple_of(size as u64) {
            let said = format!("{size} bytes at {address:#x} of {} memory", self.name);
            return Err(Fault::new(Kind::Alignment, said));
        }
        if size < self.granule {
            return Err(Fault::new(Kind::Unsupported, format!("{size} bytes of {} memory", self.name)));
        }
        self.place(address, size)
    }

    fn written(&self, start: usize, size: usize) -> Result<(), Fault> {
        if self.state[start..start + size].iter().all(|state| *state == WRITTEN) {
            return Ok(());
        }
        let said = format!("{size} bytes at {:#x} of {} memory", self.base + start as u64, self.name);
        Err(Fault::new(Kind::Unwritten, said))
    }

    fn race(&self, place: usize, actor: Actor, other: u32) -> Fault {
        let who = match other {
            MANY => "several threads".to_owned(),
            ATOMIC => "an atomic operation".to_owned(),
            name => format!("thread {} of block {}", (name & 0xFFF) - 1, name >> 12),
        };
        let address = self.base + (place * self.granule) as u64;
        let said = format!(
            "thread {} of block {} and {who} at {address:#x} of {} memory",
            actor.thread, actor.block, self.name
        );
        Fault::new(Kind::Race, said)
    }

    fn note_read(&mut self, start: usize, size: usize, actor: Actor) -> Result<(), Fault> {
        for place in start / self.granule..(start + size).div_ceil(self.granule) {
            let touched = self.touched[place];
            if touched.writer != NOBODY && unordered(touched.writer, touched.write_epoch, actor) {
                return Err(self.race(place, actor, touched.writer));
            }
            let touched = &mut self.touched[place];
            let other_block = touched.reader != NOBODY && touched.reader >> 12 != actor.block;
            if touched.read_epoch == ANY_EPOCH || other_block && touched.reader != MANY {
                (touched.reader, touched.read_epoch) = (MANY, ANY_EPOCH);
            } else if touched.reader == NOBODY || touched.read_epoch != actor.epoch {
                (touched.reader, touched.read_epoch) = (actor.name(), actor.epoch);
            } else if touched.reader != actor.name() {
                touched.reader = MANY;
            }
        }
        Ok(())
    }

    fn note_write(&mut self, start: usize, size: usize, actor: Actor, atomic: bool) -> Result<(), Fault> {
        let name = if atomic { ATOMIC } else { actor.name() };
        for place in start / self.granule..(start + size).div_ceil(self.granule) {
            let touched = self.touched[place];
            let both_atomic = atomic && touched.writer == ATOMIC;
            if touched.writer != NOBODY && !both_atomic && unordered(touched.writer, touched.write_epoch, actor) {
                return Err(self.race(place, actor, touched.writer));
            }
            let many = touched.reader == MANY
                && matches!(touched.read_epoch, epoch if epoch == actor.epoch || epoch == ANY_EPOCH);
            let one = touched.reader != NOBODY && touched.reader != MANY;
            if many || one && unordered(touched.reader, touched.read_epoch, actor) {
                return Err(self.race(place, actor, touched.reader));
            }
            let touched = &mut self.touched[place];
            (touched.writer, touched.write_epoch, touched.fences) = (name, actor.epoch, actor.fences);
        }
        Ok(())
    }

    pub(crate) fn read(&mut self, address: u64, size: usize, actor: Actor) -> Result<u64, Fault> {
        let start = self.aligned(address, size)?;
        self.written(start, size)?;
        self.note_read(start, size, actor)?;
        Ok(self.value(start, size))
    }

    fn value(&self, start: usize, size: usize) -> u64 {
        let mut word = [0; 8];
        word[..size].copy_from_slice(&self.bytes[start..start + size]);
        u64::from_le_bytes(word)
    }

    pub(crate) fn write(&mut self, address: u64, size: usize, value: u64, actor: Actor) -> Result<(), Fault> {
        let start = self.aligned(address, size)?;
        self.note_write(start, size, actor, false)?;
        self.set(start, size, value);
        Ok(())
    }

    fn set(&mut self, start: usize, size: usize, value: u64) {
        self.bytes[start..start + size].copy_from_slice(&value.to_le_bytes()[..size]);
        self.state[start..start + size].fill(WRITTEN);
    }

    /// Changes a value in one go; gives back what was there.
    pub(crate) fn update(
        &mut self,
        address: u64,
        size: usize,
        actor: Actor,
        change: impl Fn(u64) -> u64,
    ) -> Result<u64, Fault> {
        let start = self.aligned(address, size)?;
        self.written(start, size)?;
        self.note_write(start, size, actor, true)?;
        let old = self.value(start, size);
        self.set(start, size, change(old));
        Ok(old)
    }

    /// Reads for an asynchronous unit on behalf of a thread. `fenced` says whether a writer's stores, made after so many
    /// proxy fences, are visible to the unit.
    pub(crate) fn read_asynchronously(
        &mut self,
        addresses: impl Iterator<Item = u64>,
        actor: Actor,
        fenced: impl Fn(u32, u32) -> bool,
    ) -> Result<Vec<u8>, Fault> {
        let mut found = Vec::new();
        for address in addresses {
            let start = self.place(address, 1)?;
            self.written(start, 1)?;
            self.note_read(start, 1, actor)?;
            let touched = self.touched[start / self.granule];
            if touched.writer != NOBODY && !fenced((touched.writer & 0xFFF) - 1, touched.fences) {
                let said = format!("the byte at {address:#x} was stored without a fence before it is read");
                return Err(Fault::new(Kind::Proxy, said));
            }
            found.push(self.bytes[start]);
        }
        Ok(found)
    }

    fn bytes_at(&self, address: u64, size: usize) -> Result<&[u8], Fault> {
        let start = self.place(address, size)?;
        Ok(&self.bytes[start..start + size])
    }
}

/// Whether nothing puts an access of another thread before this one.
const fn unordered(other: u32, epoch: u32, actor: Actor) -> bool {
    if other == ATOMIC || other == MANY {
        return true;
    }
    other != actor.name() && (other >> 12 != actor.block || epoch == actor.epoch)
}

/// Where generic addresses of each space begin.
pub(crate) const LOCAL_WINDOW: u64 = 0x0100_0000_0000;
pub(crate) const SHARED_WINDOW: u64 = 0x0200_0000_0000;
pub(crate) const GLOBAL_WINDOW: u64 = 0x7000_0000_0000;

/// The GPU's memory, as the host sees it.
#[derive(Debug)]
pub struct Global {
    pub(crate) store: Store,
}

impl Default for Global {
    fn default() -> Self {
        Self { store: Store::new("global", GLOBAL_WINDOW, 4) }
    }
}

impl Global {
    /// Memory nobody has written yet; its address. There is a gap before it that no thread may touch.
    pub fn allocate(&mut self, size: usize) -> u64 {
        let gap = self.store.bytes.len() + 512;
        self.store.bytes.resize(gap, 0);
        self.store.state.resize(gap, 0);
        self.store.allocate(size, 512)
    }

    /// Memory that holds these bytes; its address.
    pub fn put(&mut self, bytes: &[u8]) -> u64 {
        let address = self.allocate(bytes.len());
        let start = (address - GLOBAL_WINDOW) as usize;
        self.store.bytes[start..].copy_from_slice(bytes);
        self.store.state[start..].fill(WRITTEN);
        address
    }

    pub fn bytes(&self, address: u64, size: usize) -> Result<&[u8], Fault> {
        self.store.bytes_at(address, size)
    }
}

/// Memory of its own for each lane of a warp.
#[derive(Debug)]
pub(crate) struct Local {
    bytes: Vec<u8>,
    written: Vec<bool>,
}

/// Enough for the calls of these kernels; CUDA's own default for a thread's stack is 1024 too.
const LOCAL_BYTES: usize = 1024;

impl Local {
    pub(crate) fn new(lanes: usize) -> Self {
        Self { bytes: vec![0xEE; lanes * LOCAL_BYTES], written: vec![false; lanes * LOCAL_BYTES] }
    }

    fn place(lane: usize, address: u64, size: usize) -> Result<usize, Fault> {
        let said = || format!("{size} bytes at {address:#x} of local memory");
        if !address.is_multiple_of(size as u64) {
            return Err(Fault::new(Kind::Alignment, said()));
        }
        match usize::try_from(address) {
            Ok(start) if start + size <= LOCAL_BYTES => Ok(lane * LOCAL_BYTES + start),
            _ => Err(Fault::new(Kind::Bounds, said())),
        }
    }

    pub(crate) fn read(&self, lane: usize, address: u64, size: usize) -> Result<u64, Fault> {
        let start = Self::place(lane, address, size)?;
        if !self.written[start..start + size].iter().all(|written| *written) {
            return Err(Fault::new(Kind::Unwritten, format!("{size} bytes at {address:#x} of local memory")));
        }
        let mut word = [0; 8];
        word[..size].copy_from_slice(&self.bytes[start..start + size]);
        Ok(u64::from_le_bytes(word))
    }

    pub(crate) fn write(&mut self, lane: usize, address: u64, size: usize, value: u64) -> Result<(), Fault> {
        let start = Self::place(lane, address, size)?;
        self.bytes[start..start + size].copy_from_slice(&value.to_le_bytes()[..size]);
        self.written[start..start + size].fill(true);
        Ok(())
    }
}
