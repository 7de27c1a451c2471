//! The logs that keep the contract of `log_contract`, each empty: here a topic.

use std::sync::Arc;

use ledger::{Log, LogError, Seq};

pub(crate) struct Logs {
    pub(crate) name: &'static str,
    pub(crate) log: Arc<dyn Log>,
}

impl Logs {
    /// A topic keeps each payload until the log is copied, and says so.
    pub(crate) fn erase(&self, target: u64) -> bool {
        let refused = self.log.erase(Seq(target)).unwrap_err();
        assert!(
            matches!(refused, LogError::ErasurePending(Seq(seq)) if seq == target),
            "{refused}"
        );
        false
    }
}

pub(crate) fn logs() -> Vec<Logs> {
    vec![Logs { name: "kafka", log: Arc::new(crate::brokers::log()) }]
}
