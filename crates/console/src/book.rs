//! The book as the console asks it: one question at a time, blocking, read-only.
//!
//! It must never be used on a thread that drives an async runtime: it brings its own.

use std::path::Path;

use serde::{Deserialize, Serialize};
use store::read::{FillRow, JournalRow, OrderRow, PositionRow};
use store::{ChainReport, Reader, StoreError};
use tokio::runtime::{Builder, Runtime};

/// Which rows of the journal are wanted. Answers are oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalQuery {
    /// The first rows after this one; without it, the last rows there are.
    #[serde(default)]
    pub after: Option<i64>,
    /// Of this correlation id only.
    #[serde(default)]
    pub correlation: Option<i64>,
    /// Of this kind only.
    #[serde(default)]
    pub kind: Option<String>,
    /// At most so many.
    #[serde(default = "default_limit")]
    pub limit: u32,
}

/// Rows where nobody says how many.
#[must_use]
pub const fn default_limit() -> u32 {
    20
}

/// A book, opened for reading.
#[derive(Debug)]
pub struct Book {
    // Before the runtime, so that the connection goes first.
    reader: Reader,
    runtime: Runtime,
}

fn runtime() -> Result<Runtime, StoreError> {
    let remedy = "The system is out of file handles or memory";
    let fail = |source| StoreError::File { path: "a runtime for the book".to_owned(), source, remedy };
    Builder::new_current_thread().enable_all().build().map_err(fail)
}

impl Book {
    /// Opens the book at `path`, which must exist.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let runtime = runtime()?;
        let reader = runtime.block_on(Reader::open(path))?;
        Ok(Self { reader, runtime })
    }

    /// Verifies the chain of the book at `path`, from the first row to the last.
    ///
    /// # Errors
    /// Where it cannot be read at all.
    pub fn verify(path: &Path) -> Result<ChainReport, StoreError> {
        runtime()?.block_on(store::verify_chain(path))
    }

    /// See [`Reader::orders`].
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub fn orders(&mut self, open: bool, limit: u32) -> Result<Vec<OrderRow>, StoreError> {
        self.runtime.block_on(self.reader.orders(open, limit))
    }

    /// See [`Reader::fills`].
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub fn fills(&mut self, limit: u32) -> Result<Vec<FillRow>, StoreError> {
        self.runtime.block_on(self.reader.fills(limit))
    }

    /// Positions that are not zero.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub fn positions(&mut self) -> Result<Vec<PositionRow>, StoreError> {
        let mut rows = self.runtime.block_on(self.reader.positions())?;
        rows.retain(|row| row.quantity.chars().any(|c| ('1'..='9').contains(&c)));
        Ok(rows)
    }

    /// Every instance that the book knows: its id, its family, its book as JSON.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub fn instances(&mut self) -> Result<Vec<(String, String, String)>, StoreError> {
        self.runtime.block_on(self.reader.instances())
    }

    /// The newest row of `kind`; of any kind, where none is given.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub fn newest(&mut self, kind: Option<&str>) -> Result<Option<JournalRow>, StoreError> {
        self.runtime.block_on(self.reader.newest(kind))
    }

    /// Rows of the journal, oldest first.
    ///
    /// # Errors
    /// Where the book cannot be read.
    pub fn journal(&mut self, query: &JournalQuery) -> Result<Vec<JournalRow>, StoreError> {
        match query.after {
            Some(after) => self.rows_after(after, query, query.limit),
            None => self.last_rows(query),
        }
    }

    fn rows_after(&mut self, after: i64, query: &JournalQuery, limit: u32) -> Result<Vec<JournalRow>, StoreError> {
        self.runtime.block_on(self.reader.journal(after, query.correlation, query.kind.as_deref(), limit))
    }

    /// Looks at a piece of the end that grows until it has enough rows, so that a long journal is not read whole.
    fn last_rows(&mut self, query: &JournalQuery) -> Result<Vec<JournalRow>, StoreError> {
        let end = self.newest(None)?.map_or(0, |row| row.sequence);
        let wanted = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut piece = i64::from(query.limit.max(1));
        loop {
            let from = end.saturating_sub(piece).max(0);
            let mut rows = self.rows_after(from, query, u32::MAX)?;
            if rows.len() >= wanted || from == 0 {
                rows.drain(..rows.len().saturating_sub(wanted));
                return Ok(rows);
            }
            piece = piece.saturating_mul(4);
        }
    }
}
