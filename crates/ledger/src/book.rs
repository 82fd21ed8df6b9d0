//! The ledger: every instance's book, every order that is not long done, and the sums over family and portfolio.
//!
//! One writer owns it. It must never book a trade twice, nor a fill to an instance that the order's id does not name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::{
    Asset, ClientOrderId, CorrelationId, FamilyId, Fill, InstanceId, Instrument, Notional, OrderReport, OrderSpec,
    OwnOrderId, Price, Quantity, Symbol, Timestamp, TradeId,
};
use serde::{Deserialize, Serialize};

use crate::{EquityTracker, Fee, InstanceBook, Order, OrderEnd, Position, RoundTrip, SeenTrades};

/// Finished orders kept in memory; older ones are in the store.
const FINISHED_KEPT: usize = 2_000;

/// One instance as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSetup {
    /// Its id.
    pub id: InstanceId,
    /// Its family.
    pub family: FamilyId,
    /// Its capital, in the portfolio's currency.
    pub capital: Notional,
}

/// Why a fill cannot be booked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The order's id names no instance of ours.
    #[error("trade {trade} of {symbol} belongs to order {order}, which is of no configured instance")]
    Foreign {
        /// The order's id.
        order: ClientOrderId,
        /// The market.
        symbol: Symbol,
        /// The trade.
        trade: TradeId,
    },
    /// The commission is in an asset whose price is not known.
    #[error("the commission of trade {trade} is in {asset}, whose price in {currency} is not known")]
    FeeUnpriced {
        /// The trade.
        trade: TradeId,
        /// What the commission is in.
        asset: Asset,
        /// What it should be valued in.
        currency: Asset,
    },
}

/// What booking a fill changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// Whose fill it was.
    pub instance: InstanceId,
    /// The position after it.
    pub position: Position,
    /// A round trip that it closed.
    pub closed: Option<RoundTrip>,
}

#[derive(Debug, Clone, Default)]
struct SymbolBook {
    mark: Option<(Price, Timestamp)>,
    /// Instances that hold something of it.
    holders: BTreeSet<InstanceId>,
}

/// The ledger of one portfolio. Amounts in its currency.
#[derive(Debug, Clone)]
pub struct Ledger {
    currency: Asset,
    instances: BTreeMap<InstanceId, InstanceBook>,
    families: BTreeMap<FamilyId, EquityTracker>,
    portfolio: EquityTracker,
    /// Orders of which something is still expected.
    open: BTreeMap<ClientOrderId, Order>,
    /// Orders that are done, the newest of them, and the order in which they were done.
    finished: BTreeMap<ClientOrderId, Order>,
    finished_queue: VecDeque<ClientOrderId>,
    symbols: BTreeMap<Symbol, SymbolBook>,
    seen: BTreeMap<Symbol, SeenTrades>,
    booked: u64,
}

/// All that a ledger must get back after a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LedgerState {
    /// The instances' books.
    pub instances: Vec<InstanceBook>,
    /// Peaks and bases of the families.
    pub families: BTreeMap<FamilyId, EquityTracker>,
    /// Peaks and bases of the portfolio.
    pub portfolio: Option<EquityTracker>,
    /// Orders that are not final.
    pub orders: Vec<Order>,
    /// Trades booked.
    pub seen: BTreeMap<Symbol, SeenTrades>,
    /// Last marks.
    pub marks: BTreeMap<Symbol, (Price, Timestamp)>,
}

