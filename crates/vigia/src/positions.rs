//! `vigia positions`: everything held, with its guards. It changes nothing.

use std::path::Path;
use std::process::ExitCode;

use console::tables;

use crate::offline;
use crate::source::{self, Common, EXIT_CODES, Source, show};

/// Options of `vigia positions`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
}

/// Runs the subcommand.
pub(crate) fn run(file: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let (mut source, _) = Source::find(file, &options.common)?;
    let (positions, now) = match &mut source {
        Source::Service(client) => {
            let status = source::status(client)?;
            (status.positions, Some(status.time))
        }
        Source::Book(book, _) => (offline::positions(book)?, None),
    };
    show(options.common.json, &source.origin()?, "positions", &positions, || tables::positions(&positions, now))
}
