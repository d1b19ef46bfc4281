//! A file without a name, mapped into memory, that blocks are cut from.

use std::alloc::Layout;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Addresses set aside. Neither memory nor disk is taken for them.
const LENGTHS: [usize; 3] = [1 << 42, 1 << 39, 1 << 36];
/// Steps between two powers of two in the lengths of blocks.
const STEPS: usize = 4;
/// The lengths are multiples of this: whole pages on every machine.
const CLASS_STEP: usize = 1 << 16;
/// Bytes that are unmapped at a time.
const UNMAP_BYTES: usize = 4 << 20;
const FILE_NAME: &str = "state-memory.tmp";

/// See the module.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: File,
    base: NonNull<u8>,
    length: usize,
    page_bytes: usize,
    bytes_max: usize,
    used_bytes: AtomicUsize,
    blocks: Mutex<Blocks>,
}

/// Which parts of the file are free.
#[derive(Debug, Default)]
struct Blocks {
    /// Behind the last block ever given out.
    end: usize,
    /// Offsets of free blocks, by the class of their length.
    free: Vec<Vec<usize>>,
    /// Where unmapping goes on.
    hand: usize,
}

// SAFETY: `base` is the address of a mapping that lives as long as the value
// and is only ever handed out in blocks that do not overlap.
unsafe impl Send for Scratch {}
// SAFETY: as above; what changes is behind a lock or atomic.
unsafe impl Sync for Scratch {}

impl Scratch {
    /// Makes the file in `folder` and takes its name away at once.
    pub(crate) fn create(folder: &Path, bytes_max: usize) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE_NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        std::fs::remove_file(&path)?;
        let mut problem = io::Error::other("no address space");
        for length in LENGTHS {
            match file
                .set_len(length as u64)
                .and_then(|()| map(&file, length))
            {
                Ok(base) => {
                    return Ok(Self {
                        file,
                        base,
                        length,
                        page_bytes: Self::page_bytes(),
                        bytes_max,
                        used_bytes: AtomicUsize::new(0),
                        blocks: Mutex::default(),
                    });
                }
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    /// The machine's page size.
    pub(crate) fn page_bytes() -> usize {
        // SAFETY: the call has no preconditions.
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(bytes).unwrap_or(4096)
    }

    /// Bytes of the file that blocks take.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Whether a block is one of this file.
    pub(crate) fn contains(&self, block: NonNull<u8>) -> bool {
        let offset = (block.as_ptr() as usize).wrapping_sub(self.base.as_ptr() as usize);
        offset < self.length
    }

    /// A new block, with room on disk; `None` if there is none.
    pub(crate) fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        if layout.align() > self.page_bytes || layout.size() > self.length {
            return None;
        }
        let bytes = self.whole_pages(layout.size());
        let class = class_of(bytes);
        let mut blocks = self.blocks.lock();
        if blocks.free.len() <= class {
            blocks.free.resize(class + 1, Vec::new());
        }
        let offset = match blocks.free[class].pop() {
            Some(offset) => offset,
            None => {
                let offset = blocks.end;
                let end = offset.checked_add(class_bytes(class))?;
                if end > self.length {
                    return None;
                }
                blocks.end = end;
                offset
            }
        };
        if !self.reserve(offset, bytes) {
            blocks.free[class].push(offset);
            return None;
        }
        // SAFETY: the offset is within the mapping.
        Some(unsafe { self.base.add(offset) })
    }

    /// Makes a block larger, if its place has room for it.
    pub(crate) fn grow_in_place(&self, block: NonNull<u8>, old: Layout, new: Layout) -> bool {
        let (old_bytes, new_bytes) = (self.whole_pages(old.size()), self.whole_pages(new.size()));
        let fits = new.align() <= self.page_bytes && class_of(old_bytes) == class_of(new_bytes);
        fits && self.reserve(self.offset(block) + old_bytes, new_bytes - old_bytes)
    }

    /// Takes a block back. It must be one of this file, of this layout.
    pub(crate) fn free(&self, block: NonNull<u8>, layout: Layout) {
        let bytes = self.whole_pages(layout.size());
        let offset = self.offset(block);
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: the file is open, and nobody uses this part of it any more.
        // Where the disk cannot give the room back it stays taken, for the next
        // block at this place.
        unsafe { libc::fallocate(self.file.as_raw_fd(), mode, offset as i64, bytes as i64) };
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let class = class_of(bytes);
        let mut blocks = self.blocks.lock();
        blocks.free[class].push(offset);
    }

    /// Unmaps pages, part of the file after part, until `is_enough` or all are
    /// unmapped. Their content stays in the file, or in the machine's cache of
    /// it, and they are mapped again when they are used.
    pub(crate) fn unmap_until(&self, mut is_enough: impl FnMut() -> bool) {
        let (mut hand, end) = {
            let blocks = self.blocks.lock();
            (blocks.hand, blocks.end)
        };
        let mut passed = 0;
        while passed < end && !is_enough() {
            if hand >= end {
                hand = 0;
            }
            let bytes = UNMAP_BYTES.min(end - hand);
            // SAFETY: the range is within the mapping. The mapping is shared
            // with the file, so that unmapping a page loses nothing, whoever
            // reads or writes it meanwhile.
            unsafe {
                let start = self.base.add(hand).as_ptr().cast();
                libc::madvise(start, bytes, libc::MADV_DONTNEED);
            }
            hand += bytes;
            passed += bytes;
        }
        self.blocks.lock().hand = hand;
    }

    fn offset(&self, block: NonNull<u8>) -> usize {
        block.as_ptr() as usize - self.base.as_ptr() as usize
    }

    fn whole_pages(&self, bytes: usize) -> usize {
        bytes.next_multiple_of(self.page_bytes)
    }

    /// Takes room on disk for a part of the file. Without it, writing to a page
    /// could end the process.
    fn reserve(&self, offset: usize, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let before = self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        let has_room = before.saturating_add(bytes) <= self.bytes_max
            && loop {
                // SAFETY: the file is open; the call touches nothing else.
                let failed = unsafe {
                    libc::posix_fallocate(self.file.as_raw_fd(), offset as i64, bytes as i64)
                };
                // A signal may interrupt it, which says nothing about the disk.
                if failed != libc::EINTR {
                    break failed == 0;
                }
            };
        if !has_room {
            self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        has_room
    }
}

fn map(file: &File, length: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a new mapping at an address that the system chooses touches no
    // other one. The file has no name, so that no other process changes it. The
    // mapping is never removed: a `Scratch` lives as long as the process.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_NORESERVE,
            file.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))
}

/// The class of blocks of so many bytes: the least whose length is enough.
fn class_of(bytes: usize) -> usize {
    let mut class = 0;
    let power = (bytes.max(1).next_power_of_two() / 2).trailing_zeros() as usize;
    class += power * STEPS;
    while class_bytes(class) < bytes {
        class += 1;
    }
    class
}

/// The length of blocks of a class.
fn class_bytes(class: usize) -> usize {
    let power = 1_usize << (class / STEPS);
    (power + power * (class % STEPS) / STEPS).next_multiple_of(CLASS_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_fit_and_waste_little() {
        let mut bytes = CLASS_STEP;
        while bytes < 1 << 30 {
            let length = class_bytes(class_of(bytes));
            assert!(
                length >= bytes && length <= bytes + (bytes / 2).max(CLASS_STEP),
                "{bytes}: {length}"
            );
            assert_eq!(length % CLASS_STEP, 0);
            assert_eq!(class_of(length), class_of(bytes), "{bytes}");
            bytes += bytes / 7 + 4096;
        }
    }
}
