//! The ready questions of an audit, asked of a log that is scanned (commands) or of a server's views
//! (HTTP). Both give the same answer to the same state.

use std::collections::{BTreeMap, BTreeSet};

use projector::{
    audit::{
        Approvals, Cited, Gaps, Restated, State, Trail, Wanted, WhoChanged, gaps,
        silence::{SAID_LEN_MAX, Spoke},
        trail::AMENDING,
    },
    recorded::{Moment, Recorded, resolve},
    views::{
        Filter, IMPORTS_LEN_MAX, LOOSE_FLAGS_LEN_MAX, SOURCES_LEN_MAX, SOURCES_SEEN_MAX, about,
        facets, read_entry, rows_of,
    },
};
use schemas::{Event, FlagKey, RolloutId};

use crate::{
    answers::{AsOf, View},
    config::audit::{By, ROWS_LEN_MAX},
    engine::OWN_SOURCE,
    exit::{Code, fail},
    facts::Facts,
    history::History,
};

/// Names that differ by so few letters are likely one name and a slip.
const SLIP_MAX: usize = 2;

/// An answer, and the state of the log that it was computed at.
type Answered<T> = anyhow::Result<(T, AsOf)>;

/// Where answers come from.
pub trait Told {
    /// Everything about a flag, corrections included.
    fn of_flag(&self, key: &FlagKey) -> Answered<Vec<Recorded>>;
    /// Everything about a rollout.
    ///
    /// # Errors
    /// When it was never heard of.
    fn of_rollout(&self, id: &RolloutId) -> Answered<Vec<Recorded>>;
    /// The events that fit, by seq, and whether there are more.
    fn page(&self, filter: &Filter, wanted: Wanted) -> Answered<(Vec<Recorded>, bool)>;
    /// Every flag that was heard of.
    fn flags(&self) -> anyhow::Result<BTreeSet<String>>;
    /// When an entry was recorded, Unix microseconds.
    fn recorded_at_us(&self, seq: u64) -> anyhow::Result<i64>;
    /// What gaps are found in: so many rollouts behind one, by id, and what belongs to none.
    fn gaps(&self, after: Option<&str>, limit: usize) -> Answered<gaps::Facts>;
}

/// # Errors
/// When a page would have no rows, or too many.
pub fn wanted(after: Option<u64>, limit: usize) -> anyhow::Result<Wanted> {
    if !(1..=ROWS_LEN_MAX).contains(&limit) {
        return Err(fail(Code::Usage, format!("limit is 1 to {ROWS_LEN_MAX}")));
    }
    Ok(Wanted { after, limit })
}

pub fn who_changed(told: &impl Told, flag: &str, wanted: Wanted) -> Answered<WhoChanged> {
    let key = flag_key(flag)?;
    let (events, as_of) = told.of_flag(&key)?;
    if events.is_empty() {
        return Err(never_heard_of(told, &key)?);
    }
    let changed = WhoChanged::of(key.as_str(), &events, wanted).ok_or_else(|| {
        fail(Code::Usage, "after is the seq of no change of this flag; begin without it")
    })?;
    Ok((changed, as_of))
}

/// A slip must not read as a flag that nobody ever touched.
fn never_heard_of(told: &impl Told, key: &FlagKey) -> anyhow::Result<anyhow::Error> {
    let far = |other: &String| strsim::damerau_levenshtein(key.as_str(), other);
    let flags = told.flags()?;
    let near = flags.iter().map(|other| (far(other), other)).min();
    let meant = near.filter(|(far, _)| *far <= SLIP_MAX).map_or_else(
        || "`flag list` has those that it has heard of".to_owned(),
        |(_, other)| format!("did you mean {other}?"),
    );
    Ok(fail(Code::NotFound, format!("the ledger has never heard of this flag; {meant}")))
}

