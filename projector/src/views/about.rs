//! Which rollouts and flags an event is about, also when it says so only through its target.

use std::{collections::BTreeSet, sync::Arc};

use ledger::{Log, LogError, Seq};
use schemas::{Event, FlagKey, RolloutId, StageKey};

use super::facets;
use crate::recorded::{Recorded, Seen};

/// How many targets of targets are followed: a correction of a correction of ...
const TARGETS_LEN_MAX: usize = 16;

/// What an event is about. A correction is about what the corrected event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub rollouts: BTreeSet<RolloutId>,
    pub flags: BTreeSet<FlagKey>,
    /// Of a correction, also the stage that it names instead.
    pub stages: BTreeSet<StageKey>,
    /// The flag that belongs to the rollouts from now on. A correction may name another one than
    /// the registration did.
    pub registers: Option<FlagKey>,
    /// Whether what it is about is a word of the flag service.
    pub of_service: bool,
}

/// The entry with the hexadecimal digits of its hash, read.
pub fn read_entry(entry: &ledger::Entry) -> Recorded {
    keep(entry, Seen::of(entry.payload()))
}

/// An entry whose payload was read, to be kept.
pub(crate) fn keep(entry: &ledger::Entry, seen: Seen<'_>) -> Recorded {
    seen.keep(entry.seq().0, hex(&entry.hash().0), recorded_at_us(entry))
}

/// When the writer stamped it, Unix microseconds.
pub(crate) fn recorded_at_us(entry: &ledger::Entry) -> i64 {
    i64::try_from(entry.recorded_at_us()).unwrap_or(i64::MAX)
}

/// Finds events by seq: in the batch at hand, else in the log.
pub(crate) struct Events<'a> {
    pub log: &'a dyn Log,
    /// By seq. What is not among them is in the log.
    pub batch: &'a [Arc<Recorded>],
}

impl Events<'_> {
    /// What an event is about, its target's subject and flag included.
    pub(crate) fn about(&self, recorded: &Recorded) -> Result<About, LogError> {
        let mut about = About::default();
        about.add(recorded);
        let mut replaced_key = replaced_key(recorded);
        let mut next = self.target(recorded)?;
        for _ in 0..TARGETS_LEN_MAX {
            let Some(target) = next else { break };
            about.add(&target);
            if let (Some(key), Some(Event::FlagRegistered(_))) = (&replaced_key, target.known()) {
                about.registers = Some(key.clone());
                about.flags.insert(key.clone());
            }
            replaced_key = self::replaced_key(&target);
            next = self.target(&target)?;
        }
        Ok(about)
    }

    /// The earlier event that this one names by seq and hash.
    fn target(&self, recorded: &Recorded) -> Result<Option<Recorded>, LogError> {
        let target = recorded.known().and_then(facets::target);
        let Some(target) = target.filter(|target| target.seq < recorded.seq) else {
            return Ok(None);
        };
        let found = self.find(target.seq)?;
        Ok(found.filter(|found| found.hash == target.hash.as_str()))
    }

    /// The event with this seq; `None` past the end of the log.
    pub(crate) fn find(&self, seq: u64) -> Result<Option<Recorded>, LogError> {
        if let Ok(place) = self.batch.binary_search_by_key(&seq, |event| event.seq) {
            return Ok(self.batch.get(place).map(|found| Recorded::clone(found)));
        }
        Ok(self.log.read(Seq(seq), 1)?.first().map(read_entry))
    }
}

impl About {
    fn add(&mut self, recorded: &Recorded) {
        self.rollouts.extend(recorded.subject.clone());
        let Some(event) = recorded.known() else { return };
        self.flags.extend(facets::flag(event).cloned());
        self.stages.extend(facets::stage(event).cloned());
        self.stages.extend(replaced(event, "stage").and_then(|key| key.parse().ok()));
        self.of_service |= facets::is_of_service(event);
        if let Event::FlagRegistered(e) = event
            && self.registers.is_none()
        {
            self.registers = Some(e.key.clone());
        }
    }
}

/// The `key` that a correction puts in the place of its target's.
fn replaced_key(recorded: &Recorded) -> Option<FlagKey> {
    replaced(recorded.known()?, "key")?.parse().ok()
}

/// A word that a correction puts in the place of its target's.
fn replaced<'a>(event: &'a Event, member: &str) -> Option<&'a str> {
    let Event::EventCorrected(e) = event else { return None };
    e.replacement.0.get(member)?.as_str()
}

fn hex(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let mut text = Vec::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    String::from_utf8(text).expect("digits are ASCII")
}

#[cfg(test)]
mod tests {
    #[test]
    fn hashes_are_written_as_the_ledger_writes_them() {
        let bytes = std::array::from_fn(|n| u8::try_from(n * 37 % 256).unwrap());
        assert_eq!(super::hex(&bytes), ledger::Hash(bytes).to_string());
    }
}
