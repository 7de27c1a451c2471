//! `restore`: a copy becomes the ledger's home, to be written to.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use ledger::{Hash, Seq, VerifyOptions};
use serde_json::json;

use super::{backup::copied, verify::parse_head};
use crate::{
    backup::{Mark, lies_in, mirror, refuse_links},
    config::log::Restore,
    context::Context,
    engine::Engine,
    exit::{Code, fail},
    home::{Home, HomeId, NewHome},
    intake,
    interrupt::Begun,
    logs, output, space,
    tokens::file::TokenFile,
    webhooks::{endpoint::State, store::Store},
};

pub(super) fn run(context: &Context, asked: &Restore) -> anyhow::Result<()> {
    let head = asked.head.as_deref().map(parse_head).transpose()?;
    if head.is_none() && !asked.accept_loss {
        let what = "restore wants --head SEQ:HASH, a head that was kept elsewhere, to show that the \
                    copy holds all that it must; without one, say --accept-loss, which is recorded";
        return Err(fail(Code::Usage, what));
    }
    if let Some(reason) = &asked.reason {
        intake::check_words("--reason", reason)?;
    }
    let copy = Home::existing(&asked.copy)?;
    logs::check_segments(&copy)?;
    if let Some(to) = &asked.to
        && lies_in(to, copy.dir())?
    {
        let (to, copy) = (to.display(), copy.dir().display());
        let what = format!("{to} lies in the copy itself, {copy}, and would be lost with it");
        return Err(fail(Code::Conflict, format!("{what}; nothing was changed; name another")));
    }
    refuse_links(copy.dir())?;
    let place = asked.to.as_ref().unwrap_or(&asked.copy).display();
    let says = format!("{place} was not made the ledger's home; run the same command again");
    let begun = Begun::note(says, || Ok(())).context("cannot wait for signals")?;
    let found = judged(&copy, head, asked.accept_loss)?;
    drop(begun);
    let reason = match &asked.reason {
        Some(reason) => format!("{reason}; {found}"),
        None => found,
    };
    let home = match &asked.to {
        None => in_place(copy, &reason),
        Some(to) => elsewhere(&copy, to, &reason).map_err(|e| space::full(e, to)),
    };
    answer(context, &home?, &reason)
}

/// Makes the copy itself the home.
fn in_place(copy: Home, reason: &str) -> anyhow::Result<Home> {
    let shown = copy.dir().display();
    let way = "run the same command again, which tells if it is";
    let says = format!("{shown} may not be the ledger's home yet; {way}");
    let _begun = Begun::note(says, || Ok(())).context("cannot wait for signals")?;
    restored(copy, None, reason)
}

/// Makes the home there, and leaves the copy as it is.
fn elsewhere(copy: &Home, to: &Path, reason: &str) -> anyhow::Result<Home> {
    let new = NewHome::private_beside(to)?;
    let log = logs::segments(copy)?;
    copied(&log, new.home.dir(), true)?;
    mirror(&copy.state(), &new.home.state())?;
    mirror(&copy.keys(), &new.home.keys())?;
    let from = copy.id()?;
    restored(new.home.clone(), from.as_ref(), reason)?;
    new.finish()
}

/// Verifies the copy, and says in words what it was compared with.
fn judged(copy: &Home, head: Option<(Seq, Hash)>, accept: bool) -> anyhow::Result<String> {
    let last = logs::readable(copy)?.head().next.0.saturating_sub(1);
    let beyond = head.filter(|(seq, _)| seq.0 > last);
    if let Some((seq, _)) = beyond
        && !accept
    {
        let what = format!("the copy ends at entry {last}, and entry {seq} is known to have been");
        let way = "look for a newer copy, or say --accept-loss, which is recorded";
        return Err(fail(Code::Tampered, format!("{what}; {way}")));
    }
    let unfinished = Mark::read(copy.dir())?.is_some_and(|mark| mark.head.is_none());
    if unfinished && !accept {
        let what = "the copy is a backup that was never finished, so entries may be missing";
        let way = "run the command that began it once more (`backup`, `log copy` or `log move`), or say \
                   --accept-loss, which is recorded";
        return Err(fail(Code::Conflict, format!("{what}; {way}")));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let expect_head = if beyond.is_none() { head } else { None };
    let options = VerifyOptions { threads, expect_head, ..VerifyOptions::default() };
    let report = logs::verified(copy, &options)?;
    if let Some(bad) = report.first_bad {
        let (seq, what) = (bad.seq, bad.what);
        return Err(fail(
            Code::Tampered,
            format!("the copy does not verify, from entry {seq} on: {what}; take another copy"),
        ));
    }
    let found = match (head, beyond) {
        (_, Some((seq, _))) => format!("entries {} to {seq} are lost, which is accepted", last + 1),
        (Some((seq, _)), None) => format!("it holds entry {seq} with the hash kept elsewhere"),
        (None, None) => "no head kept elsewhere was compared with it, so later entries may be \
                         lost, which is accepted"
            .to_owned(),
    };
    let unfinished = if unfinished { ", a backup that was never finished," } else { "" };
    Ok(format!("restored from a copy{unfinished} that ends at entry {last}; {found}"))
}

/// Makes a copy the ledger's home. `from` is the id of the directory that it was copied from.
fn restored(home: Home, from: Option<&HomeId>, reason: &str) -> anyhow::Result<Home> {
    let engine = Engine::move_here(&home, from, reason, || close_doors(&home))?;
    engine.log.close()?;
    Mark::remove(home.dir())?;
    Ok(home)
}

/// Nothing proves what lies beside a copy's log. So no secret of it lets anyone in, and nothing is
/// sent where it says, until a person wants so.
fn close_doors(home: &Home) -> anyhow::Result<()> {
    let tokens = TokenFile::of(home);
    match fs::remove_file(tokens.path()) {
        Ok(()) => output::say(
            "access tokens were left out, since nothing proves the copy's: make new ones with \
             `token create`",
        )?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => {
            let shown = tokens.path().display();
            return Err(e).with_context(|| format!("cannot remove {shown}"));
        }
    }
    let store = Store::of(home);
    let webhooks = store.load()?;
    if webhooks.is_empty() {
        return Ok(());
    }
    let _lock = store.lock()?;
    for mut webhook in webhooks {
        webhook.progress.state = State::Paused;
        store.save_progress(&webhook)?;
    }
    Ok(output::say(
        "webhooks are paused, since nothing proves the copy's: look at each URL with `webhook \
         list`, and `webhook rotate` and `webhook resume` those that are right",
    )?)
}

fn answer(context: &Context, home: &Home, reason: &str) -> anyhow::Result<()> {
    let log = logs::readable(home)?;
    let head = log.head();
    let (last, hash, id) = (head.next.0.saturating_sub(1), head.hash, home.id()?);
    let shown = json!({
        "data_dir": home.dir(),
        "home": id.map(|home| home.id),
        "entries": head.next.0,
        "head": { "seq": last, "hash": hash.to_string() },
        "reason": reason,
    });
    output::object(context.format, &shown, || {
        let dir = home.dir().display();
        format!("{dir} is the ledger's home now, recorded as entry {last}\nhead: {last}:{hash}")
    })?;
    if !home.keys().join("pseudonym.key").exists() {
        output::say(
            "note: keys/pseudonym.key is not there; put it back before the next `flags import`",
        )?;
    }
    output::say("the old directory cannot know of this: never start it again")?;
    Ok(())
}
