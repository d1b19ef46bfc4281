//! Coarser values.

use crate::action::Generalisation;

/// The coarser value of `text`; `None` if it has not the form.
pub(crate) fn generalise(to: Generalisation, text: &str) -> Option<String> {
    match to {
        Generalisation::Year => year(text),
        Generalisation::City => city(text),
    }
}

/// January 1 of the year of a date that is written with its year first, or as
/// the number of days since 1970 (Debezium's dates).
fn year(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some((year, rest)) = text.split_at_checked(4)
        && year.bytes().all(|byte| byte.is_ascii_digit())
        && (rest.starts_with(['-', '/', '.', '年']) || is_month_and_day(rest))
    {
        return Some(format!("{year}-01-01"));
    }
    let days: i64 = text.parse().ok()?;
    // More would be seconds: a number whose unit nobody knows.
    if days.abs() > 100_000 {
        return None;
    }
    Some(first_day_of_year(days).to_string())
}

/// `MMDD`.
fn is_month_and_day(text: &str) -> bool {
    let month = text.get(..2).and_then(|month| month.parse::<u8>().ok());
    text.len() == 4
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && month.is_some_and(|month| (1..=12).contains(&month))
}

/// The first day of the year that day number `days` is in (both since 1970).
fn first_day_of_year(days: i64) -> i64 {
    let first = |year: i64| {
        let before = year - 1;
        before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400)
            - 719_162
    };
    let guess = 1970 + days.div_euclid(366);
    let year = (guess..=guess + 2).rev().find(|&year| first(year) <= days);
    first(year.unwrap_or(guess))
}

/// The part of an address that names its city: up to the first 市, 州, 盟 or 地区,
/// or what follows the first comma, without words that hold digits.
fn city(text: &str) -> Option<String> {
    let text = text.trim();
    for end in ["市", "自治州", "盟", "地区"] {
        if let Some((before, _)) = text.split_once(end) {
            let city = format!("{before}{end}");
            // Streets and persons stand behind the city, never before it.
            let is_place = city.chars().count() <= 16
                && !city.contains(|it: char| it.is_numeric() || it.is_whitespace());
            return is_place.then_some(city);
        }
    }
    let mut parts = text.split(',').map(str::trim);
    parts.next()?;
    let mut kept: Vec<String> = Vec::new();
    for part in parts {
        let words = part.split_whitespace();
        let words: Vec<&str> = words
            .filter(|word| !word.contains(char::is_numeric))
            .collect();
        if !words.is_empty() {
            kept.push(words.join(" "));
        }
    }
    // The last two: a name or a building may stand before them.
    let from = kept.len().saturating_sub(2);
    (!kept.is_empty()).then(|| kept[from..].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_years() {
        for text in [
            "1990-05-17",
            "1990/5/7",
            "19900517",
            "1990-05-17 10:00:00",
            "1990年5月",
        ] {
            assert_eq!(year(text).as_deref(), Some("1990-01-01"), "{text}");
        }
        for wrong in [
            "May 17",
            "",
            "17.05.1990",
            "643680000",
            "1990",
            "13800001111",
        ] {
            let is_days = wrong == "1990";
            assert_eq!(year(wrong).is_some(), is_days, "{wrong}");
        }
        // 1990-05-17, 1970-01-01, 1969-12-31, 2000-12-31, 2024-01-01.
        let days = [
            (7_441, 7_305),
            (0, 0),
            (-1, -365),
            (11_322, 10_957),
            (19_723, 19_723),
        ];
        for (day, first) in days {
            assert_eq!(first_day_of_year(day), first, "{day}");
        }
    }

    #[test]
    fn addresses_become_cities() {
        let cases = [
            ("广东省深圳市南山区科技路1号", Some("广东省深圳市")),
            ("北京市海淀区中关村大街27号王小明收", Some("北京市")),
            ("延边朝鲜族自治州延吉", Some("延边朝鲜族自治州")),
            ("221B Baker Street, London NW1 6XE", Some("London")),
            (
                "Flat 3, Mr Holmes, 221B Baker Street, London, UK",
                Some("London, UK"),
            ),
            ("somewhere", None),
            ("", None),
            ("1号楼王小明 北京市", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(city(text).as_deref(), wanted, "{text}");
        }
    }
}
