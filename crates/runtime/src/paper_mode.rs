//! PAPER_TRADING: the exchange's public market data, orders to the paper account, a book of its own.
//!
//! A composition: nothing below it knows the mode.

use std::any::Any;
use std::rc::Rc;

use engine::{Envelope, MarketDataMessage};

use crate::life::Composition;
use crate::market_feed::MarketFeed;
use crate::venue::{PaperExchange, Venue};
use crate::wiring::Wiring;

/// The composition of paper trading on an exchange's public market data.
pub struct PaperMode {
    /// Where market data come from.
    pub market: MarketFeed,
    /// The paper account.
    pub account: PaperExchange,
}

/// A market event meets the account's orders first, and is told then.
pub fn hand_over(account: &PaperExchange, wiring: &Wiring, event: domain::MarketEvent) {
    wiring.clock.saw(event.time());
    account.market(&event);
    wiring.router.send(Envelope::MarketData(MarketDataMessage::Market(event)));
}

impl Composition for PaperMode {
    fn venue(&self, _: &Wiring) -> Venue {
        Venue { exchange: Rc::new(self.account.clone()), market: Rc::new(self.market.client()) }
    }

    fn feed(&self, wiring: &Wiring) -> Box<dyn Any> {
        let (account, of_sink) = (self.account.clone(), wiring.clone());
        self.market.start(wiring, move |event| hand_over(&account, &of_sink, event), None)
    }
}
