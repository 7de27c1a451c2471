//! Follows a rollout ledger's stream, checks every entry, and keeps its place in a file.
//!
//! ```console
//! consumer http://ADDRESS:PORT STATE [--until SEQ]
//! ```
//!
//! Written from `docs/STREAM.md` alone and without the ledger's own crates. Needs `base64`,
//! `blake3`, `serde_json` and `sha2`. Shows the token in `LEDGER_TOKEN`, if there is one. Prints a
//! line for each entry. Exit 0 at `--until`, 3 when the chain does not hold, 1 when asked wrongly or
//! the token is refused.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints and reads the environment, and the header has its size"
)]

use std::{
    env,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write as _},
    net::TcpStream,
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

const CONTEXT: &str = "rollout-ledger 2026-11 entry v1";

/// Three heartbeats.
const SILENCE: Duration = Duration::from_secs(45);

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Why following ends or begins again.
enum Trouble {
    /// What arrived does not hold. Trying again cannot help.
    Broken(String),
    /// The server wants another token.
    Refused(String),
    Connection(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(e: io::Error) -> Trouble {
        Trouble::Connection(e)
    }
}

fn broken<T>(what: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Broken(what.into()))
}

/// The newest entry that was checked.
#[derive(Clone)]
struct Place {
    seq: Option<u64>,
    hash: String,
}

impl Place {
    fn load(path: &Path) -> io::Result<Place> {
        match fs::read(path) {
            Ok(bytes) => {
                let stored: Value = serde_json::from_slice(&bytes)?;
                let hash = stored["hash"].as_str().unwrap_or_default().to_owned();
                Ok(Place { seq: stored["seq"].as_u64(), hash })
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Ok(Place { seq: None, hash: "0".repeat(64) })
            }
            Err(e) => Err(e),
        }
    }

    /// Either the old place or the new one is there, whatever happens.
    fn store(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        write!(file, "{}", json!({ "seq": self.seq, "hash": self.hash }))?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Whether nothing more is wanted.
    fn is_at(&self, until: Option<u64>) -> bool {
        until.is_some() && self.seq >= until
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// RFC 8785 for what events hold: no fractions, no integers past 2^53 - 1. `serde_json` writes
/// strings and integers as the RFC wants them; the order of names is by UTF-16.
fn canonical(value: &Value, text: &mut String) {
    let parts = |text: &mut String, open, close, parts: Vec<(Option<&String>, &Value)>| {
        text.push(open);
        for (place, (name, value)) in parts.into_iter().enumerate() {
            text.push_str(if place > 0 { "," } else { "" });
            if let Some(name) = name {
                text.push_str(&json!(name).to_string());
                text.push(':');
            }
            canonical(value, text);
        }
        text.push(close);
    };
    match value {
        Value::Array(items) => parts(text, '[', ']', items.iter().map(|v| (None, v)).collect()),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(n, v)| (Some(n), v)).collect();
            members.sort_by_key(|(name, _)| name.map(|n| n.encode_utf16().collect::<Vec<_>>()));
            parts(text, '{', '}', members);
        }
        other => text.push_str(&other.to_string()),
    }
}

/// Checks one entry against the one before. Returns its place and the event, none if erased.
fn check(
    seq: u64,
    mut message: Map<String, Value>,
    place: &Place,
) -> Result<(Place, Option<Value>), Trouble> {
    let mut proof = |name: &str| match message.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (hash, header, parent) = (proof("ledgerhash"), proof("ledgerheader"), proof("ledgerprev"));
    let header: [u8; 81] = match STANDARD.decode(header).map(TryInto::try_into) {
        Ok(Ok(header)) => header,
        _ => return broken(format!("entry {seq}: no header")),
    };
    let (version, stands) = (&header[..1], &header[1..9]);
    let (before, digest) = (&header[17..49], &header[49..]);
    if version != [1] || stands != seq.to_be_bytes() {
        return broken(format!("entry {seq}: the header is another one's"));
    }
    if hex(&blake3::derive_key(CONTEXT, &header)) != hash {
        return broken(format!("entry {seq}: the hash is not the header's"));
    }
    if hex(before) != parent {
        return broken(format!("entry {seq}: the parent is another one"));
    }
    if seq != place.seq.map_or(0, |seq| seq + 1) || parent != place.hash {
        return broken(format!("entry {seq} does not follow the last that was checked"));
    }
    let place = Place { seq: Some(seq), hash };
    if message.get("redacted") == Some(&Value::Bool(true)) {
        return Ok((place, None));
    }
    let event = Value::Object(message);
    let mut text = String::new();
    canonical(&event, &mut text);
    if Sha256::digest(text)[..] != *digest {
        return broken(format!("entry {seq}: the payload is not the one that was recorded"));
    }
    Ok((place, Some(event)))
}

/// Asks in HTTP/1.0, so that the body simply ends with the connection.
fn connect(address: &str, place: &Place) -> Result<BufReader<TcpStream>, Trouble> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(SILENCE))?;
    let last = place.seq.map_or_else(String::new, |seq| format!("Last-Event-ID: {seq}\r\n"));
    let token = env::var("LEDGER_TOKEN").unwrap_or_default();
    let shown = match token.trim() {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let asked =
        format!("GET /api/v1/events/stream HTTP/1.0\r\nHost: {address}\r\n{last}{shown}\r\n");
    socket.write_all(asked.as_bytes())?;
    let mut lines = BufReader::new(socket);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line.trim_end() != "" {
        line.clear();
        lines.read_line(&mut line)?;
    }
    match status.as_str() {
        "200" => Ok(lines),
        "409" => broken("the log is shorter than what was seen of it"),
        "401" | "403" => Err(Trouble::Refused(format!(
            "the server answered {status}; LEDGER_TOKEN wants a token that may read"
        ))),
        _ => Err(io::Error::other(format!("the server answered {status:?}")).into()),
    }
}

