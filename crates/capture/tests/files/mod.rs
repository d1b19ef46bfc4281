//! A folder of files and a source that reads it, for the tests.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use sluice_capture::{FileFormat, FilePositions, FileSource, FileSourceOptions};
use sluice_core::{ManualClock, Record, RecordKind};
use tempfile::TempDir;

pub const CSV: FileFormat = FileFormat::Csv {
    delimiter: b',',
    has_header: true,
};

/// A folder with files `*.log`, their source, and what it has given so far.
pub struct Files {
    folder: TempDir,
    pub options: FileSourceOptions,
    pub source: FileSource,
    pub records: Vec<Record>,
    pub warnings: Vec<String>,
}

impl Files {
    #[allow(dead_code, reason = "not every test file needs it")]
    pub fn new(format: FileFormat) -> Self {
        Self::with(format, |_| {})
    }

    pub fn with(format: FileFormat, change: impl FnOnce(&mut FileSourceOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let glob = folder.path().join("*.log").display().to_string();
        let mut options = FileSourceOptions::new("shop".into(), glob, format);
        change(&mut options);
        let source = open(&options, FilePositions::default());
        Self {
            folder,
            options,
            source,
            records: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes to the end of a file, which is made if need be.
    pub fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut options = OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    pub fn rename(&self, from: &str, to: &str) {
        #[expect(clippy::disallowed_methods, reason = "rotation is what is tested")]
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Empties a file in place, as `copytruncate` does.
    pub fn truncate(&self, name: &str) {
        let file = OpenOptions::new().write(true).open(self.path(name));
        file.unwrap().set_len(0).unwrap();
    }

    /// One poll; true if the source says that it is at the end.
    pub fn poll(&mut self) -> bool {
        let batch = self.source.poll().unwrap();
        self.records.extend(batch.records);
        self.warnings.extend(batch.warnings);
        batch.at_end
    }

    /// Polls to the end; gives the new records, a header marked with `#`.
    pub fn read(&mut self) -> Vec<String> {
        let before = self.records.len();
        for _ in 0..10_000 {
            if self.poll() {
                return self.records[before..].iter().map(text).collect();
            }
        }
        panic!("the source never comes to an end");
    }

    /// Starts the source anew, as after a crash that left `kept` records.
    pub fn restart(&mut self, kept: usize) {
        self.records.truncate(kept);
        let mut positions = FilePositions::default();
        for record in &self.records {
            positions.observe(record).unwrap();
        }
        self.source = open(&self.options, positions);
    }
}

fn open(options: &FileSourceOptions, positions: FilePositions) -> FileSource {
    let clock = Arc::new(ManualClock::default());
    FileSource::open(options.clone(), clock, positions).unwrap()
}

pub fn text(record: &Record) -> String {
    let text = String::from_utf8_lossy(&record.payload);
    match record.kind {
        RecordKind::Data => text.into_owned(),
        RecordKind::CsvHeader => format!("#{text}"),
        RecordKind::Position | RecordKind::Retry | RecordKind::Backfill => format!("@{text}"),
    }
}
