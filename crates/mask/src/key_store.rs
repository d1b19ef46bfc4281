//! The key store: the root key, and a key for each person, wrapped by the master
//! secret, in a file of its own.
//!
//! Keys are appended, and durable before anything that was encrypted under them
//! is written. Erasing a person and changing the master secret write the file
//! anew without what must not be in it any more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use ring::rand::SecureRandom;
use sluice_core::{Disk, DiskFile, OpenMode};

use crate::cipher::{decrypt, encrypt};
use crate::error::KeyStoreError;
use crate::key_entries::{
    BadHeader, ENTRY_BYTES, Entry, EntryKind, HEADER_BYTES, PersonPrint, VERSION, WRAPPED_BYTES,
    header, read_header,
};
use crate::secret::{MasterSecret, ValueKeys};

/// A key of a person, and its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PersonKey {
    pub(crate) number: u64,
    pub(crate) key: [u8; 32],
}

/// A person who was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// Keyed print of kind and id.
    pub person: [u8; 16],
    /// What was captured up to then is erased, microseconds since 1970 UTC.
    pub time_us: i64,
}

/// What opening a key store did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opened {
    /// There was none.
    pub is_new: bool,
    /// Entries at its end that a crash had torn, and that nothing needs.
    pub torn_entries: u64,
    /// The keys were wrapped anew, because the master secret is another one.
    pub has_new_secret: bool,
}

/// See the module.
pub struct KeyStore {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    random: Box<dyn SecureRandom + Send + Sync>,
    wrapping: [u8; 32],
    print: [u8; 16],
    root: [u8; 32],
    pub(crate) values: ValueKeys,
    state: Mutex<State>,
}

struct State {
    file: Box<dyn DiskFile>,
    /// Entries in the file, and of `unwritten`.
    entries: u64,
    durable_entries: u64,
    unwritten: Vec<u8>,
    has_failed: bool,
    persons: BTreeMap<PersonPrint, PersonKey>,
    next_number: u64,
    erasures: Vec<Erasure>,
}

