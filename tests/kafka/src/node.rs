//! One broker as a process, watched by `node.sh`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A start takes 5 seconds on an idle machine with two cores, and three at once take 12.
const READY_SECONDS: u32 = 120;
/// An orderly stop takes a second or two.
const STOP_SECONDS: u32 = 30;

/// A broker that was started, and perhaps ended by itself.
#[derive(Debug)]
pub(crate) struct Node {
    dir: PathBuf,
    watcher: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub(crate) pid: u32,
}

impl Node {
    /// Starts a broker with the `server.properties` in `dir`. It takes a while until it is ready.
    pub(crate) fn start(dir: &Path, class_path: &str, file_size_kb: Option<u64>) -> Node {
        let limit = file_size_kb.map_or("unlimited".to_owned(), |kb| kb.to_string());
        let mut watcher = Command::new(beside("node.sh"))
            .arg(dir)
            .arg(limit)
            .arg("java")
            .args(java_options(dir))
            .args(["-cp", class_path, "kafka.Kafka"])
            .arg(dir.join("server.properties"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash starts node.sh");
        let orders = watcher.stdin.take();
        let mut answers = BufReader::new(watcher.stdout.take().expect("it is piped"));
        let pid = line(&mut answers).parse().expect("node.sh tells the broker's process id");
        Node { dir: dir.to_owned(), watcher, orders, answers, pid }
    }

    /// Waits until the broker says that it has started.
    pub(crate) fn ready(&mut self) -> Result<(), String> {
        match self.order(&format!("ready {READY_SECONDS}")).as_str() {
            "ready" => Ok(()),
            _ => Err(self.last_words()),
        }
    }

    pub(crate) fn alive(&mut self) -> bool {
        self.order("alive") == "alive"
    }

    pub(crate) fn pause(&mut self) {
        assert_eq!(self.order("pause"), "paused", "{}", self.last_words());
    }

    pub(crate) fn resume(&mut self) {
        assert_eq!(self.order("resume"), "resumed", "{}", self.last_words());
    }

    /// Ends it at once, as when the power goes. Its data stays.
    pub(crate) fn kill(mut self) {
        self.order("kill");
        let _ = self.watcher.wait();
    }

    /// Ends it in good order. Its data stays.
    pub(crate) fn stop(mut self) {
        self.order(&format!("stop {STOP_SECONDS}"));
        let _ = self.watcher.wait();
    }

    /// Ends it and removes its data.
    pub(crate) fn remove(mut self) {
        drop(self.orders.take());
        let _ = self.watcher.wait();
    }

    fn order(&mut self, order: &str) -> String {
        let orders = self.orders.as_mut().expect("only `remove` closes it");
        writeln!(orders, "{order}").expect("node.sh takes orders");
        line(&mut self.answers)
    }

    /// The end of what the broker wrote.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let first = lines.len().saturating_sub(30);
        lines.get(first..).unwrap_or_default().join("\n")
    }
}

fn line(answers: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).expect("node.sh answers");
    line.trim_end().to_owned()
}

/// What every Java here is started with: small, quick to start, and dead at once without memory.
pub(crate) fn java_options(dir: &Path) -> Vec<String> {
    let logging = beside("log4j2.properties");
    let fixed = [
        "-Xms128m",
        "-Xmx384m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
    ];
    let mut options: Vec<_> = fixed.map(str::to_owned).into();
    options.push(format!("-Dkafka.logs.dir={}", dir.display()));
    options.push(format!("-Dlog4j2.configurationFile=file:{}", logging.display()));
    options
}

fn beside(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}
