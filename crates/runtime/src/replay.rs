//! The replay: the machines over recorded market data, as fast as they go, on one thread.
//!
//! Deterministic: the same input gives the same journal, byte for byte. It must never read a clock or draw a random number.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::sync::Arc;

use domain::{
    Asset, FamilyId, InstanceId, Interval, MarketEvent, MarketInputError, Millis, Notional, Quantity, Timestamp,
};
use domain::{ExecutionEvent, Permission, ReasonCode};
use engine::{
    ActorId, BookState, Effect, Envelope, ExecutorMessage, MarketDataMessage, Outside, ReconcilerMessage, Setup,
    SubmitResult, System,
};
use exchange::{CancelOutcome, SubmitOutcome};
use ledger::{EquityTracker, Ledger, TradeStats};
use risk::SafetyLatch;
use simulator::market::Market;
use simulator::model::ModelSettings;
use store::chain::Chain;

use crate::paper::PaperAccount;

/// How often the equity curve is sampled, in exchange time.
const CURVE_EVERY: Millis = Millis::from_secs(3600);
/// How often the heartbeat goes round, in exchange time.
pub const CYCLE_EVERY: Millis = Millis::from_secs(60);
/// Candles of one answer to a gap.
const BACKFILL_MAX: usize = 1000;

/// Why a replay cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A symbol of the configuration is not in the data.
    #[error("instance {instance} trades {symbol}, of which the data has nothing; it has {available}")]
    NoData {
        /// The instance.
        instance: InstanceId,
        /// The symbol.
        symbol: domain::Symbol,
        /// What there is.
        available: String,
    },
    /// The candles of the data are longer than a strategy needs.
    #[error(
        "instance {instance} needs candles of {needed} of {symbol} and the data has {found}; choose a longer interval in the configuration"
    )]
    TooCoarse {
        /// The instance.
        instance: InstanceId,
        /// The symbol.
        symbol: domain::Symbol,
        /// What the strategy needs.
        needed: Interval,
        /// What there is.
        found: Interval,
    },
    /// The journal file cannot be written.
    #[error("the journal cannot be written: {0}; check that the disk has room")]
    Journal(#[from] std::io::Error),
}

/// What one instance came to.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Result {
    /// What it is the result of.
    pub name: String,
    /// Capital at the start, with flows.
    pub start: Notional,
    /// Of what was closed, before fees.
    pub realized: Notional,
    /// Of what is held, at the last marks.
    pub unrealized: Notional,
    /// Valued in the portfolio's currency.
    pub fees: Notional,
    /// Equity at the end.
    pub end: Notional,
    /// Deepest fall from a high-water mark.
    pub drawdown_max: domain::Ratio,
    /// Closed trades.
    pub stats: TradeStats,
    /// Share of the time with something held, averaged over the symbols traded.
    pub exposure: domain::Ratio,
}

/// What a replay came to.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ReplayReport {
    /// First and last event.
    pub from: Timestamp,
    /// First and last event.
    pub to: Timestamp,
    /// Events taken in.
    pub events: u64,
    /// Orders sent.
    pub orders: u64,
    /// Fills booked.
    pub fills: u64,
    /// Market data refused, by kind.
    pub rejected: BTreeMap<MarketInputError, u64>,
    /// Wishes refused by the gate, by reason.
    pub refused: BTreeMap<ReasonCode, u64>,
    /// By instance.
    pub instances: Vec<Result>,
    /// By family.
    pub families: Vec<Result>,
    /// Of the portfolio.
    pub portfolio: Result,
    /// The account's own balances at the end.
    pub balances: BTreeMap<Asset, Quantity>,
    /// The account's own value at the last marks: the other side of the reckoning.
    pub account_value: Notional,
    /// Equity over time, of the portfolio and of each family.
    #[serde(skip)]
    pub curve: Vec<(Timestamp, Notional, Vec<Notional>)>,
    /// The journal's last hash, in hex, where one was written.
    pub journal_hash: Option<String>,
}

impl ReplayReport {
    /// Whether the figures reconcile from both sides, to the last decimal.
    #[must_use]
    pub fn reconciles(&self) -> bool {
        let p = &self.portfolio;
        p.start + p.realized + p.unrealized - p.fees == p.end && p.end == self.account_value
    }
}

