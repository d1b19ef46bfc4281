//! The disk as a parameter, so that tests can tear writes, fill it up and
//! crash it.

use std::fmt::Debug;
use std::fs;
use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// An existing or new file, to read and to append to.
    Append,
    /// A new file, or an existing one emptied, to read and to append to.
    Create,
}

/// An open file. Writes go to the end; nothing is durable before
/// [`DiskFile::sync`] has returned.
pub trait DiskFile: Send + Sync + Debug {
    /// Appends all of `bytes`. After an error an unknown part of them may have
    /// been written.
    ///
    /// # Errors
    /// When the disk refuses, for example because it is full.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// When the disk refuses. The content is then unknown: the caller must
    /// reopen the file, not sync again.
    fn sync(&mut self) -> io::Result<()>;
    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end of
    /// the file.
    ///
    /// # Errors
    /// When the disk refuses.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Says that `length` bytes from `offset` will be read soon, so that the disk
    /// fetches them meanwhile. A hint, which some disks pass over.
    fn will_read(&self, _offset: u64, _length: u64) {}
    /// Cuts or extends the file.
    ///
    /// # Errors
    /// When the disk refuses.
    fn set_len(&mut self, length: u64) -> io::Result<()>;
    /// Current length in bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    fn len(&self) -> io::Result<u64>;
    /// True for a file of no bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// A file system.
pub trait Disk: Send + Sync + Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// When it is missing (mode `Read`) or the disk refuses.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;
    /// A whole file.
    ///
    /// # Errors
    /// When it is missing or the disk refuses.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Names in a folder, sorted. A missing folder is an empty one.
    ///
    /// # Errors
    /// When the disk refuses.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Makes a folder and those above it; durable on return.
    ///
    /// # Errors
    /// When the disk refuses.
    fn create_dir_all(&self, folder: &Path) -> io::Result<()>;
    /// Replaces `to` by `from` in one step. Durable after
    /// [`Disk::sync_dir`] of the folder.
    ///
    /// # Errors
    /// When the disk refuses.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// When it is missing or the disk refuses.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes new, renamed and removed names of a folder durable.
    ///
    /// # Errors
    /// When the disk refuses.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;
    /// True if the file or folder exists.
    fn exists(&self, path: &Path) -> bool;
}

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// Linux fetches no more than this for one hint, unless the device says otherwise.
const FETCHED_AT_ONCE_BYTES: u64 = 128 << 10;

#[derive(Debug)]
struct RealFile(fs::File);

impl DiskFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .0
                .read_at(&mut buffer[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
    fn will_read(&self, offset: u64, length: u64) {
        let end = offset.saturating_add(length);
        let mut start = offset;
        while let Some(length) = NonZeroU64::new((end - start).min(FETCHED_AT_ONCE_BYTES)) {
            // What hinders it shows when the bytes are read.
            let _ = fadvise(&self.0, start, Some(length), Advice::WillNeed);
            start += length.get();
        }
    }
    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::Append => options.append(true).create(true),
            OpenMode::Create => {
                // Append mode cannot truncate, so an old file goes first.
                match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => options.append(true).create(true),
                }
            }
        };
        Ok(Box::new(RealFile(options.open(path)?)))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
    fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        fs::create_dir_all(folder)?;
        for folder in missing {
            if let Some(parent) = folder.parent() {
                let is_here = parent.as_os_str().is_empty();
                self.sync_dir(if is_here { Path::new(".") } else { parent })?;
            }
        }
        Ok(())
    }
    #[expect(clippy::disallowed_methods, reason = "this is the disk itself")]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(folder)?.sync_all()
    }
    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
}
