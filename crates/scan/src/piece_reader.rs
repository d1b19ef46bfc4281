//! Reads pieces of a collection one after the other, as batches of the rows
//! that pass a filter.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{BatchCoalescer, filter};
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use sluice_store::Piece;

use crate::narrowing::Narrowing;
use crate::row_filter::{RowFilter, as_declared};

/// The disk fetches this many pieces of a part while one before them is read.
const FETCHED_AHEAD: usize = 6;

/// What every part of a scan reads.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Positions of the columns in the table.
    pub(crate) columns: Vec<usize>,
    /// The same columns.
    pub(crate) schema: SchemaRef,
    pub(crate) filter: RowFilter,
    /// No more rows than these are asked for.
    pub(crate) limit: Option<usize>,
}

/// See the module.
pub(crate) struct PieceReader {
    wanted: Arc<Wanted>,
    narrowing: Option<Narrowing>,
    pieces: VecDeque<Piece>,
    /// So many of them the disk fetches already.
    announced: usize,
    /// Rows of the piece before passed: of those behind it all columns are wanted.
    is_passing: bool,
    batch_rows: usize,
    ready: VecDeque<RecordBatch>,
    /// Puts small remains of pieces together.
    remains: BatchCoalescer,
    left: usize,
}

impl PieceReader {
    pub(crate) fn new(
        wanted: Arc<Wanted>,
        narrowing: Option<Narrowing>,
        pieces: Vec<Piece>,
        batch_rows: usize,
    ) -> Self {
        let left = wanted.limit.unwrap_or(usize::MAX);
        let remains = BatchCoalescer::new(wanted.schema.clone(), batch_rows)
            .with_biggest_coalesce_batch_size(Some(batch_rows / 2));
        Self {
            wanted,
            narrowing,
            pieces: pieces.into(),
            announced: 0,
            is_passing: false,
            batch_rows: batch_rows.max(1),
            ready: VecDeque::new(),
            remains,
            left,
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if self.left == 0 {
                return Ok(None);
            }
            let ready = self.ready.pop_front();
            if let Some(batch) = ready.or_else(|| self.remains.next_completed_batch()) {
                let rows = batch.num_rows().min(self.left);
                self.left -= rows;
                return Ok(Some(batch.slice(0, rows)));
            }
            match self.next_useful() {
                Some(piece) => {
                    self.read(&piece)?;
                    if self.narrowing.is_some() {
                        // The filter waits for these rows.
                        self.remains.finish_buffered_batch()?;
                        if self.remains.has_completed_batch() {
                            continue;
                        }
                    }
                    if self.ready.is_empty() {
                        // Of many pieces none may have a row that passes, and whoever
                        // looks at the clock needs a turn before the last of them.
                        return Ok(Some(RecordBatch::new_empty(self.wanted.schema.clone())));
                    }
                }
                None if self.remains.is_empty() => return Ok(None),
                None => self.remains.finish_buffered_batch()?,
            }
        }
    }

    fn next_useful(&mut self) -> Option<Piece> {
        loop {
            let piece = self.pieces.pop_front()?;
            self.announced = self.announced.saturating_sub(1);
            let narrowing = self.narrowing.as_mut();
            if !narrowing.is_some_and(|it| it.excludes(&piece, &self.wanted)) {
                self.announce();
                return Some(piece);
            }
        }
    }

    /// Lets the disk fetch the next pieces, unless the scan may well end before them.
    fn announce(&mut self) {
        if self.narrowing.is_some() || self.wanted.limit.is_some() {
            return;
        }
        let first_columns = self.wanted.filter.first_columns();
        let is_whole = self.is_passing || first_columns.is_empty();
        for piece in self
            .pieces
            .range(..FETCHED_AHEAD.min(self.pieces.len()))
            .skip(self.announced)
        {
            piece.will_read(first_columns);
            if is_whole {
                piece.will_read(&self.wanted.columns);
            }
            self.announced += 1;
        }
    }

    /// The rows of the next piece that has some that pass: its columns, of which those
    /// of text may be dictionaries, and how many rows they are. Nothing else must have
    /// been asked of the reader; a limit does not count.
    pub(crate) async fn next_piece(&mut self) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        while let Some(piece) = self.next_useful() {
            let found = self.passing(&piece)?;
            self.is_passing = found.is_some();
            if found.is_some() {
                return Ok(found);
            }
            // Whoever looks at the clock gets a turn.
            tokio::task::yield_now().await;
        }
        Ok(None)
    }

    /// The rows of a piece that pass; `None` if there are none.
    fn passing(&self, piece: &Piece) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        let wanted = &self.wanted;
        let mut columns = Columns {
            piece,
            kept: piece.kept(),
            known: BTreeMap::new(),
        };
        let rows = piece.rows();
        let passing = wanted.filter.passing(rows, |column| columns.one(column))?;
        let found = passing.as_ref().map_or(rows, BooleanArray::true_count);
        if found == 0 {
            return Ok(None);
        }
        let mut arrays = columns.all(&wanted.columns)?;
        if let Some(passing) = &passing {
            for array in &mut arrays {
                *array = filter(array, passing)?;
            }
        }
        Ok(Some((arrays, found)))
    }

    /// Takes in the rows of one piece.
    fn read(&mut self, piece: &Piece) -> Result<()> {
        let found = self.passing(piece)?;
        self.is_passing = found.is_some();
        let Some((arrays, found)) = found else {
            return Ok(());
        };
        let wanted = self.wanted.clone();
        let mut start = 0;
        while start < found {
            let length = self.batch_rows.min(found - start);
            let fields = wanted.schema.fields().iter();
            let slices = fields
                .zip(&arrays)
                .map(|(field, array)| as_declared(&array.slice(start, length), field.data_type()));
            let slices = slices.collect::<Result<Vec<_>>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(length));
            let schema = wanted.schema.clone();
            let batch = RecordBatch::try_new_with_options(schema, slices, &options)?;
            match length == self.batch_rows || wanted.columns.is_empty() {
                true => self.ready.push_back(batch),
                false => self.remains.push_batch(batch)?,
            }
            start += length;
        }
        Ok(())
    }
}

impl Iterator for PieceReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next_batch().transpose();
        if matches!(batch, Some(Err(_))) {
            self.left = 0;
        }
        batch
    }
}

/// The columns of a piece that were read, of the rows that are there.
struct Columns<'a> {
    piece: &'a Piece,
    kept: Option<BooleanArray>,
    known: BTreeMap<usize, ArrayRef>,
}

impl Columns<'_> {
    fn one(&mut self, column: usize) -> Result<ArrayRef> {
        let mut found = self.all(&[column])?;
        found.pop().ok_or_else(|| {
            let problem = format!("column {column} of a piece is not there");
            DataFusionError::Internal(problem)
        })
    }

    fn all(&mut self, wanted: &[usize]) -> Result<Vec<ArrayRef>> {
        let unknown = wanted
            .iter()
            .filter(|column| !self.known.contains_key(column));
        let mut unknown: Vec<usize> = unknown.copied().collect();
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let read = self.piece.columns(&unknown);
            let read = read.map_err(|error| DataFusionError::External(Box::new(error)))?;
            for (column, array) in unknown.into_iter().zip(read) {
                let array = match &self.kept {
                    Some(kept) => filter(&array, kept)?,
                    None => array,
                };
                self.known.insert(column, array);
            }
        }
        Ok(wanted
            .iter()
            .filter_map(|column| self.known.get(column).cloned())
            .collect())
    }
}
