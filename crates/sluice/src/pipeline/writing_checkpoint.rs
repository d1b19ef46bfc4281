//! A checkpoint on its way to the disk: rows first, of which the store hears at
//! once, so that memory need not hold them while the rest is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use sluice_core::{Epoch, OpenSpan, PartitionId};
use sluice_store::{CheckpointJob, StateJob, StoreError, WrittenCheckpoint, WrittenRows};

use super::surroundings::{CheckpointWriter, Surroundings};
use crate::failure::{Doing, Failure};

const WRITING: &str = "writing a checkpoint";

/// See the module.
#[derive(Debug)]
pub(super) struct WritingCheckpoint {
    pub(super) epoch: Epoch,
    /// Where the epoch ends in the log.
    pub(super) ends: BTreeMap<PartitionId, u64>,
    pub(super) work: Writing,
}

/// Where a thread leaves the rows once they are in files.
type RowsPlace = Arc<Mutex<Option<WrittenRows>>>;

/// Who writes a checkpoint.
#[derive(Debug)]
pub(super) enum Writing {
    Thread(JoinHandle<Result<WrittenCheckpoint, StoreError>>, RowsPlace),
    /// Whoever asks for the rows.
    Caller(Box<CheckpointJob>),
    /// Whoever asks for the result; it has the rows.
    CallerBehindRows(Box<StateJob>),
}

impl Writing {
    /// Begins to write, of which `span` tells if it is done in a thread of its own.
    pub(super) fn start(
        job: CheckpointJob,
        surroundings: &Surroundings,
        mut span: OpenSpan,
    ) -> Result<Self, Failure> {
        if surroundings.checkpoint_writer == CheckpointWriter::Caller {
            span.discard();
            return Ok(Self::Caller(Box::new(job)));
        }
        let rows = RowsPlace::default();
        let clock = surroundings.clock.clone();
        let place = rows.clone();
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || {
                let written = write(job, &place);
                if written.is_err() {
                    span.fail();
                }
                drop(span);
                // What was collected for the checkpoint is free by now.
                sluice_memory::give_freed_memory_back(clock.now_us());
                written
            })
            .doing("starting the thread of a checkpoint")?;
        Ok(Self::Thread(thread, rows))
    }

    /// Whether [`Writing::finish`] gives the result without waiting for another
    /// thread, and a caller has had the rows.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Thread(thread, _) => thread.is_finished(),
            Self::Caller(_) => false,
            Self::CallerBehindRows(_) => true,
        }
    }

    /// The rows if they are in files since the last call.
    pub(super) fn rows(self) -> Result<(Self, Option<WrittenRows>), Failure> {
        match self {
            Self::Thread(thread, place) => {
                let rows = place.lock().take();
                Ok((Self::Thread(thread, place), rows))
            }
            Self::Caller(job) => {
                let (rows, state) = job.write_rows().doing(WRITING)?;
                Ok((Self::CallerBehindRows(Box::new(state)), Some(rows)))
            }
            Self::CallerBehindRows(_) => Ok((self, None)),
        }
    }

    /// Waits for the result, and gives the rows if they are in files and nobody
    /// has had them.
    pub(super) fn finish(self) -> (Option<WrittenRows>, Result<WrittenCheckpoint, Failure>) {
        let place = RowsPlace::default();
        let (place, written) = match self {
            Self::Thread(thread, place) => match thread.join() {
                Ok(written) => (place, written),
                Err(_) => {
                    let problem = "the thread of a checkpoint ended abnormally";
                    return (None, Err(Failure::Failed(problem.into())));
                }
            },
            Self::Caller(job) => {
                let written = write(*job, &place);
                (place, written)
            }
            Self::CallerBehindRows(state) => (place, state.write()),
        };
        let rows = place.lock().take();
        (rows, written.doing(WRITING))
    }
}

fn write(
    job: CheckpointJob,
    place: &Mutex<Option<WrittenRows>>,
) -> Result<WrittenCheckpoint, StoreError> {
    let (rows, state) = job.write_rows()?;
    *place.lock() = Some(rows);
    state.write()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sluice_core::SimulatedDisk;

    use super::super::Warehouse;
    use super::super::damage::open;
    use super::super::fault_injection::small_warehouse::{
        Definitions, Models, SHOP, partition, shop_script,
    };
    use super::super::fault_injection::{Random, rows};
    use super::*;

    /// A warehouse with epochs of which nothing is durable, and a checkpoint of
    /// them on its way.
    fn begun(writer: CheckpointWriter) -> Warehouse {
        let definitions = Definitions::new(Models::First);
        let recovery = open(&definitions, &SimulatedDisk::new(1)).unwrap();
        let mut warehouse = recovery.warehouse;
        warehouse.surroundings.checkpoint_writer = writer;
        let records = shop_script(&mut Random::new(5), 50);
        let log = warehouse.log();
        log.append(&partition(SHOP), &records).unwrap();
        log.sync().unwrap();
        while warehouse.run_epoch().unwrap() {}
        assert!(warehouse.store_memory().unwritten_bytes > 0);
        warehouse.begin_checkpoint().unwrap().unwrap();
        warehouse
    }

    #[test]
    fn rows_leave_memory_before_the_checkpoint_is_durable() {
        let mut warehouse = begun(CheckpointWriter::Caller);
        assert!(warehouse.store_memory().unwritten_bytes > 0);
        let published = rows(&warehouse.published().snapshot());
        let durable = warehouse.durable_epoch();
        warehouse.poll_checkpoint().unwrap();
        assert_eq!(warehouse.store_memory().unwritten_bytes, 0);
        assert!(warehouse.is_writing_checkpoint());
        assert_eq!(warehouse.durable_epoch(), durable);
        assert_eq!(rows(&warehouse.published().snapshot()), published);
        warehouse.poll_checkpoint().unwrap();
        assert!(!warehouse.is_writing_checkpoint());
        assert!(warehouse.is_durable());
        assert_eq!(rows(&warehouse.published().snapshot()), published);
    }

    #[test]
    fn a_thread_hands_the_rows_over() {
        for is_waited_for in [true, false] {
            let mut warehouse = begun(CheckpointWriter::Thread);
            let published = rows(&warehouse.published().snapshot());
            if is_waited_for {
                warehouse.checkpoint().unwrap();
            }
            while warehouse.is_writing_checkpoint() {
                std::thread::sleep(Duration::from_millis(1));
                warehouse.poll_checkpoint().unwrap();
            }
            assert_eq!(warehouse.store_memory().unwritten_bytes, 0);
            assert!(warehouse.is_durable());
            assert_eq!(rows(&warehouse.published().snapshot()), published);
        }
    }
}
