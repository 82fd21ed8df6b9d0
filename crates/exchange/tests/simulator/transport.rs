//! Servers that answer what they should not, or not at all: what an order comes to.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{Permission, ReasonCode, Timestamp};
use exchange::binance::{BinanceAccount, Endpoints, LimitKind, Link, RestClient, RestConfig};
use exchange::connectivity::Health;
use exchange::retry::RetryPolicy;
use exchange::{Exchange, RequestErrorKind, SubmitOutcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::desk::{Desk, btcusdt, hmac, monotonic, run};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// What a server does with every request.
#[derive(Clone, Copy)]
enum Act {
    /// Answers with these bytes, and keeps the connection.
    Answer(&'static str),
    /// Closes the connection without an answer.
    Close,
    /// Says nothing for ever.
    Hang,
}

/// A server that does one thing. Whatever it was sent is kept.
async fn broken(act: Act) -> (SocketAddr, Rc<RefCell<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&received);
    actix_rt::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let log = Rc::clone(&log);
            actix_rt::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(len @ 1..) = socket.read(&mut buffer).await {
                    log.borrow_mut().extend_from_slice(&buffer[..len]);
                    match act {
                        Act::Answer(answer) => socket.write_all(answer.as_bytes()).await.unwrap(),
                        Act::Close => return,
                        Act::Hang => {}
                    }
                }
            });
        }
    });
    (address, received)
}

fn link() -> Link {
    Link::new(Arc::new(|| NOW), monotonic())
}

fn account(address: SocketAddr) -> (BinanceAccount, Link) {
    let config = RestConfig {
        timeout: Duration::from_secs(1),
        retry: RetryPolicy::never(),
        ..RestConfig::new(Endpoints::at(&address.to_string()).rest)
    };
    let link = link();
    (BinanceAccount::new(RestClient::new(config, link.clone()), hmac()), link)
}

async fn submit(account: &BinanceAccount) -> SubmitOutcome {
    let mut desk = Desk::new();
    let order = desk.buy(None, "60000".parse().unwrap(), NOW);
    account.submit(order, &desk.latch).await
}

#[derive(Debug, PartialEq)]
enum Came {
    Unknown,
    Refused(RequestErrorKind),
}

