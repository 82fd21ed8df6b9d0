//! A crypto exchange: accounts, matching, filters, market, and a server that speaks the Binance Spot protocol.
//!
//! It must never share wire code with the clients that it is there to test.

pub mod faults;
pub mod market;
pub mod model;
pub mod server;

pub use self::faults::{Scenario, ScenarioError};
