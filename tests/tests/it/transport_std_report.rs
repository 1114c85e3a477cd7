//! What the std transport tells of an attempt, to who looks for a fault.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pilot_webhook_core::EndpointBuf;
use pilot_webhook_std::{
    HttpConfig, HttpReport, HttpTransport, Message, Policy, SendTransport as _,
};
use pilot_webhook_tests::{Act, Authority, Certificate, Server};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::NamedTempFile;
use tokio::time::timeout;

const OK: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// The reports, with the status or the error of each; without one, the attempt was ended.
type Told = Arc<Mutex<Vec<(HttpReport, Option<Result<u16, String>>)>>>;

/// A transport that trusts an authority, and where it tells.
fn transport(authority: &Authority) -> (HttpTransport, Told) {
    let (mut ca, told) = (NamedTempFile::new().unwrap(), Told::default());
    ca.write_all(authority.pem().as_bytes()).unwrap();
    let tells = Arc::clone(&told);
    let config = HttpConfig::new().system_roots(false).ca_file(ca.path());
    let config = config.on_report(move |report, result| {
        let result = result.map(|result| match result {
            Ok(reply) => Ok(reply.code),
            Err(error) => Err(error.to_string()),
        });
        tells.lock().unwrap().push((report.clone(), result));
    });
    (HttpTransport::new(&config.build().unwrap()), told)
}

/// Posts once, and gives up early on a server that does not answer.
async fn post(transport: &mut HttpTransport, url: &str) {
    let endpoint = EndpointBuf::<128>::parse(url, Policy::default()).unwrap();
    let message = Message::new(&[("X-Signature", "s")], b"{}");
    let _ = timeout(Duration::from_millis(500), transport.send(&endpoint, &message)).await;
}

/// An https URL of a server.
fn url(server: &Server) -> String {
    format!("https://{}/", server.address())
}

#[tokio::test]
async fn an_attempt_tells_the_address_and_what_the_server_showed() {
    let authority = Authority::new();
    let tls = Some(authority.server(Certificate::Own));
    let script = vec![Act::Read, Act::Send(OK.into()), Act::Read, Act::Send(OK.into())];
    let server = Server::start(vec![script], tls).await;
    let (mut transport, told) = transport(&authority);
    post(&mut transport, &url(&server)).await;
    post(&mut transport, &url(&server)).await;

    let told = told.lock().unwrap();
    let own = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    let (report, result) = &told[0];
    assert_eq!(*result, Some(Ok(204)));
    assert_eq!(report.headers, [("X-Signature".to_owned(), "s".to_owned())]);
    assert_eq!(report.address, Some(server.address()));
    assert_eq!(report.tls_version, Some("TLS 1.3"));
    assert_eq!(report.certificate.as_deref(), Some(&own[..]));
    let times = [report.resolved, report.connected, report.secured, Some(report.took)];
    assert!(times.is_sorted() && times[0].is_some(), "{times:?}");
    assert!(!format!("{report:?}").contains("X-Signature"));
    // The second went over the same connection.
    assert_eq!(
        (told[1].1.clone(), told[1].0.address, told[1].0.secured),
        (Some(Ok(204)), None, None)
    );
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_shown_too() {
    let authority = Authority::new();
    let tls = Some(authority.server(Certificate::UntrustedOwn));
    let server = Server::start(vec![vec![]], tls).await;
    let (mut transport, told) = transport(&authority);
    post(&mut transport, &url(&server)).await;

    let told = told.lock().unwrap();
    let (report, result) = &told[0];
    assert!(result.clone().unwrap().unwrap_err().contains("TLS handshake failed"), "{result:?}");
    assert!(report.certificate.is_some() && report.connected.is_some());
    assert_eq!((report.secured, report.tls_version), (None, None));
}

#[tokio::test]
async fn an_attempt_that_is_ended_tells_how_far_it_came() {
    let server = Server::start(vec![vec![Act::Read, Act::Hold]], None).await;
    let (mut transport, told) = transport(&Authority::new());
    post(&mut transport, &format!("http://{}/", server.address())).await;

    let told = told.lock().unwrap();
    let [(report, None)] = &told[..] else { unreachable!("{told:?}") };
    assert_eq!(report.address, Some(server.address()));
    assert!(report.took >= Duration::from_millis(400), "{:?}", report.took);
}
