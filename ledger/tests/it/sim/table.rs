//! The table of faults and truths: every fault at every step of a small story.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    path::Path,
};

use expect_test::expect_file;

use crate::sim::{
    disk::{Call, Fault, SimDisk, Step},
    image::{Fate, Image},
    random::SaidIfItFails,
    truth::{Act, Found, Known, Process},
};

/// Every so many bytes a write is torn.
const STRIDE: usize = 131;

const FAULTS: [(Fault, &str); 5] = [
    (Fault::Crash, "crash"),
    (Fault::Lost, "EIO, lost"),
    (Fault::Kept, "EIO, kept"),
    (Fault::Full, "ENOSPC"),
    (Fault::Short, "short"),
];

/// Several segments, redactions in a sealed one and in the active one, a clean stop and another.
const STORY: [Act; 17] = [
    Act::Create,
    Act::Commit(1),
    Act::Commit(2),
    Act::Commit(2),
    Act::Commit(1),
    Act::Redact(1),
    Act::Commit(2),
    Act::Redact(8),
    Act::Commit(1),
    Act::Close,
    Act::Stop,
    Act::Open,
    Act::Commit(1),
    Act::Stop,
    Act::Open,
    Act::Commit(3),
    Act::Close,
];

const LEGEND: &str = "\
Every fault at every step. In every case the next start succeeds, `verify` is content before and after
it, every acknowledged entry is there, every recorded redaction has ended erased, the next append
succeeds, and what that start acknowledges is on the disk by itself.

  crash      the machine stops before the step; each pending change is kept, lost or torn by itself
  EIO, lost  the step fails and did nothing; a sync that fails so drops what it should make durable
  EIO, kept  the step fails, but it was done; a sync that fails so leaves its changes pending
  ENOSPC     the step fails; of a write a part is done
  short      a write takes a part of the bytes
  ok         the act is answered all the same
  stop       the act fails, and nothing more is accepted until the log is opened again
  =  +  t    found by the next start, in some case: what was acknowledged and no more; the entries
             in doubt besides; a torn tail

doing: create, append (with sealing), redact, close, open; torn: an opening that cuts off a torn
tail; erase: one that finishes an erasure and has no maps; back: one that finds a payload back that
was erased before a clean stop. N is a number.

";

#[test]
fn every_fault_at_every_step_of_a_small_story() {
    let mut table = Table::default();
    let scratch = scratch();
    table.tell(scratch.path(), &Image::empty(), &Known::default(), &STORY);
    for (name, image, known) in unfinished(scratch.path()) {
        table.start = name;
        table.tell(scratch.path(), &image, &known, &[Act::Open, Act::Commit(1), Act::Close]);
    }
    println!("{} states after a crash", table.seen.len());
    expect_file!["faults.txt"].assert_eq(&table.print());
}

/// What a crash may leave that the next start has to finish.
fn unfinished(scratch: &Path) -> Vec<(&'static str, Image, Known)> {
    let closed = [Act::Create, Act::Commit(1), Act::Commit(2), Act::Commit(2), Act::Close];
    let torn = stopped_before(scratch, &closed, Act::Commit(3), Call::Sync, "N.seg");
    let half = torn.disk.image(|change| Fate::Torn { from: 0, to: change.size / 2, fill: 0 });
    let erasure = stopped_before(scratch, &closed, Act::Redact(1), Call::Create, "N.seg.tmp");
    let mut mapless = erasure.disk.durable();
    mapless.0.retain(|path, _| !path.starts_with("log/map"));
    // The redaction is in the one segment there is, all was stopped cleanly, and then somebody put
    // the payload back.
    let young = [Act::Create, Act::Commit(2)];
    let back = stopped_before(scratch, &young, Act::Redact(1), Call::Create, "N.seg.tmp");
    let mut put_back = back.disk.durable();
    let (seq, hash) = (back.known.hashes.len() - 1, back.known.hashes.last().unwrap());
    put_back.0.insert("log/head".into(), Some(format!("{seq} {hash}\n").into_bytes()));
    vec![
        ("torn", half, torn.known),
        ("erase", mapless, erasure.known),
        ("back", put_back, back.known),
    ]
}

/// A process that was stopped before the last step of this kind in its last act.
fn stopped_before(scratch: &Path, before: &[Act], last: Act, call: Call, file: &str) -> Process {
    let root = scratch.join("unfinished");
    let acts = [before, &[last]].concat();
    let begin = || {
        let disk = SimDisk::new(&root, &Image::empty());
        Process::new(disk, &root, Known::default())
    };
    let mut process = begin();
    for act in &acts {
        process.act(*act).unwrap();
    }
    let steps = process.disk.steps();
    let sought = |step: &Step| step.call == call && describe(step).ends_with(&format!(" {file}"));
    let at = steps.iter().rposition(sought).unwrap();
    let mut process = begin();
    process.disk.fail_at(at, Fault::Crash);
    assert!(acts.iter().any(|act| process.act(*act).is_err()));
    process
}

/// Below memory where there is some: nothing here needs a disk that keeps anything.
pub(super) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

