//! `vigia config`: looks at the configuration. It changes nothing.

use std::path::Path;
use std::process::ExitCode;

use crate::config;

/// What to do with the configuration.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Validates everything and names file, key, value and what is allowed.
    Check,
}

/// Runs the subcommand.
pub(crate) fn run(file: Option<&Path>, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check => {
            let loaded = config::load(file)?;
            let config = &loaded.config;
            println!("{}: valid", loaded.place);
            println!(
                "{}: {} families, {} instances, capital {} {}",
                config.service.mode,
                config.family.len(),
                config.instance.len(),
                config.instance.iter().map(|instance| instance.capital).sum::<domain::Notional>(),
                config.portfolio.currency,
            );
            println!("sha256 {}", loaded.hash);
            Ok(ExitCode::SUCCESS)
        }
    }
}
