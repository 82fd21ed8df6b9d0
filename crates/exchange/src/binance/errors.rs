//! What the exchange's answers mean: one table of its codes, and the HTTP status for what has none.
//!
//! It must never turn a doubtful answer into a refusal: what may have been done is `Unknown`.

use RequestErrorKind::{Fatal, NotDone, RateLimited, Refused, Unknown};

use crate::{RequestError, RequestErrorKind};

/// The longest part of the exchange's own words that an error carries, in characters.
const WORDS_MAX: usize = 200;

/// One code of the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeMeaning {
    /// The code.
    pub code: i32,
    /// What it means for the request.
    pub kind: RequestErrorKind,
    /// What to do, for people.
    pub advice: &'static str,
}

const fn row(code: i32, kind: RequestErrorKind, advice: &'static str) -> CodeMeaning {
    CodeMeaning { code, kind, advice }
}

/// The codes that matter. Any other code with a status below 500 is a refusal.
pub const CODES: &[CodeMeaning] = &[
    row(-1000, Unknown, "the exchange does not know itself: look the order up"),
    row(-1001, Unknown, "the exchange lost a connection inside: look the order up"),
    row(-1002, Fatal, "the key is not authorised: check its permissions"),
    row(-1003, RateLimited, "too much request weight was used: wait"),
    row(-1006, Unknown, "unexpected answer inside the exchange: look the order up"),
    row(-1007, Unknown, "the engine did not answer the exchange in time: look the order up"),
    row(-1008, Unknown, "the exchange is overloaded: look the order up, then slow down"),
    row(-1013, Refused, "a filter was not passed or the market is closed: refresh the instrument"),
    row(-1014, Refused, "the combination of parameters is not supported"),
    row(-1015, RateLimited, "too many orders: wait for the window to end; cancels are allowed"),
    row(-1016, NotDone, "the service is shutting down: connect again later"),
    row(-1020, Refused, "the operation is not supported"),
    row(-1021, NotDone, "the timestamp was outside of the receive window: synchronise the clock"),
    row(-1022, Fatal, "the signature is not valid: check key, secret and encoding"),
    row(-1034, RateLimited, "too many connections: wait"),
    row(-1111, Refused, "too many decimals: refresh the instrument"),
    row(-1112, Refused, "there is no order on the book"),
    row(-1121, Refused, "the exchange does not have this symbol"),
    row(-1122, Refused, "the symbol's status does not allow it"),
    row(-1125, Fatal, "listen keys no longer exist: the address or the version is wrong"),
    row(-1127, Refused, "the time range is too long"),
    row(-1131, Refused, "the receive window is too large"),
    row(-1220, Refused, "the symbol's status does not allow it"),
    row(-2010, Refused, "the engine refused the order"),
    row(-2011, Refused, "the cancel was refused: look the order up"),
    row(-2013, Refused, "the order is not known, or not yet"),
    row(-2014, Fatal, "the format of the API key is wrong"),
    row(-2015, Fatal, "the key, its address list or its permissions are wrong"),
    row(-2026, Refused, "the order is archived: ended more than 90 days ago without a fill"),
    row(-2035, Refused, "already subscribed"),
    row(-2036, Refused, "not subscribed"),
    row(-2038, Refused, "the amendment was refused"),
    row(-2039, Refused, "the two ids name different orders"),
    row(-2042, NotDone, "the connection's subscriptions are used up: connect again"),
];

/// What an answer that is no success means.
#[must_use]
pub fn classify(status: u16, code: Option<i32>, words: &str) -> RequestErrorKind {
    if status >= 500 {
        return Unknown;
    }
    if status == 418 || status == 429 {
        return RateLimited;
    }
    // An order is sent once. If the id is taken all the same, something of ours has arrived under it.
    if code == Some(-2010) && words.starts_with("Duplicate order") {
        return Unknown;
    }
    if let Some(meaning) = code.and_then(meaning) {
        return meaning.kind;
    }
    match status {
        401 | 404 | 410 | 300..=399 => Fatal,
        403 => RateLimited,
        408 | 409 => Unknown,
        400..=499 if code.is_some() => Refused,
        _ => RequestErrorKind::BadAnswer,
    }
}

