//! The operators of the running views, as SQL and EXPLAIN tell of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use datafusion::error::Result;
use parking_lot::RwLock;
use sluice_engine::{OperatorReport, explain};
use sluice_serve::RunningViews;

/// What the pipeline said last. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct OperatorReports(Arc<RwLock<Arc<Vec<OperatorReport>>>>);

impl OperatorReports {
    /// Tells what the operators hold and have done now.
    pub fn publish(&self, reports: Vec<OperatorReport>) {
        *self.0.write() = Arc::new(reports);
    }

    fn newest(&self) -> Arc<Vec<OperatorReport>> {
        self.0.read().clone()
    }
}

impl RunningViews for OperatorReports {
    fn operators(&self) -> Result<RecordBatch> {
        let reports = self.newest();
        let texts = |text: &dyn Fn(&OperatorReport) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(reports.iter().map(text)))
        };
        let counts = |count: &dyn Fn(&OperatorReport) -> u64| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(reports.iter().map(count)))
        };
        let inputs = |report: &OperatorReport| {
            let inputs: Vec<String> = report.inputs.iter().map(ToString::to_string).collect();
            inputs.join(", ")
        };
        let busy = reports
            .iter()
            .map(|report| report.work.busy_us as f64 / 1e3);
        let only_adds = reports.iter().map(|report| Some(report.append_only));
        Ok(RecordBatch::try_from_iter([
            ("operator", counts(&|report| report.number as u64)),
            ("view_name", texts(&|report| report.view.clone())),
            ("gives", texts(&|report| report.collections.join(", "))),
            ("kind", texts(&|report| report.kind.to_owned())),
            ("detail", texts(&|report| report.detail.clone())),
            ("inputs", texts(&inputs)),
            (
                "only_adds",
                Arc::new(only_adds.collect::<BooleanArray>()) as ArrayRef,
            ),
            ("rows_in", counts(&|report| report.work.rows_in)),
            ("rows_out", counts(&|report| report.work.rows_out)),
            (
                "busy_ms",
                Arc::new(Float64Array::from_iter_values(busy)) as ArrayRef,
            ),
            ("state_rows", counts(&|report| report.state_rows)),
            ("state_bytes", counts(&|report| report.state_bytes)),
            ("index_rows", counts(&|report| report.index_rows)),
            ("index_bytes", counts(&|report| report.index_bytes)),
        ])?)
    }

    fn explain(&self, view: &str) -> Option<Vec<String>> {
        explain(&self.newest(), view)
    }
}
