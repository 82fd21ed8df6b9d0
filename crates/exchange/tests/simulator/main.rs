//! The Binance Spot adapter against the simulator, through real sockets, and its transport against servers that break.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod desk;
mod transport;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use desk::{Desk, Exchange as Server, btcusdt, ed25519, hmac, monotonic, run, serve, until};
use domain::{
    Asset, ClientOrderId, ExchangeOrderStatus, ExecutionEvent, Interval, MarketEvent, Millis, Permission, Ratio,
    ReasonCode, Side, Symbol, SymbolStatus, Timestamp,
};
use exchange::binance::{
    BinanceAccount, Credentials, Link, MarketStream, OrdersFrom, RestClient, RestConfig, Secret, StreamConfig,
    StreamEvent, UserStream, UserStreamConfig, UserStreamEvent,
};
use exchange::connectivity::Health;
use exchange::retry::RetryPolicy;
use exchange::{CancelOutcome, Exchange, RequestErrorKind, SubmitOutcome};
use risk::ApprovedOrder;
use serde_json::json;

type Log<T> = Rc<RefCell<Vec<T>>>;

fn log<T: 'static>() -> (Log<T>, Box<dyn Fn(T)>) {
    let log = Log::default();
    let sink = Rc::clone(&log);
    (log, Box::new(move |event| sink.borrow_mut().push(event)))
}

fn quick() -> RetryPolicy {
    RetryPolicy { initial: Duration::from_millis(10), longest: Duration::from_millis(50), repeats_max: None }
}

fn streams(server: &Server) -> StreamConfig {
    let symbols = vec![btcusdt(), Symbol::new("ETHUSDT").unwrap()];
    let intervals = vec![Interval::M1, Interval::M5];
    let config = StreamConfig::new(&server.endpoints.stream, symbols, intervals, server.link());
    StreamConfig { retry: quick(), ..config }
}

fn connected(events: &[StreamEvent]) -> usize {
    events.iter().filter(|event| matches!(event, StreamEvent::Connected { .. })).count()
}

#[test]
fn market_streams_tell_every_frame_of_a_step() {
    run(async {
        let server = Server::start().await;
        let (events, sink) = log();
        let handle = MarketStream::spawn(StreamConfig { streams_per_connection: 3, ..streams(&server) }, sink);
        until(|| (connected(&events.borrow()) == 3).then_some(())).await;
        let minutes = Millis::from_secs(11 * 60);
        let step = server.step(json!({"until": (server.now() + minutes).as_millis()})).await;
        let sent = step["frames"].as_object().unwrap();
        let sent = sent.iter().map(|(id, count)| (id.parse().unwrap(), count.as_u64().unwrap())).collect();
        until(|| (handle.frames_by_server_number() == sent).then_some(())).await;
        assert_eq!(handle.frames_received(), sent.values().sum::<u64>());

        let events = events.borrow();
        let told: Vec<&MarketEvent> = events
            .iter()
            .filter_map(|event| match event {
                StreamEvent::Event(event, _) => Some(event),
                StreamEvent::Connected { .. } => None,
                other => panic!("{other:?}"),
            })
            .collect();
        let candles = |symbol: &str, interval| {
            let is = |event: &&&MarketEvent| matches!(event, MarketEvent::Candle(c) if c.symbol.as_str() == symbol && c.interval == interval);
            told.iter().filter(is).count()
        };
        for symbol in ["BTCUSDT", "ETHUSDT"] {
            assert!((10..=12).contains(&candles(symbol, Interval::M1)), "{symbol}");
            assert!((2..=3).contains(&candles(symbol, Interval::M5)), "{symbol}");
        }
        assert!(told.iter().any(|event| matches!(event, MarketEvent::Trade(_))));
        assert!(told.iter().any(|event| matches!(event, MarketEvent::Quote(_))));
        let last = events.iter().rev().find_map(|event| match event {
            StreamEvent::Event(_, count) => Some(*count),
            _ => None,
        });
        assert!(last.is_some_and(|count| count <= handle.frames_received()));
    });
}

