//! The history of candles, in a database of its own that can be thrown away.
//!
//! It must never be needed: what is missing here is fetched from the exchange.

use std::path::{Path, PathBuf};

use domain::{Candle, Interval, Symbol, Timestamp};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use crate::connect::{Schema, open_writer};
use crate::{StoreError, connect};

/// The candle history; one owner, on one thread.
#[derive(Debug)]
pub struct CandleHistory {
    path: PathBuf,
    connection: SqliteConnection,
}

impl CandleHistory {
    /// Opens or creates the history at `path`.
    ///
    /// # Errors
    /// Where the database cannot be opened.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), connection: open_writer(path, Schema::Market).await? })
    }

    /// Keeps candles; one that is there already is replaced.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub async fn keep(&mut self, candles: &[Candle]) -> Result<(), StoreError> {
        let fail = |error| StoreError::database(self.path.display().to_string(), error);
        let mut transaction = self.connection.begin().await.map_err(fail)?;
        for candle in candles {
            sqlx::query(
                "INSERT OR REPLACE INTO candles (symbol, interval, open_time, open, high, low, close, volume) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(candle.symbol.as_str())
            .bind(candle.interval.as_str())
            .bind(candle.open_time.as_millis())
            .bind(candle.open.to_string())
            .bind(candle.high.to_string())
            .bind(candle.low.to_string())
            .bind(candle.close.to_string())
            .bind(candle.volume.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(fail)?;
        }
        transaction.commit().await.map_err(fail)
    }

    /// Candles that begin in `from..to`, oldest first. Rows that cannot be read are left out.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn between(
        &mut self,
        symbol: &Symbol,
        interval: Interval,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Candle>, StoreError> {
        let rows = sqlx::query(
            "SELECT open_time, open, high, low, close, volume FROM candles \
             WHERE symbol = ? AND interval = ? AND open_time >= ? AND open_time < ? ORDER BY open_time",
        )
        .bind(symbol.as_str())
        .bind(interval.as_str())
        .bind(from.as_millis())
        .bind(to.as_millis())
        .fetch_all(&mut self.connection)
        .await
        .map_err(|error| StoreError::database(self.path.display().to_string(), error))?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let text = |column: usize| row.get::<&str, _>(column);
            Some(Candle {
                symbol: symbol.clone(),
                interval,
                open_time: Timestamp::from_millis(row.get(0)),
                open: text(1).parse().ok()?,
                high: text(2).parse().ok()?,
                low: text(3).parse().ok()?,
                close: text(4).parse().ok()?,
                volume: text(5).parse().ok()?,
            })
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Closes in order.
    pub async fn close(self) {
        connect::close(self.connection, &self.path.display().to_string()).await;
    }
}
