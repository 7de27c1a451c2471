//! `event append|list|get|redact`; `event export` is beside it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use anyhow::Context as _;
use ledger::{BATCH_LEN_MAX, BATCH_SIZE_MAX, RedactError};
use projector::views::{facets, read_entry};
use schemas::canonical;
use serde_json::{Value, json};

use crate::{
    config::{Event, EventList},
    context::{Appender, Context},
    engine::OWN_SOURCE,
    entries::shown,
    exit::{Code, Failure, fail},
    filter,
    history::History,
    home::random_hex,
    intake::{BODY_SIZE_MAX, Submitter, check_words, own::Own, own_draft},
    json::{set, text},
    output::{self, Rows},
    record::person,
    remote::Receipt,
};

pub(super) fn run(context: &Context, command: Event) -> anyhow::Result<()> {
    match command {
        Event::Append { file } => append(context, &file),
        Event::List(asked) => list(context, &asked),
        Event::Export(asked) => super::export::run(context, &asked),
        Event::Tail(tail) => super::tail::run(context, &tail),
        Event::Get { seq } => get(context, seq),
        Event::Redact { seq, reason, approver } => redact(context, seq, &reason, &approver),
    }
}

/// Bytes that the intake adds to an event, at most.
const LINE_ROOM: usize = 512;

/// An event of the input and the line that it stands in.
type Line = (usize, Value);

fn append(context: &Context, file: &Path) -> anyhow::Result<()> {
    let mut input: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        Box::new(BufReader::new(opened))
    };
    let mut first = Vec::new();
    let cannot_read = || format!("cannot read {}", file.display());
    while first.trim_ascii().is_empty() {
        first.clear();
        let part = input.by_ref().take(BODY_SIZE_MAX as u64).read_until(b'\n', &mut first);
        if part.with_context(cannot_read)? == 0 {
            return Err(fail(
                Code::Failure,
                "the input is empty: give one event, an array or NDJSON",
            ));
        }
    }
    let mut appender = context.appender()?;
    let result = match canonical::parse(&first) {
        // One whole object on the first line: NDJSON, of which one event is the shortest.
        Ok(Value::Object(event)) => {
            lines(context, &mut appender, ((1, Value::Object(event)), first.len()), input)
        }
        Ok(Value::Array(events)) if rest_is_empty(&mut input)? => {
            all_or_none(context, &mut appender, &events)
        }
        _ => whole(context, &mut appender, first, input),
    };
    // What is recorded is recorded, whether or not a later line was refused.
    let closed = appender.close();
    // A writer that failed cannot be closed either; the first error is the one that says why.
    result.and(closed)
}

fn rest_is_empty(input: &mut dyn BufRead) -> io::Result<bool> {
    let mut rest = Vec::new();
    input.take(BODY_SIZE_MAX as u64).read_to_end(&mut rest)?;
    Ok(rest.trim_ascii().is_empty())
}

/// One JSON value over several lines.
fn whole(
    context: &Context,
    appender: &mut Appender,
    mut text: Vec<u8>,
    input: Box<dyn BufRead>,
) -> anyhow::Result<()> {
    input.take(BODY_SIZE_MAX as u64).read_to_end(&mut text)?;
    if text.len() > BODY_SIZE_MAX {
        let what = format!("one JSON value of more than {BODY_SIZE_MAX} bytes");
        return Err(fail(Code::Failure, format!("{what}; send NDJSON, one event a line")));
    }
    let value = canonical::parse(&text).map_err(|e| fail(Code::Failure, e.to_string()))?;
    match value {
        Value::Array(events) => all_or_none(context, appender, &events),
        event => all_or_none(context, appender, &[event]),
    }
}

fn all_or_none(context: &Context, appender: &mut Appender, events: &[Value]) -> anyhow::Result<()> {
    print_receipts(context, appender.append(events, Own::Nobody)?)
}

