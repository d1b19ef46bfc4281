//! A small warehouse of the benchmark's form: its tables, with values and texts
//! of our own, chosen so that every query finds something.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use sluice_core::{ChangeKind, ColumnDefinition, TableDefinition, TableKind};

/// Name, columns (`i`nteger, `m`oney, `t`ext, `d`ate) and key columns.
const TABLES: &[(&str, &str, &[usize])] = &[
    ("region", "r_regionkey:i r_name:t r_comment:t", &[0]),
    (
        "nation",
        "n_nationkey:i n_name:t n_regionkey:i n_comment:t",
        &[0],
    ),
    (
        "supplier",
        "s_suppkey:i s_name:t s_address:t s_nationkey:i s_phone:t s_acctbal:m s_comment:t",
        &[0],
    ),
    (
        "customer",
        "c_custkey:i c_name:t c_address:t c_nationkey:i c_phone:t c_acctbal:m c_mktsegment:t c_comment:t",
        &[0],
    ),
    (
        "part",
        "p_partkey:i p_name:t p_mfgr:t p_brand:t p_type:t p_size:i p_container:t p_retailprice:m p_comment:t",
        &[0],
    ),
    (
        "partsupp",
        "ps_partkey:i ps_suppkey:i ps_availqty:i ps_supplycost:m ps_comment:t",
        &[0, 1],
    ),
    (
        "orders",
        "o_orderkey:i o_custkey:i o_orderstatus:t o_totalprice:m o_orderdate:d o_orderpriority:t o_clerk:t o_shippriority:i o_comment:t",
        &[0],
    ),
    (
        "lineitem",
        "l_orderkey:i l_partkey:i l_suppkey:i l_linenumber:i l_quantity:m l_extendedprice:m l_discount:m l_tax:m l_returnflag:t l_linestatus:t l_shipdate:d l_commitdate:d l_receiptdate:d l_shipinstruct:t l_shipmode:t l_comment:t",
        &[0, 3],
    ),
];

const NATIONS: &[(&str, i64)] = &[
    ("FRANCE", 0),
    ("GERMANY", 0),
    ("BRAZIL", 1),
    ("CANADA", 1),
    ("INDIA", 2),
    ("JAPAN", 2),
    ("SAUDI ARABIA", 3),
    ("EGYPT", 3),
];
const REGIONS: &[&str] = &["EUROPE", "AMERICA", "ASIA", "MIDDLE EAST"];
const SEGMENTS: &[&str] = &["BUILDING", "AUTOMOBILE", "MACHINERY"];
const PRIORITIES: &[&str] = &["1-URGENT", "2-HIGH", "3-MEDIUM", "5-LOW"];
const MODES: &[&str] = &["AIR", "AIR REG", "MAIL", "SHIP", "TRUCK"];
const INSTRUCTIONS: &[&str] = &["DELIVER IN PERSON", "TAKE BACK RETURN", "NONE"];
const TYPES: &[&str] = &[
    "ECONOMY ANODIZED STEEL",
    "PROMO BURNISHED COPPER",
    "LARGE PLATED BRASS",
    "MEDIUM POLISHED TIN",
    "SMALL BRUSHED BRASS",
];
const BRANDS: &[&str] = &["Brand#12", "Brand#23", "Brand#34", "Brand#45"];
const CONTAINERS: &[&str] = &[
    "SM CASE", "MED BOX", "LG BOX", "MED BAG", "LG PKG", "SM PKG",
];
const COLOURS: &[&str] = &["green", "forest", "azure", "ivory", "plum"];
const REMARKS: &[&str] = &[
    "nothing to say",
    "the special parcel requests care",
    "quick and quiet",
    "a Customer with Complaints",
    "leave it at the door",
];

pub const SUPPLIERS: i64 = 10;
pub const CUSTOMERS: i64 = 24;
pub const PARTS: i64 = 20;
/// 1993-01-01.
const FIRST_DAY: i64 = 8_401;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Int(i64),
    /// Hundredths.
    Money(i64),
    Text(String),
    /// Days since 1970-01-01.
    Date(i64),
}

pub type Row = Vec<Cell>;

/// A change of one table.
pub struct Change {
    pub table: &'static str,
    pub kind: ChangeKind,
    pub row: Row,
}

pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % limit as u64) as i64
    }

    fn of(&mut self, texts: &[&str]) -> Cell {
        let index = self.below(texts.len() as i64) as usize;
        Cell::Text(texts[index].to_owned())
    }
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

pub fn definitions() -> Vec<TableDefinition> {
    let define = |&(name, columns, key): &(&str, &str, &[usize])| TableDefinition {
        name: name.to_owned(),
        columns: columns
            .split(' ')
            .enumerate()
            .map(|(index, column)| {
                let (name, kind) = column.split_once(':').unwrap();
                ColumnDefinition {
                    name: name.to_owned(),
                    data_type: match kind {
                        "i" => DataType::Int64,
                        "m" => DataType::Decimal128(15, 2),
                        "d" => DataType::Date32,
                        _ => DataType::Utf8,
                    },
                    nullable: !key.contains(&index),
                }
            })
            .collect(),
        kind: TableKind::Changelog {
            primary_key: key.to_vec(),
        },
        event_time: None,
        stored: true,
    };
    TABLES.iter().map(define).collect()
}

pub fn batch(definition: &TableDefinition, rows: &[&Row]) -> RecordBatch {
    let columns = definition.columns.iter().enumerate();
    let columns: Vec<ArrayRef> = columns
        .map(|(index, column)| {
            let cells = rows.iter().map(|row| &row[index]);
            let numbers = cells.clone().map(|cell| match cell {
                Cell::Int(value) | Cell::Money(value) | Cell::Date(value) => *value,
                Cell::Text(_) => 0,
            });
            match column.data_type {
                DataType::Int64 => Arc::new(Int64Array::from_iter_values(numbers)) as ArrayRef,
                DataType::Date32 => {
                    Arc::new(Date32Array::from_iter_values(numbers.map(|day| day as i32)))
                }
                DataType::Decimal128(..) => {
                    let money = Decimal128Array::from_iter_values(numbers.map(i128::from));
                    Arc::new(money.with_precision_and_scale(15, 2).unwrap())
                }
                _ => Arc::new(StringArray::from_iter_values(cells.map(
                    |cell| match cell {
                        Cell::Text(text) => text.as_str(),
                        _ => "",
                    },
                ))),
            }
        })
        .collect();
    RecordBatch::try_new(definition.schema(), columns).unwrap()
}

fn upsert(table: &'static str, row: Row) -> Change {
    Change {
        table,
        kind: ChangeKind::Upsert,
        row,
    }
}

fn supplier(random: &mut Random, key: i64) -> Change {
    let nation = random.below(NATIONS.len() as i64);
    let row = vec![
        Cell::Int(key),
        text(format!("supplier {key}")),
        text(format!("{key} harbour road")),
        Cell::Int(nation),
        text(format!("{}-555-{key}", 10 + nation)),
        Cell::Money(random.below(900_000) - 100_000),
        random.of(REMARKS),
    ];
    upsert("supplier", row)
}

fn customer(random: &mut Random, key: i64) -> Change {
    let nation = random.below(NATIONS.len() as i64);
    let row = vec![
        Cell::Int(key),
        text(format!("customer {key}")),
        text(format!("{key} mill lane")),
        Cell::Int(nation),
        text(format!("{}-777-{key}", 10 + nation)),
        Cell::Money(random.below(900_000) - 100_000),
        random.of(SEGMENTS),
        random.of(REMARKS),
    ];
    upsert("customer", row)
}

fn part(random: &mut Random, key: i64) -> Change {
    let Cell::Text(first) = random.of(COLOURS) else {
        unreachable!()
    };
    let Cell::Text(second) = random.of(COLOURS) else {
        unreachable!()
    };
    let row = vec![
        Cell::Int(key),
        text(format!("{first} {second} part")),
        text(format!("Manufacturer#{}", 1 + random.below(3))),
        random.of(BRANDS),
        random.of(TYPES),
        Cell::Int(1 + random.below(8)),
        random.of(CONTAINERS),
        Cell::Money(10_000 + random.below(5_000)),
        random.of(REMARKS),
    ];
    upsert("part", row)
}

fn part_supply(random: &mut Random, part: i64, supplier: i64) -> Change {
    let row = vec![
        Cell::Int(part),
        Cell::Int(supplier),
        Cell::Int(random.below(60)),
        Cell::Money(100 + random.below(900)),
        random.of(REMARKS),
    ];
    upsert("partsupp", row)
}

