//! The client's side of the control socket.
//!
//! It must never wait for ever: a service that does not answer in time is an error with a name.

use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{ControlError, Envelope, Request, Response, read_line};

/// How long an answer may take. A question to the book waits up to 5 s for a busy database.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes in an answer.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A connection to the service.
#[derive(Debug)]
pub struct ControlClient {
    path: String,
    stream: BufReader<UnixStream>,
    process: Option<u32>,
}

impl ControlClient {
    /// Connects to the service that listens on `path`.
    ///
    /// # Errors
    /// [`ControlError::NotRunning`] where nobody does.
    pub fn connect(path: &Path) -> Result<Self, ControlError> {
        let name = path.display().to_string();
        let stream = UnixStream::connect(path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ControlError::NotRunning { path: name.clone() }
            }
            _ => ControlError::Io {
                path: name.clone(),
                cause,
                remedy: "Only the user that runs the service may use its control socket",
            },
        })?;
        let timeouts =
            stream.set_read_timeout(Some(ANSWER_TIMEOUT)).and_then(|()| stream.set_write_timeout(Some(ANSWER_TIMEOUT)));
        let client = Self { path: name, stream: BufReader::new(stream), process: None };
        timeouts.map_err(|error| client.fail(error))?;
        Ok(client)
    }

    fn fail(&self, cause: io::Error) -> ControlError {
        let remedy = match cause.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                "The service listens but does not answer: look at its log, and stop its process if it hangs"
            }
            _ => "The connection broke: see whether the service still runs, then try again",
        };
        ControlError::Io { path: self.path.clone(), cause, remedy }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`ControlError::Refused`] with the service's own words, or what broke on the way.
    pub fn request(&mut self, request: &Request) -> Result<Response, ControlError> {
        let mut line = serde_json::to_vec(request).map_err(|error| ControlError::Unreadable(error.to_string()))?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).map_err(|error| self.fail(error))?;
        let answer = read_line(&mut self.stream, ANSWER_BYTES_MAX).map_err(|error| self.fail(error))?;
        let answer = answer.ok_or_else(|| self.fail(io::ErrorKind::UnexpectedEof.into()))?;
        let envelope: Envelope =
            serde_json::from_slice(&answer).map_err(|error| ControlError::Unreadable(error.to_string()))?;
        self.process = Some(envelope.process);
        envelope.open()
    }

    /// The process that answered last; `None` before the first answer.
    #[must_use]
    pub const fn process(&self) -> Option<u32> {
        self.process
    }
}
