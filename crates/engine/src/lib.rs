//! The engine: the seven machines, their messages and effects, and the recovery sequence.
//!
//! Machines decide, shells act. Nothing here does I/O, reads a clock, waits or draws a random number: the same machines run
//! under actix, in a replay, and in tests.
#![deny(clippy::float_arithmetic)]

pub mod actor;
pub mod effect;
pub mod executor;
pub mod family_risk;
pub mod global_risk;
pub mod health_monitor;
pub mod market_data;
pub mod message;
pub mod reconciler;
pub mod record;
pub mod recovery;
pub mod setup;
pub mod strategy_machine;
pub mod system;

pub use effect::{BackfillRequest, Effect, Effects, SnapshotRequest};
pub use executor::Sequence;
pub use message::{
    ActorId, BookNow, Command, Cycle, Envelope, ExchangeEvent, ExecutorMessage, FamilyIndex, FamilyRiskMessage,
    GlobalRiskMessage, HealthMessage, InstanceEquity, InstanceIndex, MarketDataMessage, PositionUpdate,
    ReconcilerMessage, RestingExit, StrategyMessage, SubmitResult,
};
pub use record::{JournalEntry, OutsideCause, Record};
pub use recovery::{Backfilled, Reconciled, Recovery, Reloaded};
pub use setup::{BookState, FamilySetup, InstanceConfig, SavedProtection, SavedStrategy, Setup};
pub use system::{Outside, System};
