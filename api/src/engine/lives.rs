//! Where a ledger lives: two writable copies of one ledger cannot both be right.
//!
//! Entry 0 names the first home, and each `ledger.moved` the next one. The id of a `ledger.moved` is
//! made from the home that it leaves, so the newest home is found by looking up one id a move,
//! however long the log is.

use std::collections::HashMap;

use ledger::{Entry, Envelope, Log, LogError, Receipt, Seq};
use serde_json::{Value, json};

use super::{Engine, OWN_SOURCE};
use crate::{
    clock::Clock,
    exit::{Code, fail},
    home::{Home, HomeId, random_hex},
};

const MOVED: &str = "rollout.ledger.moved.v1";

/// The kind of a home that is a directory.
const DIRECTORY: &str = "directory";

/// Entries read at once by whoever looks for moves.
const PAGE_LEN: usize = 500;

/// The homes of a ledger, the newest last.
struct Homes(Vec<HomeId>);

/// A copy has no id of its own, and is refused before anything in it changes.
pub(super) fn check_id(home: &Home) -> anyhow::Result<()> {
    match home.id()? {
        Some(_) => Ok(()),
        None => Err(read_only(home, "has no file `home`, so it is a copy and is read-only")),
    }
}

fn read_only(home: &Home, what: &str) -> anyhow::Error {
    let dir = home.dir().display();
    let way = "write to the original, or read this one; if the original is lost, `rollout-ledger \
               restore` makes this one the ledger's home";
    fail(Code::Conflict, format!("{dir} {what}; {way}"))
}

/// Whether a directory may be written, for whoever only reads it.
///
/// Without the index of ids the newest home has to be looked for, which is a reading of the whole
/// log unless the directory has no id, or the first home's: then a last entry that moves is looked for.
pub(crate) fn check_home(home: &Home, log: &dyn Log) -> anyhow::Result<()> {
    check_id(home)?;
    let newest = log.head().next.0.saturating_sub(1);
    let from = if home.id()? == Some(first_home(log)?) { newest } else { 0 };
    judge(home, &named_from(log, from)?)
}

/// The same by a reading of the whole log, for whoever needs the homes too: the newest comes last.
pub(crate) fn check_home_in_full(home: &Home, log: &dyn Log) -> anyhow::Result<Vec<HomeId>> {
    check_id(home)?;
    let homes = named_from(log, 0)?;
    judge(home, &homes)?;
    Ok(homes.0)
}

/// The homes that a log names, the newest last.
pub(crate) fn homes_in(log: &dyn Log) -> anyhow::Result<Vec<HomeId>> {
    Ok(named_from(log, 0)?.0)
}

/// The homes that entry 0 and the entries from a place on name.
fn named_from(log: &dyn Log, mut next: u64) -> anyhow::Result<Homes> {
    let mut moves = HashMap::new();
    loop {
        let page = log.read(Seq(next), PAGE_LEN)?;
        let Some(last) = page.last() else { break };
        next = last.seq().next().0;
        for entry in page {
            let envelope = entry.payload().and_then(|payload| Envelope::read(payload).ok());
            if let Some(envelope) = envelope.filter(|envelope| envelope.event_type() == MOVED) {
                moves.insert(envelope.id().to_owned(), entry.clone());
            }
        }
    }
    homes(first_home(log)?, |id| Ok(moves.get(id).cloned()))
}

fn judge(home: &Home, Homes(homes): &Homes) -> anyhow::Result<()> {
    let id = home.id()?.unwrap_or_default();
    if homes.last() == Some(&id) {
        return Ok(());
    }
    if homes.contains(&id) {
        let newest = homes.last().cloned().unwrap_or_default();
        let what = format!("this ledger moved to another home, {newest}");
        return Err(fail(Code::Conflict, format!("{what}; write there, or read this one")));
    }
    if id.kind == DIRECTORY {
        return Err(read_only(home, "is not the ledger's home, so it is a copy and is read-only"));
    }
    let what = format!("the ledger does not live in {id}, so that is a copy and is read-only");
    let way = "write to the original, or read this one; `rollout-ledger log move` moves a ledger";
    Err(fail(Code::Conflict, format!("{what}; {way}")))
}

/// The home that entry 0 names.
fn first_home(log: &dyn Log) -> anyhow::Result<HomeId> {
    let first = log.read(Seq(0), 1)?;
    first.first().and_then(|entry| home_in(entry.payload()?, "/data/home")).ok_or_else(|| {
        let what = "entry 0 is not there, so it is not known where this ledger lives";
        fail(Code::Tampered, format!("{what}; put the log back from a backup"))
    })
}

