//! Aggregates over frames that move, where what leaves cannot be taken back, or not
//! without a residue (`stddev` of doubles): the rows of the frame are kept, and each
//! answer is computed from all of them.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, SetMonotonicity, Signature,
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

/// With more pieces than this they are put together, for an answer reads each.
const PIECES_MAX: usize = 16;

/// The library takes back from these what came first, and exactly, of most types.
const TAKE_BACK: [&str; 4] = ["array_agg", "count", "min", "max"];

/// The same function. Over a frame that moves it costs the frame for each row, unless
/// the library can take rows back.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct OverFrames {
    called: Arc<AggregateUDF>,
}

impl OverFrames {
    pub(crate) fn new(called: Arc<AggregateUDF>) -> Self {
        Self { called }
    }
}

impl AggregateUDFImpl for OverFrames {
    fn name(&self) -> &str {
        self.called.name()
    }

    fn signature(&self) -> &Signature {
        self.called.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.called.return_type(arguments)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        self.called.return_field(arguments)
    }

    fn is_nullable(&self) -> bool {
        self.called.is_nullable()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.called.default_value(data_type)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.called.coerce_types(arguments)
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.called.inner().set_monotonicity(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.called.supports_null_handling_clause()
    }

    fn window_function_schema_name(&self, call: &WindowFunctionParams) -> Result<String> {
        self.called.window_function_schema_name(call)
    }

    fn window_function_display_name(&self, call: &WindowFunctionParams) -> Result<String> {
        self.called.window_function_display_name(call)
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.called.state_fields(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.called.accumulator(arguments)
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        if TAKE_BACK.contains(&self.name()) {
            let own = self.called.create_sliding_accumulator(arguments.clone())?;
            if own.supports_retract_batch() {
                return Ok(own);
            }
        }
        Ok(Box::new(FrameRows {
            call: Call::new(self.called.clone(), &arguments),
            pieces: VecDeque::new(),
        }))
    }
}

/// What an accumulator is made of, again and again.
#[derive(Debug)]
struct Call {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignores_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    argument_fields: Vec<FieldRef>,
}

impl Call {
    fn new(function: Arc<AggregateUDF>, arguments: &AccumulatorArgs<'_>) -> Self {
        Self {
            function,
            return_field: arguments.return_field.clone(),
            schema: arguments.schema.clone(),
            ignores_nulls: arguments.ignore_nulls,
            order_bys: arguments.order_bys.to_vec(),
            is_reversed: arguments.is_reversed,
            name: arguments.name.to_owned(),
            is_distinct: arguments.is_distinct,
            arguments: arguments.exprs.to_vec(),
            argument_fields: arguments.expr_fields.to_vec(),
        }
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: self.return_field.clone(),
            schema: &self.schema,
            ignore_nulls: self.ignores_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.arguments,
            expr_fields: &self.argument_fields,
        })
    }
}

/// The rows of a frame. Rows that came first leave first.
#[derive(Debug)]
struct FrameRows {
    call: Call,
    /// The arguments of rows that follow one another; no piece is empty.
    pieces: VecDeque<Vec<ArrayRef>>,
}

/// Rows of a piece.
fn rows_of(piece: &[ArrayRef]) -> usize {
    piece.first().map_or(0, |column| column.len())
}

impl FrameRows {
    fn put_together(&mut self) -> Result<()> {
        let columns = self.pieces.front().map_or(0, Vec::len);
        let column = |number: usize| {
            let pieces = self.pieces.iter();
            let parts: Vec<&dyn Array> = pieces.map(|piece| piece[number].as_ref()).collect();
            concat(&parts)
        };
        let whole: Vec<ArrayRef> = (0..columns).map(column).collect::<Result<_, _>>()?;
        self.pieces = VecDeque::from([whole]);
        Ok(())
    }
}

impl Accumulator for FrameRows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if rows_of(values) == 0 {
            return Ok(());
        }
        self.pieces.push_back(values.to_vec());
        match self.pieces.len() > PIECES_MAX {
            true => self.put_together(),
            false => Ok(()),
        }
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut leaving = rows_of(values);
        while leaving > 0 {
            let Some(first) = self.pieces.front_mut() else {
                return internal_err!("more rows leave a frame than came");
            };
            let rows = rows_of(first);
            if rows > leaving {
                let rest = |column: &ArrayRef| column.slice(leaving, rows - leaving);
                *first = first.iter().map(rest).collect();
                return Ok(());
            }
            self.pieces.pop_front();
            leaving -= rows;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut accumulator = self.call.accumulator()?;
        for piece in &self.pieces {
            accumulator.update_batch(piece)?;
        }
        accumulator.evaluate()
    }

    fn size(&self) -> usize {
        let columns = self.pieces.iter().flatten();
        let bytes = columns.map(|column| column.to_data().get_slice_memory_size().unwrap_or(0));
        size_of_val(self) + bytes.sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("rows of frames are not passed on")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("rows of frames are not passed on")
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use arrow::datatypes::Field;
    use datafusion::functions_aggregate::string_agg::string_agg_udaf;
    use datafusion::physical_expr::expressions::{Column, Literal};

    use super::*;

    fn words(words: &[&str]) -> Vec<ArrayRef> {
        let separators = vec![","; words.len()];
        let columns = [words.to_vec(), separators].map(StringArray::from);
        columns.map(|column| Arc::new(column) as ArrayRef).to_vec()
    }

    fn over_frames() -> Box<dyn Accumulator> {
        let field = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
        let separator = ScalarValue::from(",");
        let arguments: [Arc<dyn PhysicalExpr>; 2] = [
            Arc::new(Column::new("word", 0)),
            Arc::new(Literal::new(separator)),
        ];
        let arguments = AccumulatorArgs {
            return_field: field("joined"),
            schema: &Schema::new(vec![field("word")]),
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "joined",
            is_distinct: false,
            exprs: &arguments,
            expr_fields: &[field("word"), field("separator")],
        };
        let function = OverFrames::new(string_agg_udaf());
        function.create_sliding_accumulator(arguments).unwrap()
    }

    #[test]
    fn what_has_left_is_not_in_the_answer() {
        let mut rows = over_frames();
        rows.update_batch(&words(&["a", "b"])).unwrap();
        rows.update_batch(&words(&[])).unwrap();
        rows.update_batch(&words(&["c", "d", "e"])).unwrap();
        let mut expect = |leaving: &[&str], expected: Option<&str>| {
            rows.retract_batch(&words(leaving)).unwrap();
            let expected = ScalarValue::LargeUtf8(expected.map(str::to_owned));
            let found = rows.evaluate().unwrap();
            let found = found.cast_to(&DataType::LargeUtf8).unwrap();
            assert_eq!(found, expected, "{leaving:?}");
        };
        expect(&[], Some("a,b,c,d,e"));
        expect(&["a"], Some("b,c,d,e"));
        expect(&["b", "c"], Some("d,e"));
        expect(&["d", "e"], None);
        assert!(rows.retract_batch(&words(&["f"])).is_err());
    }

    #[test]
    fn many_pieces_are_put_together() {
        let mut rows = over_frames();
        let all: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        for word in &all {
            rows.update_batch(&words(&[word])).unwrap();
        }
        rows.retract_batch(&words(&vec!["-"; 40])).unwrap();
        let found = rows.evaluate().unwrap().to_string();
        assert_eq!(found, all[40..].join(","));
        assert!(rows.size() > 100);
    }
}
