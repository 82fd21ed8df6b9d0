//! The venue: where orders go and where candles come from, for the shells of one arbiter.
//!
//! It must never read a failed answer as an empty one.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use domain::{
    Asset, Candle, ClientOrderId, ExecutionEvent, Fill, Instrument, Interval, MarketEvent, Millis, OrderReport,
    Quantity, Symbol, Timestamp, TradeId,
};
use engine::{BackfillRequest, Envelope, ExecutorMessage, MarketDataMessage, SnapshotRequest};
use exchange::binance::MarketClient;
use exchange::trading::LocalFuture;
use exchange::{CancelOutcome, Exchange, RequestError, SubmitOutcome};
use ledger::reconcile::ExchangeSnapshot;
use risk::{ApprovedOrder, SafetyLatch};
use store::Journal;
use store::writer::Write;

use crate::clock::Clock;
use crate::paper::PaperAccount;
use crate::router::Router;
use crate::wiring::Wiring;

/// Candles of one request.
const PAGE: u16 = 1000;

/// Where candles of the past and the rules of instruments come from.
pub trait MarketSource {
    /// The exchange's time.
    fn time(&self) -> LocalFuture<Result<Timestamp, String>>;
    /// The rules of `symbols`; those that the exchange does not have are left out.
    fn instruments(&self, symbols: Vec<Symbol>) -> LocalFuture<Result<Vec<Instrument>, String>>;
    /// Finished candles that begin in `from..to`, oldest first, at most `limit`.
    fn candles(&self, request: BackfillRequest, limit: u16) -> LocalFuture<Result<Vec<Candle>, String>>;
}

impl MarketSource for MarketClient {
    fn time(&self) -> LocalFuture<Result<Timestamp, String>> {
        let client = self.clone();
        Box::pin(async move { client.server_time().await.map_err(|error| error.to_string()) })
    }

    fn instruments(&self, symbols: Vec<Symbol>) -> LocalFuture<Result<Vec<Instrument>, String>> {
        let client = self.clone();
        Box::pin(async move { client.instruments(&symbols).await.map_err(|error| error.to_string()) })
    }

    fn candles(&self, request: BackfillRequest, limit: u16) -> LocalFuture<Result<Vec<Candle>, String>> {
        let client = self.clone();
        Box::pin(async move {
            let BackfillRequest { symbol, interval, from, to } = &request;
            client.candles(symbol, *interval, *from, *to, limit).await.map_err(|error| error.to_string())
        })
    }
}

/// Where orders go and candles come from.
pub struct Venue {
    /// Where orders go.
    pub exchange: Rc<dyn Exchange>,
    /// Where candles come from.
    pub market: Rc<dyn MarketSource>,
}

impl std::fmt::Debug for Venue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Venue")
    }
}

impl Venue {
    /// Everything that a reconciliation asks for; a part that fails fails the whole.
    ///
    /// # Errors
    /// What failed.
    pub async fn gather(&self, request: &SnapshotRequest, now: Timestamp) -> Result<ExchangeSnapshot, String> {
        let text = |error: RequestError| error.to_string();
        let mut snapshot = ExchangeSnapshot { time: now, ..ExchangeSnapshot::default() };
        for (symbol, id) in &request.orders {
            let answer = self.exchange.order(symbol, id).await.map_err(text)?;
            snapshot.asked.insert(id.clone(), answer);
        }
        for (symbol, after) in &request.trades_after {
            snapshot.trades.extend(self.exchange.trades_after(symbol, *after).await.map_err(text)?);
        }
        snapshot.open_orders = self.exchange.open_orders().await.map_err(text)?;
        snapshot.balances = self.exchange.balances().await.map_err(text)?;
        Ok(snapshot)
    }

    /// Candles of a gap, page by page. What cannot be fetched is told in the log; the gap then stays one.
    pub async fn backfill(&self, request: &BackfillRequest) -> Vec<Candle> {
        let mut candles: Vec<Candle> = Vec::new();
        let mut from = request.from;
        while from < request.to {
            let page = BackfillRequest { from, ..request.clone() };
            match self.market.candles(page, PAGE).await {
                Ok(page) => {
                    let full = page.len() >= usize::from(PAGE);
                    candles.extend(page);
                    match candles.last() {
                        Some(last) if full => from = last.close_time(),
                        Some(_) | None => break,
                    }
                }
                Err(error) => {
                    tracing::warn!(symbol = %request.symbol, interval = %request.interval, %error,
                        "candles of the past could not be fetched");
                    break;
                }
            }
        }
        candles
    }

