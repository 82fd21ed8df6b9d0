//! Opening SQLite databases: one writer connection, read-only readers, migrations, and the check of SQLite's version.
//!
//! It must never open a book with anything less than WAL and FULL.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row};

use crate::StoreError;

/// The first SQLite with the WAL-reset fix.
const SQLITE_NEEDED: (&str, [u32; 3]) = ("3.51.3", [3, 51, 3]);

static BOOK: Migrator = sqlx::migrate!("../../migrations/book");
static MARKET: Migrator = sqlx::migrate!("../../migrations/market");

/// Which schema a database has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Schema {
    Book,
    Market,
}

/// Opens for writing, creates and migrates where needed.
pub(crate) async fn open_writer(path: &Path, schema: Schema) -> Result<SqliteConnection, StoreError> {
    let place = || path.display().to_string();
    let (synchronous, migrator) = match schema {
        Schema::Book => (SqliteSynchronous::Full, &BOOK),
        // What can be fetched again need not survive a power cut.
        Schema::Market => (SqliteSynchronous::Normal, &MARKET),
    };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("wal_autocheckpoint", "2000");
    let mut connection = options.connect().await.map_err(|error| StoreError::database(place(), error))?;
    check_version(&mut connection).await?;
    migrator
        .run(&mut connection)
        .await
        .map_err(|error| StoreError::damaged(place(), format!("its schema cannot be brought up to date: {error}")))?;
    Ok(connection)
}

/// Opens for reading only; the database must exist.
pub(crate) async fn open_reader(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(Duration::from_secs(5));
    options.connect().await.map_err(|error| StoreError::database(path.display().to_string(), error))
}

async fn check_version(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT sqlite_version()")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| StoreError::database("sqlite_version", error))?;
    let found: String = row.get(0);
    let parts: Vec<u32> = found.split('.').filter_map(|part| part.parse().ok()).collect();
    if parts.as_slice() < SQLITE_NEEDED.1.as_slice() {
        return Err(StoreError::SqliteTooOld { found, needed: SQLITE_NEEDED.0 });
    }
    Ok(())
}

/// Closes in order, so that the WAL is folded in.
pub(crate) async fn close(connection: SqliteConnection, place: &str) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%place, %error, "the database did not close in order; its WAL is folded in at the next start");
    }
}
