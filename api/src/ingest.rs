//! The writer's thread, and how tasks hand it what is to be recorded.
//!
//! Tasks add submissions to [`ledger::Queue`]; the thread commits what has gathered, so load makes
//! commits larger and not slower. A full queue answers `Busy` at once.
//!
//! Of several servers on one log one holds the writer. So the queue stands in a [`Place`], which is
//! taken when a server becomes the writer and left when it is one no more; an [`Intake`] in between
//! answers [`IngestError::NoWriter`].

use std::{
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
    time::Instant,
};

use ledger::{Head, InDoubt, Outcome, Queue, Refused, Reply, Submission};
use tokio::sync::{oneshot, watch};

use crate::{
    engine::Engine,
    metrics::{Committing, Metrics},
    space::{Space, SpaceLow},
};

/// Submissions that may wait for the writer. Full means 503 with `Retry-After`.
pub const QUEUE_LEN_MAX: usize = 4_096;

/// Why a submission has no receipt.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Wait and send again.
    #[error("too much is waiting to be recorded; send it again in a moment")]
    Busy,
    /// Make room, then send again.
    #[error(transparent)]
    SpaceLow(#[from] SpaceLow),
    /// Send again once the server is back: the same events are recorded once.
    #[error("it is not known whether this was recorded; send it again")]
    InDoubt,
    /// Send it to the writer, or here again in a moment.
    #[error("this server is not the writer; nothing of it was recorded, send it again in a moment")]
    NoWriter,
}

/// Hands submissions to the writer's thread, while there is one here.
#[derive(Clone)]
pub struct Intake {
    seat: Arc<Seat>,
    head: watch::Receiver<Head>,
    space: Arc<Space>,
}

/// Where the writer of this server stands, and what it publishes its heads to.
///
/// Followers of the head end when the place and the writer in it are gone.
pub struct Place {
    intake: Intake,
    heads: Arc<watch::Sender<Head>>,
}

/// The writer's queue, if there is a writer here. It closes when the last [`Intake`] is gone.
struct Seat(RwLock<Option<Arc<Queue<Answer>>>>);

/// Wakes the task that waits.
struct Answer(oneshot::Sender<Result<Outcome, InDoubt>>);

/// The writer's thread, which ends with the last [`Intake`] or when it is told to.
///
/// Whoever drops it without [`WriterThread::join`] waits all the same: a process that ended while the
/// log is being closed would leave half of a file behind.
pub struct WriterThread {
    thread: Option<thread::JoinHandle<anyhow::Result<Engine>>>,
    queue: Arc<Queue<Answer>>,
    /// Fires when the thread ends, whatever the reason.
    pub ended: oneshot::Receiver<()>,
}

/// Starts the writer's thread of a server that is the writer for as long as it runs.
pub fn start(engine: Engine, metrics: Arc<Metrics>) -> anyhow::Result<(Intake, WriterThread)> {
    let place = Place::vacant(engine.writer.head(), engine.space.clone());
    let writer = place.take(engine, metrics)?;
    Ok((place.intake, writer))
}

impl Place {
    /// A place without a writer, in a log that ends so far.
    pub fn vacant(head: Head, space: Arc<Space>) -> Place {
        let (heads, head) = watch::channel(head);
        let intake = Intake { seat: Arc::new(Seat(RwLock::default())), head, space };
        Place { intake, heads: Arc::new(heads) }
    }

    /// Hands submissions to whoever has the place.
    pub fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// Tells followers how far the log is that somebody else writes.
    pub fn publish(&self, head: Head) {
        self.heads.send_if_modified(|known| {
            let moved = *known != head;
            *known = head;
            moved
        });
    }

    /// Starts the writer's thread, which publishes its own heads. Submissions are taken at once.
    pub fn take(&self, mut engine: Engine, metrics: Arc<Metrics>) -> anyhow::Result<WriterThread> {
        let queue = Arc::new(Queue::new(QUEUE_LEN_MAX));
        self.publish(engine.writer.head());
        let publish = self.heads.clone();
        engine.writer.on_publish(move |head| {
            publish.send_replace(head);
        });
        let (end, ended) = oneshot::channel();
        let gathered = queue.clone();
        let thread = thread::Builder::new().name("writer".to_owned()).spawn(move || {
            let result = run(engine, &gathered, &metrics);
            let _ = end.send(());
            result
        })?;
        *self.intake.seat.write() = Some(queue.clone());
        Ok(WriterThread { thread: Some(thread), queue, ended })
    }

