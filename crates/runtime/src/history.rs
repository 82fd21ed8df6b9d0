//! Local history of candles: what the feed told is kept, so that a start needs only the gap from the exchange (R3).
//!
//! It must never hold up trading: it has a thread of its own, and what does not fit into its queue is left out, because
//! everything in it can be fetched again.

use std::path::Path;
use std::thread::JoinHandle;

use domain::{Candle, Interval};
use engine::BackfillRequest;
use store::StoreError;
use store::candles::CandleHistory;
use tokio::sync::{mpsc, oneshot};

/// Candles and questions that may wait.
const QUEUE: usize = 8_192;
/// Candles of one write.
const GROUP: usize = 1_024;

enum Ask {
    Keep(Candle),
    Find(BackfillRequest, oneshot::Sender<Vec<Candle>>),
}

/// A handle on the history. Handles share one thread; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct History(Option<mpsc::Sender<Ask>>);

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ask")
    }
}

impl History {
    /// No history: everything is fetched.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// The history in the database at `path`.
    ///
    /// # Errors
    /// Where its thread cannot be started. A database that cannot be opened is only told in the log: it can be done without.
    pub fn open(path: &Path) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, asks) = mpsc::channel(QUEUE);
        let path = path.to_owned();
        let thread = std::thread::Builder::new().name("history".into()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            if let Err(error) = runtime.block_on(serve(&path, asks)) {
                tracing::warn!(%error, "there is no local history of candles; everything is fetched from the exchange");
            }
        })?;
        Ok((Self(Some(sender)), thread))
    }

    /// Keeps a candle that the feed told.
    pub fn keep(&self, candle: &Candle) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(Ask::Keep(candle.clone()));
        }
    }

    /// The candles of `request` from its beginning on, without a gap: what is missing comes after them.
    pub async fn find(&self, request: &BackfillRequest) -> Vec<Candle> {
        let Some(sender) = &self.0 else { return Vec::new() };
        let (reply, answer) = oneshot::channel();
        if sender.try_send(Ask::Find(request.clone(), reply)).is_err() {
            return Vec::new();
        }
        contiguous(request, answer.await.unwrap_or_default())
    }
}

fn contiguous(request: &BackfillRequest, candles: Vec<Candle>) -> Vec<Candle> {
    let (interval, mut next): (Interval, _) = (request.interval, request.from);
    let follows = |candle: &Candle| {
        let follows = candle.open_time == next && candle.interval == interval;
        next = candle.close_time();
        follows
    };
    candles.into_iter().take_while(follows).collect()
}

async fn serve(path: &Path, mut asks: mpsc::Receiver<Ask>) -> Result<(), StoreError> {
    let mut history = CandleHistory::open(path).await?;
    let mut group = Vec::new();
    while asks.recv_many(&mut group, GROUP).await > 0 {
        let mut kept = Vec::new();
        for ask in group.drain(..) {
            match ask {
                Ask::Keep(candle) => kept.push(candle),
                Ask::Find(request, reply) => {
                    keep(&mut history, &mut kept).await;
                    let BackfillRequest { symbol, interval, from, to } = &request;
                    let found = history.between(symbol, *interval, *from, *to).await;
                    let _ = reply.send(found.unwrap_or_default());
                }
            }
        }
        keep(&mut history, &mut kept).await;
    }
    history.close().await;
    Ok(())
}

async fn keep(history: &mut CandleHistory, candles: &mut Vec<Candle>) {
    if !candles.is_empty()
        && let Err(error) = history.keep(&std::mem::take(candles)).await
    {
        tracing::warn!(%error, "candles could not be kept; the next start fetches them");
    }
}

#[cfg(test)]
mod tests {
    use domain::{Millis, Timestamp};

    use super::*;

    fn candle(minute: i64) -> Candle {
        let price = "100".parse().unwrap();
        Candle {
            symbol: "BTCUSDT".parse().unwrap(),
            interval: Interval::M1,
            open_time: Timestamp::from_millis(1_767_225_600_000) + Millis::from_secs(60 * minute),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: "1".parse().unwrap(),
        }
    }

    #[test]
    fn r3_local_history_is_found_up_to_its_first_gap() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("market.db");
        let request = BackfillRequest {
            symbol: "BTCUSDT".parse().unwrap(),
            interval: Interval::M1,
            from: candle(1).open_time,
            to: candle(9).open_time,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for round in 0..2 {
            let (history, thread) = History::open(&path).unwrap();
            if round == 0 {
                for minute in [0, 1, 2, 3, 5, 6] {
                    history.keep(&candle(minute));
                }
            }
            let found = runtime.block_on(history.find(&request));
            assert_eq!(found, [candle(1), candle(2), candle(3)], "round {round}");
            drop(history);
            thread.join().unwrap();
        }
        assert_eq!(runtime.block_on(History::none().find(&request)), []);
    }
}
