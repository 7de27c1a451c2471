//! The binary, a directory for it, a server of it: what every story needs.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything that should happen at once may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The binary that was built beside this test.
pub(crate) fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // target/<profile>/deps/it-<hash>
    let profile = test.parent().and_then(Path::parent).unwrap();
    let binary = profile.join("rollout-ledger");
    let build = "it is built with `cargo build -p api`, and `make test` does that first";
    assert!(binary.is_file(), "{} is missing; {build}", binary.display());
    binary
}

/// How a command ended.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).expect("everything printed is UTF-8");
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Ran {
        self.exits(0)
    }

    /// Asserts that stderr says something.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Ran {
        assert!(self.err.contains(text), "no {text:?} in stderr:\n{}", self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}:\n{}", self.out))
    }

    /// One JSON value for each line of stdout.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A command that gets its input at once.
pub(crate) fn feed(command: &mut Command, input: &[u8]) -> Ran {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        // A command that refuses early does not read to the end.
        let _ = stdin.write_all(&input);
    });
    let ran = Ran::of(child.wait_with_output().unwrap());
    writer.join().unwrap();
    ran
}

/// A ledger in a directory of its own.
pub(crate) struct Ledger {
    pub(crate) temp: TempDir,
    pub(crate) dir: PathBuf,
}

impl Ledger {
    /// Made by `init`.
    pub(crate) fn new() -> Ledger {
        let ledger = Ledger::absent();
        ledger.run(&["init"]).ok();
        ledger
    }

    /// Not made yet.
    pub(crate) fn absent() -> Ledger {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("ledger");
        Ledger { temp, dir }
    }

    /// A file beside the directory.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.temp.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.prefixed(&[], args)
    }

    /// The command run by another one, such as `sh -c`.
    pub(crate) fn prefixed(&self, prefix: &[&str], args: &[&str]) -> Command {
        let binary = binary();
        let mut words = prefix.iter().map(std::ffi::OsStr::new).chain([binary.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(args);
        command.env("ROLLOUT_LEDGER_DATA", &self.dir);
        command.env_remove("ROLLOUT_LEDGER_LOG").env_remove("ROLLOUT_LEDGER_KAFKA");
        command.current_dir(self.temp.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    pub(crate) fn run_with(&self, args: &[&str], input: impl AsRef<[u8]>) -> Ran {
        feed(&mut self.command(args), input.as_ref())
    }

    /// Sends events to `event append` as NDJSON.
    pub(crate) fn append(&self, events: &[Value]) -> Ran {
        self.run_with(&["event", "append", "--output", "jsonl"], ndjson(events))
    }

    /// Every entry, as `event list --all` prints it.
    #[track_caller]
    pub(crate) fn entries(&self) -> Vec<Value> {
        self.run(&["event", "list", "--all", "--output", "jsonl"]).ok().lines()
    }

    /// The ids of the entries that came in through [`note`].
    pub(crate) fn noted(&self) -> Vec<String> {
        let entries = self.entries();
        let ours = entries.iter().filter(|e| e["event"]["source"] == SOURCE);
        ours.map(|e| e["event"]["id"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    pub(crate) fn verifies(&self) -> Value {
        let report = self.run(&["verify", "--output", "json"]).ok().json();
        assert_eq!(report["ok"], true);
        report
    }

    /// A server that records what it is sent, and nothing because a day has come.
    pub(crate) fn serve(&self) -> Server {
        Server::start(self.command(&["serve", "--listen", "127.0.0.1:0", "--scheduler", "off"]))
    }

    /// The path of the newest segment.
    pub(crate) fn newest_segment(&self) -> PathBuf {
        segments(&self.dir).pop().unwrap()
    }
}

/// The segments of a directory, in order.
pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files.filter(|p| p.extension().is_some_and(|e| e == "seg")).collect();
    found.sort();
    found
}

/// Every file below a directory with its bytes.
pub(crate) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// Copies a directory with all that is in it.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, bytes).unwrap();
    }
}

/// The source of the notes.
pub(crate) const SOURCE: &str = "https://tests.example/it";

/// A small valid event.
pub(crate) fn note(id: &str, text: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": SOURCE, "type": "rollout.note.added.v1",
        "subject": "trial", "data": { "text": text, "basis": "reported" },
    })
}

/// Notes `PREFIX-0`, `PREFIX-1`, ...
pub(crate) fn notes(prefix: &str, count: usize) -> Vec<Value> {
    (0..count).map(|n| note(&format!("{prefix}-{n}"), "said")).collect()
}

pub(crate) fn ndjson(events: &[Value]) -> String {
    events.iter().flat_map(|event| [event.to_string(), "\n".to_owned()]).collect()
}

/// The files of a folder of `examples/`, in order.
pub(crate) fn examples(folder: &str, ext: &str) -> Vec<PathBuf> {
    let dir = root().join("examples").join(folder);
    let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == ext));
    found.sort();
    assert!(!found.is_empty(), "{} holds no .{ext}", dir.display());
    found
}

