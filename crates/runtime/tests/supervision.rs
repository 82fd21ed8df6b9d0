//! Supervision: a panic, a hang, a blocked thread and a clean stop, each with orders in the book, each its own test.
#![allow(clippy::disallowed_methods, reason = "a test may wait in real time")]
#![allow(clippy::unwrap_used, reason = "a test fails by it, and says where")]

mod kit;

use domain::Permission;
use engine::{ActorId, FamilyIndex, InstanceIndex};
use kit::{Kit, market, setup};
use runtime::shell::Fail;
use runtime::supervisor::{Fatal, Timing};
use simulator::market::Market;

const SYMBOLS: [&str; 2] = ["AAAUSDT", "BBBUSDT"];
const QUICK: Timing = Timing { cycle_ms: 50, hang_timeout_ms: 2500, drain_timeout_ms: 5000 };

struct Rehearsal {
    kit: Kit,
    market: Market,
    _directory: tempfile::TempDir,
}

impl Rehearsal {
    fn new() -> Self {
        Self::with(setup(&SYMBOLS))
    }

    fn with(setup: engine::Setup) -> Self {
        let (directory, market) = (tempfile::tempdir().unwrap(), market(3, &SYMBOLS));
        let kit = Kit::start(directory.path(), setup, &market, QUICK);
        let mut rehearsal = Self { kit, market, _directory: directory };
        rehearsal.recovered();
        rehearsal.trade(120);
        assert!(rehearsal.fills() > 0, "nothing was traded before the failure");
        rehearsal
    }

    fn recovered(&self) {
        self.kit.wait("the recovery", |kit| kit.service.wiring().latch.permission() == Permission::All);
    }

    fn trade(&mut self, minutes: usize) {
        for _ in 0..minutes * SYMBOLS.len() * 9 {
            let event = self.market.next().unwrap();
            self.kit.step(event);
        }
    }

    fn fills(&self) -> usize {
        self.kit.read(async |reader| reader.fills(1_000_000).await.unwrap().len())
    }

    fn generation(&self) -> u64 {
        let status = self.kit.service.board().latest();
        status.and_then(|status| status.actors.first().map(|actor| actor.generation)).unwrap_or_default()
    }

    /// After a failure: a new life, recovered, that goes on trading with a book that equals the account.
    fn comes_back(mut self, generation: u64) {
        self.kit.wait("a new life", |_| self.generation() > generation);
        self.recovered();
        let before = self.fills();
        self.trade(240);
        assert!(self.fills() > before, "it does not trade any more");
        self.kit.quiet();
        let balances = self.kit.account.balances_now();
        let Self { kit, market, _directory } = self;
        let book = kit.book.clone();
        kit.service.stop();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let report = runtime.block_on(store::verify_chain(&book)).unwrap();
        assert_eq!(report.broken, None);
        let loaded = runtime.block_on(store::book::load(&book)).unwrap();
        let ledger = ledger::Ledger::new("USDT".parse().unwrap(), &[], loaded.book.ledger);
        for instrument in market.instruments() {
            let account = balances.get(&instrument.base).copied().unwrap_or_default();
            assert_eq!(ledger.held(&instrument.symbol), account, "{}", instrument.symbol);
        }
    }

    fn fail(&self, actor: ActorId, fail: Fail) -> u64 {
        let generation = self.generation();
        self.kit.service.fail(actor, fail);
        generation
    }
}

#[test]
fn r5_a_panic_in_the_executor_starts_everything_anew() {
    let rehearsal = Rehearsal::new();
    let generation = rehearsal.fail(ActorId::Executor, Fail::Panic);
    rehearsal.comes_back(generation);
}

#[test]
fn r5_a_panic_in_global_risk_starts_everything_anew() {
    let rehearsal = Rehearsal::new();
    let generation = rehearsal.fail(ActorId::GlobalRisk, Fail::Panic);
    rehearsal.comes_back(generation);
}

#[test]
fn r5_a_panic_in_a_strategy_starts_everything_anew() {
    let rehearsal = Rehearsal::new();
    let generation = rehearsal.fail(ActorId::Strategy(InstanceIndex(2)), Fail::Panic);
    rehearsal.comes_back(generation);
}

