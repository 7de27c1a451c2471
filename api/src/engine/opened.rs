//! The entry that says who writes from now on.

use serde_json::json;

use super::{Engine, VERSION};
use crate::{
    home::{Home, random_hex},
    json::set,
};

impl Engine {
    /// [`note_opened`](Engine::note_opened) where opening the log may have shut another writer out.
    pub fn note_taken(&mut self, home: &Home) -> anyhow::Result<()> {
        if self.takes_over {
            self.note_opened(home)?;
        }
        Ok(())
    }

    /// Records that this process writes from now on, once, and returns the random id that it is
    /// recorded under. A log on Kafka has it since it was opened: whoever reads it sees there who shut
    /// whom out.
    pub fn note_opened(&mut self, home: &Home) -> anyhow::Result<String> {
        if let Some(id) = &self.host_id {
            return Ok(id.clone());
        }
        let host_id = random_hex::<16>();
        let mut data = json!({ "version": VERSION, "host_id": host_id, "basis": "observed" });
        if self.torn_bytes > 0 {
            set(&mut data, "torn_bytes", json!(self.torn_bytes));
        }
        if let Some(left) = home.serving() {
            set(&mut data, "took_over_from", json!(format!("pid {}", left.pid)));
        }
        if !self.allowed.is_empty() {
            set(&mut data, "allowed", json!(self.allowed));
        }
        let id = format!("writer-opened-{host_id}");
        self.append_own("rollout.ledger.writer_opened.v1", &id, data)?;
        self.host_id = Some(host_id.clone());
        Ok(host_id)
    }
}
