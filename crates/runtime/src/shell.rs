//! The shell of a machine: an actix actor that stamps the time, passes messages in, and carries out effects in order.
//!
//! Output commit: an effect that follows a journal entry leaves only when that entry is durable. Tightenings and
//! withdrawals never wait. It must never decide anything.

use std::collections::VecDeque;
use std::rc::Rc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, StreamHandler};
use domain::{Purpose, ReasonCode, Timestamp};
use engine::{
    ActorId, Effect, Effects, Envelope, ExecutorMessage, GlobalRiskMessage, MarketDataMessage, ReconcilerMessage,
};
use futures_util::stream;
use ledger::OrderEnd;
use store::CommitState;
use store::writer::Write;

use crate::guard::{Guard, Pong};
use crate::machine::Machine;
use crate::publish::event_line;
use crate::replay::submit_result;
use crate::router::Deliver;
use crate::venue::Venue;
use crate::wiring::Wiring;

/// How long effects wait for a disk that neither commits nor fails.
const DISK_PATIENCE_MS: u64 = 2_000;

/// A question of the supervisor, through the ordinary mailbox, so that the answer measures it.
#[derive(Debug, Clone, Copy)]
pub struct Ping {
    /// Monotonic milliseconds when it was asked.
    pub asked_ms: u64,
}

/// Ends the actor; it drops what it holds.
#[derive(Debug, Clone, Copy)]
pub struct Stop;

/// Makes an actor fail on purpose, for tests of the supervision.
#[derive(Debug, Clone, Copy)]
pub enum Fail {
    /// Panics in the handler.
    Panic,
    /// Never handles another message, while its thread goes on.
    HangAsync,
    /// Blocks its thread for so many milliseconds.
    Block(u64),
}

impl Message for Ping {
    type Result = ();
}

impl Message for Stop {
    type Result = ();
}

impl Message for Fail {
    type Result = ();
}

/// One actor.
pub struct Shell<M: Machine> {
    id: ActorId,
    machine: M,
    wiring: Wiring,
    venue: Rc<Venue>,
    effects: Effects,
    /// Effects that wait for the journal, with the ticket that they wait for.
    held: VecDeque<(u64, Effect)>,
    ticket: u64,
    committed: u64,
    journal_failed: bool,
    /// How far the journal was when something began to wait for it, and since when, in monotonic milliseconds.
    waiting: Option<(u64, u64)>,
    _guard: Guard,
}

impl<M: Machine> Shell<M> {
    /// The shell of `machine`.
    pub fn new(id: ActorId, machine: M, wiring: Wiring, venue: Rc<Venue>, guard: Guard) -> Self {
        Self {
            id,
            machine,
            wiring,
            venue,
            effects: Effects::new(),
            held: VecDeque::new(),
            ticket: 0,
            committed: 0,
            journal_failed: false,
            waiting: None,
            _guard: guard,
        }
    }

    fn carry_out_all(&mut self, now: Timestamp) {
        let mut effects = std::mem::take(&mut self.effects);
        let mut appended = true;
        for effect in effects.drain() {
            match effect {
                Effect::Journal(entry) => {
                    if let Some(line) = event_line(&entry) {
                        self.wiring.board.event(line);
                    }
                    match self.wiring.journal.append(Write::Entry(entry)) {
                        Ok(ticket) => self.ticket = ticket,
                        Err(_) => {
                            appended = false;
                            self.fail_journal("the journal's queue is full");
                        }
                    }
                }
                // Its record was not taken, so no ticket stands for it: the restriction stays, until it is lifted anew.
                effect if is_loosening(&effect) && !appended => {}
                effect if is_loosening(&effect) && self.ticket > self.committed => {
                    self.wiring.router.begin();
                    self.held.push_back((self.ticket, effect));
                }
                effect if self.ticket > self.committed && !self.journal_failed && !effect.is_immediate() => {
                    self.wiring.router.begin();
                    self.held.push_back((self.ticket, effect));
                }
                effect if self.journal_failed => self.carry_out_without_journal(now, effect),
                effect => self.carry_out(now, effect),
            }
        }
        self.effects = effects;
    }