#[test]
fn a_silent_connection_is_dropped_and_made_again() {
    run(async {
        let server = Server::start().await;
        let (events, sink) = log();
        let config = StreamConfig { silence: Duration::from_millis(100), ..streams(&server) };
        let _handle = MarketStream::spawn(config, sink);
        until(|| (connected(&events.borrow()) >= 2).then_some(())).await;
        let lost = StreamEvent::Lost { connection: 0, reason: "silent for 100 ms".into() };
        assert_eq!(events.borrow()[1], lost);
    });
}

#[test]
fn a_connection_whose_candles_stop_is_dropped() {
    run(async {
        let server = Server::start().await;
        let (events, sink) = log();
        let config = StreamConfig { candle_silence: Duration::from_millis(100), ..streams(&server) };
        let _handle = MarketStream::spawn(config, sink);
        until(|| (connected(&events.borrow()) >= 2).then_some(())).await;
        let reason = "no candle for 100 ms, while other frames come".into();
        assert_eq!(events.borrow()[1], StreamEvent::Lost { connection: 0, reason });
    });
}

#[test]
fn a_market_stream_is_replaced_without_a_gap() {
    run(async {
        let server = Server::start().await;
        let (events, sink) = log();
        let (lifetime, overlap) = (Duration::from_millis(60), Duration::from_millis(30));
        let handle = MarketStream::spawn(StreamConfig { lifetime, overlap, ..streams(&server) }, sink);
        let numbers = || handle.frames_by_server_number().into_keys().collect::<Vec<_>>();
        let first = until(|| numbers().first().copied()).await;
        // Frames on every connection, while they are being replaced.
        for _ in 0..12 {
            server.step(json!({"events": 5})).await;
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        }
        until(|| numbers().first().copied().filter(|number| *number >= first + 2)).await;
        let events = events.borrow();
        assert_eq!(connected(&events), 1);
        assert!(!events.iter().any(|event| matches!(event, StreamEvent::Lost { .. })), "{events:?}");
        // Quotes never go back, whichever connection brought them; trades come at least once.
        let trades: std::collections::BTreeSet<(String, u64)> = events
            .iter()
            .filter_map(|event| match event {
                StreamEvent::Event(MarketEvent::Trade(trade), _) => Some((trade.symbol.to_string(), trade.id)),
                _ => None,
            })
            .collect();
        for symbol in ["BTCUSDT", "ETHUSDT"] {
            let ids: Vec<u64> = trades.iter().filter(|(of, _)| of == symbol).map(|(_, id)| *id).collect();
            assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{symbol}: a trade is missing in {ids:?}");
        }
    });
}

#[test]
fn the_accounts_stream_is_replaced_without_a_gap() {
    run(async {
        let server = Server::start().await;
        for credentials in [hmac(), ed25519()] {
            let (executions, on_execution) = log();
            let (events, on_event) = log();
            let config = UserStreamConfig::new(&server.endpoints.ws_api, credentials.clone(), server.link());
            let (lifetime, overlap) = (Duration::from_millis(60), Duration::from_millis(30));
            let _handle = UserStream::spawn(
                UserStreamConfig { lifetime, overlap, retry: quick(), ..config },
                on_execution,
                on_event,
            );
            until(|| (!events.borrow().is_empty()).then_some(())).await;
            let account = server.account(credentials);
            let mut desk = Desk::new();
            for _ in 0..6 {
                let order = desk.buy(None, server.price().await, server.now());
                let id = order.spec().client_order_id.clone();
                assert!(matches!(account.submit(order, &desk.latch).await, SubmitOutcome::Accepted(..)));
                let is_fill =
                    |event: &ExecutionEvent| matches!(event, ExecutionEvent::Fill(fill) if fill.client_order_id == id);
                until(|| executions.borrow().iter().any(is_fill).then_some(())).await;
                actix_rt::time::sleep(Duration::from_millis(40)).await;
            }
            let events = events.borrow();
            let balances = events.iter().filter(|event| matches!(event, UserStreamEvent::Balances(..))).count();
            assert!(balances >= 6, "{events:?}");
            let others: Vec<_> =
                events.iter().filter(|event| !matches!(event, UserStreamEvent::Balances(..))).collect();
            assert_eq!(others, [&UserStreamEvent::Subscribed]);
        }
    });
}