impl Ledger {
    /// A ledger of `setups`, continued from `state`. An instance that the state knows keeps its book, whatever capital
    /// the configuration now gives it; one that the state does not know begins with its capital. An instance with a
    /// book but no configuration keeps its book and counts in the sums.
    #[must_use]
    pub fn new(currency: Asset, setups: &[InstanceSetup], state: LedgerState) -> Self {
        let mut instances: BTreeMap<_, _> = state.instances.into_iter().map(|book| (book.id.clone(), book)).collect();
        let mut families = state.families;
        let mut portfolio = state.portfolio.unwrap_or_else(|| EquityTracker::new(Notional::ZERO));
        for setup in setups {
            if !instances.contains_key(&setup.id) {
                let book = InstanceBook::new(setup.id.clone(), setup.family.clone(), setup.capital);
                families
                    .entry(setup.family.clone())
                    .or_insert_with(|| EquityTracker::new(Notional::ZERO))
                    .flow(setup.capital);
                portfolio.flow(setup.capital);
                instances.insert(setup.id.clone(), book);
            }
        }
        let mut symbols: BTreeMap<Symbol, SymbolBook> = BTreeMap::new();
        for (symbol, mark) in state.marks {
            symbols.entry(symbol).or_default().mark = Some(mark);
        }
        for book in instances.values_mut() {
            let held = book.positions.values().filter(|position| !position.quantity().is_zero());
            for symbol in held.map(Position::symbol) {
                symbols.entry(symbol.clone()).or_default().holders.insert(book.id.clone());
            }
            // Books and marks may have been kept at different moments: what is open is valued anew.
            book.revalue(|symbol| symbols.get(symbol)?.mark.map(|(mark, _)| mark));
        }
        resume_sums(&instances, &mut families, &mut portfolio);
        let open = state.orders.into_iter().map(|order| (order.id().clone(), order)).collect();
        let (finished, finished_queue) = (BTreeMap::new(), VecDeque::new());
        Self {
            currency,
            instances,
            families,
            portfolio,
            open,
            finished,
            finished_queue,
            symbols,
            seen: state.seen,
            booked: 0,
        }
    }

    /// What everything is counted in.
    #[must_use]
    pub const fn currency(&self) -> &Asset {
        &self.currency
    }

    /// All books, by instance.
    pub fn instances(&self) -> impl Iterator<Item = &InstanceBook> {
        self.instances.values()
    }

    /// The book of one instance.
    #[must_use]
    pub fn instance(&self, id: &InstanceId) -> Option<&InstanceBook> {
        self.instances.get(id)
    }

    /// Peaks and bases by family.
    #[must_use]
    pub const fn families(&self) -> &BTreeMap<FamilyId, EquityTracker> {
        &self.families
    }

    /// Peaks and bases of the portfolio.
    #[must_use]
    pub const fn portfolio(&self) -> &EquityTracker {
        &self.portfolio
    }

    /// The last mark of `symbol` and its time.
    #[must_use]
    pub fn mark(&self, symbol: &Symbol) -> Option<(Price, Timestamp)> {
        self.symbols.get(symbol)?.mark
    }

    /// An order that is not long done.
    #[must_use]
    pub fn order(&self, id: &ClientOrderId) -> Option<&Order> {
        self.open.get(id).or_else(|| self.finished.get(id))
    }

    /// Orders of which something is still expected: not final, or with fills reported that no trade has told.
    pub fn open_orders(&self) -> impl Iterator<Item = &Order> {
        self.open.values()
    }

    /// Trades booked since this ledger was made.
    #[must_use]
    pub const fn booked(&self) -> u64 {
        self.booked
    }

    /// Whether a trade was booked.
    #[must_use]
    pub fn is_booked(&self, symbol: &Symbol, trade: TradeId) -> bool {
        self.seen.get(symbol).is_some_and(|seen| seen.contains(trade))
    }

    /// The newest trade booked of `symbol`.
    #[must_use]
    pub fn trade_watermark(&self, symbol: &Symbol) -> Option<TradeId> {
        self.seen.get(symbol)?.watermark()
    }

    /// An order is meant: from now on it counts at its worst case.
    pub fn intend(&mut self, spec: OrderSpec, correlation_id: CorrelationId, now: Timestamp) -> &Order {
        let id = spec.client_order_id.clone();
        self.open.entry(id).or_insert_with(|| Order::intended(spec, correlation_id, now))
    }

    /// It was handed to the transport.
    pub fn released(&mut self, id: &ClientOrderId, now: Timestamp) -> Option<&Order> {
        self.change(id, |order| order.released(now))
    }

    /// The transport failed after the hand-over.
    pub fn outcome_unknown(&mut self, id: &ClientOrderId, now: Timestamp) -> Option<&Order> {
        self.change(id, |order| order.outcome_unknown(now))
    }