fn order(random: &mut Random, key: i64) -> Change {
    let row = vec![
        Cell::Int(key),
        Cell::Int(random.below(CUSTOMERS)),
        random.of(&["O", "F", "P"]),
        Cell::Money(random.below(5_000_000)),
        Cell::Date(FIRST_DAY + random.below(4 * 365)),
        random.of(PRIORITIES),
        text(format!("clerk {}", random.below(5))),
        Cell::Int(0),
        random.of(REMARKS),
    ];
    upsert("orders", row)
}

fn line(random: &mut Random, order: i64, number: i64) -> Change {
    let shipped = FIRST_DAY + random.below(4 * 365);
    let part = random.below(PARTS);
    let row = vec![
        Cell::Int(order),
        Cell::Int(part),
        Cell::Int(supplier_of(part, random.below(3))),
        Cell::Int(number),
        Cell::Money(100 * (1 + random.below(50))),
        Cell::Money(10_000 + random.below(900_000)),
        Cell::Money(random.below(11)),
        Cell::Money(random.below(9)),
        random.of(&["A", "N", "R"]),
        random.of(&["O", "F"]),
        Cell::Date(shipped),
        Cell::Date(shipped + random.below(60) - 20),
        Cell::Date(shipped + 1 + random.below(30)),
        random.of(INSTRUCTIONS),
        random.of(MODES),
        random.of(REMARKS),
    ];
    upsert("lineitem", row)
}

fn supplier_of(part: i64, number: i64) -> i64 {
    (part + number * 3) % SUPPLIERS
}

/// Everything but orders.
pub fn dimensions(random: &mut Random) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, name) in REGIONS.iter().enumerate() {
        let row = vec![Cell::Int(key as i64), text(*name), random.of(REMARKS)];
        changes.push(upsert("region", row));
    }
    for (key, (name, region)) in NATIONS.iter().enumerate() {
        let row = vec![
            Cell::Int(key as i64),
            text(*name),
            Cell::Int(*region),
            random.of(REMARKS),
        ];
        changes.push(upsert("nation", row));
    }
    changes.extend((0..SUPPLIERS).map(|key| supplier(random, key)));
    changes.extend((0..CUSTOMERS).map(|key| customer(random, key)));
    for key in 0..PARTS {
        changes.push(part(random, key));
        for number in 0..3 {
            changes.push(part_supply(random, key, supplier_of(key, number)));
        }
    }
    changes
}

/// A new order with its lines.
pub fn new_order(random: &mut Random, key: i64) -> Vec<Change> {
    let mut changes = vec![order(random, key)];
    for number in 1..=1 + random.below(5) {
        changes.push(line(random, key, number));
    }
    changes
}

/// What the tables hold, to make changes of.
pub type Contents = BTreeMap<&'static str, BTreeMap<Vec<i64>, Row>>;

/// The key of a row.
pub fn key_of(table: &str, row: &Row) -> Vec<i64> {
    let (_, _, key) = TABLES.iter().find(|(name, ..)| *name == table).unwrap();
    key.iter()
        .map(|&column| match &row[column] {
            Cell::Int(value) => *value,
            other => panic!("a key of {other:?}"),
        })
        .collect()
}

/// A few changes of what is there: corrections, deletions, new values.
pub fn corrections(random: &mut Random, contents: &Contents) -> Vec<Change> {
    let mut changes = Vec::new();
    let orders: Vec<i64> = contents["orders"].keys().map(|key| key[0]).collect();
    for _ in 0..4 {
        let key = orders[random.below(orders.len() as i64) as usize];
        match random.below(4) {
            // The order goes, with its lines.
            0 => {
                for table in ["orders", "lineitem"] {
                    let rows = contents[table].iter();
                    for (_, row) in rows.filter(|(found, _)| found[0] == key) {
                        changes.push(Change {
                            table,
                            kind: ChangeKind::Delete,
                            row: row.clone(),
                        });
                    }
                }
            }
            1 => changes.push(order(random, key)),
            number => changes.push(line(random, key, number)),
        }
    }
    let (someone, something) = (random.below(CUSTOMERS), random.below(PARTS));
    match random.below(4) {
        0 => changes.push(customer(random, someone)),
        1 => changes.push(supplier(random, someone % SUPPLIERS)),
        2 => changes.push(part(random, something)),
        _ => changes.push(part_supply(random, something, supplier_of(something, 1))),
    }
    changes
}