/// NDJSON: recorded in batches; a refused line stops it after the receipts of what is recorded.
fn lines(
    context: &Context,
    appender: &mut Appender,
    (first, first_len): (Line, usize),
    mut input: Box<dyn BufRead>,
) -> anyhow::Result<()> {
    let mut receipts = Vec::new();
    let mut batch = vec![first];
    let mut size = first_len + LINE_ROOM;
    let mut text = Vec::new();
    let mut number = 1;
    let stopped = loop {
        text.clear();
        number += 1;
        if input.by_ref().take(BODY_SIZE_MAX as u64).read_until(b'\n', &mut text)? == 0 {
            break None;
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        // The canonical event may be longer than its line by what the intake adds.
        let room = text.len() + LINE_ROOM;
        if batch.len() == BATCH_LEN_MAX || size + room > BATCH_SIZE_MAX {
            if let Err(e) = flush(context, appender, &mut batch, &mut receipts) {
                break Some(e);
            }
            size = 0;
        }
        match canonical::parse(&text) {
            Ok(event) => batch.push((number, event)),
            Err(e) => break Some(fail(Code::Failure, format!("line {number}: {e}"))),
        }
        size += room;
    };
    let flushed = flush(context, appender, &mut batch, &mut receipts);
    if context.format == output::Format::Table || context.format == output::Format::Json {
        print_receipts(context, receipts)?;
    }
    match stopped {
        Some(e) => Err(e),
        None => flushed,
    }
}

/// Records a batch; what stands before a refused line is recorded too. Receipts are printed at
/// once where each has a line of its own.
fn flush(
    context: &Context,
    appender: &mut Appender,
    batch: &mut Vec<Line>,
    receipts: &mut Vec<Receipt>,
) -> anyhow::Result<()> {
    let lines = std::mem::take(batch);
    let events: Vec<Value> = lines.iter().map(|(_, event)| event.clone()).collect();
    if events.is_empty() {
        return Ok(());
    }
    let mut stopped = None;
    let recorded = match appender.append(&events, Own::Nobody) {
        Ok(recorded) => recorded,
        Err(e) => {
            let Some(index) = e.downcast_ref::<Failure>().and_then(|f| f.index) else {
                return Err(e);
            };
            let code = e.downcast_ref::<Failure>().map_or(Code::Failure, |f| f.code);
            let message = e.downcast_ref::<Failure>().map(|f| f.message.clone());
            let number = lines.get(index).map_or(0, |(number, _)| *number);
            let before = events.get(..index).unwrap_or_default();
            stopped = Some(fail(code, format!("line {number}: {}", message.unwrap_or_default())));
            if before.is_empty() { Vec::new() } else { appender.append(before, Own::Nobody)? }
        }
    };
    match context.format {
        output::Format::Jsonl | output::Format::Csv => print_receipts(context, recorded)?,
        output::Format::Table | output::Format::Json => receipts.extend(recorded),
    }
    stopped.map_or(Ok(()), Err)
}

pub(super) fn print_receipts(context: &Context, receipts: Vec<Receipt>) -> anyhow::Result<()> {
    let mut rows = Rows::new(&["seq", "hash", "recorded_at", "duplicate"]);
    for receipt in receipts {
        let cells = vec![
            receipt.seq.to_string(),
            receipt.hash.clone(),
            receipt.recorded_at.clone(),
            receipt.duplicate.to_string(),
        ];
        rows.push(cells, &receipt);
    }
    Ok(rows.print(context.format, "nothing was recorded")?)
}

fn list(context: &Context, asked: &EventList) -> anyhow::Result<()> {
    let history = context.history()?;
    let mut question = filter::question(&asked.filter, &asked.order)?;
    if let Some(cursor) = &asked.cursor {
        question.after = Some(filter::cursor::read(&question, cursor)?);
    }
    let limit = if asked.all { usize::MAX } else { asked.limit };
    let streamed = context.format == output::Format::Jsonl;
    let mut rows = Rows::new(&filter::COLUMNS);
    let (mut count, mut last, mut more) = (0, 0, false);
    history.each_of(&question, |entry| {
        if count == limit {
            more = true;
            return Ok(false);
        }
        (count, last) = (count + 1, entry.seq().0);
        for value in shown(&history, std::slice::from_ref(entry))? {
            if streamed {
                output::print(&value.to_string())?;
            } else {
                rows.push(filter::cells(entry), &value);
            }
        }
        Ok(true)
    })?;
    if !streamed {
        rows.print(context.format, "no event fits")?;
    }
    let (seq, hash) = history.as_of();
    output::computed_at(seq, &hash)?;
    if more {
        let cursor = filter::cursor::write(&question, last);
        output::say(&format!(
            "more than {limit} events fit; --cursor {cursor} goes on, --all shows every one"
        ))?;
    }
    Ok(())
}

fn get(context: &Context, seq: u64) -> anyhow::Result<()> {
    let history = context.history()?;
    let value = shown(&history, &[history.entry(seq)?])?.pop().unwrap_or_default();
    output::object(context.format, &value, || {
        serde_json::to_string_pretty(&value).expect("a JSON value is JSON")
    })?;
    if value.get("missing").is_none() {
        return Ok(());
    }
    let what = "its payload is missing and no redaction allows that; run `verify`";
    Err(fail(Code::Tampered, format!("entry {seq}: {what}")))
}

/// Records the redaction and erases the payload.
fn redact(context: &Context, seq: u64, reason: &str, approvers: &[String]) -> anyhow::Result<()> {
    check_words("--reason", reason)?;
    approvers.iter().try_for_each(|approver| check_words("--approver", approver))?;
    let mut engine = context.engine()?;
    let history = History::of(engine.log.clone());
    let entry = history.entry(seq)?;
    let Some(payload) = entry.payload() else {
        return Err(fail(Code::Conflict, format!("the payload of entry {seq} is erased already")));
    };
    let event: Value = serde_json::from_slice(payload)
        .with_context(|| format!("the payload of entry {seq} is no JSON"))?;
    let repeated_by = repeated_by(&history, seq)?;
    let parties: Vec<_> = approvers.iter().map(|id| json!({ "actor": person(id) })).collect();
    let mut data = json!({
        "target": { "seq": seq, "hash": entry.hash().to_string() },
        "source": text(&event, "/source"), "id": text(&event, "/id"), "reason": reason, "basis": "reported",
    });
    if !parties.is_empty() {
        set(&mut data, "approvers", json!(parties));
    }
    let mut redaction = json!({
        "specversion": "1.0", "id": format!("redaction-{seq}-{}", random_hex::<8>()),
        "source": OWN_SOURCE, "type": "rollout.event.redacted.v1", "data": data,
    });
    if let Some(subject) = event.get("subject") {
        set(&mut redaction, "subject", subject.clone());
    }
    let draft = own_draft(0, &redaction, &Submitter::here(Own::Nobody)).map_err(|r| r.failure())?;
    let now = engine.clock.now_us()?;
    let (receipt, pending) = match engine.writer.redact(draft, now) {
        Ok(receipt) => (receipt, false),
        Err(RedactError::Pending(receipt)) => (receipt, true),
        Err(RedactError::Refused(why)) => return Err(fail(Code::Policy, why)),
        Err(other) => return Err(other.into()),
    };
    engine.log.close()?;
    // What the views knew of it must go too.
    super::views::rebuild(&context.home()?, &engine.log)?;
    if pending {
        output::say(&format!(
            "note: the redaction of entry {seq} is recorded, but a topic cannot let go of its bytes: the \
             payload stays there, and is still shown, until the ledger moves on: `rollout-ledger log move \
             --to kafka://HOST:PORT,.../NEXT_TOPIC`"
        ))?;
    }
    if !repeated_by.is_empty() {
        let by: Vec<_> = repeated_by.iter().map(ToString::to_string).collect();
        output::say(&format!(
            "entry {seq} is erased; what speaks of it is not, and may repeat it: a correction holds \
             the whole event again. Look at {}, and redact those too if need be",
            by.join(", ")
        ))?;
    }
    let receipt = Receipt::from(receipt);
    let mut rows = Rows::new(&["seq", "hash", "recorded_at", "repeated_by"]);
    let by: Vec<_> = repeated_by.iter().map(ToString::to_string).collect();
    let cells = vec![
        receipt.seq.to_string(),
        receipt.hash.clone(),
        receipt.recorded_at.clone(),
        by.join(" "),
    ];
    rows.push(cells, &Erasure { receipt, repeated_by, pending });
    Ok(rows.print(context.format, "nothing was recorded")?)
}

/// The receipt of a redaction.
#[derive(serde::Serialize)]
struct Erasure {
    #[serde(flatten)]
    receipt: Receipt,
    /// Entries that speak of the erased one and may hold again what it said.
    repeated_by: Vec<u64>,
    /// Whether the bytes stay until the ledger moves to its next topic.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

/// Entries with a payload that correct, withdraw, confirm or restate an entry, or such an entry.
fn repeated_by(history: &History, seq: u64) -> anyhow::Result<Vec<u64>> {
    let mut found = vec![seq];
    history.each(seq.saturating_add(1), |entry| {
        let recorded = read_entry(entry);
        let target = recorded.known().and_then(facets::target);
        if target.is_some_and(|target| found.contains(&target.seq)) {
            found.push(recorded.seq);
        }
        Ok(true)
    })?;
    found.remove(0);
    Ok(found)
}
