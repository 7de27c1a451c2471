//! How fast a ledger records on Apache Kafka, on real brokers that it starts: `cargo bench -p ledger --bench kafka`,
//! or a part of it: `-- one`, `-- beside`, `-- three`.
//!
//! The baseline is a bare transactional producer of librdkafka that sends the same payloads, as many in a transaction,
//! and takes turns with the ledger; of reading, a bare consumer that checks nothing.
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its results, and panics if it is wrong"
)]

mod bare;
mod measure;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bare::{BareProducer, bare_consumer};
use kafka_cluster::{Cluster, Options};
use ledger::{
    Draft, Index, KafkaAddress, KafkaLog, KafkaOptions, Log as _, Outcome, SharedWriter, Writer,
};
use measure::{
    NOW_US, PAYLOAD_SIZE, median, payloads, percentile, rate, record, report, scratch, submissions,
    time,
};

/// Callers that record one event after another, each waiting for its receipt.
const CALLERS: usize = 64;
/// The events of each caller in one turn, and turns.
const EACH: usize = 12;
const ROUNDS: usize = 8;
/// Commits that one of the two makes before it is the other's turn: a producer that has just committed must wait
/// for the end of its own transaction, and a pause after each would hide that.
const TURN: usize = 10;
/// Entries that are read back.
const REPLAYED: usize = 100_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |part: &str| args.is_empty() || args.iter().any(|arg| arg == part);
    if wanted("one") || wanted("beside") {
        one_broker(wanted("one"));
    }
    if wanted("three") {
        three_brokers();
    }
}

fn one_broker(all: bool) {
    let bench = Bench::start(Options::default());
    if all {
        bench.append("", 1, 120);
        bench.append("", 64, 120);
        bench.append("", 1_024, 60);
        bench.compressed(40);
        bench.callers();
        bench.replay();
    }
    for ledgers in [1, 2, 4] {
        bench.side_by_side(ledgers, 1_024, 20);
    }
    bench.side_by_side(16, 1, 40);
}

/// As a ledger should be kept; here all three share one machine.
fn three_brokers() {
    let bench = Bench::start(Options { three: true, ..Options::default() });
    bench.append("three_", 1, 60);
    bench.append("three_", 1_024, 40);
}

struct Bench {
    cluster: Cluster,
    copies: i32,
    dir: tempfile::TempDir,
}

impl Bench {
    fn start(options: Options) -> Bench {
        let copies = if options.three { 3 } else { 1 };
        Bench { cluster: Cluster::start(&options), copies, dir: scratch() }
    }

    fn address(&self, topic: &str) -> KafkaAddress {
        format!("kafka://{}/{topic}", self.cluster.bootstrap()).parse().expect("an address")
    }

    fn log(&self, topic: &str, settings: &[(&str, &str)]) -> KafkaLog {
        let own = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let properties = own.collect();
        let options = KafkaOptions {
            allow_unsafe: true,
            copies: self.copies,
            properties,
            ..KafkaOptions::default()
        };
        KafkaLog::create(&self.address(topic), &options).expect("a topic")
    }

    fn writer(&self, topic: &str) -> Writer {
        self.writer_with(topic, &[])
    }

    fn writer_with(&self, topic: &str, settings: &[(&str, &str)]) -> Writer {
        let ids = self.dir.path().join(topic);
        fs::create_dir_all(&ids).expect("a directory can be made");
        let log = Arc::new(self.log(topic, settings));
        let mut writer = Writer::open(log, index(&ids)).expect("a writer");
        // What comes with the first commit alone: the ledger's id, and so another producer.
        record(&mut writer, submissions(payloads(usize::MAX / 2, 1, PAYLOAD_SIZE)));
        writer
    }

    fn bare(&self, topic: &str) -> BareProducer {
        drop(self.log(topic, &[]));
        let producer = BareProducer::new(&self.cluster.bootstrap(), topic);
        producer.commit(&payloads(0, 1, PAYLOAD_SIZE));
        producer
    }

    /// Durable commits of so many events through the writer, each beside a transaction of as many.
    fn append(&self, on: &str, batch_len: usize, commits: usize) {
        let mut writer = self.writer(&format!("append.{batch_len}"));
        let bare = self.bare(&format!("bare.{batch_len}"));
        let (mut ours, mut baseline) = (Vec::new(), Vec::new());
        for turn in 0..commits / TURN {
            let batch = |n| payloads((turn * TURN + n) * batch_len, batch_len, PAYLOAD_SIZE);
            let batches: Vec<_> = (0..TURN).map(batch).collect();
            baseline.extend(batches.iter().map(|batch| time(|| bare.commit(batch))));
            for submissions in batches.into_iter().map(submissions) {
                ours.push(time(|| record(&mut writer, submissions)));
            }
        }
        let rate_of = |times: &[Duration]| rate(batch_len * commits, times.iter().sum());
        let name = format!("kafka_{on}append_{batch_len}");
        report(&name, "events/s", rate_of(&ours), rate_of(&baseline), (">=", 0.7));
        if batch_len == 1 {
            let (p50, bare_p50) = (median(&mut ours), median(&mut baseline));
            let name = format!("kafka_{on}append_one");
            report(&format!("{name}_p50"), "us", p50, bare_p50, ("<=", 1.43));
            let (p99, bare_p99) = (percentile(&mut ours, 99), percentile(&mut baseline, 99));
            report(&format!("{name}_p99"), "us", p99, bare_p99, ("<=", 1.43));
        }
    }

