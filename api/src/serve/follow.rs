//! Follows a log that another server writes: a thread reads and checks what is new and tells how far
//! it is. It never writes.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ledger::{Envelope, Head, Index, Log, LogError, Seq};
use tokio::sync::{oneshot, watch};

use super::{office::Means, turned::Turned};
use crate::{
    home::Home,
    logs::{self, TopicLog},
    station::Station,
};

/// Entries that are read and checked at once, before it is told how far it is.
const FOLLOW_LEN: usize = 1_000;

/// Entries whose ids are noted at once, between two looks at what is new.
const IDS_LEN: usize = 2_000;

/// How often the brokers are asked where the log ends, whether or not something comes.
const ASK_PERIOD: Duration = Duration::from_secs(1);

/// How long to wait for brokers that do not answer.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// How often a wait looks whether it is to stop.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// How long the thread may take to stop; then it ends with the process. A question to brokers that do
/// not answer cannot be broken off.
const STOP_WAIT_MAX: Duration = Duration::from_secs(2);

/// What says that somebody writes from there on.
const WRITER_OPENED: &str = "rollout.ledger.writer_opened.v1";

/// By which way the log is read.
pub(super) enum Way {
    /// One that is open already, and as far as the heads that were told.
    Open(Arc<TopicLog>),
    /// A new one, from what is kept in the directory.
    Again(Home, Again),
}

/// How a server that was the writer goes on.
#[derive(Clone, Copy)]
pub(super) struct Again {
    /// It has read the log until here.
    pub from: Seq,
    /// It took itself for the writer until now. If another one has opened the log from here on, it
    /// was taken over unasked, and is not to go on.
    pub had_it: bool,
}

/// A thread that follows the log.
pub(super) struct Follow {
    stop: Arc<AtomicBool>,
    ended: oneshot::Receiver<anyhow::Result<()>>,
    caught_up: watch::Receiver<bool>,
}

struct Following {
    means: Weak<Means>,
    log: Arc<Turned>,
    station: Arc<Station>,
    stop: Arc<AtomicBool>,
    caught_up: watch::Sender<bool>,
    /// Kept on disk, so that taking over does not wait until all ids were read.
    ids: Option<Index>,
}

impl Follow {
    pub(super) fn start(
        way: Way,
        means: &Arc<Means>,
        log: &Arc<Turned>,
        station: &Arc<Station>,
        stands_by: bool,
    ) -> anyhow::Result<Follow> {
        let stop = Arc::new(AtomicBool::new(false));
        let (publish, caught_up) = watch::channel(false);
        let mut following = Following {
            // The thread may outlive a stop that cannot wait, and what followers wait for must not.
            means: Arc::downgrade(means),
            log: log.clone(),
            station: station.clone(),
            stop: stop.clone(),
            caught_up: publish,
            ids: stands_by.then(|| Index::in_dir(means.home.ids())),
        };
        let (end, ended) = oneshot::channel();
        thread::Builder::new().name("follow".to_owned()).spawn(move || {
            let _ = end.send(following.run(way));
        })?;
        Ok(Follow { stop, ended, caught_up })
    }

