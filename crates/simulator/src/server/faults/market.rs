//! What happens at the exchange by a fault: statuses, prices, orders, money, keys.
//!
//! It must never change an account but through the model.

use domain::{Asset, Symbol, SymbolStatus};

use crate::faults::{Phase, WorldFault};
use crate::model::AccountId;
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
            (WorldFault::FilterChange { .. }, Begin) => Err(needs("a change of filters")),
            (WorldFault::PriceCrash { symbol, share }, Begin) => {
                self.crash(symbol, *share).map_err(|error| error.to_string())
            }
            (WorldFault::OrdersLost { .. }, Begin) => Err(needs("a loss of open orders")),
            (WorldFault::ManualTrade { .. }, Begin) => Err(needs("foreign orders")),
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
            (WorldFault::SlowFills { .. }, Begin) => Err(needs("a share of fills")),
            (WorldFault::SlowFills { .. }, End) => Ok(()),
            (
                WorldFault::FilterChange { .. }
                | WorldFault::PriceCrash { .. }
                | WorldFault::OrdersLost { .. }
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

    fn delist(&mut self, symbol: &Symbol) -> Result<(), String> {
        self.change_status(symbol, SymbolStatus::Break)?;
        Err(needs("the removal of a delisted symbol's orders"))
    }

    fn transfer(&mut self, account: &str, asset: &Asset, amount: domain::Quantity) -> Result<(), String> {
        self.deposit(&AccountId::new(account), asset, amount).map_err(|refusal| refusal.to_string())
    }
}

fn needs(what: &str) -> String {
    format!("needs {what} in the model")
}
