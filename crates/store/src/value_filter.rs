//! Bloom filters of the columns of segment files: which values a column may hold,
//! so that a look-up need not read the columns of files that lack its values.
//!
//! They are those of Parquet, of blocks of 256 bits, so that other readers know them,
//! too. A look-up needs one block of a filter. So the footer holds a checksum of each
//! page of it, and only the page with that block is read.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::{max, min};
use arrow::datatypes::{ArrowNumericType, DataType, Int32Type, Int64Type};
use bytes::Bytes;
use parquet::bloom_filter::Sbbf;
use parquet::data_type::AsBytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::xxh64;

use crate::StoreError;
use crate::parquet_columns::OpenedFile;
use crate::parquet_file::checksum;
use crate::segment::{SegmentFile, Shape};
use crate::segment_cache::CachePlace;

/// Name of the entry of a footer that says where filters lie: JSON of a list of
/// [`FilterPlace`].
pub(crate) const PLACES_KEY: &str = "sluice.filters";

/// So many of the values that a column lacks are taken for there at most.
const FALSE_HITS_MAX: f64 = 0.01;
/// A column of more values has no filter, which would take more than 8 MiB.
const VALUES_MAX: usize = 1 << 22;
/// Text that is longer than this on average is not looked for as a whole.
const TEXT_BYTES_MEAN_MAX: usize = 128;
/// Whole numbers have a filter if this many times as many lie between the least and
/// the greatest: of fewer the bounds tell most, and what lies between is mostly there.
const ROOM_MIN: i128 = 2;

const BLOCK_BYTES: usize = 32;
/// What has a checksum of its own. Reading less from disk is no faster.
const PAGE_BYTES: usize = 512 * BLOCK_BYTES;
/// The same where an entry does not say it: those of the first form.
const FIRST_PAGE_BYTES: u32 = 512 * BLOCK_BYTES as u32;

/// One bit of each word of a block stands for a value; Parquet's format names the
/// factors that choose it.
const WORD_FACTORS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// Where a filter lies in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilterPlace {
    /// Number of the column chunk among all of the file.
    pub(crate) chunk: usize,
    /// The first byte of its blocks.
    start: u64,
    blocks: u32,
    /// Bytes of a page of its blocks, of which there are whole ones in it.
    #[serde(default = "first_page_bytes")]
    page_bytes: u32,
    /// One for each page of its blocks.
    checksums: Vec<u32>,
}

fn first_page_bytes() -> u32 {
    FIRST_PAGE_BYTES
}

impl FilterPlace {
    fn bytes(&self) -> usize {
        self.blocks as usize * BLOCK_BYTES
    }

    fn page_bytes(&self) -> usize {
        self.page_bytes as usize
    }

    fn is_sound(&self) -> bool {
        let page_bytes = self.page_bytes();
        self.blocks > 0
            && page_bytes > 0
            && page_bytes.is_multiple_of(BLOCK_BYTES)
            && self.checksums.len() == self.bytes().div_ceil(page_bytes)
    }

    /// Where a page lies in the file, and its length.
    fn range_of(&self, page: usize) -> (u64, usize) {
        let page_bytes = self.page_bytes();
        let skipped = page.saturating_mul(page_bytes);
        let length = self.bytes().saturating_sub(skipped).min(page_bytes);
        (self.start.saturating_add(skipped as u64), length)
    }

    /// The page that holds the block of a value, and where in it the block begins.
    fn page_of(&self, hash: u64) -> (usize, usize) {
        let block = ((hash >> 32) * u64::from(self.blocks)) >> 32;
        let start = block as usize * BLOCK_BYTES;
        (start / self.page_bytes(), start % self.page_bytes())
    }
}

