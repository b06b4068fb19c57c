//! Statements to instructions: everything but products.

use crate::decode_tensor;
use crate::fault::{Fault, Kind, syntax, unsupported};
use crate::instruction::{
    Address, Atomic, Binary, Comparison, Operation, Register, Shuffle, Sort, Source, Space, Ternary, Type, Unary, Vote,
};
use crate::lexer::Token;
use crate::names::{Names, number};
use crate::parser::Module;

/// One operand as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operand {
    Word(String),
    Not(String),
    /// `{a, b}` or, in a call, `(a, b)`
    Group(Vec<Operand>),
    /// `[base+offset]`
    Address(String, i64),
    /// `a|b`
    Pair(String, String),
}

impl Operand {
    pub(crate) fn word(&self) -> Result<&str, Fault> {
        match self {
            Self::Word(word) => Ok(word),
            other => syntax(format!("{other:?} is no name")),
        }
    }

    /// The parts of a group, or the operand alone.
    pub(crate) fn parts(&self) -> &[Self] {
        if let Self::Group(parts) = self { parts } else { std::slice::from_ref(self) }
    }
}

/// An opcode in its parts, with its operands.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) parts: Vec<&'a str>,
    pub(crate) operands: Vec<Operand>,
}

fn operand(tokens: &[Token<'_>], at: &mut usize) -> Result<Operand, Fault> {
    let mut take = || {
        let token = tokens.get(*at).copied();
        *at += 1;
        token.ok_or_else(|| Fault::new(Kind::Syntax, "an operand is missing"))
    };
    match take()? {
        Token::Mark('-') => match take()? {
            Token::Word(word) => Ok(Operand::Word(format!("-{word}"))),
            other => syntax(format!("{other:?} is no number")),
        },
        Token::Mark('!') => match take()? {
            Token::Word(word) => Ok(Operand::Not(word.to_owned())),
            other => syntax(format!("{other:?} is no name")),
        },
        Token::Mark('[') => {
            let Token::Word(base) = take()? else { return syntax("an address begins with a name") };
            let mut offset = 0;
            loop {
                match take()? {
                    Token::Mark(']') => return Ok(Operand::Address(base.to_owned(), offset)),
                    Token::Mark('+') => {}
                    Token::Mark('-') => offset = -1,
                    Token::Word(word) => {
                        let value = number(word).ok_or_else(|| Fault::new(Kind::Syntax, "an offset is a number"))?;
                        offset = if offset < 0 { -value.cast_signed() } else { value.cast_signed() };
                    }
                    other => return syntax(format!("{other:?} in an address")),
                }
            }
        }
        Token::Mark(open @ ('{' | '(')) => {
            let close = if open == '{' { '}' } else { ')' };
            let mut parts = Vec::new();
            while tokens.get(*at) != Some(&Token::Mark(close)) {
                parts.push(operand(tokens, at)?);
                *at += usize::from(tokens.get(*at) == Some(&Token::Mark(',')));
            }
            *at += 1;
            Ok(Operand::Group(parts))
        }
        Token::Word(word) if tokens.get(*at) == Some(&Token::Mark('|')) => match tokens.get(*at + 1) {
            Some(Token::Word(second)) => {
                *at += 2;
                Ok(Operand::Pair(word.to_owned(), (*second).to_owned()))
            }
            other => syntax(format!("{other:?} behind |")),
        },
        Token::Word(word) => Ok(Operand::Word(word.to_owned())),
        other => syntax(format!("{other:?} is no operand")),
    }
}

impl<'a> Statement<'a> {
    pub(crate) fn new(opcode: &'a str, tokens: &[Token<'_>]) -> Result<Self, Fault> {
        let mut operands = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            operands.push(operand(tokens, &mut at)?);
            if at < tokens.len() && tokens[at] != Token::Mark(',') {
                return syntax(format!("{:?} between operands", tokens[at]));
            }
            at += 1;
        }
        Ok(Self { parts: opcode.split('.').collect(), operands })
    }

    pub(crate) fn has(&self, part: &str) -> bool {
        self.parts[1..].contains(&part)
    }

    pub(crate) fn operand(&self, number: usize) -> Result<&Operand, Fault> {
        self.operands.get(number).ok_or_else(|| Fault::new(Kind::Syntax, "an operand is missing"))
    }
}

