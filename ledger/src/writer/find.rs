//! One recorded event by its id, without a scan.
//!
//! That an id is recorded is believed only of the log, which the entry is read from. That it is not
//! rests on the index, whose runs are compared with the log where all of it is read anyway.

use super::Writer;
use crate::{
    draft::Key,
    entry::{Entry, Seq},
    index::own_key,
    log::LogError,
};

impl Writer {
    /// The entry of the event with this `source` and `id`, if it is recorded. It costs a look into
    /// the index and one read, however long the log is.
    pub fn find(&mut self, source: &str, id: &str) -> Result<Option<Entry>, LogError> {
        self.find_key(Key::of(source, id))
    }

    pub(super) fn find_key(&mut self, key: Key) -> Result<Option<Entry>, LogError> {
        let Some(found) = self.index.find(key, &*self.log)? else { return Ok(None) };
        if let Some(entry) = self.proven(found, key)? {
            return Ok(Some(entry));
        }
        // The index is derived data, and cannot take an event away that the log does not hold.
        self.index.make_again(&*self.log)?;
        let found = self.index.find(key, &*self.log)?;
        Ok(found.map(|seq| self.proven(seq, key)).transpose()?.flatten())
    }

    /// The entry that the index gives for a key, if the log itself says that it has that key.
    fn proven(&mut self, seq: Seq, key: Key) -> Result<Option<Entry>, LogError> {
        if seq >= self.head().next {
            return Ok(None);
        }
        let Some(entry) = self.log.read(seq, 1)?.pop() else { return Ok(None) };
        let fits = match entry.payload() {
            Some(_) => own_key(&entry) == Some(key),
            None => self.erased.holds(seq, key, &*self.log)?,
        };
        Ok(fits.then_some(entry))
    }
}
