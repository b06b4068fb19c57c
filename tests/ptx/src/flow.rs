//! Which lanes execute what next: branches, calls, meeting again.

use crate::fault::{Fault, Kind};
use crate::instruction::{Instruction, Lanes, Mask, Operation};
use crate::machine::{Block, Context};
use crate::tensor_memory::Order;
use crate::warp::{Frame, State, Warp, lanes_of};

/// What to do after an attempt to pick an instruction.
enum Next<'a> {
    Execute(&'a Instruction, Mask),
    Again,
    Stop,
}

impl Warp {
    /// Executes up to `budget` instructions.
    pub(crate) fn run(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        others: &[Order],
        budget: usize,
    ) -> Result<(), Fault> {
        for _ in 0..budget {
            match self.next(context)? {
                Next::Stop => return Ok(()),
                Next::Again => {}
                Next::Execute(instruction, mask) => {
                    context.outcome.instructions += 1;
                    self.step(context, block, others, instruction, mask).map_err(|fault| fault.at(instruction.line))?;
                    if self.state != State::Running {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn next<'a>(&mut self, context: &Context<'a>) -> Result<Next<'a>, Fault> {
        let lanes = self.lanes;
        let frame = self.frame();
        if frame.active == 0 && !frame.choose() {
            if frame.live == 0 {
                return Ok(self.leave());
            }
            return self.together(context);
        }
        if frame.at >= frame.limit {
            frame.park();
            return Ok(Next::Again);
        }
        let code = &context.module.functions[frame.function].as_ref().expect("called functions were found").code;
        let instruction = &code[frame.at as usize];
        let active = frame.active;
        let mask = self.guarded(instruction, active).map_err(|fault| fault.at(instruction.line))?;
        let frame = self.frame();
        if mask == 0 {
            frame.at += 1;
            return Ok(Next::Again);
        }
        let together = matches!(instruction.operation, Operation::Barrier) || instruction.operation.takes_whole_warp();
        if together && mask != active {
            return Err(Fault::new(Kind::Convergence, "a guard keeps lanes from an instruction of the whole warp")
                .at(instruction.line));
        }
        if together && active != lanes {
            frame.park();
            frame.waiting |= active;
            return Ok(Next::Again);
        }
        Ok(Next::Execute(instruction, mask))
    }

    fn guarded(&mut self, instruction: &Instruction, active: Mask) -> Result<Mask, Fault> {
        let Some((register, negated)) = instruction.guard else { return Ok(active) };
        let value = self.predicate(register, active)?;
        Ok(active & if negated { !value } else { value })
    }

    /// All lanes that are left wait for their whole warp: they must wait at one place, and be all.
    fn together<'a>(&mut self, context: &Context<'a>) -> Result<Next<'a>, Fault> {
        let lanes = self.lanes;
        let frame = self.frame();
        let first = frame.live.trailing_zeros() as usize & 31;
        let code = &context.module.functions[frame.function].as_ref().expect("called functions were found").code;
        let instruction = &code[frame.places[first] as usize];
        if frame.live != lanes || lanes_of(lanes).any(|lane| frame.places[lane] != frame.places[first]) {
            let said = "not all lanes of the warp come to an instruction that takes them all";
            return Err(Fault::new(Kind::Convergence, said).at(instruction.line));
        }
        frame.waiting = 0;
        frame.at = frame.places[first];
        frame.active = lanes;
        frame.limit = u32::MAX;
        Ok(Next::Execute(instruction, lanes))
    }

    /// Goes back to the caller.
    fn leave<'a>(&mut self) -> Next<'a> {
        let Some(done) = self.frames.pop() else { return Next::Stop };
        let Some(caller) = self.frames.last_mut() else {
            self.state = State::Ended;
            return Next::Stop;
        };
        if let Some(slot) = done.result_slot {
            for lane in lanes_of(done.lanes) {
                caller.slots[slot][lane] = done.result[lane];
            }
        }
        Next::Again
    }

    fn step(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        others: &[Order],
        instruction: &Instruction,
        mask: Mask,
    ) -> Result<(), Fault> {
        let frame = self.frame();
        match &instruction.operation {
            Operation::Branch { target } if mask == frame.active => {
                frame.at = *target;
                if frame.limit != u32::MAX {
                    frame.park();
                }
            }
            Operation::Branch { target } => {
                frame.at += 1;
                frame.park();
                for lane in lanes_of(mask) {
                    frame.places[lane] = *target;
                }
            }
            Operation::Return => {
                frame.live &= !mask;
                frame.active &= !mask;
                frame.at += 1;
                if frame.active != 0 {
                    frame.park();
                }
                self.in_flight.check_idle()?;
            }
            Operation::Barrier => {
                frame.at += 1;
                self.state = State::AtBarrier;
                return Ok(());
            }
            Operation::Call { function, arguments, result } => {
                frame.at += 1;
                self.call(context, *function, arguments, *result, mask)?;
            }
            operation => {
                self.execute(context, block, others, operation, mask)?;
                self.frame().at += 1;
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        context: &Context<'_>,
        index: usize,
        arguments: &[usize],
        result: Option<usize>,
        mask: Mask,
    ) -> Result<(), Fault> {
        self.in_flight.check_idle()?;
        let Some(function) = context.module.functions[index].as_ref() else {
            return Err(Fault::new(Kind::Syntax, "the function that is called has no body"));
        };
        let frame = self.frame();
        if arguments.len() != function.parameters.len() {
            return Err(Fault::new(Kind::Syntax, format!("{} takes other arguments", function.name)));
        }
        let parameters: Vec<Lanes> = arguments.iter().map(|slot| frame.slots[*slot]).collect();
        let caller = context.module.functions[frame.function].as_ref().map_or(0, |caller| caller.local);
        let local = frame.local + caller;
        let mut callee = Frame::new(index, function, mask, local);
        callee.parameters = parameters;
        callee.result_slot = result;
        self.frames.push(callee);
        Ok(())
    }
}