pub(crate) fn type_of(word: &str) -> Result<Type, Fault> {
    let sort = match word.as_bytes().first() {
        Some(b'p') => Sort::Predicate,
        Some(b's') => Sort::Signed,
        Some(b'f') => Sort::Float,
        Some(b'b' | b'u') => Sort::Bits,
        _ => return unsupported(format!("the type {word}")),
    };
    let bits = if word == "pred" { 1 } else { word[1..].parse().unwrap_or(0) };
    match bits {
        1 | 8 | 16 | 32 | 64 => Ok(Type { sort, bits }),
        _ => unsupported(format!("the type {word}")),
    }
}

/// Looks operands up.
pub(crate) struct Operands<'a> {
    pub(crate) statement: &'a Statement<'a>,
    pub(crate) names: &'a Names,
}

impl Operands<'_> {
    pub(crate) fn register(&self, at: usize) -> Result<Register, Fault> {
        self.names.register(self.statement.operand(at)?.word()?)
    }

    pub(crate) fn source(&self, at: usize) -> Result<Source, Fault> {
        self.names.source(self.statement.operand(at)?.word()?)
    }

    pub(crate) fn registers(&self, at: usize) -> Result<Vec<Register>, Fault> {
        self.statement.operand(at)?.parts().iter().map(|part| self.names.register(part.word()?)).collect()
    }

    pub(crate) fn sources(&self, at: usize) -> Result<Vec<Source>, Fault> {
        self.statement.operand(at)?.parts().iter().map(|part| self.names.source(part.word()?)).collect()
    }

    pub(crate) fn address(&self, at: usize) -> Result<Address, Fault> {
        match self.statement.operand(at)? {
            Operand::Address(base, offset) => Ok(Address { base: self.names.source(base)?, offset: *offset }),
            other => syntax(format!("{other:?} is no address")),
        }
    }

    fn last_type(&self) -> Result<Type, Fault> {
        type_of(self.statement.parts[self.statement.parts.len() - 1])
    }

    fn space(&self) -> Space {
        self.statement.parts[1..]
            .iter()
            .find_map(|part| match *part {
                "global" => Some(Space::Global),
                "shared" | "shared::cta" => Some(Space::Shared),
                "local" => Some(Space::Local),
                _ => None,
            })
            .unwrap_or(Space::Generic)
    }
}

pub(crate) fn decode(statement: &Statement<'_>, names: &mut Names, module: &mut Module) -> Result<Operation, Fault> {
    let operands = Operands { statement, names };
    match statement.parts[0] {
        "bra" => Ok(Operation::Branch { target: 0 }),
        "ret" | "exit" => Ok(Operation::Return),
        "call" => call(&operands, module),
        "bar" if statement.parts[1..] == ["sync"] && operands.source(0)? == Source::Value(0) => Ok(Operation::Barrier),
        "nanosleep" => Ok(Operation::Sleep { nanos: operands.source(0)? }),
        "fence" if statement.parts[1..] == ["proxy", "async", "shared::cta"] => Ok(Operation::ProxyFence),
        "fence" if !statement.has("proxy") => Ok(Operation::Fence),
        "membar" => Ok(Operation::Fence),
        "ld" | "st" if statement.has("param") => parameter(&operands),
        "ld" => Ok(Operation::Load {
            space: operands.space(),
            of: operands.last_type()?,
            d: operands.registers(0)?,
            at: operands.address(1)?,
        }),
        "st" => Ok(Operation::Store {
            space: operands.space(),
            of: operands.last_type()?,
            a: operands.sources(1)?,
            at: operands.address(0)?,
        }),
        "atom" | "red" => atomic(&operands),
        "cvta" => convert_address(&operands),
        "mov" => move_bits(&operands),
        "cvt" => convert(&operands),
        "shfl" => shuffle(&operands),
        "vote" | "elect" => vote(&operands),
        "mma" | "wgmma" | "tcgen05" | "mbarrier" => decode_tensor::decode(&operands),
        _ => arithmetic(&operands),
    }
}

