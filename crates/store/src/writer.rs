//! The journal's writer: one thread, one connection, commits grouped per fsync.
//!
//! Appending never blocks and never loses order: what was appended first is durable first. It must never report a commit
//! that the disk does not have, and never drop an entry because the disk is full: it keeps it, says so, and tries again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::{InstanceId, Symbol, Timestamp};
use engine::JournalEntry;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};
use tokio::sync::{mpsc, watch};

use crate::chain::{Chain, ChainHash, ChainedRow};
use crate::connect::{Schema, open_writer};
use crate::{StoreError, connect, project};

/// Writes that may wait; beyond it the journal counts as unavailable.
const QUEUE_MAX: usize = 20_000;
/// Writes in one transaction.
const GROUP_MAX: usize = 512;
/// How long the writer waits before it tries a failed commit again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// One thing to be made durable.
#[derive(Debug)]
pub enum Write {
    /// A row of the journal with what it changes in the projections.
    Entry(Box<JournalEntry>),
    /// A strategy's state; it replaces the one before.
    Strategy {
        /// Whose.
        instance: InstanceId,
        /// Of which market.
        symbol: Symbol,
        /// The end of the last candle it has seen.
        through: Timestamp,
        /// As JSON.
        state: String,
    },
    /// The paper account's state; it replaces the one before.
    PaperAccount(String),
    /// An alert was handed to a channel.
    AlertDelivered {
        /// The alert's row.
        sequence: i64,
        /// The channel.
        channel: &'static str,
    },
}

/// How far the journal is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitState {
    /// Everything up to this ticket is on the disk.
    pub committed: u64,
    /// Why it cannot be written now; `None` while all is well.
    pub failure: Option<String>,
}

/// The queue to the journal is full, or its writer has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot take more: its disk does not keep up")]
pub struct JournalFull;

#[derive(Debug)]
struct Queue {
    next_ticket: u64,
    sender: Option<mpsc::Sender<(u64, Write)>>,
}

/// A handle on the journal's writer. Handles share one queue.
#[derive(Debug, Clone)]
pub struct Journal {
    queue: Arc<Mutex<Queue>>,
    state: watch::Receiver<CommitState>,
}

/// The writer's thread; joined when the service stops.
#[derive(Debug)]
pub struct JournalThread {
    handle: JoinHandle<()>,
}

impl JournalThread {
    /// Waits until everything that was appended is durable (or the writer gave up) and the database is closed. The
    /// journal must have been closed.
    pub fn join(self) {
        if self.handle.join().is_err() {
            tracing::error!("the journal's writer died; the next start verifies the chain");
        }
    }
}

impl Journal {
    /// Opens `path` for writing and starts the writer.
    ///
    /// # Errors
    /// Where the database cannot be opened, is damaged, or its SQLite is too old.
    pub fn open(path: &Path) -> Result<(Journal, JournalThread), StoreError> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let (state_sender, state) = watch::channel(CommitState::default());
        let (opened, opening) = std::sync::mpsc::channel();
        let path = path.to_owned();
        let handle = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || run(&path, receiver, state_sender, &opened))
            .map_err(|source| StoreError::File {
                path: "journal thread".into(),
                source,
                remedy: "The system is out of threads or memory",
            })?;
        let outcome =
            opening.recv().unwrap_or_else(|_| Err(StoreError::damaged("the book", "its writer died at start")));
        outcome?;
        let queue = Arc::new(Mutex::new(Queue { next_ticket: 0, sender: Some(sender) }));
        Ok((Journal { queue, state }, JournalThread { handle }))
    }

    /// Appends; the ticket is durable once [`CommitState::committed`] has reached it.
    ///
    /// # Errors
    /// [`JournalFull`], with nothing appended.
    pub fn append(&self, write: Write) -> Result<u64, JournalFull> {
        let mut queue = self.queue.lock().map_err(|_| JournalFull)?;
        let ticket = queue.next_ticket + 1;
        queue.sender.as_ref().ok_or(JournalFull)?.try_send((ticket, write)).map_err(|_| JournalFull)?;
        queue.next_ticket = ticket;
        Ok(ticket)
    }

    /// Follows how far the journal is durable.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<CommitState> {
        self.state.clone()
    }

    /// Waits until everything that was appended up to now is durable.
    ///
    /// # Errors
    /// Why it is not, after `timeout`.
    pub async fn flushed(&self, timeout: Duration) -> Result<(), String> {
        let ticket = self.queue.lock().map_or(0, |queue| queue.next_ticket);
        let mut state = self.state.clone();
        let waited = tokio::time::timeout(timeout, state.wait_for(|state| state.committed >= ticket)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err("its writer has ended".to_owned()),
            Err(_) => Err(self.state.borrow().failure.clone().unwrap_or_else(|| "the disk is slow".to_owned())),
        }
    }

    /// Takes no more; the writer ends when what was appended is durable.
    pub fn close(&self) {
        if let Ok(mut queue) = self.queue.lock() {
            queue.sender = None;
        }
    }
}

