//! Views of random ledgers, against plain scans of the same entries.

mod given;
mod silent;

use std::{path::Path, sync::Arc};

use given::{events, ledger, shown};
use ledger::{Log, MemoryLog};
use proptest::prelude::*;
use schemas::{FlagKey, RolloutId};

use super::*;

const THREADS: usize = 2;

fn open(dir: &Path, log: &dyn Log) -> Views {
    Views::open(&dir.join("views"), log).unwrap().0
}

/// Views of the whole log.
fn whole(dir: &Path, log: &dyn Log) -> Views {
    let views = open(dir, log);
    views.catch_up(log, log.head(), THREADS).unwrap();
    views
}

/// The head after so many entries.
fn head_at(log: &dyn Log, next: u64) -> Head {
    let Some(last) = next.checked_sub(1) else { return Head::GENESIS };
    let entry = &log.read(Seq(last), 1).unwrap()[0];
    Head { next: Seq(next), hash: entry.hash(), recorded_at_us: entry.recorded_at_us() }
}

fn scanned(log: &dyn Log) -> Vec<Recorded> {
    log.read(Seq(0), usize::MAX).unwrap().iter().map(read_entry).collect()
}

fn rollout(id: &str) -> RolloutId {
    id.parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn batches_and_threads_change_no_row(
        picks in events(900),
        steps in prop::collection::vec(1_u64..300, 1..12),
        threads in 1_usize..4,
    ) {
        let log = ledger(&picks);
        let dir = tempfile::tempdir().unwrap();
        let views = open(dir.path(), &log);
        let mut next = 0;
        for step in steps {
            next = (next + step).min(log.head().next.0);
            views.catch_up(&log, head_at(&log, next), threads).unwrap();
            prop_assert_eq!(views.position().next, next);
        }
        views.catch_up(&log, log.head(), threads).unwrap();
        prop_assert_eq!(views.diff(&log, THREADS).unwrap(), vec![]);
    }

    #[test]
    fn rollouts_are_the_fold_of_a_plain_scan(picks in events(500)) {
        let log = ledger(&picks);
        let dir = tempfile::tempdir().unwrap();
        let views = open(dir.path(), &log);
        for next in [1, 120, log.head().next.0] {
            views.catch_up(&log, head_at(&log, next.min(log.head().next.0)), THREADS).unwrap();
        }
        let all = scanned(&log);
        let mut due = vec![];
        for row in views.rollouts().unwrap().value {
            let id = rollout(&row.id);
            let expected = given::of_rollout(&all, &id);
            due.extend(crate::schedule::next(&Rollout::fold(&expected)).map(|at| (at, id.clone())));
            let found = views.rollout_events(&log, &id).unwrap().value;
            prop_assert_eq!(shown(&found), shown(&expected), "{}", row.id);
            let mut fold = Rollout::fold(&expected);
            fold.id = Some(id.clone());
            prop_assert_eq!(&*views.rollout(&log, &id).unwrap().value.unwrap(), &fold);
            prop_assert_eq!(row.events, expected.len() as u64);
            prop_assert_eq!(row.last_seq, expected.last().unwrap().seq);
        }
        // What falls due is listed by its instant, in one page or in several.
        due.sort();
        prop_assert_eq!(&views.due(None, 100).unwrap().value, &due);
        let (mut paged, mut after) = (vec![], None);
        while let Some(next) = views.due(after.as_ref(), 1).unwrap().value.pop() {
            paged.push(next.clone());
            after = Some(next);
        }
        prop_assert_eq!(paged, due);
    }

    #[test]
    fn questions_are_answered_as_by_a_plain_scan(
        picks in events(700),
        filters in prop::collection::vec(given::filter(), 12),
        descending: bool,
        limit in 1_usize..40,
    ) {
        let log = ledger(&picks);
        let dir = tempfile::tempdir().unwrap();
        let views = whole(dir.path(), &log);
        let order = if descending { Order::Descending } else { Order::Ascending };
        let all = scanned(&log);
        for filter in filters {
            let mut expected: Vec<u64> = all
                .iter()
                .filter(|e| filter.admits(e, &about(&log, e).unwrap()))
                .map(|e| e.seq)
                .collect();
            if descending {
                expected.reverse();
            }
            let (mut found, mut after) = (vec![], None);
            loop {
                let page = views.events(&log, &filter, order, after, limit).unwrap().value;
                prop_assert!(page.events.len() <= limit);
                found.extend(page.events.iter().map(|e| e.seq));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            prop_assert_eq!(found, expected, "{:?} {:?}", filter, order);
        }
    }
}

#[test]
fn a_planted_difference_is_found_and_a_rebuild_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = ledger(&given::sample(2_500));
    let views = whole(dir.path(), &log);
    assert_eq!(views.diff(&log, THREADS).unwrap(), []);

    let mut planted = crate::store::Rows::default();
    let mut row = views.rollout_row(&rollout("r1")).unwrap().value.unwrap();
    row.bugs += 1;
    planted.put(rollout_key("r1"), &row).unwrap();
    planted.put(rollout_key("zz"), &row).unwrap();
    planted.remove(flag_key("f0"));
    let store = views.current().store().unwrap().clone();
    store.apply(planted, &views.position()).unwrap();
    drop(store);

    let found = views.diff(&log, THREADS).unwrap();
    let keys: Vec<_> =
        found.iter().map(|d| (d.key.as_str(), d.live.is_some(), d.rebuilt.is_some())).collect();
    assert_eq!(keys, [("ff0", false, true), ("rr1", true, true), ("rzz", true, false)]);

    views.rebuild(&log, log.head(), THREADS).unwrap();
    assert_eq!(views.diff(&log, THREADS).unwrap(), []);
    assert_eq!(views.rollout_row(&rollout("zz")).unwrap().value, None);
}

