//! Tick to order: from a trade that was just parsed, handed to the router, to the order in the hand of the socket.
//!
//! Through the real actors, mailboxes and journal. Each trade causes one order, and the next trade comes only when
//! everything that followed from the last one is done and durable: a distribution of single ticks, not of a queue.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, bail};
use domain::{ExecutionEvent, MarketEvent, Permission, Timestamp, TradingMode};
use engine::{
    ActorId, BookState, Effect, Envelope, ExecutorMessage, MarketDataMessage, Outside, ReconcilerMessage, SubmitResult,
    System,
};
use exchange::binance::{Frame, parse_market_frame};
use ledger::reconcile::ExchangeSnapshot;
use risk::SafetyLatch;
use runtime::clock::Clock;
use runtime::service::{Assembly, Parts, Service};
use runtime::supervisor::Timing;
use runtime::wiring::Identity;

use crate::Effort;
use crate::clock::Moment;
use crate::sample::{Samples, Spread};
use crate::table::Row;
use crate::venue::StampingMode;
use crate::world::{self, START, instrument};

/// Orders that are not counted: caches and the database's files get warm.
const WARM_UP: usize = 50;
/// How long an order may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where there is a file system in memory.
const MEMORY: &str = "/dev/shm";

/// The rows of this part.
pub(crate) fn rows(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let orders = effort.of(1_000, 5_000);
    let disk = world::temp_dir()?;
    let (to_order, parsing) = through_actors(disk.path(), orders)?;
    let mut rows = vec![
        Row::new("tick to order, intent on the disk", "us", to_order)
            .target("p50 < 300")
            .note("all actors; the order leaves when its journal row is synced; each order 1 tick"),
        Row::new("  before it: frame to event", "us", parsing)
            .note("aggTrade bytes to a checked domain event, cold caches"),
    ];
    let memory = tempfile::tempdir_in(MEMORY).context("no directory");
    rows.push(match memory {
        Ok(directory) => {
            Row::new("tick to order, journal in memory", "us", through_actors(directory.path(), orders)?.0)
                .note("the same and SQLite commits as well, on tmpfs: without the disk's part of the commit")
        }
        Err(error) => Row::left_out("tick to order, journal in memory", format!("{MEMORY}: {error:#}")),
    });
    rows.push(
        Row::new("tick to order, machines alone", "us", machines_alone(orders)?)
            .note("the same decisions on one thread: no actors, no threads, no journal"),
    );
    Ok(rows)
}

/// A market that makes averages of one and two trades cross on every trade.
struct Ticks {
    number: u64,
}

impl Ticks {
    fn next(&mut self, now: Timestamp) -> (i64, Vec<u8>) {
        self.number += 1;
        let cents = if self.number.is_multiple_of(2) { 5_010_000 } else { 5_000_000 };
        let (id, time) = (self.number, now.as_millis());
        let price = format!("{}.{:02}", cents / 100, cents % 100);
        let frame = format!(
            r#"{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{time},"s":"BTCUSDT","a":{id},"p":"{price}","q":"0.50000","f":{id},"l":{id},"T":{time},"m":false,"M":true}}}}"#
        );
        (cents, frame.into_bytes())
    }
}

fn parse(frame: &[u8], now: Timestamp) -> anyhow::Result<MarketEvent> {
    match parse_market_frame(frame, now)? {
        Frame::Market(event) => Ok(event),
        Frame::Depth(_) | Frame::RunningCandle | Frame::Ignored | Frame::Control | Frame::Shutdown => {
            bail!("the benchmark's frame is no market event")
        }
    }
}

