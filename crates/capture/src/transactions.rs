//! Which transaction a change message belongs to.

use serde::Deserialize;
use serde::de::IgnoredAny;
use sluice_core::{Record, TransactionMark};

/// Marks records in the form of Maxwell: `xid` names the transaction, and
/// `commit` is true on its last record. Records without `xid`, or that are no
/// JSON, stand alone.
///
/// Specification: <https://maxwells-daemon.io/dataformat/>.
pub fn mark_maxwell(records: &mut [Record]) {
    #[derive(Deserialize)]
    struct Message {
        xid: Option<u64>,
        #[serde(default)]
        commit: bool,
        // Named so that the largest part is passed over.
        #[serde(rename = "data")]
        _data: Option<IgnoredAny>,
    }
    for record in records {
        if let Ok(Message {
            xid: Some(xid),
            commit,
            ..
        }) = serde_json::from_slice(&record.payload)
        {
            record.transaction = Some(TransactionMark {
                id: xid.to_string(),
                commit,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use sluice_core::RecordKind;

    #[test]
    fn marks_come_from_xid_and_commit() {
        let record = |payload: &'static str| Record {
            kind: RecordKind::Data,
            payload: Bytes::from_static(payload.as_bytes()),
            capture_time_us: 0,
            position: Bytes::new(),
            transaction: None,
        };
        let mut records = [
            record(r#"{"xid":7,"xoffset":0,"data":{"xid":9}}"#),
            record(r#"{"xid":7,"commit":true,"data":{}}"#),
            record(r#"{"type":"bootstrap-insert","data":{}}"#),
            record(r#"{"xid":"#),
        ];
        mark_maxwell(&mut records);
        let marks = records.map(|record| record.transaction.map(|mark| (mark.id, mark.commit)));
        let seven = |commit| Some(("7".to_owned(), commit));
        assert_eq!(marks, [seven(false), seven(true), None, None]);
    }
}
