//! Every function that a model may name, DataFusion's and our own, is either kept
//! current or refused when the model is checked. A function of a new version of
//! DataFusion is here by itself: it is called in all ways that are easily found, and
//! where none is, this test wants an example in `examples.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/content.rs"]
mod content;
mod examples;
#[path = "../common/table_changes.rs"]
mod table_changes;
mod warehouse;

use datafusion::execution::{SessionState, SessionStateBuilder};
use sluice_engine::Program;
use sluice_functions::Functions;

use examples::{ARGUMENTS, EXAMPLES, STATEMENTS, WITHOUT_CALL};
use warehouse::{equals_batch, program};

/// Words of the refusal of a function that no call makes another one.
const CLOCK: &str = "reads the clock or chance";

/// Words of refusals that say what is wrong with the function, not with a call of it.
const REFUSALS: [&str; 6] = [
    "takes a function",
    "without an order",
    "in a materialized view",
    "as a window function",
    "is not supported",
    "are not supported",
];

/// Where a function is called.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Scalar,
    Aggregate,
    Window,
}

impl Kind {
    /// Views with a call, of which one may take what the other cannot store.
    fn selects(self, call: &str) -> Vec<String> {
        let forms = [call.to_owned(), format!("({call}) IS NULL")];
        let select = |form: String| match self {
            Self::Scalar | Self::Window => format!("SELECT k, {form} AS x FROM t"),
            Self::Aggregate => format!("SELECT g, {form} AS x FROM t GROUP BY g"),
        };
        forms.map(select).to_vec()
    }

    fn call(self, name: &str, arguments: &str) -> String {
        match self {
            Self::Window => format!("{name}({arguments}) OVER (PARTITION BY g ORDER BY k)"),
            _ => format!("{name}({arguments})"),
        }
    }
}

/// What became of a function.
#[derive(Debug)]
enum Found {
    Kept,
    Refused,
    /// No call was found, with what the last one was answered.
    Nothing(String),
}

/// A session with the functions of views.
fn session() -> SessionState {
    let mut state = SessionStateBuilder::new().with_default_features().build();
    Functions::default().register_for_views(&mut state).unwrap();
    state
}

/// The functions by the names of their own.
fn functions() -> Vec<(String, Kind)> {
    let state = session();
    let scalars = state.scalar_functions().iter();
    let scalars = scalars.filter(|(name, function)| name.as_str() == function.name());
    let scalars = scalars.map(|(name, _)| (name.clone(), Kind::Scalar));
    let aggregates = state.aggregate_functions().iter();
    let aggregates = aggregates.filter(|(name, function)| name.as_str() == function.name());
    let aggregates = aggregates.map(|(name, _)| (name.clone(), Kind::Aggregate));
    let windows = state.window_functions().iter();
    let windows = windows.filter(|(name, function)| name.as_str() == function.name());
    let windows = windows.map(|(name, _)| (name.clone(), Kind::Window));
    let mut all: Vec<(String, Kind)> = scalars.chain(aggregates).chain(windows).collect();
    all.sort_by(|left, right| left.0.cmp(&right.0));
    all
}

/// Arguments to try, those of an example alone if there is one.
fn arguments_of(name: &str) -> Vec<String> {
    let examples = EXAMPLES.iter().filter(|(example, _)| *example == name);
    let examples: Vec<String> = examples.map(|(_, call)| (*call).to_owned()).collect();
    if !examples.is_empty() {
        return examples;
    }
    let one = ARGUMENTS.iter().map(|argument| (*argument).to_owned());
    let two = ARGUMENTS.iter().flat_map(|first| {
        let seconds = ARGUMENTS.iter();
        seconds.map(move |second| format!("{first}, {second}"))
    });
    std::iter::once(String::new())
        .chain(one)
        .chain(two)
        .collect()
}

/// Views with calls to try.
fn selects_of(name: &str, kind: Kind) -> Vec<String> {
    let statements = STATEMENTS.iter().filter(|(of, _)| *of == name);
    let statements: Vec<String> = statements.map(|(_, select)| (*select).to_owned()).collect();
    if !statements.is_empty() {
        return statements;
    }
    let calls = arguments_of(name).into_iter();
    let calls = calls.map(|arguments| kind.call(name, &arguments));
    calls.flat_map(|call| kind.selects(&call)).collect()
}

/// Tries a function until a call of it is kept.
fn try_function(name: &str, kind: Kind, problems: &mut Vec<String>) -> Found {
    let mut found = Found::Nothing(String::new());
    for select in selects_of(name, kind) {
        let problem = match program(&select).map(equals_batch) {
            Ok(Ok(true)) => return Found::Kept,
            Ok(Ok(false)) => format!("{select} has no row"),
            Ok(Err(difference)) => {
                problems.push(format!("{select}: {difference}"));
                return Found::Kept;
            }
            Err(refusal) if refusal.contains(CLOCK) => return Found::Refused,
            Err(refusal) if REFUSALS.iter().any(|words| refusal.contains(words)) => {
                found = Found::Refused;
                continue;
            }
            Err(refusal) => refusal,
        };
        if let Found::Nothing(last) = &mut found {
            *last = problem;
        }
    }
    found
}

#[test]
fn every_function_is_kept_current_or_refused() {
    let mut problems = Vec::new();
    let (mut kept, mut refused) = (0, 0);
    for (name, kind) in functions() {
        let is_without_call = WITHOUT_CALL.contains(&name.as_str());
        match try_function(&name, kind, &mut problems) {
            Found::Kept if is_without_call => {
                problems.push(format!("{name}: there is a call of it after all"));
            }
            Found::Kept => kept += 1,
            Found::Refused => refused += 1,
            Found::Nothing(_) if is_without_call => refused += 1,
            Found::Nothing(last) => {
                problems.push(format!("{name} ({kind:?}): no call was found: {last}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(kept > 150 && refused >= 5, "{kept} kept, {refused} refused");
}

#[test]
fn functions_that_take_functions_are_refused_by_name() {
    let state = session();
    let names: Vec<&String> = state.higher_order_functions().keys().collect();
    assert!(!names.is_empty());
    for name in names {
        let select = format!("SELECT k, {name}(make_array(n, k), x -> x > 1) AS x FROM t");
        let refusal = program(&select).map(|_: Program| ()).unwrap_err();
        let expected = format!("`{name}` takes a function, which is not supported");
        assert!(refusal.contains(&expected), "{select}: {refusal}");
    }
}
