//! What a disk may hold after a crash.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

use crate::{
    chance::Chance,
    sim::disk::{Change, Inode, Naming, Node, SimDisk},
};

/// Files with their bytes, and directories (`None`), below a root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Image(pub(crate) BTreeMap<PathBuf, Option<Vec<u8>>>);

/// What became of one pending change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    Lost,
    /// Of a write: only these bytes of it reached the disk, by their places in it. What lies before
    /// and after them is lost, and where the file grew it holds this.
    Torn {
        from: usize,
        to: usize,
        fill: u8,
    },
}

/// What is asked about a pending change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// Bytes of a write; else 0.
    pub(crate) size: usize,
    /// Whether it is about the bytes of a segment file.
    pub(crate) of_segment: bool,
    /// Whether it is about a file that may be deleted at any time.
    derived: bool,
}

impl Image {
    pub(crate) fn write(&self, root: &Path) {
        fs::create_dir_all(root).unwrap();
        for (path, bytes) in &self.0 {
            match bytes {
                None => fs::create_dir_all(root.join(path)).unwrap(),
                Some(bytes) => fs::write(root.join(path), bytes).unwrap(),
            }
        }
    }

    /// The same, with nothing else there.
    pub(crate) fn write_anew(&self, root: &Path) {
        if root.exists() {
            fs::remove_dir_all(root).unwrap();
        }
        self.write(root);
    }

    /// What is in a directory now.
    pub(crate) fn read(root: &Path) -> Image {
        let mut image = Image(BTreeMap::from([(PathBuf::new(), None)]));
        let mut dirs = vec![root.to_path_buf()];
        while let Some(dir) = dirs.pop() {
            for path in fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
                let below = path.strip_prefix(root).unwrap().to_path_buf();
                let bytes = path.is_file().then(|| fs::read(&path).unwrap());
                if bytes.is_none() {
                    dirs.push(path);
                }
                image.0.insert(below, bytes);
            }
        }
        image
    }

    pub(crate) fn empty() -> Image {
        Image(BTreeMap::from([(PathBuf::new(), None)]))
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

impl SimDisk {
    /// What a crash leaves if each pending change has the fate that `fate` gives it: first those of
    /// names, in order, then those of each file.
    pub(crate) fn image(&self, mut fate: impl FnMut(Pending) -> Fate) -> Image {
        let state = self.state();
        let mut names = state.durable.clone();
        for naming in &state.pending {
            if fate(Pending { size: 0, of_segment: false, derived: naming.is_derived() })
                != Fate::Lost
            {
                naming.apply(&mut names);
            }
        }
        // Every file is asked about, also one whose name is lost, so that the order is always the
        // same.
        let about = |node: usize| {
            let path = &state.made_as[node];
            let of_segment = path.to_string_lossy().contains(".seg");
            Pending { size: 0, of_segment, derived: is_derived(path) }
        };
        let contents: Vec<_> = (0..)
            .zip(&state.nodes)
            .map(|(at, node)| match node {
                Node::Dir => None,
                Node::File(inode) => Some(inode.after_crash(about(at), &mut fate)),
            })
            .collect();
        let mut image = Image(BTreeMap::new());
        for (path, node) in names {
            let parent = path.parent().map(|parent| image.0.contains_key(parent));
            if parent != Some(false) {
                image.0.insert(path, contents[node].clone());
            }
        }
        image
    }

    /// All pending changes, in the order in which [`image`](SimDisk::image) asks.
    pub(crate) fn pending(&self) -> Vec<Pending> {
        let mut all = Vec::new();
        self.image(|pending| {
            all.push(pending);
            Fate::Kept
        });
        all
    }

    /// Only what is durable for sure.
    pub(crate) fn durable(&self) -> Image {
        self.image(|_| Fate::Lost)
    }

    /// What a crash may leave, by the corners: each change alone kept or lost, every first part of
    /// them kept, and, given a stride, every write torn at every so-manieth byte and near its ends.
    pub(crate) fn corners(&self, stride: Option<usize>) -> Vec<Image> {
        let all = self.pending();
        let len = all.len();
        let pick = |keeps: &dyn Fn(usize) -> bool| {
            let mut at = 0;
            self.image(|_| {
                at += 1;
                if keeps(at - 1) { Fate::Kept } else { Fate::Lost }
            })
        };
        let mut images = vec![pick(&|_| true), pick(&|_| false)];
        // What is derived piles up, because it is never synced: only the newest of it by itself.
        let old = (0..len).filter(|at| all[*at].derived).rev().skip(4).collect::<Vec<_>>();
        for one in (0..len).filter(|at| !old.contains(at)) {
            images.extend([pick(&|at| at == one), pick(&|at| at != one), pick(&|at| at <= one)]);
        }
        let Some(stride) = stride else { return images };
        for (torn, Pending { size, of_segment, .. }) in all.into_iter().enumerate() {
            if old.contains(&torn) {
                continue;
            }
            // What is derived has checksums alone to be found out by, so a few places tell.
            let stride = if of_segment { stride } else { usize::MAX };
            let places = (1..size).step_by(stride).chain([4, 7, 88, size.saturating_sub(1)]);
            for cut in places.filter(|cut| (1..size).contains(cut)) {
                for (from, to, fill) in [(0, cut, 0), (0, cut, 0xa5), (cut, size, 0)] {
                    let mut at = 0;
                    images.push(self.image(|_| {
                        at += 1;
                        if at - 1 == torn { Fate::Torn { from, to, fill } } else { Fate::Kept }
                    }));
                }
            }
        }
        images
    }

    /// One that chance chooses.
    pub(crate) fn any_image(&self, chance: &mut Chance) -> Image {
        let kept = chance.below(5);
        self.image(|Pending { size, .. }| match chance.below(4) {
            0 if size > 1 => {
                let (one, other) = (chance.below(size + 1), chance.below(size + 1));
                let fill = *chance.pick(&[0, 0xa5, 0xff]);
                let from = if chance.below(2) == 0 { 0 } else { one.min(other) };
                Fate::Torn { from, to: one.max(other), fill }
            }
            _ if chance.below(4) < kept => Fate::Kept,
            _ => Fate::Lost,
        })
    }
}

fn is_derived(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "map")
        || path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("manifest"))
}

