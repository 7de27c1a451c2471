//! A server as a process of its own: started, measured from outside, stopped.
#![allow(dead_code, reason = "two benchmarks share it, and each uses a part")]

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

/// How long a server may take until it answers: it makes the views of a million events.
const START_WAIT_MAX: Duration = Duration::from_mins(3);

/// How long a stopped server may take to end before the benchmark fails.
const STOP_WAIT_MAX: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    child: Mutex<Child>,
    _out: Mutex<BufReader<ChildStdout>>,
    pub(crate) address: SocketAddr,
    pid: u32,
}

impl Server {
    /// `serve` over a directory, logging to a file as it would to a collector.
    pub(crate) fn of(dir: &Path, log: &Path) -> Server {
        let mut command = Command::new(binary());
        // What it announces by itself would be other events from run to run.
        command.args(["serve", "--listen", "127.0.0.1:0", "--scheduler", "off", "--data-dir"]);
        command.arg(dir);
        command.stderr(File::create(log).unwrap());
        let server = Server::start(command);
        let begun = Instant::now();
        while !server.get("/readyz").starts_with("HTTP/1.1 200") {
            assert!(begun.elapsed() < START_WAIT_MAX, "the server is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// A program that says where it listens.
    pub(crate) fn start(mut command: Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("the server did not start: {line}"));
        let pid = child.id();
        Server {
            child: Mutex::new(child),
            pid,
            _out: Mutex::new(out),
            address: address.parse().unwrap(),
        }
    }

    /// One answer, head and body, over a connection of its own.
    pub(crate) fn get(&self, path: &str) -> String {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
    }

    /// SIGTERM; how long it took to end, which must be well.
    pub(crate) fn stop(self) -> Duration {
        self.stop_now()
    }

    /// As [`stop`](Server::stop), while others still use it.
    pub(crate) fn stop_now(&self) -> Duration {
        let begun = Instant::now();
        let kill = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        assert!(kill.unwrap().success());
        loop {
            if let Some(status) = self.child.lock().unwrap().try_wait().unwrap() {
                assert!(status.success(), "the server ended with {status}");
                return begun.elapsed();
            }
            assert!(begun.elapsed() < STOP_WAIT_MAX, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The binary that cargo built for this benchmark.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_rollout-ledger"))
}
