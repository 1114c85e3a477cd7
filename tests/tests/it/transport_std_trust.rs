//! What the std transport does when the certificates that it trusts are replaced while it runs.

use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pilot_webhook_core::EndpointBuf;
use pilot_webhook_std::{
    Client, EmitError, HttpConfig, HttpConfigError, HttpError, HttpShared, HttpTransport, Message,
    Policy, SendTransport as _,
};
use pilot_webhook_tests::{Authority, Certificate};
use rustls::ServerConfig;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Every request comes over a new connection.
const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// Nothing here takes long; what takes this long is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// A server whose certificate can be changed, and the CA file that its clients read.
struct Receiver {
    config: Arc<Mutex<Arc<ServerConfig>>>,
    url: String,
    ca: NamedTempFile,
}

impl Receiver {
    /// With a certificate of an authority, which the CA file has.
    async fn start() -> Self {
        let authority = Authority::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let config = Arc::new(Mutex::new(authority.server(Certificate::Good)));
        let receiver = Self { config: Arc::clone(&config), url, ca: NamedTempFile::new().unwrap() };
        receiver.write(&authority.pem());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let config = Arc::clone(&config.lock().unwrap());
                tokio::spawn(answer(stream, config));
            }
        });
        receiver
    }

    /// Shows a certificate of another authority from now on, which is returned.
    fn change(&self) -> Authority {
        let authority = Authority::new();
        *self.config.lock().unwrap() = authority.server(Certificate::Good);
        authority
    }

    /// Replaces what is in the CA file.
    fn write(&self, pem: &str) {
        fs::write(self.ca.path(), pem).unwrap();
    }

    fn http(&self) -> HttpConfig {
        HttpConfig::new().system_roots(false).ca_file(self.ca.path())
    }

    async fn post(&self, shared: &HttpShared) -> Result<u16, HttpError> {
        let endpoint = EndpointBuf::<64>::parse(&self.url, Policy::default()).unwrap();
        let mut transport = HttpTransport::new(shared);
        transport.send(&endpoint, &Message::new(&[], b"{}")).await.map(|reply| reply.code)
    }
}

/// Takes one request. A client that does not trust it is gone before that.
async fn answer(stream: TcpStream, config: Arc<ServerConfig>) {
    let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await else { return };
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        if stream.read_buf(&mut request).await.unwrap_or_default() == 0 {
            return;
        }
    }
    let _ = stream.write_all(OK.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn a_ca_file_that_was_replaced_counts_after_an_attempt_that_failed() {
    let receiver = Receiver::start().await;
    let shared = receiver.http().build().unwrap();
    assert_eq!(receiver.post(&shared).await.unwrap(), 200);
    receiver.write(&receiver.change().pem());
    assert!(matches!(receiver.post(&shared).await, Err(HttpError::Tls(_))));
    // The file is read on a thread of its own.
    let until_trusted = async { while receiver.post(&shared).await.is_err() {} };
    timeout(STUCK, until_trusted).await.unwrap();
    // The old authority is not trusted any more.
    receiver.change();
    assert!(receiver.post(&shared).await.is_err());
}

#[tokio::test]
async fn no_event_is_lost_to_a_certificate_of_another_authority() {
    let receiver = Receiver::start().await;
    let builder = Client::builder(&receiver.url).http(receiver.http());
    let client = builder.retry_backoff(Duration::from_millis(500)).build().unwrap();
    let emit = || -> Result<_, EmitError> { client.emit("t", &1) };
    emit().unwrap();
    client.drained().await;
    receiver.write(&receiver.change().pem());
    emit().unwrap();
    timeout(STUCK, client.drained()).await.unwrap();
    let stats = client.stats();
    assert_eq!((stats.delivered, stats.exhausted), (2, 0));
}

#[tokio::test]
async fn a_reload_counts_at_once_and_says_whether_anything_changed() {
    let receiver = Receiver::start().await;
    let client = Client::builder(&receiver.url).http(receiver.http()).build().unwrap();
    assert!(!client.reload_trust().unwrap());
    receiver.write(&receiver.change().pem());
    assert!(client.reload_trust().unwrap());
    client.emit("t", &1).unwrap();
    timeout(STUCK, client.drained()).await.unwrap();
    assert_eq!((client.stats().delivered, client.stats().attempts), (1, 1));
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_what_was_read_before() {
    let receiver = Receiver::start().await;
    let shared = receiver.http().build().unwrap();
    receiver.write("half of a file");
    let error = shared.reload_trust().unwrap_err();
    assert!(matches!(error, HttpConfigError::CaEmpty { .. }), "{error}");
    fs::remove_file(receiver.ca.path()).unwrap();
    let error = shared.reload_trust().unwrap_err();
    assert!(matches!(error, HttpConfigError::CaUnreadable { .. }), "{error}");
    // A pipe would be waited for.
    assert!(Command::new("mkfifo").arg(receiver.ca.path()).status().unwrap().success());
    let error = shared.reload_trust().unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
    assert_eq!(receiver.post(&shared).await.unwrap(), 200);
}

#[tokio::test]
async fn sessions_with_an_authority_that_is_not_trusted_any_more_are_not_resumed() {
    let receiver = Receiver::start().await;
    let shared = receiver.http().build().unwrap();
    assert_eq!(receiver.post(&shared).await.unwrap(), 200);
    receiver.write(&Authority::new().pem());
    assert!(shared.reload_trust().unwrap());
    assert!(matches!(receiver.post(&shared).await, Err(HttpError::Tls(_))));
}
