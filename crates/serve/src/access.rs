//! Who may ask what: users with roles, and columns that not everybody may read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use crate::wrong_secrets::WrongSecrets;

/// What a user may do; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Panels, live views, look-ups, documents and numbers about the program.
    Reader,
    /// SQL of one's own.
    Analyst,
    /// What changes something, such as silences; every column.
    Admin,
}

impl Role {
    /// The role of a name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "reader" => Some(Self::Reader),
            "analyst" => Some(Self::Analyst),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Reader => "reader",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
        })
    }
}

/// What somebody wants to do, over whatever protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// See panels, live views, look-ups, documents and numbers.
    Read,
    /// Ask in SQL of one's own.
    AskSql,
    /// Change something: records, silences.
    Change,
}

impl Action {
    /// The least role that may do it.
    pub(crate) fn least_role(self) -> Role {
        match self {
            Self::Read => Role::Reader,
            Self::AskSql => Role::Analyst,
            Self::Change => Role::Admin,
        }
    }
}

/// Somebody who may ask.
#[derive(Clone)]
pub struct User {
    /// Name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Password over the PostgreSQL wire, token over HTTP.
    pub secret: String,
}

impl fmt::Debug for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("User")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// Somebody who has not said.
    Unknown,
    /// A user, who has shown the secret.
    User {
        /// Name.
        name: String,
        /// What it may do.
        role: Role,
    },
    /// The program itself: alarms and reports.
    Program,
}

/// Columns of a table or materialized view that only some roles may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalColumns {
    /// The table or view.
    pub table: String,
    /// Its columns.
    pub columns: BTreeSet<String>,
    /// The least role that may read them.
    pub role: Role,
}

/// The rules of a warehouse. Without users everybody may do everything.
#[derive(Debug, Clone, Default)]
pub struct Access {
    users: BTreeMap<String, User>,
    personal: Vec<PersonalColumns>,
    /// The user whose secret the program makes itself, so long that trying finds
    /// nothing.
    program: Option<String>,
    /// Wrong secrets by address.
    pub(crate) wrong: Arc<WrongSecrets>,
}

impl Access {
    /// Rules for these users.
    pub fn new(users: Vec<User>, personal: Vec<PersonalColumns>) -> Self {
        let users = users.into_iter().map(|user| (user.name.clone(), user));
        Self {
            users: users.collect(),
            personal,
            program: None,
            wrong: Arc::default(),
        }
    }

    /// With a limit on wrong secrets, which does not hold for the user `program`:
    /// its secret is made by the program itself.
    #[must_use]
    pub fn with_limit(mut self, wrong: WrongSecrets, program: &str) -> Self {
        self.program = Some(program.to_owned());
        self.wrong = Arc::new(wrong);
        self
    }

    /// Whether a user may sign in from wherever, however many wrong secrets came
    /// from there.
    pub(crate) fn is_program(&self, name: &str) -> bool {
        self.program.as_deref() == Some(name)
    }

    /// Whether nobody has to say who they are.
    pub fn is_open(&self) -> bool {
        self.users.is_empty()
    }

