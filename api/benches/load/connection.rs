//! A client's connection, which is kept: raw HTTP/1.1, so that clients cost little.
#![allow(dead_code, reason = "two benchmarks share it, and each uses a part")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A connection that is kept: raw HTTP/1.1, answers with a length.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Connection { stream, buffer: vec![0; 64 * 1_024] }
    }

    /// Asks, and reads the whole answer, which is a success. Returns its size in bytes.
    pub(crate) fn get(&mut self, path: &str) {
        let asked = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.send(asked.as_bytes()).expect("an answer");
    }

    /// Records. The answer if it fits the buffer, or `None` when there is none or no success.
    pub(crate) fn post(&mut self, body: &str) -> Option<String> {
        self.post_as("application/json", body)
    }

    /// The same for a body of another type.
    pub(crate) fn post_as(&mut self, content_type: &str, body: &str) -> Option<String> {
        let len = body.len();
        let head = "POST /api/v1/events HTTP/1.1\r\nhost: localhost";
        let head = format!("{head}\r\ncontent-type: {content_type}\r\ncontent-length: {len}");
        let (start, end) = self.send(format!("{head}\r\n\r\n{body}").as_bytes())?;
        Some(String::from_utf8_lossy(self.buffer.get(start..end).unwrap_or_default()).into_owned())
    }

    /// Where the answer's body lies in the buffer.
    fn send(&mut self, request: &[u8]) -> Option<(usize, usize)> {
        self.stream.write_all(request).ok()?;
        let mut filled = 0;
        let (head, length) = loop {
            let read = self.stream.read(&mut self.buffer[filled..]).ok().filter(|n| *n > 0)?;
            filled += read;
            if let Some(found) = head_of(&self.buffer[..filled]) {
                break found;
            }
        };
        let success = self.buffer.starts_with(b"HTTP/1.1 20");
        let mut left = (head + length).saturating_sub(filled);
        while left > 0 {
            let room = if filled < self.buffer.len() { filled } else { head };
            let read = self.stream.read(&mut self.buffer[room..]).ok().filter(|n| *n > 0)?;
            filled = room + read;
            left = left.saturating_sub(read);
        }
        if !success {
            eprintln!("{}", String::from_utf8_lossy(&self.buffer[..filled]));
        }
        success.then_some((head, head + length))
    }
}

/// Where an answer's head ends and how long its body is, once the head is there.
fn head_of(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((end, length.expect("an answer with a length")))
}
