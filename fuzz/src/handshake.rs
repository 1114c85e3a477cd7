//! Messages of a TLS handshake, to both TLS clients of the node. The oracle: what the server has really proved.
//!
//! Takes the letters of the messages in order, each with what is damaged in it: `e`ncrypted extensions, `c`ertificate,
//! certificate `v`erify, `f`inished, `r`equest for a certificate, or `x` and any message. Behind a letter follow the
//! place, how many bytes are replaced there, and how many others follow to take their place; nothing is damaged if
//! both are zero. Before all of it stand the longest piece of a message in a record, and a letter for the first
//! message. The server has the keys and signs and authenticates whatever it says.
//!
//! - Every handshake ends, and none panics.
//! - The node sends a request to nobody who did not show a certificate, prove by a signature that it holds its key,
//!   and finish, each as it should be and in this order.
//! - A handshake as it should be is accepted.
//!
//! Known differences: embedded-tls refuses messages that go on in another record.

use std::sync::LazyLock;

use pilot_webhook_embassy::Error;
use pilot_webhook_tests::hostile_tls::{Behaviour, Hello, Identity, Message, flight, handshake};
use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};

use crate::tls::{CLIENTS, Client, NAME, Server, post};

/// The most messages.
const MESSAGES_MAX: usize = 12;

/// The root to trust, and a server that it knows.
static PARTIES: LazyLock<(Vec<u8>, Identity)> = LazyLock::new(|| {
    let key = |pem| KeyPair::from_pem(pem).expect("a key");
    let [ca, own] =
        [include_str!("certificates/p256-0.pem"), include_str!("certificates/p256-1.pem")];
    let (ca, own) = (key(ca), key(own));
    let params = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2090, 1, 1);
        params
    };
    let root = params(&[]).self_signed(&ca).expect("a root").der().to_vec();
    let issuer = Issuer::new(params(&[]), ca);
    let leaf = params(&[NAME]).signed_by(&own, &issuer).expect("a certificate").der().to_vec();
    (root, Identity { chain: vec![leaf], key: own.serialize_der() })
});

/// Takes what a server does.
pub fn run(data: &[u8]) {
    let Some(script) = Script::read(data) else { return };
    let (root, identity) = &*PARTIES;
    for client in CLIENTS {
        let mut server = Flight { identity, behaviour: Some(script.behaviour.clone()) };
        let result = post(client, &[root], &mut server);
        // The server closes the connection behind its flight, so that a request is not answered.
        let is_accepted = !matches!(result, Err(Error::Tls(_)));
        assert!(!is_accepted || script.has_proved, "{client:?}: {result:?}: {script:?}");
        let is_plain = client == Client::Rustls || script.behaviour.split.is_none();
        assert!(is_accepted || !(script.is_good && is_plain), "{client:?}: {result:?}: {script:?}");
    }
}

#[derive(Debug)]
struct Script {
    behaviour: Behaviour,
    /// Each proof is there, undamaged and in order.
    has_proved: bool,
    /// And nothing else.
    is_good: bool,
}

