//! The exchange's description of itself (`GET /api/v3/exchangeInfo`), and what it is in our words.
//!
//! It must never call tradable what the account may not trade, or what has a status that nobody knows.

use domain::{Decimal, Filters, Instrument, Notional, OrderType, Quantity, SymbolStatus};
use serde::Deserialize;
use smol_str::SmolStr;

use super::budget::{LimitKind, RateLimit};
use super::wire::{WireError, asset, bad, symbol};

/// What a symbol's status is where the exchange trades it, but not for this account or not on Spot.
pub const NOT_PERMITTED: &str = "NOT_PERMITTED";

/// `GET /api/v3/exchangeInfo`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeInfoWire {
    /// All symbols that were asked for.
    pub symbols: Vec<SymbolWire>,
    #[serde(default)]
    rate_limits: Vec<RateLimitWire>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateLimitWire {
    rate_limit_type: SmolStr,
    interval: SmolStr,
    interval_num: i64,
    limit: u64,
}

impl ExchangeInfoWire {
    /// The limits in force. Kinds that nobody knows are left out.
    #[must_use]
    pub fn limits(&self) -> Vec<RateLimit> {
        self.rate_limits.iter().filter_map(RateLimitWire::limit).collect()
    }
}

impl RateLimitWire {
    fn limit(&self) -> Option<RateLimit> {
        let kind = match self.rate_limit_type.as_str() {
            "REQUEST_WEIGHT" => LimitKind::Weight,
            "ORDERS" => LimitKind::Orders,
            "RAW_REQUESTS" => LimitKind::Requests,
            _ => return None,
        };
        let unit_ms: i64 = match self.interval.as_str() {
            "SECOND" => 1000,
            "MINUTE" => 60_000,
            "HOUR" => 3_600_000,
            "DAY" => 86_400_000,
            _ => return None,
        };
        let interval_ms = unit_ms.checked_mul(self.interval_num)?;
        Some(RateLimit { kind, interval_ms, max: u32::try_from(self.limit).unwrap_or(u32::MAX) })
    }
}

/// One symbol of the exchange's description.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymbolWire {
    /// Its name.
    pub symbol: SmolStr,
    status: SmolStr,
    base_asset: SmolStr,
    quote_asset: SmolStr,
    #[serde(default)]
    base_asset_precision: u32,
    #[serde(default)]
    quote_asset_precision: u32,
    #[serde(default)]
    order_types: Vec<SmolStr>,
    #[serde(default)]
    oco_allowed: bool,
    is_spot_trading_allowed: Option<bool>,
    #[serde(default)]
    permission_sets: Vec<Vec<SmolStr>>,
    filters: Vec<FilterWire>,
}

/// All filters have their fields in one table: the exchange never uses one name for two things.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FilterWire {
    filter_type: SmolStr,
    min_price: Option<SmolStr>,
    max_price: Option<SmolStr>,
    tick_size: Option<SmolStr>,
    step_size: Option<SmolStr>,
    min_qty: Option<SmolStr>,
    max_qty: Option<SmolStr>,
    min_notional: Option<SmolStr>,
    max_notional: Option<SmolStr>,
    apply_to_market: Option<bool>,
    apply_min_to_market: Option<bool>,
    multiplier_up: Option<SmolStr>,
    multiplier_down: Option<SmolStr>,
    bid_multiplier_up: Option<SmolStr>,
    bid_multiplier_down: Option<SmolStr>,
    ask_multiplier_up: Option<SmolStr>,
    ask_multiplier_down: Option<SmolStr>,
    avg_price_mins: Option<u32>,
    max_num_orders: Option<u64>,
    max_num_algo_orders: Option<u64>,
    max_num_order_lists: Option<u64>,
    max_position: Option<SmolStr>,
}

fn decimal(field: &'static str, text: Option<&SmolStr>) -> Result<Decimal, WireError> {
    let Some(text) = text else { return Ok(Decimal::ZERO) };
    let value = Decimal::from_str_exact(text).map_err(|_| bad(field, format!("{text:?} is no decimal number")))?;
    Ok(value.normalize())
}

fn amount(field: &'static str, text: Option<&SmolStr>) -> Result<Quantity, WireError> {
    Quantity::new(decimal(field, text)?).map_err(|error| bad(field, error))
}

fn notional(field: &'static str, text: Option<&SmolStr>) -> Result<Notional, WireError> {
    Notional::new(decimal(field, text)?).map_err(|error| bad(field, error))
}

fn count(number: Option<u64>) -> u32 {
    number.map_or(0, |number| u32::try_from(number).unwrap_or(u32::MAX))
}

impl SymbolWire {
    fn filter(&self, name: &str) -> Option<&FilterWire> {
        self.filters.iter().find(|filter| filter.filter_type == name)
    }

