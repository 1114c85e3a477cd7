//! A file that may only be read.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use super::place::{Done, Place, done};

/// The commands that change nothing.
const LOOKS: [&[&str]; 6] =
    [&["status", "--json"], &["list"], &["dead"], &["show", "4"], &["export"], &["verify"]];

/// As one who may read all that is there, and write nothing of it.
fn read(place: &Place, arguments: &[&str]) -> Done {
    let mut command = place.command(arguments);
    // Root may write everything: it asks as somebody else.
    if tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0 {
        command.uid(65_534).gid(65_534);
    }
    done(&mut command)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The file and what is beside it, with these permissions, in a directory with those.
fn restrict(place: &Place, files: u32, directory: u32) {
    let parent = place.path.parent().unwrap();
    for entry in fs::read_dir(parent).unwrap() {
        let path = entry.unwrap().path();
        // The lock stays its owner's.
        if !path.to_str().unwrap().ends_with("-lock") {
            mode(&path, files);
        }
    }
    mode(parent, directory);
}

fn names(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.path.parent().unwrap()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A copy of a live outbox's file and log, as a daemon that is killed leaves them.
async fn killed() -> Place {
    let (live, place) = (Place::new(), Place::new());
    let outbox = live.filled().await;
    for end in ["", "-wal", "-shm"] {
        let of = |place: &Place| format!("{}{end}", place.path.display());
        fs::copy(of(&live), of(&place)).unwrap();
    }
    outbox.close().await.unwrap();
    place
}

#[track_caller]
fn expect_the_same(place: &Place, full: &[Done]) {
    let before = names(place);
    for (arguments, full) in LOOKS.iter().zip(full) {
        assert_eq!(&at_any_time(read(place, arguments)), full, "{arguments:?}");
    }
    for arguments in [&["replay", "--all"], &["purge", "--all"]] {
        let Done { status, err, .. } = read(place, arguments);
        assert_eq!(status, 1);
        assert!(err.ends_with("the file or its directory may not be written\n"), "{err}");
    }
    assert_eq!(names(place), before, "nothing is left there");
}

/// Without ages.
fn at_any_time(done: Done) -> Done {
    let mut parts = done.out.split("\"age_secs\":");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        out += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    Done { out, ..done }
}

/// What the owner sees.
fn full(place: &Place) -> Vec<Done> {
    let seen = LOOKS.map(|arguments| at_any_time(place.run(arguments)));
    assert!(seen.iter().all(|done| done.status == 0 && done.err.is_empty()), "{seen:?}");
    seen.into()
}

/// They were refused.
#[tokio::test]
async fn a_stopped_file_that_may_only_be_read_is_shown_in_full() {
    let place = Place::stopped().await;
    let full = full(&place);
    restrict(&place, 0o444, 0o555);
    expect_the_same(&place, &full);
    // Another user's files beside it would keep its daemon out.
    restrict(&place, 0o444, 0o777);
    expect_the_same(&place, &full);
    restrict(&place, 0o666, 0o555);
    expect_the_same(&place, &full);
    restrict(&place, 0o600, 0o700);
    place.filled().await.close().await.unwrap();
}

#[tokio::test]
async fn what_a_daemon_left_in_its_log_when_it_was_killed_is_shown_too() {
    let place = killed().await;
    restrict(&place, 0o444, 0o555);
    let seen = LOOKS.map(|arguments| at_any_time(read(&place, arguments)));
    restrict(&place, 0o600, 0o700);
    assert_eq!(full(&place), seen);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_there_is_an_error_that_says_what_to_do() {
    let place = killed().await;
    fs::remove_file(format!("{}-shm", place.path.display())).unwrap();
    restrict(&place, 0o444, 0o555);
    for arguments in LOOKS {
        let Done { status, out, err } = read(&place, arguments);
        assert_eq!((status, out.as_str()), (1, ""));
        assert!(
            err.ends_with(
                "copy the file and its -wal to a directory of your own, and look there\n"
            ),
            "{err}"
        );
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    restrict(&place, 0o600, 0o700);
    assert!(place.out(&["verify"]).starts_with("all is well: 6 accepted"));
}

#[tokio::test]
async fn a_live_file_that_may_only_be_read_is_shown_as_it_is_now() {
    let place = Place::new();
    let outbox = place.filled().await;
    restrict(&place, 0o644, 0o755);
    let before = read(&place, &["list"]);
    assert_eq!(
        (before.status, before.out.lines().count()),
        (0, place.run(&["list"]).out.lines().count()),
        "{before:?}"
    );
    outbox.pilot().end(4, pilot_webhook_std::outbox::End::Delivered);
    outbox.put_all(&[], None).unwrap().await.unwrap();
    assert_eq!(read(&place, &["list"]).out, place.run(&["list"]).out);
    outbox.close().await.unwrap();
}
