//! What a request says of a panel's parameters and, for its detail, columns.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::parameter::value_of_text;
use super::{CheckedPanel, Part, text_of_value};

/// Values by name. Where a request says nothing, and there is no default, it is NULL.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PanelValues {
    by_name: BTreeMap<String, ScalarValue>,
    /// Names that are NULL in the row that was chosen. The rows behind it are those in
    /// which they are NULL, too, while a name of which nothing is said leaves out none.
    null_in_row: BTreeSet<String>,
}

impl PanelValues {
    /// The value of a name; `None` where the panel has no such one.
    pub(crate) fn get(&self, name: &str) -> Option<ScalarValue> {
        self.by_name.get(name).cloned()
    }

    /// Whether a name is NULL in the row that was chosen.
    pub(crate) fn is_null_in_row(&self, name: &str) -> bool {
        self.null_in_row.contains(name)
    }

    /// The values as answers write them.
    pub(crate) fn texts(&self) -> BTreeMap<&String, Option<String>> {
        let values = self.by_name.iter();
        values
            .map(|(name, value)| (name, text_of_value(value)))
            .collect()
    }

    /// Values as text, one behind the other, with the length of each, for a text may
    /// look like more of them: what tells two requests apart.
    pub(crate) fn print(&self) -> String {
        let line = |(name, value): (&String, &ScalarValue)| match text_of_value(value) {
            Some(text) => format!("{name}={}:{text}\n", text.len()),
            None if self.is_null_in_row(name) => format!("{name}=null\n"),
            None => format!("{name}\n"),
        };
        self.by_name.iter().map(line).collect()
    }

    /// The same values, but of a row in which these names are NULL. `is_given` tells
    /// of which the request says a value.
    ///
    /// # Errors
    /// What is wrong with the names.
    pub(crate) fn with_null_in_row(
        mut self,
        names: BTreeSet<String>,
        is_given: impl Fn(&str) -> bool,
    ) -> Result<Self, String> {
        for name in &names {
            let Some(value) = self.by_name.get_mut(name) else {
                let known: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
                return Err(format!(
                    "null: the panel has no parameter or column `{name}`; it has: {}",
                    known.join(", ")
                ));
            };
            if is_given(name) {
                return Err(format!(
                    "null: `{name}` has a value; give that, or null={name}, not both"
                ));
            }
            *value = null_of(name, &value.data_type())?;
        }
        self.null_in_row = names;
        Ok(self)
    }
}

fn null_of(name: &str, data_type: &DataType) -> Result<ScalarValue, String> {
    ScalarValue::try_from(data_type).map_err(|error| format!("{name}: {error}"))
}

impl CheckedPanel {
    /// The values of a request for the panel's parameters and, for its detail
    /// query, columns. `text_of` gives what the request says of a name.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub(crate) fn values(
        &self,
        part: Part,
        text_of: impl Fn(&str) -> Option<String>,
        today: i32,
    ) -> Result<PanelValues, String> {
        let mut values = PanelValues::default();
        for parameter in &self.panel.parameters {
            let value = parameter.value(text_of(&parameter.name).as_deref(), today)?;
            values.by_name.insert(parameter.name.clone(), value);
        }
        if part == Part::Figures {
            return Ok(values);
        }
        for column in &self.main.columns {
            if values.by_name.contains_key(&column.name) {
                continue;
            }
            let value = match text_of(&column.name) {
                Some(text) => value_of_text(&text, &column.data_type).ok_or_else(|| {
                    format!("{}: `{text}` is no {}", column.name, column.data_type)
                })?,
                None => null_of(&column.name, &column.data_type)?,
            };
            values.by_name.insert(column.name.clone(), value);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(left: &str, right: &str) -> PanelValues {
        let value = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        let values = [("a", value(left)), ("b", value(right))];
        let values = values.map(|(name, value)| (name.to_owned(), value));
        PanelValues {
            by_name: BTreeMap::from(values),
            null_in_row: BTreeSet::new(),
        }
    }

    #[test]
    fn other_values_are_printed_otherwise() {
        let printed = |left: &str, right: &str| values(left, right).print();
        assert_ne!(printed("x\nb=y", "z"), printed("x", "y\nb=z"));
        assert_ne!(printed("x\nb=1:y", "z"), printed("x", "1:y\nb=z"));
        assert_eq!(printed("x", "y"), printed("x", "y"));
    }

    #[test]
    fn what_a_row_has_not_is_neither_empty_nor_absent() {
        let nothing_said = PanelValues {
            by_name: BTreeMap::from([("a".to_owned(), ScalarValue::Utf8(None))]),
            null_in_row: BTreeSet::new(),
        };
        let null = || BTreeSet::from(["a".to_owned()]);
        let of_null = nothing_said.clone().with_null_in_row(null(), |_| false);
        let of_null = of_null.unwrap();
        assert_eq!(of_null.get("a"), nothing_said.get("a"));
        assert!(of_null.is_null_in_row("a") && !nothing_said.is_null_in_row("a"));
        assert_ne!(of_null.print(), nothing_said.print());
        let given = values("null", "").with_null_in_row(null(), |name| name == "a");
        assert_eq!(
            given.unwrap_err(),
            "null: `a` has a value; give that, or null=a, not both"
        );
        // A default is none that the request gives.
        let instead = values("by default", "").with_null_in_row(null(), |_| false);
        assert_eq!(instead.unwrap().get("a"), Some(ScalarValue::Utf8(None)));
        let unknown = BTreeSet::from(["c".to_owned()]);
        assert_eq!(
            values("", "")
                .with_null_in_row(unknown, |_| false)
                .unwrap_err(),
            "null: the panel has no parameter or column `c`; it has: a, b"
        );
    }
}
