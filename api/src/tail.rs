//! History and news are one loop: the entries after a place, waiting for those not yet recorded.
//!
//! The classic fault of subscriptions is the gap between reading what is there and listening to what
//! comes. So there are not two phases. The head is a level that is looked at, not an edge that can be
//! missed: whoever falls behind reads the log, whoever is at its end waits for the head to move.

use std::{collections::VecDeque, sync::Arc};

use ledger::{Entry, Head, Log, LogError, Seq};
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

/// Entries read at once. With payloads of 512 KiB, the largest there are, a page is 32 MiB.
pub const PAGE_LEN: usize = 64;

/// Follows a log from one place on.
///
/// Every method that waits may be dropped half-way (in a `select!`): nothing is lost, because the
/// place moves only when an entry is handed out.
pub struct Tail {
    log: Arc<dyn Log>,
    heads: watch::Receiver<Head>,
    stopping: CancellationToken,
    page: VecDeque<Entry>,
    next: Seq,
}

impl Tail {
    /// Follows from `next` on, which may lie beyond the head. Ends when `stopping` is cancelled, or
    /// with the writer that publishes `heads`.
    pub fn new(
        log: Arc<dyn Log>,
        heads: watch::Receiver<Head>,
        stopping: CancellationToken,
        next: Seq,
    ) -> Tail {
        Tail { log, heads, stopping, page: VecDeque::new(), next }
    }

    /// The place of the entry that comes next.
    pub fn position(&self) -> Seq {
        self.next
    }

    /// Goes on at another place.
    pub fn seek(&mut self, next: Seq) {
        self.page.clear();
        self.next = next;
    }

    /// The next entry, waiting for it if need be. `None` once the service stops, which would
    /// otherwise wait for its followers for ever.
    ///
    /// # Errors
    /// When the log cannot be read. The place stays, so it may be tried again.
    pub async fn next(&mut self) -> Option<Result<Entry, LogError>> {
        if let Err(e) = self.fill().await? {
            return Some(Err(e));
        }
        let entry = self.page.pop_front()?;
        self.next = entry.seq().next();
        Some(Ok(entry))
    }

    /// At least one entry and at most [`PAGE_LEN`], waiting for the first. `None` once the service
    /// stops.
    ///
    /// # Errors
    /// As [`next`](Tail::next).
    pub async fn page(&mut self) -> Option<Result<Vec<Entry>, LogError>> {
        if let Err(e) = self.fill().await? {
            return Some(Err(e));
        }
        let page: Vec<Entry> = std::mem::take(&mut self.page).into();
        self.next = page.last()?.seq().next();
        Some(Ok(page))
    }

    async fn fill(&mut self) -> Option<Result<(), LogError>> {
        while self.page.is_empty() {
            // Never past the head: a power cut could take back what a follower has seen.
            let next = self.next;
            let grown = self.heads.wait_for(|head| next < head.next);
            let head = *self.stopping.run_until_cancelled(grown).await?.ok()?;
            let left = usize::try_from(head.next.0 - next.0).unwrap_or(usize::MAX);
            let log = self.log.clone();
            let read = spawn_blocking(move || log.read(next, left.min(PAGE_LEN)));
            match read.await.expect("a read does not panic") {
                Ok(page) => self.page = page.into(),
                Err(e) => return Some(Err(e)),
            }
        }
        Some(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use ledger::{Draft, Index, MemoryLog, Writer};
    use tokio::sync::watch::Sender;

    use super::*;

    struct Recording {
        log: Arc<MemoryLog>,
        writer: Writer,
        publish: Sender<Head>,
    }

    impl Recording {
        fn new() -> Recording {
            let log = Arc::new(MemoryLog::default());
            let writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
            let (publish, _) = watch::channel(writer.head());
            Recording { log, writer, publish }
        }

        fn record(&mut self, count: usize) {
            let first = self.writer.head().next.0;
            let drafts = (first..).take(count).map(|n| {
                let event =
                    format!(r#"{{"id":"{n}","source":"t","type":"rollout.note.added.v1"}}"#);
                Draft::new(event.into_bytes()).unwrap().into()
            });
            self.writer.commit(drafts.collect(), 1).unwrap();
            self.publish.send_replace(self.writer.head());
        }

        fn tail(&self, next: u64, stopping: &CancellationToken) -> Tail {
            Tail::new(self.log.clone(), self.publish.subscribe(), stopping.clone(), Seq(next))
        }
    }

    #[tokio::test]
    async fn history_and_news_come_without_gap_and_without_double() {
        let mut recording = Recording::new();
        recording.record(PAGE_LEN + 1);
        let mut tail = recording.tail(3, &CancellationToken::new());
        let (mut seen, total) = (Vec::new(), 3 * PAGE_LEN);
        while seen.len() + 3 < total {
            let recorded = usize::try_from(recording.writer.head().next.0).unwrap();
            let at_end = recorded == seen.len() + 3;
            if recorded < total && (at_end || seen.len().is_multiple_of(2)) {
                recording.record(1);
            }
            seen.push(tail.next().await.unwrap().unwrap().seq().0);
        }
        assert_eq!(seen, (3..total as u64).collect::<Vec<_>>());
        assert_eq!(tail.position(), Seq(total as u64));
    }

    #[tokio::test]
    async fn nothing_is_lost_when_waiting_is_given_up() {
        let mut recording = Recording::new();
        let mut tail = recording.tail(0, &CancellationToken::new());
        tokio::select! {
            biased;
            _ = tail.next() => panic!("nothing is recorded yet"),
            () = std::future::ready(()) => {}
        }
        recording.record(2);
        let page = tail.page().await.unwrap().unwrap();
        assert_eq!(page.iter().map(|e| e.seq().0).collect::<Vec<_>>(), [0, 1]);
        tail.seek(Seq(1));
        assert_eq!(tail.next().await.unwrap().unwrap().seq(), Seq(1));
    }

    #[tokio::test]
    async fn a_stop_ends_the_waiting() {
        let recording = Recording::new();
        let stopping = CancellationToken::new();
        let mut tail = recording.tail(0, &stopping);
        let waiting = tokio::spawn(async move { tail.next().await.is_none() });
        stopping.cancel();
        assert!(waiting.await.unwrap());
        let mut orphan = recording.tail(0, &CancellationToken::new());
        drop(recording);
        assert!(orphan.next().await.is_none(), "it ends with the writer");
    }
}