impl Naming {
    fn is_derived(&self) -> bool {
        let (Naming::Add(path, _) | Naming::Rename(path, ..) | Naming::Remove(path)) = self;
        is_derived(path)
    }
}

impl Inode {
    fn after_crash(&self, about: Pending, fate: &mut impl FnMut(Pending) -> Fate) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            let size = if let Change::Write { bytes, .. } = change { bytes.len() } else { 0 };
            match fate(Pending { size, ..about }) {
                Fate::Lost => {}
                Fate::Torn { from, to, fill } if size > 0 => {
                    change.tear(&mut bytes, from, to, fill);
                }
                _ => change.apply(&mut bytes),
            }
        }
        bytes
    }
}

impl Change {
    /// Leaves a part of a write: with the new size of the file, or, if the fill is 0 and the end of
    /// the write is missing, with the size that the part needs.
    fn tear(&self, bytes: &mut Vec<u8>, from: usize, to: usize, fill: u8) {
        let Change::Write { at, bytes: new, grown_to } = self else { return self.apply(bytes) };
        if let Some(len) = grown_to {
            let len = if fill == 0 { (at + to).max(bytes.len().min(*len)) } else { *len };
            bytes.resize(len, fill);
        }
        let end = (at + to).min(bytes.len());
        if at + from < end {
            bytes[at + from..end].copy_from_slice(&new[from..end - at]);
        }
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (path, bytes) in &self.0 {
            let size = bytes.as_ref().map_or(String::from("dir"), |bytes| bytes.len().to_string());
            writeln!(f, "  {} {size}", path.display())?;
        }
        Ok(())
    }
}
