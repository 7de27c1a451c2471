//! Clients: each records notes under keys of its own, sends some again, and knows what it was told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use kafka_faults::{
    chance::Chance,
    history::{Answer, Call, Event, Recorder},
};

use crate::service::Service;

/// How long a client looks for a writer before it looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(200);
/// How long a client stays away that was told no, or nothing.
const AWAY: Duration = Duration::from_millis(50);
/// In a hundred calls: the same again, which must get the same receipt.
const AGAIN: u64 = 8;
/// Another event under a key that is taken, which must be refused.
const OTHER: u64 = 4;
/// What may be recorded or not is mostly sent again.
const TRY_AGAIN: u64 = 75;

/// A crowd that is told to stop together.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    all: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Begins with so many, whose events are `size` bytes longer than they need to be. Another crowd on the same
    /// topic needs another `crowd`.
    pub(crate) fn begin(
        service: &Service,
        recorder: &Arc<Recorder>,
        (crowd, count, size): (&str, usize, usize),
        seed: u64,
    ) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |number: usize| {
            let client = Client {
                name: format!("{crowd}{number}"),
                first: format!("first~{size}"),
                service: service.clone(),
                recorder: recorder.clone(),
                chance: Chance::of(seed, &format!("client {number}")),
                recorded: Vec::new(),
                again: None,
                next: 0,
            };
            let stop = stop.clone();
            thread::spawn(move || client.go_on_until(&stop))
        };
        Clients { all: (1..=count).map(client).collect(), stop }
    }

    /// Waits for each one's last answer.
    pub(crate) fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.all.into_iter().for_each(|client| client.join().unwrap());
    }
}

struct Client {
    name: String,
    /// What its events say.
    first: String,
    service: Service,
    recorder: Arc<Recorder>,
    chance: Chance,
    recorded: Vec<String>,
    /// What was in doubt.
    again: Option<String>,
    next: usize,
}

impl Client {
    fn go_on_until(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let Some(player) = self.service.pick(&mut self.chance, LOOK) else { continue };
            let (key, body) = self.choose();
            let invoked_us = self.recorder.now_us();
            let Some(answer) = player.record(&key, &body) else { continue };
            let returned_us = self.recorder.now_us();
            self.learn(&key, &body, &answer);
            let stays_away = !matches!(answer, Answer::Ok { .. });
            let writer = player.name.clone();
            let call = Call { key, body, writer, invoked_us, returned_us, answer };
            self.recorder.add(Event::Call(call));
            if stays_away {
                // Nobody sends.
                let _ = mpsc::channel::<()>().1.recv_timeout(AWAY);
            }
        }
    }

    fn choose(&mut self) -> (String, String) {
        if let Some(key) = self.again.take() {
            return (key, self.first.clone());
        }
        let what = self.chance.number() % 100;
        if !self.recorded.is_empty() && what < AGAIN + OTHER {
            let key = self.chance.one_of(&self.recorded).clone();
            return (key, if what < AGAIN { self.first.clone() } else { "other~0".to_owned() });
        }
        self.next += 1;
        (format!("{}-{}", self.name, self.next), self.first.clone())
    }

    fn learn(&mut self, key: &str, body: &str, answer: &Answer) {
        match answer {
            Answer::Ok { .. } => {
                assert_eq!(body, self.first, "{key} was recorded with another event's id");
                if !self.recorded.iter().any(|known| known == key) {
                    self.recorded.push(key.to_owned());
                }
            }
            Answer::Unknown(_) if body == self.first && self.chance.happens(TRY_AGAIN) => {
                self.again = Some(key.to_owned());
            }
            Answer::Unknown(_) | Answer::Fail(_) => {}
        }
    }
}
