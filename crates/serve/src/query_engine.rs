//! Ad-hoc SQL on one snapshot a statement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::Transformed;
use datafusion::config::Dialect;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{FunctionRegistry, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as DataFusionStatement;
use futures::StreamExt;
use parking_lot::{Mutex, RwLock};
use sluice_core::{Epoch, Spans, too_many_operators};
use sluice_functions::{FloatsInOperators, Functions, IntervalProducts, TextsInOperators};
use sluice_scan::{CodedGroups, checked_sum, float_extremes};
use sluice_store::Snapshot;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};

use crate::ServeError;
use crate::access::Access;
use crate::audit::Auditor;
use crate::column_docs::{self, ColumnMeaning};
use crate::explain::{
    EXPLAIN_FUNCTION, ExplainFunction, OPERATORS_TABLE, Operators, RunningViews,
    explain_query_of_text,
};
use crate::mended_sql::{mend_in, read_statement, refused_in};
use crate::metrics::Metrics;
use crate::plain_views::as_in_models;
use crate::postgres::tables_to_read;
use crate::proven_order::rules_with_proven_order;
use crate::query_limits::QueryLimits;
use crate::read_only::{refused, sets};
use crate::session::{self, SESSION};
use crate::system_table::{SystemTable, SystemTableProvider};
use crate::tables::{OwnTable, PublicTables, QueryView, SluiceSchema, SluiceTable, SnapshotSource};
use crate::tied_rows::with_ties_as_in_views;
use crate::uniq_ids::StoredIds;
use crate::zoned_session::{rules_of_queries, with_tables};

/// The catalog of all tables, which PostgreSQL clients take for their database.
pub(crate) const CATALOG: &str = "sluice";

/// Limits and settings of queries.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// Memory that one query may take, its answer included.
    pub memory_bytes_max: usize,
    /// Memory that all running queries may take together; never less than what
    /// one may.
    pub all_memory_bytes_max: usize,
    /// Disk that sorts of all running queries may take together.
    pub spill_bytes_max: u64,
    /// A query that takes longer is stopped.
    pub time_ms_max: u64,
    /// Business time zone: days and hours of moments are those of this zone, and
    /// timestamps without a zone are read in it.
    pub time_zone: String,
    /// Plain views: name and SELECT text.
    pub query_views: Vec<(String, String)>,
    /// Functions beside DataFusion's own.
    pub functions: Functions,
    /// What columns mean: the rows of `sluice_columns`. Without any the table
    /// is not there.
    pub column_meanings: Vec<ColumnMeaning>,
    /// What tables and views mean: their comments.
    pub table_meanings: BTreeMap<String, String>,
    /// Who may ask what.
    pub access: Arc<Access>,
    /// Who keeps what was asked.
    pub auditor: Option<Arc<dyn Auditor>>,
    /// Where statements of PostgreSQL clients are counted.
    pub metrics: Arc<Metrics>,
    /// Told of every statement of PostgreSQL clients.
    pub spans: Spans,
    /// Connections of PostgreSQL clients at one time.
    pub connections_max: usize,
    /// The threads that compute answers to HTTP clients, so that a long
    /// computation holds up no connection; without them, those that ask do.
    pub threads: Option<Handle>,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self {
            memory_bytes_max: 1 << 30,
            all_memory_bytes_max: 2 << 30,
            spill_bytes_max: 4 << 30,
            time_ms_max: 60_000,
            time_zone: "UTC".to_owned(),
            query_views: Vec::new(),
            functions: Functions::default(),
            column_meanings: Vec::new(),
            table_meanings: BTreeMap::new(),
            access: Arc::default(),
            auditor: None,
            metrics: Arc::default(),
            spans: Spans::default(),
            connections_max: 100,
            threads: None,
        }
    }
}

tokio::task_local! {
    /// Told what a statement is pinned to.
    static PINNED: Mutex<Pinned>;
    /// What all statements read that make one answer together.
    static ONE_SNAPSHOT: Snapshot;
}

