//! One who reads the stream: a place in the log, and what is said next from there.

use std::time::Duration;

use axum::body::Bytes;
use projector::views::Filter;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Failed, Seat};

/// How long a stream is silent at most.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// After how many milliseconds a subscriber should connect again.
pub const RETRY_MS: u32 = 3_000;

/// How long a message may wait for room in the connection. Whoever takes longer is told to come
/// again, and ended.
pub const SLOW_MAX: Duration = Duration::from_secs(10);

/// What one subscriber wants.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Boxed: most want everything, and 10,000 of them may be waiting.
    pub filter: Option<Box<Filter>>,
    /// The headers of entries that do not fit are sent too, so that the chain can be checked.
    pub headers: bool,
    /// The type of an event is not named beside it: a browser gives what has a name only to those
    /// who know it.
    pub unnamed: bool,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bye {
    Stopping,
    TooSlow,
    Failed,
}

impl Bye {
    fn reason(self) -> &'static str {
        match self {
            Bye::Stopping => "stopping",
            Bye::TooSlow => "too_slow",
            Bye::Failed => "failed",
        }
    }
}

/// A reader of the stream. Dropping it frees its seat.
pub struct Subscriber {
    seat: Seat,
    wanted: Wanted,
    rendered: watch::Receiver<u64>,
    /// What was durable when it came, which may be more than is rendered.
    found: u64,
    /// The place of the entry that comes next.
    next: u64,
    /// One after the newest entry that it was told of.
    told: u64,
    /// When something was handed out last.
    spoke: Option<Instant>,
    caught_up: bool,
    /// The connection waits for what comes next, and not the other way round.
    waiting: bool,
    ended: bool,
}

impl Subscriber {
    pub(super) fn new(seat: Seat, wanted: Wanted, next: u64) -> Subscriber {
        let rendered = seat.hub.rendered.clone();
        let found = seat.hub.head().next.0;
        Subscriber {
            seat,
            found,
            wanted,
            rendered,
            next,
            told: next,
            spoke: None,
            caught_up: false,
            waiting: false,
            ended: false,
        }
    }

    /// What is sent next: one message or several, or a heartbeat. `None` after the last.
    pub async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let Some(spoke) = self.spoke else {
            self.spoke = Some(Instant::now());
            return Some(Bytes::from(format!("retry: {RETRY_MS}\n\n")));
        };
        // It is asked again as soon as the connection has room for more.
        self.waiting = true;
        let said = if spoke.elapsed() > SLOW_MAX {
            self.seat.hub.metrics.cut_off();
            self.bye(Bye::TooSlow)
        } else {
            match self.wait(spoke + HEARTBEAT).await {
                Ok(said) => said,
                Err(why) => self.bye(why),
            }
        };
        self.waiting = false;
        self.spoke = Some(Instant::now());
        Some(said)
    }

    async fn wait(&mut self, heartbeat: Instant) -> Result<Bytes, Bye> {
        let stopping = self.seat.hub.stopping.clone();
        loop {
            if stopping.is_cancelled() {
                return Err(Bye::Stopping);
            }
            let end = self.found.max(*self.rendered.borrow_and_update());
            if self.next < end {
                let found = self.advance(end).await?;
                if !found.is_empty() {
                    self.told = self.next;
                    return Ok(found);
                }
                // A filter that lets nothing through must not keep others from their turn.
                tokio::task::yield_now().await;
                if Instant::now() < heartbeat {
                    continue;
                }
            } else if !self.caught_up {
                self.caught_up = true;
                return self.position().await;
            }
            tokio::select! {
                biased;
                () = stopping.cancelled() => return Err(Bye::Stopping),
                () = sleep_until(heartbeat) => {
                    let silent = self.told == self.next;
                    let comment = || Ok(Bytes::from_static(b": still here\n\n"));
                    return if silent { comment() } else { self.position().await };
                }
                grown = self.rendered.changed() => grown.map_err(|_| Bye::Failed)?,
            }
        }
    }

    /// Goes on by a page. Returns what is to be sent of it.
    async fn advance(&mut self, end: u64) -> Result<Bytes, Bye> {
        let hub = &self.seat.hub;
        let page = hub.page(self.next, end).await?;
        if self.wanted.filter.is_some() {
            hub.facts(&page).await?;
        }
        let found = match self.wanted {
            Wanted { filter: None, unnamed: false, .. } => page.all(self.next),
            _ => page.wanted(self.next, &self.wanted),
        };
        self.next = page.next();
        Ok(found)
    }

    /// A message that says how far everything was looked at.
    async fn position(&mut self) -> Result<Bytes, Bye> {
        let Some(seq) = self.next.checked_sub(1) else {
            return Ok(Bytes::from_static(b": nothing is recorded yet\n\n"));
        };
        let hash = self.seat.hub.hash(seq).await?;
        self.told = self.next;
        let data = format!(r#"{{"ledgerhash":"{hash}","seq":{seq}}}"#);
        Ok(Bytes::from(format!("id: {seq}\nevent: position\ndata: {data}\n\n")))
    }

    fn bye(&mut self, why: Bye) -> Bytes {
        self.ended = true;
        let reason = why.reason();
        let after = self.told.checked_sub(1).map_or("null".to_owned(), |seq| seq.to_string());
        let data = format!(r#"{{"reason":"{reason}","resume_after":{after}}}"#);
        Bytes::from(format!("event: bye\ndata: {data}\n\n"))
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // Let go by `patient`, or gone, after it took nothing for too long.
        let slow = self.spoke.is_some_and(|spoke| spoke.elapsed() > SLOW_MAX);
        if slow && !self.waiting && !self.ended {
            self.seat.hub.metrics.cut_off();
        }
    }
}

impl From<Failed> for Bye {
    fn from(_: Failed) -> Bye {
        Bye::Failed
    }
}
