//! Money: `Price`, `Quantity`, `Notional`, `Ratio`, exact decimals with no arithmetic across types but the lawful one.
//!
//! It must never use floats, and never panic on a number that came from outside: constructors bound what may enter, and
//! sums saturate.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize};

/// Why a number is not money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a decimal number.
    #[error("{0:?} is not a decimal number")]
    NotANumber(String),
    /// A price must be above zero.
    #[error("price {0} is not above zero")]
    NotPositive(Decimal),
    /// The value is beyond what any market has (see the `MAX` constants).
    #[error("{value} is absurd: its magnitude is above {limit}")]
    Absurd {
        /// The value as given.
        value: Decimal,
        /// The bound that it broke.
        limit: Decimal,
    },
    /// It has more decimals than any market has: products would not be exact any more.
    #[error("{0} has more than {PRECISION_MAX} decimals")]
    TooPrecise(Decimal),
}

/// Most decimals accepted from outside; the exchange has 8. With more, a price times a quantity would be rounded, and value
/// would not be conserved to the last digit.
pub const PRECISION_MAX: u32 = 10;

fn check_precision(value: Decimal) -> Result<(), MoneyError> {
    if value.scale() > PRECISION_MAX && value.normalize().scale() > PRECISION_MAX {
        return Err(MoneyError::TooPrecise(value));
    }
    Ok(())
}

/// Largest price accepted from outside, in quote units: far above any market, small enough that no product overflows.
pub const PRICE_MAX: Decimal = Decimal::from_parts(3_567_587_328, 232, 0, false, 0); // 1e12
/// Largest magnitude of a quantity accepted from outside, in base units.
pub const QUANTITY_MAX: Decimal = Decimal::from_parts(2_764_472_320, 232_830, 0, false, 0); // 1e15
/// Digits after the point that the ledger keeps where a division is unavoidable.
pub const DIVISION_SCALE: u32 = 12;

fn parse(text: &str) -> Result<Decimal, MoneyError> {
    Decimal::from_str_exact(text).map_err(|_| MoneyError::NotANumber(text.chars().take(40).collect()))
}

