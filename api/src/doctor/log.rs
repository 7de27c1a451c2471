//! The log: does it open, is its floor there, was it verified, may it be written here.

use std::fs;

use ledger::{Damage, Log, LogError, Manifest, SegmentLog, Seq};
use serde_json::Value;

use super::{Check, command, quoted};
use crate::{
    clock::{self, Clock, ClockError, DIVERGENCE_MAX},
    engine,
    exit::{Code, Failure},
    home::Home,
    moment,
    tokens::file::TokenFile,
    verified::Verified,
};

/// Days after which a verification is old.
const VERIFY_DAYS_MAX: i64 = 30;

/// Whether the log opens: its newest segment is read, the older ones are joined by their hashes.
pub(super) fn log(home: &Home, opened: &Result<SegmentLog, LogError>) -> Check {
    match opened {
        Ok(log) => {
            let head = log.head();
            match head.last_seq() {
                Some(seq) => {
                    let entries = head.next.0;
                    Check::ok("log", format!("{entries} entries; head {seq}:{}", head.hash))
                }
                None => Check::problem(
                    "log",
                    "there is a log without a first entry",
                    "put log/ back from a backup",
                ),
            }
        }
        Err(LogError::Corrupt(damage)) if is_of_floor(damage) => Check::problem(
            "head",
            format!("{}; no writer starts", damage.what),
            format!(
                "`{}` with a head that was kept elsewhere; if it holds, write that head to {} as one \
                 line `SEQ HASH`",
                command("verify --head SEQ:HASH", home),
                quoted(&home.log().join("head"))
            ),
        ),
        Err(e @ LogError::Corrupt(_)) => Check::problem(
            "log",
            e.to_string(),
            format!(
                "change nothing, copy the directory, then `{}`; docs/OPERATING.md, exit 3",
                command("verify", home)
            ),
        ),
        Err(LogError::Missing(_)) => Check::problem(
            "log",
            "log/ holds no entries",
            "put log/ back from a backup, or name another directory with --data-dir",
        ),
        Err(e) => {
            let cause = std::error::Error::source(e).map(|cause| format!(": {cause}"));
            let finding = format!("{e}{}", cause.unwrap_or_default());
            let remedy = "look as the ledger's account, and at the disk: `dmesg`";
            Check::problem("log", finding, remedy)
        }
    }
}

/// Whether damage is only of the file that tells what was cut off: what is there may all be sound, and
/// `verify`, which goes by the entries, says so.
pub(super) fn is_of_floor(damage: &Damage) -> bool {
    damage.code == "floor_unreadable"
}

/// Whether `log/head`, which a clean stop writes, says what must be there.
pub(super) fn floor(home: &Home, log: &SegmentLog) -> Check {
    if log.floor_missing() {
        return Check::warning(
            "head",
            "log/head is gone, so what was cut off the end of the log would not be noticed",
            format!(
                "`{}` with a head that was kept elsewhere",
                command("verify --head SEQ:HASH", home)
            ),
        );
    }
    let line = fs::read_to_string(home.log().join("head")).unwrap_or_default();
    match line.split_once(' ') {
        Some((seq, _)) => {
            Check::ok("head", format!("log/head promises entry {seq}, and it is there"))
        }
        None => Check::ok("head", "log/head is not written yet: the first clean stop does"),
    }
}

/// Whether a crash left a commit in pieces.
pub(super) fn torn_tail(log: &SegmentLog, held: bool) -> Check {
    match log.torn_tail() {
        None => Check::ok("torn_tail", "the log ends with a whole commit"),
        Some(_) if held => Check::ok("torn_tail", "a commit is being written"),
        Some(torn) => Check::warning(
            "torn_tail",
            format!(
                "a crash left {} bytes of a commit at entry {}, of which nobody was told that it is \
                 recorded",
                torn.bytes, torn.seq
            ),
            "nothing: the next start for writing cuts them off and keeps them in log/torn/",
        ),
    }
}

/// What is made again from the segments when it is missing.
pub(super) fn derived(home: &Home, log: Option<&SegmentLog>, held: bool) -> Check {
    let (dir, mut segments, mut temporary) = (home.log(), Vec::new(), 0);
    for file in fs::read_dir(&dir).into_iter().flatten().flatten() {
        let path = file.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("seg") => segments.extend(path.file_stem().map(ToOwned::to_owned)),
            Some("tmp") => temporary += 1,
            _ => {}
        }
    }
    segments.sort();
    segments.pop();
    let unmapped = segments.iter().filter(|first| {
        let map = dir.join("map").join(first).with_added_extension("map");
        !map.is_file()
    });
    let unmapped = unmapped.count();
    if unmapped > 0 {
        return Check::warning(
            "derived",
            format!(
                "{unmapped} of {} sealed segments have no map, so each opening reads them whole",
                segments.len()
            ),
            format!("`{}`: a start for writing makes them", command("serve", home)),
        );
    }
    let made = || format!("`{}`: a start for writing makes it again", command("serve", home));
    match log.map(SegmentLog::manifest) {
        None | Some(Manifest::Complete) => {}
        // One that a writer is at work on may be ahead of what was opened here.
        Some(_) if held => {}
        Some(Manifest::Incomplete) => {
            let finding = "log/manifest does not list all sealed segments, so one that is taken away \
                           would not be named, and each opening reads more";
            return Check::warning("derived", finding, made());
        }
        Some(Manifest::Differs { first, last }) => {
            let finding = format!(
                "log/manifest lists a segment of entries {first} to {last} that the log does not \
                 have: it is stale, or entries were cut off or exchanged"
            );
            let remedy = format!(
                "`{}` with a head that was kept elsewhere; if it holds, {}",
                command("verify --head SEQ:HASH", home),
                made()
            );
            return Check::warning("derived", finding, remedy);
        }
    }
    if temporary > 0 {
        let finding = format!("{temporary} unfinished files lie in log/");
        return Check::ok("derived", format!("{finding}; the next start for writing removes them"));
    }
    let torn = fs::read_dir(dir.join("torn")).map_or(0, |files| files.flatten().count());
    let kept = if torn > 0 {
        format!("; {torn} ends that were cut off are kept in log/torn/")
    } else {
        String::new()
    };
    Check::ok(
        "derived",
        format!("manifest, maps and index are there or are made at the next start{kept}"),
    )
}