    /// A disk that hangs says nothing: what waits for it too long goes on as if it had failed. Exits and cancels must not
    /// hang with it.
    fn watch_disk(&mut self, now_ms: u64) {
        if self.held.is_empty() || self.journal_failed {
            self.waiting = None;
            return;
        }
        match self.waiting {
            Some((committed, since)) if committed == self.committed => {
                if now_ms.saturating_sub(since) >= DISK_PATIENCE_MS {
                    self.fail_journal("the disk does not answer");
                }
            }
            Some(_) | None => self.waiting = Some((self.committed, now_ms)),
        }
    }

    /// Entries that wait die; exits and everything else go on without the disk (money first: tightening needs no disk).
    fn fail_journal(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.journal_failed, true) {
            tracing::error!(actor = %self.id, reason, "the journal is not available");
            self.wiring.router.send(Envelope::GlobalRisk(GlobalRiskMessage::JournalAvailable(false)));
        }
        let now = self.wiring.clock.now();
        for (ticket, effect) in std::mem::take(&mut self.held) {
            if is_loosening(&effect) {
                // It is nothing before it is durable, and it is not lost: its record waits for the disk as well.
                self.held.push_back((ticket, effect));
                continue;
            }
            self.wiring.router.end();
            self.carry_out_without_journal(now, effect);
        }
    }

    fn carry_out_without_journal(&mut self, now: Timestamp, effect: Effect) {
        match effect {
            Effect::Send(Envelope::Executor(ExecutorMessage::Approved(order)))
                if order.spec().purpose == Purpose::Entry =>
            {
                let (id, reason) = (order.spec().client_order_id.clone(), ReasonCode::JournalUnavailable);
                let concluded = GlobalRiskMessage::Concluded(id, OrderEnd::NotSent, reason);
                self.wiring.router.send(Envelope::GlobalRisk(concluded));
            }
            effect => self.carry_out(now, effect),
        }
    }

    fn carry_out(&mut self, now: Timestamp, effect: Effect) {
        match effect {
            Effect::Send(envelope) => self.wiring.router.send(envelope),
            Effect::Journal(_) => {}
            Effect::WriteLatch(permission) => {
                if let Err(error) = self.wiring.latch_file.write(permission) {
                    tracing::error!(%error, "the latch holds in memory and could not be written to its file");
                }
            }
            Effect::SaveStrategy { instance, symbol, through, state } => {
                let Some(config) = self.wiring.setup.instances.get(usize::from(instance.0)) else { return };
                let write = Write::Strategy { instance: config.id.clone(), symbol, through, state: state.to_string() };
                if self.wiring.journal.append(write).is_err() {
                    tracing::warn!("a strategy's state could not be kept; it warms up from candles at the next start");
                }
            }
            Effect::Submit(order) => {
                self.wiring.counters.orders_sent();
                let id = order.spec().client_order_id.clone();
                let answer = self.venue.exchange.submit(*order, &self.wiring.latch);
                self.answer(async move {
                    Some(Envelope::Executor(ExecutorMessage::Submitted(submit_result(answer.await, id))))
                });
            }
            Effect::Cancel(symbol, id) | Effect::CancelProtection(symbol, id) => self.cancel(symbol, id),
            Effect::QueryOrder(symbol, id) => {
                let answer = self.venue.exchange.order(&symbol, &id);
                self.answer(async move {
                    let answer = answer.await.map(|found| found.map(Box::new)).map_err(|error| error.to_string());
                    Some(Envelope::Executor(ExecutorMessage::Queried(symbol, id, answer)))
                });
            }
            Effect::Gather(request) => {
                let venue = self.venue.clone();
                self.answer(async move {
                    let snapshot = venue.gather(&request, now).await.map(Box::new);
                    Some(Envelope::Reconciler(ReconcilerMessage::Snapshot(snapshot)))
                });
            }
            Effect::Backfill(request) => {
                let venue = self.venue.clone();
                self.answer(async move {
                    let (symbol, interval) = (request.symbol.clone(), request.interval);
                    let candles = venue.backfill(&request).await;
                    Some(Envelope::MarketData(MarketDataMessage::Backfilled(symbol, interval, candles)))
                });
            }
            Effect::BackfillAll => {
                let (venue, wiring) = (self.venue.clone(), self.wiring.clone());
                self.answer(async move {
                    venue.backfill_all(&wiring, now).await;
                    Some(Envelope::Reconciler(ReconcilerMessage::BackfillDone))
                });
            }
        }
    }

    fn cancel(&self, symbol: domain::Symbol, id: domain::ClientOrderId) {
        let (answer, venue) = (self.venue.exchange.cancel(&symbol, &id), self.venue.clone());
        self.answer(async move {
            match answer.await {
                exchange::CancelOutcome::Canceled(report) => {
                    let event = Box::new(domain::ExecutionEvent::Report(report));
                    Some(Envelope::Executor(ExecutorMessage::Execution(event)))
                }
                // It may have filled, or may still be there: only the exchange knows.
                exchange::CancelOutcome::NotOpen | exchange::CancelOutcome::Failed(_) => {
                    let answer = venue.exchange.order(&symbol, &id).await;
                    let answer = answer.map(|found| found.map(Box::new)).map_err(|error| error.to_string());
                    Some(Envelope::Executor(ExecutorMessage::Queried(symbol, id, answer)))
                }
            }
        });
    }

    /// Waits for an answer of the outside on this arbiter, beside the actor, and delivers it.
    fn answer(&self, future: impl Future<Output = Option<Envelope>> + 'static) {
        let router = self.wiring.router.clone();
        router.begin();
        actix::spawn(async move {
            if let Some(envelope) = future.await {
                router.send(envelope);
            }
            router.end();
        });
    }
}

