//! The border between exact decimals and the f64 of the indicators, and f64 that survives JSON text exactly.
//!
//! It must never let a value that is not finite, or not a price, become a `Price`.

use domain::{Decimal, Price};

/// 10^0 to 10^28, the scales that a `Decimal` can have; exact up to 10^22.
const POWERS_OF_TEN: [f64; 29] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28,
];
/// Digits after the point of a price that leaves.
const PRICE_SCALE: u32 = 8;
/// Largest price, in quote units: that of `domain::money::PRICE_MAX`.
const PRICE_MAX: f64 = 1e12;

/// The price as f64, in quote units: correctly rounded while the mantissa is below 2^53 and the scale at most 22 (every
/// price of a real market), within 2 units in the last place otherwise. On the hot path: no allocation, no loop.
#[inline]
pub(crate) fn price_to_f64(price: Price) -> f64 {
    let value = price.value();
    let mantissa = value.mantissa();
    // A machine instruction for what fits 64 bits; 128 bits need a software routine.
    let whole = i64::try_from(mantissa).map_or_else(|_| wide_to_f64(mantissa), |narrow| narrow as f64);
    let power = POWERS_OF_TEN.get(value.scale() as usize).copied().unwrap_or(f64::INFINITY);
    whole / power
}

/// Apart and not inlined, or the compiler calls the software routine for every price and then drops its result.
#[cold]
#[inline(never)]
fn wide_to_f64(mantissa: i128) -> f64 {
    mantissa as f64
}

/// The price nearest to `value` quote units at 8 decimals (as far as the 53 bits of f64 reach: beyond 10 million the last
/// decimal may be off by one); `None` for what is no price.
pub(crate) fn price_from_f64(value: f64) -> Option<Price> {
    if !value.is_finite() || value <= 0.0 || value > PRICE_MAX {
        return None;
    }
    let scaled = (value * POWERS_OF_TEN[PRICE_SCALE as usize]).round() as i128;
    Price::new(Decimal::try_from_i128_with_scale(scaled, PRICE_SCALE).ok()?.normalize()).ok()
}

/// Serde of an f64 as its shortest text that reads back to the same bits. (A JSON number would not: serde_json reads
/// some numbers one unit in the last place off.) Only finite values are read.
pub(crate) mod exact {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value: f64 = text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a number")))?;
        if value.is_finite() { Ok(value) } else { Err(D::Error::custom(format!("{text:?} is not finite"))) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Holder(#[serde(with = "exact")] f64);

    fn ulps_apart(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    proptest! {
        #[test]
        fn prices_become_the_nearest_f64(mantissa in 1i64..(1 << 53), scale in 8u32..=10) {
            let decimal = Decimal::try_from_i128_with_scale(i128::from(mantissa), scale).unwrap();
            let exact: f64 = decimal.to_string().parse().unwrap();
            prop_assert_eq!(price_to_f64(Price::new(decimal).unwrap()), exact);
        }

        #[test]
        fn wide_prices_are_within_two_ulps(mantissa in 1i128..10_000_000_000_000_000_000_000) {
            let decimal = Decimal::try_from_i128_with_scale(mantissa, 10).unwrap();
            let exact: f64 = decimal.to_string().parse().unwrap();
            prop_assert!(ulps_apart(price_to_f64(Price::new(decimal).unwrap()), exact) <= 2);
        }

        #[test]
        fn prices_of_eight_decimals_come_back_up_to_ten_million(mantissa in 1i64..=1_000_000_000_000_000) {
            let price = Price::new(Decimal::new(mantissa, 8)).unwrap();
            prop_assert_eq!(price_from_f64(price_to_f64(price)), Some(price));
        }

        #[test]
        fn anything_is_a_price_or_nothing(bits in any::<u64>()) {
            if let Some(price) = price_from_f64(f64::from_bits(bits)) {
                prop_assert!(price.value() > Decimal::ZERO);
            }
        }

        #[test]
        fn finite_numbers_survive_json_text_to_the_bit(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let text = serde_json::to_string(&Holder(value)).unwrap();
            match serde_json::from_str::<Holder>(&text) {
                Ok(back) => prop_assert_eq!(back.0.to_bits(), bits),
                Err(_) => prop_assert!(!value.is_finite()),
            }
        }
    }
}