/// Whether this program reads what other versions wrote.
pub(super) fn format(home: &Home, log: &SegmentLog) -> Check {
    if let Err(e) = TokenFile::of(home).read() {
        let file = quoted(&home.state().join("tokens.json"));
        let remedy = format!("put {file} back from a backup; without it nobody is let in");
        return Check::problem("format", format!("{e:#}"), remedy);
    }
    let version = first(log).and_then(|opened| {
        let version = opened.pointer("/data/version")?.as_str()?;
        Some(version.to_owned())
    });
    let version = version.unwrap_or_else(|| "another version".to_owned());
    let this = engine::VERSION;
    Check::ok(
        "format",
        format!("entries of version 1, begun by {version}; this program is {this} and reads them"),
    )
}

/// The event of entry 0.
fn first(log: &SegmentLog) -> Option<Value> {
    let entries = log.read(Seq(0), 1).ok()?;
    serde_json::from_slice(entries.first()?.payload()?).ok()
}

/// Whether the clock may stamp entries.
pub(super) fn clock(watch: Result<Clock, ClockError>, newest_us: Option<u64>) -> Check {
    let steady = watch.and_then(|clock| clock.now_us());
    let now_us = match steady {
        Ok(now_us) => now_us,
        Err(e) => {
            let remedy = "set the clock right: `timedatectl set-ntp true`";
            return Check::problem("clock", e.to_string(), remedy);
        }
    };
    let now = moment::shown_us(now_us);
    let Some(newest_us) = newest_us.filter(|newest| *newest > 0) else {
        return Check::ok("clock", format!("{now}; there is no entry to compare it with"));
    };
    let newest = moment::shown_us(newest_us);
    if u128::from(newest_us.saturating_sub(now_us)) > DIVERGENCE_MAX.as_micros() {
        return Check::problem(
            "clock",
            format!("{now} is before the newest entry, {newest}, so nothing is recorded"),
            "set the clock right; if the entry's time was the wrong one, `rollout-ledger clock step \
             --reason WHY`",
        );
    }
    Check::ok("clock", format!("{now}, after the newest entry, {newest}, and steady"))
}

/// Whether this directory is where the ledger is written.
pub(super) fn home(home: &Home, log: &dyn Log) -> Check {
    let Err(e) = engine::check_home(home, log) else {
        return Check::ok("home", "this is the ledger's home, where it is written");
    };
    match e.downcast_ref::<Failure>() {
        Some(Failure { code: Code::Conflict, message, .. }) => {
            let remedy =
                format!("read it; check it with `{}`", command("verify --head SEQ:HASH", home));
            Check::warning("home", message, remedy)
        }
        Some(failure) => Check::problem("home", &failure.message, "put log/ back from a backup"),
        None => Check::problem(
            "home",
            format!("{e:#}"),
            format!("put {} back from a backup", quoted(&home.dir().join("home"))),
        ),
    }
}

/// When the whole log was last verified, and whether what was verified is still there.
pub(super) fn last_verify(home: &Home, log: Option<&dyn Log>) -> (Check, bool) {
    let verify = format!("`{}`", command("verify --note", home));
    let name = "last_verify";
    let note = match Verified::read(home) {
        Ok(Some(note)) => note,
        Ok(None) if home.id().is_ok_and(|id| id.is_none()) => {
            let finding = "nothing is noted in a copy; `verify` tells whether it is sound";
            return (Check::ok(name, finding), false);
        }
        Ok(None) => {
            let finding = "none is noted; each start of a server and `verify --note` notes one";
            return (Check::warning(name, finding, verify), false);
        }
        Err(e) => {
            let finding = format!("state/verified.json cannot be read: {e}");
            return (Check::warning(name, finding, verify), false);
        }
    };
    let Verified { at, entries, hash, ok } = &note;
    if !ok {
        let finding = format!("at {at} the log did not verify from entry {entries} on");
        return (Check::problem(name, finding, verify), true);
    }
    let still = match (entries.checked_sub(1), log) {
        (Some(last), Some(log)) => log.headers(Seq(last), 1).map_or(true, |found| {
            found.first().is_some_and(|header| header.hash().to_string() == *hash)
        }),
        _ => true,
    };
    if !still {
        let finding = format!(
            "at {at} the log held {entries} entries ending in {hash}, and it does not any more: it was \
             cut off or replaced"
        );
        let remedy = format!(
            "change nothing, copy the directory, then `{}`; docs/OPERATING.md, exit 3",
            command("verify", home)
        );
        return (Check::problem(name, finding, remedy), true);
    }
    let finding = format!("at {at}: {entries} entries verified");
    let old = moment::parse("at", at).is_ok_and(|at_us| {
        let age = clock::now().as_microsecond().saturating_sub(at_us);
        age > VERIFY_DAYS_MAX * 86_400_000_000
    });
    if old {
        return (
            Check::warning(
                name,
                format!("{finding}, more than {VERIFY_DAYS_MAX} days ago"),
                verify,
            ),
            false,
        );
    }
    (Check::ok(name, finding), false)
}
