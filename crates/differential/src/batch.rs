//! A second opinion: DataFusion answers all views over the whole input.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::interpret::{ZSet, add};
use crate::query::{Call, Dialect, Expr, Function, Query, SubqueryTest};
use crate::run::{Case, rows_of};
use crate::value::{Row, Type};
use crate::window::WindowFunction;

/// Whether DataFusion knows all that the case asks. It takes IN for two-valued
/// below OR and NOT, refuses or mistakes a correlated NOT IN, and knows neither in
/// the SELECT list.
pub fn knows(case: &Case) -> bool {
    case.views.iter().all(|view| knows_query(&view.query))
}

fn knows_query(query: &Query) -> bool {
    let is_known = match query {
        Query::WhereSubquery { selects: true, .. } => false,
        Query::WhereSubquery {
            test: SubqueryTest::In { correlation, .. },
            negated,
            or,
            not,
            ..
        } => or.is_none() && !not && !(*negated && correlation.is_some()),
        // Which of several first rows it takes is its own affair, and of two
        // orders it refuses one or mistakes it.
        Query::GroupBy { calls, .. } => {
            let by_order = |call: &Call| matches!(call.function, Function::First | Function::Last);
            let orders = calls.iter().filter(|call| call.order.is_some()).count();
            // Its bit_xor of distinct values forgets some.
            let mistakes = |call: &Call| call.function == Function::BitXor && call.distinct;
            let is_refused = |call: &Call| by_order(call) || mistakes(call) || is_of_doubles(call);
            orders < 2 && !calls.iter().any(is_refused)
        }
        Query::SelectScalar { call, .. } => call.order.is_none() && !is_of_doubles(call),
        Query::Window { calls, .. } => !calls.iter().any(|call| match &call.function {
            WindowFunction::Aggregate(aggregate) => is_of_doubles(aggregate),
            _ => false,
        }),
        _ => true,
    };
    is_known && query.inputs().into_iter().all(knows_query)
}

/// Whether a call chooses among doubles or adds them up: where NaN stands there is
/// DataFusion's own affair, and not the same everywhere, and its sums are rounded on the
/// way.
fn is_of_doubles(call: &Call) -> bool {
    let argument = call.argument.as_ref().map(Expr::data_type);
    call.function != Function::Count && argument == Some(Type::Float)
}

/// What DataFusion says when it contradicts itself: it finds its own plan
/// unsound, or forgets an order that it has planned.
const CONTRADICTIONS: [&str; 3] = [
    "SanityCheckPlan",
    "Physical input schema should be the same as the one converted from logical input schema",
    "Expects PARTITION BY expression to be ordered",
];

/// The views' rows, by name; `None` where DataFusion contradicts itself and so
/// has no opinion.
///
/// # Errors
/// When DataFusion fails otherwise.
pub fn answer(case: &Case, tables: &[ZSet]) -> Result<Option<BTreeMap<String, ZSet>>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    match runtime.block_on(answer_all(case, tables)) {
        Ok(answers) => Ok(Some(answers)),
        Err(error) if CONTRADICTIONS.iter().any(|words| error.contains(words)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn answer_all(case: &Case, tables: &[ZSet]) -> Result<BTreeMap<String, ZSet>, String> {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    // Its rule that answers count(*) from statistics mixes up columns when one
    // aggregate stands on another.
    let rules = PhysicalOptimizer::new().rules.into_iter();
    let rules = rules.filter(|rule| rule.name() != "aggregate_statistics");
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_physical_optimizer_rules(rules.collect())
        .build();
    let context = SessionContext::new_with_state(state);
    for (table, content) in case.tables.iter().zip(tables) {
        let mut rows: Vec<&Row> = Vec::new();
        for (row, &weight) in content {
            rows.extend(std::iter::repeat_n(
                row,
                usize::try_from(weight).unwrap_or(0),
            ));
        }
        let rows = table.batch(&rows, false)?;
        let rows = MemTable::try_new(rows.schema(), vec![vec![rows]]);
        register(&context, &table.name, rows)?;
    }
    let mut answers = BTreeMap::new();
    for view in &case.views {
        let sql = view.query.sql(Dialect::Engine);
        let failed = |error| format!("DataFusion, {}: {error}", view.name);
        let frame = context.sql(&sql).await.map_err(failed)?;
        let types = view.query.types();
        let schema = nullable_schema(&types);
        let mut batches = Vec::new();
        let mut rows = ZSet::new();
        for batch in frame.collect().await.map_err(failed)? {
            let batch = with_schema(&batch, &schema).map_err(|error| error.to_string())?;
            for row in rows_of(&batch, &types)? {
                add(&mut rows, row, 1);
            }
            batches.push(batch);
        }
        answers.insert(view.name.clone(), rows);
        register(
            &context,
            &view.name,
            MemTable::try_new(schema, vec![batches]),
        )?;
    }
    Ok(answers)
}

fn nullable_schema(types: &[Type]) -> SchemaRef {
    let fields = types.iter().enumerate();
    let fields = fields.map(|(index, found)| Field::new(format!("c{index}"), found.arrow(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// DataFusion's batches do not always have the precision and the nullability
/// that its plan promised.
fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns: Result<Vec<_>, _> = columns
        .map(|(column, field)| arrow::compute::cast(column, field.data_type()))
        .collect();
    RecordBatch::try_new(schema.clone(), columns?)
}

fn register(
    context: &SessionContext,
    name: &str,
    table: Result<MemTable, datafusion::error::DataFusionError>,
) -> Result<(), String> {
    let table = table.map_err(|error| error.to_string())?;
    let registered = context.register_table(name, Arc::new(table));
    registered.map(|_| ()).map_err(|error| error.to_string())
}
