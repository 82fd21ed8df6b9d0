//! The paper account: the simulator's model as an exchange of its own, in this process.
//!
//! It must never tell of a change before the change is in [`PaperAccount::changed`]: the composition makes it durable first, so
//! that after a crash the book can only be behind the account, never ahead, and recovery catches up.

use std::collections::BTreeMap;

use domain::{
    Asset, ClientOrderId, ExecutionEvent, Fill, Instrument, MarketEvent, Notional, OrderReport, OrderSpec, Quantity,
    Side, Symbol, Timestamp, TradeId,
};
use engine::SnapshotRequest;
use exchange::{Action, CancelOutcome, RequestError, RequestErrorKind, SubmitOutcome};
use ledger::reconcile::ExchangeSnapshot;
use risk::{ApprovedOrder, SafetyLatch};
use simulator::model::{AccountId, Model, ModelEvent, ModelSettings, NewOrder, OrderRef, OrderView, Refusal};

/// Finished orders and trades that the account remembers: a restart never needs more than what the journal had not yet
/// taken.
const HISTORY_MAX: usize = 64;
/// Trades in one answer.
const TRADES_PAGE: usize = 1000;

/// One account on a simulated exchange.
#[derive(Debug)]
pub struct PaperAccount {
    model: Model,
    account: AccountId,
    events: Vec<ModelEvent>,
    changed: bool,
}

impl PaperAccount {
    /// A new account with `cash` of `currency`, on an exchange that trades `instruments`.
    #[must_use]
    pub fn open(settings: ModelSettings, instruments: Vec<Instrument>, currency: &Asset, cash: Notional) -> Self {
        let amount = Quantity::new(cash.value()).unwrap_or_default();
        Self::open_like(settings, instruments, &BTreeMap::from([(currency.clone(), amount)]))
    }

    /// A new account that holds what `held` says, by asset: a copy of a real one.
    #[must_use]
    pub fn open_like(settings: ModelSettings, instruments: Vec<Instrument>, held: &BTreeMap<Asset, Quantity>) -> Self {
        let mut model = Model::new(settings, instruments);
        let account = AccountId::new("paper");
        model.add_account(&account);
        model.set_history_max(HISTORY_MAX);
        for (asset, amount) in held {
            // A new account of the model takes any deposit above zero; of what there is none it stays empty.
            let _ = model.deposit(&account, asset, *amount, Timestamp::EPOCH);
        }
        Self { model, account, events: Vec::new(), changed: true }
    }

    /// The account as [`PaperAccount::state`] gave it.
    ///
    /// # Errors
    /// Where the text is not such a state.
    pub fn restore(state: &str) -> Result<Self, serde_json::Error> {
        let model = serde_json::from_str(state)?;
        Ok(Self { model, account: AccountId::new("paper"), events: Vec::new(), changed: false })
    }

    /// All that must survive a restart, as JSON.
    #[must_use]
    pub fn state(&self) -> String {
        serde_json::to_string(&self.model).expect("invariant: the model serializes")
    }

    /// Whether anything changed since the last time this was asked: then the state must be kept before anything is told.
    pub fn changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// More cash (above zero) or less.
    pub fn deposit(&mut self, currency: &Asset, amount: Notional, now: Timestamp) {
        let amount = Quantity::new(amount.value()).unwrap_or_default();
        if self.model.deposit(&self.account, currency, amount, now).is_ok() {
            self.changed = true;
        }
    }

    /// The market moved: resting orders may fill. `told` gets what happened.
    pub fn market(&mut self, event: &MarketEvent, told: &mut Vec<ExecutionEvent>) {
        match event {
            MarketEvent::Trade(trade) => self.model.on_trade(trade, &mut self.events),
            MarketEvent::Quote(quote) => self.model.on_quote(quote, &mut self.events),
            MarketEvent::Candle(_) => return,
        }
        if !self.events.is_empty() {
            self.tell(told);
        }
    }

    fn tell(&mut self, told: &mut Vec<ExecutionEvent>) {
        self.changed = true;
        for event in self.events.drain(..) {
            match event {
                ModelEvent::Order { order, .. } => told.push(ExecutionEvent::Report(report(&order))),
                ModelEvent::Fill { fill, order, .. } => {
                    told.push(ExecutionEvent::Fill(fill));
                    told.push(ExecutionEvent::Report(report(&order)));
                }
                ModelEvent::Prevented { order, .. } | ModelEvent::Amended { order, .. } => {
                    told.push(ExecutionEvent::Report(report(&order)));
                }
                ModelEvent::List { .. }
                | ModelEvent::Balances { .. }
                | ModelEvent::BalanceUpdate { .. }
                | ModelEvent::ExternalLock { .. } => {}
            }
        }
    }

