//! What a file says of a table and its columns.

use arrow::datatypes::{DataType, TimeUnit};
use sluice_core::{ColumnDefinition, TableDefinition, TableKind};
use toml::Spanned;

use super::Reading;
use crate::definition::{Column, DEDUP_HORIZON_US, Dedup, Person, SourceFile, Table};
use crate::retention::RetentionText;
use crate::source_text::{ColumnText, Policy, TableText};
use crate::time::TimeForm;

impl Reading {
    pub(super) fn table(
        &mut self,
        file: &SourceFile,
        number: usize,
        name: String,
        at: usize,
        text: TableText,
    ) {
        self.keep_places_nowhere(number, &text);
        let topic = text.topic.get_ref().clone();
        self.wanted_topics
            .push((topic.clone(), number, text.topic.span().start));
        let mut columns: Vec<Column> = Vec::with_capacity(text.columns.len());
        let mut last_columns = Vec::new();
        for column in text.columns {
            let at = column.span().start;
            let mut column = column.into_inner();
            if column.missing == Policy::Last || column.wrong == Policy::Last {
                let last_by = std::mem::take(&mut column.last_by);
                last_columns.push((columns.len(), at, last_by));
            }
            let column = self.column(file, column);
            if columns.iter().any(|other| other.name == column.name) {
                let message = format!("two columns are named `{}`", column.name);
                self.error(file, at, message, "choose another name");
            }
            columns.push(column);
        }
        let position = |this: &mut Self, wanted: &Spanned<String>| {
            let found = columns
                .iter()
                .position(|column| column.name == *wanted.get_ref());
            if found.is_none() {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                let message = format!("there is no column `{}`", wanted.get_ref());
                let help = format!("the columns are {}", names.join(", "));
                this.error(file, wanted.span().start, message, &help);
            }
            found.unwrap_or_default()
        };
        let event_time = text
            .event_time
            .as_ref()
            .map(|wanted| (position(self, wanted), wanted.span().start));
        let person = text.person.as_ref().map(|person| Person {
            kind: person.kind.clone(),
            column: position(self, &person.column),
        });
        let retain_by = text
            .retain_by
            .as_ref()
            .map(|wanted| (position(self, wanted), wanted.span().start));
        let primary_key: Vec<usize> = text
            .primary_key
            .iter()
            .map(|wanted| position(self, wanted))
            .collect();
        if let Some((column, at)) = event_time
            && !matches!(columns[column].data_type, DataType::Timestamp(_, _))
        {
            let message = "the event time is no timestamp".to_owned();
            self.error(file, at, message, "give the column type = \"timestamp\"");
        }
        for &key in &primary_key {
            if columns[key].missing == Policy::Null || columns[key].wrong == Policy::Null {
                let message = format!("the key column `{}` may be null", columns[key].name);
                self.error(file, at, message, "a key is never null");
            }
        }
        let dedup_key: Vec<usize> = text
            .dedup_key
            .iter()
            .map(|wanted| position(self, wanted))
            .collect();
        let last_by: Vec<(usize, Vec<usize>)> = last_columns
            .into_iter()
            .map(|(column, at, names)| {
                let mut by: Vec<usize> = names.iter().map(|name| position(self, name)).collect();
                if by.is_empty() {
                    by.clone_from(&primary_key);
                }
                if by.is_empty() {
                    let message = "the last value of which key?".to_owned();
                    self.error(file, at, message, "add last_by = [\"column\"]");
                }
                (column, by)
            })
            .collect();
        for (column, by) in last_by {
            for &key in &by {
                if key == column || columns[key].missing == Policy::Last {
                    let message = format!("`{}` cannot find its own key", columns[column].name);
                    self.error(file, at, message, "name other columns in `last_by`");
                }
            }
            columns[column].last_by = by;
        }
        if columns.is_empty() {
            let message = format!("table `{name}` has no columns");
            self.error(file, at, message, "add [[table.NAME.columns]]");
        }
        if let (Some(retain), false) = (&text.retain, text.stored) {
            let message = "a table that is not stored keeps no rows".to_owned();
            let help = "leave `retain` or `stored = false` out";
            self.error(file, retain.span().start, message, help);
        }
        let age = RetentionText {
            retain: text.retain,
            retain_by,
            event_time: event_time.map(|(column, _)| column),
            is_changelog: !primary_key.is_empty(),
            has_max_ahead: text.max_ahead.is_some(),
        };
        let retention = age.read(&name, &columns).unwrap_or_else(|problem| {
            self.error(file, problem.at, problem.message, problem.help);
            None
        });
        let horizon_us = self.duration(file, text.dedup_horizon, DEDUP_HORIZON_US);
        let dedup = (!dedup_key.is_empty()).then_some(Dedup {
            key: dedup_key,
            horizon_us,
        });
        if let (Some(first), false) = (text.dedup_key.first(), primary_key.is_empty()) {
            let message = "a table with a primary key needs no `dedup_key`".to_owned();
            let help =
                "a repeated change replaces the row by itself; `version` keeps older ones out";
            self.error(file, first.span().start, message, help);
        }
        for (setting, value) in [
            ("before", &text.before),
            ("unchanged", &text.unchanged),
            ("version", &text.version.first().cloned()),
        ] {
            if let (Some(value), true) = (value, primary_key.is_empty()) {
                let message = format!("`{setting}` needs a primary key");
                self.error(
                    file,
                    value.span().start,
                    message,
                    "add primary_key = [\"id\"]",
                );
            }
        }
        if let Some(third) = text.version.get(2) {
            let message = "a version has at most two fields".to_owned();
            self.error(
                file,
                third.span().start,
                message,
                "name a major and a minor one",
            );
        }
        if let (Some(row), Some(_)) = (&text.row, &text.explode) {
            let message = "`row` and `explode` both say where `./` starts".to_owned();
            self.error(file, row.span().start, message, "keep one of them");
        }
        if let Some(before) = &text.before {
            for &key in &primary_key {
                if !columns[key].from.name.starts_with("./") {
                    let message = format!(
                        "the before-image cannot hold `{}`, which comes from `{}`",
                        columns[key].name, columns[key].from.name
                    );
                    let help = "say where the row is with `row`, and write from = \"./name\"";
                    self.error(file, before.span().start, message, help);
                }
            }
        }
        let kind = if primary_key.is_empty() {
            TableKind::AppendOnly
        } else {
            TableKind::Changelog { primary_key }
        };
        let definition = TableDefinition {
            name: name.clone(),
            columns: columns
                .iter()
                .map(|column| ColumnDefinition {
                    name: column.name.clone(),
                    data_type: column.data_type.clone(),
                    nullable: true,
                })
                .collect(),
            kind,
            event_time: event_time.map(|(column, _)| column),
            stored: text.stored,
        };
        let table = Table {
            definition,
            topic,
            when: text.when.into_iter().map(Spanned::into_inner).collect(),
            explode: text.explode.map(|name| name.into_inner().into()),
            row: text.row.map(|name| name.into_inner().into()),
            before: text.before.map(|name| name.into_inner().into()),
            unchanged: text.unchanged.map(|name| name.into_inner().into()),
            version: text
                .version
                .into_iter()
                .map(|name| name.into_inner().into())
                .collect(),
            person,
            dedup,
            lateness_us: self.duration(file, text.lateness, i64::MAX),
            max_ahead_us: self.duration(file, text.max_ahead, i64::MAX),
            retention,
            change_kind: text.change_kind.map(Spanned::into_inner),
            history: text.history,
            columns,
            print: 0,
        };
        if self.tables.insert(name.clone(), table).is_some() {
            let message = format!("there is already a table `{name}`");
            self.error(file, at, message, "choose another name");
        }
    }

