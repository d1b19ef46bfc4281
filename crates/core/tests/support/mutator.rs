//! What the tests of all decoders share: random damage, and a watch that ends
//! the process when one input takes for ever or asks for too much memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Numbers that lengths, counts and versions should not be.
const ODD_NUMBERS: [u64; 11] = [
    0,
    1,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];
const ODD_TEXTS: [&str; 12] = [
    "-1",
    "99999999999999999999999",
    "1e999",
    "null",
    "\"\"",
    "[[[[[[[[[[[[[[[[",
    "{\"a\":",
    "\\u0000",
    "\\ud800",
    ",",
    "\"",
    "\u{7f}\u{80}",
];

/// Damages bytes, the same ones for the same seed.
#[derive(Debug)]
pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 20) as usize % limit.max(1)
    }

    /// One to four changes.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.below(4) {
            self.change(bytes);
        }
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let end = bytes.len().min(at + 1 + self.below(40));
        match self.below(10) {
            0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            2 if !bytes.is_empty() => bytes[at] = self.below(256) as u8,
            3 => self.put_number(bytes, at, 4),
            4 => self.put_number(bytes, at, 8),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let copy = bytes[at..end].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            7 => {
                let text = ODD_TEXTS[self.below(ODD_TEXTS.len())];
                let end = end.min(at + self.below(3));
                bytes.splice(at..end.max(at), text.bytes());
            }
            8 => bytes.truncate(at),
            _ => {
                let new: Vec<u8> = (0..self.below(9)).map(|_| self.below(256) as u8).collect();
                bytes.splice(at..at, new);
            }
        }
    }

    fn put_number(&mut self, bytes: &mut [u8], at: usize, width: usize) {
        let number = ODD_NUMBERS[self.below(ODD_NUMBERS.len())].to_le_bytes();
        let room = bytes.len().saturating_sub(at).min(width);
        bytes[at..at + room].copy_from_slice(&number[..room]);
    }
}

static LARGEST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which remembers the largest request.
struct Remembering;

// SAFETY: every call is passed on to the system's allocator unchanged.
#[expect(unsafe_code, reason = "an allocator can be written in no other way")]
unsafe impl GlobalAlloc for Remembering {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Remembering = Remembering;

/// No input of these tests needs so much at once.
const ALLOCATION_MAX: usize = 192 << 20;
/// Nor so long.
const SECONDS_MAX: u64 = 60;

/// Watches a test, round by round.
pub struct Watch {
    name: &'static str,
    round: Arc<AtomicU64>,
    has_ended: Arc<AtomicBool>,
}

impl Watch {
    pub fn new(name: &'static str) -> Self {
        let round = Arc::new(AtomicU64::new(0));
        let has_ended = Arc::new(AtomicBool::new(false));
        let (seen, ended) = (round.clone(), has_ended.clone());
        let watch = move || {
            let (mut last, mut seconds) = (0, 0);
            while !ended.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_secs(1));
                let now = seen.load(Ordering::Relaxed);
                seconds = if now == last { seconds + 1 } else { 0 };
                last = now;
                if seconds > SECONDS_MAX {
                    eprintln!("{name}: round {now} does not end");
                    std::process::abort();
                }
            }
        };
        std::thread::Builder::new().spawn(watch).unwrap();
        Self {
            name,
            round,
            has_ended,
        }
    }

    /// A round is over.
    pub fn tick(&self) {
        let round = self.round.fetch_add(1, Ordering::Relaxed);
        let largest = LARGEST.load(Ordering::Relaxed);
        assert!(
            largest < ALLOCATION_MAX,
            "{}: round {round} asked for {largest} bytes at once",
            self.name
        );
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
        if std::thread::panicking() {
            let round = self.round.load(Ordering::Relaxed);
            eprintln!("{}: failed in round {round}", self.name);
        }
    }
}