#[test]
fn only_so_many_differences_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = ledger(&given::sample(50));
    let views = whole(dir.path(), &log);
    let mut planted = crate::store::Rows::default();
    for n in 0..=DIFFERENCES_LEN_MAX {
        planted.put(rollout_key(&format!("zz{n}")), &RolloutRow::default()).unwrap();
    }
    views.current().store().unwrap().apply(planted, &views.position()).unwrap();
    assert_eq!(views.diff(&log, THREADS).unwrap().len(), DIFFERENCES_LEN_MAX);
}

#[test]
fn a_log_that_lost_entries_stops_the_views() {
    let log = ledger(&given::sample(40));
    let entries = log.read(Seq(0), usize::MAX).unwrap();
    let other = ledger(&given::sample(41)[1..]);
    let rows: [(&str, MemoryLog); 3] = [
        ("cut off", MemoryLog::of(entries[..39].to_vec())),
        ("another log", MemoryLog::of(other.read(Seq(0), 40).unwrap())),
        ("empty", MemoryLog::default()),
    ];
    for (name, changed) in rows {
        let dir = tempfile::tempdir().unwrap();
        drop(whole(dir.path(), &log));
        let error = Views::open(&dir.path().join("views"), &changed).unwrap_err();
        assert!(matches!(error, ViewsError::LogLostEntries { views: 40, .. }), "{name}: {error}");
        let (_, found) = Views::open(&dir.path().join("views"), &log).unwrap();
        assert_eq!(found, Found::Ready, "{name}: nothing was thrown away");
    }
}

#[test]
fn a_log_that_branches_off_behind_the_views_stops_them() {
    let dir = tempfile::tempdir().unwrap();
    let log = ledger(&given::sample(40));
    let views = whole(dir.path(), &log);
    let other = ledger(&given::sample(61)[1..]);
    let error = views.catch_up(&other, other.head(), THREADS).unwrap_err();
    assert!(matches!(error, ViewsError::LogLostEntries { views: 40, log: 60, .. }), "{error}");
    // A head that the log's own entries do not lead to.
    let to = Head { hash: other.head().hash, ..log.head() };
    assert!(matches!(views.catch_up(&log, to, 1), Err(ViewsError::LogLostEntries { .. })));
    assert_eq!(views.position().next, 40);
}

#[test]
fn rows_of_another_version_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = ledger(&given::sample(300));
    let views = whole(dir.path(), &log);
    let before = views.rollouts().unwrap();
    let older = Position { version: VERSION + 1, ..views.position() };
    let mut stale = crate::store::Rows::default();
    stale.put(rollout_key("stale"), &RolloutRow::default()).unwrap();
    views.current().store().unwrap().apply(stale, &older).unwrap();
    drop(views);

    let (views, found) = Views::open(&dir.path().join("views"), &log).unwrap();
    assert_eq!((found, views.position().next), (Found::OtherVersion, 0));
    views.catch_up(&log, log.head(), THREADS).unwrap();
    assert_eq!(views.rollouts().unwrap(), before);
}

#[test]
fn unreadable_files_are_set_aside_and_the_log_gives_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    let log = ledger(&given::sample(300));
    let views = whole(dir.path(), &log);
    let before = views.rollouts().unwrap();
    drop(views);
    drop(open(dir.path(), &log));
    let db = dir.path().join("views/db");
    let size = std::fs::metadata(&db).unwrap().len();
    std::fs::write(&db, vec![0x5a; usize::try_from(size).unwrap()]).unwrap();

    let (views, found) = Views::open(&dir.path().join("views"), &log).unwrap();
    assert_eq!(found, Found::Quarantined(dir.path().join("views.quarantine-1")));
    views.catch_up(&log, log.head(), THREADS).unwrap();
    assert_eq!(views.rollouts().unwrap(), before);
}