fn call(operands: &Operands<'_>, module: &mut Module) -> Result<Operation, Fault> {
    let slots = |operand: &Operand| -> Result<Vec<usize>, Fault> {
        let slot = |part: &Operand| {
            let name = part.word()?;
            operands.names.slot(name).ok_or_else(|| Fault::new(Kind::Syntax, format!("{name} is no parameter")))
        };
        operand.parts().iter().map(slot).collect()
    };
    let gives = matches!(operands.statement.operand(0)?, Operand::Group(_));
    let result = if gives { slots(operands.statement.operand(0)?)?.first().copied() } else { None };
    let name = operands.statement.operand(usize::from(gives))?.word()?;
    let arguments = match operands.statement.operand(usize::from(gives) + 1) {
        Ok(group) => slots(group)?,
        Err(_) => Vec::new(),
    };
    Ok(Operation::Call { function: module.index(name), arguments, result })
}

/// Loads and stores of parameters: those of the kernel, of the function, of a call, and of results.
fn parameter(operands: &Operands<'_>) -> Result<Operation, Fault> {
    let load = operands.statement.parts[0] == "ld";
    let Operand::Address(name, offset) = operands.statement.operand(usize::from(load))? else {
        return syntax("a parameter is named in brackets");
    };
    let offset = usize::try_from(*offset).map_err(|_| Fault::new(Kind::Bounds, "before the parameter"))?;
    let own = operands.names.parameters.iter().position(|parameter| parameter == name);
    if load && own.is_some() && operands.names.entry {
        return Ok(Operation::LoadArgument { of: operands.last_type()?, d: operands.registers(0)?, offset });
    }
    if offset != 0 {
        return unsupported("a part of a parameter of a function");
    }
    match (load, own, operands.names.slot(name)) {
        (true, Some(number), _) => {
            Ok(Operation::LoadParameter { of: operands.last_type()?, d: operands.register(0)?, number })
        }
        (true, None, Some(slot)) => {
            Ok(Operation::LoadSlot { of: operands.last_type()?, slot, d: operands.register(0)? })
        }
        (false, _, Some(slot)) => Ok(Operation::StoreSlot { slot, a: operands.source(1)? }),
        (false, _, None) if name.starts_with("func_retval") => Ok(Operation::StoreResult { a: operands.source(1)? }),
        _ => syntax(format!("{name} is no parameter")),
    }
}

fn atomic(operands: &Operands<'_>) -> Result<Operation, Fault> {
    let gives = operands.statement.parts[0] == "atom";
    let operation = ["add", "exch", "max", "min"].iter().position(|name| operands.statement.has(name));
    let operation = match operation {
        Some(0) => Atomic::Add,
        Some(1) => Atomic::Exchange,
        Some(2) => Atomic::Maximum,
        Some(3) => Atomic::Minimum,
        _ => return unsupported("this atomic operation"),
    };
    let of = operands.last_type()?;
    if of.sort == Sort::Float {
        return unsupported("atomics of floats");
    }
    let first = usize::from(gives);
    Ok(Operation::Atomic {
        space: operands.space(),
        operation,
        of,
        d: if gives { Some(operands.register(0)?) } else { None },
        at: operands.address(first)?,
        a: operands.source(first + 1)?,
    })
}

fn convert_address(operands: &Operands<'_>) -> Result<Operation, Fault> {
    let (space, d, a) = (operands.space(), operands.register(0)?, operands.source(1)?);
    Ok(match (space, operands.statement.has("to")) {
        (Space::Generic, _) => return unsupported("the address of a parameter"),
        (_, true) => Operation::FromGeneric { space, d, a },
        (_, false) => Operation::ToGeneric { space, d, a },
    })
}

