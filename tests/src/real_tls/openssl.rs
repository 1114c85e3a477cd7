//! `openssl s_server`, whose answers are typed in.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use super::configured::{OTHER_GROUPS, openssl_name};
use super::{LONG, START_MAX, Setting, Started};

pub(super) fn start(folder: &Path, setting: Setting, has_chain: bool) -> Started {
    let options: &[&str] = match setting {
        Setting::Usual | Setting::KeyUpdate | Setting::LongAnswer => &[],
        Setting::Only(group) => &["-groups", openssl_name(group)],
        Setting::With(cipher) => &["-ciphersuites", cipher.name()],
        Setting::OtherGroups => &["-groups", OTHER_GROUPS],
        Setting::ShortRecords => &["-max_send_frag", "512"],
        Setting::AsksForCertificate => &["-verify", "1"],
        Setting::WantsCertificate => {
            &["-Verify", "1", "-verify_return_error", "-CAfile", "clients"]
        }
        Setting::Tls12 => &["-no_tls1_3"],
    };
    Command::new("openssl").arg("version").output()?;
    // It keeps to itself what it says about a change of keys, unless its output is told to go on line by line.
    let mut command = Command::new("stdbuf");
    command.args([
        "-oL",
        "openssl",
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-key",
        "key",
        "-cert",
        "leaf",
    ]);
    command.args(if has_chain { &["-cert_chain", "above"][..] } else { &[] }).args(options);
    command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.stderr(fs::File::create(folder.join("log"))?).spawn()?;
    let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
    let (ports, port) = mpsc::channel();
    std::thread::spawn(move || {
        Terminal { input, output, seen: String::new() }.serve(setting, &ports)
    });
    let port = port.recv_timeout(START_MAX).expect("openssl does not start");
    Ok((process, port, None))
}

/// What somebody would see and type who answers by hand.
struct Terminal<I, O> {
    input: I,
    output: O,
    /// What was not looked at yet.
    seen: String,
}

impl<I: Write, O: Read> Terminal<I, O> {
    /// Answers each request, until the server ends.
    fn serve(mut self, setting: Setting, ports: &mpsc::Sender<u16>) -> Option<()> {
        self.until("ACCEPT 127.0.0.1:")?;
        ports.send(self.until("\n")?.trim().parse().ok()?).ok()?;
        loop {
            let before = self.until("POST ")?;
            let head = self.until("\r\n\r\n")?;
            let length = head.to_lowercase().split_once("content-length: ")?.1.to_owned();
            let length: usize = length.lines().next()?.trim().parse().ok()?;
            while self.seen.len() < length {
                self.read()?;
            }
            self.seen.drain(..length);
            let status = if before.contains("Reused session-id") { 202 } else { 200 };
            if setting == Setting::KeyUpdate {
                self.input.write_all(b"K\n").ok()?;
                self.until("SSL_do_handshake ->")?;
            }
            let body = if setting == Setting::LongAnswer { LONG } else { 2 };
            let head = format!("HTTP/1.1 {status} OK\r\nContent-Length: {body}\r\n\r\n");
            self.input.write_all((head + &"x".repeat(body)).as_bytes()).ok()?;
        }
    }

    /// What is seen before these words, which are passed.
    fn until(&mut self, words: &str) -> Option<String> {
        loop {
            if let Some((before, behind)) = self.seen.split_once(words) {
                let before = before.to_owned();
                self.seen = behind.to_owned();
                return Some(before);
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Option<()> {
        let mut buf = [0; 4_096];
        let length = self.output.read(&mut buf).ok().filter(|length| *length > 0)?;
        self.seen.push_str(&String::from_utf8_lossy(&buf[..length]));
        Some(())
    }
}
