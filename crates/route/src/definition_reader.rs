//! Reads and checks the text of `sources/*.toml`.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, TimeUnit};
use sluice_core::{ColumnDefinition, TableDefinition, TableKind, stable_hash};
use sluice_mask::{RecordForm, TopicRules};
use toml::Spanned;

use crate::definition::{
    CaptureDefinition, CaptureKind, Column, DEDUP_HORIZON_US, Dedup, DefinitionError, FileFormat,
    POLL_INTERVAL_US, Person, PostgresServer, SourceFile, Sources, Table,
};
use crate::diversion::Diversion;
use crate::mask_text::MaskText;
use crate::messages::MessageForm;
use crate::retention::RetentionText;
use crate::slots::SlotPlan;
use crate::source_text::{
    CaptureText, ColumnText, FileText, LogForm, Policy, TableText, TopicText, Unplaced,
};
use crate::time::{TimeForm, parse_duration_us};

/// Reads and checks definitions.
///
/// # Errors
/// All that is wrong in all files, with file, line and column.
pub fn parse_sources(files: &[SourceFile]) -> Result<Sources, Vec<DefinitionError>> {
    let mut reading = Reading::default();
    for file in files {
        reading.file(file);
    }
    for (topic, file, at) in std::mem::take(&mut reading.wanted_topics) {
        if !reading.topics.contains_key(&topic) {
            let message = format!("there is no topic `{topic}`");
            let help = format!("add [topic.{topic}] to a file of sources/");
            reading.error(&files[file], at, message, &help);
        }
    }
    if !reading.errors.is_empty() {
        return Err(reading.errors);
    }
    let mut tables: Vec<Table> = reading.tables.into_values().collect();
    tables.sort_by(|first, second| first.definition.name.cmp(&second.definition.name));
    let mut plans: BTreeMap<String, SlotPlan> = BTreeMap::new();
    for table in &mut tables {
        let delimiter = reading.csv_delimiters.get(&table.topic);
        let is_csv = delimiter.is_some();
        // Before places are numbered: the numbers depend on other tables.
        let messages = reading.messages.get(&table.topic);
        let partitions = reading.topics.get(&table.topic);
        table.print =
            stable_hash(format!("{table:?} {delimiter:?} {partitions:?} {messages:?}").as_bytes());
        table.number_fields(plans.entry(table.topic.clone()).or_default(), is_csv);
    }
    let mut identity = String::new();
    for file in files {
        identity.push_str(&file.text);
        identity.push('\0');
    }
    Ok(Sources {
        captures: reading.captures,
        topics: reading.topics,
        masks: reading.masks,
        left_out: Default::default(),
        csv_delimiters: reading.csv_delimiters,
        tables,
        unplaced_dropped: reading.unplaced_dropped,
        diversion: reading.diversion,
        messages: reading.messages,
        plans,
        fingerprint: stable_hash(identity.as_bytes()),
    })
}

#[derive(Default)]
struct Reading {
    topics: BTreeMap<String, u32>,
    masks: BTreeMap<String, TopicRules>,
    captures: Vec<CaptureDefinition>,
    csv_delimiters: BTreeMap<String, u8>,
    unplaced_dropped: BTreeSet<String>,
    tables: BTreeMap<String, Table>,
    diversion: Option<Diversion>,
    messages: BTreeMap<String, MessageForm>,
    /// Topic, number of the file, byte position.
    wanted_topics: Vec<(String, usize, usize)>,
    errors: Vec<DefinitionError>,
    files: usize,
}

