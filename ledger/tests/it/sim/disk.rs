//! A disk that keeps a record of what was changed and what was made durable, and fails on demand.
//!
//! Every change is made to a real directory too, which is what the log reads: the system's cache.
//! Beside it stands what the disk would hold: durable contents and durable names, and what is still
//! pending. A crash may keep or lose each pending change by itself: see [`crate::sim::image`].

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ledger::log::segments::disk::{Disk, DiskFile};

use crate::sim::image::Image;

/// What happens instead of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The machine stops before the step. Nothing that comes after it happens.
    Crash,
    /// The step fails with EIO and does nothing; a sync that fails so has dropped what it should
    /// have made durable, though the cache still shows it.
    Lost,
    /// The step fails with EIO, but it was done; what a sync should have made durable is pending.
    Kept,
    /// There is no room: a write is done in part, any other step not at all.
    Full,
    /// A write takes a part of the bytes and says so. No failure.
    Short,
}

/// The calls through the seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    CreateDir,
    RemoveDir,
    Create,
    Open,
    Rename,
    Remove,
    SyncDir,
    Lock,
    Write,
    SetLen,
    Sync,
}

impl Call {
    /// Whether this fault can happen to it.
    pub(crate) fn can(self, fault: Fault) -> bool {
        match fault {
            Fault::Crash | Fault::Lost => true,
            // An open that fails has done nothing either way.
            Fault::Kept => !matches!(self, Call::Open | Call::Lock),
            Fault::Full => {
                matches!(self, Call::CreateDir | Call::Create | Call::Rename | Call::Write)
            }
            Fault::Short => self == Call::Write,
        }
    }
}

/// One call that was made.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) call: Call,
    /// Below the root.
    pub(crate) path: PathBuf,
}

/// What a file or a directory is, whatever its names are.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Dir,
    File(Inode),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What is on the disk for sure.
    pub(super) durable: Vec<u8>,
    /// What was changed since, in order.
    pub(super) pending: Vec<Change>,
    /// The size that the cache shows.
    len: u64,
}

/// A change of what a file holds.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// With the size of the file, if the write made it grow: one number, which the disk has or not.
    Write {
        at: usize,
        bytes: Vec<u8>,
        grown_to: Option<usize>,
    },
    SetLen(usize),
}

