//! Indicators over f64 series: incremental, constant work per update (amortised where a window slides), and restorable
//! to the bit through serde.
//!
//! An indicator must never panic, take in a value that is not finite, or give a value before its window is full.

mod atr;
mod ema;
mod extremes;
mod rolling;

pub use atr::Atr;
pub use ema::Ema;
pub use extremes::Extremes;
pub use rolling::{MeanStd, RollingMeanStd};
