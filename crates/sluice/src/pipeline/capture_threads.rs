//! What the capture threads do.

use std::sync::Arc;
use std::time::Duration;

use sluice_capture::{
    CaptureBatch, CaptureError, FileFormat, FileSource, FileSourceOptions, PollCursor, PollSource,
    PollSourceOptions, SourcePosition, Submissions, SubmitError, mark_maxwell,
};
use sluice_core::{PartitionId, SystemClock};
use sluice_route::{CaptureDefinition, CaptureKind};

use super::capture_step::{CaptureEnd, Shared, secret};
use super::door::Door;
use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::Reporter;

/// Bytes that may be appended before the disk is asked to sync them.
const UNSYNCED_BYTES_MAX: usize = 16 << 20;
/// How long a thread waits before it looks again at sources that had nothing:
/// at first, and after they have been quiet for a while.
const IDLE_WAIT_MIN: Duration = Duration::from_millis(2);
const IDLE_WAIT_MAX: Duration = Duration::from_millis(50);
/// Time of one request of a poll source.
const POLL_TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes of one answer to a poll source.
const POLL_ANSWER_BYTES_MAX: u64 = 64 << 20;

/// A source of one topic.
#[derive(Debug)]
pub(super) struct Source<S> {
    partition: PartitionId,
    source: S,
    maxwell_transactions: bool,
}

/// The records of a source keep their order, so that they share a partition.
fn only_partition(topic: &str) -> PartitionId {
    PartitionId {
        topic: topic.to_owned(),
        partition: 0,
    }
}

impl Source<FileSource> {
    /// A folder that is missing is an error, or, if it `may_be_missing`, waited
    /// for.
    pub(super) fn open_files(
        project: &Project,
        capture: &CaptureDefinition,
        position: SourcePosition,
        may_be_missing: bool,
    ) -> Result<Self, Failure> {
        let what = format!("opening the source of topic `{}`", capture.topic);
        let CaptureKind::File {
            path,
            format,
            delimiter,
            header,
            follow,
            own_log,
        } = &capture.kind
        else {
            return Err(Failure::Failed(format!("{what}: it is no file source")));
        };
        let format = match format {
            sluice_route::FileFormat::Ndjson => FileFormat::Ndjson,
            sluice_route::FileFormat::Csv => FileFormat::Csv {
                delimiter: *delimiter,
                has_header: *header,
            },
        };
        let options = FileSourceOptions {
            follow: *follow,
            own_log: *own_log,
            folder_may_be_missing: may_be_missing,
            ..FileSourceOptions::new(capture.topic.clone(), project.resolve(path), format)
        };
        let source =
            FileSource::open(options, Arc::new(SystemClock), position.into_files()).doing(&what)?;
        Ok(Self {
            partition: only_partition(&capture.topic),
            source,
            maxwell_transactions: capture.transactions.is_some(),
        })
    }
}

impl Source<PollSource> {
    pub(super) fn open_poll(
        capture: &CaptureDefinition,
        position: SourcePosition,
    ) -> Result<Self, Failure> {
        let CaptureKind::Poll {
            url,
            interval_us,
            items,
            cursor,
            headers,
        } = &capture.kind
        else {
            let topic = &capture.topic;
            return Err(Failure::Failed(format!("`{topic}` has no poll source")));
        };
        let mut request_headers = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            let value = match value.strip_prefix("env:") {
                Some(variable) => secret(variable)?,
                None => value.clone(),
            };
            request_headers.push((name.clone(), value));
        }
        let options = PollSourceOptions {
            name: capture.topic.clone(),
            url: url.clone(),
            interval: Duration::from_micros(u64::try_from(*interval_us).unwrap_or_default()),
            items: items.clone(),
            cursor: cursor.as_ref().map(|cursor| PollCursor {
                parameter: cursor.parameter.clone(),
                field: cursor.field.clone(),
                start: cursor.start.clone(),
                of_answer: cursor.of_answer,
            }),
            headers: request_headers,
            time_max: POLL_TIME_MAX,
            answer_bytes_max: POLL_ANSWER_BYTES_MAX,
        };
        let source = PollSource::new(options, Arc::new(SystemClock), position.into_cursor());
        Ok(Self {
            partition: only_partition(&capture.topic),
            source,
            maxwell_transactions: false,
        })
    }
}

