//! Taking, filling and ending orders: the only code that moves balances between orders and accounts.
//!
//! It must never fill an order beyond its quantity, nor leave anything locked for an order that is done.

use domain::{
    ExchangeOrderId, ExchangeOrderStatus, Fill, OrderType, Price, Quantity, Side, Symbol, TimeInForce, Timestamp,
    TradeId,
};
use rust_decimal::RoundingStrategy;

use super::account::{Account, amount, needed};
use super::check::Meeting;
use super::order::{ExpiryReason, OrderView};
use super::symbol::SymbolState;
use super::types::{AccountId, ExecutionKind, ModelEvent};
use super::{Model, Refusal};

/// Decimals of a commission.
const COMMISSION_SCALE: u32 = 8;

/// One trade of one order that is about to be booked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Execution {
    pub(super) id: ExchangeOrderId,
    pub(super) price: Price,
    pub(super) quantity: Quantity,
    pub(super) is_maker: bool,
    pub(super) now: Timestamp,
}

/// How an order ends without having been filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// By its owner.
    Canceled,
    /// By the exchange.
    Expired(ExpiryReason),
    /// By self-trade prevention, which tells of it itself.
    Prevented,
}

impl Model {
    pub(super) fn pair(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
    ) -> Result<(&mut SymbolState, &mut Account), Refusal> {
        let state = self.symbols.get_mut(symbol).ok_or_else(|| Refusal::invalid_symbol(symbol))?;
        let account = self.accounts.get_mut(account).ok_or_else(Refusal::unknown_account)?;
        Ok((state, account))
    }

    /// The order as it is now, if it has not ended.
    pub(super) fn open_view(&self, account: &AccountId, symbol: &Symbol, id: ExchangeOrderId) -> Option<OrderView> {
        self.book(account, symbol)?.orders.get(&id).filter(|order| !order.status.is_final()).cloned()
    }

    /// Lets an order that holds no funds meet the book.
    pub(super) fn meet_book(
        &mut self,
        view: &OrderView,
        meeting: Meeting,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) {
        let (account, symbol, id) = (&view.account, &view.symbol, view.order_id);
        match meeting {
            Meeting::Take => self.take(view, now, events),
            Meeting::Rest => self.rest(view, now, events),
            Meeting::Wait => {
                self.enter(view);
                self.tell_balances(account, symbol, events);
            }
            Meeting::Expire(reason) => self.end(account, symbol, id, Ending::Expired(reason), now, events),
        }
    }

    /// Takes what the book offers; what is left rests, or ends.
    fn take(&mut self, view: &OrderView, now: Timestamp, events: &mut Vec<ModelEvent>) {
        let (account, symbol, id) = (&view.account, &view.symbol, view.order_id);
        let Some(state) = self.symbols.get(symbol) else { return };
        for (price, offered) in self.offers(state, view.side, view.price, view.remaining()) {
            if !self.prevent(account, symbol, id, price, now, events) {
                return;
            }
            let Some(open) = self.open_view(account, symbol, id) else { return };
            let quantity = offered.min(open.remaining());
            if quantity.is_positive() {
                let execution = Execution { id, price, quantity, is_maker: false, now };
                self.execute(account, symbol, execution, events);
            }
        }
        let Some(left) = self.open_view(account, symbol, id) else { return };
        let reason = match (view.price, view.time_in_force) {
            (None, _) => ExpiryReason::InsufficientLiquidity,
            (Some(_), TimeInForce::Ioc) => ExpiryReason::UnfilledIocQuantityExpired,
            (Some(_), TimeInForce::Fok) => ExpiryReason::UnfilledFokOrderExpired,
            (Some(_), TimeInForce::Gtc) => return self.rest(&left, now, events),
        };
        self.end(account, symbol, id, Ending::Expired(reason), now, events);
    }

    /// Puts a limit order on the book, unless it would meet one of its own account there.
    fn rest(&mut self, view: &OrderView, now: Timestamp, events: &mut Vec<ModelEvent>) {
        let (account, symbol, id) = (&view.account, &view.symbol, view.order_id);
        let Some(limit) = view.price else { return };
        if !self.prevent(account, symbol, id, limit, now, events) {
            return;
        }
        if let Some(open) = self.open_view(account, symbol, id) {
            self.enter(&open);
            self.tell_balances(account, symbol, events);
        }
    }

    /// Locks what the order needs and lets it wait.
    pub(super) fn enter(&mut self, view: &OrderView) {
        let Ok((state, owner)) = self.pair(&view.account, &view.symbol) else { return };
        let (asset, need) = needed(view, &state.instrument);
        owner.lock(&asset, need);
        state.add(view);
    }

