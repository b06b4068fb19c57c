//! Executes what lanes of a warp tell one another: shuffles, votes, the choice of one lane.

use crate::fault::{Fault, Kind, unsupported};
use crate::instruction::{LANES, Lanes, Mask, Operation, Shuffle, Vote};
use crate::machine::{Block, Context};
use crate::warp::Warp;

/// The lane each lane reads from, and whether that is inside its segment (PTX ISA, "shfl.sync").
fn source_of(mode: Shuffle, lane: usize, b: u64, c: u64) -> (usize, bool) {
    let (lane, b) = (lane as i64, (b & 31).cast_signed());
    let (clamp, segment) = ((c & 31).cast_signed(), (c >> 8 & 31).cast_signed());
    let most = (lane & segment) | (clamp & !segment);
    let least = lane & segment;
    let (from, inside) = match mode {
        Shuffle::Up => (lane - b, lane - b >= most),
        Shuffle::Down => (lane + b, lane + b <= most),
        Shuffle::Butterfly => (lane ^ b, lane ^ b <= most),
        Shuffle::Index => (least | (b & !segment), least | (b & !segment) <= most),
    };
    if inside { (from as usize & 31, true) } else { (lane as usize, false) }
}

impl Warp {
    pub(crate) fn exchange(
        &mut self,
        context: &mut Context<'_>,
        block: &Block,
        operation: &Operation,
        mask: Mask,
    ) -> Result<(), Fault> {
        match operation {
            Operation::Shuffle { mode, d, inside, a, b, c } => {
                let a = self.read(context, block, *a, mask)?;
                let b = self.read(context, block, *b, mask)?;
                let c = self.read(context, block, *c, mask)?;
                let from: [(usize, bool); LANES] = std::array::from_fn(|lane| source_of(*mode, lane, b[lane], c[lane]));
                if from.iter().enumerate().any(|(lane, (from, _))| mask >> lane & 1 == 1 && mask >> from & 1 == 0) {
                    return Err(Fault::new(Kind::Convergence, "a lane reads from one that is no thread"));
                }
                self.write(*d, &from.map(|(lane, _)| a[lane]), mask);
                if let Some(inside) = inside {
                    self.write(*inside, &from.map(|(_, inside)| u64::from(inside)), mask);
                }
            }
            Operation::Vote { mode, d, a, negated } => {
                let value = self.predicate(*a, mask)?;
                let votes = mask & if *negated { !value } else { value };
                let result = match mode {
                    Vote::All => u64::from(votes == mask),
                    Vote::Any => u64::from(votes != 0),
                    Vote::Ballot => u64::from(votes),
                };
                self.write(*d, &[result; LANES], mask);
            }
            Operation::Elect { d, elected } => {
                let chosen = mask.trailing_zeros() as usize;
                if let Some(d) = d {
                    self.write(*d, &[chosen as u64; LANES], mask);
                }
                let only: Lanes = std::array::from_fn(|lane| u64::from(lane == chosen));
                self.write(*elected, &only, mask);
            }
            other => return unsupported(format!("{other:?}")),
        }
        Ok(())
    }
}
