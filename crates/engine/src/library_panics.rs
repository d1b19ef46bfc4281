//! Functions of the library panic for some values. That is the fault of the row,
//! not the end of the warehouse.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use datafusion::error::DataFusionError;

thread_local! {
    /// Whether a panic of this thread becomes an error.
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

static SILENCED: Once = Once::new();

/// Runs `work`, a panic of which is an error like others, and is not shown.
///
/// What `work` changes must not be used after an error: a panic may leave it half
/// done. Expressions hold nothing that an evaluation changes, so that they can be
/// evaluated again.
pub(crate) fn caught<R>(
    work: impl FnOnce() -> Result<R, DataFusionError>,
) -> Result<R, DataFusionError> {
    SILENCED.call_once(|| {
        let shown = take_hook();
        set_hook(Box::new(move |panic| {
            // A thread that ends has no flag any more.
            if !IS_CAUGHT.try_with(Cell::get).unwrap_or(false) {
                shown(panic);
            }
        }));
    });
    let was_caught = IS_CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    IS_CAUGHT.set(was_caught);
    result.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        let said = said.unwrap_or("no words");
        Err(DataFusionError::Execution(format!(
            "a function failed: {said}"
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_the_work_alone() {
        let failed = caught(|| {
            let inner = caught(|| -> Result<(), _> { panic!("inside") });
            assert!(IS_CAUGHT.get());
            inner
        });
        let said = failed.unwrap_err().strip_backtrace();
        assert!(said.ends_with("a function failed: inside"), "{said}");
        assert!(!IS_CAUGHT.get(), "other panics of the thread are shown");
        assert_eq!(caught(|| Ok(7)).unwrap(), 7);
    }
}