    fn column(&mut self, file: &SourceFile, text: ColumnText) -> Column {
        let data_type = parse_type(text.data_type.get_ref()).unwrap_or_else(|| {
            let message = format!("`{}` is no type", text.data_type.get_ref());
            let help =
                "types: boolean, int32, int64, float64, decimal(18,2), string, timestamp, date";
            self.error(file, text.data_type.span().start, message, help);
            DataType::Utf8
        });
        let mut time = TimeForm::default();
        if let Some(unit) = &text.unit
            && let Err(problem) = time.set_unit(unit.get_ref())
        {
            self.error(
                file,
                unit.span().start,
                problem,
                "units: s, ms, us, rfc3339",
            );
        }
        if let Some(zone) = &text.time_zone
            && let Err(problem) = time.set_zone(zone.get_ref())
        {
            let help = "write an IANA name such as Europe/London or Asia/Shanghai";
            self.error(file, zone.span().start, problem, help);
        }
        if let Some(format) = text.format {
            time.set_format(format);
        }
        let has_limits = text.min.is_some() || text.max.is_some() || text.one_of.is_some();
        let from = text.from.into_inner();
        let is_pointer = from.starts_with('/') || from.starts_with("./");
        let trim = text.trim.unwrap_or(!is_pointer);
        let empty_is_missing = text.empty_is_missing.unwrap_or(!is_pointer);
        Column {
            name: text.name,
            from: from.into(),
            data_type,
            missing: text.missing,
            wrong: text.wrong,
            last_by: Vec::new(),
            trim,
            empty_is_missing,
            is_plain: !has_limits,
            min: text.min,
            max: text.max,
            one_of: text.one_of.map(|values| values.into_iter().collect()),
            time,
        }
    }
}

fn parse_type(text: &str) -> Option<DataType> {
    Some(match text {
        "boolean" => DataType::Boolean,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "float64" => DataType::Float64,
        "string" => DataType::Utf8,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "date" => DataType::Date32,
        _ => {
            let inner = text.strip_prefix("decimal(")?.strip_suffix(')')?;
            let (precision, scale) = inner.split_once(',')?;
            let precision: u8 = precision.trim().parse().ok()?;
            let scale: i8 = scale.trim().parse().ok()?;
            let is_valid = (1..=38).contains(&precision)
                && scale >= 0
                && u8::try_from(scale).is_ok_and(|scale| scale <= precision);
            return is_valid.then_some(DataType::Decimal128(precision, scale));
        }
    })
}
