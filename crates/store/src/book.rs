//! Reading the book back at a start (R1).
//!
//! It must never guess: what cannot be read is damage, and damage stops the start with the place and the remedy.

use std::collections::BTreeMap;
use std::path::Path;

use domain::{Asset, BootNumber, FamilyId, Quantity, Symbol, Timestamp, TradeId, TradingMode};
use engine::{BookState, SavedProtection, SavedStrategy};
use ledger::{LedgerState, SeenTrades};
use risk::Protection;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::connect::{Schema, open_writer};
use crate::{StoreError, connect};

/// The book as a start finds it, with what the start itself needs to know.
#[derive(Debug, Default)]
pub struct Loaded {
    /// For the machines.
    pub book: BookState,
    /// The number of the last boot; zero before the first.
    pub last_boot: BootNumber,
    /// The mode that the book was begun in.
    pub mode: Option<String>,
    /// What the configuration last said to be held beside the books.
    pub outside_configured: BTreeMap<Asset, Quantity>,
    /// The mode that a person promoted the service to last.
    pub promoted_to: Option<TradingMode>,
    /// The paper account's state, as JSON.
    pub paper_account: Option<String>,
}

/// Reads the book at `path`, creating the database where there is none.
///
/// # Errors
/// Where it cannot be opened or is damaged.
pub async fn load(path: &Path) -> Result<Loaded, StoreError> {
    let mut connection = open_writer(path, Schema::Book).await?;
    let loaded = read(&mut connection, path).await;
    connect::close(connection, &path.display().to_string()).await;
    loaded
}

/// The write lock of a book, held: nobody else can write, and everybody can read.
#[derive(Debug)]
pub struct WriteLock(SqliteConnection);

/// Takes the write lock of the book at `path`: for a copy that must not change meanwhile, and for rehearsing a disk that does
/// not take more.
///
/// # Errors
/// Where the book cannot be opened, or somebody writes for longer than the writer would wait.
pub async fn hold_write_lock(path: &Path) -> Result<WriteLock, StoreError> {
    let mut connection = open_writer(path, Schema::Book).await?;
    let taken = sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await;
    taken.map_err(|error| StoreError::database(path.display().to_string(), error))?;
    Ok(WriteLock(connection))
}

impl WriteLock {
    /// Gives the lock back.
    pub async fn release(mut self) {
        // Where this fails the connection ends, and the lock with it.
        let _ = sqlx::query("ROLLBACK").execute(&mut self.0).await;
        connect::close(self.0, "the write lock").await;
    }
}

struct Source<'a> {
    connection: &'a mut SqliteConnection,
    path: &'a Path,
}

impl Source<'_> {
    fn place(&self, table: &str) -> String {
        format!("{}, table {table}", self.path.display())
    }

    async fn rows(&mut self, table: &str, query: &'static str) -> Result<Vec<SqliteRow>, StoreError> {
        let rows = sqlx::query(query).fetch_all(&mut *self.connection).await;
        rows.map_err(|error| StoreError::database(self.place(table), error))
    }

    fn parse<T: std::str::FromStr>(&self, table: &str, text: &str) -> Result<T, StoreError>
    where
        T::Err: std::fmt::Display,
    {
        text.parse().map_err(|error| StoreError::damaged(self.place(table), format!("{text:?}: {error}")))
    }

    async fn bodies<T: DeserializeOwned>(&mut self, table: &str, query: &'static str) -> Result<Vec<T>, StoreError> {
        let rows = self.rows(table, query).await?;
        rows.iter()
            .map(|row| {
                let text: String = row.get(0);
                serde_json::from_str(&text).map_err(|error| StoreError::damaged(self.place(table), error))
            })
            .collect()
    }
}

