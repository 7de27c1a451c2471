//! The durable head, as anyone may see it and wait for it.

use std::{sync::PoisonError, time::Duration};

use crate::{
    chain::Head,
    entry::Seq,
    sync::{Arc, Condvar, Mutex, lock},
};

/// Sees the writer's durable head. It is a level and not an event, so none can be missed.
#[derive(Clone, Debug)]
pub struct Follower {
    shared: Arc<(Mutex<Head>, Condvar)>,
}

impl Follower {
    pub(crate) fn new(head: Head) -> Follower {
        Follower { shared: Arc::new((Mutex::new(head), Condvar::new())) }
    }

    /// The head now.
    pub fn head(&self) -> Head {
        *lock(&self.shared.0)
    }

    /// Waits until the entry at `next` is recorded, or `timeout` has passed; returns the head then.
    pub fn wait_for(&self, next: Seq, timeout: Duration) -> Head {
        let (head, moved) = &*self.shared;
        let head = lock(head);
        let waited = moved.wait_timeout_while(head, timeout, |head| head.next <= next);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn publish(&self, head: Head) {
        *lock(&self.shared.0) = head;
        self.shared.1.notify_all();
    }
}
