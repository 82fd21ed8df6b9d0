//! Faults on purpose: what goes wrong, where, when and how often, decided by a seed or by a script.
//!
//! Pure: time is an argument, chance comes from seeds. It must never decide differently on the same requests in the same
//! order, and never act itself: it says what the server shall do.

mod engine;
mod kind;
mod plan;
mod read;
mod scenario;

pub use self::engine::Faults;
pub use self::kind::{Fault, FaultKind, Latency, Protocol, Target, Timing, WorldFault};
pub use self::plan::{Break, Due, Fate, FrameFacts, Phase, Plan, RequestFacts};
pub use self::read::{KINDS, KindWords, fault_from_json};
pub use self::scenario::{Scenario, ScenarioError};