/// What of the warehouse an answer was computed from.
#[derive(Debug, Clone, Default)]
pub struct Pinned {
    /// The epoch of the snapshot; 0 where that is not known.
    pub epoch: Epoch,
    /// The tables and views that were read; `None` where something else was, of
    /// which no epoch tells when it changes.
    pub tables: Option<BTreeSet<String>>,
    /// The epoch that last changed one of them, up to that of the snapshot.
    pub changed: Epoch,
}

impl Pinned {
    /// Whether the same would be read from `newest`.
    pub(crate) fn is_same_in(&self, newest: &Snapshot) -> bool {
        match &self.tables {
            Some(tables) => {
                let mut changed = tables.iter().map(|table| newest.changed(table));
                changed.all(|changed| changed.is_some_and(|epoch| epoch <= self.epoch))
            }
            None => false,
        }
    }

    /// Adds what another part of the same answer was computed from, on the same
    /// snapshot.
    pub(crate) fn add(&mut self, other: Self) {
        self.changed = self.changed.max(other.changed);
        self.tables = match (self.tables.take(), other.tables) {
            (Some(mut tables), Some(others)) => {
                tables.extend(others);
                Some(tables)
            }
            _ => None,
        };
    }
}

/// The answer of a query.
#[derive(Debug, Clone)]
pub struct QueryResult {
    /// What it was computed from.
    pub pinned: Pinned,
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
}

/// Plans a statement with every table pinned to one snapshot.
#[derive(Clone)]
struct OneSnapshotPlanner {
    source: SnapshotSource,
    time_ms_max: u64,
    memory_bytes_max: usize,
    access: Arc<Access>,
}

impl std::fmt::Debug for OneSnapshotPlanner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OneSnapshotPlanner")
    }
}

#[async_trait]
impl QueryPlanner for OneSnapshotPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        state: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = ONE_SNAPSHOT.try_with(Snapshot::clone);
        let snapshot = snapshot.unwrap_or_else(|_| tables_to_read(&self.source));
        let mut tables = Some(BTreeSet::new());
        let pinned = plan.clone().transform_up_with_subqueries(|node| {
            let LogicalPlan::TableScan(mut scan) = node else {
                return Ok(Transformed::no(node));
            };
            let provider = source_as_provider(&scan.source)?;
            let Some(table) = provider.downcast_ref::<SluiceTable>() else {
                tables = None;
                return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
            };
            if let Some(tables) = &mut tables {
                tables.insert(table.name.clone());
            }
            if let Some(role) = session::limiting_role(&self.access) {
                let fields = scan.projected_schema.fields().iter();
                let shown = fields.map(|field| field.name().as_str());
                let asked = scan.filters.iter().flat_map(|filter| filter.column_refs());
                let names = shown.chain(asked.map(|column| column.name.as_str()));
                if let Some(refusal) = self.access.refusal(role, &table.name, names) {
                    let refusal = ServeError::Refused(refusal);
                    return Err(DataFusionError::External(Box::new(refusal)));
                }
            }
            scan.source = provider_as_source(Arc::new(table.pin(snapshot.clone())));
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        })?;
        let epoch = snapshot.epoch();
        let read = tables.iter().flatten();
        let changed = read.filter_map(|table| snapshot.changed(table)).max();
        let pin = Pinned {
            epoch,
            changed: match tables {
                Some(_) => changed.unwrap_or(0).min(epoch),
                None => epoch,
            },
            tables,
        };
        // Not set for statements of the PostgreSQL wire, which says no epoch.
        let _ = PINNED.try_with(|pinned| *pinned.lock() = pin);
        let plan = DefaultPhysicalPlanner::default()
            .create_physical_plan(&pinned.data, state)
            .await?;
        Ok(Arc::new(QueryLimits::new(
            plan,
            self.time_ms_max,
            self.memory_bytes_max,
        )?))
    }
}

