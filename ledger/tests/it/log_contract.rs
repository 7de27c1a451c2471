//! What every log must do. A new log is one more line in `logs`, here or beside the tests on real brokers.

use ledger::{Entry, Head, Seq, verify};

use crate::{
    logs::{Logs, logs},
    story::{START_US, chain, entry, note_saying, strict},
};

#[test]
fn an_empty_log_starts_at_genesis() {
    for Logs { name, log, .. } in logs() {
        assert_eq!(log.head(), Head::GENESIS, "{name}");
        assert_eq!(log.read(Seq(0), 10).unwrap(), [], "{name}");
        assert_eq!(log.headers(Seq(0), 10).unwrap(), [], "{name}");
        log.append(&[]).unwrap();
        assert_eq!(log.head(), Head::GENESIS, "{name}");
    }
}

#[test]
fn reads_return_what_was_appended_in_order() {
    let entries = chain(300);
    for Logs { name, log, .. } in logs() {
        log.append(&entries[..1]).unwrap();
        log.append(&entries[1..40]).unwrap();
        for commit in entries[40..].chunks(7) {
            log.append(commit).unwrap();
        }
        let last = &entries[299];
        let head =
            Head { next: Seq(300), hash: last.hash(), recorded_at_us: last.recorded_at_us() };
        assert_eq!(log.head(), head, "{name}");
        for (from, limit, expected) in [
            (0, 300, &entries[..]),
            (0, 2, &entries[..2]),
            (39, 3, &entries[39..42]),
            (255, 2, &entries[255..257]),
            (299, 10, &entries[299..]),
            (17, usize::MAX, &entries[17..]),
            (300, 10, &[]),
            (u64::MAX, 10, &[]),
            (0, 0, &[]),
        ] {
            let read = log.read(Seq(from), limit).unwrap();
            assert_eq!(read, expected, "{name} {from} {limit}");
            let headers: Vec<_> = expected.iter().map(|entry| *entry.header()).collect();
            assert_eq!(log.headers(Seq(from), limit).unwrap(), headers, "{name} {from} {limit}");
        }
        assert!(verify(&*log, &strict()).unwrap().is_good(), "{name}");
    }
}

/// Small payloads are read by pages and large ones one by one, headers likewise.
#[test]
fn entries_of_every_size_and_their_headers_are_read_from_every_place() {
    let mut head = Head::GENESIS;
    let sizes =
        [1, 70_000, 3, 9_000, 65_536 - 92 - 80, 65_536 - 92, 65_536, 500_000, 1, 20_000, 40];
    let entries: Vec<_> = (0..33)
        .map(|n| {
            let text = "x".repeat(sizes[n % sizes.len()]);
            let entry = head.seal(note_saying(&n.to_string(), &text), START_US);
            head = head.accept(&entry).unwrap();
            entry
        })
        .collect();
    for kept in logs() {
        let Logs { name, log, .. } = &kept;
        entries.chunks(2).for_each(|commit| log.append(commit).unwrap());
        let mut expected = entries.clone();
        if kept.erase(3) {
            expected[3] = Entry::stored(*entries[3].header(), None);
        }
        for from in 0..33 {
            for limit in [1, 2, 5, 33] {
                let expected = &expected[from..33.min(from + limit)];
                let found = log.read(Seq(from as u64), limit).unwrap();
                assert!(found == expected, "{name} {from} {limit}");
                assert!(found.iter().all(|entry| *entry == entry.detached()), "{name}");
                let headers: Vec<_> = expected.iter().map(|entry| *entry.header()).collect();
                assert_eq!(log.headers(Seq(from as u64), limit).unwrap(), headers, "{name} {from}");
            }
        }
    }
}

#[test]
fn an_erased_payload_is_gone_and_its_header_and_the_chain_stay() {
    let entries = chain(60);
    for kept in logs() {
        let Logs { name, log, .. } = &kept;
        entries.chunks(8).for_each(|commit| log.append(commit).unwrap());
        // One in the first segment, one in a later one, one in the last commit; one of them twice.
        let mut expected = entries.clone();
        for target in [3, 30, 59, 3] {
            if kept.erase(target as u64) {
                expected[target] = Entry::stored(*entries[target].header(), None);
            }
        }
        assert_eq!(log.read(Seq(0), 100).unwrap(), expected, "{name}");
        assert_eq!(entry(&**log, 30).hash(), entries[30].hash(), "{name}");
        // Past the end there is nothing to erase.
        log.erase(Seq(60)).unwrap();
    }
}

#[test]
fn the_log_goes_on_after_an_erasure_of_its_last_entry() {
    let entries = chain(10);
    for kept in logs() {
        let Logs { name, log, .. } = &kept;
        log.append(&entries[..5]).unwrap();
        kept.erase(4);
        log.append(&entries[5..]).unwrap();
        assert_eq!(log.read(Seq(5), 10).unwrap(), entries[5..], "{name}");
        assert_eq!(log.head().hash, entries[9].hash(), "{name}");
    }
}

#[test]
fn readers_beside_a_writer_see_whole_commits() {
    let entries = chain(400);
    for Logs { name, log, .. } in logs() {
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while seen < 400 {
                    seen = log.head().next.0;
                    assert_eq!(seen % 4, 0, "{name}: a part of a commit is seen");
                    let last = usize::try_from(seen).unwrap();
                    let from = last.saturating_sub(9);
                    let read = log.read(Seq(from as u64), 9).unwrap();
                    assert_eq!(read[..last - from], entries[from..last], "{name}");
                }
            });
            entries.chunks(4).for_each(|commit| log.append(commit).unwrap());
            reader.join().unwrap();
        });
    }
}