fn move_bits(operands: &Operands<'_>) -> Result<Operation, Fault> {
    let bits = operands.last_type()?.bits;
    let group = |at| matches!(operands.statement.operand(at), Ok(Operand::Group(_)));
    if group(0) {
        let parts = operands.registers(0)?;
        return Ok(Operation::Unpack { bits: bits / parts.len() as u32, parts, a: operands.source(1)? });
    }
    if group(1) {
        let parts = operands.sources(1)?;
        return Ok(Operation::Pack { d: operands.register(0)?, bits: bits / parts.len() as u32, parts });
    }
    Ok(Operation::Move { d: operands.register(0)?, a: operands.source(1)? })
}

fn convert(operands: &Operands<'_>) -> Result<Operation, Fault> {
    let parts = &operands.statement.parts;
    let [.., to, from] = parts.as_slice() else { return syntax("a conversion names two types") };
    let (to, from) = (type_of(to)?, type_of(from)?);
    let rounding = &parts[1..parts.len() - 2];
    let known = match (to.sort, from.sort) {
        (Sort::Float, _) => matches!(rounding, [] | ["rn"]),
        (_, Sort::Float) => rounding == ["rzi"],
        _ => rounding.is_empty(),
    };
    if !known || (to.sort == Sort::Float && to.bits < 32) || (from.sort == Sort::Float && from.bits < 32) {
        return unsupported("this conversion");
    }
    Ok(Operation::Convert { to, from, d: operands.register(0)?, a: operands.source(1)? })
}

fn shuffle(operands: &Operands<'_>) -> Result<Operation, Fault> {
    let mode = match operands.statement.parts[1..] {
        ["sync", "down", "b32"] => Shuffle::Down,
        ["sync", "up", "b32"] => Shuffle::Up,
        ["sync", "bfly", "b32"] => Shuffle::Butterfly,
        ["sync", "idx", "b32"] => Shuffle::Index,
        _ => return unsupported("this shuffle"),
    };
    let (d, inside) = match operands.statement.operand(0)? {
        Operand::Pair(d, inside) => (operands.names.register(d)?, Some(operands.names.register(inside)?)),
        other => (operands.names.register(other.word()?)?, None),
    };
    whole_warp(operands, 4)?;
    Ok(Operation::Shuffle { mode, d, inside, a: operands.source(1)?, b: operands.source(2)?, c: operands.source(3)? })
}

/// Only the mask of all lanes is covered; one in a register is taken for it and checked by the lanes that come.
fn whole_warp(operands: &Operands<'_>, at: usize) -> Result<(), Fault> {
    match operands.source(at)? {
        Source::Value(mask) if mask as u32 != u32::MAX => unsupported("a mask of some lanes"),
        _ => Ok(()),
    }
}

fn vote(operands: &Operands<'_>) -> Result<Operation, Fault> {
    if operands.statement.parts == ["elect", "sync"] {
        let Operand::Pair(d, elected) = operands.statement.operand(0)? else { return syntax("elect gives a pair") };
        whole_warp(operands, 1)?;
        let d = if d == "_" { None } else { Some(operands.names.register(d)?) };
        return Ok(Operation::Elect { d, elected: operands.names.register(elected)? });
    }
    let mode = match operands.statement.parts[1..] {
        ["sync", "all", "pred"] => Vote::All,
        ["sync", "any", "pred"] => Vote::Any,
        ["sync", "ballot", "b32"] => Vote::Ballot,
        _ => return unsupported("this vote"),
    };
    whole_warp(operands, 2)?;
    let (name, negated) = match operands.statement.operand(1)? {
        Operand::Not(name) => (name.as_str(), true),
        other => (other.word()?, false),
    };
    Ok(Operation::Vote { mode, d: operands.register(0)?, a: operands.names.register(name)?, negated })
}

