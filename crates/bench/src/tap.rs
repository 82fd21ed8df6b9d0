//! A tap on the wire between a service and its exchange: it passes every byte on, and stamps the moments at which a
//! trade leaves for the service, an order has come from it whole, and the exchange's answer and report pass back.
//!
//! It must never change a byte, hold one back, or look at anything but the words it stamps.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use anyhow::Context;

use crate::clock::Moment;

/// What passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// A trade, stamped before it is written to the service's socket.
    Trade,
    /// A whole order, stamped when its last byte was read from the service's socket.
    Order,
    /// The exchange's answer to the order, stamped before it is written to the service's socket.
    Answer,
    /// The report that the order is filled, on the account's stream, stamped likewise.
    Filled,
}

/// The word in a frame of the market stream that is a trade.
const TRADE: &[u8] = b"@aggTrade\"";
/// How a request begins that is an order.
const ORDER: &[u8] = b"POST /api/v3/order ";
/// What stands before the last 64 bytes of an order that is signed with HMAC.
const SIGNATURE: &[u8] = b"&signature=";
/// The bytes of the signature.
const SIGNATURE_LEN: usize = 64;
/// The word in a report of the account's stream that an order is filled.
const FILLED: &[u8] = b"\"X\":\"FILLED\"";

/// A tap that listens on the loopback; it ends when it is dropped, connections with their ends.
pub(crate) struct Tap {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Tap {
    /// A tap before the exchange at `exchange`; stamps go to `stamps`.
    pub(crate) fn before(exchange: SocketAddr, stamps: &Sender<(Passed, Moment)>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("the tap cannot listen")?;
        let address = listener.local_addr()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, stamps) = (is_over.clone(), stamps.clone());
        let accept = move || {
            for service in listener.incoming() {
                if over.load(SeqCst) {
                    return;
                }
                let connected = service.and_then(|service| connect(service, exchange, &stamps));
                if let Err(error) = connected {
                    eprintln!("the benchmark's tap lost a connection: {error}");
                }
            }
        };
        let listener = std::thread::Builder::new().name("tap".into()).spawn(accept)?;
        Ok(Self { address, is_over, listener: Some(listener) })
    }

    /// Where the service finds its exchange.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.is_over.store(true, SeqCst);
        // The listener looks up at the next connection, which is this one.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(listener) = self.listener.take().filter(|_| woken) {
            let _ = listener.join();
        }
    }
}

fn connect(service: TcpStream, exchange: SocketAddr, stamps: &Sender<(Passed, Moment)>) -> std::io::Result<()> {
    let exchange = TcpStream::connect(exchange)?;
    for socket in [&service, &exchange] {
        socket.set_nodelay(true)?;
    }
    let is_asked = Arc::new(AtomicBool::new(false));
    let up = Orders { text: Vec::new(), is_asked: is_asked.clone(), stamps: stamps.clone() };
    let down = Words { is_asked, stamps: stamps.clone() };
    let (from_service, to_service) = (service.try_clone()?, service);
    let (from_exchange, to_exchange) = (exchange.try_clone()?, exchange);
    let spawn = |name: &str| std::thread::Builder::new().name(name.into());
    spawn("tap-up").spawn(move || pass(from_service, to_exchange, up))?;
    spawn("tap-down").spawn(move || pass(from_exchange, to_service, down))?;
    Ok(())
}

/// Looks at what passes, after it was read and before it is written.
trait Look: Send {
    fn look(&mut self, bytes: &[u8], read: Moment);
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut look: impl Look) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let read = Moment::now();
        look.look(&buffer[..count], read);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // One end is gone: the other must know.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    find(bytes, word).is_some()
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

/// From the service: requests.
struct Orders {
    /// What has come of an order that is not whole.
    text: Vec<u8>,
    is_asked: Arc<AtomicBool>,
    stamps: Sender<(Passed, Moment)>,
}

impl Look for Orders {
    fn look(&mut self, bytes: &[u8], read: Moment) {
        if self.text.is_empty() && !bytes.starts_with(ORDER) {
            return;
        }
        self.text.extend_from_slice(bytes);
        let signed = find(&self.text, SIGNATURE).map(|at| at + SIGNATURE.len() + SIGNATURE_LEN);
        if signed.is_some_and(|end| self.text.len() >= end) {
            self.text.clear();
            self.is_asked.store(true, SeqCst);
            // The harness may have given up.
            let _ = self.stamps.send((Passed::Order, read));
        }
    }
}

/// From the exchange: frames and answers.
struct Words {
    is_asked: Arc<AtomicBool>,
    stamps: Sender<(Passed, Moment)>,
}

impl Look for Words {
    fn look(&mut self, bytes: &[u8], _: Moment) {
        let passed = if self.is_asked.swap(false, SeqCst) {
            Passed::Answer
        } else if has(bytes, TRADE) {
            Passed::Trade
        } else if has(bytes, FILLED) {
            Passed::Filled
        } else {
            return;
        };
        // Stamped after it was looked at: looking takes time that is not the service's.
        let _ = self.stamps.send((passed, Moment::now()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn every_byte_passes_and_words_are_stamped() {
        let exchange = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (stamps, stamped) = channel();
        let tap = Tap::before(exchange.local_addr().unwrap(), &stamps).unwrap();
        let mut service = TcpStream::connect(tap.address()).unwrap();
        let (mut far, _) = exchange.accept().unwrap();
        let talk = |from: &mut TcpStream, to: &mut TcpStream, words: &str| {
            from.write_all(words.as_bytes()).unwrap();
            let mut got = vec![0; words.len()];
            to.read_exact(&mut got).unwrap();
            assert_eq!(got, words.as_bytes());
            stamped.try_recv().ok().map(|(passed, _)| passed)
        };
        let body = format!("symbol=BTCUSDT&signature={}", "0".repeat(64));
        let cases = [
            (false, r#"{"stream":"btcusdt@bookTicker"}"#, None),
            (false, r#"{"stream":"btcusdt@aggTrade","data":{}}"#, Some(Passed::Trade)),
            (true, "POST /api/v3/order HTTP/1.1\r\n\r\n", None),
            (true, &body[..40], None),
            (true, &body[40..], Some(Passed::Order)),
            (false, "HTTP/1.1 200 OK\r\n\r\n", Some(Passed::Answer)),
            (false, r#"{"event":{"X":"FILLED"}}"#, Some(Passed::Filled)),
            (true, &format!("POST /api/v3/orderList/oco HTTP/1.1\r\n\r\n{body}"), None),
        ];
        for (is_up, words, expected) in cases {
            let found = if is_up { talk(&mut service, &mut far, words) } else { talk(&mut far, &mut service, words) };
            assert_eq!(found, expected, "{words}");
        }
        // One end that goes takes the other along.
        drop(far);
        assert_eq!(service.read(&mut [0; 8]).unwrap(), 0);
    }
}
