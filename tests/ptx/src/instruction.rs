//! The instructions, decoded.

/// Lanes of a warp.
pub(crate) const LANES: usize = 32;
/// The value of a register in every lane: the bits, with zeros above the register's width.
pub(crate) type Lanes = [u64; LANES];
/// A set of lanes.
pub(crate) type Mask = u32;

pub(crate) type Register = u16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Predicate,
    Bits,
    Signed,
    Float,
}

/// The type in an opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) sort: Sort,
    pub(crate) bits: u32,
}

impl Type {
    pub(crate) const fn bytes(self) -> u64 {
        self.bits as u64 / 8
    }

    pub(crate) const fn signed(self) -> bool {
        matches!(self.sort, Sort::Signed)
    }
}

/// What an instruction reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Register(Register),
    Value(u64),
    Special(Special),
    /// A variable in local memory, from the start of the function's own.
    Local(u32),
    /// Where dynamic shared memory begins.
    Dynamic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    Thread,
    Threads,
    Block,
    Blocks,
    Processor,
    Lane,
    /// Nanoseconds.
    Timer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Global,
    Shared,
    Local,
    Generic,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) base: Source,
    pub(crate) offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Negate,
    Absolute,
    Population,
    LeadingZeros,
    Reverse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    MultiplyLow,
    MultiplyHigh,
    MultiplyWide,
    Divide,
    Remainder,
    Minimum,
    Maximum,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ternary {
    /// a × b + c of one width.
    MultiplyAddLow,
    /// a × b + c, the product and c twice as wide.
    MultiplyAddWide,
    /// Rounded once.
    Fused,
    /// Any function of three bits: its table.
    Logic(u8),
    /// Bytes picked out of two words.
    Permute,
    FunnelLeft,
    FunnelRight,
    /// Bits `b`.. of `a`, `c` of them.
    Extract,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shuffle {
    Down,
    Up,
    Butterfly,
    Index,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vote {
    All,
    Any,
    Ballot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Atomic {
    Add,
    Exchange,
    Maximum,
    Minimum,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    Bf16,
    F16,
    E4m3,
    E5m2,
}

impl Element {
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::E4m3 | Self::E5m2 => 1,
        }
    }
}

/// Products and what surrounds them.
#[derive(Debug, Clone)]
pub(crate) enum Tensor {
    /// `mma.sync` of 16 × 8 results; a step has 32 bytes of k.
    Mma {
        element: Element,
        d: [Register; 4],
        a: [Source; 4],
        b: [Source; 2],
        c: [Source; 4],
    },
    /// `mma.sync` of f64 with `rows` × 8 results and the given depth.
    MmaF64 {
        rows: usize,
        depth: usize,
        d: Vec<Register>,
        a: Vec<Source>,
        b: Vec<Source>,
        c: Vec<Source>,
    },
    /// `wgmma.mma_async` of 64 × 256 results with both operands in shared memory.
    Wgmma {
        element: Element,
        d: Vec<Register>,
        a: Source,
        b: Source,
        keep: Register,
    },
    WgmmaFence,
    WgmmaCommit,
    /// So many groups may still run.
    WgmmaWait(usize),
    Allocate {
        at: Address,
        columns: Source,
    },
    Free {
        address: Source,
        columns: Source,
    },
    GiveUpAllocating,
    Product {
        eight_bits: bool,
        d: Address,
        a: Source,
        b: Source,
        descriptor: Source,
        keep: Register,
    },
    Commit {
        barrier: Address,
    },
    Load {
        d: Vec<Register>,
        at: Address,
    },
    WaitLoads,
    FenceBefore,
    FenceAfter,
    BarrierInit {
        at: Address,
        count: Source,
    },
    BarrierTry {
        d: Register,
        at: Address,
        parity: Source,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Move {
        d: Register,
        a: Source,
    },
    Pack {
        d: Register,
        parts: Vec<Source>,
        bits: u32,
    },
    Unpack {
        parts: Vec<Register>,
        a: Source,
        bits: u32,
    },
    Unary {
        operation: Unary,
        of: Type,
        d: Register,
        a: Source,
    },
    Binary {
        operation: Binary,
        of: Type,
        d: Register,
        a: Source,
        b: Source,
    },
    Ternary {
        operation: Ternary,
        of: Type,
        d: Register,
        a: Source,
        b: Source,
        c: Source,
    },
    /// Bits `place`.. of `b` replaced by `length` low bits of `a`.
    Insert {
        d: Register,
        a: Source,
        b: Source,
        place: Source,
        length: Source,
    },
    Select {
        d: Register,
        a: Source,
        b: Source,
        by: Register,
    },
    Compare {
        comparison: Comparison,
        of: Type,
        d: Register,
        a: Source,
        b: Source,
    },
    Convert {
        to: Type,
        from: Type,
        d: Register,
        a: Source,
    },
    /// Between the addresses of one space and generic ones.
    ToGeneric {
        space: Space,
        d: Register,
        a: Source,
    },
    FromGeneric {
        space: Space,
        d: Register,
        a: Source,
    },
    Load {
        space: Space,
        of: Type,
        d: Vec<Register>,
        at: Address,
    },
    Store {
        space: Space,
        of: Type,
        a: Vec<Source>,
        at: Address,
    },
    Atomic {
        space: Space,
        operation: Atomic,
        of: Type,
        d: Option<Register>,
        at: Address,
        a: Source,
    },
    /// An argument of a kernel, from its bytes.
    LoadArgument {
        of: Type,
        d: Vec<Register>,
        offset: usize,
    },
    /// An argument of a function, from the call.
    LoadParameter {
        of: Type,
        d: Register,
        number: usize,
    },
    /// What a call will take, or what it gave back.
    StoreSlot {
        slot: usize,
        a: Source,
    },
    LoadSlot {
        of: Type,
        slot: usize,
        d: Register,
    },
    StoreResult {
        a: Source,
    },
    Call {
        function: usize,
        arguments: Vec<usize>,
        result: Option<usize>,
    },
    Shuffle {
        mode: Shuffle,
        d: Register,
        inside: Option<Register>,
        a: Source,
        b: Source,
        c: Source,
    },
    Vote {
        mode: Vote,
        d: Register,
        a: Register,
        negated: bool,
    },
    /// One lane of the warp: its number and a predicate that is true there.
    Elect {
        d: Option<Register>,
        elected: Register,
    },
    /// All threads of the block.
    Barrier,
    Branch {
        target: u32,
    },
    Return,
    Sleep {
        nanos: Source,
    },
    /// Orders what this interpreter keeps in order anyway.
    Fence,
    /// Ordinary accesses before it, asynchronous ones after it.
    ProxyFence,
    Tensor(Box<Tensor>),
}

impl Operation {
    /// Whether the lanes of a warp can only execute it together.
    pub(crate) fn takes_whole_warp(&self) -> bool {
        match self {
            Self::Shuffle { .. } | Self::Vote { .. } | Self::Elect { .. } => true,
            Self::Tensor(tensor) => !matches!(
                tensor.as_ref(),
                Tensor::Product { .. }
                    | Tensor::Commit { .. }
                    | Tensor::FenceBefore
                    | Tensor::FenceAfter
                    | Tensor::BarrierInit { .. }
                    | Tensor::BarrierTry { .. }
            ),
            _ => false,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Instruction {
    /// Executed only in lanes where the register is true, or, negated, false.
    pub(crate) guard: Option<(Register, bool)>,
    pub(crate) operation: Operation,
    pub(crate) line: u32,
}
