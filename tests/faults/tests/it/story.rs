//! A story: a topic, writers, clients and readers, and faults until its time is over; then all of it is checked.

use std::{
    fmt::Write as _,
    hash::{BuildHasher as _, RandomState},
    path::Path,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kafka_faults::{
    chance::Chance,
    history::{Recorder, check, summary},
};
use ledger::{KafkaAddress, KafkaLog, KafkaOptions, Log as _, LogError};

use crate::{clients::Clients, readers::Readers, service::Service};

/// How long each story breaks things, where nobody says.
const SECONDS: u64 = 6;
/// Clients that record, and readers that follow.
const CLIENTS: usize = 6;
const READERS: usize = 2;
/// How long a commit may take before it is in doubt.
pub(crate) const TIMEOUT_MS: u64 = 4_000;
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
    begun: Instant,
    rounds: usize,
    clients: Option<Clients>,
    readers: Option<Readers>,
}

impl Story {
    /// A new topic with a writer, clients and readers at work. `copies` is on how many brokers it is.
    pub(crate) fn begin(name: &'static str, bootstrap: &str, copies: i32) -> Story {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (seed, count) = (seed(), COUNT.fetch_add(1, Ordering::Relaxed));
        let file = format!("../../target/faults/{name}-{seed}-{}.jsonl", std::process::id());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        eprintln!("faults {name} seed {seed}");
        let recorder = Arc::new(Recorder::begin(&path).unwrap());
        let address: KafkaAddress = format!("kafka://{bootstrap}/{name}.{count}").parse().unwrap();
        let options = KafkaOptions {
            allow_unsafe: true,
            copies,
            transaction_timeout: Duration::from_millis(TIMEOUT_MS),
            ..KafkaOptions::default()
        };
        drop(KafkaLog::create(&address, &options).unwrap());
        let service = Service::new(recorder.clone(), &address.to_string(), TIMEOUT_MS, seed);
        Story {
            name,
            seed,
            chance: Chance::of(seed, name),
            recorder,
            address,
            options,
            service,
            begun: Instant::now(),
            rounds: 0,
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
        let Story { service, recorder, address, options, seed, .. } = self;
        self.clients = Some(Clients::begin(service, recorder, CLIENTS, *seed));
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
        let (begun, never) = (Instant::now(), std::sync::mpsc::channel::<()>());
        while begun.elapsed() < within {
            if self.recorder.served_since(at_us) {
                return true;
            }
            let rest = within.saturating_sub(begun.elapsed()).min(Duration::from_millis(20));
            let _ = never.1.recv_timeout(rest);
        }
        false
    }

    /// Ends all, and holds what happened against the log.
    pub(crate) fn end(self) {
        self.end_with(|_| {});
    }

    /// The same; `last` adds to the history when nobody writes any more.
    pub(crate) fn end_with(mut self, last: impl FnOnce(&Story)) {
        self.clients.take().into_iter().for_each(Clients::end);
        self.service.end();
        let log = self.log();
        self.readers.take().into_iter().for_each(|readers| readers.end(log.head().next));
        last(&self);
        let events = self.recorder.events();
        let violations = check(&events, &log).unwrap();
        let (entries, lives) = (log.head().next, self.service.started());
        eprintln!(
            "faults {} seed {} rounds {} entries {entries} writers {lives}: {}",
            self.name,
            self.seed,
            self.rounds,
            summary(&events)
        );
        if !violations.is_empty() {
            let mut said = String::new();
            for violation in violations.iter().take(20) {
                let _ = writeln!(said, "{violation}");
            }
            let (count, path) = (violations.len(), self.recorder.path().display());
            panic!("{} broke {count} promises; the history is in {path}\n{said}", self.name);
        }
        self.recorder.discard().unwrap();
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
