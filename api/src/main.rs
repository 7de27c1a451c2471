//! The binary `rollout-ledger`: reads the command line, calls the library, prints errors.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use api::{commands, exit, interrupt};

fn main() -> ExitCode {
    let matches = match commands::command_line().try_get_matches() {
        Ok(matches) => matches,
        Err(e) => return usage(&e),
    };
    let ran = commands::run(&matches);
    interrupt::settle();
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            if let Some(e) = e.downcast_ref::<clap::Error>() {
                return usage(e);
            }
            let closed = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
            if e.chain().any(|cause| cause.downcast_ref().is_some_and(closed)) {
                // Whoever read our output has seen enough.
                return ExitCode::SUCCESS;
            }
            // If stderr is gone there is nobody left to tell.
            let _ = writeln!(io::stderr(), "error: {e:#}");
            exit::code_of(&e)
        }
    }
}

/// Help goes to stdout with 0, a wrong call to stderr with 2.
fn usage(e: &clap::Error) -> ExitCode {
    let _ = e.print();
    u8::try_from(e.exit_code()).unwrap_or(2).into()
}
