//! Writes the inputs to begin with, made of real ledgers: `seeds DIR` fills `DIR/frame` and `DIR/open`.

use std::{env, fs, io, path::PathBuf, process::ExitCode};

use ledger_fuzz::seeds::{frame_seeds, open_seeds};

fn main() -> ExitCode {
    let Some(dir) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: seeds DIR");
        return ExitCode::from(2);
    };
    let write = |target: &str, seeds: Vec<Vec<u8>>| -> io::Result<()> {
        let dir = dir.join(target);
        fs::create_dir_all(&dir)?;
        println!("{} inputs in {}", seeds.len(), dir.display());
        let mut numbered = (0..).zip(seeds);
        numbered.try_for_each(|(n, seed): (u32, _)| fs::write(dir.join(format!("seed-{n}")), seed))
    };
    let written = write("frame", frame_seeds()).and_then(|()| write("open", open_seeds()));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("the inputs cannot be written: {e}");
            ExitCode::FAILURE
        }
    }
}
