//! A story: a topic, writers, clients and readers, and faults until its time is over; then all of it is checked.

use std::{
    fmt::Write as _,
    hash::{BuildHasher as _, RandomState},
    path::Path,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use kafka_faults::{
    chance::Chance,
    history::{Event, Recorder, check, summary},
};
use ledger::{KafkaAddress, KafkaLog, KafkaOptions, Log as _, LogError, Seq};

use tempfile::TempDir;

use crate::{clients::Clients, readers::Readers, service::Service};

/// How long each story breaks things, where nobody says.
const SECONDS: u64 = 3;
/// Clients that record, and readers that follow.
const CLIENTS: usize = 6;
const READERS: usize = 2;
/// How long a commit may take before it is in doubt.
const TIMEOUT: Duration = Duration::from_secs(4);
/// How often it is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(20);
/// How often the final log is asked for, by a cluster that was just broken.
const TRIES: usize = 10;

/// The seed of this run, and what it may take.
fn setting(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test is told its seed and its bound so")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

pub(crate) fn seed() -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| {
        setting("FAULTS_SEED").unwrap_or_else(|| RandomState::new().hash_one("seed") >> 16)
    });
    *SEED
}

pub(crate) struct Story {
    name: &'static str,
    pub(crate) seed: u64,
    pub(crate) chance: Chance,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) address: KafkaAddress,
    pub(crate) options: KafkaOptions,
    pub(crate) service: Service,
    /// Where players keep what they keep.
    pub(crate) dir: TempDir,
    begun: Instant,
    rounds: usize,
    crowds: usize,
    clients: Option<Clients>,
    readers: Option<Readers>,
}

impl Story {
    /// A new topic on so many brokers, and nobody there yet.
    pub(crate) fn begin(name: &'static str, bootstrap: &str, copies: i32) -> Story {
        Story::begin_as(name, bootstrap, copies, &[])
    }

    /// The same for writers and readers who need settings of librdkafka's.
    pub(crate) fn begin_as(
        name: &'static str,
        bootstrap: &str,
        copies: i32,
        properties: &[(&str, &str)],
    ) -> Story {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (seed, count) = (seed(), COUNT.fetch_add(1, Ordering::Relaxed));
        let file = format!("../../target/faults/{name}-{seed}-{}.jsonl", std::process::id());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        eprintln!("faults {name} seed {seed}");
        let recorder = Arc::new(Recorder::begin(&path).unwrap());
        let address: KafkaAddress = format!("kafka://{bootstrap}/{name}.{count}").parse().unwrap();
        let options = KafkaOptions {
            allow_unsafe: copies == 1,
            copies,
            transaction_timeout: TIMEOUT,
            properties: properties.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            ..KafkaOptions::default()
        };
        drop(KafkaLog::create(&address, &options).unwrap());
        let dir = TempDir::new().unwrap();
        let service = Service::new(recorder.clone(), (&address, &options), dir.path(), seed);
        Story {
            name,
            seed,
            chance: Chance::of(seed, name),
            recorder,
            address,
            options,
            service,
            dir,
            begun: Instant::now(),
            rounds: 0,
            crowds: 0,
            clients: None,
            readers: None,
        }
    }

    /// The writer is there, and clients record.
    pub(crate) fn go_on(&mut self) {
        self.service.supervise();
        self.begin_with_people();
    }

    /// The same with writers that the story starts itself.
    pub(crate) fn begin_with_people(&mut self) {
        self.people();
        let (at, within) = (self.recorder.now_us(), Duration::from_mins(1));
        assert!(self.served(at, within), "the service does not begin");
        self.begun = Instant::now();
    }

    /// Clients and readers, and no writer yet.
    pub(crate) fn people(&mut self) {
        self.clients = Some(self.crowd("c", CLIENTS, 0));
        let Story { recorder, address, options, seed, .. } = self;
        self.readers = Some(Readers::begin(address, options, recorder, READERS, *seed));
    }

    /// Whether there is time for one more round. There is for the first `least`.
    pub(crate) fn another_round(&mut self, least: usize) -> bool {
        let seconds = setting("FAULTS_SECONDS").unwrap_or(SECONDS);
        let more = self.rounds < least || self.begun.elapsed() < Duration::from_secs(seconds);
        self.rounds += usize::from(more);
        more
    }

    /// Says what is broken.
    pub(crate) fn fault(&self, what: impl Into<String>) {
        self.recorder.fault(what);
    }

    /// Says that all is whole again, and waits until the service is back; that it took longer than `bound` is found
    /// in the end.
    pub(crate) fn healed(&self, bound: Duration) {
        let at = self.recorder.healed(bound);
        self.served(at, bound * 2);
    }

