//! The binary: one file per subcommand. It reads the configuration, puts the parts together, and answers with exit codes:
//! 0 done, 1 failed, 2 wrong call or configuration, 3 the service does not run and there is no book to read.
//!
//! It must never hold logic that a crate could hold.

mod actors;
mod config;
mod config_check;
mod embedded;
mod fills;
mod instances;
mod journal;
mod logging;
mod modes;
mod offline;
mod orders;
mod positions;
mod promote;
mod replay;
mod report;
mod shadow;
mod simulator;
mod source;
mod status;
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
    #[command(alias = "run")]
    Up(up::Options),
    /// Lets the service trade in another mode. Only a person can, and it is kept with the reason.
    Promote(promote::Options),
    /// Reports what the exchange said of the orders that SHADOW decided and did not send.
    Shadow(shadow::Options),
    /// Says what the service does now.
    Status(status::Options),
    /// Lists everything held, with its guards.
    Positions(positions::Options),
    /// Lists the newest orders.
    Orders(orders::Options),
    /// Lists the newest fills.
    Fills(fills::Options),
    /// Shows the journal, follows it, or verifies it. On a terminal payloads are cut; --json has them whole.
    Journal(journal::Options),
    /// Lists the instances with their results.
    Instances(instances::Options),
    /// Lists the parts of the running service.
    Actors(actors::Options),
    /// Looks at the configuration.
    #[command(subcommand)]
    Config(config_check::Command),
    /// Runs the strategies over recorded market data and reports what they would have made.
    Replay(replay::Options),
    /// Runs the exchange simulator alone, for any client that speaks the exchange's protocol.
    Simulator(simulator::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = arguments.config.as_deref();
    let outcome = match &arguments.command {
        Command::Up(options) => up::run(config, options),
        Command::Promote(options) => promote::run(config, options),
        Command::Shadow(options) => shadow::run(config, options),
        Command::Status(options) => status::run(config, options),
        Command::Positions(options) => positions::run(config, options),
        Command::Orders(options) => orders::run(config, options),
        Command::Fills(options) => fills::run(config, options),
        Command::Journal(options) => journal::run(config, options),
        Command::Instances(options) => instances::run(config, options),
        Command::Actors(options) => actors::run(config, options),
        Command::Config(command) => config_check::run(config, command),
        Command::Replay(options) => replay::run(config, options),
        Command::Simulator(options) => simulator::run(config, options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("vigia: {}", in_one_line(&error));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// The error and its causes; a cause that the error has said already is not said again.
fn in_one_line(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |said, cause| {
        let cause = cause.to_string();
        if said.contains(&cause) { said } else { format!("{said}: {cause}") }
    })
}

/// See the head of this file.
fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<config::ConfigError>() || error.is::<simulator::BadCall>() {
        2
    } else if error.is::<source::NothingToAsk>() {
        3
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_subcommand_is_sound_and_tells_its_exit_codes() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for name in ["status", "positions", "orders", "fills", "journal", "instances", "actors"] {
            let help = command.find_subcommand(name).unwrap().clone().render_help().to_string();
            assert!(help.contains("Exit codes: 0 done") && help.contains("--json"), "{name}: {help}");
        }
    }

    #[test]
    fn calls_are_understood() {
        let good = [
            "status --json",
            "positions",
            "orders --open --limit 5",
            "fills --limit 10000 --data-dir x",
            "journal --follow --correlation 7 --kind fill_booked --limit 3 --json",
            "journal verify --json",
            "instances",
            "actors --config x",
            "simulator --seed 7 --speed 60 --port 0 --account a:USDT=5,BTC=1 --key a:hmac=k:s",
        ];
        let parse = |line: &str| Arguments::try_parse_from(format!("vigia {line}").split(' '));
        for line in good {
            assert!(parse(line).is_ok(), "{line}");
        }
        let bad = [
            "orders --limit 0",
            "fills --limit 10001",
            "journal --limit x",
            "journal --follow verify",
            "status all",
            "simulator --data x --seed 1",
        ];
        for line in bad {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn errors_have_their_exit_codes() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config::load(None).unwrap().config;
        config.service.data_dir = directory.path().to_owned();
        let nothing = source::Source::of(&config).err().unwrap();
        assert_eq!(exit_code(&nothing), 3);
        assert_eq!(exit_code(&config::ConfigError(Vec::new()).into()), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("the rest")), 1);
    }
}
