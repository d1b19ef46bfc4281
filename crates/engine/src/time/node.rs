//! What the nodes of time do.

use arrow::datatypes::SchemaRef;

use super::as_of_join::{AsOfJoin, Side};
use super::bounds::TimeBound;
use super::hopping_window::HoppingWindow;
use super::lookup_join::LookupJoin;
use super::session_window::SessionWindow;
use super::values::ticks_per_us;
use super::window_close::WindowClose;
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
        /// The time stands for a piece of time of this length that lies whole
        /// in each of the windows: 1 for instants, more for panes.
        piece_us: i64,
    },
    /// `session`.
    Session {
        time: usize,
        keys: Vec<usize>,
        gap_us: i64,
    },
    /// All versions that a table's rows ever had, by key and event time: a
    /// changelog of the changelog, from which nothing is deleted.
    History { table: usize },
    /// `FOR SYSTEM_TIME AS OF`: keys and time of the left row and the version.
    AsOf {
        is_left: bool,
        keys: (Vec<usize>, Vec<usize>),
        times: (usize, usize),
    },
    /// `LOOKUP`: the left row's key columns, and the arrangement of the right.
    Lookup {
        is_left: bool,
        left_keys: Vec<usize>,
        right: usize,
    },
    /// `EMIT ON WINDOW CLOSE`, by a window's end.
    WindowClose { bound: TimeBound },
}

impl TimeNode {
    /// What it is, for people.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Hop { .. } => "hop",
            Self::Session { .. } => "session",
            Self::History { .. } => "history",
            Self::AsOf { .. } => "as-of join",
            Self::Lookup { .. } => "look-up join",
            Self::WindowClose { .. } => "emit on window close",
        }
    }

    /// The node's operator; `schema` is that of its output, `left_width` the
    /// number of columns of its first input.
    pub(crate) fn start(
        self,
        schema: SchemaRef,
        left_width: usize,
    ) -> Result<Box<dyn Operator>, EngineError> {
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
                piece_us: _,
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
            Self::AsOf {
                is_left,
                keys,
                times,
            } => {
                let fields = schema.fields().iter();
                let mut left: Vec<_> = fields.map(|field| field.data_type().clone()).collect();
                let right = left.split_off(left_width);
                let side = |keys, time, types| Side { keys, time, types };
                let left = side(keys.0, times.0, left);
                let right = side(keys.1, times.1, right);
                Ok(Box::new(AsOfJoin::new(is_left, left, right, schema)?))
            }
            Self::Lookup {
                is_left,
                left_keys,
                right,
            } => Ok(Box::new(LookupJoin {
                is_left,
                left_keys,
                right,
                schema,
            })),
            Self::History { .. } => Err(EngineError::Invariant(
                "a history is fed like a table".into(),
            )),
            Self::WindowClose { bound } => Ok(Box::new(WindowClose::new(bound, schema)?)),
        }
    }
}
