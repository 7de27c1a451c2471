//! Before anything is timed: each store does what it will be timed for.

use std::path::Path;

use crate::{
    chain::Chain,
    events::{event, events, payload},
    store::{Fault, Kind, Receipt},
};

/// Records, repeats an id, reads, verifies, stops, and goes on where it was.
pub(crate) fn check(kind: Kind, dir: &Path) -> Result<(), Fault> {
    let mut store = kind.open(dir)?;
    let first = store.append(events(0, 3)?)?;
    require(first == [0, 1, 2].map(|seq| Receipt { seq, duplicate: false }), "places in order")?;
    let again = store.append(vec![event(1)?, event(3)?, event(3)?])?;
    let known = [(1, true), (3, false), (3, true)];
    let known = known.map(|(seq, duplicate)| Receipt { seq, duplicate });
    require(again == known, "an id that comes again is found")?;
    require(store.reader()?.read(2)? == payload(2), "what is read is what was written")?;
    store.close()?;

    let mut store = kind.open(dir)?;
    require(store.len() == 4, "a clean stop keeps all")?;
    let again = store.append(vec![event(3)?, event(4)?])?;
    let known = [(3, true), (4, false)].map(|(seq, duplicate)| Receipt { seq, duplicate });
    require(again == known, "the chain goes on, and ids are known")?;
    let (mut chain, mut seen) = (Chain::EMPTY, 0);
    store.reader()?.scan(0..5, &mut |header, found| {
        require(found == payload(seen), "every payload is the one that was written")?;
        seen += 1;
        chain.check(header, found)
    })?;
    require(seen == 5, "every event is there")?;
    store.close()
}

fn require(holds: bool, what: &str) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(format!("this does not hold: {what}").into()) }
}
