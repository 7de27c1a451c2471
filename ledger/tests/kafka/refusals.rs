//! Topics and clusters that could lose entries: each is refused by name, with the command that mends it.

use std::collections::BTreeMap;

use kafka_cluster::{Cluster, Options};
use ledger::{KafkaAddress, KafkaLog, KafkaOptions, Log, LogError, Refusal};

use crate::{
    brokers::{address, cluster, options, unique},
    story::chain,
};

fn refusals(address: &KafkaAddress) -> BTreeMap<String, Refusal> {
    let careful = KafkaOptions { allow_unsafe: false, ..options() };
    match KafkaLog::open(address, &careful) {
        Err(LogError::Unsafe(all)) => {
            all.0.into_iter().map(|refusal| (refusal.setting.clone(), refusal)).collect()
        }
        Ok(_) => BTreeMap::new(),
        Err(other) => panic!("{other}"),
    }
}

/// A topic as someone makes it who does not know better, then mended by typing what is said.
#[test]
fn each_wrong_setting_is_refused_until_its_command_is_typed() {
    let topic = format!("ledger.wrong.{}", unique());
    let wrong = [
        ("cleanup.policy", "compact", "delete"),
        ("retention.ms", "604800000", "-1"),
        ("retention.bytes", "1073741824", "-1"),
        ("unclean.leader.election.enable", "true", "false"),
        ("message.timestamp.type", "CreateTime", "LogAppendTime"),
        ("compression.type", "gzip", "producer"),
        ("min.insync.replicas", "1", "2 or more, on the topic"),
        ("max.message.bytes", "1000", "1048588 or more"),
    ];
    let mut args = vec!["--create".to_owned(), "--topic".to_owned(), topic.clone()];
    for (setting, set, _) in wrong {
        args.extend(["--config".to_owned(), format!("{setting}={set}")]);
    }
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    cluster().tool("kafka-topics.sh", &args);

    let address = address(&topic);
    let found = refusals(&address);
    for (setting, set, wanted) in wrong {
        let refusal = found.get(setting).unwrap_or_else(|| panic!("{setting}: {found:?}"));
        assert_eq!((refusal.found.as_str(), refusal.wanted.as_str()), (set, wanted), "{setting}");
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/KAFKA.md");
    let page = std::fs::read_to_string(page).unwrap();
    for setting in found.keys().map(|setting| setting.split(" of ").next().unwrap()) {
        assert!(page.contains(setting), "docs/KAFKA.md does not tell of {setting}");
    }
    // With one replica, which is refused as well, the disk must have it first.
    assert_eq!(found["flush.messages"].wanted, "1 where there is one replica");
    assert_eq!(found["replication factor"].found, "1");

    let typed = wrong.map(|(setting, ..)| setting);
    for setting in typed.into_iter().chain(["flush.messages"]) {
        let mut words = found[setting].mend.split_whitespace();
        let tool = words.next().unwrap();
        cluster().tool(tool, &words.collect::<Vec<_>>());
    }
    let left: Vec<_> = refusals(&address).into_keys().collect();
    assert!(
        left.iter()
            .all(|setting| setting.contains("replication")
                || setting.contains("__transaction_state")),
        "{left:?}"
    );
}

#[test]
fn what_is_allowed_all_the_same_is_told() {
    let topic = address(&format!("ledger.laptop.{}", unique()));
    let log = KafkaLog::create(&topic, &options()).unwrap();
    let allowed: Vec<_> = log.allowed().0.iter().map(|refusal| refusal.setting.as_str()).collect();
    // Asked after the take-over, which makes the topic of transactions on a new cluster.
    for setting in
        ["replication factor", "min.insync.replicas", "replication factor of __transaction_state"]
    {
        assert!(allowed.contains(&setting), "{setting}: {allowed:?}");
    }
    log.append(&chain(2)).unwrap();
    // A refusal comes before anyone is fenced off.
    assert!(!refusals(&topic).is_empty());
    let entries = log.read(ledger::Seq(0), 2).unwrap();
    let next = log.head().seal(crate::story::note_saying("next", "still the writer"), 1);
    log.append(&[next]).unwrap();
    assert_eq!(entries.len(), 2);
}

#[test]
fn more_than_one_partition_is_refused() {
    let topic = format!("ledger.parts.{}", unique());
    cluster().tool("kafka-topics.sh", &["--create", "--topic", &topic, "--partitions", "2"]);
    assert_eq!(refusals(&address(&topic))["partitions"].found, "2");
}

/// Three brokers on this machine, as they should be: nothing is refused, and `create` makes the topic so.
#[test]
fn a_cluster_as_it_should_be_is_not_refused() {
    let cluster = Cluster::start(&Options { three: true, ..Options::default() });
    let address = format!("kafka://{}/ledger.events", cluster.bootstrap()).parse().unwrap();
    let careful = KafkaOptions { allow_unsafe: false, copies: 3, ..options() };
    let log = KafkaLog::create(&address, &careful).unwrap();
    let entries = chain(10);
    entries.chunks(3).for_each(|commit| log.append(commit).unwrap());
    drop(log);
    let log = KafkaLog::open(&address, &careful).unwrap();
    assert_eq!(log.allowed().0, []);
    assert_eq!(log.read(ledger::Seq(0), 100).unwrap(), entries);
}

#[test]
fn brokers_that_verify_nothing_or_make_any_topic_are_refused() {
    let loose =
        ["auto.create.topics.enable=true", "transaction.partition.verification.enable=false"];
    let properties = loose.map(str::to_owned).to_vec();
    let cluster = Cluster::start(&Options { properties, ..Options::default() });
    let address = format!("kafka://{}/ledger.loose", cluster.bootstrap()).parse().unwrap();
    drop(KafkaLog::create(&address, &options()).unwrap());
    let found = refusals(&address);
    for setting in loose.map(|line| line.split_once('=').unwrap().0) {
        assert!(found.contains_key(&format!("{setting} of broker 1")), "{setting}: {found:?}");
    }
}
