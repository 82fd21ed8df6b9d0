//! What a book came to: results by instance, family and portfolio, and the reckoning from both sides.
//!
//! It only reads.

use std::collections::BTreeMap;

use domain::{Asset, FamilyId, MarketInputError, Millis, Notional, Quantity, ReasonCode, Timestamp};
use ledger::{EquityTracker, Ledger, TradeStats};

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
