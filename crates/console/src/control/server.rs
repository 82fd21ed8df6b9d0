//! The service's side of the control socket: a thread that listens, and one for each connection.
//!
//! It must never touch the service but through the status board and the stop; a slow or broken client costs its own
//! thread only.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Scope};
use std::time::Duration;

use runtime::status::StatusBoard;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Answer, CONNECTIONS_MAX, ControlError, REQUEST_BYTES_MAX, ROWS_MAX, Request, Response, read_line};
use crate::book::Book;

/// A connection that says nothing for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may take to read an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the listener looks whether it should end.
const LISTEN_TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Listens as long as it lives.
#[derive(Debug)]
pub struct ControlServer {
    path: PathBuf,
    /// Device and inode of the socket, so that nobody else's is removed.
    file: Option<(u64, u64)>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the threads have in common.
struct Shared {
    board: StatusBoard,
    book: PathBuf,
    stop: Box<dyn Fn() + Send + Sync>,
    ending: AtomicBool,
    connections: Mutex<BTreeMap<u64, UnixStream>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("book", &self.book).field("ending", &self.ending).finish_non_exhaustive()
    }
}

impl ControlServer {
    /// Listens on `path`; answers from `board` and the book at `book`. `stop` only asks for the stop: it is called on a
    /// connection's thread, and must neither wait nor drop this server.
    ///
    /// # Errors
    /// Where the socket cannot be made, or another service listens there.
    pub fn start(
        path: &Path,
        board: StatusBoard,
        book: PathBuf,
        stop: Box<dyn Fn() + Send + Sync>,
    ) -> Result<ControlServer, ControlError> {
        let listener = listen(path)?;
        let shared = Arc::new(Shared {
            board,
            book,
            stop,
            ending: AtomicBool::new(false),
            connections: Mutex::new(BTreeMap::new()),
        });
        let mut server =
            Self { path: path.to_owned(), file: identity(path), shared: Arc::clone(&shared), thread: None };
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || accept(&listener, &shared));
        server.thread = Some(thread.map_err(|error| fail(path, error))?);
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        if self.file.is_some() && identity(&self.path) == self.file {
            let _ = fs::remove_file(&self.path);
        }
        self.shared.ending.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the control socket's thread died; nothing else depends on it");
        }
    }
}

fn fail(path: &Path, cause: io::Error) -> ControlError {
    let remedy = match cause.kind() {
        io::ErrorKind::InvalidInput => "A socket's path has about 100 characters at most: choose a shorter data_dir",
        _ => "Check that the data directory exists and may be written",
    };
    ControlError::Io { path: path.display().to_string(), cause, remedy }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Takes away what a dead process left at `path`.
fn clear(path: &Path) -> Result<(), ControlError> {
    let name = || path.display().to_string();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(fail(path, error)),
        Ok(file) if !file.file_type().is_socket() => Err(ControlError::NotASocket { path: name() }),
        Ok(_) if UnixStream::connect(path).is_ok() => Err(ControlError::InUse { path: name() }),
        Ok(_) => fs::remove_file(path).map_err(|error| fail(path, error)),
    }
}

/// A listener on `path` that is the owner's only from the first moment it can be found there.
fn listen(path: &Path) -> Result<UnixListener, ControlError> {
    clear(path)?;
    let mut hidden = path.as_os_str().to_owned();
    hidden.push("~");
    let hidden = PathBuf::from(hidden);
    clear(&hidden)?;
    let listener = UnixListener::bind(&hidden).map_err(|error| fail(path, error))?;
    fs::set_permissions(&hidden, Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&hidden, path))
        .and_then(|()| listener.set_nonblocking(true))
        .map_err(|error| fail(path, error))?;
    Ok(listener)
}

