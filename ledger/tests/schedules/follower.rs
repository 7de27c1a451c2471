//! Whoever waits for an entry is woken when it is there. The timeout never comes here.

use std::time::Duration;

use ledger::Seq;
use shuttle::thread;

use crate::{
    explore,
    watched::{NOW_US, WatchedLog, note},
};

#[test]
fn everyone_who_waits_for_an_entry_sees_it_come() {
    explore("follower", || {
        let (log, mut writer) = WatchedLog::with_writer(None);
        let waiting = |seq: u64| {
            let (follower, log) = (writer.follow(), log.clone());
            thread::spawn(move || {
                let head = follower.wait_for(Seq(seq), Duration::from_secs(1));
                assert!(head.next > Seq(seq));
                assert!(log.len() >= head.next.0, "published before it was durable");
            })
        };
        // Two wait for the same entry, so waking one of them is not enough.
        let waiting: Vec<_> = [1, 1, 0].map(waiting).into();
        for id in ["a", "b"] {
            writer.commit(vec![note(id)], NOW_US).unwrap();
        }
        for thread in waiting {
            thread.join().unwrap();
        }
    });
}
