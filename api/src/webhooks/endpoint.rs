//! One receiver: where it is, what it wants, with which secrets it is signed to, how far it is.

use std::{collections::BTreeMap, time::Duration};

use projector::views::Filter;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{record::Deliveries, schedule::Schedule, sign::Secret};
use crate::{
    config::EventFilter,
    exit::{Code, fail},
    filter, moment,
};

/// Secrets that are valid at once, the newest included.
const SECRETS_LEN_MAX: usize = 3;

/// How long an old secret still signs after a rotation, unless asked otherwise: a day.
pub const OVERLAP: Duration = Duration::from_hours(24);

/// The longest time that an old secret may still sign: a week.
pub const OVERLAP_MAX: Duration = Duration::from_hours(7 * 24);

/// Conditions by the names that `GET /api/v1/events` knows them by.
pub type Conditions = BTreeMap<String, String>;

/// What was agreed with the receiver. Changed by people only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    pub id: String,
    pub url: String,
    pub filter: Conditions,
    /// Events are sent without `data`, for receivers that come and ask.
    pub thin: bool,
    /// Unix microseconds.
    pub created_us: u64,
    /// The newest first. Never in an answer.
    keys: Vec<Key>,
}

/// A secret and how long it signs.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Key {
    secret: Secret,
    /// Unix microseconds; the newest one has no end.
    until_us: Option<u64>,
}

/// How far the receiver is. Changed by every delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The first entry that is not dealt with yet.
    pub next: u64,
    pub state: State,
    /// Attempts that failed for the entry at hand.
    pub failures: u32,
    /// Unix microseconds before which nothing is sent.
    pub due_us: u64,
}

/// Whether anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Active,
    /// By a person.
    Paused,
    /// The receiver answered 410.
    Gone,
    /// Every attempt of the schedule failed.
    Exhausted,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Paused => "paused",
            State::Gone => "gone",
            State::Exhausted => "exhausted",
        }
    }
}

/// All that is known of one receiver.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub terms: Terms,
    pub progress: Progress,
    pub deliveries: Deliveries,
}

impl Terms {
    pub fn new(id: String, url: String, filter: Conditions, thin: bool, now_us: u64) -> Terms {
        let key = Key { secret: Secret::random(), until_us: None };
        Terms { id, url, filter, thin, created_us: now_us, keys: vec![key] }
    }

    /// The secrets that sign now, the newest first.
    pub fn secrets(&self, now_us: u64) -> impl Iterator<Item = &Secret> {
        let valid = move |key: &&Key| key.until_us.is_none_or(|until| now_us < until);
        self.keys.iter().filter(valid).map(|key| &key.secret)
    }

    /// Puts a new secret in front; the one before still signs for `overlap`. An older one is
    /// dropped when there are too many.
    pub fn rotate(&mut self, now_us: u64, overlap: Duration) {
        let until = now_us.saturating_add(micros(overlap));
        for key in &mut self.keys {
            key.until_us = Some(key.until_us.map_or(until, |earlier| earlier.min(until)));
        }
        self.keys.retain(|key| key.until_us.is_some_and(|until| now_us < until));
        self.keys.insert(0, Key { secret: Secret::random(), until_us: None });
        self.keys.truncate(SECRETS_LEN_MAX);
    }

    /// The newest secret, for whoever has just made it.
    pub fn newest_secret(&self) -> String {
        self.keys.first().map(|key| key.secret.shown()).unwrap_or_default()
    }
}

impl Progress {
    /// At an entry, ready to go.
    pub fn at(next: u64) -> Progress {
        Progress { next, state: State::Active, failures: 0, due_us: 0 }
    }

    /// Sends again from where it stands, the schedule from its beginning.
    pub fn resume(&mut self) {
        *self = Progress::at(self.next);
    }

    /// Goes back to an entry that was dealt with.
    ///
    /// # Errors
    /// When it was not: what lies between would never be sent.
    pub fn replay(&mut self, from: u64) -> anyhow::Result<()> {
        if from > self.next {
            let what = format!(
                "only what was dealt with can be replayed, and entry {} is next; to leave entries \
                 out, remove the webhook and add it with --from",
                self.next
            );
            return Err(fail(Code::Conflict, what));
        }
        *self = Progress { state: self.state, ..Progress::at(from) };
        Ok(())
    }

    /// Past an entry, which is dealt with.
    pub fn pass(&mut self, seq: u64) {
        *self = Progress { state: self.state, ..Progress::at(seq + 1) };
    }