impl Reading {
    fn error(&mut self, file: &SourceFile, at: usize, message: String, help: &str) {
        let before = file.text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |position| position + 1);
        self.errors.push(DefinitionError {
            file: file.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
            help: help.to_owned(),
        });
    }

    fn file(&mut self, file: &SourceFile) {
        let number = self.files;
        self.files += 1;
        let text: FileText = match toml::from_str(&file.text) {
            Ok(text) => text,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.error(file, at, error.message().to_owned(), "");
                return;
            }
        };
        if let Some(diversion) = text.diversion {
            let at = diversion.span().start;
            self.diversion(file, number, at, diversion.into_inner());
        }
        for (name, topic) in text.topic {
            let at = topic.span().start;
            self.topic(file, name, at, topic.into_inner());
        }
        for (name, table) in text.table {
            let at = table.span().start;
            self.table(file, number, name, at, table.into_inner());
        }
    }

    fn diversion(&mut self, file: &SourceFile, number: usize, at: usize, text: Diversion) {
        self.wanted_topics.push((text.topic.clone(), number, at));
        let rules: FileText = match toml::from_str(&text.rules_table()) {
            Ok(rules) => rules,
            Err(error) => return self.error(file, at, error.message().to_owned(), ""),
        };
        for (name, table) in rules.table {
            self.table(file, number, name, at, table.into_inner());
        }
        if self.diversion.replace(text).is_some() {
            let message = "there is already a [diversion]".to_owned();
            self.error(file, at, message, "one table can hold the rules of all");
        }
    }

    fn topic(&mut self, file: &SourceFile, name: String, at: usize, topic: TopicText) {
        if topic.partitions == 0 || topic.partitions > 1_024 {
            let message = format!("topic `{name}` has {} partitions", topic.partitions);
            self.error(file, at, message, "choose 1 to 1024");
        }
        if topic.unplaced == Unplaced::Drop {
            self.unplaced_dropped.insert(name.clone());
        }
        if let Some(form) = topic.messages {
            self.messages.insert(name.clone(), form);
        }
        if let Some(mask) = topic.mask {
            self.mask(file, &name, at, mask, topic.capture.as_ref());
        }
        if let Some(capture) = topic.capture {
            self.capture(file, &name, at, topic.partitions, topic.owner, capture);
        }
        if self.csv_delimiters.contains_key(&name) && self.messages.contains_key(&name) {
            let message = "lines of CSV are no change messages".to_owned();
            self.error(file, at, message, "leave `messages` out");
        }
        if self.topics.insert(name.clone(), topic.partitions).is_some() {
            let message = format!("there is already a topic `{name}`");
            self.error(file, at, message, "choose another name");
        }
    }

    fn mask(
        &mut self,
        file: &SourceFile,
        topic: &str,
        at: usize,
        mask: MaskText,
        capture: Option<&CaptureText>,
    ) {
        let mut form = RecordForm::Json;
        if let Some(CaptureText::File {
            format,
            delimiter,
            header,
            log,
            ..
        }) = capture
        {
            if *log == Some(LogForm::Source) {
                let message = format!(
                    "the files of topic `{topic}` are their own log: what they say cannot be masked before it is there"
                );
                self.error(file, at, message, "leave `log = \"source\"` or `mask` out");
            }
            if *format == FileFormat::Csv {
                let delimiter = u8::try_from(*delimiter).unwrap_or(b',');
                form = RecordForm::Csv { delimiter };
                if !header {
                    let message = "without a header there are no names to mask by".to_owned();
                    self.error(file, at, message, "leave `header = false` or `mask` out");
                }
            }
        }
        if let Some(CaptureText::Kafka(cluster)) = capture
            && cluster.is_own_log()
        {
            let message = format!(
                "what topic `{topic}` reads of Kafka is its own log: what it says cannot be masked before it is there"
            );
            self.error(file, at, message, "leave `log = \"source\"` or `mask` out");
        }
        let (rules, problems) = mask.read(form);
        for problem in problems {
            self.error(file, problem.at, problem.message, problem.help);
        }
        self.masks.insert(topic.to_owned(), rules);
    }

    fn capture(
        &mut self,
        file: &SourceFile,
        topic: &str,
        at: usize,
        partitions: u32,
        owner: Option<String>,
        text: CaptureText,
    ) {
        if partitions != 1 {
            let message = format!("topic `{topic}` has {partitions} partitions");
            let help = "a captured topic has one partition, so that its records keep their order";
            self.error(file, at, message, help);
        }
        let (kind, transactions) = match text {
            CaptureText::File {
                path,
                format,
                delimiter,
                header,
                follow,
                log,
                transactions,
            } => {
                let own_log = log == Some(LogForm::Source);
                if own_log && transactions.is_some() {
                    let message = "files that are their own log have no transactions".to_owned();
                    let help = "leave `log` or `transactions` out";
                    self.error(file, at, message, help);
                }
                let Ok(delimiter) = u8::try_from(delimiter) else {
                    let help = "choose one ASCII character";
                    return self.error(file, at, "the delimiter is too wide".into(), help);
                };
                if format == FileFormat::Csv {
                    self.csv_delimiters.insert(topic.to_owned(), delimiter);
                    if transactions.is_some() {
                        let message = "lines of CSV have no transactions".to_owned();
                        self.error(file, at, message, "leave `transactions` out");
                    }
                }
                let kind = CaptureKind::File {
                    path,
                    format,
                    delimiter,
                    header,
                    follow,
                    own_log,
                };
                (kind, transactions)
            }
            CaptureText::Http {
                write_key,
                origins,
                transactions,
            } => {
                let write_key = write_key.and_then(|key| self.environment_name(file, at, &key));
                (CaptureKind::Http { write_key, origins }, transactions)
            }
            CaptureText::Poll {
                url,
                interval,
                items,
                cursor,
                headers,
            } => {
                let is_address = ["http://", "https://"]
                    .iter()
                    .any(|scheme| url.starts_with(scheme));
                if !is_address {
                    let message = format!("`{url}` is no address");
                    let help = "write it with http:// or https://";
                    self.error(file, at, message, help);
                }
                let interval = interval.map(|text| Spanned::new(at..at, text));
                let kind = CaptureKind::Poll {
                    url,
                    interval_us: self.duration(file, interval, POLL_INTERVAL_US),
                    items,
                    cursor,
                    headers,
                };
                (kind, None)
            }
            CaptureText::Binlog { path, tables } => {
                self.table_names(file, at, &tables);
                (CaptureKind::Binlog { path, tables }, None)
            }
            CaptureText::MySql(server) => {
                self.table_names(file, at, &server.tables);
                if let Some(password) = &server.password {
                    self.environment_name(file, at, password);
                }
                (CaptureKind::MySql(server), None)
            }
            CaptureText::Postgres(server) => {
                self.table_names(file, at, &server.tables);
                if let Some(password) = &server.password {
                    self.environment_name(file, at, password);
                }
                self.postgres_names(file, at, &server);
                (CaptureKind::Postgres(server), None)
            }
            CaptureText::Kafka(cluster) => {
                for (message, help) in cluster.problems() {
                    self.error(file, at, message, help);
                }
                (CaptureKind::Kafka(cluster), None)
            }
        };
        self.captures.push(CaptureDefinition {
            topic: topic.to_owned(),
            kind,
            transactions,
            owner,
        });
    }

    fn table_names(&mut self, file: &SourceFile, at: usize, names: &[String]) {
        for name in names.iter().filter(|name| !name.contains('.')) {
            let message = format!("`{name}` names no table of a database");
            self.error(
                file,
                at,
                message,
                "write `database.table`; `*` is any letters",
            );
        }
    }

    fn postgres_names(&mut self, file: &SourceFile, at: usize, server: &PostgresServer) {
        if server.publications.is_empty() {
            let message = "`publications` names no publication".to_owned();
            let help = "CREATE PUBLICATION … FOR TABLE … on the server, and name it here";
            self.error(file, at, message, help);
        }
        let is_slot_letter = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '_');
        let slot = server.slot.as_deref();
        if slot.is_some_and(|slot| {
            slot.is_empty() || slot.len() > 40 || !slot.chars().all(is_slot_letter)
        }) {
            let message = "`slot` is no name of a slot".to_owned();
            let help = "small letters, digits and `_`, at most 40";
            self.error(file, at, message, help);
        }
    }

    /// The name in `env:NAME`.
    fn environment_name(&mut self, file: &SourceFile, at: usize, text: &str) -> Option<String> {
        let name = text.strip_prefix("env:");
        if name.is_none_or(str::is_empty) {
            let message = "a key is no text of a definition".to_owned();
            let help = "write env:NAME: the key is read from the environment variable NAME";
            self.error(file, at, message, help);
        }
        name.map(str::to_owned)
    }

    fn table(
        &mut self,
        file: &SourceFile,
        number: usize,
        name: String,
        at: usize,
        text: TableText,
    ) {
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
            when: text.when,
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
            change_kind: text.change_kind,
            history: text.history,
            columns,
            print: 0,
        };
        if self.tables.insert(name.clone(), table).is_some() {
            let message = format!("there is already a table `{name}`");
            self.error(file, at, message, "choose another name");
        }
    }

    fn duration(&mut self, file: &SourceFile, text: Option<Spanned<String>>, absent: i64) -> i64 {
        let Some(text) = text else { return absent };
        parse_duration_us(text.get_ref()).unwrap_or_else(|| {
            let message = format!("`{}` is no duration", text.get_ref());
            let help = "write a number and a unit: 500 ms, 30 s, 15 min, 1 hour, 2 days";
            self.error(file, text.span().start, message, help);
            0
        })
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
        let is_pointer = text.from.starts_with('/') || text.from.starts_with("./");
        let trim = text.trim.unwrap_or(!is_pointer);
        let empty_is_missing = text.empty_is_missing.unwrap_or(!is_pointer);
        Column {
            name: text.name,
            from: text.from.into(),
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
