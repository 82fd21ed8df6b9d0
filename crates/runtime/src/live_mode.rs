//! LIVE_TRADING: the exchange's market data, orders to the real account, whose events come by its own stream.
//!
//! A composition: nothing below it knows the mode. It must never let an entry pass before the account's events are told.

use std::any::Any;
use std::rc::Rc;

use domain::{ClientOrderId, Fill, OrderReport, Symbol, TradeId};
use engine::{Envelope, ExchangeEvent, ExecutorMessage, GlobalRiskMessage, MarketDataMessage};
use exchange::binance::{BinanceAccount, Credentials, UserStream, UserStreamConfig, UserStreamEvent};
use exchange::trading::{Action, LocalFuture};
use exchange::{CancelOutcome, Exchange, RequestError, SubmitOutcome};
use risk::{ApprovedOrder, SafetyLatch};

use crate::life::Composition;
use crate::market_feed::MarketFeed;
use crate::router::Router;
use crate::venue::Venue;
use crate::wiring::Wiring;

/// The composition of trading on a real account.
pub struct LiveMode {
    /// Where market data come from.
    pub market: MarketFeed,
    /// Whose account.
    pub credentials: Credentials,
}

/// The account; what its refusals say of the instruments' rules is acted upon.
struct LiveAccount {
    account: BinanceAccount,
    market: MarketFeed,
    router: Router,
}

fn tell(router: &Router, event: ExchangeEvent) {
    router.send(Envelope::GlobalRisk(GlobalRiskMessage::Exchange(event)));
}

impl Exchange for LiveAccount {
    fn submit(&self, order: ApprovedOrder, latch: &SafetyLatch) -> LocalFuture<SubmitOutcome> {
        let (answer, market, router) = (self.account.submit(order, latch), self.market.clone(), self.router.clone());
        Box::pin(async move {
            let outcome = answer.await;
            if let SubmitOutcome::Refused(error) = &outcome {
                match error.action {
                    Action::RefreshInstrument | Action::QuarantineSymbol => market.refresh_instruments(),
                    Action::StopTrading => tell(&router, ExchangeEvent::KeyRefused(error.to_string())),
                    _ => {}
                }
            }
            outcome
        })
    }

    fn cancel(&self, symbol: &Symbol, id: &ClientOrderId) -> LocalFuture<CancelOutcome> {
        self.account.cancel(symbol, id)
    }

    fn order(&self, symbol: &Symbol, id: &ClientOrderId) -> LocalFuture<Result<Option<OrderReport>, RequestError>> {
        self.account.order(symbol, id)
    }

    fn open_orders(&self) -> LocalFuture<Result<Vec<OrderReport>, RequestError>> {
        self.account.open_orders()
    }

    fn trades_after(&self, symbol: &Symbol, after: Option<TradeId>) -> LocalFuture<Result<Vec<Fill>, RequestError>> {
        self.account.trades_after(symbol, after)
    }

    fn balances(
        &self,
    ) -> LocalFuture<Result<std::collections::BTreeMap<domain::Asset, domain::Quantity>, RequestError>> {
        self.account.balances()
    }
}

/// One word of the account's stream.
fn heard(wiring: &Wiring, event: UserStreamEvent) {
    let tell = |event| tell(&wiring.router, event);
    match event {
        UserStreamEvent::Subscribed => tell(ExchangeEvent::AccountStreamSubscribed),
        UserStreamEvent::Transfer(transfer) => {
            tell(ExchangeEvent::Transfer { asset: transfer.asset, delta: transfer.delta, time: transfer.time });
        }
        // What is held follows from trades and transfers; the balances themselves are compared at each reconciliation.
        UserStreamEvent::Balances(..) => {}
        UserStreamEvent::Rejected { detail } => {
            // A trade may have been in it: as good as a gap.
            tell(ExchangeEvent::AccountStreamLost(format!("an event could not be read ({detail})")));
            tell(ExchangeEvent::AccountStreamSubscribed);
        }
        UserStreamEvent::Lost { .. } if wiring.counters.stopping() => {}
        UserStreamEvent::Lost { reason, fatal } => {
            if fatal {
                tell(ExchangeEvent::KeyRefused(reason.clone()));
            }
            tell(ExchangeEvent::AccountStreamLost(reason));
        }
    }
}

impl Composition for LiveMode {
    fn venue(&self, wiring: &Wiring) -> Venue {
        let account = BinanceAccount::new(self.market.rest(), self.credentials.clone());
        let exchange = LiveAccount { account, market: self.market.clone(), router: wiring.router.clone() };
        Venue { exchange: Rc::new(exchange), market: Rc::new(self.market.client()) }
    }

    fn feed(&self, wiring: &Wiring) -> Box<dyn Any> {
        tell(&wiring.router, ExchangeEvent::AccountStreamAwaited);
        let url = self.market.endpoints().ws_api.clone();
        let config = UserStreamConfig::new(url, self.credentials.clone(), self.market.link().clone());
        let (of_executions, of_events) = (wiring.clone(), wiring.clone());
        let executions = move |event| {
            of_executions.router.send(Envelope::Executor(ExecutorMessage::Execution(Box::new(event))));
        };
        let account = UserStream::spawn(config, Box::new(executions), Box::new(move |event| heard(&of_events, event)));
        let of_market = wiring.clone();
        let hear = move |event| of_market.router.send(Envelope::MarketData(MarketDataMessage::Market(event)));
        self.market.start(wiring, hear, Some(Rc::new(account)))
    }
}
