//! The answer of a panel, before it takes a form.

use std::sync::Arc;

use super::check::CheckedQuery;
use super::detail_rows::{RowTotals, first_rows};
use super::{CheckedColumn, CheckedPanel, PanelValues};
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
    pub(crate) values: PanelValues,
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
        values: PanelValues,
    ) -> Result<Self, ServeError> {
        let Some(query) = panel.query(part) else {
            let detail = format!("the panel `{}` has no detail", panel.panel.name);
            return Err(ServeError::Query(detail));
        };
        let value_of = |name: &str| values.get(name);
        let is_null_in_row = |name: &str| values.is_null_in_row(name);
        let plan = engine.plan_bound(&query.query, value_of, is_null_in_row);
        let plan = plan.await?;
        let (result, totals) = match &panel.panel.detail {
            Some(detail) if part == Part::Detail => {
                let found = first_rows(engine, &plan, detail.limit).await?;
                (found.0, Some(found.1))
            }
            _ => (engine.run(async { Ok(plan) }).await?, None),
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
