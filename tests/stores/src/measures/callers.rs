//! 64 callers at once, each with one event at a time.
//!
//! A chain has one end, so each embedded store has one writer; the callers' events wait in a queue,
//! and whatever waits goes into one commit. `PostgreSQL` is measured so too, and with a connection
//! for each caller.

use std::{
    path::Path,
    sync::{
        Barrier,
        mpsc::{Receiver, SyncSender, channel, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use ledger::{BATCH_LEN_MAX, Draft};

use crate::{
    events::{Event, event},
    measures::time,
    plain::Plain,
    report::{Results, percentile_us, rate},
    store::{Fault, Kind, Store},
    stores::Callers,
};

const CALLERS: u64 = 64;

/// Events of each caller in a round.
const EACH: u64 = 100;

/// Rounds of each store.
const ROUNDS: u64 = 5;

/// Writes to the plain file in its turn, at most: so many tell enough.
const PLAIN_COMMITS_MAX: u64 = 100;

/// What callers saw.
#[derive(Default)]
struct Seen {
    events: u64,
    commits: u64,
    elapsed: Duration,
    waits: Vec<Duration>,
    /// A plain file that is synced after as many events as each commit had in the mean.
    plain: Duration,
    plain_events: u64,
    plain_commits: u64,
}

impl Seen {
    /// Takes a turn of the plain file beside one of a store.
    fn beside(&mut self, plain: &mut Plain, events: u64, commits: u64) -> Result<(), Fault> {
        let mean = (events / commits.max(1)).max(1);
        for _ in 0..commits.min(PLAIN_COMMITS_MAX) {
            self.plain += time(|| plain.append(usize::try_from(mean)?))?.1;
            self.plain_events += mean;
            self.plain_commits += 1;
        }
        self.events += events;
        self.commits += commits;
        Ok(())
    }

    fn report(&mut self, store: &'static str, what: &str, results: &mut Results) {
        let plain = rate(self.plain_events, self.plain);
        results.add((store, what), "events/s", rate(self.events, self.elapsed), plain);
        let one_sync = 1e6 / rate(self.plain_commits, self.plain);
        for percent in [50, 99] {
            let wait = percentile_us(&mut self.waits, percent);
            results.add((store, &format!("{what}_p{percent}")), "us/event", wait, one_sync);
        }
    }
}

/// Measures every store, in turns.
pub(crate) fn measure(kinds: &[Kind], dir: &Path, results: &mut Results) -> Result<(), Fault> {
    let mut plain = Plain::create(&dir.join("plain"))?;
    let mut stores = Vec::new();
    for kind in kinds {
        stores.push((*kind, kind.open(&dir.join(kind.name()))?, Seen::default()));
    }
    for _ in 0..ROUNDS {
        for (_, store, seen) in &mut stores {
            let commits = queued(store.as_mut(), seen)?;
            seen.beside(&mut plain, CALLERS * EACH, commits)?;
        }
    }
    for (kind, store, mut seen) in stores {
        seen.report(kind.name(), "callers_64", results);
        store.close()?;
    }
    if kinds.contains(&Kind::Postgres) {
        connections(&dir.join("connections"), &mut plain, results)?;
    }
    Ok(())
}

/// A caller's event, and where its answer goes.
type Call = (Event, SyncSender<()>);

/// One round through a queue; returns how many commits it took.
fn queued(store: &mut dyn Store, seen: &mut Seen) -> Result<u64, Fault> {
    let (queue, calls) = channel::<Call>();
    let (start, first) = (Barrier::new(usize::try_from(CALLERS)? + 1), store.len());
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (queue, start) = (queue.clone(), &start);
                scope.spawn(move || {
                    let (answer, answers) = sync_channel(1);
                    call(first + caller * EACH, start, |event| {
                        queue.send((event, answer.clone()))?;
                        Ok(answers.recv()?)
                    })
                })
            })
            .collect();
        drop(queue);
        start.wait();
        let (commits, elapsed) = time(|| serve(store, &calls))?;
        seen.elapsed += elapsed;
        for caller in callers {
            seen.waits.extend(caller.join().map_err(|_| "a caller panicked")??);
        }
        Ok(commits)
    })
}

/// One caller: hands over one event after another and waits for each; how long each took.
fn call(
    first: u64,
    start: &Barrier,
    mut append: impl FnMut(Event) -> Result<(), Fault>,
) -> Result<Vec<Duration>, Fault> {
    let events: Result<Vec<_>, _> = (first..first + EACH).map(event).collect();
    start.wait();
    let mut waits = Vec::new();
    for event in events? {
        let asked = Instant::now();
        // The callers' own threads read and hash what they send.
        let draft = Draft::new(event.payload().to_vec())?;
        append(Event { draft, ..event })?;
        waits.push(asked.elapsed());
    }
    Ok(waits)
}

/// The writer: all that waits is one commit.
fn serve(store: &mut dyn Store, calls: &Receiver<Call>) -> Result<u64, Fault> {
    let mut commits = 0;
    while let Ok(first) = calls.recv() {
        let waiting = calls.try_iter().take(BATCH_LEN_MAX - 1);
        let (events, answers): (Vec<_>, Vec<_>) = std::iter::once(first).chain(waiting).unzip();
        store.append(events)?;
        commits += 1;
        for answer in answers {
            answer.send(())?;
        }
    }
    Ok(commits)
}

/// `PostgreSQL` with a connection for each caller: chained under a lock, and not chained at all;
/// each with the server's group commit as it comes, and waiting for others before it syncs.
fn connections(dir: &Path, plain: &mut Plain, results: &mut Results) -> Result<(), Fault> {
    /// Microseconds: about one sync, as the manual advises.
    const DELAY_US: u32 = 200;
    let server = Callers::open(dir)?;
    let ways = [
        ("callers_64_connections", "audit_append", 0),
        ("callers_64_connections_delay", "audit_append", DELAY_US),
        ("callers_64_connections_no_chain", "loose_append", 0),
        ("callers_64_connections_no_chain_delay", "loose_append", DELAY_US),
    ];
    let mut seen = ways.map(|_| Seen::default());
    let mut first = 0;
    for _ in 0..2 {
        for ((_, function, delay_us), seen) in ways.iter().zip(&mut seen) {
            connected(&server, function, *delay_us, first, seen)?;
            // How many transactions one sync served is not known; each is a commit.
            seen.beside(plain, CALLERS * EACH, CALLERS * EACH)?;
            first += CALLERS * EACH;
        }
    }
    for ((name, ..), mut seen) in ways.into_iter().zip(seen) {
        seen.report("postgres", name, results);
    }
    let entries = server.verify()?;
    if entries == CALLERS * EACH * 4 { Ok(()) } else { Err("events are missing".into()) }
}

fn connected(
    server: &Callers,
    function: &str,
    delay_us: u32,
    first: u64,
    seen: &mut Seen,
) -> Result<(), Fault> {
    let connections: Result<Vec<_>, _> =
        (0..CALLERS).map(|_| server.caller(function, delay_us)).collect();
    let start = Barrier::new(usize::try_from(CALLERS)? + 1);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..)
            .zip(connections?)
            .map(|(caller, mut connection)| {
                let (first, start) = (first + caller * EACH, &start);
                scope.spawn(move || call(first, start, |event| connection.append(&event)))
            })
            .collect();
        start.wait();
        let (waits, elapsed) = time(|| {
            let mut waits = Vec::new();
            for caller in callers {
                waits.extend(caller.join().map_err(|_| "a caller panicked")??);
            }
            Ok(waits)
        })?;
        seen.waits.extend(waits);
        seen.elapsed += elapsed;
        Ok(())
    })
}
