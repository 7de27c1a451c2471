//! The ready questions of an audit, asked of a log that is scanned (commands) or of a server's views
//! (HTTP). Both give the same answer to the same state.

use std::collections::{BTreeMap, BTreeSet};

use projector::{
    audit::{
        Approvals, Cited, Gaps, Restated, State, Trail, Wanted, WhoChanged, gaps,
        silence::{SAID_LEN_MAX, Spoke},
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
    let changed = WhoChanged::of(key.as_str(), &events, wanted).ok_or_else(|| {
        fail(Code::Usage, "after is the seq of no change of this flag; begin without it")
    })?;
    Ok((changed, as_of))
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
    let ((events, more), as_of) = told.page(&filter, wanted)?;
    Ok((Trail::of(&events, more, Some(id)), as_of))
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
    let ((events, more), as_of) = told.page(&filter, wanted)?;
    Ok((Trail::of(&events, more, None), as_of))
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
    pub at_us: i64,
    pub quiet_days: u32,
    pub silent_days: Option<u32>,
    pub after: Option<String>,
    pub limit: usize,
}

pub fn gaps(told: &impl Told, asked: &AskedGaps) -> Answered<Gaps> {
    wanted(None, asked.limit)?;
    let after = asked.after.as_deref().map(rollout_id).transpose()?;
    let (facts, as_of) = told.gaps(after.as_ref().map(RolloutId::as_str), asked.limit)?;
    let at = Moment(asked.at_us);
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

    fn gaps(&self, after: Option<&str>, limit: usize) -> Answered<gaps::Facts> {
        self.gap_facts(after, limit)
    }
}