/// Goes from home to home; `find` finds the `ledger.moved` with an id.
fn homes(
    first: HomeId,
    mut find: impl FnMut(&str) -> anyhow::Result<Option<Entry>>,
) -> anyhow::Result<Homes> {
    let (mut homes, mut newest) = (vec![first.clone()], first);
    while let Some(moved) = find(&moved_from(&newest))? {
        let next = moved.payload().and_then(|payload| home_in(payload, "/data/to"));
        let Some(next) = next.filter(|next| !homes.contains(next)) else {
            let seq = moved.seq();
            let what = format!("entry {seq} does not say where this ledger moved to");
            return Err(fail(Code::Tampered, format!("{what}; run `verify`")));
        };
        homes.push(next.clone());
        newest = next;
    }
    Ok(Homes(homes))
}

impl Engine {
    /// Makes sure that this directory is the ledger's newest home.
    pub(super) fn check_lives_at(&mut self, home: &Home) -> anyhow::Result<()> {
        let homes = self.homes()?;
        judge(home, &homes)
    }

    /// Makes a copy the ledger's home, and records it. `from` is the id of the directory that it
    /// was copied from, if it had one.
    ///
    /// # Errors
    /// Exit 5 when the directory, or the one that it was copied from, is the ledger's home.
    /// Whatever `before` returns, which is called when it is certain that it is not, and before
    /// anything is changed.
    pub fn move_here(
        home: &Home,
        from: Option<&HomeId>,
        reason: &str,
        before: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Engine> {
        let (mut engine, opened) = Engine::open_log(home, Clock::start)?;
        let Homes(homes) = engine.homes()?;
        let newest = homes.last().cloned().unwrap_or_default();
        if [home.id()?.as_ref(), from].contains(&Some(&newest)) {
            let what = "this directory is the ledger's home already, so nothing is to be restored";
            let way = "if it is a plain copy of the home, remove the file `home` from it first";
            return Err(fail(Code::Conflict, format!("{what}; {way}")));
        }
        before()?;
        let id = random_hex::<16>();
        // A crash after this leaves a copy, since no entry names this home yet.
        home.claim(&id)?;
        let to = HomeId::directory(id);
        let data = json!({ "to": to, "reason": reason, "basis": "observed" });
        engine.append_own(MOVED, &moved_from(&newest), data)?;
        engine.note_torn(opened.torn)?;
        Ok(engine)
    }

    /// Ends this log: from now on the ledger lives at `to`, and nobody writes here.
    ///
    /// # Errors
    /// Exit 5 when the ledger has lived there before: of two logs of one home nobody could tell which is meant.
    pub fn move_away(&mut self, to: &HomeId, reason: Option<&str>) -> anyhow::Result<Receipt> {
        let Homes(homes) = self.homes()?;
        let newest = homes.last().cloned().unwrap_or_default();
        if homes.contains(to) {
            let what = format!("{to} has been this ledger's home before");
            let way = "nothing was moved; name a new directory, or a topic of another name";
            return Err(fail(Code::Conflict, format!("{what}; {way}")));
        }
        let mut data = json!({ "to": to, "basis": "observed" });
        if let Some(reason) = reason {
            crate::json::set(&mut data, "reason", json!(reason));
        }
        self.append_own(MOVED, &moved_from(&newest), data)
    }

    fn homes(&mut self) -> anyhow::Result<Homes> {
        let first = first_home(&*self.log)?;
        homes(first, |id| Ok(self.writer.find(OWN_SOURCE, id)?))
    }
}

/// Where the ledger went, if that is the last thing that a log says.
pub(crate) fn moved_to(log: &dyn Log) -> Result<Option<HomeId>, LogError> {
    let Some(last) = log.head().last_seq() else { return Ok(None) };
    let entries = log.read(last, 1)?;
    let payload = entries.first().and_then(Entry::payload);
    let moved = payload.filter(|payload| {
        Envelope::read(payload).is_ok_and(|envelope| envelope.event_type() == MOVED)
    });
    Ok(moved.and_then(|payload| home_in(payload, "/data/to")))
}

/// The id of the `ledger.moved` that leaves a home. No directory's id is a topic's.
fn moved_from(home: &HomeId) -> String {
    format!("ledger-moved-from-{}", home.id)
}

fn home_in(payload: &[u8], pointer: &str) -> Option<HomeId> {
    let event = serde_json::from_slice::<Value>(payload).ok()?;
    serde_json::from_value(event.pointer(pointer)?.clone()).ok()
}
