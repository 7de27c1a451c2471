//! Access control: a writer writes, a reader reads, an intruder does neither, by the very commands of docs/KAFKA.md;
//! and who lacks an access is told the command that gives it.

use std::{
    error::Error as _,
    fs,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use kafka_cluster::{Cluster, Options};
use ledger::{
    Entry, KafkaAddress, KafkaLog, KafkaOptions, Log, LogError, Seq, log::kafka::LEDGER_HEADER,
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};
use tempfile::TempDir;

use crate::{
    brokers,
    examples::{PROGRAMS, Running, program, shown, until},
    foreign::smuggle_as,
    story::chain_of,
};

/// What the page calls the ledger, the topic and the users.
const LEDGER: &str = "0198c5a1-pilot";
const TOPIC: &str = "ledger.events";

/// One cluster at a time: each has Java's memory.
static ONE: Mutex<()> = Mutex::new(());

fn guarded() -> (Cluster, KafkaAddress) {
    let cluster = Cluster::start(&Options { access_control: true, ..Options::default() });
    let address = format!("kafka://{}/{TOPIC}", cluster.bootstrap()).parse().unwrap();
    (cluster, address)
}

fn of_user(user: &str) -> KafkaOptions {
    let is = |(name, value): (&str, String)| (name.to_owned(), value);
    let properties = [
        ("security.protocol", "sasl_plaintext".to_owned()),
        ("sasl.mechanism", "PLAIN".to_owned()),
        ("sasl.username", user.to_owned()),
        ("sasl.password", format!("{user}-secret")),
    ];
    KafkaOptions { properties: properties.map(is).into(), ..brokers::options() }
}

/// The whole error, as a person gets it.
fn told(error: &LogError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// Types a command.
fn type_in(cluster: &Cluster, command: &str) {
    let mut words = command.split_whitespace();
    let tool = words.next().unwrap();
    cluster.tool(tool, &words.collect::<Vec<_>>());
}

/// The commands of the page that give access, in which `grep` is found.
fn commands(grep: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/KAFKA.md");
    let page = fs::read_to_string(page).unwrap();
    let lines = page.lines().filter_map(|line| line.strip_prefix("    kafka-acls.sh "));
    let all = lines.map(|line| format!("kafka-acls.sh {}", line.replace("LEDGER_ID", LEDGER)));
    all.filter(|line| line.contains("--add") && line.contains(grep)).collect()
}

/// Does as it is told until it works; the accesses that it took.
fn follow_advice<T>(cluster: &Cluster, act: impl Fn() -> Result<T, LogError>) -> (T, Vec<String>) {
    let mut typed = Vec::new();
    loop {
        match act() {
            Ok(done) => return (done, typed),
            Err(error) => {
                let told = told(&error);
                let (_, command) =
                    told.split_once("by typing: ").unwrap_or_else(|| panic!("{told}"));
                assert!(!typed.contains(&command.to_owned()), "it did not help: {told}");
                type_in(cluster, command);
                typed.push(command.to_owned());
            }
        }
    }
}

fn entries() -> Vec<Entry> {
    chain_of(LEDGER, 6)
}

#[test]
fn who_lacks_an_access_is_told_the_command_that_gives_it() {
    let _one = ONE.lock();
    let (cluster, address) = guarded();
    let (writer, reader, entries) = (of_user("writer"), of_user("reader"), entries());
    let opened = || match KafkaLog::create(&address, &writer) {
        Err(LogError::Exists(_)) => KafkaLog::open(&address, &writer),
        made => made,
    };
    // The first entry names the ledger, and so the writer's transactional id from then on.
    let written = || {
        let log = opened()?;
        let next = usize::try_from(log.head().next.0).unwrap();
        log.append(&entries[next..4]).map(|()| log)
    };
    let (log, typed) = follow_advice(&cluster, written);
    let of = |what: &str| typed.iter().filter(|command| command.contains(what)).count();
    assert_eq!(of("User:writer"), typed.len(), "{typed:?}");
    let ids = (of("--transactional-id ledger-ledger.events"), of("ledger-0198c5a1-pilot"));
    assert_eq!(ids, (1, 1), "{typed:?}");
    assert_eq!(log.head().next, Seq(4));
    // What this user may not see is told and not passed over, until it is allowed.
    let hidden = log.unknown().0.clone();
    let of = |what: &str| hidden.iter().filter(|found| found.setting.contains(what)).count();
    assert_eq!((of("of broker 1"), of("__transaction_state")), (1, 1), "{hidden:?} {typed:?}");
    drop(log);
    for found in &hidden {
        type_in(&cluster, &found.mend);
    }
    let seen = KafkaLog::inspect(&address, &writer).unwrap();
    assert_eq!(seen.unknown.0, []);
    assert!(!seen.refusals.0.is_empty(), "it is one broker alone");

    let (log, typed) = follow_advice(&cluster, || KafkaLog::open_read_only(&address, &reader));
    assert_eq!(log.read(Seq(0), 9).unwrap(), entries[..4]);
    assert!(typed.iter().all(|command| !command.contains("Write")), "{typed:?}");
}

#[test]
fn by_the_commands_of_the_page_each_may_do_what_is_his_and_no_more() {
    let _one = ONE.lock();
    let (cluster, address) = guarded();
    let (entries, all) = (entries(), commands(""));
    let of = |user: &str| all.iter().filter(|command| command.contains(user)).count();
    assert!(of("User:writer") >= 3 && of("User:reader") >= 2, "{all:?}");
    assert_eq!(of("User:writer") + of("User:reader"), all.len(), "{all:?}");
    let admin = KafkaLog::create(&address, &of_user("admin")).unwrap();
    admin.append(&entries[..2]).unwrap();
    for command in &all {
        type_in(&cluster, command);
    }

    let writer = KafkaLog::open(&address, &of_user("writer")).unwrap();
    writer.append(&entries[2..4]).unwrap();
    let reader = KafkaLog::open_read_only(&address, &of_user("reader")).unwrap();
    assert_eq!(reader.read(Seq(0), 9).unwrap(), entries[..4]);

    let denied = |result: Result<KafkaLog, LogError>, named: &str| {
        let told = told(&result.expect_err(named));
        assert!(told.contains("kafka-acls.sh") && told.contains(named), "{told}");
    };
    denied(KafkaLog::open(&address, &of_user("reader")), "User:reader --operation");
    denied(KafkaLog::open(&address, &of_user("intruder")), "User:intruder --operation");
    denied(KafkaLog::open_read_only(&address, &of_user("intruder")), "--operation Read --topic");
    // Past the ledger, with any client.
    let forged = (entries[4].header().encode(), entries[4].payload());
    for user in ["reader", "intruder"] {
        let headers = [(LEDGER_HEADER, forged.0.as_slice())];
        let said = smuggle_as(&of_user(user).properties, &address, &headers, forged.1);
        let code = said.expect_err(user).rdkafka_error_code();
        assert_eq!(code, Some(RDKafkaErrorCode::TopicAuthorizationFailed), "{user}");
    }
    for user in ["writer", "reader", "intruder"] {
        let denied = RDKafkaErrorCode::TopicAuthorizationFailed;
        assert_eq!(tampering(user, &address), denied, "{user}");
    }
    let named = ["--describe", "--entity-type", "topics", "--entity-name", TOPIC];
    let settings = cluster.tool("kafka-configs.sh", &named);
    assert!(settings.contains("retention.ms=-1 "), "{settings}");
    examples(&address, &entries[..4]);
    // Nothing came of all that, and nobody was fenced.
    writer.append(&entries[4..]).unwrap();
    reader.advance(9, true).unwrap();
    assert_eq!(writer.read(Seq(0), 9).unwrap(), entries);
}

/// The consumers in other languages log in as well, with the same names of settings in a file.
fn examples(address: &KafkaAddress, entries: &[Entry]) {
    let dir = TempDir::new().unwrap();
    for (user, code, seen) in [("reader", 0, shown(entries)), ("intruder", 1, Vec::new())] {
        let file = dir.path().join(format!("{user}.properties"));
        let lines = of_user(user).properties.into_iter();
        let lines = lines.map(|(name, value)| format!("{name}={value}\n"));
        fs::write(&file, lines.collect::<String>()).unwrap();
        for name in PROGRAMS {
            let state = dir.path().join(format!("{user}.{name}"));
            let mut command = until(program(name, address, &state), entries.len() - 1);
            command.env("KAFKA_PROPERTIES", &file);
            assert_eq!(Running::start(command).end(), (Some(code), seen.clone()), "{user} {name}");
        }
    }
}

/// What is said to a user who deletes the topic, cuts it or changes its settings.
fn tampering(user: &str, address: &KafkaAddress) -> RDKafkaErrorCode {
    let mut config = ClientConfig::new();
    config.extend(of_user(user).properties);
    config.set("bootstrap.servers", address.brokers());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let (topic, options) = (address.topic(), AdminOptions::new());
    let deleted = wait_for(admin.delete_topics(&[topic], &options)).unwrap();
    let of_topic = ResourceSpecifier::Topic(topic);
    let short = AlterConfig::new(of_topic).set("retention.ms", "1");
    // What this returns tells of no refusal (rdkafka 0.39 drops it); the settings do.
    drop(wait_for(admin.alter_configs([&short], &options)));
    let mut cut = TopicPartitionList::new();
    cut.add_partition_offset(topic, 0, Offset::Offset(2)).unwrap();
    let cut = wait_for(admin.delete_records(&cut, &options));
    assert!(cut.is_err() || cut.unwrap().elements()[0].error().is_err(), "{user}");
    deleted[0].as_ref().expect_err(user).1
}

/// Runs a future of librdkafka to its end; they are woken by threads of its own.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
