//! Which changes of a flag count at a moment, and in which order they fold.

use schemas::id::Instant;

use super::FlagChangedRecorded;

/// The changes of `key` that had happened at a moment (Unix microseconds), in the order of the
/// fold. Rows fold by the service's own row number, since clocks of its servers may disagree.
/// Changes without a row stand among them by time, then by seq; a row counts there as no earlier
/// than the rows before it.
pub(super) fn ordered<'a>(
    key: &str,
    events: impl IntoIterator<Item = &'a FlagChangedRecorded>,
    at_us: Option<i64>,
) -> Vec<&'a FlagChangedRecorded> {
    let happened = |event: &&FlagChangedRecorded| {
        event.change.key.as_str() == key
            && at_us.is_none_or(|at| latest_us(event).is_some_and(|latest| latest <= at))
    };
    let (mut rows, mut rowless): (Vec<_>, Vec<_>) =
        events.into_iter().filter(happened).partition(|event| event.change.row.is_some());
    rows.sort_by_key(|event| (event.change.row, event.seq));
    rowless.sort_by_key(|event| (place_us(event), event.seq));
    let mut so_far = i64::MIN;
    let rows = rows.into_iter().map(|event| {
        so_far = so_far.max(place_us(event));
        (so_far, event)
    });
    let mut placed: Vec<_> =
        rows.chain(rowless.into_iter().map(|event| (place_us(event), event))).collect();
    // Stable: rows keep their order, and come before what happened in the same microsecond.
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, event)| event).collect()
}

/// From when on it certainly had happened; `None` when nobody knows.
fn latest_us(event: &FlagChangedRecorded) -> Option<i64> {
    let occurrence = event.change.occurrence.as_ref();
    event.time_us.or_else(|| occurrence?.latest.as_ref().map(Instant::micros))
}

fn place_us(event: &FlagChangedRecorded) -> i64 {
    latest_us(event).unwrap_or(event.recorded_at_us)
}