fn meaning(code: i32) -> Option<&'static CodeMeaning> {
    CODES.iter().find(|row| row.code == code)
}

/// The error for an answer that is no success. `words` are the exchange's own, where the answer was in its format.
#[must_use]
pub fn refusal(request: &str, status: u16, code: Option<i32>, words: Option<&str>) -> RequestError {
    let kind = classify(status, code, words.unwrap_or_default());
    let said = words.map_or_else(|| "the answer is not in the exchange's format".into(), shortened);
    let advice = match (code.and_then(meaning), status) {
        (Some(meaning), _) => meaning.advice,
        (None, 403) => "the exchange's firewall refused it: stop for some minutes",
        (None, 404 | 410 | 300..=399) => "the address or the version of the interface is wrong",
        (None, 418 | 429) => "wait as long as the exchange asks",
        (None, 500..) => "what was asked may have been done: look it up",
        (None, _) => "see the exchange's documentation of the code",
    };
    let detail = match code {
        Some(code) => format!("{said} (HTTP {status}, code {code}): {advice}"),
        None => format!("{said} (HTTP {status}): {advice}"),
    };
    RequestError { request: request.to_owned(), kind, code, detail, retry_after_s: None }
}

/// The error for a request that came to no answer.
#[must_use]
pub fn failure(request: &str, kind: RequestErrorKind, detail: impl Into<String>) -> RequestError {
    RequestError { request: request.to_owned(), kind, code: None, detail: detail.into(), retry_after_s: None }
}

/// The beginning of a text from outside, on one line.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(WORDS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_means_what_it_says() {
        for row in CODES {
            assert_eq!(classify(400, Some(row.code), "words"), row.kind, "{}", row.code);
            // Nothing of an answer with a 5xx can be relied on.
            assert_eq!(classify(503, Some(row.code), "words"), Unknown, "{}", row.code);
            assert!(!row.advice.is_empty());
        }
        let mut codes: Vec<i32> = CODES.iter().map(|row| row.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CODES.len());
    }

    #[test]
    fn what_the_table_does_not_have_goes_by_status() {
        let cases = [
            (400, Some(-1102), "Mandatory parameter", Refused),
            (400, Some(-9999), "new", Refused),
            (400, None, "", RequestErrorKind::BadAnswer),
            (401, None, "", Fatal),
            (403, None, "", RateLimited),
            (404, None, "", Fatal),
            (307, None, "", Fatal),
            (408, None, "", Unknown),
            (409, Some(-2021), "half", Unknown),
            (410, None, "", Fatal),
            (418, Some(-1003), "banned", RateLimited),
            (429, Some(-1015), "orders", RateLimited),
            (429, None, "", RateLimited),
            (500, None, "", Unknown),
            (502, None, "", Unknown),
            (200, None, "", RequestErrorKind::BadAnswer),
        ];
        for (status, code, words, expected) in cases {
            assert_eq!(classify(status, code, words), expected, "{status} {code:?} {words}");
        }
    }

    #[test]
    fn a_duplicate_order_is_unknown_because_something_arrived() {
        assert_eq!(classify(400, Some(-2010), "Duplicate order sent."), Unknown);
        assert_eq!(classify(400, Some(-2010), "Account has insufficient balance for requested action."), Refused);
    }

    #[test]
    fn errors_name_what_was_said_and_what_to_do() {
        let error = refusal("POST /api/v3/order", 400, Some(-1121), Some("Invalid symbol."));
        assert_eq!(
            error.to_string(),
            "POST /api/v3/order: Invalid symbol. (HTTP 400, code -1121): the exchange does not have this symbol"
        );
        let html = refusal("GET /api/v3/time", 403, None, None);
        assert_eq!((html.kind, html.code), (RateLimited, None));
    }
}