/// A change of what a directory lists.
#[derive(Clone, Debug)]
pub(super) enum Naming {
    Add(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

impl Naming {
    fn dir(&self) -> &Path {
        let (Naming::Add(path, _) | Naming::Rename(path, ..) | Naming::Remove(path)) = self;
        path.parent().unwrap()
    }

    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Naming::Add(path, node) => drop(names.insert(path.clone(), *node)),
            Naming::Rename(from, to, node) => {
                if names.get(from) == Some(node) {
                    names.remove(from);
                }
                names.insert(to.clone(), *node);
            }
            Naming::Remove(path) => drop(names.remove(path)),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) nodes: Vec<Node>,
    /// The first name of each.
    pub(super) made_as: Vec<PathBuf>,
    /// What the cache shows.
    names: BTreeMap<PathBuf, usize>,
    pub(super) durable: BTreeMap<PathBuf, usize>,
    pub(super) pending: Vec<Naming>,
    steps: Vec<Step>,
    /// Counted from the first step of all.
    fault: Option<(usize, Fault)>,
    crashed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct SimDisk {
    root: Arc<PathBuf>,
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// A disk that holds this durably, in a directory that is made, or emptied first.
    pub(crate) fn new(root: &Path, image: &Image) -> SimDisk {
        if root.exists() {
            fs::remove_dir_all(root).unwrap();
        }
        image.write(root);
        let mut state = State::default();
        for (path, bytes) in &image.0 {
            let node = bytes.as_ref().map_or(Node::Dir, |bytes| {
                let len = bytes.len() as u64;
                Node::File(Inode { durable: bytes.clone(), len, pending: Vec::new() })
            });
            let node = state.make(path, node);
            state.names.insert(path.clone(), node);
        }
        state.durable = state.names.clone();
        let state = Arc::new(Mutex::new(state));
        SimDisk { root: Arc::new(root.to_path_buf()), state }
    }

    /// Has the fault happen once, at this step, counted from the first of all, or at the first after
    /// it that can fail so.
    pub(crate) fn fail_at(&self, step: usize, fault: Fault) {
        self.state().fault = Some((step, fault));
    }

    pub(crate) fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// The calls so far.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.state().steps.clone()
    }

    pub(crate) fn steps_len(&self) -> usize {
        self.state().steps.len()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn below_root(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&**self.root).unwrap_or(Path::new("..")).to_path_buf()
    }

    /// Takes note of a call, and says which fault happens to it.
    fn step(&self, call: Call, path: &Path) -> io::Result<Option<Fault>> {
        let path = self.below_root(path);
        let mut state = self.state();
        if state.crashed {
            return Err(io::Error::other("the machine has stopped"));
        }
        let due = state.fault.filter(|(at, fault)| *at <= state.steps.len() && call.can(*fault));
        let fault = due.map(|(_, fault)| fault);
        if due.is_some() {
            state.fault = None;
        }
        if fault == Some(Fault::Crash) {
            state.crashed = true;
            return Err(io::Error::other("the machine stops"));
        }
        state.steps.push(Step { call, path });
        Ok(fault)
    }

    /// Makes a change of names unless a fault is in the way.
    fn rename_step(
        &self,
        call: Call,
        path: &Path,
        act: impl FnOnce(&mut State) -> io::Result<()>,
    ) -> io::Result<()> {
        let fault = self.step(call, path)?;
        if matches!(fault, None | Some(Fault::Kept)) {
            act(&mut self.state())?;
        }
        fault.map_or(Ok(()), |fault| Err(error(fault)))
    }

    fn create_file(&self, path: &Path, new: bool) -> io::Result<Box<dyn DiskFile>> {
        let below = self.below_root(path);
        let mut node = None;
        self.rename_step(Call::Create, path, |state| {
            let known = state.names.get(&below).copied();
            let mut options = OpenOptions::new();
            let file =
                options.write(true).create(true).truncate(true).create_new(new).open(path)?;
            let at = known.unwrap_or(state.nodes.len());
            if known.is_some() {
                state.inode(at).set_len(0);
            } else {
                state.make(&below, Node::File(Inode::default()));
                state.change_names(Naming::Add(below.clone(), at));
            }
            node = Some((at, file));
            Ok(())
        })?;
        let (node, file) = node.unwrap();
        Ok(Box::new(SimFile { disk: self.clone(), path: path.to_path_buf(), node, file }))
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Full => io::ErrorKind::StorageFull.into(),
        _ => io::Error::other("the disk fails"),
    }
}

impl State {
    fn make(&mut self, path: &Path, node: Node) -> usize {
        self.nodes.push(node);
        self.made_as.push(path.to_path_buf());
        self.nodes.len() - 1
    }

    fn change_names(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.pending.push(naming);
    }

    fn inode(&mut self, node: usize) -> &mut Inode {
        match &mut self.nodes[node] {
            Node::File(inode) => inode,
            Node::Dir => panic!("a directory is not written to"),
        }
    }

    /// Makes durable, or gives up, what is pending in a directory.
    fn settle_names(&mut self, dir: &Path, durable: bool) {
        let (here, rest): (Vec<_>, _) =
            std::mem::take(&mut self.pending).into_iter().partition(|naming| naming.dir() == dir);
        self.pending = rest;
        if durable {
            for naming in here {
                naming.apply(&mut self.durable);
            }
        }
    }
}

impl Inode {
    fn set_len(&mut self, len: usize) {
        self.len = len as u64;
        self.pending.push(Change::SetLen(len));
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        let end = at + bytes.len() as u64;
        let grown_to = (end > self.len).then_some(usize::try_from(end).unwrap());
        self.len = self.len.max(end);
        let at = usize::try_from(at).unwrap();
        self.pending.push(Change::Write { at, bytes: bytes.to_vec(), grown_to });
    }

