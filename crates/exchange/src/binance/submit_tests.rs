//! What an order and a list of orders come to: answers that are read, answers that are not, and the second time after a
//! timestamp that was out of the window, against a server that does what it is told.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use domain::{
    Asset, BootNumber, CorrelationId, ExchangeOrderStatus, Instrument, Millis, OrderType, OwnOrderId, Permission,
    ReasonCode, Side, SymbolStatus, Timestamp,
};
use ledger::{InstanceSetup, Ledger, LedgerState};
use risk::{EntryIntent, Gate, GateView, Limits, OrderIntent, Protection, Restrictions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::TimeSource;
use crate::binance::{Endpoints, Link, RestConfig, Secret};
use crate::retry::RetryPolicy;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// An approved market buy of 0.01 BTC.
fn approved(latch: &SafetyLatch) -> ApprovedOrder {
    let usdt = Asset::new("USDT").unwrap();
    let symbol: Symbol = "BTCUSDT".parse().unwrap();
    let (id, capital) = ("a".parse().unwrap(), "10000".parse().unwrap());
    let setup = InstanceSetup { id, family: "trend".parse().unwrap(), capital };
    let mut ledger = Ledger::new(usdt.clone(), &[setup], LedgerState::default());
    ledger.marked(&symbol, "60000".parse().unwrap(), NOW, &mut Vec::new());
    let instrument = Instrument {
        symbol: symbol.clone(),
        base: Asset::new("BTC").unwrap(),
        quote: usdt,
        status: SymbolStatus::Trading,
        tick_size: "0.01".parse().unwrap(),
        step_size: "0.00001".parse().unwrap(),
        quantity_min: "0.00001".parse().unwrap(),
        quantity_max: "9000".parse().unwrap(),
        notional_min: "5".parse().unwrap(),
        order_types: vec![OrderType::Market],
        filters: domain::Filters::default(),
    };
    let own = OwnOrderId { instance: "a".parse().unwrap(), boot: BootNumber(1), sequence: 1 };
    let intent = OrderIntent::Entry(EntryIntent {
        instance: own.instance.clone(),
        symbol: symbol.clone(),
        side: Side::Buy,
        quantity: "0.01".parse().unwrap(),
        limit: None,
        protection: Protection { stop: "1".parse().unwrap(), take_profit: None, style: risk::ProtectionStyle::Local },
        reason: ReasonCode::EntrySignal,
        correlation_id: CorrelationId(1),
    });
    let view = GateView {
        ledger: &ledger,
        restrictions: &Restrictions::default(),
        instruments: &BTreeMap::from([(symbol, instrument)]),
        latch,
        journal_available: true,
    };
    Gate::new(Limits::default()).approve(&intent, own.to_client_order_id().unwrap(), view, NOW).unwrap()
}

/// The legs of a list that sells, around `approved`, which stands for its stop.
fn legs(order: &ApprovedOrder) -> (OrderSpec, OrderSpec) {
    let stop = OrderSpec {
        side: Side::Sell,
        order_type: OrderType::StopLoss,
        stop_price: Some("55000".parse().unwrap()),
        ..order.spec().clone()
    };
    let target = OrderSpec {
        client_order_id: "vg-a-1-2".parse().unwrap(),
        order_type: OrderType::LimitMaker,
        stop_price: None,
        price: Some("66000".parse().unwrap()),
        ..stop.clone()
    };
    (stop, target)
}

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A server that gives these answers in turn, and keeps what it was asked. An empty answer closes the connection.
async fn scripted(answers: Vec<String>) -> (RestClient, Rc<RefCell<Vec<String>>>) {
    scripted_at(answers, Arc::new(|| NOW)).await
}

async fn scripted_at(answers: Vec<String>, time: TimeSource) -> (RestClient, Rc<RefCell<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Rc::new(RefCell::new(Vec::new()));
    let (log, next) = (Rc::clone(&asked), Rc::new(Cell::new(0)));
    let answers = Rc::new(answers);
    actix_rt::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (log, next, answers) = (Rc::clone(&log), Rc::clone(&next), Rc::clone(&answers));
            actix_rt::spawn(async move {
                let mut buffer = [0; 8192];
                while let Ok(len @ 1..) = socket.read(&mut buffer).await {
                    log.borrow_mut().push(String::from_utf8_lossy(&buffer[..len]).into_owned());
                    let answer = answers.get(next.replace(next.get() + 1)).filter(|answer| !answer.is_empty());
                    let Some(answer) = answer else { return };
                    socket.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let config = RestConfig {
        timeout: Duration::from_secs(2),
        retry: RetryPolicy::never(),
        ..RestConfig::new(Endpoints::at(&address).rest)
    };
    (RestClient::new(config, Link::new(time, Arc::new(|| 0))), asked)
}

fn credentials() -> Credentials {
    Credentials::new("key", Secret::hmac("secret").unwrap()).unwrap()
}

fn run<T>(test: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(test)
}

const LEG: &str = r#"{"symbol":"BTCUSDT","orderId":21,"orderListId":1,"clientOrderId":"ID","transactTime":1700000000001,
"price":"0","origQty":"0.01","executedQty":"0","status":"NEW","timeInForce":"GTC","type":"STOP_LOSS","side":"SELL"}"#;

fn list(ids: &[&str]) -> String {
    let legs: Vec<String> = ids.iter().map(|id| LEG.replace("ID", id)).collect();
    format!(
        r#"{{"orderListId":1,"contingencyType":"OCO","listStatusType":"EXEC_STARTED","listOrderStatus":"EXECUTING",
        "listClientOrderId":"x","transactionTime":1,"symbol":"BTCUSDT","orders":[],"orderReports":[{}]}}"#,
        legs.join(",")
    )
}

async fn submit_list(answers: Vec<String>) -> (SubmitOutcome, Vec<String>) {
    let (rest, asked) = scripted(answers).await;
    let latch = SafetyLatch::new(Permission::All);
    let order = approved(&latch);
    // The gate makes no lists yet; what is sent under its approval is the same path.
    let (stop, target) = legs(&order);
    let request = Request::new(&stop, Some(&target)).unwrap();
    let outcome = send(&rest, &credentials(), order, &request, &latch).await;
    let asked = asked.borrow().clone();
    (outcome, asked)
}

#[test]
fn a_list_is_one_request_with_a_report_for_each_leg() {
    run(async {
        let (outcome, asked) = submit_list(vec![answer(200, &list(&["vg-a-1-2", "vg-a-1-1"]))]).await;
        let SubmitOutcome::Accepted(reports, fills) = outcome else { panic!("{outcome:?}") };
        let ids: Vec<&str> = reports.iter().map(|report| report.client_order_id.as_str()).collect();
        assert_eq!((ids, fills.len()), (vec!["vg-a-1-1", "vg-a-1-2"], 0));
        assert!(reports.iter().all(|report| report.status == ExchangeOrderStatus::New));
        assert_eq!(asked.len(), 1);
        let (head, body) = asked[0].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /api/v3/orderList/oco HTTP/1.1"), "{head}");
        let (payload, signature) = body.split_once("&signature=").unwrap();
        assert_eq!(
            payload,
            "symbol=BTCUSDT&side=SELL&quantity=0.01&aboveType=LIMIT_MAKER&aboveClientOrderId=vg-a-1-2&abovePrice=66000\
             &belowType=STOP_LOSS&belowClientOrderId=vg-a-1-1&belowStopPrice=55000&newOrderRespType=FULL\
             &selfTradePreventionMode=EXPIRE_TAKER&recvWindow=5000&timestamp=1700000000000"
        );
        assert_eq!(signature, credentials().secret().sign(payload.as_bytes()));
    });
}

#[test]
fn a_list_whose_answer_cannot_be_read_is_unknown() {
    run(async {
        let good = list(&["vg-a-1-1", "vg-a-1-2"]);
        let cases = [
            answer(200, "{}"),
            answer(200, "<html>"),
            answer(200, &list(&["vg-a-1-1"])),
            answer(200, &list(&["vg-a-1-1", "vg-a-1-1"])),
            answer(200, &list(&["vg-a-1-1", "vg-a-1-2", "vg-a-1-3"])),
            answer(200, &list(&["vg-a-1-1", "other"])),
            answer(200, &good.replace("BTCUSDT\",\"orderId", "ETHUSDT\",\"orderId")),
            answer(200, &good.replace("\"executedQty\":\"0\"", "\"executedQty\":\"none\"")),
            answer(500, ""),
            String::new(),
        ];
        for case in cases {
            let (outcome, asked) = submit_list(vec![case.clone()]).await;
            let SubmitOutcome::Unknown(error) = outcome else { panic!("{case}: {outcome:?}") };
            assert_eq!((error.kind, asked.len()), (RequestErrorKind::Unknown, 1), "{case}");
        }
    });
}

#[test]
fn a_list_that_the_engine_refuses_is_refused_with_the_reason() {
    run(async {
        let words = r#"{"code":-2010,"msg":"The relationship of the prices for the orders is not correct."}"#;
        let (outcome, _) = submit_list(vec![answer(400, words)]).await;
        let SubmitOutcome::Refused(error) = outcome else { panic!("{outcome:?}") };
        assert_eq!((error.reason, error.action), (Some(ReasonCode::PriceRelationship), crate::Action::Recompute));
    });
}

const LATE: &str = r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#;

fn placed() -> String {
    answer(200, &LEG.replace("ID", "vg-a-1-1"))
}

/// The exchange is so many milliseconds ahead.
fn time(ahead_ms: i64) -> String {
    answer(200, &format!(r#"{{"serverTime":{}}}"#, NOW.as_millis() + ahead_ms))
}

async fn submit_one(answers: Vec<String>, latch: &SafetyLatch) -> (SubmitOutcome, Vec<String>) {
    let (rest, asked) = scripted(answers).await;
    let outcome = submit(&rest, &credentials(), approved(latch), None, latch.clone()).await;
    let asked = asked.borrow().clone();
    (outcome, asked)
}

fn orders(asked: &[String]) -> Vec<&str> {
    asked.iter().filter(|request| request.starts_with("POST /api/v3/order ")).map(String::as_str).collect()
}

#[test]
fn an_order_goes_a_second_time_only_after_the_exchanges_word_that_the_first_was_late() {
    run(async {
        let latch = SafetyLatch::new(Permission::All);
        let (outcome, asked) = submit_one(vec![answer(400, LATE), time(60_000), placed()], &latch).await;
        assert!(matches!(outcome, SubmitOutcome::Accepted(..)), "{outcome:?}");
        let sent = orders(&asked);
        assert_eq!(sent.len(), 2);
        for (order, stamp) in sent.iter().zip(["timestamp=1700000000000", "timestamp=1700000060000"]) {
            assert!(order.contains("newClientOrderId=vg-a-1-1") && order.contains(stamp), "{order}");
        }

        // Once only.
        let (outcome, asked) = submit_one(vec![answer(400, LATE), time(1), answer(400, LATE), time(2)], &latch).await;
        assert!(matches!(outcome, SubmitOutcome::Refused(error) if error.kind == RequestErrorKind::NotDone));
        assert_eq!(orders(&asked).len(), 2);

        // What came of the second one counts.
        let (outcome, _) = submit_one(vec![answer(400, LATE), time(1), String::new()], &latch).await;
        assert!(matches!(outcome, SubmitOutcome::Unknown(_)));

        // A server error that says the same may have been done; a clock that is not known helps nothing.
        let (outcome, asked) = submit_one(vec![answer(503, LATE), time(1), placed()], &latch).await;
        assert!(matches!(outcome, SubmitOutcome::Unknown(_)));
        assert_eq!(orders(&asked).len(), 1);
        let (outcome, asked) = submit_one(vec![answer(400, LATE), answer(500, "")], &latch).await;
        assert!(matches!(outcome, SubmitOutcome::Refused(error) if error.code == Some(BAD_TIMESTAMP)));
        assert_eq!(orders(&asked).len(), 1);
    });
}

#[test]
fn i4_an_order_does_not_go_a_second_time_through_a_latch_that_was_tightened_or_after_its_time() {
    run(async {
        // Tightened, or expired, while the clock was asked for.
        for expires in [false, true] {
            let latch = SafetyLatch::new(Permission::All);
            let order = approved(&latch);
            let now = Arc::new(AtomicI64::new(NOW.as_millis()));
            let of_link = Arc::clone(&now);
            let time_now = move || Timestamp::from_millis(of_link.load(SeqCst));
            let (rest, asked) = scripted_at(vec![answer(400, LATE), time(1), placed()], Arc::new(time_now)).await;
            let slot = Rc::new(RefCell::new(Passage::Waiting(order)));
            let request = Request::new(approved(&latch).spec(), None).unwrap();
            let first = attempt(&rest, &credentials(), &request, &slot, &latch).await.unwrap_err();
            assert!(prepared_again(&rest, &slot, &first).await);
            if expires {
                now.fetch_add(Millis::from_secs(6).get(), SeqCst);
            } else {
                latch.tighten(Permission::Exits);
            }
            assert!(attempt(&rest, &credentials(), &request, &slot, &latch).await.is_err());
            let expected = if expires { ReasonCode::ApprovalExpired } else { ReasonCode::ApprovalStale };
            assert!(matches!(*slot.borrow(), Passage::Void(reason) if reason == expected));
            assert_eq!(orders(&asked.borrow()).len(), 1);
        }
    });
}

#[test]
fn c1_an_order_never_arrived_only_if_the_list_of_all_orders_lacks_it_too() {
    use crate::Exchange;
    let unknown = || answer(400, r#"{"code":-2013,"msg":"Order does not exist."}"#);
    let order = LEG.replace("ID", "vg-a-1-1");
    let other = LEG.replace("ID", "vg-a-1-7").replace(":21,", ":22,");
    run(async {
        let cases = [
            (vec![unknown(), answer(200, "[]")], Ok(None)),
            (vec![unknown(), answer(200, &format!("[{other}]"))], Ok(None)),
            (vec![unknown(), answer(200, &format!("[{order},{other}]"))], Ok(Some(ExchangeOrderStatus::New))),
            (vec![unknown(), answer(500, "")], Err(RequestErrorKind::Unknown)),
            (vec![unknown(), answer(200, "{}")], Err(RequestErrorKind::BadAnswer)),
        ];
        for (answers, expected) in cases {
            let (rest, asked) = scripted(answers).await;
            let account = crate::binance::BinanceAccount::new(rest, credentials());
            let found = account.order(&"BTCUSDT".parse().unwrap(), &"vg-a-1-1".parse().unwrap()).await;
            let found = found.map(|report| report.map(|report| report.status)).map_err(|error| error.kind);
            assert_eq!(found, expected);
            assert!(
                asked.borrow()[1]
                    .starts_with("GET /api/v3/allOrders?symbol=BTCUSDT&limit=1000&startTime=1699999100000&")
            );
        }
    });
}
