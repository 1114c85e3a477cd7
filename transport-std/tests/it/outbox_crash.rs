//! The outbox when its process is killed, its disk is full, or the disk has not said yet that it is done.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::{
    DeadFate, DeadReason, End, NewEvent, Outbox, OutboxErrorKind, OutboxFile, OutboxOptions,
    Pending, Position, PutError,
};

/// Which part this binary plays when it runs itself as a child.
const PART: &str = "OUTBOX_PART";
const FILE: &str = "OUTBOX_FILE";

/// This binary as a child that plays `part`, begun by `wrapper` with its arguments, if there are any.
fn child(wrapper: &[&str], part: &str, path: &Path) -> Command {
    let binary = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(&binary),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&binary);
            command
        }
    };
    command.args(["--exact", "outbox_crash::plays_its_part", "--nocapture", "--test-threads=1"]);
    command.env(PART, part).env(FILE, path).stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// A line that the parent reads, as one write: a line of a child that is killed is there or not.
fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn plays_its_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let path = PathBuf::from(std::env::var(FILE).unwrap());
    match part.as_str() {
        "writes" => writes(&path).await,
        "acknowledges" => acknowledges(&path).await,
        "fills" => fills(&path).await,
        "works on" => works_on(&path).await,
        "gives up" => gives_up(&path).await,
        other => panic!("no part named {other}"),
    }
}

fn dead() -> End {
    let url = String::from("http://127.0.0.1:9/");
    let reason =
        DeadReason { fate: DeadFate::Rejected, attempts: 1, status: Some(404), error: None, url };
    End::Dead(Box::new(reason))
}

/// Puts units and ends events until it is killed, and says what it knows: `stored ID` when it was told, and
/// `ends ID` before it tells.
async fn writes(path: &Path) {
    let mut options = OutboxOptions::default();
    options.dead_max = 5;
    let outbox = Outbox::open(path, options).unwrap();
    let data = format!("\"{}\"", "x".repeat(300));
    let mut number: u64 =
        outbox.position("numbers").unwrap().map_or(0, |text| text.parse().unwrap());
    loop {
        let topics: Vec<String> = (number..number + 3).map(|n| n.to_string()).collect();
        number += 3;
        let events: Vec<NewEvent<'_>> = topics
            .iter()
            .map(|topic| NewEvent::new(topic, 7, Timestamp::UNIX_EPOCH).with_data(&data))
            .collect();
        let text = number.to_string();
        let at = Position { source: "numbers", text: &text };
        for id in outbox.put_all(&events, Some(at)).unwrap().await.unwrap() {
            say(&format!("stored {id}"));
            match id % 4 {
                0 => {
                    say(&format!("ends {id}"));
                    outbox.pilot().end(id, End::Delivered);
                }
                1 => {
                    say(&format!("ends {id}"));
                    outbox.pilot().end(id, dead());
                }
                _ => {}
            }
        }
        // What waits does not grow without end.
        if number.is_multiple_of(300) {
            for event in outbox.pilot().read(0, 100, usize::MAX).await.unwrap() {
                say(&format!("ends {}", event.id));
                outbox.pilot().end(event.id, End::Delivered);
            }
        }
    }
}

/// Reads what a child says, until it is killed after `time`.
fn kill_after(mut child: Child, time: Duration) -> Vec<String> {
    let stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).collect::<Vec<String>>()
    });
    std::thread::sleep(time);
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let (mut stored, mut ended) = (BTreeSet::new(), BTreeSet::new());
    let mut ids_before = 0;
    for round in 0..40_u64 {
        let started = child(&[], "writes", &path).stdout(Stdio::piped()).spawn().unwrap();
        // From within the start to well into the work.
        let said = kill_after(started, Duration::from_millis(5 + round * 37 % 180));
        for line in said {
            let number = |what| line.strip_prefix(what).and_then(|n| n.parse::<u64>().ok());
            if let Some(id) = number("stored ") {
                assert!(stored.insert(id), "{id} was given twice");
                assert!(id > ids_before, "{id} in round {round}");
            }
            ended.extend(number("ends "));
        }
        // A kill within the first start leaves no file, or one that nothing was written to.
        let outbox = Outbox::open(&path, OutboxOptions::default()).unwrap();
        let there: BTreeSet<u64> = OutboxFile::open(&path)
            .unwrap()
            .list("pilot", 0, usize::MAX)
            .unwrap()
            .iter()
            .map(|event| event.id)
            .collect();
        let lost: Vec<u64> =
            stored.difference(&ended).filter(|id| !there.contains(id)).copied().collect();
        assert_eq!(lost, Vec::<u64>::new(), "round {round}");
        let file = OutboxFile::open(&path).unwrap();
        let found = file.verify().unwrap();
        assert_eq!(found.problems, Vec::<String>::new(), "round {round}");
        // The position and its events are there together.
        let position = outbox.position("numbers").unwrap().map_or(0, |text| text.parse().unwrap());
        assert_eq!(found.ledger.accepted, position, "round {round}");
        ids_before = file.status().unwrap().last_id;
        outbox.close().await.unwrap();
    }
    println!("{} acknowledged, {} ended", stored.len(), ended.len());
    assert!(stored.len() > 500, "{} acknowledged", stored.len());
}

