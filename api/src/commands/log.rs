//! `log stat|export|import|copy|move`: the log itself, whatever its events are.

mod copy;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Context as _;
use ledger::{Beside, Build, Hash, Head, Header, Log as _, LogError, SegmentInfo, SegmentLog, Seq};
use serde_json::{Value, json};

use super::{export::whole_file, verify::parse_head};
use crate::{
    config::log::{Export, Import, Log as Command},
    context::Context,
    exit::{Code, fail},
    home::{Home, NewHome},
    log_lines::{self, Lines},
    logs::{self, Reading},
    moment, output,
    progress::{self, Unit},
    space,
};

/// Bytes of a file of lines that are read or written at once: 256 KiB.
const BUFFER_SIZE: usize = 256 * 1024;

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Stat => stat(context),
        Command::Export(asked) => export(context, &asked),
        Command::Import(asked) => import(context, &asked),
        Command::Copy(asked) => copy::copied(context, &asked),
        Command::Move(asked) => copy::moved(context, &asked),
    }
}

fn stat(context: &Context) -> anyhow::Result<()> {
    let home = context.home()?;
    if let Some(shown) = logs::topic_stat(&home)? {
        return output::object(context.format, &shown, || topic_words(&shown));
    }
    let shown = shown(&logs::segments(&home)?)?;
    output::object(context.format, &shown, || words(&shown))
}

/// What `log stat` tells, as it stands in JSON.
fn shown(log: &SegmentLog) -> anyhow::Result<Value> {
    let (segments, head) = (log.segments(), log.head());
    let first = log.headers(Seq(0), 1)?.first().map(|header: &Header| header.recorded_at_us);
    let last = head.last_seq().map(|_| head.recorded_at_us);
    let bytes = segments.iter().map(|segment| segment.size).sum::<u64>();
    let torn = log.torn_tail().map(|torn| json!({ "seq": torn.seq.0, "bytes": torn.bytes }));
    Ok(json!({
        "entries": head.next.0,
        "head": { "seq": head.last_seq().map(|seq| seq.0), "hash": head.hash.to_string() },
        "first_recorded_at": first.map(moment::shown_us),
        "last_recorded_at": last.map(moment::shown_us),
        "bytes": bytes,
        // A float would be rounded by each reader in its own way.
        "bytes_per_entry": bytes.checked_div(head.next.0),
        "erased": log.erased_len(),
        "torn": torn,
        "segments": segments.iter().map(shown_segment).collect::<Vec<_>>(),
        "beside": log.beside()?.iter().map(shown_beside).collect::<Vec<_>>(),
    }))
}

fn shown_segment(segment: &SegmentInfo) -> Value {
    let last = segment.head.last_seq().filter(|last| *last >= segment.first);
    json!({
        "file": segment.path.file_name().map(|name| name.to_string_lossy()),
        "first_seq": segment.first.0,
        "last_seq": last.map(|seq| seq.0),
        "bytes": segment.size,
        "sealed": segment.sealed,
    })
}

fn shown_beside(beside: &Beside) -> Value {
    let derived = beside.name != "torn";
    json!({
        "name": beside.name, "files": beside.files, "bytes": beside.bytes, "derived": derived,
    })
}

fn text_at(shown: &Value, pointer: &str) -> String {
    match shown.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => output::ABSENT.to_owned(),
        Some(other) => other.to_string(),
    }
}

fn topic_words(shown: &Value) -> String {
    let text = |pointer: &str| text_at(shown, pointer);
    [
        format!("entries     {}", text("/entries")),
        format!("head        {}:{}", text("/head/seq"), text("/head/hash")),
        format!("recorded    {} to {}", text("/first_recorded_at"), text("/last_recorded_at")),
        format!("topic       {} on cluster {}", text("/topic"), text("/cluster")),
        format!("offsets     decided to {}, end {}", text("/decided_offset"), text("/end_offset")),
        format!("verified    entry {} at offset {}", text("/anchor/seq"), text("/anchor/offset")),
    ]
    .join("\n")
}

fn words(shown: &Value) -> String {
    let text = |pointer: &str| text_at(shown, pointer);
    let mut lines = vec![
        format!("entries     {}, {} of them erased", text("/entries"), text("/erased")),
        format!("head        {}:{}", text("/head/seq"), text("/head/hash")),
        format!("recorded    {} to {}", text("/first_recorded_at"), text("/last_recorded_at")),
        format!("bytes       {}, {} an entry", text("/bytes"), text("/bytes_per_entry")),
    ];
    if shown.get("torn").is_some_and(|torn| !torn.is_null()) {
        let (bytes, seq) = (text("/torn/bytes"), text("/torn/seq"));
        lines.push(format!(
            "torn tail   {bytes} bytes of an unfinished commit at entry {seq}, or of one that is \
             being written"
        ));
    }
    let list = |name: &str| shown.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let cell = |row: &Value, name: &str| match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Null) | None => output::ABSENT.to_owned(),
        Some(other) => other.to_string(),
    };
    for (name, columns) in [
        ("segments", ["file", "first_seq", "last_seq", "bytes", "sealed"].as_slice()),
        ("beside", ["name", "files", "bytes", "derived"].as_slice()),
    ] {
        let rows: Vec<Vec<String>> =
            list(name).iter().map(|row| columns.iter().map(|c| cell(row, c)).collect()).collect();
        if !rows.is_empty() {
            lines.extend([String::new(), output::table(columns, &rows)]);
        }
    }
    lines.join("\n")
}