/// See the module.
pub struct QueryEngine {
    context: Arc<SessionContext>,
    /// Plans views, to which moments are in UTC as they are to models.
    models: SessionContext,
    pub(crate) tables: Arc<PublicTables>,
    pub(crate) options: QueryOptions,
}

impl std::fmt::Debug for QueryEngine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("QueryEngine")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl QueryEngine {
    /// An engine over the snapshots that `source` gives.
    ///
    /// # Errors
    /// When a query view cannot be planned.
    pub fn new(source: SnapshotSource, options: QueryOptions) -> Result<Self, ServeError> {
        let mut config = SessionConfig::new()
            .with_information_schema(true)
            .with_default_catalog_and_schema(CATALOG, "public");
        let settings = config.options_mut();
        // As in views: money written as 0.1 is exact, and text has one type.
        settings.sql_parser.parse_float_as_decimal = true;
        settings.sql_parser.map_string_types_to_utf8view = false;
        settings.sql_parser.dialect = Dialect::PostgreSQL;
        settings.execution.time_zone = Some(options.time_zone.clone());
        // It compares floats by the processor, to which NaN is less than nothing and
        // greater than nothing: it would stay the least, or the greatest, of all groups.
        settings.optimizer.enable_topk_aggregation = false;
        let all_memory_bytes_max = options.all_memory_bytes_max.max(options.memory_bytes_max);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(all_memory_bytes_max, 1.0)
            .with_max_temp_directory_size(options.spill_bytes_max)
            .build_arc()?;
        let planner = OneSnapshotPlanner {
            source: source.clone(),
            time_ms_max: options.time_ms_max,
            memory_bytes_max: options.memory_bytes_max,
            access: options.access.clone(),
        };
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_expr_planners(vec![
                Arc::new(TextsInOperators),
                Arc::new(FloatsInOperators),
                Arc::new(IntervalProducts),
            ])
            .with_default_features()
            .with_query_planner(Arc::new(planner))
            .with_physical_optimizer_rules(with_ties_as_in_views(rules_with_proven_order()))
            .with_physical_optimizer_rule(Arc::new(CodedGroups))
            .with_analyzer_rules(rules_of_queries())
            .build();
        let ids = StoredIds {
            source: source.clone(),
        };
        options
            .functions
            .register_for_queries(&mut state, Arc::new(ids))?;
        state.register_udaf(Arc::new(checked_sum()))?;
        for function in float_extremes() {
            state.register_udaf(Arc::new(function))?;
        }
        let tables = Arc::new(PublicTables {
            source,
            query_views: RwLock::default(),
            own_tables: RwLock::default(),
        });
        let context = SessionContext::new_with_state(state);
        context.register_udtf(EXPLAIN_FUNCTION, Arc::new(ExplainFunction(None)));
        let models = with_tables(
            &context,
            SluiceSchema {
                tables: tables.clone(),
                zone: None,
            },
            &options.time_zone,
        )?;
        if let Some(catalog) = context.catalog(CATALOG) {
            let schema = SluiceSchema {
                tables: tables.clone(),
                zone: Some(options.time_zone.as_str().into()),
            };
            catalog.register_schema("public", Arc::new(schema))?;
        }
        if !options.column_meanings.is_empty() {
            let table = OwnTable::Fixed(column_docs::table(&options.column_meanings)?);
            let name = column_docs::COLUMNS.to_owned();
            tables.own_tables.write().insert(name, table);
        }
        let engine = Self {
            context: Arc::new(context),
            models,
            tables,
            options,
        };
        engine.set_query_views(&engine.options.query_views)?;
        Ok(engine)
    }

