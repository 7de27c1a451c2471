//! The AsyncAPI document describes what is really on a topic, whatever kind of record it is.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use ledger::{Draft, Entry, Head, KafkaLog, Log};

use crate::{
    brokers::{fresh, options},
    examples::python,
    story::START_US,
};

/// Sealed one after another, each a millisecond after the one before.
fn seal(drafts: impl Iterator<Item = Draft>) -> Vec<Entry> {
    let mut head = Head::GENESIS;
    let seal = |(at_us, draft): (u64, Draft)| {
        let entry = head.seal(draft, at_us);
        head = head.accept(&entry).unwrap();
        entry
    };
    (START_US..).step_by(1_000).zip(drafts).map(seal).collect()
}

#[test]
fn every_kind_of_record_is_a_message_of_the_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let fixtures = fs::read_dir(root.join("schemas/fixtures")).unwrap();
    let fixtures = fixtures.map(|file| file.unwrap().path());
    let mut paths: Vec<_> = fixtures.filter(|path| path.extension().is_some()).collect();
    // A ledger begins with the first of these.
    paths.sort_by_key(|path| (!path.ends_with("rollout.ledger.opened.v1.json"), path.clone()));
    let drafts = paths.iter().map(|path| Draft::new(fs::read(path).unwrap()).unwrap());
    let mut entries = seal(drafts);
    let mut expected: BTreeMap<String, usize> = paths
        .iter()
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), 1))
        .collect();
    assert!(expected.len() > 60, "{expected:?}");
    let head = entries.iter().fold(Head::GENESIS, |head, entry| head.accept(entry).unwrap());
    let gone =
        head.seal(Draft::new(fs::read(&paths[1]).unwrap()).unwrap(), u64::from(u32::MAX) << 20);
    entries.push(Entry::stored(*gone.header(), None));
    expected.insert("erased".to_owned(), 1);

    let address = fresh();
    KafkaLog::create(&address, &options()).unwrap().append(&entries).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "where the schema is, is a setting of the tests alone"
    )]
    let schema =
        std::env::var("ASYNCAPI").expect("ASYNCAPI names AsyncAPI's schema; type: make test");
    let mut command = Command::new(python());
    command.arg(root.join("tests/asyncapi.py")).arg(schema);
    let ran = command.args([address.brokers(), address.topic()]).output().unwrap();
    let complained = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{complained}");
    let seen: BTreeMap<String, usize> = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(seen, expected);
}
