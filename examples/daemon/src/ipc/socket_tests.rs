//! The file at the path, before and after.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Barrier;
use std::thread;

use tempfile::TempDir;

use super::*;

fn directory() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("pilot.sock");
    (directory, path)
}

/// A socket whose daemon is gone.
fn stale(path: &Path) {
    drop(StdListener::bind(path).unwrap());
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn connects(path: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(path).is_ok()
}

#[tokio::test]
async fn only_this_user_may_connect_and_the_file_goes_with_the_socket() {
    let (directory, path) = directory();
    let (listener, file) = listen(&path).await.unwrap();
    let metadata = fs::symlink_metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    assert!(connects(&path));
    assert_eq!(names(&directory), ["pilot.sock"]);
    drop((listener, file));
    assert!(names(&directory).is_empty());
}

/// From 95 bytes on it was refused, as the path that is bound is a longer one.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn every_length_that_the_system_takes_is_taken() {
    let directory = TempDir::new().unwrap();
    let longest = 107;
    for length in longest - 15..=longest + 1 {
        let rest = length - directory.path().as_os_str().len() - "//s".len();
        let parent = directory.path().join("d".repeat(rest));
        fs::create_dir(&parent).unwrap();
        let path = parent.join("s");
        assert_eq!(path.as_os_str().len(), length);
        let held = listen(&path).await;
        assert_eq!(held.is_ok(), length <= longest, "{length}: {:?}", held.err());
        if held.is_ok() {
            assert!(connects(&path));
            assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        drop(held);
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let (directory, path) = directory();
    stale(&path);
    let _held = listen(&path).await.unwrap();
    assert!(connects(&path));
    assert_eq!(names(&directory), ["pilot.sock"]);
}

#[tokio::test]
async fn a_live_socket_is_left_alone_and_named() {
    let (directory, path) = directory();
    let _held = listen(&path).await.unwrap();
    let error = listen(&path).await.err().unwrap();
    assert!(matches!(error, IpcError::InUse(_)));
    assert!(error.to_string().starts_with(path.to_str().unwrap()));
    assert!(connects(&path));
    assert_eq!(names(&directory), ["pilot.sock"]);
}

#[tokio::test]
async fn what_is_no_socket_is_never_deleted() {
    let (directory, path) = directory();
    let target = directory.path().join("target");
    stale(&target);
    let places: [fn(&Path, &Path); 3] = [
        |path, _| fs::write(path, "mine").unwrap(),
        |path, _| fs::create_dir(path).unwrap(),
        // Not even when it leads to a socket: nobody knows whose.
        |path, target| symlink(target, path).unwrap(),
    ];
    for place in places {
        place(&path, &target);
        let before = Identity::of(&fs::symlink_metadata(&path).unwrap());
        assert!(matches!(listen(&path).await, Err(IpcError::NotASocket(_))));
        assert!(Identity::of(&fs::symlink_metadata(&path).unwrap()) == before);
        assert_eq!(names(&directory).len(), 2);
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
    }
}

#[tokio::test]
async fn another_daemons_socket_is_not_removed_with_ours() {
    let (_directory, path) = directory();
    let ours = listen(&path).await.unwrap();
    fs::remove_file(&path).unwrap();
    let _theirs = listen(&path).await.unwrap();
    drop(ours);
    assert!(connects(&path));
}

#[tokio::test]
async fn a_path_that_cannot_be_is_an_error_that_names_it() {
    let (directory, _) = directory();
    for path in [
        directory.path().join("nowhere/pilot.sock"),
        directory.path().join("x".repeat(108)),
        PathBuf::from("/"),
    ] {
        let error = listen(&path).await.err().unwrap();
        assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
    }
    assert!(names(&directory).is_empty());
}

#[test]
fn of_two_daemons_that_start_at_once_one_gets_the_path() {
    for round in 0..50 {
        let (directory, path) = directory();
        if round % 2 == 0 {
            stale(&path);
        }
        let start = Barrier::new(2);
        let bound = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            let runtime = runtime.unwrap();
            start.wait();
            let held = runtime.block_on(listen(&path));
            // Both hold what they have until both have it.
            start.wait();
            let won = held.is_ok();
            let reached = !won || connects(&path);
            start.wait();
            drop(held);
            (won, reached)
        };
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(bound);
            let other = scope.spawn(bound);
            (one.join().unwrap(), other.join().unwrap())
        });
        assert!(one.0 != other.0, "round {round}: {one:?} {other:?}");
        assert!(one.1 && other.1, "round {round}");
        assert!(names(&directory).is_empty(), "round {round}");
    }
}
