//! The trading mode: what a composition of feed, orders and book is called. Nothing below the composition may ask for it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// See SPEC "Modes". The default is paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TradingMode {
    /// Live market data, simulated fills, own book.
    #[default]
    #[serde(rename = "PAPER_TRADING")]
    Paper,
    /// Live market data, the real account read-only, simulated fills, own book.
    #[serde(rename = "SHADOW")]
    Shadow,
    /// Real orders on the real account.
    #[serde(rename = "LIVE_TRADING")]
    Live,
}

impl TradingMode {
    /// All of them.
    pub const ALL: [TradingMode; 3] = [Self::Paper, Self::Shadow, Self::Live];
}

impl fmt::Display for TradingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Paper => "PAPER_TRADING",
            Self::Shadow => "SHADOW",
            Self::Live => "LIVE_TRADING",
        })
    }
}

impl FromStr for TradingMode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "paper" | "paper_trading" => Ok(Self::Paper),
            "shadow" => Ok(Self::Shadow),
            "live" | "live_trading" => Ok(Self::Live),
            _ => Err(format!("{text:?} is no mode: paper, shadow or live")),
        }
    }
}
