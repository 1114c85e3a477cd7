//! Servers that violate TLS in the handshake or after it. Each is refused with its own error, and no byte
//! of a request reaches a server that is not authenticated.

mod behind;
mod changed;
mod connections;
mod handshake;

use pilot_webhook_embassy::{Error, TlsFailure};

use crate::support::hostile_tls::{Behaviour, HostileServer, Identity, Message};
use crate::support::net::TokioNet;
use crate::support::pki;
use crate::support::{Node, authority, post, tls};

fn node() -> Node {
    tls(TokioNet::default().with(pki::NAME, "127.0.0.1"), &[authority().root()])
}

fn url(server: &HostileServer) -> String {
    format!("https://{}:{}/hook", pki::NAME, server.address().port())
}

/// Posts once to a server that behaves like this. A server that is refused must have read nothing.
#[track_caller]
fn meet_as(identity: Identity, behaviour: Behaviour) -> Result<u16, Error> {
    let server = HostileServer::start(identity, behaviour);
    let mut node = node();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(post(&mut node, &url(&server)));
    if matches!(result, Err(Error::Tls(_))) {
        assert_eq!(server.seen().received, b"", "a request leaked");
    }
    result.map(|reply| reply.code)
}

#[track_caller]
fn meet(behaviour: Behaviour) -> Result<u16, Error> {
    meet_as(authority().server(), behaviour)
}

#[track_caller]
fn flight(flight: impl Into<Vec<Message>>) -> Result<u16, Error> {
    meet(Behaviour::flight(flight))
}

fn refused(failure: TlsFailure) -> Result<u16, Error> {
    Err(Error::Tls(failure))
}
