//! The book written and read back, its chain broken on purpose, its disk taken away.
#![allow(clippy::unwrap_used, reason = "a test fails by it, and says where")]

use std::path::Path;
use std::time::Duration;

use domain::{
    Alert, Asset, BootNumber, CorrelationId, ExchangeOrderId, Fill, Instrument, OrderSpec, OrderType, Purpose,
    Quantity, ReasonCode, Scope, Severity, Side, SymbolStatus, TimeInForce, Timestamp, TradeId, TradingMode,
};
use engine::{ActorId, JournalEntry, Record};
use ledger::{InstanceSetup, Ledger, LedgerState};
use risk::Protection;
use store::writer::Write;
use store::{Journal, Reader, verify_chain};

fn instrument() -> Instrument {
    Instrument {
        symbol: "BTCUSDT".parse().unwrap(),
        base: "BTC".parse().unwrap(),
        quote: "USDT".parse().unwrap(),
        status: SymbolStatus::Trading,
        tick_size: "0.01".parse().unwrap(),
        step_size: "0.00001".parse().unwrap(),
        quantity_min: "0.00001".parse().unwrap(),
        quantity_max: "9000".parse().unwrap(),
        notional_min: "5".parse().unwrap(),
        order_types: vec![OrderType::Market],
        filters: domain::Filters::default(),
    }
}

fn ledger(state: LedgerState) -> Ledger {
    let setup = |id: &str| InstanceSetup {
        id: id.parse().unwrap(),
        family: "trend".parse().unwrap(),
        capital: "1000".parse().unwrap(),
    };
    Ledger::new(Asset::new("USDT").unwrap(), &[setup("a"), setup("b")], state)
}

fn entry(time: i64, record: Record) -> Write {
    let time = Timestamp::from_millis(time);
    Write::Entry(Box::new(JournalEntry { time, actor: ActorId::GlobalRisk, correlation_id: CorrelationId(7), record }))
}

fn started(boot: u64) -> Write {
    let mode = TradingMode::Paper;
    let record = Record::Started { boot: BootNumber(boot), mode, version: "0".into(), config_hash: String::new() };
    entry(1, record)
}

/// Opens the book, appends, and waits until all of it is on the disk.
fn write(path: &Path, writes: Vec<Write>) {
    let (journal, thread) = Journal::open(path).unwrap();
    for write in writes {
        journal.append(write).unwrap();
    }
    journal.close();
    thread.join();
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A bought position with its order, as the machines journal it.
fn trade(ledger: &mut Ledger) -> Vec<Write> {
    let spec = OrderSpec {
        client_order_id: "vg-a-1-1".parse().unwrap(),
        instance: "a".parse().unwrap(),
        symbol: "BTCUSDT".parse().unwrap(),
        side: Side::Buy,
        order_type: OrderType::Market,
        purpose: Purpose::Entry,
        quantity: "0.01".parse().unwrap(),
        price: None,
        stop_price: None,
        time_in_force: TimeInForce::Gtc,
        reason: ReasonCode::EntrySignal,
        oco: None,
    };
    let order = Box::new(ledger.intend(spec.clone(), CorrelationId(7), Timestamp::from_millis(5)).clone());
    let protection =
        Some(Protection { stop: "45000".parse().unwrap(), take_profit: None, style: risk::ProtectionStyle::Local });
    let mut writes = vec![entry(5, Record::OrderIntended { order, protection })];
    let fill = Fill {
        trade_id: TradeId(3),
        client_order_id: spec.client_order_id.clone(),
        exchange_order_id: ExchangeOrderId(9),
        symbol: spec.symbol.clone(),
        side: Side::Buy,
        price: "50000".parse().unwrap(),
        quantity: "0.01".parse().unwrap(),
        commission: "0.00001".parse().unwrap(),
        commission_asset: "BTC".parse().unwrap(),
        is_maker: false,
        time: Timestamp::from_millis(6),
    };
    let booking = ledger.book_fill(&fill, &instrument(), None).unwrap().unwrap();
    let book = Box::new(ledger.instance(&booking.instance).unwrap().clone());
    let order = ledger.order(&spec.client_order_id).cloned().map(Box::new);
    writes.push(entry(6, Record::FillBooked { fill, book, closed: None, order }));
    writes
}

fn opened(ledger: &Ledger) -> Vec<Write> {
    let books = ledger.instances().cloned().collect();
    let sample = Record::EquitySampled {
        portfolio: Box::new(ledger.portfolio().clone()),
        families: ledger.families().clone(),
        instances: ledger.instances().map(|book| (book.id.clone(), (book.unrealized, book.tracker.clone()))).collect(),
        marks: Default::default(),
    };
    vec![entry(2, Record::BooksOpened { books }), entry(2, sample)]
}

#[test]
fn r1_what_was_journaled_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("paper.db");
    let mut before = ledger(LedgerState::default());
    let mut writes = vec![started(41)];
    writes.extend(opened(&before));
    writes.extend(trade(&mut before));
    writes.push(Write::PaperAccount("{}".into()));
    write(&path, writes);

    let loaded = wait(store::book::load(&path)).unwrap();
    assert_eq!(loaded.last_boot, BootNumber(41));
    assert_eq!(loaded.book.head, Some(Timestamp::from_millis(6)));
    assert_eq!(loaded.paper_account.as_deref(), Some("{}"));
    assert_eq!(loaded.book.protections.len(), 1);
    let after = ledger(loaded.book.ledger);
    let (one, two) = (before.instance(&"a".parse().unwrap()).unwrap(), after.instance(&"a".parse().unwrap()).unwrap());
    assert_eq!((one.cash, one.fees, one.realized), (two.cash, two.fees, two.realized));
    assert_eq!(after.held(&instrument().symbol), "0.00999".parse::<Quantity>().unwrap());
    assert_eq!(after.trade_watermark(&instrument().symbol), Some(TradeId(3)));
    // The capital of both instances is in the sums once.
    assert_eq!(after.portfolio().flows, "2000".parse().unwrap());
    let equities: domain::Notional = after.instances().map(ledger::InstanceBook::equity).sum();
    assert_eq!(after.portfolio().equity, equities);
}