/// The world outside of the machines in a replay.
struct ReplayWorld<'a> {
    account: PaperAccount,
    latch: SafetyLatch,
    market: Market,
    told: Vec<ExecutionEvent>,
    chain: Chain,
    journal: Option<&'a mut dyn Write>,
    journal_error: Option<std::io::Error>,
    orders: u64,
}

impl ReplayWorld<'_> {
    fn flush_told(&mut self, inbox: &mut VecDeque<Envelope>) {
        inbox.extend(self.told.drain(..).map(|event| Envelope::Executor(ExecutorMessage::Execution(event))));
    }

    fn write(&mut self, entry: &engine::JournalEntry) {
        let Some(journal) = &mut self.journal else { return };
        let row = self.chain.link(entry);
        let line = format!(
            "{{\"sequence\":{},\"time\":{},\"actor\":\"{}\",\"correlation_id\":{},\"record\":{},\"hash\":\"{}\"}}\n",
            row.sequence,
            row.time.as_millis(),
            row.actor,
            row.correlation_id,
            row.payload,
            row.hash
        );
        if let Err(error) = journal.write_all(line.as_bytes()) {
            self.journal_error.get_or_insert(error);
        }
    }
}

/// What an exchange's answer to an order means for the Executor.
#[must_use]
pub fn submit_result(outcome: SubmitOutcome, id: domain::ClientOrderId) -> SubmitResult {
    match outcome {
        SubmitOutcome::NotReleased(not) => SubmitResult::NotSent(id, not.reason),
        SubmitOutcome::Accepted(report, _) => SubmitResult::Accepted(report),
        SubmitOutcome::Refused(error) => SubmitResult::Refused(id, error.to_string()),
        SubmitOutcome::Unknown(error) => SubmitResult::Unknown(id, error.to_string()),
    }
}

impl Outside for ReplayWorld<'_> {
    fn carry_out(&mut self, now: Timestamp, _: ActorId, effect: Effect, inbox: &mut VecDeque<Envelope>) {
        match effect {
            Effect::Journal(entry) => self.write(&entry),
            Effect::Submit(order) => {
                self.orders += 1;
                let id = order.spec().client_order_id.clone();
                let outcome = self.account.submit(*order, &self.latch, now, &mut self.told);
                inbox.push_back(Envelope::Executor(ExecutorMessage::Submitted(submit_result(outcome, id))));
                self.flush_told(inbox);
            }
            Effect::Cancel(symbol, id) => {
                if let CancelOutcome::NotOpen = self.account.cancel(&symbol, &id, now, &mut self.told) {
                    let answer = Ok(self.account.order(&symbol, &id));
                    inbox.push_back(Envelope::Executor(ExecutorMessage::Queried(symbol, id, answer)));
                }
                self.flush_told(inbox);
            }
            Effect::QueryOrder(symbol, id) => {
                let answer = Ok(self.account.order(&symbol, &id));
                inbox.push_back(Envelope::Executor(ExecutorMessage::Queried(symbol, id, answer)));
            }
            Effect::Gather(request) => {
                let snapshot = Ok(Box::new(self.account.snapshot(&request, now)));
                inbox.push_back(Envelope::Reconciler(ReconcilerMessage::Snapshot(snapshot)));
            }
            Effect::Backfill(request) => {
                let (symbol, interval) = (request.symbol, request.interval);
                let candles = self.market.history_forward(&symbol, interval, request.from, request.to, BACKFILL_MAX);
                let filled = MarketDataMessage::Backfilled(symbol, interval, candles);
                inbox.push_back(Envelope::MarketData(filled));
            }
            // A replay begins cold: there is nothing before its first candle.
            Effect::BackfillAll => inbox.push_back(Envelope::Reconciler(ReconcilerMessage::BackfillDone)),
            Effect::Send(envelope) => inbox.push_back(envelope),
            Effect::WriteLatch(_) | Effect::SaveStrategy { .. } => {}
        }
    }
}

/// A replay that is ready to run.
#[derive(Debug)]
pub struct Replay {
    setup: Setup,
    market: Market,
    settings: ModelSettings,
    until: Option<Timestamp>,
}

