//! The outbox's file when something is wrong with it: a clear error, and the file as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::{
    End, NewEvent, Outbox, OutboxErrorKind, OutboxFile, OutboxOptions, PutError, Which,
};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    (directory, path)
}

fn refused(path: &Path) -> String {
    let error = Outbox::open(path, OutboxOptions::default()).unwrap_err().to_string();
    error.strip_prefix(&format!("outbox {}: ", path.display())).expect("its name").to_owned()
}

/// A file with one event, closed.
async fn filled(path: &Path) {
    let outbox = Outbox::open(path, OutboxOptions::default()).unwrap();
    outbox.put(NewEvent::new("a", 7, Timestamp::UNIX_EPOCH)).unwrap().await.unwrap();
    outbox.close().await.unwrap();
}

fn sql(path: &Path, text: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(text).unwrap();
}

#[tokio::test]
async fn what_is_no_outbox_is_refused_and_left_as_it_is() {
    let newer = "PRAGMA user_version = 9";
    let foreign = "CREATE TABLE t(x); INSERT INTO t VALUES (1)";
    let of_another = "PRAGMA application_id = 7";
    for (name, make, says) in [
        ("text", None, "not a SQLite database"),
        ("foreign", Some((false, foreign)), "a SQLite database, but no outbox"),
        ("other", Some((true, of_another)), "a SQLite database, but no outbox"),
        ("newer", Some((true, newer)), "of version 9, and only versions up to 3 are known here"),
        ("negative", Some((true, "PRAGMA user_version = -1")), "damaged"),
        ("torn", Some((true, "DROP TABLE counters")), "no such table: counters"),
    ] {
        let (directory, path) = place();
        match make {
            None => {
                fs::write(&path, "a text that is long enough to be a database".repeat(99)).unwrap();
            }
            Some((is_outbox, text)) => {
                if is_outbox {
                    filled(&path).await;
                }
                sql(&path, text);
            }
        }
        let before = fs::read(&path).unwrap();
        let found = refused(&path);
        assert!(found.starts_with(says), "{name}: {found}");
        assert!(fs::read(&path).unwrap() == before, "{name}");
        OutboxFile::open(&path).and_then(|file| file.verify()).unwrap_err();
        assert!(fs::read(&path).unwrap() == before, "{name}");
        drop(directory);
    }
}

#[tokio::test]
async fn a_damaged_file_is_told_by_verify_and_loses_nothing_more() {
    let (_directory, path) = place();
    let outbox = Outbox::open(&path, OutboxOptions::default()).unwrap();
    let data = format!("\"{}\"", "x".repeat(500));
    let event = NewEvent::new("a", 7, Timestamp::UNIX_EPOCH).with_data(&data);
    outbox.put_all(&[event; 200], None).unwrap().await.unwrap();
    outbox.close().await.unwrap();
    // A page in the middle of the events.
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    // It is not written to: that would fail again and again.
    let error = Outbox::open(&path, OutboxOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), OutboxErrorKind::Corrupt), "{error}");
    assert!(fs::read(&path).unwrap() == bytes);
    let file = OutboxFile::open(&path).unwrap();
    // The check itself may find a page that it cannot read at all.
    let found = file.verify().unwrap();
    assert!(!found.problems.is_empty());
    assert!(found.problems.iter().all(|line| !line.contains('\n')), "{found:?}");
}

