//! Where a ledger lives: two writable copies of one ledger cannot both be right.
//!
//! Entry 0 names the first home, and each `ledger.moved` the next one. The id of a `ledger.moved` is
//! made from the home that it leaves, so the newest home is found by looking up one id a move,
//! however long the log is.

use anyhow::Context as _;
use ledger::Seq;
use serde_json::{Value, json};

use super::{Engine, OWN_SOURCE};
use crate::{
    clock::Clock,
    exit::{Code, fail},
    home::{Home, random_hex},
};

const MOVED: &str = "rollout.ledger.moved.v1";

/// The homes of a ledger, the newest last.
struct Homes(Vec<String>);

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

impl Engine {
    /// Makes sure that this directory is the ledger's newest home.
    pub(super) fn check_home(&mut self, home: &Home) -> anyhow::Result<()> {
        let (Homes(homes), id) = (self.homes()?, home.id()?.unwrap_or_default());
        if homes.last() == Some(&id) {
            return Ok(());
        }
        if homes.contains(&id) {
            let what = "this ledger moved to another home, which its newest `ledger.moved` names";
            return Err(fail(Code::Conflict, format!("{what}; write there, or read this one")));
        }
        Err(read_only(home, "is not the ledger's home, so it is a copy and is read-only"))
    }

    /// Makes a copy the ledger's home, and records it. `from` is the id of the directory that it
    /// was copied from, if it had one.
    ///
    /// # Errors
    /// Exit 5 when the directory, or the one that it was copied from, is the ledger's home.
    pub fn move_here(home: &Home, from: Option<&str>, reason: &str) -> anyhow::Result<Engine> {
        let (mut engine, torn) = Engine::open_log(home, Clock::start)?;
        let Homes(homes) = engine.homes()?;
        let newest = homes.last().cloned().unwrap_or_default();
        if [home.id()?.as_deref(), from].contains(&Some(newest.as_str())) {
            let what = "this directory is the ledger's home already, so nothing is to be restored";
            let way = "if it is a plain copy of the home, remove the file `home` from it first";
            return Err(fail(Code::Conflict, format!("{what}; {way}")));
        }
        let id = random_hex::<16>();
        // A crash after this leaves a copy, since no entry names this home yet.
        home.claim(&id)?;
        let to = json!({ "kind": "directory", "id": id });
        let data = json!({ "to": to, "reason": reason, "basis": "observed" });
        engine.append_own(MOVED, &moved_from(&newest), data)?;
        engine.note_torn(torn)?;
        Ok(engine)
    }

    fn homes(&mut self) -> anyhow::Result<Homes> {
        let first = self.log.read(Seq(0), 1)?;
        let opened = first.first().and_then(|entry| text(entry.payload()?, "/data/home/id"));
        let Some(opened) = opened else {
            let what = "entry 0 is not there, so it is not known where this ledger lives";
            return Err(fail(Code::Tampered, format!("{what}; put the log back from a backup")));
        };
        let mut homes = vec![opened];
        loop {
            let newest = homes.last().context("there is a first one")?;
            let Some(moved) = self.writer.find(OWN_SOURCE, &moved_from(newest))? else {
                return Ok(Homes(homes));
            };
            let next = moved.payload().and_then(|payload| text(payload, "/data/to/id"));
            let Some(next) = next.filter(|next| !homes.contains(next)) else {
                let seq = moved.seq();
                let what = format!("entry {seq} does not say where this ledger moved to");
                return Err(fail(Code::Tampered, format!("{what}; run `verify`")));
            };
            homes.push(next);
        }
    }
}

/// The id of the `ledger.moved` that leaves a home.
fn moved_from(home: &str) -> String {
    format!("ledger-moved-from-{home}")
}

fn text(payload: &[u8], pointer: &str) -> Option<String> {
    let event = serde_json::from_slice::<Value>(payload).ok()?;
    event.pointer(pointer)?.as_str().map(str::to_owned)
}
