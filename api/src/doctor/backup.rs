//! A backup that was never finished: it lacks entries, and is no ledger that was tampered with.

use std::fs;

use super::{Check, running};
use crate::{
    backup::{Mark, MarkHead},
    home::Home,
    shell::quoted,
};

/// What `backup.json` says of the directory; `None` where there is none.
pub(super) fn backup(home: &Home) -> Option<Check> {
    let name = "backup";
    let dir = quoted(home.dir());
    let mark = match Mark::read(home.dir()) {
        Ok(mark) => mark?,
        // That the directory cannot be looked into is told elsewhere.
        Err(_) if fs::read_dir(home.dir()).is_err() => return None,
        Err(e) => {
            let remedy = "make a new backup in another directory: `rollout-ledger backup DIR`";
            return Some(Check::problem(name, format!("{e:#}"), remedy));
        }
    };
    if let Some(MarkHead { seq, hash }) = mark.head {
        let at = mark.finished_at.unwrap_or_default();
        return Some(Check::ok(name, format!("a backup, finished at {at} with head {seq}:{hash}")));
    }
    if let Some(pid) = running::holder_of(home.dir()) {
        let finding = format!("a backup that process {pid} is making; it is not finished yet");
        return Some(Check::warning(name, finding, "wait for its end, and look again"));
    }
    if mark.home.is_some() {
        let finding = "a ledger was moving here, and the move was never finished";
        let remedy = format!("finish it: `rollout-ledger log move --to {dir} --data-dir LEDGER`");
        return Some(Check::problem(name, finding, remedy));
    }
    Some(Check::problem(
        name,
        "a backup that was never finished, so entries are missing; nothing in it was judged",
        format!(
            "finish it with the ledger that it is of: `rollout-ledger backup {dir} --data-dir \
             LEDGER`; or remove it: `rm -r {dir}`"
        ),
    ))
}
