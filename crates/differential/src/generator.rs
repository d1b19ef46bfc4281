//! A whole case from a seed and the number of a history: tables and views
//! follow from the seed alone, so that they are planned once for many histories;
//! changes, cuts and restarts from both.
//!
//! Values are few and small, so that joins hit, groups fill and retractions
//! meet what they retract. One case in five has integers at the ends of their
//! range instead: there arithmetic stands only in views of a single operator
//! over a table, where exactly one set of rows can fail; every other view of
//! such a case only passes, compares, counts and orders values. (Elsewhere an
//! optimizer may rightly look at more or fewer rows than the text says.)

use crate::double::Double;
use crate::query::{FIRST_DAY, FIRST_MOMENT, View};
use crate::query_generator::QueryGenerator;
use crate::random::Random;
use crate::run::Case;
use crate::stream::{Batch, Change, EpochInput, Table};
use crate::time_generator::add_time;
use crate::value::{Row, Type, Value};

/// Rows of the one large batch that a large case has: enough that the engine
/// spreads its work over its threads.
const LARGE_BATCH_ROWS: usize = 9_000;

/// The traits of a case that decide what may be generated.
#[derive(Debug, Clone, Copy)]
pub struct Traits {
    /// Integers at the ends of their range.
    pub extremes: bool,
    /// Whether decimals and doubles occur; without them SQLite can answer too.
    pub decimals: bool,
    /// One large batch, no joins and no windows.
    pub large: bool,
    /// Most rows of the large batch have most values in common.
    pub skewed: bool,
    /// Whether ORDER BY may leave rows equal whose order shows. Only the engine
    /// and the interpreter agree on it.
    pub ties: bool,
}

/// The case of a seed and of one of its histories. The other oracles are asked
/// in the first history only, which is also the only one with a large batch:
/// both cost as much as planning.
pub fn generate(seed: u64, history: u64) -> Case {
    let mut random = Random::new(seed);
    let (asks_batch, asks_sqlite) = (matches!(seed % 5, 0 | 3), seed % 5 < 3);
    let (extremes, decimals) = (random.one_in(5), !random.one_in(3));
    let large = random.one_in(40);
    let traits = Traits {
        extremes,
        decimals,
        large,
        skewed: large && random.one_in(2),
        ties: !asks_batch && !asks_sqlite,
    };
    let table_count = 1 + random.below(3);
    let tables: Vec<Table> = (0..table_count)
        .map(|number| table(&mut random, number, traits))
        .collect();
    let views = views(&mut random, &tables, traits);
    let is_first = history == 0;
    let mut chance = chance_of_history(seed, history);
    let traits_of_history = Traits {
        large: traits.large && is_first,
        ..traits
    };
    let mut epochs = epochs(&mut chance, &tables, traits_of_history);
    if !is_first {
        restart_in_the_middle(&mut chance, &mut epochs);
    }
    let mut case = Case {
        tables,
        views,
        worker_threads: 1 + chance.below(4),
        epochs,
        ask_batch: asks_batch && is_first,
        ask_sqlite: asks_sqlite && is_first,
    };
    add_time(seed, &mut chance, &mut case, traits);
    case
}

/// Chance of its own for each history, so that one runs alone as it does among
/// the others.
fn chance_of_history(seed: u64, history: u64) -> Random {
    let seed = Random::new(!seed).bits();
    Random::new(seed ^ Random::new(history).bits())
}

/// Makes sure of a restart with changes before and after it, in every second
/// history.
fn restart_in_the_middle(random: &mut Random, epochs: &mut [EpochInput]) {
    let middle = epochs.len() / 2;
    if let (true, Some(epoch)) = (random.one_in(2), epochs.get_mut(middle)) {
        epoch.checkpoint = true;
        epoch.restart_threads = Some(1 + random.below(4));
    }
}

fn column_type(random: &mut Random, traits: Traits) -> Type {
    match random.below(13) {
        0..=3 => Type::Int,
        4 | 5 if traits.decimals => Type::Decimal(10, 2),
        6 if traits.decimals => Type::Decimal(8, 3),
        7..=8 => Type::Text,
        9 => Type::Bool,
        10 => Type::Date,
        11 => Type::Timestamp,
        // SQLite has no NaN.
        12 if traits.decimals => Type::Float,
        _ => Type::Text,
    }
}

fn table(random: &mut Random, number: usize, traits: Traits) -> Table {
    let key_width = if random.one_in(3) {
        None
    } else {
        Some(1 + usize::from(random.one_in(4)))
    };
    let column_count = 2 + random.below(4);
    let columns = (0..column_count)
        .map(|index| {
            let is_key = key_width.is_some_and(|width| index < width);
            let data_type = match column_type(random, traits) {
                Type::Bool | Type::Float if is_key => Type::Int,
                _ if is_key && random.one_in(2) => Type::Int,
                other => other,
            };
            (data_type, !is_key && !random.one_in(4))
        })
        .collect();
    Table {
        name: format!("t{number}"),
        columns,
        key_width,
        event_time: None,
    }
}

