//! Makes a wrong case smaller while it stays wrong in the same way.

use crate::query::{Expr, Query, SubqueryTest, WindowKind};
use crate::run::{Case, Start, Wrong, run_case};
use crate::window::{Top, TopForm, WindowCall, WindowFunction};

/// Runs that shrinking may take.
const RUNS_MAX: usize = 4_000;

/// The smallest case found, and what is wrong with it.
pub fn shrink(case: &Case, wrong: &Wrong, start: &Start<'_>) -> (Case, Wrong) {
    let mut shrinker = Shrinker {
        case: case.clone(),
        wrong: wrong.clone(),
        start,
        runs: 0,
    };
    // What comes later makes room for what came before.
    loop {
        let size_before = shrinker.case.clone();
        shrinker.drop_epochs();
        shrinker.drop_views();
        shrinker.drop_batches();
        shrinker.drop_changes();
        shrinker.simplify_queries();
        shrinker.simplify_epochs();
        if shrinker.case == size_before || shrinker.runs >= RUNS_MAX {
            return (shrinker.case, shrinker.wrong);
        }
    }
}

struct Shrinker<'a> {
    case: Case,
    wrong: Wrong,
    start: &'a Start<'a>,
    runs: usize,
}

impl Shrinker<'_> {
    /// Takes `smaller` if it is wrong in the same way.
    fn accept(&mut self, smaller: Case) -> bool {
        if self.runs >= RUNS_MAX || smaller == self.case {
            return false;
        }
        self.runs += 1;
        match run_case(&smaller, self.start) {
            Err(wrong) if wrong.kind == self.wrong.kind => {
                self.case = smaller;
                self.wrong = *wrong;
                true
            }
            _ => false,
        }
    }

    /// Tries to drop stretches of a list, long ones first.
    fn drop_stretches(&mut self, length: usize, drop: impl Fn(&mut Case, usize, usize)) {
        let mut length = length;
        let mut stretch = length;
        while stretch > 0 {
            let mut start = 0;
            while start < length {
                let end = (start + stretch).min(length);
                let mut smaller = self.case.clone();
                drop(&mut smaller, start, end);
                if self.accept(smaller) {
                    length -= end - start;
                } else {
                    start = end;
                }
            }
            stretch /= 2;
        }
    }

    fn drop_epochs(&mut self) {
        // Nothing after the epoch in which it showed matters.
        let mut smaller = self.case.clone();
        smaller.epochs.truncate(self.wrong.epoch);
        self.accept(smaller);
        self.drop_stretches(self.case.epochs.len(), |case, start, end| {
            case.epochs.drain(start..end);
        });
        // Two epochs as one.
        let mut index = 0;
        while index + 1 < self.case.epochs.len() {
            let mut smaller = self.case.clone();
            let second = smaller.epochs.remove(index + 1);
            smaller.epochs[index].batches.extend(second.batches);
            smaller.epochs[index].watermarks.extend(second.watermarks);
            if !self.accept(smaller) {
                index += 1;
            }
        }
    }

    fn drop_views(&mut self) {
        for index in (0..self.case.views.len()).rev() {
            let name = self.case.views[index].name.clone();
            if self.case.views.iter().any(|view| view.query.reads(&name)) {
                continue;
            }
            let mut smaller = self.case.clone();
            smaller.views.remove(index);
            self.accept(smaller);
        }
    }

    fn drop_batches(&mut self) {
        for epoch in 0..self.case.epochs.len() {
            let length = self.case.epochs[epoch].batches.len();
            self.drop_stretches(length, |case, start, end| {
                case.epochs[epoch].batches.drain(start..end);
            });
        }
    }

    fn drop_changes(&mut self) {
        for epoch in 0..self.case.epochs.len() {
            for batch in 0..self.case.epochs[epoch].batches.len() {
                let length = self.case.epochs[epoch].batches[batch].changes.len();
                self.drop_stretches(length, |case, start, end| {
                    let batch = &mut case.epochs[epoch].batches[batch];
                    batch.changes.drain(start..end);
                });
                for change in 0..self.case.epochs[epoch].batches[batch].changes.len() {
                    let mut smaller = self.case.clone();
                    smaller.epochs[epoch].batches[batch].changes[change].before = None;
                    self.accept(smaller);
                }
            }
        }
    }

    fn simplify_epochs(&mut self) {
        for epoch in 0..self.case.epochs.len() {
            let mut smaller = self.case.clone();
            smaller.epochs[epoch].restart_threads = None;
            self.accept(smaller);
            let mut smaller = self.case.clone();
            smaller.epochs[epoch].watermarks.clear();
            self.accept(smaller);
            if self.case.epochs[epoch].restart_threads.is_none() {
                let mut smaller = self.case.clone();
                smaller.epochs[epoch].checkpoint = false;
                self.accept(smaller);
            }
        }
        let mut smaller = self.case.clone();
        smaller.worker_threads = 1;
        self.accept(smaller);
        for ask_batch in [true, false] {
            let mut smaller = self.case.clone();
            if ask_batch {
                smaller.ask_batch = false;
            } else {
                smaller.ask_sqlite = false;
            }
            self.accept(smaller);
        }
    }

    fn simplify_queries(&mut self) {
        for index in 0..self.case.views.len() {
            let mut skipped = 0;
            loop {
                let view = &self.case.views[index];
                let is_read = self.case.views.iter().any(|v| v.query.reads(&view.name));
                let candidates = simpler(&view.query, is_read || view.emit.is_some());
                let Some(candidate) = candidates.into_iter().nth(skipped) else {
                    break;
                };
                let mut smaller = self.case.clone();
                smaller.views[index].query = candidate;
                if self.accept(smaller) {
                    skipped = 0;
                } else {
                    skipped += 1;
                }
            }
        }
    }
}

