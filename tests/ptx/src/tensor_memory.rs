//! Executes `tcgen05` and `mbarrier`: tensor memory, the products that one thread issues into it, and waiting for them.
//!
//! Products and commits queue up and run in order at moments drawn from the seed, while the warps go on.

use std::collections::VecDeque;

use crate::fault::{Fault, Kind, protocol, unsupported};
use crate::instruction::{Element, LANES, Mask, Tensor};
use crate::machine::{Block, Context};
use crate::number::accumulated;
use crate::operand_matrix::{OperandMatrix, multiply};
use crate::warp::{Warp, lanes_of};

const ROWS: usize = 128;
const COLUMNS: usize = 512;

#[derive(Debug, Clone, Copy)]
struct Product {
    /// Column of the first result.
    column: usize,
    a: u64,
    b: u64,
    shape: Shape,
    keep: bool,
    thread: u32,
}

#[derive(Debug, Clone, Copy)]
enum Job {
    Product(Product),
    Commit(u64),
}

/// What the instruction descriptor says (PTX ISA, "Instruction descriptor", kinds f16 and f8f6f4).
#[derive(Debug, Clone, Copy)]
struct Shape {
    a: Element,
    b: Element,
    rows: usize,
    columns: usize,
}

impl Shape {
    fn of(descriptor: u32, eight_bits: bool) -> Result<Self, Fault> {
        let field = |bit: u32, bits: u32| descriptor >> bit & ((1 << bits) - 1);
        if field(4, 2) != 1 {
            return unsupported("accumulators that are not f32");
        }
        // Sparse, saturating, negated, transposed, shifted.
        if field(0, 4) != 0 || field(13, 4) != 0 || field(29, 3) != 0 || field(6, 1) != 0 || field(23, 1) != 0 {
            return unsupported("a form of the product in the descriptor");
        }
        let element = |code| match (eight_bits, code) {
            (false, 0) => Ok(Element::F16),
            (false, 1) => Ok(Element::Bf16),
            (true, 0) => Ok(Element::E4m3),
            (true, 1) => Ok(Element::E5m2),
            _ => unsupported("the type of an operand"),
        };
        let (rows, columns) = (field(24, 5) as usize * 16, field(17, 6) as usize * 8);
        if rows != ROWS || columns == 0 || columns % 16 != 0 || columns > 256 {
            return unsupported(format!("a product of {rows} x {columns}"));
        }
        Ok(Self { a: element(field(7, 3))?, b: element(field(10, 3))?, rows, columns })
    }
}

#[derive(Debug)]
pub(crate) struct TensorMemory {
    cells: Vec<f32>,
    written: Vec<bool>,
    /// First column and number of columns.
    allocated: Option<(u32, u32)>,
    gave_up: bool,
    queue: VecDeque<Job>,
    seed: u64,
}

/// A barrier in shared memory that counts arrivals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryBarrier {
    expected: u64,
    missing: u64,
    /// Phases completed.
    phase: u64,
}

/// Whether a warp's own accesses to tensor memory are put in order with those of others by fences and a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    before: Before,
    /// Passed `fence::after_thread_sync` since the last barrier.
    after: bool,
    /// Loads have not been waited for.
    loading: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Clean,
    Accessed,
    Fenced,
}

impl Default for Order {
    fn default() -> Self {
        Self { before: Before::Clean, after: true, loading: false }
    }
}

impl Order {
    pub(crate) fn pass_barrier(&mut self) {
        if self.before == Before::Fenced {
            self.before = Before::Clean;
        }
        self.after = false;
    }
}

impl TensorMemory {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            cells: vec![f32::NAN; ROWS * COLUMNS],
            written: vec![false; ROWS * COLUMNS],
            allocated: None,
            gave_up: false,
            queue: VecDeque::new(),
            seed,
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(crate) fn ends_well(&self) -> Result<(), Fault> {
        if self.allocated.is_some() { protocol("tensor memory was never given back") } else { Ok(()) }
    }

    /// Some place that fits, chosen by the seed: nothing promises the first column.
    fn allocate(&mut self, columns: u32) -> Result<u32, Fault> {
        if !(32..=COLUMNS as u32).contains(&columns) || !columns.is_power_of_two() {
            return protocol(format!("{columns} columns cannot be allocated"));
        }
        if self.allocated.is_some() || self.gave_up {
            return unsupported("allocating again");
        }
        let places = COLUMNS as u64 / u64::from(columns);
        let start = (self.seed % places) as u32 * columns;
        self.allocated = Some((start, columns));
        Ok(start)
    }