impl Script {
    fn read(data: &[u8]) -> Option<Self> {
        let ([split, hello], mut rest) = data.split_first_chunk::<2>()?;
        let mut flight = Vec::new();
        // The letters of what is undamaged.
        let mut letters = Vec::new();
        while let Some(([letter, high, low, removed, added], others)) =
            rest.split_first_chunk::<5>()
            && flight.len() < MESSAGES_MAX
        {
            let (more, others) = others.split_at_checked((*added).into())?;
            rest = others;
            let message = match letter {
                b'e' => Message::EncryptedExtensions,
                b'c' => Message::Certificate,
                b'v' => Message::CertificateVerify,
                b'f' => Message::Finished,
                b'r' => Message::CertificateRequest,
                _ => Message::Raw(handshake(*high, more)),
            };
            let is_damaged = (*removed, *added) != (0, 0);
            let at = u16::from_be_bytes([*high, *low]).into();
            flight.push(match message {
                Message::Raw(_) => message,
                _ if is_damaged => {
                    let message = Box::new(message);
                    Message::Damaged(message, at, (*removed).into(), more.to_vec())
                }
                _ => message,
            });
            letters.push(if is_damaged { b'x' } else { *letter });
        }
        let hello = match hello {
            b'g' => Hello::Good,
            b'r' => Hello::RetryRequest,
            b's' => Hello::ShareFirst,
            b'n' => Hello::NoKeyShare,
            b'k' => Hello::BadKeyShare,
            b'x' => Hello::Extension(vec![0, 43, 0, 2, 3, 4]),
            0..32 => Hello::CipherSuite(0x1300 | u16::from(*hello)),
            32..64 => Hello::Group((*hello - 32).into()),
            64..96 => Hello::Version(0x0300 | u16::from(*hello - 64)),
            other => Hello::Compression(*other),
        };
        let is_hello_good = matches!(hello, Hello::Good | Hello::ShareFirst);
        let mut proofs = b"cvf".iter();
        let mut wanted = proofs.next();
        for letter in &letters {
            if Some(letter) == wanted {
                wanted = proofs.next();
            }
        }
        let (has_proved, is_good) = (wanted.is_none(), is_hello_good && letters == b"ecvf");
        let split = (*split > 0).then_some((*split).into());
        let behaviour = Behaviour { hello, split, ..Behaviour::flight(flight) };
        Some(Self { behaviour, has_proved, is_good })
    }
}

/// Sends its flight, and closes the connection.
struct Flight<'f> {
    identity: &'f Identity,
    behaviour: Option<Behaviour>,
}

impl Server for Flight<'_> {
    fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        let behaviour = self.behaviour.take();
        behaviour.map(|behaviour| flight(self.identity, behaviour, bytes)).unwrap_or_default()
    }

    fn has_closed(&self) -> bool {
        self.behaviour.is_none()
    }
}

#[cfg(test)]
pub(crate) const WORDS: &[&str] =
    &["e\0\0\0\0", "c\0\0\0\0", "v\0\0\0\0", "f\0\0\0\0", "r\0\0\0\0", "x\x18\0\0\x01\0", "\0g"];

#[cfg(test)]
pub(crate) fn grammar() -> proptest::prelude::BoxedStrategy<Vec<u8>> {
    use proptest::collection::vec;
    use proptest::prelude::*;

    let split = prop_oneof![4 => Just(0_u8), 1 => any::<u8>()];
    let hello = prop_oneof![12 => Just(b'g'), 1 => any::<u8>()];
    // Bytes that are in place of others, at the beginning of a message more often.
    let place = prop_oneof![2 => 0_u16..16, 1 => 0_u16..600];
    let damage = (place, 0_u8..4, vec(any::<u8>(), 0..4));
    let none = Just((0, 0, vec![]));
    let damage = prop_oneof![6 => none, 1 => damage];
    let letter = prop_oneof![1 => Just(b"r"), 1 => Just(b"x"), 1 => Just(b"e"), 1 => Just(b"f")];
    let other = prop_oneof![5 => Just(None), 1 => (0_usize..5, letter).prop_map(Some)];
    let omitted = prop_oneof![5 => Just(None), 1 => (0_usize..4).prop_map(Some)];
    let swapped = prop_oneof![9 => Just(None), 1 => (0_usize..3).prop_map(Some)];
    (split, hello, vec(damage, 5), other, omitted, swapped)
        .prop_map(|(split, hello, damages, other, omitted, swapped)| {
            let mut letters = b"ecvf".to_vec();
            swapped.iter().for_each(|at| letters.swap(*at, at + 1));
            if let Some(at) = omitted {
                letters.remove(at);
            }
            if let Some((at, letter)) = other {
                letters.insert(at.min(letters.len()), letter[0]);
            }
            let messages =
                letters.iter().zip(damages).flat_map(|(letter, (at, removed, added))| {
                    let [high, low] = u16::to_be_bytes(at);
                    let count = u8::try_from(added.len()).expect("few");
                    [vec![*letter, high, low, removed, count], added].concat()
                });
            [split, hello].into_iter().chain(messages).collect()
        })
        .boxed()
}
