//! The one that folds: it follows the log from the anchor that it kept, and keeps its views and then the anchor.

use std::{fs, io::Write as _, path::Path, process::ExitCode};

use ledger::{Anchor, Hash, KafkaAddress, KafkaLog, LogError, Seq};
use projector::views::Views;

use super::{Ended, options};

/// How many entries it folds at a time: few, so that it is killed between and in the middle of many batches.
const BATCH_LEN: usize = 20;

/// Plays until it is killed. After each batch it says `at NEXT`.
pub(crate) fn run(dir: &str, address: &str) -> Result<ExitCode, Ended> {
    let (dir, address): (&Path, KafkaAddress) = (Path::new(dir), address.parse()?);
    let file = dir.join("anchor");
    let anchor = fs::read_to_string(&file).ok().and_then(|text| read(&text));
    let log = match KafkaLog::follow(&address, &ledger::KafkaOptions { anchor, ..options(10_000) })
    {
        Err(LogError::Corrupt(damage)) => return Ok(halted(damage.code)),
        log => log?,
    };
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
            write(dir, &file, anchor)?;
        }
        println!("at {}", head.next.0);
    }
}

fn halted(code: &str) -> ExitCode {
    println!("halted {code}");
    ExitCode::from(3)
}

fn read(text: &str) -> Option<Anchor> {
    let mut words = text.split_whitespace();
    let (offset, seq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let hash: Hash = words.next()?.parse().ok()?;
    Some(Anchor { offset, seq: Seq(seq), hash })
}

/// A rename is done or not.
fn write(dir: &Path, file: &Path, Anchor { offset, seq, hash }: Anchor) -> Result<(), Ended> {
    let new = dir.join("anchor.new");
    let mut text = fs::File::create(&new)?;
    writeln!(text, "{offset} {} {hash}", seq.0)?;
    text.sync_all()?;
    fs::rename(new, file)?;
    Ok(())
}
