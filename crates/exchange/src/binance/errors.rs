//! What the exchange's answers mean: one table of its codes, and the HTTP status for what has none.
//!
//! It must never turn a doubtful answer into a refusal: what may have been done is `Unknown`.

use domain::{ReasonCode, Timestamp};

use super::codes::{Meaning, meaning_of};
use crate::RequestErrorKind::{self, BadAnswer, Fatal, NotDone, RateLimited, Refused, Unknown};
use crate::{Action, RequestError};

/// The longest part of the exchange's own words that an error carries, in characters.
const WORDS_MAX: usize = 200;

/// What an answer that is no success means. `words` are the exchange's own, empty where there are none.
#[must_use]
pub fn classify(status: u16, code: Option<i32>, words: &str) -> Meaning {
    let of_code = code.and_then(|code| meaning_of(code, words));
    let of_status = by_status(status, code);
    match of_code {
        // Nothing of an answer with a 5xx can be relied on: what was asked may have been done.
        Some(meaning) if status >= 500 && meaning.kind == Unknown => meaning,
        _ if status >= 500 || status == 418 => of_status,
        Some(meaning) if status == 429 && meaning.kind != RateLimited => of_status,
        Some(meaning) => meaning,
        None => of_status,
    }
}

/// What the status says where the code does not.
fn by_status(status: u16, code: Option<i32>) -> Meaning {
    let (kind, reason, action, advice) = match status {
        500.. => {
            (Unknown, Some(ReasonCode::OutcomeUnknown), Action::LookUp, "what was asked may have been done: look it up")
        }
        418 => {
            (RateLimited, Some(ReasonCode::IpBanned), Action::StopUntil, "the address is banned: wait as long as asked")
        }
        429 => (RateLimited, Some(ReasonCode::RateLimited), Action::StopUntil, "wait as long as the exchange asks"),
        403 => (
            RateLimited,
            Some(ReasonCode::RateLimited),
            Action::StopUntil,
            "the exchange's firewall refused it: stop for some minutes",
        ),
        401 => (Fatal, Some(ReasonCode::KeyInvalid), Action::StopTrading, "the key is not taken"),
        404 | 410 | 300..=399 => (
            Fatal,
            Some(ReasonCode::RequestInvalid),
            Action::FixConfiguration,
            "the address or the version of the interface is wrong",
        ),
        408 | 409 => {
            (Unknown, Some(ReasonCode::OutcomeUnknown), Action::LookUp, "part of it may have been done: look it up")
        }
        400..=499 if code.is_some() => (Refused, None, Action::Report, "see the exchange's documentation of the code"),
        _ => (BadAnswer, None, Action::Report, "the answer makes no sense"),
    };
    Meaning { kind, reason, action, advice }
}

/// The error for an answer that is no success. `words` are the exchange's own, where the answer was in its format.
#[must_use]
pub fn refusal(request: &str, status: u16, code: Option<i32>, words: Option<&str>) -> RequestError {
    let meaning = classify(status, code, words.unwrap_or_default());
    let said = words.map_or_else(|| "the answer is not in the exchange's format".into(), shortened);
    let advice = meaning.advice;
    let detail = match code {
        Some(code) => format!("{said} (HTTP {status}, code {code}): {advice}"),
        None => format!("{said} (HTTP {status}): {advice}"),
    };
    RequestError {
        request: request.to_owned(),
        kind: meaning.kind,
        code,
        reason: meaning.reason,
        action: meaning.action,
        detail,
        retry_after_s: None,
    }
}

/// The error for a request that came to no answer.
#[must_use]
pub fn failure(request: &str, kind: RequestErrorKind, detail: impl Into<String>) -> RequestError {
    let (reason, action) = match kind {
        NotDone => (Some(ReasonCode::ExchangeUnreachable), Action::Reconnect),
        Unknown => (Some(ReasonCode::OutcomeUnknown), Action::LookUp),
        RateLimited => (Some(ReasonCode::RateLimited), Action::StopUntil),
        Fatal => (Some(ReasonCode::RequestInvalid), Action::FixConfiguration),
        Refused | BadAnswer => (None, Action::Report),
    };
    RequestError {
        request: request.to_owned(),
        kind,
        code: None,
        reason,
        action,
        detail: detail.into(),
        retry_after_s: None,
    }
}

/// Until when the address is banned, where the exchange's words say so ("IP banned until <epoch ms>").
pub(crate) fn banned_until(words: &str) -> Option<Timestamp> {
    let (_, after) = words.split_once("banned until ")?;
    let digits: &str = after.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse::<i64>().ok().map(Timestamp::from_millis_or_micros)
}

/// The beginning of a text from outside, on one line.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(WORDS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::codes::CODES;

    #[test]
    fn a_5xx_is_unknown_whatever_it_says() {
        for code in CODES.iter().flat_map(|row| row.codes) {
            assert_eq!(classify(503, Some(*code), "words").kind, Unknown, "{code}");
        }
    }

    #[test]
    fn what_the_table_does_not_have_goes_by_status() {
        let cases = [
            (400, Some(-9999), Refused, Action::Report),
            (400, None, BadAnswer, Action::Report),
            (401, None, Fatal, Action::StopTrading),
            (403, None, RateLimited, Action::StopUntil),
            (404, None, Fatal, Action::FixConfiguration),
            (307, None, Fatal, Action::FixConfiguration),
            (408, None, Unknown, Action::LookUp),
            (409, Some(-2021), Unknown, Action::CheckProtection),
            (410, None, Fatal, Action::FixConfiguration),
            (418, Some(-1003), RateLimited, Action::StopUntil),
            (429, Some(-1015), RateLimited, Action::NoNewOrders),
            (429, Some(-1121), RateLimited, Action::StopUntil),
            (429, None, RateLimited, Action::StopUntil),
            (500, None, Unknown, Action::LookUp),
            (502, None, Unknown, Action::LookUp),
            (503, Some(-1008), Unknown, Action::SlowDown),
            (200, None, BadAnswer, Action::Report),
        ];
        for (status, code, kind, action) in cases {
            let found = classify(status, code, "words");
            assert_eq!((found.kind, found.action), (kind, action), "{status} {code:?}");
        }
    }

    #[test]
    fn errors_name_what_was_said_and_what_to_do() {
        let error = refusal("POST /api/v3/order", 400, Some(-1121), Some("Invalid symbol."));
        assert_eq!(
            error.to_string(),
            "POST /api/v3/order: Invalid symbol. (HTTP 400, code -1121): the exchange does not have this symbol"
        );
        assert_eq!((error.reason, error.action), (Some(ReasonCode::SymbolGone), Action::QuarantineSymbol));
        let html = refusal("GET /api/v3/time", 403, None, None);
        assert_eq!((html.kind, html.code, html.action), (RateLimited, None, Action::StopUntil));
    }

    #[test]
    fn the_end_of_a_ban_is_read_from_the_words() {
        let cases = [
            ("Way too much request weight used; IP banned until 1659146400000. Please use", Some(1_659_146_400_000)),
            ("IP banned until soon", None),
            ("IP banned until 99999999999999999999999", None),
            ("no ban", None),
        ];
        for (words, expected) in cases {
            assert_eq!(banned_until(words).map(Timestamp::as_millis), expected, "{words}");
        }
    }
}
