//! A move that ends after each of its steps: at no time may two logs be written, and the next run finishes it.
//! `docs/MOVING.md` has the table that this is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails should panic")]

use std::{fs, path::Path};

use api::{
    engine::{self, Engine},
    home::Home,
    logs::{self, Asked},
    moving::{Place, Step, moved},
};
use kafka_cluster::{Cluster, Options};
use ledger::{Entry, Seq};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The steps, and whether after each the source and the target may be written.
type Table = [(Step, bool, bool); 5];

const TO_A_TOPIC: Table = [
    (Step::Copied, true, false),
    (Step::Ended, false, false),
    (Step::Brought, false, true),
    (Step::Checked, false, true),
    (Step::Named, false, true),
];
/// A directory has its id at the end alone.
const TO_A_DIRECTORY: Table = [
    (Step::Copied, true, false),
    (Step::Ended, false, false),
    (Step::Brought, false, false),
    (Step::Checked, false, false),
    (Step::Named, false, true),
];

fn asking(home: Home) -> Home {
    home.asking(Asked { allow_unsafe: true, ..Asked::default() })
}

fn home(dir: &Path) -> Home {
    asking(Home::existing(dir).unwrap())
}

/// Something of the ledger's own, since what others send is not the subject here.
fn record(home: &Home, id: &str) {
    let mut engine = Engine::open(home).unwrap();
    let data = json!({ "host_id": "h", "version": "1", "basis": "observed" });
    engine.append_own("rollout.ledger.writer_opened.v1", id, data).unwrap();
    engine.log.close().unwrap();
}

fn entries(home: &Home) -> Vec<Entry> {
    logs::readable(home).unwrap().read(Seq(0), 1_000).unwrap()
}

/// Whether a writer opens this log.
fn may_be_written(dir: &Path) -> bool {
    Home::existing(dir).is_ok_and(|home| Engine::open(&asking(home)).is_ok())
}

/// A directory that names a topic, as on another machine.
fn naming(topic: &Value) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log.json"), topic.to_string()).unwrap();
    dir
}

fn log_json(home: &Home) -> Value {
    serde_json::from_slice(&fs::read(home.dir().join("log.json")).unwrap()).unwrap()
}

/// Ends the move after each step, looks who may write, and goes on.
fn crash_after_each(from: &Home, to: &Place, table: &Table, (old, new): (&Path, &Path)) {
    let before = entries(from);
    for (crash, source, target) in *table {
        let after = |step| if step == crash { anyhow::bail!("a crash") } else { Ok(()) };
        let ended = moved(from, to, None, None, &after).unwrap_err();
        assert_eq!(ended.to_string(), "a crash", "{crash:?}");
        assert_eq!((may_be_written(old), may_be_written(new)), (source, target), "{crash:?}");
    }
    moved(from, to, None, None, &|_| Ok(())).unwrap();
    assert!(may_be_written(new) && (old == from.dir() || !may_be_written(old)));
    let now = entries(&home(new));
    assert_eq!(now[..before.len()], before);
}

#[test]
fn after_a_crash_at_any_step_one_log_may_be_written_or_the_next_run_finishes() {
    let cluster = Cluster::start(&Options::default());
    let topic = |name: &str| -> Place {
        format!("kafka://{}/{name}", cluster.bootstrap()).parse().unwrap()
    };
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ledger");
    engine::init(&dir, None).unwrap();
    let first = home(&dir);
    record(&first, "one");

    // From segments to a topic, in place. What the topic will be called is known from the start.
    let id = entries(&first)[0].payload().map(|p| serde_json::from_slice::<Value>(p).unwrap());
    let ledger_id = id.unwrap()["data"]["ledger_id"].clone();
    let options = ledger::KafkaOptions::default();
    let address = format!("kafka://{}/first", cluster.bootstrap());
    let cluster_id = ledger::KafkaLog::cluster(&address.parse().unwrap(), &options).unwrap().id;
    let names =
        |address: &str| json!({ "log": address, "cluster": cluster_id, "ledger": ledger_id });
    let elsewhere = naming(&names(&address));
    crash_after_each(&first, &topic("first"), &TO_A_TOPIC, (&dir, elsewhere.path()));
    assert_eq!(log_json(&first), names(&address));
    record(&first, "two");

    // From there to the next topic.
    let address = format!("kafka://{}/second", cluster.bootstrap());
    let next = naming(&names(&address));
    crash_after_each(&first, &topic("second"), &TO_A_TOPIC, (elsewhere.path(), next.path()));
    assert_eq!(log_json(&first), names(&address));
    record(&first, "three");

    // And back to a directory.
    let back = temp.path().join("back");
    let to = Place::Directory(back.clone());
    crash_after_each(&first, &to, &TO_A_DIRECTORY, (next.path(), &back));
    assert!(!may_be_written(&dir));
    record(&home(&back), "four");
}
