//! All topics of a warehouse.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use sluice_core::{Disk, FileRange, LogRecord, PartitionId, Record, SourceRange};

use crate::LogError;
use crate::error::io_error;
use crate::partition::Partition;
use crate::reading::{Reading, Way};
use crate::source_range::SourceReader;

/// Limits of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// A segment that has reached this size is followed by a new one.
    pub segment_bytes_max: u64,
    /// A larger record is refused.
    pub record_bytes_max: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes_max: 64 << 20,
            record_bytes_max: 16 << 20,
        }
    }
}

type Partitions = BTreeMap<PartitionId, Arc<Partition>>;

/// Durable topics. Shared by threads; appends to different partitions do not
/// wait for each other, nor readers and appends.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    options: LogOptions,
    partitions: RwLock<Partitions>,
    /// Set when nobody waits for a source any more.
    stop: RwLock<Arc<AtomicBool>>,
}

impl Log {
    /// Opens all topics below `folder`, which is made if need be.
    ///
    /// # Errors
    /// When the disk refuses, or a segment is damaged or of another version.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path, options: LogOptions) -> Result<Self, LogError> {
        let topics_folder = folder.join("topics");
        disk.create_dir_all(&topics_folder)
            .map_err(|error| io_error(&topics_folder, error))?;
        let log = Self {
            disk: disk.clone(),
            folder: topics_folder.clone(),
            options,
            partitions: RwLock::default(),
            stop: RwLock::default(),
        };
        let topics = disk
            .list(&topics_folder)
            .map_err(|error| io_error(&topics_folder, error))?;
        for topic in topics {
            let topic_folder = topics_folder.join(&topic);
            let names = disk
                .list(&topic_folder)
                .map_err(|error| io_error(&topic_folder, error))?;
            let count = names.iter().filter(|name| name.parse::<u32>().is_ok());
            log.create_topic(&topic, count.count() as u32)?;
        }
        Ok(log)
    }

    /// Makes a topic, or adds partitions to it. Nothing happens if it is there.
    ///
    /// # Errors
    /// When the name cannot be a folder, partitions would vanish, or the disk
    /// refuses.
    pub fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        let is_plain =
            |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
        let is_name = !topic.is_empty()
            && topic.len() <= 200
            && !topic.starts_with('.')
            && topic.chars().all(is_plain);
        if !is_name {
            return Err(LogError::BadName(topic.to_owned()));
        }
        let mut all = self.partitions.write();
        let found = all.keys().filter(|id| id.topic == topic).count() as u32;
        if found > partitions {
            return Err(LogError::Shrink {
                topic: topic.to_owned(),
                found,
                wanted: partitions,
            });
        }
        for partition in found..partitions {
            let folder = self.folder.join(topic).join(format!("{partition:05}"));
            let opened = Partition::open(self.disk.clone(), &folder)?;
            let id = PartitionId {
                topic: topic.to_owned(),
                partition,
            };
            all.insert(id, Arc::new(opened));
        }
        Ok(())
    }

    /// Topics with their number of partitions.
    pub fn topics(&self) -> Vec<(String, u32)> {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for id in self.partitions.read().keys() {
            *counts.entry(id.topic.clone()).or_default() += 1;
        }
        counts.into_iter().collect()
    }

    /// All partitions of all topics.
    pub fn partitions(&self) -> Vec<PartitionId> {
        self.partitions.read().keys().cloned().collect()
    }

    /// Bytes that the payload of a record may have.
    pub fn record_bytes_max(&self) -> usize {
        self.options.record_bytes_max
    }

    fn partition(&self, id: &PartitionId) -> Result<Arc<Partition>, LogError> {
        let found = self.partitions.read().get(id).cloned();
        found.ok_or_else(|| LogError::UnknownPartition(id.clone()))
    }

    /// Appends records; they are durable after [`Log::sync`]. Returns the
    /// offset of the first.
    ///
    /// # Errors
    /// When a record is too large or the disk refuses.
    pub fn append(&self, id: &PartitionId, records: &[Record]) -> Result<u64, LogError> {
        let limit = self.options.record_bytes_max;
        if let Some(large) = records.iter().find(|record| record.payload.len() > limit) {
            return Err(LogError::RecordTooLarge {
                bytes: large.payload.len(),
                limit,
            });
        }
        self.partition(id)?
            .append(records, self.options.segment_bytes_max)
    }

    /// Appends where the lines of a file lie that is its own log. The file must
    /// be durable by itself, and stay as it is: its bytes are checked when they
    /// are read again. The folder of the file is that of
    /// [`Log::set_source_folder`].
    ///
    /// # Errors
    /// When a record is too large or the disk refuses.
    pub fn append_range(&self, id: &PartitionId, range: &FileRange) -> Result<u64, LogError> {
        let limit = self.options.record_bytes_max;
        let longest = range.records.iter().map(|&(_, length)| length as usize);
        if let Some(bytes) = longest.max().filter(|&bytes| bytes > limit) {
            return Err(LogError::RecordTooLarge { bytes, limit });
        }
        self.partition(id)?
            .append_range(range, self.options.segment_bytes_max)
    }

    /// Says where the files of a topic's source lie.
    ///
    /// # Errors
    /// When there is no such topic.
    pub fn set_source_folder(&self, topic: &str, folder: &Path) -> Result<(), LogError> {
        let id = PartitionId {
            topic: topic.to_owned(),
            partition: 0,
        };
        self.partition(&id)?.set_source_folder(folder.to_path_buf());
        Ok(())
    }

    /// Appends where records lie that a source keeps, which must be durable
    /// there. They are checked when they are read again, by the reader of
    /// [`Log::set_source`].
    ///
    /// # Errors
    /// When a record is too large or the disk refuses.
    pub fn append_source(&self, id: &PartitionId, range: SourceRange) -> Result<u64, LogError> {
        let limit = self.options.record_bytes_max;
        let longest = range.records.iter().map(|record| record.payload.len());
        if let Some(bytes) = longest.max().filter(|&bytes| bytes > limit) {
            return Err(LogError::RecordTooLarge { bytes, limit });
        }
        self.partition(id)?
            .append_source(range, self.options.segment_bytes_max)
    }

    /// Says who reads again what lies in a topic's source.
    ///
    /// # Errors
    /// When there is no such topic.
    pub fn set_source(&self, topic: &str, source: Arc<dyn SourceReader>) -> Result<(), LogError> {
        let id = PartitionId {
            topic: topic.to_owned(),
            partition: 0,
        };
        self.partition(&id)?.set_source(source);
        Ok(())
    }

    /// Ends all waiting for sources once `stop` is set.
    pub fn stop_waiting_with(&self, stop: Arc<AtomicBool>) {
        *self.stop.write() = stop;
    }

    /// Whether a source that is its own log may go on: what it gave is kept in
    /// memory within a bound until it is read, and is asked for anew beyond it.
    pub fn has_room(&self, id: &PartitionId) -> bool {
        self.partition(id)
            .is_ok_and(|partition| partition.has_room())
    }

    /// Lets go what is kept to read a source again.
    pub fn rest_source(&self, id: &PartitionId) {
        if let Ok(partition) = self.partition(id) {
            partition.rest_source();
        }
    }

    /// Makes everything appended so far durable: one sync for all appends since
    /// the last one.
    ///
    /// # Errors
    /// When the disk refuses; the log must then be opened anew.
    pub fn sync(&self) -> Result<(), LogError> {
        let all: Vec<_> = self.partitions.read().values().cloned().collect();
        for partition in all {
            partition.sync()?;
        }
        Ok(())
    }

    /// Exclusive end of the durable records; 0 for a partition that is not
    /// there.
    pub fn end_offset(&self, id: &PartitionId) -> u64 {
        self.partition(id)
            .map_or(0, |partition| partition.durable_end())
    }

    /// First offset that retention has left.
    pub fn start_offset(&self, id: &PartitionId) -> u64 {
        self.partition(id)
            .map_or(0, |partition| partition.start_offset())
    }

    /// Durable records from `from` up to `to` (exclusive): at least one if
    /// there is any, and no more blocks once `bytes_max` is reached.
    ///
    /// # Errors
    /// When `from` is not held, or a block is damaged.
    pub fn read(
        &self,
        id: &PartitionId,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, LogError> {
        self.read_as(id, from, to, bytes_max, &Reading::default())
    }

    /// [`Log::read`] by somebody who waits, and finds sources, otherwise than
    /// all who read.
    ///
    /// # Errors
    /// As for [`Log::read`].
    pub fn read_as(
        &self,
        id: &PartitionId,
        from: u64,
        to: u64,
        bytes_max: usize,
        reading: &Reading,
    ) -> Result<Vec<LogRecord>, LogError> {
        let stop = self.stop.read().clone();
        let is_stopped = || stop.load(Ordering::Acquire) || reading.stop.load(Ordering::Acquire);
        let way = Way {
            is_stopped: &is_stopped,
            place: reading.places.get(&id.topic),
        };
        self.partition(id)?.read(from, to, bytes_max, &way)
    }

    /// Drops whole segments whose newest record is older than `older_than_us`
    /// or that exceed `bytes_max` together, but none that holds an offset from
    /// `keep_from_offset_max` on. Returns the new start.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn retain(
        &self,
        id: &PartitionId,
        keep_from_offset_max: u64,
        older_than_us: Option<i64>,
        bytes_max: Option<u64>,
    ) -> Result<u64, LogError> {
        self.partition(id)?
            .retain(keep_from_offset_max, older_than_us, bytes_max)
    }
}
