//! What the benchmarks trade: one market, limits that refuse nothing, and a strategy that trades a lot.

use std::fmt::Debug;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use domain::{
    BootNumber, ClientOrderId, ExchangeOrderId, Fill, Instrument, Millis, OrderSpec, OrderType, OwnOrderId, Price,
    Purpose, Quantity, Ratio, ReasonCode, Side, SymbolStatus, TimeInForce, Timestamp, TradeId,
};
use engine::{FamilyIndex, FamilySetup, InstanceConfig, Setup};
use risk::Limits;
use strategy::StrategyConfig;

/// When the benchmarks' markets begin: 2026-01-01T00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// The market.
pub(crate) const SYMBOL: &str = "BTCUSDT";

/// What a literal of the benchmarks says.
pub(crate) fn known<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("invariant: the benchmarks' literals are valid")
}

/// The rules of the market.
pub(crate) fn instrument() -> Instrument {
    Instrument {
        symbol: known(SYMBOL),
        base: known("BTC"),
        quote: known("USDT"),
        status: SymbolStatus::Trading,
        tick_size: known("0.01"),
        step_size: known("0.00001"),
        quantity_min: known("0.00001"),
        quantity_max: known("9000"),
        notional_min: known("5"),
        order_types: vec![OrderType::Market, OrderType::Limit],
        filters: domain::Filters::default(),
    }
}

/// Limits that a benchmark does not meet.
pub(crate) fn limits() -> Limits {
    Limits {
        order_notional_max: known("1000000000"),
        order_quantity_max: known("1000000000"),
        stop_limit_slack: Limits::default().stop_limit_slack,
        price_collar: Ratio::from_percent(5),
        position_notional_max: known("1000000000"),
        exposure_notional_max: known("1000000000"),
        order_rate_max: 1_000_000,
        order_rate_window_ms: Millis::from_secs(60),
        mark_age_ms_max: Millis::from_secs(3600),
        approval_validity_ms: Millis::from_secs(5),
    }
}

/// The configuration of a strategy, as a file has it.
pub(crate) fn strategy(json: serde_json::Value) -> anyhow::Result<StrategyConfig> {
    let config: StrategyConfig = serde_json::from_value(json).context("a benchmark's strategy is not valid")?;
    config.validate()?;
    Ok(config)
}

/// One instance of `family`.
pub(crate) fn instance(
    id: &str,
    family: u16,
    symbols: &[&str],
    entry_size: &str,
    strategy: StrategyConfig,
) -> InstanceConfig {
    InstanceConfig {
        id: known(id),
        family: FamilyIndex(family),
        capital: known("10000000"),
        symbols: symbols.iter().map(|symbol| known(symbol)).collect(),
        entry_size: known(entry_size),
        protection: risk::ProtectionStyle::Local,
        strategy,
    }
}

/// These instances, under limits that refuse nothing.
pub(crate) fn setup(families: &[&str], instances: Vec<InstanceConfig>) -> Setup {
    Setup {
        currency: known("USDT"),
        families: families.iter().map(|id| FamilySetup { id: known(id) }).collect(),
        instances,
        limits: limits(),
        boot: BootNumber(1),
        heartbeat_timeout_ms: 60_000,
        equity_sample_ms: Millis::from_secs(300),
        quote_age_ms_max: Millis::from_secs(10),
    }
}

/// One instance that follows every trade with moving averages of `fast` and `slow` trades.
pub(crate) fn trades_setup(fast: usize, slow: usize) -> anyhow::Result<Setup> {
    let ema = strategy(serde_json::json!({ "kind": "ema-cross", "input": "trades", "fast": fast, "slow": slow }))?;
    Ok(setup(&["trend"], vec![instance("a", 0, &[SYMBOL], "0.01", ema)]))
}

/// The id of an order of instance `a`.
pub(crate) fn order_id(sequence: u64) -> ClientOrderId {
    let own = OwnOrderId { instance: known("a"), boot: BootNumber(1), sequence };
    own.to_client_order_id().expect("invariant: a short instance leaves room for the number")
}

/// A market order of instance `a`.
pub(crate) fn order(sequence: u64, side: Side, quantity: Quantity) -> OrderSpec {
    OrderSpec {
        client_order_id: order_id(sequence),
        instance: known("a"),
        symbol: known(SYMBOL),
        side,
        order_type: OrderType::Market,
        purpose: Purpose::Entry,
        quantity,
        price: None,
        stop_price: None,
        time_in_force: TimeInForce::Gtc,
        reason: ReasonCode::EntrySignal,
        oco: None,
    }
}

/// The whole of an order, traded at `price` with a fee in the quote currency.
pub(crate) fn fill(spec: &OrderSpec, trade: u64, price: Price, time: Timestamp) -> Fill {
    Fill {
        trade_id: TradeId(trade),
        client_order_id: spec.client_order_id.clone(),
        exchange_order_id: ExchangeOrderId(trade),
        symbol: spec.symbol.clone(),
        side: spec.side,
        price,
        quantity: spec.quantity,
        commission: known("0.05"),
        commission_asset: known("USDT"),
        is_maker: false,
        time,
    }
}

/// A directory of its own under `target/bench-tmp` of the present directory, so that files meet the disk that a service
/// would use.
pub(crate) fn temp_dir() -> anyhow::Result<tempfile::TempDir> {
    let parent = PathBuf::from("target/bench-tmp");
    std::fs::create_dir_all(&parent).with_context(|| format!("{} cannot be made", parent.display()))?;
    tempfile::tempdir_in(&parent).with_context(|| format!("no directory can be made in {}", parent.display()))
}
