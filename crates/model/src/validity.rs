//! How long a token is valid.

use time::{Date, Month, OffsetDateTime};

use crate::Timestamp;

/// How long a token is valid, in calendar years of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Validity {
    /// One year.
    OneYear,
    /// Two years.
    TwoYears,
    /// Five years.
    FiveYears,
}

impl Validity {
    /// Every validity.
    pub const ALL: [Self; 3] = [Self::OneYear, Self::TwoYears, Self::FiveYears];

    /// The validity of so many years: 1, 2 or 5, and nothing else.
    #[must_use]
    pub const fn from_years(years: i32) -> Option<Self> {
        match years {
            1 => Some(Self::OneYear),
            2 => Some(Self::TwoYears),
            5 => Some(Self::FiveYears),
            _ => None,
        }
    }

    /// 1, 2 or 5.
    #[must_use]
    pub const fn years(self) -> i32 {
        match self {
            Self::OneYear => 1,
            Self::TwoYears => 2,
            Self::FiveYears => 5,
        }
    }

    /// When a token created at this moment expires: the same date and time of day, years later.
    /// A 29 February becomes a 28 February where the later year has none.
    #[must_use]
    pub fn expiry(self, created: Timestamp) -> Timestamp {
        let created = created.to_date_time();
        let later = created.date().year() + self.years();
        let date = created
            .date()
            .replace_year(later)
            .or_else(|_| Date::from_calendar_date(later, Month::February, 28))
            // Only beyond the year 9999, where a token simply does not expire any more.
            .unwrap_or(Date::MAX);
        Timestamp::from_date_time(OffsetDateTime::new_utc(date, created.time()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn knows_one_two_and_five_years_only() {
        let known: Vec<i32> = (-10..=10).filter(|years| Validity::from_years(*years).is_some()).collect();
        assert_eq!(known, [1, 2, 5]);
        assert_eq!(Validity::from_years(i32::MAX), None);
    }

    #[test]
    fn counts_calendar_years() {
        let expiry = |created, years| {
            let validity = Validity::from_years(years).expect("known");
            validity.expiry(Timestamp::from_date_time(created)).to_date_time()
        };
        assert_eq!(expiry(datetime!(2026-11-24 12:30:00 UTC), 1), datetime!(2027-11-24 12:30:00 UTC));
        assert_eq!(expiry(datetime!(2028-02-29 23:59:59 UTC), 1), datetime!(2029-02-28 23:59:59 UTC));
        assert_eq!(expiry(datetime!(2028-02-29 00:00:00 UTC), 5), datetime!(2033-02-28 00:00:00 UTC));
        assert_eq!(expiry(datetime!(2027-02-28 00:00:00 UTC), 1), datetime!(2028-02-28 00:00:00 UTC));
        // A local time zone plays no part: this is 31 December in UTC.
        assert_eq!(expiry(datetime!(2027-01-01 00:30:00 +1), 2), datetime!(2028-12-31 23:30:00 UTC));
        assert_eq!(expiry(datetime!(9998-06-01 00:00:00 UTC), 5).year(), 9999);
    }
}