fn views(random: &mut Random, tables: &[Table], traits: Traits) -> Vec<View> {
    let mut known: Vec<(String, Vec<Type>)> = tables
        .iter()
        .map(|table| (table.name.clone(), table.types()))
        .collect();
    let mut views = Vec::new();
    for number in 0..1 + random.below(4) {
        let name = format!("v{number}");
        let may_fail = traits.extremes && random.one_in(2);
        let mut generator = QueryGenerator {
            random,
            known: &known,
            table_count: tables.len(),
            traits,
        };
        let query = if may_fail {
            generator.failing_query()
        } else {
            generator.query()
        };
        known.push((name.clone(), query.types()));
        views.push(View {
            name,
            query,
            may_fail,
            emit: None,
        });
    }
    views
}

/// A value of a column: one of few, so that keys and joins meet.
pub fn value(random: &mut Random, data_type: Type, nullable: bool, traits: Traits) -> Value {
    if nullable && random.one_in(6) {
        return Value::Null;
    }
    match data_type {
        Type::Bool => Value::Bool(random.one_in(2)),
        Type::Int if traits.extremes && random.one_in(5) => {
            let ends = [i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, 1 << 62];
            Value::Int(random.pick(&ends).copied().unwrap_or(0))
        }
        Type::Int if random.one_in(4) => Value::Int(random.between(0, 60)),
        Type::Int => Value::Int(random.between(-3, 6)),
        Type::Decimal(..) if random.one_in(8) => {
            Value::Decimal(i128::from(random.between(-9_999_999, 9_999_999)))
        }
        Type::Decimal(..) => Value::Decimal(i128::from(random.between(-3, 5)) * 125),
        Type::Text => {
            let texts = ["", "a", "b", "B", "ab", "a b", "it's", "ä", "%"];
            let text = random.pick(&texts).copied().unwrap_or("");
            Value::Text(text.to_owned())
        }
        Type::Date => Value::Date(FIRST_DAY + random.between(0, 4) as i32),
        Type::Timestamp => Value::Timestamp(FIRST_MOMENT + random.between(0, 4) * 1_000_000),
        Type::Float => {
            let nan = f64::NAN;
            let usual = [0.0, -0.0, 1.25, -2.5, -0.5, 0.1, 0.7];
            let far = [1e16, -1e16, 1e-9, 3e200, -3e200, 2e-308];
            let none = [nan, -nan, f64::INFINITY, f64::NEG_INFINITY];
            let numbers = match random.below(8) {
                0 => &none[..],
                1 | 2 => &far[..],
                _ => &usual[..],
            };
            let number = random.pick(numbers).copied().unwrap_or(0.0);
            Value::Float(Double::new(number))
        }
    }
}

fn row(random: &mut Random, table: &Table, traits: Traits) -> Row {
    let columns = table.columns.iter();
    columns
        .map(|(data_type, nullable)| value(random, *data_type, *nullable, traits))
        .collect()
}

/// A row that has most values of `common`.
fn mixed(random: &mut Random, common: &Row, table: &Table, traits: Traits) -> Row {
    let other = row(random, table, traits);
    let values = common.iter().zip(other);
    let pick = |(common, other): (&Value, Value)| match random.one_in(5) {
        true => other,
        false => common.clone(),
    };
    values.map(pick).collect()
}

fn epochs(random: &mut Random, tables: &[Table], traits: Traits) -> Vec<EpochInput> {
    let mut next_version = 10;
    let count = 1 + random.below(if traits.large { 3 } else { 9 });
    let compares_always = random.one_in(2);
    let mut epochs = Vec::with_capacity(count);
    for number in 0..count {
        let mut batches = Vec::new();
        let batch_count = random.below(2 * tables.len() + 1);
        for _ in 0..batch_count {
            // Now and then so many that one key has dozens of rows.
            let rows_max = if random.one_in(20) { 80 } else { 8 };
            let rows = 1 + random.below(rows_max);
            batches.push(batch(random, tables, traits, rows, &mut next_version));
        }
        if traits.large && number == 0 {
            let large = batch(random, tables, traits, LARGE_BATCH_ROWS, &mut next_version);
            batches.push(large);
        }
        let checkpoint = random.one_in(3);
        let restarts = checkpoint && random.one_in(2);
        epochs.push(EpochInput {
            batches,
            watermarks: Vec::new(),
            checkpoint,
            restart_threads: restarts.then(|| 1 + random.below(4)),
            compare: compares_always || random.one_in(3),
        });
    }
    epochs
}

fn batch(
    random: &mut Random,
    tables: &[Table],
    traits: Traits,
    rows: usize,
    next_version: &mut u64,
) -> Batch {
    let number = random.below(tables.len());
    let table = &tables[number];
    let mut changes = Vec::with_capacity(rows);
    let is_skewed = traits.skewed && rows == LARGE_BATCH_ROWS;
    let common = is_skewed.then(|| row(random, table, traits));
    for _ in 0..rows {
        *next_version += 1;
        let version = *next_version;
        let changes_key = table.key_width.is_some() && random.one_in(6);
        changes.push(Change {
            is_delete: table.key_width.is_some() && random.one_in(4),
            row: match &common {
                Some(common) if !random.one_in(10) => mixed(random, common, table, traits),
                _ => row(random, table, traits),
            },
            before: changes_key.then(|| row(random, table, traits)),
            // Now and then a change that comes after a newer one.
            version: if random.one_in(12) {
                version - random.below(9) as u64
            } else {
                version
            },
        });
    }
    // The order within a batch of a log means nothing.
    if table.key_width.is_none() {
        random.shuffle(&mut changes);
    }
    Batch {
        table: number,
        partition: random.below(2) as u32,
        changes,
    }
}
