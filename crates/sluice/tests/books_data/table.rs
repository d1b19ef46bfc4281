//! What a model must hold, and how it is compared with what it holds.

use std::ops::RangeInclusive;

/// Business days that are looked at.
pub type Days = RangeInclusive<i64>;

/// The expected rows of a model.
pub struct Table {
    /// The columns as they are asked for; those that tell rows apart first.
    pub columns: &'static str,
    /// Cells, separated by commas.
    pub rows: Vec<String>,
}

/// One row of cells.
#[macro_export]
macro_rules! row {
    ($($cell:expr),* $(,)?) => {{
        let cells: Vec<String> = vec![$(($cell).to_string()),*];
        cells.join(",")
    }};
}

/// The number of a row, and nothing where there is no such row.
pub fn id_cell(id: u64) -> String {
    match id {
        0 => String::new(),
        _ => id.to_string(),
    }
}

/// Cents as a decimal.
pub fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// `2026-11-20` of a day number, by H. Hinnant, "chrono-compatible low-level date
/// algorithms".
pub fn date(day: i64) -> String {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A quotient; empty where there is none.
pub fn ratio(above: f64, below: i64) -> String {
    match below {
        0 => String::new(),
        _ => (above / below as f64).to_string(),
    }
}

/// Two cells are the same: as text, as numbers without idle zeros, or as near as a
/// quotient can be that was cut to the decimals that are shown.
fn same(expected: &str, found: &str) -> bool {
    if expected == found {
        return true;
    }
    let (Ok(left), Ok(right)) = (expected.parse::<f64>(), found.parse::<f64>()) else {
        return false;
    };
    let decimals = found.split('.').nth(1).map_or(0, str::len);
    let tolerance = match decimals {
        0..=3 => 0.0,
        4..=9 => 10_f64.powi(-(decimals as i32)),
        _ => 1e-9 * left.abs().max(1.0),
    };
    (left - right).abs() <= tolerance
}

fn same_row(expected: &str, found: &str) -> bool {
    let (left, right) = (expected.split(','), found.split(','));
    left.clone().count() == right.clone().count() && left.zip(right).all(|(a, b)| same(a, b))
}

/// What is wrong with the rows that were found, in a few lines; `None` if nothing
/// is.
pub fn difference(mut expected: Vec<String>, mut found: Vec<String>) -> Option<String> {
    expected.sort_unstable();
    found.sort_unstable();
    if expected == found {
        return None;
    }
    // Numbers that are written otherwise may come in another order.
    let lost = missing(&expected, &found);
    let strange = missing(&found, &expected);
    let pairs = lost.len() == strange.len();
    if pairs && lost.iter().zip(&strange).all(|(a, b)| same_row(a, b)) {
        return None;
    }
    let some = |rows: &[&String]| {
        let rows: Vec<&str> = rows.iter().take(4).map(|row| row.as_str()).collect();
        rows.join("\n    ")
    };
    let unlike: Vec<(&&String, &&String)> = lost.iter().zip(&strange).collect();
    let unlike = unlike.iter().find(|(a, b)| !same_row(a, b));
    Some(format!(
        "{} rows expected, {} found; {} of the books are missing, {} are strange\n  books:\n    {}\n  found:\n    {}\n  first pair that is unlike: {unlike:?}",
        expected.len(),
        found.len(),
        lost.len(),
        strange.len(),
        some(&lost),
        some(&strange),
    ))
}

/// Rows of a sorted list that another sorted list does not have.
fn missing<'a>(rows: &'a [String], others: &[String]) -> Vec<&'a String> {
    let mut others = others.iter().peekable();
    let mut missing = Vec::new();
    for row in rows {
        while others.next_if(|other| *other < row).is_some() {}
        if others.next_if(|other| *other == row).is_none() {
            missing.push(row);
        }
    }
    missing
}
