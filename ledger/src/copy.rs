//! A ledger's entries from one log into another: the same headers, the same payloads, the same hashes.
//!
//! Offsets and files are not hashed, so nothing of a ledger changes with the log that keeps it. A copy goes in
//! three steps, each of which may be done again after a crash:
//!
//! 1. [`Survey`] reads the source whole, so that nothing damaged is ever copied, and learns which payloads
//!    redactions have taken away: those are left out, also where the source could not erase them.
//! 2. [`copy`] compares what the target has with the source, and appends what it lacks.
//! 3. [`check`] reads the target whole.
//!
//! The copy appends nothing of its own. Nobody writes to the target meanwhile, who is not another copy of this
//! ledger; two copies at once are kept apart by the target's lock, or by fencing.

use std::{collections::BTreeMap, sync::mpsc, thread};

use crate::{
    chain::Head,
    draft::{BATCH_LEN_MAX, BATCH_SIZE_MAX},
    entry::{Entry, Hash, Header, Seq},
    log::{Damage, Log, LogError, segments::may_be_erased},
    verify::{
        VerifyOptions,
        rules::{Checks, Findings, Rules},
        verify,
    },
};

/// How many pages are read ahead while one is stored: with the one that is stored and the one that is read, at most
/// four are in memory.
const AHEAD_MAX: usize = 2;
/// Bytes of payloads that a page is to hold, by the size of those in the page before: 4 MiB, several commits.
const PAGE_SIZE: usize = 4 * 1024 * 1024;
/// Entries of the first page, of which the size is not known yet.
const FIRST_PAGE_LEN: usize = 16;

/// Why a log was not copied. Nothing of the source was changed; what the target has got by then is sound, and
/// copying again goes on there.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(LogError),
    /// The target cannot be read or written.
    #[error(transparent)]
    Target(LogError),
    /// There is nothing to copy.
    #[error("the log has no entry yet")]
    Empty,
    /// The target begins with another entry 0.
    #[error("it holds another ledger")]
    OtherLedger,
    /// The target holds what the source does not hold.
    #[error("it reaches to entry {target}, and the source only to entry {source_last}")]
    Ahead {
        /// The target's last entry.
        target: Seq,
        /// The source's last entry.
        source_last: Seq,
    },
    /// The target's last entry is another one than the source's at its place.
    #[error("its entry {seq} is another than the source's: the two have different histories")]
    Forked {
        /// The entry that was compared.
        seq: Seq,
    },
    /// What was copied does not verify.
    #[error("what is there does not verify: {0}")]
    Spoilt(Box<Damage>),
}

/// What a source holds, as far as it was read and found good.
#[derive(Clone, Debug)]
pub struct Survey {
    head: Head,
    findings: Findings,
}

/// What a copy came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The end of the target, and of what was surveyed.
    pub head: Head,
    /// How many entries were stored now; the others were there.
    pub stored: u64,
    /// Entries whose payloads the target still has and cannot give up, though a redaction says so: they came before
    /// their redaction did.
    pub pending: Vec<Seq>,
}

impl Survey {
    /// Reads a log whole, to its end as it is now, and checks everything.
    pub fn of(source: &dyn Log) -> Result<Survey, CopyError> {
        Survey { head: Head::GENESIS, findings: Findings::default() }.extended(source)
    }

    /// The same for what is new since.
    pub fn extended(mut self, source: &dyn Log) -> Result<Survey, CopyError> {
        let checks = Checks { payloads: true, opened_first: true, ..Checks::default() };
        let end = source.head().next;
        let mut rules = Rules::new(&checks, self.head);
        rules.findings = self.findings;
        for page in pages(source, self.head.next, end) {
            for entry in page.map_err(CopyError::Source)? {
                let stepped = rules.step(entry.header(), entry.hash(), entry.payload());
                stepped.map_err(|damage| CopyError::Source(damage.into()))?;
            }
        }
        (self.head, self.findings) = (rules.head, rules.findings);
        match self.findings.first_missing() {
            Some(missing) => Err(CopyError::Source(missing.into())),
            None if self.head.next == Seq(0) => Err(CopyError::Empty),
            None => Ok(self),
        }
    }

    /// The end of what was read.
    pub fn head(&self) -> Head {
        self.head
    }

    /// How many payloads are gone, or left out by a copy.
    pub fn erased_len(&self) -> usize {
        let mut gone = self.redacted();
        gone.extend(self.findings.erased.iter().copied());
        gone.len()
    }

    /// What redactions take away: an entry, by its place and its hash.
    fn redacted(&self) -> BTreeMap<Seq, Hash> {
        let earlier = self.findings.redactions.iter().filter(|(by, r)| r.target < *by);
        earlier.map(|(_, redaction)| (redaction.target, redaction.hash)).collect()
    }
}

/// Brings `target` to the end of the survey.
///
/// Reading goes on while a commit is under way. Commits are as large as they may be, since on Kafka one takes the
/// same time whatever it holds.
pub fn copy(source: &dyn Log, survey: &Survey, target: &dyn Log) -> Result<Copied, CopyError> {
    compare(source, survey, target)?;
    let begun = target.head();
    let redacted = survey.redacted();
    let (pages_out, pages_in) = mpsc::sync_channel(AHEAD_MAX);
    let stored = thread::scope(|scope| {
        scope.spawn(move || {
            // Whoever stores may have failed and gone; then nothing more is read.
            pages(source, begun.next, survey.head.next).all(|page| {
                let more = page.is_ok();
                pages_out.send(page).is_ok() && more
            })
        });
        pages_in.into_iter().try_for_each(|page| {
            let page = page.map_err(CopyError::Source)?;
            let page: Vec<_> = page.into_iter().map(|entry| without(entry, &redacted)).collect();
            store(target, &page)
        })
    });
    stored?;
    let head = target.head();
    if head.hash != survey.head.hash {
        // The source was read, and then read again as something else.
        return Err(CopyError::Forked { seq: head.last_seq().unwrap_or_default() });
    }
    let pending = erase_late(target, begun, &redacted)?;
    Ok(Copied { head, stored: head.next.0 - begun.next.0, pending })
}

