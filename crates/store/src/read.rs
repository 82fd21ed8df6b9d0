//! Questions to the book, read-only: for the operator's tables, whether the service runs or not.
//!
//! It must never hold up the writer: each question is one short read of one snapshot.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::StoreError;
use crate::connect::open_reader;

/// An order, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns of the table `orders`, which the migration describes")]
pub struct OrderRow {
    pub client_order_id: String,
    pub instance: String,
    pub symbol: String,
    pub side: String,
    pub order_type: String,
    pub purpose: String,
    pub quantity: String,
    pub price: Option<String>,
    pub executed: String,
    pub state: String,
    pub reason: String,
    pub intended_at: i64,
    pub updated_at: i64,
    pub correlation_id: i64,
}

/// A fill, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns of the table `fills`, which the migration describes")]
pub struct FillRow {
    pub symbol: String,
    pub trade_id: i64,
    pub client_order_id: String,
    pub instance: String,
    pub side: String,
    pub price: String,
    pub quantity: String,
    pub commission: String,
    pub commission_asset: String,
    pub is_maker: bool,
    pub time: i64,
    pub result: Option<String>,
}

/// A row of the journal, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns of the table `journal`, which the migration describes")]
pub struct JournalRow {
    pub sequence: i64,
    pub time: i64,
    pub kind: String,
    pub actor: String,
    pub correlation_id: i64,
    pub payload: String,
}

/// A position, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns of positions, protections and marks, which the migration describes")]
pub struct PositionRow {
    pub instance: String,
    pub symbol: String,
    pub quantity: String,
    pub cost: String,
    pub average_price: Option<String>,
    pub mark: Option<String>,
    pub stop: Option<String>,
    pub take_profit: Option<String>,
    pub opened_at: Option<i64>,
}

/// An alert that some channel has not taken yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns of the tables `alerts` and `alert_outbox`, which the migration describes")]
pub struct AlertRow {
    pub sequence: i64,
    pub time: i64,
    pub severity: String,
    pub reason: String,
    pub scope: String,
    pub text: String,
    pub correlation_id: i64,
    pub channel: String,
}

/// A read-only view of a book.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: SqliteConnection,
}

fn journal_row(row: &SqliteRow) -> JournalRow {
    JournalRow {
        sequence: row.get(0),
        time: row.get(1),
        kind: row.get(2),
        actor: row.get(3),
        correlation_id: row.get(4),
        payload: row.get(5),
    }
}