    /// Why it ended by itself.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.ended).await {
            Ok(Err(e)) => e,
            _ => anyhow::anyhow!("following the log stopped"),
        }
    }

    /// Waits until everything has been read that was there at some moment since the start.
    pub(super) fn caught_up(&self) -> impl Future<Output = ()> + use<> {
        let mut caught_up = self.caught_up.clone();
        async move {
            if caught_up.wait_for(|is| *is).await.is_err() {
                // Why it ended is told elsewhere.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Stops, as far as that can be waited for.
    pub(super) async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = tokio::time::timeout(STOP_WAIT_MAX, &mut self.ended).await;
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Following {
    fn run(&mut self, way: Way) -> anyhow::Result<()> {
        let (log, mut written) = match way {
            Way::Open(log) => (log, None),
            Way::Again(home, Again { from, had_it }) => match self.reopened(&home, from)? {
                Some(log) => (log, had_it.then_some(from)),
                None => return Ok(()),
            },
        };
        let mut asked: Option<Instant> = None;
        while !self.is_stopped() {
            let before = log.head().next;
            let ask = asked.is_none_or(|asked| asked.elapsed() >= ASK_PERIOD);
            match log.advance(FOLLOW_LEN, !ask) {
                Ok(head) => {
                    if let Some(from) = written {
                        check_not_taken_over(&*log, from, head)?;
                        // Whoever opens it after this has read it to its end takes over a free place.
                        let caught_up = ask && head.next.0 < before.0 + FOLLOW_LEN as u64;
                        written = (!caught_up).then_some(head.next);
                    }
                    let read = head.next.0.saturating_sub(before.0);
                    if ask {
                        asked = Some(Instant::now());
                        self.tell_lag(&log, read)?;
                    }
                    if !self.publish(head) {
                        break;
                    }
                    self.note_ids(&*log);
                }
                Err(e) => self.endure(e)?,
            }
        }
        log.keep();
        Ok(())
    }

    /// The index is derived from the log: without it the next writer reads more.
    fn note_ids(&mut self, log: &dyn Log) {
        // Whoever stopped this may be opening the index by now.
        if self.is_stopped() {
            return;
        }
        let Some(ids) = &mut self.ids else { return };
        if let Err(e) = ids.follow(log, IDS_LEN) {
            tracing::warn!(error = %e, "the index of ids is not kept up; taking over will take longer");
            self.ids = None;
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether there is still anybody to tell.
    fn publish(&self, head: Head) -> bool {
        let Some(means) = self.means.upgrade() else { return false };
        means.place.publish(head);
        true
    }

    /// All that was decided has been read, unless the page was full.
    fn tell_lag(&self, log: &TopicLog, read: u64) -> anyhow::Result<()> {
        if read < FOLLOW_LEN as u64 {
            self.station.heard(0);
            self.caught_up.send_replace(true);
            return Ok(());
        }
        match log.last_stable_offset() {
            Ok(end) => {
                let next = log.anchor().map_or(0, |anchor| anchor.offset + 1);
                self.station.heard(u64::try_from(end - next).unwrap_or(0));
                Ok(())
            }
            Err(e) => self.endure(e),
        }
    }

    /// What brokers cannot answer now they may later; anything else is for a person.
    fn endure(&self, e: LogError) -> anyhow::Result<()> {
        let LogError::Unavailable { doing, source } = e else { return Err(e.into()) };
        tracing::warn!(doing, error = %source, "the log cannot be followed now; trying again");
        self.rest();
        Ok(())
    }

    fn rest(&self) {
        let until = Instant::now() + RETRY_WAIT;
        while !self.is_stopped() && Instant::now() < until {
            thread::sleep(LOOK_PERIOD);
        }
    }

    /// A new way to the log, once it is as far as what was told. The old one is read until then.
    fn reopened(&self, home: &Home, until: Seq) -> anyhow::Result<Option<Arc<TopicLog>>> {
        while !self.is_stopped() {
            let found = logs::follow(home).and_then(|log| {
                while log.head().next < until && !self.is_stopped() {
                    let before = log.head().next;
                    if log.advance(FOLLOW_LEN, false)?.next == before {
                        // Read back before, and not there now: its anchor would have told damage.
                        anyhow::bail!("the log does not hold entry {until} again yet");
                    }
                }
                Ok(log)
            });
            match found {
                Ok(log) if log.head().next >= until => {
                    self.log.turn_to(log.clone());
                    return Ok(Some(log));
                }
                Ok(_) => {}
                Err(e) if is_damage(&e) => return Err(e),
                Err(e) => {
                    let error = format!("{e:#}");
                    tracing::warn!(error, "the log cannot be followed now; trying again");
                    self.rest();
                }
            }
        }
        Ok(None)
    }
}

fn is_damage(e: &anyhow::Error) -> bool {
    let mut causes = e.chain().filter_map(|cause| cause.downcast_ref::<LogError>());
    causes.any(|e| matches!(e, LogError::Corrupt(_) | LogError::Missing(_)))
}

/// A server that wrote the log and did not hear that another one has opened it since is not to write
/// it again.
fn check_not_taken_over(log: &dyn Log, from: Seq, head: Head) -> anyhow::Result<()> {
    let mut next = from;
    while next < head.next {
        let page = log.read(next, FOLLOW_LEN.min(head.len_from(next)))?;
        let opened = page.iter().any(|entry| {
            let envelope = entry.payload().and_then(|payload| Envelope::read(payload).ok());
            envelope.is_some_and(|envelope| envelope.event_type() == WRITER_OPENED)
        });
        if opened {
            return Err(LogError::Fenced.into());
        }
        let Some(last) = page.last() else { break };
        next = last.seq().next();
    }
    Ok(())
}
