//! What a start on a real account must find right: the keys, the promotion, the address, and what the account holds.
//!
//! It must never show a secret, and never take what it could not ask for as right.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, bail};
use domain::{Asset, Notional, Quantity, TradingMode};
use engine::OutsideCause;
use exchange::RequestError;
use exchange::binance::{BinanceAccount, Credentials, Endpoints, RestClient};
use runtime::market_feed::{MarketFeed, ask};
use store::book::Loaded;

use super::Found;
use crate::config::Config;

/// How often the exchange's clock is measured before a start gives up.
const MEASUREMENTS_MAX: u32 = 10;

/// What the exchange says of the account.
pub(super) struct Checked {
    /// Free plus locked, by asset.
    pub(super) held: BTreeMap<Asset, Quantity>,
}

/// The keys: from the configured files, else from the environment.
pub(super) fn credentials(config: &Config) -> anyhow::Result<Credentials> {
    let (key, secret) = (&config.exchange.api_key_file, &config.exchange.api_secret_file);
    let found = if key.as_os_str().is_empty() {
        Credentials::from_variables("VIGIA_API_KEY", "VIGIA_API_SECRET", |name| std::env::var(name))
    } else {
        Credentials::from_files(key, secret)
    };
    found.context("no usable API key")
}

/// LIVE for now only on this machine.
pub(super) fn loopback_only(endpoints: &Endpoints) -> anyhow::Result<()> {
    for address in [&endpoints.rest, &endpoints.stream, &endpoints.ws_api] {
        let authority = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
        let host = authority.split('/').next().unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
        let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !is_local {
            bail!(
                "LIVE_TRADING refuses {address}: until the circuit breakers and the full recovery are in, it trades only \
                 on an exchange on this machine (vigia simulator). Use SHADOW or PAPER_TRADING there."
            );
        }
    }
    Ok(())
}

/// LIVE needs the durable word of a person.
pub(super) fn promoted(book: &Path, kept: &Loaded) -> anyhow::Result<()> {
    match &kept.promoted_to {
        Some(mode) if *mode == TradingMode::Live => Ok(()),
        Some(_) | None => bail!(
            "LIVE_TRADING needs a promotion, and {} has none. A person gives it with: vigia promote --to live --reason '...'",
            book.display()
        ),
    }
}

/// Asks the exchange whether the key is fit for trading and what the account holds.
pub(super) fn check(
    config: &Config,
    found: &Found,
    market: &MarketFeed,
    credentials: &Credentials,
) -> anyhow::Result<Checked> {
    let rest_url = found.endpoints.rest.clone();
    let asking = async {
        let text = |error: RequestError| error.to_string();
        let rest = market.rest();
        measured(&rest).await.map_err(text)?;
        let account = BinanceAccount::new(rest, credentials.clone());
        let restrictions = account.api_restrictions().await.map_err(text)?;
        let warnings = restrictions.check().map_err(ToOwned::to_owned)?;
        Ok((account.status().await.map_err(text)?, warnings))
    };
    let (status, warnings) = ask(&rest_url, asking).map_err(|error| anyhow::anyhow!("the account: {error}"))?;
    for warning in warnings {
        eprintln!("warning: {warning}");
        tracing::warn!(warning, "the API key can do more than it needs");
    }
    if !status.can_trade {
        bail!("the account may not trade; ask the exchange why, or use another account");
    }
    let held: BTreeMap<Asset, Quantity> =
        status.balances.into_iter().map(|(asset, balance)| (asset, balance.free + balance.locked)).collect();
    check_capital(config, found, &held)?;
    Ok(Checked { held })
}

/// Measures the exchange's clock. One answer that was long on its way says nothing, and the next may be quick.
async fn measured(rest: &RestClient) -> Result<(), RequestError> {
    for _ in 1..MEASUREMENTS_MAX {
        if rest.sync_clock().await.is_ok() {
            return Ok(());
        }
    }
    rest.sync_clock().await.map(drop)
}

/// At the first start the account must hold what the instances are configured with.
fn check_capital(config: &Config, found: &Found, held: &BTreeMap<Asset, Quantity>) -> anyhow::Result<()> {
    let currency = &config.portfolio.currency;
    let capital: Notional = found.setup.instances.iter().map(|instance| instance.capital).sum();
    let cash = held.get(currency).copied().unwrap_or_default();
    if found.kept.book.ledger.instances.is_empty() && cash.value() < capital.value() {
        bail!(
            "the instances are configured with {capital} {currency} together and the account holds {cash}: lower \
             instance.capital, or pay in"
        );
    }
    Ok(())
}

/// What is held beside the books and not known yet, or configured anew, with the cause: at the first start everything
/// that the books do not begin with.
pub(super) fn baseline(
    config: &Config,
    found: &Found,
    held: &BTreeMap<Asset, Quantity>,
) -> anyhow::Result<BTreeMap<Asset, (Quantity, OutsideCause)>> {
    let (known, books) = (&found.kept.book.outside, &found.kept.book.ledger.instances);
    let mut baseline = BTreeMap::new();
    if books.is_empty() && known.is_empty() {
        let capital: Notional = found.setup.instances.iter().map(|instance| instance.capital).sum();
        let capital = Quantity::new(capital.value()).context("the instances' capital is out of bounds")?;
        for (asset, quantity) in held {
            let beside = if *asset == config.portfolio.currency { *quantity - capital } else { *quantity };
            baseline.insert(asset.clone(), (beside, OutsideCause::Found));
        }
    }
    for (asset, quantity) in &config.portfolio.outside {
        if found.kept.outside_configured.get(asset) != Some(quantity) {
            baseline.insert(asset.clone(), (*quantity, OutsideCause::Configured));
        }
    }
    Ok(baseline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_is_only_for_an_exchange_on_this_machine() {
        for (authority, allowed) in [
            ("127.0.0.1:9080", true),
            ("localhost:9080", true),
            ("[::1]:9080", true),
            ("127.0.0.1.example.com:9080", false),
            ("api.binance.com", false),
            ("10.0.0.1:9080", false),
        ] {
            assert_eq!(loopback_only(&Endpoints::at(authority)).is_ok(), allowed, "{authority}");
        }
        assert!(loopback_only(&Endpoints::production()).is_err());
        // One address elsewhere is enough.
        let mixed = Endpoints { rest: Endpoints::production().rest, ..Endpoints::at("127.0.0.1:1") };
        assert!(loopback_only(&mixed).is_err());
    }
}
