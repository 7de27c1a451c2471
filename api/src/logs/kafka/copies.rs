//! A topic that a ledger is copied or moved to.

use std::{fs, path::Path, sync::Arc};

use anyhow::Context as _;
use ledger::{KafkaLog, Log};

use super::{
    super::{Asked, Topic},
    Address, begin, cluster, ledger_id, options, refused, unreached,
};
use crate::{
    exit::{Code, fail},
    home::{Home, HomeId, write_private},
};

/// Opens the topic for a copy of the log `source`, and makes it if it is not there. `properties` are settings in
/// the place of those of the directory.
///
/// # Errors
/// Exit 7 when the topic or its cluster could lose entries.
pub fn open(
    home: &Home,
    source: &dyn Log,
    address: &Address,
    properties: Option<&Path>,
) -> anyhow::Result<(Arc<dyn Log>, Topic)> {
    let asked = asking(home, properties);
    let mut options = options(&asked, Some(&home.kafka_properties()))?;
    let found = cluster(address, &options)?;
    options.copies = begin::copies(&asked, address, found.brokers)?;
    let ledger = ledger_id(source)?
        .ok_or_else(|| fail(Code::Tampered, "entry 0 does not name the ledger; run `verify`"))?;
    let topic = Topic { log: address.to_string(), cluster: found.id, ledger };
    if Topic::read(home)?
        .is_some_and(|here| here.home_id() == topic.home_id() && !home.log().is_dir())
    {
        let what = format!("topic {} is where the ledger's log is already", topic.name());
        return Err(fail(Code::Conflict, format!("{what}; name another one")));
    }
    let log = KafkaLog::open_for_copy(address, &options).map_err(|e| refused(e, home, address))?;
    KafkaLog::create_control(address, &options).map_err(|e| unreached(e, address))?;
    Ok((Arc::new(log), topic))
}

/// The home that the topic at an address is.
///
/// # Errors
/// When its cluster does not answer.
pub fn home_of(
    home: &Home,
    address: &Address,
    properties: Option<&Path>,
) -> anyhow::Result<HomeId> {
    let options = options(&asking(home, properties), Some(&home.kafka_properties()))?;
    Ok(HomeId::topic(&cluster(address, &options)?.id, address.topic()))
}

fn asking(home: &Home, properties: Option<&Path>) -> Asked {
    let asked = home.asked();
    let named = properties.map(Path::to_owned).or_else(|| asked.properties.clone());
    Asked { properties: named, ..asked.clone() }
}

/// Keeps the settings of the topic that a directory is to name from now on.
///
/// # Errors
/// When they cannot be read or written.
pub fn keep_properties(home: &Home, properties: Option<&Path>) -> anyhow::Result<()> {
    let Some(named) = properties.or(home.asked().properties.as_deref()) else { return Ok(()) };
    let text = fs::read(named).with_context(|| format!("cannot read {}", named.display()))?;
    let path = home.kafka_properties();
    write_private(&path, &text).with_context(|| format!("cannot write {}", path.display()))
}
