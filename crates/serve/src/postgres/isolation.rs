//! Levels of isolation: whether the statements of a transaction see one state of the
//! tables, or each the newest.

use datafusion::sql::sqlparser::ast::{TransactionIsolationLevel, TransactionMode};

/// The setting that names the level of transactions that name none.
pub(super) const DEFAULT_LEVEL: &str = "default_transaction_isolation";
/// The setting that names the level of the transaction.
pub(super) const LEVEL: &str = "transaction_isolation";

/// The levels that PostgreSQL knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    const ALL: [Self; 4] = [
        Self::ReadUncommitted,
        Self::ReadCommitted,
        Self::RepeatableRead,
        Self::Serializable,
    ];

    /// The level that a statement names.
    pub(super) fn of_modes(modes: &[TransactionMode]) -> Option<Self> {
        let mut levels = modes.iter().filter_map(|mode| match mode {
            TransactionMode::IsolationLevel(level) => Some(level),
            TransactionMode::AccessMode(_) => None,
        });
        let last = levels.next_back()?;
        Some(match last {
            TransactionIsolationLevel::ReadUncommitted => Self::ReadUncommitted,
            TransactionIsolationLevel::ReadCommitted => Self::ReadCommitted,
            TransactionIsolationLevel::RepeatableRead | TransactionIsolationLevel::Snapshot => {
                Self::RepeatableRead
            }
            TransactionIsolationLevel::Serializable => Self::Serializable,
        })
    }

    /// The level of a name, in any case.
    pub(super) fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|level| level.name().eq_ignore_ascii_case(name.trim()))
    }

    /// What SHOW calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read uncommitted",
            Self::ReadCommitted => "read committed",
            Self::RepeatableRead => "repeatable read",
            Self::Serializable => "serializable",
        }
    }

    /// Whether all statements see the state of the tables that the first one saw.
    pub(super) fn sees_one_state(self) -> bool {
        matches!(self, Self::RepeatableRead | Self::Serializable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names() {
        for level in Isolation::ALL {
            assert_eq!(Isolation::named(level.name()), Some(level));
        }
        let found = Isolation::named(" REPEATABLE READ ");
        assert_eq!(found, Some(Isolation::RepeatableRead));
        assert_eq!(Isolation::named("chaos"), None);
    }
}
