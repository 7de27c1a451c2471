//! What was passed on and heard already: a copy of a signed request is refused for as long as its
//! claim would be believed.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::AGE_MAX;

/// Signatures that are remembered, of 64 bytes each. When there are more within two minutes, requests
/// that are passed on wait.
pub const HEARD_LEN_MAX: usize = 500_000;

/// How long a claim may be believed in all: signed by a clock ahead of ours, heard at once.
const BELIEVED: Duration = Duration::from_secs(2 * AGE_MAX.as_secs());

/// Signatures in two halves. The older one is forgotten as a whole when it is surely out of date.
#[derive(Debug)]
pub struct Heard(Mutex<Halves>);

#[derive(Debug)]
struct Halves {
    since: Instant,
    newer: HashSet<String>,
    older: HashSet<String>,
}

/// What is known of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    New,
    Again,
    /// Too many are remembered to tell.
    Full,
}

impl Heard {
    pub fn new(now: Instant) -> Heard {
        let (newer, older) = (HashSet::new(), HashSet::new());
        Heard(Mutex::new(Halves { since: now, newer, older }))
    }

    /// Remembers a signature that was believed.
    pub fn hear(&self, signature: &str, now: Instant) -> Known {
        let halves = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(halves.since) >= BELIEVED {
            let gone = now.duration_since(halves.since) >= 2 * BELIEVED;
            halves.older = std::mem::take(&mut halves.newer);
            halves.since = now;
            if gone {
                halves.older.clear();
            }
        }
        // Upper and lower case are the same digits.
        let signature = signature.to_ascii_lowercase();
        if halves.older.contains(&signature) || halves.newer.contains(&signature) {
            return Known::Again;
        }
        if halves.newer.len() + halves.older.len() >= HEARD_LEN_MAX {
            return Known::Full;
        }
        halves.newer.insert(signature);
        Known::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_for_as_long_as_its_claim_is_believed() {
        let begun = Instant::now();
        let heard = Heard::new(begun);
        let first = begun + Duration::from_secs(119);
        assert_eq!(heard.hear("ab", first), Known::New);
        for later in [0, 1, 60, 120] {
            assert_eq!(heard.hear("AB", first + Duration::from_secs(later)), Known::Again);
        }
        assert_eq!(heard.hear("cd", first), Known::New);
        assert_eq!(heard.hear("ab", first + Duration::from_mins(10)), Known::New);
    }
}
