//! The words of a statement.

/// A word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A word without quotes.
    Word(String),
    /// A name in quotes.
    Name(String),
    /// A text in single quotes.
    Text(String),
    /// Anything else, a character a token.
    Sign(char),
}

/// Splits a statement. What stands in `/*! … */` counts, other comments do not.
pub(crate) fn tokens(statement: &str) -> Vec<Token> {
    let chars: Vec<char> = statement.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        match c {
            _ if c.is_whitespace() => at += 1,
            '#' => at = end_of_line(&chars, at),
            '-' if next == Some('-') && chars.get(at + 2).is_none_or(|c| c.is_whitespace()) => {
                at = end_of_line(&chars, at);
            }
            '/' if next == Some('*') => {
                let is_code = |index: usize| chars.get(index) == Some(&'!');
                if is_code(at + 2) || (chars.get(at + 2) == Some(&'M') && is_code(at + 3)) {
                    at += if is_code(at + 2) { 3 } else { 4 };
                    while chars.get(at).is_some_and(char::is_ascii_digit) {
                        at += 1;
                    }
                } else {
                    at += 2;
                    while at < chars.len() && !(chars[at] == '*' && chars.get(at + 1) == Some(&'/'))
                    {
                        at += 1;
                    }
                    at += 2;
                }
            }
            '*' if next == Some('/') => at += 2,
            '`' | '"' | '\'' => {
                let (text, end) = quoted(&chars, at);
                found.push(match c {
                    '\'' => Token::Text(text),
                    _ => Token::Name(text),
                });
                at = end;
            }
            _ if is_word(c) => {
                let start = at;
                while chars.get(at).copied().is_some_and(is_word) {
                    at += 1;
                }
                found.push(Token::Word(chars[start..at].iter().collect()));
            }
            _ => {
                found.push(Token::Sign(c));
                at += 1;
            }
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn end_of_line(chars: &[char], from: usize) -> usize {
    let rest = chars[from..].iter();
    rest.take_while(|&&c| c != '\n').count() + from
}

/// The text in quotes that begin at `from`, and where it ends.
fn quoted(chars: &[char], from: usize) -> (String, usize) {
    let quote = chars[from];
    let mut text = String::new();
    let mut at = from + 1;
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        if c == quote && next == Some(quote) {
            text.push(quote);
            at += 2;
        } else if c == quote {
            return (text, at + 1);
        } else if c == '\\' && quote != '`' {
            text.extend(match next {
                Some('n') => Some('\n'),
                Some('t') => Some('\t'),
                Some('r') => Some('\r'),
                Some('0') => Some('\0'),
                other => other,
            });
            at += 2;
        } else {
            text.push(c);
            at += 1;
        }
    }
    (text, at)
}

/// Tokens that are read from the front.
#[derive(Debug, Clone)]
pub(crate) struct Tokens<'a> {
    rest: &'a [Token],
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(tokens: &'a [Token]) -> Self {
        Self { rest: tokens }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<&'a Token> {
        self.rest.first()
    }

    pub(crate) fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Takes the words if they come next.
    pub(crate) fn words(&mut self, words: &[&str]) -> bool {
        let comes = words.iter().enumerate().all(|(index, wanted)| {
            matches!(self.rest.get(index), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted))
        });
        if comes {
            self.rest = &self.rest[words.len()..];
        }
        comes
    }

    /// Takes the sign if it comes next.
    pub(crate) fn sign(&mut self, wanted: char) -> bool {
        let comes = self.rest.first() == Some(&Token::Sign(wanted));
        if comes {
            self.rest = &self.rest[1..];
        }
        comes
    }

    /// A name, with or without quotes.
    pub(crate) fn name(&mut self) -> Option<String> {
        match self.peek()? {
            Token::Word(name) | Token::Name(name) => {
                self.next();
                Some(name.clone())
            }
            _ => None,
        }
    }

    /// What stands in the parentheses that come next.
    pub(crate) fn parentheses(&mut self) -> Option<Tokens<'a>> {
        if self.peek() != Some(&Token::Sign('(')) {
            return None;
        }
        let mut depth = 0_usize;
        for (index, token) in self.rest.iter().enumerate() {
            match token {
                Token::Sign('(') => depth += 1,
                Token::Sign(')') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let inside = Tokens::new(&self.rest[1..index]);
                self.rest = &self.rest[index + 1..];
                return Some(inside);
            }
        }
        None
    }

    /// Splits all that is left at its commas outside of parentheses.
    pub(crate) fn split_at_commas(self) -> Vec<Tokens<'a>> {
        let mut parts = Vec::new();
        let (mut depth, mut start) = (0_i32, 0);
        for (index, token) in self.rest.iter().enumerate() {
            match token {
                Token::Sign('(') => depth += 1,
                Token::Sign(')') => depth -= 1,
                Token::Sign(',') if depth == 0 => {
                    parts.push(Tokens::new(&self.rest[start..index]));
                    start = index + 1;
                }
                _ => {}
            }
        }
        parts.push(Tokens::new(&self.rest[start..]));
        parts
    }
}
