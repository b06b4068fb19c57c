//! A choice of GPUs by their numbers, as people write it: `0-3,5`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::GpuIndex;

/// Some GPUs of a node; never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuSet(BTreeSet<GpuIndex>);

/// What is wrong with a choice of GPUs as typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no GPUs; write their numbers, such as `0-3,5`")]
pub struct ParseGpuSetError(pub String);

impl GpuSet {
    pub const fn gpus(&self) -> &BTreeSet<GpuIndex> {
        &self.0
    }
}

impl FromStr for GpuSet {
    type Err = ParseGpuSetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseGpuSetError(text.to_owned());
        let number = |text: &str| text.trim().parse::<u8>().map_err(|_| refuse());
        let mut gpus = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(refuse());
            }
            gpus.extend((first..=last).map(GpuIndex));
        }
        Ok(Self(gpus))
    }
}

/// The shortest form that reads back the same.
impl fmt::Display for GpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(u8, u8)> = Vec::new();
        for GpuIndex(gpu) in &self.0 {
            match runs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(*gpu) => *last = *gpu,
                _ => runs.push((*gpu, *gpu)),
            }
        }
        for (place, (first, last)) in runs.into_iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "," })?;
            if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }?;
        }
        Ok(())
    }
}

impl Serialize for GpuSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GpuSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_read_as_typed_and_are_written_short() {
        for (typed, written) in [("0-3,5", "0-3,5"), ("7", "7"), ("3, 1,2,0", "0-3"), ("5,5-6", "5-6"), ("255", "255")]
        {
            let set: GpuSet = typed.parse().expect(typed);
            assert_eq!(set.to_string(), written);
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        for wrong in ["", "3-1", "a", "0,", "1-2-3", "256", "-1"] {
            assert!(wrong.parse::<GpuSet>().is_err(), "{wrong}");
        }
    }
}
