//! The consumers that read old entries, each kept where it stands: who reads on does not search again.

use std::sync::{Condvar, Mutex, PoisonError};

use super::{
    KafkaLog,
    client::lock,
    expected,
    places::{SPACING, guess, no_later_than},
    reader::{NO_END, PATIENCE, Reader},
};
use crate::{
    entry::{Entry, Seq},
    log::LogError,
};

/// How many consumers read old entries at once; more wait. Each has a connection to the broker and buffers.
const READERS_MAX: usize = 4;
/// How often a place is searched between two known ones before all in between is read.
const PROBES_MAX: usize = 16;

#[derive(Default)]
pub(super) struct Pool {
    readers: Mutex<Readers>,
    returned: Condvar,
}

#[derive(Default)]
struct Readers {
    idle: Vec<Reader>,
    busy: usize,
}

/// A consumer on loan. One that is dropped, because something went wrong, is not used again.
pub(super) struct Loan<'a> {
    reader: Option<Reader>,
    pool: &'a Pool,
}

impl Pool {
    /// A consumer, if there is one the one that stands at this entry.
    pub(super) fn take(
        &self,
        seq: Seq,
        new: impl FnOnce() -> Result<Reader, LogError>,
    ) -> Result<Loan<'_>, LogError> {
        let full = |readers: &mut Readers| readers.idle.is_empty() && readers.busy >= READERS_MAX;
        let waited = self.returned.wait_while(lock(&self.readers), full);
        let mut readers = waited.unwrap_or_else(PoisonError::into_inner);
        let standing = readers.idle.iter().position(|reader| reader.at() == Some(seq));
        let room = readers.idle.len() + readers.busy < READERS_MAX;
        let reader = match standing {
            Some(at) => Some(readers.idle.swap_remove(at)),
            // Where there is room for one more, the others keep their places.
            None if room => None,
            None => readers.idle.pop(),
        };
        readers.busy += 1;
        drop(readers);
        let mut loan = Loan { reader, pool: self };
        if loan.reader.is_none() {
            loan.reader = Some(new()?);
        }
        Ok(loan)
    }

    /// Keeps a consumer that did well.
    pub(super) fn give_back(&self, mut loan: Loan<'_>) {
        let reader = loan.reader.take();
        lock(&self.readers).idle.extend(reader);
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        lock(&self.pool.readers).busy -= 1;
        self.pool.returned.notify_one();
    }
}

impl std::ops::Deref for Loan<'_> {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        self.reader.as_ref().expect("only `give_back` takes it")
    }
}

impl std::ops::DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut Reader {
        self.reader.as_mut().expect("only `give_back` takes it")
    }
}

impl KafkaLog {
    /// The entry at a place, which is below the head. The consumer stands after it then.
    pub(super) fn find(&self, reader: &mut Reader, seq: Seq) -> Result<Entry, LogError> {
        let mut begin = 0;
        for _ in 0..PROBES_MAX {
            let (low, high) = lock(&self.places).around(seq);
            begin = no_later_than(seq, low);
            let last = self.end().anchor.map(|anchor| (anchor.seq.0, anchor.offset));
            let Some(high) = high.or(last).filter(|high| high.0 > seq.0) else { break };
            let at = guess(seq, low, high);
            // What lies in between is read sooner than searched.
            if at.saturating_sub(begin) <= i64::try_from(SPACING).unwrap_or(i64::MAX) {
                break;
            }
            reader.seek(at, None)?;
            let (entry, offset) = expected(reader.next(NO_END, PATIENCE)?, seq)?;
            if entry.seq() == seq {
                return Ok(entry);
            }
            if entry.seq().0 >= high.0 {
                break;
            }
            lock(&self.places).keep(entry.seq(), offset);
        }
        reader.seek(begin, None)?;
        loop {
            let (entry, _) = expected(reader.next(NO_END, PATIENCE)?, seq)?;
            if entry.seq() == seq {
                return Ok(entry);
            }
            // A record says it is later than what was sought: what it follows is not here.
            if entry.seq() > seq {
                return Err(reader.lacks(seq));
            }
        }
    }
}
