//! The control socket, over real sockets.

use std::io::{BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use runtime::status::StatusBoard;
use tempfile::TempDir;

use super::*;
use crate::{Book, samples};

struct Service {
    directory: TempDir,
    board: StatusBoard,
    stops: Arc<AtomicU32>,
    server: Option<ControlServer>,
}

impl Service {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut service = Self { directory, board: StatusBoard::default(), stops: Arc::default(), server: None };
        service.server = Some(service.listen().unwrap());
        service
    }

    fn listen(&self) -> Result<ControlServer, ControlError> {
        let stops = Arc::clone(&self.stops);
        let stop = Box::new(move || {
            stops.fetch_add(1, Ordering::SeqCst);
        });
        ControlServer::start(&self.socket(), self.board.clone(), self.book(), stop)
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    fn book(&self) -> PathBuf {
        self.directory.path().join("paper.db")
    }

    fn client(&self) -> ControlClient {
        ControlClient::connect(&self.socket()).unwrap()
    }

    /// What the socket answers to raw bytes.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.write_all(bytes).unwrap();
        let line = read_line(&mut BufReader::new(stream), 1 << 20).unwrap().unwrap();
        String::from_utf8(line).unwrap()
    }

    fn make_book(&self) {
        let (journal, thread) = store::Journal::open(&self.book()).unwrap();
        for boot in 1..=5 {
            let entry = engine::JournalEntry {
                time: samples::NOW,
                actor: engine::ActorId::Executor,
                correlation_id: domain::CorrelationId(boot % 2),
                record: engine::Record::Stopped { boot: domain::BootNumber(boot) },
            };
            journal.append(store::writer::Write::Entry(Box::new(entry))).unwrap();
        }
        journal.close();
        thread.join();
    }
}

#[test]
fn status_and_stop_go_round() {
    let service = Service::start();
    let mut client = service.client();
    let error = client.request(&Request::Status).unwrap_err().to_string();
    assert!(error.contains("is starting"), "{error}");
    service.board.publish(samples::status());
    let answer = client.request(&Request::Status).unwrap();
    assert_eq!(answer, Response::Status(Box::new(samples::status())));
    assert_eq!(client.process(), Some(std::process::id()));
    assert_eq!(client.request(&Request::Stop).unwrap(), Response::Stopping(true));
    assert_eq!(service.stops.load(Ordering::SeqCst), 1);
    let mode = service.socket().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_book_is_asked_on_every_connection() {
    let service = Service::start();
    let mut client = service.client();
    let journal = |after, correlation, limit| {
        Request::Journal(JournalQuery { after, correlation, kind: Some("stopped".to_owned()), limit })
    };
    let error = client.request(&journal(None, None, 2)).unwrap_err().to_string();
    assert!(error.contains("paper.db"), "{error}");
    service.make_book();
    let mut rows = |request: &Request| match client.request(request).unwrap() {
        Response::Journal(rows) => rows.iter().map(|row| row.sequence).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(rows(&journal(None, None, 2)), [4, 5]);
    assert_eq!(rows(&journal(Some(1), None, 2)), [2, 3]);
    assert_eq!(rows(&journal(None, Some(1), 2)), [3, 5]);
    assert_eq!(rows(&journal(None, Some(1), 9)), [1, 3, 5]);
    assert_eq!(client.request(&Request::Orders { open: true, limit: 5 }).unwrap(), Response::Orders(Vec::new()));
    assert_eq!(client.request(&Request::Fills { limit: 5 }).unwrap(), Response::Fills(Vec::new()));
    let error = client.request(&Request::Fills { limit: 0 }).unwrap_err().to_string();
    assert!(error.contains("limit = 0 is not allowed: 1 to 10000"), "{error}");
    let report = Book::verify(&service.book()).unwrap();
    assert_eq!((report.rows, report.broken), (5, None));
}

#[test]
fn what_is_no_request_is_refused_by_name() {
    let service = Service::start();
    service.board.publish(samples::status());
    for garbage in ["", "\u{0}\u{1}", "[]", "{\"command\":\"explode\"}", "{\"command\":\"fills\",\"limit\":-1}"] {
        let answer = service.raw(format!("{garbage}\n").as_bytes());
        assert!(answer.starts_with("{\"ok\":false,") && answer.contains("no request"), "{garbage:?} gave {answer}");
    }
    let answer = service.raw(b"{\"command\":\"status\"}\n");
    assert!(answer.starts_with("{\"ok\":true,") && answer.contains("\"status\":{\"mode\":\"PAPER"), "{answer}");
    let answer = service.raw(&vec![b'x'; REQUEST_BYTES_MAX + 1]);
    assert!(answer.contains("longer than 16384 bytes"), "{answer}");
    assert_eq!(service.stops.load(Ordering::SeqCst), 0);
    // After all of this it still answers, on one connection after a mistake too.
    let mut stream = UnixStream::connect(service.socket()).unwrap();
    stream.write_all(b"what?\n{\"command\":\"stop\"}\n").unwrap();
    let mut lines = BufReader::new(stream);
    read_line(&mut lines, 1 << 20).unwrap().unwrap();
    let second = read_line(&mut lines, 1 << 20).unwrap().unwrap();
    assert!(String::from_utf8(second).unwrap().contains("\"stopping\":true"));
}

#[test]
fn connections_are_bounded() {
    let service = Service::start();
    let mut clients: Vec<ControlClient> = (0..CONNECTIONS_MAX).map(|_| service.client()).collect();
    for client in &mut clients {
        client.request(&Request::Stop).unwrap();
    }
    let error = service.client().request(&Request::Stop).unwrap_err().to_string();
    assert!(error.contains("16 connections are open"), "{error}");
    clients[3].request(&Request::Stop).unwrap();
}

#[test]
fn the_socket_goes_with_the_server() {
    let mut service = Service::start();
    let mut client = service.client();
    client.request(&Request::Stop).unwrap();
    service.server = None;
    assert!(!service.socket().exists());
    assert!(client.request(&Request::Stop).is_err());
    let error = ControlClient::connect(&service.socket()).unwrap_err();
    assert!(matches!(error, ControlError::NotRunning { .. }), "{error}");
}

#[test]
fn a_dead_process_leaves_nothing_in_the_way() {
    let mut service = Service::start();
    service.server = None;
    // A listener that is dropped leaves its file, as a killed process does.
    drop(UnixListener::bind(service.socket()).unwrap());
    assert!(matches!(ControlClient::connect(&service.socket()), Err(ControlError::NotRunning { .. })));
    service.server = Some(service.listen().unwrap());
    service.client().request(&Request::Stop).unwrap();
    // Nobody else's socket is taken, and nothing that is no socket is removed.
    assert!(matches!(service.listen(), Err(ControlError::InUse { .. })));
    service.client().request(&Request::Stop).unwrap();
    service.server = None;
    std::fs::write(service.socket(), "precious").unwrap();
    assert!(matches!(service.listen(), Err(ControlError::NotASocket { .. })));
    assert_eq!(std::fs::read_to_string(service.socket()).unwrap(), "precious");
}

#[test]
fn a_path_that_is_too_long_says_what_to_do() {
    let long = Path::new("/tmp").join("x".repeat(120)).join("control.sock");
    let board = StatusBoard::default();
    let error = ControlServer::start(&long, board, PathBuf::new(), Box::new(|| {})).unwrap_err().to_string();
    assert!(error.contains("choose a shorter data_dir"), "{error}");
}
