//! Logs: a JSON file for programs, and lines for people where the screen does not need the terminal.
//!
//! `RUST_LOG` chooses what is logged. It must never write a secret: there is none in what is logged.

use std::io::IsTerminal;
use std::path::Path;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Keeps the file's writer alive; its drop flushes.
pub(crate) struct Logs(
    #[expect(dead_code, reason = "its drop flushes the file")] tracing_appender::non_blocking::WorkerGuard,
);

/// Logs into `directory`, a file a day, and to standard error where `console`.
pub(crate) fn start(directory: &Path, console: bool) -> Logs {
    let files = tracing_appender::rolling::daily(directory, "vigia.log.jsonl");
    let (writer, guard) = tracing_appender::non_blocking(files);
    let file = tracing_subscriber::fmt::layer().json().with_writer(writer).with_filter(filter());
    let people = console.then(|| {
        tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .with_filter(filter())
    });
    // A second start in one process (tests) keeps the first one's logs.
    let _ = tracing_subscriber::registry().with(file).with(people).try_init();
    Logs(guard)
}

/// Logs what is wrong to standard error, and nothing else, for a subcommand that has no logs of its own.
pub(crate) fn start_console() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let people = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_filter(filter);
    let _ = tracing_subscriber::registry().with(people).try_init();
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,actix_server=warn"))
}
