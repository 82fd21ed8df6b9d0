//! Self-trade prevention: what happens before an order would trade with one of its own account. The taker's word decides.
//!
//! It must never let quantity vanish without the two orders telling of it.

use domain::{ExchangeOrderId, Price, Quantity, Symbol, Timestamp};

use super::Model;
use super::account::needed;
use super::matching::Ending;
use super::order::{OrderView, StpMode};
use super::types::{AccountId, ModelEvent, PreventedMatch};

impl Model {
    /// Prevents that an order that takes, or comes to rest, at `bound` meets orders of its own; whether it lives on.
    pub(super) fn prevent(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        taker: ExchangeOrderId,
        bound: Price,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> bool {
        loop {
            let Some(taking) = self.open_view(account, symbol, taker) else { return false };
            if taking.self_trade_prevention == StpMode::None {
                return true;
            }
            let state = self.symbols.get(symbol);
            let own = state.and_then(|state| state.first_own_maker(account, taking.side, bound));
            let Some((price, maker)) = own else { return true };
            let Some(making) = self.open_view(account, symbol, maker) else { return true };
            self.prevent_one(&taking, &making, price, now, events);
        }
    }

    fn prevent_one(
        &mut self,
        taker: &OrderView,
        maker: &OrderView,
        price: Price,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) {
        let quantity = taker.remaining().min(maker.remaining());
        let (taker_prevented, maker_prevented) = match taker.self_trade_prevention {
            StpMode::None => return,
            StpMode::ExpireMaker => (Quantity::ZERO, maker.remaining()),
            StpMode::ExpireTaker => (taker.remaining(), Quantity::ZERO),
            StpMode::ExpireBoth => (taker.remaining(), maker.remaining()),
            StpMode::Decrement => (quantity, quantity),
        };
        let history_max = self.history_max;
        let Ok((state, owner)) = self.pair(&taker.account, &taker.symbol) else { return };
        let prevented = PreventedMatch {
            match_id: state.last_match_id,
            symbol: taker.symbol.clone(),
            taker: taker.order_id,
            maker: maker.order_id,
            price,
            quantity,
            taker_prevented,
            maker_prevented,
            mode: taker.self_trade_prevention,
            time: now,
        };
        state.last_match_id += 1;
        owner.add_prevented(prevented.clone(), history_max);
        self.lose(maker, maker_prevented, true, &prevented, events);
        self.lose(taker, taker_prevented, false, &prevented, events);
    }

    /// Takes the prevented quantity from one of the two orders, and its life where nothing is left.
    fn lose(
        &mut self,
        view: &OrderView,
        quantity: Quantity,
        is_waiting: bool,
        prevented: &PreventedMatch,
        events: &mut Vec<ModelEvent>,
    ) {
        if !quantity.is_positive() {
            return;
        }
        let (account, symbol, id, now) = (&view.account, &view.symbol, view.order_id, prevented.time);
        self.end_sibling(account, symbol, id, now, events);
        let Ok((state, owner)) = self.pair(account, symbol) else { return };
        let Some(order) = owner.order_mut(symbol, id) else { return };
        let before = order.clone();
        order.prevented_quantity += quantity;
        order.prevented_match = Some(prevented.match_id);
        order.updated = now;
        let after = order.clone();
        if is_waiting {
            let (asset, held) = needed(&before, &state.instrument);
            owner.lock(&asset, needed(&after, &state.instrument).1 - held);
        }
        let is_done = !after.remaining().is_positive();
        let told = events.len();
        if is_done {
            self.end_untold(account, symbol, id, Ending::Prevented, now, events);
        }
        let order = self.book(account, symbol).and_then(|book| book.orders.get(&id)).cloned().unwrap_or(after);
        let event = ModelEvent::Prevented { account: account.clone(), order, prevented: prevented.clone() };
        // It comes before what followed from it.
        events.insert(told, event);
        self.tell_balances(account, symbol, events);
    }
}
