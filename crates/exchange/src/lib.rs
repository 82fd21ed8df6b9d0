//! Exchanges: the trait that the runtime trades through, and its adapters.
//!
//! It must never send an order that was not released through the latch, never send one twice, and never read a failed
//! request as an answer.

pub mod binance;
pub mod connectivity;
pub mod retry;
pub mod stepping;
pub mod trading;

pub use trading::{
    Action, CancelOutcome, Exchange, ExecutionSink, MonotonicMs, RequestError, RequestErrorKind, SubmitOutcome,
    TimeSource,
};