/// Nobody waits at a start until a long file is read: it is used meanwhile. An event that was taken is in a file that is
/// whole, as far as that is known.
#[cfg(unix)]
#[tokio::test]
async fn a_long_file_that_is_damaged_takes_nothing_new_and_gives_what_can_be_read() {
    use std::os::unix::fs::FileExt as _;
    let (_directory, path) = place();
    let outbox = Outbox::open(&path, OutboxOptions::default()).unwrap();
    let data = format!("\"{}\"", "x".repeat(900));
    let event = NewEvent::new("a", 7, Timestamp::UNIX_EPOCH).with_data(&data);
    for _ in 0..80 {
        outbox.put_all(&[event; 1000], None).unwrap().await.unwrap();
    }
    outbox.close().await.unwrap();
    // While it is read, it can be closed, and is closed as any other.
    let outbox = Outbox::open(&path, OutboxOptions::default()).unwrap();
    outbox.put(event).unwrap().await.unwrap();
    outbox.close().await.unwrap();
    assert!(!path.with_file_name("events.db-wal").exists());

    let file = fs::File::options().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    assert!(length > 64 << 20, "{length}");
    file.write_all_at(&[0xa5; 4096], length / 2 / 4096 * 4096).unwrap();
    let outbox = Outbox::open(&path, OutboxOptions::default()).unwrap();
    let found = tokio::time::timeout(Duration::from_secs(60), async {
        while outbox.put(event).map(drop) != Err(PutError::Disk) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.expect("the damage is found");
    let read = outbox.pilot().read(0, 10, usize::MAX).await.unwrap();
    assert_eq!(read.len(), 10);
    outbox.pilot().end(1, End::Delivered);
    outbox.close().await.unwrap();
    assert_eq!(OutboxFile::open(&path).unwrap().status().unwrap().ledger.delivered, 1);
}

#[tokio::test]
async fn counters_that_do_not_agree_with_what_is_there_are_told() {
    for (text, says) in [
        (
            "UPDATE endpoints SET accepted = 2",
            "events that wait for pilot: 2 by the counters, 1 there",
        ),
        (
            "UPDATE counters SET value = 0 WHERE name = 'stored_bytes'",
            "their bytes: 0 by the counters, 33 there",
        ),
        (
            "UPDATE counters SET value = 0 WHERE name = 'last_id'",
            "id 1 is there, and 0 was given last",
        ),
        (
            "UPDATE counters SET value = -1 WHERE name = 'repeats'",
            "the counter repeats is negative",
        ),
        (
            "UPDATE endpoints SET stored_bytes = 0",
            "bytes that wait for pilot: 0 by the counters, 33 there",
        ),
        (
            "UPDATE endpoints SET rejected = 1, exhausted = -1",
            "the counter exhausted of pilot is negative",
        ),
        ("DELETE FROM events", "events that wait: 1 by the counters, 0 there"),
        ("DELETE FROM deliveries", "events that wait for pilot: 1 by the counters, 0 there"),
        ("UPDATE events SET due = 2", "their bytes: 33 by the counters, 49 there"),
        (
            "INSERT INTO attempts VALUES (1, 2, 1, 0, 0), (2, 1, 1, 0, 0), (1, 1, 1, 0, 0)",
            "2 attempts are noted of events that do not wait",
        ),
        (
            "INSERT INTO deliveries VALUES (2, 1, 1)",
            "1 events wait for more or fewer endpoints than they say",
        ),
    ] {
        let (_directory, path) = place();
        filled(&path).await;
        let file = OutboxFile::open(&path).unwrap();
        assert!(file.verify().unwrap().problems.is_empty());
        sql(&path, text);
        assert_eq!(file.verify().unwrap().problems[0], says);
    }
}

#[tokio::test]
async fn a_file_without_the_endpoint_that_every_file_has_is_damaged() {
    let (_directory, path) = place();
    filled(&path).await;
    sql(&path, "DELETE FROM endpoints");
    assert!(refused(&path).starts_with("damaged"));
}

#[tokio::test]
async fn there_is_one_live_outbox_a_file() {
    let (_directory, path) = place();
    let outbox = Outbox::open(&path, OutboxOptions::default()).unwrap();
    assert_eq!(refused(&path), "another live process has it");
    let file = OutboxFile::open(&path).unwrap();
    assert!(file.status().unwrap().is_live);
    assert_eq!(refused(&path), "another live process has it", "a look takes no lock away");
    outbox.close().await.unwrap();
    assert!(!file.status().unwrap().is_live);
    filled(&path).await;
    assert_eq!(file.purge(Which::All, None).unwrap(), 0);
}

#[test]
fn a_place_that_is_not_there_is_an_error() {
    let (directory, path) = place();
    let lost = directory.path().join("none").join("events.db");
    assert_eq!(refused(&lost), "its directory does not exist");
    let error = OutboxFile::open(&path).unwrap_err();
    assert!(matches!(error.kind(), OutboxErrorKind::NoFile), "{error}");
    assert!(!path.exists());
    fs::create_dir(&path).unwrap();
    refused(&path);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_user_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let (directory, path) = place();
    let outbox = Outbox::open(&path, OutboxOptions::default()).unwrap();
    outbox.put(NewEvent::new("a", 7, Timestamp::UNIX_EPOCH)).unwrap().await.unwrap();
    for name in ["events.db", "events.db-wal", "events.db-shm", "events.db-lock"] {
        let mode = fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// Plays the part of another process in [`a_file_that_may_not_be_written_is_an_error`].
#[test]
fn another_user() {
    if let Ok(path) = std::env::var("OUTBOX_REFUSED") {
        print!("<{}>", refused(Path::new(&path)));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_may_not_be_written_is_an_error() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    let (directory, path) = place();
    filled(&path).await;
    let lock = directory.path().join("events.db-lock");
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let refused_to_another = |path: &Path| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "outbox_errors::another_user", "--nocapture"])
            .env("OUTBOX_REFUSED", path);
        // Root may write everything: it asks as somebody else.
        if is_root() {
            child.uid(65_534).gid(65_534);
        }
        let output = child.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        text.map_or_else(
            || panic!("{}", String::from_utf8_lossy(&output.stderr)),
            |(text, _)| text.to_owned(),
        )
    };
    let before = fs::read(&path).unwrap();
    let says = "the file or its directory may not be written";
    // The file, then the directory, then the lock.
    mode(directory.path(), 0o777);
    mode(&path, 0o444);
    mode(&lock, 0o666);
    assert_eq!(refused_to_another(&path), says);
    // What the other made before it was refused.
    for name in ["events.db-wal", "events.db-shm"] {
        let _ = fs::remove_file(directory.path().join(name));
    }
    mode(directory.path(), 0o555);
    mode(&path, 0o666);
    assert_eq!(refused_to_another(&path), says);
    assert_eq!(refused_to_another(&directory.path().join("new.db")), says);
    mode(directory.path(), 0o777);
    mode(&lock, 0o444);
    assert_eq!(refused_to_another(&path), says);
    mode(directory.path(), 0o755);
    assert!(fs::read(&path).unwrap() == before);
}

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // A file that this process makes is its user's.
    tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0
}
