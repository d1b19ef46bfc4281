//! Random queries over given tables and views.

use crate::expression_generator::{PRECISION_MAX, reads_column};
use crate::generator::Traits;
use crate::query::{Call, Expr, Function, JoinKind, Order, Query, SubqueryTest};
use crate::query_sql_forms::{cube_sets, rollup_sets};
use crate::random::Random;
use crate::value::Type;

/// Wider rows than this are not joined on.
const COLUMNS_MAX: usize = 8;

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
        match self.random.below(20) {
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
            18 => {
                let input = Box::new(self.node(depth - 1));
                let predicate = self.condition(&input.types(), 1);
                Query::With { input, predicate }
            }
            19 => self.unnest(depth),
            13 | 14 if !self.traits.large => {
                let input = self.node(depth - 1);
                self.over(input, false)
            }
            _ if self.traits.large => self.set_operation(depth),
            _ => self.where_subquery(depth),
        }
    }

    fn unnest(&mut self, depth: usize) -> Query {
        let input = self.node(depth - 1);
        let types = input.types();
        if types.len() >= COLUMNS_MAX {
            return input;
        }
        let first = self.random.below(types.len());
        let mut columns: Vec<usize> = (0..types.len())
            .filter(|&column| types[column] == types[first] && self.random.one_in(2))
            .collect();
        columns.push(first);
        Query::Unnest {
            input: Box::new(input),
            columns,
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
            sets = self.grouping_sets(keys.len());
        }
        Query::GroupBy {
            input,
            keys,
            sets,
            calls,
        }
    }

    fn grouping_sets(&mut self, key_count: usize) -> Vec<Vec<usize>> {
        match self.random.below(4) {
            0 => return rollup_sets(key_count),
            1 => return cube_sets(key_count),
            _ => {}
        }
        let mut sets: Vec<Vec<usize>> = Vec::new();
        for _ in 0..self.random.below(3) {
            let set = (0..key_count).filter(|_| self.random.one_in(2));
            sets.push(set.collect());
        }
        // Every key must stand in a set.
        sets.push((0..key_count).collect());
        sets
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
            Type::Float => true,
            _ => false,
        };
        let can_order = data_type != Type::Bool;
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
