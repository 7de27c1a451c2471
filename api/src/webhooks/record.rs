//! What was sent to a receiver lately, and what came of it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::moment;

/// Attempts that are kept for each receiver; the oldest make room. About 40 KiB.
pub const DELIVERIES_LEN_MAX: usize = 200;

/// One attempt. What the receiver said beyond its status is not kept: it may be anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    pub webhook_id: String,
    /// `None` for a test.
    pub seq: Option<u64>,
    /// From 1.
    pub attempt: u32,
    /// When it was sent, Unix microseconds.
    pub sent_us: u64,
    pub took_ms: u64,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// Why no answer came.
    pub error: Option<String>,
}

/// The newest attempts, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Deliveries(VecDeque<Delivery>);

impl Delivery {
    /// As a row of an answer.
    pub fn shown(&self) -> Value {
        json!({
            "webhook_id": self.webhook_id,
            "seq": self.seq,
            "attempt": self.attempt,
            "sent_at": moment::shown_us(self.sent_us),
            "took_ms": self.took_ms,
            "status": self.status,
            "error": self.error,
            "delivered": self.delivered(),
        })
    }

    pub fn delivered(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl Deliveries {
    pub fn add(&mut self, delivery: Delivery) {
        while self.0.len() >= DELIVERIES_LEN_MAX {
            self.0.pop_front();
        }
        self.0.push_back(delivery);
    }

    /// The newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Delivery> {
        self.0.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let mut deliveries = Deliveries::default();
        for seq in 0..2 * DELIVERIES_LEN_MAX as u64 {
            let webhook_id = format!("evt_{seq}");
            let (sent_us, took_ms, status) = (seq, 1, Some(204));
            let seq = Some(seq);
            deliveries.add(Delivery {
                webhook_id,
                seq,
                attempt: 1,
                sent_us,
                took_ms,
                status,
                error: None,
            });
        }
        let seqs: Vec<_> = deliveries.newest().filter_map(|d| d.seq).collect();
        assert_eq!((seqs.len(), seqs[0]), (DELIVERIES_LEN_MAX, 399));
    }
}
