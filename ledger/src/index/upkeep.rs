//! Writing and merging runs, a little in each writer's turn.
//!
//! Each id that comes in pays for a few steps of it, so the work keeps pace with the ids and a turn
//! is never much longer than its own commit. All of it can fail, and be left undone: the index is
//! then slower and larger, and still right.

use std::{fs, sync::Arc};

use crate::{
    entry::Hash,
    index::{
        Index,
        building::{Building, NotMade},
        run::{Run, Stretch},
    },
};

/// Runs are merged once this many in a row have about the same size.
const MERGE_LEN: usize = 4;
/// A run with this many ids is not merged any more: few of them hold all that a ledger has.
const RUN_LEN_MAX: usize = 1 << 22;
/// Ids that are moved for each that comes in. One is moved to a run, and then by merges of fours up
/// to [`RUN_LEN_MAX`] three times more: four, and half as many again so that nothing piles up.
const STEPS: usize = 6;
/// Ids moved at once. Fewer would have a system call for a few bytes.
const STRIDE: usize = 256;

/// What is being written, and how much of it is due.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// The frozen ids, on their way into a run.
    freezing: Option<Building>,
    /// Merges of neighbours, each with runs of its own.
    merging: Vec<Building>,
    /// Runs that were merged. Deleting a large file takes time too.
    merged: Vec<Arc<Run>>,
    /// Ids to move before the turn ends.
    due: usize,
    /// Ids to come in before anything is tried again that failed.
    pause: usize,
}

impl Upkeep {
    /// An id came in.
    pub(super) fn one_more(&mut self) {
        self.due += STEPS;
        self.pause = self.pause.saturating_sub(1);
    }
}

impl Index {
    /// Begins to write the tail as a run, unless the one before is not written yet.
    pub(super) fn freeze(&mut self, hash: Hash) {
        let Some(dir) = self.dir.as_deref() else { return };
        if self.upkeep.freezing.is_some() || self.upkeep.pause > 0 {
            return;
        }
        let stretch = Stretch { first: self.tail_first, next: self.next, hash };
        let keys = self.tail.iter().map(|(key, seq)| (*key, *seq));
        let begun = fs::create_dir_all(dir).map_err(NotMade::from);
        match begun.and_then(|()| Building::of_keys(dir, stretch, keys)) {
            Ok(building) => {
                self.upkeep.freezing = Some(building);
                std::mem::swap(&mut self.frozen, &mut self.tail);
                self.tail_first = self.next;
            }
            // If the disk is full, the ids stay in memory.
            Err(NotMade) => self.upkeep.pause = self.tail_len,
        }
    }

    /// Does what is due.
    pub(super) fn keep_up(&mut self) {
        let stride = STRIDE.min(self.tail_len);
        while self.upkeep.due >= stride {
            let done = match self.step(stride) {
                Ok(0) => return self.upkeep.due = 0,
                Ok(done) => done,
                Err(NotMade) => return self.give_up(),
            };
            self.upkeep.due = self.upkeep.due.saturating_sub(done);
        }
    }

    /// Moves a few ids; returns how many, or what else it did is worth. 0: there is nothing to do.
    fn step(&mut self, stride: usize) -> Result<usize, NotMade> {
        // What a file costs that is made or deleted, in ids moved.
        let file = stride.div_ceil(4);
        if let Some(building) = &mut self.upkeep.freezing {
            let done = building.step(stride)?;
            if done > 0 {
                return Ok(done);
            }
            if let Some(building) = self.upkeep.freezing.take() {
                self.runs.push(Arc::new(building.finish()?));
                self.frozen.clear();
                self.plan_merges();
            }
            return Ok(file);
        }
        if let Some(run) = self.upkeep.merged.pop() {
            run.remove();
            return Ok(file);
        }
        // The shortest first: otherwise new runs would pile up behind a long one.
        let lens = self.upkeep.merging.iter().map(Building::len).enumerate();
        let Some((shortest, _)) = lens.min_by_key(|(_, len)| *len) else { return Ok(0) };
        let Some(building) = self.upkeep.merging.get_mut(shortest) else { return Ok(0) };
        let done = building.step(stride)?;
        if done > 0 {
            return Ok(done);
        }
        let building = self.upkeep.merging.swap_remove(shortest);
        let run = building.finish()?;
        let stretch = run.stretch;
        let (start, end) = (
            self.runs.partition_point(|run| run.stretch.first < stretch.first),
            self.runs.partition_point(|run| run.stretch.first < stretch.next),
        );
        let merged = self.runs.splice(start..end, [Arc::new(run)]);
        self.upkeep.merged.extend(merged);
        self.plan_merges();
        Ok(file)
    }

    /// Begins to merge runs of about the same size, the oldest first.
    pub(super) fn plan_merges(&mut self) {
        let Some(dir) = self.dir.as_deref().filter(|_| self.upkeep.pause == 0) else { return };
        let mut start = 0;
        while let Some(group) = self.runs.get(start..start + MERGE_LEN) {
            if !may_merge(group) || group.iter().any(|run| self.upkeep.is_merging(run)) {
                start += 1;
                continue;
            }
            match Building::of_runs(dir, group) {
                Ok(building) => self.upkeep.merging.push(building),
                Err(NotMade) => self.upkeep.pause = self.tail_len,
            }
            start += MERGE_LEN;
        }
    }

    /// Something could not be written or read: what was begun is left, and tried again later.
    fn give_up(&mut self) {
        self.abandon_upkeep();
        self.upkeep.pause = self.tail_len;
        if !self.frozen.is_empty() {
            // What comes later stands, as if it had been inserted in order.
            std::mem::swap(&mut self.frozen, &mut self.tail);
            self.tail.extend(self.frozen.drain());
            self.tail_first = self.runs.last().map_or(crate::Seq(0), |run| run.stretch.next);
        }
    }

    pub(super) fn abandon_upkeep(&mut self) {
        let upkeep = std::mem::take(&mut self.upkeep);
        for building in upkeep.freezing.into_iter().chain(upkeep.merging) {
            building.abandon();
        }
        for run in upkeep.merged {
            run.remove();
        }
    }
}

impl Upkeep {
    fn is_merging(&self, run: &Run) -> bool {
        self.merging.iter().any(|building| {
            let stretch = building.stretch();
            (stretch.first..stretch.next).contains(&run.stretch.first)
        })
    }
}

fn may_merge(group: &[Arc<Run>]) -> bool {
    let lens = group.iter().map(|run| run.len());
    let (least, most) = (lens.clone().min().unwrap_or(0), lens.clone().max().unwrap_or(0));
    least * MERGE_LEN > most && lens.sum::<usize>() <= RUN_LEN_MAX * 3 / 2
}

impl Drop for Index {
    fn drop(&mut self) {
        self.abandon_upkeep();
    }
}