async fn read(connection: &mut SqliteConnection, path: &Path) -> Result<Loaded, StoreError> {
    let mut source = Source { connection, path };
    let mut ledger = LedgerState {
        instances: source.bodies("instances", "SELECT body FROM instances ORDER BY instance").await?,
        orders: source.bodies("orders", "SELECT body FROM orders WHERE done = 0 ORDER BY client_order_id").await?,
        ..LedgerState::default()
    };
    for row in source.rows("trackers", "SELECT scope, body FROM trackers").await? {
        let (scope, body): (String, String) = (row.get(0), row.get(1));
        let tracker =
            serde_json::from_str(&body).map_err(|error| StoreError::damaged(source.place("trackers"), error))?;
        match scope.strip_prefix("family ") {
            Some(family) => {
                ledger.families.insert(FamilyId::new(family).map_err(|e| StoreError::damaged(&scope, e))?, tracker);
            }
            None => ledger.portfolio = Some(tracker),
        }
    }
    ledger.marks = marks(&mut source).await?;
    ledger.seen = seen_trades(&mut source).await?;
    let book = BookState {
        ledger,
        restrictions: source.bodies("restrictions", "SELECT body FROM restrictions").await?,
        protections: protections(&mut source).await?,
        trades_through: trades_through(&mut source).await?,
        outside: outside(&mut source).await?,
        strategies: strategies(&mut source).await?,
        head: head(&mut source).await?,
        instruments: Vec::new(),
    };
    let (last_boot, mode) = last_start(&mut source).await?;
    let paper = source.rows("paper_account", "SELECT state FROM paper_account").await?;
    let promoted_to = promotion(&mut source).await?;
    let outside_configured = outside_configured(&mut source).await?;
    Ok(Loaded {
        book,
        last_boot,
        mode,
        outside_configured,
        promoted_to,
        paper_account: paper.first().map(|row| row.get(0)),
    })
}

async fn marks(source: &mut Source<'_>) -> Result<BTreeMap<Symbol, (domain::Price, Timestamp)>, StoreError> {
    let mut marks = BTreeMap::new();
    for row in source.rows("marks", "SELECT symbol, price, time FROM marks").await? {
        let (symbol, price, time): (String, String, i64) = (row.get(0), row.get(1), row.get(2));
        let mark = (source.parse("marks", &price)?, Timestamp::from_millis(time));
        marks.insert(source.parse("marks", &symbol)?, mark);
    }
    Ok(marks)
}

async fn seen_trades(source: &mut Source<'_>) -> Result<BTreeMap<Symbol, SeenTrades>, StoreError> {
    let mut seen: BTreeMap<Symbol, SeenTrades> = BTreeMap::new();
    for row in source.rows("fills", "SELECT symbol, trade_id FROM fills ORDER BY symbol, trade_id").await? {
        let (symbol, trade): (String, i64) = (row.get(0), row.get(1));
        let trade = u64::try_from(trade).map_err(|error| StoreError::damaged(source.place("fills"), error))?;
        seen.entry(source.parse("fills", &symbol)?).or_default().insert(TradeId(trade));
    }
    Ok(seen)
}

async fn protections(source: &mut Source<'_>) -> Result<Vec<SavedProtection>, StoreError> {
    let query = "SELECT instance, symbol, stop, take_profit, style, sequence FROM protections";
    let rows = source.rows("protections", query).await?;
    let place = "protections";
    let read = |row: &SqliteRow| {
        let (instance, symbol, stop): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let (target, style, sequence): (Option<String>, String, Option<String>) = (row.get(3), row.get(4), row.get(5));
        let take_profit = target.map(|text| source.parse(place, &text)).transpose()?;
        let damaged = |error: serde_json::Error| StoreError::damaged(source.place(place), error);
        let style = serde_json::from_value(style.into()).map_err(damaged)?;
        Ok(SavedProtection {
            instance: source.parse(place, &instance)?,
            symbol: source.parse(place, &symbol)?,
            protection: Protection { stop: source.parse(place, &stop)?, take_profit, style },
            sequence: sequence.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()?,
        })
    };
    rows.iter().map(read).collect()
}

