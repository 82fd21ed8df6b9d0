//! Where `vigia status` and its like get their answers from: the running service, else the book that it left.
//!
//! It must never write to the book, and never leave open which of the two an answer came from.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use console::{Book, ControlClient, ControlError, JournalQuery, Request, Response, tables};
use domain::Timestamp;
use runtime::status::Status;
use serde::ser::{Serialize, SerializeMap, Serializer};
use store::read::{FillRow, JournalRow, OrderRow};

use crate::config::{self, Config, Loaded};

/// What every subcommand that looks at the service says in its help.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 wrong call or configuration; 3 the service does not run and there is no \
     book to read.\nIt asks the running service; where there is none, it reads the book in the data directory.";

/// What every such subcommand takes.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Common {
    /// The data directory of the service, where it was started with another than the configuration's.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// One JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Common {
    /// The configuration in `file`, with what the command line says over it.
    pub(crate) fn load(&self, file: Option<&Path>) -> Result<Loaded, config::ConfigError> {
        let mut loaded = config::load(file)?;
        if let Some(directory) = &self.data_dir {
            loaded.config.service.data_dir.clone_from(directory);
        }
        Ok(loaded)
    }
}

/// The database of the book of the service that was started last.
pub(crate) fn book_path(config: &Config) -> PathBuf {
    config.last_book()
}

/// The control socket of the service that was started last.
pub(crate) fn control_path(config: &Config) -> PathBuf {
    config.home().join(config::SOCKET)
}

/// Neither a service nor a book: exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("no service runs on {data_dir}, and {book} is not there. Start it with: make run (or vigia up)")]
pub(crate) struct NothingToAsk {
    data_dir: String,
    book: String,
}

/// Which of the two answered.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Origin {
    /// The running service.
    Service {
        /// Its process.
        process: Option<u32>,
    },
    /// The database, as the service left it.
    Book {
        /// Which file.
        path: PathBuf,
        /// The journal's newest time; `None` where the journal is empty.
        last_written: Option<Timestamp>,
    },
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service { process: Some(process) } => write!(f, "from the running service, process {process}"),
            Self::Service { process: None } => f.write_str("from the running service"),
            Self::Book { path, last_written } => {
                write!(f, "the service is down; from {}, ", path.display())?;
                match last_written {
                    Some(time) => write!(f, "last written {} (journal time)", tables::second(*time)),
                    None => f.write_str("whose journal is empty"),
                }
            }
        }
    }
}

/// Who answers.
pub(crate) enum Source {
    /// The running service.
    Service(Box<ControlClient>),
    /// The book, with its path.
    Book(Box<Book>, PathBuf),
}

impl Source {
    /// Finds who answers for the configuration in `file`.
    ///
    /// # Errors
    /// [`NothingToAsk`] where there is neither; what is wrong with the configuration or the socket.
    pub(crate) fn find(file: Option<&Path>, common: &Common) -> anyhow::Result<(Source, Loaded)> {
        let loaded = common.load(file)?;
        Ok((Self::of(&loaded.config)?, loaded))
    }

