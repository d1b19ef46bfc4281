//! Functions of PostgreSQL that clients call when they connect, with this
//! server's answers.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::SessionContext;

use super::comments::Comments;
use super::roles::OWNER;
use super::sign_in::SERVER_VERSION;
use crate::access::Who;
use crate::session;

/// Registers the functions.
pub(super) fn register(context: &SessionContext, comments: &Comments) {
    let about = comments.clone();
    let of_column = comments.clone();
    let functions: Vec<(&'static str, Vec<usize>, Answer)> = vec![
        (
            "version",
            vec![0],
            Arc::new(|_| Some(format!("PostgreSQL {SERVER_VERSION}"))),
        ),
        ("session_user", vec![0], Arc::new(|_| Some(user()))),
        (
            "pg_get_userbyid",
            vec![1],
            Arc::new(|_| Some(OWNER.to_owned())),
        ),
        (
            "obj_description",
            vec![1, 2],
            Arc::new(move |arguments| {
                let table = arguments.first()?.as_ref()?.parse().ok()?;
                about.get(table, 0)
            }),
        ),
        (
            "col_description",
            vec![2],
            Arc::new(move |arguments| {
                let table = arguments.first()?.as_ref()?.parse().ok()?;
                let column = arguments.get(1)?.as_ref()?.parse().ok()?;
                of_column.get(table, column)
            }),
        ),
        ("shobj_description", vec![2], Arc::new(|_| None)),
        // Nobody holds a lock; a value of no type is an empty text.
        (
            "pg_advisory_unlock_all",
            vec![0],
            Arc::new(|_| Some(String::new())),
        ),
        (
            "pg_client_encoding",
            vec![0],
            Arc::new(|_| Some("UTF8".to_owned())),
        ),
    ];
    for (name, counts, answer) in functions {
        context.register_udf(function(name, &counts, DataType::Utf8, answer));
    }
}

/// A function of texts, by the numbers of arguments that it may have: what it
/// answers is read as a value of the type. Numbers come to it as their digits.
pub(super) fn function(
    name: &'static str,
    counts: &[usize],
    data_type: DataType,
    answer: Answer,
) -> ScalarUDF {
    ScalarUDF::new_from_impl(Function {
        name,
        signature: signature(counts, Volatility::Stable),
        data_type,
        answer: Arc::new(move |texts: &[Option<String>]| Ok(answer(texts))),
    })
}

/// The same of texts alone, which may fail.
pub(super) fn fallible_function(
    name: &'static str,
    counts: &[usize],
    volatility: Volatility,
    answer: FallibleAnswer,
) -> ScalarUDF {
    ScalarUDF::new_from_impl(Function {
        name,
        signature: signature(counts, volatility),
        data_type: DataType::Utf8,
        answer,
    })
}

/// The user of the connection.
fn user() -> String {
    match session::who() {
        Who::User { name, .. } => name,
        Who::Unknown | Who::Program => session::claimed_name().unwrap_or_else(|| OWNER.to_owned()),
    }
}

fn signature(counts: &[usize], volatility: Volatility) -> Signature {
    use datafusion::logical_expr::TypeSignature;
    let kinds = counts.iter().map(|&count| match count {
        0 => TypeSignature::Nullary,
        count => TypeSignature::Any(count),
    });
    Signature::one_of(kinds.collect(), volatility)
}

/// What a function makes of its arguments.
pub(super) type Answer = Arc<dyn Fn(&[Option<String>]) -> Option<String> + Send + Sync>;

/// What a function makes of its arguments, or why it makes nothing.
pub(super) type FallibleAnswer =
    Arc<dyn Fn(&[Option<String>]) -> Result<Option<String>> + Send + Sync>;

/// A function that makes a value of texts.
struct Function {
    name: &'static str,
    signature: Signature,
    data_type: DataType,
    answer: FallibleAnswer,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = arguments
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { arguments.number_rows };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(arguments.args.len());
        for value in arguments.args {
            let column = value.into_array(rows)?;
            // A number as its digits, whatever its type.
            let column = match column.data_type().is_integer() {
                true => {
                    let numbers = cast(&column, &DataType::Int64)?;
                    let numbers = numbers.as_primitive::<Int64Type>();
                    let texts = numbers.iter().map(|number| number.map(|it| it.to_string()));
                    Arc::new(texts.collect::<StringArray>())
                }
                false => cast(&column, &DataType::Utf8)?,
            };
            columns.push(column);
        }
        let answers = (0..rows).map(|row| {
            let texts: Vec<Option<String>> = columns
                .iter()
                .map(|column| {
                    let texts = column.as_string::<i32>();
                    texts.is_valid(row).then(|| texts.value(row).to_owned())
                })
                .collect();
            (self.answer)(&texts)
        });
        let answers: StringArray = answers.collect::<Result<_>>()?;
        let answers = cast(&answers, &self.data_type)?;
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&answers, 0)?),
            false => ColumnarValue::Array(answers),
        })
    }
}