impl std::fmt::Debug for KeyStore {
    /// Says nothing of the keys.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("KeyStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl KeyStore {
    /// Opens the store in the file `path`, or makes it. If its keys were
    /// wrapped with `previous`, they are wrapped anew.
    ///
    /// # Errors
    /// When the file is damaged, of another version or of another secret, or
    /// the disk refuses.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        secret: &MasterSecret,
        previous: Option<&MasterSecret>,
        random: Box<dyn SecureRandom + Send + Sync>,
    ) -> Result<(Self, Opened), KeyStoreError> {
        let io = |source| io_error(path, source);
        let mut opened = Opened::default();
        if !disk.exists(path) {
            opened.is_new = true;
            let mut root = [0; 32];
            random
                .fill(&mut root)
                .map_err(|_| KeyStoreError::NoRandomness)?;
            let root = wrapped_entry(
                secret,
                EntryKind::Root,
                [0; 16],
                PersonKey {
                    number: 0,
                    key: root,
                },
            )?;
            write_whole(&*disk, path, secret.print(), &[root])?;
        }
        let bytes = disk.read(path).map_err(io)?;
        let (print, entries) = read_all(path, &bytes, &mut opened)?;
        let current = [Some(secret), previous].into_iter().flatten();
        let wrapped_with = current.clone().find(|secret| secret.print() == print);
        let Some(wrapped_with) = wrapped_with else {
            let path = path.display().to_string();
            return Err(KeyStoreError::OtherSecret { path });
        };
        let mut root = None;
        let mut persons = BTreeMap::new();
        let mut erasures = Vec::new();
        let mut next_number = 1;
        let wrapping = wrapped_with.wrapping_key();
        for (place, entry) in entries.iter().enumerate() {
            let unwrap = || {
                unwrapped(&wrapping, entry).ok_or_else(|| KeyStoreError::Damaged {
                    path: path.display().to_string(),
                    position: HEADER_BYTES + place * ENTRY_BYTES,
                    problem: "a key cannot be unwrapped".to_owned(),
                })
            };
            match entry.kind {
                EntryKind::Root => root = Some(unwrap()?),
                EntryKind::Person => {
                    let (number, key) = (entry.number, unwrap()?);
                    next_number = next_number.max(number + 1);
                    persons.insert(entry.person, PersonKey { number, key });
                }
                EntryKind::Erased => {
                    next_number = next_number.max(entry.number + 1);
                    erasures.push(Erasure {
                        person: entry.person,
                        time_us: entry.time_us,
                    });
                }
            }
        }
        let Some(root) = root else {
            return Err(KeyStoreError::Damaged {
                path: path.display().to_string(),
                position: HEADER_BYTES,
                problem: "the root key is missing".to_owned(),
            });
        };
        opened.has_new_secret = wrapped_with.print() != secret.print();
        let store = Self {
            path: path.to_path_buf(),
            state: Mutex::new(State {
                file: disk.open(path, OpenMode::Append).map_err(io)?,
                entries: entries.len() as u64,
                durable_entries: entries.len() as u64,
                unwritten: Vec::new(),
                has_failed: false,
                persons,
                next_number,
                erasures,
            }),
            disk,
            random,
            wrapping: secret.wrapping_key(),
            print: secret.print(),
            root,
            values: ValueKeys::new(&root),
        };
        if opened.has_new_secret || opened.torn_entries > 0 {
            store.rewrite(&mut store.state.lock())?;
        }
        Ok((store, opened))
    }

    /// The print by which a person is known.
    pub fn person(&self, kind: &str, id: &str) -> [u8; 16] {
        let mut said = ring::hmac::Context::with_key(&self.values.person);
        said.update(kind.as_bytes());
        said.update(&[0]);
        said.update(id.trim().as_bytes());
        let mut print = [0; 16];
        print.copy_from_slice(&said.sign().as_ref()[..16]);
        print
    }

    /// The key of a person, who gets one if there is none. It is durable after
    /// [`KeyStore::sync`].
    pub(crate) fn key_of(&self, person: PersonPrint) -> Result<PersonKey, KeyStoreError> {
        let mut state = self.state.lock();
        if let Some(key) = state.persons.get(&person) {
            return Ok(*key);
        }
        let mut key = [0; 32];
        self.random
            .fill(&mut key)
            .map_err(|_| KeyStoreError::NoRandomness)?;
        let key = PersonKey {
            number: state.next_number,
            key,
        };
        let entry = self.entry(EntryKind::Person, person, key)?;
        let (place, durable) = (state.entries, state.durable_entries);
        entry.encode(place, durable, &mut state.unwritten);
        state.entries += 1;
        state.next_number += 1;
        state.persons.insert(person, key);
        Ok(key)
    }

    /// The key with a number, unless its person was erased.
    pub(crate) fn key_numbered(&self, number: u64) -> Option<[u8; 32]> {
        let state = self.state.lock();
        let mut persons = state.persons.values();
        persons.find(|key| key.number == number).map(|key| key.key)
    }

    /// Makes all keys durable.
    ///
    /// # Errors
    /// When the disk refuses; nothing that was encrypted since may be written.
    pub fn sync(&self) -> Result<(), KeyStoreError> {
        let mut state = self.state.lock();
        if state.has_failed {
            let path = self.path.display().to_string();
            return Err(KeyStoreError::Unusable { path });
        }
        if state.unwritten.is_empty() {
            return Ok(());
        }
        let unwritten = std::mem::take(&mut state.unwritten);
        let written = state
            .file
            .append(&unwritten)
            .and_then(|()| state.file.sync());
        state.has_failed = written.is_err();
        state.durable_entries = state.entries;
        written.map_err(|source| io_error(&self.path, source))
    }

    /// Destroys the key of a person and, with a time, remembers that what was
    /// captured up to it is erased (microseconds since 1970 UTC). True if the
    /// person had a key. Durable on return.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn erase(&self, person: [u8; 16], time_us: Option<i64>) -> Result<bool, KeyStoreError> {
        let mut state = self.state.lock();
        let had_key = state.persons.remove(&person).is_some();
        if let Some(time_us) = time_us {
            let mut known = state.erasures.iter_mut();
            match known.find(|known| known.person == person) {
                Some(known) => known.time_us = known.time_us.max(time_us),
                None => state.erasures.push(Erasure { person, time_us }),
            }
        }
        self.rewrite(&mut state)?;
        Ok(had_key)
    }

    /// Who was erased.
    pub fn erasures(&self) -> Vec<Erasure> {
        self.state.lock().erasures.clone()
    }

    /// Number of persons who have a key.
    pub fn persons(&self) -> usize {
        self.state.lock().persons.len()
    }

    fn entry(
        &self,
        kind: EntryKind,
        person: PersonPrint,
        key: PersonKey,
    ) -> Result<Entry, KeyStoreError> {
        wrap(&self.wrapping, kind, person, key)
    }

    /// Writes the file anew with what is in memory.
    fn rewrite(&self, state: &mut State) -> Result<(), KeyStoreError> {
        let root = PersonKey {
            number: 0,
            key: self.root,
        };
        let mut entries = vec![self.entry(EntryKind::Root, [0; 16], root)?];
        for erasure in &state.erasures {
            entries.push(Entry {
                kind: EntryKind::Erased,
                person: erasure.person,
                // So that a number never comes again.
                number: state.next_number - 1,
                time_us: erasure.time_us,
                wrapped: [0; WRAPPED_BYTES],
            });
        }
        for (person, key) in &state.persons {
            entries.push(self.entry(EntryKind::Person, *person, *key)?);
        }
        state.has_failed = true;
        write_whole(&*self.disk, &self.path, self.print, &entries)?;
        let file = self.disk.open(&self.path, OpenMode::Append);
        state.file = file.map_err(|source| io_error(&self.path, source))?;
        state.entries = entries.len() as u64;
        state.durable_entries = state.entries;
        state.unwritten.clear();
        state.has_failed = false;
        Ok(())
    }
}

