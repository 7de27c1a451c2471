//! A projector is killed between and in the middle of batches: T11.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use kafka_faults::history::Event;
use ledger::{Hash, Log as _};
use projector::views::Views;

use crate::{clusters::single, story::Story};

/// A projector starts, reads what it knows and folds the next batch.
const BACK: Duration = Duration::from_secs(30);

/// A projector as a process, and how far it says that it is.
struct Projector {
    child: Child,
    at: mpsc::Receiver<u64>,
}

impl Projector {
    fn start(dir: &Path, story: &Story) -> Projector {
        let mut child = Command::new(env!("CARGO_BIN_EXE_player"))
            .arg("project")
            .arg(dir)
            .arg(story.address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, at) = mpsc::channel();
        let said = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let at = line.strip_prefix("at ").and_then(|at| at.parse().ok());
                tell.send(at.unwrap_or_else(|| panic!("the projector says {line}"))).unwrap();
            }
        });
        Projector { child, at }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Compares the views in a directory with the fold of the log up to where they are.
fn compare(dir: &Path, story: &Story) {
    let log = story.log();
    let (views, _) = Views::open(&dir.join("views"), &log).unwrap();
    let (position, differences) = (views.position(), views.diff(&log, 1).unwrap());
    let differences = differences.iter().map(|difference| format!("{difference:?}")).collect();
    let (next, hash) = (position.next, Hash(position.hash).to_string());
    story.recorder.add(Event::Viewed { projector: "p".into(), next, hash, differences });
    assert_eq!(views.counts().value.unread_events, 0, "the fold has something to fold");
}

#[test]
fn t11_a_projector_is_killed_between_and_during_batches() {
    let stage = single();
    let mut story = Story::begin("t11", &stage.cluster.bootstrap(), 1);
    let dir = story.dir.path().join("projector");
    fs::create_dir(&dir).unwrap();
    story.go_on();
    while story.another_round(4) {
        let (batches, ms) = (story.chance.between(0, 4), story.chance.between(0, 80));
        if story.chance.happens(20) && dir.join("views").exists() {
            story.fault("the views are gone");
            fs::remove_dir_all(dir.join("views")).unwrap();
        }
        let projector = Projector::start(&dir, &story);
        for _ in 0..batches {
            projector.at.recv_timeout(BACK).unwrap();
        }
        story.pass(Duration::from_millis(ms));
        story.fault(format!("the projector is killed {ms} ms after batch {batches}"));
        projector.kill();
        compare(&dir, &story);
    }
    // In the end it has all of it.
    story.end_with(|story| {
        let projector = Projector::start(&dir, story);
        let end = story.log().head().next.0;
        while projector.at.recv_timeout(BACK).unwrap() < end {}
        projector.kill();
        compare(&dir, story);
    });
}