fn export(context: &Context, asked: &Export) -> anyhow::Result<()> {
    let log = Reading::of(&context.home()?)?;
    let (from, next) = (Seq(asked.from), log.head().next);
    if from > next {
        let last = next.0.saturating_sub(1);
        return Err(fail(Code::NotFound, format!("--from is past the log's end, entry {last}")));
    }
    let head = if asked.out == Path::new("-") {
        let mut out = BufWriter::with_capacity(BUFFER_SIZE, io::stdout().lock());
        write_lines(&log, from, &mut out)?
    } else {
        whole_file(&asked.out, |file| {
            write_lines(&log, from, &mut BufWriter::with_capacity(BUFFER_SIZE, file))
        })?
    };
    let (count, hash) = (head.len_from(from), head.hash);
    let last = head.next.0.saturating_sub(1);
    Ok(output::say(&format!("exported {count} entries; head: {last}:{hash}"))?)
}

fn write_lines(log: &Reading, from: Seq, out: &mut impl Write) -> anyhow::Result<Head> {
    let total = log.head().len_from(from) as u64;
    let mut line = Vec::new();
    let head = progress::counted("exporting", Unit::Entries, Some(total), |done| {
        log.walk(from, |entry| {
            line.clear();
            log_lines::write_entry(&mut line, entry)?;
            out.write_all(&line)?;
            done.fetch_add(1, Ordering::Relaxed);
            anyhow::Ok(())
        })
    })?;
    line.clear();
    log_lines::write_trailer(&mut line, from, head);
    out.write_all(&line)?;
    out.flush()?;
    Ok(head)
}

fn import(context: &Context, asked: &Import) -> anyhow::Result<()> {
    let expect = asked.head.as_deref().map(parse_head).transpose()?;
    let (home, head) = imported(asked, expect).map_err(|e| space::full(e, &asked.to))?;
    let (entries, last) = (head.next.0, head.next.0.saturating_sub(1));
    let made = json!({
        "data_dir": home.dir(),
        "entries": entries,
        "head": { "seq": last, "hash": head.hash.to_string() },
    });
    output::object(context.format, &made, || {
        let (dir, hash) = (home.dir().display(), head.hash);
        format!("made a copy of {entries} entries in {dir}\nhead: {last}:{hash}")
    })?;
    Ok(output::say("the copy is for reading; `rollout-ledger restore` makes it the ledger's home")?)
}

fn imported(asked: &Import, expect: Option<(Seq, Hash)>) -> anyhow::Result<(Home, Head)> {
    let building = NewHome::private_beside(&asked.to)?;
    let head = if asked.file == Path::new("-") {
        let input = BufReader::with_capacity(BUFFER_SIZE, io::stdin().lock());
        read_into(&building, input, None, expect)?
    } else {
        let name = asked.file.display();
        if asked.file.is_dir() {
            return Err(fail(Code::Failure, format!("{name} is a directory; name a file")));
        }
        let file = File::open(&asked.file).with_context(|| format!("cannot read {name}"))?;
        let size = file.metadata()?.len();
        let input = BufReader::with_capacity(BUFFER_SIZE, file);
        read_into(&building, input, Some(size), expect).with_context(|| format!("in {name}"))?
    };
    Ok((building.finish()?, head))
}

fn read_into(
    building: &NewHome,
    input: impl BufRead,
    size: Option<u64>,
    expect: Option<(Seq, Hash)>,
) -> anyhow::Result<Head> {
    let build = Build::create(&building.home.log(), expect)?;
    let mut lines = Lines::new(input);
    progress::counted("importing", Unit::Bytes, size, |done| push_all(build, &mut lines, done))
}

fn push_all(
    mut build: Build,
    lines: &mut Lines<impl BufRead>,
    done: &AtomicU64,
) -> anyhow::Result<Head> {
    while let Some(line) = lines.next_entry()? {
        if build.head().next == Seq(0) && line.header.seq > Seq(0) {
            let first = line.header.seq;
            let what = format!("the file begins with entry {first}, and a copy wants all from 0");
            return Err(fail(Code::Conflict, format!("{what}; export it without --from")));
        }
        build.push(&line.header, line.payload.as_deref(), line.left).map_err(|e| match e {
            LogError::Corrupt(damage) => {
                let (seq, what) = (damage.seq, &damage.what);
                lines.broken(&format!("entry {seq}: {what}"))
            }
            other => other.into(),
        })?;
        done.fetch_add(lines.size(), Ordering::Relaxed);
    }
    lines.check_trailer(build.head())?;
    build.finish().map_err(|e| match e {
        LogError::Corrupt(damage) => {
            let (seq, what) = (damage.seq, &damage.what);
            lines.broken(&format!("entry {seq}: {what}"))
        }
        other => other.into(),
    })
}