    /// Fetches for every symbol and interval what the strategies need of the past, and hands it to MarketData.
    pub async fn backfill_all(&self, wiring: &Wiring, now: Timestamp) {
        let mut lanes: BTreeMap<(Symbol, Interval), Timestamp> = BTreeMap::new();
        for instance in &wiring.setup.instances {
            let needs = instance.strategy.build().requirements();
            let span = needs.interval.span().get();
            let warm_up = Millis::new(span.saturating_mul(i64::try_from(needs.warm_up).unwrap_or(0) + 1));
            for symbol in &instance.symbols {
                // What was kept of a strategy may be older than its warm-up; then the gap is what is needed.
                let kept = wiring.through(&instance.id, symbol).unwrap_or(now);
                let from = (now - warm_up).min(kept).floor_to(needs.interval.span());
                let lane = lanes.entry((symbol.clone(), needs.interval)).or_insert(from);
                *lane = from.min(*lane);
            }
        }
        for ((symbol, interval), from) in lanes {
            let request = BackfillRequest { symbol: symbol.clone(), interval, from, to: now.floor_to(interval.span()) };
            let mut candles = wiring.history.find(&request).await;
            let from = candles.last().map_or(request.from, Candle::close_time);
            candles.extend(self.backfill(&BackfillRequest { from, ..request }).await);
            wiring.router.send(Envelope::MarketData(MarketDataMessage::Backfilled(symbol, interval, candles)));
        }
    }
}

/// The paper account as an exchange. Handles share one account, on any arbiter.
#[derive(Clone)]
pub struct PaperExchange {
    account: Arc<Mutex<PaperAccount>>,
    journal: Journal,
    router: Router,
    clock: Clock,
}

impl PaperExchange {
    /// The account, its changes kept by `journal` before they are told through `router`.
    #[must_use]
    pub fn new(account: PaperAccount, journal: Journal, router: Router, clock: Clock) -> Self {
        Self { account: Arc::new(Mutex::new(account)), journal, router, clock }
    }

    /// Does something with the account; what changed is kept first and told then.
    fn with<T>(&self, act: impl FnOnce(&mut PaperAccount, &mut Vec<ExecutionEvent>) -> T) -> T {
        let mut told = Vec::new();
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = act(&mut account, &mut told);
        if account.changed() && self.journal.append(Write::PaperAccount(account.state())).is_err() {
            tracing::error!("the paper account's state could not be kept; a restart would find an older one");
        }
        drop(account);
        for event in told {
            self.router.send(Envelope::Executor(ExecutorMessage::Execution(Box::new(event))));
        }
        answer
    }

    /// The market moved.
    pub fn market(&self, event: &MarketEvent) {
        self.with(|account, told| account.market(event, told));
    }

    /// Balances now.
    #[must_use]
    pub fn balances_now(&self) -> BTreeMap<Asset, Quantity> {
        self.with(|account, _| account.balances())
    }
}

impl Exchange for PaperExchange {
    fn submit(&self, order: ApprovedOrder, latch: &SafetyLatch) -> LocalFuture<SubmitOutcome> {
        let now = self.clock.now();
        let outcome = self.with(|account, told| account.submit(order, latch, now, told));
        Box::pin(std::future::ready(outcome))
    }

    fn cancel(&self, symbol: &Symbol, id: &ClientOrderId) -> LocalFuture<CancelOutcome> {
        let now = self.clock.now();
        let outcome = self.with(|account, told| account.cancel(symbol, id, now, told));
        Box::pin(std::future::ready(outcome))
    }

    fn order(&self, symbol: &Symbol, id: &ClientOrderId) -> LocalFuture<Result<Option<OrderReport>, RequestError>> {
        let answer = self.with(|account, _| account.order(symbol, id));
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn open_orders(&self) -> LocalFuture<Result<Vec<OrderReport>, RequestError>> {
        let answer = self.with(|account, _| account.open_orders());
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn trades_after(&self, symbol: &Symbol, after: Option<TradeId>) -> LocalFuture<Result<Vec<Fill>, RequestError>> {
        let answer = self.with(|account, _| account.trades_after(symbol, after));
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn balances(&self) -> LocalFuture<Result<BTreeMap<Asset, Quantity>, RequestError>> {
        Box::pin(std::future::ready(Ok(self.balances_now())))
    }
}