/// The filter of a column that has too many values for a dictionary; `None` where it
/// would tell little.
pub(crate) fn filter_of(column: &ArrayRef) -> Result<Option<Sbbf>, ParquetError> {
    let values = column.len() - column.null_count();
    if values == 0 || values > VALUES_MAX {
        return Ok(None);
    }
    let mut filter = Sbbf::new_with_ndv_fpp(values as u64, FALSE_HITS_MAX)?;
    let is_filled = match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            let offsets = texts.value_offsets();
            let bytes = (offsets[texts.len()] - offsets[0]) as usize;
            let is_short = bytes <= values * TEXT_BYTES_MEAN_MAX;
            if is_short {
                texts.iter().flatten().for_each(|text| filter.insert(text));
            }
            is_short
        }
        DataType::Int32 => insert_numbers(column.as_primitive::<Int32Type>(), &mut filter),
        DataType::Int64 => insert_numbers(column.as_primitive::<Int64Type>(), &mut filter),
        _ => false,
    };
    if !is_filled {
        return Ok(None);
    }
    // It was made for as many values as rows.
    filter.fold_to_target_fpp(FALSE_HITS_MAX);
    Ok(Some(filter))
}

/// False where numbers have too little room for a filter.
fn insert_numbers<T>(numbers: &PrimitiveArray<T>, filter: &mut Sbbf) -> bool
where
    T: ArrowNumericType,
    T::Native: AsBytes + Into<i128>,
{
    let (Some(least), Some(greatest)) = (min(numbers), max(numbers)) else {
        return false;
    };
    let (least, greatest): (i128, i128) = (least.into(), greatest.into());
    let values = numbers.len() - numbers.null_count();
    if greatest - least < ROOM_MIN * values as i128 {
        return false;
    }
    let numbers = numbers.iter().flatten();
    numbers.for_each(|number| filter.insert(&number));
    true
}

/// Where the filters of `file` lie, which holds all but its footer.
pub(crate) fn filter_places(
    file: &[u8],
    groups: &[RowGroupMetaData],
) -> Result<Vec<FilterPlace>, ParquetError> {
    let chunks = groups.iter().flat_map(RowGroupMetaData::columns);
    let mut places = Vec::new();
    for (number, chunk) in chunks.enumerate() {
        let (start, length) = (chunk.bloom_filter_offset(), chunk.bloom_filter_length());
        let (Some(start), Some(length)) = (start, length) else {
            continue;
        };
        let end = start.saturating_add(i64::from(length)) as usize;
        let written = file.get(start as usize..end).unwrap_or_default();
        // Before its blocks lies a header, of which Parquet says the length nowhere.
        let blocks = Sbbf::from_bytes(written)?.num_blocks();
        let header_bytes = written.len().saturating_sub(blocks * BLOCK_BYTES);
        let pages = written[header_bytes..].chunks(PAGE_BYTES);
        places.push(FilterPlace {
            chunk: number,
            start: start as u64 + header_bytes as u64,
            blocks: blocks as u32,
            page_bytes: PAGE_BYTES as u32,
            checksums: pages.map(checksum).collect(),
        });
    }
    Ok(places)
}

/// The filters that a footer's entry [`PLACES_KEY`] tells of. Without them a file is
/// read, so that those that cannot be understood are passed over.
pub(crate) fn parse_places(entry: &str) -> Vec<FilterPlace> {
    let mut places: Vec<FilterPlace> = serde_json::from_str(entry).unwrap_or_default();
    places.retain(FilterPlace::is_sound);
    places
}

/// Values of which a column is to hold one, to ask many pieces for.
#[derive(Debug, Clone)]
pub struct SoughtValues {
    data_type: DataType,
    hashes: Vec<u64>,
}

