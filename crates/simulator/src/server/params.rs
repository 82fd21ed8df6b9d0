//! Parameters of a request, from a query, a form body or a WebSocket frame, and their reading.
//!
//! Anything may come in; whatever is no parameter is refused in the exchange's words and never panics.

use std::collections::BTreeMap;
use std::str::FromStr;

use actix_web::web::Query;
use domain::{ClientOrderId, Decimal, ExchangeOrderId, OrderType, Price, Side, Symbol, TimeInForce};
use serde_json::Value;

use crate::model::{CancelRestriction, OrderRef, Refusal, StpMode};

/// Decimals that base and quote amounts may have.
const PRECISION_MAX: u32 = 8;

/// Parameters by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(BTreeMap<String, String>);

impl Refusal {
    /// A parameter is not in the form it must have.
    pub(super) fn illegal(parameter: &str, range: &str) -> Self {
        let message = format!("Illegal characters found in parameter '{parameter}'; legal range is '{range}'.");
        Self::new(-1100, message)
    }
}

impl Params {
    /// From query and form body; the query wins.
    pub(super) fn from_rest(query: &str, body: &str) -> Result<Self, Refusal> {
        let mut all = BTreeMap::new();
        for text in [body, query] {
            let pairs = Query::<Vec<(String, String)>>::from_query(text);
            let pairs = pairs.map_err(|_| Refusal::new(-1100, "Illegal characters found in a parameter."))?;
            all.extend(pairs.into_inner());
        }
        Ok(Self(all))
    }

    /// From the `params` of a WebSocket request.
    pub(super) fn from_json(value: &Value) -> Self {
        let Some(object) = value.as_object() else { return Self::default() };
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self(object.iter().map(|(name, value)| (name.clone(), text(value))).collect())
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.into(), value.into());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value, if there is one that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::missing(name))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |text: &str| text.parse().map_err(|_| Refusal::illegal(name, r"^[0-9]{1,20}$"));
        self.get(name).map(read).transpose()
    }

    /// A number that is not below zero.
    pub(super) fn id(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let read = |text: &str| text.parse().map_err(|_| Refusal::illegal(name, r"^[0-9]{1,20}$"));
        self.get(name).map(read).transpose()
    }

    pub(super) fn limit(&self, default: usize, max: usize) -> Result<usize, Refusal> {
        let limit = self.id("limit")?.map_or(default, |limit| usize::try_from(limit).unwrap_or(max));
        if limit == 0 {
            Err(Refusal::new(-1130, "Data sent for parameter 'limit' is not valid."))
        } else {
            Ok(limit.min(max))
        }
    }

    pub(super) fn symbol(&self) -> Result<Symbol, Refusal> {
        Symbol::new(self.need("symbol")?).map_err(|_| Refusal::new(-1121, "Invalid symbol."))
    }

    pub(super) fn symbol_if_any(&self) -> Result<Option<Symbol>, Refusal> {
        if self.get("symbol").is_some() { self.symbol().map(Some) } else { Ok(None) }
    }

    /// `symbols=["A","B"]`, or the one `symbol`, or none.
    pub(super) fn symbols(&self) -> Result<Option<Vec<Symbol>>, Refusal> {
        let Some(list) = self.get("symbols") else { return Ok(self.symbol_if_any()?.map(|one| vec![one])) };
        let names: Vec<String> = serde_json::from_str(list).map_err(|_| Refusal::illegal("symbols", "JSON array"))?;
        let symbols = names.iter().map(|name| Symbol::new(name).map_err(|_| Refusal::new(-1121, "Invalid symbol.")));
        symbols.collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn decimal(&self, name: &str) -> Result<Option<Decimal>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let illegal = || Refusal::illegal(name, r"^([0-9]{1,20})(\.[0-9]{1,20})?$");
        if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(illegal());
        }
        let value = Decimal::from_str_exact(text).map_err(|_| illegal())?;
        if value.normalize().scale() > PRECISION_MAX {
            return Err(Refusal::new(-1111, format!("Parameter '{name}' has too much precision.")));
        }
        Ok(Some(value))
    }

    pub(super) fn price(&self, name: &str) -> Result<Option<Price>, Refusal> {
        let invalid = |_| Refusal::new(-1013, format!("Invalid {name}."));
        self.decimal(name)?.map(|value| Price::new(value).map_err(invalid)).transpose()
    }

    pub(super) fn client_id(&self, name: &str) -> Result<Option<ClientOrderId>, Refusal> {
        let read = |text: &str| ClientOrderId::new(text).map_err(|_| Refusal::illegal(name, "^[a-zA-Z0-9-_]{1,36}$"));
        self.get(name).map(read).transpose()
    }

    /// The order that is meant, by the exchange's number or by the client's id.
    pub(super) fn order_ref(&self) -> Result<OrderRef, Refusal> {
        if let Some(id) = self.id("orderId")? {
            return Ok(OrderRef::Exchange(ExchangeOrderId(id)));
        }
        match self.client_id("origClientOrderId")? {
            Some(id) => Ok(OrderRef::Client(id)),
            None => Err(Refusal::new(
                -1102,
                "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
            )),
        }
    }
}

