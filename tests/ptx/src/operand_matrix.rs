//! Matrices that tensor units read out of shared memory: descriptors and swizzles.

use crate::fault::{Fault, protocol, unsupported};
use crate::instruction::Element;
use crate::machine::Block;
use crate::number;

/// Bytes of k that one instruction takes of a row, whatever the element.
const STEP_BYTES: u64 = 32;

/// A matrix with k along its rows, as a descriptor tells of it (PTX ISA, "Matrix descriptor" of wgmma and "Shared memory
/// descriptor" of tcgen05).
#[derive(Debug, Clone, Copy)]
pub(crate) struct OperandMatrix {
    start: u64,
    /// Bytes from eight rows to the next eight.
    stride: u64,
    /// Bytes from 16 bytes of k to the next where nothing is swizzled.
    leading: u64,
    /// Bytes of a row that are swizzled together; 16 for none.
    width: u64,
}

impl OperandMatrix {
    fn fields(descriptor: u64, width: u64) -> Result<Self, Fault> {
        if descriptor >> 49 & 7 != 0 {
            return unsupported("a base offset in the descriptor");
        }
        let field = |bit: u32| (descriptor >> bit & 0x3FFF) << 4;
        let matrix = Self { start: field(0), leading: field(16), stride: field(32), width };
        // With a base offset of 0 the pattern repeats from a start that is a multiple of it.
        if width > 16 && matrix.start & !(width - 1) & (8 * width - 1) != 0 {
            return protocol("the matrix does not begin where the swizzle repeats");
        }
        Ok(matrix)
    }

    pub(crate) fn of_wgmma(descriptor: u64) -> Result<Self, Fault> {
        Self::fields(descriptor, [16, 128, 64, 32][(descriptor >> 62) as usize])
    }

    pub(crate) fn of_tcgen05(descriptor: u64) -> Result<Self, Fault> {
        if descriptor >> 46 & 7 != 1 {
            return protocol("the descriptor has another version");
        }
        match descriptor >> 61 {
            0 => Self::fields(descriptor, 16),
            2 => Self::fields(descriptor, 128),
            4 => Self::fields(descriptor, 64),
            6 => Self::fields(descriptor, 32),
            _ => unsupported("this swizzle"),
        }
    }

    /// Where the byte of a row lies.
    fn place(self, row: u64, byte: u64) -> u64 {
        let (group, within) = (row / 8 * self.stride, row % 8);
        if self.width == 16 {
            return self.start + group + within * 16 + byte / 16 * self.leading + byte % 16;
        }
        let address = self.start + group + within * self.width + byte;
        // Bits 4.. of the address are XORed with bits 7..: as many as a row has pieces of 16 bytes.
        address ^ ((address >> 7) & (self.width / 16 - 1)) << 4
    }

    /// Reads the elements of `rows` rows from `first` on, for a thread that started the product.
    pub(crate) fn read(
        self,
        block: &mut Block,
        thread: u32,
        element: Element,
        (first, rows): (u64, u64),
    ) -> Result<Vec<f64>, Fault> {
        let actor = block.actor(thread);
        let addresses = (first..first + rows).flat_map(|row| (0..STEP_BYTES).map(move |byte| self.place(row, byte)));
        let (fences, epoch) = (&block.fences, block.epoch);
        let fenced = |writer, stored| Block::is_fenced(fences, epoch, thread, writer, stored);
        let bytes = block.shared.read_asynchronously(addresses, actor, fenced)?;
        Ok(number::values(element, &bytes))
    }
}

/// Adds A × Bᵀ to the results; both operands have k along their rows.
pub(crate) fn multiply(results: &mut [f64], a: &[f64], b: &[f64], depth: usize) {
    let columns = b.len() / depth;
    let mut turned = vec![0.0; b.len()];
    for (column, row) in b.chunks_exact(depth).enumerate() {
        for (k, value) in row.iter().enumerate() {
            turned[k * columns + column] = *value;
        }
    }
    for (line, row) in results.chunks_exact_mut(columns).zip(a.chunks_exact(depth)) {
        for (factor, values) in row.iter().zip(turned.chunks_exact(columns)) {
            for (result, value) in line.iter_mut().zip(values) {
                *result += factor * value;
            }
        }
    }
}
