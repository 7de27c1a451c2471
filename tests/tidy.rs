//! The rules of the house that the compiler and clippy cannot check.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::harness::root;

/// Which crate may use which. A line to be added here is a decision to be discussed.
const MAY_USE: [(&str, &[&str]); 5] = [
    ("schemas", &[]),
    ("ledger", &[]),
    ("projector", &["schemas", "ledger"]),
    ("api", &["schemas", "ledger", "projector"]),
    ("tests", &["schemas", "ledger", "projector", "api"]),
];

/// Past this a file has more than one subject.
const FILE_LEN_MAX: usize = 500;

/// Every file of the repository with its text. What builds and demonstrations leave is no part of it.
fn sources() -> Vec<(PathBuf, String)> {
    let (mut found, mut dirs) = (Vec::new(), vec![root()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                let left = [".git", "target", "rollout-ledger-data", "__pycache__"];
                if !left.contains(&name) {
                    dirs.push(path);
                }
            } else if name != ".git" {
                let bytes = fs::read(&path).unwrap();
                let place = path.strip_prefix(root()).unwrap().to_owned();
                found.push((place, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    found.sort();
    assert!(found.len() > 200, "the repository was not found");
    found
}

fn is(path: &Path, ext: &str) -> bool {
    path.extension().is_some_and(|e| e == ext)
}

/// The lines of a Rust file that are no comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// The Rust files in which code holds one of these words, as paths.
fn that_name(words: &[String]) -> Vec<String> {
    let names = |text: &str| code(text).any(|line| words.iter().any(|word| line.contains(word)));
    let rust = sources().into_iter().filter(|(path, _)| is(path, "rs"));
    rust.filter(|(_, text)| names(text))
        .map(|(path, _)| path.to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn crates_use_only_the_crates_below_them() {
    for (name, allowed) in MAY_USE {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        for (other, _) in MAY_USE {
            let begins = [format!("{other}.workspace"), format!("{other} =")];
            let uses = manifest.lines().any(|l| begins.iter().any(|begin| l.starts_with(begin)));
            // A crate may turn on its own features for its tests.
            let fine = name == other || allowed.contains(&other);
            assert!(!uses || fine, "{name} must not use {other}");
        }
    }
}

#[test]
fn versions_stand_in_one_place_and_come_from_one_registry() {
    for (name, _) in MAY_USE {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let versions = manifest.lines().filter(|line| line.contains("version = \""));
        assert_eq!(versions.count(), 0, "{name}/Cargo.toml names a version; the workspace does");
    }
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    for lock in ["Cargo.lock", "tests/stores/Cargo.lock"] {
        let lock = fs::read_to_string(root().join(lock)).unwrap();
        let foreign: Vec<_> =
            lock.lines().filter(|line| line.starts_with("source") && *line != public).collect();
        assert!(foreign.is_empty(), "{foreign:?}");
    }
}

#[test]
fn a_rust_file_says_what_it_is_and_has_one_subject() {
    for (path, text) in sources().iter().filter(|(path, _)| is(path, "rs")) {
        assert!(text.starts_with("//! "), "{} does not open by saying what it is", path.display());
        let lines = text.lines().count();
        assert!(lines <= FILE_LEN_MAX, "{} has {lines} lines; part it", path.display());
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let vague = ["utils", "util", "common", "helpers", "misc", "types"];
        assert!(!vague.contains(&stem), "{}: name it after its noun", path.display());
    }
}

/// So a tool that looks for misused memory, such as Miri, has nothing of ours to look at.
#[test]
fn no_crate_may_use_unsafe_code() {
    let manifest = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let workspace = manifest("Cargo.toml");
    let table = workspace.split("[workspace.lints.rust]").nth(1).unwrap();
    assert!(table.trim_start().starts_with("unsafe_code = \"forbid\""), "the workspace forbids it");
    for (path, text) in sources() {
        let forbids = text.contains("[lints]\nworkspace = true")
            || text.contains("[lints.rust]\nunsafe_code = \"forbid\"");
        let is_crate = path.ends_with("Cargo.toml") && text.contains("[package]");
        assert!(!is_crate || forbids, "{} does not forbid unsafe code", path.display());
    }
}

#[test]
fn guests_stay_in_their_rooms() {
    let rooms: [(&[&str], &[&str]); 3] = [
        // The second is measured beside the ledger, in a workspace of its own.
        (&["sled"], &["projector/src/store.rs", "tests/stores/src/stores/sled_store.rs"]),
        (&["bincode"], &["projector/src/codec.rs"]),
        // The log on Kafka, and tests that look at a topic past it.
        (
            &["rdkafka"],
            &[
                "ledger/benches/bare/mod.rs",
                "ledger/src/log/kafka/access.rs",
                "ledger/src/log/kafka/board.rs",
                "ledger/src/log/kafka/candidate.rs",
                "ledger/src/log/kafka/check.rs",
                "ledger/src/log/kafka/client.rs",
                "ledger/src/log/kafka/cluster.rs",
                "ledger/src/log/kafka/create.rs",
                "ledger/src/log/kafka/producer.rs",
                "ledger/src/log/kafka/reader.rs",
                "ledger/src/log/kafka/record.rs",
                "ledger/tests/kafka/access.rs",
                "ledger/tests/kafka/foreign.rs",
                "ledger/tests/kafka/records.rs",
                "tests/faults/tests/it/past.rs",
            ],
        ),
    ];
    for (crates, room) in rooms {
        let names: Vec<_> = crates.iter().map(|name| format!("{name}::")).collect();
        assert_eq!(that_name(&names), *room, "{crates:?}");
    }
    let clocks = ["SystemTime::now", "Timestamp::now", "Zoned::now"].map(|c| format!("{c}("));
    assert_eq!(that_name(&clocks), ["api/src/clock.rs"], "the clock has one reader");
}

#[test]
fn the_core_is_synchronous() {
    let waits = ["async fn", "tokio::", ".await"].map(str::to_owned);
    for file in that_name(&waits) {
        let above = file.starts_with("api/") || file.starts_with("tests/tidy");
        assert!(above, "{file} waits or spawns; only the service does");
    }
}

#[test]
fn no_test_sleeps_or_is_passed_over() {
    let sleeps = ["thread", "time"].map(|module| format!("{module}::sleep("));
    for file in that_name(&sleeps) {
        let in_tests =
            file.starts_with("tests/") || file.contains("tests/") || file.ends_with("tests.rs");
        assert!(!in_tests, "{file} sleeps; wait for what is to happen");
    }
    assert_eq!(that_name(&[["#[", "ignore"].concat()]), [""; 0]);
    let later = ["to", "do!("].concat();
    let never = ["un", "implemented!("].concat();
    assert_eq!(that_name(&[later, never]), [""; 0]);
}

#[test]
fn no_file_tells_of_the_place_it_was_written_at() {
    let slash = |parts: &[&str]| format!("/{}/", parts.join("/"));
    let words = [
        slash(&["root"]),
        slash(&["work"]),
        slash(&["tmp", "bash"]),
        slash(&["home", "user"]),
        ["work", "tree"].concat(),
        ["clau", "de"].concat(),
        ["anthro", "pic"].concat(),
        ["chat", "gpt"].concat(),
        ["co", "pilot"].concat(),
    ];
    for (path, text) in sources() {
        let text = text.to_ascii_lowercase();
        for word in &words {
            assert!(!text.contains(word), "{} holds {word}", path.display());
        }
    }
}

/// What stands before and behind each `@` that may join an address.
fn addresses(text: &str) -> Vec<String> {
    let local = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    let domain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    let mut found = Vec::new();
    for (at, _) in text.match_indices('@') {
        let before: String = text[..at].chars().rev().take_while(|c| local(*c)).collect();
        let behind: String = text[at + 1..].chars().take_while(|c| domain(*c)).collect();
        let behind = behind.trim_end_matches(['.', '-']);
        let top = behind.rsplit_once('.').map_or("", |(_, top)| top);
        if !before.is_empty() && top.len() > 1 && top.chars().all(|c| c.is_ascii_alphabetic()) {
            found.push(behind.to_ascii_lowercase());
        }
    }
    found
}

#[test]
fn addresses_are_of_nobody() {
    assert_eq!(addresses("a pat@mail.example, b@c, @d.e f@1.2.3"), ["mail.example"]);
    for (path, text) in sources() {
        for domain in addresses(&text) {
            let reserved = ["example", "invalid", "example.com", "example.org", "example.net"];
            let nobody = reserved.iter().any(|name| {
                // Behind it a file's name may go on.
                let name = format!(".{name}.");
                format!(".{domain}.").contains(&name)
            });
            assert!(nobody, "{} holds an address at {domain}", path.display());
        }
    }
}

#[test]
fn what_the_documents_refer_to_is_there() {
    let mut links = 0;
    for (path, text) in sources().iter().filter(|(path, _)| is(path, "md")) {
        // Plans and stories are no documents of ours: their links lead to made-up places.
        if path.starts_with("examples/plans") || path.starts_with("api/tests") {
            continue;
        }
        let folder = root().join(path.parent().unwrap());
        for piece in text.split("](").skip(1) {
            let target = piece.split([')', '#', ' ']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(folder.join(target).exists(), "{} refers to {target}", path.display());
            links += 1;
        }
        let ticked = text.split('`').skip(1).step_by(2);
        for word in ticked.filter(|w| w.starts_with("docs/") || w.starts_with("examples/")) {
            let exact = !word.contains(['<', '*', '{', ' ', '$']);
            assert!(!exact || root().join(word).exists(), "{} names {word}", path.display());
            links += usize::from(exact);
        }
    }
    assert!(links > 5, "only {links} references were found");
}
