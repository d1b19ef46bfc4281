//! What the file source makes of lines, and of files that are moved about.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod files;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use files::{CSV, Files};
use sluice_capture::FileFormat::Ndjson;

const NONE: [&str; 0] = [];

/// A line of so many bytes, line break included.
fn long_line(mark: &str, length: usize) -> String {
    format!("{mark}{}\n", ".".repeat(length - mark.len() - 1))
}

#[test]
fn files_are_read_in_the_order_of_their_names() {
    let mut files = Files::new(Ndjson);
    files.append("b.log", "{\"b\":1}\r\n\n  \n{\"b\":2}\n");
    files.append("a.log", "\u{feff}{\"a\":1}\n");
    files.append("c.txt", "{\"c\":1}\n");
    assert_eq!(files.read(), ["{\"a\":1}", "{\"b\":1}", "{\"b\":2}"]);
    assert_eq!(files.read(), NONE);
    files.append("a.log", "{\"a\":2}\n");
    assert_eq!(files.read(), ["{\"a\":2}"]);
    assert_eq!(files.warnings, NONE);
}

#[test]
fn a_quoted_field_may_hold_line_breaks() {
    let mut files = Files::new(CSV);
    files.append("a.log", "id,note\n1,\"two\nlines, \"\"quoted\"\"\"\n2,x\n");
    assert_eq!(
        files.read(),
        ["#id,note", "1,\"two\nlines, \"\"quoted\"\"\"", "2,x"]
    );
    files.append("a.log", "3,\"begun\n");
    assert_eq!(files.read(), NONE);
    files.append("a.log", "and ended\"\n");
    assert_eq!(files.read(), ["3,\"begun\nand ended\""]);
}

#[test]
fn the_header_comes_again_when_another_file_was_in_between() {
    let mut files = Files::new(CSV);
    files.append("a.log", "id,a\n1,1\n");
    files.append("b.log", "\nid,b\n1,2\n");
    files.append("c.log", "id,c\n");
    assert_eq!(files.read(), ["#id,a", "1,1", "#id,b", "1,2"]);
    files.append("b.log", "2,2\n");
    assert_eq!(files.read(), ["2,2"]);
    files.append("a.log", "2,1\n");
    files.append("c.log", "1,3\n");
    assert_eq!(files.read(), ["#id,a", "2,1", "#id,c", "1,3"]);
    let all = files.records.len();
    files.restart(all);
    files.append("b.log", "3,2\n");
    assert_eq!(files.read(), ["#id,b", "3,2"]);
}

#[test]
fn a_last_line_without_a_break_is_waited_for() {
    let mut files = Files::new(Ndjson);
    files.append("a.log", "{\"a\":1}\n{\"a\"");
    assert_eq!(files.read(), ["{\"a\":1}"]);
    files.append("a.log", ":2}");
    assert_eq!(files.read(), NONE);
    files.restart(1);
    assert_eq!(files.read(), NONE);
    files.append("a.log", "\n");
    assert_eq!(files.read(), ["{\"a\":2}"]);
}

#[test]
fn a_last_line_without_a_break_counts_when_nothing_follows() {
    let mut files = Files::with(Ndjson, |options| options.follow = false);
    files.append("a.log", "{\"a\":1}\n{\"a\":2}");
    assert_eq!(files.read(), ["{\"a\":1}", "{\"a\":2}"]);
}

#[test]
fn the_end_is_told_only_when_everything_was_read() {
    let mut files = Files::with(Ndjson, |options| options.batch_bytes_max = 100);
    for name in ["a.log", "b.log", "c.log"] {
        for number in 0..50 {
            files.append(name, format!("{{\"number\":{number}}}\n"));
        }
    }
    let mut polls = 1;
    while !files.poll() {
        assert!(files.records.len() <= 150);
        polls += 1;
    }
    assert_eq!(files.records.len(), 150);
    assert!(polls >= 10, "{polls}");
}

