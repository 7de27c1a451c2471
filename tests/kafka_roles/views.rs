//! The views of a server on a topic: killed and resumed, they are what a rebuild makes of the log.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::Value;

use super::{Two, health, serve, until};
use crate::{
    harness::{Client, examples, notes},
    stream::Stream,
};

/// Everything that the views answer, without the moment of the answer.
fn answers(client: &Client, seq: u64) -> Vec<Value> {
    let paths = ["/api/v1/rollouts", "/api/v1/rollouts/trial", "/api/v1/events?limit=500"];
    let asked = paths.map(|path| {
        let mark = if path.contains('?') { '&' } else { '?' };
        let answer = client.get(&format!("{path}{mark}min_seq={seq}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()["data"].clone()
    });
    asked.to_vec()
}

#[test]
fn a_projector_that_is_killed_and_resumed_has_the_views_of_a_rebuild() {
    let two = Two::new();
    let writer = serve(&two.first, &[]);
    // Rollouts of all kinds, and then notes while the other server is killed again and again.
    let events = examples("events", "json");
    let recorded = AtomicUsize::new(0);
    let (rounds, batch, total) = (4, 20, 400);
    let newest = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            for path in &events {
                let event = std::fs::read(path).unwrap();
                // Some are of kinds that only commands write.
                writer.post_as("application/json", &event);
            }
            let mut newest = 0;
            for (n, chunk) in notes("n", total).chunks(batch).enumerate() {
                let answer = writer.post(&Value::Array(chunk.to_vec()));
                assert_eq!(answer.status, 201, "{n}: {}", answer.text);
                let receipts = answer.json()["receipts"].as_array().unwrap().clone();
                newest = receipts.last().unwrap()["seq"].as_u64().unwrap();
                recorded.fetch_add(batch, Ordering::Relaxed);
            }
            newest
        });
        for round in 0..rounds {
            let mut projector = serve(&two.second, &["--standby", "off"]);
            assert_eq!(health(&projector)["role"], "reader");
            until("more is recorded", || recorded.load(Ordering::Relaxed) >= round * batch * 3);
            projector.kill();
        }
        sender.join().unwrap()
    });
    let projector = serve(&two.second, &["--standby", "off"]);
    assert_eq!(answers(&projector, newest), answers(&writer, newest));
    two.second.run(&["views", "diff"]).ok();
    two.first.run(&["views", "diff"]).ok();
    let resumed = answers(&projector, newest);
    two.second.run(&["views", "rebuild"]).ok();
    assert_eq!(answers(&projector, newest), resumed);

    // A subscriber of the reader gets what the writer records.
    let mut stream = Stream::open(&projector, &format!("?after={newest}"));
    let answer = writer.post(&Value::Array(notes("later", 3)));
    assert_eq!(answer.status, 201, "{}", answer.text);
    for n in 1..=3 {
        // Between entries it may be told how far the stream is.
        let mut ids = std::iter::from_fn(|| stream.next()).filter_map(|message| message.id);
        assert_eq!(ids.find(|id| *id >= newest + n), Some(newest + n));
    }
    drop(stream);
    projector.stop();
    writer.stop();
}
