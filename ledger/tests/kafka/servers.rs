//! How the servers of a ledger agree who writes, and what they tell each other.

use std::time::{Duration, Instant};

use ledger::{KafkaAddress, KafkaBoard, KafkaCandidate, KafkaLog, Turn};

use crate::brokers::{fresh, options};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const WAIT: Duration = Duration::from_millis(50);

/// The address of a log whose control topic is there.
fn with_control() -> KafkaAddress {
    let address = fresh();
    let control = format!("{address}.control").parse().unwrap();
    drop(KafkaLog::create(&control, &options()).unwrap());
    address
}

/// Polls everyone until one of them has a turn.
fn turn(all: &[&KafkaCandidate]) -> (usize, Turn) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        for (at, candidate) in all.iter().enumerate() {
            if let Ok(Some(turn)) = candidate.poll(WAIT) {
                return (at, turn);
            }
        }
    }
    panic!("nobody has the place");
}

#[test]
fn one_candidate_has_the_place_and_keeps_it_until_it_leaves() {
    let address = with_control();
    let first = KafkaCandidate::join(&address, &options()).unwrap();
    assert_eq!(turn(&[&first]), (0, Turn::Taken));
    let second = KafkaCandidate::join(&address, &options()).unwrap();
    // The other one joins, and the place does not move.
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        assert_eq!(first.poll(WAIT).unwrap(), None);
        assert_eq!(second.poll(WAIT).unwrap(), None);
    }
    let left = Instant::now();
    drop(first);
    assert_eq!(turn(&[&second]), (0, Turn::Taken));
    assert!(left.elapsed() < Duration::from_secs(8), "no session had to end: {:?}", left.elapsed());
}

#[test]
fn the_newest_notices_are_read_and_then_what_is_new() {
    let address = with_control();
    let early = KafkaBoard::open(&address, &options()).unwrap();
    assert!(early.news(WAIT).unwrap().is_empty());
    for n in 0..=17_u8 {
        KafkaBoard::post(&address, &options(), &[n]).unwrap();
    }
    let late = KafkaBoard::open(&address, &options()).unwrap();
    for (board, first) in [(&early, 0_u8), (&late, 2)] {
        let mut read = Vec::new();
        let begun = Instant::now();
        while read.last() != Some(&vec![17]) && begun.elapsed() < PATIENCE {
            read.extend(board.news(WAIT).unwrap());
        }
        assert_eq!(read, (first..=17).map(|n| vec![n]).collect::<Vec<_>>());
    }
    KafkaBoard::post(&address, &options(), b"new").unwrap();
    let begun = Instant::now();
    let mut news = Vec::new();
    while news.is_empty() && begun.elapsed() < PATIENCE {
        news = late.news(WAIT).unwrap();
    }
    assert_eq!(news, [b"new".to_vec()]);
}
