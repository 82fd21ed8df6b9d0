//! What the machines are made of: the configuration in their words, and the state that a restart found.

use std::collections::BTreeMap;

use domain::{
    Asset, BootNumber, FamilyId, InstanceId, Instrument, Millis, Notional, Quantity, Ratio, Symbol, Timestamp, TradeId,
};
use ledger::{InstanceSetup, LedgerState};
use risk::{Limits, Protection, ProtectionStyle, Restriction};
use serde::{Deserialize, Serialize};
use strategy::StrategyConfig;

use crate::message::{FamilyIndex, InstanceIndex};

/// One family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilySetup {
    /// Its id.
    pub id: FamilyId,
}

/// One instance.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceConfig {
    /// Its id.
    pub id: InstanceId,
    /// Its family.
    pub family: FamilyIndex,
    /// Its capital, in the portfolio's currency.
    pub capital: Notional,
    /// The markets it trades.
    pub symbols: Vec<Symbol>,
    /// Share of its equity that one entry uses.
    pub entry_size: Ratio,
    /// Where the exits that guard its positions live.
    pub protection: ProtectionStyle,
    /// What it trades by.
    pub strategy: StrategyConfig,
}

/// Everything the machines are configured with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What everything is counted in.
    pub currency: Asset,
    /// The families; their order gives their index.
    pub families: Vec<FamilySetup>,
    /// The instances; their order gives their index.
    pub instances: Vec<InstanceConfig>,
    /// Pre-trade limits.
    pub limits: Limits,
    /// This boot.
    pub boot: BootNumber,
    /// Longest time without a heartbeat, in monotonic milliseconds (H1).
    pub heartbeat_timeout_ms: u64,
    /// How often the equity is journaled, in exchange time.
    pub equity_sample_ms: Millis,
    /// A mark from a quote is good for so long, in exchange time; then the last trade is the mark.
    pub quote_age_ms_max: Millis,
}

impl Setup {
    /// The instances as the ledger wants them.
    #[must_use]
    pub fn ledger_setups(&self) -> Vec<InstanceSetup> {
        self.instances
            .iter()
            .map(|instance| InstanceSetup {
                id: instance.id.clone(),
                family: self.families[usize::from(instance.family.0)].id.clone(),
                capital: instance.capital,
            })
            .collect()
    }

    /// The symbols that any instance trades, each once, in order.
    #[must_use]
    pub fn symbols(&self) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> =
            self.instances.iter().flat_map(|instance| instance.symbols.iter().cloned()).collect();
        symbols.sort();
        symbols.dedup();
        symbols
    }

    /// The place of an instance.
    #[must_use]
    pub fn index_of(&self, id: &InstanceId) -> Option<InstanceIndex> {
        let place = self.instances.iter().position(|instance| instance.id == *id)?;
        u16::try_from(place).ok().map(InstanceIndex)
    }
}

/// A strategy's state as it was kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedStrategy {
    /// Whose.
    pub instance: InstanceId,
    /// Of which market.
    pub symbol: Symbol,
    /// The end of the last candle that the state has seen.
    pub through: Timestamp,
    /// The state.
    pub state: serde_json::Value,
}

/// What guards a position, as it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedProtection {
    /// Whose.
    pub instance: InstanceId,
    /// Of which market.
    pub symbol: Symbol,
    /// The prices.
    pub protection: Protection,
    /// What was under way with the exits that rest.
    pub sequence: Option<crate::Sequence>,
}

/// The book as a start finds it (R1).
#[derive(Debug, Clone, Default)]
pub struct BookState {
    /// Books, orders, trades, marks.
    pub ledger: LedgerState,
    /// Restrictions in force.
    pub restrictions: Vec<Restriction>,
    /// What guards the positions.
    pub protections: Vec<SavedProtection>,
    /// Up to which trade of each symbol nothing can be missing.
    pub trades_through: BTreeMap<Symbol, TradeId>,
    /// Held on the account beside the books, by asset.
    pub outside: BTreeMap<Asset, Quantity>,
    /// The strategies' states.
    pub strategies: Vec<SavedStrategy>,
    /// The newest exchange time that the book has seen.
    pub head: Option<Timestamp>,
    /// The instruments, where the start knows them already.
    pub instruments: Vec<Instrument>,
}
