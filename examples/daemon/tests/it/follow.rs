//! What was read is not read again after a restart: a position is stored, and another reader begins there.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pilot_webhookd::follow::{Followed, Position};
use tempfile::TempDir;

/// Reads from a stored position on, or from the beginning, and stops behind as many lines. Returns them, and the
/// position to store.
#[track_caller]
fn read(path: &Path, stored: Option<&str>, count: usize) -> (Vec<String>, String) {
    let begin: Option<Position> = stored.map(|text| text.parse().unwrap());
    let mut input = BufReader::new(Followed::new(path, begin.as_ref()).unwrap());
    let mut lines = Vec::new();
    for _ in 0..count {
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        lines.push(line.trim_end().to_owned());
    }
    let position = input.get_ref().position(input.buffer().len()).unwrap();
    (lines, position.to_string())
}

/// A directory and a file in it with these lines, the first of which was read; and the position behind it.
#[track_caller]
fn begun(lines: &str) -> (TempDir, PathBuf, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events");
    fs::write(&path, lines).unwrap();
    let (first, position) = read(&path, None, 1);
    assert_eq!(first, ["one"]);
    (directory, path, position)
}

#[test]
fn the_next_line_is_the_next_one() {
    let (_directory, path, position) = begun("one\ntwo\nthree\n");
    let (lines, position) = read(&path, Some(&position), 1);
    assert_eq!(lines, ["two"]);
    File::options().append(true).open(&path).unwrap().write_all(b"four\n").unwrap();
    assert_eq!(read(&path, Some(&position), 2).0, ["three", "four"]);
}

#[test]
fn of_a_file_that_was_renamed_since_the_rest_comes_first() {
    let (directory, path, position) = begun("one\ntwo\n");
    fs::rename(&path, directory.path().join("events.1")).unwrap();
    fs::write(&path, "three\n").unwrap();
    assert_eq!(read(&path, Some(&position), 2).0, ["two", "three"]);
}

#[test]
fn the_rest_of_a_renamed_file_comes_also_while_there_is_no_other() {
    let (directory, path, position) = begun("one\ntwo\n");
    fs::rename(&path, directory.path().join("events.1")).unwrap();
    assert_eq!(read(&path, Some(&position), 1).0, ["two"]);
}

#[test]
fn a_file_that_was_written_again_since_is_read_from_its_beginning() {
    let (_directory, path, position) = begun("one\n");
    // The same file, longer than before.
    fs::write(&path, "three\nfour\n").unwrap();
    assert_eq!(read(&path, Some(&position), 2).0, ["three", "four"]);
}

#[test]
fn a_file_in_the_place_of_one_that_is_gone_is_read_from_its_beginning() {
    let (_directory, path, position) = begun("one\n");
    fs::remove_file(&path).unwrap();
    // Many file systems give it the number of the old one.
    fs::write(&path, "three\nfour\n").unwrap();
    assert_eq!(read(&path, Some(&position), 2).0, ["three", "four"]);
}

#[test]
fn a_file_behind_a_link_goes_on() {
    let (directory, path, position) = begun("one\ntwo\n");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(read(&link, Some(&position), 1).0, ["two"]);
}

/// The files between the two were skipped.
#[test]
fn files_that_were_rotated_since_come_in_their_order() {
    let (directory, path, position) = begun("one\ntwo\n");
    let name = |number: u32| directory.path().join(format!("events.{number}"));
    // Older than the one that was read.
    fs::write(name(1), "zero\n").unwrap();
    File::options()
        .write(true)
        .open(name(1))
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    for line in ["three\n", "four\n", "five\n"] {
        for number in (1..4).rev().filter(|number| name(*number).exists()) {
            fs::rename(name(number), name(number + 1)).unwrap();
        }
        fs::rename(&path, name(1)).unwrap();
        fs::write(&path, line).unwrap();
    }
    // Not rotated: a copy that somebody made.
    fs::write(directory.path().join("events.bak"), "bad\n").unwrap();
    let (lines, position) = read(&path, Some(&position), 3);
    assert_eq!(lines, ["two", "three", "four"]);
    assert_eq!(read(&path, Some(&position), 1).0, ["five"]);
}

#[test]
fn of_dated_files_the_later_ones_come_next() {
    let (directory, path, position) = begun("one\ntwo\n");
    for (day, line) in [(15, "three\n"), (16, "four\n"), (17, "")] {
        fs::rename(&path, directory.path().join(format!("events-202601{day}"))).unwrap();
        fs::write(&path, line).unwrap();
    }
    fs::write(directory.path().join("events-20260114"), "").unwrap();
    // There is nothing at the path.
    fs::remove_file(&path).unwrap();
    assert_eq!(read(&path, Some(&position), 3).0, ["two", "three", "four"]);
}
