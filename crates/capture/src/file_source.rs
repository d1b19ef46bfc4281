//! The file source: NDJSON and CSV files under a path with `*`.
//!
//! Files are read in the order of their names, each to its present end, then
//! again from the first for what was appended. A file is known by its inode:
//! a renamed one goes on where it was, one that became shorter starts anew.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{Clock, Record, RecordKind};

use crate::lines::{line_length, without_break};
use crate::position::FilePosition;
use crate::{CaptureError, FilePositions};

/// Form of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// One JSON value a line.
    Ndjson,
    /// Comma-separated values (RFC 4180).
    Csv {
        /// The separator.
        delimiter: u8,
        /// Whether the first line names the columns.
        has_header: bool,
    },
}

/// Settings of a file source.
#[derive(Debug, Clone)]
pub struct FileSourceOptions {
    /// Name, for messages.
    pub name: String,
    /// Path of the files; `*` in the last part stands for any characters.
    pub glob: String,
    /// Form of the files.
    pub format: FileFormat,
    /// Wait for the rest of a last line without a line break; if false it
    /// counts as complete.
    pub follow: bool,
    /// Bytes read at a time.
    pub batch_bytes_max: usize,
    /// A longer line is cut to this length, with a warning; it then fails to
    /// parse and becomes a dead letter.
    pub line_bytes_max: usize,
}

impl FileSourceOptions {
    /// Default limits.
    pub fn new(name: String, glob: String, format: FileFormat) -> Self {
        Self {
            name,
            glob,
            format,
            follow: true,
            batch_bytes_max: 1 << 20,
            line_bytes_max: 8 << 20,
        }
    }
}

/// What one poll gave.
#[derive(Debug, Default)]
pub struct CaptureBatch {
    /// Records in order.
    pub records: Vec<Record>,
    /// True if there is nothing more for now.
    pub at_end: bool,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub struct FileSource {
    options: FileSourceOptions,
    clock: Arc<dyn Clock>,
    positions: FilePositions,
    folder: PathBuf,
    name_pattern: String,
    /// Header line by inode.
    headers: BTreeMap<u64, Bytes>,
    /// File whose header was emitted last.
    header_of: Option<u64>,
}

impl FileSource {
    /// Opens the source; reading starts where `positions` say.
    ///
    /// # Errors
    /// When the path is none, or its folder is missing.
    pub fn open(
        options: FileSourceOptions,
        clock: Arc<dyn Clock>,
        positions: FilePositions,
    ) -> Result<Self, CaptureError> {
        let path = Path::new(&options.glob);
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name_pattern) = name.map(str::to_owned) else {
            return Err(CaptureError::BadPath(options.glob));
        };
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        if folder.to_string_lossy().contains('*') {
            return Err(CaptureError::BadPath(options.glob));
        }
        if !folder.is_dir() {
            return Err(CaptureError::MissingFolder(folder.display().to_string()));
        }
        Ok(Self {
            options,
            clock,
            positions,
            folder,
            name_pattern,
            headers: BTreeMap::new(),
            header_of: None,
        })
    }

