//! The queue: each submission is answered once, in order, after it is durable and published; a full
//! or closed queue refuses; a failure reaches everyone; nobody waits for ever.

use std::sync::atomic::{AtomicUsize, Ordering};

use ledger::{Follower, InDoubt, Outcome, Queue, Refused, Reply};
use shuttle::{
    sync::{Arc, Condvar, Mutex},
    thread,
};

use crate::{
    explore,
    watched::{NOW_US, WatchedLog, note},
};

const CALLERS: usize = 3;
const EACH: usize = 2;

type Answer = Result<Outcome, InDoubt>;

/// Where a caller waits, as a task does.
#[derive(Clone, Default)]
struct Slot(Arc<(Mutex<Option<Answer>>, Condvar)>);

impl Reply for Slot {
    fn answer(self, answer: Answer) {
        let before = self.0.0.lock().unwrap().replace(answer);
        assert!(before.is_none(), "answered twice");
        self.0.1.notify_one();
    }
}

impl Slot {
    fn wait(&self) -> Answer {
        let answer = self.0.0.lock().unwrap();
        let mut answer = self.0.1.wait_while(answer, |answer| answer.is_none()).unwrap();
        answer.take().unwrap()
    }
}

/// A log, the queue before its writer, and the thread that runs the writer.
struct Story {
    log: Arc<WatchedLog>,
    queue: Arc<Queue<Slot>>,
    follower: Follower,
    runner: thread::JoinHandle<Result<(), InDoubt>>,
}

impl Story {
    fn begin(len_max: usize, fails_at: Option<usize>) -> Story {
        let (log, mut writer) = WatchedLog::with_writer(fails_at);
        let (queue, follower) = (Arc::new(Queue::new(len_max)), writer.follow());
        let gathered = queue.clone();
        let runner = thread::spawn(move || gathered.run(|taken| writer.commit(taken, NOW_US)));
        Story { log, queue, follower, runner }
    }

    /// Callers in threads of their own; each gets its number.
    fn callers<T: Send + 'static>(
        &self,
        call: impl Fn(&WatchedLog, &Queue<Slot>, &Follower, usize) -> T + Copy + Send + Sync + 'static,
    ) -> Vec<thread::JoinHandle<T>> {
        let caller = |number: usize| {
            let (log, queue) = (self.log.clone(), self.queue.clone());
            let follower = self.follower.clone();
            thread::spawn(move || call(&log, &queue, &follower, number))
        };
        (0..CALLERS).map(caller).collect()
    }
}

#[test]
fn each_is_answered_once_after_it_is_durable_and_published() {
    explore("queue, answers", || {
        let story = Story::begin(CALLERS * EACH, None);
        let callers = story.callers(|log, queue, follower, caller| {
            // Two at once, and only then the answers: they come in order.
            let slots = [(); EACH].map(|()| Slot::default());
            for (n, slot) in slots.iter().enumerate() {
                queue.submit(note(&format!("{caller}-{n}")), slot.clone()).unwrap();
            }
            let seqs = slots.map(|slot| log.check(follower, &slot.wait()));
            assert!(seqs.is_sorted(), "{seqs:?}");
        });
        for caller in callers {
            caller.join().unwrap();
        }
        story.queue.close();
        story.runner.join().unwrap().unwrap();
        assert_eq!(story.log.ids().len(), CALLERS * EACH);
    });
}

#[test]
fn one_id_in_flight_twice_is_recorded_once() {
    explore("queue, one id", || {
        let story = Story::begin(CALLERS, None);
        let callers = story.callers(|log, queue, follower, _| {
            let slot = Slot::default();
            queue.submit(note("same"), slot.clone()).unwrap();
            log.check(follower, &slot.wait())
        });
        let seqs: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        assert!(seqs.iter().all(|seq| seq.0 == 0), "{seqs:?}");
        story.queue.close();
        story.runner.join().unwrap().unwrap();
        assert_eq!(story.log.len(), 1);
    });
}

