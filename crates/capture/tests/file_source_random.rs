//! Whatever is written, rotated and restarted in whatever order: every line
//! arrives once, in the order of its file.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod files;

use std::collections::BTreeMap;

use files::{CSV, Files};
use sluice_capture::FileFormat;
use sluice_core::RecordKind;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }
}

/// What one file was given, under any name.
#[derive(Default)]
struct Written {
    lines: usize,
    /// A line that was begun: its second half.
    open: Option<String>,
    /// It was renamed.
    is_renamed: bool,
    /// It was saved anew.
    is_saved: bool,
}

struct World {
    files: Files,
    random: Random,
    is_csv: bool,
    written: Vec<Written>,
    /// The file that has this name.
    names: BTreeMap<String, usize>,
    /// So many records are in the log for certain.
    durable: usize,
    rotations: usize,
}

/// The line `number` of the file `file`, without break.
fn line(is_csv: bool, file: usize, number: usize) -> String {
    let padding = "p".repeat((file * 7 + number * 13) % 40);
    match is_csv {
        true => format!("{file},{number},\"{padding}\n{padding}\""),
        false => format!("{{\"file\":{file},\"number\":{number},\"padding\":\"{padding}\"}}"),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let is_csv = seed.is_multiple_of(2);
        let format = if is_csv { CSV } else { FileFormat::Ndjson };
        let batch_bytes_max = 1 + random.below(400);
        Self {
            files: Files::with(format, |options| options.batch_bytes_max = batch_bytes_max),
            random,
            is_csv,
            written: Vec::new(),
            names: BTreeMap::new(),
            durable: 0,
            rotations: 0,
        }
    }

    /// A file of its own: whoever takes a name anew begins one.
    fn begin(&mut self, name: &str) -> usize {
        let file = self.written.len();
        self.written.push(Written::default());
        self.names.insert(name.to_owned(), file);
        let header = if self.is_csv {
            format!("file,number,\"padding {file}\"\n")
        } else {
            String::new()
        };
        self.files.append(name, header);
        file
    }

    fn write(&mut self, name: &str) {
        let file = match self.names.get(name) {
            Some(&file) => file,
            None => self.begin(name),
        };
        let mut text = String::new();
        for _ in 0..self.random.below(4) + 1 {
            let written = &mut self.written[file];
            if let Some(rest) = written.open.take() {
                text.push_str(&rest);
                continue;
            }
            let mut whole = line(self.is_csv, file, written.lines);
            whole.push('\n');
            written.lines += 1;
            if self.random.below(4) == 0 {
                let (start, rest) = whole.split_at(self.random.below(whole.len()));
                text.push_str(start);
                self.written[file].open = Some(rest.to_owned());
                break;
            }
            text.push_str(&whole);
        }
        self.files.append(name, text);
    }

    /// Lines of each file among the first `records` records, in order.
    fn arrived(&self, records: usize) -> BTreeMap<usize, Vec<String>> {
        let mut arrived: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for record in &self.files.records[..records] {
            if record.kind == RecordKind::Data {
                let text = String::from_utf8(record.payload.to_vec()).unwrap();
                let digits: String = text
                    .chars()
                    .skip_while(|character| !character.is_ascii_digit())
                    .take_while(char::is_ascii_digit)
                    .collect();
                let file = digits.parse().unwrap();
                arrived.entry(file).or_default().push(text);
            }
        }
        arrived
    }

    fn durable_lines(&self, name: &str) -> (usize, bool) {
        let file = self.names[name];
        let arrived = self.arrived(self.durable);
        let count = arrived.get(&file).map_or(0, Vec::len);
        let written = &self.written[file];
        (count, written.open.is_none() && count == written.lines)
    }

    /// Moves files about, but takes none away before it was read: that no
    /// source could survive.
    fn rotate(&mut self) {
        let names: Vec<String> = self.names.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        let name = names[self.random.below(names.len())].clone();
        let (durable, is_complete) = self.durable_lines(&name);
        // Behind the pattern's back a file keeps its inode and its start, or
        // it could not be told from strangers.
        let is_meant = name.ends_with(".log");
        // Both name and inode may change, but not between two looks.
        let is_renamed = self.written[self.names[&name]].is_renamed;
        let is_saved = self.written[self.names[&name]].is_saved;
        self.rotations += 1;
        let new_name = match self.random.below(5) {
            0 if !is_saved => format!("r{}.log", self.rotations),
            1 if durable > 0 && !is_saved => format!("r{}.log.1", self.rotations),
            2 if is_complete => {
                self.names.remove(&name);
                return self.files.remove(&name);
            }
            3 if is_complete && is_meant => {
                self.names.remove(&name);
                self.files.truncate(&name);
                if self.random.below(2) == 0 {
                    self.write(&name);
                }
                return;
            }
            // Saved anew by an editor: the same bytes in another inode.
            4 if durable > 1 && is_meant && !is_renamed => {
                self.written[self.names[&name]].is_saved = true;
                let bytes = std::fs::read(self.files.path(&name)).unwrap();
                self.files.append("copy.tmp", bytes);
                self.files.rename("copy.tmp", &name);
                return;
            }
            _ => return,
        };
        let file = self.names.remove(&name).unwrap();
        self.files.rename(&name, &new_name);
        self.names.insert(new_name, file);
        self.written[file].is_renamed = true;
    }

    fn run(&mut self) {
        for _ in 0..150 {
            match self.random.below(12) {
                0..5 => {
                    let name = format!("{}.log", self.random.below(3));
                    self.write(&name);
                }
                5 => {
                    // A writer that has not noticed the rotation.
                    let names: Vec<String> = self.names.keys().cloned().collect();
                    if !names.is_empty() {
                        let chosen = self.random.below(names.len());
                        self.write(&names[chosen]);
                    }
                }
                6..9 => {
                    self.files.poll();
                }
                9 => self.durable = self.files.records.len(),
                10 => self.rotate(),
                _ => {
                    let unsure = self.files.records.len() - self.durable;
                    let kept = self.durable + self.random.below(unsure + 1);
                    self.files.restart(kept);
                }
            }
        }
        let names: Vec<String> = self.names.keys().cloned().collect();
        for name in names {
            let file = self.names[&name];
            if let Some(rest) = self.written[file].open.take() {
                self.files.append(&name, rest);
            }
        }
        // To the end of the round that has begun, then to what was written since.
        self.files.read();
        self.files.read();
    }

    fn check(&self, seed: u64) {
        let arrived = self.arrived(self.files.records.len());
        for (file, written) in self.written.iter().enumerate() {
            let expected: Vec<String> = (0..written.lines)
                .map(|number| line(self.is_csv, file, number))
                .collect();
            let found = arrived.get(&file).cloned().unwrap_or_default();
            assert_eq!(found, expected, "seed {seed}, file {file}");
        }
        let mut header = String::new();
        for record in &self.files.records {
            let text = files::text(record);
            if record.kind == RecordKind::CsvHeader {
                header = text;
            } else if self.is_csv {
                let file = text.split(',').next().unwrap();
                assert_eq!(header, format!("#file,number,\"padding {file}\""));
            }
        }
    }
}

#[test]
fn every_line_arrives_once_and_in_order() {
    for seed in 1..=300 {
        let mut world = World::new(seed);
        world.run();
        world.check(seed);
    }
}
