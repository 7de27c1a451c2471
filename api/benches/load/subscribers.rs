//! Subscribers as a program sees them: sockets that wait, and sockets that are read as fast as
//! messages come.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use api::clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Threads that connect at once.
const CONNECTING: usize = 16;

/// Longest begin of a message that was not read to its end yet, in bytes.
const BUFFER_SIZE: usize = 32 * 1_024;

/// So many connections that ask for a path, have the head of the answer, and then only wait.
pub(crate) fn waiting(address: SocketAddr, path: &str, count: usize) -> Vec<TcpStream> {
    let next = AtomicUsize::new(0);
    let connect = || {
        let mut open = Vec::new();
        while next.fetch_add(1, Ordering::Relaxed) < count {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
            stream.write_all(&request(path)).unwrap();
            let mut head = [0; 512];
            let read = stream.read(&mut head).unwrap();
            let head = String::from_utf8_lossy(&head[..read]);
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            open.push(stream);
        }
        open
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTING).map(|_| scope.spawn(connect)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// An id of a message, and when it arrived, in Unix microseconds.
pub(crate) type Arrival = (u64, u64);

/// Subscribers that read, on one thread of their own.
pub(crate) struct Reading {
    thread: JoinHandle<Vec<Vec<Arrival>>>,
    connected: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
}

impl Reading {
    pub(crate) fn start(address: SocketAddr, path: &str, count: usize) -> Reading {
        let (connected, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (path, reading) = (path.to_owned(), (connected.clone(), enough.clone()));
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let read = |_| {
                    let (connected, enough) = reading.clone();
                    tokio::spawn(read(address, request(&path), connected, enough))
                };
                let tasks: Vec<_> = (0..count).map(read).collect();
                let mut all = Vec::new();
                for task in tasks {
                    all.push(task.await.unwrap());
                }
                all
            })
        });
        let reading = Reading { thread, connected, enough };
        while reading.connected.load(Ordering::Relaxed) < count {
            assert!(!reading.thread.is_finished(), "the subscribers could not connect");
            thread::sleep(Duration::from_millis(10));
        }
        reading
    }

    /// What arrived at each of them, up to now or until the server ended the streams.
    pub(crate) fn end(self) -> Vec<Vec<Arrival>> {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

async fn read(
    address: SocketAddr,
    request: Vec<u8>,
    connected: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
) -> Vec<Arrival> {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let (mut buffer, mut filled) = (vec![0; BUFFER_SIZE], 0);
    let (mut arrivals, mut begun) = (Vec::new(), false);
    loop {
        let patience = Duration::from_millis(500);
        let read = tokio::time::timeout(patience, stream.read(&mut buffer[filled..])).await;
        if enough.load(Ordering::Relaxed) {
            return arrivals;
        }
        let Ok(read) = read else { continue };
        let read = read.unwrap_or(0);
        if read == 0 {
            return arrivals;
        }
        if !begun {
            assert!(buffer.starts_with(b"HTTP/1.1 200"), "a subscriber is refused");
            connected.fetch_add(1, Ordering::Relaxed);
            begun = true;
        }
        filled += read;
        let now = clock::wall_us();
        let text = std::str::from_utf8(&buffer[..filled]).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let ids = text[..whole].lines().filter_map(|line| line.strip_prefix("id: "));
        arrivals.extend(ids.map(|id| (id.trim().parse().unwrap(), now)));
        // A line that is longer than the buffer holds no id.
        let whole = if whole == 0 && filled == buffer.len() { filled } else { whole };
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}