macro_rules! money {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Decimal);

        impl $name {
            /// The bare number.
            #[must_use]
            pub const fn value(self) -> Decimal {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = MoneyError;
            fn from_str(text: &str) -> Result<Self, MoneyError> {
                $name::new(parse(text)?)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $name::new(<Decimal as Deserialize>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

macro_rules! signed_money {
    ($name:ident) => {
        impl $name {
            /// Nothing of it.
            pub const ZERO: $name = $name(Decimal::ZERO);

            /// Whether it is exactly zero.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0.is_zero()
            }

            /// Whether it is above zero.
            #[must_use]
            pub fn is_positive(self) -> bool {
                self.0 > Decimal::ZERO
            }

            /// Whether it is below zero.
            #[must_use]
            pub fn is_negative(self) -> bool {
                self.0 < Decimal::ZERO
            }

            /// Its magnitude.
            #[must_use]
            pub fn abs(self) -> Self {
                $name(self.0.abs())
            }

            /// Without trailing zeros, so that equal values print alike.
            #[must_use]
            pub fn normalized(self) -> Self {
                $name(self.0.normalize())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::ZERO
            }
        }

        impl Add for $name {
            type Output = $name;
            fn add(self, other: $name) -> $name {
                $name(self.0.saturating_add(other.0))
            }
        }

        impl Sub for $name {
            type Output = $name;
            fn sub(self, other: $name) -> $name {
                $name(self.0.saturating_sub(other.0))
            }
        }

        impl Neg for $name {
            type Output = $name;
            fn neg(self) -> $name {
                $name(-self.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: $name) {
                *self = *self + other;
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: $name) {
                *self = *self - other;
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = $name>>(iter: I) -> $name {
                iter.fold($name::ZERO, Add::add)
            }
        }
    };
}

money! {
    /// A price: quote units for one base unit. Always above zero and at most [`PRICE_MAX`].
    Price
}

money! {
    /// A signed quantity of a base asset, in base units, at most [`QUANTITY_MAX`] in magnitude. Bought is above zero.
    Quantity
}
signed_money!(Quantity);

money! {
    /// A signed amount of a quote currency: price x quantity, cash, profit, fee.
    Notional
}
signed_money!(Notional);

money! {
    /// A signed share of something: 0.05 is 5 %.
    Ratio
}
signed_money!(Ratio);

impl Price {
    /// The smallest price there is.
    pub const SMALLEST: Price = Price(Decimal::from_parts(1, 0, 0, false, 10));

    /// Checks that `value` is a price.
    ///
    /// # Errors
    /// Zero, negative, absurd or too precise values are refused.
    pub fn new(value: Decimal) -> Result<Self, MoneyError> {
        if value <= Decimal::ZERO {
            return Err(MoneyError::NotPositive(value));
        }
        if value > PRICE_MAX {
            return Err(MoneyError::Absurd { value, limit: PRICE_MAX });
        }
        check_precision(value)?;
        Ok(Self(value))
    }

    /// price x quantity, in quote units; the sign is the quantity's.
    #[must_use]
    pub fn times(self, quantity: Quantity) -> Notional {
        Notional(self.0.checked_mul(quantity.0).unwrap_or(Decimal::MAX))
    }

    /// This price moved by `share` of itself (0.01 = 1 % up); `None` if nothing positive is left.
    #[must_use]
    pub fn moved_by(self, share: Ratio) -> Option<Price> {
        Price::new(self.0.checked_mul(Decimal::ONE.checked_add(share.0)?)?.round_dp(PRECISION_MAX)).ok()
    }

    /// The signed change from `from` to this price, as a share of `from`.
    #[must_use]
    pub fn change_from(self, from: Price) -> Ratio {
        Ratio((self.0 - from.0).checked_div(from.0).unwrap_or(Decimal::MAX).round_dp(DIVISION_SCALE))
    }

    /// The middle of two prices.
    #[must_use]
    pub fn mid(self, other: Price) -> Price {
        // A half, and not a division by two: this is done for every quote.
        const HALF: Decimal = Decimal::from_parts(5, 0, 0, false, 1);
        Price((self.0 + other.0) * HALF)
    }

    /// Rounded down to a multiple of `tick`; a zero tick means that there is no rule. `None` if nothing is left.
    #[must_use]
    pub fn floor_to(self, tick: Decimal) -> Option<Price> {
        Price::new(round_to(self.0, tick, RoundingStrategy::ToZero)).ok()
    }

    /// Rounded up to a multiple of `tick`; `None` if the result is absurd.
    #[must_use]
    pub fn ceil_to(self, tick: Decimal) -> Option<Price> {
        Price::new(round_to(self.0, tick, RoundingStrategy::AwayFromZero)).ok()
    }
}

impl Quantity {
    /// Checks that `value` is a quantity.
    ///
    /// # Errors
    /// Absurd magnitudes are refused.
    pub fn new(value: Decimal) -> Result<Self, MoneyError> {
        if value.abs() > QUANTITY_MAX {
            return Err(MoneyError::Absurd { value, limit: QUANTITY_MAX });
        }
        Ok(Self(value))
    }

    /// Rounded towards zero to a multiple of `step`: never up, because the balance may not hold more.
    #[must_use]
    pub fn floor_to(self, step: Decimal) -> Quantity {
        Quantity(round_to(self.0, step, RoundingStrategy::ToZero))
    }

    /// This quantity scaled by `share`, rounded towards zero at 12 digits.
    #[must_use]
    pub fn scaled(self, share: Ratio) -> Quantity {
        let product = self.0.checked_mul(share.0).unwrap_or(Decimal::ZERO);
        Quantity(product.round_dp_with_strategy(DIVISION_SCALE, RoundingStrategy::ToZero))
    }
}

impl Notional {
    /// Any decimal is an amount.
    ///
    /// # Errors
    /// None today; the signature is that of its siblings.
    pub const fn new(value: Decimal) -> Result<Self, MoneyError> {
        Ok(Self(value))
    }

    /// How much can be bought or must be sold at `price` for this amount, rounded towards zero at 12 digits.
    #[must_use]
    pub fn quantity_at(self, price: Price) -> Quantity {
        let quotient = self.0.checked_div(price.0).unwrap_or(Decimal::ZERO);
        Quantity(quotient.round_dp_with_strategy(DIVISION_SCALE, RoundingStrategy::ToZero))
    }

    /// This amount scaled by `share`, rounded to 12 digits.
    #[must_use]
    pub fn scaled(self, share: Ratio) -> Notional {
        Notional(self.0.checked_mul(share.0).unwrap_or(Decimal::MAX).round_dp(DIVISION_SCALE))
    }

    /// This amount as a share of `whole`; `None` where `whole` is zero.
    #[must_use]
    pub fn share_of(self, whole: Notional) -> Option<Ratio> {
        self.0.checked_div(whole.0).map(|share| Ratio(share.round_dp(DIVISION_SCALE)))
    }

    /// The part of this amount that belongs to `part` of `whole` units (cost of a partial close), at 12 digits.
    #[must_use]
    pub fn portion(self, part: Quantity, whole: Quantity) -> Notional {
        if part == whole {
            return self;
        }
        let share = self.0.checked_mul(part.0).and_then(|product| product.checked_div(whole.0));
        Notional(share.unwrap_or(self.0).round_dp(DIVISION_SCALE))
    }
}

impl Ratio {
    /// One: the whole.
    pub const ONE: Ratio = Ratio(Decimal::ONE);

    /// Any decimal is a ratio.
    ///
    /// # Errors
    /// None today; the signature is that of its siblings.
    pub const fn new(value: Decimal) -> Result<Self, MoneyError> {
        Ok(Self(value))
    }

    /// `percent` hundredths.
    #[must_use]
    pub fn from_percent(percent: i64) -> Self {
        Self(Decimal::new(percent, 2))
    }
}

fn round_to(value: Decimal, step: Decimal, strategy: RoundingStrategy) -> Decimal {
    if step <= Decimal::ZERO {
        return value;
    }
    let remainder = value % step;
    if remainder.is_zero() {
        return value;
    }
    let down = value - remainder;
    match strategy {
        RoundingStrategy::AwayFromZero if value > Decimal::ZERO => down.saturating_add(step),
        RoundingStrategy::AwayFromZero => down.saturating_sub(step),
        _ => down,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn d(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn limits_are_what_their_names_say() {
        assert_eq!(PRICE_MAX, d("1000000000000"));
        assert_eq!(QUANTITY_MAX, d("1000000000000000"));
    }

    #[test]
    fn prices_that_are_none_are_refused() {
        for text in ["0", "-1", "-0.00000001"] {
            assert!(matches!(text.parse::<Price>(), Err(MoneyError::NotPositive(_))), "{text}");
        }
        assert!(matches!("1000000000001".parse::<Price>(), Err(MoneyError::Absurd { .. })));
        for text in ["", "NaN", "inf", "1e5", "12,5", "0x10", "99999999999999999999999999999999"] {
            assert!(matches!(text.parse::<Price>(), Err(MoneyError::NotANumber(_))), "{text}");
        }
    }

    #[test]
    fn more_decimals_than_a_product_can_keep_are_refused() {
        assert!("99.0000000001".parse::<Price>().is_ok());
        assert!("99.00000000010000000".parse::<Price>().is_ok());
        assert!(matches!("99.00000000001".parse::<Price>(), Err(MoneyError::TooPrecise(_))));
    }

    #[test]
    fn rounding_to_steps() {
        let price: Price = "100.237".parse().unwrap();
        assert_eq!(price.floor_to(d("0.01")).unwrap().value(), d("100.23"));
        assert_eq!(price.ceil_to(d("0.01")).unwrap().value(), d("100.24"));
        assert_eq!(price.ceil_to(d("0")).unwrap(), price);
        assert_eq!("0.004".parse::<Price>().unwrap().floor_to(d("0.01")), None);
        let quantity: Quantity = "-1.2399".parse().unwrap();
        assert_eq!(quantity.floor_to(d("0.01")).value(), d("-1.23"));
    }

    proptest! {
        #[test]
        fn a_floored_quantity_is_on_its_step_and_never_more(raw in -1_000_000_000i64..1_000_000_000, step in 1i64..100_000) {
            let (raw, step) = (Decimal::new(raw, 6), Decimal::new(step, 5));
            let floored = Quantity::new(raw).unwrap().floor_to(step).value();
            prop_assert!((floored % step).is_zero());
            prop_assert!(floored.abs() <= raw.abs());
            prop_assert!(raw.abs() - floored.abs() < step);
        }

        #[test]
        fn portions_of_a_cost_never_lose_the_rest(cost in 0i64..i64::MAX, part in 1i64..1000, whole in 1000i64..2000) {
            let cost = Notional::new(Decimal::new(cost, 8)).unwrap();
            let portion = cost.portion(Quantity::new(part.into()).unwrap(), Quantity::new(whole.into()).unwrap());
            prop_assert_eq!(portion + (cost - portion), cost);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Price>();
            let _ = text.parse::<Quantity>();
        }
    }
}