    fn check(&self, column: usize, columns: usize) -> Result<(), Fault> {
        let inside = self
            .allocated
            .is_some_and(|(start, count)| column >= start as usize && column + columns <= (start + count) as usize);
        if inside {
            Ok(())
        } else {
            Err(Fault::new(Kind::Bounds, format!("{columns} columns at {column} of tensor memory")))
        }
    }

    fn store(&mut self, product: &Product, sums: &[f64], bits: Option<u32>) {
        for (row, line) in sums.chunks_exact(product.shape.columns).enumerate() {
            let start = row * COLUMNS + product.column;
            for (at, sum) in line.iter().enumerate() {
                self.cells[start + at] = accumulated(*sum, bits);
                self.written[start + at] = true;
            }
        }
    }
}

impl Block {
    /// Runs the job at the head of the queue.
    pub(crate) fn tensor_step(&mut self, bits: Option<u32>) -> Result<(), Fault> {
        match self.tensor.queue.pop_front() {
            Some(Job::Product(product)) => self.product(&product, bits),
            Some(Job::Commit(address)) => {
                let Some(barrier) = self.barriers.get_mut(&address) else {
                    return protocol("a barrier that was never initialised");
                };
                barrier.missing -= 1;
                if barrier.missing == 0 {
                    *barrier = MemoryBarrier { missing: barrier.expected, phase: barrier.phase + 1, ..*barrier };
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn product(&mut self, product: &Product, bits: Option<u32>) -> Result<(), Fault> {
        let Shape { a, b, rows, columns } = product.shape;
        self.tensor.check(product.column, columns)?;
        let left = OperandMatrix::of_tcgen05(product.a)?.read(self, product.thread, a, (0, rows as u64))?;
        let right = OperandMatrix::of_tcgen05(product.b)?.read(self, product.thread, b, (0, columns as u64))?;
        let mut sums = vec![0.0; rows * columns];
        if product.keep {
            for (row, line) in sums.chunks_exact_mut(columns).enumerate() {
                let start = row * COLUMNS + product.column;
                if !self.tensor.written[start..start + columns].iter().all(|written| *written) {
                    return Err(Fault::new(Kind::Unwritten, "accumulators in tensor memory"));
                }
                for (sum, cell) in line.iter_mut().zip(&self.tensor.cells[start..]) {
                    *sum = f64::from(*cell);
                }
            }
        }
        multiply(&mut sums, &left, &right, 32 / a.bytes());
        self.tensor.store(product, &sums, if a.bytes() == 1 { bits } else { None });
        Ok(())
    }
}

impl Warp {
    pub(crate) fn tensor_memory(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        others: &[Order],
        tensor: &Tensor,
        mask: Mask,
    ) -> Result<(), Fault> {
        match tensor {
            Tensor::Allocate { at, columns } => {
                let columns = self.uniform(context, block, *columns, mask)?;
                let start = block.tensor.allocate(columns as u32)?;
                let address = self.addresses(context, block, *at, mask)?[0];
                let actor = block.actor(self.thread(0));
                block.shared.write(address, 4, u64::from(start), actor)?;
                self.order.before = Before::Accessed;
            }
            Tensor::Free { address, columns } => {
                let address = self.uniform(context, block, *address, mask)? as u32;
                let columns = self.uniform(context, block, *columns, mask)? as u32;
                if block.tensor.allocated != Some((address, columns)) || block.tensor.has_work() {
                    return protocol("tensor memory is given back that is not there or is at work");
                }
                block.tensor.allocated = None;
            }
            Tensor::GiveUpAllocating => block.tensor.gave_up = true,
            Tensor::FenceBefore if self.order.loading => return protocol("loads were not waited for"),
            Tensor::FenceBefore if self.order.before == Before::Accessed => self.order.before = Before::Fenced,
            Tensor::FenceBefore => {}
            Tensor::FenceAfter => self.order.after = true,
            Tensor::WaitLoads => {
                self.order.loading = false;
                for (register, values) in std::mem::take(&mut self.in_flight.loads) {
                    self.write(register, &values, mask);
                }
            }
            Tensor::Product { .. } => self.issue(context, block, others, tensor, mask)?,
            Tensor::Commit { barrier } => {
                let lane = single(mask)?;
                let address = self.addresses(context, block, *barrier, mask)?[lane];
                block.tensor.queue.push_back(Job::Commit(address));
            }
            Tensor::Load { .. } => self.load_tensor(context, block, tensor, mask)?,
            Tensor::BarrierInit { .. } | Tensor::BarrierTry { .. } => {
                self.memory_barrier(context, block, tensor, mask)?;
            }
            _ => return unsupported("this instruction"),
        }
        Ok(())
    }

    fn issue(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        others: &[Order],
        tensor: &Tensor,
        mask: Mask,
    ) -> Result<(), Fault> {
        let Tensor::Product { eight_bits, d, a, b, descriptor, keep } = tensor else { return Ok(()) };
        let lane = single(mask)?;
        let own = self.number as usize;
        if others.iter().enumerate().any(|(warp, order)| warp != own && order.before != Before::Clean) {
            return protocol("other warps' accesses to tensor memory are not fenced before the barrier");
        }
        if !self.order.after {
            return protocol("no fence after the barrier that others reached");
        }
        let column = self.addresses(context, block, *d, mask)?[lane];
        let shape = Shape::of(self.read(context, block, *descriptor, mask)?[lane] as u32, *eight_bits)?;
        if column >> 16 != 0 {
            return unsupported("results that do not begin in the first lane of tensor memory");
        }
        let product = Product {
            column: column as usize,
            a: self.read(context, block, *a, mask)?[lane],
            b: self.read(context, block, *b, mask)?[lane],
            shape,
            keep: self.predicate(*keep, mask)? >> lane & 1 == 1,
            thread: self.thread(lane),
        };
        block.tensor.queue.push_back(Job::Product(product));
        Ok(())
    }

    fn load_tensor(
        &mut self,
        context: &mut Context<'_>,
        block: &Block,
        tensor: &Tensor,
        mask: Mask,
    ) -> Result<(), Fault> {
        let Tensor::Load { d, at } = tensor else { return Ok(()) };
        if !self.order.after {
            return protocol("no fence between the barrier and a load from tensor memory");
        }
        if block.tensor.has_work() {
            return protocol("tensor memory is read while products run");
        }
        let addresses = self.addresses(context, block, *at, mask)?;
        let (row, column) = (addresses[0] as usize >> 16, addresses[0] as usize & 0xFFFF);
        if addresses.iter().any(|address| *address != addresses[0]) || row != self.number as usize % 4 * LANES {
            return protocol("a warp reads the lanes of tensor memory that have its own number");
        }
        block.tensor.check(column, d.len())?;
        for (at, register) in d.iter().enumerate() {
            let place = |lane: usize| (row + lane) * COLUMNS + column + at;
            if !(0..LANES).all(|lane| block.tensor.written[place(lane)]) {
                return Err(Fault::new(Kind::Unwritten, "tensor memory"));
            }
            let bits = |lane: usize| u64::from(block.tensor.cells[place(lane)].to_bits());
            // No value until the loads are waited for.
            self.frame().defined[*register as usize] = 0;
            self.in_flight.loads.push((*register, std::array::from_fn(bits)));
        }
        self.order.before = Before::Accessed;
        self.order.loading = true;
        Ok(())
    }

    fn memory_barrier(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        tensor: &Tensor,
        mask: Mask,
    ) -> Result<(), Fault> {
        match tensor {
            Tensor::BarrierInit { at, count } => {
                let lane = single(mask)?;
                let address = self.addresses(context, block, *at, mask)?[lane];
                let expected = self.read(context, block, *count, mask)?[lane];
                // Its eight bytes must be there.
                let actor = block.actor(self.thread(lane));
                block.shared.write(address, 8, 0, actor)?;
                block.barriers.insert(address, MemoryBarrier { expected, missing: expected, phase: 0 });
            }
            Tensor::BarrierTry { d, at, parity } => {
                let addresses = self.addresses(context, block, *at, mask)?;
                let parities = self.read(context, block, *parity, mask)?;
                let mut passed = [0; LANES];
                for lane in lanes_of(mask) {
                    let Some(barrier) = block.barriers.get(&addresses[lane]) else {
                        return protocol("a barrier that was never initialised");
                    };
                    passed[lane] = u64::from(barrier.phase & 1 != parities[lane] & 1);
                }
                self.write(*d, &passed, mask);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The only lane of the mask: more would issue as many times.
fn single(mask: Mask) -> Result<usize, Fault> {
    if mask.is_power_of_two() {
        return Ok(mask.trailing_zeros() as usize);
    }
    protocol("to be issued by one thread")
}
