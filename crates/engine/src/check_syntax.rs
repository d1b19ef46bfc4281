//! Reads a model file and refuses every construct that cannot be kept current,
//! with its place in the file. It also looks at what the planner would pass
//! over in silence, such as a table's version or a lock.

use arrow::array::timezone::Tz;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Volatility;
use datafusion::sql::parser::{DFParser, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, ObjectName, Query, Select, SetExpr, SetOperator,
    SetQuantifier, Spanned, Statement, TableFactor, TableWithJoins, Value, WindowType,
};
use datafusion::sql::sqlparser::tokenizer::Location;
use sluice_core::too_many_operators;
use sluice_functions::{
    StatementTooLong, bound_slices, bracket_negative_intervals, compare_rows_by_value,
    compare_with_any, put_into_zones_in_turn,
};
use sluice_syntax::{
    MODELS, Part, bracket_misread, cut_limited_texts, fit_numbers, order_by_inputs, refused_form,
};

use crate::time::emit::without_emit_clause;
use crate::time::rewrite::{is_temporal, rewrite, window_function};
use crate::{PlanError, ViewDefinition};

/// A model as parsed.
#[derive(Debug)]
pub(crate) struct ParsedView {
    pub(crate) name: String,
    pub(crate) is_materialized: bool,
    pub(crate) query: Box<Query>,
    pub(crate) name_location: (usize, usize),
    /// Where EMIT ON WINDOW CLOSE stands.
    pub(crate) emit_location: Option<(usize, usize)>,
}

/// Parses one model file.
pub(crate) fn parse_view(
    definition: &ViewDefinition,
    state: &SessionState,
) -> Result<ParsedView, Vec<PlanError>> {
    let mut checker = Checker {
        file: &definition.file,
        state,
        errors: Vec::new(),
    };
    let parsed = checker.parse(definition);
    match parsed {
        Some(parsed) if checker.errors.is_empty() => Ok(parsed),
        _ => Err(checker.errors),
    }
}

struct Checker<'a> {
    file: &'a str,
    state: &'a SessionState,
    errors: Vec<PlanError>,
}

const CLOCK_HELP: &str = "a view must give the same rows on every replay; take the time from a column, or make it a plain CREATE VIEW, which is computed when asked";
const SAMPLE_HELP: &str = "leave it out, or keep the rows of some keys: WHERE key % 100 = 0";
const QUERY_VIEW_HELP: &str = "make it a plain CREATE VIEW, which is computed when asked";

