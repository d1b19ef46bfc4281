//! Functions of DataFusion that answer otherwise than PostgreSQL's of the same name,
//! each behind one that answers as PostgreSQL does.
//!
//! | call | DataFusion | PostgreSQL, and here |
//! |---|---|---|
//! | `round(2.5::float8)` | 3 | 2: halves of doubles go to the even number |
//! | `ln(0)`, `exp(1000)`, `asin(2)` | -Infinity, Infinity, NaN | an error (`number_range.rs`) |
//! | `array_length(ARRAY[]::int[], 1)` | 0 | NULL |
//! | `array_remove(list, 1)`, `array_replace(list, 1, 2)` | the first 1 | each |
//! | `encode('a', 'base64')` | `YQ` | `YQ==` |
//! | `encode('a', 'HEX')`, `decode('61', 'HEX')` | an error | `61`, `a` |
//! | `regexp_replace('b', '(b)', '[\&] $1')` | `[\&] b` | `[b] $1` |

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt64Array};
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::math;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl,
};

use crate::by_array::by_array;
use crate::number_range::NumberRange;
use crate::replacements::replacements;
use crate::wrapped::asks_wrapped;

/// The functions, out of those that `known` finds by name.
pub(crate) fn postgres_answers(known: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<ScalarUDF> {
    let answers = ANSWERS.into_iter().filter_map(|(name, answer)| {
        let inner = known(name)?;
        Some(ScalarUDF::from(PostgresAnswer { inner, answer }))
    });
    let of_all = OF_ALL
        .into_iter()
        .filter_map(|(names, name)| Some(known(name)?.as_ref().clone().with_aliases(names)));
    answers.chain(of_all).collect()
}

/// `round` as PostgreSQL has it.
pub(crate) fn round() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(PostgresAnswer {
        inner: math::round(),
        answer: Answer::Halves,
    }))
}

/// What is otherwise in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Answer {
    /// Halves of floats go to the even number.
    Halves,
    /// Numbers without an answer are errors.
    InRange(NumberRange),
    /// A list without values has no length in any dimension.
    Length,
    /// Base64 is filled up to whole groups of four, and encodings have their names in
    /// letters of either case.
    Encoded,
    /// The same of the names.
    Decoded,
    /// Parts of a match are `\1` and `\&`.
    Replaced,
}

/// What `encode` and `decode` know; the last one is DataFusion's.
pub(crate) const ENCODINGS: [&str; 3] = [BASE64, "hex", FILLED_BASE64];

const BASE64: &str = "base64";
const FILLED_BASE64: &str = "base64pad";

const ANSWERS: [(&str, Answer); 20] = [
    ("round", Answer::Halves),
    ("ln", Answer::InRange(NumberRange::Logarithm)),
    ("log", Answer::InRange(NumberRange::Logarithm)),
    ("log2", Answer::InRange(NumberRange::Logarithm)),
    ("log10", Answer::InRange(NumberRange::Logarithm)),
    ("power", Answer::InRange(NumberRange::Power)),
    ("exp", Answer::InRange(NumberRange::FiniteAnswer)),
    ("degrees", Answer::InRange(NumberRange::FiniteAnswer)),
    ("sin", Answer::InRange(NumberRange::Finite)),
    ("cos", Answer::InRange(NumberRange::Finite)),
    ("tan", Answer::InRange(NumberRange::Finite)),
    ("cot", Answer::InRange(NumberRange::Finite)),
    ("asin", Answer::InRange(NumberRange::UpToOne)),
    ("acos", Answer::InRange(NumberRange::UpToOne)),
    ("atanh", Answer::InRange(NumberRange::UpToOne)),
    ("acosh", Answer::InRange(NumberRange::FromOne)),
    ("array_length", Answer::Length),
    ("encode", Answer::Encoded),
    ("decode", Answer::Decoded),
    ("regexp_replace", Answer::Replaced),
];

/// Names under which PostgreSQL has what DataFusion has under another one.
const OF_ALL: [([&str; 2], &str); 2] = [
    (["array_remove", "list_remove"], "array_remove_all"),
    (["array_replace", "list_replace"], "array_replace_all"),
];

#[derive(Debug, PartialEq, Eq, Hash)]
struct PostgresAnswer {
    /// DataFusion's function.
    inner: Arc<ScalarUDF>,
    answer: Answer,
}

