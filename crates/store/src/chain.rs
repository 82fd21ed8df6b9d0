//! The hash chain of the journal: each row's hash covers the row and the hash before it, so that no row can be changed,
//! taken out or put in unseen.
//!
//! It must never depend on anything but the row's own bytes: the same rows give the same chain on any machine.

use domain::Timestamp;
use engine::JournalEntry;
use sha2::{Digest, Sha256};

/// One link of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

/// A journal entry as it is written: its texts, and its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainedRow {
    /// Counted from 1 without gaps.
    pub sequence: i64,
    /// Exchange time.
    pub time: Timestamp,
    /// The kind of the record.
    pub kind: String,
    /// Who wrote it.
    pub actor: String,
    /// What caused it.
    pub correlation_id: i64,
    /// The record as JSON.
    pub payload: String,
    /// The link.
    pub hash: ChainHash,
}

impl ChainHash {
    /// What comes before the first row.
    pub const GENESIS: ChainHash = ChainHash([0; 32]);

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From bytes as they were stored; `None` if they are not 32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The link of a row that follows this one.
    #[must_use]
    pub fn next(&self, sequence: i64, time: i64, kind: &str, actor: &str, correlation_id: i64, payload: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        for number in [sequence, time, correlation_id] {
            hash.update(number.to_be_bytes());
        }
        for text in [kind, actor, payload] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        Self(hash.finalize().into())
    }
}

impl std::fmt::Display for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Puts entries into their place, one after the other.
#[derive(Debug, Clone)]
pub struct Chain {
    sequence: i64,
    hash: ChainHash,
}

impl Default for Chain {
    fn default() -> Self {
        Self { sequence: 0, hash: ChainHash::GENESIS }
    }
}

impl Chain {
    /// A chain that goes on after row `sequence` with `hash`.
    #[must_use]
    pub const fn after(sequence: i64, hash: ChainHash) -> Self {
        Self { sequence, hash }
    }

    /// The last row's number; zero before the first.
    #[must_use]
    pub const fn sequence(&self) -> i64 {
        self.sequence
    }

    /// The last row's link.
    #[must_use]
    pub const fn hash(&self) -> ChainHash {
        self.hash
    }

    /// The row of `entry`.
    #[must_use]
    pub fn link(&mut self, entry: &JournalEntry) -> ChainedRow {
        let payload = serde_json::to_string(&entry.record).expect("invariant: records have string keys only");
        let (kind, actor) = (entry.record.kind().to_owned(), entry.actor.to_string());
        let correlation_id = i64::try_from(entry.correlation_id.0).unwrap_or(i64::MAX);
        self.sequence += 1;
        self.hash = self.hash.next(self.sequence, entry.time.as_millis(), &kind, &actor, correlation_id, &payload);
        ChainedRow { sequence: self.sequence, time: entry.time, kind, actor, correlation_id, payload, hash: self.hash }
    }
}