/// Puts a few events, one after another, and says when each is acknowledged.
async fn acknowledges(path: &Path) {
    let outbox = Outbox::open(path, OutboxOptions::default()).unwrap();
    for _ in 0..5 {
        say("begin");
        let id = outbox.put(NewEvent::new("a", 7, Timestamp::UNIX_EPOCH)).unwrap().await.unwrap();
        say(&format!("stored {id}"));
    }
    outbox.close().await.unwrap();
}

/// By the system's own record of its calls: between the request and the acknowledgement, the log was written
/// and then synchronised.
#[test]
fn an_acknowledgement_follows_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let wrapper = [
        "strace",
        "-f",
        "-y",
        "-e",
        "trace=write,pwrite64,fsync,fdatasync",
        "-o",
        trace.to_str().unwrap(),
    ];
    let path = directory.path().join("events.db");
    let output = child(&wrapper, "acknowledges", &path).output();
    let record = fs::read_to_string(&trace).unwrap_or_default();
    if !output.is_ok_and(|output| output.status.success()) || record.is_empty() {
        eprintln!("SKIPPED: no strace here, or it may not trace");
        return;
    }
    let mut acknowledged = 0;
    // What happened since the request: the log was written, and synchronised after that.
    let (mut is_written, mut is_safe) = (false, false);
    for line in record.lines() {
        let is_log = line.contains("events.db-wal");
        if line.contains("\"begin\\n\"") {
            (is_written, is_safe) = (false, false);
        } else if is_log && line.contains("pwrite64(") {
            (is_written, is_safe) = (true, false);
        } else if is_log && line.contains("sync(") {
            // One that is interrupted by another thread's line has its end elsewhere: it is not counted.
            is_safe = is_written && line.ends_with("= 0");
        } else if is_written && line.contains("sync resumed>") {
            is_safe = line.ends_with("= 0");
        } else if line.contains("\"stored ") {
            assert!(is_safe, "acknowledged too early:\n{record}");
            acknowledged += 1;
        }
    }
    assert_eq!(acknowledged, 5);
}

fn options() -> OutboxOptions {
    let mut options = OutboxOptions::default();
    options.max_bytes = 100 << 20;
    options
}

/// Events of the unit that [`full`] hands in.
const UNIT: u64 = 60;

/// An outbox with a hundred events on a disk that somebody else has filled, and a unit on its way to it.
async fn full(path: &Path, event: NewEvent<'_>) -> (Outbox, Pending<Vec<u64>>) {
    let mut options = options();
    // It begins when somebody waits, and not before the disk is full.
    options.delay = Duration::from_secs(60);
    let outbox = Outbox::open(path, options).unwrap();
    for _ in 0..100 {
        outbox.put(event).unwrap().await.unwrap();
    }
    let data = format!("\"{}\"", "x".repeat(10_000));
    let unit: Vec<_> = (0..UNIT).map(|_| event.with_data(&data)).collect();
    let mut pending = outbox.put_all(&unit, None).unwrap();
    let mut ballast = fs::File::create(path.with_file_name("ballast")).unwrap();
    while ballast.write_all(&[1; 4096]).is_ok() {}
    let waited = tokio::time::timeout(Duration::from_millis(500), &mut pending).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(outbox.put(event).unwrap_err(), PutError::Disk);
    (outbox, pending)
}

