//! The only code that makes the chain longer.
//!
//! Many submissions go into one commit, so load makes commits larger and not slower. Each is
//! recorded whole or not at all, and an event that is recorded already gets its first receipt.

mod erased;
mod find;

use std::{collections::HashMap, hash::BuildHasherDefault, sync::Arc};

use crate::{
    chain::Head,
    draft::{BATCH_LEN_MAX, BATCH_SIZE_MAX, Draft, Key, Submission},
    entry::{Entry, Hash, Seq},
    envelope::{Envelope, Mark, Redaction, same_event},
    follower::Follower,
    index::{Index, IndexWatch, KeyHasher, redacted_key},
    log::{Log, LogError},
    writer::erased::Erased,
};

/// The one writer of a log.
pub struct Writer {
    log: Arc<dyn Log>,
    index: Index,
    erased: Erased,
    /// The last head known to be durable, as followers see it. Only `store` moves it.
    published: Follower,
    on_publish: Option<Box<dyn Fn(Head) + Send>>,
    /// Set once an append has failed: `published` may then be behind the log, so extending it could
    /// fork the chain. [`Writer::open`] starts again from what is stored.
    in_doubt: bool,
}

/// Proof that an event is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its place in the chain.
    pub seq: Seq,
    /// The hash that names it and all before it.
    pub hash: Hash,
    /// When it was recorded, in Unix microseconds.
    pub recorded_at_us: u64,
    /// It had been recorded already, or stood twice in what was submitted.
    pub duplicate: bool,
    /// Its payload has been erased since. Nothing is stored again.
    pub redacted: bool,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All its events are recorded and durable: a receipt for each, in order.
    Recorded(Vec<Receipt>),
    /// Nothing of it is recorded, because one id already belongs to another event.
    Conflict {
        /// Which of the drafts, from 0.
        index: usize,
        /// The other event's place; `None` if it is an earlier draft of the same submission.
        seq: Option<Seq>,
    },
}

