//! Identifiers, each its own type so that none can stand for another.
//!
//! Texts that come from outside are checked here once; nothing below has to ask again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use smol_str::SmolStr;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}: {allowed}")]
pub struct IdError {
    kind: &'static str,
    text: String,
    allowed: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $allowed:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(SmolStr);

        impl $name {
            /// Checks `text`.
            ///
            /// # Errors
            /// Names what is allowed.
            pub fn new(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(SmolStr::new(text)))
                } else {
                    Err(IdError { kind: $kind, text: text.chars().take(60).collect(), allowed: $allowed })
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&SmolStr::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

fn is_slug(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The exchange has symbols and assets in other scripts, so any printable text without spaces is one.
fn is_market_name(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.chars().all(|c| !c.is_whitespace() && !c.is_control())
}

text_id! {
    /// One configured strategy. It is part of every client order id, so that a fill can be given to its owner.
    InstanceId, "instance id", "1 to 16 of a-z, 0-9 and '-', not at an end", is_slug
}
text_id! {
    /// A group of instances of one kind.
    FamilyId, "family id", "1 to 16 of a-z, 0-9 and '-', not at an end", is_slug
}
text_id! {
    /// A market as the exchange names it, in its own case: `BTCUSDT`.
    Symbol, "symbol", "1 to 40 bytes without spaces", is_market_name
}
text_id! {
    /// A currency or coin as the exchange names it: `BTC`.
    Asset, "asset", "1 to 40 bytes without spaces", is_market_name
}
text_id! {
    /// The id that we, or another client of the account, gave to an order: at most 36 of `a-zA-Z0-9-_`.
    ClientOrderId, "client order id", "1 to 36 of a-z, A-Z, 0-9, '-' and '_'",
    |text| (1..=36).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The number of a start of the service: `max(last + 1, unix seconds)`, so that a restored backup never reuses one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootNumber(pub u64);

/// The exchange's own number of an order, unique within a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExchangeOrderId(pub u64);

/// The exchange's number of a trade, unique within a symbol; a fill is booked once by (symbol, trade id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TradeId(pub u64);

/// Ties everything that one event caused: journal rows, log lines, alerts, orders. Zero is "no cause known".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CorrelationId(pub u64);

macro_rules! number_id_display {
    ($($name:ident),*) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )* };
}
number_id_display!(BootNumber, ExchangeOrderId, TradeId, CorrelationId);

/// What a client order id of our own pattern says: who sent it, in which boot, as which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnOrderId {
    /// The instance that the order belongs to.
    pub instance: InstanceId,
    /// The start of the service that made it.
    pub boot: BootNumber,
    /// Counted within instance and boot, from 1.
    pub sequence: u64,
}

/// Every id of ours begins so.
const OWN_PREFIX: &str = "vg-";

impl OwnOrderId {
    /// The id as the exchange gets it: `vg-<instance>-<boot>-<sequence>`, the numbers in base 36; at most 36 bytes for
    /// boots before the year 38,000 and 2 billion orders a boot.
    ///
    /// # Errors
    /// Where the numbers are too large for 36 bytes.
    pub fn to_client_order_id(&self) -> Result<ClientOrderId, IdError> {
        ClientOrderId::new(&format!(
            "{OWN_PREFIX}{}-{}-{}",
            self.instance,
            to_base36(self.boot.0),
            to_base36(self.sequence)
        ))
    }

    /// Reads an id of our pattern; `None` for anybody else's.
    #[must_use]
    pub fn parse(id: &ClientOrderId) -> Option<OwnOrderId> {
        let mut parts = id.as_str().strip_prefix(OWN_PREFIX)?.rsplitn(3, '-');
        let sequence = u64::from_str_radix(parts.next()?, 36).ok()?;
        let boot = BootNumber(u64::from_str_radix(parts.next()?, 36).ok()?);
        let instance = InstanceId::new(parts.next()?).ok()?;
        Some(OwnOrderId { instance, boot, sequence })
    }
}

fn to_base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn own_ids_come_back_as_they_went(
            instance in "[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?", boot in 0u64..60_000_000_000, sequence in 0u64..2_000_000_000,
        ) {
            let own = OwnOrderId { instance: InstanceId::new(&instance).unwrap(), boot: BootNumber(boot), sequence };
            prop_assert_eq!(OwnOrderId::parse(&own.to_client_order_id().unwrap()), Some(own));
        }

        #[test]
        fn parsing_a_foreign_id_never_panics(text in "[a-zA-Z0-9_-]{1,36}") {
            let _ = OwnOrderId::parse(&ClientOrderId::new(&text).unwrap());
        }
    }

    #[test]
    fn bad_ids_name_what_is_allowed() {
        let error = InstanceId::new("Trend BTC").unwrap_err().to_string();
        assert_eq!(error, "\"Trend BTC\" is no instance id: 1 to 16 of a-z, 0-9 and '-', not at an end");
        assert!(Symbol::new("这是测试币456").is_ok());
        assert!(Symbol::new("").is_err());
    }
}