/// An outbox that has filled its disk by itself works on as events are delivered.
async fn works_on(path: &Path) {
    let data = format!("\"{}\"", "x".repeat(2000));
    let event = NewEvent::new("a", 7, Timestamp::UNIX_EPOCH).with_data(&data);
    let outbox = Outbox::open(path, options()).unwrap();
    let mut last = 0;
    let refused = loop {
        match outbox.put(event) {
            Ok(pending) => last = pending.await.unwrap(),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, PutError::Disk);
    assert!(last > 100, "{last}");
    // Several times as much as there is room for.
    let mut ended = 0;
    while ended < 2000 {
        let waiting = outbox.pilot().read(ended, 32, usize::MAX).await.unwrap();
        for event in waiting {
            ended = event.id;
            outbox.pilot().end(ended, End::Delivered);
        }
        let room = outbox.room(event.size());
        // What was delivered so far may not be enough; all of it is.
        let time = Duration::from_millis(if ended < last { 20 } else { 5000 });
        if tokio::time::timeout(time, room).await.is_ok() {
            while let Ok(pending) = outbox.put(event) {
                last = pending.await.unwrap();
            }
        }
        assert!(ended < last, "nothing is left, and nothing is taken");
    }
    outbox.close().await.unwrap();
    let found = OutboxFile::open(path).unwrap().verify().unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!((found.ledger.accepted, found.ledger.delivered), (last, ended));
    say("as expected");
}

/// With room on the disk, what waited goes on by itself.
async fn fills(path: &Path) {
    let data = format!("\"{}\"", "x".repeat(2000));
    let event = NewEvent::new("a", 7, Timestamp::UNIX_EPOCH).with_data(&data);
    let (outbox, pending) = full(path, event).await;
    // What is there can be read, delivered, and told to be.
    assert_eq!(outbox.pilot().read(0, usize::MAX, usize::MAX).await.unwrap().len(), 100);
    (1..=50).for_each(|id| outbox.pilot().end(id, End::Delivered));
    fs::remove_file(path.with_file_name("ballast")).unwrap();
    let start = Instant::now();
    outbox.room(event.size()).await.unwrap();
    assert_eq!(pending.await, Ok((101..=100 + UNIT).collect()));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    outbox.put(event).unwrap().await.unwrap();
    outbox.close().await.unwrap();
    let found = OutboxFile::open(path).unwrap().verify().unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!((found.ledger.accepted, found.ledger.delivered), (101 + UNIT, 50));
    say("as expected");
}

/// Closed while the disk is full, what is not stored is named as lost, and the rest is there.
async fn gives_up(path: &Path) {
    let data = format!("\"{}\"", "x".repeat(2000));
    let event = NewEvent::new("a", 7, Timestamp::UNIX_EPOCH).with_data(&data);
    let (outbox, pending) = full(path, event).await;
    let error = outbox.close().await.unwrap_err();
    assert!(matches!(error.kind(), OutboxErrorKind::Lost(UNIT)), "{error}");
    assert_eq!(pending.await, Err(PutError::Disk));
    fs::remove_file(path.with_file_name("ballast")).unwrap();
    let found = OutboxFile::open(path).unwrap().verify().unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!(found.ledger.stored, 100);
    say("as expected");
}

/// Plays `part` on a file system of four megabytes, which goes away with the child.
fn on_a_small_disk(part: &str) {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().to_str().unwrap();
    let script = r#"mount -t tmpfs -o size=4m outbox "$0" && exec "$@""#;
    let can_mount = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, disk, "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !can_mount {
        eprintln!("SKIPPED: this user cannot mount a file system");
        return;
    }
    let wrapper = ["unshare", "--mount", "sh", "-c", script, disk];
    let output = child(&wrapper, part, &directory.path().join("events.db")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("as expected"), "{said}");
}

#[test]
fn a_full_disk_holds_events_back_and_loses_none() {
    on_a_small_disk("fills");
}

#[test]
fn what_is_lost_in_a_close_is_named() {
    on_a_small_disk("gives up");
}

#[test]
fn a_disk_that_the_outbox_itself_has_filled_does_not_stop_it() {
    on_a_small_disk("works on");
}
