//! The data directory: where everything of one ledger lies.
//!
//! | path | holds | if it is lost |
//! |---|---|---|
//! | `log/` | the log: the only source of truth | history is lost |
//! | `log.json` | in the place of `log/`: which topic of Kafka is the log | `kafka join` makes another |
//! | `kafka.properties` | how that cluster is reached; may hold a password, 0600 | it is written again |
//! | `ids/` | the index of ids of such a ledger | made again |
//! | `keys/pseudonym.key` | the key of pseudonyms, 0600 | flags cannot be imported; nothing else |
//! | `home` | this directory's random id; a copy has none | `restore` makes another |
//! | `views/` | answers folded from the log | rebuilt |
//! | `state/` | access tokens (as digests) and what else is no fact, 0700 | tokens are made anew |
//! | `serve.json` | where `serve` listens, and a local token, 0600 | commands open the log themselves |

mod id;

use std::{
    fmt::Write as _,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

pub use self::id::HomeId;
use crate::{
    exit::{Code, fail},
    interrupt::before_the_end,
    logs::{Asked, Topic},
    pseudonym::PseudonymKey,
    shell, space,
    temporary::{self, Temporary},
};

/// The data directory of one ledger.
#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
    min_free: u64,
    asked: Asked,
}

/// What `DIR/serve.json` says: where the running server listens and how commands show it that they
/// may write to this directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Sent as a bearer token by commands that can read this file.
    pub token: String,
    pub pid: u32,
    /// The log's directory as the system numbers it: a copy of this file lies elsewhere.
    pub place: String,
}

impl Home {
    /// An existing ledger's directory.
    ///
    /// # Errors
    /// When there is none: a misspelled path must not make an empty ledger.
    pub fn existing(dir: &Path) -> anyhow::Result<Home> {
        let home = Home::of(dir.to_owned());
        if home.log().is_dir() || home.log_json().is_file() {
            return Ok(home);
        }
        let shown = dir.display();
        let way = if found_in(dir)?.is_empty() {
            format!("`{}` makes one", shell::command("init", dir))
        } else {
            "something else is there: name the ledger's directory with --data-dir".to_owned()
        };
        Err(fail(Code::NotFound, format!("there is no ledger in {shown}; {way}")))
    }

    /// A directory, whatever is in it.
    pub(crate) fn at(dir: &Path) -> Home {
        Home::of(dir.to_owned())
    }

    fn of(dir: PathBuf) -> Home {
        Home { dir, min_free: space::MIN_FREE, asked: Asked::default() }
    }

    /// The same with another limit of [`min_free`](Home::min_free).
    pub fn keeping_free(self, min_free: u64) -> Home {
        Home { min_free, ..self }
    }

    /// The same with what the command line says of the log.
    pub fn asking(self, asked: Asked) -> Home {
        Home { asked, ..self }
    }

