//! A table of the stream, with what its rows need.

use sluice_mysql::value::text::write_json_string;

use super::messages::{Relation, ReplicaIdentity};
use crate::message::table_part;
use crate::schema::TableName;
use crate::value::form::ValueForm;

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnLayout {
    /// Name.
    pub name: String,
    /// The name as the beginning of a member of a JSON object.
    pub(crate) json_name: Vec<u8>,
    /// How its values are written.
    pub form: ValueForm,
    /// Whether it belongs to the replica identity.
    pub is_key: bool,
    type_id: u32,
}

impl ColumnLayout {
    /// A column of a table.
    pub fn new(name: &str, type_id: u32, form: ValueForm, is_key: bool) -> Self {
        let mut json_name = Vec::new();
        write_json_string(&mut json_name, name);
        json_name.push(b':');
        Self {
            name: name.to_owned(),
            json_name,
            form,
            is_key,
            type_id,
        }
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLayout {
    /// Name.
    pub name: TableName,
    /// The beginning of its messages.
    pub(crate) start: Vec<u8>,
    /// Columns, in order; none if the table is not captured.
    pub(crate) columns: Option<Vec<ColumnLayout>>,
    /// What old rows show.
    pub identity: ReplicaIdentity,
}

impl TableLayout {
    /// A table that is captured.
    pub(crate) fn new(
        database: &str,
        relation: &Relation,
        form_of: &mut dyn FnMut(u32) -> ValueForm,
    ) -> Self {
        let columns = relation.columns.iter().map(|column| {
            let form =
                ValueForm::of_built_in(column.type_id).unwrap_or_else(|| form_of(column.type_id));
            ColumnLayout::new(&column.name, column.type_id, form, column.is_key)
        });
        let name = TableName::new(relation.schema.clone(), relation.name.clone());
        Self {
            start: table_part(database, &name),
            name,
            columns: Some(columns.collect()),
            identity: relation.identity,
        }
    }

    /// A table that is not.
    pub(crate) fn passed_over(relation: &Relation) -> Self {
        Self {
            name: TableName::new(relation.schema.clone(), relation.name.clone()),
            start: Vec::new(),
            columns: None,
            identity: relation.identity,
        }
    }

    /// What is different from what the table was, for a person; `None` if
    /// nothing is.
    pub(crate) fn difference(&self, before: &Self) -> Option<String> {
        let (Some(new), Some(old)) = (&self.columns, &before.columns) else {
            return None;
        };
        let find = |columns: &[ColumnLayout], name: &str| {
            columns
                .iter()
                .find(|column| column.name == name)
                .map(|column| column.type_id)
        };
        let mut parts = Vec::new();
        if self.name != before.name {
            parts.push(format!("it was {} before", before.name));
        }
        for column in new {
            match find(old, &column.name) {
                None => parts.push(format!("column `{}` is new", column.name)),
                Some(type_id) if type_id != column.type_id => {
                    parts.push(format!("column `{}` has another type", column.name));
                }
                Some(_) => {}
            }
        }
        for column in old {
            if find(new, &column.name).is_none() {
                parts.push(format!("column `{}` is gone", column.name));
            }
        }
        if self.identity != before.identity {
            parts.push(format!("its replica identity is {:?}", self.identity));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}