    /// Our own conclusion that it is not on the exchange.
    pub fn concluded(&mut self, id: &ClientOrderId, end: OrderEnd, now: Timestamp) -> Option<&Order> {
        self.change(id, |order| order.concluded(end, now))
    }

    /// The exchange said where it is. `None` for an order that the ledger does not hold.
    pub fn reported(&mut self, report: &OrderReport) -> Option<&Order> {
        self.change(&report.client_order_id, |order| order.reported(report))
    }

    /// Books a trade, once: `None` if it was booked before.
    ///
    /// # Errors
    /// See [`BookError`]; nothing is changed then.
    pub fn book_fill(
        &mut self,
        fill: &Fill,
        instrument: &Instrument,
        third_asset_price: Option<Price>,
    ) -> Result<Option<Booking>, BookError> {
        if self.is_booked(&fill.symbol, fill.trade_id) {
            return Ok(None);
        }
        let foreign = || BookError::Foreign {
            order: fill.client_order_id.clone(),
            symbol: fill.symbol.clone(),
            trade: fill.trade_id,
        };
        let owner = match self.order(&fill.client_order_id) {
            Some(order) => order.spec.instance.clone(),
            None => OwnOrderId::parse(&fill.client_order_id).ok_or_else(foreign)?.instance,
        };
        let book = self.instances.get_mut(&owner).ok_or_else(foreign)?;
        let fee = Fee::of(fill, instrument, third_asset_price).ok_or_else(|| BookError::FeeUnpriced {
            trade: fill.trade_id,
            asset: fill.commission_asset.clone(),
            currency: self.currency.clone(),
        })?;
        let symbol = self.symbols.entry(fill.symbol.clone()).or_default();
        let (mark, _) = *symbol.mark.get_or_insert((fill.price, fill.time));
        let equity = book.equity();
        let closed = book.book(fill, fee, instrument, mark);
        let change = book.equity() - equity;
        book.tracker.update(book.equity(), fill.time);
        let position = book.positions[&fill.symbol].clone();
        if position.quantity().is_zero() {
            symbol.holders.remove(&owner);
        } else {
            symbol.holders.insert(owner.clone());
        }
        let family = book.family.clone();
        self.move_sums(&family, change, fill.time);
        self.seen.entry(fill.symbol.clone()).or_default().insert(fill.trade_id);
        self.booked += 1;
        self.change(&fill.client_order_id, |order| {
            order.filled(fill);
        });
        Ok(Some(Booking { instance: owner, position, closed }))
    }

    /// The price of `symbol` is `price`: open profit and loss follow. `changed` gets the instances whose equity moved.
    pub fn marked(&mut self, symbol: &Symbol, price: Price, now: Timestamp, changed: &mut Vec<InstanceId>) {
        let Some(entry) = self.symbols.get_mut(symbol) else {
            self.symbols.insert(symbol.clone(), SymbolBook { mark: Some((price, now)), holders: BTreeSet::new() });
            return;
        };
        let before = entry.mark.replace((price, now)).map(|(mark, _)| mark);
        if entry.holders.is_empty() || before == Some(price) {
            return;
        }
        for holder in &entry.holders {
            let Some(book) = self.instances.get_mut(holder) else { continue };
            let change = book.marked(symbol, before, price, now);
            if let Some(family) = self.families.get_mut(&book.family) {
                family.update(family.equity + change, now);
            }
            self.portfolio.update(self.portfolio.equity + change, now);
            changed.push(holder.clone());
        }
    }

    /// Cash comes in (above zero) or goes out of an instance. False if there is no such instance.
    pub fn flow(&mut self, instance: &InstanceId, amount: Notional) -> bool {
        let Some(book) = self.instances.get_mut(instance) else { return false };
        book.flow(amount);
        if let Some(family) = self.families.get_mut(&book.family) {
            family.flow(amount);
        }
        self.portfolio.flow(amount);
        true
    }

    /// All that must survive a restart.
    #[must_use]
    pub fn state(&self) -> LedgerState {
        LedgerState {
            instances: self.instances.values().cloned().collect(),
            families: self.families.clone(),
            portfolio: Some(self.portfolio.clone()),
            orders: self.open_orders().cloned().collect(),
            seen: self.seen.clone(),
            marks: self.symbols.iter().filter_map(|(symbol, book)| Some((symbol.clone(), book.mark?))).collect(),
        }
    }