    /// The next records.
    ///
    /// # Errors
    /// When the folder cannot be read. A file that cannot be read is a warning.
    pub fn poll(&mut self) -> Result<CaptureBatch, CaptureError> {
        let mut batch = CaptureBatch::default();
        for path in self.files()? {
            match self.read_file(&path, &mut batch) {
                Ok(()) => {}
                // Removed or renamed between listing and opening.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    let text = format!("{}: cannot be read: {error}", path.display());
                    batch.warnings.push(text);
                }
            }
            if !batch.records.is_empty() {
                return Ok(batch);
            }
        }
        batch.at_end = true;
        Ok(batch)
    }

    fn files(&self) -> Result<Vec<PathBuf>, CaptureError> {
        let io_error = |source| CaptureError::Io {
            path: self.folder.display().to_string(),
            source,
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io_error)? {
            let entry = entry.map_err(io_error)?;
            let name = entry.file_name();
            let path = entry.path();
            if matches_pattern(&name.to_string_lossy(), &self.name_pattern) && path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn read_file(&mut self, path: &Path, batch: &mut CaptureBatch) -> std::io::Result<()> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let inode = metadata.ino();
        let mut offset = self.positions.offset(inode);
        if metadata.len() < offset {
            let text = format!("{}: became shorter; it is read anew", path.display());
            batch.warnings.push(text);
            offset = 0;
            self.headers.remove(&inode);
        }
        if metadata.len() == offset {
            return Ok(());
        }
        let is_csv = matches!(self.options.format, FileFormat::Csv { .. });
        let has_header = matches!(
            self.options.format,
            FileFormat::Csv {
                has_header: true,
                ..
            }
        );
        if has_header && offset > 0 && !self.headers.contains_key(&inode) {
            // After a restart the header is read again.
            let start = read_part(&mut file, 0, self.options.line_bytes_max)?;
            let length = line_length(&start, true).unwrap_or(start.len());
            let header = Bytes::copy_from_slice(without_break(&start[..length]));
            self.headers.insert(inode, header);
        }
        let limit = self.options.batch_bytes_max;
        let mut bytes = read_part(&mut file, offset, limit)?;
        let longest = self.options.line_bytes_max.max(limit);
        if line_length(&bytes, is_csv).is_none() && bytes.len() >= limit {
            bytes = read_part(&mut file, offset, longest)?;
        }
        let mut reading = Reading {
            path: path.to_string_lossy().into_owned(),
            inode,
            offset,
            capture_time_us: self.clock.now_us(),
        };
        let mut start = 0;
        while start < bytes.len() {
            let rest = &bytes[start..];
            let length = match line_length(rest, is_csv) {
                Some(length) => length,
                None if start == 0 && bytes.len() >= longest => {
                    let text = format!(
                        "{}: a line at byte {} is longer than {longest} bytes and was cut",
                        reading.path, reading.offset
                    );
                    batch.warnings.push(text);
                    rest.len()
                }
                None => {
                    let is_file_end = reading.offset + rest.len() as u64 >= metadata.len();
                    if self.options.follow || !is_file_end {
                        break;
                    }
                    rest.len()
                }
            };
            let line = without_break(&rest[..length]);
            let is_header = has_header && reading.offset == 0;
            start += length;
            reading.offset += length as u64;
            // A byte-order mark is not part of the first line.
            let line = if is_header {
                line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
            } else {
                line
            };
            if is_header {
                self.headers.insert(inode, Bytes::copy_from_slice(line));
                self.header_of = None;
            } else if has_header && self.header_of != Some(inode) {
                let header = self.headers.get(&inode).cloned().unwrap_or_default();
                let before = reading.at(reading.offset - length as u64);
                batch
                    .records
                    .push(before.record(RecordKind::CsvHeader, header));
                self.header_of = Some(inode);
            }
            if is_header || line.is_empty() {
                continue;
            }
            let payload = Bytes::copy_from_slice(line);
            batch
                .records
                .push(reading.record(RecordKind::Data, payload));
        }
        if start > 0 {
            self.positions.set(reading.position());
        }
        Ok(())
    }
}

/// Where reading stands.
#[derive(Debug, Clone)]
struct Reading {
    path: String,
    inode: u64,
    offset: u64,
    capture_time_us: i64,
}

impl Reading {
    fn at(&self, offset: u64) -> Self {
        Self {
            offset,
            ..self.clone()
        }
    }

    fn position(&self) -> FilePosition {
        FilePosition {
            path: self.path.clone(),
            inode: self.inode,
            offset: self.offset,
        }
    }

    fn record(&self, kind: RecordKind, payload: Bytes) -> Record {
        // A struct of two numbers and a text always has a JSON form.
        let position = serde_json::to_vec(&self.position()).unwrap_or_default();
        Record {
            kind,
            payload,
            capture_time_us: self.capture_time_us,
            position: Bytes::from(position),
            transaction: None,
        }
    }
}