/// Queries with one piece less. If `keeps_types`, only those of the same types.
fn simpler(query: &Query, keeps_types: bool) -> Vec<Query> {
    let types = query.types();
    let mut found: Vec<Query> = query.inputs().into_iter().cloned().collect();
    match query {
        Query::Project { input, columns } => {
            for index in 0..columns.len() {
                if columns.len() > 1 {
                    let mut fewer = columns.clone();
                    fewer.remove(index);
                    found.push(Query::Project {
                        input: input.clone(),
                        columns: fewer,
                    });
                }
                for simple in simpler_expressions(&columns[index]) {
                    let mut columns = columns.clone();
                    columns[index] = simple;
                    found.push(Query::Project {
                        input: input.clone(),
                        columns,
                    });
                }
            }
        }
        Query::Filter { input, predicate } => {
            found.extend(simpler_expressions(predicate).into_iter().map(|predicate| {
                Query::Filter {
                    input: input.clone(),
                    predicate,
                }
            }));
        }
        Query::GroupBy {
            input,
            keys,
            sets,
            calls,
        } => {
            let with = |keys: Vec<Expr>, calls| Query::GroupBy {
                input: input.clone(),
                keys,
                sets: sets.clone(),
                calls,
            };
            for index in 0..sets.len() {
                let mut fewer = sets.clone();
                fewer.remove(index);
                found.push(Query::GroupBy {
                    input: input.clone(),
                    keys: keys.clone(),
                    sets: fewer,
                    calls: calls.clone(),
                });
            }
            // Sets name keys by their position.
            let droppable = if sets.is_empty() { keys.len() } else { 0 };
            for index in 0..droppable {
                let mut fewer = keys.clone();
                fewer.remove(index);
                found.push(with(fewer, calls.clone()));
            }
            for index in 0..calls.len() {
                if calls.len() > 1 {
                    let mut fewer = calls.clone();
                    fewer.remove(index);
                    found.push(with(keys.clone(), fewer));
                }
                let mut plainer = calls.clone();
                if plainer[index].filter.take().is_some() {
                    found.push(with(keys.clone(), plainer));
                }
            }
        }
        Query::Join {
            kind,
            left,
            right,
            keys,
            condition,
        } => {
            let with = |keys: Vec<(usize, usize)>, condition| Query::Join {
                kind: *kind,
                left: left.clone(),
                right: right.clone(),
                keys,
                condition,
            };
            let has_enough = keys.len() + usize::from(condition.is_some()) > 1;
            for index in 0..keys.len() {
                if has_enough {
                    let mut fewer = keys.clone();
                    fewer.remove(index);
                    found.push(with(fewer, condition.clone()));
                }
            }
            if let Some(condition) = condition {
                if has_enough {
                    found.push(with(keys.clone(), None));
                }
                for simple in simpler_expressions(condition) {
                    found.push(with(keys.clone(), Some(simple)));
                }
            }
        }
        Query::TimeWindow { input, time, kind } => {
            if let WindowKind::Session { gap, keys } = kind
                && !keys.is_empty()
            {
                found.push(Query::TimeWindow {
                    input: input.clone(),
                    time: *time,
                    kind: WindowKind::Session {
                        gap: *gap,
                        keys: vec![],
                    },
                });
            }
        }
        Query::WhereSubquery {
            or, not, negated, ..
        } => {
            let mut plainer = query.clone();
            if let Query::WhereSubquery { or, not, .. } = &mut plainer {
                (*or, *not) = (None, false);
            }
            if or.is_some() || *not {
                found.push(plainer.clone());
            }
            let condition = match &mut plainer {
                Query::WhereSubquery {
                    test: SubqueryTest::In { correlation, .. },
                    ..
                } => correlation.take().is_some(),
                Query::WhereSubquery {
                    test: SubqueryTest::Exists { condition, .. },
                    ..
                } => condition.take().is_some(),
                _ => false,
            };
            if condition {
                found.push(plainer.clone());
            }
            if let (true, Query::WhereSubquery { negated, .. }) = (*negated, &mut plainer) {
                *negated = false;
                found.push(plainer);
            }
        }
        Query::Window { input, calls } => {
            for index in 0..calls.len() {
                let with = |calls: Vec<WindowCall>| Query::Window {
                    input: input.clone(),
                    calls,
                };
                if calls.len() > 1 {
                    let mut fewer = calls.clone();
                    fewer.remove(index);
                    found.push(with(fewer));
                }
                for simple in simpler_calls(&calls[index]) {
                    let mut calls = calls.clone();
                    calls[index] = simple;
                    found.push(with(calls));
                }
            }
        }
        Query::Top { input, top } => {
            found.extend(simpler_tops(top).into_iter().map(|top| Query::Top {
                input: input.clone(),
                top,
            }));
        }
        Query::SelectScalar {
            input,
            other,
            call,
            correlation,
        } => {
            for index in 0..correlation.len() {
                let mut fewer = correlation.clone();
                fewer.remove(index);
                found.push(Query::SelectScalar {
                    input: input.clone(),
                    other: other.clone(),
                    call: call.clone(),
                    correlation: fewer,
                });
            }
        }
        Query::With { input, predicate } => {
            found.extend(
                simpler_expressions(predicate)
                    .into_iter()
                    .map(|predicate| Query::With {
                        input: input.clone(),
                        predicate,
                    }),
            );
        }
        Query::Unnest { input, columns } => {
            let fewer = shorter(columns).into_iter();
            let fewer = fewer.filter(|columns| !columns.is_empty());
            found.extend(fewer.map(|columns| Query::Unnest {
                input: input.clone(),
                columns,
            }));
        }
        Query::Scan { .. }
        | Query::Distinct { .. }
        | Query::UnionAll { .. }
        | Query::SetOperation { .. } => {}
    }
    found.retain(|candidate| !keeps_types || candidate.types() == types);
    for (index, input) in query.inputs().into_iter().enumerate() {
        for simple in simpler(input, true) {
            let mut candidate = query.clone();
            if let Some(slot) = candidate.inputs_mut().into_iter().nth(index) {
                *slot = simple;
            }
            found.push(candidate);
        }
    }
    found
}

