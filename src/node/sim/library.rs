//! The faults that come with the program.

macro_rules! embedded {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../fixtures/faults/", $name, ".yaml"))),)*]
    };
}

/// Name and text of every fault file in `fixtures/faults/`.
pub(super) const FAULTS: &[(&str, &str)] = embedded! {
    "cold-plate-loose"
};