pub fn state(
    told: &impl Told,
    flag: &str,
    at: Option<i64>,
    known_at: Option<i64>,
) -> Answered<State> {
    let key = flag_key(flag)?;
    let (events, as_of) = told.of_flag(&key)?;
    Ok((State::of(key.as_str(), &events, at, known_at), as_of))
}

pub fn actor(told: &impl Told, id: &str, wanted: Wanted) -> Answered<Trail> {
    if id.is_empty() {
        return Err(fail(Code::Usage, "an account id is not empty"));
    }
    let filter = Filter { actor: Some(id.to_owned()), ..Filter::default() };
    trail(told, &filter, wanted, Some(id))
}

pub fn between(
    told: &impl Told,
    from_us: i64,
    before_us: i64,
    by: By,
    rollout: Option<&str>,
    wanted: Wanted,
) -> Answered<Trail> {
    if before_us <= from_us {
        return Err(fail(Code::Usage, "the second moment must be after the first"));
    }
    let rollout = rollout.map(rollout_id).transpose()?;
    let (from_us, before_us) = (Some(from_us), Some(before_us));
    let filter = match by {
        By::Happened => Filter { rollout, from_us, before_us, ..Filter::default() },
        By::Recorded => Filter {
            rollout,
            recorded_from_us: from_us,
            recorded_before_us: before_us,
            ..Filter::default()
        },
    };
    trail(told, &filter, wanted, None)
}

/// One page of events, and whatever corrects or withdraws one of them: that lies behind them, and is
/// rare beside them.
fn trail(
    told: &impl Told,
    filter: &Filter,
    wanted: Wanted,
    account: Option<&str>,
) -> Answered<Trail> {
    let ((events, more), as_of) = told.page(filter, wanted)?;
    let types = AMENDING.map(str::to_owned).to_vec();
    let amending = Filter { types, ..Filter::default() };
    let mut amendments = Vec::new();
    let mut after = events.first().map(|event| event.seq);
    while after.is_some() {
        let behind = Wanted { after, limit: ROWS_LEN_MAX };
        let ((mut found, more), _) = told.page(&amending, behind)?;
        // What the answer is computed at may be older by now.
        found.retain(|event| as_of.seq.is_some_and(|newest| event.seq <= newest));
        after = found.last().filter(|_| more).map(|event| event.seq);
        amendments.append(&mut found);
    }
    Ok((Trail::of(&events, &amendments, more, account), as_of))
}

pub fn approvals(told: &impl Told, id: &str, view: &View) -> Answered<Approvals> {
    let id = rollout_id(id)?;
    let (events, as_of) = told.of_rollout(&id)?;
    Ok((Approvals::of(id.as_str(), &events, view.as_of_us, view.known_at_us), as_of))
}

pub fn restated(told: &impl Told, id: &str) -> Answered<Restated> {
    let id = rollout_id(id)?;
    let (events, as_of) = told.of_rollout(&id)?;
    Ok((Restated::of(id.as_str(), &events), as_of))
}

/// What is asked about gaps.
#[derive(Clone, Debug)]
pub struct AskedGaps {
    /// `None` is now.
    pub at_us: Option<i64>,
    pub now_us: i64,
    pub quiet_days: u32,
    pub silent_days: Option<u32>,
    pub after: Option<String>,
    pub limit: usize,
}

pub fn gaps(told: &impl Told, asked: &AskedGaps) -> Answered<Gaps> {
    wanted(None, asked.limit)?;
    let after = asked.after.as_deref().map(rollout_id).transpose()?;
    let (facts, as_of) = told.gaps(after.as_ref().map(RolloutId::as_str), asked.limit)?;
    let newest = as_of.seq.map(|seq| told.recorded_at_us(seq)).transpose()?.unwrap_or(i64::MIN);
    if asked.at_us.is_some_and(|at| at < newest) {
        let newest = Moment(newest);
        let message = format!(
            "at is before the newest entry, recorded {newest}: what is missing is told of the \
             ledger as it is; give that moment, a later one, or none for now"
        );
        return Err(fail(Code::Usage, message));
    }
    // A clock that was set back is no reason to tell of the past.
    let at = Moment(asked.at_us.unwrap_or(asked.now_us.max(newest)));
    Ok((Gaps::of(facts, at, asked.quiet_days, asked.silent_days), as_of))
}

