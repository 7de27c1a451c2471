//! The files that stand beside the types, and how they are brought up to date.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use schemas::{
    canonical,
    envelope::{self, Witness},
    event::{Door, EventType},
};
use serde_json::Value;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn schema_path(name: &str) -> PathBuf {
    root().join("schemas/json").join(format!("{name}.json"))
}

/// The bytes of a type's fixture. When updating, a fixture that is missing is made of the example,
/// so that a new type needs no second run.
pub(crate) fn fixture(kind: &EventType) -> Vec<u8> {
    let path = root().join("schemas/fixtures").join(format!("{}.json", kind.name));
    if updating() && !path.exists() && kind.door == Door::Open {
        fs::write(&path, stored(&json(&example_path(kind.name)))).unwrap();
    }
    read(&path)
}

/// An event as the fixtures store it.
pub(crate) fn stored(event: &Value) -> Vec<u8> {
    let witness = Witness {
        salt: "AAECAwQFBgcICQoLDA0ODw".into(),
        authtype: "token".into(),
        authid: "tok-7d21".into(),
        recordedvia: "http".into(),
    };
    envelope::payload(event, &witness)
}

pub(crate) fn example_path(name: &str) -> PathBuf {
    root().join("examples/events").join(format!("{name}.json"))
}

/// The SHA-256 of every fixture, in the format of `sha256sum`.
pub(crate) fn sums_path() -> PathBuf {
    root().join("schemas/fixtures/SHA256SUMS")
}

pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A file's JSON, read as strictly as the door reads it.
pub(crate) fn json(path: &Path) -> Value {
    canonical::parse(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names in a folder that are not in `expected`, and those that are missing.
pub(crate) fn strays(folder: &str, expected: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let folder = root().join(folder);
    let found: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let of = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect();
    (of(&found, expected), of(expected, &found))
}

/// Whether the files are to be brought up to date instead of compared.
pub(crate) fn updating() -> bool {
    std::env::var_os("UPDATE_SCHEMAS").is_some()
}

/// Compares a generated file with the one in the repository, or writes it.
pub(crate) fn is_current(path: &Path, text: &str) {
    if updating() {
        fs::write(path, text).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == text,
        "{} is not what the types say; UPDATE_SCHEMAS=1 cargo test -p schemas writes it",
        path.display()
    );
}

/// Pretty JSON with sorted keys, whatever features `serde_json` was built with.
pub(crate) fn pretty(value: &Value) -> String {
    let sorted: Value = serde_json::from_slice(&canonical::to_bytes(value)).unwrap();
    serde_json::to_string_pretty(&sorted).unwrap() + "\n"
}
