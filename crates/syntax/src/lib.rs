//! What statements are to all that read them: their dialect (`dialect.rs`), texts that
//! are read as the same again (`brackets.rs`), orders that the planner would read
//! otherwise (`order_by_inputs.rs`), calls by other names (`other_names.rs`), casts to
//! texts of limited length (`limited_texts.rs`), numbers with an exponent
//! (`number_literals.rs`), forms that are refused (`refused_forms.rs`) or of which the
//! planner would make too much (`planned_size.rs`), and walks over them, of which one
//! puts expressions in the place of others (`replaced.rs`).
//!
//! The library's walk is compiled anew for each type of visitor that it is called
//! with: some four thousand functions each time, one for each kind of node. Here it
//! is compiled once for all visitors that read, and once for all that rewrite.

mod brackets;
mod calls;
mod dialect;
mod limited_texts;
mod number_literals;
mod order_by_inputs;
mod other_names;
mod planned_size;
mod refused_forms;
mod replaced;

use std::fmt::Display;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, ObjectName, Query, Select, Statement, TableFactor, Value, ValueWithSpan,
    Visit, VisitMut, Visitor, VisitorMut,
};

pub use brackets::bracket_misread;
pub use calls::call;
pub use dialect::{MODELS, QUERIES, SluiceDialect};
pub use limited_texts::cut_limited_texts;
pub use number_literals::{cast_to, fit_numbers, fitted, may_have_exponent, text_as};
pub use order_by_inputs::{is_aggregate, order_by_inputs};
pub use other_names::OTHER_NAMES;
pub use refused_forms::refused_form;
pub use replaced::{Order, replace_expressions};

/// A visitor that reads. `Break` ends the walk.
pub type Reader<'a> = &'a mut dyn Visitor<Break = ()>;

/// A visitor that rewrites. `Break` ends the walk.
pub type Rewriter<'a> = &'a mut dyn VisitorMut<Break = ()>;

/// A part of a statement.
pub trait Part {
    /// Shows all parts of this one, itself and subqueries among them, to `reader`.
    /// Breaks when `reader` does.
    fn read(&self, reader: Reader<'_>) -> ControlFlow<()>;

    /// Lets `rewriter` change all parts of this one, as [`read`](Self::read) shows
    /// them.
    fn rewrite(&mut self, rewriter: Rewriter<'_>) -> ControlFlow<()>;

    /// Whether some expression in it is so.
    ///
    /// ```
    /// use datafusion::sql::sqlparser::{ast::Expr, dialect::GenericDialect, parser::Parser};
    /// use sluice_syntax::Part;
    ///
    /// let sql = "SELECT a FROM t WHERE b IN (SELECT max(c) FROM u)";
    /// let statement = Parser::parse_sql(&GenericDialect {}, sql)?.remove(0);
    /// assert!(statement.has_expression(&mut |part| matches!(part, Expr::Function(_))));
    /// assert!(!statement.has_expression(&mut |part| matches!(part, Expr::Case { .. })));
    /// # Ok::<(), datafusion::sql::sqlparser::parser::ParserError>(())
    /// ```
    fn has_expression(&self, is_so: &mut dyn FnMut(&Expr) -> bool) -> bool {
        self.read(&mut Finder(is_so)).is_break()
    }

    /// Shows every expression in it, what stands around others first.
    fn each_expression(&self, see: &mut dyn FnMut(&Expr)) {
        self.has_expression(&mut |expression| {
            see(expression);
            false
        });
    }
}

/// A statement or query as text that is read as the same again.
///
/// The library writes a quote in a text once where two follow each other, or a
/// backslash stands before it, because to some dialects that is one quote.
///
/// ```
/// use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};
/// use sluice_syntax::text_of;
///
/// let sql = r"SELECT 'a''''b', '\''c', E'd\'e'";
/// let statement = Parser::parse_sql(&PostgreSqlDialect {}, sql)?.remove(0);
/// let again = Parser::parse_sql(&PostgreSqlDialect {}, &text_of(&statement))?;
/// assert_eq!(again, [statement]);
/// # Ok::<(), datafusion::sql::sqlparser::parser::ParserError>(())
/// ```
pub fn text_of<P: Part + Clone + Display>(part: &P) -> String {
    let mut part = part.clone();
    let _ = part.rewrite(&mut QuotesDoubled);
    part.to_string()
}

/// Two quotes side by side are written as they are.
struct QuotesDoubled;

impl VisitorMut for QuotesDoubled {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if let Value::SingleQuotedString(text) = &mut value.value
            && text.contains('\'')
        {
            *text = text.replace('\'', "''");
        }
        ControlFlow::Continue(())
    }
}

/// Stops at an expression that is so.
struct Finder<'a>(&'a mut dyn FnMut(&Expr) -> bool);

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match (self.0)(expr) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

macro_rules! parts {
    ($($part:ty),+) => {$(
        impl Part for $part {
            fn read(&self, reader: Reader<'_>) -> ControlFlow<()> {
                self.visit(&mut AnyReader(reader))
            }

            fn rewrite(&mut self, rewriter: Rewriter<'_>) -> ControlFlow<()> {
                VisitMut::visit(self, &mut AnyRewriter(rewriter))
            }
        }
    )+};
}

parts!(Expr, Query, Select, Statement, Vec<FunctionArg>);

/// Hands every call on.
struct AnyReader<'a>(Reader<'a>);

/// Hands every call on.
struct AnyRewriter<'a>(Rewriter<'a>);

macro_rules! handed_on {
    ($visitor:ident, $by:ident, $($call:ident($node:ty)),+ $(,)?) => {
        impl $visitor for $by<'_> {
            type Break = ();

            $(fn $call(&mut self, node: $node) -> ControlFlow<()> {
                self.0.$call(node)
            })+
        }
    };
}

handed_on! {
    Visitor, AnyReader,
    pre_visit_query(&Query),
    post_visit_query(&Query),
    pre_visit_select(&Select),
    post_visit_select(&Select),
    pre_visit_relation(&ObjectName),
    post_visit_relation(&ObjectName),
    pre_visit_table_factor(&TableFactor),
    post_visit_table_factor(&TableFactor),
    pre_visit_expr(&Expr),
    post_visit_expr(&Expr),
    pre_visit_statement(&Statement),
    post_visit_statement(&Statement),
    pre_visit_value(&ValueWithSpan),
    post_visit_value(&ValueWithSpan),
}

handed_on! {
    VisitorMut, AnyRewriter,
    pre_visit_query(&mut Query),
    post_visit_query(&mut Query),
    pre_visit_select(&mut Select),
    post_visit_select(&mut Select),
    pre_visit_relation(&mut ObjectName),
    post_visit_relation(&mut ObjectName),
    pre_visit_table_factor(&mut TableFactor),
    post_visit_table_factor(&mut TableFactor),
    pre_visit_expr(&mut Expr),
    post_visit_expr(&mut Expr),
    pre_visit_statement(&mut Statement),
    post_visit_statement(&mut Statement),
    pre_visit_value(&mut ValueWithSpan),
    post_visit_value(&mut ValueWithSpan),
}
