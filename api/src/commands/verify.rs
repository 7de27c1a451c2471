//! `verify`: the whole chain, without trusting anything derived from it.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use anyhow::Context as _;
use ledger::{Hash, Report, Seq, VerifyOptions};
use serde_json::{Value, json};

use crate::{
    clock,
    context::Context,
    exit::{Code, fail},
    home::Home,
    json::set,
    logs, moment, output,
    verified::Verified,
};

pub(super) fn run(
    context: &Context,
    dir: Option<PathBuf>,
    head: Option<&str>,
    note: bool,
) -> anyhow::Result<()> {
    let dir = dir.unwrap_or_else(|| context.data_dir.clone());
    let home = Home::existing(&dir)?.asking(context.asked.clone());
    if note {
        may_note(&home)?;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let expect_head = head.map(parse_head).transpose()?;
    let options = VerifyOptions { threads, payloads: true, opened_first: true, expect_head };
    let report = logs::verified(&home, &options)?;
    if note {
        let noted = Verified::of(&report, clock::wall_us()).write(&home);
        noted.with_context(|| format!("cannot write {}", home.verified().display()))?;
    }
    output::object(context.format, &shown(&report), || words(&report, expect_head.is_some()))?;
    if report.is_good() {
        return Ok(());
    }
    let seq = report.first_bad.as_ref().map_or(0, |damage| damage.seq.0);
    Err(fail(Code::Tampered, format!("this ledger does not verify, from entry {seq} on")))
}

/// Makes sure that a note is kept where the ledger is written, and by the account that writes it: a
/// copy stays as it is, and a file of another account's could stop a server.
fn may_note(home: &Home) -> anyhow::Result<()> {
    let shown = home.dir().display();
    if home.id()?.is_none() {
        let what = format!("{shown} is a copy, and --note would change it; verify it without");
        return Err(fail(Code::Conflict, what));
    }
    let owner = fs::metadata(home.dir()).map(|found| found.uid());
    let me = fs::metadata("/proc/self").map(|process| process.uid());
    if let (Ok(owner), Ok(me)) = (owner, me)
        && owner != me
    {
        let what = format!("{shown} is account {owner}'s, and this one is {me}");
        return Err(fail(Code::Auth, format!("{what}; verify with --note as its owner")));
    }
    Ok(())
}

/// `SEQ:HASH`, as `verify` prints it.
pub(super) fn parse_head(text: &str) -> anyhow::Result<(Seq, Hash)> {
    let parsed = text.split_once(':').and_then(|(seq, hash)| {
        Some((Seq(seq.trim().parse().ok()?), hash.trim().parse::<Hash>().ok()?))
    });
    let form = "--head wants SEQ:HASH, as `verify` prints it: 41:9c1f... (64 hexadecimal digits)";
    parsed.ok_or_else(|| fail(Code::Usage, form))
}

fn shown(report: &Report) -> Value {
    let seq = report.head.next.0.checked_sub(1);
    let mut shown = json!({
        "ok": report.is_good(),
        "entries": report.entries,
        "head": { "seq": seq, "hash": report.head.hash.to_string() },
        "redactions": report.redactions.iter().map(|r| json!({
            "seq": r.target.0, "by": r.by.0, "erased": r.erased,
        })).collect::<Vec<_>>(),
        "clock_steps": report.clock_steps.iter().map(|step| json!({
            "seq": step.seq.0,
            "from": moment::shown_us(step.from_us),
            "to": moment::shown_us(step.to_us),
        })).collect::<Vec<_>>(),
        "recorded_twice": report.doubled.iter().map(|(first, again)| json!({
            "seq": first.0, "again": again.0,
        })).collect::<Vec<_>>(),
        "notes": report.notes,
    });
    if let Some(torn) = &report.torn {
        set(
            &mut shown,
            "torn",
            json!({
                "seq": torn.seq.0, "file": torn.file, "offset": torn.offset, "bytes": torn.bytes,
            }),
        );
    }
    if let Some(bad) = &report.first_bad {
        let (file, offset) = bad.place.clone().unzip();
        set(
            &mut shown,
            "first_bad",
            json!({
                "seq": bad.seq.0, "what": bad.what, "code": bad.code, "file": file,
                "offset": offset, "advice": bad.advice,
            }),
        );
    }
    shown
}

fn words(report: &Report, against_head: bool) -> String {
    let mut lines = Vec::new();
    let last = report.head.next.0.checked_sub(1);
    if report.is_good() {
        let entries = report.entries;
        lines.push(format!("ok: {entries} entries; headers, digests, payloads and chain verify"));
    } else if let Some(bad) = &report.first_bad {
        lines.push(format!("NOT OK at entry {}: {}", bad.seq, bad.what));
        if let Some((file, offset)) = &bad.place {
            lines.push(format!("  where: {}, byte {offset}", file.display()));
        }
        lines.push(format!("  code: {}", bad.code));
        lines.push(format!("  what to do: {}", bad.advice));
    }
    if let Some(last) = last {
        lines.push(format!("head: {last}:{}", report.head.hash));
    }
    for redaction in &report.redactions {
        let (target, by) = (redaction.target, redaction.by);
        let state = if redaction.erased { "redacted" } else { "redacted, but not erased yet" };
        lines.push(format!("entry {target}: {state} by entry {by}"));
    }
    for step in &report.clock_steps {
        let (from, to) = (moment::shown_us(step.from_us), moment::shown_us(step.to_us));
        lines.push(format!("entry {}: the clock was set back from {from} to {to}", step.seq));
    }
    if let Some(torn) = &report.torn {
        let (seq, bytes) = (torn.seq, torn.bytes);
        lines.push(format!("an unfinished commit of {bytes} bytes at entry {seq} was not read"));
    }
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    if report.is_good() && !against_head {
        lines.push(
            "A chain alone does not show what was cut off its end: keep the head above elsewhere, \
             and later run `verify --head SEQ:HASH`."
                .to_owned(),
        );
    }
    lines.join("\n")
}
