//! Local times of a plan as instants: nine o'clock stays nine o'clock when the clocks change.

use jiff::{
    Span, Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};
use schemas::{id::LocalDate, values::Window};

use crate::recorded::Moment;

/// The local time at which something falls due.
const DUE_AT: Time = Time::constant(9, 0, 0, 0);

/// The zone of that name, if the time zone database that is built in knows it.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

/// The local date of an instant.
pub(super) fn date_of(at: Moment, zone: &TimeZone) -> Option<Date> {
    Some(Timestamp::from_microsecond(at.0).ok()?.to_zoned(zone.clone()).date())
}

/// The date a distance (`P1M`) later. A month without that day ends on its last: a month after
/// 31 January is 28 February, 29 in a leap year.
pub(super) fn date_after(date: Date, name: &str) -> Option<Date> {
    date.checked_add(name.parse::<Span>().ok()?).ok()
}

/// Nine o'clock of a local date.
pub(crate) fn due_on(date: Date, zone: &TimeZone) -> Option<Moment> {
    at(date, DUE_AT, zone)
}

/// A local time as an instant. One that the clocks skip is as much later as they skip; of one that
/// they show twice the first is meant (RFC 5545 reads them so too).
fn at(date: Date, time: Time, zone: &TimeZone) -> Option<Moment> {
    let at = date.to_datetime(time).to_zoned(zone.clone()).ok()?;
    Some(Moment(at.timestamp().as_microsecond()))
}

/// The same local time some days later.
pub(super) fn days_after(at: Moment, days: i64, zone: &TimeZone) -> Option<Moment> {
    let local = Timestamp::from_microsecond(at.0).ok()?.to_zoned(zone.clone());
    let end = local.checked_add(Span::new().try_days(days).ok()?).ok()?;
    Some(Moment(end.timestamp().as_microsecond()))
}

/// The whole days from one date to the day before another: those that are over when something
/// falls due on the other.
pub(super) fn window(first: Date, due_on: Date) -> Option<Window> {
    let day = |date: Date| LocalDate::try_from(date.to_string()).ok();
    Some(Window { raw: None, start: day(first), end: day(due_on.yesterday().ok()?) })
}

/// An instant as the zone's clocks show it, with the zone's offset: `2025-01-22T09:00:00-05:00`.
pub fn shown(at: Moment, zone_name: &str) -> Option<String> {
    let at = Timestamp::from_microsecond(at.0).ok()?.to_zoned(zone(zone_name)?);
    Some(at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::given::short;

    #[test]
    fn local_times_that_do_not_exist_or_exist_twice() {
        let rows = [
            // Half past two is skipped on 9 March: it is half past three by the new clock.
            ("2025-03-09", "02:30", "America/New_York", "2025-03-09T03:30:00-04:00"),
            // Half past one comes twice on 2 November: the first is meant.
            ("2025-11-02", "01:30", "America/New_York", "2025-11-02T01:30:00-04:00"),
            ("2025-11-02", "09:00", "America/New_York", "2025-11-02T09:00:00-05:00"),
            // The southern spring is in October.
            ("2025-10-05", "02:30", "Australia/Sydney", "2025-10-05T03:30:00+11:00"),
            // Half an hour, and an offset of three quarters.
            ("2025-10-05", "02:15", "Australia/Lord_Howe", "2025-10-05T02:45:00+11:00"),
            ("2025-06-01", "09:00", "Asia/Kathmandu", "2025-06-01T09:00:00+05:45"),
            // Samoa left out a whole day.
            ("2011-12-30", "09:00", "Pacific/Apia", "2011-12-31T09:00:00+14:00"),
        ];
        for (date, time, name, expected) in rows {
            let zone = zone(name).unwrap();
            let instant = at(date.parse().unwrap(), time.parse().unwrap(), &zone).unwrap();
            assert_eq!(shown(instant, name).as_deref(), Some(expected), "{date} {time} {name}");
        }
    }

    #[test]
    fn a_window_holds_the_whole_days_that_are_over() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let window = window(day("2025-01-15"), day("2025-01-22")).unwrap();
        let (start, end) = (window.start.unwrap(), window.end.unwrap());
        assert_eq!((start.as_str(), end.as_str()), ("2025-01-15", "2025-01-21"));
    }

    #[test]
    fn grace_ends_at_the_local_time_at_which_it_began() {
        let zone = zone("America/New_York").unwrap();
        let due = due_on("2025-03-08".parse().unwrap(), &zone).unwrap();
        assert_eq!(short(due), "03-08 14:00");
        assert_eq!(days_after(due, 7, &zone).map(short).as_deref(), Some("03-15 13:00"));
    }
}