#[test]
fn closing_drains_what_was_taken_and_refuses_the_rest() {
    explore("queue, closing", || {
        let story = Story::begin(CALLERS, None);
        let callers = story.callers(|log, queue, follower, caller| {
            let slot = Slot::default();
            match queue.submit(note(&caller.to_string()), slot.clone()) {
                Ok(()) => log.check(follower, &slot.wait()).0 + 1,
                Err(refused) => {
                    assert_eq!(refused, Refused::Closed);
                    0
                }
            }
        });
        // Somewhere among them.
        story.queue.close();
        story.runner.join().unwrap().unwrap();
        let taken = callers.into_iter().map(|caller| caller.join().unwrap()).filter(|n| *n > 0);
        assert_eq!(taken.count() as u64, story.log.len());
    });
}

#[test]
fn a_full_queue_answers_busy_and_forgets_nobody() {
    explore("queue, busy", || {
        let story = Story::begin(1, None);
        let callers = story.callers(|log, queue, follower, caller| {
            let slot = Slot::default();
            match queue.submit(note(&caller.to_string()), slot.clone()) {
                Ok(()) => log.check(follower, &slot.wait()).0 + 1,
                Err(refused) => {
                    assert_eq!(refused, Refused::Busy);
                    0
                }
            }
        });
        let taken = callers.into_iter().map(|caller| caller.join().unwrap()).filter(|n| *n > 0);
        let taken = taken.count() as u64;
        story.queue.close();
        story.runner.join().unwrap().unwrap();
        assert!(taken > 0);
        assert_eq!(taken, story.log.len());
    });
}

#[test]
fn a_failed_commit_is_told_to_all_that_wait_and_all_that_come() {
    explore("queue, failure", || {
        let story = Story::begin(CALLERS, Some(1));
        let callers = story.callers(|log, queue, follower, caller| {
            let mut recorded = 0;
            for n in 0..EACH {
                let slot = Slot::default();
                match queue.submit(note(&format!("{caller}-{n}")), slot.clone()) {
                    Ok(()) => match slot.wait() {
                        Err(InDoubt(_)) => {}
                        answer => {
                            log.check(follower, &answer);
                            recorded += 1;
                        }
                    },
                    Err(refused) => assert_eq!(refused, Refused::InDoubt),
                }
            }
            recorded
        });
        let recorded = callers.into_iter().map(|caller| caller.join().unwrap()).sum::<u64>();
        story.queue.close();
        let ended = story.runner.join().unwrap();
        // All may have gone into one commit and a second; with fewer there was no failure.
        assert_eq!(ended.is_err(), story.log.appends() == 2);
        assert_eq!(recorded, story.log.len(), "what is durable was acknowledged, and nothing else");
        assert!(!story.queue.is_open());
    });
}

#[test]
fn a_caller_that_went_away_keeps_nobody_from_an_answer() {
    explore("queue, gone", || {
        let answered = Arc::new(AtomicUsize::new(0));
        let (log, mut writer) = WatchedLog::with_writer(None);
        let queue = Arc::new(Queue::new(CALLERS));
        let callers = (0..CALLERS).map(|caller| {
            let (queue, answered) = (queue.clone(), answered.clone());
            thread::spawn(move || {
                // Ends at once; what it leaves behind is answered all the same.
                let reply = move |answer: Answer| {
                    assert!(answer.is_ok());
                    answered.fetch_add(1, Ordering::SeqCst);
                };
                queue.submit(note(&caller.to_string()), reply).unwrap();
            })
        });
        let callers: Vec<_> = callers.collect();
        let gathered = queue.clone();
        let runner = thread::spawn(move || gathered.run(|taken| writer.commit(taken, NOW_US)));
        for caller in callers {
            caller.join().unwrap();
        }
        queue.close();
        runner.join().unwrap().unwrap();
        assert_eq!((answered.load(Ordering::SeqCst), log.len()), (CALLERS, CALLERS as u64));
    });
}