    /// Answers under these query views from now on: name and SELECT text, each
    /// after those that it reads.
    ///
    /// # Errors
    /// When one cannot be planned.
    pub fn set_query_views(&self, views: &[(String, String)]) -> Result<(), ServeError> {
        let is_wanted = |name: &String| views.iter().any(|(wanted, _)| wanted == name);
        let known = &self.tables.query_views;
        known.write().retain(|name, _| is_wanted(name));
        for (name, select) in views {
            let state = self.models.state();
            let statement = read_statement(select, &state)?;
            let plan = futures::executor::block_on(state.statement_to_plan(statement))?;
            let view = QueryView {
                select: select.clone(),
                plan: as_in_models(plan, &state)?,
            };
            known.write().insert(name.clone(), view);
        }
        Ok(())
    }

    /// Names of the query views.
    pub(crate) fn query_views(&self) -> Vec<String> {
        self.tables.query_views.read().keys().cloned().collect()
    }

    /// Lets statements ask about the operators of running views: the table
    /// `sluice_operators`, and `EXPLAIN name`.
    ///
    /// # Errors
    /// When their rows cannot be made.
    pub fn explain_with(&self, views: Arc<dyn RunningViews>) -> Result<(), ServeError> {
        self.add_table(OPERATORS_TABLE, Arc::new(Operators(views.clone())))?;
        let function = Arc::new(ExplainFunction(Some(views)));
        self.context.register_udtf(EXPLAIN_FUNCTION, function);
        Ok(())
    }

    /// Lets statements ask a table about the warehouse itself.
    ///
    /// # Errors
    /// When its rows cannot be made.
    pub fn add_table(&self, name: &str, table: Arc<dyn SystemTable>) -> Result<(), ServeError> {
        let table = OwnTable::Asked(SystemTableProvider::new(table)?);
        let mut tables = self.tables.own_tables.write();
        tables.insert(name.to_owned(), table);
        Ok(())
    }

    /// Names of the columns of a query's answer, which is not computed.
    ///
    /// # Errors
    /// When the query is wrong, or would change something.
    pub async fn columns(&self, sql: &str) -> Result<Vec<String>, ServeError> {
        let state = self.context.state();
        let plan = state.statement_to_plan(self.parsed(sql)?).await?;
        let fields = plan.schema().as_arrow().fields();
        // Optimising finds what planning does not, such as types that do not fit.
        state.optimize(&plan)?;
        Ok(fields.iter().map(|field| field.name().clone()).collect())
    }

    /// The DataFusion session behind it.
    pub fn session(&self) -> Arc<SessionContext> {
        self.context.clone()
    }

    /// The business time zone.
    pub(crate) fn zone(&self) -> Arc<str> {
        self.options.time_zone.as_str().into()
    }

    /// The same for readers in another time zone.
    ///
    /// # Errors
    /// When its tables cannot be registered.
    pub(crate) fn session_in(&self, time_zone: &str) -> Result<Arc<SessionContext>, ServeError> {
        let schema = SluiceSchema {
            tables: self.tables.clone(),
            zone: Some(time_zone.into()),
        };
        Ok(Arc::new(with_tables(&self.context, schema, time_zone)?))
    }

    /// One statement that reads.
    pub(crate) fn parsed(&self, sql: &str) -> Result<DataFusionStatement, ServeError> {
        if let Some(problem) = too_many_operators(sql) {
            return Err(ServeError::Query(problem));
        }
        let state = self.context.state();
        let explained = explain_query_of_text(sql);
        let sql = explained.as_deref().unwrap_or(sql);
        let mut statement = read_statement(sql, &state)?;
        if let Some(problem) = refused_in(&statement) {
            return Err(ServeError::Query(problem.to_owned()));
        }
        mend_in(&mut statement).map_err(ServeError::Query)?;
        match &statement {
            DataFusionStatement::Statement(inner) => {
                if let Some(words) = refused(inner).or_else(|| sets(inner)) {
                    return Err(ServeError::ReadOnly(words));
                }
            }
            DataFusionStatement::Explain(_) => {}
            other => {
                let text = other.to_string();
                let word = text.split_whitespace().next().unwrap_or_default();
                return Err(ServeError::ReadOnly(word.to_owned()));
            }
        }
        Ok(statement)
    }

