//! Tokens to modules, functions and statements; `decode` makes instructions of the statements.

use std::collections::BTreeMap;

use crate::decode::{self, Statement};
use crate::fault::{Fault, Kind, syntax, unsupported};
use crate::instruction::{Instruction, Operation, Source};
use crate::lexer::{Placed, Token, tokens};
use crate::names::{Names, number};

/// Shared memory below this belongs to the system on Hopper and later (CUDA programming guide, "Shared memory": 1 KB a
/// block); kernels see addresses from here on.
pub(crate) const SHARED_START: u32 = 1024;

/// A function with a body.
#[derive(Debug, Clone)]
pub struct Function {
    pub name: String,
    /// Whether the host can launch it.
    pub entry: bool,
    /// Bytes of each parameter.
    pub parameters: Vec<usize>,
    pub(crate) code: Vec<Instruction>,
    pub(crate) widths: Vec<u32>,
    pub(crate) slots: usize,
    pub(crate) local: u32,
    /// End of the shared memory of fixed size.
    pub(crate) shared_end: u32,
}

/// A PTX file.
#[derive(Debug, Clone)]
pub struct Module {
    pub(crate) functions: Vec<Option<Function>>,
    names: BTreeMap<String, usize>,
    /// What dynamic shared memory is aligned to.
    pub(crate) dynamic_alignment: u32,
    dynamic: Vec<String>,
}

impl Module {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let module = Self { functions: Vec::new(), names: BTreeMap::new(), dynamic_alignment: 16, dynamic: Vec::new() };
        let mut parser = Parser { tokens: tokens(text)?, at: 0, module };
        while parser.peek().is_some() {
            let line = parser.line();
            parser.item().map_err(|fault| fault.at(line))?;
        }
        Ok(parser.module)
    }

    /// Everything the host can launch.
    pub fn entries(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().flatten().filter(|function| function.entry)
    }

    pub(crate) fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.names.get(name) {
            return *index;
        }
        self.functions.push(None);
        self.names.insert(name.to_owned(), self.functions.len() - 1);
        self.functions.len() - 1
    }

    pub(crate) fn function(&self, name: &str) -> Option<(usize, &Function)> {
        let index = *self.names.get(name)?;
        Some((index, self.functions[index].as_ref()?))
    }
}

struct Parser<'a> {
    tokens: Vec<Placed<'a>>,
    at: usize,
    module: Module,
}

/// A variable of local or shared memory: its alignment, name and size in bytes.
struct Variable {
    alignment: u32,
    name: String,
    bytes: u32,
}

/// A body as it is read.
struct Body {
    names: Names,
    code: Vec<Instruction>,
    /// Branches, with the scope their label is looked up from.
    branches: Vec<(usize, usize, String)>,
    local: u32,
    shared: u32,
}