    /// Held of `symbol` by all instances together, in base units.
    #[must_use]
    pub fn held(&self, symbol: &Symbol) -> Quantity {
        self.instances.values().filter_map(|book| book.position(symbol)).map(Position::quantity).sum()
    }

    /// Value of everything held, at the last marks.
    #[must_use]
    pub fn exposure(&self) -> Notional {
        let value = |position: &Position| self.mark(position.symbol()).map(|(mark, _)| position.value(mark).abs());
        self.instances.values().flat_map(InstanceBook::positions).filter_map(value).sum()
    }

    fn move_sums(&mut self, family: &FamilyId, change: Notional, now: Timestamp) {
        if let Some(family) = self.families.get_mut(family) {
            family.update(family.equity + change, now);
        }
        self.portfolio.update(self.portfolio.equity + change, now);
    }

    fn change(&mut self, id: &ClientOrderId, change: impl FnOnce(&mut Order)) -> Option<&Order> {
        if let Some(order) = self.finished.get_mut(id) {
            change(order);
            // A word of the exchange can bring back an order that we had concluded to be none.
            if order.is_done() {
                return self.finished.get(id);
            }
            let order = self.finished.remove(id)?;
            self.finished_queue.retain(|finished| finished != id);
            return Some(self.open.entry(id.clone()).or_insert(order));
        }
        let order = self.open.get_mut(id)?;
        change(order);
        if !order.is_done() {
            return self.open.get(id);
        }
        let order = self.open.remove(id)?;
        self.finished_queue.push_back(id.clone());
        if self.finished_queue.len() > FINISHED_KEPT
            && let Some(oldest) = self.finished_queue.pop_front()
        {
            self.finished.remove(&oldest);
        }
        Some(self.finished.entry(id.clone()).or_insert(order))
    }
}

/// The sums follow the books; what was kept of the sums is only their peaks and bases.
fn resume_sums(
    instances: &BTreeMap<InstanceId, InstanceBook>,
    families: &mut BTreeMap<FamilyId, EquityTracker>,
    portfolio: &mut EquityTracker,
) {
    for (family, tracker) in families {
        tracker.resume(instances.values().filter(|book| book.family == *family).map(InstanceBook::equity).sum());
    }
    portfolio.resume(instances.values().map(InstanceBook::equity).sum());
}

#[cfg(test)]
pub(crate) mod tests {
    use domain::{Decimal, OrderType, Side, SymbolStatus};
    use proptest::prelude::*;

    use super::*;
    use crate::order::tests::{fill_of, spec};

    pub(crate) fn btcusdt() -> Instrument {
        Instrument {
            symbol: Symbol::new("BTCUSDT").unwrap(),
            base: Asset::new("BTC").unwrap(),
            quote: Asset::new("USDT").unwrap(),
            status: SymbolStatus::Trading,
            tick_size: "0.01".parse().unwrap(),
            step_size: "0.00001".parse().unwrap(),
            quantity_min: "0.00001".parse().unwrap(),
            quantity_max: "9000".parse().unwrap(),
            notional_min: "5".parse().unwrap(),
            order_types: vec![OrderType::Market],
            filters: domain::Filters::default(),
        }
    }

    pub(crate) fn ledger() -> Ledger {
        let setup = InstanceSetup {
            id: "a".parse().unwrap(),
            family: "trend".parse().unwrap(),
            capital: "1000000".parse().unwrap(),
        };
        Ledger::new(Asset::new("USDT").unwrap(), &[setup], LedgerState::default())
    }

    /// Which asset a fill's commission is in.
    #[derive(Debug, Clone, Copy)]
    enum FeeIn {
        Base,
        Quote,
        Third,
    }

    fn any_fill() -> impl Strategy<Value = (bool, i64, i64, i64, FeeIn)> {
        let fee_in = prop_oneof![Just(FeeIn::Base), Just(FeeIn::Quote), Just(FeeIn::Third)];
        (any::<bool>(), 1i64..1_000_000, 1i64..10_000_000, 0i64..1000, fee_in)
    }

