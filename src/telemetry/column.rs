//! One column of a block: readings of one sensor of one GPU, and how they become bytes.
//!
//! Two streams. *States* are runs of value, unsupported, or one failure. *Values* are the readings as whole steps of the
//! sensor's resolution: differences to the reading before, for counters differences of differences, since a counter that
//! runs evenly then costs nothing; 0 is followed by how many more of them come.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "columns are bounded by the length of a block, and values are kept in the width they came in"
)]

use super::varint::{Cursor, fold, put, unfold};
use kiln_model::{Reading, ReadingFailure};

/// Steps beyond this are not exact as a 64-bit float: such a value is kept as its bits.
const STEPS_MAX: f64 = 9_007_199_254_740_992.0;

/// What a row holds beside its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    /// A value that is no number of steps: not finite, or out of range. Kept as its bits.
    Odd,
    Unsupported,
    Failed(ReadingFailure),
}

impl State {
    fn put(self, out: &mut Vec<u8>) {
        let (word, code) = match self {
            Self::Value => (0, None),
            Self::Odd => (1, None),
            Self::Unsupported => (2, None),
            Self::Failed(ReadingFailure::Lost) => (3, None),
            Self::Failed(ReadingFailure::Timeout) => (4, None),
            Self::Failed(ReadingFailure::NoPermission) => (5, None),
            Self::Failed(ReadingFailure::Driver(code)) => (6, Some(code)),
        };
        out.push(word);
        if let Some(code) = code {
            put(out, fold(i64::from(code)));
        }
    }

    fn take(cursor: &mut Cursor<'_>) -> Option<Self> {
        Some(match cursor.byte()? {
            0 => Self::Value,
            1 => Self::Odd,
            2 => Self::Unsupported,
            3 => Self::Failed(ReadingFailure::Lost),
            4 => Self::Failed(ReadingFailure::Timeout),
            5 => Self::Failed(ReadingFailure::NoPermission),
            6 => Self::Failed(ReadingFailure::Driver(i32::try_from(unfold(cursor.number()?)).ok()?)),
            _ => return None,
        })
    }
}

/// How the numbers of a column are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Form {
    /// Steps per unit: 100 for hundredths.
    pub(super) steps: f64,
    /// Differences of differences instead of differences.
    pub(super) even: bool,
}

/// What the next number is told against.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    /// None before the first number of the block.
    number: Option<i64>,
    step: i64,
}

impl Last {
    fn difference(&mut self, number: i64, even: bool) -> i64 {
        let Some(last) = self.number.replace(number) else { return number };
        let step = number.wrapping_sub(last);
        if even { step.wrapping_sub(std::mem::replace(&mut self.step, step)) } else { step }
    }

    fn number(&mut self, difference: i64, even: bool) -> i64 {
        let number = match self.number {
            None => difference,
            Some(last) => {
                let step = if even { self.step.wrapping_add(difference) } else { difference };
                self.step = step;
                last.wrapping_add(step)
            }
        };
        self.number = Some(number);
        number
    }
}

/// A column being made. Its buffers are kept from block to block.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    form: Form,
    last: Last,
    /// Bits of the value before, where nothing but the same again costs nothing: the common case.
    same: Option<u64>,
    zeros: u64,
    values: Vec<u8>,
    state: State,
    run: u64,
    states: Vec<u8>,
}