#[test]
fn r5_an_actor_that_hangs_while_its_thread_goes_on_is_found_and_replaced() {
    let rehearsal = Rehearsal::new();
    let generation = rehearsal.fail(ActorId::FamilyRisk(FamilyIndex(1)), Fail::HangAsync);
    rehearsal.comes_back(generation);
}

#[test]
fn r5_a_blocked_thread_ends_the_process_because_it_cannot_be_killed() {
    let rehearsal = Rehearsal::new();
    rehearsal.fail(ActorId::MarketData, Fail::Block(30_000));
    let fatal = rehearsal.kit.fatal.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    assert!(matches!(fatal, Fatal::Blocked(_)), "{fatal}");
    assert_eq!(rehearsal.kit.service.wiring().latch.permission(), Permission::Nothing);
}

#[test]
fn r5_a_strategy_that_dies_too_often_is_left_failed_and_restricted_and_the_others_go_on() {
    let mut rehearsal = Rehearsal::new();
    for _ in 0..4 {
        let generation = rehearsal.fail(ActorId::Strategy(InstanceIndex(0)), Fail::Panic);
        rehearsal.kit.wait("a new life", |_| rehearsal.generation() > generation);
        rehearsal.recovered();
    }
    let status = rehearsal.kit.service.board().latest().unwrap();
    let failed = status.actors.iter().find(|actor| actor.state == "failed").unwrap();
    assert_eq!(failed.name, format!("strategy {}", status.instances[0].id));
    rehearsal.trade(5);
    rehearsal.kit.wait("the restriction", |kit| {
        let status = kit.service.board().latest().unwrap();
        status.restrictions.iter().any(|found| found.reason == "ACTOR_FAILED")
    });
    rehearsal.kit.wait("the heartbeat without it", |kit| {
        kit.service.board().latest().unwrap().heartbeat_age_ms.is_some_and(|age| age < 1000)
    });
    let generation = rehearsal.generation() - 1;
    rehearsal.comes_back(generation);
}

#[test]
fn r5_an_executor_that_dies_too_often_ends_the_process() {
    let rehearsal = Rehearsal::new();
    for death in 0..4 {
        let generation = rehearsal.fail(ActorId::Executor, Fail::Panic);
        if death < 3 {
            rehearsal.kit.wait("a new life", |_| rehearsal.generation() > generation);
            rehearsal.recovered();
        }
    }
    let fatal = rehearsal.kit.fatal.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    assert!(matches!(fatal, Fatal::TooManyDeaths { .. }), "{fatal}");
}

/// Somebody holds the book's write lock, as a full disk would: no entry leaves, what is held can only become less, and
/// when the disk is back trading goes on with a book that equals the account.
#[test]
fn i4_without_the_journal_no_entry_leaves_and_exits_go_on() {
    // Without the strategy that bids: a bid that left before rests on the exchange and may fill at any time.
    let mut market_orders = setup(&SYMBOLS);
    market_orders.instances.retain(|instance| instance.strategy.kind() != "bollinger");
    let mut rehearsal = Rehearsal::with(market_orders);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let book = rehearsal.kit.book.clone();
    let lock = runtime.block_on(store::book::hold_write_lock(&book)).unwrap();
    let mut held = rehearsal.kit.account.balances_now();
    for _ in 0..40 {
        rehearsal.trade(1);
        let now = rehearsal.kit.account.balances_now();
        for instrument in rehearsal.market.instruments() {
            let (before, after) = (held.get(&instrument.base).copied(), now.get(&instrument.base).copied());
            assert!(after.unwrap_or_default() <= before.unwrap_or_default(), "more {} is held", instrument.base);
        }
        held = now;
    }
    // The disk says so itself only after its own patience; nobody has waited for that.
    rehearsal.kit.wait("the failure", |kit| kit.service.wiring().journal.state().borrow().failure.is_some());
    runtime.block_on(lock.release());
    rehearsal.kit.wait("the journal", |kit| kit.service.wiring().journal.state().borrow().failure.is_none());
    rehearsal.kit.quiet();
    let generation = rehearsal.generation() - 1;
    rehearsal.comes_back(generation);
}

#[test]
fn h1_the_heartbeat_comes_through_the_actors() {
    let rehearsal = Rehearsal::new();
    rehearsal.kit.wait("a heartbeat", |kit| {
        kit.service.board().latest().unwrap().heartbeat_age_ms.is_some_and(|age| age < 1000)
    });
    rehearsal.kit.service.stop();
}
