//! A process that can be killed: a writer that records what it is sent, or a projector that folds what is recorded.
//!
//! ```text
//! player write NAME ADDRESS DIR reopen|exit TIMEOUT_MS [PROPERTY=VALUE...]
//! player project DIR ADDRESS
//! ```
//!
//! A writer takes the log over, records its life, and says `opened LIFE`. Each line that it is sent is
//! `NUMBER KEY BODY`, and answered by `NUMBER ok SEQ HASH new|known LIFE`, `NUMBER fail WHY` or `NUMBER unknown WHY`.
//! In DIR it keeps the anchor of what it acknowledged. It ends with its standard input, with 75 when it was fenced, and with 1 when it does not know how an append ended;
//! with `reopen` it opens the log again instead.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "lines are how it is spoken to")]

mod play;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ended = match args.as_slice() {
        ["write", name, address, dir, after_doubt, timeout_ms, properties @ ..] => {
            let options = play::options(timeout_ms, properties);
            options.and_then(|options| {
                play::writer::run(name, (address, &options), dir, *after_doubt == "reopen")
            })
        }
        ["project", dir, address] => play::projector::run(dir, address),
        _ => Err("what to play is not known".into()),
    };
    ended.unwrap_or_else(|why| {
        eprintln!("player: {why}");
        ExitCode::FAILURE
    })
}