    /// The ledger's batches with lz4 beside the same without: events of every type, as they really are.
    fn compressed(&self, commits: usize) {
        let topics = ["none", "lz4"];
        let mut writers = topics.map(|kind| self.writer_with(kind, &[("compression.type", kind)]));
        let mut took = [Duration::ZERO; 2];
        for turn in 0..commits / TURN {
            for (writer, took) in writers.iter_mut().zip(&mut took) {
                for commit in turn * TURN..(turn + 1) * TURN {
                    let submissions = submissions(real_payloads(commit * 1_024, 1_024));
                    *took += time(|| record(writer, submissions));
                }
            }
        }
        let [none, lz4] = took.map(|took| rate(commits * 1_024, took));
        report("kafka_append_1024_lz4", "events/s", lz4, none, (">=", 0.7));
        let payload: usize = real_payloads(0, 1_024).iter().map(Vec::len).sum();
        let [none, lz4] = topics.map(|topic| Bench::stored(topic) / (commits as u64 * 1_024));
        println!(
            "kafka_append_1024_lz4: a payload of {} bytes takes {none} bytes of the broker's disk, {lz4} with lz4",
            payload / 1_024
        );
    }

    /// What the broker keeps of a topic, in bytes.
    fn stored(topic: &str) -> u64 {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/kafka");
        let own = format!("run-{}-", std::process::id());
        let runs = fs::read_dir(place).expect("the cluster's place").flatten();
        let runs = runs.filter(|run| run.file_name().to_string_lossy().starts_with(&own));
        let data = runs.map(|run| run.path().join(format!("node1/data/{topic}-0")));
        let files = data.flat_map(|data| fs::read_dir(data).expect("the topic's place").flatten());
        let logs = files.filter(|file| file.path().extension().is_some_and(|e| e == "log"));
        logs.map(|log| log.metadata().expect("a file").len()).sum()
    }

