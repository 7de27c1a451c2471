//! Stores that grow: whether appending stays as fast, and reading what is there.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ledger::{VerifyOptions, verify_dir};

use crate::{
    chain::Chain,
    events::{events, payload},
    measures::time,
    plain::Plain,
    report::{Results, percentile_us, rate},
    store::{Fault, Kind, Reader, Store},
};

/// Events a commit while a store grows.
const COMMIT_LEN: usize = 1_024;

/// Commits whose rate is taken at each size.
const WINDOW_LEN: u64 = 16;

/// No store may grow for longer: what it has then is what is read.
const GROW_MAX: Duration = Duration::from_mins(2);

/// Single reads.
const READS: u64 = 20_000;

/// How many threads verify.
const THREADS: u64 = 2;

/// Grows one store through the sizes, reads it, stops it; says how many events it holds.
pub(crate) fn measure(
    kind: Kind,
    dir: &Path,
    sizes: &[u64],
    results: &mut Results,
) -> Result<(u64, Plain), Fault> {
    let mut store = kind.open(&dir.join(kind.name()))?;
    let mut plain = Plain::create(&dir.join("plain"))?;
    grow(kind, store.as_mut(), &mut plain, sizes, results)?;
    read(kind, store.as_ref(), &plain, results)?;
    scan(kind, store.as_ref(), &plain, results)?;
    let len = store.len();
    store.close()?;
    verify(kind, &dir.join(kind.name()), len, &plain, results)?;
    #[expect(clippy::cast_precision_loss, reason = "a benchmark rounds")]
    let per_event = |dir: &Path| Ok::<_, Fault>(bytes_in(dir)? as f64 / len as f64);
    let (ours, baseline) = (per_event(&dir.join(kind.name()))?, per_event(&dir.join("plain"))?);
    results.add((kind.name(), "bytes_on_disk"), "bytes/event", ours, baseline);
    Ok((len, plain))
}

fn grow(
    kind: Kind,
    store: &mut dyn Store,
    plain: &mut Plain,
    sizes: &[u64],
    results: &mut Results,
) -> Result<(), Fault> {
    let started = Instant::now();
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    let mut commit = |store: &mut dyn Store| -> Result<(Duration, Duration), Fault> {
        let events = events(store.len(), COMMIT_LEN)?;
        let (_, elapsed) = time(|| store.append(events))?;
        let ((), beside) = time(|| plain.append(COMMIT_LEN))?;
        ours.push(elapsed);
        baseline.push(beside);
        Ok((elapsed, beside))
    };
    let len = COMMIT_LEN as u64;
    for size in sizes {
        while store.len() < *size && started.elapsed() < GROW_MAX {
            commit(store)?;
        }
        if store.len() < *size {
            println!("{} held {} events when its time was over", kind.name(), store.len());
            break;
        }
        let (mut window, mut beside) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..WINDOW_LEN {
            let (elapsed, baseline) = commit(store)?;
            window += elapsed;
            beside += baseline;
        }
        let (rate, beside) = (rate(WINDOW_LEN * len, window), rate(WINDOW_LEN * len, beside));
        results.add((kind.name(), &format!("append_1024_at_{size}")), "events/s", rate, beside);
    }
    let per_second =
        |commits: &[Duration]| rate(commits.len() as u64 * len, commits.iter().sum::<Duration>());
    let rates = (per_second(&ours), per_second(&baseline));
    results.add((kind.name(), "grow"), "events/s", rates.0, rates.1);
    let slow = (percentile_us(&mut ours, 99), percentile_us(&mut baseline, 99));
    results.add((kind.name(), "grow_p99"), "us/commit", slow.0, slow.1);
    let slowest = (percentile_us(&mut ours, 100), percentile_us(&mut baseline, 100));
    results.add((kind.name(), "grow_slowest"), "us/commit", slowest.0, slowest.1);
    Ok(())
}