fn io_error(path: &Path, source: std::io::Error) -> KeyStoreError {
    let path = path.display().to_string();
    KeyStoreError::Io { path, source }
}

/// What a wrapped key is bound to, so that no other person's can be put in its
/// place.
fn context(kind: EntryKind, person: &PersonPrint, number: u64) -> Vec<u8> {
    let mut context = vec![matches!(kind, EntryKind::Root).into()];
    context.extend_from_slice(person);
    context.extend_from_slice(&number.to_le_bytes());
    context
}

fn wrap(
    wrapping: &[u8; 32],
    kind: EntryKind,
    person: PersonPrint,
    key: PersonKey,
) -> Result<Entry, KeyStoreError> {
    let sealed = encrypt(wrapping, &context(kind, &person, key.number), &key.key);
    let wrapped = sealed.and_then(|sealed| sealed.try_into().ok());
    Ok(Entry {
        kind,
        person,
        number: key.number,
        time_us: 0,
        wrapped: wrapped.ok_or(KeyStoreError::NotEncrypted { length: 32 })?,
    })
}

fn wrapped_entry(
    secret: &MasterSecret,
    kind: EntryKind,
    person: PersonPrint,
    key: PersonKey,
) -> Result<Entry, KeyStoreError> {
    wrap(&secret.wrapping_key(), kind, person, key)
}

fn unwrapped(wrapping: &[u8; 32], entry: &Entry) -> Option<[u8; 32]> {
    let context = context(entry.kind, &entry.person, entry.number);
    decrypt(wrapping, &context, &entry.wrapped)?.try_into().ok()
}

/// Writes a file beside, makes it durable and puts it in the place of `path`.
fn write_whole(
    disk: &dyn Disk,
    path: &Path,
    print: [u8; 16],
    entries: &[Entry],
) -> Result<(), KeyStoreError> {
    let mut bytes = header(print);
    for (place, entry) in entries.iter().enumerate() {
        entry.encode(place as u64, 0, &mut bytes);
    }
    let beside = path.with_extension("new");
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || {
        disk.create_dir_all(folder)?;
        let mut file = disk.open(&beside, OpenMode::Create)?;
        file.append(&bytes)?;
        file.sync()?;
        disk.rename(&beside, path)?;
        disk.sync_dir(folder)
    };
    write().map_err(|source| io_error(path, source))
}

/// All entries before the first that is not whole. That one and those behind it
/// were torn by a crash, if none of them was written after it was durable: then
/// nothing was written with their keys.
fn read_all(
    path: &Path,
    bytes: &[u8],
    opened: &mut Opened,
) -> Result<([u8; 16], Vec<Entry>), KeyStoreError> {
    let damaged = |position, problem: &str| KeyStoreError::Damaged {
        path: path.display().to_string(),
        position,
        problem: problem.to_owned(),
    };
    let print = read_header(bytes).map_err(|bad| match bad {
        BadHeader::Version(found) => KeyStoreError::Version {
            path: path.display().to_string(),
            found,
            known: VERSION,
        },
        BadHeader::Damaged(problem) => damaged(0, problem),
    })?;
    let mut entries = Vec::new();
    let mut first_bad: Option<u64> = None;
    for (place, chunk) in (0..).zip(bytes[HEADER_BYTES..].chunks(ENTRY_BYTES)) {
        match (Entry::decode(chunk, place), first_bad) {
            (Some((entry, _)), None) => entries.push(entry),
            (None, None) => first_bad = Some(place),
            (Some((_, durable)), Some(bad)) if durable > bad => {
                let position = HEADER_BYTES + bad as usize * ENTRY_BYTES;
                return Err(damaged(position, "an entry does not fit its checksum"));
            }
            (_, Some(_)) => {}
        }
        opened.torn_entries += u64::from(first_bad.is_some());
    }
    Ok((print, entries))
}
