//! The writer's thread and its mailbox.
//!
//! The thread takes what has gathered and records it in one commit, so load makes commits larger
//! and not slower: that is the whole of our group commit. A full mailbox answers `Busy` at once.

use std::{sync::Arc, thread, time::Instant};

use ledger::{BATCH_LEN_MAX, BATCH_SIZE_MAX, Head, Outcome, Submission};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    engine::Engine,
    metrics::{Committing, Metrics},
};

/// Submissions that may wait for the writer. Full means 503 with `Retry-After`.
pub const QUEUE_LEN_MAX: usize = 4_096;

/// Why a submission has no receipt.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Wait and send again.
    #[error("too much is waiting to be recorded; send it again in a moment")]
    Busy,
    /// Send again once the server is back: the same events are recorded once.
    #[error("it is not known whether this was recorded; send it again")]
    InDoubt,
}

/// Hands submissions to the writer's thread.
#[derive(Clone)]
pub struct Intake {
    requests: mpsc::Sender<Request>,
    head: watch::Receiver<Head>,
}

enum Request {
    Record(Submission, oneshot::Sender<Outcome>),
    /// Record what was accepted before, and end.
    Stop,
}

/// The writer's thread, which ends with the last [`Intake`] or when it is told to.
pub struct WriterThread {
    thread: thread::JoinHandle<anyhow::Result<Engine>>,
    /// Fires when the thread ends, whatever the reason.
    pub ended: oneshot::Receiver<()>,
}

/// Starts the writer's thread.
pub fn start(mut engine: Engine, metrics: Arc<Metrics>) -> anyhow::Result<(Intake, WriterThread)> {
    let (requests, mailbox) = mpsc::channel(QUEUE_LEN_MAX);
    let (publish, head) = watch::channel(engine.writer.head());
    engine.writer.on_publish(move |head| {
        publish.send_replace(head);
    });
    let (end, ended) = oneshot::channel();
    let thread = thread::Builder::new().name("writer".to_owned()).spawn(move || {
        let result = run(engine, mailbox, &metrics);
        let _ = end.send(());
        result
    })?;
    Ok((Intake { requests, head }, WriterThread { thread, ended }))
}

fn run(
    mut engine: Engine,
    mut mailbox: mpsc::Receiver<Request>,
    metrics: &Metrics,
) -> anyhow::Result<Engine> {
    let mut waiting = None;
    while let Some(first) = waiting.take().or_else(|| mailbox.blocking_recv()) {
        let (mut submissions, mut answers) = (Vec::new(), Vec::new());
        let (mut len, mut size) = (0, 0);
        let mut next = Some(first);
        while let Some(request) = next {
            let Request::Record(submission, answer) = request else {
                // Nothing more comes in, and what is in the mailbox is still taken out.
                mailbox.close();
                next = mailbox.try_recv().ok();
                continue;
            };
            len += submission.drafts().len();
            size += submission.size();
            if !submissions.is_empty() && (len > BATCH_LEN_MAX || size > BATCH_SIZE_MAX) {
                waiting = Some(Request::Record(submission, answer));
                break;
            }
            submissions.push(submission);
            answers.push(answer);
            next = mailbox.try_recv().ok();
        }
        if submissions.is_empty() {
            continue;
        }
        let now = engine.clock.now_us()?;
        let (committing, begun) = (Committing::of(&submissions), Instant::now());
        // On an error every answer is dropped, which its sender reads as `InDoubt`.
        let outcomes = engine.writer.commit(submissions, now)?;
        metrics.committed(&committing.done(&outcomes), begun.elapsed());
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // A sender that went away does not undo what is recorded.
            let _ = answer.send(outcome);
        }
    }
    engine.log.close()?;
    Ok(engine)
}

impl Intake {
    /// Records a submission, whole or not at all. Once this returns, it is durable.
    pub async fn record(&self, submission: Submission) -> Result<Outcome, IngestError> {
        let (answer, outcome) = oneshot::channel();
        self.requests.try_send(Request::Record(submission, answer)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => IngestError::Busy,
            mpsc::error::TrySendError::Closed(_) => IngestError::InDoubt,
        })?;
        outcome.await.map_err(|_| IngestError::InDoubt)
    }

    /// Has the writer's thread record what it has accepted, and end. From then on nothing is taken.
    pub async fn stop(&self) {
        // A thread that has ended needs no telling.
        let _ = self.requests.send(Request::Stop).await;
    }

    /// Whether the writer's thread still takes submissions.
    pub fn is_open(&self) -> bool {
        !self.requests.is_closed()
    }

    /// How many submissions wait for the writer.
    pub fn waiting(&self) -> usize {
        self.requests.max_capacity() - self.requests.capacity()
    }

    /// The durable head, as followers see it.
    pub fn heads(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }
}

impl WriterThread {
    /// Waits for the thread and says why it ended. Blocks: call it where blocking is allowed.
    pub fn join(self) -> anyhow::Result<()> {
        match self.thread.join() {
            Ok(result) => result.map(drop),
            Err(_) => Err(anyhow::anyhow!("the writer's thread panicked")),
        }
    }
}
