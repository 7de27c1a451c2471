//! Answers that are kept until an event changes them.
//!
//! What a rollout's events say changes only with a new event about it, so each answer is kept with
//! the newest entry that it rests on, and holds for as long as the views name no newer one. Two
//! kinds are kept: texts that are sent as they are, and the rows of time lines, from which the next
//! page is cut. Those that were not used for longest go first.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use projector::timeline::Row;
use schemas::RolloutId;

/// The most bytes that texts may have together: 64 MiB are pages of some thousand rollouts.
pub const TEXTS_SIZE_MAX: usize = 64 * 1024 * 1024;

/// The most rows of time lines that are kept, about 600 bytes each.
pub const ROWS_MAX: usize = 100_000;

/// What a kept text is beside its own bytes, in bytes: keys, places, counts.
const TEXT_OVERHEAD: usize = 256;

/// Which answer about a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Where it is.
    Current,
    /// A page of its time line: after this place, so many rows.
    Timeline { after: Option<(i64, u64)>, limit: usize },
}

/// A text and for how long it holds.
#[derive(Clone, Debug)]
pub struct Text {
    /// The newest entry that it rests on.
    pub newest: u64,
    /// From when on it says something else even without an event, in Unix microseconds.
    pub until_us: i64,
    pub text: Arc<str>,
}

/// The rows of a whole time line.
#[derive(Debug)]
pub struct Lines {
    /// The newest entry that they rest on.
    pub newest: u64,
    pub rows: Vec<Row>,
}

/// What is kept.
#[derive(Debug)]
pub struct Kept {
    texts: Mutex<Recent<(RolloutId, Part), Text>>,
    lines: Mutex<Recent<RolloutId, Arc<Lines>>>,
}

impl Default for Kept {
    fn default() -> Kept {
        Kept {
            texts: Mutex::new(Recent::of(TEXTS_SIZE_MAX)),
            lines: Mutex::new(Recent::of(ROWS_MAX)),
        }
    }
}

impl Kept {
    /// The text if it still holds.
    pub fn text(&self, key: &(RolloutId, Part), newest: u64, now_us: i64) -> Option<Arc<str>> {
        let mut texts = lock(&self.texts);
        let found = texts.get(key)?;
        (found.newest == newest && now_us < found.until_us).then(|| found.text.clone())
    }

    /// Keeps a text in the place of an older one.
    pub fn keep(&self, key: (RolloutId, Part), text: Text) {
        let size = text.text.len() + TEXT_OVERHEAD;
        lock(&self.texts).put(key, text, size);
    }

    /// The rows if they still hold.
    pub fn lines(&self, id: &RolloutId, newest: u64) -> Option<Arc<Lines>> {
        let mut lines = lock(&self.lines);
        lines.get(id).filter(|lines| lines.newest == newest).cloned()
    }

    /// Keeps rows in the place of older ones.
    pub fn keep_lines(&self, id: &RolloutId, lines: Lines) -> Arc<Lines> {
        let (len, lines) = (lines.rows.len(), Arc::new(lines));
        lock(&self.lines).put(id.clone(), lines.clone(), len);
        lines
    }
}

/// Every change is complete before it can be seen, so a panic elsewhere breaks nothing here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Values up to a weight together; the one that was not used for longest goes first.
#[derive(Debug)]
struct Recent<K, V> {
    by_key: HashMap<K, Held<V>>,
    /// Who was used when.
    by_use: BTreeMap<u64, K>,
    uses: u64,
    weight: usize,
    weight_max: usize,
}

#[derive(Debug)]
struct Held<V> {
    used: u64,
    weight: usize,
    value: V,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    fn of(weight_max: usize) -> Recent<K, V> {
        let (by_key, by_use) = (HashMap::new(), BTreeMap::new());
        Recent { by_key, by_use, uses: 0, weight: 0, weight_max }
    }

    fn get(&mut self, key: &K) -> Option<&V> {
        let held = self.by_key.get_mut(key)?;
        let key = self.by_use.remove(&held.used)?;
        self.uses += 1;
        held.used = self.uses;
        self.by_use.insert(held.used, key);
        Some(&held.value)
    }

    fn put(&mut self, key: K, value: V, weight: usize) {
        if let Some(old) = self.by_key.remove(&key) {
            self.by_use.remove(&old.used);
            self.weight -= old.weight;
        }
        if weight > self.weight_max {
            return;
        }
        self.uses += 1;
        self.weight += weight;
        self.by_use.insert(self.uses, key.clone());
        self.by_key.insert(key, Held { used: self.uses, weight, value });
        while self.weight > self.weight_max {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            if let Some(gone) = self.by_key.remove(&oldest) {
                self.weight -= gone.weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_the_weight_is_kept() {
        let mut recent = Recent::of(10);
        for key in ["a", "b", "c"] {
            recent.put(key, key, 3);
        }
        assert_eq!(recent.get(&"a"), Some(&"a"));
        recent.put("d", "d", 4);
        assert_eq!(recent.get(&"b"), None, "the oldest made room");
        assert_eq!(recent.get(&"a"), Some(&"a"));
        assert_eq!(recent.weight, 10);
        recent.put("a", "again", 1);
        assert_eq!(recent.get(&"a"), Some(&"again"));
        assert_eq!(recent.weight, 8);
        recent.put("huge", "x", 11);
        assert_eq!(recent.get(&"huge"), None);
        assert_eq!(recent.by_key.len(), 3);
        assert_eq!(recent.by_key.len(), recent.by_use.len());
    }

    #[test]
    fn a_text_holds_until_an_event_or_its_moment() {
        let kept = Kept::default();
        let id: RolloutId = "trial".parse().unwrap();
        let key = (id, Part::Current);
        kept.keep(key.clone(), Text { newest: 7, until_us: 100, text: "x".into() });
        assert_eq!(kept.text(&key, 7, 99).as_deref(), Some("x"));
        assert_eq!(kept.text(&key, 7, 100), None, "its moment has come");
        assert_eq!(kept.text(&key, 8, 99), None, "an event came");
        let other = Part::Timeline { after: None, limit: 1 };
        assert_eq!(kept.text(&(key.0.clone(), other), 7, 99), None);
    }
}
