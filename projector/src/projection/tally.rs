//! What a row counts of events whose words it does not repeat.

use crate::views::rows::RolloutRow;

/// Events of one rollout that are counted and not kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    events: u64,
    /// When the newest happened, else was recorded, in Unix microseconds.
    newest_us: i64,
    last_seq: u64,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { events: 0, newest_us: i64::MIN, last_seq: 0 }
    }
}

impl Tally {
    /// Counts one event more.
    pub(super) fn count(&mut self, at_us: i64, seq: u64) {
        self.add(Tally { events: 1, newest_us: at_us, last_seq: seq });
    }

    /// Counts other events.
    pub(super) fn add(&mut self, others: Tally) {
        self.events += others.events;
        self.newest_us = self.newest_us.max(others.newest_us);
        self.last_seq = self.last_seq.max(others.last_seq);
    }

    /// The row of a rollout that has these events too.
    pub(super) fn row(&self, of_others: RolloutRow) -> RolloutRow {
        RolloutRow {
            events: of_others.events + self.events,
            newest_us: of_others.newest_us.max(self.newest_us),
            last_seq: of_others.last_seq.max(self.last_seq),
            ..of_others
        }
    }
}
