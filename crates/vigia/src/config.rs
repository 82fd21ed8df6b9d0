//! The configuration: built-in defaults, a file, the environment; validated whole before anything starts.
//!
//! It must never accept an unknown key or a value out of bounds: every error names the place, the key, the value and what
//! is allowed.

mod problems;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;

use domain::{Asset, BootNumber, FamilyId, InstanceId, Millis, Notional, Price, Quantity, Ratio, Symbol, TradingMode};
use engine::{FamilyIndex, FamilySetup, InstanceConfig, Setup};
use exchange::binance::Endpoints;
use figment::Figment;
use figment::providers::{Env, Format, Toml};
use risk::{Limits, ProtectionStyle};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use simulator::model::ModelSettings;
use strategy::StrategyConfig;

/// Every key with its default.
pub(crate) const DEFAULTS: &str = include_str!("../../../config/default.toml");
/// What is traded where no file says otherwise.
pub(crate) const PAPER: &str = include_str!("../../../config/paper.toml");

/// The file that names the book of the service that was started last.
const LAST_BOOK: &str = "book";
/// The file name of the candle history.
pub(crate) const MARKET: &str = "market.db";
/// The control socket's file name.
pub(crate) const SOCKET: &str = "control.sock";
/// A link in the data directory to the home of the service that was started last.
const CURRENT: &str = "current";

/// What is wrong with a configuration: each line names place, key, value and what is allowed.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not usable:\n  {}", .0.join("\n  "))]
pub(crate) struct ConfigError(pub(crate) Vec<String>);

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) portfolio: Portfolio,
    pub(crate) service: Service,
    pub(crate) exchange: Exchange,
    pub(crate) simulator: Simulator,
    pub(crate) paper: ModelSettings,
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) family: Vec<Family>,
    #[serde(default)]
    pub(crate) instance: Vec<Instance>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Portfolio {
    pub(crate) currency: Asset,
    #[serde(default)]
    pub(crate) outside: BTreeMap<Asset, Quantity>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) mode: TradingMode,
    pub(crate) data_dir: PathBuf,
    pub(crate) cycle_ms: u64,
    pub(crate) heartbeat_timeout_ms: u64,
    pub(crate) hang_timeout_ms: u64,
    pub(crate) equity_sample_ms: Millis,
    pub(crate) drain_timeout_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    pub(crate) name: ExchangeName,
    pub(crate) rest_url: String,
    pub(crate) stream_url: String,
    pub(crate) ws_api_url: String,
    pub(crate) api_key_file: PathBuf,
    pub(crate) api_secret_file: PathBuf,
    pub(crate) stream_silence_ms: u64,
    pub(crate) quote_age_ms_max: Millis,
}

/// Which exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExchangeName {
    /// The simulator in this process, or what the addresses name.
    Simulator,
    /// Binance Spot.
    Binance,
    /// Its test network, which is reset about monthly.
    BinanceTestnet,
    /// Its demo mode.
    BinanceDemo,
}

impl Exchange {
    /// Whether the simulator in this process is the exchange.
    pub(crate) fn is_embedded(&self) -> bool {
        self.name == ExchangeName::Simulator && self.rest_url.is_empty()
    }

    /// Where the exchange is; `public` for who needs no account. What is configured goes over what the name gives.
    pub(crate) fn endpoints(&self, public: bool) -> Endpoints {
        let at = |rest: &str, stream: &str, ws_api: &str| Endpoints {
            rest: rest.to_owned(),
            stream: stream.to_owned(),
            ws_api: ws_api.to_owned(),
        };
        let mut endpoints = match self.name {
            ExchangeName::Simulator => {
                let authority = self.rest_url.split_once("://").map_or(self.rest_url.as_str(), |(_, rest)| rest);
                Endpoints::at(authority)
            }
            ExchangeName::Binance if public => {
                at("https://data-api.binance.vision", "wss://data-stream.binance.vision", "")
            }
            ExchangeName::Binance => Endpoints::production(),
            ExchangeName::BinanceTestnet => Endpoints::testnet(),
            ExchangeName::BinanceDemo => at(
                "https://demo-api.binance.com",
                "wss://demo-stream.binance.com",
                "wss://demo-ws-api.binance.com/ws-api/v3",
            ),
        };
        for (configured, address) in [
            (&self.rest_url, &mut endpoints.rest),
            (&self.stream_url, &mut endpoints.stream),
            (&self.ws_api_url, &mut endpoints.ws_api),
        ] {
            if !configured.is_empty() {
                configured.trim_end_matches('/').clone_into(address);
            }
        }
        endpoints
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Simulator {
    pub(crate) seed: u64,
    pub(crate) speed: f64,
    pub(crate) data: PathBuf,
    pub(crate) symbols: BTreeMap<Symbol, Price>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Family {
    pub(crate) id: FamilyId,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) family: FamilyId,
    pub(crate) capital: Notional,
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) entry_size: Ratio,
    #[serde(default = "resting")]
    pub(crate) protection: ProtectionStyle,
    pub(crate) strategy: StrategyConfig,
}

/// Where no style is configured, the exit that guards a position rests on the exchange: it works while the service does
/// not.
const fn resting() -> ProtectionStyle {
    ProtectionStyle::Resting
}

/// A configuration that was read and found valid, with where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// The file, or a word for what is built in.
    pub(crate) place: String,
    /// SHA-256 of everything that went into it, in hex.
    pub(crate) hash: String,
}

