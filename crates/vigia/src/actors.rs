//! `vigia actors`: the parts of the running service, as their supervisor sees them. It changes nothing.

use std::path::Path;
use std::process::ExitCode;

use console::tables;

use crate::source::{self, Common, EXIT_CODES, Source, show};

/// Options of `vigia actors`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
}

/// Runs the subcommand. Only a running service has actors.
pub(crate) fn run(file: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let (mut source, _) = Source::find(file, &options.common)?;
    let actors = match &mut source {
        Source::Service(client) => source::status(client)?.actors,
        Source::Book(..) => Vec::new(),
    };
    let down = matches!(source, Source::Book(..));
    show(options.common.json, &source.origin()?, "actors", &actors, || match down {
        true => "no actors: the service does not run. Start it with: make run (or vigia up)\n".to_owned(),
        false => tables::actors(&actors),
    })
}
