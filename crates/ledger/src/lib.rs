//! The ledger: order lifecycle, positions, profit and loss, equity, and the comparison of the book with an exchange.
//!
//! Pure. It must never read a clock, do I/O, use floats, or book one trade twice.
#![deny(clippy::float_arithmetic)]

pub mod book;
pub mod equity;
pub mod instance;
pub mod order;
pub mod position;
pub mod reconcile;
mod reserved;
pub mod seen;

pub use book::{BookError, Booking, InstanceSetup, Ledger, LedgerState};
pub use equity::EquityTracker;
pub use instance::{InstanceBook, TradeStats};
pub use order::{Order, OrderEnd, OrderState};
pub use position::{Fee, Position, RoundTrip};
pub use seen::SeenTrades;
