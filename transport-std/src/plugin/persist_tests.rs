//! The saved URL, through crashes and odd files.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tempfile::TempDir;

use super::*;

const OLD: &str = "http://127.0.0.1/old";
const NEW: &str = "https://example.com/new?key=1";

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn load(home: &Path) -> Option<String> {
    load_persisted_url(home, Policy::default()).unwrap()
}

#[track_caller]
fn expect_error(contents: &[u8], words: &str) {
    let home = home();
    fs::write(home.path().join(FILE_NAME), contents).unwrap();
    let error = load_persisted_url(home.path(), Policy::default()).unwrap_err().to_string();
    assert!(error.contains(FILE_NAME) && error.contains(words), "{error}");
}

#[test]
fn what_was_saved_is_loaded_and_an_empty_url_removes_it() {
    let home = home();
    let pilot = home.path().join("deep").join(".pilot");
    assert_eq!(load(&pilot), None);
    save_persisted_url(&pilot, OLD).unwrap();
    save_persisted_url(&pilot, NEW).unwrap();
    assert_eq!(load(&pilot).as_deref(), Some(NEW));
    assert_eq!(fs::metadata(&pilot).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(pilot.join(FILE_NAME)).unwrap().mode() & 0o777, 0o600);
    save_persisted_url(&pilot, "").unwrap();
    save_persisted_url(&pilot, "").unwrap();
    assert_eq!(load(&pilot), None);
    assert_eq!(fs::read_dir(&pilot).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn removing_from_a_directory_that_is_not_there_is_no_error() {
    save_persisted_url(&home().path().join("none"), "").unwrap();
}

#[test]
fn white_space_and_a_byte_order_mark_are_trimmed_and_nothing_else_is_an_url() {
    let home = home();
    fs::write(home.path().join(FILE_NAME), " \n http://127.0.0.1/ \r\n").unwrap();
    assert_eq!(load(home.path()).as_deref(), Some("http://127.0.0.1/"));
    fs::write(home.path().join(FILE_NAME), "\u{FEFF}http://127.0.0.1/\r\n").unwrap();
    assert_eq!(load(home.path()).as_deref(), Some("http://127.0.0.1/"));
    fs::write(home.path().join(FILE_NAME), "\n").unwrap();
    assert_eq!(load(home.path()), None);
}

#[test]
fn bad_contents_are_an_error_that_names_the_file() {
    expect_error(b"ftp://example.com/", "http://");
    expect_error(b"http://169.254.169.254/", "link-local");
    expect_error(b"http://ex\xffample.com/", "UTF-8");
    expect_error(&[b'x'; MAX_URL + 1], "too long");
    let long = format!("http://example.com/{}", "x".repeat(MAX_URL));
    expect_error(long.as_bytes(), "too long");
}

#[test]
fn a_directory_in_the_files_place_is_an_error() {
    let home = home();
    fs::create_dir(home.path().join(FILE_NAME)).unwrap();
    assert!(load_persisted_url(home.path(), Policy::default()).is_err());
    assert!(save_persisted_url(home.path(), NEW).is_err());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left behind");
}

/// It was waited for: a pipe has no end before it had a writer.
#[test]
fn a_pipe_in_the_files_place_is_an_error_at_once() {
    let home = home();
    let pipe = home.path().join(FILE_NAME);
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let error = load_persisted_url(home.path(), Policy::default()).unwrap_err();
    assert!(matches!(error.kind(), PersistErrorKind::NotAFile), "{error}");
    save_persisted_url(home.path(), NEW).unwrap();
    assert_eq!(load(home.path()).as_deref(), Some(NEW));
}

fn expect_kind(home: &Path, is: fn(&PersistErrorKind) -> bool, path: &Path) {
    let error = load_persisted_url(home, Policy::default()).unwrap_err();
    assert!(is(error.kind()) && error.to_string().starts_with(path.to_str().unwrap()), "{error}");
}

/// Any user that could write to the home decided where events go.
#[test]
fn a_url_that_others_could_have_written_is_not_used() {
    let home = home();
    let (home, file) = (home.path(), home.path().join(FILE_NAME));
    save_persisted_url(home, NEW).unwrap();
    let chmod =
        |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let is_writable: fn(&_) -> bool = |kind| matches!(kind, PersistErrorKind::WritableByOthers);
    for (mode, directory_mode) in [(0o620, 0o700), (0o602, 0o700), (0o600, 0o777), (0o600, 0o1777)]
    {
        chmod(&file, mode);
        chmod(home, directory_mode);
        expect_kind(home, is_writable, if mode == 0o600 { home } else { &file });
    }
    // It would not be found again.
    let error = save_persisted_url(home, OLD).unwrap_err();
    assert!(is_writable(error.kind()), "{error}");
    save_persisted_url(home, "").unwrap();
    chmod(home, 0o755);
    assert_eq!(load(home), None);
    save_persisted_url(home, OLD).unwrap();
    chmod(&file, 0o644);
    assert_eq!(load(home).as_deref(), Some(OLD));
}

#[test]
fn a_url_of_another_user_is_not_used() {
    let home = home();
    let (home, file) = (home.path(), home.path().join(FILE_NAME));
    save_persisted_url(home, NEW).unwrap();
    if chown(&file, Some(1), None).is_err() {
        // Only root may give files away.
        return;
    }
    let is_anothers: fn(&_) -> bool = |kind| matches!(kind, PersistErrorKind::NotOurs(1));
    expect_kind(home, is_anothers, &file);
    chown(&file, Some(0), None).unwrap();
    chown(home, Some(1), None).unwrap();
    expect_kind(home, is_anothers, home);
}

#[test]
fn a_link_in_the_files_place_is_replaced_and_not_followed() {
    let home = home();
    let target = home.path().join("precious");
    fs::write(&target, "precious").unwrap();
    symlink(&target, home.path().join(FILE_NAME)).unwrap();
    save_persisted_url(home.path(), NEW).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert_eq!(load(home.path()).as_deref(), Some(NEW));
    assert!(!fs::symlink_metadata(home.path().join(FILE_NAME)).unwrap().is_symlink());
}

/// Of 800 saves by two daemons with one home 320 failed, and a reader saw an empty file.
#[test]
fn saves_at_the_same_time_all_succeed_and_no_reader_sees_less_than_a_url() {
    let home = home();
    save_persisted_url(home.path(), OLD).unwrap();
    std::thread::scope(|threads| {
        let save = |url| (0..100).for_each(|_| save_persisted_url(home.path(), url).unwrap());
        let savers = [threads.spawn(move || save(OLD)), threads.spawn(move || save(NEW))];
        while !savers.iter().all(|saver| saver.is_finished()) {
            let found = load(home.path()).unwrap();
            assert!([OLD, NEW].contains(&found.as_str()), "{found}");
        }
    });
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left behind");
}

/// A panic stands for the crash: nothing after it runs, no clean-up either.
#[test]
fn a_crash_between_any_two_steps_leaves_the_old_url_or_the_new_one() {
    use Step::{Done, MakeDirectory, SyncDirectory};
    let [create, write, sync, replace] = {
        use replace::Step::{Create, Replace, SyncFile, Write};
        [Create, Write, SyncFile, Replace].map(Step::File)
    };
    for old in ["", OLD] {
        for new in [NEW, ""] {
            for crash in [MakeDirectory, create, write, sync, replace, SyncDirectory, Done] {
                if new.is_empty() && (create..=sync).contains(&crash) {
                    // A removal has no such steps.
                    continue;
                }
                let home = home();
                save_persisted_url(home.path(), old).unwrap();
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    save(home.path(), &home.path().join(FILE_NAME), new, &mut |step| {
                        assert_ne!(step, crash, "expected");
                    })
                }));
                let found = load(home.path()).unwrap_or_default();
                let expected = if crash > replace { new } else { old };
                assert_eq!(found, expected, "crash before {crash:?}");
                // And the next save works.
                save_persisted_url(home.path(), NEW).unwrap();
                assert_eq!(load(home.path()).as_deref(), Some(NEW));
            }
        }
    }
}
