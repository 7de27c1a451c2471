//! Between clients and a broker: requests are read as Kafka frames them, and held or lost by rule.

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::Duration,
};

/// More than Kafka lets a request have.
const FRAME_SIZE_MAX: usize = 128 << 20;
/// How long a connection stays open to the broker after the client's was cut, so that the request is read.
const LINGER: Duration = Duration::from_secs(1);

/// One request of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for, such as [`api_key::END_TXN`](crate::api_key::END_TXN).
    pub api_key: i16,
    /// In which version of it.
    pub api_version: i16,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The broker gets it, and the client its answer.
    Forward,
    /// The broker gets it, and the client's connection is cut before the answer: was it done?
    ForwardThenCut,
    /// The client's connection is cut, and the broker gets the request this much later: long after the client has
    /// tried again on another connection.
    CutThenForward(Duration),
    /// The client's connection is cut, and the broker never hears of it.
    Cut,
    /// It and all that follow it on this connection wait this long.
    Delay(Duration),
    /// It and all that follow it on this connection wait until [`Proxy::release`].
    Hold,
}

type Rule = Box<dyn FnMut(Request) -> Action + Send>;
type Watcher = Box<dyn FnMut(Request) + Send>;

/// The requests of a connection that were forwarded and not answered yet, by the number that Kafka gives them.
type Asked = Arc<Mutex<HashMap<[u8; 4], Request>>>;

/// A port that clients connect to in place of a broker's. Clones are the same proxy.
#[derive(Clone)]
pub struct Proxy(Arc<Shared>);

struct Shared {
    port: u16,
    /// The broker's port; 0 as long as it is not known.
    upstream: AtomicU16,
    rule: Mutex<Rule>,
    watcher: Mutex<Watcher>,
    gate: Mutex<Gate>,
    moved: Condvar,
}

