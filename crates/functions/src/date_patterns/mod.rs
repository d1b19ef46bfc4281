//! PostgreSQL's patterns of dates and times, such as `YYYY-MM-DD HH24:MI:SS`, in
//! `to_char`, `to_timestamp` and `to_date`, beside those of strftime.
//!
//! Source: <https://www.postgresql.org/docs/current/functions-formatting.html>.

mod functions;
mod parse;
mod read;
mod write;

pub(crate) use self::functions::register;

/// The months from January on.
const ROMAN_MONTHS: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// As it is.
    Text(String),
    Field {
        field: Field,
        /// FM: without leading zeros and without blanks behind. TM of a name: without
        /// these.
        is_bare: bool,
        /// TH or th: `1ST`, `2nd`.
        ordinal: Option<Letters>,
    },
}

/// In which letters a name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    Upper,
    Capital,
    Lower,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// So many last digits of the year.
    Year(u8),
    YearWithComma,
    /// So many last digits of the year to which the ISO week belongs.
    IsoYear(u8),
    Century,
    Quarter,
    Month,
    MonthName(Letters),
    MonthShort(Letters),
    /// I to XII.
    RomanMonth(Letters),
    /// Of the year; the first is that of the first seven days.
    Week,
    /// Of the month.
    WeekOfMonth,
    IsoWeek,
    DayOfYear,
    /// Of the year to which the ISO week belongs.
    IsoDayOfYear,
    Day,
    /// From 1, which is Sunday.
    DayOfWeek,
    /// From 1, which is Monday.
    IsoDayOfWeek,
    DayName(Letters),
    DayShort(Letters),
    JulianDay,
    Hour12,
    Hour24,
    Minute,
    Second,
    SecondOfDay,
    /// So many digits of the second's fraction.
    Fraction(u8),
    /// AM or PM, with dots or without.
    HalfDay(Letters, bool),
    /// BC or AD, with dots or without.
    Era(Letters, bool),
    ZoneName(Letters),
    ZoneHours,
    ZoneMinutes,
    Offset,
}

impl Field {
    /// Whether it is written in digits, and nothing before them.
    fn is_number(self) -> bool {
        !matches!(
            self,
            Self::MonthName(_)
                | Self::MonthShort(_)
                | Self::RomanMonth(_)
                | Self::DayName(_)
                | Self::DayShort(_)
                | Self::HalfDay(..)
                | Self::Era(..)
                | Self::ZoneName(_)
                | Self::ZoneHours
                | Self::ZoneMinutes
                | Self::Offset
        )
    }
}
