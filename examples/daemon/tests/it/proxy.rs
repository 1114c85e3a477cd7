//! `--proxy`: the real binary, and a proxy on loopback.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::support::{EVENTS, Sink, bare, daemon, run, wait};

/// A proxy that answers 204 by itself, and tells the first line and the credentials of each request.
fn proxy() -> (SocketAddr, Receiver<(String, bool)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
            let has_credentials = head.to_ascii_lowercase().contains("proxy-authorization: basic ");
            let _ =
                tell.send((head.lines().next().unwrap_or_default().to_owned(), has_credentials));
            stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        }
    });
    (address, told)
}

/// The daemon's events go to a name that only the proxy knows.
fn events<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = daemon("http://receiver.test/hook");
    command.args(["--exit-at-end", "--events", EVENTS]).args(arguments);
    command
}

#[test]
fn events_go_through_the_proxy() {
    let (address, told) = proxy();
    let (stats, _) = run(&mut events(&["--proxy", &format!("http://{address}")]));
    assert_eq!(stats["delivered"], 54);
    let line = "POST http://receiver.test/hook HTTP/1.1".to_owned();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), vec![(line, false); 54]);
}

#[test]
fn the_environment_names_it_with_credentials_and_exceptions() {
    let (address, told) = proxy();
    let url = format!("http://user:s3cret@{address}");
    let (stats, output) = run(events(&["--proxy", "env"]).env("HTTP_PROXY", &url));
    assert_eq!(stats["delivered"], 54);
    assert!(told.try_iter().all(|(_, has_credentials)| has_credentials));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("s3cret"));

    // Past it, and without the option no variable counts.
    for (arguments, except) in [(&["--proxy", "env"][..], "localhost"), (&[], "")] {
        let sink = Sink::start();
        let mut command = daemon(&sink.url());
        command.args(["--exit-at-end", "--events", EVENTS]).args(arguments);
        let (stats, _) = run(command.env("HTTP_PROXY", &url).env("NO_PROXY", except));
        assert_eq!((&stats["delivered"], sink.received().len()), (&54.into(), 54));
    }
    assert_eq!(told.try_iter().count(), 0);
}

/// Everybody can read a command line.
#[test]
fn a_password_is_taken_from_a_file_and_from_no_command_line() {
    let (address, told) = proxy();
    let url = format!("http://user:s3cret@{address}");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{url}\n")).unwrap();
    let (stats, output) = run(&mut events(&[OsStr::new("--proxy-file"), file.path().as_os_str()]));
    assert_eq!(stats["delivered"], 54);
    assert!(told.try_iter().all(|(_, has_credentials)| has_credentials));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("s3cret"));

    for url in [&*url, "http://user@127.0.0.1:1", "https://:s3cret@a.test"] {
        let output = wait(events(&["--proxy", url]).spawn().unwrap());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("--proxy-file FILE") && !stderr.contains("s3cret"), "{stderr}");
    }
    assert_eq!(told.try_iter().count(), 0);
}

#[test]
fn a_proxy_that_is_none_or_down_is_said_without_its_password() {
    let socks = "socks5://user:s3cret@127.0.0.1:1";
    let down = format!("http://user:s3cret@{}", Sink::reserve().url().split('/').nth(2).unwrap());
    for (url, status, words) in [
        (socks, 2, ": a proxy's URL begins with http:// or https://"),
        ("proxy", 2, ": the proxy is not a URL"),
        ("\n", 2, ": the secret is empty"),
        (&down, 3, "not accepted: the proxy http://localhost:"),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), url).unwrap();
        let mut command = bare();
        command.args(["test", "http://a.test/", "--proxy-file"]).arg(file.path());
        let output = wait(command.spawn().unwrap());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{stderr}");
        assert!(stderr.contains(words) && !stderr.contains("s3cret"), "{stderr}");
    }
    let output = wait(bare().args(["test", "http://a.test/", "--proxy", ""]).spawn().unwrap());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--proxy: the proxy is not a URL"), "{stderr}");
}