fn accept(listener: &UnixListener, shared: &Shared) {
    std::thread::scope(|scope| {
        let mut number = 0;
        while !shared.ending.load(Ordering::SeqCst) {
            let mut wanted = [PollFd::new(listener, PollFlags::IN)];
            if poll(&mut wanted, Some(&LISTEN_TURN)).is_ok_and(|ready| ready == 0) {
                continue;
            }
            match listener.accept() {
                Ok((stream, _)) => {
                    number += 1;
                    welcome(scope, shared, number, stream);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::warn!(%error, "the control socket cannot accept a connection; trying again");
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
        for stream in shared.connections.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
}

fn welcome<'scope>(scope: &'scope Scope<'scope, '_>, shared: &'scope Shared, number: u64, mut stream: UnixStream) {
    let ready = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_read_timeout(Some(IDLE_TIMEOUT)))
        .and_then(|()| stream.set_write_timeout(Some(WRITE_TIMEOUT)))
        .and_then(|()| stream.try_clone());
    let Ok(handle) = ready else { return };
    let mut connections = shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
    if connections.len() >= CONNECTIONS_MAX {
        drop(connections);
        let error = format!("{CONNECTIONS_MAX} connections are open, which is the most there may be; try again later");
        let _ = answer(&mut stream, &Err(error));
        return;
    }
    connections.insert(number, handle);
    drop(connections);
    let serve = move || {
        serve(shared, stream);
        shared.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    };
    if std::thread::Builder::new().name("control connection".into()).spawn_scoped(scope, serve).is_err() {
        shared.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }
}

fn serve(shared: &Shared, stream: UnixStream) {
    let mut lines = BufReader::new(stream);
    let mut book = None;
    while !shared.ending.load(Ordering::SeqCst) {
        let (outcome, last) = match read_line(&mut lines, REQUEST_BYTES_MAX) {
            Ok(Some(line)) => (parse(&line).and_then(|request| shared.answer(&request, &mut book)), false),
            // What follows a line that is too long cannot be told from its rest.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => (Err(error.to_string()), true),
            Ok(None) | Err(_) => return,
        };
        if answer(lines.get_mut(), &outcome).is_err() || last {
            return;
        }
    }
}

fn parse(line: &[u8]) -> Result<Request, String> {
    let known = "known commands: status, stop, orders, fills, journal";
    serde_json::from_slice(line).map_err(|error| format!("this is no request: {error}; {known}"))
}

fn answer(stream: &mut UnixStream, outcome: &Result<Response, String>) -> io::Result<()> {
    let mut line = serde_json::to_vec(&Answer::new(outcome.as_ref()))?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn bounded(limit: u32, ask: impl FnOnce() -> Result<Response, String>) -> Result<Response, String> {
    match limit {
        1..=ROWS_MAX => ask(),
        _ => Err(format!("limit = {limit} is not allowed: 1 to {ROWS_MAX}")),
    }
}

impl Shared {
    fn answer(&self, request: &Request, book: &mut Option<Book>) -> Result<Response, String> {
        match request {
            Request::Status => match self.board.latest() {
                Some(status) => Ok(Response::Status(Box::new(status))),
                None => Err("the service is starting and has no status yet; try again in a moment".to_owned()),
            },
            Request::Stop => {
                tracing::info!("a stop was asked for over the control socket");
                (self.stop)();
                Ok(Response::Stopping(true))
            }
            Request::Orders { limit, .. } | Request::Fills { limit } => {
                bounded(*limit, || self.ask_book(request, book))
            }
            Request::Journal(query) => bounded(query.limit, || self.ask_book(request, book)),
        }
    }

    /// Asks the book, which a connection opens at its first question and again after an error.
    fn ask_book(&self, request: &Request, slot: &mut Option<Book>) -> Result<Response, String> {
        let mut book = match slot.take() {
            Some(book) => book,
            None => Book::open(&self.book).map_err(|error| error.to_string())?,
        };
        let response = match request {
            Request::Orders { open, limit } => book.orders(*open, *limit).map(Response::Orders),
            Request::Fills { limit } => book.fills(*limit).map(Response::Fills),
            Request::Journal(query) => book.journal(query).map(Response::Journal),
            Request::Status | Request::Stop => return Err("this is no question to the book".to_owned()),
        };
        let response = response.map_err(|error| error.to_string())?;
        *slot = Some(book);
        Ok(response)
    }
}