#[test]
fn what_an_order_comes_to_when_the_exchange_breaks() {
    let html = "HTTP/1.1 403 Forbidden\r\ncontent-length: 15\r\n\r\n<html>no</html>";
    let cases = [
        ("closes", Act::Close, Came::Unknown),
        ("hangs", Act::Hang, Came::Unknown),
        ("is no HTTP", Act::Answer("hello\r\n\r\n"), Came::Unknown),
        ("is slow", Act::Answer("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"symbol\":"), Came::Unknown),
        ("is empty", Act::Answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"), Came::Unknown),
        ("is 500", Act::Answer("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"), Came::Unknown),
        ("is 502", Act::Answer("HTTP/1.1 502 Oh\r\ncontent-length: 4\r\n\r\n<p/>"), Came::Unknown),
        (
            "is -1007",
            Act::Answer("HTTP/1.1 400 Oh\r\ncontent-length: 25\r\n\r\n{\"code\":-1007,\"msg\":\"oh\"}"),
            Came::Unknown,
        ),
        ("is 400 without words", Act::Answer("HTTP/1.1 400 Oh\r\ncontent-length: 0\r\n\r\n"), Came::Unknown),
        (
            "is -2010",
            Act::Answer("HTTP/1.1 400 Oh\r\ncontent-length: 25\r\n\r\n{\"code\":-2010,\"msg\":\"no\"}"),
            Came::Refused(RequestErrorKind::Refused),
        ),
        ("is a firewall", Act::Answer(html), Came::Refused(RequestErrorKind::RateLimited)),
        (
            "is gone",
            Act::Answer("HTTP/1.1 410 Gone\r\ncontent-length: 4\r\n\r\n<p/>"),
            Came::Refused(RequestErrorKind::Fatal),
        ),
        (
            "redirects",
            Act::Answer("HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
            Came::Refused(RequestErrorKind::Fatal),
        ),
    ];
    run(async {
        for (name, act, expected) in cases {
            let (address, received) = broken(act).await;
            let came = match submit(&account(address).0).await {
                SubmitOutcome::Unknown(error) => {
                    assert_eq!(error.kind, RequestErrorKind::Unknown, "{name}");
                    Came::Unknown
                }
                SubmitOutcome::Refused(error) => Came::Refused(error.kind),
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(came, expected, "{name}");
            let received = String::from_utf8(received.borrow().clone()).unwrap();
            assert_eq!(received.matches("POST /api/v3/order").count(), 1, "{name}: sent once\n{received}");
        }
    });
}

#[test]
fn without_a_connection_nothing_is_done() {
    run(async {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let SubmitOutcome::Refused(error) = submit(&account(address).0).await else { panic!() };
        assert_eq!(error.kind, RequestErrorKind::NotDone);

        // A read that gives up makes the exchange count as down.
        let (account, link) = account(address);
        let error = account.balances().await.unwrap_err();
        assert_eq!((error.kind, error.reason), (RequestErrorKind::NotDone, Some(ReasonCode::ExchangeUnreachable)));
        assert_eq!(link.connectivity.reachability().health, Health::Down);
    });
}

#[test]
fn l1_near_the_limit_entries_are_refused_reads_wait_and_cancels_go() {
    run(async {
        let near = "HTTP/1.1 400 Oh\r\nx-mbx-used-weight-1m: 5000\r\ncontent-length: 25\r\n\r\n\
                    {\"code\":-2011,\"msg\":\"no\"}";
        let (address, received) = broken(Act::Answer(near)).await;
        let (account, link) = account(address);
        let id = "vg-a-1-1".parse().unwrap();
        assert!(account.order(&btcusdt(), &id).await.is_err());
        assert_eq!(link.guard.used(LimitKind::Weight), (5000, 6000));
        let sent = received.borrow().len();

        let SubmitOutcome::Refused(error) = submit(&account).await else { panic!() };
        assert_eq!((error.kind, error.reason), (RequestErrorKind::RateLimited, Some(ReasonCode::RateLimited)));
        assert!(error.retry_after_s.is_some_and(|seconds| (1..=60).contains(&seconds)));
        // The clock of this test stands, so the wait of a read would be longer than its patience.
        let error = account.open_orders().await.unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::RateLimited);
        assert_eq!(received.borrow().len(), sent, "nothing left");

        assert!(matches!(account.cancel(&btcusdt(), &id).await, exchange::CancelOutcome::NotOpen));
        assert!(received.borrow().len() > sent);
    });
}

#[test]
fn tls_offers_http_1_1_only_and_its_failure_is_a_failure_to_connect() {
    run(async {
        let (address, received) = broken(Act::Close).await;
        let rest = RestClient::new(RestConfig::new(format!("https://{address}")), link());
        let account = BinanceAccount::new(rest, hmac());
        let SubmitOutcome::Refused(error) = submit(&account).await else { panic!() };
        assert_eq!(error.kind, RequestErrorKind::NotDone);
        let hello = received.borrow();
        let offers = |protocol: &[u8]| hello.windows(protocol.len()).any(|window| window == protocol);
        assert!(offers(b"\x08http/1.1") && !offers(b"\x02h2"));
    });
}

#[test]
fn an_order_that_is_not_released_sends_not_one_byte() {
    run(async {
        let (address, received) = broken(Act::Hang).await;
        let (account, _) = account(address);
        let mut desk = Desk::new();
        let stale = desk.buy(None, "60000".parse().unwrap(), NOW);
        desk.latch.tighten(Permission::GuardedExits);
        desk.latch.loosen_after_commit(Permission::All, desk.latch.executor_generation());
        let old = desk.buy(None, "60000".parse().unwrap(), NOW - domain::Millis::from_secs(6));
        for (order, reason) in [(stale, ReasonCode::ApprovalStale), (old, ReasonCode::ApprovalExpired)] {
            let outcome = account.submit(order, &desk.latch).await;
            let SubmitOutcome::NotReleased(stopped) = outcome else { panic!("{outcome:?}") };
            assert_eq!(stopped.reason, reason);
        }
        actix_rt::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(*received.borrow(), b"");
    });
}

#[test]
fn an_order_is_released_when_its_connection_is_ready() {
    run(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        // The time moves once there is a connection: the order's timestamp tells whether there was one at its release.
        let connection = Arc::new(Mutex::new(None));
        let accepted = Arc::clone(&connection);
        let time = move || {
            let mut accepted = accepted.lock().unwrap();
            if let Ok((socket, _)) = listener.accept() {
                *accepted = Some(socket);
            }
            if accepted.is_some() { NOW } else { NOW - domain::Millis::new(1) }
        };
        let timeout = Duration::from_millis(500);
        let config = RestConfig { timeout, ..RestConfig::new(Endpoints::at(&address.to_string()).rest) };
        let account = BinanceAccount::new(RestClient::new(config, Link::new(Arc::new(time), monotonic())), hmac());
        assert!(matches!(submit(&account).await, SubmitOutcome::Unknown(_)));
        let mut socket = connection.lock().unwrap().take().unwrap();
        let mut received = [0; 4096];
        let len = std::io::Read::read(&mut socket, &mut received).unwrap();
        let received = String::from_utf8_lossy(&received[..len]);
        assert!(received.contains("&timestamp=1700000000000&"), "{received}");
    });
}

#[test]
fn the_body_of_an_order_is_what_was_signed_and_has_its_length() {
    run(async {
        let (address, received) = broken(Act::Close).await;
        let _ = submit(&account(address).0).await;
        let received = String::from_utf8(received.borrow().clone()).unwrap();
        let (head, body) = received.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(head.contains("x-mbx-apikey: key-hmac"), "{head}");
        let (payload, signature) = body.split_once("&signature=").unwrap();
        assert_eq!(
            payload,
            "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&newClientOrderId=vg-a-1-1&newOrderRespType=FULL\
             &selfTradePreventionMode=EXPIRE_TAKER&recvWindow=5000&timestamp=1700000000000"
        );
        assert_eq!(signature, hmac().secret().sign(payload.as_bytes()));
    });
}

#[test]
fn silence_that_the_exchange_asks_for_is_kept() {
    run(async {
        let limited = "HTTP/1.1 429 Slow\r\nretry-after: 7\r\nx-mbx-used-weight-1m: 6001\r\ncontent-length: 25\r\n\r\n\
                       {\"code\":-1003,\"msg\":\"oh\"}";
        let (address, received) = broken(Act::Answer(limited)).await;
        let (account, link) = account(address);
        let error = account.open_orders().await.unwrap_err();
        assert_eq!((error.kind, error.retry_after_s), (RequestErrorKind::RateLimited, Some(7)));
        assert_eq!(link.guard.used(LimitKind::Weight), (6001, 6000));
        assert_eq!(link.ban_until(), Some(NOW + domain::Millis::from_secs(7)));
        let sent = received.borrow().len();
        assert!(sent > 0);
        let error = account.order(&btcusdt(), &"vg-a-1-1".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::RateLimited);
        assert!(error.retry_after_s.is_some_and(|seconds| (6..=7).contains(&seconds)));
        let SubmitOutcome::Refused(error) = submit(&account).await else { panic!() };
        assert_eq!(error.kind, RequestErrorKind::RateLimited);
        assert_eq!(received.borrow().len(), sent, "nothing more left");
    });
}

#[test]
fn reads_are_repeated_and_signed_anew_and_orders_are_not() {
    run(async {
        let (address, received) = broken(Act::Answer("HTTP/1.1 503 Oh\r\ncontent-length: 0\r\n\r\n")).await;
        let retry = RetryPolicy { initial: Duration::from_millis(1), repeats_max: Some(2), ..RetryPolicy::reads() };
        let config = RestConfig { retry, ..RestConfig::new(Endpoints::at(&address.to_string()).rest) };
        let account = BinanceAccount::new(RestClient::new(config, link()), hmac());
        assert_eq!(account.balances().await.unwrap_err().kind, RequestErrorKind::Unknown);
        assert!(matches!(submit(&account).await, SubmitOutcome::Unknown(_)));
        let received = String::from_utf8(received.borrow().clone()).unwrap();
        assert_eq!(received.matches("GET /api/v3/account").count(), 3);
        assert_eq!(received.matches("POST /api/v3/order").count(), 1);
    });
}