    fn build(index: usize, (buy, quantity, price, fee, fee_in): (bool, i64, i64, i64, FeeIn)) -> Fill {
        let spec = spec(index as u64, if buy { Side::Buy } else { Side::Sell }, "1");
        let mut fill = fill_of(&spec, index as u64, "1", "1");
        fill.quantity = Quantity::new(Decimal::new(quantity, 5)).unwrap();
        fill.price = Price::new(Decimal::new(price, 2)).unwrap();
        fill.commission = Quantity::new(Decimal::new(fee, 8)).unwrap();
        fill.commission_asset = match fee_in {
            FeeIn::Base => "BTC",
            FeeIn::Quote => "USDT",
            FeeIn::Third => "BNB",
        }
        .parse()
        .unwrap();
        fill
    }

    proptest! {
        /// Value is conserved: capital + realized + unrealized - fees == cash + value held - fees paid elsewhere, to the
        /// last digit, for any fills, with fees in base, quote or a third asset; and the sums follow.
        #[test]
        fn value_is_conserved(fills in prop::collection::vec(any_fill(), 1..40), mark in 1i64..10_000_000) {
            let (mut ledger, instrument) = (ledger(), btcusdt());
            let bnb = Some("612.34".parse().unwrap());
            for (index, parts) in fills.into_iter().enumerate() {
                ledger.book_fill(&build(index, parts), &instrument, bnb).unwrap().unwrap();
            }
            let mark = Price::new(Decimal::new(mark, 2)).unwrap();
            ledger.marked(&instrument.symbol, mark, Timestamp::from_millis(9_000), &mut Vec::new());
            let book = ledger.instances().next().unwrap();
            let position = book.position(&instrument.symbol).unwrap();
            prop_assert_eq!(book.unrealized, position.unrealized(mark));
            prop_assert_eq!(book.equity(), book.cash + position.value(mark) - book.fees_elsewhere);
            prop_assert_eq!(ledger.portfolio().equity, book.equity());
            prop_assert_eq!(ledger.families().values().next().unwrap().equity, book.equity());
        }

        /// A fill applied twice changes nothing, wherever the second time falls.
        #[test]
        fn a_fill_applied_twice_changes_nothing(
            fills in prop::collection::vec(any_fill(), 1..20), again in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        ) {
            let (mut ledger, instrument) = (ledger(), btcusdt());
            let bnb = Some("612.34".parse().unwrap());
            let fills: Vec<Fill> = fills.into_iter().enumerate().map(|(index, parts)| build(index, parts)).collect();
            for fill in &fills {
                ledger.book_fill(fill, &instrument, bnb).unwrap();
            }
            let before = ledger.state();
            for index in again {
                prop_assert_eq!(ledger.book_fill(index.get(&fills), &instrument, bnb).unwrap(), None);
            }
            prop_assert_eq!(ledger.state(), before);
        }

        /// A ledger continued from its state goes on as if it had never stopped.
        #[test]
        fn a_restart_in_the_middle_changes_nothing(fills in prop::collection::vec(any_fill(), 2..30), at in any::<prop::sample::Index>()) {
            let instrument = btcusdt();
            let bnb = Some("612.34".parse().unwrap());
            let (mut whole, mut broken) = (ledger(), ledger());
            let stop = at.index(fills.len());
            for (index, parts) in fills.into_iter().enumerate() {
                if index == stop {
                    broken = Ledger::new(broken.currency.clone(), &[], broken.state());
                }
                let fill = build(index, parts);
                whole.book_fill(&fill, &instrument, bnb).unwrap();
                broken.book_fill(&fill, &instrument, bnb).unwrap();
            }
            prop_assert_eq!(whole.state(), broken.state());
        }
    }

    #[test]
    fn a_foreign_fill_is_named_and_changes_nothing() {
        let mut ledger = ledger();
        let before = ledger.state();
        let mut fill = fill_of(&spec(1, Side::Buy, "1"), 1, "1", "100");
        fill.client_order_id = "web_4711".parse().unwrap();
        let error = ledger.book_fill(&fill, &btcusdt(), None).unwrap_err();
        assert!(matches!(error, BookError::Foreign { .. }));
        assert_eq!(ledger.state(), before);
    }
}
