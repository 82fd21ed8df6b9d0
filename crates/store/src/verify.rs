//! Verifying the journal's chain (I8): every row's hash is computed anew.
//!
//! It only reads.

use std::path::Path;

use futures_util::TryStreamExt;
use sqlx::Row;

use crate::StoreError;
use crate::chain::ChainHash;
use crate::connect::open_reader;

/// What a verification came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChainReport {
    /// Rows that are in order, from the first on.
    pub rows: i64,
    /// The last of these rows' hash, in hex.
    pub hash: String,
    /// The first row that is not, and what is wrong with it.
    pub broken: Option<String>,
}

/// Verifies the chain of the book at `path`.
///
/// # Errors
/// Where the database cannot be read at all.
pub async fn verify_chain(path: &Path) -> Result<ChainReport, StoreError> {
    let mut connection = open_reader(path).await?;
    let query = "SELECT sequence, time, kind, actor, correlation_id, payload, hash FROM journal ORDER BY sequence";
    let mut rows = sqlx::query(query).fetch(&mut connection);
    let (mut count, mut hash) = (0i64, ChainHash::GENESIS);
    let fail = |error| StoreError::database(format!("{}, table journal", path.display()), error);
    while let Some(row) = rows.try_next().await.map_err(fail)? {
        let (sequence, time, correlation): (i64, i64, i64) = (row.get(0), row.get(1), row.get(4));
        let (kind, actor, payload): (&str, &str, &str) = (row.get(2), row.get(3), row.get(5));
        let stored: &[u8] = row.get(6);
        let next = hash.next(sequence, time, kind, actor, correlation, payload);
        let broken = if sequence != count + 1 {
            Some(format!("row {} is missing", count + 1))
        } else if stored != next.as_bytes() {
            Some(format!("row {sequence} was changed, or a row before it"))
        } else {
            None
        };
        if broken.is_some() {
            return Ok(ChainReport { rows: count, hash: hash.to_string(), broken });
        }
        (count, hash) = (sequence, next);
    }
    Ok(ChainReport { rows: count, hash: hash.to_string(), broken: None })
}