    /// What the command line says of the log.
    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// How many bytes of its disk recording leaves free.
    pub fn min_free(&self) -> u64 {
        self.min_free
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The segments of a ledger that moved to a topic.
    pub(crate) fn log_moved(&self) -> PathBuf {
        self.dir.join("log.moved")
    }

    /// Names the topic that is the log, where there is no `log/`.
    pub(crate) fn log_json(&self) -> PathBuf {
        self.dir.join("log.json")
    }

    /// Settings of the connection to Kafka.
    #[cfg(feature = "kafka")]
    pub(crate) fn kafka_properties(&self) -> PathBuf {
        self.dir.join("kafka.properties")
    }

    /// The index of ids of a log on Kafka.
    pub(crate) fn ids(&self) -> PathBuf {
        self.dir.join("ids")
    }

    /// The last record of a log on Kafka that was verified from here.
    pub(crate) fn anchor(&self) -> PathBuf {
        self.state().join("anchor.json")
    }

    /// A path on the disk that recording fills.
    pub(crate) fn disk(&self) -> PathBuf {
        let log = self.log();
        if log.is_dir() { log } else { self.dir.clone() }
    }

    pub fn views(&self) -> PathBuf {
        self.dir.join("views")
    }

    /// Where lies what is neither history nor made from it: access tokens, endpoints of webhooks.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Makes [`state`](Home::state), for this account alone.
    pub fn make_state(&self) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(self.state()) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        }
    }

    /// Where a server notes when it last verified the log.
    pub(crate) fn verified(&self) -> PathBuf {
        self.state().join("verified.json")
    }

    fn serve_json(&self) -> PathBuf {
        self.dir.join("serve.json")
    }

    fn key_path(&self) -> PathBuf {
        self.dir.join("keys").join("pseudonym.key")
    }

    /// Which home this is: the topic that is the log, else the directory by its random id. A copy of a
    /// directory with segments has none.
    pub fn id(&self) -> anyhow::Result<Option<HomeId>> {
        if let Some(topic) = Topic::of(self)? {
            return Ok(Some(topic.home_id()));
        }
        let path = self.dir.join("home");
        match fs::read_to_string(&path) {
            Ok(id) => Ok(Some(HomeId::directory(id.trim()))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e)
                .with_context(|| format!("cannot read this directory's id, {}", path.display())),
        }
    }

    /// Gives this directory an id, durable once this returns.
    pub fn claim(&self, id: &str) -> anyhow::Result<()> {
        let path = self.dir.join("home");
        write_private(&path, format!("{id}\n").as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Where the keys lie.
    pub fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }

    /// The key that pseudonyms are made with.
    pub fn pseudonym_key(&self) -> anyhow::Result<PseudonymKey> {
        let path = self.key_path();
        if fs::metadata(&path).is_ok_and(|key| key.mode() & 0o077 != 0) {
            let shown = path.display();
            crate::output::say(&format!("note: others can read {shown}; `chmod 600 {shown}`"))?;
        }
        PseudonymKey::load(&path).with_context(|| {
            format!(
                "cannot read the key of pseudonyms, {}; put it back from a backup",
                path.display()
            )
        })
    }

    /// The server that holds this directory, if one says so. It may be dead.
    pub fn serving(&self) -> Option<Serving> {
        let text = fs::read(self.serve_json()).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The log's directory, or the file that names the topic, as the system numbers it.
    pub fn place(&self) -> io::Result<String> {
        let log = fs::metadata(self.log()).or_else(|_| fs::metadata(self.log_json()))?;
        Ok(format!("{}:{}", log.dev(), log.ino()))
    }

    /// Says where the server listens, readable by this account alone.
    pub fn announce(&self, serving: &Serving) -> io::Result<()> {
        let text = serde_json::to_vec(serving).expect("plain strings are JSON");
        write_private(&self.serve_json(), &text)
    }

    /// Takes the announcement back.
    pub fn withdraw(&self) {
        // A leftover file is noticed by its readers, so failing here costs nothing.
        let _ = fs::remove_file(self.serve_json());
    }

    /// Lays out a new ledger's directory beside its final place. [`NewHome::finish`] moves it
    /// there, so that a crash leaves no half-made ledger.
    ///
    /// # Errors
    /// When something is there already.
    pub fn create(dir: &Path, key: &PseudonymKey) -> anyhow::Result<NewHome> {
        let new = NewHome::beside(dir)?;
        let home = &new.home;
        fs::DirBuilder::new().mode(0o700).create(home.keys())?;
        key.save_new(&home.key_path())?;
        Ok(new)
    }
}

/// A ledger's directory that is not in its place yet.
#[derive(Debug)]
pub struct NewHome {
    pub home: Home,
    building: Temporary,
    target: PathBuf,
}

impl NewHome {
    /// An empty directory beside the place that it is to have.
    ///
    /// # Errors
    /// When something is there already.
    pub fn beside(dir: &Path) -> anyhow::Result<NewHome> {
        NewHome::with_mode(dir, 0o777)
    }

    /// [`beside`](NewHome::beside), for this account alone.
    pub fn private_beside(dir: &Path) -> anyhow::Result<NewHome> {
        NewHome::with_mode(dir, 0o700)
    }

    fn with_mode(dir: &Path, mode: u32) -> anyhow::Result<NewHome> {
        let what = match found_in(dir)? {
            Found::Free => None,
            Found::File(file) => Some(format!("{} is a file", file.display())),
            Found::Ledger => Some(format!("there is a ledger in {} already", dir.display())),
            Found::Files => Some(format!("there are files in {} already", dir.display())),
        };
        if let Some(what) = what {
            let way = "nothing was changed; name another directory";
            return Err(fail(Code::Conflict, format!("{what}; {way}")));
        }
        let parent = temporary::parent(dir);
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the directory {}", parent.display()))?;
        let building = Temporary::dir_beside(dir, mode)?;
        let home = Home::of(building.path().to_owned());
        Ok(NewHome { home, building, target: dir.to_owned() })
    }

    /// The same with what the command line says of the log.
    pub fn asking(mut self, asked: Asked) -> NewHome {
        self.home = self.home.asking(asked);
        self
    }

    /// Moves the directory to its place. A rename onto an empty directory is atomic.
    pub fn finish(self) -> anyhow::Result<Home> {
        let shown = self.target.display();
        self.building.put(&self.target).with_context(|| format!("cannot make {shown}"))?;
        Ok(Home { dir: self.target, ..self.home })
    }
}

/// What is where a directory is to be made.
pub(crate) enum Found {
    /// Nothing, or an empty directory.
    Free,
    /// A file, there or further up.
    File(PathBuf),
    Ledger,
    /// Something else.
    Files,
}

impl Found {
    fn is_empty(&self) -> bool {
        matches!(self, Found::Free)
    }
}

/// Looks at where a directory is to be made.
pub(crate) fn found_in(dir: &Path) -> anyhow::Result<Found> {
    let looking = || format!("cannot look into {}", dir.display());
    let above = dir.ancestors().find_map(|above| Some((above, fs::metadata(above).ok()?)));
    if let Some((above, found)) = above
        && !found.is_dir()
    {
        return Ok(Found::File(above.to_owned()));
    }
    match fs::read_dir(dir) {
        Ok(mut files) => Ok(match files.next() {
            None => Found::Free,
            Some(_) if dir.join("log").is_dir() || dir.join("log.json").is_file() => Found::Ledger,
            Some(_) => Found::Files,
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Found::Free),
        Err(e) => Err(e).with_context(looking),
    }
}

/// Writes a file that only this account can read, whole or not at all. Once it returns, it is
/// durable.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    let beside = path.with_extension("tmp");
    // Made anew, so that nobody's link decides where the token is written.
    remove_if_there(&beside)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = before_the_end(|| options.open(&beside))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(beside, path)?;
    path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
}

/// Removes a file; one that is not there is no error.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The account that runs this process, as the system knows it. The number and not the name: the
/// name may be a person's.
pub fn os_account() -> String {
    match fs::metadata("/proc/self") {
        Ok(process) => format!("uid:{}", process.uid()),
        Err(_) => "uid:unknown".to_owned(),
    }
}

/// `N` random bytes in hexadecimal digits.
pub fn random_hex<const N: usize>() -> String {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    hex(&bytes)
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