/// The wire's words of the closed sets of the vocabulary.
pub(super) trait Word: Sized + Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

impl Word for Side {
    const WORDS: &'static [(&'static str, Self)] = &[("BUY", Self::Buy), ("SELL", Self::Sell)];
}

impl Word for TimeInForce {
    const WORDS: &'static [(&'static str, Self)] = &[("GTC", Self::Gtc), ("IOC", Self::Ioc), ("FOK", Self::Fok)];
}

impl Word for OrderType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("LIMIT", Self::Limit),
        ("MARKET", Self::Market),
        ("LIMIT_MAKER", Self::LimitMaker),
        ("STOP_LOSS", Self::StopLoss),
        ("STOP_LOSS_LIMIT", Self::StopLossLimit),
        ("TAKE_PROFIT", Self::TakeProfit),
        ("TAKE_PROFIT_LIMIT", Self::TakeProfitLimit),
    ];
}

impl Word for StpMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("NONE", Self::None),
        ("EXPIRE_MAKER", Self::ExpireMaker),
        ("EXPIRE_TAKER", Self::ExpireTaker),
        ("EXPIRE_BOTH", Self::ExpireBoth),
        ("DECREMENT", Self::Decrement),
    ];
}

impl Word for CancelRestriction {
    const WORDS: &'static [(&'static str, Self)] =
        &[("ONLY_NEW", Self::OnlyNew), ("ONLY_PARTIALLY_FILLED", Self::OnlyPartiallyFilled)];
}

pub(super) fn word<W: Word>(text: &str) -> Option<W> {
    W::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

pub(super) fn text_of<W: Word + PartialEq>(value: W) -> &'static str {
    W::WORDS.iter().find(|(_, other)| *other == value).map_or("", |(word, _)| *word)
}

/// The wire's word of a side.
pub(super) fn side_text(side: Side) -> &'static str {
    text_of(side)
}

/// The wire's word of an order type.
pub(super) fn type_text(order_type: OrderType) -> &'static str {
    text_of(order_type)
}

/// The wire's word of a time in force.
pub(super) fn time_in_force_text(time_in_force: TimeInForce) -> &'static str {
    text_of(time_in_force)
}

/// Reads a decimal of an administrator's request, which may be a number or a text.
pub(super) fn admin_decimal<T: FromStr>(value: &Value) -> Option<T> {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 14] = [
        "symbol",
        "symbols",
        "side",
        "type",
        "timeInForce",
        "quantity",
        "quoteOrderQty",
        "price",
        "stopPrice",
        "newClientOrderId",
        "origClientOrderId",
        "orderId",
        "limit",
        "interval",
    ];

    proptest! {
        #[test]
        fn no_request_panics(values in prop::collection::vec((0usize..14, "\\PC{0,24}|[0-9.]{0,40}|BUY|LIMIT|GTC"), 0..14)) {
            let mut params = Params::default();
            for (name, value) in &values {
                params.set(NAMES[*name], value);
            }
            let mut id = || ClientOrderId::new("x").unwrap();
            let _ = params.new_order(&mut id);
            let _ = (params.oco(&mut id).is_ok(), params.otoco(&mut id, false).is_ok(), params.old_oco().is_ok());
            let _ = (params.order_ref(), params.limit(5, 10), params.symbols());
        }

        #[test]
        fn no_text_panics(query in "\\PC{0,80}", body in "\\PC{0,80}") {
            let _ = Params::from_rest(&query, &body);
        }
    }

    #[test]
    fn the_query_wins_over_the_body() {
        let params = Params::from_rest("a=1&b=%20x", "a=2&c=3").unwrap();
        assert_eq!(params.iter().collect::<Vec<_>>(), [("a", "1"), ("b", " x"), ("c", "3")]);
    }
}
