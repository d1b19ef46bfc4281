//! Partitions of tables that are published via their root.
//!
//! The server sends nothing when a partition is attached, detached or dropped, although
//! rows come and go with it. So the partitions are looked at every few seconds and
//! compared with those that the table had when it was copied; a table of which a
//! partition is gone, or has come with rows, is copied anew in its place. One that comes
//! without rows gets all of them by the stream.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::number;
use crate::net::connection::{Connection, ConnectionError};
use crate::position::{CopyProgress, TableCopy};

/// The partitions that hold rows themselves, by the table that they are of, however far
/// below it; with each, whether it has room on disk for rows.
pub(super) type Partitions = BTreeMap<u32, BTreeMap<u32, bool>>;

/// All partitioned tables of the database.
pub(super) fn partitions(connection: &mut Connection) -> Result<Partitions, ConnectionError> {
    // The size of a table may be asked by whoever may not read it.
    let rows = connection.query(
        "WITH RECURSIVE tree AS (SELECT oid AS root, oid AS part FROM pg_class WHERE relkind = 'p' UNION ALL SELECT t.root, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.part) SELECT t.root, c.oid, pg_relation_size(c.oid) > 0 FROM tree t LEFT JOIN pg_class c ON c.oid = t.part AND c.relkind <> 'p'",
    )?;
    let mut found = Partitions::new();
    for row in &rows {
        let [Some(root), part, has_rows] = row.as_slice() else {
            continue;
        };
        let parts = found.entry(number(root)?).or_default();
        if let Some(part) = part {
            parts.insert(number(part)?, has_rows.as_deref() == Some("t"));
        }
    }
    Ok(found)
}

/// The numbers of a table's partitions; `None` of a table that has none.
pub(super) fn numbers_of(found: &Partitions, relation: u32) -> Option<BTreeSet<u32>> {
    Some(found.get(&relation)?.keys().copied().collect())
}

/// What becomes of a copy by the table's partitions as they are now, and what is to be
/// said of it; `None` if nothing does.
pub(super) fn now_with(
    copy: &TableCopy,
    found: &Partitions,
) -> Option<(TableCopy, Option<String>)> {
    let parts = found.get(&copy.relation)?;
    if copy.progress != CopyProgress::Done {
        return None;
    }
    let now = numbers_of(found, copy.relation);
    if copy.partitions == now {
        return None;
    }
    let seen = TableCopy {
        partitions: now,
        ..copy.clone()
    };
    // A position of an earlier program: what was there then is not known.
    let Some(known) = &copy.partitions else {
        return Some((seen, None));
    };
    let gone = known
        .iter()
        .filter(|part| !parts.contains_key(part))
        .count();
    let has_come = |(part, has_rows): &(&u32, &bool)| **has_rows && !known.contains(part);
    let come = parts.iter().filter(has_come).count();
    if gone == 0 && come == 0 {
        return Some((seen, None));
    }
    let said = format!(
        "{}: {gone} of its partitions are gone, {come} have come with rows, of which the server sends nothing: the table is copied again",
        copy.table
    );
    let anew = TableCopy {
        table: copy.table.clone(),
        relation: copy.relation,
        replaces: true,
        ..TableCopy::default()
    };
    Some((anew, Some(said)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::TableName;

    #[test]
    fn only_rows_that_no_stream_brings_are_copied() {
        let known = |partitions: Option<&[u32]>| TableCopy {
            table: TableName::new("public", "t"),
            progress: CopyProgress::Done,
            relation: 7,
            partitions: partitions.map(|parts| parts.iter().copied().collect()),
            ..TableCopy::default()
        };
        let found = Partitions::from([(7, BTreeMap::from([(8, true), (9, false)]))]);
        assert_eq!(now_with(&known(Some(&[8, 9])), &found), None);
        // An empty one has come; what was there is not known.
        for before in [Some(&[8][..]), None] {
            let (copy, said) = now_with(&known(before), &found).unwrap();
            assert_eq!((copy, said), (known(Some(&[8, 9])), None));
        }
        // One is gone; one has come with rows.
        for before in [&[8, 9, 10][..], &[9]] {
            let (copy, said) = now_with(&known(Some(before)), &found).unwrap();
            assert!(copy.replaces && copy.progress == CopyProgress::Waiting);
            assert!(said.unwrap().contains("public.t: "));
        }
        let other = TableCopy {
            relation: 6,
            ..known(None)
        };
        assert_eq!(now_with(&other, &found), None);
    }
}
