//! A ledger's entries taken to another log, and the ledger after them. `docs/MOVING.md` says what a crash at each
//! step leaves.
//!
//! A copy is read-only. A move ends the log with `ledger.moved`, after which nobody writes to it; the place that it
//! names is the ledger's home as soon as it holds that very entry, and not before. So at no time two logs may be
//! written, and between the two moments the same command, typed again, finishes.

use std::{path::Path, sync::Arc};

use ledger::{
    Head, Log, SegmentLog, Seq,
    copy::{Copied, CopyError, Survey, check, copy, holds},
};

pub use self::place::{Place, Target};
use crate::{
    backup::Mark,
    engine::{Engine, check_home, check_home_in_full, homes_in, moved_to},
    exit::{Code, fail},
    home::{Home, HomeId},
    logs::{self, Topic},
    progress,
};

mod place;

/// What has just become durable: a crash after it leaves what `docs/MOVING.md` says in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The target has all that the source had when the copying began.
    Copied,
    /// The source ends with `ledger.moved`.
    Ended,
    /// The target has that entry, too: it is the home.
    Brought,
    /// The target was read whole.
    Checked,
    /// The directory names its new log; what is left to do is tidying up.
    Named,
}

/// Called after each step of a move. An error ends it there, as a crash would.
pub type After<'a> = &'a dyn Fn(Step) -> anyhow::Result<()>;

/// What a copy or a move came to.
#[derive(Clone, Debug)]
pub struct Done {
    /// The end of the target.
    pub head: Head,
    /// How many entries were stored by this run.
    pub stored: u64,
    /// Payloads that the target does not have, since they were redacted.
    pub erased: usize,
    /// Redacted entries whose payloads the target has all the same.
    pub pending: Vec<u64>,
}

impl Done {
    fn of(survey: &Survey, copied: &Copied, before: u64) -> Done {
        let pending: Vec<_> = copied.pending.iter().map(|seq| seq.0).collect();
        let erased = survey.erased_len().saturating_sub(pending.len());
        Done { head: copied.head, stored: before + copied.stored, erased, pending }
    }
}

/// Copies a ledger's entries, or goes on with it.
///
/// # Errors
/// Exit 5 when the target holds something else, or is or was the ledger's home; exit 3 when the source or the copy
/// does not verify.
pub fn copied(home: &Home, to: &Place, properties: Option<&Path>) -> anyhow::Result<Done> {
    let source = logs::readable(home)?;
    let survey = survey(&source, None, to)?;
    refuse_home(home, to, properties, || homes_in(&*source))?;
    let target = Target::open(home, &*source, to, properties)?;
    let copied = bring(&source, &survey, &target, to)?;
    verified(&target, &survey, to)?;
    target.finish_copy()?;
    Ok(Done::of(&survey, &copied, 0))
}

/// Moves a ledger, or goes on with it.
///
/// # Errors
/// Exit 5 when the ledger does not live here, or moved elsewhere, or the target holds something else; exit 75 when
/// another process writes to the log.
pub fn moved(
    home: &Home,
    to: &Place,
    properties: Option<&Path>,
    reason: Option<&str>,
    after: After<'_>,
) -> anyhow::Result<Done> {
    if let Some(done) = only_tidying_left(home, to, properties)? {
        return Ok(done);
    }
    let source = logs::readable(home)?;
    let left = left_for(home, &*source)?;
    if left.is_none() {
        let homes = check_home_in_full(home, &*source)?;
        refuse_home(home, to, properties, || Ok(homes))?;
        free_to_set_aside(home)?;
    }
    let first = survey(&source, None, to)?;
    let mut target = Target::open(home, &*source, to, properties)?;
    let there = target.home()?;
    if let Some(other) = left.as_ref().filter(|left| **left != there) {
        let what = format!("the ledger moved to {other} already, and {to} is {there}");
        return Err(fail(Code::Conflict, format!("{what}; name the place that it is moving to")));
    }
    // It may have gone on there, from another machine.
    let gone_on = left.is_some() && holds(&*target.log, &first).map_err(|e| refused(e, to))?;
    let mut copied = if gone_on {
        Copied { head: target.log.head(), stored: 0, pending: Vec::new() }
    } else {
        refuse_pending(&target.keeps(&first).map_err(|e| refused(e, to))?, to)?;
        bring(&source, &first, &target, to)?
    };
    let (mut survey, mut stored) = (first, 0);
    if left.is_none() {
        after(Step::Copied)?;
        stored = copied.stored;
        let mut engine = Engine::open(home)?;
        survey = self::survey(&engine.log, Some(survey), to)?;
        copied = bring(&engine.log, &survey, &target, to)?;
        refuse_pending(&copied.pending, to)?;
        stored += copied.stored;
        engine.move_away(&there, reason)?;
        engine.log.close()?;
        after(Step::Ended)?;
        survey = self::survey(&engine.log, Some(survey), to)?;
        copied = bring(&engine.log, &survey, &target, to)?;
    }
    after(Step::Brought)?;
    verified(&target, &survey, to)?;
    after(Step::Checked)?;
    target.finish_move(home, properties, after)?;
    Ok(Done::of(&survey, &copied, stored))
}

/// The home that this log was left for, if its last entry says so.
fn left_for(home: &Home, log: &dyn Log) -> anyhow::Result<Option<HomeId>> {
    let here = home.id()?;
    Ok(moved_to(log)?.filter(|to| here.as_ref() != Some(to)))
}