fn comparison(word: &str) -> Option<Comparison> {
    Some(match word {
        "eq" => Comparison::Equal,
        "ne" => Comparison::Unequal,
        "lt" | "lo" => Comparison::Less,
        "le" | "ls" => Comparison::LessOrEqual,
        "gt" | "hi" => Comparison::Greater,
        "ge" | "hs" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn arithmetic(operands: &Operands<'_>) -> Result<Operation, Fault> {
    let parts = &operands.statement.parts;
    let of = operands.last_type()?;
    let d = operands.register(0)?;
    match parts.as_slice() {
        ["setp", word, _] => {
            let Some(comparison) = comparison(word) else { return unsupported("this comparison") };
            return Ok(Operation::Compare { comparison, of, d, a: operands.source(1)?, b: operands.source(2)? });
        }
        ["selp", _] => {
            let (a, b, by) = (operands.source(1)?, operands.source(2)?, operands.register(3)?);
            return Ok(Operation::Select { d, a, b, by });
        }
        ["bfi", _] => {
            let (a, b) = (operands.source(1)?, operands.source(2)?);
            return Ok(Operation::Insert { d, a, b, place: operands.source(3)?, length: operands.source(4)? });
        }
        ["lop3", "b32"] => {
            let Source::Value(table) = operands.source(4)? else { return syntax("the table of lop3 is a number") };
            let (a, b, c) = (operands.source(1)?, operands.source(2)?, operands.source(3)?);
            return Ok(Operation::Ternary { operation: Ternary::Logic(table as u8), of, d, a, b, c });
        }
        _ => {}
    }
    if let Some(operation) = unary(parts) {
        return Ok(Operation::Unary { operation, of, d, a: operands.source(1)? });
    }
    if let Some(operation) = ternary(parts, of) {
        let (a, b, c) = (operands.source(1)?, operands.source(2)?, operands.source(3)?);
        return Ok(Operation::Ternary { operation, of, d, a, b, c });
    }
    let Some(operation) = binary(parts, of) else { return unsupported("this instruction") };
    Ok(Operation::Binary { operation, of, d, a: operands.source(1)?, b: operands.source(2)? })
}

fn unary(parts: &[&str]) -> Option<Unary> {
    Some(match parts {
        ["not", _] => Unary::Not,
        ["neg", _] => Unary::Negate,
        ["abs", _] => Unary::Absolute,
        ["popc", "b32" | "b64"] => Unary::Population,
        ["clz", "b32" | "b64"] => Unary::LeadingZeros,
        ["brev", "b32" | "b64"] => Unary::Reverse,
        _ => return None,
    })
}

fn ternary(parts: &[&str], of: Type) -> Option<Ternary> {
    Some(match parts {
        ["mad", "lo", _] => Ternary::MultiplyAddLow,
        ["mad", "wide", _] if of.bits <= 32 => Ternary::MultiplyAddWide,
        ["fma", "rn", _] => Ternary::Fused,
        ["prmt", "b32"] => Ternary::Permute,
        ["shf", "l", "wrap", "b32"] => Ternary::FunnelLeft,
        ["shf", "r", "wrap", "b32"] => Ternary::FunnelRight,
        ["bfe", "u32" | "u64"] => Ternary::Extract,
        _ => return None,
    })
}

fn binary(parts: &[&str], of: Type) -> Option<Binary> {
    let float = of.sort == Sort::Float;
    Some(match parts {
        ["add", _] | ["add", "rn", _] => Binary::Add,
        ["sub", _] | ["sub", "rn", _] => Binary::Subtract,
        ["mul", "lo", _] => Binary::MultiplyLow,
        ["mul", _] | ["mul", "rn", _] if float => Binary::MultiplyLow,
        ["mul", "hi", _] => Binary::MultiplyHigh,
        ["mul", "wide", _] => Binary::MultiplyWide,
        ["div", _] if !float => Binary::Divide,
        ["rem", _] => Binary::Remainder,
        ["min", _] if !float => Binary::Minimum,
        ["max", _] if !float => Binary::Maximum,
        ["and", _] => Binary::And,
        ["or", _] => Binary::Or,
        ["xor", _] => Binary::Xor,
        ["shl", _] => Binary::ShiftLeft,
        ["shr", _] => Binary::ShiftRight,
        _ => return None,
    })
}
