//! The [`Strategy`] trait, the indicators, and the strategies shipped: EMA cross, Bollinger reversion, Donchian breakout.
//!
//! Pure: market data and a view of the own position go in, at most one [`Signal`] comes out. It must never read a clock,
//! do I/O, size or send an order, panic, or let a value that is not finite become a price. f64 lives inside the
//! indicators only; every price that leaves is a [`domain::Price`].

pub mod bollinger;
pub mod config;
pub mod donchian;
pub mod ema_cross;
pub mod indicators;
mod number;
pub mod signal;
pub mod state;
#[cfg(test)]
mod testing;

use domain::{Candle, Fill, Quote, Trade};

pub use bollinger::BollingerConfig;
pub use config::{ConfigError, StrategyConfig};
pub use donchian::DonchianConfig;
pub use ema_cross::{EmaCrossConfig, EmaInput};
pub use signal::{Entry, EntryKind, PositionView, Requirements, Signal};
pub use state::StateError;

/// What decides. One object serves one symbol of one instance, and is fed that symbol's events in order of time.
///
/// All strategies shipped are long-only (Spot): they enter with a Buy, and what would be a short signal closes a long
/// position or is nothing.
pub trait Strategy: Send {
    /// What the strategy must be fed.
    fn requirements(&self) -> Requirements;

    /// A candle ended. One of another interval than required is ignored.
    fn on_candle(&mut self, candle: &Candle, position: &PositionView) -> Option<Signal>;

    /// A public trade happened. Only called where [`Requirements::uses_trades`].
    fn on_trade(&mut self, trade: &Trade, position: &PositionView) -> Option<Signal> {
        let _ = (trade, position);
        None
    }

    /// The best bid or ask changed. Only called where [`Requirements::uses_quotes`].
    fn on_quote(&mut self, quote: &Quote, position: &PositionView) -> Option<Signal> {
        let _ = (quote, position);
        None
    }

    /// An own order traded. The position view of the next event already has it.
    fn on_fill(&mut self, fill: &Fill) {
        let _ = fill;
    }

    /// State to persist, so that [`Strategy::restore`] continues exactly where this was, also through JSON text.
    fn save(&self) -> serde_json::Value;

    /// Takes over a state that [`Strategy::save`] gave, of the same kind and configuration.
    ///
    /// # Errors
    /// Where the state is of another configuration or cannot be read; the strategy is then as it was before.
    fn restore(&mut self, state: &serde_json::Value) -> Result<(), StateError>;
}
