//! What the book says of a service that is down: the figures that it left.
//!
//! It must never guess: what only a running service knows is not in here.

use console::{Book, tables};
use domain::{Notional, Permission, Timestamp};
use engine::Record;
use ledger::{EquityTracker, InstanceBook};
use runtime::status::{Figures, InstanceStatus, PositionStatus};
use serde::Serialize;
use store::read::{OrderRow, PositionRow};

use crate::config::Config;

/// The service as its book knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BookStatus {
    /// The last start; `None` where the journal has none.
    pub(crate) last_start: Option<LastStart>,
    /// The number of the journal's last row.
    pub(crate) journal_end: i64,
    /// Whether that row says that the service stopped in order.
    pub(crate) stopped_in_order: bool,
    /// What the portfolio is counted in.
    pub(crate) currency: String,
    /// Of the portfolio, at the last marks in the book.
    pub(crate) portfolio: Figures,
    /// Of the instances.
    pub(crate) instances: Vec<InstanceStatus>,
    /// Everything held, at the last marks in the book.
    pub(crate) positions: Vec<PositionStatus>,
    /// Orders that were not done.
    pub(crate) open_orders: usize,
}

/// The last start of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LastStart {
    pub(crate) boot: u64,
    pub(crate) mode: String,
    pub(crate) version: String,
    pub(crate) time: Timestamp,
}

/// Everything that `book` says.
pub(crate) fn status(book: &mut Book, config: &Config) -> anyhow::Result<BookStatus> {
    let newest = book.newest(None)?;
    let books = books(book, config)?;
    Ok(BookStatus {
        last_start: last_start(book)?,
        journal_end: newest.as_ref().map_or(0, |row| row.sequence),
        stopped_in_order: newest.is_some_and(|row| row.kind == "stopped"),
        currency: config.portfolio.currency.to_string(),
        portfolio: portfolio(book, &books)?,
        instances: books.iter().map(|book| instance(book, config)).collect(),
        positions: positions(book)?,
        open_orders: book.orders(true, u32::MAX)?.len(),
    })
}

fn last_start(book: &mut Book) -> anyhow::Result<Option<LastStart>> {
    let Some(row) = book.newest(Some("started"))? else { return Ok(None) };
    let record: Record = serde_json::from_str(&row.payload)?;
    let Record::Started { boot, mode, version, .. } = record else { return Ok(None) };
    let time = Timestamp::from_millis(row.time);
    Ok(Some(LastStart { boot: boot.0, mode: mode.to_string(), version, time }))
}

/// In the order of the configuration; those that it no longer has at the end.
fn books(book: &mut Book, config: &Config) -> anyhow::Result<Vec<InstanceBook>> {
    let read = |(_, _, body): &(String, String, String)| serde_json::from_str(body);
    let mut books: Vec<InstanceBook> = book.instances()?.iter().map(read).collect::<Result<_, _>>()?;
    let place = |book: &InstanceBook| config.instance.iter().position(|instance| instance.id == book.id);
    books.sort_by_key(|book| place(book).unwrap_or(usize::MAX));
    Ok(books)
}

/// The figures of every instance.
pub(crate) fn instances(book: &mut Book, config: &Config) -> anyhow::Result<Vec<InstanceStatus>> {
    Ok(books(book, config)?.iter().map(|book| instance(book, config)).collect())
}

fn figures(book: &InstanceBook) -> Figures {
    let mut tracker = book.tracker.clone();
    tracker.resume(book.equity());
    Figures {
        equity: book.equity(),
        capital: book.capital,
        realized: book.realized,
        unrealized: book.unrealized,
        fees: book.fees,
        day_result: book.equity() - tracker.day_open,
        drawdown: tracker.drawdown(),
        trades: book.stats.trades(),
        wins: book.stats.wins,
    }
}

/// The sum of the books; peak and base of the day as they were last sampled.
fn portfolio(book: &mut Book, books: &[InstanceBook]) -> anyhow::Result<Figures> {
    let sum = |part: fn(&InstanceBook) -> Notional| books.iter().map(part).sum::<Notional>();
    let (equity, capital) = (sum(InstanceBook::equity), sum(|book| book.capital));
    let mut tracker = match book.newest(Some("equity_sampled"))? {
        Some(row) => match serde_json::from_str(&row.payload)? {
            Record::EquitySampled { portfolio, .. } => *portfolio,
            _ => EquityTracker::new(capital),
        },
        None => EquityTracker::new(capital),
    };
    tracker.resume(equity);
    Ok(Figures {
        equity,
        capital,
        realized: sum(|book| book.realized),
        unrealized: sum(|book| book.unrealized),
        fees: sum(|book| book.fees),
        day_result: equity - tracker.day_open,
        drawdown: tracker.drawdown(),
        trades: books.iter().map(|book| book.stats.trades()).sum(),
        wins: books.iter().map(|book| book.stats.wins).sum(),
    })
}

/// An instance with its strategy, where the configuration still has it; it may do nothing while the service is down.
fn instance(book: &InstanceBook, config: &Config) -> InstanceStatus {
    let configured = config.instance.iter().find(|instance| instance.id == book.id);
    let traded = || book.positions().map(|position| position.symbol().to_string()).collect();
    InstanceStatus {
        id: book.id.to_string(),
        family: book.family.to_string(),
        strategy: configured.map_or("-", |instance| instance.strategy.kind()).to_owned(),
        symbols: configured.map_or_else(traded, |instance| instance.symbols.iter().map(ToString::to_string).collect()),
        permission: Permission::Nothing,
        figures: figures(book),
    }
}