/// A loosening waits for its commit, whatever happens to the disk meanwhile.
const fn is_loosening(effect: &Effect) -> bool {
    matches!(effect, Effect::Send(Envelope::GlobalRisk(GlobalRiskMessage::Loosened { .. })))
}

impl<M: Machine> Actor for Shell<M> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let state = self.wiring.journal.state();
        let following = stream::unfold(state, async |mut state| {
            state.changed().await.ok()?;
            let now = state.borrow_and_update().clone();
            Some((now, state))
        });
        context.add_stream(Box::pin(following));
    }
}

impl<M: Machine> Handler<Deliver> for Shell<M> {
    type Result = ();

    fn handle(&mut self, Deliver(envelope): Deliver, _: &mut Self::Context) {
        let now = self.wiring.clock.now();
        if let Some(message) = M::take(envelope) {
            self.machine.handle(now, message, &mut self.effects);
            if !self.effects.is_empty() {
                self.carry_out_all(now);
            }
            self.machine.publish(now, &self.wiring);
        }
        self.wiring.router.end();
    }
}

/// How far the journal is durable: what waited for it leaves.
impl<M: Machine> StreamHandler<CommitState> for Shell<M> {
    fn handle(&mut self, state: CommitState, _: &mut Self::Context) {
        self.committed = self.committed.max(state.committed);
        match state.failure {
            Some(failure) => self.fail_journal(&failure),
            None if self.journal_failed && self.committed >= self.ticket => {
                self.journal_failed = false;
                self.wiring.router.send(Envelope::GlobalRisk(GlobalRiskMessage::JournalAvailable(true)));
            }
            None => {}
        }
        let now = self.wiring.clock.now();
        while self.held.front().is_some_and(|(ticket, _)| *ticket <= self.committed) {
            if let Some((_, effect)) = self.held.pop_front() {
                self.carry_out(now, effect);
                self.wiring.router.end();
            }
        }
    }

    /// The journal's writer ended; the service is stopping.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl<M: Machine> Handler<Ping> for Shell<M> {
    type Result = ();

    fn handle(&mut self, ping: Ping, _: &mut Self::Context) {
        let pong = Pong { actor: self.id, asked_ms: ping.asked_ms, answered_ms: self.wiring.clock.monotonic_ms() };
        self.wiring.pongs.put(pong);
        self.watch_disk(self.wiring.clock.monotonic_ms());
    }
}

impl<M: Machine> Handler<Stop> for Shell<M> {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        context.stop();
    }
}

impl<M: Machine> Handler<Fail> for Shell<M> {
    type Result = ();

    #[expect(clippy::panic, reason = "asked for by a test of the supervision")]
    fn handle(&mut self, fail: Fail, context: &mut Self::Context) {
        match fail {
            Fail::Panic => panic!("a panic that a test asked for"),
            Fail::HangAsync => {
                context.wait(actix::fut::wrap_future(std::future::pending::<()>()));
            }
            Fail::Block(millis) => std::thread::sleep(std::time::Duration::from_millis(millis)),
        }
    }
}
