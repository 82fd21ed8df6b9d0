//! Which trades were booked, in bounded memory.
//!
//! It must never take a booked trade for a new one.

use std::collections::BTreeSet;

use domain::TradeId;
use serde::{Deserialize, Serialize};

/// Trade ids remembered for each symbol; an id older than all of these counts as seen.
const TRADES_KEPT: usize = 10_000;

/// Trade ids of one symbol that were booked: the last 10,000, and a floor under which all count as booked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenTrades {
    floor: Option<TradeId>,
    recent: BTreeSet<TradeId>,
}

impl SeenTrades {
    /// Whether the trade was booked.
    #[must_use]
    pub fn contains(&self, id: TradeId) -> bool {
        self.floor.is_some_and(|floor| id <= floor) || self.recent.contains(&id)
    }

    /// The newest trade booked: what came after it may be missing.
    #[must_use]
    pub fn watermark(&self) -> Option<TradeId> {
        self.recent.last().copied().or(self.floor)
    }

    /// Remembers a trade.
    pub fn insert(&mut self, id: TradeId) {
        self.recent.insert(id);
        if self.recent.len() > TRADES_KEPT {
            self.floor = self.floor.max(self.recent.pop_first());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_trades_are_bounded_and_old_ids_count_as_seen() {
        let mut seen = SeenTrades::default();
        for id in 1..=(TRADES_KEPT as u64 + 5) {
            seen.insert(TradeId(id));
        }
        assert_eq!(seen.recent.len(), TRADES_KEPT);
        assert!(seen.contains(TradeId(1)) && seen.contains(TradeId(TRADES_KEPT as u64)));
        assert!(!seen.contains(TradeId(TRADES_KEPT as u64 + 6)));
        assert_eq!(seen.watermark(), Some(TradeId(TRADES_KEPT as u64 + 5)));
    }
}
