//! The files that a warehouse leaves on disk.

use std::path::Path;

/// Visits the files of a folder and of the folders in it. Each is visited as soon
/// as it is listed: a warehouse that runs may remove one a moment later.
pub fn each_file_below(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file_below(&path, visit);
        } else {
            visit(&path);
        }
    }
}

/// What a file holds; compressed blocks of the log and parts of state are unpacked.
pub fn content_of(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|ending| ending == "bin") {
        return with_frames_unpacked(bytes);
    }
    if path.extension().is_none_or(|ending| ending != "seg") {
        return bytes;
    }
    let (segment_header, mut rest) = bytes.split_at(bytes.len().min(48));
    let mut content = segment_header.to_vec();
    while let Some((header, bodies)) = rest.split_at_checked(44) {
        let stored = u32::from_le_bytes(header[4..8].try_into().unwrap());
        // A block that is being written is not whole yet.
        let Some((body, behind)) = bodies.split_at_checked(stored as usize) else {
            break;
        };
        content.extend_from_slice(header);
        match body {
            [253, a, b, c, d, frame @ ..] => {
                let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                content.extend(zstd::bulk::decompress(frame, length).unwrap());
            }
            _ => content.extend_from_slice(body),
        }
        rest = behind;
    }
    content.extend_from_slice(rest);
    content
}

/// A file of state parts, and behind it what the frames of zstd in it hold. In front
/// of each stand the length of that and its own.
fn with_frames_unpacked(mut bytes: Vec<u8>) -> Vec<u8> {
    const FRAME_START: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut unpacked = Vec::new();
    for at in 8..bytes.len() {
        if !bytes[at..].starts_with(&FRAME_START) {
            continue;
        }
        // A file that is being written ends anywhere.
        if let Some(frame) = bytes[at..].get(..number(at - 4)) {
            unpacked.extend(zstd::bulk::decompress(frame, number(at - 8)).unwrap());
        }
    }
    bytes.append(&mut unpacked);
    bytes
}
