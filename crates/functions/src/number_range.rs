//! Numbers for which a function has no answer are errors, as in PostgreSQL: DataFusion
//! answers NaN or Infinity, which go on into sums and averages.
//!
//! | call | DataFusion | PostgreSQL, and here |
//! |---|---|---|
//! | `ln(0)`, `log(-1)`, `log(0, 8)` | -Infinity, NaN | an error (2201E) |
//! | `log(1, 8)` | Infinity | division by zero |
//! | `power(-8, 0.5)` | NaN | an error (2201F) |
//! | `exp(1000)`, `power(10, 400)` | Infinity | an error (22003) |
//! | `asin(2)`, `acosh(0)`, `cos('Infinity')` | NaN | an error (22003) |
//!
//! NaN and Infinity that a row has go through, as there. An answer too small for a
//! double is 0, as that of a `numeric` is there.

use arrow::array::{Array, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::lt_eq;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err};
use datafusion::logical_expr::ColumnarValue;

/// For which numbers a function has an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum NumberRange {
    /// Numbers above zero; a base is not one.
    Logarithm,
    /// A negative number has whole powers only.
    Power,
    /// Finite numbers have a finite answer.
    FiniteAnswer,
    /// Finite numbers.
    Finite,
    /// From -1 to 1.
    UpToOne,
    /// From 1.
    FromOne,
}

impl NumberRange {
    /// Whether the function has an answer for these arguments.
    ///
    /// # Errors
    /// When it has none for some row.
    pub(crate) fn check_arguments(self, name: &str, arguments: &[ColumnarValue]) -> Result<()> {
        match self {
            Self::Logarithm => {
                arguments.iter().try_for_each(check_positive)?;
                match arguments {
                    [base, _] => check_base(base),
                    _ => Ok(()),
                }
            }
            Self::Power | Self::FiniteAnswer => Ok(()),
            Self::Finite => check_each(name, arguments, "finite numbers", |number| {
                !number.is_infinite()
            }),
            Self::UpToOne => check_each(name, arguments, "numbers from -1 to 1", |number| {
                number.is_nan() || number.abs() <= 1.0
            }),
            Self::FromOne => check_each(name, arguments, "numbers from 1", |number| {
                number.is_nan() || number >= 1.0
            }),
        }
    }

    /// Whether what the function has answered is an answer.
    ///
    /// # Errors
    /// When it is none for some row.
    pub(crate) fn check_answer(
        self,
        name: &str,
        arguments: &[ColumnarValue],
        answer: &ColumnarValue,
    ) -> Result<()> {
        if !matches!(self, Self::Power | Self::FiniteAnswer) {
            return Ok(());
        }
        let mut values = arguments.to_vec();
        values.push(answer.clone());
        let columns = ColumnarValue::values_to_arrays(&values)?;
        let columns = columns.iter().map(|column| floats(column));
        let columns = columns.collect::<Result<Vec<Float64Array>>>()?;
        let Some((answers, numbers)) = columns.split_last() else {
            return Ok(());
        };
        if self == Self::Power
            && let [bases, exponents] = numbers
        {
            check_whole_powers(bases, exponents)?;
        }
        let are_finite = |row: usize| {
            let mut numbers = numbers.iter();
            numbers.all(|numbers| numbers.is_valid(row) && numbers.value(row).is_finite())
        };
        let is_beyond = |row: usize| answers.is_valid(row) && answers.value(row).is_infinite();
        match (0..answers.len()).any(|row| is_beyond(row) && are_finite(row)) {
            true => exec_err!(
                "value out of range: what {name} answers is too large for a DOUBLE: leave such numbers out"
            ),
            false => Ok(()),
        }
    }
}

/// A column of numbers as doubles.
fn floats(numbers: &dyn Array) -> Result<Float64Array> {
    let numbers = cast(numbers, &DataType::Float64)?;
    Ok(numbers.as_primitive::<Float64Type>().clone())
}

fn check_positive(number: &ColumnarValue) -> Result<()> {
    let data_type = number.data_type();
    if data_type.is_null() {
        return Ok(());
    }
    let zero = ScalarValue::new_zero(&data_type)?.to_scalar()?;
    let without_logarithm = lt_eq(&number.to_array(1)?, &zero)?;
    match without_logarithm.true_count() {
        0 => Ok(()),
        _ => exec_err!(
            "cannot take a logarithm of zero or of a negative number: leave such numbers out, as in CASE WHEN x > 0 THEN ln(x) END"
        ),
    }
}

/// To the base 1 nothing has a logarithm: it would be divided by that of the base.
fn check_base(base: &ColumnarValue) -> Result<()> {
    if base.data_type().is_null() {
        return Ok(());
    }
    let bases = floats(&base.to_array(1)?)?;
    match bases.iter().flatten().any(|base| base == 1.0) {
        true => Err(DataFusionError::from(ArrowError::DivideByZero)),
        false => Ok(()),
    }
}

