//! Placing, cancelling, filling and triggering orders: the only code that moves balances between orders and accounts.
//!
//! It must never fill an order beyond its quantity, nor leave anything locked for an order that is done.

use std::cmp::Reverse;

use domain::{ExchangeOrderId, ExchangeOrderStatus, Fill, Price, Quantity, Side, Symbol, Timestamp, Trade, TradeId};
use rust_decimal::RoundingStrategy;

use super::account::{Account, amount, needed};
use super::check::{Checked, Meeting};
use super::symbol::SymbolState;
use super::types::{AccountId, ExecutionKind, ModelEvent, NewOrder, OrderRef, OrderView};
use super::{Model, Refusal};

/// Decimals of a commission.
const COMMISSION_SCALE: u32 = 8;

/// One trade of one order that is about to be booked.
#[derive(Debug, Clone, Copy)]
struct Execution {
    id: ExchangeOrderId,
    price: Price,
    quantity: Quantity,
    is_maker: bool,
    now: Timestamp,
}

impl Model {
    /// Places an order: it fills, rests, waits for its trigger, or expires at once.
    ///
    /// # Errors
    /// The exchange's refusal; nothing has changed then.
    pub fn place(
        &mut self,
        account: &AccountId,
        order: &NewOrder,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<OrderView, Refusal> {
        let checked = self.check(account, order)?;
        let (state, owner) = self.pair(account, &order.symbol)?;
        state.last_order_id += 1;
        let view = view(account, order, &checked, ExchangeOrderId(state.last_order_id), now);
        owner.add_order(view.clone());
        events.push(ModelEvent::Order { account: account.clone(), order: view.clone(), execution: ExecutionKind::New });
        self.meet_book(account, &view, checked.meeting, now, events);
        self.order(account, &order.symbol, &OrderRef::Exchange(view.order_id))
    }

    /// Cancels an open order.
    ///
    /// # Errors
    /// The account or symbol is unknown, or no such order is open.
    pub fn cancel(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        order: &OrderRef,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<OrderView, Refusal> {
        self.known(account, symbol)?;
        let found = self.book(account, symbol).and_then(|book| book.find(order)).filter(|it| !it.status.is_final());
        let view = found.cloned().ok_or_else(Refusal::unknown_order)?;
        self.leave(account, &view);
        self.finish(account, &view, ExecutionKind::Canceled, now, events);
        self.order(account, symbol, &OrderRef::Exchange(view.order_id))
    }

    /// Cancels all open orders of a symbol.
    ///
    /// # Errors
    /// The account or symbol is unknown, or nothing is open.
    pub fn cancel_all(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<Vec<OrderView>, Refusal> {
        self.known(account, symbol)?;
        let open = self.open_orders(account, Some(symbol));
        if open.is_empty() {
            return Err(Refusal::unknown_order());
        }
        open.iter().map(|view| self.cancel(account, symbol, &OrderRef::Exchange(view.order_id), now, events)).collect()
    }

    fn pair(&mut self, account: &AccountId, symbol: &Symbol) -> Result<(&mut SymbolState, &mut Account), Refusal> {
        let state = self.symbols.get_mut(symbol).ok_or_else(|| Refusal::invalid_symbol(symbol))?;
        let account = self.accounts.get_mut(account).ok_or_else(Refusal::unknown_account)?;
        Ok((state, account))
    }

    /// Lets an order that holds no funds meet the book.
    fn meet_book(
        &mut self,
        account: &AccountId,
        view: &OrderView,
        meeting: Meeting,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) {
        match meeting {
            Meeting::Take(price) => {
                let quantity = view.remaining();
                self.execute(
                    account,
                    &view.symbol,
                    Execution { id: view.order_id, price, quantity, is_maker: false, now },
                    events,
                );
            }
            Meeting::Rest | Meeting::Wait => {
                self.enter(account, view);
                self.tell_balances(account, &view.symbol, events);
            }
            Meeting::Expire => self.finish(account, view, ExecutionKind::Expired, now, events),
        }
    }

    /// Locks what the order needs and puts it where it waits.
    fn enter(&mut self, account: &AccountId, view: &OrderView) {
        let Ok((state, owner)) = self.pair(account, &view.symbol) else { return };
        let (asset, need) = needed(view, &state.instrument);
        owner.lock(&asset, need);
        if let Some((waiting, price)) = state.waiting_mut(view) {
            waiting.insert((price, view.order_id, account.clone()));
        }
    }

    /// The reverse of [`Model::enter`].
    fn leave(&mut self, account: &AccountId, view: &OrderView) {
        let Ok((state, owner)) = self.pair(account, &view.symbol) else { return };
        let (asset, need) = needed(view, &state.instrument);
        owner.lock(&asset, -need);
        if let Some((waiting, price)) = state.waiting_mut(view) {
            waiting.remove(&(price, view.order_id, account.clone()));
        }
    }

    /// Ends an order that holds no funds and is on no book.
    fn finish(
        &mut self,
        account: &AccountId,
        view: &OrderView,
        execution: ExecutionKind,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) {
        let history_max = self.history_max;
        let Ok((_, owner)) = self.pair(account, &view.symbol) else { return };
        let Some(order) = owner.order_mut(&view.symbol, view.order_id) else { return };
        order.updated = now;
        order.status = match execution {
            ExecutionKind::Canceled => ExchangeOrderStatus::Canceled,
            _ => ExchangeOrderStatus::Expired,
        };
        let order = order.clone();
        owner.finish_order(&view.symbol, view.order_id, history_max);
        events.push(ModelEvent::Order { account: account.clone(), order, execution });
        self.tell_balances(account, &view.symbol, events);
    }

    fn tell_balances(&self, account: &AccountId, symbol: &Symbol, events: &mut Vec<ModelEvent>) {
        if let Some(state) = self.symbols.get(symbol) {
            let assets = vec![state.instrument.base.clone(), state.instrument.quote.clone()];
            events.push(ModelEvent::Balances { account: account.clone(), assets });
        }
    }

    /// Books one trade: order, balances, commission, history. A maker's funds are unlocked here, a taker's are free.
    fn execute(&mut self, account: &AccountId, symbol: &Symbol, execution: Execution, events: &mut Vec<ModelEvent>) {
        let (settings, history_max) = (self.settings.clone(), self.history_max);
        let Ok((state, owner)) = self.pair(account, symbol) else { return };
        let Execution { id, price, quantity, is_maker, now } = execution;
        let Some(order) = owner.order_mut(symbol, id) else { return };
        let before = order.clone();
        order.executed_quantity += quantity;
        order.cumulative_quote += price.times(quantity);
        order.updated = now;
        let is_done = !order.remaining().is_positive();
        order.status = if is_done { ExchangeOrderStatus::Filled } else { ExchangeOrderStatus::PartiallyFilled };
        let after = order.clone();
        if is_maker {
            let (asset, held) = needed(&before, &state.instrument);
            owner.lock(&asset, needed(&after, &state.instrument).1 - held);
            if is_done && let Some((waiting, at)) = state.waiting_mut(&after) {
                waiting.remove(&(at, id, account.clone()));
            }
        }
        state.last_trade_id += 1;
        let fee = if is_maker { settings.maker_fee } else { settings.taker_fee };
        let fill = settle(owner, state, &after, execution, fee);
        owner.add_trade(fill.clone(), history_max);
        if is_done {
            owner.finish_order(symbol, id, history_max);
        }
        events.push(ModelEvent::Fill { account: account.clone(), fill, order: after });
        self.tell_balances(account, symbol, events);
    }

    /// A trade that touches somebody: resting orders first, then triggers.
    pub(super) fn match_trade(&mut self, trade: &Trade, events: &mut Vec<ModelEvent>) {
        let Some(state) = self.symbols.get(&trade.symbol) else { return };
        let mut bids = touched(state.bids.iter().rev(), |price| price >= trade.price);
        bids.sort_by_key(|(price, id, _)| (Reverse(*price), *id));
        let asks = touched(state.asks.iter(), |price| price <= trade.price);
        let mut stops = touched(state.above.iter(), |price| price <= trade.price);
        stops.extend(touched(state.below.iter().rev(), |price| price >= trade.price));
        stops.sort_by_key(|(_, id, _)| *id);
        let mut left = trade.quantity;
        for (price, id, account) in bids.into_iter().chain(asks) {
            self.fill_resting(trade, price, id, &account, &mut left, events);
        }
        for (_, id, account) in stops {
            self.trigger(&trade.symbol, &account, id, trade.time, events);
        }
    }

    fn fill_resting(
        &mut self,
        trade: &Trade,
        price: Price,
        id: ExchangeOrderId,
        account: &AccountId,
        left: &mut Quantity,
        events: &mut Vec<ModelEvent>,
    ) {
        let Some(open) = self.book(account, &trade.symbol).and_then(|book| book.orders.get(&id)) else { return };
        let mut quantity = open.remaining();
        if price == trade.price {
            quantity = quantity.min(*left);
            *left -= quantity;
        }
        if quantity.is_positive() {
            let execution = Execution { id, price, quantity, is_maker: true, now: trade.time };
            self.execute(account, &trade.symbol, execution, events);
        }
    }

    /// Puts a stop to work: it gives back its funds and meets the book anew.
    fn trigger(
        &mut self,
        symbol: &Symbol,
        account: &AccountId,
        id: ExchangeOrderId,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) {
        let Some(view) = self.book(account, symbol).and_then(|book| book.orders.get(&id)).cloned() else { return };
        self.leave(account, &view);
        let view = OrderView { working: true, working_time: Some(now), updated: now, ..view };
        let Ok((_, owner)) = self.pair(account, symbol) else { return };
        if let Some(order) = owner.order_mut(symbol, id) {
            *order = view.clone();
        }
        events.push(ModelEvent::Order { account: account.clone(), order: view.clone(), execution: ExecutionKind::New });
        let Some(state) = self.symbols.get(symbol) else { return };
        let mut meeting = self.meet(state, view.side, view.price, view.time_in_force);
        if let Meeting::Take(price) = meeting
            && !self.can_pay(account, &view, price)
        {
            meeting = Meeting::Expire;
        }
        self.meet_book(account, &view, meeting, now, events);
    }

    fn can_pay(&self, account: &AccountId, view: &OrderView, price: Price) -> bool {
        let (Some(state), Some(owner)) = (self.symbols.get(&view.symbol), self.accounts.get(account)) else {
            return false;
        };
        match view.side {
            Side::Sell => view.remaining() <= owner.free(&state.instrument.base),
            Side::Buy => amount(price.times(view.remaining())) <= owner.free(&state.instrument.quote),
        }
    }
}

/// Moves the balances of one trade from free to free, and makes its record.
fn settle(
    owner: &mut Account,
    state: &SymbolState,
    order: &OrderView,
    execution: Execution,
    fee: domain::Ratio,
) -> Fill {
    let paid = amount(execution.price.times(execution.quantity));
    let (base, quote) = (&state.instrument.base, &state.instrument.quote);
    let (give, gives, take, takes) = match order.side {
        Side::Buy => (quote, paid, base, execution.quantity),
        Side::Sell => (base, execution.quantity, quote, paid),
    };
    let commission = takes.value().checked_mul(fee.value()).unwrap_or_default();
    let commission = commission.round_dp_with_strategy(COMMISSION_SCALE, RoundingStrategy::MidpointAwayFromZero);
    let commission = Quantity::new(commission).unwrap_or_default();
    owner.balance_mut(give).free -= gives;
    owner.balance_mut(take).free += takes - commission;
    Fill {
        trade_id: TradeId(state.last_trade_id),
        client_order_id: order.client_order_id.clone(),
        exchange_order_id: order.order_id,
        symbol: order.symbol.clone(),
        side: order.side,
        price: execution.price,
        quantity: execution.quantity,
        commission,
        commission_asset: take.clone(),
        is_maker: execution.is_maker,
        time: execution.now,
    }
}

fn touched<'a>(
    waiting: impl Iterator<Item = &'a (Price, ExchangeOrderId, AccountId)>,
    is_touched: impl Fn(Price) -> bool,
) -> Vec<(Price, ExchangeOrderId, AccountId)> {
    waiting.take_while(|(price, ..)| is_touched(*price)).cloned().collect()
}

fn view(
    account: &AccountId,
    order: &NewOrder,
    checked: &Checked,
    order_id: ExchangeOrderId,
    now: Timestamp,
) -> OrderView {
    let working = checked.meeting != Meeting::Wait;
    OrderView {
        account: account.clone(),
        symbol: order.symbol.clone(),
        order_id,
        client_order_id: order.client_order_id.clone(),
        side: order.side,
        order_type: order.order_type,
        time_in_force: checked.time_in_force,
        price: checked.price,
        stop_price: checked.stop_price,
        orig_quantity: checked.quantity,
        quote_quantity: order.quote_quantity,
        executed_quantity: Quantity::ZERO,
        cumulative_quote: domain::Notional::ZERO,
        status: ExchangeOrderStatus::New,
        created: now,
        updated: now,
        working,
        working_time: working.then_some(now),
    }
}
