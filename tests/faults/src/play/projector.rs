//! The one that folds: it follows the log from the anchor that it kept, and keeps its views and then the anchor.

use std::{path::Path, process::ExitCode};

use ledger::{KafkaAddress, KafkaLog, KafkaOptions, LogError};
use projector::views::Views;

use super::{Ended, options, read_anchor, write_anchor};

/// How many entries it folds at a time: few, so that it is killed between and in the middle of many batches.
const BATCH_LEN: usize = 20;

/// It never commits anything, but an option says so.
const TIMEOUT_MS: &str = "10000";

/// Plays until it is killed. After each batch it says `at NEXT`.
pub(crate) fn run(dir: &str, address: &str) -> Result<ExitCode, Ended> {
    let (dir, address): (&Path, KafkaAddress) = (Path::new(dir), address.parse()?);
    let options = KafkaOptions { anchor: read_anchor(dir), ..options(TIMEOUT_MS, &[])? };
    let log = match KafkaLog::open_read_only(&address, &options) {
        Err(LogError::Corrupt(damage)) => return Ok(halted(damage.code)),
        log => log?,
    };
    // The anchor may be older than the views, and a log that ends before them would have lost what they hold.
    let (views, _) = Views::open(&dir.join("views"), &log)?;
    println!("at {}", views.position().next);
    loop {
        let head = match log.advance(BATCH_LEN, true) {
            Err(LogError::Corrupt(damage)) => return Ok(halted(damage.code)),
            Err(LogError::Unavailable { .. }) => continue,
            head => head?,
        };
        if head.next.0 <= views.position().next {
            continue;
        }
        views.catch_up(&log, head, 1)?;
        if let Some(anchor) = log.anchor() {
            write_anchor(dir, "projector", anchor)?;
        }
        println!("at {}", head.next.0);
    }
}

fn halted(code: &str) -> ExitCode {
    println!("halted {code}");
    ExitCode::from(3)
}
