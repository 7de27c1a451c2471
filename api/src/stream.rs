//! The log as messages for live subscribers. `docs/STREAM.md` specifies what they receive.
//!
//! Each entry is rendered once for all subscribers. A task renders what is new into a bounded ring
//! and then says how far it is; whoever is behind the ring reads pages of the log through a bounded
//! cache, with a bounded number of readers. A subscriber itself is a place in the log and costs no
//! task and no queue: when its connection takes no more, it is not asked for more, and catches up
//! from the log later.

mod cache;
mod page;
mod subscriber;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ledger::{Head, Log, LogError, Seq};
use tokio::{
    sync::{Semaphore, watch},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

use self::{cache::Cache, page::Page};
use crate::metrics::{self, Metrics};
pub use subscriber::{HEARTBEAT, RETRY_MS, SLOW_MAX, Subscriber, Wanted};

/// Streams open at once, unless the setting says otherwise. One costs less than 20 KiB.
pub const SUBSCRIBERS_MAX: usize = 12_000;

/// After news is published, how long the next is gathered. Under load a subscriber is woken so often
/// at most, and gets all that came meanwhile in one write; without load nothing waits.
const GATHER: Duration = Duration::from_millis(25);

/// Entries read from the log at once. With payloads of 512 KiB, the largest there are, 16 MiB.
const READ_LEN: u64 = 32;

/// Readers of the log at once, for all subscribers that are behind.
const READERS_MAX: usize = 4;

/// The newest messages that are kept for subscribers at the head, in bytes.
const RING_SIZE_MAX: usize = 8 << 20;

/// Messages read again for subscribers that are behind, kept for the others, in bytes.
const HISTORY_SIZE_MAX: usize = 8 << 20;

/// Renders the log and lets subscribers in.
pub struct Hub {
    log: Arc<dyn Log>,
    heads: watch::Receiver<Head>,
    /// How far everything is rendered. Closed when the log could not be read.
    rendered: watch::Receiver<u64>,
    ring: Cache,
    history: Cache,
    readers: Semaphore,
    open: AtomicUsize,
    open_max: usize,
    stopping: CancellationToken,
    metrics: Arc<Metrics>,
}

/// As many streams are open as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} event streams are open, and no more are served at once; try again later")]
pub struct TooMany(pub usize);

/// Someone who is let in.
struct Seat {
    hub: Arc<Hub>,
    _counted: metrics::Subscriber,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hub {
    /// Starts the task that renders what is new, until `stopping` is cancelled or the writer ends.
    pub fn start(
        log: Arc<dyn Log>,
        heads: watch::Receiver<Head>,
        stopping: CancellationToken,
        open_max: usize,
        metrics: Arc<Metrics>,
    ) -> Arc<Hub> {
        let next = heads.borrow().next.0;
        let (publish, rendered) = watch::channel(next);
        let hub = Arc::new(Hub {
            log,
            heads,
            rendered,
            ring: Cache::new(RING_SIZE_MAX),
            history: Cache::new(HISTORY_SIZE_MAX),
            readers: Semaphore::new(READERS_MAX),
            open: AtomicUsize::new(0),
            open_max,
            stopping,
            metrics,
        });
        tokio::spawn(hub.clone().render(publish, next));
        hub
    }

    /// The durable head.
    pub fn head(&self) -> Head {
        *self.heads.borrow()
    }

    /// Lets someone in, who reads from `next` on.
    ///
    /// # Errors
    /// When too many are in.
    pub fn subscribe(self: &Arc<Self>, wanted: Wanted, next: u64) -> Result<Subscriber, TooMany> {
        let count = |open: usize| (open < self.open_max).then_some(open + 1);
        self.open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count)
            .map_err(|_| TooMany(self.open_max))?;
        let seat = Seat { hub: self.clone(), _counted: self.metrics.subscriber() };
        Ok(Subscriber::new(seat, wanted, next))
    }

    async fn render(self: Arc<Self>, publish: watch::Sender<u64>, mut next: u64) {
        let mut heads = self.heads.clone();
        loop {
            let grown = self.stopping.run_until_cancelled(heads.wait_for(|h| next < h.next.0));
            let Some(Ok(head)) = grown.await.map(|grown| grown.map(|head| *head)) else { return };
            while next < head.next.0 {
                let log = self.log.clone();
                let limit = READ_LEN.min(head.next.0 - next);
                let read = spawn_blocking(move || Page::read(&*log, next, next, limit)).await;
                match read.expect("rendering does not panic") {
                    Ok(Some(page)) => {
                        next = page.next();
                        self.ring.put(Arc::new(page));
                    }
                    Ok(None) => return tracing::error!(next, "the log ends before its head"),
                    // Subscribers are told that it failed, and may come again.
                    Err(e) => return tracing::error!(error = %e, "news cannot be read"),
                }
            }
            // The receivers are gone only when the hub is.
            publish.send_replace(next);
            self.stopping.run_until_cancelled(tokio::time::sleep(GATHER)).await;
        }
    }

    /// A page that holds `seq`, which is below `end`, which is at most the durable head.
    async fn page(&self, seq: u64, end: u64) -> Result<Arc<Page>, Failed> {
        let known = || self.ring.get(seq).or_else(|| self.history.get(seq));
        if let Some(page) = known() {
            return Ok(page);
        }
        let _permit = self.readers.acquire().await.map_err(|_| Failed)?;
        // Another reader may have brought it while this one waited.
        if let Some(page) = known() {
            return Ok(page);
        }
        // Those who come to one place from different ones share their pages.
        let aligned = seq - seq % READ_LEN;
        let (log, limit) = (self.log.clone(), READ_LEN.min(end - aligned));
        let read = spawn_blocking(move || Page::read(&*log, aligned, seq, limit)).await;
        let page = read.expect("rendering does not panic").map_err(Failed::told)?.ok_or(Failed)?;
        let page = Arc::new(page);
        self.history.put(page.clone());
        Ok(page)
    }

    /// The entry's hash, for whoever is told of a place alone.
    async fn hash(&self, seq: u64) -> Result<ledger::Hash, Failed> {
        if let Some(hash) = self.ring.get(seq).and_then(|page| page.hash(seq)) {
            return Ok(hash);
        }
        let head = self.head();
        if head.next == Seq(seq).next() {
            return Ok(head.hash);
        }
        let page = self.page(seq, seq + 1).await?;
        page.hash(seq).ok_or(Failed)
    }

    /// What the entries of a page are about, read once for all who filter.
    async fn facts(&self, page: &Arc<Page>) -> Result<(), Failed> {
        if page.has_facts() {
            return Ok(());
        }
        let _permit = self.readers.acquire().await.map_err(|_| Failed)?;
        let (log, page) = (self.log.clone(), page.clone());
        let read = spawn_blocking(move || page.read_facts(&*log)).await;
        read.expect("reading an entry does not panic").map_err(Failed::told)
    }
}

/// The log could not be read; what was wrong is in the server's log.
#[derive(Debug)]
struct Failed;

impl Failed {
    fn told(e: LogError) -> Failed {
        tracing::error!(error = %e, "a stream cannot be read");
        Failed
    }
}