fn check_each(
    name: &str,
    arguments: &[ColumnarValue],
    known: &str,
    has_answer: impl Fn(f64) -> bool,
) -> Result<()> {
    for argument in arguments {
        let numbers = floats(&argument.to_array(1)?)?;
        if !numbers.iter().flatten().all(&has_answer) {
            return exec_err!("input is out of range: {name} takes {known}");
        }
    }
    Ok(())
}

fn check_whole_powers(bases: &Float64Array, exponents: &Float64Array) -> Result<()> {
    let mut pairs = bases.iter().zip(exponents);
    let is_complex = |(base, exponent): (Option<f64>, Option<f64>)| match (base, exponent) {
        (Some(base), Some(exponent)) => {
            base < 0.0 && !exponent.is_nan() && exponent.floor() != exponent
        }
        _ => false,
    };
    match pairs.any(is_complex) {
        true => exec_err!(
            "a negative number raised to a non-integer power yields a complex result: leave such numbers out, as in CASE WHEN x >= 0 THEN power(x, 0.5) END"
        ),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn column(numbers: &[Option<f64>]) -> ColumnarValue {
        ColumnarValue::Array(Arc::new(Float64Array::from(numbers.to_vec())))
    }

    fn one(number: f64) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::from(number))
    }

    #[test]
    fn numbers_without_an_answer_are_errors() {
        let infinite = f64::INFINITY;
        for (range, good, bad) in [
            (NumberRange::Logarithm, vec![1.0, f64::NAN], vec![0.0, -1.0]),
            (NumberRange::Finite, vec![1e300, f64::NAN], vec![infinite]),
            (
                NumberRange::UpToOne,
                vec![-1.0, 1.0, f64::NAN],
                vec![1.5, -infinite],
            ),
            (
                NumberRange::FromOne,
                vec![1.0, infinite],
                vec![0.5, -infinite],
            ),
        ] {
            for number in good {
                let numbers = column(&[Some(number), None]);
                assert!(
                    range.check_arguments("f", &[numbers]).is_ok(),
                    "{range:?} {number}"
                );
            }
            for number in bad {
                let numbers = column(&[Some(1.0), None, Some(number)]);
                let error = range.check_arguments("f", &[numbers]);
                assert!(error.is_err(), "{range:?} {number}");
                assert!(range.check_arguments("f", &[one(number)]).is_err());
            }
        }
    }

    #[test]
    fn a_base_is_not_one() {
        let check = |base: f64| {
            let arguments = [one(base), column(&[Some(8.0), None])];
            NumberRange::Logarithm.check_arguments("log", &arguments)
        };
        assert!(check(2.0).is_ok());
        let problem = check(1.0).unwrap_err().to_string();
        assert!(problem.contains("Divide by zero"), "{problem}");
        let problem = check(0.0).unwrap_err().to_string();
        assert!(problem.contains("cannot take a logarithm"), "{problem}");
    }

    #[test]
    fn powers_of_negative_numbers_are_whole() {
        let infinite = f64::INFINITY;
        for (base, exponent, answer, problem) in [
            (Some(-8.0), Some(3.0), Some(-512.0), None),
            (
                Some(-8.0),
                Some(0.5),
                Some(f64::NAN),
                Some("complex result"),
            ),
            (Some(-8.0), Some(f64::NAN), Some(f64::NAN), None),
            (Some(-8.0), None, None, None),
            (
                Some(10.0),
                Some(400.0),
                Some(infinite),
                Some("out of range"),
            ),
            (Some(infinite), Some(2.0), Some(infinite), None),
            (Some(10.0), Some(-400.0), Some(0.0), None),
        ] {
            let arguments = [column(&[Some(1.0), base]), column(&[Some(1.0), exponent])];
            let answers = column(&[Some(1.0), answer]);
            let checked = NumberRange::Power.check_answer("power", &arguments, &answers);
            match problem {
                None => assert!(checked.is_ok(), "{base:?} {exponent:?}"),
                Some(words) => {
                    let found = checked.unwrap_err().to_string();
                    assert!(found.contains(words), "{found}");
                }
            }
        }
    }

    #[test]
    fn a_finite_number_has_a_finite_answer() {
        let check = |number: f64, answer: f64| {
            NumberRange::FiniteAnswer.check_answer("exp", &[one(number)], &one(answer))
        };
        assert!(check(1.0, 1.0_f64.exp()).is_ok());
        assert!(check(f64::INFINITY, f64::INFINITY).is_ok());
        assert!(check(1000.0, f64::INFINITY).is_err());
    }
}