#[test]
fn a_stream_outlives_the_server() {
    run(async {
        let server = Server::start().await;
        let address = server.server.address();
        let (events, sink) = log();
        let config = streams(&server);
        let link = config.link.clone();
        let handle = MarketStream::spawn(config, sink);
        until(|| (connected(&events.borrow()) == 1).then_some(())).await;
        server.server.stop();
        until(|| events.borrow().iter().any(|event| matches!(event, StreamEvent::Lost { .. })).then_some(())).await;
        assert!(handle.frames_by_server_number().is_empty());
        assert_eq!(link.connectivity.reachability().reason, Some(ReasonCode::FeedLost));
        let again = serve(address);
        until(|| (connected(&events.borrow()) == 2).then_some(())).await;
        assert_eq!(link.connectivity.reachability().health, Health::Up);
        // A stream that is not wanted any more is not missed.
        again.stop();
        until(|| (link.connectivity.reachability().health == Health::Degraded).then_some(())).await;
        drop(handle);
        assert_eq!(link.connectivity.reachability().health, Health::Up);
    });
}

#[test]
fn instruments_and_time() {
    run(async {
        let server = Server::start().await;
        let market = server.market();
        market.ping().await.unwrap();
        assert_eq!(market.server_time().await.unwrap(), server.now());
        let found = market.instruments(&[btcusdt()]).await.unwrap();
        assert_eq!((found.len(), &found[0].symbol, &found[0].status), (1, &btcusdt(), &SymbolStatus::Trading));
        assert!(found[0].step_size > domain::Decimal::ZERO && found[0].tick_size > domain::Decimal::ZERO);
        assert_eq!(found[0].filters.base_precision, 8);
        let book = market.depth(&btcusdt(), 100).await.unwrap();
        assert!(!book.bids.is_empty() && !book.asks.is_empty());
        assert_eq!(exchange::binance::OrderBook::new().snapshot(&book), exchange::binance::Next::Go);
        // A symbol that is gone does not hide the others.
        let found = market.instruments(&[btcusdt(), Symbol::new("GONEUSDT").unwrap()]).await.unwrap();
        assert_eq!(found.len(), 1);
    });
}

#[test]
fn candles_are_finished_contiguous_and_within_the_range() {
    run(async {
        let server = Server::start().await;
        let to = Timestamp::from_millis(desk::START);
        let from = to - Millis::from_secs(30 * 60);
        let market = server.market();
        let candles = market.candles(&btcusdt(), Interval::M1, from, to, 1000).await.unwrap();
        assert_eq!((candles.len(), candles[0].open_time), (30, from));
        assert!(candles.windows(2).all(|pair| pair[0].close_time() == pair[1].open_time));
        let first = market.candles(&btcusdt(), Interval::M1, from, to, 10).await.unwrap();
        assert_eq!(first, candles[..10]);
        // The running minute is not finished.
        let late = market.candles(&btcusdt(), Interval::M1, to, to + Millis::from_secs(3600), 1000).await.unwrap();
        assert!(late.iter().all(|candle| candle.close_time() <= server.now()));
    });
}

async fn limit_buy(server: &Server, desk: &mut Desk) -> ApprovedOrder {
    let price = server.price().await;
    let below = price.moved_by(Ratio::from_percent(-4)).unwrap().floor_to("0.01".parse().unwrap());
    desk.buy(below, price, server.now())
}

