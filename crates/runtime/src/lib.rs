//! The runtime: actix shells, supervision, the clock, and the composition of modes.
//!
//! It must never decide about money: machines decide, shells act.

pub mod paper;
pub mod replay;
pub mod status;