    /// Lets a pair wait; the two hold the larger need once.
    pub(super) fn enter_pair(&mut self, one: &OrderView, other: &OrderView) {
        let Ok((state, owner)) = self.pair(&one.account, &one.symbol) else { return };
        let (asset, need) = needed(one, &state.instrument);
        owner.lock(&asset, need.max(needed(other, &state.instrument).1));
        state.add(one);
        state.add(other);
    }

    /// Takes an order out of where it waits and gives back what it held, if it does wait.
    pub(super) fn leave(&mut self, view: &OrderView) {
        let Ok((state, owner)) = self.pair(&view.account, &view.symbol) else { return };
        if state.remove(view) {
            let (asset, held) = owner.released(view, &state.instrument);
            owner.lock(&asset, -held);
        }
    }

    /// Ends an order that has not ended yet, with what depends on it.
    pub(super) fn end(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        id: ExchangeOrderId,
        ending: Ending,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) {
        if self.end_untold(account, symbol, id, ending, now, events) {
            self.tell_balances(account, symbol, events);
        }
    }

    /// As [`Model::end`] without telling of balances; whether there was anything to end.
    pub(super) fn end_untold(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        id: ExchangeOrderId,
        ending: Ending,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> bool {
        let Some(view) = self.open_view(account, symbol, id) else { return false };
        self.leave(&view);
        let history_max = self.history_max;
        let Ok((_, owner)) = self.pair(account, symbol) else { return false };
        let Some(order) = owner.order_mut(symbol, id) else { return false };
        order.updated = now;
        let execution = match ending {
            Ending::Canceled => {
                order.status = ExchangeOrderStatus::Canceled;
                Some(ExecutionKind::Canceled)
            }
            Ending::Expired(reason) => {
                order.status = ExchangeOrderStatus::Expired;
                order.expiry_reason = Some(reason);
                Some(ExecutionKind::Expired)
            }
            Ending::Prevented => {
                order.status = ExchangeOrderStatus::ExpiredInMatch;
                None
            }
        };
        let order = order.clone();
        if let Some(execution) = execution {
            events.push(ModelEvent::Order { account: account.clone(), order: order.clone(), execution });
        }
        self.end_dependants(&order, ending, now, events);
        if let Some(owner) = self.accounts.get_mut(account) {
            owner.finish_order(symbol, id, history_max);
        }
        true
    }

    pub(super) fn tell_balances(&self, account: &AccountId, symbol: &Symbol, events: &mut Vec<ModelEvent>) {
        if let Some(state) = self.symbols.get(symbol) {
            let assets = vec![state.instrument.base.clone(), state.instrument.quote.clone()];
            events.push(ModelEvent::Balances { account: account.clone(), assets });
        }
    }

    /// Books one trade: order, balances, commission, history. A maker's funds are unlocked here, a taker's are free.
    pub(super) fn execute(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        execution: Execution,
        events: &mut Vec<ModelEvent>,
    ) {
        let Execution { id, price, quantity, is_maker, now } = execution;
        self.end_sibling(account, symbol, id, now, events);
        let (fee, history_max) = (self.fee(is_maker), self.history_max);
        let Ok((state, owner)) = self.pair(account, symbol) else { return };
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
            if is_done {
                state.remove(&after);
            }
        }
        state.last_trade_id += 1;
        let fill = settle(owner, state, &after, execution, fee);
        owner.add_trade(fill.clone(), history_max);
        if is_done {
            owner.finish_order(symbol, id, history_max);
        }
        events.push(ModelEvent::Fill { account: account.clone(), fill, order: after.clone() });
        self.tell_balances(account, symbol, events);
        if is_done {
            self.filled(&after, now, events);
        }
    }

    fn fee(&self, is_maker: bool) -> domain::Ratio {
        if is_maker { self.settings.maker_fee } else { self.settings.taker_fee }
    }

    /// Whether the account can pay for what a triggered order takes now.
    pub(super) fn can_pay(&self, view: &OrderView) -> bool {
        let (Some(state), Some(owner)) = (self.symbols.get(&view.symbol), self.accounts.get(&view.account)) else {
            return false;
        };
        match view.side {
            Side::Sell => view.remaining() <= owner.free(&state.instrument.base),
            Side::Buy => {
                let offers = self.offers(state, view.side, view.price, view.remaining());
                let cost = match view.order_type {
                    OrderType::Market | OrderType::StopLoss | OrderType::TakeProfit => {
                        offers.iter().map(|(price, quantity)| price.times(*quantity)).sum()
                    }
                    OrderType::Limit
                    | OrderType::LimitMaker
                    | OrderType::StopLossLimit
                    | OrderType::TakeProfitLimit => {
                        view.price.map_or(domain::Notional::ZERO, |price| price.times(view.remaining()))
                    }
                };
                amount(cost) <= owner.free(&state.instrument.quote)
            }
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
