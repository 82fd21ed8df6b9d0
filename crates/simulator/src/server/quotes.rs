//! Public requests about prices: depth, candles, trades, tickers, averages.
//!
//! It must never tell of what is ahead of the exchange's time.

use domain::{Decimal, Symbol, Timestamp, Trade};
use serde_json::{Value, json};

use super::core::Core;
use super::endpoints::{Access, Endpoint};
use super::klines::klines;
use super::params::Params;
use super::wire::fixed;
use crate::model::Refusal;

const DAY: i64 = 86_400_000;
/// Minutes of the average price.
const AVERAGE_MINUTES: i64 = 5;

const fn get(path: &'static str, method: &'static str, answer: Answerer, weight: fn(&Params) -> u32) -> Endpoint {
    Endpoint { rest: ("GET", path), method, access: Access::Public(answer), weight, is_free: false }
}

type Answerer = fn(&mut Core, &Params) -> Result<Value, Refusal>;

/// The endpoints of this file.
pub(super) static ENDPOINTS: &[Endpoint] = &[
    get("depth", "depth", depth, depth_weight),
    get("klines", "klines", klines, |_| 2),
    get("uiKlines", "uiKlines", klines, |_| 2),
    get("trades", "trades.recent", trades, |_| 25),
    get("historicalTrades", "trades.historical", historical_trades, |_| 25),
    get("avgPrice", "avgPrice", average_price, |_| 2),
    get("ticker/24hr", "ticker.24hr", ticker_24hr, ticker_24hr_weight),
];

fn depth_weight(params: &Params) -> u32 {
    match params.limit(100, 5000).unwrap_or(100) {
        0..=100 => 5,
        101..=500 => 25,
        501..=1000 => 50,
        _ => 250,
    }
}

fn ticker_24hr_weight(params: &Params) -> u32 {
    match params.symbols() {
        Ok(Some(symbols)) if symbols.len() <= 20 => 2,
        Ok(Some(symbols)) if symbols.len() <= 100 => 40,
        _ => 80,
    }
}

fn known(core: &Core, params: &Params) -> Result<Symbol, Refusal> {
    let symbol = params.symbol()?;
    core.model.instrument(&symbol).map(|_| ()).ok_or_else(|| Refusal::invalid_symbol(&symbol))?;
    Ok(symbol)
}

fn depth(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    let (symbol, limit) = (known(core, params)?, params.limit(100, 5000)?);
    let book = core.feeds.books.get(&symbol);
    Ok(book.map_or_else(|| json!({"lastUpdateId": 0, "bids": [], "asks": []}), |book| book.snapshot(limit)))
}

fn trade_row(trade: &Trade) -> Value {
    json!({
        "id": trade.id, "price": fixed(trade.price.value()), "qty": fixed(trade.quantity.value()),
        "quoteQty": fixed(trade.price.times(trade.quantity).value()), "time": trade.time.as_millis(),
        "isBuyerMaker": trade.buyer_is_maker, "isBestMatch": true,
    })
}

fn trades(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    let (symbol, limit) = (known(core, params)?, params.limit(500, 1000)?);
    let recent = core.tapes.get(&symbol).map(|tape| &tape.recent);
    let skip = recent.map_or(0, |recent| recent.len().saturating_sub(limit));
    Ok(recent.into_iter().flatten().skip(skip).map(trade_row).collect())
}

fn historical_trades(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    let Some(from) = params.id("fromId")? else { return trades(core, params) };
    let (symbol, limit) = (known(core, params)?, params.limit(500, 1000)?);
    let recent = core.tapes.get(&symbol).map(|tape| &tape.recent);
    Ok(recent.into_iter().flatten().filter(|trade| trade.id >= from).take(limit).map(trade_row).collect())
}

/// The average price of the last minutes.
pub(super) struct Average {
    symbol: Symbol,
    price: Decimal,
    last: Timestamp,
}

impl Average {
    /// The event of a stream.
    pub(super) fn event(&self, now: i64) -> Value {
        let interval = format!("{AVERAGE_MINUTES}m");
        json!({"e": "avgPrice", "E": now, "s": self.symbol.as_str(), "i": interval, "w": fixed(self.price), "T": self.last.as_millis()})
    }
}