    /// Releases `order` and places it. `told` gets what happened beyond the answer.
    pub fn submit(
        &mut self,
        order: ApprovedOrder,
        latch: &SafetyLatch,
        now: Timestamp,
        told: &mut Vec<ExecutionEvent>,
    ) -> SubmitOutcome {
        let released = match order.release(latch, now) {
            Ok(released) => released,
            Err(not_released) => return SubmitOutcome::NotReleased(not_released),
        };
        let stop = new_order(released.spec());
        let (account, events) = (&self.account, &mut self.events);
        let placed = match released.oco_leg().map(new_order) {
            None => self.model.place(account, &stop, now, events).map(|view| vec![view]),
            Some(target) => {
                // Of a list that sells, the target is above the price and the stop below; of one that buys, mirrored.
                let (above, below) = if stop.side == Side::Sell { (&target, &stop) } else { (&stop, &target) };
                let list = &stop.client_order_id;
                self.model.place_oco(account, above, below, list, now, events).map(|placed| placed.orders)
            }
        };
        match placed {
            Ok(views) => {
                self.tell(told);
                SubmitOutcome::Accepted(views.iter().map(report).collect(), Vec::new())
            }
            Err(refusal) => SubmitOutcome::Refused(refused("place an order", &refusal)),
        }
    }

    /// Cancels an order.
    pub fn cancel(
        &mut self,
        symbol: &Symbol,
        id: &ClientOrderId,
        now: Timestamp,
        told: &mut Vec<ExecutionEvent>,
    ) -> CancelOutcome {
        let order = OrderRef::Client(id.clone());
        match self.model.cancel(&self.account, symbol, &order, now, &mut self.events) {
            Ok(view) => {
                self.tell(told);
                CancelOutcome::Canceled(report(&view))
            }
            Err(_) => CancelOutcome::NotOpen,
        }
    }

    /// What the account knows of an order.
    #[must_use]
    pub fn order(&self, symbol: &Symbol, id: &ClientOrderId) -> Option<OrderReport> {
        let order = OrderRef::Client(id.clone());
        self.model.order(&self.account, symbol, &order).ok().map(|view| report(&view))
    }

    /// All open orders.
    #[must_use]
    pub fn open_orders(&self) -> Vec<OrderReport> {
        self.model.open_orders(&self.account, None).iter().map(report).collect()
    }

    /// Free plus locked, by asset.
    #[must_use]
    pub fn balances(&self) -> BTreeMap<Asset, Quantity> {
        let balances = self.model.balances(&self.account);
        balances.iter().map(|(asset, balance)| (asset.clone(), balance.free + balance.locked)).collect()
    }

    /// Trades on `symbol` after `after`, oldest first.
    #[must_use]
    pub fn trades_after(&self, symbol: &Symbol, after: Option<TradeId>) -> Vec<Fill> {
        let mut from = TradeId(after.map_or(0, |id| id.0 + 1));
        let mut trades = Vec::new();
        loop {
            let page = self.model.trades(&self.account, symbol, Some(from), TRADES_PAGE);
            let full = page.len() == TRADES_PAGE;
            if let Some(last) = page.last() {
                from = TradeId(last.trade_id.0 + 1);
            }
            trades.extend(page);
            if !full {
                return trades;
            }
        }
    }

    /// Everything that a reconciliation asks for, at one moment.
    #[must_use]
    pub fn snapshot(&self, request: &SnapshotRequest, now: Timestamp) -> ExchangeSnapshot {
        ExchangeSnapshot {
            balances: self.balances(),
            open_orders: self.open_orders(),
            asked: request.orders.iter().map(|(symbol, id)| (id.clone(), self.order(symbol, id))).collect(),
            trades: request.trades_after.iter().flat_map(|(symbol, after)| self.trades_after(symbol, *after)).collect(),
            time: now,
        }
    }
}

fn new_order(spec: &OrderSpec) -> NewOrder {
    let (id, symbol) = (spec.client_order_id.clone(), spec.symbol.clone());
    NewOrder {
        price: spec.price,
        stop_price: spec.stop_price,
        // An exchange takes no time in force with the types that need none.
        time_in_force: spec.order_type.has_limit().then_some(spec.time_in_force),
        ..NewOrder::new(id, symbol, spec.side, spec.order_type, spec.quantity)
    }
}

fn report(view: &OrderView) -> OrderReport {
    OrderReport {
        client_order_id: view.client_order_id.clone(),
        exchange_order_id: Some(view.order_id),
        symbol: view.symbol.clone(),
        status: view.status.clone(),
        executed_quantity: view.executed_quantity,
        time: view.updated,
        detail: None,
    }
}

fn refused(request: &str, refusal: &Refusal) -> RequestError {
    RequestError {
        request: request.to_owned(),
        kind: RequestErrorKind::Refused,
        code: Some(refusal.code),
        reason: None,
        action: Action::Report,
        detail: refusal.message.clone(),
        retry_after_s: None,
    }
}
