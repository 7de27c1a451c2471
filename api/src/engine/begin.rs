//! Makes a ledger: its directory, its key and entry 0.

use std::path::Path;

use anyhow::Context as _;
use ledger::{Receipt, Writer};
use serde_json::json;

use super::{Engine, VERSION};
use crate::{
    clock::Clock,
    exit::{Code, fail},
    home::{Home, HomeId, NewHome, random_hex},
    intake,
    logs::{self, Opened},
    pseudonym::PseudonymKey,
};

/// Makes a ledger in a directory.
///
/// # Errors
/// When something is there already.
pub fn init(dir: &Path, origin: Option<&str>) -> anyhow::Result<(Home, Receipt)> {
    let begun = Begun::of(origin)?;
    let new = Home::create(dir, &begun.key)?;
    let id = random_hex::<16>();
    new.home.claim(&id)?;
    let opened = logs::create(&new.home)?;
    begun.finish(new, &opened, &HomeId::directory(id))
}

/// Makes a ledger on Kafka: its topics, a directory, its key and entry 0.
///
/// # Errors
/// When the directory or the topic holds something already; as [`create`](logs::kafka::begin::create).
#[cfg(feature = "kafka")]
pub fn init_kafka(
    dir: &Path,
    origin: Option<&str>,
    address: &logs::kafka::Address,
    asked: logs::Asked,
) -> anyhow::Result<(Home, Receipt)> {
    let begun = Begun::of(origin)?;
    let new = Home::create(dir, &begun.key)?.asking(asked);
    let (opened, topic) = logs::kafka::begin::create(&new.home, address, &begun.ledger_id)?;
    begun.finish(new, &opened, &topic.home_id())
}

/// What a new ledger is called.
struct Begun {
    ledger_id: String,
    origin: String,
    key: PseudonymKey,
}

impl Begun {
    fn of(origin: Option<&str>) -> anyhow::Result<Begun> {
        let ledger_id = random_hex::<16>();
        let origin = match origin {
            Some(origin) => checked_origin(origin)?,
            None => format!("rollout-ledger.invalid/{ledger_id}"),
        };
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).context("the system gives no randomness")?;
        Ok(Begun { ledger_id, origin, key: PseudonymKey::generate(secret) })
    }

    /// Writes entry 0 and puts the directory in its place.
    fn finish(
        self,
        new: NewHome,
        opened: &Opened,
        home: &HomeId,
    ) -> anyhow::Result<(Home, Receipt)> {
        let writer = Writer::open(opened.log.clone(), opened.index())?;
        let mut engine =
            Engine::of(&new.home.clone().keeping_free(0), opened, writer, Clock::start(0)?);
        let receipt = engine.append_own(
            "rollout.ledger.opened.v1",
            "ledger-opened",
            json!({
                "ledger_id": self.ledger_id,
                "origin": self.origin,
                "home": home,
                "version": VERSION,
                "durability": logs::durability(&new.home)?,
                "pseudonym_key": self.key.fingerprint(),
                "basis": "observed",
            }),
        )?;
        engine.log.close()?;
        drop(engine);
        Ok((new.finish()?, receipt))
    }
}

/// The name in signed checkpoints; C2SP tlog-checkpoint forbids spaces and `+`.
fn checked_origin(origin: &str) -> anyhow::Result<String> {
    let good = (1..=255).contains(&origin.len())
        && !origin.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
    if good {
        intake::check_words("--origin", origin)?;
        return Ok(origin.to_owned());
    }
    Err(fail(Code::Usage, "--origin wants 1 to 255 characters without spaces and `+`"))
}