#[test]
fn what_is_unknown_or_erased_is_counted_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut picks = given::sample(30);
    picks[7].kind = given::Kind::FromTheFuture;
    let log = ledger(&picks);
    log.erase(Seq(9)).unwrap();
    let views = whole(dir.path(), &log);
    let counts = views.counts().value;
    assert_eq!((counts.events, counts.unread_events, counts.erased_events), (30, 1, 1));
    let filter = Filter { types: vec![given::FUTURE_TYPE.to_owned()], ..Filter::default() };
    let page = views.events(&log, &filter, Order::Ascending, None, 10).unwrap();
    assert_eq!((page.value.events[0].seq, page.unread_events), (7, 1));
    assert_eq!(views.diff(&log, THREADS).unwrap(), []);
}

#[test]
fn one_question_reads_little_of_a_long_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut picks = given::sample(6_000);
    for (n, pick) in picks.iter_mut().enumerate() {
        pick.actor = usize::from(n % 2_000 == 7) * 3;
    }
    let log = ledger(&picks);
    let views = whole(dir.path(), &log);
    let filter = Filter {
        actor: Some(given::ACTORS[3].to_owned()),
        source: Some(given::SOURCE.to_owned()),
        ..Filter::default()
    };
    let page = views.events(&log, &filter, Order::Ascending, None, 10).unwrap().value;
    assert_eq!(page.events.iter().map(|e| e.seq).collect::<Vec<_>>(), [7, 4_007]);
    let most = 4 * u64::from(crate::index::BLOCK_LEN_MAX) + 3;
    assert!(page.reads.seqs <= most, "{:?} of 6,000", page.reads);
}

#[test]
fn no_condition_reads_entries_that_it_does_not_answer_with() {
    let dir = tempfile::tempdir().unwrap();
    let log = ledger(&given::sample(6_000));
    let views = whole(dir.path(), &log);
    let all = scanned(&log);
    let known = all.iter().find(|e| e.known().is_some() && e.time.is_some()).unwrap();
    let minute = |n: i64| Some(known.recorded_at_us + n * 60_000_000);
    let one = |of: &str| vec![of.to_owned()];
    let none = Filter::default;
    let rows = [
        Filter { rollout: Some(rollout("r1")), ..none() },
        Filter { stage: Some("stage-a".parse().unwrap()), ..none() },
        Filter { types: one("rollout.rollback"), ..none() },
        Filter { severities: vec![schemas::event::measurement::Severity::High], ..none() },
        Filter { link: Some("1234".to_owned()), ..none() },
        Filter { words: vec!["grey".to_owned(), "button".to_owned()], ..none() },
        Filter { recorded_from_us: minute(3_000), recorded_before_us: minute(3_030), ..none() },
        Filter { from_us: minute(3_000), before_us: minute(3_030), ..none() },
        Filter { link: Some("no-such".to_owned()), ..none() },
    ];
    // A bound in time is looked for by halves, once for each bound and each run of the clock; of
    // its first and last hour the entries are read to tell the minutes apart.
    let steps =
        all.iter().filter(|e| matches!(e.known(), Some(schemas::Event::LedgerClockStepped(_))));
    let halves = 2 * 13 * (steps.count() as u64 + 1);
    for filter in rows {
        let page = views.events(&log, &filter, Order::Ascending, None, 20).unwrap().value;
        let timed = filter.from_us.or(filter.recorded_from_us).is_some();
        let most = 21 + if timed { halves } else { 0 };
        assert!(page.reads.entries <= most, "{filter:?} read {:?}", page.reads);
        assert!(page.reads.entries >= page.events.len() as u64, "{:?}", page.reads);
    }
}

#[test]
fn many_read_while_one_writes() {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(ledger(&given::sample(3_000)));
    let views = Arc::new(open(dir.path(), &*log));
    views.catch_up(&*log, head_at(&*log, 200), 1).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut seen = 0;
                while seen < 2_999 {
                    let id = rollout("r1");
                    let row = views.rollout_row(&id).unwrap();
                    let events = views.rollout_events(&*log, &id).unwrap();
                    assert!(row.seq <= events.seq, "answers never go back");
                    let folded = views.rollout(&*log, &id).unwrap();
                    assert!(events.seq <= folded.seq);
                    seen = folded.seq.unwrap();
                }
            });
        }
        for next in (300..=3_000).step_by(300) {
            views.catch_up(&*log, head_at(&*log, next), 1).unwrap();
        }
    });
    assert_eq!(views.diff(&*log, THREADS).unwrap(), []);
}

#[test]
fn a_flag_knows_its_rollouts_and_services() {
    let dir = tempfile::tempdir().unwrap();
    let log = ledger(&given::sample(400));
    let views = whole(dir.path(), &log);
    let all = scanned(&log);
    for row in views.flags().unwrap().value {
        let key: FlagKey = row.key.parse().unwrap();
        let (rollouts, changes) = given::of_flag(&all, &key);
        assert_eq!(row.rollouts, rollouts, "{key}");
        assert_eq!(row.homes.iter().map(|home| home.changes).sum::<u64>(), changes, "{key}");
        assert_eq!(views.flag_row(&key).unwrap().value, Some(row));
    }
}