async fn order_is_placed_found_and_canceled(credentials: Credentials) {
    let server = Server::start().await;
    let account = server.account(credentials);
    let mut desk = Desk::new();
    let order = limit_buy(&server, &mut desk).await;
    let id = order.spec().client_order_id.clone();

    let outcome = account.submit(order, &desk.latch).await;
    let SubmitOutcome::Accepted(reports, fills) = outcome else { panic!("{outcome:?}") };
    let report = reports[0].clone();
    assert_eq!((&report.client_order_id, report.status, fills.len()), (&id, ExchangeOrderStatus::New, 0));

    let found = account.order(&btcusdt(), &id).await.unwrap().unwrap();
    assert_eq!((found.exchange_order_id, found.status), (report.exchange_order_id, ExchangeOrderStatus::New));
    assert_eq!(account.open_orders().await.unwrap().len(), 1);

    let outcome = account.cancel(&btcusdt(), &id).await;
    let CancelOutcome::Canceled(report) = outcome else { panic!("{outcome:?}") };
    assert_eq!((&report.client_order_id, report.status), (&id, ExchangeOrderStatus::Canceled));
    assert!(matches!(account.cancel(&btcusdt(), &id).await, CancelOutcome::NotOpen));
    let found = account.order(&btcusdt(), &id).await.unwrap().unwrap();
    assert_eq!((found.client_order_id, found.status), (id, ExchangeOrderStatus::Canceled));
    assert!(account.open_orders().await.unwrap().is_empty());
    let unknown = ClientOrderId::new("vg-a-1-zzz").unwrap();
    assert_eq!(account.order(&btcusdt(), &unknown).await.unwrap(), None);
}

#[test]
fn orders_with_hmac() {
    run(order_is_placed_found_and_canceled(hmac()));
}

#[test]
fn orders_with_ed25519() {
    run(order_is_placed_found_and_canceled(ed25519()));
}

#[test]
fn fills_trades_and_balances_agree() {
    run(async {
        let server = Server::start().await;
        let account = server.account(hmac());
        let (asset, before) = (Asset::new("BTC").unwrap(), account.balances().await.unwrap());
        let mut desk = Desk::new();
        let order = desk.buy(None, server.price().await, server.now());
        let id = order.spec().client_order_id.clone();
        let outcome = account.submit(order, &desk.latch).await;
        let SubmitOutcome::Accepted(reports, fills) = outcome else { panic!("{outcome:?}") };
        let report = reports[0].clone();
        assert_eq!((report.status, fills.is_empty()), (ExchangeOrderStatus::Filled, false));
        assert!(fills.iter().all(|fill| fill.client_order_id == id && fill.side == Side::Buy));

        // Another client of the account learns the client id by the order's number.
        for reader in [&account, &server.account(hmac())] {
            assert_eq!(reader.trades_after(&btcusdt(), None).await.unwrap(), fills);
        }
        let last = fills.last().map(|fill| fill.trade_id);
        assert!(account.trades_after(&btcusdt(), last).await.unwrap().is_empty());
        let bought = fills.iter().map(|fill| fill.quantity).sum::<domain::Quantity>();
        let fees: domain::Quantity =
            fills.iter().filter(|fill| fill.commission_asset == asset).map(|fill| fill.commission).sum();
        let after = account.balances().await.unwrap();
        assert_eq!(after[&asset] - before[&asset], bought - fees);
    });
}

fn listen(
    server: &Server,
    credentials: Credentials,
) -> (exchange::binance::UserStreamHandle, Log<ExecutionEvent>, Log<UserStreamEvent>) {
    let (executions, on_execution) = log();
    let (events, on_event) = log();
    let config = UserStreamConfig::new(&server.endpoints.ws_api, credentials, server.link());
    let config = UserStreamConfig { retry: quick(), silence: Duration::from_secs(1), ..config };
    (UserStream::spawn(config, on_execution, on_event), executions, events)
}

