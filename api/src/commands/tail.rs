//! `event tail`: entries in the order of the log, each checked against the one before.
//!
//! Without `--follow` they come out of the log. With it they come over the server's stream, and
//! what is printed was checked here, as any consumer can: see `docs/STREAM.md`.

use std::{
    io::{BufRead as _, BufReader},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ledger::{Digest, Entry, HEADER_SIZE, Hash, Header};
use projector::views::{about, read_entry};
use schemas::canonical;
use serde_json::{Value, json};

use crate::{
    config::Tail,
    context::Context,
    elsewhere::{Elsewhere, connections},
    entries::shown,
    exit::{Code, fail},
    filter,
    json::set,
    moment,
    output::{self, Format},
    remote::Remote,
};

/// How long a connection, and the beginning of an answer, may take.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// Between two tries to connect, as the stream itself advises.
const RETRY: Duration = Duration::from_secs(3);

pub(super) fn run(context: &Context, tail: &Tail) -> anyhow::Result<()> {
    if context.format == Format::Csv {
        let what = "entries are printed as they come; take --output jsonl, or `event list`";
        return Err(fail(Code::Usage, what));
    }
    if tail.follow { follow(context, tail) } else { recorded(context, tail) }
}

/// What is there, out of the log.
fn recorded(context: &Context, tail: &Tail) -> anyhow::Result<()> {
    let history = context.history()?;
    let wanted = filter::parse(&tail.filter)?;
    let first = tail.after.map_or(0, |after| after.saturating_add(1));
    let mut place = match first.checked_sub(1) {
        Some(before) => Some((before, history.hash_of(before)?)),
        None => None,
    };
    history.each(first, |entry| {
        check(&mut place, entry)?;
        let read = read_entry(entry);
        if wanted.admits(&read, &about(&*history.log, &read)?) {
            for value in shown(&history, std::slice::from_ref(entry))? {
                print(context, entry, &value)?;
            }
        }
        Ok(true)
    })
}

/// What is there and what comes, over the stream; connects again when that ends.
fn follow(context: &Context, tail: &Tail) -> anyhow::Result<()> {
    let mut place: Option<(u64, Hash)> = None;
    let mut server = Some(server(context, tail)?);
    loop {
        if let Some(server) = server {
            let after = place.map_or(tail.after, |(seq, _)| Some(seq));
            if let Some(lines) = connect(tail, &server, after)? {
                read(context, lines, &mut place)?;
            }
        }
        let seq = place.map_or_else(String::new, |(seq, _)| format!(" after entry {seq}"));
        output::say(&format!("note: the stream ended{seq}; connecting again"))?;
        thread::sleep(RETRY);
        // It may listen elsewhere by now.
        server = self::server(context, tail).ok();
    }
}

/// Where to connect, and the token to show there.
fn server(context: &Context, tail: &Tail) -> anyhow::Result<Elsewhere> {
    if let Some(url) = &tail.url {
        return Elsewhere::at(url, tail.token_file.as_deref());
    }
    let Some(remote) = Remote::of(&context.home()?)? else {
        let what = "no server holds this directory, and only one tells what comes: start \
                    `rollout-ledger serve`, name another with --url, or leave --follow out";
        return Err(fail(Code::TryAgain, what));
    };
    let (url, token) = remote.address();
    Ok(Elsewhere::of(url, Some(token.to_owned())))
}

type Lines = BufReader<ureq::BodyReader<'static>>;

/// Opens the stream. `None` when it may work later.
fn connect(tail: &Tail, server: &Elsewhere, after: Option<u64>) -> anyhow::Result<Option<Lines>> {
    let config = connections()
        .timeout_connect(Some(ANSWER_WAIT_MAX))
        .timeout_recv_response(Some(ANSWER_WAIT_MAX))
        .build();
    let agent: ureq::Agent = config.into();
    let mut request = agent.get(format!("{}/api/v1/events/stream", server.url()));
    for (name, value) in filter::pairs(&tail.filter) {
        request = request.query(name, value);
    }
    if let Some(after) = after {
        request = request.query("after", after.to_string());
    }
    // The chain is checked, whatever is wanted of it.
    request = request.query("headers", "all");
    if let Some(bearer) = server.bearer() {
        request = request.header("authorization", bearer);
    }
    let Ok(mut response) = request.call() else { return Ok(None) };
    let code = match response.status().as_u16() {
        200 => return Ok(Some(BufReader::new(response.into_body().into_reader()))),
        400 => Code::Usage,
        401 | 403 => Code::Auth,
        409 => Code::Tampered,
        429 | 502 | 503 => return Ok(None),
        _ => Code::Failure,
    };
    let body: Value = response.body_mut().read_json().unwrap_or_default();
    let detail = body.get("detail").and_then(Value::as_str).unwrap_or("the server refused it");
    Err(fail(code, detail))
}

/// Prints what arrives until the stream ends.
fn read(context: &Context, lines: Lines, place: &mut Option<(u64, Hash)>) -> anyhow::Result<()> {
    let (mut name, mut data) = (String::new(), String::new());
    for line in lines.lines() {
        // A connection that breaks is an end like another.
        let Ok(line) = line else { return Ok(()) };
        match line.split_once(": ") {
            Some(("event", text)) => text.clone_into(&mut name),
            Some(("data", text)) => text.clone_into(&mut data),
            _ if line.is_empty() && !data.is_empty() => {
                message(context, &name, &data, place)?;
                name.clear();
                data.clear();
            }
            _ => {}
        }
    }
    Ok(())
}

fn message(
    context: &Context,
    name: &str,
    data: &str,
    place: &mut Option<(u64, Hash)>,
) -> anyhow::Result<()> {
    let unreadable = || fail(Code::Tampered, "a message of the stream is unreadable");
    let mut data = canonical::parse(data.as_bytes()).map_err(|_| unreadable())?;
    let members = data.as_object_mut().ok_or_else(unreadable)?;
    let mut text = |name: &str| match members.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    if name == "bye" {
        output::say(&format!("note: the server says goodbye: {}", text("reason")))?;
        return Ok(());
    }
    let hash: Hash = text("ledgerhash").parse().map_err(|_| unreadable())?;
    if name == "position" {
        let seq = members.get("seq").and_then(Value::as_u64).ok_or_else(unreadable)?;
        place.get_or_insert((seq, hash));
        return Ok(());
    }
    let (header, parent) = (text("ledgerheader"), text("ledgerprev"));
    let bytes: Option<[u8; HEADER_SIZE]> =
        STANDARD.decode(header).ok().and_then(|bytes| bytes.try_into().ok());
    let header =
        Header::decode(&bytes.ok_or_else(unreadable)?).context("an entry of the stream")?;
    let bare = name == "header" || name == "redacted";
    let entry = Entry::stored(header, (!bare).then(|| canonical::to_bytes(&data)));
    if entry.hash() != hash || header.parent.to_string() != parent {
        return Err(broken(&entry, "its header is another entry's"));
    }
    check(place, &entry)?;
    if name == "header" {
        return Ok(());
    }
    let mut value = json!({
        "seq": header.seq.0,
        "hash": hash.to_string(),
        "recorded_at": moment::shown_us(header.recorded_at_us),
        "event": if bare { Value::Null } else { data },
    });
    if bare {
        set(&mut value, "redacted", true);
    }
    print(context, &entry, &value)
}

/// Whether an entry follows the one before, if that is known, and its payload is its own.
fn check(place: &mut Option<(u64, Hash)>, entry: &Entry) -> anyhow::Result<()> {
    let header = entry.header();
    let begins = header.seq.0 == 0 && header.parent == Hash([0; 32]);
    let follows = match *place {
        None => header.seq.0 > 0 || begins,
        Some((seq, hash)) => header.seq.0 == seq + 1 && header.parent == hash,
    };
    if !follows {
        return Err(broken(entry, "it does not follow the entry before"));
    }
    if entry.payload().is_some_and(|payload| Digest::of(payload) != header.digest) {
        return Err(broken(entry, "its payload is not the one that was recorded"));
    }
    *place = Some((header.seq.0, entry.hash()));
    Ok(())
}

fn broken(entry: &Entry, what: &str) -> anyhow::Error {
    let advice = "keep what was printed so far, and run `verify`";
    fail(Code::Tampered, format!("entry {}: {what}; {advice}", entry.seq()))
}

fn print(context: &Context, entry: &Entry, value: &Value) -> anyhow::Result<()> {
    Ok(match context.format {
        Format::Table => output::print(&output::printable(&filter::cells(entry).join("  "))),
        _ => output::print(&value.to_string()),
    }?)
}