/// Reads messages until the connection ends.
fn read(
    lines: BufReader<TcpStream>,
    mut place: Place,
    state: &Path,
    until: Option<u64>,
) -> Result<(), Trouble> {
    let (mut id, mut name, mut data) = (None, String::new(), None);
    for line in lines.lines() {
        let line = line?;
        match line.split_once(": ") {
            Some(("id", text)) => id = text.parse::<u64>().ok(),
            Some(("event", text)) => text.clone_into(&mut name),
            Some(("data", text)) => data = serde_json::from_str::<Map<_, _>>(text).ok(),
            _ if line.is_empty() => {
                let entry = !matches!(name.as_str(), "position" | "bye");
                if let (Some(seq), Some(message), true) = (id, data.take(), entry) {
                    let (checked, event) = check(seq, message, &place)?;
                    place = checked;
                    // Here is your work. If it and the place are stored together, nothing is done
                    // twice.
                    let kind = event.as_ref().and_then(|event| event["type"].as_str());
                    println!("{seq} {} {}", place.hash, kind.unwrap_or("(erased)"));
                    place.store(state)?;
                    if place.is_at(until) {
                        return Ok(());
                    }
                }
                name.clear();
            }
            _ => {}
        }
    }
    Ok(())
}

fn follow(address: &str, state: &Path, until: Option<u64>) -> Result<(), Trouble> {
    loop {
        let place = Place::load(state)?;
        if place.is_at(until) {
            return Ok(());
        }
        let ended = connect(address, &place).and_then(|lines| read(lines, place, state, until));
        match ended {
            Err(Trouble::Connection(e)) => eprintln!("trying again: {e}"),
            Err(final_one) => return Err(final_one),
            Ok(()) if Place::load(state)?.is_at(until) => return Ok(()),
            Ok(()) => {}
        }
        thread::sleep(PAUSE);
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (url, state, until) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [url, state] => (url, state, None),
        [url, state, "--until", seq] if seq.parse::<u64>().is_ok() => {
            (url, state, seq.parse().ok())
        }
        _ => ("", "", None),
    };
    let Some(address) = url.strip_prefix("http://") else {
        eprintln!("usage: consumer http://ADDRESS:PORT STATE [--until SEQ]");
        return ExitCode::from(1);
    };
    match follow(address.trim_end_matches('/'), Path::new(state), until) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble::Broken(what)) => {
            eprintln!("error: {what}; keep what you have and call a person");
            ExitCode::from(3)
        }
        Err(Trouble::Refused(what)) => {
            eprintln!("error: {what}");
            ExitCode::from(1)
        }
        Err(Trouble::Connection(e)) => {
            eprintln!("error: {e}");
            ExitCode::from(1)
        }
    }
}
