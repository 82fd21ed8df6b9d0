//! What happens at the exchange by a fault: statuses, prices, orders, money, keys.
//!
//! It must never change an account but through the model.

use domain::{Asset, Decimal, Notional, OrderType, Quantity, Ratio, Side, Symbol, SymbolStatus, Timestamp};

use crate::faults::{Phase, WorldFault};
use crate::model::{AccountId, ModelEvent, NewOrder, Refusal};
use crate::server::core::Core;

impl Core {
    /// Lets one fault begin or end.
    pub(super) fn happen(&mut self, fault: &WorldFault, phase: Phase) -> Result<(), String> {
        use Phase::{Begin, End};
        match (fault, phase) {
            (WorldFault::SymbolStatus { symbol, status }, Begin) => self.change_status(symbol, status.clone()),
            (WorldFault::SymbolStatus { symbol, .. }, End) => self.change_status(symbol, SymbolStatus::Trading),
            (WorldFault::Delisting { symbol, notice_ms }, Begin) => {
                let at = self.now().saturating_add(*notice_ms);
                self.notices.delistings.entry(at).or_default().push(symbol.to_string());
                Ok(())
            }
            (WorldFault::Delisting { symbol, .. }, End) => self.delist(symbol),
            (WorldFault::FilterChange { symbol, tick_size, step_size, notional_min }, Begin) => {
                self.change_filters(symbol, *tick_size, *step_size, *notional_min)
            }
            (WorldFault::PriceCrash { symbol, share }, Begin) => {
                self.crash(symbol, *share).map_err(|error| error.to_string())
            }
            (WorldFault::OrdersLost, Begin) => {
                let now = self.moment();
                self.model.lose_open_orders(now);
                self.is_dirty = true;
                Ok(())
            }
            (WorldFault::ManualTrade { account, symbol, side, quantity }, Begin) => {
                self.trade_by_hand(account, symbol, *side, *quantity)
            }
            (WorldFault::Transfer { account, asset, amount }, Begin) => self.transfer(account, asset, *amount),
            (WorldFault::KeyRevoked { api_key }, Begin) => self.revoke(api_key),
            (WorldFault::ServerShutdown { .. }, Begin) => {
                let now = self.now();
                self.hub.announce_shutdown(now);
                Ok(())
            }
            (WorldFault::ServerShutdown { .. }, End) => {
                self.hub.disconnect_all();
                Ok(())
            }
            (WorldFault::SlowFills { share }, Begin) => self.set_fill_share(*share),
            (WorldFault::SlowFills { .. }, End) => self.set_fill_share(Ratio::ONE),
            (
                WorldFault::FilterChange { .. }
                | WorldFault::PriceCrash { .. }
                | WorldFault::OrdersLost
                | WorldFault::ManualTrade { .. }
                | WorldFault::Transfer { .. }
                | WorldFault::KeyRevoked { .. },
                End,
            ) => Ok(()),
        }
    }

    fn change_status(&mut self, symbol: &Symbol, status: SymbolStatus) -> Result<(), String> {
        self.set_status(symbol, status).map_err(|refusal| refusal.to_string())
    }

    fn moment(&mut self) -> Timestamp {
        Timestamp::from_millis(self.now())
    }

    /// Lets the model do something and tells the accounts what came of it.
    fn done(&mut self, result: Result<(), Refusal>, events: &[ModelEvent]) -> Result<(), String> {
        self.is_dirty = true;
        self.tell(events, None);
        result.map_err(|refusal| refusal.to_string())
    }

    fn delist(&mut self, symbol: &Symbol) -> Result<(), String> {
        let (now, mut events) = (self.moment(), Vec::new());
        let done = self.model.delist(symbol, now, &mut events);
        self.done(done, &events)
    }

    fn change_filters(
        &mut self,
        symbol: &Symbol,
        tick_size: Option<Decimal>,
        step_size: Option<Decimal>,
        notional_min: Option<Notional>,
    ) -> Result<(), String> {
        let done = self.model.change_instrument(symbol, |instrument| {
            instrument.tick_size = tick_size.unwrap_or(instrument.tick_size);
            instrument.step_size = step_size.unwrap_or(instrument.step_size);
            instrument.notional_min = notional_min.unwrap_or(instrument.notional_min);
        });
        self.done(done, &[])
    }

    fn trade_by_hand(&mut self, account: &str, symbol: &Symbol, side: Side, quantity: Quantity) -> Result<(), String> {
        let (now, mut events, id) = (self.moment(), Vec::new(), self.generate_id());
        let order = NewOrder::new(id, symbol.clone(), side, OrderType::Market, quantity);
        let done = self.model.place_by_hand(&AccountId::new(account), &order, now, &mut events).map(|_| ());
        self.done(done, &events)
    }

    fn transfer(&mut self, account: &str, asset: &Asset, amount: Quantity) -> Result<(), String> {
        let (now, mut events) = (self.moment(), Vec::new());
        let done = self.model.transfer(&AccountId::new(account), asset, amount, now, &mut events);
        self.done(done, &events)
    }

    fn set_fill_share(&mut self, share: Ratio) -> Result<(), String> {
        let mut settings = self.model.settings().clone();
        settings.fill_share_max = share;
        self.model.set_settings(settings);
        Ok(())
    }
}
