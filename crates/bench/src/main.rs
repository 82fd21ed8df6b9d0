//! The benchmarks: `make bench`, or `cargo run --release -p bench -- [--full] [--json] [PART ...]`.
//!
//! They measure real time on the machine as it is and print one table. They assert nothing about speed, and must never
//! touch a book that is not their own: everything happens in temporary directories.

mod adapter;
mod clock;
mod data;
mod gate;
mod journal;
mod live;
mod micro;
mod proc;
mod process;
mod recorded;
mod replay;
mod sample;
mod table;
mod tap;
mod tick;
mod venue;
mod world;

use std::process::ExitCode;

use table::Row;

const HELP: &str = "cargo run --release -p bench -- [--full] [--json] [PART ...]\n
  --full   more samples and longer runs (several minutes instead of one to two)
  --json   one JSON document instead of the table
  PART     replay, tick, live, journal, micro, adapter, process; none: all of them\n
VIGIA_DATA is the directory of recorded market data (default ../shared/data).";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Longer runs.
    pub(crate) full: bool,
}

impl Effort {
    /// `quick`, or `full` where more was asked for.
    pub(crate) fn of<T>(self, quick: T, full: T) -> T {
        if self.full { full } else { quick }
    }
}

type Part = (&'static str, fn(Effort) -> anyhow::Result<Vec<Row>>);

/// The replay comes first, so that its memory is not that of others.
const PARTS: [Part; 7] = [
    ("replay", replay::rows),
    ("tick", tick::rows),
    ("live", live::rows),
    ("journal", journal::rows),
    ("micro", micro::rows),
    ("adapter", adapter::rows),
    ("process", process::rows),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let known = |argument: &String| {
        ["--full", "--json"].contains(&argument.as_str()) || PARTS.iter().any(|(name, _)| name == argument)
    };
    if let Some(unknown) = arguments.iter().find(|argument| !known(argument)) {
        eprintln!("{unknown} is not known.\n\n{HELP}");
        return ExitCode::from(2);
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let (effort, json) = (Effort { full: has("--full") }, has("--json"));
    let all = !PARTS.iter().any(|(name, _)| has(name));
    let machine = proc::machine();
    let (mut rows, mut failed) = (Vec::new(), false);
    for (name, part) in PARTS.iter().filter(|(name, _)| all || has(name)) {
        eprintln!("measuring {name} ...");
        match part(effort) {
            Ok(found) => rows.extend(found),
            Err(error) => {
                failed = true;
                eprintln!("{name} failed: {error:#}");
                rows.push(Row::left_out(*name, format!("{error:#}")));
            }
        }
    }
    if json {
        println!("{}", table::json(&machine, &rows));
    } else {
        println!("{machine}\n\n{}", table::text(&rows));
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
