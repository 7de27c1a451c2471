//! The generated ledger: a thousand rollouts of varied length, from the examples of every event.
//!
//! What happened is the same each time; salts and the times of recording are not. The directory is
//! kept between runs.

use std::{fs, path::Path};

use api::{
    engine::{self, Engine},
    home::Home,
    intake::{self, Submitter, own::Own},
};
use ledger::{BATCH_LEN_MAX, Outcome, Submission};

pub(crate) use crate::mixed::rollout;
use crate::mixed::{Templates, lengths, order};

pub(crate) const ROLLOUTS: usize = 1_000;
pub(crate) const EVENTS: usize = 1_000_000;

/// Raised with every change of what is generated.
const VERSION: u32 = 1;

/// The directory, made if it is not there yet.
pub(crate) fn million(dir: &Path) -> std::path::PathBuf {
    let made = dir.join(format!("million-{VERSION}"));
    if made.is_dir() {
        return made;
    }
    let making = dir.join("making");
    let _ = fs::remove_dir_all(&making);
    eprintln!("making a ledger of {EVENTS} events in {}", made.display());
    fill(&making);
    fs::rename(&making, &made).unwrap();
    made
}

/// An empty ledger, new each time.
pub(crate) fn empty(dir: &Path) -> std::path::PathBuf {
    let made = dir.join("empty");
    let _ = fs::remove_dir_all(&made);
    engine::init(&made, None).unwrap();
    made
}

fn fill(dir: &Path) {
    engine::init(dir, None).unwrap();
    let mut engine = Engine::open(&Home::existing(dir).unwrap()).unwrap();
    let submitter = Submitter::here(Own::Import);
    let templates = Templates::read();
    let mut batch = Vec::with_capacity(BATCH_LEN_MAX);
    let mut size = 0;
    for (n, place) in order(&lengths(ROLLOUTS, EVENTS)) {
        let event = templates.event(n, place);
        if n < 2 && place < 8 {
            // The door would take it; for the rest this is not asked again.
            intake::admit_all(std::slice::from_ref(&event), &submitter)
                .unwrap_or_else(|refusal| panic!("{}: {event}", refusal.message()));
        }
        let draft = intake::own_draft(0, &event, &submitter).unwrap();
        size += draft.payload().len();
        batch.push(draft);
        if batch.len() == BATCH_LEN_MAX || size > 800_000 {
            record(&mut engine, std::mem::take(&mut batch));
            size = 0;
        }
    }
    record(&mut engine, batch);
    engine.log.close().unwrap();
}

fn record(engine: &mut Engine, drafts: Vec<ledger::Draft>) {
    let submission = Submission::new(drafts).unwrap();
    let now = engine.clock.now_us().unwrap();
    let outcomes = engine.writer.commit(vec![submission], now).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Recorded(_))));
}
