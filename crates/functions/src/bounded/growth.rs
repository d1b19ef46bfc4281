//! What decides how long a function's result is, or how much work it is, and how long
//! it is for a row.

use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

use super::SHARE_BYTES;
use super::arguments::{FIXED_BYTES_MAX, integer, list_bytes, text, value_bytes};
use super::pairs::{CHARACTER_PAIRS_MAX, VALUE_PAIRS_MAX, pairs_of_characters, pairs_of_values};
use super::range::range_length;

/// What an element of a list takes beside its value, about.
const ELEMENT_BYTES: u64 = 8;

/// What decides how long a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Growth {
    /// A text, so many times.
    Repeat,
    /// A text filled up to so many characters.
    Pad,
    /// A text of which parts are replaced by longer ones.
    Replace,
    /// A text of which the parts that a pattern describes are replaced.
    ReplacePattern,
    /// The values of a list with a text between them.
    Join,
    /// A value, so many times in a list.
    RepeatInList,
    /// A list filled up to so many values.
    Resize,
    /// A list of all values from one to another.
    Range,
    /// A short result for which all characters of a text are compared with all of
    /// another.
    PairsOfCharacters,
    /// The same with the values of two lists.
    PairsOfValues,
}

impl Growth {
    pub(super) fn makes_list(self) -> bool {
        matches!(self, Self::RepeatInList | Self::Resize | Self::Range)
    }

    /// How many pairs may be compared for one row, where a function compares pairs.
    pub(super) fn pairs_max(self) -> Option<u64> {
        match self {
            Self::PairsOfCharacters => Some(CHARACTER_PAIRS_MAX),
            Self::PairsOfValues => Some(VALUE_PAIRS_MAX),
            _ => None,
        }
    }

    /// How long the text is that is changed, where a function changes one.
    pub(super) fn given_bytes(self, arguments: &[ColumnarValue], row: usize) -> u64 {
        match self {
            Self::Replace | Self::ReplacePattern => text(arguments.first(), row).len() as u64,
            Self::Join => arguments.first().map_or(0, |list| list_bytes(list, row).0),
            _ => 0,
        }
    }

    /// What one row's result takes at most, or how many pairs are compared for it; 0
    /// where an argument is missing.
    pub(super) fn bytes(self, arguments: &[ColumnarValue], row: usize) -> Result<u64> {
        let number = |argument: Option<&ColumnarValue>| {
            let number = argument.and_then(|argument| integer(argument, row));
            number.map_or(0, |number| u64::try_from(number).unwrap_or(0))
        };
        let (first, second, third) = (arguments.first(), arguments.get(1), arguments.get(2));
        let (first_text, third_text) = (text(first, row), text(third, row));
        Ok(match self {
            Self::Repeat => (first_text.len() as u64).saturating_mul(number(second)),
            Self::Pad => {
                let length = number(second);
                // Memory is taken before anyone looks at the texts.
                let width = match first_text.is_ascii() && third_text.is_ascii() {
                    true => 1,
                    false => 4,
                };
                length.saturating_mul(width)
            }
            Self::Replace => replaced_bytes(first_text, text(second, row), third_text),
            Self::ReplacePattern => {
                let flags = text(arguments.get(3), row);
                pattern_replaced_bytes(first_text, third_text, flags.contains('g'))
            }
            Self::Join => {
                let (bytes, values) = first.map_or((0, 0), |list| list_bytes(list, row));
                // A text for each NULL is the longest third argument.
                let between = text(second, row).len() + third_text.len();
                bytes.saturating_add(values.saturating_mul(between as u64))
            }
            Self::RepeatInList => {
                let one = first.map_or(0, |value| value_bytes(value, row));
                number(second).saturating_mul(one.saturating_add(ELEMENT_BYTES))
            }
            Self::Resize => {
                let one = third.map_or(FIXED_BYTES_MAX, |value| value_bytes(value, row));
                number(second).saturating_mul(one.saturating_add(ELEMENT_BYTES))
            }
            Self::Range => range_length(arguments, row)?.saturating_mul(ELEMENT_BYTES),
            Self::PairsOfCharacters => pairs_of_characters(first_text, text(second, row)),
            Self::PairsOfValues => pairs_of_values(first, second, row),
        })
    }
}

/// The functions by name.
pub(super) const FUNCTIONS: [(&str, Growth); 13] = [
    ("repeat", Growth::Repeat),
    ("lpad", Growth::Pad),
    ("rpad", Growth::Pad),
    ("replace", Growth::Replace),
    ("regexp_replace", Growth::ReplacePattern),
    ("array_to_string", Growth::Join),
    ("array_repeat", Growth::RepeatInList),
    ("array_resize", Growth::Resize),
    ("range", Growth::Range),
    ("generate_series", Growth::Range),
    ("levenshtein", Growth::PairsOfCharacters),
    ("array_has_all", Growth::PairsOfValues),
    ("array_has_any", Growth::PairsOfValues),
];

/// At most: whatever the pattern, its places do not overlap, so that the parts of the
/// text that a replacement repeats (`\\1`) are no longer than the text, each.
fn pattern_replaced_bytes(text: &str, to: &str, everywhere: bool) -> u64 {
    let places = match everywhere {
        true => text.len() as u64 + 1,
        false => 1,
    };
    let repeated = to.matches(['\\', '$']).count() as u64;
    let kept = (text.len() as u64).saturating_mul(repeated + 1);
    kept.saturating_add(places.saturating_mul(to.len() as u64))
}

/// At most as many bytes as `from` has places in `text`; they are only looked for
/// where it matters.
fn replaced_bytes(text: &str, from: &str, to: &str) -> u64 {
    if from.is_empty() {
        // Nothing is replaced.
        return text.len() as u64;
    }
    let longer = to.len().saturating_sub(from.len()) as u64;
    let bytes = |places: usize| (places as u64).saturating_mul(longer) + text.len() as u64;
    match bytes(text.len() / from.len()) {
        few if few <= SHARE_BYTES => few,
        _ => bytes(text.matches(from).count()),
    }
}
