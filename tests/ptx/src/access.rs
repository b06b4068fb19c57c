//! Executes loads, stores, atomics and the parameters of calls.

use crate::alu::signed;
use crate::fault::{Fault, Kind, unsupported};
use crate::instruction::{Address, Atomic, LANES, Lanes, Mask, Operation, Register, Source, Space, Type};
use crate::machine::{Block, Context};
use crate::memory::{GLOBAL_WINDOW, LOCAL_WINDOW, SHARED_WINDOW};
use crate::warp::{Warp, lanes_of, low_bits};

/// The space a generic address lies in, and the address there.
fn located(space: Space, address: u64) -> (Space, u64) {
    match space {
        Space::Generic if address >= GLOBAL_WINDOW => (Space::Global, address),
        Space::Generic if address >= SHARED_WINDOW => (Space::Shared, address - SHARED_WINDOW),
        Space::Generic if address >= LOCAL_WINDOW => (Space::Local, address - LOCAL_WINDOW),
        // An address in no window is caught as one out of bounds.
        Space::Generic => (Space::Global, address),
        space => (space, address),
    }
}

const fn window(space: Space) -> u64 {
    match space {
        Space::Local => LOCAL_WINDOW,
        Space::Shared => SHARED_WINDOW,
        Space::Global | Space::Generic => 0,
    }
}

impl Warp {
    pub(crate) fn addresses(
        &mut self,
        context: &mut Context<'_>,
        block: &Block,
        at: Address,
        mask: Mask,
    ) -> Result<Lanes, Fault> {
        let base = self.read(context, block, at.base, mask)?;
        Ok(std::array::from_fn(|lane| base[lane].wrapping_add_signed(at.offset)))
    }