/// Single payloads by their places, in no order, on one thread.
fn read(kind: Kind, store: &dyn Store, plain: &Plain, results: &mut Results) -> Result<(), Fault> {
    let (mut reader, len) = (store.reader()?, store.len());
    let (mut ours, mut baseline) = (Duration::ZERO, Duration::ZERO);
    for n in 0..READS {
        // Multiplying by this odd number walks through all places like chance.
        let seq = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % len;
        let (found, elapsed) = time(|| reader.read(seq))?;
        ours += elapsed;
        if n % 100 == 0 && found != payload(seq) {
            return Err(format!("another payload stands at {seq}").into());
        }
        baseline += time(|| plain.read(seq))?.1;
    }
    results.add((kind.name(), "read_one"), "events/s", rate(READS, ours), rate(READS, baseline));
    Ok(())
}

/// All headers and payloads in order, on one thread.
fn scan(kind: Kind, store: &dyn Store, plain: &Plain, results: &mut Results) -> Result<(), Fault> {
    let (mut reader, len) = (store.reader()?, store.len());
    let mut seen = 0;
    let ((), ours) = time(|| {
        reader.scan(0..len, &mut |header, payload| {
            std::hint::black_box((header, payload));
            seen += 1;
            Ok(())
        })
    })?;
    if seen != len {
        return Err(format!("a scan saw {seen} of {len}").into());
    }
    let ((), baseline) = time(|| plain.scan())?;
    results.add((kind.name(), "scan"), "events/s", rate(len, ours), rate(len, baseline));
    Ok(())
}

/// Headers, chain and digests of all, on two threads; beside it, hashing the plain file.
fn verify(
    kind: Kind,
    dir: &Path,
    len: u64,
    plain: &Plain,
    results: &mut Results,
) -> Result<(), Fault> {
    let ((), ours) = if kind == Kind::Ledger {
        // The others do not read the events' JSON, so this must not either.
        let options = VerifyOptions {
            threads: usize::try_from(THREADS)?,
            payloads: false,
            opened_first: false,
            expect_head: None,
        };
        time(|| match verify_dir(&dir.join("log"), &options)? {
            report if report.is_good() && report.entries == len => Ok(()),
            report => Err(format!("{report:?}").into()),
        })?
    } else {
        let store = kind.open(dir)?;
        let mut readers: Vec<_> = (0..THREADS).map(|_| store.reader()).collect::<Result<_, _>>()?;
        let timed = time(|| {
            in_parts(readers.iter_mut(), |part, reader| verify_part(reader.as_mut(), len, part))
        })?;
        drop(readers);
        store.close()?;
        timed
    };
    let ((), baseline) = time(|| in_parts(0..THREADS, |part, _| plain.hash(part, THREADS)))?;
    results.add((kind.name(), "verify"), "events/s", rate(len, ours), rate(len, baseline));
    Ok(())
}

/// Every part but the first begins with the header before it, so that the parts are joined.
fn verify_part(reader: &mut dyn Reader, len: u64, part: u64) -> Result<(), Fault> {
    let (first, end) = (len * part / THREADS, len * (part + 1) / THREADS);
    let from = first.saturating_sub(1);
    let mut chain = (from == 0).then_some(Chain::EMPTY);
    reader.scan(from..end, &mut |header, payload| {
        let mut here = chain.map_or_else(|| Chain::before(header), Ok)?;
        here.check(header, payload)?;
        chain = Some(here);
        Ok(())
    })?;
    let reached = chain.map_or(0, |chain| chain.next);
    if reached == end { Ok(()) } else { Err(format!("the chain ends at {reached}").into()) }
}

fn in_parts<T: Send>(
    parts: impl Iterator<Item = T>,
    work: impl Fn(u64, T) -> Result<(), Fault> + Sync,
) -> Result<(), Fault> {
    thread::scope(|scope| {
        let work = &work;
        let parts: Vec<_> =
            (0..).zip(parts).map(|(at, part)| scope.spawn(move || work(at, part))).collect();
        parts.into_iter().try_for_each(|part| part.join().map_err(|_| "a part panicked")?)
    })
}

/// Bytes that all files take on the disk, as `du` counts them.
fn bytes_in(path: &Path) -> Result<u64, Fault> {
    let found = fs::metadata(path)?;
    if !found.is_dir() {
        // A block of this count has 512 bytes on every Linux.
        return Ok(found.blocks() * 512);
    }
    fs::read_dir(path)?.map(|entry| bytes_in(&entry?.path())).sum()
}
