//! A receiver of webhooks: it answers as it is told to, and hands on what it got.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::PATIENCE;

/// One message as it came.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Message {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The id of the event inside.
    pub(crate) fn event_id(&self) -> String {
        self.event()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn signatures(&self) -> Vec<&str> {
        self.headers["webhook-signature"].split(' ').collect()
    }

    /// Whether one of the signatures was made with this secret, by the words of the standard.
    pub(crate) fn signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let (id, timestamp) = (self.id(), &self.headers["webhook-timestamp"]);
        mac.update(format!("{id}.{timestamp}.{}", self.body).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.signatures().contains(&expected.as_str())
    }

    /// As the examples of receivers read it.
    pub(crate) fn as_json(&self) -> Value {
        json!({ "headers": self.headers, "body": self.body })
    }
}

/// What a message is answered with.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// With a header.
    With(u16, &'static str),
    /// Nothing, ever.
    Silence,
}

/// Listens on loopback. Without other orders it answers 204.
pub(crate) struct Receiver {
    pub(crate) url: String,
    messages: mpsc::Receiver<Message>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
}

impl Receiver {
    pub(crate) fn new() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let (send, messages) = mpsc::channel();
        let replies = Arc::new(Mutex::new(VecDeque::new()));
        let orders = replies.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (send, orders) = (send.clone(), orders.clone());
                thread::spawn(move || serve(stream.unwrap(), &send, &orders));
            }
        });
        Receiver { url, messages, replies }
    }

    /// Answers the next messages so, in this order.
    pub(crate) fn reply(&self, replies: &[Reply]) {
        self.replies.lock().unwrap().extend(replies.iter().cloned());
    }

    /// The next message, waiting for it.
    #[track_caller]
    pub(crate) fn next(&self) -> Message {
        self.messages.recv_timeout(PATIENCE).expect("a message comes")
    }

    /// What came and was not looked at.
    pub(crate) fn unread(&self) -> usize {
        self.messages.try_iter().count()
    }
}

/// Answers one connection's requests until it is closed.
fn serve(stream: TcpStream, send: &mpsc::Sender<Message>, orders: &Mutex<VecDeque<Reply>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(message) = read(&mut reader) {
        let reply = orders.lock().unwrap().pop_front().unwrap_or(Reply::Status(204));
        let (status, header) = match reply {
            Reply::Status(status) => (status, ""),
            Reply::With(status, header) => (status, header),
            Reply::Silence => {
                let _ = send.send(message);
                // Until the other side is gone.
                let _ = reader.read(&mut [0]);
                return;
            }
        };
        let line = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
        // The test may act on the message as soon as it has it, so it is handed on first.
        let _ = send.send(message);
        let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n{line}\r\n");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Message> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    assert!(line.starts_with("POST /in HTTP/1.1"), "{line}");
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some(Message { headers, body: String::from_utf8(body).unwrap() })
}
