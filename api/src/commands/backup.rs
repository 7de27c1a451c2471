//! `backup`: a copy of the whole ledger, made and brought up to date while a server writes.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use ledger::{BackedUp, SegmentLog, VerifyOptions};
use serde_json::json;

use crate::{
    backup::{Mark, MarkHead, mirror, prepare, refused, remove_unfinished},
    begun_disk::BegunDisk,
    clock,
    config::log::Backup,
    context::Context,
    exit::{Code, fail},
    home::Home,
    interrupt::Begun,
    logs, moment, output,
    progress::{self, Unit},
    space,
};

pub(super) fn run(context: &Context, asked: &Backup) -> anyhow::Result<()> {
    let to = asked.to.as_path();
    backed_up(context, asked).map_err(|e| space::full(e, to))
}

fn backed_up(context: &Context, asked: &Backup) -> anyhow::Result<()> {
    let (home, to) = (context.home()?, asked.to.as_path());
    let log = logs::segments(&home)?;
    let (unfinished, is_ours) = (to.to_owned(), Arc::new(AtomicBool::new(false)));
    let begun_copying = Arc::new(AtomicBool::new(false));
    let (says, ours, copying) = (interrupted(to), is_ours.clone(), begun_copying.clone());
    let undo = move || {
        if !ours.load(Ordering::SeqCst) {
            return Ok(());
        }
        remove_unfinished(&unfinished, copying.load(Ordering::SeqCst))
    };
    let begun = Begun::note(says, undo).context("cannot wait for signals")?;
    let (mark, _held) = prepare(&home, &log, to, &is_ours)?;
    // Cursors of what was sent may fall behind the log, which sends again, but not get ahead of it.
    let states = mirror(&home.state(), &to.join("state"))?;
    let keys = asked.with_keys && mirror(&home.keys(), &to.join("keys"))? > 0;
    log.refresh()?;
    begun_copying.store(true, Ordering::SeqCst);
    let backed_up = copy_log(&log, to)?;
    let head = MarkHead::of(backed_up.head);
    let finished_at = Some(moment::shown_us(clock::wall_us()));
    Mark { head: Some(head.clone()), finished_at, ..mark }.write(to)?;
    drop(begun);
    let (segments, bytes) = backed_up.copied;
    let shown = json!({
        "dir": to,
        "entries": backed_up.head.next.0,
        "head": head,
        "copied": { "segments": segments, "bytes": bytes },
        "kept": { "segments": backed_up.kept },
        "state_files": states,
        "keys": keys,
    });
    output::object(context.format, &shown, || {
        let (entries, kept, dir) = (backed_up.head.next.0, backed_up.kept, to.display());
        format!(
            "the backup in {dir} holds {entries} entries and verifies: {segments} segments of \
             {bytes} bytes copied, {kept} there already\nhead: {}:{}",
            head.seq, head.hash
        )
    })?;
    if !keys {
        output::say("keys/ was left out: keep a copy of it apart from the backup")?;
    }
    Ok(())
}

/// What is said when a signal ends it.
fn interrupted(to: &Path) -> String {
    let shown = to.display();
    format!(
        "the backup in {shown} was not brought up to date; run the same command again, which goes on \
         from here"
    )
}

/// Copies the log and verifies the copy. What has been spoilt there is copied once more.
fn copy_log(log: &SegmentLog, to: &Path) -> anyhow::Result<BackedUp> {
    let backed_up = copied(log, to, false)?;
    if verified(to, backed_up)? {
        return Ok(backed_up);
    }
    output::say("note: the backup did not verify any more; its segments are copied again")?;
    let backed_up = copied(log, to, true)?;
    if verified(to, backed_up)? {
        return Ok(backed_up);
    }
    let shown = to.display();
    let what = format!("the backup in {shown} does not verify, though each file did when copied");
    Err(fail(Code::Tampered, format!("{what}; take another disk, and `verify` the ledger itself")))
}

/// Copies what is new there, or everything.
pub(super) fn copied(log: &SegmentLog, to: &Path, fresh: bool) -> anyhow::Result<BackedUp> {
    let total = log.segments().iter().map(|segment| segment.size).sum();
    progress::counted("copying", Unit::Bytes, Some(total), |done| {
        done.store(0, Ordering::Relaxed);
        log.back_up_on(&BegunDisk, &Home::at(to).log(), fresh, done).map_err(|e| refused(e, to))
    })
}

fn verified(to: &Path, backed_up: BackedUp) -> anyhow::Result<bool> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let expect_head = backed_up.head.last_seq().map(|seq| (seq, backed_up.head.hash));
    let options = VerifyOptions { threads, expect_head, ..VerifyOptions::default() };
    let report = logs::verified_segments(&Home::at(to).log(), &options)?;
    Ok(report.is_good() && report.torn.is_none())
}
