//! Writers as processes: started, started again when they end, killed, paused; and the lines that are spoken with them.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use kafka_faults::{
    chance::Chance,
    history::{Answer, Event, Recorder},
};
use ledger::{KafkaAddress, KafkaOptions};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a supervisor waits before it starts a writer again that never came to write.
const BACK_OFF: Duration = Duration::from_millis(300);
/// How long an order to end is given before the process is killed.
const ENDING: Duration = Duration::from_secs(20);

/// What a writer ends with that was fenced.
pub(crate) const FENCED: i32 = 75;
/// What one ends with that does not know how an append ended.
pub(crate) const DOUBT: i32 = 1;
/// What one ends with that found the log not to be what it was: a person must look, so nobody starts it again.
pub(crate) const HALTED: i32 = 3;

/// What starts writers.
#[derive(Clone)]
pub(crate) struct Service(Arc<Shared>);

struct Shared {
    recorder: Arc<Recorder>,
    address: String,
    /// How a player opens the log.
    settings: Vec<String>,
    dir: PathBuf,
    chance: Mutex<Chance>,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    players: Vec<Arc<Player>>,
    started: usize,
    stopping: bool,
    /// The exit codes of those that ended, by name.
    ended: Vec<(String, i32)>,
}

/// One process.
pub(crate) struct Player {
    pub(crate) name: String,
    child: Mutex<Child>,
    pid: u32,
    orders: Mutex<Option<ChildStdin>>,
    /// `None` once it has ended.
    pending: Mutex<Option<HashMap<u64, mpsc::Sender<Answer>>>>,
    numbers: AtomicU64,
    ready: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// `dir` is where the writers keep what they know of the log, as if all were on one machine.
    pub(crate) fn new(
        recorder: Arc<Recorder>,
        (address, options): (&KafkaAddress, &KafkaOptions),
        dir: &Path,
        seed: u64,
    ) -> Service {
        let mut settings = vec![options.transaction_timeout.as_millis().to_string()];
        settings.extend(options.properties.iter().map(|(name, value)| format!("{name}={value}")));
        Service(Arc::new(Shared {
            recorder,
            address: address.to_string(),
            settings,
            dir: dir.to_owned(),
            chance: Mutex::new(Chance::of(seed, "service")),
            state: Mutex::default(),
            moved: Condvar::new(),
        }))
    }

    /// Starts a writer, and starts another one in its place whenever it ends.
    pub(crate) fn supervise(&self) {
        let service = self.clone();
        thread::spawn(move || {
            while let Some(player) = service.start(None) {
                drop(service.wait(|state| state.stopping || !state.has(&player.name), None));
                if service.exit_code(&player, Duration::ZERO) == Some(HALTED) {
                    break;
                }
                if !player.is_ready() {
                    drop(service.wait(|state| state.stopping, Some(BACK_OFF)));
                }
            }
        });
    }

    /// Starts a writer that nobody starts again. `None` when all is to end. Chance decides whether it opens the log
    /// again after a doubt, unless that is said.
    pub(crate) fn start(&self, reopens: Option<bool>) -> Option<Arc<Player>> {
        let mut state = lock(&self.0.state);
        if state.stopping {
            return None;
        }
        state.started += 1;
        let name = format!("w{}", state.started);
        let after_doubt = if reopens.unwrap_or_else(|| lock(&self.0.chance).happens(50)) {
            "reopen"
        } else {
            "exit"
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_player"))
            .args(["write", &name, &self.0.address])
            .arg(&self.0.dir)
            .arg(after_doubt)
            .args(&self.0.settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, said) = (child.stdin.take(), child.stdout.take().unwrap());
        let player = Arc::new(Player {
            name,
            pid: child.id(),
            child: Mutex::new(child),
            orders: Mutex::new(orders),
            pending: Mutex::new(Some(HashMap::new())),
            numbers: AtomicU64::new(0),
            ready: AtomicBool::new(false),
        });
        state.players.push(player.clone());
        let (service, listening) = (self.clone(), player.clone());
        thread::spawn(move || service.listen(&listening, said));
        Some(player)
    }

    /// Hears a process to its end.
    fn listen(&self, player: &Arc<Player>, said: ChildStdout) {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            match line.split_once(' ') {
                Some(("opened", _)) => {
                    player.ready.store(true, Ordering::Relaxed);
                    let _state = lock(&self.0.state);
                    self.0.moved.notify_all();
                }
                Some(("halted", code)) => {
                    let (reader, code) = (player.name.clone(), code.to_owned());
                    self.0.recorder.add(Event::Halted { reader, code });
                }
                Some((number, answer)) => player.answered(number, answer),
                None => panic!("{} says {line}", player.name),
            }
        }
        let code = lock(&player.child).wait().unwrap().code().unwrap_or(-1);
        // Whoever waits for an answer hears that none will come.
        *lock(&player.pending) = None;
        let mut state = lock(&self.0.state);
        state.players.retain(|other| other.name != player.name);
        state.ended.push((player.name.clone(), code));
        self.0.moved.notify_all();
    }

