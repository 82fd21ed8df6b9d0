//! The vocabulary of Vigia: money, ids, time, instruments, orders, fills, market data, reason codes, permissions.
//!
//! Pure data. It must never read a clock, do I/O, or use floats for money.
#![deny(clippy::float_arithmetic)]

pub mod alert;
pub mod ids;
pub mod instrument;
pub mod market;
pub mod mode;
pub mod money;
pub mod order;
pub mod permission;
pub mod reason;
pub mod time;

pub use alert::{Alert, Severity};
pub use ids::{
    Asset, BootNumber, ClientOrderId, CorrelationId, ExchangeOrderId, FamilyId, InstanceId, OwnOrderId, Symbol, TradeId,
};
pub use instrument::{Filters, Instrument, SymbolStatus};
pub use market::{Candle, Interval, MarketEvent, MarketInputError, Quote, Trade};
pub use mode::TradingMode;
pub use money::{MoneyError, Notional, Price, Quantity, Ratio};
pub use order::{
    ExchangeOrderStatus, ExecutionEvent, ExitKind, Fill, OrderReport, OrderSpec, OrderType, Purpose, Side, TimeInForce,
};
pub use permission::{Permission, Scope};
pub use reason::ReasonCode;
pub use rust_decimal::Decimal;
pub use time::{Millis, Timestamp};
