use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{Field, IntervalMonthDayNano};
use datafusion::functions::string::repeat;
use datafusion::functions::unicode::lpad;
use datafusion::functions_nested::range::range_udf;
use datafusion::functions_nested::repeat::array_repeat_udf;
use datafusion::functions_nested::resize::array_resize_udf;
use datafusion::functions_nested::string::array_to_string_udf;

use super::*;

fn limited(name: &str) -> Bounded {
    let (_, growth) = FUNCTIONS
        .into_iter()
        .find(|(found, _)| *found == name)
        .unwrap();
    let inner = match name {
        "repeat" => repeat(),
        "replace" => datafusion::functions::string::replace(),
        "regexp_replace" => datafusion::functions::regex::regexp_replace(),
        "array_to_string" => array_to_string_udf(),
        "array_repeat" => array_repeat_udf(),
        "array_resize" => array_resize_udf(),
        "range" => range_udf(),
        "levenshtein" => datafusion::functions::string::levenshtein(),
        _ => lpad(),
    };
    Bounded {
        inner,
        growth,
        purpose: Purpose::Queries,
    }
}

fn for_views(name: &str) -> Bounded {
    Bounded {
        purpose: Purpose::Views,
        ..limited(name)
    }
}

/// What the function makes of its arguments for so many rows.
fn made(name: &str, args: Vec<ColumnarValue>, rows: usize) -> Result<ArrayRef> {
    let function = limited(name);
    let field = |argument: &ColumnarValue| {
        let field = Field::new("argument", argument.data_type(), true);
        Arc::new(field)
    };
    let arg_fields: Vec<FieldRef> = args.iter().map(field).collect();
    let types: Vec<DataType> = args.iter().map(ColumnarValue::data_type).collect();
    let made = function.invoke_with_args(ScalarFunctionArgs {
        return_field: Arc::new(Field::new("made", function.return_type(&types)?, true)),
        args,
        arg_fields,
        number_rows: rows,
        config_options: Arc::default(),
    });
    made?.into_array(rows)
}

fn int(number: i64) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::from(number))
}

fn word(text: &str) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::from(text))
}

fn check(name: &str, arguments: &[ColumnarValue]) -> Result<()> {
    limited(name).parts(arguments, 1).map(|_| ())
}

#[test]
fn what_is_too_long_is_refused_before_it_is_made() {
    let step = |months, days, nanoseconds| {
        let step = IntervalMonthDayNano::new(months, days, nanoseconds);
        ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(Some(step)))
    };
    let day = |day| ColumnarValue::Scalar(ScalarValue::Date32(Some(day)));
    let second = |second| ColumnarValue::Scalar(ScalarValue::TimestampSecond(Some(second), None));
    let long = "a".repeat(10_000);
    for (name, arguments) in [
        ("repeat", vec![word("ab"), int(1 << 20)]),
        ("repeat", vec![word("ab"), int(i64::MAX)]),
        ("lpad", vec![word("ab"), int(1 << 21)]),
        ("lpad", vec![word("ab"), int(1 << 19), word("字")]),
        ("rpad", vec![word("ab"), int(i64::MAX)]),
        ("replace", vec![word(&long), word("a"), word(&long)]),
        (
            "regexp_replace",
            vec![word(&long), word("a"), word(&long), word("g")],
        ),
        (
            "regexp_replace",
            vec![word(&long), word("(.*)"), word(&"\\1".repeat(200))],
        ),
        ("array_to_string", vec![numbers(2_000), word(&long)]),
        (
            "array_to_string",
            vec![numbers(2_000), word(","), word(&long)],
        ),
        ("array_repeat", vec![int(7), int(1 << 21)]),
        ("array_repeat", vec![word(&long), int(10_000)]),
        ("array_resize", vec![word("list"), int(1 << 21)]),
        ("array_resize", vec![word("list"), int(10_000), word(&long)]),
        ("range", vec![int(i64::MAX)]),
        ("range", vec![int(i64::MIN), int(i64::MAX), int(1)]),
        ("generate_series", vec![int(i64::MAX), int(0), int(-1)]),
        (
            "generate_series",
            vec![day(0), day(i32::MAX), step(0, 1, 0)],
        ),
        ("range", vec![second(0), second(100), step(0, 0, 1)]),
        ("levenshtein", vec![word(&long), word(&long)]),
        // January and February give each other the turn for ever.
        ("range", vec![day(30), day(0), step(1, -31, 0)]),
    ] {
        let error = check(name, &arguments).unwrap_err().to_string();
        let is_clear = ["bytes", "pairs", "one sign"]
            .iter()
            .any(|reason| error.contains(reason));
        assert!(is_clear, "{name} {arguments:?}: {error}");
    }
}

