//! One symbol's state: instrument, last price, best quote, and who waits at which price.
//!
//! It must never divide or allocate on a market event that no order waits for: a replay feeds a million a second.

use std::collections::BTreeSet;

use domain::{Decimal, ExchangeOrderId, Instrument, Price, Quantity, Quote, Ratio, Side, Timestamp};
use serde::{Deserialize, Serialize};

use super::order::OrderView;
use super::types::AccountId;

/// Who waits at a price: ordered by price, then by time of arrival, which is the order id.
pub(super) type Waiting = BTreeSet<(Price, ExchangeOrderId, AccountId)>;

/// The best bid and ask as they were told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    bid: Price,
    bid_quantity: Quantity,
    ask: Price,
    ask_quantity: Quantity,
    time: Timestamp,
}

/// The last trade.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Last {
    pub(super) price: Price,
    pub(super) quantity: Quantity,
    pub(super) time: Timestamp,
}

/// One symbol's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SymbolState {
    pub(super) instrument: Instrument,
    pub(super) last: Option<Last>,
    pub(super) told: Option<Told>,
    pub(super) last_order_id: u64,
    pub(super) last_trade_id: u64,
    /// Limit orders on the book.
    pub(super) bids: Waiting,
    pub(super) asks: Waiting,
    /// Stops that trigger when the last price is at or above theirs.
    pub(super) above: Waiting,
    /// Stops that trigger when the last price is at or below theirs.
    pub(super) below: Waiting,
    /// Stops whose trigger follows the price.
    #[serde(default)]
    pub(super) trailing: BTreeSet<(ExchangeOrderId, AccountId)>,
    #[serde(default)]
    pub(super) last_match_id: u64,
}

impl SymbolState {
    pub(super) fn new(instrument: Instrument) -> Self {
        Self {
            instrument,
            last: None,
            told: None,
            last_order_id: 0,
            last_trade_id: 0,
            bids: Waiting::new(),
            asks: Waiting::new(),
            above: Waiting::new(),
            below: Waiting::new(),
            trailing: BTreeSet::new(),
            last_match_id: 0,
        }
    }

    pub(super) fn tell(&mut self, quote: &Quote) {
        self.told = Some(Told {
            bid: quote.bid,
            bid_quantity: quote.bid_quantity,
            ask: quote.ask,
            ask_quantity: quote.ask_quantity,
            time: quote.time,
        });
    }

    /// Moves the told quote, as if everybody had moved with it.
    pub(super) fn move_quote(&mut self, share: Ratio, time: Timestamp) {
        let tick = self.instrument.tick_size;
        let moved = self.told.and_then(|told| {
            let bid = told.bid.moved_by(share)?.floor_to(tick)?;
            let ask = told.ask.moved_by(share)?.ceil_to(tick)?;
            Some(Told { bid, ask, time, ..told })
        });
        self.told = moved;
    }

    /// Whether a trade at `price` could fill or trigger anything.
    pub(super) fn is_touched_by(&self, price: Price) -> bool {
        self.bids.last().is_some_and(|(at, ..)| *at >= price)
            || self.asks.first().is_some_and(|(at, ..)| *at <= price)
            || self.above.first().is_some_and(|(at, ..)| *at <= price)
            || self.below.last().is_some_and(|(at, ..)| *at >= price)
            || !self.trailing.is_empty()
    }

    /// Lets an open order wait: on the book where it works, else for its trigger.
    pub(super) fn add(&mut self, order: &OrderView) {
        let key = (order.order_id, order.account.clone());
        if order.trailing.is_some() && !order.working {
            self.trailing.insert(key);
        } else if let Some((waiting, price)) = self.waiting_mut(order) {
            waiting.insert((price, key.0, key.1));
        }
    }

