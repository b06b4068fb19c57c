//! Many field values in one call of the library.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "what a driver or a text tells is within the range of what it measures"
)]
#![expect(
    unsafe_code,
    reason = "the wrapper cannot say which link or module a field is asked of, and refuses signed values"
)]

use nvml_wrapper::FieldIdScheme;
use nvml_wrapper_sys::bindings as sys;

use super::field::Scoped;
use super::outcome::coded;
use super::raw::RawDevice;
use kiln_model::{Reading, ReadingFailure};

/// A value as the library types it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

impl Number {
    pub(super) fn float(self) -> f64 {
        match self {
            Self::Signed(value) => value as f64,
            Self::Unsigned(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// The value as a count: none below zero.
    pub(super) fn count(self) -> u64 {
        match self {
            Self::Signed(value) => value.max(0) as u64,
            Self::Unsigned(value) => value,
            Self::Float(value) => value.max(0.0) as u64,
        }
    }
}

/// Fields asked for together, with the room for their answers.
pub(super) struct Batch {
    asked: Vec<Scoped>,
    room: Vec<sys::nvmlFieldValue_t>,
    scheme: FieldIdScheme,
    /// What the call as a whole came to, where it failed.
    refused: Option<Reading<Number>>,
}

impl Batch {
    pub(super) fn new(scheme: FieldIdScheme, asked: Vec<Scoped>) -> Self {
        let room = Vec::with_capacity(asked.len());
        Self { asked, room, scheme, refused: None }
    }

    /// Asks for all fields. Answers keep the order of the question: the library gives back the driver's own numbers.
    pub(super) fn read(&mut self, device: RawDevice) {
        self.room.clear();
        for asked in &self.asked {
            // SAFETY: a plain C structure of integers, for which all zeros are valid.
            let mut value: sys::nvmlFieldValue_t = unsafe { std::mem::zeroed() };
            value.fieldId = asked.field.on_wire(self.scheme);
            value.scopeId = asked.scope;
            // Should a library leave an entry untouched, it must not look like a value of 0.
            value.nvmlReturn = sys::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED;
            self.room.push(value);
        }
        self.refused = match device.field_values(&mut self.room) {
            Reading::Value(()) => None,
            Reading::Unsupported => Some(Reading::Unsupported),
            Reading::Failed(failure) => Some(Reading::Failed(failure)),
        };
    }

    /// The answer to the `place`th question.
    pub(super) fn get(&self, place: usize) -> Reading<Number> {
        if let Some(refused) = self.refused {
            return refused;
        }
        self.room.get(place).map_or(Reading::Unsupported, decode)
    }

    /// The answers in the order of the questions.
    pub(super) fn answers(&self) -> impl Iterator<Item = Reading<Number>> + '_ {
        (0..self.asked.len()).map(|place| self.get(place))
    }
}

/// Reads some fields once.
pub(super) fn read_once<const N: usize>(
    device: RawDevice,
    scheme: FieldIdScheme,
    asked: [Scoped; N],
) -> [Reading<Number>; N] {
    let mut batch = Batch::new(scheme, asked.to_vec());
    batch.read(device);
    std::array::from_fn(|place| batch.get(place))
}

fn decode(value: &sys::nvmlFieldValue_t) -> Reading<Number> {
    // A driver that does not know a field calls its number an invalid argument.
    if value.nvmlReturn == sys::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT {
        return Reading::Unsupported;
    }
    if value.nvmlReturn == sys::nvmlReturn_enum_NVML_SUCCESS && is_not_available(value.valueType, value.value) {
        return Reading::Unsupported;
    }
    let number = number(value.valueType, value.value);
    match (coded(value.nvmlReturn, ()), number) {
        (Reading::Value(()), Some(number)) => Reading::Value(number),
        // A type that no header knows: the bits cannot be trusted.
        (Reading::Value(()), None) => Reading::Failed(ReadingFailure::Driver(value.nvmlReturn as i32)),
        (Reading::Unsupported, _) => Reading::Unsupported,
        (Reading::Failed(failure), _) => Reading::Failed(failure),
    }
}

/// All bits of an unsigned value set: what the library gives for want of one (`NVML_VALUE_NOT_AVAILABLE` of nvml.h).
fn is_not_available(kind: u32, value: sys::nvmlValue_t) -> bool {
    // SAFETY: as in `number`.
    unsafe {
        match kind {
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT => value.uiVal == u32::MAX,
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG
            | sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG => value.ullVal == u64::MAX,
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_SHORT => value.usVal == u16::MAX,
            _ => false,
        }
    }
}

fn number(kind: u32, value: sys::nvmlValue_t) -> Option<Number> {
    // SAFETY: every member of the union is a plain number no wider than the union, and every bit of the union is
    // initialised: entries start as zeros.
    unsafe {
        Some(match kind {
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_DOUBLE if value.dVal.is_finite() => Number::Float(value.dVal),
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT => Number::Unsigned(value.uiVal.into()),
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG
            | sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG => Number::Unsigned(value.ullVal),
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_LONG_LONG => Number::Signed(value.sllVal),
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_INT => Number::Signed(value.siVal.into()),
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_SHORT => Number::Unsigned(value.usVal.into()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u32, kind: u32, value: sys::nvmlValue_t) -> Reading<Number> {
        // SAFETY: a plain C structure of integers, for which all zeros are valid.
        let mut field: sys::nvmlFieldValue_t = unsafe { std::mem::zeroed() };
        field.nvmlReturn = code;
        field.valueType = kind;
        field.value = value;
        decode(&field)
    }

    #[test]
    fn signed_values_keep_their_sign() {
        assert_eq!(answer(0, 5, sys::nvmlValue_t { sllVal: 0xffff_fffb }), Reading::Value(Number::Signed(-5)));
        assert_eq!(answer(0, 4, sys::nvmlValue_t { sllVal: -5 }), Reading::Value(Number::Signed(-5)));
        assert_eq!(answer(0, 6, sys::nvmlValue_t { ullVal: 0x0001_fffe }), Reading::Value(Number::Unsigned(0xfffe)));
        assert_eq!(
            answer(0, 1, sys::nvmlValue_t { ullVal: u64::MAX - 1 }),
            Reading::Value(Number::Unsigned(0xffff_fffe))
        );
    }

    #[test]
    fn an_answer_that_is_none_never_becomes_zero() {
        let zero = sys::nvmlValue_t { ullVal: 0 };
        assert_eq!(answer(3, 1, zero), Reading::Unsupported);
        assert_eq!(answer(2, 1, zero), Reading::Unsupported);
        assert_eq!(answer(15, 1, zero), Reading::Failed(ReadingFailure::Lost));
        let all_bits = sys::nvmlValue_t { ullVal: u64::MAX };
        for kind in [1, 2, 3, 6] {
            assert_eq!(answer(0, kind, all_bits), Reading::Unsupported, "{kind}");
        }
        assert_eq!(answer(0, 4, all_bits), Reading::Value(Number::Signed(-1)));
        assert_eq!(answer(0, 7, zero), Reading::Failed(ReadingFailure::Driver(0)));
        assert_eq!(answer(0, 0, sys::nvmlValue_t { dVal: f64::NAN }), Reading::Failed(ReadingFailure::Driver(0)));
    }
}
