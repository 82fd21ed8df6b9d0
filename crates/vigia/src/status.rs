//! `vigia status`: what the service does now, or what its book says of it. It changes nothing.

use std::path::Path;
use std::process::ExitCode;

use console::tables;

use crate::offline;
use crate::source::{self, Common, EXIT_CODES, Source, show};

/// Options of `vigia status`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
}

/// Runs the subcommand.
pub(crate) fn run(file: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let (mut source, loaded) = Source::find(file, &options.common)?;
    match &mut source {
        Source::Service(client) => {
            let status = source::status(client)?;
            show(options.common.json, &source.origin()?, "status", &status, || tables::status(&status))
        }
        Source::Book(book, _) => {
            let status = offline::status(book, &loaded.config)?;
            show(options.common.json, &source.origin()?, "book", &status, || offline::text(&status))
        }
    }
}
