//! `vigia journal`: what happened, row by row; and whether the journal's chain is whole. It changes nothing.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use console::control::ROWS_MAX;
use console::{Book, JournalQuery, screen, tables};
use domain::Timestamp;
use store::read::JournalRow;

use crate::config::Config;
use crate::source::{self, Common, EXIT_CODES, Origin, Source, show, write};

/// How often a journal that is followed is looked at.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// Options of `vigia journal`. On a terminal payloads are cut to its width; --json has them whole.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Goes on with every new row until it is interrupted; with --json one object a line.
    #[arg(long)]
    follow: bool,
    /// Rows of one event only: everything that it caused.
    #[arg(long, value_name = "ID")]
    correlation: Option<i64>,
    /// Rows of one kind only, for example order_intended, fill_booked or alert_raised.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// At most so many of the last rows, oldest first.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROWS_MAX)))]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Computes the hash of every row anew. Exit code 1 where a row was changed, taken out or put in.
    Verify(Common),
}

/// Runs the subcommand.
pub(crate) fn run(file: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    if let Some(Verb::Verify(common)) = &options.verb {
        return verify(file, common);
    }
    let (mut source, loaded) = Source::find(file, &options.common)?;
    let rows = source.journal(&options.query(None))?;
    let now = source::now(&mut source);
    let origin = source.origin()?;
    if options.follow {
        return follow(source, &loaded.config, options, &origin, &rows);
    }
    show(options.common.json, &origin, "journal", &rows, || fitted(tables::journal(&rows, now)))
}

impl Options {
    fn query(&self, after: Option<i64>) -> JournalQuery {
        JournalQuery { after, correlation: self.correlation, kind: self.kind.clone(), limit: self.limit }
    }
}

fn follow(
    mut source: Source,
    config: &Config,
    options: &Options,
    origin: &Origin,
    first: &[JournalRow],
) -> anyhow::Result<ExitCode> {
    if !options.common.json {
        write(&format!("{origin}\n\n"))?;
    }
    print_rows(first, options.common.json)?;
    let mut last = first.last().map_or(0, |row| row.sequence);
    loop {
        match new_rows(&mut source, options, &mut last) {
            Ok(rows) => {
                print_rows(&rows, options.common.json)?;
                if rows.len() == usize::try_from(options.limit)? {
                    continue;
                }
            }
            // The service went, or came back: whoever is there now goes on where the other stopped.
            Err(error) => {
                eprintln!("vigia: {error:#}; looking again");
                source = Source::of(config)?;
            }
        }
        std::thread::sleep(FOLLOW_EVERY);
    }
}

/// The wanted rows after `last`, which moves to the last row that was looked at.
fn new_rows(source: &mut Source, options: &Options, last: &mut i64) -> anyhow::Result<Vec<JournalRow>> {
    let newest = source.journal(&JournalQuery { after: None, correlation: None, kind: None, limit: 1 })?;
    let rows = source.journal(&options.query(Some(*last)))?;
    let seen = rows.last().map_or(*last, |row| row.sequence);
    let all = rows.len() < usize::try_from(options.limit)?;
    let end = newest.first().map_or(0, |row| row.sequence);
    *last = if all { seen.max(end) } else { seen };
    Ok(rows)
}

fn print_rows(rows: &[JournalRow], json: bool) -> anyhow::Result<()> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&if json { serde_json::to_string(row)? } else { tables::journal_line(row) });
        text.push('\n');
    }
    write(&if json { text } else { fitted(text) })?;
    Ok(())
}

/// On a terminal, cut to its width: payloads are long.
fn fitted(text: String) -> String {
    match screen::terminal_width() {
        Some(width) => screen::cut(&text, width),
        None => text,
    }
}

/// The chain, always from the database itself.
fn verify(file: Option<&Path>, common: &Common) -> anyhow::Result<ExitCode> {
    let loaded = common.load(file)?;
    let path = source::existing_book(&loaded.config)?;
    let newest = Book::open(&path)?.newest(None)?;
    let report = Book::verify(&path)?;
    let last_written = newest.map(|row| Timestamp::from_millis(row.time));
    if common.json {
        show(true, &Origin::Book { path, last_written }, "verify", &report, String::new)?;
    } else {
        let rows = report.rows;
        let found = match &report.broken {
            None => format!("{rows} rows, the chain is whole"),
            Some(what) => {
                format!("THE CHAIN IS BROKEN after {rows} rows: {what}. Keep the file and restore the newest backup")
            }
        };
        write(&format!("{}: {found}\nlast hash in order: {}\n", path.display(), report.hash))?;
    }
    Ok(ExitCode::from(u8::from(report.broken.is_some())))
}
