//! When: occurrences with the precision that is really known, durations, windows.

use super::{record, words};
use crate::id::{Instant, IsoDuration, LocalDate, TimeZoneName};

words!(
    /// How exactly a moment is known.
    Precision {
        Instant = "instant",
        Minute = "minute",
        Day = "day",
        Week = "week",
        Month = "month",
        Unknown = "unknown",
    }
);

record!(
    /// When something happened, as well as is known. The envelope's `time` is `earliest`, and
    /// absent when that is unknown: never the time of import.
    Occurrence {
        /// The words of the source.
        opt raw: String,
        /// The first moment at which it can have happened.
        opt earliest: Instant,
        /// The last moment at which it can have happened.
        opt latest: Instant,
        /// How exactly the moment is known.
        req precision: Precision,
        /// The zone that local words were read in.
        opt time_zone: TimeZoneName,
        /// What a missing year was taken from.
        opt year_inferred_from: String,
    }
);

record!(
    /// A length of time.
    Duration {
        /// The words of the source.
        opt raw: String,
        /// The least length.
        opt min: IsoDuration,
        /// The greatest length.
        opt max: IsoDuration,
    }
);

record!(
    /// A span of local dates, both ends included.
    Window {
        /// The words of the source.
        opt raw: String,
        /// The first day.
        opt start: LocalDate,
        /// The last day.
        opt end: LocalDate,
    }
);