fn average_price(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    let symbol = known(core, params)?;
    let average = core.average(&symbol);
    let (price, time) = average.map_or((Decimal::ZERO, 0), |it| (it.price, it.last.as_millis()));
    Ok(json!({"mins": AVERAGE_MINUTES, "price": fixed(price), "closeTime": time}))
}

/// What happened on a symbol in the last 24 hours.
pub(super) struct Ticker {
    symbol: Symbol,
    open: Decimal,
    high: Decimal,
    low: Decimal,
    last: Decimal,
    last_quantity: Decimal,
    volume: Decimal,
    quote: Decimal,
    bid: (Decimal, Decimal),
    ask: (Decimal, Decimal),
    open_time: i64,
    close_time: i64,
    last_id: u64,
    count: u64,
}

impl Ticker {
    fn change(&self) -> (Decimal, Decimal) {
        let change = self.last - self.open;
        (change, change.checked_div(self.open).unwrap_or_default() * Decimal::ONE_HUNDRED)
    }

    fn weighted(&self) -> Decimal {
        self.quote.checked_div(self.volume).unwrap_or(self.last)
    }

    fn first_id(&self) -> u64 {
        (self.last_id + 1).saturating_sub(self.count)
    }

    /// The event of `@miniTicker`.
    pub(super) fn mini_event(&self, now: i64) -> Value {
        json!({
            "e": "24hrMiniTicker", "E": now, "s": self.symbol.as_str(), "c": fixed(self.last), "o": fixed(self.open),
            "h": fixed(self.high), "l": fixed(self.low), "v": fixed(self.volume), "q": fixed(self.quote),
        })
    }

    /// The event of `@ticker`.
    pub(super) fn event(&self, now: i64) -> Value {
        let (change, percent) = self.change();
        json!({
            "e": "24hrTicker", "E": now, "s": self.symbol.as_str(), "p": fixed(change), "P": percent.round_dp(3).to_string(),
            "w": fixed(self.weighted()), "x": fixed(self.open), "c": fixed(self.last), "Q": fixed(self.last_quantity),
            "b": fixed(self.bid.0), "B": fixed(self.bid.1), "a": fixed(self.ask.0), "A": fixed(self.ask.1),
            "o": fixed(self.open), "h": fixed(self.high), "l": fixed(self.low), "v": fixed(self.volume),
            "q": fixed(self.quote), "O": self.open_time, "C": self.close_time, "F": self.first_id(), "L": self.last_id,
            "n": self.count,
        })
    }

    fn mini_row(&self) -> Value {
        json!({
            "symbol": self.symbol.as_str(), "openPrice": fixed(self.open), "highPrice": fixed(self.high),
            "lowPrice": fixed(self.low), "lastPrice": fixed(self.last), "volume": fixed(self.volume),
            "quoteVolume": fixed(self.quote), "openTime": self.open_time, "closeTime": self.close_time,
            "firstId": self.first_id(), "lastId": self.last_id, "count": self.count,
        })
    }

    /// As the tickers of other windows tell it: without the book.
    pub(super) fn window_row(&self, is_mini: bool) -> Value {
        let mut row = self.mini_row();
        if !is_mini {
            let (change, percent) = self.change();
            row["priceChange"] = json!(fixed(change));
            row["priceChangePercent"] = json!(percent.round_dp(3).to_string());
            row["weightedAvgPrice"] = json!(fixed(self.weighted()));
        }
        row
    }

    fn row(&self, is_mini: bool) -> Value {
        let mut row = self.window_row(is_mini);
        let more = json!({
            "prevClosePrice": fixed(self.open), "lastQty": fixed(self.last_quantity), "bidPrice": fixed(self.bid.0), "bidQty": fixed(self.bid.1),
            "askPrice": fixed(self.ask.0), "askQty": fixed(self.ask.1),
        });
        if let (false, Some(row), Value::Object(more)) = (is_mini, row.as_object_mut(), more) {
            row.extend(more);
        }
        row
    }
}