impl Replay {
    /// Checks that `market` has what the instances of `setup` need.
    ///
    /// # Errors
    /// Names the first instance that could not trade.
    pub fn new(setup: Setup, mut market: Market, settings: ModelSettings) -> std::result::Result<Self, ReplayError> {
        let mut intervals = Vec::new();
        for instance in &setup.instances {
            let needed = instance.strategy.build().requirements().interval;
            intervals.push(needed);
            for symbol in &instance.symbols {
                let (instance, symbol) = (instance.id.clone(), symbol.clone());
                match market.base_interval(&symbol) {
                    None => {
                        let names: Vec<String> =
                            market.instruments().iter().map(|found| found.symbol.to_string()).collect();
                        return Err(ReplayError::NoData { instance, symbol, available: names.join(", ") });
                    }
                    Some(found) if found > needed => {
                        return Err(ReplayError::TooCoarse { instance, symbol, needed, found });
                    }
                    Some(_) => {}
                }
            }
        }
        market.aggregate(&intervals);
        Ok(Self { setup, market, settings, until: None })
    }

    /// Ends before the first event at `until` or later.
    #[must_use]
    pub fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// How many base candles or trades there are, for a progress bar.
    #[must_use]
    pub fn len_hint(&self) -> Option<u64> {
        self.market.len_hint()
    }

    /// First and last moment of the data.
    #[must_use]
    pub fn extent(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.market.start(), self.market.end())
    }

    /// Runs to the end of the data. `progress` is told the time reached now and then.
    ///
    /// # Errors
    /// Where the journal cannot be written.
    pub fn run(
        self,
        journal: Option<&mut dyn Write>,
        mut progress: impl FnMut(Timestamp),
    ) -> std::result::Result<ReplayReport, ReplayError> {
        let instruments = self.market.instruments();
        let capital: Notional = self.setup.instances.iter().map(|instance| instance.capital).sum();
        let latch = SafetyLatch::new(Permission::All);
        let mut world = ReplayWorld {
            account: PaperAccount::open(self.settings.clone(), instruments.clone(), &self.setup.currency, capital),
            latch: latch.clone(),
            market: self.market,
            told: Vec::new(),
            chain: Chain::default(),
            journal,
            journal_error: None,
            orders: 0,
        };
        let state = BookState { instruments: instruments.clone(), ..BookState::default() };
        let mut system = System::new(&self.setup, &state, latch);
        let from = world.market.peek_time().unwrap_or_default();
        system.deliver(from, Envelope::MarketData(MarketDataMessage::Instruments(Arc::new(instruments))), &mut world);
        system.start(from, &mut world);
        let (mut next_cycle, mut next_point) = (from + CYCLE_EVERY, from);
        let (mut curve, mut now) = (Vec::new(), from);
        while let Some(event) = world.market.next() {
            if self.until.is_some_and(|until| event.time() >= until) {
                break;
            }
            now = event.time();
            if now >= next_cycle {
                next_cycle = now.floor_to(CYCLE_EVERY) + CYCLE_EVERY;
                system.beat(now, &mut world);
                if now >= next_point {
                    next_point = now.floor_to(CURVE_EVERY) + CURVE_EVERY;
                    curve.push(point(now, system.global_risk().ledger()));
                    progress(now);
                }
            }
            step(&mut system, &mut world, now, event);
        }
        curve.push(point(now, system.global_risk().ledger()));
        if let Some(error) = world.journal_error.take() {
            return Err(error.into());
        }
        Ok(report(&system, &world, (from, now), curve))
    }
}

fn report(
    system: &System,
    world: &ReplayWorld<'_>,
    (from, to): (Timestamp, Timestamp),
    curve: Vec<(Timestamp, Notional, Vec<Notional>)>,
) -> ReplayReport {
    let ledger = system.global_risk().ledger();
    let balances = world.account.balances();
    let account_value = value_of(&balances, ledger, &world.market.instruments());
    let mut refused: BTreeMap<ReasonCode, u64> = BTreeMap::new();
    for ((_, _, reason), count) in system.global_risk().refusals() {
        *refused.entry(*reason).or_default() += count;
    }
    let mut rejected = world.market.rejected().clone();
    for (error, count) in system.market_data().rejected() {
        *rejected.entry(*error).or_default() += count;
    }
    let (instances, families, portfolio) = results(ledger, from, to);
    ReplayReport {
        from,
        to,
        events: system.market_data().events(),
        orders: world.orders,
        fills: ledger.booked(),
        rejected,
        refused,
        instances,
        families,
        portfolio,
        balances,
        account_value,
        curve,
        journal_hash: world.journal.is_some().then(|| world.chain.hash().to_string()),
    }
}

