//! Both TLS clients against the TLS servers that Debian has: what they reach, and what they say if not.
//!
//! Each row of the tables is tried with each server that can be set up so. Servers that are not installed are
//! skipped, loudly.

use crate::support;
use crate::support::{NOW, Node, authority, plain, post};
use pilot_webhook_core::http::Malformed;
use pilot_webhook_embassy::{ClientIdentity, Error, Limit, Rustls, Tls, TlsBuffers, TlsFailure};
use pilot_webhook_tests::hostile_tls::Identity;
use pilot_webhook_tests::pki::{self, Kind, leaf};
use pilot_webhook_tests::public::RECEIVERS;
use pilot_webhook_tests::real_tls::{Absent, Cipher, Group, Program, RealServer, Setting, skipped};

use Outcome::{Delivered, Fails, IfRecordsFit, NeedsP384, Refused, TooOld};
use Setting::{Only, Usual, With};

/// What comes of a post.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It is delivered.
    Delivered,
    /// It is delivered with the feature `p384`. Without, the server finds nothing in common.
    NeedsP384,
    /// It fails for this reason.
    Fails(Error),
    /// It fails, if the server's records are longer than the receive buffer.
    IfRecordsFit,
    /// The server turns it away behind the handshake: by an alert, by a status, or without a word.
    Refused,
    /// The server has no TLS 1.3.
    TooOld,
}

/// Receive buffers: one that holds every record, one for longer messages, and two for small parts, which ask for
/// records that fit.
const ROOM: usize = 16_640;
const LARGE: usize = 32_768;
const SMALL: usize = 4_352;
const SMALLER: usize = 1_280;
/// One that asks for nothing.
const MUTE: usize = 4_096;

/// A row: what the server is like, and what comes of it.
struct Row {
    server: &'static str,
    setting: Setting,
    identity: fn() -> Identity,
    room: usize,
    embedded: Outcome,
    rustls: Outcome,
}

const fn row(server: &'static str, setting: Setting, embedded: Outcome, rustls: Outcome) -> Row {
    Row { server, setting, identity: usual, room: ROOM, embedded, rustls }
}

fn usual() -> Identity {
    authority().server()
}

fn below_two_others() -> Identity {
    let first = authority().below(Kind::P256, pki::ca("first"));
    first.below(Kind::P256, pki::ca("second")).server()
}

/// A server whose certificate alone is longer than a record.
fn long_winded() -> Identity {
    let mut params = leaf();
    let names = (0..500).map(|n| format!("a-rather-long-name-{n}.example.org").try_into().unwrap());
    params.subject_alt_names.extend(names.map(rcgen::SanType::DnsName));
    authority().issue(Kind::P256, params)
}

/// The server finds nothing in common with the client.
const NOTHING_IN_COMMON: Outcome = Fails(Error::Tls(TlsFailure::Alert(40)));

const fn limit(limit: Limit) -> Outcome {
    Fails(Error::Tls(TlsFailure::Unsupported(limit)))
}

/// A limit that shows behind the handshake.
const fn later(limit: Limit) -> Outcome {
    Fails(Error::TlsSession(TlsFailure::Unsupported(limit)))
}

const ROWS: [Row; 20] = [
    row("as it comes", Usual, Delivered, Delivered),
    Row { identity: below_two_others, ..row("below two CAs", Usual, Delivered, Delivered) },
    Row {
        identity: below_two_others,
        ..row("records of 512 bytes", Setting::ShortRecords, limit(Limit::SplitMessage), Delivered)
    },
    Row {
        identity: long_winded,
        room: LARGE,
        ..row("a certificate over 16 KiB", Usual, limit(Limit::SplitMessage), Delivered)
    },
    Row {
        identity: long_winded,
        ..row(
            "the same, and less room",
            Usual,
            limit(Limit::SplitMessage),
            limit(Limit::MessageTooLarge),
        )
    },
    row("X25519 only", Only(Group::X25519), NOTHING_IN_COMMON, Delivered),
    row("P-256 only, by HelloRetryRequest", Only(Group::P256), Delivered, Delivered),
    row("P-384 only", Only(Group::P384), NOTHING_IN_COMMON, NOTHING_IN_COMMON),
    row("groups that no node knows", Setting::OtherGroups, Delivered, Delivered),
    row("AES-128 only", With(Cipher::Aes128), Delivered, Delivered),
    row("AES-256 only", With(Cipher::Aes256), NOTHING_IN_COMMON, NeedsP384),
    row("ChaCha20 only", With(Cipher::ChaCha20), NOTHING_IN_COMMON, NOTHING_IN_COMMON),
    row("asks for a certificate", Setting::AsksForCertificate, Delivered, Delivered),
    row("wants a certificate", Setting::WantsCertificate, Refused, Refused),
    row("KeyUpdate before the answer", Setting::KeyUpdate, later(Limit::PostHandshake), Delivered),
    row("long answers", Setting::LongAnswer, Delivered, Delivered),
    Row { room: SMALL, ..row("the same", Setting::LongAnswer, Delivered, IfRecordsFit) },
    Row { room: SMALLER, ..row("the same", Setting::LongAnswer, Delivered, IfRecordsFit) },
    Row { room: MUTE, ..row("the same", Setting::LongAnswer, IfRecordsFit, IfRecordsFit) },
    row("TLS 1.2 only", Setting::Tls12, TooOld, TooOld),
];