type Opened = std::sync::mpsc::Sender<Result<(), StoreError>>;

fn run(path: &Path, receiver: mpsc::Receiver<(u64, Write)>, state: watch::Sender<CommitState>, opened: &Opened) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => {
            let remedy = "The system is out of file handles or memory";
            let _ = opened.send(Err(StoreError::File { path: "journal runtime".into(), source, remedy }));
            return;
        }
    };
    runtime.block_on(async {
        let mut writer = match Writer::open(path, state).await {
            Ok(writer) => writer,
            Err(error) => {
                let _ = opened.send(Err(error));
                return;
            }
        };
        let _ = opened.send(Ok(()));
        writer.serve(receiver).await;
        connect::close(writer.connection, &path.display().to_string()).await;
    });
}

struct Writer {
    path: PathBuf,
    connection: SqliteConnection,
    chain: Chain,
    state: watch::Sender<CommitState>,
}

impl Writer {
    async fn open(path: &Path, state: watch::Sender<CommitState>) -> Result<Self, StoreError> {
        let mut connection = open_writer(path, Schema::Book).await?;
        let place = || format!("{}: the journal's last row", path.display());
        let last = sqlx::query("SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1")
            .fetch_optional(&mut connection)
            .await
            .map_err(|error| StoreError::database(place(), error))?;
        let chain = match last {
            None => Chain::default(),
            Some(row) => {
                let hash = ChainHash::from_bytes(row.get(1))
                    .ok_or_else(|| StoreError::damaged(place(), "its hash is not 32 bytes"))?;
                Chain::after(row.get(0), hash)
            }
        };
        Ok(Self { path: path.to_owned(), connection, chain, state })
    }

    async fn serve(&mut self, mut receiver: mpsc::Receiver<(u64, Write)>) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while receiver.recv_many(&mut group, GROUP_MAX).await > 0 {
            let mut attempts = 0u32;
            while let Err(error) = self.commit(&group).await {
                attempts += 1;
                let text = format!("{}: {error}", self.path.display());
                if attempts == 1 {
                    tracing::error!(error = %text, "the journal cannot be written; entries are refused until it can");
                }
                self.state.send_modify(|state| state.failure = Some(text));
                // A service that stops must end; one that runs keeps trying.
                if receiver.is_closed() && attempts > 4 {
                    tracing::error!(lost = group.len(), "the service stops and the journal cannot be written");
                    return;
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
            let committed = group.last().map_or(0, |(ticket, _)| *ticket);
            group.clear();
            self.state.send_modify(|state| *state = CommitState { committed, failure: None });
        }
    }

    /// All of the group, or nothing of it.
    async fn commit(&mut self, group: &[(u64, Write)]) -> Result<(), sqlx::Error> {
        let mut chain = self.chain.clone();
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for (_, write) in group {
            apply(&mut transaction, &mut chain, write).await?;
        }
        transaction.commit().await?;
        self.chain = chain;
        Ok(())
    }
}

async fn apply(connection: &mut SqliteConnection, chain: &mut Chain, write: &Write) -> Result<(), sqlx::Error> {
    match write {
        Write::Entry(entry) => {
            let row: ChainedRow = chain.link(entry);
            project::journal(connection, &row).await?;
            project::project(connection, &row, &entry.record).await
        }
        Write::Strategy { instance, symbol, through, state } => {
            sqlx::query(
                "INSERT OR REPLACE INTO strategy_states (instance, symbol, through, state) VALUES (?, ?, ?, ?)",
            )
            .bind(instance.as_str())
            .bind(symbol.as_str())
            .bind(through.as_millis())
            .bind(state)
            .execute(connection)
            .await?;
            Ok(())
        }
        Write::PaperAccount(state) => {
            sqlx::query("INSERT OR REPLACE INTO paper_account (id, state) VALUES (1, ?)")
                .bind(state)
                .execute(connection)
                .await?;
            Ok(())
        }
        Write::AlertDelivered { sequence, channel } => {
            sqlx::query("DELETE FROM alert_outbox WHERE sequence = ? AND channel = ?")
                .bind(sequence)
                .bind(*channel)
                .execute(connection)
                .await?;
            Ok(())
        }
    }
}