    /// Many threads, one event at a time each; beside transactions of the size that they reached.
    fn callers(&self) {
        let mut writer = self.writer("callers");
        let commits = Arc::new(AtomicUsize::new(0));
        let count = commits.clone();
        writer.on_publish(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let writer = SharedWriter::new(writer, CALLERS, || NOW_US);
        let bare = self.bare("callers.bare");
        let (mut each, mut bare_each) = (Vec::new(), Vec::new());
        let (mut ours, mut baseline) = (Duration::ZERO, Duration::ZERO);
        let events = CALLERS * EACH;
        for round in 0..ROUNDS {
            let all = payloads(round * events, events, PAYLOAD_SIZE);
            let before = commits.load(Ordering::Relaxed);
            ours += time(|| {
                let took = thread::scope(|scope| {
                    let run = |own: &[Vec<u8>]| {
                        let own = own.to_vec();
                        let writer = &writer;
                        scope.spawn(move || -> Vec<Duration> {
                            own.into_iter().map(|one| time(|| record_one(writer, one))).collect()
                        })
                    };
                    let running: Vec<_> = all.chunks(EACH).map(run).collect();
                    let took = running.into_iter().map(|caller| caller.join().expect("it records"));
                    took.flatten().collect::<Vec<_>>()
                });
                each.extend(took);
            });
            let reached = commits.load(Ordering::Relaxed) - before;
            for commit in all.chunks(events.div_ceil(reached)) {
                bare_each.push(time(|| bare.commit(commit)));
            }
            baseline = bare_each.iter().sum();
        }
        let (events, commits) = (events * ROUNDS, commits.load(Ordering::Relaxed));
        let rates = (rate(events, ours), rate(events, baseline));
        report("kafka_append_64_callers", "events/s", rates.0, rates.1, (">=", 0.7));
        // Who comes while a transaction is under way waits for it and for the next one.
        let (p50, bare_p50) = (median(&mut each), median(&mut bare_each));
        report("kafka_append_64_callers_p50", "us", p50, bare_p50, ("<=", 2.86));
        let (p99, bare_p99) = (percentile(&mut each, 99), percentile(&mut bare_each, 99));
        report("kafka_append_64_callers_p99", "us", p99, bare_p99, ("<=", 2.86));
        println!(
            "kafka_append_64_callers: {commits} commits of {} events on average",
            events / commits
        );
    }

    /// Ledgers at once, each with a topic and a writer of its own, beside as many bare producers.
    fn side_by_side(&self, ledgers: usize, batch_len: usize, commits: usize) {
        let mut writers: Vec<_> =
            (0..ledgers).map(|n| self.writer(&format!("beside.{ledgers}.{n}"))).collect();
        let bare: Vec<_> =
            (0..ledgers).map(|n| self.bare(&format!("beside.bare.{ledgers}.{n}"))).collect();
        let (mut ours, mut baseline) = (Duration::ZERO, Duration::ZERO);
        let (mut work, mut bare_work) = (Duration::ZERO, Duration::ZERO);
        for turn in 0..commits / TURN {
            let batch = |n| payloads((turn * TURN + n) * batch_len, batch_len, PAYLOAD_SIZE);
            let batches: Vec<_> = (0..TURN).map(batch).collect();
            let begun = processor_time();
            baseline += time(|| {
                thread::scope(|scope| {
                    for producer in &bare {
                        scope.spawn(|| batches.iter().for_each(|batch| producer.commit(batch)));
                    }
                });
            });
            bare_work += processor_time().saturating_sub(begun);
            let drafted = || batches.iter().cloned().map(submissions).collect::<Vec<_>>();
            let all: Vec<_> = writers.iter().map(|_| drafted()).collect();
            let begun = processor_time();
            ours += time(|| {
                thread::scope(|scope| {
                    for (writer, own) in writers.iter_mut().zip(all) {
                        scope.spawn(|| own.into_iter().for_each(|batch| record(writer, batch)));
                    }
                });
            });
            work += processor_time().saturating_sub(begun);
        }
        let events = ledgers * batch_len * commits;
        let name = format!("kafka_ledgers_{ledgers}_of_{batch_len}");
        report(&name, "events/s", rate(events, ours), rate(events, baseline), (">=", 0.7));
        let each = |work: Duration| work.as_secs_f64() * 1e6 / events as f64;
        println!(
            "{name}: {:.1} us of processor time an event, {:.1} of the bare producer, in this process",
            each(work),
            each(bare_work)
        );
    }

    /// Reading and checking a whole topic, as a view that is made anew does.
    fn replay(&self) {
        let topic = "replay";
        let mut writer = self.writer(topic);
        for first in (0..REPLAYED).step_by(1_000) {
            record(&mut writer, submissions(payloads(first, 1_000, PAYLOAD_SIZE)));
        }
        drop(writer);
        let (mut ours, mut baseline) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..3 {
            let address = self.address(topic);
            baseline += bare_consumer(&address, REPLAYED + 1);
            ours += time(|| {
                let log = KafkaLog::open_read_only(&address, &KafkaOptions::default());
                let next = log.expect("a topic").head().next.0;
                assert_eq!(usize::try_from(next), Ok(REPLAYED + 1), "all of it");
            });
        }
        let rate = |elapsed| rate(3 * (REPLAYED + 1), elapsed);
        report("kafka_replay", "entries/s", rate(ours), rate(baseline), (">=", 0.5));
    }
}

/// What all threads of this process have used, in hundredths of a second.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

/// The golden examples of all types, over and over, with ids of their own.
fn real_payloads(first: usize, len: usize) -> Vec<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/fixtures");
    let files = fs::read_dir(fixtures).expect("the fixtures").flatten().map(|file| file.path());
    // Without those of the ledger's own, which the writer holds to rules of their own.
    let own =
        |path: &Path| ["SHA256SUMS", "ledger", "redacted"].iter().any(|word| named(path, word));
    let files = files.filter(|path| !own(path));
    let all: Vec<_> = files.map(|path| fs::read_to_string(path).expect("a fixture")).collect();
    let numbered = |n: usize| {
        // The last one is the event's own: its data comes before.
        let (front, back) = all[n % all.len()].rsplit_once(r#""id":"example-"#).expect("an id");
        format!(r#"{front}"id":"{n:010}-{back}"#).into_bytes()
    };
    (first..first + len).map(numbered).collect()
}

fn named(path: &Path, word: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(word))
}

fn index(ids: &Path) -> Index {
    Index::in_dir(ids.to_owned())
}

fn record_one(writer: &SharedWriter, payload: Vec<u8>) {
    let draft = Draft::new(payload).expect("a canonical event");
    let outcome = writer.record(draft.into()).expect("the broker takes it");
    assert!(matches!(outcome, Outcome::Recorded(receipts) if !receipts[0].duplicate));
}