/// Whether the short kind is asked for.
pub(super) fn is_mini(params: &Params) -> Result<bool, Refusal> {
    match params.get("type") {
        None | Some("FULL") => Ok(false),
        Some("MINI") => Ok(true),
        Some(_) => Err(Refusal::new(-1130, "Data sent for parameter 'type' is not valid.")),
    }
}

fn ticker_24hr(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    let is_mini = is_mini(params)?;
    let symbols = match params.symbols()? {
        Some(symbols) => symbols,
        None => core.model.instruments().map(|instrument| instrument.symbol.clone()).collect(),
    };
    if let Some(unknown) = symbols.iter().find(|symbol| core.model.instrument(symbol).is_none()) {
        return Err(Refusal::invalid_symbol(unknown));
    }
    let mut rows: Vec<Value> =
        symbols.iter().filter_map(|symbol| core.ticker(symbol)).map(|ticker| ticker.row(is_mini)).collect();
    if params.get("symbol").is_some() && params.get("symbols").is_none() {
        return Ok(rows.pop().unwrap_or_else(|| json!({"symbol": symbols[0].as_str()})));
    }
    Ok(Value::Array(rows))
}

impl Core {
    /// Of the last 24 hours; `None` before the first trade.
    pub(super) fn ticker(&mut self, symbol: &Symbol) -> Option<Ticker> {
        let from = self.now() - DAY;
        self.ticker_since(symbol, from)
    }

    /// Since `from`; `None` before the first trade.
    pub(super) fn ticker_since(&mut self, symbol: &Symbol, from: i64) -> Option<Ticker> {
        let now = self.now();
        let (base, last) = (self.market.base_interval(symbol)?, self.model.last_price(symbol)?.value());
        let tape = self.tapes.get(symbol)?;
        let (since, to) = (Timestamp::from_millis(from), Timestamp::from_millis(now));
        let candles = self.market.history_forward(symbol, base, since, to, usize::MAX / 2);
        let open = tape.open_candle(base, to);
        let mut ticker = Ticker {
            symbol: symbol.clone(),
            open: candles.first().or(open).map_or(last, |candle| candle.open.value()),
            high: last,
            low: last,
            last,
            last_quantity: tape.recent.back().map_or(Decimal::ZERO, |trade| trade.quantity.value()),
            volume: Decimal::ZERO,
            quote: Decimal::ZERO,
            bid: Default::default(),
            ask: Default::default(),
            open_time: from,
            close_time: now,
            last_id: tape.last_trade_id(),
            count: 0,
        };
        for candle in candles.iter().chain(open) {
            ticker.high = ticker.high.max(candle.high.value());
            ticker.low = ticker.low.min(candle.low.value());
            ticker.volume += candle.volume.value();
            ticker.quote += candle.high.mid(candle.low).times(candle.volume).value();
            ticker.count += if candle.volume.is_positive() { 4 } else { 0 };
        }
        if let Some(quote) = self.model.quote(symbol) {
            ticker.bid = (quote.bid.value(), quote.bid_quantity.value());
            ticker.ask = (quote.ask.value(), quote.ask_quantity.value());
        }
        Some(ticker)
    }

    /// Of the last five minutes, weighted by volume; the last price where nothing was traded.
    pub(super) fn average(&mut self, symbol: &Symbol) -> Option<Average> {
        let from = Timestamp::from_millis(self.now() - AVERAGE_MINUTES * 60_000);
        let (recent, last) = (&self.tapes.get(symbol)?.recent, self.model.last_price(symbol)?.value());
        let (mut volume, mut quote) = (Decimal::ZERO, Decimal::ZERO);
        for trade in recent.iter().rev().take_while(|trade| trade.time > from) {
            volume += trade.quantity.value();
            quote += trade.price.times(trade.quantity).value();
        }
        let price = quote.checked_div(volume).unwrap_or(last);
        let last = recent.back().map_or(Timestamp::EPOCH, |trade| trade.time);
        Some(Average { symbol: symbol.clone(), price, last })
    }
}
