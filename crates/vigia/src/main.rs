//! The binary: one file per subcommand. It reads the configuration, puts the parts together, and answers with exit codes:
//! 0 done, 1 failed, 2 wrong call or configuration, 3 the service does not run and there is no book to read.
//!
//! It must never hold logic that a crate could hold.

mod config;
mod config_check;
mod embedded;
mod logging;
mod replay;
mod report;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs crypto trading strategies and keeps them safe.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
struct Arguments {
    /// Configuration file, over config/default.toml which is built in.
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the service: PAPER_TRADING, on the embedded exchange simulator unless an exchange is configured.
    Up(up::Options),
    /// Looks at the configuration.
    #[command(subcommand)]
    Config(config_check::Command),
    /// Runs the strategies over recorded market data and reports what they would have made.
    Replay(replay::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = arguments.config.as_deref();
    let outcome = match &arguments.command {
        Command::Up(options) => up::run(config, options),
        Command::Config(command) => config_check::run(config, command),
        Command::Replay(options) => replay::run(config, options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("vigia: {error:#}");
            ExitCode::from(if error.is::<config::ConfigError>() { 2 } else { 1 })
        }
    }
}
