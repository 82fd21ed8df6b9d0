//! The alert outbox: hands every alert that is durable to its channels, at least once, in order.
//!
//! It must never forget an alert because a channel failed: it stays in the outbox and is tried again.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::{Severity, Timestamp};
use store::read::AlertRow;
use store::writer::Write;
use store::{Journal, Reader};

use crate::status::{EventLine, StatusBoard};

/// Alerts of one round.
const ROUND: u32 = 200;
/// How often the outbox is looked at even where nothing was written: what failed is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(2);

/// The thread that delivers alerts; it ends with the journal.
#[derive(Debug)]
pub struct Outbox(JoinHandle<()>);

impl Outbox {
    /// Delivers the alerts of `book` to the log, to `file` (one JSON object a line) and to the screen.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(book: &Path, file: PathBuf, journal: Journal, board: StatusBoard) -> std::io::Result<Self> {
        let book = book.to_owned();
        let thread = std::thread::Builder::new().name("outbox".into()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(deliver_all(&book, &file, &journal, &board));
        })?;
        Ok(Self(thread))
    }

    /// Waits for its end; the journal must have been closed.
    pub fn join(self) {
        let _ = self.0.join();
    }
}

async fn deliver_all(book: &Path, file: &Path, journal: &Journal, board: &StatusBoard) {
    let mut state = journal.state();
    loop {
        let waited = tokio::time::timeout(RETRY_EVERY, state.changed()).await;
        if let Ok(Err(_)) = waited {
            return;
        }
        match Reader::open(book).await {
            Ok(mut reader) => match reader.outbox(ROUND).await {
                Ok(alerts) => alerts.iter().for_each(|alert| deliver(alert, file, journal, board)),
                Err(error) => tracing::warn!(%error, "the alert outbox cannot be read; it is tried again"),
            },
            Err(error) => tracing::warn!(%error, "the alert outbox cannot be read; it is tried again"),
        }
    }
}

fn deliver(alert: &AlertRow, file: &Path, journal: &Journal, board: &StatusBoard) {
    let channel = match alert.channel.as_str() {
        "log" => {
            to_log(alert);
            let severity = severity(&alert.severity);
            let (time, text) = (Timestamp::from_millis(alert.time), format!("{}: {}", alert.reason, alert.text));
            board.event(EventLine { time, severity, text });
            "log"
        }
        "file" => match to_file(alert, file) {
            Ok(()) => "file",
            Err(error) => {
                tracing::warn!(%error, file = %file.display(), "an alert could not be written; it is tried again");
                return;
            }
        },
        // A channel of a later version: it stays for that.
        _ => return,
    };
    let _ = journal.append(Write::AlertDelivered { sequence: alert.sequence, channel });
}

fn severity(text: &str) -> Severity {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).unwrap_or(Severity::Critical)
}

fn to_log(alert: &AlertRow) {
    let (reason, scope, correlation_id) = (&alert.reason, &alert.scope, alert.correlation_id);
    match severity(&alert.severity) {
        Severity::Info => tracing::info!(%reason, %scope, correlation_id, "{}", alert.text),
        Severity::Warning => tracing::warn!(%reason, %scope, correlation_id, "{}", alert.text),
        severity @ (Severity::High | Severity::Critical) => {
            tracing::error!(%severity, %reason, %scope, correlation_id, "{}", alert.text);
        }
    }
}

fn to_file(alert: &AlertRow, file: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    let mut line = serde_json::to_vec(alert).map_err(std::io::Error::other)?;
    line.push(b'\n');
    file.write_all(&line)
}
