//! Random queries over given tables and views.

use crate::generator::{Traits, value};
use crate::query::{
    Arithmetic, Call, Comparison, Expr, Function, JoinKind, Order, Query, SubqueryTest,
};
use crate::random::Random;
use crate::value::{Type, Value};

/// Wider rows than this are not joined on.
const COLUMNS_MAX: usize = 8;
/// Decimals of more digits are not summed or multiplied.
const PRECISION_MAX: u8 = 24;

/// Makes one query.
pub struct QueryGenerator<'a> {
    /// Where chance comes from.
    pub random: &'a mut Random,
    /// What can be read: name and types; tables come first.
    pub known: &'a [(String, Vec<Type>)],
    /// How many of them are tables.
    pub table_count: usize,
    /// What may occur.
    pub traits: Traits,
}

impl QueryGenerator<'_> {
    /// A query of one to four operators.
    pub fn query(&mut self) -> Query {
        let depth = 1 + self.random.below(3);
        if !self.traits.large && self.random.one_in(4) {
            let input = self.node(depth - 1);
            return self.over(input, true);
        }
        self.node(depth)
    }

    fn node(&mut self, depth: usize) -> Query {
        if depth == 0 {
            return self.scan();
        }
        match self.random.below(18) {
            0 | 1 => {
                let input = Box::new(self.node(depth - 1));
                let types = input.types();
                let predicate = self.condition(&types, 2);
                Query::Filter { input, predicate }
            }
            2 | 3 => {
                let input = Box::new(self.node(depth - 1));
                let types = input.types();
                let count = 1 + self.random.below(4);
                let columns = (0..count).map(|_| self.expression(&types, 2)).collect();
                Query::Project { input, columns }
            }
            4..=6 if !self.traits.large => self.join(depth),
            7..=9 => self.group_by(depth),
            10 => Query::Distinct {
                input: Box::new(self.node(depth - 1)),
            },
            11 | 12 => self.set_operation(depth),
            13 | 14 if !self.traits.large => {
                let input = self.node(depth - 1);
                self.over(input, false)
            }
            _ if self.traits.large => self.set_operation(depth),
            _ => self.where_subquery(depth),
        }
    }

    fn scan(&mut self) -> Query {
        let (name, types) = &self.known[self.random.below(self.known.len())];
        Query::Scan {
            name: name.clone(),
            types: types.clone(),
        }
    }

    fn join(&mut self, depth: usize) -> Query {
        let left = self.node(depth - 1);
        let right = {
            let depth = self.random.below(depth);
            self.node(depth)
        };
        let (left_types, right_types) = (left.types(), right.types());
        if left_types.len() + right_types.len() > COLUMNS_MAX {
            return left;
        }
        let mut pairs = equal_types(&left_types, &right_types);
        self.random.shuffle(&mut pairs);
        let key_count = if self.random.one_in(12) {
            0
        } else {
            1 + usize::from(self.random.one_in(4))
        };
        pairs.truncate(key_count);
        let both = [left_types, right_types].concat();
        let needs_condition = pairs.is_empty() || self.random.one_in(3);
        let condition = needs_condition.then(|| self.condition(&both, 1));
        let kind = match self.random.below(6) {
            0 | 1 => JoinKind::Inner,
            2 => JoinKind::Left,
            3 => JoinKind::Right,
            _ => JoinKind::Full,
        };
        Query::Join {
            kind,
            left: Box::new(left),
            right: Box::new(right),
            keys: pairs,
            condition,
        }
    }

    fn group_by(&mut self, depth: usize) -> Query {
        let input = Box::new(self.node(depth - 1));
        let types = input.types();
        let mut keys = Vec::new();
        for _ in 0..self.random.below(3) {
            let key = match self.random.below(4) {
                0 => self.expression(&types, 1),
                _ => self.column(&types),
            };
            // A constant key would be read as the number of a column.
            if reads_column(&key) && !keys.contains(&key) {
                keys.push(key);
            }
        }
        let call_count = 1 + self.random.below(3);
        let calls = (0..call_count).map(|_| self.call(&types)).collect();
        let mut sets: Vec<Vec<usize>> = Vec::new();
        let only_columns = keys.iter().all(|key| matches!(key, Expr::Column(..)));
        if !keys.is_empty() && only_columns && self.random.one_in(4) {
            for _ in 0..self.random.below(3) {
                let set = (0..keys.len()).filter(|_| self.random.one_in(2));
                sets.push(set.collect());
            }
            // Every key must stand in a set.
            sets.push((0..keys.len()).collect());
        }
        Query::GroupBy {
            input,
            keys,
            sets,
            calls,
        }
    }

    fn order(&mut self, key: Expr) -> Order {
        Order {
            key,
            descending: self.random.one_in(2),
            nulls_first: self.random.one_in(2),
        }
    }

    pub(crate) fn call(&mut self, types: &[Type]) -> Call {
        let filter = self.random.one_in(4).then(|| self.condition(types, 1));
        let argument = if self.random.one_in(4) {
            self.expression(types, 1)
        } else {
            self.column(types)
        };
        let data_type = argument.data_type();
        let can_sum = match data_type {
            Type::Int => !self.traits.extremes,
            Type::Decimal(precision, _) => precision <= PRECISION_MAX,
            _ => false,
        };
        let can_order = !matches!(data_type, Type::Bool | Type::Float);
        let is_small = data_type == Type::Int && !self.traits.extremes;
        let mut order = None;
        let (function, argument) = match self.random.below(12) {
            0 => (Function::Count, None),
            1 => (Function::Count, Some(argument)),
            2 if can_sum => (Function::Sum, Some(argument)),
            3 if can_sum => (Function::Average, Some(argument)),
            4 if can_order => (Function::Min, Some(argument)),
            5 if can_order => (Function::Max, Some(argument)),
            6 if data_type == Type::Bool => (Function::BoolAnd, Some(argument)),
            7 if data_type == Type::Bool => (Function::BoolOr, Some(argument)),
            6 if data_type == Type::Int => (Function::BitAnd, Some(argument)),
            7 if data_type == Type::Int => (Function::BitOr, Some(argument)),
            8 if data_type == Type::Int => (Function::BitXor, Some(argument)),
            6 | 7 if data_type == Type::Text => {
                order = Some(self.order(argument.clone()));
                (Function::StringAgg, Some(argument))
            }
            9 if is_small => (Function::Median, Some(argument)),
            10 | 11 => {
                let key = self.column(types);
                if key.data_type() != Type::Float && data_type != Type::Float {
                    order = Some(self.order(key));
                }
                match order {
                    Some(_) if self.random.one_in(2) => (Function::First, Some(argument)),
                    Some(_) => (Function::Last, Some(argument)),
                    None => (Function::Count, Some(argument)),
                }
            }
            _ => (Function::Count, Some(argument)),
        };
        let can_be_distinct =
            argument.is_some() && (order.is_none() || function == Function::StringAgg);
        Call {
            function,
            distinct: can_be_distinct && self.random.one_in(4),
            argument,
            order,
            filter,
        }
    }

    /// IN, EXISTS and their negations, alone or below OR and NOT.
    fn where_subquery(&mut self, depth: usize) -> Query {
        let input = self.node(depth - 1);
        let other = {
            let depth = self.random.below(depth);
            self.node(depth)
        };
        let (types, other_types) = (input.types(), other.types());
        let mut pairs = equal_types(&types, &other_types);
        self.random.shuffle(&mut pairs);
        if self.random.one_in(4) && types.len() < COLUMNS_MAX {
            let correlation_width = self.random.below(3);
            pairs.truncate(correlation_width);
            return Query::SelectScalar {
                input: Box::new(input),
                call: self.call(&other_types),
                other: Box::new(other),
                correlation: pairs,
            };
        }
        let selects = self.random.one_in(5) && types.len() < COLUMNS_MAX;
        let test = match pairs[..] {
            [pair, ..] if self.random.one_in(2) => SubqueryTest::In {
                pair,
                correlation: match pairs.get(1) {
                    Some(&second) if self.random.one_in(3) => Some(second),
                    _ => None,
                },
            },
            _ => {
                let key_count = self.random.below(3);
                pairs.truncate(key_count);
                let both = [types.clone(), other_types].concat();
                // A count, which the SELECT list makes of it, knows equality only.
                let has_condition = !selects && self.random.one_in(3);
                let condition = has_condition.then(|| self.condition(&both, 1));
                SubqueryTest::Exists {
                    keys: pairs,
                    condition,
                }
            }
        };
        let or = self.random.one_in(3).then(|| self.condition(&types, 1));
        Query::WhereSubquery {
            selects,
            input: Box::new(input),
            other: Box::new(other),
            test,
            negated: self.random.one_in(2),
            not: self.random.one_in(6),
            or,
        }
    }

    /// UNION ALL, INTERSECT or EXCEPT.
    fn set_operation(&mut self, depth: usize) -> Query {
        match self.union_all(depth) {
            Query::UnionAll { left, right } if self.random.one_in(2) => Query::SetOperation {
                is_except: self.random.one_in(2),
                left,
                right,
            },
            other => other,
        }
    }

    fn union_all(&mut self, depth: usize) -> Query {
        let left = self.node(depth - 1);
        let right = {
            let depth = self.random.below(depth);
            self.node(depth)
        };
        let types = left.types();
        let right_types = right.types();
        if types == right_types {
            return Query::UnionAll {
                left: Box::new(left),
                right: Box::new(right),
            };
        }
        if types.contains(&Type::Float) {
            return left;
        }
        let columns = types
            .iter()
            .map(|data_type| self.of_type(*data_type, &right_types, 0))
            .collect();
        let right = Query::Project {
            input: Box::new(right),
            columns,
        };
        Query::UnionAll {
            left: Box::new(left),
            right: Box::new(right),
        }
    }

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
        Expr::Literal(value(self.random, data_type, nullable, safe), data_type)
    }

    /// An expression of one type.
    fn of_type(&mut self, wanted: Type, types: &[Type], depth: usize) -> Expr {
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
            _ if data_type == Type::Float => Expr::IsNull(column, self.random.one_in(2)),
            1 | 2 if data_type == Type::Bool => *column,
            1 | 2 if !matches!(data_type, Type::Decimal(precision, _) if precision > 20) => {
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

    /// One operator over a table, in which rows or groups can fail.
    pub fn failing_query(&mut self) -> Query {
        let (name, types) = &self.known[self.random.below(self.table_count)];
        let types = types.clone();
        let input = Box::new(Query::Scan {
            name: name.clone(),
            types: types.clone(),
        });
        if self.random.one_in(3) {
            return self.failing_over(*input);
        }
        if self.random.one_in(2) {
            let count = 1 + self.random.below(3);
            let columns = (0..count)
                .map(|_| self.failing_expression(&types, 2))
                .collect();
            return Query::Project { input, columns };
        }
        let ints: Vec<usize> = (0..types.len())
            .filter(|&column| types[column] == Type::Int)
            .collect();
        let mut calls = vec![Call {
            function: Function::Count,
            argument: None,
            distinct: false,
            order: None,
            filter: None,
        }];
        if let Some(&column) = self.random.pick(&ints) {
            let argument = Expr::Column(column, Type::Int);
            calls.push(Call {
                function: Function::Sum,
                argument: Some(argument),
                distinct: self.random.one_in(3),
                order: None,
                filter: None,
            });
        }
        let keys = match self.random.below(3) {
            0 => vec![],
            1 => vec![self.column(&types)],
            _ => vec![self.failing_expression(&types, 1)],
        };
        Query::GroupBy {
            input,
            keys,
            sets: vec![],
            calls,
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

/// Pairs of columns (left, right) that can be compared.
fn equal_types(left: &[Type], right: &[Type]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (left_column, left_type) in left.iter().enumerate() {
        for (right_column, right_type) in right.iter().enumerate() {
            if left_type == right_type && *left_type != Type::Float {
                pairs.push((left_column, right_column));
            }
        }
    }
    pairs
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
        | Expr::Later(input, _) => reads_column(input),
        Expr::Case(condition, then, otherwise) => {
            reads_column(condition) || reads_column(then) || reads_column(otherwise)
        }
    }
}
