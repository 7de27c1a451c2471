//! At which offsets entries are: a few known places, and a guess in between.

use std::collections::BTreeMap;

use crate::entry::Seq;

/// Every so many entries one place is kept: as many as are read past in a few milliseconds.
pub(super) const SPACING: u64 = 256;
/// How many places are kept, of 50 bytes each. When there are more, every second one is let go.
const PLACES_MAX: usize = 65_536;

/// An entry's place, and the offset of its record.
pub(super) type Place = (u64, i64);

/// Where some entries are. Offsets grow at least as fast as places do: each commit's end takes one, too.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<u64, i64>);

impl Places {
    /// Keeps a place that was seen in passing, if it is one of those to keep.
    pub(super) fn pass(&mut self, seq: Seq, offset: i64) {
        if seq.0.is_multiple_of(SPACING) {
            self.keep(seq, offset);
        }
    }

    /// Keeps a place.
    pub(super) fn keep(&mut self, seq: Seq, offset: i64) {
        self.0.insert(seq.0, offset);
        if self.0.len() > PLACES_MAX {
            let mut odd = false;
            self.0.retain(|_, _| {
                odd = !odd;
                odd
            });
        }
    }

    /// The known places around one: the last that is not after it, and the first that is.
    pub(super) fn around(&self, seq: Seq) -> (Place, Option<Place>) {
        let place = |(seq, offset): (&u64, &i64)| (*seq, *offset);
        let low = self.0.range(..=seq.0).next_back().map(place);
        let high = self.0.range(seq.0.saturating_add(1)..).next().map(place);
        // Entry 0 has the first offset or, after an append that was given up, a later one.
        (low.unwrap_or((0, 0)), high)
    }
}

/// The highest offset of which it is sure that the record of `seq` is not before it.
pub(super) fn no_later_than(seq: Seq, low: Place) -> i64 {
    low.1.saturating_add_unsigned(seq.0.saturating_sub(low.0))
}

/// An offset near the record of `seq`, on the straight line between two places.
pub(super) fn guess(seq: Seq, low: Place, high: Place) -> i64 {
    let (entries, offsets) = (high.0.saturating_sub(low.0), high.1.saturating_sub(low.1));
    let along = i128::from(seq.0.saturating_sub(low.0)) * i128::from(offsets);
    let along = along / i128::from(entries.max(1));
    let sure = no_later_than(seq, low);
    i64::try_from(along)
        .map_or(sure, |along| low.1.saturating_add(along))
        .clamp(sure, high.1.max(sure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_lies_between_its_places() {
        let (low, high) = ((100, 200), (300, 600));
        assert_eq!(guess(Seq(100), low, high), 200);
        assert_eq!(guess(Seq(200), low, high), 400);
        assert_eq!(no_later_than(Seq(200), low), 300);
        // The commits were large after the low place and small before the high one.
        assert_eq!(guess(Seq(299), low, (300, 400)), 399);
    }

    #[test]
    fn places_stay_few_and_spread() {
        let mut places = Places::default();
        (0..200_000).for_each(|n| places.keep(Seq(n), i64::try_from(n).unwrap() * 2));
        assert!(places.0.len() <= PLACES_MAX);
        let (low, high) = places.around(Seq(100_001));
        assert!(low.0 <= 100_001 && low.1 == i64::try_from(low.0).unwrap() * 2);
        assert!(high.unwrap().0 > 100_001 && high.unwrap().0 - low.0 <= 8);
    }
}