impl Checker<'_> {
    fn refuse(&mut self, location: Location, message: impl Into<String>, help: &str) {
        self.errors.push(PlanError {
            file: self.file.to_owned(),
            line: (location.line as usize).max(1),
            column: (location.column as usize).max(1),
            message: message.into(),
            help: help.to_owned(),
        });
    }

    fn refuse_if(&mut self, found: bool, at: Location, message: &str, help: &str) {
        if found {
            self.refuse(at, format!("{message} is not supported in a view"), help);
        }
    }

    fn parse(&mut self, definition: &ViewDefinition) -> Option<ParsedView> {
        let start = Location::new(1, 1);
        if let Some(problem) = too_many_operators(&definition.sql) {
            self.refuse(start, problem, "");
            return None;
        }
        let (sql, emit) = without_emit_clause(&definition.sql);
        let statements = match DFParser::parse_sql_with_dialect(&sql, &MODELS) {
            Ok(statements) => statements,
            Err(error) => {
                let text = error.strip_backtrace();
                let location = location_in_message(&text).unwrap_or(start);
                self.refuse(location, text, "");
                return None;
            }
        };
        let [statement] = &statements.into_iter().collect::<Vec<_>>()[..] else {
            let help = "keep one CREATE MATERIALIZED VIEW a file";
            self.refuse(start, "the file does not hold exactly one statement", help);
            return None;
        };
        let DataFusionStatement::Statement(statement) = statement else {
            self.refuse(start, "not a view", VIEW_HELP);
            return None;
        };
        let Statement::CreateView(view) = statement.as_ref() else {
            self.refuse(statement.span().start, "not a view", VIEW_HELP);
            return None;
        };
        let name_span = view.name.span().start;
        let is_plain = !view.or_alter
            && !view.secure
            && view.cluster_by.is_empty()
            && !view.with_no_schema_binding
            && !view.temporary
            && !view.copy_grants
            && view.to.is_none()
            && view.params.is_none()
            && view.comment.is_none();
        self.refuse_if(!is_plain, name_span, "an option of CREATE VIEW", VIEW_HELP);
        self.refuse_if(
            !view.columns.is_empty(),
            name_span,
            "a column list after the view's name",
            "name the columns in the SELECT: expression AS name",
        );
        let name = self.view_name(&view.name)?;
        let stem = std::path::Path::new(&definition.file).file_stem();
        let file_fits = stem.is_none_or(|stem| stem.to_string_lossy() == name);
        if !file_fits || definition.name != name {
            let message = format!("the file defines `{name}`, which is not its own name");
            self.refuse(
                name_span,
                message,
                "name the file as the view: one view a file",
            );
        }
        if let Some(at) = emit.filter(|_| !view.materialized) {
            let help = "a plain view is computed when asked; filter by window_end there";
            self.refuse(at, "EMIT ON WINDOW CLOSE of a plain view", help);
        }
        let mut query = view.query.clone();
        if view.materialized {
            self.query(&query);
            self.expressions(&query);
        }
        if self.errors.is_empty()
            && let Some(problem) = refused_form(&*query)
        {
            self.refuse(name_span, problem, "");
        }
        bracket_misread(&mut *query);
        order_by_inputs(&mut *query);
        cut_limited_texts(&mut *query);
        bracket_negative_intervals(&mut query);
        bound_slices(&mut *query);
        if let Err(problem) = compare_by_value(&mut query) {
            self.refuse(name_span, problem.to_string(), "");
            return None;
        }
        put_into_zones_in_turn(&mut *query);
        fit_numbers(&mut *query);
        rewrite(&mut query);
        Some(ParsedView {
            name,
            is_materialized: view.materialized,
            query,
            name_location: (name_span.line as usize, name_span.column as usize),
            emit_location: emit.map(|at| (at.line as usize, at.column as usize)),
        })
    }

    fn view_name(&mut self, name: &ObjectName) -> Option<String> {
        let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        let [ident] = parts[..] else {
            let at = name.span().start;
            let help = "all tables and views live in one schema; leave the prefix out";
            self.refuse(at, "a view name with a schema", help);
            return None;
        };
        Some(normalize(ident))
    }

    fn query(&mut self, query: &Query) {
        let at = query.span().start;
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        let picks_first = matches!(
            body.as_ref(),
            SetExpr::Select(select) if matches!(select.distinct, Some(Distinct::On(_)))
        );
        self.refuse_if(
            order_by.is_some() && limit_clause.is_none() && !picks_first,
            order_by.as_ref().map_or(at, |clause| clause.span().start),
            "ORDER BY without LIMIT",
            "a view is a set of rows without an order; put ORDER BY in the query that reads it",
        );
        self.refuse_if(
            order_by.is_none() && limit_clause.is_some(),
            at,
            "LIMIT without ORDER BY",
            "which rows it keeps would be left to chance: add ORDER BY, or put LIMIT in the query that reads the view",
        );
        self.refuse_if(
            limit_clause.is_some() && picks_first,
            at,
            "LIMIT beside DISTINCT ON",
            "put DISTINCT ON into a subquery, and ORDER BY … LIMIT around it",
        );
        self.refuse_if(
            order_by.is_none() && picks_first,
            at,
            "DISTINCT ON without ORDER BY",
            "which row it keeps would be left to chance: add ORDER BY with the columns of DISTINCT ON first",
        );
        self.refuse_if(fetch.is_some(), at, "FETCH", "write LIMIT n");
        self.refuse_if(
            !locks.is_empty(),
            at,
            "FOR UPDATE or FOR SHARE",
            "leave it out",
        );
        let has_other = for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty();
        self.refuse_if(has_other, at, "a clause of another dialect", "leave it out");
        if let Some(with) = with {
            let at = with.with_token.0.span.start;
            self.refuse_if(with.recursive, at, "WITH RECURSIVE", "");
            for table in &with.cte_tables {
                self.query(&table.query);
            }
        }
        self.set_expression(body, at);
    }

    fn set_expression(&mut self, body: &SetExpr, at: Location) {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation {
                op,
                set_quantifier,
                left,
                right,
            } => {
                let is_known = match set_quantifier {
                    SetQuantifier::All => *op == SetOperator::Union,
                    SetQuantifier::Distinct | SetQuantifier::None => *op != SetOperator::Minus,
                    _ => false,
                };
                self.refuse_if(
                    !is_known,
                    left.span().start,
                    &format!("{op} {set_quantifier}"),
                    "UNION, UNION ALL, INTERSECT and EXCEPT are kept current; to count duplicates, GROUP BY all columns and compare count(*)",
                );
                self.set_expression(left, at);
                self.set_expression(right, at);
            }
            SetExpr::Values(_) => {}
            _ => self.refuse(at, "not a SELECT", VIEW_HELP),
        }
    }

    fn select(&mut self, select: &Select) {
        let at = select.span().start;
        let has_other = select.top.is_some()
            || select.into.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.value_table_mode.is_some()
            || select.exclude.is_some()
            || select.select_modifiers.is_some();
        self.refuse_if(has_other, at, "a clause of another dialect", "leave it out");
        let has_modifiers = match &select.group_by {
            GroupByExpr::All(_) => true,
            GroupByExpr::Expressions(_, modifiers) => !modifiers.is_empty(),
        };
        self.refuse_if(
            has_modifiers,
            at,
            "GROUP BY ALL or a GROUP BY modifier",
            "name the columns to group by",
        );
        for table in &select.from {
            self.tables(table);
        }
    }

    fn tables(&mut self, tables: &TableWithJoins) {
        self.table(&tables.relation, false);
        for join in &tables.joins {
            self.table(&join.relation, true);
        }
    }

    fn table(&mut self, factor: &TableFactor, is_joined: bool) {
        let at = factor.span().start;
        match factor {
            TableFactor::Table {
                name,
                alias: _,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                let is_temporal = is_temporal(factor);
                self.refuse_if(
                    args.is_some() && window_function(name).is_none() && !is_temporal,
                    at,
                    &format!("the table function `{name}`"),
                    "tumble, hop and session give windows of time, LOOKUP joins with a table as it is; others are computed in a plain CREATE VIEW",
                );
                self.refuse_if(
                    is_temporal && !is_joined,
                    at,
                    if version.is_some() {
                        "FOR SYSTEM_TIME AS OF of a table that is not joined to another"
                    } else {
                        "LOOKUP of a table that is not joined to another"
                    },
                    "put the log first: FROM log JOIN …",
                );
                let has_other = !with_hints.is_empty()
                    || *with_ordinality
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_hints.is_empty();
                self.refuse_if(has_other, at, "a table option", "leave it out");
                self.refuse_if(sample.is_some(), at, "TABLESAMPLE", SAMPLE_HELP);
            }
            TableFactor::UNNEST { .. } => {}
            TableFactor::Derived {
                lateral: _,
                subquery,
                alias: _,
                sample,
            } => {
                self.refuse_if(sample.is_some(), at, "TABLESAMPLE", SAMPLE_HELP);
                self.query(subquery);
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: _,
            } => self.tables(table_with_joins),
            _ => self.refuse(
                at,
                "this table form is not supported in a view",
                QUERY_VIEW_HELP,
            ),
        }
    }

    /// Functions that read the clock or chance, and subqueries, wherever they
    /// stand.
    fn expressions(&mut self, query: &Query) {
        let mut functions = Vec::new();
        let mut subqueries = Vec::new();
        query.each_expression(&mut |expression| match expression {
            Expr::Function(function) => functions.push(function.clone()),
            Expr::Subquery(subquery)
            | Expr::InSubquery { subquery, .. }
            | Expr::Exists { subquery, .. } => subqueries.push(subquery.clone()),
            other => self.wrong_in_library(other),
        });
        for function in functions {
            let at = function.name.span().start;
            // The planner forgets what the named window says.
            let refines = matches!(
                &function.over,
                Some(WindowType::WindowSpec(spec)) if spec.window_name.is_some()
            );
            self.refuse_if(
                refines,
                at,
                "OVER (name …), which adds to a named window,",
                "write the whole window: OVER (PARTITION BY … ORDER BY … ROWS …)",
            );
            let name = function.name.to_string().to_lowercase();
            let volatility = self
                .state
                .scalar_functions()
                .get(&name)
                .map(|found| found.signature().volatility);
            if volatility.is_some_and(|found| found != Volatility::Immutable) {
                let message = format!("`{name}` reads the clock or chance");
                self.refuse(at, message, CLOCK_HELP);
            }
        }
        for subquery in subqueries {
            self.query(&subquery);
        }
    }

    /// Refuses what the library would take and answer otherwise than SQL.
    fn wrong_in_library(&mut self, expression: &Expr) {
        let at = expression.span().start;
        match expression {
            Expr::SimilarTo { .. } => self.refuse_if(
                true,
                at,
                "SIMILAR TO",
                "write a regular expression: value ~ '^(…)$'",
            ),
            Expr::AtTimeZone { time_zone, .. } => {
                let Expr::Value(zone) = &**time_zone else {
                    return;
                };
                let Value::SingleQuotedString(zone) = &zone.value else {
                    return;
                };
                if zone.parse::<Tz>().is_err() {
                    self.refuse(
                        time_zone.span().start,
                        format!("there is no time zone `{zone}`"),
                        "write one as in 'Asia/Shanghai', 'UTC' or '+08:00'",
                    );
                }
            }
            _ => {}
        }
    }
}

const VIEW_HELP: &str = "write CREATE MATERIALIZED VIEW name AS SELECT …";

/// The name as SQL compares it: in lower case unless quoted.
pub(crate) fn normalize(ident: &Ident) -> String {
    if ident.quote_style.is_some() {
        return ident.value.clone();
    }
    ident.value.to_lowercase()
}

fn compare_by_value(query: &mut Query) -> Result<(), StatementTooLong> {
    compare_rows_by_value(query)?;
    compare_with_any(query)?;
    Ok(())
}

/// Parser messages end in "at Line: 3, Column: 14".
fn location_in_message(message: &str) -> Option<Location> {
    let number_after = |word: &str| {
        let rest = &message[message.rfind(word)? + word.len()..];
        let digits: String = rest
            .chars()
            .skip_while(|character| *character == ' ')
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse::<u64>().ok()
    };
    Some(Location::new(
        number_after("Line:")?,
        number_after("Column:")?,
    ))
}
