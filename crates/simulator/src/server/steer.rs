//! What an administrator may change and see of the state.
//!
//! It must never change an account but through the model, and tells its owner.

use domain::{Asset, Quantity, Ratio, Symbol, SymbolStatus, Timestamp};
use serde_json::{Value, json};

use super::core::Core;
use super::state::SavedCrash;
use super::wire;
use crate::market::MarketError;
use crate::model::{AccountId, ModelEvent, Refusal};

impl Core {
    /// Lets a symbol's prices fall, or rise, from now on.
    pub(super) fn crash(&mut self, symbol: &Symbol, share: Ratio) -> Result<(), MarketError> {
        let at = self.now();
        self.market.crash(symbol, share, Timestamp::from_millis(at))?;
        self.crashes.push(SavedCrash { symbol: symbol.clone(), share, at });
        self.is_dirty = true;
        Ok(())
    }

    /// Gives to an account or takes from it, and tells it.
    pub(super) fn deposit(&mut self, account: &AccountId, asset: &Asset, amount: Quantity) -> Result<(), Refusal> {
        let now = self.now();
        self.model.deposit(account, asset, amount, Timestamp::from_millis(now))?;
        let delta = wire::fixed(amount.value());
        let event = json!({"e": "balanceUpdate", "E": now, "a": asset.as_str(), "d": delta, "T": now});
        self.hub.publish_user(account, &event);
        self.tell(&[ModelEvent::Balances { account: account.clone(), assets: vec![asset.clone()] }], None);
        Ok(())
    }

    pub(super) fn set_status(&mut self, symbol: &Symbol, status: SymbolStatus) -> Result<(), Refusal> {
        self.model.set_status(symbol, status)?;
        self.is_dirty = true;
        Ok(())
    }

    pub(super) fn set_speed(&mut self, speed: f64) {
        self.clock.set_speed(speed, self.wall.elapsed());
        self.is_dirty = true;
    }

    pub(super) fn set_paused(&mut self, paused: bool) {
        self.clock.set_paused(paused, self.wall.elapsed());
    }

    /// What the administrator sees.
    pub(super) fn status(&mut self) -> Value {
        let accounts: Vec<String> = self.model.accounts().map(ToString::to_string).collect();
        let now = self.now();
        let used_weight = self.meter.used_by_all(now);
        json!({
            "time": now,
            "market": self.market_name,
            "start": self.market_start,
            "end": self.market.end().map(Timestamp::as_millis),
            "next": self.market.peek_time().map(Timestamp::as_millis),
            "done": self.market.peek_time().is_none(),
            "mode": if self.clock.is_stepped() { "stepped" } else { "timed" },
            "speed": self.clock.speed(),
            "paused": self.clock.is_paused(),
            "connections": self.hub.len(),
            "frames": self.hub.counts(),
            "accounts": accounts,
            "usedWeight": used_weight,
            "faults": self.faults.list(now),
            "rejectedRows": self.market.rejected().values().sum::<u64>(),
        })
    }
}
