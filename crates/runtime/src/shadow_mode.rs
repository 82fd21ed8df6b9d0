//! SHADOW: the exchange's market data and its own test of every order; fills are simulated in a book of its own.
//!
//! A composition: nothing below it knows the mode. It must never send an order to the account: the only request that it
//! makes of it is the exchange's test, which places nothing.

use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;

use domain::{Asset, ClientOrderId, Fill, OrderReport, OrderSpec, Quantity, Symbol, TradeId};
use engine::{Envelope, ExchangeEvent, GlobalRiskMessage};
use exchange::binance::{BinanceAccount, Credentials};
use exchange::trading::LocalFuture;
use exchange::{CancelOutcome, Exchange, RequestError, SubmitOutcome};
use risk::{ApprovedOrder, SafetyLatch};

use crate::life::Composition;
use crate::market_feed::MarketFeed;
use crate::paper_mode::hand_over;
use crate::router::Router;
use crate::venue::{PaperExchange, Venue};
use crate::wiring::Wiring;

/// The composition of shadow trading.
pub struct ShadowMode {
    /// Where market data come from.
    pub market: MarketFeed,
    /// Whose account tests the orders.
    pub credentials: Credentials,
    /// Where they are filled.
    pub paper: PaperExchange,
}

struct ShadowAccount {
    account: BinanceAccount,
    paper: PaperExchange,
    router: Router,
}

impl ShadowAccount {
    /// What the exchange says of each leg, told for the journal.
    fn validated(&self, specs: Vec<OrderSpec>) -> LocalFuture<()> {
        let (account, router) = (self.account.clone(), self.router.clone());
        Box::pin(async move {
            for spec in specs {
                let refusal = account.test_order(&spec).await.err().map(|error| error.to_string());
                let event = ExchangeEvent::Validated(spec.symbol, spec.client_order_id, refusal);
                router.send(Envelope::GlobalRisk(GlobalRiskMessage::Exchange(event)));
            }
        })
    }
}

impl Exchange for ShadowAccount {
    fn submit(&self, order: ApprovedOrder, latch: &SafetyLatch) -> LocalFuture<SubmitOutcome> {
        let specs = [Some(order.spec()), order.oco_leg()].into_iter().flatten().cloned().collect();
        // The test tells, it does not decide: an exchange that is slow to answer it must not age the approval.
        let (validated, router) = (self.validated(specs), self.router.clone());
        router.begin();
        actix_rt::spawn(async move {
            validated.await;
            router.end();
        });
        self.paper.submit(order, latch)
    }

    fn cancel(&self, symbol: &Symbol, id: &ClientOrderId) -> LocalFuture<CancelOutcome> {
        self.paper.cancel(symbol, id)
    }

    fn order(&self, symbol: &Symbol, id: &ClientOrderId) -> LocalFuture<Result<Option<OrderReport>, RequestError>> {
        self.paper.order(symbol, id)
    }

    fn open_orders(&self) -> LocalFuture<Result<Vec<OrderReport>, RequestError>> {
        self.paper.open_orders()
    }

    fn trades_after(&self, symbol: &Symbol, after: Option<TradeId>) -> LocalFuture<Result<Vec<Fill>, RequestError>> {
        self.paper.trades_after(symbol, after)
    }

    fn balances(&self) -> LocalFuture<Result<BTreeMap<Asset, Quantity>, RequestError>> {
        self.paper.balances()
    }
}

impl Composition for ShadowMode {
    fn venue(&self, wiring: &Wiring) -> Venue {
        let account = BinanceAccount::new(self.market.rest(), self.credentials.clone());
        let exchange = ShadowAccount { account, paper: self.paper.clone(), router: wiring.router.clone() };
        Venue { exchange: Rc::new(exchange), market: Rc::new(self.market.client()) }
    }

    fn feed(&self, wiring: &Wiring) -> Box<dyn Any> {
        let (paper, of_sink) = (self.paper.clone(), wiring.clone());
        self.market.start(wiring, move |event| hand_over(&paper, &of_sink, event), None)
    }
}
