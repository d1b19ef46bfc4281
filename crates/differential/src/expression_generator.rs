//! Random expressions over the columns of one row.

use crate::generator::{Traits, value};
use crate::query::{Arithmetic, Comparison, Expr, TimeUnit};
use crate::query_generator::QueryGenerator;
use crate::value::{Type, Value};

/// Decimals of more digits are not summed or multiplied.
pub(crate) const PRECISION_MAX: u8 = 24;

impl QueryGenerator<'_> {
    pub(crate) fn column(&mut self, types: &[Type]) -> Expr {
        let column = self.random.below(types.len());
        Expr::Column(column, types[column])
    }

    /// An expression of any type.
    pub(crate) fn expression(&mut self, types: &[Type], depth: usize) -> Expr {
        let column = self.column(types);
        if depth == 0 || self.random.one_in(3) {
            return column;
        }
        if self.random.one_in(3) {
            return self.condition(types, depth - 1);
        }
        match column.data_type() {
            Type::Float => column,
            Type::Decimal(precision, _) if precision <= PRECISION_MAX / 2 => {
                self.decimal_arithmetic(column, types)
            }
            other => self.of_type(other, types, depth),
        }
    }

    fn decimal_arithmetic(&mut self, left: Expr, types: &[Type]) -> Expr {
        let others: Vec<Expr> = types
            .iter()
            .enumerate()
            .filter(|(_, found)| matches!(found, Type::Decimal(p, _) if *p <= PRECISION_MAX / 2))
            .map(|(index, found)| Expr::Column(index, *found))
            .collect();
        let right = match self.random.pick(&others) {
            Some(other) if !self.random.one_in(3) => other.clone(),
            _ => self.literal(Type::Decimal(10, 2), false),
        };
        let operators = [Arithmetic::Add, Arithmetic::Subtract, Arithmetic::Multiply];
        let operator = match &right {
            // To an optimizer x * 0 is the 0, in its own type.
            Expr::Literal(Value::Decimal(0), _) => operators[self.random.below(2)],
            _ => operators[self.random.below(3)],
        };
        Expr::Arithmetic(operator, Box::new(left), Box::new(right))
    }

    fn literal(&mut self, data_type: Type, nullable: bool) -> Expr {
        let safe = Traits {
            extremes: false,
            ..self.traits
        };
        let constant = match value(self.random, data_type, nullable, safe) {
            Value::Float(double) if !double.number().is_finite() => Value::Null,
            other => other.canonical(),
        };
        Expr::Literal(constant, data_type)
    }

    /// An expression of one type.
    pub(crate) fn of_type(&mut self, wanted: Type, types: &[Type], depth: usize) -> Expr {
        if depth == 0 {
            let columns: Vec<Expr> = types
                .iter()
                .enumerate()
                .filter(|(_, found)| **found == wanted)
                .map(|(index, found)| Expr::Column(index, *found))
                .collect();
            return match self.random.pick(&columns) {
                Some(column) if !self.random.one_in(6) => column.clone(),
                _ => self.literal(wanted, true),
            };
        }
        if wanted == Type::Bool {
            return self.condition(types, depth);
        }
        let inner = |generator: &mut Self| Box::new(generator.of_type(wanted, types, depth - 1));
        match self.random.below(6) {
            0 => Expr::Coalesce(inner(self), inner(self)),
            1 => {
                let (then, otherwise) = (inner(self), inner(self));
                let condition = Box::new(self.condition(types, depth - 1));
                Expr::Case(condition, then, otherwise)
            }
            2 | 3 if wanted == Type::Int && !self.traits.extremes => {
                let operators = [Arithmetic::Add, Arithmetic::Subtract, Arithmetic::Multiply];
                Expr::Arithmetic(operators[self.random.below(3)], inner(self), inner(self))
            }
            4 if wanted == Type::Int && !self.traits.extremes => {
                let operators = [Arithmetic::Divide, Arithmetic::Modulo];
                let divisor = Expr::Literal(Value::Int(self.random.between(2, 5)), Type::Int);
                Expr::Arithmetic(
                    operators[self.random.below(2)],
                    inner(self),
                    Box::new(divisor),
                )
            }
            2 if wanted == Type::Timestamp => {
                Expr::Later(inner(self), self.random.between(-4_000, 4_000))
            }
            3 | 4 if wanted == Type::Timestamp => {
                let units = [
                    TimeUnit::Second,
                    TimeUnit::Minute,
                    TimeUnit::Hour,
                    TimeUnit::Day,
                ];
                Expr::Truncate(units[self.random.below(4)], inner(self))
            }
            2 if wanted == Type::Text => Expr::Concat(inner(self), inner(self)),
            3 if wanted == Type::Text => {
                // SQLite's upper() knows ASCII only, so other letters stay out.
                let letters = ["a", "b", "aB"];
                let text = letters[self.random.below(3)].to_owned();
                let text = Expr::Literal(Value::Text(text), Type::Text);
                let condition = Box::new(self.condition(types, 0));
                let null = Expr::Literal(Value::Null, Type::Text);
                let chosen = Expr::Case(condition, Box::new(text), Box::new(null));
                Expr::Upper(Box::new(chosen))
            }
            _ => self.of_type(wanted, types, 0),
        }
    }

    /// An expression of truth.
    pub(crate) fn condition(&mut self, types: &[Type], depth: usize) -> Expr {
        if depth > 0 && self.random.one_in(2) {
            let left = Box::new(self.condition(types, depth - 1));
            if self.random.one_in(5) {
                return Expr::Not(left);
            }
            let right = Box::new(self.condition(types, depth - 1));
            return if self.random.one_in(2) {
                Expr::And(left, right)
            } else {
                Expr::Or(left, right)
            };
        }
        let column = self.column(types);
        let data_type = column.data_type();
        let column = Box::new(column);
        match self.random.below(8) {
            0 => Expr::IsNull(column, self.random.one_in(2)),
            1 | 2 if data_type == Type::Bool => *column,
            1 | 2 if can_be_listed(data_type) => {
                // Longer lists than the planner writes as equalities, too.
                let count = 1 + self.random.below(6);
                let list = (0..count).map(|_| self.literal(data_type, false)).collect();
                Expr::In(column, list, self.random.one_in(3))
            }
            _ => {
                let comparisons = [
                    Comparison::Equal,
                    Comparison::NotEqual,
                    Comparison::Less,
                    Comparison::LessOrEqual,
                    Comparison::Greater,
                    Comparison::GreaterOrEqual,
                ];
                let comparison = comparisons[self.random.below(6)];
                let other = Box::new(self.of_type(data_type, types, 0));
                Expr::Compare(comparison, column, other)
            }
        }
    }

    pub(crate) fn failing_expression(&mut self, types: &[Type], depth: usize) -> Expr {
        let column = self.column(types);
        if depth == 0 || column.data_type() != Type::Int {
            return column;
        }
        let operators = [
            Arithmetic::Add,
            Arithmetic::Subtract,
            Arithmetic::Multiply,
            Arithmetic::Divide,
            Arithmetic::Modulo,
        ];
        let operator = operators[self.random.below(5)];
        let right = match self.failing_expression(types, depth - 1) {
            // A column divided by itself is 1 to an optimizer, also if it is 0.
            other if other.data_type() == Type::Int && other != column => other,
            _ => Expr::Literal(Value::Int(3), Type::Int),
        };
        Expr::Arithmetic(operator, Box::new(column), Box::new(right))
    }
}

/// Literals of these types are exact, and never null where they must not be.
fn can_be_listed(data_type: Type) -> bool {
    match data_type {
        Type::Decimal(precision, _) => precision <= 20,
        other => other != Type::Float,
    }
}

pub(crate) fn reads_column(expression: &Expr) -> bool {
    match expression {
        Expr::Column(..) => true,
        Expr::Literal(..) => false,
        Expr::Arithmetic(_, left, right)
        | Expr::Compare(_, left, right)
        | Expr::And(left, right)
        | Expr::Or(left, right)
        | Expr::Coalesce(left, right)
        | Expr::Concat(left, right) => reads_column(left) || reads_column(right),
        Expr::Not(input)
        | Expr::IsNull(input, _)
        | Expr::In(input, ..)
        | Expr::Upper(input)
        | Expr::Later(input, _)
        | Expr::Truncate(_, input) => reads_column(input),
        Expr::Case(condition, then, otherwise) => {
            reads_column(condition) || reads_column(then) || reads_column(otherwise)
        }
    }
}
