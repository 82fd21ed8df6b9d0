//! The rules of a market's symbols, derived from its data.
//!
//! It must never invent an asset that no part of the symbol names, but the USDT that an unknown symbol is quoted in.

use domain::{Asset, Decimal, Filters, Instrument, Notional, OrderType, Quantity, Symbol, SymbolStatus};

use super::packed::Scale;

/// The rules of a symbol; see [`super::Market::instruments`].
pub(super) fn instrument(symbol: &Symbol, scale: Scale) -> Instrument {
    let (base, quote) = assets(symbol);
    // Prices times quantities must be exact in 8 decimals, which is what the exchange books.
    let step = Decimal::new(1, scale.quantity.min(8_u32.saturating_sub(scale.price)));
    Instrument {
        symbol: symbol.clone(),
        notional_min: notional_min(quote.as_str()),
        base,
        quote,
        status: SymbolStatus::Trading,
        tick_size: Decimal::new(1, scale.price),
        step_size: step,
        quantity_min: Quantity::new(step).unwrap_or_default(),
        quantity_max: Quantity::new(Decimal::new(9_000_000_000, 0)).unwrap_or_default(),
        order_types: vec![
            OrderType::Limit,
            OrderType::LimitMaker,
            OrderType::Market,
            OrderType::StopLoss,
            OrderType::StopLossLimit,
            OrderType::TakeProfit,
            OrderType::TakeProfitLimit,
        ],
        filters: filters(scale),
    }
}

/// Base and quote of a symbol, by the quote assets that are known; any other symbol is a base quoted in USDT.
fn assets(symbol: &Symbol) -> (Asset, Asset) {
    let text = symbol.as_str();
    let split = ["USDT", "USDC", "BUSD", "BTC", "ETH", "BNB"]
        .iter()
        .find_map(|quote| text.strip_suffix(quote).filter(|base| !base.is_empty()).map(|base| (base, *quote)));
    let (base, quote) = split.unwrap_or((text, "USDT"));
    let asset = |text: &str| Asset::new(text).expect("invariant: part of a symbol is an asset's name");
    (asset(base), asset(quote))
}

/// The smallest order that the exchange takes in a quote asset: about 5 dollars.
fn notional_min(quote: &str) -> Notional {
    let decimal = match quote {
        "BTC" => Decimal::new(1, 4),
        "ETH" => Decimal::new(1, 3),
        "BNB" => Decimal::new(1, 2),
        _ => Decimal::new(5, 0),
    };
    Notional::new(decimal).unwrap_or_default()
}

/// The exchange's usual rules.
fn filters(scale: Scale) -> Filters {
    let quantity = |number| Quantity::new(Decimal::from(number)).unwrap_or_default();
    Filters {
        price_min: Decimal::new(1, scale.price),
        price_max: Decimal::from(1_000_000_000),
        bid_multiplier_up: Decimal::from(5),
        bid_multiplier_down: Decimal::new(2, 1),
        ask_multiplier_up: Decimal::from(5),
        ask_multiplier_down: Decimal::new(2, 1),
        // The reference is the last price.
        average_price_minutes: 0,
        market_step_size: Decimal::ZERO,
        market_quantity_min: Quantity::ZERO,
        market_quantity_max: quantity(1_000_000_000),
        notional_max: Notional::new(Decimal::from(9_000_000)).unwrap_or_default(),
        notional_min_binds_market: true,
        orders_max: 200,
        algo_orders_max: 5,
        order_lists_max: 20,
        position_max: Quantity::ZERO,
        oco_allowed: true,
        base_precision: 8,
        quote_precision: 8,
    }
}