    /// The reverse of [`SymbolState::add`]; whether the order did wait.
    pub(super) fn remove(&mut self, order: &OrderView) -> bool {
        let key = (order.order_id, order.account.clone());
        if order.trailing.is_some() && !order.working {
            return self.trailing.remove(&key);
        }
        self.waiting_mut(order).is_some_and(|(waiting, price)| waiting.remove(&(price, key.0, key.1)))
    }

    /// The resting order of the account that an order of it with this side and bound would meet first.
    pub(super) fn first_own_maker(
        &self,
        account: &AccountId,
        taker: Side,
        bound: Price,
    ) -> Option<(Price, ExchangeOrderId)> {
        match taker {
            Side::Buy => {
                let reached = self.asks.iter().take_while(|(price, ..)| *price <= bound);
                reached.filter(|(.., owner)| owner == account).map(|(price, id, _)| (*price, *id)).next()
            }
            Side::Sell => {
                let reached = self.bids.iter().rev().take_while(|(price, ..)| *price >= bound);
                let own = reached.filter(|(.., owner)| owner == account).map(|(price, id, _)| (*price, *id));
                own.min_by_key(|(price, id)| (std::cmp::Reverse(*price), *id))
            }
        }
    }

    fn waiting_mut(&mut self, order: &OrderView) -> Option<(&mut Waiting, Price)> {
        if order.working {
            let price = order.price?;
            return Some((if order.side == Side::Buy { &mut self.bids } else { &mut self.asks }, price));
        }
        let price = order.stop_price?;
        Some((if triggers_above(order.order_type, order.side) { &mut self.above } else { &mut self.below }, price))
    }

    /// The best bid and ask: as told, or derived from the last trade where that is newer.
    pub(super) fn best(&self, half_spread: Ratio) -> Option<(Price, Price)> {
        match (&self.told, &self.last) {
            (Some(told), Some(last)) if last.time > told.time => self.derived(last.price, half_spread),
            (Some(told), _) => Some((told.bid, told.ask)),
            (None, Some(last)) => self.derived(last.price, half_spread),
            (None, None) => None,
        }
    }

    /// The best quote with sizes; a derived one has the last trade's.
    pub(super) fn quote(&self, half_spread: Ratio) -> Option<Quote> {
        let (bid, ask) = self.best(half_spread)?;
        let symbol = self.instrument.symbol.clone();
        match (&self.told, &self.last) {
            (Some(told), last) if last.is_none_or(|last| last.time <= told.time) => Some(Quote {
                symbol,
                bid,
                bid_quantity: told.bid_quantity,
                ask,
                ask_quantity: told.ask_quantity,
                time: told.time,
            }),
            (_, Some(last)) => Some(Quote {
                symbol,
                bid,
                bid_quantity: last.quantity,
                ask,
                ask_quantity: last.quantity,
                time: last.time,
            }),
            (_, None) => None,
        }
    }

    /// Bid and ask around a trade: `half_spread` away, rounded outward to the tick, at least one tick apart.
    fn derived(&self, price: Price, half_spread: Ratio) -> Option<(Price, Price)> {
        let tick =
            if self.instrument.tick_size > Decimal::ZERO { self.instrument.tick_size } else { Decimal::new(1, 8) };
        let smallest = Price::new(tick).ok()?;
        let bid = price.moved_by(-half_spread).and_then(|bid| bid.floor_to(tick)).unwrap_or(smallest);
        let ask = price.moved_by(half_spread)?.ceil_to(tick)?;
        if bid < ask { Some((bid, ask)) } else { Some((bid, Price::new(bid.value() + tick).ok()?)) }
    }
}

/// Which way the last price must go to trigger a stop of this type and side.
pub(super) fn triggers_above(order_type: domain::OrderType, side: Side) -> bool {
    use domain::OrderType as T;
    match order_type {
        T::StopLoss | T::StopLossLimit => side == Side::Buy,
        T::TakeProfit | T::TakeProfitLimit => side == Side::Sell,
        T::Market | T::Limit | T::LimitMaker => false,
    }
}
