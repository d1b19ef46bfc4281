//! Messages with places for values: `only {value} orders from {channel}`.

/// Text with places, in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(String),
}

impl Template {
    /// Reads a message; `{{` stands for a brace.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(start);
            plain.push_str(before);
            if let Some(behind) = from.strip_prefix("{{").or(from.strip_prefix("}}")) {
                plain.push_str(&from[..1]);
                rest = behind;
                continue;
            }
            let name = from.strip_prefix('{').and_then(|from| from.split_once('}'));
            let Some((name, behind)) = name else {
                return Err("a brace stands alone; write {{ for a brace".to_owned());
            };
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Place(name.trim().to_owned()));
            rest = behind;
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// Names of its places.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Place(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The message with what `value_of` says of each place.
    pub fn fill(&self, value_of: impl Fn(&str) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Place(name) => value_of(name),
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_braces_kept() {
        let template = Template::parse("{value} of { channel } {{x}}").unwrap();
        assert_eq!(template.places().collect::<Vec<_>>(), ["value", "channel"]);
        assert_eq!(template.fill(str::to_uppercase), "VALUE of CHANNEL {x}");
        assert!(Template::parse("a } b").is_err());
        assert!(Template::parse("a {b").is_err());
    }
}
