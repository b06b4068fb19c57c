//! A limit as meant: a bound over terms that may stand relative to SKU facts, to peers, to a baseline or to a lot.
//!
//! Reading one from text is for `parse`; comparing is for `judge`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Scalar;
use kiln_model::Quantity;

/// What a relative term stands against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// A fact of the GPU's SKU: `sku.tdp`.
    Sku(String),
    /// The median of the same measurement over the component's same-model siblings in the node, itself left out.
    Peers,
    /// The same measurement in an earlier run.
    Baseline,
    /// The same measurement of the same component in the first step of this run that made it; in that step, itself.
    First,
    /// The middle of the same measurement in the same place over the good units of the lot.
    Lot,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Term {
    /// `87 °C`.
    Absolute(Quantity),
    /// `95 % of sku.tdp`; `sku.tdp` alone is 100 percent of it.
    Share { percent: f64, of: Reference },
    /// `peers + 5 K`.
    Offset { of: Reference, plus: Quantity },
}

/// A regular expression, kept as typed; it was compiled once to know that it is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

/// What is acceptable. All bounds include their ends unless the name says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    AtLeast(Term),
    MoreThan(Term),
    AtMost(Term),
    LessThan(Term),
    /// `450..520 GB/s`.
    Between(Term, Term),
    /// `480 GB/s ±5 %` and `480 GB/s -5 % / +10 %`: shares of the nominal value in percent.
    Near {
        nominal: Term,
        minus_percent: f64,
        plus_percent: f64,
    },
    /// `== 0 s`, `== sku.pcie.width`.
    Equal(Term),
    NotEqual(Term),
    /// `== enabled`, `== true`, `in [a, b]`.
    OneOf(Vec<Scalar>),
    /// `~ ^96\.00\.`.
    Matches(Pattern),
}

/// A bound with what belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    pub bound: Bound,
    /// The short form, normalised: what reports show.
    pub text: String,
    /// A tighter bound; a value inside `bound` but outside this one passes as marginal.
    pub marginal: Option<Bound>,
    /// The finding code this limit stands for, where the profile names one.
    pub code: Option<String>,
    /// Whether a miss counts; otherwise it is only told.
    pub decisive: bool,
    /// What a miss that counts is.
    #[serde(default, skip_serializing_if = "Miss::is_proof")]
    pub miss: Miss,
    /// Where the number comes from.
    pub source: Option<String>,
    /// What it means when the part does not offer the value.
    #[serde(default)]
    pub unsupported: IfUnsupported,
    /// What is asked instead where the run's lot has a value for the place. Among units of one chassis its places are alike; in
    /// one unit they need not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_lot: Option<Instead>,
}

impl Limit {
    /// Whether it is relative to `reference`: for nothing else need that be looked for.
    pub fn stands_on(&self, reference: &Reference) -> bool {
        let instead = self.with_lot.as_ref().map(|instead| &instead.bound);
        let bounds = [Some(&self.bound), self.marginal.as_ref(), instead];
        bounds.into_iter().flatten().any(|bound| bound.stands_on(reference))
    }

    /// The limit in force where the lot has a value for the place, or has none.
    pub fn in_force(&self, has_lot: bool) -> Cow<'_, Self> {
        match self.with_lot.as_ref().filter(|_| has_lot) {
            Some(Instead { bound, text }) => {
                let (bound, text) = (bound.clone(), text.clone());
                Cow::Owned(Self { bound, text, marginal: None, with_lot: None, ..self.clone() })
            }
            None => Cow::Borrowed(self),
        }
    }
}

/// A bound that takes the place of a limit's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instead {
    pub bound: Bound,
    /// The short form, normalised: what reports show.
    pub text: String,
}

/// What a limit makes of a value that the part does not offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IfUnsupported {
    /// The profile requires the value: an ERROR.
    #[default]
    Error,
    /// Not every part has it: told, and not judged.
    Skip,
}

/// What a value outside its bound says about the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Miss {
    /// It is bad.
    #[default]
    Proof,
    /// It may be: healthy parts come close to the bound, and somebody has to look.
    Suspicion,
}

impl Miss {
    pub const fn is_proof(&self) -> bool {
        matches!(self, Self::Proof)
    }
}