#[derive(Default)]
struct Table {
    /// What the start is about.
    start: &'static str,
    rows: Vec<Row>,
    cells: BTreeMap<(Row, &'static str), BTreeSet<String>>,
    seen: HashMap<(u64, (usize, usize, usize)), Found>,
}

type Row = (&'static str, String);

impl Table {
    /// Tells the story without a fault, and then with each fault at each of its steps.
    fn tell(&mut self, scratch: &Path, from: &Image, known: &Known, story: &[Act]) {
        let root = scratch.join("story");
        let mut process = Process::new(SimDisk::new(&root, from), &root, known.clone());
        let mut acts = Vec::new();
        for act in story {
            process.act(*act).unwrap();
            let special = *act == Act::Open && !self.start.is_empty();
            let name = if special { self.start } else { name(*act) };
            acts.resize(process.disk.steps_len(), name);
        }
        let steps = process.disk.steps();
        drop(process);
        for (at, (step, act)) in steps.iter().zip(&acts).enumerate() {
            let row = (*act, describe(step));
            if !self.rows.contains(&row) {
                self.rows.push(row.clone());
            }
            for (fault, column) in FAULTS.iter().filter(|(fault, _)| step.call.can(*fault)) {
                let cell = self.try_fault(scratch, from, known, story, at, *fault);
                self.cells.entry((row.clone(), column)).or_default().insert(cell);
            }
        }
    }

    fn try_fault(
        &mut self,
        scratch: &Path,
        from: &Image,
        known: &Known,
        story: &[Act],
        at: usize,
        fault: Fault,
    ) -> String {
        let root = scratch.join("story");
        let disk = SimDisk::new(&root, from);
        disk.fail_at(at, fault);
        let _said = SaidIfItFails { place: format!("step {at}, {fault:?}"), disk: disk.clone() };
        let mut process = Process::new(disk, &root, known.clone());
        let failed = story.iter().find(|act| process.act(**act).is_err());
        let answer = match failed {
            None => "ok",
            _ if fault == Fault::Crash => "",
            Some(_) => "stop",
        };
        let mut found = Found::default();
        if fault != Fault::Crash && failed.is_some() {
            process.assert_poisoned();
        }
        // The power goes, now or later.
        let stride = match fault {
            Fault::Crash => Some(STRIDE),
            Fault::Kept => Some(usize::MAX),
            _ => None,
        };
        for image in process.disk.corners(stride) {
            found.0.extend(self.recover(scratch, &image, &process.known).0);
        }
        // Or the process ends alone, and another looks at what the cache shows.
        if fault != Fault::Crash {
            found.0.extend(process.recover().0);
            process.close_and_cut_power(&scratch.join("durable"));
        }
        let found: Vec<_> = found.0.into_iter().collect();
        format!("{answer} {}", found.concat()).trim().to_owned()
    }

    fn recover(&mut self, scratch: &Path, image: &Image, known: &Known) -> Found {
        let key = (image.fingerprint(), known.key());
        if let Some(found) = self.seen.get(&key) {
            return found.clone();
        }
        let root = scratch.join("crashed");
        let mut process = Process::new(SimDisk::new(&root, image), &root, known.clone());
        let found = process.recover();
        process.close_and_cut_power(&scratch.join("durable"));
        self.seen.insert(key, found.clone());
        found
    }

    fn print(&self) -> String {
        let mut text = String::from(LEGEND);
        write!(text, "{:8} {:26}", "doing", "at this step").unwrap();
        for (_, column) in FAULTS {
            write!(text, " | {column:10}").unwrap();
        }
        writeln!(text).unwrap();
        for row in &self.rows {
            write!(text, "{:8} {:26}", row.0, row.1).unwrap();
            for (_, column) in FAULTS {
                let cell = self.cells.get(&(row.clone(), column));
                let cell = cell.map(|cell| cell.iter().cloned().collect::<Vec<_>>().join(", "));
                write!(text, " | {:10}", cell.unwrap_or_else(|| "-".to_owned())).unwrap();
            }
            writeln!(text).unwrap();
        }
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        lines.join("\n") + "\n"
    }
}

fn name(act: Act) -> &'static str {
    match act {
        Act::Create => "create",
        Act::Open => "open",
        Act::Commit(_) => "append",
        Act::Redact(_) => "redact",
        Act::Close | Act::Stop => "close",
    }
}

fn describe(step: &Step) -> String {
    let call = match step.call {
        Call::CreateDir => "make directory",
        Call::RemoveDir => "remove directory",
        Call::Create => "create",
        Call::Open => "open",
        Call::Rename => "rename",
        Call::Remove => "remove",
        Call::SyncDir => "sync directory",
        Call::Lock => "lock",
        Call::Write => "write",
        Call::SetLen => "cut off",
        Call::Sync => "sync",
    };
    let shown = step.path.to_string_lossy();
    let numbers = |c: char| c.is_ascii_digit();
    let kind = match step.path.file_name().and_then(|name| name.to_str()) {
        _ if shown.is_empty() => "(above)".to_owned(),
        Some(name) if name.starts_with(numbers) => {
            format!("N{}", name.trim_start_matches(|c: char| numbers(c) || c == '-'))
        }
        Some(name) => name.to_owned(),
        None => "..".to_owned(),
    };
    format!("{call} {kind}")
}
