//! The body of an order on its way out. awc asks for it when the connection is ready, after it waited for a place in the
//! pool, a connection and TLS: only then is the order released, and signed.
//!
//! It must never make a byte of an order that was not released. awc sends the head of a request together with the first
//! bytes of its body, so a request whose order is not released sends nothing at all.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use awc::body::{BodySize, MessageBody};
use bytes::Bytes;
use domain::{Millis, OrderSpec, OrderType, TimeInForce, Timestamp};
use risk::{ApprovedOrder, NotReleased, ReleasedOrder, SafetyLatch};

use super::sign::{Credentials, Query, RECEIVE_WINDOW_MS};
use super::wire::order_type_word;
use crate::TimeSource;

/// Digits of a timestamp from 2001 to 2286.
const TIMESTAMP_DIGITS: usize = 13;

/// Where an order is on its way out.
#[derive(Debug)]
pub(crate) enum Passage {
    /// No connection was ready yet: nothing left.
    Waiting(ApprovedOrder),
    /// The latch, or the time, stopped it at the last moment: nothing left.
    Stopped(NotReleased),
    /// It was released and handed to the connection: it may have left.
    Released,
    /// The body is in order, but its length was wrong: nothing left.
    Broken,
}

/// Shared between the body, which awc owns, and the one who waits for what comes of it.
pub(crate) type Slot = Rc<RefCell<Passage>>;

/// Why a body made no bytes.
#[derive(Debug, thiserror::Error)]
#[error("the order was not released")]
pub(crate) struct NoBytes;

/// The body of one order.
pub(crate) struct OrderBody {
    slot: Slot,
    parameters: Query,
    credentials: Credentials,
    latch: SafetyLatch,
    time: TimeSource,
    len: usize,
    done: bool,
}

const TIMESTAMP: &str = "&timestamp=";
const SIGNATURE: &str = "&signature=";

impl OrderBody {
    /// The body of the order that waits in `slot`, with its parameters.
    pub(crate) fn new(
        slot: Slot,
        parameters: Query,
        credentials: Credentials,
        latch: SafetyLatch,
        time: TimeSource,
    ) -> Self {
        let parameters = parameters.with("recvWindow", RECEIVE_WINDOW_MS);
        let signature_len = credentials.secret().fixed_signature_len();
        let len = parameters.as_str().len() + TIMESTAMP.len() + TIMESTAMP_DIGITS + SIGNATURE.len() + signature_len;
        Self { slot, parameters, credentials, latch, time, len, done: false }
    }

    fn release(&self) -> Result<Bytes, NoBytes> {
        let mut slot = self.slot.borrow_mut();
        let Passage::Waiting(order) = std::mem::replace(&mut *slot, Passage::Broken) else { return Err(NoBytes) };
        let now = (self.time)();
        match order.release(&self.latch, now) {
            Ok(released) => {
                let bytes = self.signed(&released, now);
                if bytes.len() != self.len {
                    return Err(NoBytes);
                }
                *slot = Passage::Released;
                Ok(bytes.into())
            }
            Err(stopped) => {
                *slot = Passage::Stopped(stopped);
                Err(NoBytes)
            }
        }
    }

    fn signed(&self, order: &ReleasedOrder, now: Timestamp) -> String {
        let at = timestamp(order.expires_at(), now).as_millis();
        let payload = format!("{}{TIMESTAMP}{at:0TIMESTAMP_DIGITS$}", self.parameters.as_str());
        let signature = self.credentials.secret().sign_fixed(payload.as_bytes());
        format!("{payload}{SIGNATURE}{signature}")
    }
}

/// The timestamp with which the exchange refuses the order from the moment on at which the approval ends: the exchange
/// takes what is not older than the receive window, so an order that has less time left is dated back. So the window
/// itself is always the same, and the length of a body is known before it is released.
fn timestamp(expires_at: Timestamp, now: Timestamp) -> Timestamp {
    now.min(expires_at - Millis::new(RECEIVE_WINDOW_MS.into()))
}

impl MessageBody for OrderBody {
    type Error = NoBytes;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.len as u64)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, NoBytes>>> {
        let this = self.get_mut();
        if std::mem::replace(&mut this.done, true) {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(this.release()))
    }
}

