//! `vigia orders`: the newest orders. It changes nothing.

use std::path::Path;
use std::process::ExitCode;

use console::control::ROWS_MAX;
use console::tables;

use crate::source::{self, Common, EXIT_CODES, Source, show};

/// Options of `vigia orders`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    /// Those only of which something is still expected.
    #[arg(long)]
    open: bool,
    /// At most so many, newest first.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROWS_MAX)))]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

/// Runs the subcommand.
pub(crate) fn run(file: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let (mut source, _) = Source::find(file, &options.common)?;
    let orders = source.orders(options.open, options.limit)?;
    let now = source::now(&mut source);
    show(options.common.json, &source.origin()?, "orders", &orders, || tables::orders(&orders, now))
}
