//! Records that the ledger did not write: readers stop before them, and say where.

use std::{
    sync::mpsc::{self, Sender},
    time::Duration,
};

use ledger::{
    Entry, Head, KafkaAddress, KafkaLog, Log, LogError, Seq,
    log::kafka::{LEDGER_ERASED, LEDGER_HEADER},
};
use rdkafka::{
    ClientConfig, ClientContext,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{
        BaseRecord, DefaultProducerContext, DeliveryResult, Producer as _, ProducerContext,
        ThreadedProducer,
    },
};

use crate::{
    brokers::{fresh, options},
    story::{chain, note_saying},
};

/// What the broker does is over long before.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of a record, by name.
pub(crate) type Headers<'a> = &'a [(&'a str, &'a [u8])];

/// Writes to the topic past the ledger, as anyone may whom no access control keeps from it.
pub(crate) fn smuggle(address: &KafkaAddress, headers: Headers<'_>, value: Option<&[u8]>) {
    smuggle_as(&[], address, headers, value).unwrap();
}

/// The same with these settings of the client, such as a user. What the broker says.
pub(crate) fn smuggle_as(
    properties: &[(String, String)],
    address: &KafkaAddress,
    headers: Headers<'_>,
    value: Option<&[u8]>,
) -> Result<(), KafkaError> {
    let (tell, told) = mpsc::channel();
    let mut config = ClientConfig::new();
    config.extend(properties.iter().cloned());
    config.set("bootstrap.servers", address.brokers());
    let producer: ThreadedProducer<Delivered> =
        config.create_with_context(Delivered(tell)).unwrap();
    let mut all = OwnedHeaders::new();
    for (key, value) in headers {
        all = all.insert(Header { key, value: Some(*value) });
    }
    let mut record = BaseRecord::<str, [u8]>::to(address.topic()).partition(0).headers(all);
    record.payload = value;
    producer.send(record).map_err(|(error, _)| error).unwrap();
    told.recv_timeout(PATIENCE).unwrap()
}

/// Tells what became of each record.
struct Delivered(Sender<Result<(), KafkaError>>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        // Nobody listens any more when the test is over.
        let _ = self.0.send(result.as_ref().map(drop).map_err(|(error, _)| error.clone()));
    }
}

/// A transaction that holds an entry and is not over.
pub(crate) struct OpenTransaction(ThreadedProducer<DefaultProducerContext>);

/// A writer that has sent an entry and not committed it.
pub(crate) fn open_transaction(address: &KafkaAddress, entry: &Entry) -> OpenTransaction {
    let id = format!("other-{}", address.topic());
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address.brokers()).set("transactional.id", id);
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    let header = header(entry);
    let all =
        OwnedHeaders::new().insert(Header { key: LEDGER_HEADER, value: Some(header.as_slice()) });
    let mut record = BaseRecord::<str, [u8]>::to(address.topic()).partition(0).headers(all);
    record.payload = entry.payload();
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
    OpenTransaction(producer)
}

impl OpenTransaction {
    /// As the cluster does when its writer does not come back.
    pub(crate) fn abort(self) {
        self.0.abort_transaction(PATIENCE).unwrap();
    }
}

fn header(entry: &Entry) -> [u8; 81] {
    entry.header().encode()
}

#[test]
fn a_reader_halts_before_what_does_not_chain_and_names_its_place() {
    let entries = chain(5);
    let (good, payload) = (header(&entries[3]), entries[3].payload().unwrap());
    let fork = Head::GENESIS.seal(note_saying("fork", "all is lost"), 1);
    let skipped = header(&entries[4]);
    let mut unknown = good;
    unknown[0] = 9;
    let twice: Headers<'_> = &[(LEDGER_HEADER, &good), (LEDGER_HEADER, &good)];
    let cases: [(&str, Headers<'_>, Option<&[u8]>); 9] = [
        ("does not have one header", &[], Some(b"garbage")),
        ("does not have one header", twice, Some(payload)),
        ("not 81 bytes long", &[(LEDGER_HEADER, &good[..80])], Some(payload)),
        ("version 9 is unknown", &[(LEDGER_HEADER, &unknown)], Some(payload)),
        ("value is null", &[(LEDGER_HEADER, &good)], None),
        ("value is empty without", &[(LEDGER_HEADER, &good)], Some(b"")),
        (
            "and a value all the same",
            &[(LEDGER_HEADER, &good), (LEDGER_ERASED, b"1")],
            Some(payload),
        ),
        ("not the one that its header was made for", &[(LEDGER_HEADER, &good)], Some(b"{}")),
        ("entry 3 was expected and entry 4", &[(LEDGER_HEADER, &skipped)], entries[4].payload()),
    ];
    for (what, headers, value) in cases {
        halts(&entries, what, headers, value);
    }
    // A beginning of another chain.
    halts(
        &entries,
        "entry 3 was expected and entry 0",
        &[(LEDGER_HEADER, &header(&fork))],
        fork.payload(),
    );
}

fn halts(entries: &[Entry], what: &str, headers: Headers<'_>, value: Option<&[u8]>) {
    let address = fresh();
    let writer = KafkaLog::create(&address, &options()).unwrap();
    writer.append(&entries[..3]).unwrap();
    let reader = KafkaLog::open_read_only(&address, &options()).unwrap();
    let follower = KafkaLog::follow(&address, &options()).unwrap();
    smuggle(&address, headers, value);

    let damage = loop {
        match follower.advance(10, true) {
            Ok(_) => {}
            Err(LogError::Corrupt(damage)) => break damage,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!((damage.code, damage.seq), ("foreign_record", Seq(3)), "{what}");
    // Three entries, and the end of their transaction.
    let shown = damage.to_string();
    assert!(shown.contains(what) && shown.contains("offset 4 of topic"), "{shown}, not {what}");
    // It stays before it, and reads what was before.
    assert!(matches!(follower.advance(10, true), Err(LogError::Corrupt(_))), "{what}");
    assert_eq!(follower.head(), reader.head(), "{what}");
    assert_eq!(follower.read(Seq(0), 10).unwrap(), entries[..3], "{what}");
    // The writer finds it when it reads its next commit back, and confirms nothing.
    assert!(matches!(writer.append(&entries[3..4]), Err(LogError::Corrupt(_))), "{what}");
    assert!(matches!(writer.append(&entries[3..4]), Err(LogError::InDoubt(_))), "{what}");
    let opened = KafkaLog::open(&address, &options());
    assert!(matches!(opened, Err(LogError::Corrupt(_))), "{what}: {opened:?}");
}

/// A record that belongs there is taken for what it says, whoever wrote it: a chain cannot tell who did.
#[test]
fn a_writer_whose_place_was_taken_knows_itself_fenced() {
    let (address, entries) = (fresh(), chain(4));
    let writer = KafkaLog::create(&address, &options()).unwrap();
    writer.append(&entries[..3]).unwrap();
    let other =
        writer.head().seal(note_saying("other", "someone else was here"), 2_000_000_000_000_000);
    smuggle(&address, &[(LEDGER_HEADER, &header(&other))], other.payload());
    assert!(matches!(writer.append(&entries[3..]), Err(LogError::Fenced)));
    assert_eq!(writer.head().next, Seq(3));
}