    /// The instrument, for an account with `permissions`. Of the bounds for all orders and those for market orders the
    /// narrower ones count, because every exit may become a market order.
    ///
    /// # Errors
    /// The field that makes no sense.
    pub fn instrument(&self, permissions: &[SmolStr]) -> Result<Instrument, WireError> {
        let lot = self.filter("LOT_SIZE");
        let filters = self.rarer_filters()?;
        let min = amount("minQty", lot.and_then(|filter| filter.min_qty.as_ref()))?;
        let max = amount("maxQty", lot.and_then(|filter| filter.max_qty.as_ref()))?;
        let market_max = filters.market_quantity_max;
        let notional_filter = self.filter("NOTIONAL").or_else(|| self.filter("MIN_NOTIONAL"));
        Ok(Instrument {
            symbol: symbol("symbol", &self.symbol)?,
            base: asset("baseAsset", &self.base_asset)?,
            quote: asset("quoteAsset", &self.quote_asset)?,
            status: self.status(permissions),
            tick_size: decimal("tickSize", self.filter("PRICE_FILTER").and_then(|filter| filter.tick_size.as_ref()))?,
            step_size: decimal("stepSize", lot.and_then(|filter| filter.step_size.as_ref()))?,
            quantity_min: min.max(filters.market_quantity_min),
            quantity_max: if market_max.is_positive() && max.is_positive() {
                max.min(market_max)
            } else {
                max.max(market_max)
            },
            notional_min: notional("minNotional", notional_filter.and_then(|filter| filter.min_notional.as_ref()))?,
            order_types: self.order_types.iter().filter_map(|word| order_type(word)).collect(),
            filters,
        })
    }

    /// A symbol that trades, but not for us, is not tradable; one that does not trade says why as it did.
    fn status(&self, permissions: &[SmolStr]) -> SymbolStatus {
        let status = SymbolStatus::from(self.status.clone());
        // The account needs one of every set.
        let held = |set: &Vec<SmolStr>| set.iter().any(|permission| permissions.contains(permission));
        let permitted = self.is_spot_trading_allowed != Some(false) && self.permission_sets.iter().all(held);
        match status {
            SymbolStatus::Trading if !permitted => SymbolStatus::Other(NOT_PERMITTED.into()),
            other => other,
        }
    }

    fn rarer_filters(&self) -> Result<Filters, WireError> {
        let price = self.filter("PRICE_FILTER");
        let market = self.filter("MARKET_LOT_SIZE");
        let (old, new) = (self.filter("MIN_NOTIONAL"), self.filter("NOTIONAL"));
        let binds = match new {
            Some(filter) => filter.apply_min_to_market,
            None => old.and_then(|filter| filter.apply_to_market),
        };
        let filters = Filters {
            price_min: decimal("minPrice", price.and_then(|filter| filter.min_price.as_ref()))?,
            price_max: decimal("maxPrice", price.and_then(|filter| filter.max_price.as_ref()))?,
            market_step_size: decimal("stepSize", market.and_then(|filter| filter.step_size.as_ref()))?,
            market_quantity_min: amount("minQty", market.and_then(|filter| filter.min_qty.as_ref()))?,
            market_quantity_max: amount("maxQty", market.and_then(|filter| filter.max_qty.as_ref()))?,
            notional_max: notional("maxNotional", new.and_then(|filter| filter.max_notional.as_ref()))?,
            notional_min_binds_market: binds.unwrap_or(false),
            orders_max: count(self.filter("MAX_NUM_ORDERS").and_then(|filter| filter.max_num_orders)),
            algo_orders_max: count(self.filter("MAX_NUM_ALGO_ORDERS").and_then(|filter| filter.max_num_algo_orders)),
            order_lists_max: count(self.filter("MAX_NUM_ORDER_LISTS").and_then(|filter| filter.max_num_order_lists)),
            position_max: amount(
                "maxPosition",
                self.filter("MAX_POSITION").and_then(|filter| filter.max_position.as_ref()),
            )?,
            oco_allowed: self.oco_allowed,
            base_precision: self.base_asset_precision,
            quote_precision: self.quote_asset_precision,
            ..Filters::default()
        };
        self.with_multipliers(filters)
    }

    /// The newer form has a pair for each side, the older one a pair for both.
    fn with_multipliers(&self, filters: Filters) -> Result<Filters, WireError> {
        if let Some(filter) = self.filter("PERCENT_PRICE_BY_SIDE") {
            return Ok(Filters {
                bid_multiplier_down: decimal("bidMultiplierDown", filter.bid_multiplier_down.as_ref())?,
                bid_multiplier_up: decimal("bidMultiplierUp", filter.bid_multiplier_up.as_ref())?,
                ask_multiplier_down: decimal("askMultiplierDown", filter.ask_multiplier_down.as_ref())?,
                ask_multiplier_up: decimal("askMultiplierUp", filter.ask_multiplier_up.as_ref())?,
                average_price_minutes: filter.avg_price_mins.unwrap_or(0),
                ..filters
            });
        }
        let Some(filter) = self.filter("PERCENT_PRICE") else { return Ok(filters) };
        let down = decimal("multiplierDown", filter.multiplier_down.as_ref())?;
        let up = decimal("multiplierUp", filter.multiplier_up.as_ref())?;
        Ok(Filters {
            bid_multiplier_down: down,
            bid_multiplier_up: up,
            ask_multiplier_down: down,
            ask_multiplier_up: up,
            average_price_minutes: filter.avg_price_mins.unwrap_or(0),
            ..filters
        })
    }
}

/// The words of the exchange for an order's type; `None` for those that we do not use.
fn order_type(word: &str) -> Option<OrderType> {
    Some(match word {
        "MARKET" => OrderType::Market,
        "LIMIT" => OrderType::Limit,
        "LIMIT_MAKER" => OrderType::LimitMaker,
        "STOP_LOSS" => OrderType::StopLoss,
        "STOP_LOSS_LIMIT" => OrderType::StopLossLimit,
        "TAKE_PROFIT" => OrderType::TakeProfit,
        "TAKE_PROFIT_LIMIT" => OrderType::TakeProfitLimit,
        _ => return None,
    })
}

#[cfg(test)]
#[path = "info_wire_tests.rs"]
mod tests;