/// Sources that nobody waits to hear of: the ledger itself, and plans, which say something when
/// somebody changes them. A forgotten plan is a quiet rollout.
pub fn passed_over(source: &str) -> bool {
    source == OWN_SOURCE || source.starts_with("urn:rollout-ledger:plan:")
}

fn flag_key(text: &str) -> anyhow::Result<FlagKey> {
    text.parse().map_err(|e| fail(Code::Usage, format!("a flag's key {e}")))
}

fn rollout_id(text: &str) -> anyhow::Result<RolloutId> {
    text.parse().map_err(|e| fail(Code::Usage, format!("a rollout's id {e}")))
}

/// One scan of the whole log for each question.
impl Told for History {
    fn of_flag(&self, key: &FlagKey) -> Answered<Vec<Recorded>> {
        let filter = Filter { flag: Some(key.clone()), ..Filter::default() };
        let (events, _) = scan(self, &filter, Wanted { after: None, limit: usize::MAX })?;
        Ok((events, as_of(self)))
    }

    fn of_rollout(&self, id: &RolloutId) -> Answered<Vec<Recorded>> {
        Ok((History::of_rollout(self, id)?, as_of(self)))
    }

    fn page(&self, filter: &Filter, wanted: Wanted) -> Answered<(Vec<Recorded>, bool)> {
        Ok((scan(self, filter, wanted)?, as_of(self)))
    }

    fn flags(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut flags = BTreeSet::new();
        self.each(0, |entry| {
            let recorded = read_entry(entry);
            flags.extend(recorded.known().and_then(facets::flag).map(ToString::to_string));
            Ok(true)
        })?;
        Ok(flags)
    }

    fn recorded_at_us(&self, seq: u64) -> anyhow::Result<i64> {
        Ok(read_entry(&self.entry(seq)?).recorded_at_us)
    }

    fn gaps(&self, after: Option<&str>, limit: usize) -> Answered<gaps::Facts> {
        let mut facts = gaps::Facts::default();
        let mut ids = self.rollouts()?;
        ids.sort();
        ids.retain(|id| after.is_none_or(|after| id.as_str() > after));
        let more = ids.len() > limit;
        ids.truncate(limit);
        let mut events = self.of_rollouts(&ids)?;
        for id in &ids {
            facts.rollouts.push((id.to_string(), events.remove(id).unwrap_or_default()));
        }
        facts.next.has_more = more;
        facts.next.next_after = ids.last().filter(|_| more).map(ToString::to_string);
        let mut beside = Beside::default();
        self.each(0, |entry| {
            if entry.payload().is_some() {
                beside.take(read_entry(entry));
            }
            Ok(true)
        })?;
        beside.tell(self, &mut facts)?;
        Ok((facts, as_of(self)))
    }
}

fn as_of(history: &History) -> AsOf {
    let (seq, hash) = history.as_of();
    AsOf { seq, hash }
}

/// The events that fit, behind `after` and so many at most, and whether there are more.
fn scan(
    history: &History,
    filter: &Filter,
    wanted: Wanted,
) -> anyhow::Result<(Vec<Recorded>, bool)> {
    let (mut events, mut more) = (Vec::new(), false);
    history.each(wanted.after.map_or(0, |seq| seq.saturating_add(1)), |entry| {
        let recorded = read_entry(entry);
        if filter.admits(&recorded, &about(&*history.log, &recorded)?) {
            more = events.len() == wanted.limit;
            if !more {
                events.push(recorded);
            }
        }
        Ok(!more)
    })?;
    Ok((events, more))
}

/// What belongs to no rollout, gathered in one scan.
#[derive(Default)]
struct Beside {
    /// The newest change of each flag.
    changes: BTreeMap<String, Cited>,
    registrations: Vec<Recorded>,
    imports: Vec<Recorded>,
    /// By the length of the name and the name, as the indexes go.
    sources: BTreeMap<(usize, String), Spoke>,
}

