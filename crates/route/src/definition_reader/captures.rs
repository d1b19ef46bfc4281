//! What a file says of the capture of a topic, and of the masks at its door.

use sluice_mask::RecordForm;
use toml::Spanned;

use super::Reading;
use crate::definition::{
    CaptureDefinition, CaptureKind, FileFormat, POLL_INTERVAL_US, PostgresServer, SourceFile,
};
use crate::mask_text::MaskText;
use crate::source_text::{CaptureText, LogForm};

impl Reading {
    pub(super) fn mask(
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

    pub(super) fn capture(
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
                    // What else is told of the topic is told of lines of CSV.
                    self.csv_delimiters.insert(topic.to_owned(), b',');
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
}