/// The parameters of an order, without those of the signature.
///
/// # Errors
/// Names the price that the type of the order needs and that it does not have.
pub(crate) fn parameters(spec: &OrderSpec) -> Result<Query, &'static str> {
    let order_type = spec.order_type;
    let mut query = Query::new()
        .with("symbol", &spec.symbol)
        .with("side", spec.side)
        .with("type", order_type_word(order_type))
        .with("quantity", spec.quantity.normalized())
        .with("newClientOrderId", &spec.client_order_id)
        .with("newOrderRespType", "FULL");
    if order_type.has_limit() {
        let price = spec.price.ok_or("the order's type needs a price")?;
        query = query.with("price", price.value().normalize());
        if order_type != OrderType::LimitMaker {
            query = query.with("timeInForce", time_in_force(spec));
        }
    }
    if order_type.has_trigger() {
        let stop_price = spec.stop_price.ok_or("the order's type needs a trigger price")?;
        query = query.with("stopPrice", stop_price.value().normalize());
    }
    Ok(query)
}

const fn time_in_force(spec: &OrderSpec) -> &'static str {
    match spec.time_in_force {
        TimeInForce::Gtc => "GTC",
        TimeInForce::Ioc => "IOC",
        TimeInForce::Fok => "FOK",
    }
}

#[cfg(test)]
mod tests {
    use domain::{Price, Purpose, ReasonCode, Side};

    use super::*;

    #[test]
    fn the_receive_window_ends_with_the_approval_and_is_never_longer() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let window = Millis::new(RECEIVE_WINDOW_MS.into());
        for left_ms in [0, 1, 800, 4999, 5000, 5001, 60_000] {
            let expires_at = now + Millis::new(left_ms);
            let at = timestamp(expires_at, now);
            let last_taken = at + window;
            assert_eq!(last_taken, expires_at.min(now + window), "{left_ms}");
            assert!(at <= now);
        }
    }

    fn spec(order_type: OrderType, price: Option<&str>, stop_price: Option<&str>) -> OrderSpec {
        let parsed = |text: &str| text.parse::<Price>().unwrap();
        OrderSpec {
            client_order_id: "vg-a-1-1".parse().unwrap(),
            instance: "a".parse().unwrap(),
            symbol: "币USDT".parse().unwrap(),
            side: Side::Sell,
            order_type,
            purpose: Purpose::Entry,
            quantity: "1.50000".parse().unwrap(),
            price: price.map(parsed),
            stop_price: stop_price.map(parsed),
            time_in_force: TimeInForce::Ioc,
            reason: ReasonCode::EntrySignal,
            oco: None,
        }
    }

    #[test]
    fn every_type_sends_what_it_needs_and_no_more() {
        let (price, stop) = (Some("10.50"), Some("9.90"));
        let cases = [
            (OrderType::Market, "MARKET", ""),
            (OrderType::Limit, "LIMIT", "&price=10.5&timeInForce=IOC"),
            (OrderType::LimitMaker, "LIMIT_MAKER", "&price=10.5"),
            (OrderType::StopLoss, "STOP_LOSS", "&stopPrice=9.9"),
            (OrderType::StopLossLimit, "STOP_LOSS_LIMIT", "&price=10.5&timeInForce=IOC&stopPrice=9.9"),
            (OrderType::TakeProfit, "TAKE_PROFIT", "&stopPrice=9.9"),
            (OrderType::TakeProfitLimit, "TAKE_PROFIT_LIMIT", "&price=10.5&timeInForce=IOC&stopPrice=9.9"),
        ];
        for (order_type, word, rest) in cases {
            let expected = format!(
                "symbol=%E5%B8%81USDT&side=SELL&type={word}&quantity=1.5&newClientOrderId=vg-a-1-1&newOrderRespType=FULL{rest}"
            );
            assert_eq!(parameters(&spec(order_type, price, stop)).unwrap().as_str(), expected);
            assert_eq!(parameters(&spec(order_type, None, stop)).is_err(), order_type.has_limit());
            assert_eq!(parameters(&spec(order_type, price, None)).is_err(), order_type.has_trigger());
        }
    }
}
