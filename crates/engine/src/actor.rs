//! Who the actors are: their names, and the places of instances and families in the configuration.
//!
//! It must never know what an actor does.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An instance by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceIndex(pub u16);

/// A family by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FamilyIndex(pub u16);

/// One actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorId {
    /// Takes market data in.
    MarketData,
    /// One strategy instance.
    Strategy(InstanceIndex),
    /// One family.
    FamilyRisk(FamilyIndex),
    /// The ledger, the restrictions, the gate.
    GlobalRisk,
    /// Orders in flight and protection.
    Executor,
    /// Compares the book with the exchange.
    Reconciler,
    /// Watches the core loop.
    HealthMonitor,
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MarketData => f.pad("market-data"),
            Self::Strategy(index) => f.pad(&format!("strategy-{}", index.0)),
            Self::FamilyRisk(index) => f.pad(&format!("family-risk-{}", index.0)),
            Self::GlobalRisk => f.pad("global-risk"),
            Self::Executor => f.pad("executor"),
            Self::Reconciler => f.pad("reconciler"),
            Self::HealthMonitor => f.pad("health-monitor"),
        }
    }
}
