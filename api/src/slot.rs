//! Something that handlers share and that is not always there.

use std::sync::{Arc, PoisonError, RwLock};

/// A shared place for one value, which comes and goes.
#[derive(Debug)]
pub struct Slot<T>(Arc<RwLock<Option<Arc<T>>>>);

impl<T> Slot<T> {
    /// What is there.
    pub fn get(&self) -> Option<Arc<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts something there, or takes it away, and returns what was there.
    pub fn set(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        let mut there = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *there, value)
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Slot(self.0.clone())
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot(Arc::default())
    }
}