pub(crate) fn bits_of(word: &str) -> Option<u32> {
    match word.strip_prefix('.')? {
        "pred" => Some(1),
        rest => rest.trim_start_matches(['b', 'u', 's', 'f']).parse().ok(),
    }
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).map(|placed| placed.token)
    }

    fn line(&self) -> u32 {
        self.tokens.get(self.at).map_or(0, |placed| placed.line)
    }

    fn next(&mut self) -> Result<Token<'a>, Fault> {
        let token = self.peek().ok_or_else(|| Fault::new(Kind::Syntax, "the text ends too early"))?;
        self.at += 1;
        Ok(token)
    }

    fn word(&mut self) -> Result<&'a str, Fault> {
        match self.next()? {
            Token::Word(word) => Ok(word),
            other => syntax(format!("a name should stand where {other:?} stands")),
        }
    }

    fn size(&mut self) -> Result<u32, Fault> {
        let word = self.word()?;
        number(word)
            .and_then(|value| u32::try_from(value).ok())
            .ok_or_else(|| Fault::new(Kind::Syntax, format!("{word} is no size")))
    }

    fn takes(&mut self, mark: char) -> bool {
        let there = self.peek() == Some(Token::Mark(mark));
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, mark: char) -> Result<(), Fault> {
        if self.takes(mark) { Ok(()) } else { syntax(format!("{mark} should stand where {:?} stands", self.peek())) }
    }

    fn skip_past(&mut self, mark: char) -> Result<(), Fault> {
        while self.next()? != Token::Mark(mark) {}
        Ok(())
    }

    fn item(&mut self) -> Result<(), Fault> {
        match self.word()? {
            ".version" | ".target" | ".address_size" => self.word().map(drop),
            ".visible" | ".weak" => Ok(()),
            ".global" | ".const" => self.skip_past(';'),
            ".extern" => self.dynamic(),
            ".entry" => self.function(true),
            ".func" => self.function(false),
            other => unsupported(format!("the directive {other}")),
        }
    }

    /// `.extern .shared .align 16 .b8 name[];`
    fn dynamic(&mut self) -> Result<(), Fault> {
        if self.word()? != ".shared" {
            return unsupported("an external name that is not dynamic shared memory");
        }
        let variable = self.variable()?;
        self.module.dynamic_alignment = self.module.dynamic_alignment.max(variable.alignment);
        self.module.dynamic.push(variable.name);
        Ok(())
    }

    /// `.align 8 .b8 name[16];`, behind the name of its memory.
    fn variable(&mut self) -> Result<Variable, Fault> {
        let mut alignment = 1;
        let mut word = self.word()?;
        if word == ".align" {
            alignment = self.size()?;
            word = self.word()?;
        }
        let each = bits_of(word).ok_or_else(|| Fault::new(Kind::Syntax, format!("{word} is no type")))? / 8;
        let name = self.word()?.to_owned();
        let mut count = 1;
        if self.takes('[') {
            count = if self.takes(']') { 0 } else { self.size()? };
            if count > 0 {
                self.expect(']')?;
            }
        }
        self.expect(';')?;
        Ok(Variable { alignment: alignment.max(each), name, bytes: each * count })
    }

    /// `( .param .align 8 .b8 name[112], .param .b64 name )`: names and bytes.
    fn parameters(&mut self) -> Result<Vec<(String, usize)>, Fault> {
        let mut found = Vec::new();
        self.expect('(')?;
        while !self.takes(')') {
            if self.word()? != ".param" {
                return syntax("a parameter begins with .param");
            }
            let mut word = self.word()?;
            if word == ".align" {
                self.size()?;
                word = self.word()?;
            }
            let each = bits_of(word).ok_or_else(|| Fault::new(Kind::Syntax, format!("{word} is no type")))? / 8;
            let name = self.word()?.to_owned();
            let mut bytes = each as usize;
            if self.takes('[') {
                bytes *= self.size()? as usize;
                self.expect(']')?;
            }
            self.takes(',');
            found.push((name, bytes));
        }
        Ok(found)
    }

    fn function(&mut self, entry: bool) -> Result<(), Fault> {
        if self.peek() == Some(Token::Mark('(')) {
            self.parameters()?;
        }
        let name = self.word()?.to_owned();
        let index = self.module.index(&name);
        let parameters = self.parameters()?;
        loop {
            match self.next()? {
                Token::Mark(';') => return Ok(()),
                Token::Mark('{') => break,
                // .maxntid, .maxnreg: bounds that only the assembler needs.
                _ => {}
            }
        }
        let (names, bytes): (Vec<_>, Vec<_>) = parameters.into_iter().unzip();
        let dynamic = self.module.dynamic.iter().map(|name| (name.clone(), Source::Dynamic)).collect();
        let mut body = Body {
            names: Names::new(entry, names, dynamic),
            code: Vec::new(),
            branches: Vec::new(),
            local: 0,
            shared: SHARED_START,
        };
        loop {
            let line = self.line();
            if self.statement(&mut body).map_err(|fault| fault.at(line))? {
                break;
            }
        }
        for (at, scope, label) in &body.branches {
            let target = body.names.label(*scope, label)?;
            body.code[*at].operation = Operation::Branch { target };
        }
        body.code.push(Instruction { guard: None, operation: Operation::Return, line: self.line() });
        self.module.functions[index] = Some(Function {
            name,
            entry,
            parameters: bytes,
            code: body.code,
            widths: body.names.widths,
            slots: body.names.slots,
            local: body.local.next_multiple_of(16),
            shared_end: body.shared,
        });
        Ok(())
    }

    /// One statement; true at the end of the function.
    fn statement(&mut self, body: &mut Body) -> Result<bool, Fault> {
        match self.peek() {
            Some(Token::Mark('{')) => {
                self.at += 1;
                body.names.open();
            }
            Some(Token::Mark('}')) => {
                self.at += 1;
                return Ok(!body.names.close());
            }
            Some(Token::Word(word)) if word.starts_with('.') => {
                self.at += 1;
                self.declaration(word, body)?;
            }
            Some(Token::Word(word))
                if self.tokens.get(self.at + 1).is_some_and(|next| next.token == Token::Mark(':')) =>
            {
                self.at += 2;
                body.names.add_label(word, body.code.len() as u32);
            }
            _ => self.instruction(body)?,
        }
        Ok(false)
    }

    fn declaration(&mut self, word: &str, body: &mut Body) -> Result<(), Fault> {
        match word {
            ".reg" => self.registers(&mut body.names),
            ".local" => {
                let variable = self.variable()?;
                let place = body.local.next_multiple_of(variable.alignment);
                body.local = place + variable.bytes;
                body.names.variables.insert(variable.name, Source::Local(place));
                Ok(())
            }
            ".shared" if body.names.entry => {
                let variable = self.variable()?;
                let place = body.shared.next_multiple_of(variable.alignment);
                body.shared = place + variable.bytes;
                body.names.variables.insert(variable.name, Source::Value(u64::from(place)));
                Ok(())
            }
            ".param" => {
                self.word()?;
                let name = self.word()?.to_owned();
                body.names.add_slot(name);
                self.expect(';')
            }
            ".pragma" | ".loc" => self.skip_past(';'),
            other => unsupported(format!("the directive {other} in a function")),
        }
    }

    /// `.reg .b64 %rd<567>;` or `.reg .pred p, q;`
    fn registers(&mut self, names: &mut Names) -> Result<(), Fault> {
        let word = self.word()?;
        let bits = bits_of(word).ok_or_else(|| Fault::new(Kind::Syntax, format!("{word} is no type")))?;
        loop {
            let name = self.word()?;
            if self.takes('<') {
                for number in 0..self.size()? {
                    names.add_register(format!("{name}{number}"), bits)?;
                }
                self.expect('>')?;
            } else {
                names.add_register(name.to_owned(), bits)?;
            }
            if !self.takes(',') {
                return self.expect(';');
            }
        }
    }

    fn instruction(&mut self, body: &mut Body) -> Result<(), Fault> {
        let line = self.line();
        let guard = if self.takes('@') {
            let negated = self.takes('!');
            Some((body.names.register(self.word()?)?, negated))
        } else {
            None
        };
        let opcode = self.word()?;
        let mut operands = Vec::new();
        while !self.takes(';') {
            operands.push(self.next()?);
        }
        let statement = Statement::new(opcode, &operands)?;
        if statement.parts[0] == "bra" {
            body.branches.push((body.code.len(), body.names.scope, statement.operands[0].word()?.to_owned()));
        }
        let operation = decode::decode(&statement, &mut body.names, &mut self.module)
            .map_err(|fault| Fault { said: format!("{opcode}: {}", fault.said), ..fault })?;
        body.code.push(Instruction { guard, operation, line });
        Ok(())
    }
}