async fn user_stream_tells_fills(credentials: Credentials) {
    let server = Server::start().await;
    let (_handle, executions, events) = listen(&server, credentials.clone());
    until(|| (!events.borrow().is_empty()).then_some(())).await;
    assert_eq!(*events.borrow(), [UserStreamEvent::Subscribed]);
    // Longer than the silence: the connection answers pings, so it is kept.
    actix_rt::time::sleep(Duration::from_millis(1500)).await;

    let account = server.account(credentials);
    let mut desk = Desk::new();
    let order = desk.buy(None, server.price().await, server.now());
    let outcome = account.submit(order, &desk.latch).await;
    let SubmitOutcome::Accepted(reports, fills) = outcome else { panic!("{outcome:?}") };
    let report = reports[0].clone();
    let is_end = |event: &ExecutionEvent| matches!(event, ExecutionEvent::Report(r) if r.status == report.status);
    until(|| executions.borrow().iter().any(is_end).then_some(())).await;
    let told: Vec<_> = executions
        .borrow()
        .iter()
        .filter_map(|event| match event {
            ExecutionEvent::Fill(fill) => Some(fill.clone()),
            ExecutionEvent::Report(_) => None,
        })
        .collect();
    assert_eq!(told, fills);

    let order = limit_buy(&server, &mut desk).await;
    let id = order.spec().client_order_id.clone();
    assert!(matches!(account.submit(order, &desk.latch).await, SubmitOutcome::Accepted(..)));
    assert!(matches!(account.cancel(&btcusdt(), &id).await, CancelOutcome::Canceled(_)));
    let is_cancel = |event: &ExecutionEvent| {
        matches!(event, ExecutionEvent::Report(r)
            if r.client_order_id == id && r.status == ExchangeOrderStatus::Canceled)
    };
    until(|| executions.borrow().iter().any(is_cancel).then_some(())).await;
    let events = events.borrow();
    let (balances, others): (Vec<_>, Vec<_>) =
        events.iter().partition(|event| matches!(event, UserStreamEvent::Balances(..)));
    assert_eq!((balances.len(), others), (3, vec![&UserStreamEvent::Subscribed]));
}

#[test]
fn the_accounts_stream_with_hmac() {
    run(user_stream_tells_fills(hmac()));
}

#[test]
fn the_accounts_stream_with_ed25519() {
    run(user_stream_tells_fills(ed25519()));
}

#[test]
fn the_accounts_stream_outlives_the_server_and_tells_the_gap() {
    run(async {
        let server = Server::start().await;
        let address = server.server.address();
        let (_handle, _, events) = listen(&server, hmac());
        until(|| (!events.borrow().is_empty()).then_some(())).await;
        server.server.stop();
        until(|| (events.borrow().len() > 1).then_some(())).await;
        assert!(matches!(events.borrow()[1], UserStreamEvent::Lost { fatal: false, .. }));
        let _again = serve(address);
        // The clock of the new server begins anew, so the subscription is stamped ahead of it until the clock is set.
        until(|| (events.borrow().len() > 2).then_some(())).await;
    });
}

fn wrong() -> Credentials {
    Credentials::new("key-hmac", Secret::hmac("another secret").unwrap()).unwrap()
}

#[test]
fn a_wrong_signature_is_fatal() {
    run(async {
        let server = Server::start().await;
        let account = server.account(wrong());
        let mut desk = Desk::new();
        let outcome = account.submit(limit_buy(&server, &mut desk).await, &desk.latch).await;
        let SubmitOutcome::Refused(error) = outcome else { panic!("{outcome:?}") };
        assert_eq!((error.kind, error.code), (RequestErrorKind::Fatal, Some(-1022)));
        assert!(!error.to_string().contains("another secret") && !error.to_string().contains("signature="));

        let (_handle, _, events) = listen(&server, wrong());
        until(|| (!events.borrow().is_empty()).then_some(())).await;
        assert!(matches!(events.borrow()[0], UserStreamEvent::Lost { fatal: true, .. }));
    });
}

