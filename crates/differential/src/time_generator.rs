//! Windows of time, watermarks and EMIT ON WINDOW CLOSE, added to some cases:
//! two logs with event time, a changelog with times, and views over them and
//! over what the case holds already.

use crate::generator::{Traits, value};
use crate::query::{Comparison, Expr, FIRST_MOMENT, JoinKind, Query, View, WindowKind};
use crate::query_generator::QueryGenerator;
use crate::random::Random;
use crate::run::Case;
use crate::stream::{Batch, Change, Table};
use crate::value::{Row, Type, Value};

const SECOND: i64 = 1_000_000;
/// So far, in seconds, do event times of an epoch stand before the watermark.
const AHEAD: i64 = 10;

/// Adds time to a case, if the seed says so: tables and views by the seed,
/// changes by the chance of the history.
pub fn add_time(seed: u64, of_history: &mut Random, case: &mut Case, traits: Traits) {
    // Chance of its own, so that the rest of the case is as without time.
    let mut random = Random::new(seed ^ 0x7135_1e55_0000_0000);
    if traits.large || !random.one_in(2) {
        return;
    }
    let first_table = case.tables.len();
    let mut generator = TimeGenerator {
        random: &mut random,
        first_table,
        traits,
    };
    // The other oracles know no windows.
    case.ask_batch = false;
    case.ask_sqlite = false;
    case.tables.extend(generator.tables());
    generator.add_views(case);
    let mut changes = TimeGenerator {
        random: of_history,
        first_table,
        traits,
    };
    changes.add_changes(case);
}

struct TimeGenerator<'a> {
    random: &'a mut Random,
    /// Position of the first table of three: two logs, then a changelog.
    first_table: usize,
    traits: Traits,
}