#[test]
fn what_is_of_use_is_made() {
    let step = IntervalMonthDayNano::new(0, 1, 0);
    let day = |day| ColumnarValue::Scalar(ScalarValue::Date32(Some(day)));
    let of_a_day = ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(Some(step)));
    let long = "a".repeat(100_000);
    for (name, arguments) in [
        ("levenshtein", vec![word(&long), word("字")]),
        (
            "levenshtein",
            vec![word(&"字".repeat(362)), word(&"a".repeat(362))],
        ),
        ("repeat", vec![word("ab"), int(1 << 19)]),
        ("repeat", vec![word(""), int(i64::MAX)]),
        ("repeat", vec![word("ab"), int(-1)]),
        ("lpad", vec![word("ab"), int(1 << 20)]),
        ("lpad", vec![word("ab"), int(i64::MIN)]),
        ("replace", vec![word(&long), word("b"), word(&long)]),
        ("replace", vec![word(&long), word(""), word(&long)]),
        (
            "replace",
            vec![word(&"long ".repeat(1 << 20)), word("long"), word("tall")],
        ),
        (
            "regexp_replace",
            vec![word(&long), word("a"), word("bb"), word("g")],
        ),
        ("array_to_string", vec![numbers(10_000), word(", ")]),
        ("array_repeat", vec![int(7), int(1_000_000)]),
        ("array_resize", vec![word("list"), int(400_000)]),
        ("range", vec![int(2_000_000)]),
        ("range", vec![int(i64::MAX), int(0), int(1)]),
        ("range", vec![day(0), day(36_525), of_a_day]),
    ] {
        check(name, &arguments).unwrap();
    }
}

/// A list of so many numbers.
fn numbers(count: usize) -> ColumnarValue {
    let items = (0..count as i64).map(Some);
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(items)]);
    ColumnarValue::Array(Arc::new(list))
}

#[test]
fn many_long_values_are_refused_together() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["abcd"; 1_000]));
    let times: ArrayRef = Arc::new(Int64Array::from(vec![100_000; 1_000]));
    let arguments = vec![ColumnarValue::Array(texts), ColumnarValue::Array(times)];
    let parts = limited("repeat").parts(&arguments, 1_000).unwrap();
    assert_eq!(parts, [335, 335, 330]);
    let error = made("repeat", arguments, 1_000).unwrap_err().to_string();
    assert!(error.contains("bytes for 1000 rows at once"), "{error}");
    // One constant for all rows.
    let constants = vec![word("abcd"), int(100_000)];
    let error = made("repeat", constants, 1_000).unwrap_err().to_string();
    assert!(error.contains("bytes for 1000 rows at once"), "{error}");
}

#[test]
fn what_could_be_too_much_and_is_not_is_made_in_parts() {
    let text = |row: usize| format!("{row} {}", "a".repeat(400));
    let texts: Vec<String> = (0..3_000).map(text).collect();
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    let pattern = "^([0-9]+) a*$";
    let to = format!("\\1{}", "!".repeat(300));
    let arguments = vec![
        ColumnarValue::Array(texts),
        word(pattern),
        word(&to),
        word("g"),
    ];
    assert!(
        limited("regexp_replace")
            .parts(&arguments, 3_000)
            .unwrap()
            .len()
            > 1
    );
    let made = made("regexp_replace", arguments, 3_000).unwrap();
    let made = cast(&made, &DataType::Utf8).unwrap();
    let made = made.as_string::<i32>();
    assert_eq!(made.len(), 3_000);
    for (row, text) in made.iter().enumerate() {
        assert_eq!(text.unwrap(), format!("{row}{}", "!".repeat(300)));
    }
}

#[test]
fn all_rows_of_an_epoch_fit_into_one_column_of_a_view() {
    let text = for_views("lpad").parts(&[word("a"), int(32_000)], 1);
    assert_eq!(text.unwrap(), [1]);
    assert!(
        for_views("lpad")
            .parts(&[word("a"), int(33 << 10)], 1)
            .is_err()
    );
    assert!(65_536 * Purpose::Views.text_bytes_max() <= i32::MAX as u64);
    assert!(for_views("range").parts(&[int(17 << 10)], 1).is_err());
}

#[test]
fn constants_are_refused_while_planning() {
    use datafusion::logical_expr::{col, lit};
    let simplified = |name: &str, arguments: Vec<Expr>| {
        let context = SimplifyContext::default();
        limited(name).simplify(arguments, &context).map(|_| ())
    };
    let enormous = || lit(1_000_000_000_i64);
    for (name, arguments) in [
        ("repeat", vec![lit("x"), enormous()]),
        ("repeat", vec![col("name"), enormous()]),
        ("lpad", vec![col("name"), enormous()]),
        ("range", vec![lit(0_i64), enormous()]),
    ] {
        let error = simplified(name, arguments).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}` would make a")), "{error}");
    }
    // It would be copied for each row.
    let error = simplified("repeat", vec![lit("x"), lit(20_000_i64)]).unwrap_err();
    assert!(error.to_string().contains("16384 are the most"), "{error}");
    simplified("repeat", vec![col("name"), lit(20_000_i64)]).unwrap();
    simplified("range", vec![lit(0_i64), lit(10_000_i64)]).unwrap();
    simplified("range", vec![col("n"), enormous()]).unwrap();
    simplified("repeat", vec![lit("x"), col("n")]).unwrap();
}

#[test]
fn a_negative_length_is_none() {
    let lengths: ArrayRef = Arc::new(Int64Array::from(vec![Some(-1), Some(3), None]));
    let kept = limited("lpad").without_negative(vec![ColumnarValue::Array(lengths)]);
    let [ColumnarValue::Array(kept)] = &kept[..] else {
        panic!("{kept:?}");
    };
    let wanted = Int64Array::from(vec![Some(0), Some(3), None]);
    assert_eq!(kept.as_primitive::<Int64Type>(), &wanted);
}
