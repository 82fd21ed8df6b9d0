//! Permissions and the scopes they apply to: the one concept of safety (docs/architecture.md, "Safety").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{FamilyId, InstanceId, Symbol};

/// What may leave the process, from least to most. The effective permission is the minimum over all scopes touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Permission {
    /// Nothing, not even exits. Cancels are never gated.
    Nothing,
    /// Exits that are protective, forced, or approved by a person.
    GuardedExits,
    /// Any order that can only reduce exposure.
    Exits,
    /// Everything.
    All,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "NOTHING",
            Self::GuardedExits => "GUARDED_EXITS",
            Self::Exits => "EXITS",
            Self::All => "ALL",
        })
    }
}

/// What a restriction, an alert or a recovery applies to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The whole portfolio.
    Global,
    /// The one exchange that the service trades on.
    Exchange,
    /// All instances of a family.
    Family(FamilyId),
    /// One instance.
    Instance(InstanceId),
    /// One market, whoever trades it.
    Symbol(Symbol),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.pad("global"),
            Self::Exchange => f.pad("exchange"),
            Self::Family(id) => f.pad(&format!("family {id}")),
            Self::Instance(id) => f.pad(&format!("instance {id}")),
            Self::Symbol(id) => f.pad(&format!("symbol {id}")),
        }
    }
}