impl TimeGenerator<'_> {
    fn tables(&mut self) -> Vec<Table> {
        let log = |name: &str| Table {
            name: name.to_owned(),
            columns: vec![
                (Type::Timestamp, false),
                (Type::Text, true),
                (Type::Int, true),
            ],
            key_width: None,
            event_time: Some(0),
        };
        let book = Table {
            name: "book".into(),
            columns: vec![
                (Type::Int, false),
                (Type::Timestamp, true),
                (Type::Text, true),
            ],
            key_width: Some(1),
            event_time: self.random.one_in(2).then_some(1),
        };
        vec![log("log_a"), log("log_b"), book]
    }

    fn add_changes(&mut self, case: &mut Case) {
        let mut watermarks = [None, None];
        let mut version = 0;
        for epoch in &mut case.epochs {
            for (log, watermark) in watermarks.iter_mut().enumerate() {
                let table = self.first_table + log;
                let from = watermark.unwrap_or(0);
                if !self.random.one_in(4) {
                    let count = 1 + self.random.below(6);
                    let rows = (0..count).map(|_| self.log_row(from));
                    let changes = rows.map(|row| change(row, 0, false)).collect();
                    epoch.batches.push(Batch {
                        table,
                        partition: 0,
                        changes,
                    });
                }
                if !self.random.one_in(3) {
                    let moved = from + self.random.between(0, AHEAD);
                    *watermark = Some(moved);
                    let moment = FIRST_MOMENT + moved * SECOND;
                    epoch.watermarks.push((table, moment));
                }
            }
            if self.random.one_in(2) {
                let count = 1 + self.random.below(5);
                let changes = (0..count)
                    .map(|_| {
                        version += 1;
                        let row = self.book_row();
                        change(row, version, self.random.one_in(4))
                    })
                    .collect();
                epoch.batches.push(Batch {
                    table: self.first_table + 2,
                    partition: 0,
                    changes,
                });
            }
        }
    }

    fn of_type(&mut self, data_type: Type) -> Value {
        value(self.random, data_type, true, self.traits)
    }

    fn moment(&mut self, from: i64, to: i64) -> Value {
        Value::Timestamp(FIRST_MOMENT + self.random.between(from, to) * SECOND)
    }

    fn log_row(&mut self, from: i64) -> Row {
        vec![
            self.moment(from, from + AHEAD),
            self.of_type(Type::Text),
            self.of_type(Type::Int),
        ]
    }

    fn book_row(&mut self) -> Row {
        let time = match self.random.below(6) {
            0 => Value::Null,
            _ => self.moment(0, 30),
        };
        let key = Value::Int(self.random.between(0, 12));
        vec![key, time, self.of_type(Type::Text)]
    }

    fn add_views(&mut self, case: &mut Case) {
        for number in 0..1 + self.random.below(4) {
            let mut known: Vec<(String, Vec<Type>)> = Vec::new();
            for table in &case.tables {
                known.push((table.name.clone(), table.types()));
            }
            for view in &case.views {
                known.push((view.name.clone(), view.query.types()));
            }
            let name = format!("w{number}");
            let (query, emit) = match self.random.below(6) {
                0 | 1 => self.closing_groups(&known),
                2 => self.closing_join(&known),
                3 => (self.interval_join(&known), None),
                _ => (self.any_windows(&known), None),
            };
            case.views.push(View {
                name,
                query,
                may_fail: false,
                emit,
            });
        }
        // One ordinary query over all of it.
        let known: Vec<(String, Vec<Type>)> = case
            .views
            .iter()
            .map(|view| (view.name.clone(), view.query.types()))
            .collect();
        if self.random.one_in(2) {
            let query = self.queries(&known).query();
            case.views.push(View {
                name: "w_last".into(),
                query,
                may_fail: false,
                emit: None,
            });
        }
    }

    fn queries<'b>(&'b mut self, known: &'b [(String, Vec<Type>)]) -> QueryGenerator<'b> {
        QueryGenerator {
            random: self.random,
            known,
            table_count: 0,
            traits: self.traits,
        }
    }

    fn kind(&mut self, types: &[Type]) -> WindowKind {
        let size = self.random.between(1, 9);
        match self.random.below(4) {
            0 => WindowKind::Tumble { size },
            1 | 2 => WindowKind::Hop {
                slide: self.random.between(1, size),
                size,
            },
            _ => {
                let mut keys: Vec<usize> = (0..types.len())
                    .filter(|&column| types[column] != Type::Float && self.random.one_in(3))
                    .collect();
                keys.truncate(2);
                WindowKind::Session {
                    gap: self.random.between(1, 4),
                    keys,
                }
            }
        }
    }

    fn filtered(&mut self, input: Query, known: &[(String, Vec<Type>)]) -> Query {
        if !self.random.one_in(3) {
            return input;
        }
        let types = input.types();
        let predicate = self.queries(known).condition(&types, 1);
        Query::Filter {
            input: Box::new(input),
            predicate,
        }
    }

    /// Windows over anything that has a time.
    fn any_windows(&mut self, known: &[(String, Vec<Type>)]) -> Query {
        let timed: Vec<&(String, Vec<Type>)> = known
            .iter()
            .filter(|(_, types)| types.contains(&Type::Timestamp) && types.len() < 8)
            .collect();
        let (name, types) = timed[self.random.below(timed.len())];
        let times: Vec<usize> = (0..types.len())
            .filter(|&column| types[column] == Type::Timestamp)
            .collect();
        let time = times[self.random.below(times.len())];
        let input = self.filtered(scan(name, types), known);
        let windows = Query::TimeWindow {
            kind: self.kind(types),
            input: Box::new(input),
            time,
        };
        let windows = self.filtered(windows, known);
        if self.random.one_in(4) {
            return windows;
        }
        self.grouped(windows, known).0
    }

    /// GROUP BY one or both window bounds and perhaps another column; with the
    /// position of the window's end, if it is among the keys.
    fn grouped(&mut self, windows: Query, known: &[(String, Vec<Type>)]) -> (Query, Option<usize>) {
        let types = windows.types();
        let width = types.len();
        let mut columns = match self.random.below(4) {
            0 => vec![width - 2],
            1 | 2 => vec![width - 1],
            _ => vec![width - 2, width - 1],
        };
        if self.random.one_in(2) {
            columns.push(self.random.below(width - 2));
        }
        self.random.shuffle(&mut columns);
        let end = columns.iter().position(|&column| column == width - 1);
        let keys = columns
            .iter()
            .map(|&column| Expr::Column(column, types[column]));
        let keys = keys.collect();
        let call_count = 1 + self.random.below(3);
        // Of the columns before the window's, or panes would not be used.
        let of = if self.random.one_in(4) {
            &types[..]
        } else {
            &types[..width - 2]
        };
        let mut queries = self.queries(known);
        let calls = (0..call_count).map(|_| queries.call(of)).collect();
        let query = Query::GroupBy {
            input: Box::new(windows),
            keys,
            sets: vec![],
            calls,
        };
        (query, end)
    }

    fn log(&mut self, known: &[(String, Vec<Type>)]) -> Query {
        let (name, types) = &known[self.first_table + self.random.below(2)];
        scan(name, types)
    }

    /// Groups of windows of logs, which can close.
    fn closing_groups(&mut self, known: &[(String, Vec<Type>)]) -> (Query, Option<usize>) {
        let mut input = self.log(known);
        if self.random.one_in(4) {
            input = Query::UnionAll {
                left: Box::new(input),
                right: Box::new(self.log(known)),
            };
        }
        let input = self.filtered(input, known);
        let types = input.types();
        let windows = Query::TimeWindow {
            input: Box::new(input),
            time: 0,
            kind: self.kind(&types),
        };
        let windows = self.filtered(windows, known);
        let (query, end) = self.grouped(windows, known);
        (query, end.filter(|_| !self.random.one_in(4)))
    }

    /// Two logs joined by the ends of their windows.
    fn closing_join(&mut self, known: &[(String, Vec<Type>)]) -> (Query, Option<usize>) {
        let mut side = || {
            let input = self.log(known);
            let types = input.types();
            let input = Box::new(input);
            let kind = self.kind(&types);
            Query::TimeWindow {
                input,
                time: 0,
                kind,
            }
        };
        let (left, right) = (side(), side());
        let end = left.types().len() - 1;
        let is_left = self.random.one_in(3);
        let query = Query::Join {
            kind: if is_left {
                JoinKind::Left
            } else {
                JoinKind::Inner
            },
            left: Box::new(left),
            right: Box::new(right),
            keys: vec![(end, end), (1, 1)],
            condition: None,
        };
        (query, self.random.one_in(2).then_some(end))
    }

    /// Two logs, or a log with itself, joined by times that are near each
    /// other; perhaps in windows of one of the times.
    fn interval_join(&mut self, known: &[(String, Vec<Type>)]) -> Query {
        let left = self.log(known);
        let right = self.log(known);
        let left = self.filtered(left, known);
        let right_time = left.types().len();
        let condition = self.near(Expr::Column(0, Type::Timestamp), right_time);
        let kinds = [
            JoinKind::Inner,
            JoinKind::Inner,
            JoinKind::Left,
            JoinKind::Right,
            JoinKind::Full,
        ];
        let joined = Query::Join {
            kind: kinds[self.random.below(kinds.len())],
            left: Box::new(left),
            right: Box::new(right),
            keys: match self.random.one_in(4) {
                true => vec![],
                false => vec![(1, 1)],
            },
            condition: Some(condition),
        };
        if self.random.one_in(2) {
            return joined;
        }
        let windows = Query::TimeWindow {
            input: Box::new(joined),
            time: [0, right_time][self.random.below(2)],
            kind: WindowKind::Tumble {
                size: self.random.between(1, 9),
            },
        };
        self.grouped(windows, known).0
    }

    /// What says that two times are near each other: from both sides, or from
    /// one.
    fn near(&mut self, left: Expr, right_time: usize) -> Expr {
        let right = Expr::Column(right_time, Type::Timestamp);
        let mut compare = |comparisons: [Comparison; 2], from: i64, to: i64| {
            let seconds = self.random.between(from, to);
            let comparison = comparisons[self.random.below(2)];
            let (one, other) = (left.clone(), right.clone());
            // The same on the other side, with the sign turned.
            let (one, other) = match self.random.one_in(3) {
                true => (Expr::Later(Box::new(one), -seconds), other),
                false => (one, Expr::Later(Box::new(other), seconds)),
            };
            Expr::Compare(comparison, Box::new(one), Box::new(other))
        };
        let not_before = compare([Comparison::GreaterOrEqual, Comparison::Greater], -8, 2);
        let not_after = compare([Comparison::LessOrEqual, Comparison::Less], -2, 8);
        match self.random.below(5) {
            0 => not_before,
            1 => not_after,
            _ => Expr::And(Box::new(not_before), Box::new(not_after)),
        }
    }
}

fn scan(name: &str, types: &[Type]) -> Query {
    Query::Scan {
        name: name.to_owned(),
        types: types.to_vec(),
    }
}

fn change(row: Row, version: u64, is_delete: bool) -> Change {
    Change {
        is_delete,
        row,
        before: None,
        version,
    }
}
