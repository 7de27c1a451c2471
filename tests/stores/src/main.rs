//! The ledger beside the stores that one might pick instead: same records, same duties, same
//! durability, in one run. `make bench-stores` runs it.
//!
//! - [`store`]: what a store must do; [`stores`]: each of them doing it.
//! - [`chain`], [`events`], [`plain`]: what all of them write, and the plain file beside them.
//! - [`measures`]: what is timed; [`report`]: what is printed.

#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]

mod chain;
mod events;
mod measures;
mod plain;
mod report;
mod store;
mod stores;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    measures::{agree, callers, commits, grown, stops, syncs},
    report::Results,
    store::{Fault, Kind},
};

/// A disk, where `/tmp` may be memory; and open to the account that `PostgreSQL` runs as.
const DIR: &str = "/var/tmp";

const USAGE: &str = "stores [--dir DIR] [--stores NAME,...] [--sizes EVENTS,...] [--only PART,...]
parts: syncs, commits, callers, grown";

/// What is asked for.
struct Options {
    dir: PathBuf,
    kinds: Vec<Kind>,
    sizes: Vec<u64>,
    parts: Vec<String>,
}

fn main() -> Result<(), Fault> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        // What the parts start in processes of their own.
        ["hold", kind, dir] => stops::hold(named(kind)?, Path::new(dir)),
        ["commit", kind, dir, commits] => {
            syncs::commit(named(kind)?, Path::new(dir), commits.parse()?)
        }
        args => run(&options(args)?),
    }
}

fn named(name: &str) -> Result<Kind, Fault> {
    Kind::named(name).ok_or_else(|| format!("there is no store {name}").into())
}

fn options(args: &[&str]) -> Result<Options, Fault> {
    let mut options = Options {
        dir: DIR.into(),
        kinds: Kind::ALL.to_vec(),
        sizes: vec![10_000, 100_000, 1_000_000],
        parts: ["syncs", "commits", "callers", "grown"].map(str::to_owned).to_vec(),
    };
    for pair in args.chunks(2) {
        let [name, value] = *pair else { return Err(USAGE.into()) };
        let values = value.split(',');
        match name {
            "--dir" => options.dir = value.into(),
            "--stores" => options.kinds = values.map(named).collect::<Result<_, _>>()?,
            "--sizes" => options.sizes = values.map(str::parse).collect::<Result<_, _>>()?,
            "--only" => options.parts = values.map(str::to_owned).collect(),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), Fault> {
    let Options { kinds, sizes, .. } = options;
    let dir = tempfile::Builder::new().prefix("ledger-beside-").tempdir_in(&options.dir)?;
    // The account of PostgreSQL must be able to reach its own part of it.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711))?;
    // Shown beside sled, but only where it differs.
    let beside = kinds.contains(&Kind::Sled).then_some(Kind::SledFlush);
    let committing: Vec<_> = kinds.iter().copied().chain(beside).collect();
    let mut results = Results::default();
    // Each part begins with an empty directory, and leaves nothing.
    let part = |name: &str, work: &mut dyn FnMut(&Path) -> Result<(), Fault>| {
        if !options.parts.iter().any(|part| part == name.split('-').next().unwrap_or(name)) {
            return Ok(());
        }
        let dir = dir.path().join(name);
        fs::create_dir(&dir)?;
        let done = work(&dir);
        fs::remove_dir_all(&dir)?;
        done
    };
    for kind in &committing {
        let name = kind.name();
        let check = |dir: &Path| {
            agree::check(*kind, &dir.join("agree"))?;
            syncs::count(*kind, dir)
        };
        part("syncs", &mut { check }).map_err(|e| format!("{name}: {e}"))?;
    }
    part("commits", &mut |dir| commits::measure(&committing, dir, &mut results))?;
    part("callers", &mut |dir| callers::measure(kinds, dir, &mut results))?;
    for kind in kinds {
        part(&format!("grown-{}", kind.name()), &mut |dir| {
            let (len, plain) = grown::measure(*kind, dir, sizes, &mut results)?;
            stops::measure(*kind, &dir.join(kind.name()), len, &plain, &mut results)
        })
        .map_err(|e| format!("{}: {e}", kind.name()))?;
    }
    results.print_table();
    Ok(())
}
