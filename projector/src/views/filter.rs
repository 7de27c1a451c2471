//! Which events an audit question is about: one meaning for pages, exports, streams and webhooks.

mod page;

pub use page::Page;
pub(in crate::views) use page::What;

use schemas::{FlagKey, RolloutId, StageKey, event, event::measurement::Severity, values::Basis};

use super::{about::About, about::Events, facets, links, words};
use crate::{
    index::VALUE_SIZE_MAX,
    recorded::{Read, Recorded},
};

/// Conditions that must all hold. Without any, every event fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// About this rollout, also through the event that it targets.
    pub rollout: Option<RolloutId>,
    /// About this flag, also through the event that it targets.
    pub flag: Option<FlagKey>,
    /// About this stage, also through the event that it targets.
    pub stage: Option<StageKey>,
    /// Acted, decided, signed off, approved or confirmed by this account id, as the sender claims.
    pub actor: Option<String>,
    /// Of one of these CloudEvents types, or of one that begins with `NAME.`; of any if empty.
    pub types: Vec<String>,
    pub source: Option<String>,
    /// Known in one of these ways; in any if empty.
    pub bases: Vec<Basis>,
    /// As bad as one of these; also without a severity if empty.
    pub severities: Vec<Severity>,
    /// Names this ticket or link, given as [`links::folded`] writes it.
    pub link: Option<String>,
    /// Says all these words, given as [`words::words_of`] writes them.
    pub words: Vec<String>,
    /// Happened then or later, Unix microseconds. Events of unknown time do not fit.
    pub from_us: Option<i64>,
    /// Happened before then, Unix microseconds.
    pub before_us: Option<i64>,
    /// Recorded then or later, Unix microseconds.
    pub recorded_from_us: Option<i64>,
    /// Recorded before then, Unix microseconds.
    pub recorded_before_us: Option<i64>,
}

impl Filter {
    /// Whether an event fits. `about` is what it is about, its target's subject and flag included;
    /// the indexes go by the same rule.
    pub fn admits(&self, recorded: &Recorded, about: &About) -> bool {
        self.rollout.as_ref().is_none_or(|id| about.rollouts.contains(id))
            && self.flag.as_ref().is_none_or(|key| about.flags.contains(key))
            && self.stage.as_ref().is_none_or(|key| about.stages.contains(key))
            && self.admits_envelope(recorded)
            && self.admits_data(recorded)
            && self.admits_time(recorded)
            && within(self.recorded_from_us, self.recorded_before_us, recorded.recorded_at_us)
    }

    /// Of an erased event nobody knows type and source.
    fn admits_envelope(&self, recorded: &Recorded) -> bool {
        let type_name = match &recorded.event {
            Read::Known(event) => event.type_name(),
            Read::Unknown { type_name } => type_name.as_str(),
            Read::Redacted => return self.source.is_none() && self.types.is_empty(),
        };
        self.source.as_ref().is_none_or(|wanted| *wanted == recorded.source)
            && (self.types.is_empty() || self.types.iter().any(|wanted| is_of(type_name, wanted)))
    }

    fn admits_data(&self, recorded: &Recorded) -> bool {
        let asks = self.actor.is_some()
            || self.link.is_some()
            || !(self.bases.is_empty() && self.severities.is_empty() && self.words.is_empty());
        let Some(event) = recorded.known() else { return !asks };
        let severe = || facets::severity(event).is_some_and(|s| self.severities.contains(&s));
        self.actor.as_ref().is_none_or(|id| facets::actors(event).any(|actor| actor == id))
            && (self.bases.is_empty() || self.bases.contains(&event.common().basis))
            && (self.severities.is_empty() || severe())
            && self.link.as_ref().is_none_or(|link| links::names(event, link))
            && (self.words.is_empty() || words::says(event, &self.words))
    }

    fn admits_time(&self, recorded: &Recorded) -> bool {
        if self.from_us.is_none() && self.before_us.is_none() {
            return true;
        }
        recorded.time.is_some_and(|time| within(self.from_us, self.before_us, time))
    }
}

fn within(from_us: Option<i64>, before_us: Option<i64>, at: i64) -> bool {
    from_us.is_none_or(|from| from <= at) && before_us.is_none_or(|before| at < before)
}

/// Whether a type is the one that is wanted, or begins with it as `rollout.stage.started.v1` begins
/// with `rollout.stage` and `rollout.stage.`. A name that is in no key as it is has no beginning.
fn is_of(type_name: &str, wanted: &str) -> bool {
    let begins = |rest: &str| wanted.ends_with('.') || rest.starts_with('.');
    type_name == wanted
        || !is_whole(wanted)
            && type_name.len() <= VALUE_SIZE_MAX
            && type_name.strip_prefix(wanted).is_some_and(begins)
}

/// Whether the name is that of a type of the catalogue, which no other type begins with.
fn is_whole(wanted: &str) -> bool {
    event::find(wanted).is_some()
}

/// What an event of this log is about, its target's subject and flag included. For those who scan
/// a log without views.
pub fn about(log: &dyn ledger::Log, recorded: &Recorded) -> Result<About, ledger::LogError> {
    Events { log, batch: &[] }.about(recorded)
}
