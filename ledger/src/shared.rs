//! A writer that many threads use, without a thread of its own.
//!
//! Whoever finds the writer free commits for all that wait, hands the writer to the one that has
//! waited longest, and only then wakes the others: so the disk is busy while they are answered. A
//! lone caller commits by itself, and pays for no other thread.

use std::sync::{PoisonError, TryLockError};

use crate::{
    draft::Submission,
    follower::Follower,
    queue::{Queue, Refused, Reply, Taken},
    sync::{Arc, Condvar, Mutex, lock},
    writer::{InDoubt, Outcome, Writer},
};

/// A [`Writer`] behind a [`Queue`], for plain threads. Share it behind an `Arc`.
pub struct SharedWriter {
    queue: Queue<Seat>,
    writer: Mutex<Writer>,
    now_us: Box<dyn Fn() -> u64 + Send + Sync>,
    follower: Follower,
    /// Why a commit failed, until a caller is told. Whoever made that commit need not be one of
    /// those that it failed for.
    cause: Mutex<Option<InDoubt>>,
}

/// Why a submission has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Nothing of it is recorded.
    #[error(transparent)]
    Refused(Refused),
    /// Start again, and record it again.
    #[error(transparent)]
    InDoubt(#[from] InDoubt),
}

impl SharedWriter {
    /// Shares a writer, before which so many submissions may wait. `now_us` gives the Unix
    /// microseconds that each commit is stamped with.
    pub fn new(
        writer: Writer,
        len_max: usize,
        now_us: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> SharedWriter {
        let follower = writer.follow();
        let (queue, writer) = (Queue::new(len_max), Mutex::new(writer));
        SharedWriter { queue, writer, now_us: Box::new(now_us), follower, cause: Mutex::new(None) }
    }

    /// Records a submission, whole or not at all. Once this returns, it is durable.
    ///
    /// # Errors
    /// When too much waits, the writer was closed, or a commit failed: then every caller is told so,
    /// those that wait as those that come later, one of them why, and only opening the log again
    /// helps.
    pub fn record(&self, submission: Submission) -> Result<Outcome, RecordError> {
        let seat = Seat::default();
        self.queue.submit(submission, seat.clone()).map_err(|refused| match refused {
            Refused::InDoubt => self.in_doubt().into(),
            Refused::Busy | Refused::Closed => RecordError::Refused(refused),
        })?;
        loop {
            // Whoever leads after a failure fails too, and knows nothing new.
            if let Err(failed @ InDoubt(Some(_))) = self.lead_if_free() {
                *lock(&self.cause) = Some(failed);
            }
            match seat.wait() {
                None => {}
                Some(Ok(outcome)) => return Ok(outcome),
                Some(Err(InDoubt(_))) => return Err(self.in_doubt().into()),
            }
        }
    }

    /// What a caller is told after a failure: the first of them why.
    fn in_doubt(&self) -> InDoubt {
        lock(&self.cause).take().unwrap_or(InDoubt(None))
    }

    /// Takes no more submissions. Those that wait are still recorded.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Gives the writer back. Whoever records holds a reference, so nothing waits any more.
    pub fn into_writer(self) -> Writer {
        self.writer.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees every durable head.
    pub fn follow(&self) -> Follower {
        self.follower.clone()
    }

    /// One commit for all that wait, unless another thread is at it.
    fn lead_if_free(&self) -> Result<(), InDoubt> {
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        let mut taken = self.queue.try_take();
        let submissions = taken.as_mut().map(Taken::submissions).unwrap_or_default();
        // An error drops what was taken, which tells all of them, and all that wait.
        let outcomes = writer.commit(submissions, (self.now_us)())?;
        // Whoever submits from here on finds the writer free, and whoever did before is found here:
        // nobody is forgotten between the two.
        drop(writer);
        self.queue.with_first(Seat::lead);
        if let Some(taken) = taken {
            taken.answer(outcomes);
        }
        Ok(())
    }
}

/// Where one caller waits.
#[derive(Clone, Debug, Default)]
struct Seat(Arc<(Mutex<Call>, Condvar)>);

#[derive(Debug, Default)]
enum Call {
    #[default]
    Wait,
    /// The writer is free, or soon was taken by another.
    Lead,
    Answer(Result<Outcome, InDoubt>),
}

impl Seat {
    /// The answer, or `None` to look whether the writer is free.
    fn wait(&self) -> Option<Result<Outcome, InDoubt>> {
        let (call, called) = &*self.0;
        let mut call = lock(call);
        loop {
            match std::mem::take(&mut *call) {
                Call::Wait => call = called.wait(call).unwrap_or_else(PoisonError::into_inner),
                Call::Lead => return None,
                Call::Answer(answer) => return Some(answer),
            }
        }
    }

    fn lead(&self) {
        // It waits in the queue still, so it has no answer that this could overwrite.
        *lock(&self.0.0) = Call::Lead;
        self.0.1.notify_one();
    }
}

impl Reply for Seat {
    fn answer(self, answer: Result<Outcome, InDoubt>) {
        *lock(&self.0.0) = Call::Answer(answer);
        self.0.1.notify_one();
    }
}