/// Finishes a move whose directory names its new log already.
fn only_tidying_left(
    home: &Home,
    to: &Place,
    properties: Option<&Path>,
) -> anyhow::Result<Option<Done>> {
    let log = match to {
        Place::Topic(address) => {
            let Some(topic) = Topic::read(home)?.filter(|t| t.name() == address.topic()) else {
                return Ok(None);
            };
            let here = topic.home_id();
            if home.log().is_dir() {
                let left = moved_to(&SegmentLog::open_read_only(home.log())?)?;
                if left.as_ref() != Some(&here) {
                    return Ok(None);
                }
                logs::kafka::copies::keep_properties(home, properties)?;
                place::set_aside(home)?;
            } else if logs::kafka::copies::home_of(home, address, properties)? != here {
                return Ok(None);
            } else {
                logs::kafka::copies::keep_properties(home, properties)?;
            }
            let log = logs::readable(home)?;
            check_home(home, &*log)?;
            log
        }
        Place::Directory(dir) => {
            let new = Home::at(dir);
            let named = new.id()?;
            if named.is_none() || moved_to(&*logs::readable(home)?)? != named {
                return Ok(None);
            }
            Mark::remove(dir)?;
            Arc::new(SegmentLog::open_read_only(new.log())?)
        }
    };
    let survey = survey(&log, None, to)?;
    let copied = Copied { head: log.head(), stored: 0, pending: Vec::new() };
    Ok(Some(Done::of(&survey, &copied, 0)))
}

/// Makes sure that there is a place for the segments of a ledger that moves to a topic.
fn free_to_set_aside(home: &Home) -> anyhow::Result<()> {
    let aside = home.log_moved();
    if !home.log().is_dir() || !aside.exists() {
        return Ok(());
    }
    let shown = aside.display();
    let what = format!("{shown} is there, and the segments would get that name");
    Err(fail(Code::Conflict, format!("{what}; nothing was changed; give it another name")))
}

fn survey(source: &Arc<dyn Log>, known: Option<Survey>, to: &Place) -> anyhow::Result<Survey> {
    let total = source.head().next.0;
    let survey = progress::reading("reading the log", total, source, |log| match known {
        None => Survey::of(log),
        Some(known) => known.extended(log),
    });
    survey.map_err(|e| refused(e, to))
}

fn bring(
    source: &Arc<dyn Log>,
    survey: &Survey,
    target: &Target,
    to: &Place,
) -> anyhow::Result<Copied> {
    let left = survey.head().next.0.saturating_sub(target.log.head().next.0);
    let work = |source: &dyn Log| copy(source, survey, &*target.log);
    progress::reading("copying", left, source, work).map_err(|e| refused(e, to))
}

fn verified(target: &Target, survey: &Survey, to: &Place) -> anyhow::Result<()> {
    let total = survey.head().next.0;
    let work = |log: &dyn Log| check(log, survey);
    progress::reading("verifying", total, &target.log, work).map_err(|e| refused(e, to))
}

/// A topic that is the ledger's home gets no copy, and one that was is never written to again: its last entry tells
/// where the ledger went, and whoever still follows it looks there. Nothing is made or changed before this is sure.
/// A directory that is or was a home has an id, and is refused for that.
fn refuse_home(
    home: &Home,
    to: &Place,
    properties: Option<&Path>,
    homes: impl FnOnce() -> anyhow::Result<Vec<HomeId>>,
) -> anyhow::Result<()> {
    let Place::Topic(address) = to else { return Ok(()) };
    let there = logs::kafka::copies::home_of(home, address, properties)?;
    let homes = homes()?;
    let Some(at) = homes.iter().position(|home| *home == there) else { return Ok(()) };
    let way = "nothing was changed there; name a topic of another name";
    let what = match homes.get(at + 1) {
        Some(next) => format!(
            "{to} has been this ledger's home before, and the ledger moved from there to {next}"
        ),
        None => format!("{to} is the ledger's home"),
    };
    Err(fail(Code::Conflict, format!("{what}; {way}")))
}

/// A topic cannot let a payload go that came before its redaction, and a move to it would be for nothing.
fn refuse_pending(pending: &[Seq], to: &Place) -> anyhow::Result<()> {
    let Some(seq) = pending.first() else { return Ok(()) };
    let what = format!("{to} was given entry {seq} before it was redacted, and cannot erase it");
    let way = "nothing was moved; name another topic, and delete that one";
    Err(fail(Code::Conflict, format!("{what}; {way}")))
}

/// What a person is told, and the exit code.
fn refused(error: CopyError, to: &Place) -> anyhow::Error {
    let way = match &error {
        CopyError::Source(_) | CopyError::Target(_) => {
            let (CopyError::Source(error) | CopyError::Target(error)) = error else {
                unreachable!("it is one of the two")
            };
            return anyhow::Error::from(error).context(format!(
                "{to} is not complete; run the same command again, which goes on"
            ));
        }
        CopyError::Empty => "record something first",
        CopyError::OtherLedger => "name another place",
        CopyError::Ahead { .. } | CopyError::Forked { .. } => {
            "keep both as they are, run `verify` on each with a head that was kept elsewhere, and find \
             out which one is right; copy to another place"
        }
        CopyError::Spoilt(_) => {
            let what = format!("{to}: {error}");
            return fail(Code::Tampered, format!("{what}; copy to another place"));
        }
    };
    fail(Code::Conflict, format!("{to}: {error}; nothing was changed there; {way}"))
}
