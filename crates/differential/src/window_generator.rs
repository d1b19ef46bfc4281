//! Random window functions, and random first rows in some order.
//!
//! Where ORDER BY leaves rows equal, the engine orders them by the columns that
//! the view reads. Which these are is plain only at the outside of a view, and
//! other databases take any order. So elsewhere ORDER BY names all columns, or
//! the functions are such that equal rows get equal results.

use crate::expression_generator::reads_column;
use crate::query::{Call, Expr, Function, Query};
use crate::query_generator::QueryGenerator;
use crate::value::{Type, Value};
use crate::window::{Bound, Frame, FrameUnit, SortKey, Top, TopForm, WindowCall, WindowFunction};

/// PARTITION BY and ORDER BY.
#[derive(Clone)]
struct Over {
    partition: Vec<Expr>,
    order: Vec<SortKey>,
    /// Whether the place of every row is settled.
    is_total: bool,
}

impl QueryGenerator<'_> {
    /// Window functions or first rows over `input`. `is_outermost` tells
    /// whether the result is the view itself.
    pub(crate) fn over(&mut self, input: Query, is_outermost: bool) -> Query {
        let may_tie = is_outermost && self.traits.ties;
        if self.random.one_in(2) {
            self.top(input, may_tie)
        } else {
            self.window(input, may_tie)
        }
    }

    /// Over a table, with keys and sums that can fail.
    pub(crate) fn failing_over(&mut self, input: Query) -> Query {
        let types = input.types();
        let key = self.failing_expression(&types, 1);
        let key = self.sort_key(key);
        let mut over = Over {
            partition: vec![self.column(&types)],
            order: vec![key],
            is_total: true,
        };
        complete(&mut over.order, &types);
        if self.random.one_in(2) {
            let top = Top {
                form: TopForm::RowNumber,
                partition: over.partition,
                order: over.order,
                first: 1,
                last: 1 + self.random.below(3) as i64,
                with_number: self.random.one_in(2),
            };
            return Query::Top {
                input: Box::new(input),
                top,
            };
        }
        let value = self.failing_expression(&types, 1);
        let function = match value.data_type() {
            Type::Int => WindowFunction::Aggregate(Call {
                function: Function::Sum,
                argument: Some(value),
                distinct: false,
                order: None,
                filter: None,
            }),
            _ => WindowFunction::First(value),
        };
        let frame = Some(self.frame(FrameUnit::Rows));
        Query::Window {
            input: Box::new(input),
            calls: vec![WindowCall {
                function,
                partition: over.partition,
                order: over.order,
                frame,
            }],
        }
    }

    fn sort_key(&mut self, expression: Expr) -> SortKey {
        SortKey {
            expression,
            descending: self.random.one_in(2),
            nulls_first: self.random.one_in(2),
        }
    }

    /// A column, or now and then an expression that reads one.
    fn key(&mut self, types: &[Type]) -> Expr {
        if self.random.one_in(5) {
            let expression = self.expression(types, 1);
            if reads_column(&expression) {
                return expression;
            }
        }
        self.column(types)
    }

    fn new_over(&mut self, types: &[Type], is_total: bool, may_tie: bool) -> Over {
        let partition = (0..self.random.below(3)).map(|_| self.key(types)).collect();
        let mut order = Vec::new();
        for _ in 0..self.random.below(3) {
            let key = self.key(types);
            order.push(self.sort_key(key));
        }
        if is_total && !may_tie {
            complete(&mut order, types);
        }
        Over {
            partition,
            order,
            is_total,
        }
    }

    fn top(&mut self, input: Query, may_tie: bool) -> Query {
        let types = input.types();
        let form = match self.random.below(6) {
            0 => TopForm::Limit,
            1 => TopForm::DistinctOn,
            2 => TopForm::Rank,
            3 => TopForm::DenseRank,
            _ => TopForm::RowNumber,
        };
        let is_rank = matches!(form, TopForm::Rank | TopForm::DenseRank);
        let may_tie = may_tie && self.random.one_in(2);
        let mut over = self.new_over(&types, !is_rank, may_tie);
        if over.order.is_empty() {
            let key = self.column(&types);
            over.order.push(self.sort_key(key));
        }
        match form {
            TopForm::Limit => over.partition.clear(),
            // DataFusion's own DISTINCT ON fails on a key that comes twice.
            TopForm::DistinctOn => over.partition = vec![self.key(&types)],
            _ => {}
        }
        let first = if self.random.one_in(3) {
            1 + self.random.below(3) as i64
        } else {
            1
        };
        let last = first - i64::from(self.random.one_in(20)) + self.random.below(4) as i64;
        let is_first_row = form == TopForm::DistinctOn;
        let can_number = !matches!(form, TopForm::Limit | TopForm::DistinctOn);
        Query::Top {
            input: Box::new(input),
            top: Top {
                form,
                partition: over.partition,
                order: over.order,
                first: if is_first_row { 1 } else { first },
                last: if is_first_row { 1 } else { last },
                with_number: can_number && self.random.one_in(2),
            },
        }
    }

    fn window(&mut self, input: Query, may_tie: bool) -> Query {
        let types = input.types();
        let is_total = self.random.one_in(2);
        let may_tie = may_tie && self.random.one_in(2);
        let mut over = self.new_over(&types, is_total, may_tie);
        let mut calls = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            // Equal rows that two orders put apart could be paired either way.
            if !is_total && self.random.one_in(2) {
                over = self.new_over(&types, false, false);
            }
            calls.push(self.window_call(&types, &over));
        }
        Query::Window {
            input: Box::new(input),
            calls,
        }
    }

    fn window_call(&mut self, types: &[Type], over: &Over) -> WindowCall {
        let function = self.window_function(types, over.is_total);
        let takes_frame = matches!(
            function,
            WindowFunction::Aggregate(_)
                | WindowFunction::First(_)
                | WindowFunction::Last(_)
                | WindowFunction::Nth(..)
        );
        let mut units = vec![FrameUnit::Range];
        if over.is_total {
            units.push(FrameUnit::Rows);
        }
        if !over.order.is_empty() {
            units.push(FrameUnit::Groups);
        }
        let unit = units[self.random.below(units.len())];
        let mut frame = self.frame(unit);
        let orders_by_int = over.order.len() == 1
            && over.order[0].expression.data_type() == Type::Int
            && !self.traits.extremes;
        if unit == FrameUnit::Range && !orders_by_int {
            frame = Frame {
                unit,
                start: without_count(frame.start),
                end: without_count(frame.end),
            };
        }
        let has_frame = takes_frame && !self.random.one_in(3);
        WindowCall {
            function,
            partition: over.partition.clone(),
            order: over.order.clone(),
            frame: has_frame.then_some(frame),
        }
    }

    fn window_function(&mut self, types: &[Type], is_total: bool) -> WindowFunction {
        let aggregate = |generator: &mut Self| {
            let mut call = generator.call(types);
            call.distinct = false;
            let is_plain = matches!(
                call.function,
                Function::Count | Function::Sum | Function::Average | Function::Min | Function::Max
            );
            if !is_plain {
                (call.function, call.order) = (Function::Count, None);
            }
            WindowFunction::Aggregate(call)
        };
        let choices = if is_total { 14 } else { 8 };
        match self.random.below(choices) {
            0 => WindowFunction::Rank,
            1 => WindowFunction::DenseRank,
            2 => WindowFunction::PercentRank,
            3 => WindowFunction::CumeDist,
            4..=7 => aggregate(self),
            8 => WindowFunction::RowNumber,
            9 => WindowFunction::Ntile(1 + self.random.below(4) as i64),
            10 | 11 => {
                let value = self.key(types);
                let data_type = value.data_type();
                let has_default =
                    self.random.one_in(3) && matches!(data_type, Type::Int | Type::Text);
                let default = match data_type {
                    Type::Int => Value::Int(self.random.between(-2, 2)),
                    _ => Value::Text("none".into()),
                };
                let otherwise = has_default.then_some(Expr::Literal(default, data_type));
                WindowFunction::Lag(value, self.random.between(-2, 2), otherwise)
            }
            12 => {
                let value = self.key(types);
                match self.random.below(3) {
                    0 => WindowFunction::First(value),
                    1 => WindowFunction::Last(value),
                    _ => WindowFunction::Nth(value, 1 + self.random.below(3) as i64),
                }
            }
            _ => aggregate(self),
        }
    }

    /// A frame that does not end before it starts.
    fn frame(&mut self, unit: FrameUnit) -> Frame {
        let bounds = [
            Bound::UnboundedPreceding,
            Bound::Preceding(2),
            Bound::Preceding(1),
            Bound::CurrentRow,
            Bound::Following(1),
            Bound::Following(2),
            Bound::UnboundedFollowing,
        ];
        let start = self.random.below(6);
        let end = start.max(1) + self.random.below(7 - start.max(1));
        Frame {
            unit,
            start: bounds[start],
            end: bounds[end],
        }
    }
}

/// Adds the columns that are not ordered by yet.
fn complete(order: &mut Vec<SortKey>, types: &[Type]) {
    for (column, data_type) in types.iter().enumerate() {
        let expression = Expr::Column(column, *data_type);
        if !order.iter().any(|key| key.expression == expression) {
            order.push(SortKey {
                expression,
                descending: false,
                nulls_first: true,
            });
        }
    }
}

fn without_count(bound: Bound) -> Bound {
    match bound {
        Bound::Preceding(_) | Bound::Following(_) => Bound::CurrentRow,
        other => other,
    }
}
