//! The answer of a panel, before it takes a form.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;

use super::check::CheckedQuery;
use super::detail_rows::{RowTotals, first_rows};
use super::{CheckedColumn, CheckedPanel, text_of_value};
use crate::{QueryEngine, QueryResult, ServeError};

/// What of a panel is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Its figures.
    Figures,
    /// The first rows behind them, of each kind.
    Detail,
    /// All rows behind them.
    WholeDetail,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct PanelAnswer {
    pub(crate) panel: Arc<CheckedPanel>,
    pub(crate) part: Part,
    pub(crate) values: BTreeMap<String, ScalarValue>,
    pub(crate) result: QueryResult,
    /// Of [`Part::Detail`], whose result may lack some.
    pub(crate) totals: Option<RowTotals>,
}

impl CheckedPanel {
    /// The query that is asked for; `None` where there is no detail.
    pub(crate) fn query(&self, part: Part) -> Option<&CheckedQuery> {
        match part {
            Part::Figures => Some(&self.main),
            Part::Detail | Part::WholeDetail => self.detail.as_ref(),
        }
    }
}

impl PanelAnswer {
    /// Asks.
    ///
    /// # Errors
    /// As for [`QueryEngine::query_bound`] and [`first_rows`].
    pub(crate) async fn ask(
        engine: &QueryEngine,
        panel: Arc<CheckedPanel>,
        part: Part,
        values: BTreeMap<String, ScalarValue>,
    ) -> Result<Self, ServeError> {
        let Some(query) = panel.query(part) else {
            let detail = format!("the panel `{}` has no detail", panel.panel.name);
            return Err(ServeError::Query(detail));
        };
        let value_of = |name: &str| values.get(name).cloned();
        let (result, totals) = match &panel.panel.detail {
            Some(detail) if part == Part::Detail => {
                let plan = engine.plan_bound(&query.query, value_of).await?;
                let found = first_rows(engine, &plan, detail.limit).await?;
                (found.0, Some(found.1))
            }
            _ => (engine.query_bound(&query.query, value_of).await?, None),
        };
        Ok(Self {
            panel,
            part,
            values,
            result,
            totals,
        })
    }

    /// What its columns are.
    pub(crate) fn columns(&self) -> &[CheckedColumn] {
        let query = self.panel.query(self.part);
        query.map_or(&[], |query| &query.columns)
    }
}

/// Values as text, one behind the other, with the length of each, for a text may
/// look like more of them: what tells two requests apart.
pub(crate) fn print_values(values: &BTreeMap<String, ScalarValue>) -> String {
    let line = |(name, value): (&String, &ScalarValue)| match text_of_value(value) {
        Some(text) => format!("{name}={}:{text}\n", text.len()),
        None => format!("{name}\n"),
    };
    values.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_values_are_printed_otherwise() {
        let printed = |left: &str, right: &str| {
            let value = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
            let values = [("a", value(left)), ("b", value(right))];
            let values = values.map(|(name, value)| (name.to_owned(), value));
            print_values(&BTreeMap::from(values))
        };
        assert_ne!(printed("x\nb=y", "z"), printed("x", "y\nb=z"));
        assert_ne!(printed("x\nb=1:y", "z"), printed("x", "1:y\nb=z"));
        assert_eq!(printed("x", "y"), printed("x", "y"));
    }
}
