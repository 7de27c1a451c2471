//! The writer's thread, and how tasks hand it what is to be recorded.
//!
//! Tasks add submissions to [`ledger::Queue`]; the thread commits what has gathered, so load makes
//! commits larger and not slower. A full queue answers `Busy` at once.

use std::{sync::Arc, thread, time::Instant};

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
}

/// Hands submissions to the writer's thread.
#[derive(Clone)]
pub struct Intake {
    queue: Arc<Closing>,
    head: watch::Receiver<Head>,
    space: Arc<Space>,
}

/// Closes the queue when the last [`Intake`] is gone.
struct Closing(Arc<Queue<Answer>>);

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

/// Starts the writer's thread.
pub fn start(mut engine: Engine, metrics: Arc<Metrics>) -> anyhow::Result<(Intake, WriterThread)> {
    let queue = Arc::new(Queue::new(QUEUE_LEN_MAX));
    let (publish, head) = watch::channel(engine.writer.head());
    engine.writer.on_publish(move |head| {
        publish.send_replace(head);
    });
    let space = engine.space.clone();
    let (end, ended) = oneshot::channel();
    let gathered = queue.clone();
    let thread = thread::Builder::new().name("writer".to_owned()).spawn(move || {
        let result = run(engine, &gathered, &metrics);
        let _ = end.send(());
        result
    })?;
    let intake = Intake { queue: Arc::new(Closing(queue.clone())), head, space };
    Ok((intake, WriterThread { thread: Some(thread), queue, ended }))
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
        self.space.admits(submission.size() as u64)?;
        let (answer, outcome) = oneshot::channel();
        self.queue.0.submit(submission, Answer(answer)).map_err(|refused| match refused {
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
        self.queue.0.close();
    }

    /// Room on the log's disk.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Whether the writer's thread still takes submissions.
    pub fn is_open(&self) -> bool {
        self.queue.0.is_open()
    }

    /// How many submissions wait for the writer.
    pub fn waiting(&self) -> usize {
        self.queue.0.waiting()
    }

    /// The durable head, as followers see it.
    pub fn heads(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
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