    /// Waits this long while clients record.
    pub(crate) fn pass(&self, time: Duration) {
        self.served(u64::MAX, time);
    }

    /// Waits until a call that began after `at_us` has succeeded; whether one has.
    fn served(&self, at_us: u64, within: Duration) -> bool {
        wait_for(|| self.recorder.served_since(at_us), within)
    }

    /// Waits until so many such events have happened; whether they have.
    pub(crate) fn happens(
        &self,
        count: usize,
        is: impl Fn(&Event) -> bool,
        within: Duration,
    ) -> bool {
        wait_for(
            || self.recorder.events().iter().filter(|event| is(event)).count() >= count,
            within,
        )
    }

    /// Clients go, until [`wake`](Story::wake).
    pub(crate) fn rest(&mut self) {
        self.clients.take().into_iter().for_each(Clients::end);
    }

    /// Other clients come.
    pub(crate) fn wake(&mut self) {
        self.crowds += 1;
        let crowd = format!("c{}x", self.crowds);
        self.clients = Some(self.crowd(&crowd, CLIENTS, 0));
    }

    /// So many clients, with events so many bytes longer.
    pub(crate) fn crowd(&self, name: &str, count: usize, size: usize) -> Clients {
        Clients::begin(&self.service, &self.recorder, (name, count, size), self.seed)
    }

    /// Ends all, when readers have stopped by themselves.
    pub(crate) fn stop(&mut self) {
        self.rest();
        self.service.end();
        self.readers.take().into_iter().for_each(|readers| readers.end(Seq(0)));
    }

    /// Ends all where everyone has stopped with this alarm, and holds what happened before it against the log before it.
    pub(crate) fn end_halted(mut self, code: &str) {
        self.stop();
        let log = KafkaLog::follow(&self.address, &self.options).unwrap();
        let stopped = loop {
            if let Err(stopped) = log.advance(usize::MAX, true) {
                break stopped;
            }
        };
        assert!(matches!(&stopped, LogError::Corrupt(damage) if damage.code == code), "{stopped}");
        let mut events = self.recorder.events();
        events.retain(|event| match event {
            Event::Halted { code: found, .. } => !found.starts_with(code),
            _ => true,
        });
        self.judge(&events, &log);
    }

    /// Ends all, and holds what happened against the log.
    pub(crate) fn end(self) {
        self.end_with(|_| {});
    }

    /// The same; `last` adds to the history when nobody writes any more.
    pub(crate) fn end_with(mut self, last: impl FnOnce(&Story)) {
        self.rest();
        self.service.end();
        let log = self.log();
        self.readers.take().into_iter().for_each(|readers| readers.end(log.head().next));
        last(&self);
        self.judge(&self.recorder.events(), &log);
    }

    fn judge(&self, events: &[Event], log: &KafkaLog) {
        let violations = check(events, log).unwrap();
        let (entries, lives) = (log.head().next, self.service.started());
        eprintln!(
            "faults {} seed {} rounds {} entries {entries} writers {lives}: {}",
            self.name,
            self.seed,
            self.rounds,
            summary(events)
        );
        if !violations.is_empty() {
            let mut said = String::new();
            for violation in violations.iter().take(20) {
                let _ = writeln!(said, "{violation}");
            }
            let (count, path) = (violations.len(), self.recorder.path().display());
            panic!("{} broke {count} promises; the history is in {path}\n{said}", self.name);
        }
        self.forget();
    }

    /// Removes the history, in which nothing was wrong, unless somebody wants to read it.
    pub(crate) fn forget(&self) {
        if setting("FAULTS_KEEP").is_none() {
            self.recorder.discard().unwrap();
        }
    }

    /// The log as anyone may read it.
    pub(crate) fn log(&self) -> KafkaLog {
        let mut why = None;
        for _ in 0..TRIES {
            match KafkaLog::open_read_only(&self.address, &self.options) {
                Ok(log) => return log,
                Err(error @ LogError::Unavailable { .. }) => why = Some(error),
                Err(other) => panic!("{other}"),
            }
        }
        panic!("the log cannot be read in the end: {}", why.unwrap());
    }
}

/// A story that failed leaves nobody behind who goes on telling it.
impl Drop for Story {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until something is so; whether it is.
pub(crate) fn wait_for(is: impl Fn() -> bool, within: Duration) -> bool {
    let (begun, never) = (Instant::now(), mpsc::channel::<()>());
    while begun.elapsed() < within {
        if is() {
            return true;
        }
        let rest = within.saturating_sub(begun.elapsed()).min(LOOK);
        let _ = never.1.recv_timeout(rest);
    }
    false
}
