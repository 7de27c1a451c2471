//! Questions to the indexes, against the same questions to plain lists.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store::{Place, Position, Rows, Store};

/// A store in which these entries are about these values, written in batches of `batch`.
fn store(dir: &std::path::Path, entries: &[Vec<&str>], batch: usize) -> Store {
    let store = Place::claim(&dir.join("views")).unwrap().open().unwrap().store;
    let mut writer = Writer::default();
    for (n, chunk) in entries.chunks(batch).enumerate() {
        let mut gathered = Gathered::default();
        for (at, values) in chunk.iter().enumerate() {
            for value in values {
                gathered.post(Index::Actor, value.as_bytes(), (n * batch + at) as u64);
            }
        }
        let mut rows = Rows::default();
        writer.append(&store, gathered, &mut rows).unwrap();
        let next = ((n + 1) * batch).min(entries.len()) as u64;
        store.apply(rows, &Position { next, hash: [0; 32], version: 1 }).unwrap();
    }
    store
}

fn list(value: &str) -> List {
    List::new(Index::Actor, value.as_bytes())
}

#[test]
fn the_shortest_list_sets_the_pace() {
    let dir = tempfile::tempdir().unwrap();
    let entries: Vec<Vec<&str>> = (0..20_000)
        .map(|seq| match seq {
            3 | 9_000 | 19_999 => vec!["always", "rare"],
            _ => vec!["always"],
        })
        .collect();
    let store = store(dir.path(), &entries, 1_000);
    for (order, expected) in
        [(Order::Ascending, [3, 9_000, 19_999]), (Order::Descending, [19_999, 9_000, 3])]
    {
        let both = vec![vec![list("always")], vec![list("rare")]];
        let mut matches = Matches::new(&store, both, order, None);
        let found: Vec<u64> = matches.by_ref().map(Result::unwrap).collect();
        assert_eq!(found, expected);
        let reads = matches.reads();
        let most = 4 * u64::from(BLOCK_LEN_MAX) + 3 * 4;
        assert!(reads.seqs <= most, "{order:?} read {reads:?} of 20,000");
    }
}

#[test]
fn a_question_goes_on_where_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), &vec![vec!["a"]; 1_500], 400);
    let ask = |order, after| {
        let matches = Matches::new(&store, vec![vec![list("a")]], order, after);
        matches.take(2).map(Result::unwrap).collect::<Vec<u64>>()
    };
    let rows: &[(Order, Option<u64>, &[u64])] = &[
        (Order::Ascending, None, &[0, 1]),
        (Order::Ascending, Some(511), &[512, 513]),
        (Order::Ascending, Some(1_498), &[1_499]),
        (Order::Ascending, Some(1_499), &[]),
        (Order::Ascending, Some(u64::MAX), &[]),
        (Order::Descending, None, &[1_499, 1_498]),
        (Order::Descending, Some(512), &[511, 510]),
        (Order::Descending, Some(1), &[0]),
        (Order::Descending, Some(0), &[]),
    ];
    for (order, after, expected) in rows {
        assert_eq!(ask(*order, *after), *expected, "{order:?} after {after:?}");
    }
}

#[test]
fn no_value_is_the_beginning_of_another() {
    let long = "x".repeat(VALUE_SIZE_MAX + 1);
    let values = ["", "a", "aa", "a\0", &long[1..], &long];
    let keys: Vec<List> = values.iter().map(|value| list(value)).collect();
    for (n, a) in keys.iter().enumerate() {
        for b in &keys[n + 1..] {
            assert!(!a.key().starts_with(b.key()) && !b.key().starts_with(a.key()));
        }
    }
    assert_eq!(keys[4].key().len(), 3 + VALUE_SIZE_MAX);
    assert_eq!(keys[5].key().len(), 3 + 32);
}

#[test]
fn days_sort_as_they_follow_each_other() {
    let numbers = [i32::MIN, -1, 0, 1, 20_000, i32::MAX];
    for span in [Span::Day, Span::Hour] {
        assert!(numbers.map(|number| List::span(span, number)).is_sorted());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_plain_lists(
        picks in prop::collection::vec(prop::collection::vec(0_usize..5, 0..3), 1..2_500),
        batch in 1_usize..900,
        conditions in prop::collection::vec(prop::collection::vec(0_usize..6, 0..3), 1..4),
        descending: bool,
        after in prop::option::of(0_u64..2_600),
    ) {
        const VALUES: [&str; 6] = ["a", "b", "ab", "a-longer-one", "", "nobody"];
        let entries: Vec<Vec<&str>> =
            picks.iter().map(|p| p.iter().map(|v| VALUES[*v]).collect()).collect();
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), &entries, batch);

        let mut plain: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (seq, values) in entries.iter().enumerate() {
            for value in values {
                plain.entry(value).or_default().push(seq as u64);
            }
        }
        let stands = |value: &str, seq: u64| {
            plain.get(value).is_some_and(|seqs| seqs.contains(&seq))
        };
        let mut expected: Vec<u64> = (0..entries.len() as u64)
            .filter(|seq| conditions.iter().all(|any| any.iter().any(|v| stands(VALUES[*v], *seq))))
            .collect();
        let order = if descending { Order::Descending } else { Order::Ascending };
        if descending {
            expected.reverse();
        }
        if let Some(after) = after {
            expected.retain(|seq| if descending { *seq < after } else { *seq > after });
        }
        let lists = conditions.iter().map(|any| any.iter().map(|v| list(VALUES[*v])).collect());
        let matches = Matches::new(&store, lists.collect(), order, after);
        prop_assert_eq!(matches.map(Result::unwrap).collect::<Vec<u64>>(), expected);

        // The rows do not depend on the batches.
        let again = tempfile::tempdir().unwrap();
        let whole = self::store(again.path(), &entries, entries.len());
        let rows = |store: &Store| store.all().map(Result::unwrap).collect::<Vec<_>>();
        prop_assert_eq!(rows(&store), rows(&whole));
    }
}
