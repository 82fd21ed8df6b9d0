//! A venue that does as little as possible: it stamps the moment at which an order would be handed to the socket, and
//! answers that it filled. A real one adds signing and the network.
//!
//! It must never stamp an order that the latch did not release.

use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use domain::{
    Asset, Candle, ClientOrderId, Decimal, ExchangeOrderId, ExchangeOrderStatus, ExecutionEvent, Fill, Instrument,
    OrderReport, OrderSpec, Price, Quantity, Symbol, Timestamp, TradeId,
};
use engine::{BackfillRequest, Envelope, ExecutorMessage};
use exchange::trading::LocalFuture;
use exchange::{CancelOutcome, Exchange, RequestError, SubmitOutcome};
use risk::{ApprovedOrder, SafetyLatch};
use runtime::clock::Clock;
use runtime::life::Composition;
use runtime::router::Router;
use runtime::venue::{MarketSource, Venue};
use runtime::wiring::Wiring;

use crate::clock::Moment;
use crate::world::{instrument, known};

/// What all handles of the venue share.
#[derive(Debug)]
struct Shared {
    cents: AtomicI64,
    trades: AtomicU64,
    stamps: Mutex<Sender<Moment>>,
}

/// The composition of the benchmark: no feed, and a venue that fills everything at the last price.
#[derive(Debug, Clone)]
pub(crate) struct StampingMode(Arc<Shared>);

impl StampingMode {
    /// Each order's moment goes to `stamps`.
    pub(crate) fn new(stamps: Sender<Moment>) -> Self {
        Self(Arc::new(Shared { cents: AtomicI64::new(1), trades: AtomicU64::new(0), stamps: Mutex::new(stamps) }))
    }

    /// The price at which the next order fills, in cents.
    pub(crate) fn set_price(&self, cents: i64) {
        self.0.cents.store(cents, Relaxed);
    }

    /// What the exchange tells of an order that it filled at once.
    pub(crate) fn filled(&self, spec: &OrderSpec, now: Timestamp) -> (Fill, OrderReport) {
        let trade = self.0.trades.fetch_add(1, Relaxed) + 1;
        let price = Price::new(Decimal::new(self.0.cents.load(Relaxed), 2));
        let price = price.expect("invariant: the benchmark's prices are above zero");
        let mut fill = crate::world::fill(spec, trade, price, now);
        (fill.trade_id, fill.exchange_order_id) = (TradeId(trade), ExchangeOrderId(trade));
        let report = OrderReport {
            client_order_id: spec.client_order_id.clone(),
            exchange_order_id: Some(ExchangeOrderId(trade)),
            symbol: spec.symbol.clone(),
            status: ExchangeOrderStatus::Filled,
            executed_quantity: spec.quantity,
            time: now,
            detail: None,
        };
        (fill, report)
    }

    /// The order is with the socket now.
    pub(crate) fn stamp(&self) {
        let moment = Moment::now();
        if let Ok(stamps) = self.0.stamps.lock() {
            // The harness may have given up on this order.
            let _ = stamps.send(moment);
        }
    }
}

impl Composition for StampingMode {
    fn venue(&self, wiring: &Wiring) -> Venue {
        let socket = Socket { mode: self.clone(), router: wiring.router.clone(), clock: wiring.clock.clone() };
        Venue { exchange: Rc::new(socket), market: Rc::new(NoPast) }
    }

    fn feed(&self, wiring: &Wiring) -> Box<dyn Any> {
        wiring.counters.set_feed_connected(true);
        Box::new(())
    }
}

struct Socket {
    mode: StampingMode,
    router: Router,
    clock: Clock,
}

fn ready<T: 'static>(answer: T) -> LocalFuture<T> {
    Box::pin(std::future::ready(answer))
}

impl Exchange for Socket {
    fn submit(&self, order: ApprovedOrder, latch: &SafetyLatch) -> LocalFuture<SubmitOutcome> {
        let now = self.clock.now();
        let released = match order.release(latch, now) {
            Ok(released) => released,
            Err(not_released) => return ready(SubmitOutcome::NotReleased(not_released)),
        };
        self.mode.stamp();
        let (fill, report) = self.mode.filled(released.spec(), now);
        for event in [ExecutionEvent::Fill(fill), ExecutionEvent::Report(report.clone())] {
            self.router.send(Envelope::Executor(ExecutorMessage::Execution(Box::new(event))));
        }
        ready(SubmitOutcome::Accepted(vec![report], Vec::new()))
    }

    fn cancel(&self, _: &Symbol, _: &ClientOrderId) -> LocalFuture<CancelOutcome> {
        ready(CancelOutcome::NotOpen)
    }

    fn order(&self, _: &Symbol, _: &ClientOrderId) -> LocalFuture<Result<Option<OrderReport>, RequestError>> {
        ready(Ok(None))
    }

    fn open_orders(&self) -> LocalFuture<Result<Vec<OrderReport>, RequestError>> {
        ready(Ok(Vec::new()))
    }

    fn trades_after(&self, _: &Symbol, _: Option<TradeId>) -> LocalFuture<Result<Vec<Fill>, RequestError>> {
        ready(Ok(Vec::new()))
    }

    fn balances(&self) -> LocalFuture<Result<BTreeMap<Asset, Quantity>, RequestError>> {
        ready(Ok(BTreeMap::from([(known("USDT"), known("10000000"))])))
    }
}

/// A market without a past.
struct NoPast;

impl MarketSource for NoPast {
    fn time(&self) -> LocalFuture<Result<Timestamp, String>> {
        ready(Ok(crate::world::START))
    }

    fn instruments(&self, _: Vec<Symbol>) -> LocalFuture<Result<Vec<Instrument>, String>> {
        ready(Ok(vec![instrument()]))
    }

    fn candles(&self, _: BackfillRequest, _: u16) -> LocalFuture<Result<Vec<Candle>, String>> {
        ready(Ok(Vec::new()))
    }
}
