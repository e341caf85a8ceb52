//! A moment in time, to the microsecond: the precision that every store keeps.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Microseconds since 1970-01-01T00:00:00Z, between the years 0 and 9999.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

const MICROS: i64 = 1_000_000;
/// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z.
const RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200 * MICROS..=253_402_300_799 * MICROS + 999_999;

impl Timestamp {
    /// The last moment of the year 9999.
    pub const MAX: Self = Self(*RANGE.end());

    /// The moment so many microseconds after 1970 began, if it lies in the years 0 to 9999.
    #[must_use]
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        RANGE.contains(&micros).then_some(Self(micros))
    }

    /// Microseconds since 1970 began.
    #[must_use]
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970 began, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// Nanoseconds after [`Self::unix_seconds`].
    ///
    /// # Panics
    /// Never: less than a second fits.
    #[must_use]
    pub fn subsec_nanos(self) -> i32 {
        i32::try_from(self.0.rem_euclid(MICROS) * 1_000).expect("less than a second has less than 2^31 ns")
    }

    /// The same moment, rounded down to the microsecond.
    ///
    /// # Panics
    /// Never: `OffsetDateTime` holds the years -9999 to 9999, and the years before 0 become the year 0.
    #[must_use]
    pub fn from_date_time(moment: OffsetDateTime) -> Self {
        let micros = moment.unix_timestamp_nanos().div_euclid(1_000);
        let micros = i64::try_from(micros).expect("the years to 9999 fit into 64 bits of microseconds");
        Self(micros.clamp(*RANGE.start(), *RANGE.end()))
    }

    /// The same moment for calendars and formats.
    ///
    /// # Panics
    /// Never: every `Timestamp` lies in the range of `OffsetDateTime`.
    #[must_use]
    pub fn to_date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .expect("a timestamp lies in the years 0 to 9999")
    }

    /// The moment this much later; saturates at the end of the year 9999.
    #[must_use]
    pub fn saturating_add(self, duration: std::time::Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(*RANGE.end()))
    }

    /// The moment this much earlier; saturates at the beginning of the year 0.
    #[must_use]
    pub fn saturating_sub(self, duration: std::time::Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros).max(*RANGE.start()))
    }
}

/// RFC 3339, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_date_time().format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shows_rfc_3339() {
        let moment = Timestamp::from_unix_micros(1_700_000_000_123_456).expect("in range");
        assert_eq!(moment.to_string(), "2023-11-14T22:13:20.123456Z");
        assert_eq!((moment.unix_seconds(), moment.subsec_nanos()), (1_700_000_000, 123_456_000));
    }

    proptest! {
        #[test]
        fn round_trips_through_the_calendar(micros in RANGE) {
            let moment = Timestamp::from_unix_micros(micros).expect("in range");
            prop_assert_eq!(Timestamp::from_date_time(moment.to_date_time()), moment);
        }

        #[test]
        fn seconds_and_nanos_make_the_whole(micros in RANGE) {
            let moment = Timestamp::from_unix_micros(micros).expect("in range");
            prop_assert_eq!(moment.unix_seconds() * MICROS + i64::from(moment.subsec_nanos()) / 1_000, micros);
        }
    }
}
