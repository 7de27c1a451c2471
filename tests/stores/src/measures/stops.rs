//! Opening after a clean stop, and after a process was killed while it wrote.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    events::events,
    measures::time,
    plain::Plain,
    report::Results,
    store::{Fault, Kind, Store},
    stores::postgres_server,
};

/// Commits of the process that is killed, and events in each.
const COMMITS: usize = 32;
const COMMIT_LEN: usize = 1_024;

/// Openings after a clean stop; the one in the middle counts.
const OPENINGS: usize = 3;

/// Measures a store that holds `len` events; beside it, reading a plain file that holds as many.
pub(crate) fn measure(
    kind: Kind,
    dir: &Path,
    len: u64,
    plain: &Plain,
    results: &mut Results,
) -> Result<(), Fault> {
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..OPENINGS {
        let (store, elapsed) = time(|| kind.open(dir))?;
        if store.len() != len {
            return Err(format!("{} of {len} events are there", store.len()).into());
        }
        store.close()?;
        ours.push(elapsed);
        baseline.push(time(|| plain.scan())?.1);
    }
    let (opened, read) = (middle(&mut ours), middle(&mut baseline));
    results.add((kind.name(), "open_after_stop"), "s", opened, read);

    let acknowledged = killed(kind, dir)?;
    let (store, elapsed) = time(|| kind.open(dir))?;
    if store.len() < acknowledged {
        let lost = acknowledged - store.len();
        return Err(format!("{lost} events were acknowledged and are lost").into());
    }
    results.add((kind.name(), "open_after_kill"), "s", elapsed.as_secs_f64(), read);
    store.close()
}

fn middle(durations: &mut [Duration]) -> f64 {
    durations.sort_unstable();
    durations.get(durations.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

/// Has a process write to the store and kills it; returns how many events it had acknowledged.
fn killed(kind: Kind, dir: &Path) -> Result<u64, Fault> {
    if kind == Kind::Postgres {
        // The process that writes is the server.
        let store = written(kind, dir)?;
        postgres_server::kill(dir)?;
        return Ok(store.len());
    }
    let mut child = Command::new(std::env::current_exe()?)
        .args(["hold", kind.name()])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    child.kill()?;
    child.wait()?;
    Ok(line.trim().parse()?)
}

/// The process that is killed: writes, says how much is acknowledged, and stays.
pub(crate) fn hold(kind: Kind, dir: &Path) -> Result<(), Fault> {
    let store = written(kind, dir)?;
    println!("{}", store.len());
    std::io::stdout().flush()?;
    std::io::stdin().read_line(&mut String::new())?;
    Err("nobody came to kill".into())
}

fn written(kind: Kind, dir: &Path) -> Result<Box<dyn Store>, Fault> {
    let mut store = kind.open(dir)?;
    for _ in 0..COMMITS {
        let events = events(store.len(), COMMIT_LEN)?;
        store.append(events)?;
    }
    Ok(store)
}