#[test]
fn an_order_that_is_not_released_never_arrives() {
    run(async {
        let server = Server::start().await;
        let account = server.account(hmac());
        let mut desk = Desk::new();
        let order = limit_buy(&server, &mut desk).await;
        let id = order.spec().client_order_id.clone();
        // Everything is made, nothing has left: the latch closes in between.
        let submit = account.submit(order, &desk.latch);
        desk.latch.tighten(Permission::Nothing);
        let outcome = submit.await;
        let SubmitOutcome::NotReleased(stopped) = outcome else { panic!("{outcome:?}") };
        assert_eq!(stopped.reason, ReasonCode::ApprovalStale);
        assert_eq!(account.order(&btcusdt(), &id).await.unwrap(), None);
        assert!(account.open_orders().await.unwrap().is_empty());
    });
}

#[test]
fn a_clock_that_is_wrong_is_measured_and_everything_is_repeated_once() {
    run(async {
        let server = Server::start().await;
        let behind = server.now() - Millis::from_secs(3600);
        let link = Link::new(std::sync::Arc::new(move || behind), monotonic());
        let config = RestConfig { retry: RetryPolicy::never(), ..RestConfig::new(&server.endpoints.rest) };
        let account = BinanceAccount::new(RestClient::new(config, link.clone()), hmac());
        let mut desk = Desk::new();
        let order = desk.buy(None, server.price().await, behind);
        let id = order.spec().client_order_id.clone();
        let outcome = account.submit(order, &desk.latch).await;
        let SubmitOutcome::Accepted(reports, _) = outcome else { panic!("{outcome:?}") };
        assert_eq!((reports.len(), &reports[0].client_order_id), (1, &id));
        assert_eq!(link.clock.offset(), Millis::from_secs(3600));

        // Reads and cancels too.
        link.clock.reset();
        assert!(account.open_orders().await.unwrap().is_empty());
        link.clock.reset();
        assert!(matches!(account.cancel(&btcusdt(), &id).await, CancelOutcome::NotOpen));
        assert!(!account.trades_after(&btcusdt(), None).await.unwrap().is_empty());
    });
}

#[test]
fn what_else_an_account_is_asked_for() {
    run(async {
        let server = Server::start().await;
        let account = server.account(hmac());
        let status = account.status().await.unwrap();
        assert!(status.can_trade && status.balances.len() == 2);
        assert!(account.api_restrictions().await.unwrap().check().is_ok());
        assert!(account.delist_schedule().await.unwrap().is_empty());
        assert!(!server.market().system_status().await.unwrap().is_maintenance());

        // A test places nothing, and says what the order itself would be told.
        let mut desk = Desk::new();
        let order = limit_buy(&server, &mut desk).await;
        let spec = order.spec().clone();
        account.test_order(&spec).await.unwrap();
        let off = domain::OrderSpec { quantity: "0.000000001".parse().unwrap(), ..spec.clone() };
        let error = account.test_order(&off).await.unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::Refused, "{error}");
        assert!(account.open_orders().await.unwrap().is_empty());
        assert_eq!(account.order(&btcusdt(), &spec.client_order_id).await.unwrap(), None);

        assert!(matches!(account.submit(order, &desk.latch).await, SubmitOutcome::Accepted(..)));
        assert_eq!(account.open_orders_of(&btcusdt()).await.unwrap().len(), 1);
        let from = OrdersFrom::Time(server.now() - Millis::from_secs(60));
        assert_eq!(account.all_orders(&btcusdt(), from).await.unwrap().len(), 1);
        assert_eq!(account.cancel_all(&btcusdt()).await.unwrap().len(), 1);
        assert!(account.cancel_all(&btcusdt()).await.unwrap().is_empty());
    });
}

#[test]
fn an_engine_refusal_is_a_refusal() {
    run(async {
        let server = Server::start().await;
        let account = server.account(hmac());
        let mut desk = Desk::new();
        let order = limit_buy(&server, &mut desk).await;
        assert!(matches!(account.submit(order, &desk.latch).await, SubmitOutcome::Accepted(..)));
        // The same id while the first is open: it is not known which of the two the exchange has.
        let mut other = Desk::new();
        let order = limit_buy(&server, &mut other).await;
        let outcome = account.submit(order, &other.latch).await;
        let SubmitOutcome::Unknown(error) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error.code, Some(-2010));
    });
}
