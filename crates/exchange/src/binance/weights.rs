//! The request weights of the exchange's addresses, as it documents them.
//!
//! It must never say less than the exchange charges: an address that is not in the table costs as much as a dear one.

/// An address that is not in the table costs this.
const UNKNOWN: u32 = 50;

/// What one request costs. `query` is the query string; the parameters of a body do not matter here.
#[must_use]
pub fn weight(method: &str, path: &str, query: &str) -> u32 {
    let has = |name: &str| query.split('&').any(|pair| pair.split_once('=').is_some_and(|(key, _)| key == name));
    let Some(path) = path.strip_prefix("/api/v3/") else { return wallet(path) };
    match (method, path) {
        (_, "ping" | "time") => 1,
        (_, "exchangeInfo") => 20,
        (_, "depth") => depth(query),
        (_, "klines" | "avgPrice") => 2,
        (_, "aggTrades") => 4,
        (_, "trades" | "historicalTrades") => 25,
        (_, "ticker/price" | "ticker/bookTicker") => {
            if has("symbol") {
                2
            } else {
                4
            }
        }
        ("POST", "order/test") => {
            if query.contains("computeCommissionRates=true") {
                20
            } else {
                1
            }
        }
        ("GET", "order" | "orderList") | (_, "order/amend/keepPriority") => 4,
        (_, "order" | "orderList" | "orderList/oco" | "order/cancelReplace") => 1,
        ("GET", "openOrders") => {
            if has("symbol") {
                6
            } else {
                80
            }
        }
        (_, "openOrders") => 1,
        (_, "openOrderList") => 6,
        (_, "allOrders" | "allOrderList" | "account" | "account/commission") => 20,
        (_, "myTrades") => {
            if has("orderId") {
                5
            } else {
                20
            }
        }
        (_, "rateLimit/order" | "myFilters") => 40,
        _ => UNKNOWN,
    }
}

/// The wallet's interface has limits of its own; it is counted here too, which is only careful.
fn wallet(path: &str) -> u32 {
    match path {
        "/sapi/v1/account/apiRestrictions" | "/sapi/v1/system/status" | "/sapi/v1/account/apiTradingStatus" => 1,
        "/sapi/v1/spot/delist-schedule" => 100,
        _ => UNKNOWN,
    }
}

fn depth(query: &str) -> u32 {
    let limit = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("limit="))
        .map_or(Some(100), |text| text.parse::<u32>().ok());
    match limit {
        Some(0..=100) => 5,
        Some(101..=500) => 25,
        Some(501..=1000) => 50,
        Some(1001..) | None => 250,
    }
}

/// Connecting to the WebSocket API, and each request of a session on it.
pub const SESSION: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_as_documented() {
        let cases = [
            ("GET", "ping", "", 1),
            ("GET", "exchangeInfo", "symbols=%5B%5D", 20),
            ("GET", "depth", "symbol=A", 5),
            ("GET", "depth", "symbol=A&limit=500", 25),
            ("GET", "depth", "symbol=A&limit=1000", 50),
            ("GET", "depth", "limit=5000&symbol=A", 250),
            ("GET", "klines", "symbol=A", 2),
            ("GET", "ticker/bookTicker", "", 4),
            ("POST", "order", "", 1),
            ("GET", "order", "symbol=A", 4),
            ("DELETE", "order", "symbol=A", 1),
            ("POST", "order/test", "computeCommissionRates=true", 20),
            ("POST", "orderList/oco", "", 1),
            ("GET", "orderList", "", 4),
            ("GET", "openOrders", "recvWindow=5000", 80),
            ("GET", "openOrders", "symbol=A", 6),
            ("DELETE", "openOrders", "symbol=A", 1),
            ("GET", "allOrders", "symbol=A", 20),
            ("GET", "myTrades", "symbol=A", 20),
            ("GET", "myTrades", "symbol=A&orderId=1", 5),
            ("GET", "account", "", 20),
            ("GET", "myFilters", "symbol=A", 40),
            ("GET", "ofTheFuture", "", UNKNOWN),
        ];
        for (method, path, query, expected) in cases {
            assert_eq!(weight(method, &format!("/api/v3/{path}"), query), expected, "{method} {path}?{query}");
        }
        assert_eq!(weight("GET", "/sapi/v1/spot/delist-schedule", ""), 100);
    }
}