#[test]
fn i8_the_chain_goes_on_over_restarts_and_every_change_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("paper.db");
    write(&path, vec![started(1), started(2)]);
    write(&path, vec![started(3)]);
    let report = wait(verify_chain(&path)).unwrap();
    assert_eq!((report.rows, report.broken), (3, None));

    let tampered = |statement: &str| {
        let copy = directory.path().join("tampered.db");
        std::fs::copy(&path, &copy).unwrap();
        wait(async {
            use sqlx::Connection;
            let mut connection =
                sqlx::SqliteConnection::connect(&format!("sqlite://{}", copy.display())).await.unwrap();
            // Somebody who can write the file can drop the trigger as well; the chain still tells.
            let drop = "DROP TRIGGER journal_is_append_only_update; DROP TRIGGER journal_is_append_only_delete;";
            sqlx::raw_sql(drop).execute(&mut connection).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            verify_chain(&copy).await.unwrap().broken
        })
    };
    assert_eq!(tampered("SELECT 1"), None);
    assert!(tampered("UPDATE journal SET payload = replace(payload, '2', '4') WHERE sequence = 2").is_some());
    assert!(tampered("UPDATE journal SET time = 2 WHERE sequence = 1").is_some());
    assert_eq!(tampered("DELETE FROM journal WHERE sequence = 2").as_deref(), Some("row 2 is missing"));
}

#[test]
fn the_journal_is_append_only_for_everybody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("paper.db");
    write(&path, vec![started(1)]);
    wait(async {
        use sqlx::Connection;
        let mut connection = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        for statement in ["UPDATE journal SET time = 0", "DELETE FROM journal"] {
            let error = sqlx::query(statement).execute(&mut connection).await.unwrap_err().to_string();
            assert!(error.contains("append-only"), "{error}");
        }
    });
}

#[test]
fn an_alert_is_in_the_outbox_with_the_event_that_caused_it_until_it_is_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("paper.db");
    let alert = Alert {
        time: Timestamp::from_millis(9),
        severity: Severity::Critical,
        reason: ReasonCode::HeartbeatMissing,
        scope: Scope::Global,
        text: "No heartbeat".into(),
        correlation_id: CorrelationId(7),
    };
    write(&path, vec![started(1), entry(9, Record::AlertRaised(alert))]);
    let outbox = || wait(async { Reader::open(&path).await.unwrap().outbox(10).await.unwrap() });
    assert_eq!(outbox().iter().map(|row| row.channel.as_str()).collect::<Vec<_>>(), ["file", "log"]);
    assert_eq!((outbox()[0].sequence, outbox()[0].reason.as_str()), (2, "HEARTBEAT_MISSING"));
    write(&path, vec![Write::AlertDelivered { sequence: 2, channel: "log" }]);
    assert_eq!(outbox().len(), 1);
}

#[test]
fn a_commit_that_fails_is_said_and_tried_again_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("paper.db");
    let (journal, thread) = Journal::open(&path).unwrap();
    let mut state = journal.state();
    wait(async {
        use sqlx::Connection;
        // Somebody else holds the write lock longer than the writer waits for it.
        let mut other = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        let ticket = journal.append(started(1)).unwrap();
        let failed = state.wait_for(|state| state.failure.is_some());
        tokio::time::timeout(Duration::from_secs(20), failed).await.expect("said within the deadline").unwrap();
        assert!(journal.state().borrow().committed < ticket);
        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
        let committed = state.wait_for(|state| state.committed >= ticket && state.failure.is_none());
        tokio::time::timeout(Duration::from_secs(20), committed).await.expect("committed in the end").unwrap();
    });
    journal.close();
    thread.join();
    assert_eq!(wait(verify_chain(&path)).unwrap().rows, 1);
}

#[test]
fn a_file_that_is_no_database_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("paper.db");
    std::fs::write(&path, vec![0x5a; 8192]).unwrap();
    let error = Journal::open(&path).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("paper.db"), "{error}");
}
