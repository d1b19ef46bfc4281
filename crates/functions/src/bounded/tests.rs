use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::functions::string::repeat;
use datafusion::functions::unicode::lpad;
use datafusion::functions_nested::range::range_udf;
use datafusion::functions_nested::repeat::array_repeat_udf;
use datafusion::functions_nested::resize::array_resize_udf;

use super::*;

fn limited(name: &str) -> Bounded {
    let (_, growth) = FUNCTIONS
        .into_iter()
        .find(|(found, _)| *found == name)
        .unwrap();
    let inner = match name {
        "repeat" => repeat(),
        "replace" => datafusion::functions::string::replace(),
        "array_repeat" => array_repeat_udf(),
        "array_resize" => array_resize_udf(),
        "range" => range_udf(),
        _ => lpad(),
    };
    Bounded { inner, growth }
}

fn int(number: i64) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::from(number))
}

fn word(text: &str) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::from(text))
}

fn check(name: &str, arguments: &[ColumnarValue]) -> Result<()> {
    limited(name).check(arguments, 1)
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
        ("replace", vec![word(&long), word(""), word(&long)]),
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
        // January and February give each other the turn for ever.
        ("range", vec![day(30), day(0), step(1, -31, 0)]),
    ] {
        let error = check(name, &arguments).unwrap_err().to_string();
        let is_clear = error.contains("bytes") || error.contains("one sign");
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
        ("repeat", vec![word("ab"), int(1 << 19)]),
        ("repeat", vec![word(""), int(i64::MAX)]),
        ("repeat", vec![word("ab"), int(-1)]),
        ("lpad", vec![word("ab"), int(1 << 20)]),
        ("lpad", vec![word("ab"), int(i64::MIN)]),
        ("replace", vec![word(&long), word("b"), word(&long)]),
        ("array_repeat", vec![int(7), int(1_000_000)]),
        ("array_resize", vec![word("list"), int(400_000)]),
        ("range", vec![int(2_000_000)]),
        ("range", vec![int(i64::MAX), int(0), int(1)]),
        ("range", vec![day(0), day(36_525), of_a_day]),
    ] {
        check(name, &arguments).unwrap();
    }
}

#[test]
fn many_long_values_are_refused_together() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["abcd"; 1_000]));
    let times: ArrayRef = Arc::new(Int64Array::from(vec![100_000; 1_000]));
    let arguments = [ColumnarValue::Array(texts), ColumnarValue::Array(times)];
    let error = limited("repeat").check(&arguments, 1_000).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("400000000 bytes for 1000 rows"), "{error}");
    limited("repeat").check(&arguments, 100).unwrap();
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
