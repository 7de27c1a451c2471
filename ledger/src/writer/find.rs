//! One recorded event by its id, without a scan.

use super::Writer;
use crate::{draft::Key, entry::Entry, log::LogError};

impl Writer {
    /// The entry of the event with this `source` and `id`, if it is recorded. It costs a look into
    /// the index and one read, however long the log is.
    pub fn find(&mut self, source: &str, id: &str) -> Result<Option<Entry>, LogError> {
        let Some(seq) = self.index.find(Key::of(source, id), &*self.log)? else { return Ok(None) };
        Ok(self.log.read(seq, 1)?.pop())
    }
}