/// One market event: first the account's orders meet it, then the machines learn of both.
fn step(system: &mut System, world: &mut ReplayWorld<'_>, now: Timestamp, event: MarketEvent) {
    world.account.market(&event, &mut world.told);
    if !world.told.is_empty() {
        for told in std::mem::take(&mut world.told) {
            system.deliver(now, Envelope::Executor(ExecutorMessage::Execution(told)), world);
        }
    }
    system.deliver(now, Envelope::MarketData(MarketDataMessage::Market(event)), world);
}

fn point(now: Timestamp, ledger: &Ledger) -> (Timestamp, Notional, Vec<Notional>) {
    (now, ledger.portfolio().equity, ledger.families().values().map(|family| family.equity).collect())
}

/// What `balances` are worth at the ledger's marks, in its currency; an asset without a mark counts nothing.
#[must_use]
pub fn value_of(balances: &BTreeMap<Asset, Quantity>, ledger: &Ledger, instruments: &[domain::Instrument]) -> Notional {
    let value = |(asset, held): (&Asset, &Quantity)| {
        if asset == ledger.currency() {
            return Notional::new(held.value()).ok();
        }
        let instrument = instruments.iter().find(|found| found.base == *asset && found.quote == *ledger.currency())?;
        ledger.mark(&instrument.symbol).map(|(mark, _)| mark.times(*held))
    };
    balances.iter().filter_map(value).sum()
}

/// What every instance, every family and the portfolio came to between `from` and `to`.
#[must_use]
pub fn results(ledger: &Ledger, from: Timestamp, to: Timestamp) -> (Vec<Result>, Vec<Result>, Result) {
    let span = to.since(from);
    let mut families: BTreeMap<FamilyId, Result> = BTreeMap::new();
    let mut instances = Vec::new();
    let mut portfolio = empty("portfolio", ledger.portfolio());
    for book in ledger.instances() {
        let mut one = empty(book.id.as_str(), &book.tracker);
        let open = book.positions().filter_map(ledger::Position::opened_at).map(|at| to.since(at).get()).max();
        (one.start, one.realized, one.unrealized, one.fees) = (book.capital, book.realized, book.unrealized, book.fees);
        one.stats = book.stats.clone();
        one.stats.exposed = Millis::new(one.stats.exposed.get() + open.unwrap_or(0));
        let tracker = &ledger.families()[&book.family];
        let family = families.entry(book.family.clone()).or_insert_with(|| empty(book.family.as_str(), tracker));
        add(family, &one);
        add(&mut portfolio, &one);
        one.exposure = share(one.stats.exposed, span, book.positions().count());
        instances.push(one);
    }
    let lanes = |book: &ledger::InstanceBook| book.positions().count().max(1);
    let members = |id: &str| ledger.instances().filter(|book| book.family.as_str() == id).map(lanes).sum();
    for family in families.values_mut() {
        family.exposure = share(family.stats.exposed, span, members(&family.name));
    }
    portfolio.exposure = share(portfolio.stats.exposed, span, ledger.instances().map(lanes).sum());
    (instances, families.into_values().collect(), portfolio)
}

fn empty(name: &str, tracker: &EquityTracker) -> Result {
    Result {
        name: name.to_owned(),
        start: Notional::ZERO,
        realized: Notional::ZERO,
        unrealized: Notional::ZERO,
        fees: Notional::ZERO,
        end: tracker.equity,
        drawdown_max: tracker.drawdown_max,
        stats: TradeStats::default(),
        exposure: domain::Ratio::ZERO,
    }
}

fn add(sum: &mut Result, one: &Result) {
    sum.start += one.start;
    sum.realized += one.realized;
    sum.unrealized += one.unrealized;
    sum.fees += one.fees;
    sum.stats.wins += one.stats.wins;
    sum.stats.losses += one.stats.losses;
    sum.stats.even += one.stats.even;
    sum.stats.exposed = Millis::new(sum.stats.exposed.get() + one.stats.exposed.get());
}

fn share(part: Millis, whole: Millis, of: usize) -> domain::Ratio {
    let whole = domain::Decimal::from(whole.get()) * domain::Decimal::from(of.max(1));
    let share = domain::Decimal::from(part.get()).checked_div(whole).unwrap_or_default();
    domain::Ratio::new(share.round_dp(4)).unwrap_or_default()
}