async fn outside_configured(source: &mut Source<'_>) -> Result<BTreeMap<Asset, Quantity>, StoreError> {
    let mut configured = BTreeMap::new();
    let query = "SELECT asset, configured FROM outside WHERE configured IS NOT NULL";
    for row in source.rows("outside", query).await? {
        let (asset, quantity): (String, String) = (row.get(0), row.get(1));
        configured.insert(source.parse("outside", &asset)?, source.parse("outside", &quantity)?);
    }
    Ok(configured)
}

async fn trades_through(source: &mut Source<'_>) -> Result<BTreeMap<Symbol, TradeId>, StoreError> {
    let mut through = BTreeMap::new();
    for row in source.rows("trades_reconciled", "SELECT symbol, trade_id FROM trades_reconciled").await? {
        let (symbol, trade): (String, i64) = (row.get(0), row.get(1));
        let place = source.place("trades_reconciled");
        let trade = u64::try_from(trade).map_err(|error| StoreError::damaged(place, error))?;
        through.insert(source.parse("trades_reconciled", &symbol)?, TradeId(trade));
    }
    Ok(through)
}

async fn outside(source: &mut Source<'_>) -> Result<BTreeMap<Asset, Quantity>, StoreError> {
    let mut held = BTreeMap::new();
    for row in source.rows("outside", "SELECT asset, quantity FROM outside").await? {
        let (asset, quantity): (String, String) = (row.get(0), row.get(1));
        held.insert(source.parse("outside", &asset)?, source.parse("outside", &quantity)?);
    }
    Ok(held)
}

async fn strategies(source: &mut Source<'_>) -> Result<Vec<SavedStrategy>, StoreError> {
    let query = "SELECT instance, symbol, through, state FROM strategy_states";
    let rows = source.rows("strategy_states", query).await?;
    let read = |row: &SqliteRow| {
        let (instance, symbol, through, state): (String, String, i64, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let place = "strategy_states";
        Ok(SavedStrategy {
            instance: source.parse(place, &instance)?,
            symbol: source.parse(place, &symbol)?,
            through: Timestamp::from_millis(through),
            state: serde_json::from_str(&state).map_err(|error| StoreError::damaged(source.place(place), error))?,
        })
    };
    rows.iter().map(read).collect()
}

/// The newest exchange time that the book has seen: of the journal, or of a strategy's last candle.
async fn head(source: &mut Source<'_>) -> Result<Option<Timestamp>, StoreError> {
    // Times of the journal hardly ever go back, so that its end is enough; a book of years must open at once.
    // A promotion is stamped by the machine, not by the exchange.
    let query = "SELECT MAX(time) FROM (SELECT time FROM (SELECT time FROM journal WHERE kind != 'promoted' \
                 ORDER BY sequence DESC LIMIT 1000) \
                 UNION ALL SELECT MAX(through) FROM strategy_states)";
    let rows = source.rows("journal", query).await?;
    let head: Option<i64> = rows.first().and_then(|row| row.get(0));
    Ok(head.map(Timestamp::from_millis))
}

/// The mode of the newest promotion.
async fn promotion(source: &mut Source<'_>) -> Result<Option<TradingMode>, StoreError> {
    let query =
        "SELECT json_extract(payload, '$.to') FROM journal WHERE kind = 'promoted' ORDER BY sequence DESC LIMIT 1";
    let rows = source.rows("journal", query).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let mode: String = row.get(0);
    source.parse("journal", &mode).map(Some)
}

async fn last_start(source: &mut Source<'_>) -> Result<(BootNumber, Option<String>), StoreError> {
    let query = "SELECT json_extract(payload, '$.boot'), json_extract(payload, '$.mode') FROM journal \
                 WHERE kind = 'started' ORDER BY sequence DESC LIMIT 1";
    let rows = source.rows("journal", query).await?;
    let Some(row) = rows.first() else { return Ok((BootNumber(0), None)) };
    let boot: i64 = row.get(0);
    let boot = u64::try_from(boot).map_err(|error| StoreError::damaged(source.place("journal"), error))?;
    Ok((BootNumber(boot), row.get(1)))
}