impl Reader {
    /// Opens the book at `path`, which must exist.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), connection: open_reader(path).await? })
    }

    fn fail(&self, error: sqlx::Error) -> StoreError {
        StoreError::database(self.path.display().to_string(), error)
    }

    /// The newest orders, newest first; those that are not done only, where `open_only`.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub async fn orders(&mut self, open_only: bool, limit: u32) -> Result<Vec<OrderRow>, StoreError> {
        let query = "SELECT client_order_id, instance, symbol, side, order_type, purpose, quantity, price, executed, \
                     state, reason, intended_at, updated_at, correlation_id FROM orders \
                     WHERE done = 0 OR NOT ? ORDER BY intended_at DESC, client_order_id DESC LIMIT ?";
        let rows = sqlx::query(query).bind(open_only).bind(limit).fetch_all(&mut self.connection).await;
        let read = |row: &SqliteRow| OrderRow {
            client_order_id: row.get(0),
            instance: row.get(1),
            symbol: row.get(2),
            side: row.get(3),
            order_type: row.get(4),
            purpose: row.get(5),
            quantity: row.get(6),
            price: row.get(7),
            executed: row.get(8),
            state: row.get(9),
            reason: row.get(10),
            intended_at: row.get(11),
            updated_at: row.get(12),
            correlation_id: row.get(13),
        };
        rows.map(|rows| rows.iter().map(read).collect()).map_err(|error| self.fail(error))
    }

    /// The newest fills, newest first.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub async fn fills(&mut self, limit: u32) -> Result<Vec<FillRow>, StoreError> {
        let query = "SELECT symbol, trade_id, client_order_id, instance, side, price, quantity, commission, \
                     commission_asset, is_maker, time, result FROM fills ORDER BY time DESC, symbol, trade_id DESC LIMIT ?";
        let rows = sqlx::query(query).bind(limit).fetch_all(&mut self.connection).await;
        let read = |row: &SqliteRow| FillRow {
            symbol: row.get(0),
            trade_id: row.get(1),
            client_order_id: row.get(2),
            instance: row.get(3),
            side: row.get(4),
            price: row.get(5),
            quantity: row.get(6),
            commission: row.get(7),
            commission_asset: row.get(8),
            is_maker: row.get(9),
            time: row.get(10),
            result: row.get(11),
        };
        rows.map(|rows| rows.iter().map(read).collect()).map_err(|error| self.fail(error))
    }

    /// Rows of the journal after `after`, oldest first; of one correlation id and kind only, where given.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub async fn journal(
        &mut self,
        after: i64,
        correlation_id: Option<i64>,
        kind: Option<&str>,
        limit: u32,
    ) -> Result<Vec<JournalRow>, StoreError> {
        let query = "SELECT sequence, time, kind, actor, correlation_id, payload FROM journal WHERE sequence > ?1 \
                     AND (?2 IS NULL OR correlation_id = ?2) AND (?3 IS NULL OR kind = ?3) ORDER BY sequence LIMIT ?4";
        let rows = sqlx::query(query)
            .bind(after)
            .bind(correlation_id)
            .bind(kind)
            .bind(limit)
            .fetch_all(&mut self.connection)
            .await;
        rows.map(|rows| rows.iter().map(journal_row).collect()).map_err(|error| self.fail(error))
    }

    /// The number of the journal's last row; zero where it is empty.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub async fn journal_end(&mut self) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT COALESCE(MAX(sequence), 0) FROM journal").fetch_one(&mut self.connection).await;
        row.map(|row| row.get(0)).map_err(|error| self.fail(error))
    }

    /// The newest row of `kind`; of any kind, where none is given.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub async fn newest(&mut self, kind: Option<&str>) -> Result<Option<JournalRow>, StoreError> {
        let query = "SELECT sequence, time, kind, actor, correlation_id, payload FROM journal \
                     WHERE ?1 IS NULL OR kind = ?1 ORDER BY sequence DESC LIMIT 1";
        let row = sqlx::query(query).bind(kind).fetch_optional(&mut self.connection).await;
        row.map(|row| row.as_ref().map(journal_row)).map_err(|error| self.fail(error))
    }

    /// Every instance: its id, its family, its book as JSON.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub async fn instances(&mut self) -> Result<Vec<(String, String, String)>, StoreError> {
        let query = "SELECT instance, family, body FROM instances ORDER BY instance";
        let rows = sqlx::query(query).fetch_all(&mut self.connection).await;
        let read = |row: &SqliteRow| (row.get(0), row.get(1), row.get(2));
        rows.map(|rows| rows.iter().map(read).collect()).map_err(|error| self.fail(error))
    }

    /// Positions that are not exactly zero, with their guards and the last marks.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub async fn positions(&mut self) -> Result<Vec<PositionRow>, StoreError> {
        let query = "SELECT p.instance, p.symbol, p.quantity, p.cost, p.average_price, m.price, g.stop, g.take_profit, \
                     p.opened_at FROM positions p LEFT JOIN marks m ON m.symbol = p.symbol \
                     LEFT JOIN protections g ON g.instance = p.instance AND g.symbol = p.symbol \
                     WHERE CAST(p.quantity AS REAL) != 0 ORDER BY p.instance, p.symbol";
        let rows = sqlx::query(query).fetch_all(&mut self.connection).await;
        let read = |row: &SqliteRow| PositionRow {
            instance: row.get(0),
            symbol: row.get(1),
            quantity: row.get(2),
            cost: row.get(3),
            average_price: row.get(4),
            mark: row.get(5),
            stop: row.get(6),
            take_profit: row.get(7),
            opened_at: row.get(8),
        };
        rows.map(|rows| rows.iter().map(read).collect()).map_err(|error| self.fail(error))
    }

    /// The newest alerts that a channel has not taken yet, oldest first.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub async fn outbox(&mut self, limit: u32) -> Result<Vec<AlertRow>, StoreError> {
        let query = "SELECT a.sequence, a.time, a.severity, a.reason, a.scope, a.text, a.correlation_id, o.channel \
                     FROM alert_outbox o JOIN alerts a USING (sequence) ORDER BY a.sequence, o.channel LIMIT ?";
        let rows = sqlx::query(query).bind(limit).fetch_all(&mut self.connection).await;
        let read = |row: &SqliteRow| AlertRow {
            sequence: row.get(0),
            time: row.get(1),
            severity: row.get(2),
            reason: row.get(3),
            scope: row.get(4),
            text: row.get(5),
            correlation_id: row.get(6),
            channel: row.get(7),
        };
        rows.map(|rows| rows.iter().map(read).collect()).map_err(|error| self.fail(error))
    }
}