/// A running `serve`. Dropped without [`stop`](Server::stop), it is killed.
pub(crate) struct Server {
    child: Option<Child>,
    /// Kept open, so that the server can always print.
    _out: BufReader<ChildStdout>,
    err: Option<thread::JoinHandle<String>>,
    client: Client,
}

impl std::ops::Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    /// Starts and waits for the line that says where it listens.
    pub(crate) fn start(command: Command) -> Server {
        Server::try_start(command).unwrap_or_else(|ran| panic!("serve did not start: {ran:?}"))
    }

    /// As [`start`](Server::start); how it ended when it did not start.
    pub(crate) fn try_start(mut command: Command) -> Result<Server, Ran> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let err = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text).unwrap()
        });
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let Some(url) = line.trim_end().strip_prefix("listening on ") else {
            let code = wait(child).code();
            return Err(Ran { code, out: line, err: err.join().unwrap() });
        };
        let client = Client::of(url);
        Ok(Server { child: Some(child), _out: out, err: Some(err), client })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// A clean stop, which succeeds. Returns what it said on stderr.
    #[track_caller]
    pub(crate) fn stop(mut self) -> String {
        signal("TERM", self.pid());
        let status = wait(self.child.take().unwrap());
        let said = self.err.take().unwrap().join().unwrap();
        assert_eq!(status.code(), Some(0), "SIGTERM is a clean stop; it said:\n{said}");
        said
    }

    /// How it ended by itself.
    pub(crate) fn ended(mut self) -> Ran {
        let code = wait(self.child.take().unwrap()).code();
        Ran { code, out: String::new(), err: self.err.take().unwrap().join().unwrap() }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            wait(child);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks a server, its own or somebody else's.
pub(crate) struct Client {
    pub(crate) url: String,
    agent: ureq::Agent,
}

impl Client {
    pub(crate) fn of(url: &str) -> Client {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Client { url: url.to_owned(), agent: config.into() }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    pub(crate) fn try_get(&self, path: &str) -> Result<Answer, ureq::Error> {
        self.agent.get(format!("{}{path}", self.url)).call().map(Answer::of)
    }

    pub(crate) fn post(&self, body: &Value) -> Answer {
        self.try_post(body).unwrap()
    }

    pub(crate) fn try_post(&self, body: &Value) -> Result<Answer, ureq::Error> {
        self.try_post_as("application/json", body.to_string().as_bytes())
    }

    pub(crate) fn post_as(&self, kind: &str, body: &[u8]) -> Answer {
        self.try_post_as(kind, body).unwrap()
    }

    pub(crate) fn try_post_as(&self, kind: &str, body: &[u8]) -> Result<Answer, ureq::Error> {
        let url = format!("{}/api/v1/events", self.url);
        self.agent.post(url).header("content-type", kind).send(body).map(Answer::of)
    }

    pub(crate) fn agent(&self) -> &ureq::Agent {
        &self.agent
    }

    /// Asks `/readyz` until it says yes.
    #[track_caller]
    pub(crate) fn ready(&self) {
        let begun = Instant::now();
        while self.get("/readyz").status != 200 {
            assert!(begun.elapsed() < PATIENCE, "the server never became ready");
            thread::yield_now();
        }
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) as_of: Option<String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn of(mut response: ureq::http::Response<ureq::Body>) -> Answer {
        let header = |name: &str| {
            response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
        };
        let (kind, as_of) = (header("content-type").unwrap_or_default(), header("ledger-as-of"));
        let status = response.status().as_u16();
        // An answer that breaks off is no answer: its status stands, its text does not.
        let text = response.body_mut().read_to_string().unwrap_or_default();
        Answer { status, kind, as_of, text }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Asserts that it is a problem document (RFC 9457) and returns it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.kind, "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code, "{problem}");
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|t| !t.is_empty()), "{member}: {problem}");
        }
        problem
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(name: &str, pid: u32) {
    let kill = format!("kill -{name} {pid}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
}

/// Waits for a process's end, but not for ever.
pub(crate) fn wait(mut child: Child) -> std::process::ExitStatus {
    let (pid, (ended, end)) = (child.id(), mpsc::channel());
    thread::spawn(move || ended.send(child.wait().unwrap()));
    end.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        signal("KILL", pid);
        panic!("process {pid} did not end");
    })
}