    /// After an attempt that failed: when the next one is due, or that there is none.
    pub fn fail(&mut self, schedule: &Schedule, now_us: u64, chance: u8, asked: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        match schedule.wait(self.failures, chance, asked) {
            Some(wait) => self.due_us = now_us.saturating_add(micros(wait)),
            None => self.state = State::Exhausted,
        }
    }
}

impl Endpoint {
    /// What people and programs are shown: everything but the secrets. `head` is the number of
    /// entries in the log.
    pub fn shown(&self, head: u64, now_us: u64) -> Value {
        let (terms, progress) = (&self.terms, &self.progress);
        let waits = progress.state == State::Active && progress.failures > 0;
        let moment = |us: u64| moment::shown_us(us);
        let old = terms.keys.iter().filter_map(|key| key.until_us).filter(|until| now_us < *until);
        json!({
            "id": terms.id,
            "url": without_query(&terms.url),
            "filter": terms.filter,
            "thin": terms.thin,
            "created_at": moment(terms.created_us),
            "state": progress.state.as_str(),
            "next_seq": progress.next,
            "behind": head.saturating_sub(progress.next),
            "failures": progress.failures,
            "next_attempt_at": waits.then(|| moment(progress.due_us)),
            "old_secrets_until": old.map(moment).collect::<Vec<_>>(),
        })
    }
}

/// A URL as it is shown: what stands behind `?` is often a secret of the receiver's.
fn without_query(url: &str) -> String {
    match url.split_once('?') {
        Some((place, _)) => format!("{place}?(withheld)"),
        None => url.to_owned(),
    }
}

/// Reads conditions as the question for a page of events reads them.
///
/// # Errors
/// When a condition is unknown or its value cannot be one.
pub fn filter_of(conditions: &Conditions) -> anyhow::Result<Filter> {
    let pairs: Vec<(String, String)> = conditions.clone().into_iter().collect();
    let given = filter::of_query(&pairs, |name, _| match name {
        "after" => {
            Err(fail(Code::Usage, "after is no condition; from says where a webhook begins"))
        }
        _ => filter::refuse_page(name, "from").map(|()| false),
    })?;
    filter::parse(&given)
}

/// The conditions that were given on the command line.
pub fn conditions(given: &EventFilter) -> Conditions {
    filter::pairs(given).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Microseconds, as many as fit.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: u64 = 86_400_000_000;

    fn terms() -> Terms {
        Terms::new("wh-1".to_owned(), "https://a.example/".to_owned(), Conditions::new(), false, 0)
    }

    #[test]
    fn an_old_secret_signs_until_its_overlap_ends() {
        let mut terms = terms();
        let first = terms.newest_secret();
        terms.rotate(0, OVERLAP);
        let shown = |terms: &Terms, now| terms.secrets(now).map(Secret::shown).collect::<Vec<_>>();
        let second = terms.newest_secret();
        assert_ne!(first, second);
        assert_eq!(shown(&terms, DAY_US - 1), [second.clone(), first]);
        assert_eq!(shown(&terms, DAY_US), [second]);
        // A leaked one goes at once, and with it those before.
        terms.rotate(DAY_US / 2, Duration::ZERO);
        assert_eq!(shown(&terms, DAY_US / 2), [terms.newest_secret()]);
        for _ in 0..9 {
            terms.rotate(DAY_US, OVERLAP);
        }
        assert_eq!(shown(&terms, DAY_US).len(), SECRETS_LEN_MAX);
    }

    #[test]
    fn a_failing_receiver_keeps_its_place() {
        let schedule: Schedule = "0s,1s".parse().unwrap();
        let mut progress = Progress::at(7);
        progress.fail(&schedule, 100, 0, None);
        assert_eq!(progress, Progress { failures: 1, due_us: 1_000_100, ..Progress::at(7) });
        progress.fail(&schedule, 100, 0, None);
        assert_eq!((progress.state, progress.next), (State::Exhausted, 7));
        progress.resume();
        assert_eq!(progress, Progress::at(7));
        progress.pass(7);
        assert_eq!(progress, Progress::at(8));
        assert!(progress.replay(9).is_err());
        progress.replay(3).unwrap();
        assert_eq!(progress, Progress::at(3));
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let mut terms = terms();
        let first = terms.newest_secret();
        terms.rotate(0, OVERLAP);
        let secrets = [first, terms.newest_secret()];
        let deliveries = Deliveries::default();
        let endpoint = Endpoint { terms, progress: Progress::at(0), deliveries };
        let said = format!("{endpoint:?} {}", endpoint.shown(9, 0));
        assert!(secrets.iter().all(|secret| !said.contains(&secret[6..])), "{said}");
    }
}
