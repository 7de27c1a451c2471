//! Damage, locks and crashes.

use std::fs;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Number(u64);

impl Row for Number {
    const TYPE: u8 = 0xee;
}

fn position(next: u64) -> Position {
    Position { next, hash: [7; 32], version: 1 }
}

/// Numbers under the keys `n0`, `n1`, ... and their count as position.
fn fill(store: &Store, count: u64) {
    let mut rows = Rows::default();
    for n in 0..count {
        rows.put(format!("n{n}").into_bytes(), &Number(n)).unwrap();
    }
    store.apply(rows, &position(count)).unwrap();
}

fn count(store: &Store) -> u64 {
    store.scan::<Number>(b"n", None).map(Result::unwrap).count() as u64
}

#[test]
fn rows_and_position_come_back_together() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::claim(&dir.path().join("views")).unwrap();
    let mut opened = place.open().unwrap();
    assert_eq!(opened.store.position().unwrap(), None);
    for next in [3, 9] {
        fill(&opened.store, next);
        drop(opened);
        // sled frees its lock a moment after the drop; opening waits for it.
        opened = place.open().unwrap();
        assert_eq!(opened.quarantined, None);
        assert_eq!(opened.store.position().unwrap(), Some(position(next)));
        assert_eq!(count(&opened.store), next);
    }
}

#[test]
fn keys_are_found_from_both_sides_and_never_outside_their_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let store = Place::claim(&dir.path().join("views")).unwrap().open().unwrap().store;
    let mut rows = Rows::default();
    for (n, key) in ["m9", "n2", "n4", "o0"].into_iter().enumerate() {
        rows.put(key.into(), &Number(n as u64)).unwrap();
    }
    store.apply(rows, &position(1)).unwrap();
    let floor = |at: &str| store.floor::<Number>(b"n", at.as_bytes()).unwrap().map(|f| f.1.0);
    let ceiling = |at: &str| store.ceiling::<Number>(b"n", at.as_bytes()).unwrap().map(|f| f.1.0);
    assert_eq!(
        [floor("n1"), floor("n2"), floor("n3"), floor("n9")],
        [None, Some(1), Some(1), Some(2)]
    );
    assert_eq!(
        [ceiling("n1"), ceiling("n3"), ceiling("n4"), ceiling("n5")],
        [Some(1), Some(2), Some(2), None]
    );
    let after: Vec<_> = store.scan::<Number>(b"n", Some(b"n2")).map(|r| r.unwrap().1.0).collect();
    assert_eq!(after, [2]);
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let views = dir.path().join("views");
    let first = Place::claim(&views).unwrap();
    // Locks belong to open files, so a second handle here stands for a second process.
    assert!(matches!(Place::claim(&views), Err(StoreError::Locked(_))));
    drop(first);
    Place::claim(&views).unwrap();
}

#[test]
fn damaged_files_are_set_aside() {
    type Harm = fn(&mut Vec<u8>);
    let harms: [(&str, Harm); 4] = [
        ("zeros", |bytes| bytes.fill(0)),
        ("text", |bytes| bytes.fill(b'x')),
        ("half", |bytes| bytes.truncate(bytes.len() / 2)),
        ("flips", |bytes| bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0xff)),
    ];
    for (name, harm) in harms {
        let dir = tempfile::tempdir().unwrap();
        let views = dir.path().join("views");
        let place = Place::claim(&views).unwrap();
        fill(&place.open().unwrap().store, 500);
        // Wait until sled has let go of the files.
        drop(place.open().unwrap());
        for file in ["db", "conf"] {
            let path = views.join(file);
            let mut bytes = fs::read(&path).unwrap();
            harm(&mut bytes);
            fs::write(&path, bytes).unwrap();
        }
        let opened = place.open().unwrap();
        let aside = opened.quarantined.unwrap_or_else(|| panic!("{name} was not noticed"));
        assert_eq!(aside, dir.path().join("views.quarantine-1"), "{name}");
        assert_eq!((opened.store.position().unwrap(), count(&opened.store)), (None, 0), "{name}");
        fill(&opened.store, 5);
    }
}

#[test]
fn a_row_that_cannot_be_decoded_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = Place::claim(&dir.path().join("views")).unwrap().open().unwrap().store;
    fill(&store, 3);
    assert!(matches!(store.get::<Position>(b"n1"), Err(StoreError::Row(_))));
    assert!(store.scan::<Position>(b"n", None).next().unwrap().is_err());
}

#[test]
fn a_rebuilt_store_takes_the_place_of_the_old() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::claim(&dir.path().join("views")).unwrap();
    let old = place.open().unwrap().store;
    fill(&old, 9);
    let new = place.fresh("new").unwrap();
    fill(&new, 4);
    let store = place.replace(Some(old), new).unwrap();
    assert_eq!((store.position().unwrap(), count(&store)), (Some(position(4)), 4));
    drop(store);
    assert_eq!(count(&place.open().unwrap().store), 4);
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["views", "views.lock"]);
}
