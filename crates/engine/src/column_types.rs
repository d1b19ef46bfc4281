//! The types that the columns of a materialized view may have: those that the store
//! can write and give back, and that the engine's own state can, too. Others are
//! refused with the model, for the first checkpoint could not be made.

use arrow::datatypes::{DataType, SchemaRef};

use crate::graph::{Node, NodeKind};
use crate::lower::{Refusal, refuse};

/// What cannot hold values of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lacks {
    /// The files of the store, but the engine can: a view may compute with it.
    Files,
    /// The engine's state neither: what it reads back has another type.
    State,
}

/// What lacks a form for `data_type`, whatever it is made of, and what to write
/// instead.
fn lack_of(data_type: &DataType) -> Option<(Lacks, &'static str)> {
    match data_type {
        DataType::Interval(_) => Some((
            Lacks::Files,
            "make it a number, such as its seconds: extract(epoch FROM …); what lies between two times, as in later - earlier, can be kept",
        )),
        DataType::Struct(fields) if fields.is_empty() => {
            Some((Lacks::Files, "leave the column out, it says nothing"))
        }
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale)
            if *scale < 0 =>
        {
            Some((Lacks::Files, "cast it to a DECIMAL with a scale from 0"))
        }
        DataType::Dictionary(..)
        | DataType::RunEndEncoded(..)
        | DataType::Union(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => Some((
            Lacks::State,
            "leave out the arrow_cast, or cast to the type of the values themselves",
        )),
        // All are named, so that a new type is looked at.
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Duration(_)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::Map(..)
        | DataType::Struct(_) => None,
    }
}

/// A type and all that it is made of.
fn parts(data_type: &DataType) -> Vec<&DataType> {
    let mut parts = vec![data_type];
    let mut seen = 0;
    while let Some(&part) = parts.get(seen) {
        seen += 1;
        match part {
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _)
            | DataType::Map(field, _) => parts.push(field.data_type()),
            DataType::Struct(fields) => {
                parts.extend(fields.iter().map(|field| field.data_type()));
            }
            _ => {}
        }
    }
    parts
}

/// A type as SQL calls it.
fn shown(data_type: &DataType) -> String {
    match data_type {
        DataType::Interval(_) => "INTERVAL".to_owned(),
        other => other.to_string(),
    }
}

/// Refuses a view whose columns `named` cannot be stored; `node` gives them.
pub(crate) fn check_view(named: &SchemaRef, node: &Node) -> Result<(), Refusal> {
    for (field, planned) in named.fields().iter().zip(node.schema.fields()) {
        for part in parts(planned.data_type()) {
            if let Some((_, help)) = lack_of(part) {
                let (name, found) = (field.name(), shown(part));
                return refuse(format!("`{name}` cannot be stored: it holds {found}"), help);
            }
        }
    }
    Ok(())
}

/// Refuses values that an operator on the way to a view's columns could not keep.
pub(crate) fn check_operators(nodes: &[Node]) -> Result<(), Refusal> {
    let fields = nodes.iter().flat_map(|node| node.schema.fields());
    let columns = fields.map(|field| field.data_type());
    let calls = nodes.iter().flat_map(|node| match &node.kind {
        NodeKind::Aggregate { calls, .. } => calls.as_slice(),
        _ => &[],
    });
    let arguments = calls.flat_map(|call| call.spec.input.iter().map(|(found, _)| found));
    for part in columns.chain(arguments).flat_map(parts) {
        if let Some((Lacks::State, help)) = lack_of(part) {
            return refuse(format!("`{part}` in a materialized view"), help);
        }
    }
    Ok(())
}