/// Everything held; without a mark at its cost.
pub(crate) fn positions(book: &mut Book) -> anyhow::Result<Vec<PositionStatus>> {
    let orders = book.orders(true, u32::MAX)?;
    book.positions()?.iter().map(|row| position(row, &orders)).collect()
}

/// What stops that rest on the exchange cover of a position, as far as the book knows.
fn resting(row: &PositionRow, orders: &[OrderRow]) -> anyhow::Result<domain::Quantity> {
    let stops = orders.iter().filter(|order| order.instance == row.instance && order.symbol == row.symbol);
    let mut covered = domain::Quantity::ZERO;
    for stop in stops.filter(|order| order.order_type.starts_with("STOP_LOSS")) {
        covered += stop.quantity.parse::<domain::Quantity>()? - stop.executed.parse::<domain::Quantity>()?;
    }
    Ok(covered)
}

fn position(row: &PositionRow, orders: &[OrderRow]) -> anyhow::Result<PositionStatus> {
    let price = |text: &Option<String>| text.as_deref().map(str::parse).transpose();
    let (quantity, cost): (domain::Quantity, Notional) = (row.quantity.parse()?, row.cost.parse()?);
    let mark: Option<domain::Price> = price(&row.mark)?;
    let value = mark.map_or(cost, |mark| mark.times(quantity));
    Ok(PositionStatus {
        instance: row.instance.clone(),
        symbol: row.symbol.clone(),
        quantity,
        average_price: price(&row.average_price)?,
        mark,
        value,
        unrealized: value - cost,
        stop: price(&row.stop)?,
        take_profit: price(&row.take_profit)?,
        resting: resting(row, orders)?,
        // A round trip that has ended leaves only what is too little to be sold.
        dust: row.opened_at.is_none(),
        opened_at: row.opened_at.map(Timestamp::from_millis),
    })
}

/// For people.
pub(crate) fn text(status: &BookStatus) -> String {
    let mut lines = Vec::new();
    if let Some(start) = &status.last_start {
        let LastStart { boot, mode, version, time } = start;
        lines.push(("last start", format!("boot {boot} at {}, {mode}, version {version}", tables::second(*time))));
    }
    let end =
        if status.stopped_in_order { "the service stopped in order" } else { "the service did not stop in order" };
    lines.push(("journal", format!("{} rows; {end}", status.journal_end)));
    lines.push(("held", format!("{} positions, {} open orders", status.positions.len(), status.open_orders)));
    lines.extend(tables::figures(&status.portfolio, &status.currency));
    tables::list(&lines)
}

#[cfg(test)]
mod tests {
    use domain::{BootNumber, CorrelationId};
    use engine::{ActorId, JournalEntry};
    use store::writer::Write;

    use super::*;

    #[test]
    fn a_book_that_was_left_is_told_in_figures() {
        let directory = tempfile::tempdir().unwrap();
        let config = crate::config::load(None).unwrap().config;
        let path = directory.path().join("paper.db");
        let book = |id: &str, realized: &str, fees: &str| {
            let tracker = EquityTracker::new("1000".parse().unwrap());
            let book = serde_json::json!({
                "id": id, "family": config.instance[0].family, "capital": "1000", "cash": "1000", "realized": realized,
                "unrealized": "0", "fees": fees, "fees_elsewhere": "0", "tracker": tracker,
                "stats": { "wins": 1, "losses": 1, "even": 0, "losing_streak": 0, "exposed": 0 }, "positions": {},
            });
            serde_json::from_value::<InstanceBook>(book).unwrap()
        };
        let known = config.instance[0].id.to_string();
        let started = Record::Started {
            boot: BootNumber(7),
            mode: domain::TradingMode::Paper,
            version: "0.1.0".to_owned(),
            config_hash: String::new(),
        };
        let opened = Record::BooksOpened { books: vec![book(&known, "50", "1"), book("gone", "-250.5", "2")] };
        let (journal, thread) = store::Journal::open(&path).unwrap();
        for record in [started, opened, Record::Stopped { boot: BootNumber(7) }] {
            let (time, actor) = (Timestamp::from_millis(1_767_323_045_678), ActorId::GlobalRisk);
            let entry = JournalEntry { time, actor, correlation_id: CorrelationId(0), record };
            journal.append(Write::Entry(Box::new(entry))).unwrap();
        }
        journal.close();
        thread.join();
        let status = status(&mut Book::open(&path).unwrap(), &config).unwrap();
        assert_eq!(status.portfolio.equity, "1796.5".parse().unwrap());
        assert_eq!((status.portfolio.trades, status.portfolio.wins), (4, 2));
        assert_eq!(status.portfolio.drawdown, "0.10175".parse().unwrap());
        let strategies: Vec<_> = status.instances.iter().map(|one| (one.id.as_str(), one.strategy.as_str())).collect();
        assert_eq!(strategies, [(known.as_str(), config.instance[0].strategy.kind()), ("gone", "-")]);
        let text = text(&status);
        assert!(text.contains("boot 7 at 2026-01-02T03:04:05Z, PAPER_TRADING"), "{text}");
        assert!(text.contains("3 rows; the service stopped in order"), "{text}");
    }
}
