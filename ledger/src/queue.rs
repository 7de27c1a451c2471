//! Submissions of many threads and tasks, gathered into commits.
//!
//! Anyone submits; the one that runs the [`Writer`](crate::Writer) takes all that has gathered, as
//! far as one commit can hold it, commits once and answers each. So commits grow with the load, and
//! a lone caller never waits for others. Whoever submits is answered exactly once: with what became
//! of it, or that it is in doubt; a submission that is not taken is refused at once.

use std::{collections::VecDeque, sync::PoisonError};

use crate::{
    draft::{BATCH_LEN_MAX, BATCH_SIZE_MAX, Submission},
    sync::{Condvar, Mutex, MutexGuard, lock},
    writer::{InDoubt, Outcome},
};

/// Where the answer to a submission goes. It is given on the writer's thread, so it must be short:
/// set a value, wake a task.
pub trait Reply: Send {
    /// What became of the submission. An `Err` means that it may be recorded or not.
    fn answer(self, answer: Result<Outcome, InDoubt>);
}

impl<F: FnOnce(Result<Outcome, InDoubt>) + Send> Reply for F {
    fn answer(self, answer: Result<Outcome, InDoubt>) {
        self(answer);
    }
}

/// Why a submission was not taken. Its reply is dropped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing of it is recorded: wait and submit it again.
    #[error("too much is waiting to be recorded; send it again in a moment")]
    Busy,
    /// Nothing of it is recorded, nor will be here: the queue was closed.
    #[error("nothing is recorded any more")]
    Closed,
    /// Nothing more is recorded since a commit failed: start again, and submit it again.
    #[error("recording has stopped, because it is not known whether the last events are stored")]
    InDoubt,
}

/// A bounded queue before the one writer. Share it behind an `Arc`.
#[derive(Debug)]
pub struct Queue<R: Reply> {
    state: Mutex<State<R>>,
    /// Something was submitted, or the queue was closed.
    gathered: Condvar,
    len_max: usize,
}

#[derive(Debug)]
struct State<R> {
    waiting: VecDeque<(Submission, R)>,
    /// The one that commits waits for something to commit, and must be woken.
    idle: bool,
    open: Result<(), Refused>,
}

impl<R: Reply> Queue<R> {
    /// A queue in which so many submissions may wait.
    pub fn new(len_max: usize) -> Queue<R> {
        let state = State { waiting: VecDeque::new(), idle: false, open: Ok(()) };
        Queue { state: Mutex::new(state), gathered: Condvar::new(), len_max }
    }

    /// Adds a submission, whose reply is given once it is durable. It never waits.
    ///
    /// # Errors
    /// When the queue is full or closed; then nothing is recorded of it.
    pub fn submit(&self, submission: Submission, reply: R) -> Result<(), Refused> {
        let mut state = lock(&self.state);
        state.open?;
        if state.waiting.len() >= self.len_max {
            return Err(Refused::Busy);
        }
        state.waiting.push_back((submission, reply));
        // Only whoever sleeps is woken: a system call for each submission would be most of its cost.
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.gathered.notify_one();
        }
        Ok(())
    }

    /// Commits what gathers until the queue is closed, and then what was taken before. One thread
    /// calls this, with what commits submissions and gives an outcome for each.
    ///
    /// # Errors
    /// The first error of a commit. All that wait, and those of that commit, are told that they are
    /// in doubt, and nothing is taken any more: after a failed sync nothing is tried again.
    pub fn run<E>(
        &self,
        mut commit: impl FnMut(Vec<Submission>) -> Result<Vec<Outcome>, E>,
    ) -> Result<(), E> {
        while let Some(mut taken) = self.wait_and_take() {
            let outcomes = commit(taken.submissions())?;
            taken.answer(outcomes);
        }
        Ok(())
    }

    /// Takes no more submissions. Those that wait are still committed.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.open = state.open.and(Err(Refused::Closed));
        drop(state);
        self.gathered.notify_all();
    }

    /// Whether submissions are taken.
    pub fn is_open(&self) -> bool {
        lock(&self.state).open.is_ok()
    }

    /// How many submissions wait.
    pub fn waiting(&self) -> usize {
        lock(&self.state).waiting.len()
    }

    /// What has gathered, once there is something. `None`: closed, and nothing is left.
    fn wait_and_take(&self) -> Option<Taken<'_, R>> {
        let mut state = lock(&self.state);
        while state.waiting.is_empty() {
            if state.open.is_err() {
                return None;
            }
            state.idle = true;
            state = self.gathered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        Some(self.take(state))
    }

    /// What has gathered, if anything has.
    pub(crate) fn try_take(&self) -> Option<Taken<'_, R>> {
        let state = lock(&self.state);
        (!state.waiting.is_empty()).then(|| self.take(state))
    }

    /// Has the reply that has waited longest looked at, if there is one.
    pub(crate) fn with_first(&self, look: impl FnOnce(&R)) {
        if let Some((_, reply)) = lock(&self.state).waiting.front() {
            look(reply);
        }
    }

    /// The first submissions, as many as one commit can hold: at least one.
    fn take(&self, mut state: MutexGuard<'_, State<R>>) -> Taken<'_, R> {
        let (mut len, mut size, mut fit) = (0, 0, 0);
        for (submission, _) in &state.waiting {
            len += submission.drafts().len();
            size += submission.size();
            if fit > 0 && (len > BATCH_LEN_MAX || size > BATCH_SIZE_MAX) {
                break;
            }
            fit += 1;
        }
        let (submissions, replies) = state.waiting.drain(..fit).unzip();
        Taken { queue: self, submissions, replies }
    }

    /// Ends it all: a commit failed, and nobody knows what is stored.
    fn poison(&self) {
        let mut state = lock(&self.state);
        state.open = Err(Refused::InDoubt);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.gathered.notify_all();
        for (_, reply) in waiting {
            reply.answer(Err(InDoubt(None)));
        }
    }
}

/// Submissions that were taken to be committed. Dropped before they are answered, by an error or a
/// panic, they are in doubt, and so is all that waits behind them.
pub(crate) struct Taken<'a, R: Reply> {
    queue: &'a Queue<R>,
    submissions: Vec<Submission>,
    replies: Vec<R>,
}

impl<R: Reply> Taken<'_, R> {
    /// The submissions, once.
    pub(crate) fn submissions(&mut self) -> Vec<Submission> {
        std::mem::take(&mut self.submissions)
    }

    /// Gives each its outcome.
    pub(crate) fn answer(mut self, outcomes: Vec<Outcome>) {
        assert_eq!(outcomes.len(), self.replies.len(), "each submission has one outcome");
        for (reply, outcome) in self.replies.drain(..).zip(outcomes) {
            reply.answer(Ok(outcome));
        }
    }
}

impl<R: Reply> Drop for Taken<'_, R> {
    fn drop(&mut self) {
        if self.replies.is_empty() {
            return;
        }
        for reply in self.replies.drain(..) {
            reply.answer(Err(InDoubt(None)));
        }
        self.queue.poison();
    }
}