    fn settle(&mut self, durable: bool) {
        let pending = std::mem::take(&mut self.pending);
        if durable {
            for change in pending {
                change.apply(&mut self.durable);
            }
        }
    }
}

impl Change {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::SetLen(len) => bytes.resize(*len, 0),
            Change::Write { at, bytes: new, grown_to } => {
                let len = grown_to.unwrap_or_else(|| bytes.len().max(at + new.len()));
                bytes.resize(len, 0);
                bytes[*at..at + new.len()].copy_from_slice(new);
            }
        }
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let below = self.below_root(path);
        self.rename_step(Call::CreateDir, path, |state| {
            fs::create_dir(path)?;
            let node = state.make(&below, Node::Dir);
            state.change_names(Naming::Add(below, node));
            Ok(())
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.create_file(path, false)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.create_file(path, true)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if let Some(fault) = self.step(Call::Open, path)? {
            return Err(error(fault));
        }
        let file = OpenOptions::new().write(true).open(path)?;
        let node = self.state().names[&self.below_root(path)];
        Ok(Box::new(SimFile { disk: self.clone(), path: path.to_path_buf(), node, file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (below, below_to) = (self.below_root(from), self.below_root(to));
        assert_eq!(below.parent(), below_to.parent(), "a rename stays in its directory");
        self.rename_step(Call::Rename, from, |state| {
            fs::rename(from, to)?;
            let node = state.names[&below];
            state.change_names(Naming::Rename(below, below_to, node));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let below = self.below_root(path);
        self.rename_step(Call::Remove, path, |state| {
            fs::remove_file(path)?;
            state.change_names(Naming::Remove(below));
            Ok(())
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let below = self.below_root(path);
        self.rename_step(Call::RemoveDir, path, |state| {
            fs::remove_dir(path)?;
            state.change_names(Naming::Remove(below));
            Ok(())
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let fault = self.step(Call::SyncDir, path)?;
        let below = self.below_root(path);
        match fault {
            None => self.state().settle_names(&below, true),
            Some(Fault::Lost) => self.state().settle_names(&below, false),
            Some(_) => {}
        }
        fault.map_or(Ok(()), |fault| Err(error(fault)))
    }

    fn lock(&self, path: &Path) -> Result<File, TryLockError> {
        let fault = self.step(Call::Lock, path).map_err(TryLockError::Error)?;
        if let Some(fault) = fault {
            return Err(TryLockError::Error(error(fault)));
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path);
        let file = file.map_err(TryLockError::Error)?;
        let below = self.below_root(path);
        let mut state = self.state();
        if !state.names.contains_key(&below) {
            let node = state.make(&below, Node::File(Inode::default()));
            state.change_names(Naming::Add(below, node));
        }
        file.try_lock().map(|()| file)
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    node: usize,
    file: File,
}

impl SimFile {
    fn sync(&mut self) -> io::Result<()> {
        let fault = self.disk.step(Call::Sync, &self.path)?;
        match fault {
            None => self.disk.state().inode(self.node).settle(true),
            Some(Fault::Lost) => self.disk.state().inode(self.node).settle(false),
            Some(_) => {}
        }
        fault.map_or(Ok(()), |fault| Err(error(fault)))
    }
}

impl DiskFile for SimFile {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let fault = self.disk.step(Call::Write, &self.path)?;
        let part = bytes.len().div_ceil(2);
        let written = match fault {
            None | Some(Fault::Kept) => bytes,
            Some(Fault::Full | Fault::Short) => &bytes[..part],
            Some(_) => &[],
        };
        if !written.is_empty() {
            std::os::unix::fs::FileExt::write_all_at(&self.file, written, at)?;
            self.disk.state().inode(self.node).write(at, written);
        }
        match fault {
            None | Some(Fault::Short) => Ok(written.len()),
            Some(fault) => Err(error(fault)),
        }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let fault = self.disk.step(Call::SetLen, &self.path)?;
        if matches!(fault, None | Some(Fault::Kept)) {
            self.file.set_len(len)?;
            self.disk.state().inode(self.node).set_len(usize::try_from(len).unwrap());
        }
        fault.map_or(Ok(()), |fault| Err(error(fault)))
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.sync()
    }
}
