//! The exchange's table of errors, written down a second time: code by code, what it is and what the bot does.

use super::*;
use crate::RequestErrorKind as Kind;

/// Codes, kind, action.
const EXPECTED: &[(&[i32], Kind, Action)] = &[
    (&[-1000, -1001, -1006, -1007], Unknown, Action::LookUp),
    (&[-1002, -1022, -2014, -2015], Fatal, Action::StopTrading),
    (&[-1003], RateLimited, Action::StopUntil),
    (&[-1008], Unknown, Action::SlowDown),
    (&[-1013, -1111, -1122, -1220], Refused, Action::RefreshInstrument),
    (&[-1014, -1020, -1145, -1151, -1194, -2039], Refused, Action::Report),
    (&[-1015], RateLimited, Action::NoNewOrders),
    (&[-1016, -2042], NotDone, Action::Reconnect),
    (&[-1021], NotDone, Action::RepeatAfterClockSync),
    (&[-1034], RateLimited, Action::SlowDown),
    (&[-1100, -1101, -1102, -1103, -1104, -1105, -1106, -1107, -1108, -1128, -1130], Refused, Action::Report),
    (&[-1112], Refused, Action::WaitForLiquidity),
    (&[-1114, -1115, -1116, -1117, -1118, -1119, -1120], Refused, Action::Report),
    (&[-1121], Refused, Action::QuarantineSymbol),
    (&[-1125], Fatal, Action::Report),
    (&[-1127], Refused, Action::SplitQuery),
    (&[-1131], Refused, Action::FixConfiguration),
    (&[-1158, -1159, -1160, -1161, -1162, -1163, -1164, -1165, -1166, -1167, -1168], Refused, Action::Recompute),
    (&[-1196, -1197, -1198, -1199], Refused, Action::Recompute),
    (&[-2010], Refused, Action::Report),
    (&[-2011], Refused, Action::LookUp),
    (&[-2013], Refused, Action::AskAgain),
    (&[-2016, -2035, -2036], Refused, Action::Proceed),
    (&[-2021], Unknown, Action::CheckProtection),
    (&[-2022], Refused, Action::CheckProtection),
    (&[-2026], Refused, Action::CountAsClosed),
    (&[-2038], Refused, Action::CancelAndReplace),
    (&[-2043], Refused, Action::UseAveragePrice),
];

#[test]
fn every_code_of_the_exchanges_table_is_classed_and_has_its_action() {
    let mut expected = Vec::new();
    for (codes, kind, action) in EXPECTED {
        for code in *codes {
            let found = meaning_of(*code, "words").unwrap_or_else(|| panic!("{code} is missing"));
            assert_eq!((found.kind, found.action), (*kind, *action), "{code}");
            assert!(!found.advice.is_empty(), "{code}");
            expected.push(*code);
        }
    }
    let mut codes: Vec<i32> = CODES.iter().flat_map(|row| row.codes).copied().collect();
    codes.sort_unstable();
    expected.sort_unstable();
    assert_eq!(codes, expected, "each code once, and none that is not expected");
}

#[test]
fn a_refused_order_is_classed_by_its_words() {
    use ReasonCode as Why;
    let cases = [
        (
            -2010,
            "Account has insufficient balance for requested action.",
            Refused,
            Why::InsufficientBalance,
            Action::RefreshBalances,
        ),
        (-2010, "Duplicate order sent.", Unknown, Why::DuplicateOrder, Action::LookUp),
        (-2010, "Market is closed.", Refused, Why::SymbolNotTrading, Action::RefreshInstrument),
        (-1013, "Market is closed.", Refused, Why::SymbolNotTrading, Action::RefreshInstrument),
        (-2010, "Order would trigger immediately.", Refused, Why::WouldTriggerAtOnce, Action::Recompute),
        (-2010, "Stop price would trigger immediately.", Refused, Why::WouldTriggerAtOnce, Action::Recompute),
        (-2010, "Order would immediately match and take.", Refused, Why::WouldMatchAtOnce, Action::Recompute),
        (
            -2010,
            "The relationship of the prices for the orders is not correct.",
            Refused,
            Why::PriceRelationship,
            Action::Recompute,
        ),
        (
            -2010,
            "This symbol is not permitted for this account.",
            Refused,
            Why::AccountNotPermitted,
            Action::QuarantineSymbol,
        ),
        (
            -2010,
            "This symbol is restricted for this account.",
            Refused,
            Why::AccountNotPermitted,
            Action::QuarantineSymbol,
        ),
        (-2010, "This account may not place or cancel orders.", Fatal, Why::AccountNotPermitted, Action::StopTrading),
        (-2010, "Words of the future.", Refused, Why::ExchangeRejected, Action::Report),
        (-1013, "Filter failure: PRICE_FILTER", Refused, Why::FilterPrice, Action::RefreshInstrument),
        (-1013, "Filter failure: PERCENT_PRICE", Refused, Why::FilterPercentPrice, Action::Recompute),
        (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE", Refused, Why::FilterPercentPrice, Action::Recompute),
        (-1013, "Filter failure: LOT_SIZE", Refused, Why::FilterLotSize, Action::RefreshInstrument),
        (-1013, "Filter failure: MARKET_LOT_SIZE", Refused, Why::FilterLotSize, Action::RefreshInstrument),
        (-1013, "Filter failure: MIN_NOTIONAL", Refused, Why::FilterNotional, Action::RefreshInstrument),
        (-1013, "Filter failure: NOTIONAL", Refused, Why::FilterNotional, Action::RefreshInstrument),
        (-2010, "Filter failure: MAX_POSITION", Refused, Why::FilterMaxPosition, Action::RefreshInstrument),
        (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS", Refused, Why::FilterMaxOrders, Action::RefreshInstrument),
        (-1013, "Filter failure: EXCHANGE_MAX_NUM_ORDERS", Refused, Why::FilterMaxOrders, Action::RefreshInstrument),
        (-1013, "Filter failure: OF_THE_FUTURE", Refused, Why::FilterFailure, Action::RefreshInstrument),
    ];
    for (code, words, kind, reason, action) in cases {
        let found = meaning_of(code, words).unwrap();
        assert_eq!((found.kind, found.reason, found.action), (kind, Some(reason), action), "{code} {words}");
    }
    // The same words with another code say nothing.
    assert_eq!(meaning_of(-1121, "Duplicate order sent.").unwrap().kind, Refused);
    assert_eq!(meaning_of(-9999, "Duplicate order sent."), None);
}