/// Reads the file sources in turn.
pub(super) fn follow_files(
    shared: &Shared,
    log: &Door,
    mut sources: Vec<Source<FileSource>>,
    reporter: Reporter,
) -> Result<(), CaptureEnd> {
    let mut unsynced_bytes = 0;
    let mut idle_wait = IDLE_WAIT_MIN;
    while !shared.is_stopping() {
        if shared.is_paused() {
            std::thread::park_timeout(IDLE_WAIT_MAX);
            continue;
        }
        let mut all_at_end = true;
        let mut has_records = false;
        for source in &mut sources {
            let polled: Result<_, CaptureError> = source.source.poll();
            let topic = &source.partition.topic;
            let batch = polled.doing(&format!("reading the source of topic `{topic}`"))?;
            all_at_end &= batch.at_end;
            has_records |= !batch.records.is_empty() || !batch.ranges.is_empty();
            let (records, at_end) = (record_count(&batch), batch.at_end);
            let bytes = append(source, batch, log, reporter)?;
            let topic = &source.partition.topic;
            let trouble = source.source.trouble();
            shared.states.note(topic, records, bytes, at_end, trouble);
            unsynced_bytes += bytes;
        }
        // Whatever is waiting is synced together: many small batches under
        // load, the one batch there is otherwise.
        if unsynced_bytes > 0 && (all_at_end || unsynced_bytes >= UNSYNCED_BYTES_MAX) {
            log.sync().doing("making the log durable")?;
            unsynced_bytes = 0;
            shared.tell_records();
        }
        if has_records {
            idle_wait = IDLE_WAIT_MIN;
        }
        if all_at_end {
            shared.tell_idle();
            std::thread::park_timeout(idle_wait);
            idle_wait = IDLE_WAIT_MAX.min(idle_wait * 2);
        }
    }
    Ok(log.sync().doing("making the log durable")?)
}

/// Asks one address again and again.
pub(super) fn follow_poll(
    shared: &Shared,
    log: &Door,
    mut source: Source<PollSource>,
    reporter: Reporter,
) -> Result<(), CaptureEnd> {
    while !shared.is_stopping() {
        if shared.is_paused() {
            std::thread::park_timeout(IDLE_WAIT_MAX);
            continue;
        }
        let batch = source.source.poll();
        let (records, at_end) = (record_count(&batch), batch.at_end);
        let bytes = append(&source, batch, log, reporter)?;
        let topic = &source.partition.topic;
        let trouble = source.source.trouble();
        shared.states.note(topic, records, bytes, at_end, trouble);
        if bytes > 0 {
            log.sync().doing("making the log durable")?;
            shared.tell_records();
        }
        if at_end {
            shared.tell_idle();
            std::thread::park_timeout(IDLE_WAIT_MAX);
        }
    }
    Ok(())
}

/// Records of a batch.
fn record_count(batch: &CaptureBatch) -> usize {
    let of_ranges = batch.ranges.iter().map(|(_, range)| range.records.len());
    batch.records.len() + of_ranges.sum::<usize>()
}

/// Appends a batch and gives the number of its bytes.
fn append<S>(
    source: &Source<S>,
    mut batch: CaptureBatch,
    log: &Door,
    reporter: Reporter,
) -> Result<usize, Failure> {
    for warning in &batch.warnings {
        reporter.warn(warning);
    }
    let CaptureBatch {
        records, ranges, ..
    } = &mut batch;
    if records.is_empty() && ranges.is_empty() {
        return Ok(0);
    }
    if source.maxwell_transactions {
        mark_maxwell(records);
    }
    let mut appended = 0;
    for (behind, range) in ranges.iter() {
        log.append(&source.partition, &mut records[appended..*behind])
            .and_then(|_| log.append_range(&source.partition, range))
            .doing("appending to the log")?;
        appended = *behind;
    }
    log.append(&source.partition, &mut records[appended..])
        .doing("appending to the log")?;
    let sizes = records.iter().map(|record| record.payload.len());
    let of_ranges = ranges.iter().map(|(_, range)| range.bytes.len());
    Ok((sizes.sum::<usize>() + of_ranges.sum::<usize>()).max(1))
}

/// Makes what clients sent durable, all that waits at a time, and tells them.
pub(super) fn take_submissions(
    shared: &Shared,
    log: &Door,
    submissions: &Submissions,
) -> Result<(), CaptureEnd> {
    loop {
        let is_stopping = shared.is_stopping();
        let mut taken = submissions.take_all(IDLE_WAIT_MAX);
        if taken.is_empty() {
            if is_stopping {
                return Ok(());
            }
            shared.tell_idle();
            continue;
        }
        let appended = taken.iter_mut().try_for_each(|submission| {
            let partition = only_partition(&submission.topic);
            log.append(&partition, &mut submission.records)
        });
        let outcome = appended.and_then(|()| log.sync());
        let answer = match &outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(SubmitError::NotDurable(error.to_string())),
        };
        // The epoch may begin while the answers are on their way.
        shared.tell_records();
        for submission in taken {
            if outcome.is_ok() {
                let sizes = submission.records.iter().map(|record| record.payload.len());
                let (count, bytes) = (submission.records.len(), sizes.sum());
                shared
                    .states
                    .note(&submission.topic, count, bytes, true, None);
            }
            // A client that went away needs no answer.
            let _ = submission.done.send(answer.clone());
        }
        if outcome.is_err() {
            submissions.close();
        }
        outcome.doing("making the records of clients durable")?;
    }
}