    /// One of those that say they write, if there is one within this time.
    pub(crate) fn pick(&self, chance: &mut Chance, within: Duration) -> Option<Arc<Player>> {
        let state =
            self.wait(|state| state.stopping || state.ready().next().is_some(), Some(within));
        let ready: Vec<_> = state.ready().cloned().collect();
        (!ready.is_empty()).then(|| chance.one_of(&ready).clone())
    }

    /// Kills all of them, those too that are about to take the log over.
    pub(crate) fn kill_all(&self) {
        let players = lock(&self.0.state).players.clone();
        for player in players {
            player.kill();
        }
    }

    /// With which code a process ended, if it does within this time. -1 if it was killed.
    pub(crate) fn exit_code(&self, player: &Player, within: Duration) -> Option<i32> {
        let state = self.wait(|state| !state.has(&player.name), Some(within));
        state.ended.iter().find(|(name, _)| *name == player.name).map(|(_, code)| *code)
    }

    /// Waits until a process says that it writes; whether it does.
    pub(crate) fn is_ready(&self, player: &Player, within: Duration) -> bool {
        let is = |state: &State| player.is_ready() || !state.has(&player.name);
        drop(self.wait(is, Some(within)));
        player.is_ready()
    }

    /// The names of those that say that they write.
    pub(crate) fn writing(&self) -> Vec<String> {
        lock(&self.0.state).ready().map(|player| player.name.clone()).collect()
    }

    /// How many processes there were.
    pub(crate) fn started(&self) -> usize {
        lock(&self.0.state).started
    }

    /// Ends all of them in good order.
    pub(crate) fn end(&self) {
        lock(&self.0.state).stopping = true;
        self.0.moved.notify_all();
        for player in lock(&self.0.state).players.clone() {
            player.signal("CONT");
            *lock(&player.orders) = None;
        }
        drop(self.wait(|state| state.players.is_empty(), Some(ENDING)));
        for player in lock(&self.0.state).players.clone() {
            player.kill();
        }
        drop(self.wait(|state| state.players.is_empty(), None));
    }

    fn wait(
        &self,
        until: impl Fn(&State) -> bool,
        within: Option<Duration>,
    ) -> MutexGuard<'_, State> {
        let state = lock(&self.0.state);
        let within = within.unwrap_or(Duration::from_hours(1));
        let waited = self.0.moved.wait_timeout_while(state, within, |state| !until(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl State {
    fn has(&self, name: &str) -> bool {
        self.players.iter().any(|player| player.name == name)
    }

    fn ready(&self) -> impl Iterator<Item = &Arc<Player>> {
        self.players.iter().filter(|player| player.is_ready())
    }
}

impl Player {
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Sends an event and waits for the answer. `None` if the process was gone before: nothing was sent.
    pub(crate) fn record(&self, key: &str, body: &str) -> Option<Answer> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = mpsc::channel();
        lock(&self.pending).as_mut()?.insert(number, answer);
        let mut sent = format!("{number} {key} {body}\n").into_bytes();
        let written = lock(&self.orders).as_mut().map(|orders| orders.write_all(&sent));
        sent.clear();
        match written {
            None => return None,
            Some(Err(_)) => return Some(Answer::Unknown("the pipe broke".into())),
            Some(Ok(())) => {}
        }
        Some(match answered.recv_timeout(PATIENCE) {
            Ok(answer) => answer,
            Err(mpsc::RecvTimeoutError::Timeout) => Answer::Unknown("no answer".into()),
            Err(mpsc::RecvTimeoutError::Disconnected) => Answer::Unknown("it ended".into()),
        })
    }

    fn answered(&self, number: &str, answer: &str) {
        let words: Vec<_> = answer.split(' ').collect();
        let answer = match words[..] {
            ["ok", seq, hash, known, life] => Answer::Ok {
                seq: seq.parse().unwrap(),
                hash: hash.to_owned(),
                duplicate: known == "known",
                life: life.to_owned(),
            },
            ["fail", why] => Answer::Fail(why.to_owned()),
            ["unknown", ..] => Answer::Unknown(answer.to_owned()),
            _ => panic!("{} says {answer}", self.name),
        };
        let waiting = lock(&self.pending)
            .as_mut()
            .and_then(|pending| pending.remove(&number.parse().unwrap()));
        // A client that gave up does not hear it.
        let _ = waiting.map(|waiting| waiting.send(answer));
    }

    /// As when its machine loses power.
    pub(crate) fn kill(&self) {
        self.signal("KILL");
    }

    /// As when its machine hangs.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// It may be gone already.
    fn signal(&self, signal: &str) {
        let pid = self.pid.to_string();
        let mut sent = Command::new("kill");
        sent.args([&format!("-{signal}"), &pid]).stderr(Stdio::null()).status().unwrap();
    }
}
