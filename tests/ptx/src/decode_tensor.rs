//! Statements to instructions: products on tensor units and the barriers in memory that go with them.

use crate::decode::{Operand, Operands};
use crate::fault::{Fault, Kind, syntax, unsupported};
use crate::instruction::{Element, Operation, Source, Tensor};

/// Results of a thread in a product of 64 × 256.
const WGMMA_RESULTS: usize = 128;

pub(crate) fn decode(operands: &Operands<'_>) -> Result<Operation, Fault> {
    let tensor = match operands.statement.parts[0] {
        "mma" => mma(operands)?,
        "wgmma" => wgmma(operands)?,
        "mbarrier" => barrier(operands)?,
        _ => tensor_memory(operands)?,
    };
    Ok(Operation::Tensor(Box::new(tensor)))
}

fn exactly<T: Copy, const N: usize>(parts: &[T]) -> Result<[T; N], Fault> {
    <[T; N]>::try_from(parts)
        .map_err(|_| Fault::new(Kind::Syntax, format!("{} registers where {N} belong", parts.len())))
}

fn mma(operands: &Operands<'_>) -> Result<Tensor, Fault> {
    let element = match operands.statement.parts[1..] {
        ["sync", "aligned", "m16n8k16", "row", "col", "f32", "bf16", "bf16", "f32"] => Element::Bf16,
        ["sync", "aligned", "m16n8k16", "row", "col", "f32", "f16", "f16", "f32"] => Element::F16,
        ["sync", "aligned", "m16n8k32", "row", "col", "f32", "e4m3", "e4m3", "f32"] => Element::E4m3,
        ["sync", "aligned", "m16n8k32", "row", "col", "f32", "e5m2", "e5m2", "f32"] => Element::E5m2,
        ["sync", "aligned", shape, "row", "col", "f64", "f64", "f64", "f64"] => return mma_f64(operands, shape),
        _ => return unsupported("this product"),
    };
    Ok(Tensor::Mma {
        element,
        d: exactly(&operands.registers(0)?)?,
        a: exactly(&operands.sources(1)?)?,
        b: exactly(&operands.sources(2)?)?,
        c: exactly(&operands.sources(3)?)?,
    })
}

fn mma_f64(operands: &Operands<'_>, shape: &str) -> Result<Tensor, Fault> {
    let (rows, depth) = match shape {
        "m8n8k4" => (8, 4),
        "m16n8k4" => (16, 4),
        "m16n8k8" => (16, 8),
        "m16n8k16" => (16, 16),
        _ => return unsupported("this product"),
    };
    let (d, a, b, c) = (operands.registers(0)?, operands.sources(1)?, operands.sources(2)?, operands.sources(3)?);
    let counts = (rows / 4, rows * depth / 32, depth / 4, rows / 4);
    if (d.len(), a.len(), b.len(), c.len()) != counts {
        return syntax("the registers do not fit the shape");
    }
    Ok(Tensor::MmaF64 { rows, depth, d, a, b, c })
}

fn wgmma(operands: &Operands<'_>) -> Result<Tensor, Fault> {
    let element = match operands.statement.parts[1..] {
        ["fence", "sync", "aligned"] => return Ok(Tensor::WgmmaFence),
        ["commit_group", "sync", "aligned"] => return Ok(Tensor::WgmmaCommit),
        ["wait_group", "sync", "aligned"] => {
            let Source::Value(running) = operands.source(0)? else { return syntax("groups are counted by a number") };
            return Ok(Tensor::WgmmaWait(running as usize));
        }
        ["mma_async", "sync", "aligned", "m64n256k16", "f32", "bf16", "bf16"] => Element::Bf16,
        ["mma_async", "sync", "aligned", "m64n256k16", "f32", "f16", "f16"] => Element::F16,
        ["mma_async", "sync", "aligned", "m64n256k32", "f32", "e4m3", "e4m3"] => Element::E4m3,
        ["mma_async", "sync", "aligned", "m64n256k32", "f32", "e5m2", "e5m2"] => Element::E5m2,
        _ => return unsupported("this product"),
    };
    // Neither operand negated; for 16-bit elements, neither transposed.
    let tail: &[u64] = if element.bytes() == 1 { &[1, 1] } else { &[1, 1, 0, 0] };
    let found: Vec<Source> =
        (4..operands.statement.operands.len()).map(|at| operands.source(at)).collect::<Result<_, _>>()?;
    if found != tail.iter().map(|value| Source::Value(*value)).collect::<Vec<_>>() {
        return unsupported("negated or transposed operands");
    }
    let d = operands.registers(0)?;
    if d.len() != WGMMA_RESULTS {
        return syntax("a product of 64 x 256 has 128 registers a thread");
    }
    Ok(Tensor::Wgmma { element, d, a: operands.source(1)?, b: operands.source(2)?, keep: operands.register(3)? })
}

fn barrier(operands: &Operands<'_>) -> Result<Tensor, Fault> {
    match operands.statement.parts[1..] {
        ["init", "shared::cta" | "shared", "b64"] => {
            Ok(Tensor::BarrierInit { at: operands.address(0)?, count: operands.source(1)? })
        }
        ["try_wait" | "test_wait", "parity", "shared::cta" | "shared", "b64"] => {
            Ok(Tensor::BarrierTry { d: operands.register(0)?, at: operands.address(1)?, parity: operands.source(2)? })
        }
        _ => unsupported("this operation of a barrier"),
    }
}

fn tensor_memory(operands: &Operands<'_>) -> Result<Tensor, Fault> {
    match operands.statement.parts[1..] {
        ["fence::before_thread_sync"] => Ok(Tensor::FenceBefore),
        ["fence::after_thread_sync"] => Ok(Tensor::FenceAfter),
        ["wait::ld", "sync", "aligned"] => Ok(Tensor::WaitLoads),
        ["alloc", "cta_group::1", "sync", "aligned", "shared::cta", "b32"] => {
            Ok(Tensor::Allocate { at: operands.address(0)?, columns: operands.source(1)? })
        }
        ["relinquish_alloc_permit", "cta_group::1", "sync", "aligned"] => Ok(Tensor::GiveUpAllocating),
        ["dealloc", "cta_group::1", "sync", "aligned", "b32"] => {
            Ok(Tensor::Free { address: operands.source(0)?, columns: operands.source(1)? })
        }
        ["mma", "cta_group::1", kind @ ("kind::f16" | "kind::f8f6f4")] => {
            if matches!(operands.statement.operand(1)?, Operand::Address(..)) {
                return unsupported("A in tensor memory");
            }
            Ok(Tensor::Product {
                eight_bits: kind == "kind::f8f6f4",
                d: operands.address(0)?,
                a: operands.source(1)?,
                b: operands.source(2)?,
                descriptor: operands.source(3)?,
                keep: operands.register(4)?,
            })
        }
        ["commit", "cta_group::1", "mbarrier::arrive::one", "shared::cluster", "b64"] => {
            Ok(Tensor::Commit { barrier: operands.address(0)? })
        }
        ["ld", "sync", "aligned", "32x32b", count, "b32"] => {
            let d = operands.registers(0)?;
            if count.strip_prefix('x').and_then(|count| count.parse().ok()) != Some(d.len()) {
                return syntax("the registers do not fit the shape");
            }
            Ok(Tensor::Load { d, at: operands.address(1)? })
        }
        _ => unsupported("this operation on tensor memory"),
    }
}