/// The lists with one element less.
fn shorter<T: Clone>(list: &[T]) -> Vec<Vec<T>> {
    let without = |index: usize| {
        let mut list = list.to_vec();
        list.remove(index);
        list
    };
    (0..list.len()).map(without).collect()
}

fn simpler_calls(call: &WindowCall) -> Vec<WindowCall> {
    let mut found: Vec<WindowCall> = shorter(&call.partition)
        .into_iter()
        .map(|partition| WindowCall {
            partition,
            ..call.clone()
        })
        .collect();
    // ORDER BY stays: without a part of it the order could be open.
    if call.frame.is_some() {
        found.push(WindowCall {
            frame: None,
            ..call.clone()
        });
    }
    if let WindowFunction::Aggregate(aggregate) = &call.function
        && aggregate.filter.is_some()
    {
        let mut plainer = aggregate.clone();
        plainer.filter = None;
        found.push(WindowCall {
            function: WindowFunction::Aggregate(plainer),
            ..call.clone()
        });
    }
    found
}

fn simpler_tops(top: &Top) -> Vec<Top> {
    let has_partition_left = top.form != TopForm::DistinctOn || top.partition.len() > 1;
    let partitions = shorter(&top.partition).into_iter();
    partitions
        .filter(|_| has_partition_left)
        .map(|partition| Top {
            partition,
            ..top.clone()
        })
        .collect()
}

/// The parts of an expression that have its type.
fn simpler_expressions(expression: &Expr) -> Vec<Expr> {
    let parts: Vec<&Expr> = match expression {
        Expr::Column(..) | Expr::Literal(..) => vec![],
        Expr::Arithmetic(_, left, right)
        | Expr::Compare(_, left, right)
        | Expr::And(left, right)
        | Expr::Or(left, right)
        | Expr::Coalesce(left, right)
        | Expr::Concat(left, right) => vec![left, right],
        Expr::Not(input)
        | Expr::IsNull(input, _)
        | Expr::In(input, ..)
        | Expr::Upper(input)
        | Expr::Later(input, _)
        | Expr::Truncate(_, input) => {
            vec![input]
        }
        Expr::Case(condition, then, otherwise) => vec![condition, then, otherwise],
    };
    let wanted = expression.data_type();
    let fits = |part: &&Expr| part.data_type() == wanted;
    parts.into_iter().filter(fits).cloned().collect()
}
