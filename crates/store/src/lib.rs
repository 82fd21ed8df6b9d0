//! The store: SQLite journal and projections, the latch file, the process lock, candle history.
//!
//! sqlx lives only here. It must never compute what a record means for money: records carry the state they led to, and
//! the store writes it. It must never say "committed" before the disk has it.

pub mod book;
pub mod candles;
pub mod chain;
mod connect;
pub mod latch_file;
pub mod lock;
mod project;
pub mod read;
pub mod verify;
pub mod writer;

pub use chain::ChainHash;
pub use latch_file::LatchFile;
pub use lock::ProcessLock;
pub use read::Reader;
pub use verify::{ChainReport, verify_chain};
pub use writer::{CommitState, Journal, JournalFull};

/// What can go wrong with the store. The text names the place and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said no.
    #[error("{place}: {source}. {remedy}")]
    Database {
        /// Which file, and what was done to it.
        place: String,
        /// What SQLite said.
        source: sqlx::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}. {remedy}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        source: std::io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// Something in the database cannot be what it is.
    #[error("{place} is damaged: {detail}. Stop here, keep the file, and restore the newest backup.")]
    Damaged {
        /// Where.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// Another process holds the database.
    #[error("{path} is in use by {holder}. Stop that process first; two on one book would trade twice.")]
    InUse {
        /// Which database.
        path: String,
        /// Who holds it.
        holder: String,
    },
    /// The SQLite built in is too old.
    #[error(
        "SQLite {found} is built in and {needed} is needed (the WAL-reset fix). Build with the Cargo.lock of the project."
    )]
    SqliteTooOld {
        /// What is there.
        found: String,
        /// What is needed.
        needed: &'static str,
    },
}

impl StoreError {
    pub(crate) fn database(place: impl Into<String>, source: sqlx::Error) -> Self {
        let remedy = "Check that the disk has room, and that the directory may be written";
        Self::Database { place: place.into(), source, remedy }
    }

    pub(crate) fn damaged(place: impl Into<String>, detail: impl std::fmt::Display) -> Self {
        Self::Damaged { place: place.into(), detail: detail.to_string() }
    }
}
