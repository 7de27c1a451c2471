//! `log copy` and `log move`: the same entries in another log.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::{
    config::log::{Copy, Move},
    context::Context,
    home::Home,
    intake,
    interrupt::Begun,
    logs::Topic,
    moving::{self, Done, Place},
    output, space,
};

pub(super) fn copied(context: &Context, asked: &Copy) -> anyhow::Result<()> {
    let (home, to) = (context.home()?, &asked.to);
    let says =
        format!("the copy in {to} is not complete; run the same command again, which goes on");
    let begun = Begun::note(says, || Ok(())).context("cannot wait for signals")?;
    let done = moving::copied(&home, to, asked.to_properties.as_deref());
    let done = done.map_err(|e| full(e, to))?;
    drop(begun);
    output::object(context.format, &shown(to, &done), || {
        format!("the copy in {to} {}", words(&done))
    })?;
    tell_pending(&done, to)?;
    let way = match to {
        Place::Directory(_) => "`rollout-ledger restore` makes it the ledger's home",
        Place::Topic(_) => "`rollout-ledger log move` makes it the ledger's home",
    };
    Ok(output::say(&format!("the copy is for reading; {way}"))?)
}

pub(super) fn moved(context: &Context, asked: &Move) -> anyhow::Result<()> {
    if let Some(reason) = &asked.reason {
        intake::check_words("--reason", reason)?;
    }
    let (home, to) = (context.alone()?, &asked.to);
    let old = Topic::read(&home)?.filter(|old| !leads_to(old, to));
    let says =
        format!("the move to {to} is not finished; run the same command again, which goes on");
    let begun = Begun::note(says, || Ok(())).context("cannot wait for signals")?;
    let (properties, reason) = (asked.to_properties.as_deref(), asked.reason.as_deref());
    let done = moving::moved(&home, to, properties, reason, &|_| Ok(()));
    let done = done.map_err(|e| full(e, to))?;
    drop(begun);
    let left = left_behind(&home, to, old.as_ref());
    let mut object = shown(to, &done);
    crate::json::set(&mut object, "left_behind", json!(left));
    output::object(context.format, &object, || {
        format!("the ledger lives in {to} now, which {}", words(&done))
    })?;
    left.iter().try_for_each(|line| output::say(line))?;
    Ok(())
}

fn leads_to(topic: &Topic, to: &Place) -> bool {
    matches!(to, Place::Topic(address) if address.topic() == topic.name())
}

/// What nobody takes away unasked.
fn left_behind(home: &Home, to: &Place, old: Option<&Topic>) -> Vec<String> {
    let mut left = Vec::new();
    if home.log_moved().is_dir() {
        let shown = home.log_moved().display().to_string();
        left.push(format!(
            "the old segments are in {shown}, with all payloads; remove them when you like"
        ));
    }
    if let Some(old) = old {
        let (name, brokers) = (old.name(), old.brokers());
        left.push(format!(
            "the old topic still has every payload, erased ones too; when all its readers have gone over, \
             delete it: kafka-topics.sh --bootstrap-server {brokers} --delete --topic {name}, and the \
             same for {name}.control"
        ));
        left.push(match to {
            Place::Topic(_) => format!(
                "on every other machine of the ledger, run the same `log move`, while {name} is still \
                 there, or make its directory anew with `kafka join`"
            ),
            Place::Directory(_) => "directories of the old topic, here and on other machines, are for \
                                    reading from now on"
                .to_owned(),
        });
    }
    left
}

fn tell_pending(done: &Done, to: &Place) -> anyhow::Result<()> {
    if done.pending.is_empty() {
        return Ok(());
    }
    let count = done.pending.len();
    Ok(output::say(&format!(
        "note: {to} has the payloads of {count} entries that were redacted after they were copied, and \
         cannot erase them; copy to a topic of another name, and delete this one"
    ))?)
}

fn shown(to: &Place, done: &Done) -> Value {
    let (head, entries) = (done.head, done.head.next.0);
    json!({
        "to": to.to_string(),
        "entries": entries,
        "head": { "seq": entries.saturating_sub(1), "hash": head.hash.to_string() },
        "stored": done.stored,
        "erased": done.erased,
        "pending": done.pending,
    })
}

fn words(done: &Done) -> String {
    let (entries, stored, erased) = (done.head.next.0, done.stored, done.erased);
    let (last, hash) = (entries.saturating_sub(1), done.head.hash);
    let gone = if erased > 0 {
        format!(", {erased} of them without their payload")
    } else {
        String::new()
    };
    format!(
        "holds {entries} entries{gone} and verifies: {stored} copied, {} there already\nhead: {last}:{hash}",
        entries.saturating_sub(stored)
    )
}

fn full(error: anyhow::Error, to: &Place) -> anyhow::Error {
    match to {
        Place::Directory(dir) => space::full(error, dir),
        Place::Topic(_) => error,
    }
}