#[test]
fn a_renamed_file_is_known_again_in_and_out_of_the_pattern() {
    for new_name in ["a.1.log", "a.log.1"] {
        let mut files = Files::new(Ndjson);
        files.append("a.log", "1\n2\n");
        assert_eq!(files.read(), ["1", "2"]);
        files.rename("a.log", new_name);
        // Its writer has not noticed yet.
        files.append(new_name, "3\n");
        files.append("a.log", "4\n");
        assert_eq!(files.read(), ["3", "4"], "{new_name}");
        // And while nobody was looking.
        files.append("a.log", "5\n");
        files.rename(new_name, "a.log.2");
        files.rename("a.log", new_name);
        files.append("a.log", "6\n");
        let all = files.records.len();
        files.restart(all);
        assert_eq!(files.read(), ["5", "6"], "{new_name}");
        assert_eq!(files.warnings, NONE);
    }
}

#[test]
fn a_file_that_was_cut_short_is_read_from_its_start() {
    for restarts in [false, true] {
        let mut files = Files::new(Ndjson);
        files.append("a.log", "1 first\n2 first\n");
        assert_eq!(files.read(), ["1 first", "2 first"]);
        let restart = |files: &mut Files| {
            if restarts {
                let all = files.records.len();
                files.restart(all);
            }
        };
        files.truncate("a.log");
        files.append("a.log", "3\n");
        restart(&mut files);
        assert_eq!(files.read(), ["3"], "shorter than before");
        files.truncate("a.log");
        files.append("a.log", "4\n5\n6\n");
        restart(&mut files);
        assert_eq!(files.read(), ["4", "5", "6"], "longer than before");
        files.truncate("a.log");
        assert_eq!(files.read(), NONE);
        files.append("a.log", "7\n8\n9\n");
        restart(&mut files);
        assert_eq!(files.read(), ["7", "8", "9"], "as long as before");
        assert!(files.warnings[0].contains("a.log: holds other content"));
    }
}

#[test]
fn a_file_on_the_inode_of_a_deleted_one_is_another_file() {
    let mut files = Files::new(Ndjson);
    let mut reused = 0;
    for number in 0..20 {
        let (name, line) = (format!("{number:02}.log"), format!("{{\"n\":{number}}}"));
        files.append(&name, format!("{line}\n"));
        let inode = fs::metadata(files.path(&name)).unwrap().ino();
        assert_eq!(files.read(), [line]);
        // Lets go of the files that are held open.
        let all = files.records.len();
        files.restart(all);
        files.remove(&name);
        let other = format!("{number:02}.txt");
        files.append(&other, "not meant\n");
        reused += u32::from(fs::metadata(files.path(&other)).unwrap().ino() == inode);
        assert_eq!(files.read(), NONE);
        files.remove(&other);
    }
    println!("{reused} inodes were given again at once");
}

/// An empty file says nothing about itself but its inode, which the next file
/// may have.
#[test]
fn a_file_on_the_inode_of_an_empty_one_is_not_meant_by_the_pattern() {
    let mut files = Files::new(Ndjson);
    files.append("a.log", "");
    assert_eq!(files.read(), NONE);
    files.append("a.log", "1");
    assert_eq!(files.read(), NONE);
    files.rename("a.log", "a.txt");
    files.append("a.txt", "2\n");
    assert_eq!(files.read(), ["12"], "the same file is held open");
}

#[test]
fn a_file_made_anew_under_its_old_name_is_read() {
    let mut files = Files::new(Ndjson);
    files.append("a.log", "1\n");
    assert_eq!(files.read(), ["1"]);
    files.remove("a.log");
    files.append("a.log", "2\n3\n");
    assert_eq!(files.read(), ["2", "3"]);
    files.remove("a.log");
    assert_eq!(files.read(), NONE);
    files.append("a.log", "4\n5\n6\n");
    assert_eq!(files.read(), ["4", "5", "6"]);
}

#[test]
fn what_was_written_before_a_file_was_deleted_is_read() {
    let mut files = Files::new(Ndjson);
    files.append("a.log", "1\n");
    assert_eq!(files.read(), ["1"]);
    files.append("a.log", "2\n");
    files.remove("a.log");
    files.append("a.log", "3\n");
    assert_eq!(files.read(), ["2", "3"]);
}

