//! What becomes of an append whose commit is lost on the way, by a proxy that loses it.

use std::{sync::Mutex, time::Duration};

use kafka_cluster::{
    Action, Cluster, Options, Proxy,
    api_key::{END_TXN, FETCH},
};
use ledger::{Entry, KafkaAddress, KafkaLog, KafkaOptions, Log, LogError, Seq};

use crate::{brokers, story::chain};

/// The proxy loses requests of everyone on the broker, so the tests here have their own, one at a time.
struct Lossy {
    _cluster: Cluster,
    proxy: Proxy,
    address: KafkaAddress,
    entries: Vec<Entry>,
}

static ONE: Mutex<()> = Mutex::new(());

fn lossy() -> Lossy {
    let cluster = Cluster::start(&Options { proxies: true, ..Options::default() });
    let address = format!("kafka://{}/ledger.lossy", cluster.bootstrap()).parse().unwrap();
    let (proxy, entries) = (cluster.proxy(1).clone(), chain(12));
    let log = KafkaLog::create(&address, &options()).unwrap();
    log.append(&entries[..2]).unwrap();
    Lossy { _cluster: cluster, proxy, address, entries }
}

fn options() -> KafkaOptions {
    KafkaOptions { transaction_timeout: Duration::from_secs(4), ..brokers::options() }
}

#[test]
fn a_commit_that_never_arrives_leaves_doubt_and_the_log_open_to_another() {
    let _one = ONE.lock();
    let Lossy { proxy, address, entries, .. } = &lossy();
    let log = KafkaLog::open(address, &options()).unwrap();
    proxy
        .set_rule(|request| if request.api_key == END_TXN { Action::Cut } else { Action::Forward });
    let doubt = log.append(&entries[2..5]).unwrap_err();
    assert!(matches!(doubt, LogError::InDoubt(Some(_))), "{doubt:?}");
    assert_eq!(log.head().next, Seq(2));
    proxy.clear_rule();
    // It stays so: only opening it again tells.
    assert!(matches!(log.append(&entries[2..3]), Err(LogError::InDoubt(_))));
    assert!(matches!(log.append(&[]), Err(LogError::InDoubt(_))));

    let again = KafkaLog::open(address, &options()).unwrap();
    assert_eq!(again.head().next, Seq(2), "the commit did not arrive");
    again.append(&entries[2..]).unwrap();
    assert_eq!(again.read(Seq(0), 100).unwrap(), *entries);
}

#[test]
fn a_commit_whose_answer_is_lost_is_read_back() {
    let _one = ONE.lock();
    let Lossy { proxy, address, entries, .. } = &lossy();
    let log = KafkaLog::open(address, &options()).unwrap();
    proxy.once(END_TXN, Action::ForwardThenCut);
    let stored = match log.append(&entries[2..5]) {
        Ok(()) => log,
        Err(LogError::InDoubt(_)) => KafkaLog::open(address, &options()).unwrap(),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(stored.head().next, Seq(5), "it had arrived");
    // A producer that saw this is not used again, and the log goes on.
    stored.append(&entries[5..]).unwrap();
    assert_eq!(stored.read(Seq(0), 100).unwrap(), *entries);
}

/// The end of one commit reaches the broker when the next one is under way, and must not end that.
#[test]
fn a_late_copy_of_a_commit_harms_nothing() {
    let _one = ONE.lock();
    let Lossy { proxy, address, entries, .. } = &lossy();
    let mut log = KafkaLog::open(address, &options()).unwrap();
    proxy.once(END_TXN, Action::CutThenForward(Duration::from_millis(300)));
    let mut next = 2;
    while next < entries.len() {
        match log.append(&entries[next..=next]) {
            Ok(()) => {}
            Err(LogError::InDoubt(_)) => log = KafkaLog::open(address, &options()).unwrap(),
            Err(other) => panic!("{other}"),
        }
        next = usize::try_from(log.head().next.0).unwrap();
    }
    let reader = KafkaLog::open_read_only(address, &options()).unwrap();
    assert_eq!(reader.read(Seq(0), 100).unwrap(), *entries);
}

#[test]
fn a_broker_that_is_away_leaves_doubt_and_comes_back() {
    let _one = ONE.lock();
    let Lossy { proxy, address, entries, .. } = &lossy();
    let log = KafkaLog::open(address, &options()).unwrap();
    proxy.partition(true);
    let doubt = log.append(&entries[2..4]).unwrap_err();
    assert!(matches!(doubt, LogError::InDoubt(_)), "{doubt:?}");
    proxy.partition(false);
    let again = KafkaLog::open(address, &options()).unwrap();
    let stored = usize::try_from(again.head().next.0).unwrap();
    assert!((2..=4).contains(&stored));
    again.append(&entries[stored..]).unwrap();
    assert_eq!(again.read(Seq(0), 100).unwrap(), *entries);
}

/// Whoever took silence for the end of the log would write after an earlier entry.
#[test]
fn a_log_whose_leader_falls_silent_is_not_opened_short() {
    let _one = ONE.lock();
    let Lossy { proxy, address, entries, .. } = &lossy();
    proxy.set_rule(|request| if request.api_key == FETCH { Action::Hold } else { Action::Forward });
    let unheard = KafkaLog::open(address, &options()).unwrap_err();
    assert!(matches!(unheard, LogError::Unavailable { .. }), "{unheard:?}");
    let unheard = KafkaLog::open_read_only(address, &options()).unwrap_err();
    assert!(matches!(unheard, LogError::Unavailable { .. }), "{unheard:?}");
    proxy.clear_rule();
    proxy.release();
    let log = KafkaLog::open(address, &options()).unwrap();
    log.append(&entries[2..]).unwrap();
    assert_eq!(log.read(Seq(0), 100).unwrap(), *entries);
}

/// A writer that lost its connections makes itself a fresh producer, but not where another one writes.
#[test]
fn a_writer_that_was_cut_off_does_not_shut_out_who_took_over() {
    let _one = ONE.lock();
    let Lossy { proxy, address, entries, .. } = &lossy();
    let first = KafkaLog::open(address, &options()).unwrap();
    first.append(&entries[2..4]).unwrap();
    proxy.partition(true);
    proxy.partition(false);
    let second = KafkaLog::open(address, &options()).unwrap();
    second.append(&entries[4..6]).unwrap();
    assert!(matches!(first.append(&entries[4..5]), Err(LogError::Fenced)));
    second.append(&entries[6..]).unwrap();
    assert_eq!(second.read(Seq(0), 100).unwrap(), *entries);
}
