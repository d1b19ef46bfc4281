//! How long a statement may get where comparisons are written in other words, in which
//! their values stand more than once.

use datafusion::sql::sqlparser::ast::Expr;

/// What is written in the place of comparisons may have so many bytes in one statement.
const WRITTEN_BYTES_MAX: usize = 256 << 10;

/// The statement would get longer than it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "comparisons of rows, and with ANY, have more than {max} bytes once their values are compared one by one: compare fewer or shorter values, join with VALUES, or divide the statement",
    max = WRITTEN_BYTES_MAX
)]
pub struct StatementTooLong;

/// The room that one statement has.
#[derive(Debug, Default)]
pub(crate) struct StatementRoom {
    bytes: usize,
}

impl StatementRoom {
    /// Takes the room for some values and so many bytes around them, before they are
    /// written; `None` where there is none left.
    pub(crate) fn take<'a>(
        &mut self,
        values: impl IntoIterator<Item = &'a Expr>,
        bytes: usize,
    ) -> Option<()> {
        self.check()?;
        let values = values.into_iter().map(|value| value.to_string().len());
        let bytes = values.fold(bytes, usize::saturating_add);
        self.bytes = self.bytes.saturating_add(bytes);
        self.check()
    }

    fn check(&self) -> Option<()> {
        (self.bytes <= WRITTEN_BYTES_MAX).then_some(())
    }

    /// # Errors
    /// When there was no room for something.
    pub(crate) fn was_enough(&self) -> Result<(), StatementTooLong> {
        self.check().ok_or(StatementTooLong)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Ident;

    use super::*;

    #[test]
    fn room_ends() {
        let name = "x".repeat(WRITTEN_BYTES_MAX / 2 - 8);
        let value = Expr::Identifier(Ident::new(name));
        let mut room = StatementRoom::default();
        assert_eq!(room.take([&value], 8), Some(()));
        assert_eq!(room.take([&value], 8), Some(()));
        assert_eq!(room.was_enough(), Ok(()));
        assert_eq!(room.take([], 1), None);
        assert_eq!(room.take([], 0), None);
        let problem = room.was_enough().unwrap_err().to_string();
        assert!(problem.contains("more than 262144 bytes"), "{problem}");
    }
}