#[test]
fn a_longer_file_with_the_same_start_goes_on_where_the_old_one_ended() {
    let mut files = Files::new(CSV);
    let mut export = String::from("id,note\n");
    for number in 0..20 {
        export.push_str(&format!("{number},a note\n"));
    }
    files.append("a.log", &export);
    assert_eq!(files.read().len(), 21);
    for restarts in [false, true] {
        export.push_str(&format!("new,{restarts}\n"));
        files.append("new.tmp", &export);
        files.rename("new.tmp", "a.log");
        if restarts {
            let all = files.records.len();
            files.restart(all);
        }
        assert_eq!(
            files.read(),
            ["#id,note".to_owned(), format!("new,{restarts}")]
        );
    }
    files.append("new.tmp", export.replace("5,a note", "5,changed"));
    files.rename("new.tmp", "a.log");
    assert_eq!(files.read().len(), 23, "other bytes: another file");
}

#[test]
fn the_rest_of_a_line_that_is_too_long_is_passed_over() {
    let change = |options: &mut sluice_capture::FileSourceOptions| {
        options.line_bytes_max = 10;
        options.batch_bytes_max = 16;
    };
    for format in [Ndjson, CSV] {
        let mut files = Files::with(format, change);
        files.append("a.log", "head\n0123456789\n");
        files.append("a.log", long_line("longer,", 60));
        files.append("a.log", "short\r\n0123456789\r\n");
        files.append("a.log", "01234567890 and no end");
        let mut lines = files.read();
        lines.remove(0);
        let expected = [
            "0123456789",
            "longer,...\u{fffd}",
            "short",
            "0123456789",
            "0123456789\u{fffd}",
        ];
        assert_eq!(lines, expected, "{format:?}");
        assert_eq!(files.warnings.len(), 2);
        assert!(files.warnings[0].contains("a.log: at byte 16 the line is longer than 10 bytes"));
        // Its rest comes later, and after a restart.
        let all = files.records.len();
        files.append("a.log", ", still no end, a new li");
        assert_eq!(files.read(), NONE);
        files.restart(all);
        files.append("a.log", "ne\nnext\n");
        let lines = files.read();
        assert_eq!(lines.last().unwrap(), "next", "{format:?}");
        assert!(lines.iter().all(|line| line == "next" || line == "#head"));
    }
}

