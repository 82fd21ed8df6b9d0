//! The runtime: actix shells, supervision, the clock, and the composition of modes.
//!
//! It must never decide about money: machines decide, shells act.

pub mod ban_file;
pub mod clock;
pub mod guard;
pub mod history;
pub mod life;
pub mod live_mode;
pub mod machine;
pub mod market_feed;
pub mod outbox;
pub mod paper;
pub mod paper_mode;
mod publish;
pub mod replay;
pub mod results;
pub mod router;
pub mod service;
pub mod shadow_mode;
pub mod shell;
pub mod status;
pub mod supervisor;
pub mod venue;
pub mod wiring;
