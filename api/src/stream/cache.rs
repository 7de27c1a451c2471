//! Rendered pages by place, bounded in bytes: the oldest goes first.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::page::Page;

/// Some pages. The lock is held for a look at a few hundred places at most.
pub(super) struct Cache {
    pages: Mutex<Pages>,
    size_max: usize,
}

#[derive(Default)]
struct Pages {
    pages: VecDeque<Arc<Page>>,
    size: usize,
}

impl Cache {
    pub(super) fn new(size_max: usize) -> Cache {
        Cache { pages: Mutex::default(), size_max }
    }

    /// Keeps a page, and lets go of the oldest ones for it. One larger than all the room is kept
    /// alone.
    pub(super) fn put(&self, page: Arc<Page>) {
        let mut kept = self.lock();
        kept.size += page.size();
        kept.pages.push_back(page);
        while kept.size > self.size_max && kept.pages.len() > 1 {
            let gone = kept.pages.pop_front();
            kept.size -= gone.map_or(0, |page| page.size());
        }
    }

    /// The newest page that holds this entry.
    pub(super) fn get(&self, seq: u64) -> Option<Arc<Page>> {
        self.lock().pages.iter().rev().find(|page| page.holds(seq)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        // A panic elsewhere leaves the pages whole: they are only pushed and popped.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