    /// Names of the users.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(|name| &**name)
    }

    /// The user of a name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// The user whose secret it is. Takes as long for every secret of a length.
    pub(crate) fn by_secret(&self, secret: &str) -> Option<&User> {
        let mut found = None;
        for user in self.users.values() {
            if is_same(user.secret.as_bytes(), secret.as_bytes()) {
                found = Some(user);
            }
        }
        found
    }

    /// The user of a name, if the secret is right.
    pub(crate) fn signed_in(&self, name: &str, secret: &str) -> Option<&User> {
        let user = self.users.get(name)?;
        is_same(user.secret.as_bytes(), secret.as_bytes()).then_some(user)
    }

    /// Why whoever asks may not do it; `None` if they may. HTTP and the
    /// PostgreSQL wire both ask here.
    pub(crate) fn refuses(&self, who: &Who, action: Action) -> Option<String> {
        let needed = action.least_role();
        let (name, role) = match who {
            Who::Program => return None,
            _ if self.is_open() => return None,
            Who::Unknown => return Some(format!("this is for the role {needed}; say who you are")),
            Who::User { name, role } => (name, *role),
        };
        (role < needed)
            .then(|| format!("this is for the role {needed}; {name} has the role {role}"))
    }

    /// The role whose limits hold for whoever asks; `None` where nothing is kept
    /// from them.
    pub(crate) fn limiting_role(&self, who: &Who) -> Option<Role> {
        match who {
            Who::Program => None,
            _ if self.is_open() => None,
            Who::Unknown => Some(Role::Reader),
            Who::User { role, .. } => Some(*role),
        }
    }

    /// Why `role` may not read `columns` of `table`; `None` if it may.
    pub(crate) fn refusal<'a>(
        &self,
        role: Role,
        table: &str,
        mut columns: impl Iterator<Item = &'a str>,
    ) -> Option<String> {
        let rules = self.personal.iter();
        let rules: Vec<&PersonalColumns> = rules
            .filter(|rule| rule.table == table && role < rule.role)
            .collect();
        columns.find_map(|column| {
            let rule = rules.iter().find(|rule| rule.columns.contains(column))?;
            Some(format!(
                "`{table}.{column}` is for the role {}; name the columns that you need",
                rule.role
            ))
        })
    }

    /// Why `role` may not read rows of `table` as they are, whatever columns the
    /// table has or gets; `None` if it may.
    pub(crate) fn whole_refusal(&self, role: Role, table: &str) -> Option<String> {
        let mut rules = self.personal.iter();
        let rule = rules.find(|rule| rule.table == table && role < rule.role)?;
        let column = rule.columns.first()?;
        Some(format!(
            "`{table}.{column}` is for the role {}; ask for other columns with SQL",
            rule.role
        ))
    }
}

/// Whether a secret is the known one. Takes as long for every secret of a
/// length, so that time tells nothing about its beginning.
pub(crate) fn is_same(known: &[u8], given: &[u8]) -> bool {
    let mut difference = usize::from(known.len() != given.len());
    for (place, byte) in known.iter().enumerate() {
        let other = given.get(place).copied().unwrap_or(!byte);
        difference = black_box(difference | usize::from(byte ^ other));
    }
    difference == 0 && !known.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_columns_are_judged() {
        let user = |name: &str, role, secret: &str| User {
            name: name.to_owned(),
            role,
            secret: secret.to_owned(),
        };
        let personal = PersonalColumns {
            table: "person".to_owned(),
            columns: BTreeSet::from(["phone".to_owned()]),
            role: Role::Admin,
        };
        let users = vec![
            user("li", Role::Analyst, "one"),
            user("wang", Role::Admin, "two"),
        ];
        let access = Access::new(users, vec![personal]);
        assert_eq!(
            access.by_secret("two").map(|user| user.role),
            Some(Role::Admin)
        );
        assert!(access.by_secret("tw").is_none() && access.by_secret("").is_none());
        assert!(access.signed_in("li", "two").is_none());
        assert!(is_same(b"secret", b"secret") && !is_same(b"", b""));
        for other in [&b"secreT"[..], b"secre", b"secret1", b""] {
            assert!(!is_same(b"secret", other));
        }
        let refusal =
            |role, columns: &[&str]| access.refusal(role, "person", columns.iter().copied());
        assert!(refusal(Role::Analyst, &["id", "phone"]).is_some());
        assert!(refusal(Role::Analyst, &["id"]).is_none());
        assert!(refusal(Role::Admin, &["phone"]).is_none());
        assert!(access.whole_refusal(Role::Analyst, "person").is_some());
        assert!(access.whole_refusal(Role::Admin, "person").is_none());
        let wang = Who::User {
            name: "wang".to_owned(),
            role: Role::Analyst,
        };
        assert!(access.refuses(&wang, Action::AskSql).is_none());
        assert!(access.refuses(&wang, Action::Change).is_some());
        for action in [Action::Read, Action::AskSql, Action::Change] {
            assert!(access.refuses(&Who::Unknown, action).is_some());
            assert!(access.refuses(&Who::Program, action).is_none());
            assert!(Access::default().refuses(&Who::Unknown, action).is_none());
        }
        assert_eq!(access.limiting_role(&Who::Unknown), Some(Role::Reader));
        assert!(
            access
                .refusal(Role::Reader, "other", ["phone"].into_iter())
                .is_none()
        );
    }
}