#[derive(Default)]
struct Gate {
    /// Nothing passes in either direction, and nothing is closed.
    partitioned: bool,
    /// How often `release` was called.
    releases: u64,
    /// How many requests are held now.
    held: usize,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({} -> {})", self.port(), self.0.upstream.load(Ordering::Relaxed))
    }
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1, so that a broker that does not run yet can be told of it.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn new() -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let proxy = Proxy(Arc::new(Shared {
            port,
            upstream: AtomicU16::new(0),
            rule: Mutex::new(Box::new(|_| Action::Forward)),
            watcher: Mutex::new(Box::new(|_| {})),
            gate: Mutex::default(),
            moved: Condvar::new(),
        }));
        let accepting = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let upstream = accepting.0.upstream.load(Ordering::Relaxed);
                // A broker that is down refuses; the client sees its connection closed.
                let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)) else {
                    continue;
                };
                accepting.serve(client, broker);
            }
        });
        proxy
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Names the broker's port.
    pub fn forward_to(&self, port: u16) {
        self.0.upstream.store(port, Ordering::Relaxed);
    }

    /// From now on, each request is asked of `rule`. It is called by one connection at a time.
    pub fn set_rule(&self, rule: impl FnMut(Request) -> Action + Send + 'static) {
        *self.0.rule.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(rule);
    }

    /// Lets all requests pass again.
    pub fn clear_rule(&self) {
        self.set_rule(|_| Action::Forward);
    }

    /// From now on, `watcher` is called each time that a client has got the answer to a request.
    pub fn watch_answers(&self, watcher: impl FnMut(Request) + Send + 'static) {
        *self.0.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(watcher);
    }

    /// Does this with the next request of a kind, and forwards all others and all after it.
    pub fn once(&self, api_key: i16, action: Action) {
        let mut left = true;
        self.set_rule(move |request| {
            if request.api_key == api_key && left {
                left = false;
                action
            } else {
                Action::Forward
            }
        });
    }

    /// While on, nothing passes in either direction and nothing is closed, as when a cable is pulled.
    pub fn partition(&self, on: bool) {
        self.gate().partitioned = on;
        self.0.moved.notify_all();
    }

    /// Lets all requests go on that are held.
    pub fn release(&self) {
        self.gate().releases += 1;
        self.0.moved.notify_all();
    }

    /// Waits until a request is held, or the time has passed; whether one is.
    pub fn wait_for_held(&self, timeout: Duration) -> bool {
        let waited = self.0.moved.wait_timeout_while(self.gate(), timeout, |gate| gate.held == 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.held > 0
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.0.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, blocked: impl Fn(&mut Gate) -> bool) {
        drop(self.0.moved.wait_while(self.gate(), blocked));
    }

    fn hold(&self) {
        let mut gate = self.gate();
        gate.held += 1;
        self.0.moved.notify_all();
        let seen = gate.releases;
        let gate = self.0.moved.wait_while(gate, |gate| gate.releases == seen);
        gate.unwrap_or_else(PoisonError::into_inner).held -= 1;
    }

    /// Waits without being called: nobody signals this.
    fn pass(&self, time: Duration) {
        drop(self.0.moved.wait_timeout_while(self.gate(), time, |_| true));
    }

    fn serve(&self, client: TcpStream, broker: TcpStream) {
        let _ = (client.set_nodelay(true), broker.set_nodelay(true));
        let clones = client.try_clone().and_then(|c| Ok((c, broker.try_clone()?)));
        let Ok((client_back, broker_back)) = clones else { return };
        let (there, back) = (self.clone(), self.clone());
        let asked = Asked::default();
        let answered = asked.clone();
        thread::spawn(move || {
            let _ = there.requests(&client, &broker, &asked);
            let _ = (client.shutdown(Shutdown::Both), broker.shutdown(Shutdown::Both));
        });
        thread::spawn(move || {
            let _ = back.answers(&broker_back, &client_back, &answered);
            let _ = client_back.shutdown(Shutdown::Both);
        });
    }

    fn answers(&self, broker: &TcpStream, mut client: &TcpStream, asked: &Asked) -> io::Result<()> {
        loop {
            let frame = read_frame(broker)?;
            self.wait_while(|gate| gate.partitioned);
            // A client that was cut off hears nothing more; the broker must not notice by that.
            let has_it = client.write_all(&frame).is_ok();
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            let request = number(&frame, 4).and_then(|number| asked.remove(&number));
            drop(asked);
            if let Some(request) = request.filter(|_| has_it) {
                self.0.watcher.lock().unwrap_or_else(PoisonError::into_inner)(request);
            }
        }
    }

    fn requests(
        &self,
        client: &TcpStream,
        mut broker: &TcpStream,
        asked: &Asked,
    ) -> io::Result<()> {
        loop {
            let frame = read_frame(client)?;
            self.wait_while(|gate| gate.partitioned);
            let request = request(&frame);
            let action = {
                let mut rule = self.0.rule.lock().unwrap_or_else(PoisonError::into_inner);
                rule(request)
            };
            match action {
                Action::Forward => {}
                Action::Delay(time) => self.pass(time),
                Action::Hold => self.hold(),
                Action::Cut => return Ok(()),
                Action::ForwardThenCut => {
                    client.shutdown(Shutdown::Both)?;
                    broker.write_all(&frame)?;
                    self.pass(LINGER);
                    return Ok(());
                }
                Action::CutThenForward(time) => {
                    client.shutdown(Shutdown::Both)?;
                    self.pass(time);
                    broker.write_all(&frame)?;
                    self.pass(LINGER);
                    return Ok(());
                }
            }
            if let Some(number) = number(&frame, 8) {
                let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.insert(number, request);
            }
            broker.write_all(&frame)?;
        }
    }
}

impl Default for Proxy {
    fn default() -> Proxy {
        Proxy::new()
    }
}

/// A length of four bytes, and what it counts.
fn read_frame(mut from: &TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let size = u32::from_be_bytes(length) as usize;
    if !(4..=FRAME_SIZE_MAX).contains(&size) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; 4 + size];
    let (front, rest) = frame.split_at_mut(4);
    front.copy_from_slice(&length);
    from.read_exact(rest)?;
    Ok(frame)
}

/// What tells requests and answers of a connection apart.
fn number(frame: &[u8], at: usize) -> Option<[u8; 4]> {
    frame.get(at..at + 4).and_then(|bytes| bytes.try_into().ok())
}

fn request(frame: &[u8]) -> Request {
    let short = |at: usize| frame.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
    let short = |at| short(at).map_or(-1, i16::from_be_bytes);
    Request { api_key: short(4), api_version: short(6) }
}
