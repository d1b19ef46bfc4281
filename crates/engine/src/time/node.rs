//! What the nodes of time do.

use arrow::datatypes::SchemaRef;

use super::hopping_window::HoppingWindow;
use super::session_window::SessionWindow;
use super::values::ticks_per_us;
use crate::EngineError;
use crate::operator::Operator;

/// A node of the graph that deals with event time. Lengths are in
/// microseconds, columns are positions in the input.
#[derive(Debug, Clone)]
pub(crate) enum TimeNode {
    /// `tumble` and `hop`.
    Hop {
        time: usize,
        slide_us: i64,
        size_us: i64,
    },
    /// `session`.
    Session {
        time: usize,
        keys: Vec<usize>,
        gap_us: i64,
    },
}

impl TimeNode {
    /// The node's operator; `schema` is that of its output.
    pub(crate) fn start(self, schema: SchemaRef) -> Result<Box<dyn Operator>, EngineError> {
        let ticks_of = |length_us: i64, time: usize| {
            let unit = ticks_per_us(schema.field(time).data_type());
            let length = unit.and_then(|unit| length_us.checked_mul(unit));
            length.ok_or_else(|| EngineError::Invariant("a window of another type".into()))
        };
        match self {
            Self::Hop {
                time,
                slide_us,
                size_us,
            } => Ok(Box::new(HoppingWindow {
                time,
                slide: ticks_of(slide_us, time)?,
                size: ticks_of(size_us, time)?,
                schema,
            })),
            Self::Session { time, keys, gap_us } => {
                let gap = ticks_of(gap_us, time)?;
                Ok(Box::new(SessionWindow::new(schema, time, keys, gap)?))
            }
        }
    }
}
