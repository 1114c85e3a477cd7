//! The transport over reqwest speaks HTTP/2 with a server that offers it.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pilot_webhook_core::{EndpointBuf, Message, Policy, SendTransport, Verdict};
use pilot_webhook_std::{HttpConfig, ReqwestTransport};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// What a request was: its version, its path, a header and its body.
type Seen = (Version, String, String, Bytes);

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, seen: mpsc::UnboundedSender<Seen>) {
    let answer = move |request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let (head, body) = request.into_parts();
            let header = head.headers["x-kind"].to_str().unwrap().to_owned();
            let body = body.collect().await?.to_bytes();
            let _ = seen.send((head.version, head.uri.path().to_owned(), header, body));
            Ok::<_, hyper::Error>(Response::new(Empty::<Bytes>::new()))
        }
    };
    let (stream, _) = listener.accept().await.unwrap();
    let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
    let server = http2::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(stream, service_fn(answer)).await;
}

#[tokio::test]
async fn a_server_that_offers_http_2_is_spoken_to_in_it() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/hook", listener.local_addr().unwrap().port());
    let (tell, mut seen) = mpsc::unbounded_channel();
    tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), tell));

    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, own.cert.pem()).unwrap();
    let shared = HttpConfig::new().ca_file(ca).build().unwrap();
    let target = EndpointBuf::<64>::parse(&url, Policy::default()).unwrap();
    let headers = [("x-kind", "test")];
    let mut transport = ReqwestTransport::new(&shared);
    let message = Message::new(&headers, b"{\"event_id\":1}");
    let reply = transport.send(&target, &message).await.unwrap();
    assert_eq!((reply.verdict, reply.code), (Verdict::Accepted, 200));
    let (version, path, header, body) = seen.recv().await.unwrap();
    assert_eq!((version, &*path, &*header), (Version::HTTP_2, "/hook", "test"));
    assert_eq!(&body[..], b"{\"event_id\":1}");
}