impl SoughtValues {
    /// `None` if values of that type have no filters, one of them is null, or there
    /// are none.
    pub fn of(values: &ArrayRef) -> Option<Self> {
        if values.is_empty() || values.null_count() > 0 {
            return None;
        }
        let hashes = match values.data_type() {
            DataType::Utf8 => {
                let texts = values.as_string::<i32>().iter().flatten();
                texts.map(|text| xxh64(text.as_bytes(), 0)).collect()
            }
            DataType::Int32 => {
                let numbers = values.as_primitive::<Int32Type>().values().iter();
                numbers
                    .map(|number| xxh64(&number.to_le_bytes(), 0))
                    .collect()
            }
            DataType::Int64 => {
                let numbers = values.as_primitive::<Int64Type>().values().iter();
                numbers
                    .map(|number| xxh64(&number.to_le_bytes(), 0))
                    .collect()
            }
            _ => return None,
        };
        Some(Self {
            data_type: values.data_type().clone(),
            hashes,
        })
    }
}

impl OpenedFile {
    /// Where the filter of a root column lies, if it has one.
    fn filter_place(&self, root: usize) -> Option<&FilterPlace> {
        let mut chunks = self.chunks_of(root);
        let (Some((number, _)), None) = (chunks.next(), chunks.next()) else {
            return None;
        };
        self.filters.iter().find(|place| place.chunk == number)
    }
}

impl SegmentFile {
    /// False if no row of a column holds one of `sought`; true if one may.
    pub(crate) fn may_hold(
        &self,
        shape: &Shape,
        column: usize,
        sought: &SoughtValues,
        cached: &CachePlace,
    ) -> Result<bool, StoreError> {
        let Some(place) = self.filter_for(shape, column, sought)? else {
            return Ok(true);
        };
        let id = shape.column_ids[column];
        for &hash in &sought.hashes {
            let (number, start) = place.page_of(hash);
            let page = match cached.filter_page(id, number) {
                Some(page) => page,
                None => {
                    let page = self.read_filter_page(&place, number)?;
                    cached.put_filter_page(id, number, &page);
                    page
                }
            };
            let block = page.get(start..start + BLOCK_BYTES);
            if block.is_none_or(|block| is_in_block(block, hash)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells the disk that [`Self::may_hold`] will be asked soon.
    pub(crate) fn will_look_for(
        &self,
        shape: &Shape,
        column: usize,
        sought: &SoughtValues,
        cached: &CachePlace,
    ) {
        let Ok(Some(place)) = self.filter_for(shape, column, sought) else {
            return;
        };
        let id = shape.column_ids[column];
        let pages = sought.hashes.iter().map(|&hash| place.page_of(hash).0);
        let missing: Vec<usize> = pages
            .filter(|&number| !cached.has_filter_page(id, number))
            .collect();
        if missing.is_empty() {
            return;
        }
        // What hinders it shows when they are read.
        let Ok(file) = self.open() else {
            return;
        };
        for number in missing {
            let (start, length) = place.range_of(number);
            file.will_read(start, length as u64);
        }
    }

    /// Where the filter of a column lies, if it has one that tells of `sought`.
    fn filter_for(
        &self,
        shape: &Shape,
        column: usize,
        sought: &SoughtValues,
    ) -> Result<Option<FilterPlace>, StoreError> {
        let (Some(footer), Some(root)) = (self.footer, self.root_of(shape, column)) else {
            return Ok(None);
        };
        if *shape.schema.field(column).data_type() != sought.data_type {
            return Ok(None);
        }
        Ok(self.opened(footer)?.filter_place(root).cloned())
    }

    fn read_filter_page(&self, place: &FilterPlace, number: usize) -> Result<Bytes, StoreError> {
        let (start, length) = place.range_of(number);
        let expected = place.checksums.get(number).copied();
        let expected = expected.ok_or_else(|| self.damaged("lacks a checksum of a filter"))?;
        self.read_range(&*self.open()?, start, length, expected)
    }
}

fn is_in_block(block: &[u8], hash: u64) -> bool {
    let mut words = WORD_FACTORS.iter().zip(block.chunks_exact(4));
    words.all(|(factor, word)| {
        let bit = (hash as u32).wrapping_mul(*factor) >> 27;
        word[bit as usize / 8] & (1 << (bit % 8)) != 0
    })
}

#[cfg(test)]
mod tests;
