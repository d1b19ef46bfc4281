//! Words of a text. Chinese is written without spaces: its words are the most
//! probable way through a dictionary (jieba's, with its hidden Markov model for
//! words that are in none). Everything else splits at what is neither letter nor
//! digit.

use std::sync::OnceLock;

use jieba_rs::Jieba;

/// Words with their frequencies and parts of speech, as jieba-rs has them; see
/// `build.rs`.
static DICTIONARY: &[u8] = include_bytes!(env!("JIEBA_DICTIONARY"));

/// Splits texts into words, always alike for the same user dictionary.
#[derive(Debug, Default)]
pub struct WordSplitter {
    user_dictionary: String,
    /// Chinese words of the user, with how often they occur where that is said.
    chinese: Vec<(String, Option<usize>)>,
    /// Other words of the user, the longest first: they are taken wherever they
    /// stand between the bounds of words.
    other: Vec<Vec<char>>,
    /// Made for the first Chinese text: it takes some tenths of a second and
    /// some ten megabytes.
    jieba: OnceLock<Jieba>,
}

impl WordSplitter {
    /// A splitter that also knows the words of `user_dictionary`: one a line,
    /// optionally with a frequency behind it as jieba has it (the greater, the
    /// rather the word is taken); `#` begins a comment. A word may hold spaces
    /// and signs, such as `c++` or `T恤`, if it is not all Chinese.
    pub fn new(user_dictionary: &str) -> Self {
        let mut splitter = Self {
            user_dictionary: user_dictionary.to_owned(),
            ..Self::default()
        };
        for line in user_dictionary.lines() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            let (word, frequency) = match entry.rsplit_once(char::is_whitespace) {
                Some((word, number)) => match number.parse() {
                    Ok(frequency) => (word.trim(), Some(frequency)),
                    Err(_) => (entry, None),
                },
                None => (entry, None),
            };
            let word: Vec<char> = folded(word);
            if word.is_empty() {
                continue;
            }
            if word.iter().copied().all(is_chinese) {
                let word = word.into_iter().collect();
                splitter.chinese.push((word, frequency));
            } else {
                splitter.other.push(word);
            }
        }
        let longest_first = |word: &Vec<char>| (std::cmp::Reverse(word.len()), word.clone());
        splitter.other.sort_by_key(longest_first);
        splitter
    }

    /// The text that the user's words came from.
    pub fn user_dictionary(&self) -> &str {
        &self.user_dictionary
    }

    /// The words of `text` in their order, in lower case, full-width letters as
    /// ordinary ones. Signs and spaces are no words.
    pub fn split(&self, text: &str) -> Vec<String> {
        let text = folded(text);
        let mut words = Vec::new();
        let mut start = 0;
        while let Some(&first) = text.get(start) {
            if let Some(length) = self.user_word_at(&text, start) {
                words.push(text[start..start + length].iter().collect());
                start += length;
                continue;
            }
            let kind = Kind::of(first);
            let is_end = |&place: &usize| {
                Kind::of(text[place]) != kind || self.user_word_at(&text, place).is_some()
            };
            let end = (start + 1..text.len()).find(is_end).unwrap_or(text.len());
            let part: String = text[start..end].iter().collect();
            match kind {
                Kind::Chinese => {
                    let tokens = self.jieba().cut(&part, true);
                    words.extend(tokens.into_iter().map(|token| token.word.to_owned()));
                }
                Kind::Letters => words.push(part),
                Kind::Between => {}
            }
            start = end;
        }
        words
    }

    /// Length of the longest user word at `start`, if one stands there by
    /// itself.
    fn user_word_at(&self, text: &[char], start: usize) -> Option<usize> {
        let is_inside = |left: Option<&char>, right: Option<&char>| {
            let kinds = left.zip(right).map(|(&left, &right)| [left, right]);
            kinds.is_some_and(|both| both.iter().all(|&each| Kind::of(each) == Kind::Letters))
        };
        let before = start.checked_sub(1).and_then(|place| text.get(place));
        if is_inside(before, text.get(start)) {
            return None;
        }
        let found = self.other.iter().find(|word| {
            let end = start + word.len();
            text[start..].starts_with(word) && !is_inside(text.get(end - 1), text.get(end))
        });
        found.map(Vec::len)
    }

    fn jieba(&self) -> &Jieba {
        self.jieba.get_or_init(|| {
            // A part of the program, which the tests read.
            let mut jieba = Jieba::with_dict(&mut &*DICTIONARY).unwrap_or_else(|_| Jieba::empty());
            for (word, frequency) in &self.chinese {
                jieba.add_word(word, *frequency, None);
            }
            jieba
        })
    }
}

/// What a character is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Chinese,
    Letters,
    Between,
}

impl Kind {
    fn of(character: char) -> Self {
        if is_chinese(character) {
            Self::Chinese
        } else if character.is_alphanumeric() {
            Self::Letters
        } else {
            Self::Between
        }
    }
}

/// The blocks of Unicode with Chinese characters.
fn is_chinese(character: char) -> bool {
    matches!(
        character,
        '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFD}'
    )
}

/// Lower case, with the full-width forms of ASCII as ASCII.
fn folded(text: &str) -> Vec<char> {
    let narrow = |character: char| match character {
        '\u{FF01}'..='\u{FF5E}' => {
            char::from_u32(u32::from(character) - 0xFF01 + 0x21).unwrap_or(character)
        }
        '\u{3000}' => ' ',
        other => other,
    };
    text.chars()
        .map(narrow)
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_and_latin_words_are_told_apart() {
        let splitter = WordSplitter::default();
        let split = |text: &str| splitter.split(text).join("|");
        assert_eq!(split("Green  Tea, 2kg"), "green|tea|2kg");
        assert_eq!(split("我想买小米手机"), "我|想|买|小米|手机");
        assert_eq!(split("苹果iPhone15手机壳"), "苹果|iphone15|手机|壳");
        assert_eq!(split("ＡＢＣ　毛巾！"), "abc|毛巾");
        assert_eq!(split("Café Zürich"), "café|zürich");
        assert_eq!(split(" ,.!。，"), "");
        assert_eq!(split(""), "");
    }

    #[test]
    fn words_of_the_user_stay_whole() {
        let splitter =
            WordSplitter::new("手机壳 # a word of ours\n\nC++\nT恤\ngreen tea\n尚硅谷 1000\n");
        let split = |text: &str| splitter.split(text).join("|");
        assert_eq!(split("苹果手机壳"), "苹果|手机壳");
        assert_eq!(split("尚硅谷的课"), "尚硅谷|的|课");
        assert_eq!(split("Learn C++ now"), "learn|c++|now");
        assert_eq!(split("纯棉T恤男"), "纯棉|t恤|男");
        assert_eq!(
            split("Green Tea and green teas"),
            "green tea|and|green|teas"
        );
        assert_eq!(WordSplitter::default().split("c++"), ["c"]);
    }
}