impl ScalarUDFImpl for PostgresAnswer {
    asks_wrapped!(inner);

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn simplify(
        &self,
        arguments: Vec<Expr>,
        context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        // It would leave out what is an error: `log(x, x)` is 1 to it whatever x is.
        if self.answer == Answer::InRange(NumberRange::Logarithm) {
            return Ok(ExprSimplifyResult::Original(arguments));
        }
        self.inner.simplify(arguments, context)
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = &mut arguments.args;
        match self.answer {
            Answer::Halves => {
                if let [number] = values.as_slice()
                    && is_float(&number.data_type())
                {
                    return by_array(number, &|numbers| Ok(halves_to_even(numbers)));
                }
            }
            Answer::InRange(range) => {
                let given = values.clone();
                range.check_arguments(self.name(), &given)?;
                let answer = self.inner.invoke_with_args(arguments)?;
                range.check_answer(self.name(), &given, &answer)?;
                return Ok(answer);
            }
            Answer::Length => {
                let has_dimension = values.len() > 1;
                let lengths = self.inner.invoke_with_args(arguments)?;
                return match has_dimension {
                    true => by_array(&lengths, &|lengths| Ok(without_zeros(lengths))),
                    // Not PostgreSQL's.
                    false => Ok(lengths),
                };
            }
            Answer::Encoded => name_encoding(values, |encoding| match encoding {
                BASE64 => FILLED_BASE64,
                other => other,
            }),
            Answer::Decoded => name_encoding(values, |encoding| encoding),
            Answer::Replaced => {
                if let Some(replacement) = values.get_mut(2) {
                    *replacement = replacements(replacement)?;
                }
            }
        }
        self.inner.invoke_with_args(arguments)
    }
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

fn halves_to_even(numbers: &ArrayRef) -> ArrayRef {
    match numbers.data_type() {
        DataType::Float32 => {
            let numbers = numbers.as_primitive::<Float32Type>();
            Arc::new(numbers.unary::<_, Float32Type>(f32::round_ties_even))
        }
        _ => {
            let numbers = numbers.as_primitive::<Float64Type>();
            Arc::new(numbers.unary::<_, Float64Type>(f64::round_ties_even))
        }
    }
}

fn without_zeros(lengths: &ArrayRef) -> ArrayRef {
    let lengths = lengths.as_primitive::<UInt64Type>().iter();
    let lengths = lengths.map(|length| length.filter(|length| *length > 0));
    Arc::new(lengths.collect::<UInt64Array>())
}

/// Calls an encoding that is known as DataFusion does.
fn name_encoding(arguments: &mut [ColumnarValue], name: fn(&'static str) -> &'static str) {
    let Some(ColumnarValue::Scalar(encoding)) = arguments.get_mut(1) else {
        return;
    };
    let written = encoding.try_as_str().flatten();
    let known = written.and_then(|written| {
        let mut known = ENCODINGS.into_iter();
        known.find(|known| known.eq_ignore_ascii_case(written))
    });
    if let Some(known) = known {
        *encoding = ScalarValue::from(name(known));
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Float32Array, Float64Array, Int64Array, ListArray, StringArray};
    use arrow::datatypes::{Field, Int64Type};
    use datafusion::functions::encoding::{decode, encode};
    use datafusion::functions::regex::regexp_replace;
    use datafusion::functions_nested::length::array_length_udf;

    use super::*;

    fn function(inner: Arc<ScalarUDF>) -> PostgresAnswer {
        let (_, answer) = ANSWERS
            .into_iter()
            .find(|(name, _)| *name == inner.name())
            .unwrap();
        PostgresAnswer { inner, answer }
    }

    fn answer(inner: Arc<ScalarUDF>, args: Vec<ColumnarValue>, rows: usize) -> Result<ArrayRef> {
        let function = function(inner);
        let types: Vec<DataType> = args.iter().map(ColumnarValue::data_type).collect();
        let field = |data_type: &DataType| Arc::new(Field::new("a", data_type.clone(), true));
        let arg_fields: Vec<FieldRef> = types.iter().map(field).collect();
        let scalar_arguments = vec![None; args.len()];
        let return_field = function.return_field_from_args(ReturnFieldArgs {
            arg_fields: &arg_fields,
            scalar_arguments: &scalar_arguments,
        })?;
        let answer = function.invoke_with_args(ScalarFunctionArgs {
            args,
            arg_fields,
            number_rows: rows,
            return_field,
            config_options: Arc::default(),
        });
        answer?.into_array(rows)
    }

    fn column(values: impl Array + 'static) -> ColumnarValue {
        ColumnarValue::Array(Arc::new(values))
    }

    #[test]
    fn halves_of_floats_go_to_the_even_number() {
        let numbers = [
            Some(0.5),
            Some(1.5),
            Some(2.5),
            Some(-2.5),
            Some(2.51),
            None,
        ];
        let rounded = [Some(0.0), Some(2.0), Some(2.0), Some(-2.0), Some(3.0), None];
        let numbers = column(Float64Array::from(numbers.to_vec()));
        let found = answer(math::round(), vec![numbers], 6).unwrap();
        assert_eq!(
            found.as_primitive::<Float64Type>(),
            &Float64Array::from(rounded.to_vec())
        );
        let numbers = column(Float32Array::from(vec![0.5, 3.5]));
        let found = answer(math::round(), vec![numbers], 2).unwrap();
        assert_eq!(
            found.as_primitive::<Float32Type>(),
            &Float32Array::from(vec![0.0, 4.0])
        );
        let number = ColumnarValue::Scalar(ScalarValue::from(4.5));
        let found = answer(math::round(), vec![number], 1).unwrap();
        assert_eq!(found.as_primitive::<Float64Type>().value(0), 4.0);
    }

    #[test]
    fn only_positive_numbers_have_a_logarithm() {
        let numbers = column(Float64Array::from(vec![Some(1.0), None]));
        let found = answer(math::ln(), vec![numbers], 2).unwrap();
        assert_eq!(
            found.as_primitive::<Float64Type>(),
            &Float64Array::from(vec![Some(0.0), None])
        );
        for number in [0.0, -1.0, f64::NEG_INFINITY] {
            for function in [math::ln(), math::log(), math::log2(), math::log10()] {
                let numbers = column(Float64Array::from(vec![1.0, number]));
                let error = answer(function, vec![numbers], 2).unwrap_err();
                assert!(error.to_string().contains("logarithm"), "{error}");
            }
        }
    }

    #[test]
    fn a_list_without_values_has_no_length() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1), None]),
            Some(vec![]),
            None,
        ]);
        let first = column(Int64Array::from(vec![1, 1, 1]));
        let arguments = vec![column(lists), first];
        let found = answer(array_length_udf(), arguments, 3).unwrap();
        let expected = UInt64Array::from(vec![Some(2), None, None]);
        assert_eq!(found.as_primitive::<UInt64Type>(), &expected);
    }

    #[test]
    fn base64_is_filled_up() {
        let bytes = ColumnarValue::Scalar(ScalarValue::Binary(Some(b"a".to_vec())));
        for (encoding, expected) in [
            ("base64", "YQ=="),
            ("BASE64", "YQ=="),
            ("hex", "61"),
            ("Hex", "61"),
        ] {
            let encoding = ColumnarValue::Scalar(ScalarValue::from(encoding));
            let found = answer(encode(), vec![bytes.clone(), encoding], 1).unwrap();
            assert_eq!(found.as_string::<i32>().value(0), expected);
        }
    }

    #[test]
    fn encodings_are_decoded_by_names_in_either_case() {
        for (encoding, text) in [("HEX", "61"), ("hex", "61"), ("Base64", "YQ==")] {
            let text = ColumnarValue::Scalar(ScalarValue::Binary(Some(text.into())));
            let encoding = ColumnarValue::Scalar(ScalarValue::from(encoding));
            let found = answer(decode(), vec![text, encoding], 1).unwrap();
            assert_eq!(found.as_binary::<i32>().value(0), b"a");
        }
    }

    #[test]
    fn parts_of_a_match_are_written_as_in_postgresql() {
        let word = |text: &str| ColumnarValue::Scalar(ScalarValue::from(text));
        for (written, expected) in [
            (r"[\1]", "a[b]c"),
            (r"[\&]", "a[b]c"),
            ("$1 ${1}", "a$1 ${1}c"),
            (r"\0\\\11", r"a\0\b1c"),
            (r"\\1", r"a\1c"),
        ] {
            let texts = column(StringArray::from(vec!["abc"]));
            let arguments = vec![texts, word("(b)"), word(written)];
            let found = answer(regexp_replace(), arguments, 1).unwrap();
            assert_eq!(found.as_string::<i32>().value(0), expected, "{written}");
        }
    }
}