    pub(crate) fn access(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        operation: &Operation,
        mask: Mask,
    ) -> Result<(), Fault> {
        match operation {
            Operation::Load { space, of, d, at } => self.load(context, block, *space, *of, d, *at, mask)?,
            Operation::Store { space, of, a, at } => self.store(context, block, *space, *of, a, *at, mask)?,
            Operation::Atomic { space, operation, of, d, at, a } => {
                let old = self.atomic(context, block, (*space, *operation, *of), *at, *a, mask)?;
                if let Some(d) = d {
                    self.write(*d, &old, mask);
                }
            }
            Operation::ToGeneric { space, d, a } => {
                let values = self.read(context, block, *a, mask)?;
                self.write(*d, &values.map(|value| value.wrapping_add(window(*space))), mask);
            }
            Operation::FromGeneric { space, d, a } => {
                let values = self.read(context, block, *a, mask)?;
                self.write(*d, &values.map(|value| value.wrapping_sub(window(*space))), mask);
            }
            Operation::LoadArgument { of, d, offset } => {
                for (part, register) in d.iter().enumerate() {
                    let value = argument(context.arguments, offset + part * of.bytes() as usize, *of)?;
                    self.write(*register, &[value; LANES], mask);
                }
            }
            Operation::LoadParameter { of, d, number } => {
                let values = self.frame().parameters[*number].map(|value| widened(value, *of));
                self.write(*d, &values, mask);
            }
            Operation::LoadSlot { of, slot, d } => {
                let values = self.frame().slots[*slot].map(|value| widened(value, *of));
                self.write(*d, &values, mask);
            }
            Operation::StoreSlot { slot, a } => {
                let values = self.read(context, block, *a, mask)?;
                let target = &mut self.frame().slots[*slot];
                lanes_of(mask).for_each(|lane| target[lane] = values[lane]);
            }
            Operation::StoreResult { a } => {
                let values = self.read(context, block, *a, mask)?;
                let target = &mut self.frame().result;
                lanes_of(mask).for_each(|lane| target[lane] = values[lane]);
            }
            other => return unsupported(format!("{other:?}")),
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one instruction")]
    fn load(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        space: Space,
        of: Type,
        d: &[Register],
        at: Address,
        mask: Mask,
    ) -> Result<(), Fault> {
        let addresses = self.addresses(context, block, at, mask)?;
        let size = of.bytes();
        check_vector(&addresses, size * d.len() as u64, mask)?;
        let mut found = vec![[0; LANES]; d.len()];
        for lane in lanes_of(mask) {
            let (space, address) = located(space, addresses[lane]);
            let actor = block.actor(self.thread(lane));
            for (part, values) in found.iter_mut().enumerate() {
                let address = address + part as u64 * size;
                let value = match space {
                    Space::Local => self.local.read(lane, address, size as usize)?,
                    Space::Shared => block.shared.read(address, size as usize, actor)?,
                    Space::Global | Space::Generic => context.memory.store.read(address, size as usize, actor)?,
                };
                values[lane] = widened(value, of);
            }
        }
        for (register, values) in d.iter().zip(&found) {
            self.write(*register, values, mask);
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one instruction")]
    fn store(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        space: Space,
        of: Type,
        a: &[Source],
        at: Address,
        mask: Mask,
    ) -> Result<(), Fault> {
        let addresses = self.addresses(context, block, at, mask)?;
        let size = of.bytes();
        check_vector(&addresses, size * a.len() as u64, mask)?;
        for (part, source) in a.iter().enumerate() {
            let values = self.read(context, block, *source, mask)?;
            for lane in lanes_of(mask) {
                let (space, address) = located(space, addresses[lane]);
                let (address, bytes) = (address + part as u64 * size, size as usize);
                let actor = block.actor(self.thread(lane));
                match space {
                    Space::Local => self.local.write(lane, address, bytes, values[lane])?,
                    Space::Shared => block.shared.write(address, bytes, values[lane], actor)?,
                    Space::Global | Space::Generic => {
                        context.memory.store.write(address, bytes, values[lane], actor)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn atomic(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        (space, operation, of): (Space, Atomic, Type),
        at: Address,
        a: Source,
        mask: Mask,
    ) -> Result<Lanes, Fault> {
        let addresses = self.addresses(context, block, at, mask)?;
        let values = self.read(context, block, a, mask)?;
        let mut old = [0; LANES];
        for lane in lanes_of(mask) {
            let (space, address) = located(space, addresses[lane]);
            let actor = block.actor(self.thread(lane));
            let value = values[lane];
            let change = |there: u64| match operation {
                Atomic::Add => there.wrapping_add(value),
                Atomic::Exchange => value,
                Atomic::Maximum if of.signed() => signed(there, of.bits).max(signed(value, of.bits)).cast_unsigned(),
                Atomic::Maximum => there.max(value),
                Atomic::Minimum if of.signed() => signed(there, of.bits).min(signed(value, of.bits)).cast_unsigned(),
                Atomic::Minimum => there.min(value),
            };
            let size = of.bytes() as usize;
            old[lane] = match space {
                Space::Local => return unsupported("atomics on local memory"),
                Space::Shared => block.shared.update(address, size, actor, change)?,
                Space::Global | Space::Generic => context.memory.store.update(address, size, actor, change)?,
            };
        }
        Ok(old)
    }
}

/// A value as it comes into a register that is wider: with its sign where the type has one.
const fn widened(value: u64, of: Type) -> u64 {
    if of.signed() { signed(value, of.bits).cast_unsigned() } else { value & low_bits(of.bits) }
}

/// An access of several values is aligned to all of them together.
fn check_vector(addresses: &Lanes, bytes: u64, mask: Mask) -> Result<(), Fault> {
    match lanes_of(mask).find(|lane| !addresses[*lane].is_multiple_of(bytes)) {
        None => Ok(()),
        Some(lane) => Err(Fault::new(Kind::Alignment, format!("{bytes} bytes at {:#x}", addresses[lane]))),
    }
}

fn argument(arguments: &[u8], offset: usize, of: Type) -> Result<u64, Fault> {
    let size = of.bytes() as usize;
    let Some(bytes) = arguments.get(offset..offset + size).filter(|_| offset.is_multiple_of(size)) else {
        return Err(Fault::new(Kind::Bounds, format!("{size} bytes at {offset} of the arguments")));
    };
    let mut word = [0; 8];
    word[..size].copy_from_slice(bytes);
    Ok(u64::from_le_bytes(word))
}