/// One of the two clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Embedded,
    Rustls,
}

const CLIENTS: [Client; 2] = [Client::Embedded, Client::Rustls];

fn node(client: Client, room: usize, root: &[u8], own: Option<ClientIdentity>) -> Node {
    match room {
        LARGE => node_in::<LARGE>(client, root, own),
        SMALL => node_in::<SMALL>(client, root, own),
        SMALLER => node_in::<SMALLER>(client, root, own),
        MUTE => node_in::<MUTE>(client, root, own),
        _ => node_in::<ROOM>(client, root, own),
    }
}

fn node_in<const RX: usize>(client: Client, root: &[u8], own: Option<ClientIdentity>) -> Node {
    let buffers = Box::leak(Box::new(TlsBuffers::<RX, 1_024>::new()));
    let roots: &'static [&'static [u8]] = vec![&*root.to_vec().leak()].leak();
    let rng = Box::leak(Box::new(rand_core::OsRng));
    let clock = Box::leak(Box::new(|| Some(NOW)));
    let node = plain(support::here());
    match (client, own) {
        (Client::Embedded, _) => node.with_tls(Tls::new(buffers, roots, rng, clock)),
        (Client::Rustls, None) => node.with_tls(Rustls::new(buffers, roots, rng, clock)),
        (Client::Rustls, Some(own)) => {
            node.with_tls(Rustls::new(buffers, roots, rng, clock).with_identity(own))
        }
    }
}

/// A server, if it is there and can be set up so.
fn server(program: Program, setting: Setting, identity: &Identity) -> Option<RealServer> {
    match RealServer::start(program, setting, identity, authority()) {
        Ok(server) => Some(server),
        Err(Absent::Unable) => None,
        Err(Absent::Missing(how_to_get_it)) => {
            skipped(program, &how_to_get_it);
            None
        }
    }
}

/// Posts to a server over two connections, one after the other.
fn ask(node: &mut Node, server: &RealServer) -> [Result<u16, Error>; 2] {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = support::by_name(server.port());
    let mut ask = || {
        let result = runtime.block_on(post(node, &url)).map(|reply| reply.code);
        node.disconnect();
        result
    };
    let first = ask();
    // A person who types answers would answer the second request with what was meant for the first.
    [first, if first.is_ok() { ask() } else { first }]
}

impl Outcome {
    fn is(self, program: Program, result: &Result<u16, Error>) -> bool {
        match (self, result) {
            (Delivered, Ok(code)) => matches!(code, 200 | 202),
            // Its server knows no POST. The page that says so has no status line, but came through TLS.
            (Delivered, Err(error)) => {
                program == Program::Gnutls && *error == Error::Malformed(Malformed::StatusLine)
            }
            (NeedsP384, _) if cfg!(feature = "p384") => Delivered.is(program, result),
            (NeedsP384, _) => NOTHING_IN_COMMON.is(program, result),
            (Fails(expected), Err(error)) => expected == *error,
            (IfRecordsFit, Err(Error::TlsSession(TlsFailure::Unsupported(limit)))) => {
                matches!(limit, Limit::RecordTooLarge(_))
            }
            (IfRecordsFit, _) => Delivered.is(program, result),
            // embedded-tls does not tell the alert's code. nginx has a status for it. Others have closed the
            // connection when the request comes.
            (Refused, Err(Error::TlsSession(failure))) => {
                matches!(failure, TlsFailure::Alert(42 | 116) | TlsFailure::Aborted)
            }
            (Refused, Ok(400) | Err(Error::Closed | Error::Disconnected(_))) => true,
            (TooOld, Err(error)) => {
                [40, 70].map(|code| Error::Tls(TlsFailure::Alert(code))).contains(error)
            }
            _ => false,
        }
    }
}