fn begin(directory: &Path, mode: &StampingMode) -> anyhow::Result<Service> {
    let clock = Clock::new();
    clock.anchor(START, 1.0);
    let parts = Parts {
        setup: world::trades_setup(1, 2)?,
        identity: Identity { mode: TradingMode::Paper, version: "bench".into(), config_hash: "bench".into() },
        book: directory.join("bench.db"),
        clock,
        instruments: vec![instrument()],
        history: runtime::history::History::none(),
        timing: Timing { cycle_ms: 1_000, hang_timeout_ms: 60_000, drain_timeout_ms: 5_000 },
        on_fatal: Box::new(|fatal| eprintln!("the benchmark's service ended: {fatal}")),
    };
    let service = Assembly::new(parts)?.start(Arc::new(mode.clone()))?;
    let begun = Moment::now();
    while service.wiring().latch.permission() != Permission::All {
        anyhow::ensure!(begun.elapsed_s() < 20.0, "the benchmark's service did not recover");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(service)
}

/// From handing over to the socket, and what parsing took before, in microseconds.
fn through_actors(directory: &Path, orders: usize) -> anyhow::Result<(Option<Spread>, Option<Spread>)> {
    let (stamps, stamped) = channel();
    let mode = StampingMode::new(stamps);
    let service = begin(directory, &mode)?;
    let outcome = ticks_through(&service, &mode, &stamped, orders);
    service.stop();
    let (to_order, parsing) = outcome?;
    Ok((to_order.spread(1e3), parsing.spread(1e3)))
}

fn ticks_through(
    service: &Service,
    mode: &StampingMode,
    stamped: &Receiver<Moment>,
    orders: usize,
) -> anyhow::Result<(Samples, Samples)> {
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut ticks, mut to_order, mut parsing) = (Ticks { number: 0 }, Samples::default(), Samples::default());
    let clock = &service.wiring().clock;
    for tick in 0..WARM_UP + orders + 2 {
        let now = clock.now();
        let (cents, frame) = ticks.next(now);
        mode.set_price(cents);
        let arrived = Moment::now();
        let event = parse(&frame, now)?;
        let parsed = Moment::now();
        service.send(Envelope::MarketData(MarketDataMessage::Market(event)));
        // The slow average needs two trades, and the first crossing may be a fall, which is no order.
        if tick > 2 {
            let sent = stamped.recv_timeout(PATIENCE).with_context(|| format!("tick {tick} caused no order"))?;
            if tick >= WARM_UP + 2 {
                to_order.add(sent.ns_since(parsed));
                parsing.add(parsed.ns_since(arrived));
            }
        }
        settle(service, &waiting)?;
        while stamped.try_recv().is_ok() {}
    }
    Ok((to_order, parsing))
}

/// Waits until nothing is on its way and everything is durable.
fn settle(service: &Service, waiting: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    let begun = Moment::now();
    loop {
        std::thread::sleep(Duration::from_micros(300));
        if service.wiring().router.is_quiet() {
            waiting.block_on(service.wiring().journal.flushed(PATIENCE)).map_err(anyhow::Error::msg)?;
            if service.wiring().router.is_quiet() {
                return Ok(());
            }
        }
        anyhow::ensure!(begun.elapsed_s() < PATIENCE.as_secs_f64(), "the benchmark's service does not come to rest");
    }
}

/// The outside of the machines alone: it stamps and fills.
struct Alone {
    mode: StampingMode,
    latch: SafetyLatch,
}

impl Outside for Alone {
    fn carry_out(&mut self, now: Timestamp, _: ActorId, effect: Effect, inbox: &mut VecDeque<Envelope>) {
        match effect {
            Effect::Submit(order) => {
                let Ok(released) = order.release(&self.latch, now) else { return };
                self.mode.stamp();
                let (fill, report) = self.mode.filled(released.spec(), now);
                let answer = ExecutorMessage::Submitted(SubmitResult::Accepted(vec![report.clone()], Vec::new()));
                let events = [ExecutionEvent::Fill(fill), ExecutionEvent::Report(report)];
                inbox.extend(events.map(|event| Envelope::Executor(ExecutorMessage::Execution(Box::new(event)))));
                inbox.push_back(Envelope::Executor(answer));
            }
            Effect::Send(envelope) => inbox.push_back(envelope),
            Effect::Gather(_) => {
                let snapshot = ExchangeSnapshot { time: now, ..ExchangeSnapshot::default() };
                inbox.push_back(Envelope::Reconciler(ReconcilerMessage::Snapshot(Ok(Box::new(snapshot)))));
            }
            Effect::BackfillAll => inbox.push_back(Envelope::Reconciler(ReconcilerMessage::BackfillDone)),
            _ => {}
        }
    }
}

fn machines_alone(orders: usize) -> anyhow::Result<Option<Spread>> {
    let (stamps, stamped) = channel();
    let mode = StampingMode::new(stamps);
    let (setup, latch) = (world::trades_setup(1, 2)?, SafetyLatch::new(Permission::All));
    let state = BookState { instruments: vec![instrument()], ..BookState::default() };
    let mut system = System::new(&setup, &state, latch.clone());
    let mut outside = Alone { mode: mode.clone(), latch };
    let instruments = MarketDataMessage::Instruments(Arc::new(vec![instrument()]));
    system.deliver(START, Envelope::MarketData(instruments), &mut outside);
    system.start(START, &mut outside);
    let (mut ticks, mut to_order) = (Ticks { number: 0 }, Samples::default());
    for tick in 0..WARM_UP + orders + 2 {
        let now = Timestamp::from_millis(START.as_millis() + i64::try_from(tick)? * 10);
        let (cents, frame) = ticks.next(now);
        mode.set_price(cents);
        let event = parse(&frame, now)?;
        let parsed = Moment::now();
        system.deliver(now, Envelope::MarketData(MarketDataMessage::Market(event)), &mut outside);
        if tick > 2 {
            let sent = stamped.try_recv().with_context(|| format!("tick {tick} caused no order"))?;
            if tick >= WARM_UP + 2 {
                to_order.add(sent.ns_since(parsed));
            }
        }
        while stamped.try_recv().is_ok() {}
    }
    Ok(to_order.spread(1e3))
}