    /// Finds who answers for `config`.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Source> {
        match ControlClient::connect(&control_path(config)) {
            Ok(client) => return Ok(Self::Service(Box::new(client))),
            Err(ControlError::NotRunning { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let path = existing_book(config)?;
        Ok(Self::Book(Box::new(Book::open(&path)?), path))
    }

    /// Who answered. Ask this after the answer: the service says its process with it.
    pub(crate) fn origin(&mut self) -> anyhow::Result<Origin> {
        match self {
            Self::Service(client) => Ok(Origin::Service { process: client.process() }),
            Self::Book(book, path) => {
                let last_written = book.newest(None)?.map(|row| Timestamp::from_millis(row.time));
                Ok(Origin::Book { path: path.clone(), last_written })
            }
        }
    }

    /// The newest orders.
    pub(crate) fn orders(&mut self, open: bool, limit: u32) -> anyhow::Result<Vec<OrderRow>> {
        match self {
            Self::Book(book, _) => Ok(book.orders(open, limit)?),
            Self::Service(client) => match client.request(&Request::Orders { open, limit })? {
                Response::Orders(rows) => Ok(rows),
                other => Err(unexpected(&other)),
            },
        }
    }

    /// The newest fills.
    pub(crate) fn fills(&mut self, limit: u32) -> anyhow::Result<Vec<FillRow>> {
        match self {
            Self::Book(book, _) => Ok(book.fills(limit)?),
            Self::Service(client) => match client.request(&Request::Fills { limit })? {
                Response::Fills(rows) => Ok(rows),
                other => Err(unexpected(&other)),
            },
        }
    }

    /// Rows of the journal.
    pub(crate) fn journal(&mut self, query: &JournalQuery) -> anyhow::Result<Vec<JournalRow>> {
        match self {
            Self::Book(book, _) => Ok(book.journal(query)?),
            Self::Service(client) => match client.request(&Request::Journal(query.clone()))? {
                Response::Journal(rows) => Ok(rows),
                other => Err(unexpected(&other)),
            },
        }
    }
}

/// The book of `config`, which must be there.
pub(crate) fn existing_book(config: &Config) -> Result<PathBuf, NothingToAsk> {
    let path = book_path(config);
    if path.is_file() {
        return Ok(path);
    }
    let data_dir = config.service.data_dir.display().to_string();
    Err(NothingToAsk { data_dir, book: path.display().to_string() })
}

/// The status of the service.
pub(crate) fn status(client: &mut ControlClient) -> anyhow::Result<Status> {
    match client.request(&Request::Status)? {
        Response::Status(status) => Ok(*status),
        other => Err(unexpected(&other)),
    }
}

/// The exchange's time in the running service, which ages are counted from.
pub(crate) fn now(source: &mut Source) -> Option<Timestamp> {
    match source {
        Source::Service(client) => status(client).ok().map(|status| status.time),
        Source::Book(..) => None,
    }
}

fn unexpected(response: &Response) -> anyhow::Error {
    anyhow::anyhow!("the service answered something else: {response:?}. Use the vigia that the service runs with")
}

/// The origin, and the data under their name.
struct Document<'a, T> {
    origin: &'a Origin,
    name: &'a str,
    data: &'a T,
}

impl<T: Serialize> Serialize for Document<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("source", self.origin)?;
        map.serialize_entry(self.name, self.data)?;
        map.end()
    }
}

/// For people the origin and then `text`; with `json` one document with the origin and `data` under `name`.
pub(crate) fn show<T: Serialize>(
    json: bool,
    origin: &Origin,
    name: &str,
    data: &T,
    text: impl FnOnce() -> String,
) -> anyhow::Result<ExitCode> {
    if json {
        let document = serde_json::to_string_pretty(&Document { origin, name, data })?;
        return write(&format!("{document}\n"));
    }
    write(&format!("{origin}\n\n{}", text()))
}

/// Writes to standard output. Whoever reads may stop reading: that ends the work, and is no failure.
pub(crate) fn write(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_said_to_people_and_programs() {
        let service = Origin::Service { process: Some(123) };
        assert_eq!(service.to_string(), "from the running service, process 123");
        assert_eq!(serde_json::to_string(&service).unwrap(), "{\"kind\":\"service\",\"process\":123}");
        let last_written = Some(Timestamp::from_millis(1_767_323_045_678));
        let book = Origin::Book { path: ".vigia/paper.db".into(), last_written };
        let said = "the service is down; from .vigia/paper.db, last written 2026-01-02T03:04:05Z (journal time)";
        assert_eq!(book.to_string(), said);
        let json = "{\"kind\":\"book\",\"path\":\".vigia/paper.db\",\"last_written\":1767323045678}";
        assert_eq!(serde_json::to_string(&book).unwrap(), json);
    }

    #[test]
    fn without_service_and_book_it_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config::load(None).unwrap().config;
        config.service.data_dir = directory.path().to_owned();
        let error = Source::of(&config).err().unwrap();
        assert!(error.is::<NothingToAsk>() && error.to_string().contains("make run (or vigia up)"), "{error}");
        assert_eq!(book_path(&config), directory.path().join("paper.db"));
    }
}
