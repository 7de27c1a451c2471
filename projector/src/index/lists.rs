//! Goes through the lists of one index, one after the other.

use super::{Index, List, PREFIX, block::Block, writer::first_of};
use crate::store::{Store, StoreError};

impl List {
    /// The first seq of the first list of an index; of the first behind `behind`, if given.
    pub(crate) fn first_seq(
        store: &Store,
        index: Index,
        behind: Option<&List>,
    ) -> Result<Option<u64>, StoreError> {
        let all = [PREFIX, index as u8];
        // Behind every block of a list: a block's key is the list's and the eight bytes of a seq.
        let from = behind.map_or_else(|| all.to_vec(), |list| [list.key(), &[0xff; 9]].concat());
        let found = store.ceiling::<Block>(&all, &from)?;
        Ok(found.and_then(|(key, _)| first_of(&key)))
    }
}
