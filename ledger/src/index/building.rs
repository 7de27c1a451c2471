//! A run that is made piece by piece, so that no writer's turn pays for the whole of it.

use std::{io, path::Path, sync::Arc};

use crate::{
    draft::Key,
    entry::Seq,
    index::run::{Damaged, Run, RunWriter, Stretch},
};

/// Keys that are sorted at once, about.
const PART_LEN: usize = 256;

/// A run in the making, and where its keys come from.
#[derive(Debug)]
pub(crate) struct Building {
    run: RunWriter,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    /// Parts that follow one another, each without order. The next is the last.
    Parts(Vec<Vec<(Key, Seq)>>),
    Runs(Vec<Cursor>),
}

/// Why a run was not made. Without it the index is as good as before, and slower.
#[derive(Debug)]
pub(crate) struct NotMade;

impl From<io::Error> for NotMade {
    fn from(_: io::Error) -> NotMade {
        NotMade
    }
}

impl From<Damaged> for NotMade {
    // It is found again, and made again, when it is searched.
    fn from(_: Damaged) -> NotMade {
        NotMade
    }
}

impl Building {
    /// A run of keys without order.
    pub(crate) fn of_keys(
        dir: &Path,
        stretch: Stretch,
        keys: impl ExactSizeIterator<Item = (Key, Seq)>,
    ) -> Result<Building, NotMade> {
        let run = RunWriter::create(dir, stretch, keys.len())?;
        let len = keys.len().div_ceil(PART_LEN);
        let mut parts = vec![Vec::with_capacity(PART_LEN * 5 / 4); len];
        for (key, seq) in keys {
            // The last part holds the first keys, since parts are taken from the end.
            let place = (u128::from(!key.prefix()) * len as u128) >> 64;
            if let Some(part) = parts.get_mut(usize::try_from(place).unwrap_or(0)) {
                part.push((key, seq));
            }
        }
        Ok(Building { run, keys: Keys::Parts(parts) })
    }

    /// One run of several that follow one another.
    pub(crate) fn of_runs(dir: &Path, runs: &[Arc<Run>]) -> Result<Building, NotMade> {
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return Err(NotMade) };
        let stretch = Stretch { first: first.stretch.first, ..last.stretch };
        let run = RunWriter::create(dir, stretch, runs.iter().map(|run| run.len()).sum())?;
        let cursors = runs.iter().map(Cursor::at_start).collect::<Result<_, _>>()?;
        Ok(Building { run, keys: Keys::Runs(cursors) })
    }

    /// How many keys the run will have.
    pub(crate) fn len(&self) -> usize {
        self.run.len()
    }

    /// The stretch that the run will cover.
    pub(crate) fn stretch(&self) -> Stretch {
        self.run.stretch()
    }

    /// Adds up to so many keys, or a few more. Returns how many; none once all are there.
    pub(crate) fn step(&mut self, len: usize) -> Result<usize, NotMade> {
        match &mut self.keys {
            Keys::Parts(parts) => {
                let Some(mut part) = parts.pop() else { return Ok(0) };
                part.sort_unstable();
                for (key, seq) in &part {
                    self.run.push(*key, *seq)?;
                }
                // A part may be empty, and is some work all the same.
                Ok(part.len().max(1))
            }
            Keys::Runs(cursors) => {
                for done in 0..len {
                    let least = cursors.iter_mut().filter(|cursor| cursor.next.is_some());
                    let Some(least) = least.min_by_key(|cursor| cursor.next) else {
                        return Ok(done);
                    };
                    if let Some((key, seq)) = least.next {
                        self.run.push(key, seq)?;
                    }
                    least.advance()?;
                }
                Ok(len)
            }
        }
    }

    /// Ends the run, after a [`step`](Building::step) had nothing more to add.
    pub(crate) fn finish(self) -> Result<Run, NotMade> {
        Ok(self.run.finish()?)
    }

    pub(crate) fn abandon(self) {
        self.run.abandon();
    }
}

/// How far a run has been read.
#[derive(Debug)]
pub(super) struct Cursor {
    run: Arc<Run>,
    /// The page after this one.
    page: usize,
    rest: std::vec::IntoIter<(Key, Seq)>,
    pub(super) next: Option<(Key, Seq)>,
}

impl Cursor {
    pub(super) fn at_start(run: &Arc<Run>) -> Result<Cursor, Damaged> {
        let (run, rest) = (run.clone(), Vec::new().into_iter());
        let mut cursor = Cursor { run, page: 0, rest, next: None };
        cursor.advance()?;
        Ok(cursor)
    }

    pub(super) fn advance(&mut self) -> Result<(), Damaged> {
        self.next = self.rest.next();
        if self.next.is_none() {
            self.rest = self.run.page(self.page)?.into_iter();
            self.page += 1;
            self.next = self.rest.next();
        }
        Ok(())
    }
}
