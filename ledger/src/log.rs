//! Where entries are kept: the contract that every log keeps.

use std::{fmt, io, path::PathBuf};

use crate::{
    chain::Head,
    entry::{Entry, Header, Seq},
    log::refusal::Refusals,
};

#[cfg(feature = "testing")]
pub mod faulty;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
pub mod refusal;
pub mod segments;

/// An ordered store of entries. It keeps what it is given and decides nothing.
///
/// Every implementation passes the same suite, `tests/it/log_contract.rs`. At most one writer
/// appends at a time; readers may read meanwhile, and see whole commits that are durable only.
pub trait Log: Send + Sync + 'static {
    /// The end of the stored chain, as far as it is durable.
    fn head(&self) -> Head;

    /// Stores all the entries as one commit, or none. On `Ok` they survive a power cut.
    ///
    /// The entries follow [`head`](Log::head) and are at most
    /// [`BATCH_LEN_MAX`](crate::BATCH_LEN_MAX); anything else is the caller's mistake, and panics.
    /// After an `Err` they may be stored all the same (on a log with a network between, also a
    /// prefix of them, in order), and every later append fails too: only opening the log again
    /// tells what is there.
    fn append(&self, entries: &[Entry]) -> Result<(), LogError>;

    /// Up to `limit` entries from `from` on; fewer only at the end of the log. Past it, none.
    fn read(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, LogError>;

    /// The headers alone of up to `limit` entries from `from` on.
    fn headers(&self, from: Seq, limit: usize) -> Result<Vec<Header>, LogError> {
        Ok(self.read(from, limit)?.iter().map(|entry| *entry.header()).collect())
    }

    /// How many entries from `from` to before `until` have no payload any more, as far as that is
    /// known without reading them: perhaps more than there are, never fewer.
    fn erased(&self, from: Seq, until: Seq) -> u64 {
        until.0.saturating_sub(from.0)
    }

    /// Takes an entry's payload away for good and leaves its header. Doing it again does nothing.
    ///
    /// Only after the redaction that allows it is durable: see
    /// [`Writer::redact`](crate::Writer::redact). A crash at any point leaves either state whole.
    fn erase(&self, target: Seq) -> Result<(), LogError>;

    /// A clean stop: from now on, losing anything below the head is noticed at the next opening.
    fn close(&self) -> Result<(), LogError>;
}

/// Why a log failed. There is one variant for each thing that a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Wait, or make room, and try again. Nothing was changed.
    #[error("the log cannot be used now: {doing}")]
    Unavailable {
        /// What was being done, and to which file.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// Stop and open the log again: only that tells whether the last entries are stored.
    #[error("an append failed, so the end of the log is in doubt; open it again")]
    InDoubt(#[source] Option<io::Error>),
    /// Stop and call a person: trying again cannot help.
    #[error("{0}")]
    Corrupt(Box<Damage>),
    /// Another process writes to this log; wait for it, or ask it.
    #[error("another process holds {} open for writing", .0.display())]
    Locked(PathBuf),
    /// There is no log here; `create` makes one.
    #[error("there is no log in {}", .0.display())]
    Missing(PathBuf),
    /// There is a log here already; `open` opens it.
    #[error("there is a log in {} already", .0.display())]
    Exists(PathBuf),
    /// This log was opened for reading alone.
    #[error("the log was opened for reading")]
    ReadOnly,
    /// Another writer has taken this log over: stop writing, and stand by. What the failed append
    /// held may be stored or not, as after [`InDoubt`](LogError::InDoubt).
    #[error("another writer has taken the log over; this one must not write any more")]
    Fenced,
    /// Mend what is named, or open the log saying that this is allowed.
    #[error("the log could lose entries as it is set up:{0}")]
    Unsafe(Refusals),
    /// This log cannot change what is written. The payload goes when the log is copied to its next
    /// generation; the redaction that allows that is recorded.
    #[error("the payload of entry {0} stays until `log copy` makes the log's next generation")]
    ErasurePending(Seq),
}

impl LogError {
    /// For `map_err`: what was being done when the system said no.
    pub(crate) fn while_(doing: impl fmt::Display) -> impl FnOnce(io::Error) -> LogError {
        move |source| LogError::Unavailable { doing: doing.to_string(), source }
    }
}

/// Damage that stops the use of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The first entry that is not as it was written.
    pub seq: Seq,
    /// A word for programs, as `verify` uses it. Never changes.
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub what: String,
    /// The file and the byte in it, where that is known.
    pub place: Option<(PathBuf, u64)>,
    /// What a person can do.
    pub advice: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the log is damaged at entry {}: {}", self.seq, self.what)?;
        if let Some((file, at)) = &self.place {
            write!(f, " ({}, byte {at})", file.display())?;
        }
        write!(f, "; {}", self.advice)
    }
}

impl From<Damage> for LogError {
    fn from(damage: Damage) -> LogError {
        LogError::Corrupt(Box::new(damage))
    }
}

/// Entries that [`pages`] reads at once.
const PAGE_LEN: usize = 1_024;

/// The entries from one place to before another, or to the end of the log, a page at a time. An error
/// is the last page.
pub(crate) fn pages(
    log: &dyn Log,
    from: Seq,
    end: Seq,
) -> impl Iterator<Item = Result<Vec<Entry>, LogError>> {
    let mut next = from;
    std::iter::from_fn(move || {
        let left = usize::try_from(end.0.saturating_sub(next.0)).unwrap_or(PAGE_LEN);
        if left == 0 {
            return None;
        }
        let page = log.read(next, PAGE_LEN.min(left));
        next = match &page {
            Ok(page) => page.last()?.seq().next(),
            Err(_) => end,
        };
        Some(page)
    })
}

/// Checks what every `append` may rely on, and returns the head after the entries.
fn assert_follows(head: Head, entries: &[Entry]) -> Head {
    assert!(entries.len() <= crate::BATCH_LEN_MAX, "a commit has at most BATCH_LEN_MAX entries");
    entries.iter().fold(head, |head, entry| match head.accept(entry) {
        Ok(head) => head,
        Err(e) => panic!("only entries that follow the head are appended: {e}"),
    })
}
