//! Integers that do not fit are errors, as they are in models and in PostgreSQL;
//! DataFusion would go on with the 64 bits that are left.

mod arithmetic;
mod sum;

pub(crate) use self::arithmetic::CheckedIntegers;
pub(crate) use self::sum::checked_sum;