    /// Begins work on the threads for answers, for whoever asks now.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let work = SESSION.scope(session::current(), work);
        match &self.options.threads {
            Some(threads) => threads.spawn(work),
            None => tokio::spawn(work),
        }
    }

    /// Work on the threads for answers, which is given up as soon as nobody waits
    /// for it.
    ///
    /// # Errors
    /// Those of the work, and when it is interrupted.
    pub(crate) async fn apart<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ServeError>> + Send + 'static,
    ) -> Result<T, ServeError> {
        let work = SESSION.scope(session::current(), work);
        // Dropping a set ends its tasks.
        let mut tasks = JoinSet::new();
        match &self.options.threads {
            Some(threads) => tasks.spawn_on(work, threads),
            None => tasks.spawn(work),
        };
        match tasks.join_next().await {
            Some(Ok(result)) => result,
            _ => Err(ServeError::Interrupted),
        }
    }

    /// Answers one statement.
    ///
    /// # Errors
    /// When it is wrong, would change something, or passes a limit.
    pub async fn query(&self, sql: &str) -> Result<QueryResult, ServeError> {
        let state = self.context.state();
        let statement = self.parsed(sql)?;
        self.run(async { state.statement_to_plan(statement).await })
            .await
    }

    /// Computes what several plans make together: all of them on one snapshot, and
    /// within the time of one.
    ///
    /// # Errors
    /// Those of the work, and when it takes too long.
    pub(crate) async fn on_one_snapshot<T>(
        &self,
        work: impl Future<Output = Result<T, ServeError>>,
    ) -> Result<T, ServeError> {
        let work = ONE_SNAPSHOT.scope(tables_to_read(&self.tables.source), work);
        let limit_ms = self.options.time_ms_max;
        match tokio::time::timeout(Duration::from_millis(limit_ms), work).await {
            Ok(result) => result,
            Err(_) => Err(ServeError::TimeLimit(limit_ms)),
        }
    }

    /// Runs a plan within the limits, all of it on one snapshot.
    pub(crate) async fn run(
        &self,
        plan: impl Future<Output = Result<LogicalPlan>>,
    ) -> Result<QueryResult, ServeError> {
        let work = async {
            let frame = self.context.execute_logical_plan(plan.await?).await?;
            let (schema, batches) = self.collect(frame).await?;
            let pinned = PINNED.with(|pinned| pinned.lock().clone());
            Ok::<_, DataFusionError>(QueryResult {
                pinned,
                schema,
                batches,
            })
        };
        let work = PINNED.scope(Mutex::default(), work);
        let limit_ms = self.options.time_ms_max;
        match tokio::time::timeout(Duration::from_millis(limit_ms), work).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(ServeError::TimeLimit(limit_ms)),
        }
    }

    /// The columns and rows of an answer, as far as there is memory for them.
    async fn collect(&self, frame: DataFrame) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let pool = self.context.runtime_env().memory_pool.clone();
        let held = MemoryConsumer::new("answer").register(&pool);
        let mut stream = frame.execute_stream().await?;
        // The types that the columns have once those of values are matched.
        let schema = stream.schema();
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            // Only the rows of the answer: the snapshot's columns, of which
            // they may be slices, are there anyway.
            for column in batch.columns() {
                held.try_grow(column.to_data().get_slice_memory_size()?)?;
            }
            if held.size() > self.options.memory_bytes_max {
                let bytes_max = self.options.memory_bytes_max;
                let detail = format!("the answer alone has more than {bytes_max} bytes");
                return Err(DataFusionError::ResourcesExhausted(detail));
            }
            batches.push(batch);
        }
        Ok((schema, batches))
    }
}