/// What was submitted may be recorded or not: open the writer again, and submit it again.
#[derive(Debug, thiserror::Error)]
#[error("it is not known whether the last events are recorded; start again and send them again")]
pub struct InDoubt(#[source] pub Option<LogError>);

/// Why a redaction was not done.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// Name another target, or none: nothing was recorded.
    #[error("{0}")]
    Refused(&'static str),
    /// This id belongs to another event: nothing was recorded.
    #[error("the redaction's id belongs to another event already")]
    Conflict(Option<Seq>),
    /// Start again.
    #[error(transparent)]
    InDoubt(#[from] InDoubt),
    /// The redaction is recorded, but the payload is still there: opening the log again erases it.
    #[error("the redaction is recorded as entry {}, but the payload is not erased yet", .0.seq)]
    NotErased(Receipt, #[source] LogError),
    /// The redaction is recorded and done as far as this log can: the bytes stay until the ledger moves to its next
    /// log.
    #[error("the redaction is recorded as entry {}; this log cannot let go of what is written", .0.seq)]
    Pending(Receipt),
}

impl Writer {
    /// Takes a log that nobody else writes to, and brings the index to its head.
    pub fn open(log: Arc<dyn Log>, mut index: Index) -> Result<Writer, LogError> {
        index.catch_up(&*log)?;
        let published = Follower::new(log.head());
        Ok(Writer {
            log,
            index,
            erased: Erased::default(),
            published,
            on_publish: None,
            in_doubt: false,
        })
    }

    /// The end of what is recorded and durable.
    pub fn head(&self) -> Head {
        self.published.head()
    }

    /// The entry that holds the event of this source and id, if one does; also one that is erased.
    ///
    /// `Some` is what the log itself says. `None` rests on the index: see section 9 of
    /// `docs/FORMAT.md`.
    pub fn recorded(&mut self, source: &str, id: &str) -> Result<Option<Seq>, LogError> {
        Ok(self.find(source, id)?.map(|entry| entry.seq()))
    }

    /// For a thread that compares the index of ids with the log meanwhile.
    pub fn index_watch(&self) -> IndexWatch {
        self.index.watch()
    }

    /// Sees every head from now on, from any thread.
    pub fn follow(&self) -> Follower {
        self.published.clone()
    }

    /// Has `call` called, on the writer's thread, each time the head has moved. It must be short.
    pub fn on_publish(&mut self, call: impl Fn(Head) + Send + 'static) {
        self.on_publish = Some(Box::new(call));
    }

    /// Records submissions, in order, each whole or not at all, stamped `now_us` (Unix
    /// microseconds). Once this returns, all that is `Recorded` is durable.
    ///
    /// An id that comes twice, also in two submissions of one call, shares one entry. A redaction
    /// is for [`redact`](Writer::redact): here it would be recorded and not done.
    pub fn commit(
        &mut self,
        submissions: Vec<Submission>,
        now_us: u64,
    ) -> Result<Vec<Outcome>, InDoubt> {
        if self.in_doubt {
            return Err(InDoubt(None));
        }
        let mut outcomes = Vec::with_capacity(submissions.len());
        let len = submissions.iter().map(|submission| submission.drafts().len()).sum();
        let mut batch = Batch::after(self.head(), len);
        for submission in submissions {
            if !batch.has_room(&submission) {
                self.store(&mut batch)?;
            }
            // A read that fails here leaves nothing in doubt but what this call has stored before.
            let outcome = self.stage(&mut batch, submission, now_us).map_err(|e| self.stop(e))?;
            outcomes.push(outcome);
        }
        self.store(&mut batch)?;
        Ok(outcomes)
    }

    /// Records a `rollout.event.redacted.v1` and then erases its target's payload.
    pub fn redact(&mut self, draft: Draft, now_us: u64) -> Result<Receipt, RedactError> {
        let Mark::Redacted(redaction) = draft.mark() else {
            return Err(RedactError::Refused("the event is no redaction"));
        };
        let target = redaction.target;
        self.check_target(&redaction.clone(), draft.key())?;
        let receipt = match self.commit(vec![draft.into()], now_us)?.pop() {
            Some(Outcome::Recorded(receipts)) => receipts.first().copied(),
            Some(Outcome::Conflict { seq, .. }) => return Err(RedactError::Conflict(seq)),
            None => None,
        };
        let receipt = receipt.expect("one submission of one draft has one receipt");
        // A crash before this is done is made up for by opening the log again.
        match self.log.erase(target) {
            Ok(()) => Ok(receipt),
            Err(LogError::ErasurePending(_)) => Err(RedactError::Pending(receipt)),
            Err(e) => Err(RedactError::NotErased(receipt, e)),
        }
    }

    fn check_target(&mut self, redaction: &Redaction, own: Key) -> Result<(), RedactError> {
        let read = self.log.read(redaction.target, 1);
        let found = read.map_err(|e| RedactError::InDoubt(self.stop(e)))?;
        let Some(entry) = found.first().filter(|entry| entry.hash() == redaction.hash) else {
            return Err(RedactError::Refused("there is no entry with the target's seq and hash"));
        };
        let Some(payload) = entry.payload() else {
            // Nothing is left to compare the redaction's source and id with, so only the one that
            // is recorded already may come again.
            let known = self.index.find(own, &*self.log);
            return match known.map_err(|e| RedactError::InDoubt(self.stop(e)))? {
                Some(_) => Ok(()),
                None => Err(RedactError::Refused("the target is redacted already")),
            };
        };
        let Ok(envelope) = Envelope::read(payload) else {
            return Err(RedactError::Refused("the target is no event"));
        };
        if envelope.is_reserved() {
            return Err(RedactError::Refused("what holds the ledger together is never redacted"));
        }
        if envelope.source() != redaction.source || envelope.id() != redaction.id {
            return Err(RedactError::Refused("the target has another source or id"));
        }
        Ok(())
    }

    /// Gives the events of a submission their places, unless one of them conflicts.
    fn stage(
        &mut self,
        batch: &mut Batch,
        submission: Submission,
        now_us: u64,
    ) -> Result<Outcome, LogError> {
        let drafts = submission.drafts();
        let mut plans = Vec::with_capacity(drafts.len());
        let mut own = Keys::default();
        for (index, draft) in drafts.iter().enumerate() {
            let plan = match own.get(&draft.key()).copied() {
                Some(first) if same_as(drafts.get(first), draft) => Plan::Own(first),
                Some(_) => return Ok(Outcome::Conflict { index, seq: None }),
                None => match self.look_up(batch, draft)? {
                    Found::Nothing => Plan::New,
                    Found::Same(receipt) => Plan::Known(receipt),
                    Found::Other(seq) => return Ok(Outcome::Conflict { index, seq: Some(seq) }),
                },
            };
            // Most submissions are of one draft, and need no memory of the others.
            if drafts.len() > 1 {
                own.entry(draft.key()).or_insert(index);
            }
            plans.push(plan);
        }
        let mut receipts: Vec<Receipt> = Vec::with_capacity(plans.len());
        for (plan, draft) in plans.into_iter().zip(submission.into_drafts()) {
            receipts.push(match plan {
                Plan::New => batch.push(draft, now_us),
                Plan::Known(receipt) => receipt,
                Plan::Own(first) => {
                    let first = receipts.get(first).copied();
                    Receipt { duplicate: true, ..first.expect("it stands before this one") }
                }
            });
        }
        Ok(Outcome::Recorded(receipts))
    }

    /// Whether a draft's id is staged or recorded, and by the same event.
    fn look_up(&mut self, batch: &Batch, draft: &Draft) -> Result<Found, LogError> {
        if let Some(entry) = batch.find(draft.key()) {
            return Ok(compare(entry, draft));
        }
        let found = self.find_key(draft.key())?;
        Ok(found.map_or(Found::Nothing, |entry| compare(&entry, draft)))
    }

    /// Stores what is staged as one commit, and starts another.
    fn store(&mut self, batch: &mut Batch) -> Result<(), InDoubt> {
        if batch.entries.is_empty() {
            return Ok(());
        }
        // This is the moment of commitment. If it fails we do not know on which side of the moment
        // we are, so we stop rather than guess.
        self.log.append(&batch.entries).map_err(|e| self.stop(e))?;

        // A crash from here on costs nothing: opening reads the same head back, and the index is
        // derived from the log.
        for (key, seq) in batch.own_keys() {
            self.index.insert(key, seq);
        }
        for (key, seq) in batch.redacted_keys() {
            self.index.insert_redacted(key, seq);
        }
        self.index.advance(batch.head);
        self.published.publish(batch.head);
        if let Some(call) = &self.on_publish {
            call(batch.head);
        }
        *batch = Batch::after(batch.head, 0);
        Ok(())
    }

    fn stop(&mut self, e: LogError) -> InDoubt {
        self.in_doubt = true;
        InDoubt(Some(e))
    }
}

type Keys = HashMap<Key, usize, BuildHasherDefault<KeyHasher>>;

/// Entries that will be one commit.
struct Batch {
    entries: Vec<Entry>,
    /// Which entry has which key.
    keys: Keys,
    /// After the last of them.
    head: Head,
    /// Bytes of all payloads.
    size: usize,
}

impl Batch {
    /// An empty batch with room for `len` entries, or for as many as a commit can have.
    fn after(head: Head, len: usize) -> Batch {
        let len = len.min(BATCH_LEN_MAX);
        let keys = Keys::with_capacity_and_hasher(len, BuildHasherDefault::default());
        Batch { entries: Vec::with_capacity(len), keys, head, size: 0 }
    }

    fn has_room(&self, submission: &Submission) -> bool {
        self.entries.len() + submission.drafts().len() <= BATCH_LEN_MAX
            && self.size + submission.size() <= BATCH_SIZE_MAX
    }

    fn find(&self, key: Key) -> Option<&Entry> {
        self.entries.get(*self.keys.get(&key)?)
    }

    fn push(&mut self, draft: Draft, now_us: u64) -> Receipt {
        self.size += draft.payload().len();
        self.keys.insert(draft.key(), self.entries.len());
        let entry = self.head.seal(draft, now_us);
        self.head = self.head.accept(&entry).expect("a sealed entry follows its head");
        let receipt = receipt(&entry, false);
        self.entries.push(entry);
        receipt
    }

    fn own_keys(&self) -> impl Iterator<Item = (Key, Seq)> {
        let seq = |at: &usize| self.entries.get(*at).map(Entry::seq);
        self.keys.iter().filter_map(move |(key, at)| Some((*key, seq(at)?)))
    }

    fn redacted_keys(&self) -> impl Iterator<Item = (Key, Seq)> {
        self.entries.iter().filter_map(|entry| redacted_key(&entry.mark()))
    }
}

/// What becomes of one draft.
enum Plan {
    New,
    Known(Receipt),
    /// The same as this draft of the same submission.
    Own(usize),
}

/// What is known under a draft's id.
enum Found {
    Nothing,
    Same(Receipt),
    Other(Seq),
}

fn compare(entry: &Entry, draft: &Draft) -> Found {
    let same = match entry.payload() {
        // What was erased cannot be compared, and must not be stored again.
        None => true,
        Some(payload) => payload == draft.payload() || same_event(payload, draft.payload()),
    };
    if same { Found::Same(receipt(entry, true)) } else { Found::Other(entry.seq()) }
}

fn same_as(first: Option<&Draft>, second: &Draft) -> bool {
    first.is_some_and(|first| same_event(first.payload(), second.payload()))
}

fn receipt(entry: &Entry, duplicate: bool) -> Receipt {
    Receipt {
        seq: entry.seq(),
        hash: entry.hash(),
        recorded_at_us: entry.recorded_at_us(),
        duplicate,
        redacted: entry.payload().is_none(),
    }
}