/// Whether `target` has all that was surveyed, and perhaps more: a ledger that has moved there goes on.
pub fn holds(target: &dyn Log, survey: &Survey) -> Result<bool, CopyError> {
    let Some(last) = survey.head.last_seq() else { return Ok(true) };
    let there = hash_at(target, last).map_err(CopyError::Target)?;
    Ok(there == Some(survey.head.hash))
}

/// Redacted entries whose payloads `target` has: it got them before their redaction.
pub fn kept(survey: &Survey, target: &dyn Log) -> Result<Vec<Seq>, CopyError> {
    still_there(target, target.head(), &survey.redacted())
}

/// Reads all of what a copy has made, and makes sure that it has what was surveyed.
pub fn check(target: &dyn Log, survey: &Survey) -> Result<(), CopyError> {
    let expect_head = survey.head.last_seq().map(|last| (last, survey.head.hash));
    let options = VerifyOptions { expect_head, ..VerifyOptions::default() };
    let report = verify(target, &options).map_err(CopyError::Target)?;
    match report.first_bad {
        Some(damage) => Err(CopyError::Spoilt(Box::new(damage))),
        None => Ok(()),
    }
}

/// Makes sure that the target is a beginning of the source: a hash speaks for all before it.
fn compare(source: &dyn Log, survey: &Survey, target: &dyn Log) -> Result<(), CopyError> {
    let head = target.head();
    let Some(last) = head.last_seq() else { return Ok(()) };
    let theirs = hash_at(target, Seq(0)).map_err(CopyError::Target)?;
    if theirs != hash_at(source, Seq(0)).map_err(CopyError::Source)? {
        return Err(CopyError::OtherLedger);
    }
    if head.next > survey.head.next {
        let source_last = survey.head.last_seq().unwrap_or_default();
        return Err(CopyError::Ahead { target: last, source_last });
    }
    if Some(head.hash) != hash_at(source, last).map_err(CopyError::Source)? {
        return Err(CopyError::Forked { seq: last });
    }
    Ok(())
}

fn hash_at(log: &dyn Log, seq: Seq) -> Result<Option<Hash>, LogError> {
    Ok(log.headers(seq, 1)?.first().map(Header::hash))
}

/// The entries from one place to before another, in pages of as many as are in one commit, or fewer of large ones.
/// An error is the last page.
fn pages(log: &dyn Log, from: Seq, end: Seq) -> impl Iterator<Item = Result<Vec<Entry>, LogError>> {
    let (mut next, mut len) = (from, FIRST_PAGE_LEN);
    std::iter::from_fn(move || {
        let left = usize::try_from(end.0.saturating_sub(next.0)).unwrap_or(usize::MAX);
        if left == 0 {
            return None;
        }
        let page = log.read(next, len.min(left));
        next = match &page {
            Ok(page) => {
                let size = |entry: &Entry| entry.payload().map_or(0, <[u8]>::len);
                let mean = page.iter().map(size).sum::<usize>().div_ceil(page.len().max(1));
                len = (PAGE_SIZE / mean.max(1)).clamp(1, BATCH_LEN_MAX);
                page.last()?.seq().next()
            }
            Err(_) => end,
        };
        Some(page)
    })
}

/// The entry as it is copied.
fn without(entry: Entry, redacted: &BTreeMap<Seq, Hash>) -> Entry {
    match redacted.get(&entry.seq()) {
        Some(hash) if may_be_erased(&entry, *hash) => Entry::stored(*entry.header(), None),
        _ => entry,
    }
}

/// Stores a page in commits as large as they may be.
fn store(target: &dyn Log, page: &[Entry]) -> Result<(), CopyError> {
    let mut left = page;
    while !left.is_empty() {
        let mut size = 0;
        let fits = |entry: &&Entry| {
            size += entry.payload().map_or(0, <[u8]>::len);
            size <= BATCH_SIZE_MAX
        };
        // One entry may be larger than a commit of many.
        let len = left.iter().take(BATCH_LEN_MAX).take_while(fits).count().max(1);
        let (commit, rest) = left.split_at(len);
        let mut head = target.head();
        for entry in commit {
            head = head
                .accept(entry)
                .map_err(|_| CopyError::Forked { seq: head.last_seq().unwrap_or_default() })?;
        }
        target.append(commit).map_err(CopyError::Target)?;
        left = rest;
    }
    Ok(())
}

fn still_there(
    target: &dyn Log,
    end: Head,
    redacted: &BTreeMap<Seq, Hash>,
) -> Result<Vec<Seq>, CopyError> {
    let mut there = Vec::new();
    for (seq, hash) in redacted.range(..end.next) {
        let found = target.read(*seq, 1).map_err(CopyError::Target)?;
        if found.first().is_some_and(|entry| may_be_erased(entry, *hash)) {
            there.push(*seq);
        }
    }
    Ok(there)
}

/// Takes away what was copied before its redaction was recorded, where the target can.
fn erase_late(
    target: &dyn Log,
    begun: Head,
    redacted: &BTreeMap<Seq, Hash>,
) -> Result<Vec<Seq>, CopyError> {
    let mut pending = Vec::new();
    for seq in still_there(target, begun, redacted)? {
        match target.erase(seq) {
            Ok(()) => {}
            Err(LogError::ErasurePending(_)) => pending.push(seq),
            Err(e) => return Err(CopyError::Target(e)),
        }
    }
    Ok(pending)
}
