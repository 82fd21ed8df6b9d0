//! The control socket: how `vigia status` and its like talk to the service. One JSON object a line, each way.
//!
//! It must never be open to anybody but the owner of the data directory, never hold up the service, and never keep a
//! line or a connection without bound.

mod client;
mod server;

use std::io::{self, BufRead, Read};

use runtime::status::Status;
use serde::{Deserialize, Serialize};
use store::read::{FillRow, JournalRow, OrderRow};

use crate::book::{JournalQuery, default_limit};

pub use client::ControlClient;
pub use server::ControlServer;

/// Connections at a time.
pub const CONNECTIONS_MAX: usize = 16;
/// Bytes in a request.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Rows in an answer.
pub const ROWS_MAX: u32 = 10_000;

/// What can be asked of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// The whole status.
    Status,
    /// An orderly stop.
    Stop,
    /// The newest orders, newest first.
    Orders {
        /// Those that are not done only.
        #[serde(default)]
        open: bool,
        /// At most so many.
        #[serde(default = "default_limit")]
        limit: u32,
    },
    /// The newest fills, newest first.
    Fills {
        /// At most so many.
        #[serde(default = "default_limit")]
        limit: u32,
    },
    /// Rows of the journal, oldest first.
    Journal(JournalQuery),
}

/// What the service answers, where it can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Stop`]: the stop was asked for. The socket goes away when it is done.
    Stopping(bool),
    /// To [`Request::Orders`].
    Orders(Vec<OrderRow>),
    /// To [`Request::Fills`].
    Fills(Vec<FillRow>),
    /// To [`Request::Journal`].
    Journal(Vec<JournalRow>),
}

/// What can go wrong with the control socket. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens there.
    #[error("no service listens on {path}. Start it with: make run (or vigia up)")]
    NotRunning {
        /// Where.
        path: String,
    },
    /// Somebody listens there already.
    #[error("a service listens on {path} already. Stop that one first")]
    InUse {
        /// Where.
        path: String,
    },
    /// There is a file that is no socket.
    #[error("{path} is there and is no socket. Move it away")]
    NotASocket {
        /// Where.
        path: String,
    },
    /// The system said no.
    #[error("{path}: {cause}. {remedy}")]
    Io {
        /// Where.
        path: String,
        /// What the system said.
        cause: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// The service answered with an error.
    #[error("the service says: {0}")]
    Refused(String),
    /// The answer is not one that this program knows.
    #[error("the service's answer cannot be understood: {0}. Use the vigia that the service runs with")]
    Unreadable(String),
}

/// What goes over the wire: `ok`, the process that answers, and the answer or the error beside them.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    ok: bool,
    process: u32,
    #[serde(flatten)]
    response: Option<&'a Response>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// The same, as it is read.
#[derive(Debug, Deserialize)]
struct Envelope {
    ok: bool,
    process: u32,
    #[serde(flatten)]
    body: serde_json::Map<String, serde_json::Value>,
}

impl<'a> Answer<'a> {
    fn new(outcome: Result<&'a Response, &'a String>) -> Self {
        let error = outcome.err().map(String::as_str);
        Self { ok: outcome.is_ok(), process: std::process::id(), response: outcome.ok(), error }
    }
}

impl Envelope {
    fn open(self) -> Result<Response, ControlError> {
        if self.ok {
            let body = serde_json::Value::Object(self.body);
            return serde_json::from_value(body).map_err(|error| ControlError::Unreadable(error.to_string()));
        }
        let error = self.body.get("error").and_then(serde_json::Value::as_str);
        Err(ControlError::Refused(error.unwrap_or("an error without a text").to_owned()))
    }
}

/// One line of at most `bytes_max` bytes, without its end; `None` where the other side has closed.
fn read_line(from: &mut impl BufRead, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    from.take(limit).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line is longer than {bytes_max} bytes")));
    } else if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests;