impl Beside {
    fn take(&mut self, recorded: Recorded) {
        let newest = Cited::of(&recorded);
        let key = (recorded.source.len(), recorded.source.clone());
        let spoke = self.sources.entry(key).or_insert_with(|| Spoke {
            source: recorded.source.clone(),
            recorded_at_us: Vec::new(),
            newest: newest.clone(),
        });
        spoke.recorded_at_us.push(recorded.recorded_at_us);
        spoke.newest = newest.clone();
        match recorded.known() {
            Some(Event::FlagChanged(change)) => {
                self.changes.insert(change.key.to_string(), newest);
            }
            Some(Event::SourceImported(_)) => self.imports.push(recorded),
            Some(Event::FlagRegistered(_) | Event::EventCorrected(_)) => {
                self.registrations.push(recorded);
            }
            _ => {}
        }
    }

    fn tell(mut self, history: &History, facts: &mut gaps::Facts) -> anyhow::Result<()> {
        // A correction may give a registration another flag; the first one was linked all the same.
        let resolved = resolve(self.registrations.iter());
        let registered = resolved.iter().filter_map(|r| r.known().and_then(facets::flag));
        let first = resolved.iter().filter_map(|r| facets::flag(r.amended.first.as_ref()?));
        let registered: BTreeSet<String> =
            registered.chain(first).map(ToString::to_string).collect();
        self.changes.retain(|key, _| !registered.contains(key));
        for (flag, newest_change) in self.changes {
            if facts.flags_without_rollout.len() == LOOSE_FLAGS_LEN_MAX {
                facts.cut_off.push("flags_without_rollout");
                break;
            }
            facts.flags_without_rollout.push(gaps::LooseFlag { flag, newest_change });
        }
        let surplus = self.imports.len().saturating_sub(IMPORTS_LEN_MAX);
        facts.imports = self.imports.split_off(surplus);
        let read = |seqs: &[u64]| -> anyhow::Result<Vec<Recorded>> {
            seqs.iter().map(|seq| Ok(read_entry(&history.entry(*seq)?))).collect()
        };
        let (rows, all) = rows_of(&facts.imports, read)?;
        facts.rows = rows;
        if surplus > 0 || !all {
            facts.cut_off.push("row_gaps");
        }
        for (seen, (_, mut spoke)) in self.sources.into_iter().enumerate() {
            if passed_over(&spoke.source) && seen < SOURCES_SEEN_MAX {
                continue;
            }
            if facts.sources.len() == SOURCES_LEN_MAX || seen >= SOURCES_SEEN_MAX {
                facts.cut_off.push("sources");
                break;
            }
            spoke.recorded_at_us.reverse();
            spoke.recorded_at_us.truncate(SAID_LEN_MAX);
            facts.sources.push(spoke);
        }
        Ok(())
    }
}

/// Rows and indexes of a running server; never a scan.
impl Told for Facts {
    fn of_flag(&self, key: &FlagKey) -> Answered<Vec<Recorded>> {
        self.flag_recorded(key)
    }

    fn of_rollout(&self, id: &RolloutId) -> Answered<Vec<Recorded>> {
        let look = self.rollout(id)?;
        Ok((look.events, look.as_of))
    }

    fn page(&self, filter: &Filter, wanted: Wanted) -> Answered<(Vec<Recorded>, bool)> {
        self.recorded(filter, wanted)
    }

    fn flags(&self) -> anyhow::Result<BTreeSet<String>> {
        self.flag_keys()
    }

    fn recorded_at_us(&self, seq: u64) -> anyhow::Result<i64> {
        Facts::recorded_at_us(self, seq)
    }

    fn gaps(&self, after: Option<&str>, limit: usize) -> Answered<gaps::Facts> {
        self.gap_facts(after, limit)
    }
}