#[test]
fn a_quote_without_an_end_costs_its_own_line() {
    for follow in [false, true] {
        let mut files = Files::with(CSV, |options| {
            options.follow = follow;
            options.line_bytes_max = 30;
        });
        files.append("a.log", "id,note\n1,\"open\n2,b\n3,c\n");
        files.append("a.log", "4,d\n5,e\n6,f\n7,g\n8,h\n9,i\n");
        let expected = [
            "#id,note",
            "1,\"open\u{fffd}",
            "2,b",
            "3,c",
            "4,d",
            "5,e",
            "6,f",
            "7,g",
            "8,h",
            "9,i",
        ];
        assert_eq!(files.read(), expected);
        assert_eq!(files.warnings.len(), 1);
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_passed_on() {
    let mut files = Files::new(Ndjson);
    files.append("a.log", b"\"\xff\xfe\"\n");
    files.read();
    assert_eq!(&files.records[0].payload[..], b"\"\xff\xfe\"");
}

#[test]
fn a_file_that_cannot_be_read_is_told_once_and_read_later() {
    let mut files = Files::new(Ndjson);
    // A link to itself: even the administrator may not read it.
    symlink("a.log", files.path("a.log")).unwrap();
    files.append("b.log", "1\n");
    assert_eq!(files.read(), ["1"]);
    assert_eq!(files.read(), NONE);
    assert_eq!(files.warnings.len(), 1);
    assert!(files.warnings[0].contains("a.log: cannot be read"));
    let trouble = files.source.trouble().unwrap();
    assert!(files.warnings[0].starts_with(trouble), "{trouble}");
    files.remove("a.log");
    files.append("a.log", "2\n");
    assert_eq!(files.read(), ["2"]);
    assert_eq!(files.warnings.len(), 1);
    assert_eq!(files.source.trouble(), None);
    // One that goes away is none any longer.
    symlink("c.log", files.path("c.log")).unwrap();
    assert_eq!(files.read(), NONE);
    assert!(files.source.trouble().unwrap().contains("c.log"));
    files.remove("c.log");
    assert_eq!(files.read(), NONE);
    assert_eq!(files.source.trouble(), None);
}

/// Files in a folder of this name, which `make` makes.
fn files_in(name: &str, make: impl FnOnce(&Path)) -> Files {
    Files::with(Ndjson, |options| {
        let glob = options.glob.replace("*.log", &format!("{name}/*.log"));
        make(Path::new(&glob).parent().unwrap());
        options.glob = glob;
        options.folder_may_be_missing = true;
    })
}

#[test]
fn a_folder_that_vanishes_is_a_trouble_until_it_is_back() {
    let mut files = files_in("logs", |folder| fs::create_dir(folder).unwrap());
    files.append("logs/a.log", "1\n");
    assert_eq!(files.read(), ["1"]);
    assert_eq!(files.source.trouble(), None);

    files.rename("logs", "away");
    files.append("away/a.log", "2\n");
    for _ in 0..3 {
        assert_eq!(files.read(), NONE);
    }
    let trouble = files.source.trouble().unwrap().to_owned();
    assert!(trouble.contains("/logs: cannot be read: "), "{trouble}");
    assert_eq!(files.warnings.len(), 1, "{:?}", files.warnings);
    assert!(files.warnings[0].starts_with(&trouble));
    files.rename("away", "logs");
    files.append("logs/b.log", "3\n");
    assert_eq!(files.read(), ["2", "3"]);
    assert_eq!(files.source.trouble(), None);
    assert!(files.warnings[1].contains("/logs: can be read again"));

    // Made anew, with a file in its place meanwhile.
    fs::remove_dir_all(files.path("logs")).unwrap();
    assert_eq!(files.read(), NONE);
    assert!(files.source.trouble().is_some());
    files.append("logs", "no folder");
    assert_eq!(files.read(), NONE);
    assert!(files.source.trouble().is_some_and(|new| new != trouble));
    files.remove("logs");
    fs::create_dir(files.path("logs")).unwrap();
    assert_eq!(files.read(), NONE);
    assert_eq!(files.source.trouble(), None, "an empty folder is none");
    files.append("logs/a.log", "4\n");
    assert_eq!(files.read(), ["4"]);
}

#[test]
fn the_place_of_a_disk_that_is_not_mounted_is_a_trouble() {
    let mut files = files_in("logs", |folder| {
        fs::create_dir(folder.with_file_name("disk")).unwrap();
        symlink("disk", folder).unwrap();
    });
    files.append("logs/a.log", "1\n");
    assert_eq!(files.read(), ["1"]);
    // A folder without such files, on another file system.
    let elsewhere = Path::new("/proc/self/task");
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    assert_ne!(device(elsewhere), device(&files.path("disk")));
    files.remove("logs");
    symlink(elsewhere, files.path("logs")).unwrap();
    assert_eq!(files.read(), NONE);
    let trouble = files.source.trouble().unwrap();
    assert!(trouble.contains("may not be mounted"), "{trouble}");
    files.remove("logs");
    symlink("disk", files.path("logs")).unwrap();
    files.append("logs/a.log", "2\n");
    assert_eq!(files.read(), ["2"]);
    assert_eq!(files.source.trouble(), None);
    assert_eq!(files.warnings.len(), 2, "{:?}", files.warnings);
}

#[test]
fn a_folder_that_may_be_missing_is_waited_for() {
    let mut files = files_in("logs", |_| ());
    assert_eq!(files.read(), NONE);
    assert!(files.source.trouble().unwrap().contains("/logs: "));
    fs::create_dir(files.path("logs")).unwrap();
    files.append("logs/a.log", "1\n");
    assert_eq!(files.read(), ["1"]);
    assert_eq!(files.source.trouble(), None);
}

#[test]
fn a_path_that_cannot_be_searched_is_refused() {
    use sluice_capture::{CaptureError, FilePositions, FileSource};
    let files = Files::new(Ndjson);
    let open = |glob: String| {
        let mut options = files.options.clone();
        options.glob = glob;
        let clock = std::sync::Arc::new(sluice_core::ManualClock::default());
        FileSource::open(options, clock, FilePositions::default()).unwrap_err()
    };
    let missing = files.path("missing").join("*.log");
    assert!(matches!(
        open(missing.display().to_string()),
        CaptureError::MissingFolder(_)
    ));
    assert!(matches!(open("/*/a.log".into()), CaptureError::BadPath(_)));
}
