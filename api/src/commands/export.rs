//! `event export`: events for an auditor to take away.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::Context as _;
use ledger::Entry;
use projector::recorded::Recorded;
use serde_json::{Value, json};

use crate::{
    answers::AsOf,
    config::EventExport,
    context::Context,
    exit::{Code, fail},
    export::{self, Export},
    filter::{self, Question},
    history::{self, History},
    output, space,
    temporary::Temporary,
};

pub(super) fn run(context: &Context, asked: &EventExport) -> anyhow::Result<()> {
    if let Some(file) = &asked.check {
        return check(context, file);
    }
    let history = context.history()?;
    let question = filter::question(&asked.filter, &asked.order)?;
    let (seq, hash) = history.as_of();
    let export = Export::new(asked.format, &question, AsOf { seq, hash });
    match &asked.out {
        Some(file) => {
            whole_file(file, |out| write(&history, &question, export, &mut BufWriter::new(out)))
        }
        None => write(&history, &question, export, &mut BufWriter::new(io::stdout().lock())),
    }
}

/// Writes beside the file and puts it in place when it is whole and on the disk.
pub(super) fn whole_file<T>(
    file: &Path,
    write: impl FnOnce(&fs::File) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let writing = || format!("cannot write {}", file.display());
    if file.is_dir() {
        let what = format!("{} is a directory; name a file", file.display());
        return Err(fail(Code::Conflict, what));
    }
    let whole = || {
        let temporary = Temporary::file_beside(file).with_context(writing)?;
        let written = write(temporary.file())?;
        temporary.file().sync_all().with_context(writing)?;
        temporary.put(file).with_context(writing)?;
        Ok(written)
    };
    whole().map_err(|e| space::full(e, file))
}

fn write(
    history: &History,
    question: &Question,
    mut export: Export,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let (mut line, mut redactions) = (Vec::new(), None);
    export.begin(&mut line);
    history.each_of(question, |entry| {
        let allowed = allowed(history, entry, &mut redactions)?;
        export.push(entry, &allowed, &mut line);
        out.write_all(&line)?;
        line.clear();
        Ok(true)
    })?;
    export.end(&mut line);
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// The redaction that allows an erased entry. They are looked for once, when the first is met.
fn allowed(
    history: &History,
    entry: &Entry,
    redactions: &mut Option<Vec<Recorded>>,
) -> anyhow::Result<BTreeMap<u64, u64>> {
    if entry.payload().is_some() {
        return Ok(BTreeMap::new());
    }
    let known = match redactions.take() {
        Some(known) => known,
        None => history.of_types(|name| name == history::REDACTED)?,
    };
    Ok(history::allowed(&[entry], redactions.insert(known)))
}

fn check(context: &Context, file: &Path) -> anyhow::Result<()> {
    let trailer = export::check(file)?;
    let count = trailer.get("count").and_then(Value::as_u64).unwrap_or_default();
    let events = if count == 1 { "event" } else { "events" };
    let head = trailer.get("head").cloned().unwrap_or_default();
    output::object(context.format, &json!({ "ok": true, "trailer": trailer }), || {
        let part = |name: &str| head.get(name).map(ToString::to_string).unwrap_or_default();
        let hash = part("hash");
        format!(
            "complete: {count} {events}, made at entry {} {}",
            part("seq"),
            hash.trim_matches('"')
        )
    })
}