/// What is wrong, one below the other, so that a failure shows the whole table.
#[derive(Default)]
struct Table {
    wrong: String,
    tried: usize,
}

impl Table {
    fn check(&mut self, is_right: bool, what: String) {
        self.tried += 1;
        if !is_right {
            self.wrong += &(what + "\n");
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        println!("{} handshakes", self.tried);
        assert!(self.wrong.is_empty() || std::thread::panicking(), "\n{}", self.wrong);
    }
}

#[test]
fn servers_that_are_set_up_in_every_way() {
    let mut table = Table::default();
    for Row { server, setting, identity, room, embedded, rustls } in ROWS {
        let identity = identity();
        for program in Program::ALL {
            for (client, expected) in CLIENTS.into_iter().zip([embedded, rustls]) {
                let Some(real) = self::server(program, setting, &identity) else { continue };
                for result in ask(&mut node(client, room, authority().root(), None), &real) {
                    let what = format!("{server}, {room}: {program:?}, {client:?}: {result:?}");
                    table.check(expected.is(program, &result), what);
                }
            }
        }
    }
}

/// The features of this build that certificates may need.
const FEATURES: [(&str, bool); 2] =
    [("p384", cfg!(feature = "p384")), ("rsa", cfg!(feature = "rsa"))];

fn has(needs: &[&str]) -> bool {
    needs.iter().all(|feature| FEATURES.contains(&(feature, true)))
}

#[test]
fn the_best_known_public_receivers() {
    let mut table = Table::default();
    for receiver in RECEIVERS {
        let (identity, root) = receiver.chain(pki::NAME);
        for program in Program::ALL {
            let Some(real) = server(program, Usual, &identity) else { continue };
            for client in CLIENTS {
                for result in ask(&mut node(client, SMALL, &root, None), &real) {
                    let is_right = match &result {
                        // Each reason names what is missing.
                        Err(Error::Tls(failure)) if !has(receiver.needs) => {
                            let text = failure.to_string();
                            receiver.needs.iter().any(|feature| text.contains(feature))
                        }
                        result => has(receiver.needs) && Delivered.is(program, result),
                    };
                    let what = format!("{}: {program:?}, {client:?}: {result:?}", receiver.name);
                    table.check(is_right, what);
                }
            }
        }
    }
}

#[test]
fn a_second_connection_resumes_the_session() {
    let mut table = Table::default();
    // GnuTLS does not tell.
    for program in Program::ALL.into_iter().filter(|program| *program != Program::Gnutls) {
        for (client, second) in CLIENTS.into_iter().zip([200, 202]) {
            let Some(real) = server(program, Usual, &usual()) else { continue };
            let results = ask(&mut node(client, ROOM, authority().root(), None), &real);
            let is_right = results == [Ok(200), Ok(second)];
            table.check(is_right, format!("{program:?}, {client:?}: {results:?}"));
        }
    }
}

#[test]
fn a_certificate_of_the_node_is_taken_from_its_owner() {
    let mut table = Table::default();
    let good = authority().issue(Kind::P256, pki::for_clients(leaf()));
    let thief = Identity { key: usual().key, ..good.clone() };
    for program in Program::ALL {
        let Some(real) = server(program, Setting::WantsCertificate, &usual()) else { continue };
        for (own, is_good) in [(&good, true), (&thief, false)] {
            let mut node = node(Client::Rustls, ROOM, authority().root(), Some(shown(own)));
            for result in ask(&mut node, &real) {
                let is_right = if is_good {
                    Delivered.is(program, &result)
                } else {
                    // 51 is decrypt_error: the signature is not this certificate's.
                    matches!(
                        result,
                        Err(Error::TlsSession(TlsFailure::Alert(_)) | Error::Disconnected(_))
                    )
                };
                table.check(is_right, format!("{program:?}, {is_good}: {result:?}"));
            }
        }
    }
}

/// As the node shows it.
fn shown(identity: &Identity) -> ClientIdentity {
    let chain = identity.chain.iter().map(|der| &*der.clone().leak());
    // rcgen's keys: the secret is behind a header of 36 bytes (RFC 5208 and RFC 5915).
    let secret = identity.key[36..68].try_into().unwrap();
    ClientIdentity::new(chain.collect::<Vec<&'static [u8]>>().leak(), secret).unwrap()
}
