//! `vigia instances`: what runs, with its results. It changes nothing.

use std::path::Path;
use std::process::ExitCode;

use console::tables;

use crate::offline;
use crate::source::{self, Common, EXIT_CODES, Source, show};

/// Options of `vigia instances`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
}

/// Runs the subcommand.
pub(crate) fn run(file: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let (mut source, loaded) = Source::find(file, &options.common)?;
    let instances = match &mut source {
        Source::Service(client) => source::status(client)?.instances,
        Source::Book(book, _) => offline::instances(book, &loaded.config)?,
    };
    show(options.common.json, &source.origin()?, "instances", &instances, || tables::instances(&instances))
}