impl Encoder {
    pub(super) const fn new(form: Form) -> Self {
        Self {
            form,
            last: Last { number: None, step: 0 },
            same: None,
            zeros: 0,
            values: Vec::new(),
            state: State::Value,
            run: 0,
            states: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, reading: Reading<f64>) {
        match reading {
            Reading::Value(value) => {
                if self.same == Some(value.to_bits()) {
                    self.run += 1;
                    self.zeros += 1;
                } else {
                    self.push_value(value);
                }
            }
            Reading::Unsupported => self.enter(State::Unsupported),
            Reading::Failed(failure) => self.enter(State::Failed(failure)),
        }
    }

    fn push_value(&mut self, value: f64) {
        let steps = value * self.form.steps;
        // False for what is not a number, too.
        if steps.abs() < STEPS_MAX {
            self.push_number((steps + 0.5_f64.copysign(steps)) as i64);
            self.same = (!self.form.even || self.last.step == 0).then(|| value.to_bits());
        } else {
            self.enter(State::Odd);
            self.flush_zeros();
            self.values.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }

    /// A whole number of steps.
    #[inline]
    pub(super) fn push_number(&mut self, number: i64) {
        self.enter(State::Value);
        let difference = self.last.difference(number, self.form.even);
        if difference == 0 {
            self.zeros += 1;
        } else {
            self.flush_zeros();
            put(&mut self.values, fold(difference));
        }
    }

    #[inline]
    fn enter(&mut self, state: State) {
        if state != self.state {
            self.flush_run();
            self.state = state;
        }
        if state != State::Value {
            self.same = None;
        }
        self.run += 1;
    }

    fn flush_run(&mut self) {
        if self.run > 0 {
            self.state.put(&mut self.states);
            put(&mut self.states, self.run);
            self.run = 0;
        }
    }

    fn flush_zeros(&mut self) {
        if self.zeros > 0 {
            self.values.push(0);
            put(&mut self.values, self.zeros - 1);
            self.zeros = 0;
        }
    }

    /// Moves the column to `out` and begins the next.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.flush_run();
        self.flush_zeros();
        for stream in [&mut self.states, &mut self.values] {
            put(out, stream.len() as u64);
            out.append(stream);
        }
        self.last = Last::default();
        self.same = None;
        self.state = State::Value;
    }
}

/// Passes over a column.
pub(super) fn skip(cursor: &mut Cursor<'_>) -> Option<()> {
    for _ in 0..2 {
        let length = cursor.number()?;
        cursor.bytes(length)?;
    }
    Some(())
}

/// Takes `rows` rows of a column; `None` where the bytes are none. `each` gets a number of steps, or what is in its place, and
/// how many rows it stands for.
fn decode(cursor: &mut Cursor<'_>, rows: usize, even: bool, mut each: impl FnMut(Row, usize)) -> Option<()> {
    let length = cursor.number()?;
    let mut states = Cursor(cursor.bytes(length)?);
    let length = cursor.number()?;
    let mut values = Cursor(cursor.bytes(length)?);
    let mut last = Last::default();
    let (mut zeros, mut told) = (0_u64, 0);
    while !states.is_empty() {
        let state = State::take(&mut states)?;
        let run = states.number()?;
        told += run;
        if told > rows as u64 {
            return None;
        }
        match state {
            State::Value => take_numbers(&mut values, run, &mut zeros, &mut last, even, &mut each)?,
            State::Odd => {
                for _ in 0..run {
                    each(Row::Odd(f64::from_bits(u64::from_le_bytes(values.bytes(8)?.try_into().ok()?))), 1);
                }
            }
            State::Unsupported => each(Row::None(Reading::Unsupported), run as usize),
            State::Failed(failure) => each(Row::None(Reading::Failed(failure)), run as usize),
        }
    }
    (told == rows as u64 && zeros == 0 && values.is_empty()).then_some(())
}

/// Takes a run of numbers. Most columns stand still most of the time: what does is taken in one go.
fn take_numbers(
    values: &mut Cursor<'_>,
    mut run: u64,
    zeros: &mut u64,
    last: &mut Last,
    even: bool,
    each: &mut impl FnMut(Row, usize),
) -> Option<()> {
    while run > 0 {
        if *zeros == 0 {
            let folded = values.number()?;
            if folded != 0 {
                each(Row::Number(last.number(unfold(folded), even)), 1);
                run -= 1;
                continue;
            }
            *zeros = values.number()?.checked_add(1)?;
        }
        let number = last.number(0, even);
        // A total that rises evenly gives another number every time; the first of a column has none before it.
        let still = if even && last.step != 0 { 1 } else { run.min(*zeros) };
        each(Row::Number(number), still as usize);
        *zeros -= still;
        run -= still;
    }
    Some(())
}

#[derive(Debug, Clone, Copy)]
enum Row {
    Number(i64),
    Odd(f64),
    None(Reading<f64>),
}

/// The readings of a column, and whether any of them failed.
pub(super) fn readings(cursor: &mut Cursor<'_>, rows: usize, form: Form) -> Option<(Vec<Reading<f64>>, bool)> {
    let mut readings = Vec::with_capacity(rows);
    let mut failed = false;
    decode(cursor, rows, form.even, |row, times| {
        let reading = match row {
            // Divided, not multiplied by the resolution: this gives the float nearest to the decimal.
            Row::Number(number) => Reading::Value(number as f64 / form.steps),
            Row::Odd(value) => Reading::Value(value),
            Row::None(reading) => {
                failed |= matches!(reading, Reading::Failed(_));
                reading
            }
        };
        match times {
            1 => readings.push(reading),
            times => readings.extend(std::iter::repeat_n(reading, times)),
        }
    })?;
    Some((readings, failed))
}

/// The numbers of a column that has nothing but numbers.
pub(super) fn numbers(cursor: &mut Cursor<'_>, rows: usize, even: bool) -> Option<Vec<i64>> {
    let mut numbers = Vec::with_capacity(rows);
    let mut only = true;
    decode(cursor, rows, even, |row, times| match row {
        Row::Number(number) => numbers.extend(std::iter::repeat_n(number, times)),
        Row::Odd(_) | Row::None(_) => only = false,
    })?;
    only.then_some(numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(form: Form, readings: &[Reading<f64>]) -> Vec<Reading<f64>> {
        let mut encoder = Encoder::new(form);
        let mut bytes = Vec::new();
        // Twice: the second block must not depend on the first.
        for _ in 0..2 {
            bytes.clear();
            for reading in readings {
                encoder.push(*reading);
            }
            encoder.finish(&mut bytes);
        }
        let mut cursor = Cursor(&bytes);
        let (back, failed) = super::readings(&mut cursor, readings.len(), form).expect("a column");
        assert!(cursor.is_empty());
        assert_eq!(failed, readings.iter().any(|reading| matches!(reading, Reading::Failed(_))));
        back
    }

    fn any_reading() -> impl Strategy<Value = Reading<f64>> {
        prop_oneof![
            6 => (-50_000_i64..50_000).prop_map(|steps| Reading::Value(steps as f64 / 100.0)),
            3 => Just(Reading::Value(70.0)),
            1 => any::<f64>().prop_map(Reading::Value),
            1 => Just(Reading::Unsupported),
            1 => Just(Reading::Failed(ReadingFailure::Lost)),
            1 => any::<i32>().prop_map(|code| Reading::Failed(ReadingFailure::Driver(code))),
        ]
    }

    /// The same to the bit, or within half a step.
    fn alike(one: Reading<f64>, two: Reading<f64>, steps: f64) -> bool {
        match (one, two) {
            (Reading::Value(one), Reading::Value(two)) => {
                one.to_bits() == two.to_bits()
                    || (one - two).abs() <= 0.500_001 / steps
                    || (one - two).abs() < one.abs() * 1e-12
            }
            (one, two) => one == two,
        }
    }

    proptest! {
        #[test]
        fn every_reading_comes_back_to_the_resolution(
            all in prop::collection::vec(any_reading(), 0..200),
            even: bool,
        ) {
            let form = Form { steps: 100.0, even };
            for (one, two) in all.iter().zip(round_trip(form, &all)) {
                prop_assert!(alike(*one, two, form.steps), "{:?} became {:?}", one, two);
            }
        }

        #[test]
        fn bytes_that_are_no_column_are_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = readings(&mut Cursor(&bytes), 100, Form { steps: 1.0, even: true });
        }
    }

    #[test]
    fn hundredths_come_back_to_the_bit() {
        let all: Vec<_> = (0..1000).map(|step| Reading::Value(f64::from(step * 37 % 900) / 100.0)).collect();
        assert_eq!(round_trip(Form { steps: 100.0, even: false }, &all), all);
    }

    #[test]
    fn what_is_no_number_stays_what_it_is() {
        let form = Form { steps: 1.0, even: false };
        let back = round_trip(form, &[Reading::Value(f64::NAN), Reading::Value(1e300), Reading::Unsupported]);
        assert!(matches!(back[0], Reading::Value(value) if value.is_nan()));
        assert_eq!(back[1..], [Reading::Value(1e300), Reading::Unsupported]);
    }

    #[test]
    fn a_column_that_stands_still_takes_bytes_without_regard_to_its_length() {
        let mut encoder = Encoder::new(Form { steps: 1000.0, even: true });
        for second in 0..100_000 {
            encoder.push(Reading::Value(f64::from(second) * 0.7));
        }
        let mut bytes = Vec::new();
        encoder.finish(&mut bytes);
        assert!(bytes.len() < 20, "{} bytes", bytes.len());
    }
}
