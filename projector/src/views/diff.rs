//! Compares the rows in use with the same rows made again.

use std::fmt::Debug;

use super::rows::{COUNTS, Counts, DUE, DueRow, FLAGS, FlagRow, ROLLOUTS, RolloutRow};
use crate::{
    codec::{self, Row},
    index,
    store::{Store, StoreError},
};

/// How many differences are told.
pub const DIFFERENCES_LEN_MAX: usize = 10;

/// One key under which the two do not hold the same row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key, with bytes that are no printable characters escaped.
    pub key: String,
    /// The row in use, in words; `None` if there is none.
    pub live: Option<String>,
    /// The row that the log gives.
    pub rebuilt: Option<String>,
}

/// A key and the bytes of its row.
type Found = (Vec<u8>, Vec<u8>);

/// The first differences, in the order of keys. A row that cannot be decoded is one.
pub(super) fn compare(live: &Store, rebuilt: &Store) -> Result<Vec<Difference>, StoreError> {
    let (mut ours, mut theirs) = (live.all(), rebuilt.all());
    let (mut a, mut b) = (ours.next().transpose()?, theirs.next().transpose()?);
    let mut differences = Vec::new();
    while differences.len() < DIFFERENCES_LEN_MAX {
        let key = match (&a, &b) {
            (None, None) => break,
            (Some((a, _)), Some((b, _))) => a.min(b).clone(),
            (Some((key, _)), None) | (None, Some((key, _))) => key.clone(),
        };
        let row_of =
            |found: &mut Option<_>, rows: &mut dyn Iterator<Item = Result<Found, StoreError>>| {
                let here = found.take_if(|(at, _): &mut Found| *at == key);
                if here.is_some() {
                    *found = rows.next().transpose()?;
                }
                Ok::<_, StoreError>(here.map(|(_, row)| row))
            };
        let (ours, theirs) = (row_of(&mut a, &mut ours)?, row_of(&mut b, &mut theirs)?);
        let readable = |row: &Option<Vec<u8>>| row.as_ref().is_none_or(|r| shown(&key, r).is_ok());
        if ours != theirs || !readable(&ours) || !readable(&theirs) {
            let show = |row: Option<Vec<u8>>| {
                row.map(|row| shown(&key, &row).unwrap_or_else(|e| format!("unreadable: {e}")))
            };
            let key = key.escape_ascii().to_string();
            differences.push(Difference { key, live: show(ours), rebuilt: show(theirs) });
        }
    }
    Ok(differences)
}

/// A row in words.
fn shown(key: &[u8], row: &[u8]) -> Result<String, codec::CodecError> {
    fn debug<R: Row + Debug>(row: &[u8]) -> Result<String, codec::CodecError> {
        codec::decode::<R>(row).map(|row| format!("{row:?}"))
    }
    match key.get(..1) {
        Some(COUNTS) => debug::<Counts>(row),
        Some(DUE) => debug::<DueRow>(row),
        Some(FLAGS) => debug::<FlagRow>(row),
        Some(ROLLOUTS) => debug::<RolloutRow>(row),
        _ => index::shown(key, row),
    }
}