    /// Takes nothing more. The writer's thread records what it has accepted, and ends.
    pub fn leave(&self) {
        if let Some(queue) = self.intake.seat.write().take() {
            queue.close();
        }
    }
}

fn run(mut engine: Engine, queue: &Queue<Answer>, metrics: &Metrics) -> anyhow::Result<Engine> {
    queue.run(|submissions| {
        let now = engine.clock.now_us()?;
        let (committing, begun) = (Committing::of(&submissions), Instant::now());
        let outcomes = engine.writer.commit(submissions, now)?;
        metrics.committed(&committing.done(&outcomes), begun.elapsed());
        anyhow::Ok(outcomes)
    })?;
    engine.log.close()?;
    Ok(engine)
}

impl Intake {
    /// Records a submission, whole or not at all. Once this returns, it is durable.
    pub async fn record(&self, submission: Submission) -> Result<Outcome, IngestError> {
        let queue = self.queue().ok_or(IngestError::NoWriter)?;
        self.space.admits(submission.size() as u64)?;
        let (answer, outcome) = oneshot::channel();
        queue.submit(submission, Answer(answer)).map_err(|refused| match refused {
            Refused::Busy => IngestError::Busy,
            // Whoever sends it again after the restart has it recorded once, whatever happened.
            Refused::Closed | Refused::InDoubt => IngestError::InDoubt,
        })?;
        match outcome.await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(InDoubt(_))) | Err(_) => Err(IngestError::InDoubt),
        }
    }

    /// Has the writer's thread record what it has accepted, and end. From now on nothing is taken.
    pub fn stop(&self) {
        if let Some(queue) = self.queue() {
            queue.close();
        }
    }

    /// Room on the log's disk.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Whether the writer's thread is here and still takes submissions.
    pub fn is_open(&self) -> bool {
        self.queue().is_some_and(|queue| queue.is_open())
    }

    /// How many submissions wait for the writer.
    pub fn waiting(&self) -> usize {
        self.queue().map_or(0, |queue| queue.waiting())
    }

    fn queue(&self) -> Option<Arc<Queue<Answer>>> {
        self.seat.read().clone()
    }

    /// The durable head, as followers see it.
    pub fn heads(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }
}

impl Seat {
    fn read(&self) -> RwLockReadGuard<'_, Option<Arc<Queue<Answer>>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Arc<Queue<Answer>>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(queue) = self.read().as_ref() {
            queue.close();
        }
    }
}

impl Reply for Answer {
    fn answer(self, answer: Result<Outcome, InDoubt>) {
        // A sender that went away does not undo what is recorded.
        let _ = self.0.send(answer);
    }
}

impl WriterThread {
    /// Waits for the thread and says why it ended. Blocks: call it where blocking is allowed.
    pub fn join(mut self) -> anyhow::Result<()> {
        match self.thread.take().map(thread::JoinHandle::join) {
            Some(Ok(result)) => result.map(drop),
            Some(Err(_)) => Err(anyhow::anyhow!("the writer's thread panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.queue.close();
            // Whoever drops it has an error already, which is the one to be told.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, engine};

    /// A service whose views cannot be opened ends before it serves, and must end as cleanly.
    #[test]
    fn a_writer_that_is_dropped_has_closed_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let (home, _) = engine::init(&dir.path().join("ledger"), None).unwrap();
        let mut engine = Engine::open(&home).unwrap();
        engine.append_own("rollout.ledger.writer_opened.v1", "w", writer_opened()).unwrap();
        let head = home.log().join("head");
        let before = std::fs::read_to_string(&head).unwrap();
        assert!(before.starts_with("0 "), "only closing writes it: {before}");
        let metrics = Arc::new(Metrics::new("test", clock::wall_us()));
        let (intake, writer) = start(engine, metrics).unwrap();
        let hash = intake.heads().borrow().hash;
        drop(writer);
        assert_eq!(std::fs::read_to_string(head).unwrap(), format!("1 {hash}\n"));
        assert!(!home.log().join("head.tmp").exists());
        Engine::open(&home).unwrap();
    }

    fn writer_opened() -> serde_json::Value {
        serde_json::json!({ "version": "test", "host_id": "h", "basis": "observed" })
    }
}
