//! Times in microseconds, for those who ask for them.
//!
//! It must never touch a number that is no time: a time is a whole number of milliseconds between 2000 and 2100 that stands
//! in a list (as candles have it) or under a name that is no identifier.

use serde_json::Value;

const TIMES: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;
/// Names of numbers that count something and may become as large as a time.
const IDENTIFIERS: &[&str] = &[
    "id",
    "orderId",
    "orderListId",
    "lastUpdateId",
    "tradeId",
    "firstId",
    "lastId",
    "a",
    "f",
    "l",
    "i",
    "I",
    "g",
    "U",
    "v",
    "F",
    "L",
    "j",
    "J",
    "strategyId",
];

/// Makes all times of a body a thousand times as large.
pub(super) fn in_micros(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(in_micros),
        Value::Object(fields) => {
            let times = fields.iter_mut().filter(|(name, _)| !IDENTIFIERS.contains(&name.as_str()));
            times.for_each(|(_, field)| in_micros(field));
        }
        Value::Number(number) => {
            if let Some(time) = number.as_i64().filter(|time| TIMES.contains(time)) {
                *value = Value::from(time * 1000);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_and_nothing_else_grow() {
        let at = 1_700_000_000_123i64;
        let mut value = json!({"E": at, "a": at, "t": 5, "k": {"t": at, "o": "1"}, "rows": [[at, "2", 7]]});
        in_micros(&mut value);
        let micros = at * 1000;
        let expected = json!({"E": micros, "a": at, "t": 5, "k": {"t": micros, "o": "1"}, "rows": [[micros, "2", 7]]});
        assert_eq!(value, expected);
    }
}
