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
use domain::{Millis, ReasonCode, Timestamp};
use risk::{ApprovedOrder, NotReleased, ReleasedOrder, SafetyLatch};

use super::clock::ServerClock;
use super::sign::{Credentials, Query, RECEIVE_WINDOW_MS};

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
    Released(ReleasedOrder),
    /// It left once, and the exchange said that it did nothing because of the timestamp: no connection is ready yet for
    /// the second time.
    Again(ReleasedOrder),
    /// It was not permitted any more when it could have left a second time.
    Void(ReasonCode),
    /// The body is in order, but its length was wrong: nothing left.
    Broken,
}

/// Shared between the body, which awc owns, and the one who waits for what comes of it.
pub(crate) type Slot = Rc<RefCell<Passage>>;

/// Why a body made no bytes.
#[derive(Debug, thiserror::Error)]
#[error("the order was not released")]
pub(crate) struct NoBytes;

/// The body of one order, or of one list of orders.
pub(crate) struct OrderBody {
    slot: Slot,
    parameters: Query,
    credentials: Credentials,
    latch: SafetyLatch,
    clock: ServerClock,
    len: usize,
    done: bool,
}

const TIMESTAMP: &str = "&timestamp=";
const SIGNATURE: &str = "&signature=";

impl OrderBody {
    /// The body of the order that waits in `slot`, with its parameters.
    pub(crate) fn new(
        slot: Slot,
        parameters: &Query,
        credentials: Credentials,
        latch: SafetyLatch,
        clock: ServerClock,
    ) -> Self {
        let parameters = parameters.clone().with("recvWindow", RECEIVE_WINDOW_MS);
        let signature_len = credentials.secret().fixed_signature_len();
        let len = parameters.as_str().len() + TIMESTAMP.len() + TIMESTAMP_DIGITS + SIGNATURE.len() + signature_len;
        Self { slot, parameters, credentials, latch, clock, len, done: false }
    }

    fn release(&self) -> Result<Bytes, NoBytes> {
        let mut slot = self.slot.borrow_mut();
        let now = self.clock.base_now();
        let released = match std::mem::replace(&mut *slot, Passage::Broken) {
            Passage::Waiting(order) => order.release(&self.latch, now).map_err(Passage::Stopped),
            Passage::Again(order) => match order.still_permitted(&self.latch, now) {
                Ok(()) => Ok(order),
                Err(reason) => Err(Passage::Void(reason)),
            },
            Passage::Stopped(_) | Passage::Released(_) | Passage::Void(_) | Passage::Broken => return Err(NoBytes),
        };
        match released {
            Ok(order) => {
                let bytes = self.signed(&order, now);
                if bytes.len() != self.len {
                    return Err(NoBytes);
                }
                *slot = Passage::Released(order);
                Ok(bytes.into())
            }
            Err(stopped) => {
                *slot = stopped;
                Err(NoBytes)
            }
        }
    }

    fn signed(&self, order: &ReleasedOrder, now: Timestamp) -> String {
        // The approval expires in the time that it was given in; the exchange reads its own clock.
        let at = (timestamp(order.expires_at(), now) + self.clock.offset()).as_millis();
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

#[cfg(test)]
mod tests {
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
}