/// Reads and validates the configuration in `file`, or the built-in one.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong.
pub(crate) fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
    let (place, text) = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConfigError(vec![format!("{}: {error}; give an existing file", path.display())]))?;
            (path.display().to_string(), text)
        }
        None => ("config/paper.toml (built in)".to_owned(), PAPER.to_owned()),
    };
    let environment = Env::prefixed("VIGIA_").ignore(&["data", "api_key", "api_secret"]).split("__");
    let figment = Figment::from(Toml::string(DEFAULTS)).merge(Toml::string(&text)).merge(environment);
    let config: Config = figment.extract().map_err(|error| {
        let line = |error: figment::Error| {
            let key = error.path.join(".");
            let from = match error.metadata.as_ref().map(|metadata| metadata.name.as_ref()) {
                Some(name) if name.contains("environment") => "environment",
                _ => place.as_str(),
            };
            if key.is_empty() { format!("{from}: {}", error.kind) } else { format!("{from}: {key}: {}", error.kind) }
        };
        ConfigError(error.into_iter().map(line).collect())
    })?;
    check(&config, &place)?;
    let mut hash = Sha256::new();
    for part in [DEFAULTS, text.as_str()] {
        hash.update(part.as_bytes());
    }
    Ok(Loaded { config, place, hash: hex::encode(hash.finalize()) })
}

/// Validates the whole of a configuration that came from `place`.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong.
pub(crate) fn check(config: &Config, place: &str) -> Result<(), ConfigError> {
    let problems = config.problems();
    if problems.is_empty() {
        return Ok(());
    }
    Err(ConfigError(problems.into_iter().map(|problem| format!("{place}: {problem}")).collect()))
}

impl Config {
    /// Where the service that was started last has its files.
    pub(crate) fn home(&self) -> PathBuf {
        let current = self.service.data_dir.join(CURRENT);
        std::fs::read_link(&current)
            .map_or_else(|_| self.service.data_dir.clone(), |home| self.service.data_dir.join(home))
    }

