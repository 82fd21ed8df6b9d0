//! The durable state: one JSON file, replaced as a whole.
//!
//! It must never hold a time that is behind what was served: on disk the clock is a lease, ahead of the present, so that a
//! start after a kill goes on from there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use domain::{Ratio, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::Model;

/// Where the market stands: so many events of that time, and all before it, were released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) time: i64,
    pub(super) index: u64,
}

/// A crash that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedCrash {
    pub(super) symbol: Symbol,
    pub(super) share: Ratio,
    pub(super) at: i64,
}

/// What the file holds; written from a borrowed model, read into an owned one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved<M = Model> {
    pub(super) version: u32,
    pub(super) market: String,
    pub(super) market_start: i64,
    pub(super) clock: i64,
    pub(super) position: Position,
    pub(super) crashes: Vec<SavedCrash>,
    pub(super) execution_id: u64,
    pub(super) model: M,
}

/// The layout of the file.
pub(super) const VERSION: u32 = 1;

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("the simulator's state {path} cannot be read: {source}; check its permissions or name another file")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no state.
    #[error("the simulator's state {path} is damaged: {source}; move it away to begin anew, or restore it")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// It belongs to another market.
    #[error(
        "the simulator's state {path} belongs to the market {found:?}, not to {wanted:?}; \
         move it away to begin anew, or choose another file for this market"
    )]
    OtherMarket {
        /// Which file.
        path: PathBuf,
        /// The market it was written for, with its start.
        found: String,
        /// The market that is to be served, with its start.
        wanted: String,
    },
    /// It cannot be written.
    #[error("the simulator's state {path} cannot be written: {source}; check the directory and the space left")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a state file says of itself, for whoever has to make the market that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSummary {
    /// The name of its market.
    pub market_name: String,
    /// When its market starts: a seeded market must be made with this start to be the same.
    pub market_start: Timestamp,
    /// The time from which a server would go on.
    pub clock: Timestamp,
}

/// Reads what a state file says of itself; `None` if there is no file.
///
/// # Errors
/// The file cannot be read or is damaged.
pub fn peek_state(path: &Path) -> Result<Option<StateSummary>, StateError> {
    Ok(load(path)?.map(|saved| StateSummary {
        market_name: saved.market,
        market_start: Timestamp::from_millis(saved.market_start),
        clock: Timestamp::from_millis(saved.clock),
    }))
}

pub(super) fn load(path: &Path) -> Result<Option<Saved>, StateError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StateError::Read { path: path.to_owned(), source }),
    };
    let damaged = |source| StateError::Damaged { path: path.to_owned(), source };
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

impl<M: Serialize> Saved<M> {
    pub(super) fn check_market(&self, path: &Path, name: &str, start: i64) -> Result<(), StateError> {
        if self.market == name && self.market_start == start && self.version == VERSION {
            return Ok(());
        }
        let shown = |name: &str, start| format!("{name} from {}", Timestamp::from_millis(start));
        Err(StateError::OtherMarket {
            path: path.to_owned(),
            found: shown(&self.market, self.market_start),
            wanted: shown(name, start),
        })
    }

    /// Writes beside the file and renames: a kill leaves the old one or the new one. It is not synced to the disk, so a
    /// loss of power may lose it; it is a simulator's.
    pub(super) fn write(&self, path: &Path) -> Result<(), StateError> {
        let failed = |source| StateError::Write { path: path.to_owned(), source };
        let text = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        fs::write(&beside, text).map_err(failed)?;
        fs::rename(&beside, path).map_err(failed)
    }
}
