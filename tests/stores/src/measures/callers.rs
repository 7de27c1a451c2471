//! 64 callers at once, each with one event at a time.
//!
//! A chain has one end, so each store has one writer; the callers' events wait in a queue, and whatever
//! waits goes into one commit. The ledger's own queue does so for the ledger. `PostgreSQL` is measured
//! behind a queue like the rest, and with a connection for each caller.

use std::{
    path::Path,
    sync::{
        Barrier,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
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
    stores::{Caller, Callers, LedgerCallers, LedgerStore},
};

const CALLERS: u64 = 64;

/// Events of each caller in a round.
const EACH: u64 = 100;

/// The same with a connection for each, where every event may be a sync of its own.
const CONNECTED_EACH: u64 = 20;

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
    let mut doors = Vec::new();
    for kind in kinds {
        let dir = dir.join(kind.name());
        let door = match kind {
            Kind::Ledger => Door::Own(Box::new(LedgerStore::open(&dir)?.shared())),
            kind => Door::Queue(kind.open(&dir)?),
        };
        doors.push((*kind, door, Seen::default()));
    }
    for round in 0..ROUNDS {
        for (_, door, seen) in &mut doors {
            let commits = door.round(round * CALLERS * EACH, seen)?;
            seen.beside(&mut plain, CALLERS * EACH, commits)?;
        }
    }
    for (kind, door, mut seen) in doors {
        seen.report(kind.name(), "callers_64", results);
        door.close()?;
    }
    if kinds.contains(&Kind::Postgres) {
        connections(&dir.join("connections"), &mut plain, results)?;
    }
    Ok(())
}

/// What stands between the callers and a store's one writer.
enum Door {
    /// The ledger brings its own.
    Own(Box<LedgerCallers>),
    /// For the others, what their user would write: a queue and a thread.
    Queue(Box<dyn Store>),
}

/// A caller's event, and where its answer goes.
type Call = (Event, SyncSender<()>);

impl Door {
    /// One round; returns how many commits it took.
    fn round(&mut self, first: u64, seen: &mut Seen) -> Result<u64, Fault> {
        match self {
            Door::Own(ledger) => {
                let before = ledger.commits();
                let callers = (0..CALLERS).map(|_| |event| ledger.append(event)).collect();
                together((first, EACH), callers, seen, || Ok(()))?;
                Ok(ledger.commits() - before)
            }
            Door::Queue(store) => {
                let (queue, calls) = channel::<Call>();
                let caller = |queue: Sender<Call>| {
                    let (answer, answers) = sync_channel(1);
                    move |event| {
                        queue.send((event, answer.clone()))?;
                        Ok(answers.recv()?)
                    }
                };
                let callers = (0..CALLERS).map(|_| caller(queue.clone())).collect();
                drop(queue);
                together((first, EACH), callers, seen, || serve(store.as_mut(), &calls))
            }
        }
    }

    fn close(self) -> Result<(), Fault> {
        match self {
            Door::Own(ledger) => ledger.close(),
            Door::Queue(store) => store.close(),
        }
    }
}

/// Lets all callers go at once, each on a thread, while `meanwhile` runs on this one.
fn together<T>(
    (first, each): (u64, u64),
    callers: Vec<impl FnMut(Event) -> Result<(), Fault> + Send>,
    seen: &mut Seen,
    meanwhile: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    let start = Barrier::new(callers.len() + 1);
    thread::scope(|scope| {
        let start = &start;
        let callers: Vec<_> = (0..)
            .zip(callers)
            .map(|(n, caller)| scope.spawn(move || call(first + n * each, each, start, caller)))
            .collect();
        start.wait();
        let (done, elapsed) = time(|| {
            let done = meanwhile()?;
            for caller in callers {
                seen.waits.extend(caller.join().map_err(|_| "a caller panicked")??);
            }
            Ok(done)
        })?;
        seen.elapsed += elapsed;
        Ok(done)
    })
}

/// One caller: hands over one event after another and waits for each; how long each took.
fn call(
    first: u64,
    each: u64,
    start: &Barrier,
    mut append: impl FnMut(Event) -> Result<(), Fault>,
) -> Result<Vec<Duration>, Fault> {
    let events: Result<Vec<_>, _> = (first..first + each).map(event).collect();
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
    /// Rounds of each way.
    const ROUNDS: u64 = 2;
    let server = Callers::open(dir)?;
    let ways = [
        ("callers_64_connections", "audit_append", 0),
        ("callers_64_connections_delay", "audit_append", DELAY_US),
        ("callers_64_connections_no_chain", "loose_append", 0),
        ("callers_64_connections_no_chain_delay", "loose_append", DELAY_US),
    ];
    let mut seen = ways.map(|_| Seen::default());
    let mut first = 0;
    for _ in 0..ROUNDS {
        for ((_, function, delay_us), seen) in ways.iter().zip(&mut seen) {
            let connections: Result<Vec<_>, _> =
                (0..CALLERS).map(|_| server.caller(function, *delay_us)).collect();
            let caller = |mut connection: Caller| move |event: Event| connection.append(&event);
            let callers = connections?.into_iter().map(caller).collect();
            together((first, CONNECTED_EACH), callers, seen, || Ok(()))?;
            // How many transactions one sync served is not known; each is a commit.
            seen.beside(plain, CALLERS * CONNECTED_EACH, CALLERS * CONNECTED_EACH)?;
            first += CALLERS * CONNECTED_EACH;
        }
    }
    for ((name, ..), mut seen) in ways.into_iter().zip(seen) {
        seen.report("postgres", name, results);
    }
    let entries = server.verify()?;
    if entries == CALLERS * CONNECTED_EACH * ROUNDS * 2 {
        Ok(())
    } else {
        Err("events are missing".into())
    }
}