    /// The book of a service that trades like this.
    pub(crate) const fn book_name(mode: TradingMode) -> &'static str {
        match mode {
            TradingMode::Paper => "paper.db",
            TradingMode::Shadow => "shadow.db",
            TradingMode::Live => "portfolio.db",
        }
    }

    /// The book of the service that was started last.
    pub(crate) fn last_book(&self) -> PathBuf {
        let home = self.home();
        let known = |name: &&str| TradingMode::ALL.iter().any(|mode| Self::book_name(*mode) == *name);
        let name = std::fs::read_to_string(home.join(LAST_BOOK)).ok();
        let name = name.as_deref().map(str::trim).filter(known).unwrap_or(Self::book_name(self.service.mode));
        home.join(name)
    }

    /// The book of a service that is starting in `home`: the commands that look at it find it from now on.
    pub(crate) fn begin_book(&self, home: &Path) -> anyhow::Result<PathBuf> {
        let name = Self::book_name(self.service.mode);
        let note = home.join(LAST_BOOK);
        std::fs::write(&note, name).with_context(|| format!("{} cannot be written", note.display()))?;
        Ok(home.join(name))
    }

    /// Makes the home of this service: each simulated market has one of its own, because a book belongs to one market.
    pub(crate) fn begin_home(&self) -> anyhow::Result<PathBuf> {
        let directory = &self.service.data_dir;
        if !self.exchange.is_embedded() {
            std::fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
            return Ok(directory.clone());
        }
        let name = crate::embedded::market_name(self);
        let home = directory.join(&name);
        std::fs::create_dir_all(&home)
            .with_context(|| format!("{} cannot be made; give another --data-dir", home.display()))?;
        let (link, new) = (directory.join(CURRENT), directory.join("current.new"));
        let _ = std::fs::remove_file(&new);
        std::os::unix::fs::symlink(&name, &new)
            .and_then(|()| std::fs::rename(&new, &link))
            .with_context(|| format!("{} cannot be written", link.display()))?;
        Ok(home)
    }

    /// The configuration in the words of the machines.
    pub(crate) fn setup(&self, boot: BootNumber) -> Setup {
        let family_index = |id: &FamilyId| {
            let place = self.family.iter().position(|family| family.id == *id).unwrap_or_default();
            FamilyIndex(u16::try_from(place).unwrap_or(u16::MAX))
        };
        let instances = self.instance.iter().map(|instance| InstanceConfig {
            id: instance.id.clone(),
            family: family_index(&instance.family),
            capital: instance.capital,
            symbols: instance.symbols.clone(),
            entry_size: instance.entry_size,
            protection: instance.protection,
            strategy: instance.strategy.clone(),
        });
        Setup {
            currency: self.portfolio.currency.clone(),
            families: self.family.iter().map(|family| FamilySetup { id: family.id.clone() }).collect(),
            instances: instances.collect(),
            limits: self.limits.clone(),
            boot,
            heartbeat_timeout_ms: self.service.heartbeat_timeout_ms,
            equity_sample_ms: self.service.equity_sample_ms,
            quote_age_ms_max: self.exchange.quote_age_ms_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(Some(file.path())).map(|_| ()).unwrap_err().to_string()
    }

    fn with_instance(extra: &str) -> String {
        format!(
            "[[family]]\nid = \"f\"\n[[instance]]\nid = \"a\"\nfamily = \"f\"\ncapital = \"100\"\nsymbols = [\"BTCUSDT\"]\n\
             entry_size = \"0.5\"\n[instance.strategy]\nkind = \"ema-cross\"\n{extra}"
        )
    }

    #[test]
    fn what_is_shipped_is_valid() {
        let built_in = load(None).unwrap();
        assert!(built_in.config.family.len() >= 3 && built_in.config.instance.len() >= 8);
        let symbols: std::collections::BTreeSet<_> =
            built_in.config.instance.iter().flat_map(|instance| instance.symbols.iter()).collect();
        assert_eq!(symbols.len(), 5);
        load(Some(Path::new("config/replay-5m.toml"))).unwrap();
    }

    #[test]
    fn the_defaults_are_those_of_the_code() {
        let config = load(None).unwrap().config;
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.paper, ModelSettings::default());
        // And the file names every key: what is missing there would still have its default.
        let file: toml::Table = DEFAULTS.parse().unwrap();
        let keys = |table: &toml::Value| table.as_table().unwrap().keys().cloned().collect::<Vec<_>>();
        let of_code = |value: serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let sorted = |mut keys: Vec<String>| {
            keys.sort();
            keys
        };
        assert_eq!(sorted(keys(&file["paper"])), sorted(of_code(serde_json::to_value(&config.paper).unwrap())));
        assert_eq!(sorted(keys(&file["limits"])), sorted(of_code(serde_json::to_value(&config.limits).unwrap())));
    }

    #[test]
    fn errors_name_file_key_value_and_what_is_allowed() {
        let cases = [
            ("[service]\ncycle_msec = 5", "service.cycle_msec"),
            ("[service]\ncycle_ms = 5", "service.cycle_ms = 5 is not allowed: 100 to 60000"),
            ("[service]\nmode = \"YOLO\"", "service.mode"),
            ("[simulator]\nspeed = -1.0", "simulator.speed = -1 is not allowed"),
            ("[limits]\nprice_collar = \"0.9\"", "limits.price_collar = 0.9 is not allowed: 0 to 0.5"),
            ("[limits]\norder_notional_max = \"abc\"", "limits.order_notional_max"),
            ("[portfolio]\ncurrency = \"\"", "portfolio.currency"),
            ("nonsense = 1", "nonsense"),
            ("", "instance: there is none"),
        ];
        for (text, expected) in cases {
            let error = problems(text);
            assert!(error.contains(expected), "{text:?} gave {error}");
            assert!(error.contains("/"), "{text:?} names no file: {error}");
        }
        let error = problems(&with_instance("fast = 0"));
        assert!(error.contains("instance a: strategy.fast = 0"), "{error}");
        let error = problems(&with_instance("quick = 3"));
        assert!(error.contains("quick"), "{error}");
        let error = problems(&with_instance("").replace("BTCUSDT", "ETHBTC"));
        assert!(error.contains("only symbols quoted in USDT"), "{error}");
        let error = problems(&with_instance("").replace("family = \"f\"", "family = \"g\""));
        assert!(error.contains("family = g is not allowed: one of f"), "{error}");
    }
}