fn read_part(file: &mut File, offset: u64, limit: usize) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether `name` fits a pattern in which `*` stands for any characters.
fn matches_pattern(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(position) => rest = &rest[position + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::ManualClock;
    use std::io::Write;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("sluice-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
        fn append(&self, name: &str, text: &str) {
            let path = self.0.join(name);
            let mut file = File::options()
                .create(true)
                .append(true)
                .open(path)
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn source(folder: &Folder, format: FileFormat, positions: FilePositions) -> FileSource {
        let glob = folder.0.join("*.log").to_string_lossy().into_owned();
        let options = FileSourceOptions::new("test".into(), glob, format);
        FileSource::open(options, Arc::new(ManualClock::new(1)), positions).unwrap()
    }

    fn drain(source: &mut FileSource) -> Vec<Record> {
        let mut records = Vec::new();
        loop {
            let batch = source.poll().unwrap();
            records.extend(batch.records);
            if batch.at_end {
                return records;
            }
        }
    }

    fn texts(records: &[Record]) -> Vec<String> {
        records
            .iter()
            .map(|record| {
                let mark = if record.kind == RecordKind::CsvHeader {
                    "#"
                } else {
                    ""
                };
                format!("{mark}{}", String::from_utf8_lossy(&record.payload))
            })
            .collect()
    }

    const CSV: FileFormat = FileFormat::Csv {
        delimiter: b',',
        has_header: true,
    };

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "it rotates a file as a logger would"
    )]
    fn appended_lines_and_renamed_files_are_read_once() {
        let folder = Folder::new("append");
        folder.append("a.log", "1\n2\npart");
        let mut reader = source(&folder, FileFormat::Ndjson, FilePositions::default());
        assert_eq!(texts(&drain(&mut reader)), ["1", "2"]);
        folder.append("a.log", "ial\n3\n");
        assert_eq!(texts(&drain(&mut reader)), ["partial", "3"]);
        fs::rename(folder.0.join("a.log"), folder.0.join("b.log")).unwrap();
        folder.append("a.log", "4\n");
        folder.append("b.log", "5\n");
        assert_eq!(texts(&drain(&mut reader)), ["4", "5"]);
        assert!(drain(&mut reader).is_empty());
    }

    #[test]
    fn headers_come_again_when_the_file_changes_and_after_a_restart() {
        let folder = Folder::new("csv");
        folder.append("a.log", "x,y\n1,\"a\nb\"\n");
        folder.append("b.log", "y,x\r\n2,3\r\n");
        let mut reader = source(&folder, CSV, FilePositions::default());
        let mut records = drain(&mut reader);
        assert_eq!(texts(&records), ["#x,y", "1,\"a\nb\"", "#y,x", "2,3"]);
        folder.append("a.log", "4,5\n");
        records.extend(drain(&mut reader));
        assert_eq!(texts(&records[4..]), ["#x,y", "4,5"]);
        // Wherever the log ends, reading goes on behind it.
        for known in 0..=records.len() {
            let mut positions = FilePositions::default();
            for record in &records[..known] {
                positions.observe(record).unwrap();
            }
            let rest = drain(&mut source(&folder, CSV, positions));
            let data = |records: &[Record]| {
                let mut all: Vec<String> = texts(records);
                all.retain(|text| !text.starts_with('#'));
                all
            };
            let mut found = data(&records[..known]);
            found.extend(data(&rest));
            found.sort();
            let mut wanted = data(&records);
            wanted.sort();
            assert_eq!(found, wanted, "after {known} records");
        }
    }

    #[test]
    fn a_missing_folder_and_a_wrong_path_are_errors() {
        let open = |glob: &str| {
            let options = FileSourceOptions::new("t".into(), glob.into(), FileFormat::Ndjson);
            FileSource::open(
                options,
                Arc::new(ManualClock::new(1)),
                FilePositions::default(),
            )
        };
        assert!(matches!(
            open("/no/such/*.log"),
            Err(CaptureError::MissingFolder(_))
        ));
        assert!(matches!(
            open("/tmp/*/x.log"),
            Err(CaptureError::BadPath(_))
        ));
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        assert!(matches_pattern("2010-12-01.csv", "*.csv"));
        assert!(matches_pattern("a-b-c", "a*b*c"));
        assert!(!matches_pattern("a.csv.tmp", "*.csv"));
        assert!(matches_pattern("x.log", "x.log") && !matches_pattern("x.log1", "x.log"));
    }
}
