//! TLS servers that others wrote, as processes on this host: those of Debian.
//!
//! Each answers a POST with the status 200, or 202 when it has resumed a session. But for GnuTLS, whose server
//! knows no POST: it answers with a page that has no status line.

mod configured;
mod openssl;
mod scripted;

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};
use tempfile::TempDir;

use crate::free_port::FreePort;
use crate::hostile_tls::Identity;
use crate::pki::Authority;

/// How long a server has to be there. Arbitrary: the slowest takes half a second on an idle machine.
const START_MAX: Duration = Duration::from_secs(30);
/// How long the body of a [`Setting::LongAnswer`] is: in one record, if the server may.
pub const LONG: usize = 10_000;

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `openssl s_server`.
    OpenSsl,
    /// nginx.
    Nginx,
    /// `gnutls-serv`.
    Gnutls,
    /// HAProxy.
    Haproxy,
    /// Go's `net/http`.
    Go,
    /// Node's `https`.
    Node,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::OpenSsl, Self::Nginx, Self::Gnutls, Self::Haproxy, Self::Go, Self::Node];

    /// The command, and Debian's package.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenSsl => ("openssl", "openssl"),
            Self::Nginx => ("nginx", "nginx-light"),
            Self::Gnutls => ("gnutls-serv", "gnutls-bin"),
            Self::Haproxy => ("haproxy", "haproxy"),
            Self::Go => ("go", "golang-go"),
            Self::Node => ("node", "nodejs"),
        }
    }
}

/// An elliptic curve for the exchange of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Curve25519.
    X25519,
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
}

/// A cipher of TLS 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// `TLS_AES_128_GCM_SHA256`.
    Aes128,
    /// `TLS_AES_256_GCM_SHA384`.
    Aes256,
    /// `TLS_CHACHA20_POLY1305_SHA256`.
    ChaCha20,
}

impl Cipher {
    const fn name(self) -> &'static str {
        match self {
            Self::Aes128 => "TLS_AES_128_GCM_SHA256",
            Self::Aes256 => "TLS_AES_256_GCM_SHA384",
            Self::ChaCha20 => "TLS_CHACHA20_POLY1305_SHA256",
        }
    }
}

/// How a server is set up, apart from its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// As it comes.
    Usual,
    /// It has this group only.
    Only(Group),
    /// It has this cipher only.
    With(Cipher),
    /// Its favourite groups are others than the client's, and it says so in its `EncryptedExtensions`.
    OtherGroups,
    /// It sends records of 512 bytes at most, also in the handshake.
    ShortRecords,
    /// It asks for a certificate of the client's, and does without.
    AsksForCertificate,
    /// It wants a certificate of the client's, by the authority that it is started with.
    WantsCertificate,
    /// It changes its keys before it answers, and asks the client to change its own.
    KeyUpdate,
    /// Its answer is [`LONG`].
    LongAnswer,
    /// It has TLS 1.2 and nothing newer.
    Tls12,
}

/// Why there is no server.
#[derive(Debug)]
pub enum Absent {
    /// It is not installed; how to get it.
    Missing(String),
    /// It cannot be set up so.
    Unable,
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct RealServer {
    process: Child,
    port: u16,
    /// Where it could not choose one itself.
    _taken: Option<FreePort>,
    _folder: TempDir,
}

impl RealServer {
    /// Starts a server that shows this certificate, and takes those that `clients` issued.
    ///
    /// # Errors
    /// When the machine has no such program, or the program no such setting.
    ///
    /// # Panics
    /// When it ends instead of listening.
    pub fn start(
        program: Program,
        setting: Setting,
        identity: &Identity,
        clients: &Authority,
    ) -> Result<Self, Absent> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let key = pem("PRIVATE KEY", &identity.key);
        let mut chain = identity.chain.iter().map(|der| pem("CERTIFICATE", der));
        let leaf = chain.next().unwrap_or_default();
        let above: String = chain.collect();
        write("key", &key);
        write("leaf", &leaf);
        write("above", &above);
        write("chain", &[&leaf[..], &above].concat());
        write("both", &[&leaf[..], &above, &key].concat());
        write("clients", &clients.pem());
        write("long", &"x".repeat(LONG));
        let started = match program {
            Program::OpenSsl => openssl::start(folder.path(), setting, !above.is_empty()),
            Program::Nginx => configured::nginx(folder.path(), setting),
            Program::Haproxy => configured::haproxy(folder.path(), setting),
            Program::Gnutls => configured::gnutls(folder.path(), setting),
            Program::Go => scripted::go(folder.path(), setting),
            Program::Node => scripted::node(folder.path(), setting),
        };
        let (process, port, taken) = started.map_err(|error| match error {
            Unstarted::Unable => Absent::Unable,
            Unstarted::Io(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{program:?}: {error}");
                let (command, package) = program.names();
                Absent::Missing(format!("no {command}; to get it: apt-get install {package}"))
            }
        })?;
        let mut server = Self { process, port, _taken: taken, _folder: folder };
        server.wait(program);
        Ok(server)
    }

    /// The port of 127.0.0.1 on which it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn wait(&mut self, program: Program) {
        let begun = Instant::now();
        // openssl serves one connection at a time, and has said that it listens.
        while program != Program::OpenSsl && TcpStream::connect(("127.0.0.1", self.port())).is_err()
        {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "{program:?} has ended: {ended:?}");
            assert!(begun.elapsed() < START_MAX, "{program:?} does not listen");
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Says, loudly, that a server is not there.
pub fn skipped(program: Program, how_to_get_it: &str) {
    // Not `eprintln`, which the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "\n!!! SKIPPED: {program:?}\n!!! {how_to_get_it}\n");
}

enum Unstarted {
    Io(std::io::Error),
    Unable,
}

impl From<std::io::Error> for Unstarted {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

type Started = Result<(Child, u16, Option<FreePort>), Unstarted>;

/// Starts a command on a port that is free, in a folder.
fn on_a_free_port(folder: &Path, command: impl FnOnce(u16) -> Command) -> Started {
    let port = FreePort::take()?;
    let log = fs::File::create(folder.join("log"))?;
    let mut command = command(port.number());
    // They are in a folder that is not in everybody's path.
    let path = [std::env::var("PATH").unwrap_or_default(), "/usr/sbin".into()].join(":");
    command.env("PATH", path).current_dir(folder).stdout(log.try_clone()?).stderr(log);
    Ok((command.stdin(std::process::Stdio::null()).spawn()?, port.number(), Some(port)))
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in Base64::encode_string(der).as_bytes().chunks(64) {
        let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
    }
    text + &format!("-----END {label}-----\n")
}
