//! Logins by keys, against the keys of async-nats.

use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use nkeys::{KeyPair, KeyPairType};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::destination::{EndpointBuf, Policy};
use crate::{Instant, Message, Writer};

const NOW: Instant = Instant::from_micros(0);
const JWT: &str = "eyJ0eXAi.eyJqdGki.c2ln-_";

fn greeted(info: &str) -> Session {
    let endpoint = EndpointBuf::<64>::parse_with(SCHEMES, "nats://h/p", Policy::default());
    let mut session = Session::new(&endpoint.unwrap().get(), NOW);
    assert_eq!(session.received(info.as_bytes(), NOW), Ok(None));
    assert!(session.is_greeted());
    session
}

fn asks(nonce: &str) -> Session {
    greeted(&format!("INFO {{\"server_id\":\"X\",\"nonce\":\"{nonce}\"}}\r\n"))
}

fn pair() -> (KeyPair, Seed) {
    let pair = KeyPair::new_user();
    let seed = Seed::parse(&pair.seed().unwrap()).unwrap();
    (pair, seed)
}

/// What a server reads of a hello: the options.
fn options(login: Login<'_>, session: &Session) -> Map<String, Value> {
    let (mut buf, message) = ([0; 512], Message::new(&[], b"{}"));
    let mut out = Writer::new(&mut buf);
    let jwt_at = hello(&mut out, login, session, Inbox::of(&message)).unwrap();
    let (front, back) = str::from_utf8(out.finish()).unwrap().split_at(jwt_at);
    let text = [front, login.jwt(), back].concat();
    let (line, rest) = text.split_once("\r\n").unwrap();
    assert_eq!(rest, "SUB _INBOX.0-0000000000000000.* 1\r\n");
    serde_json::from_str(line.strip_prefix("CONNECT ").unwrap()).unwrap()
}

fn is_signed_by(pair: &KeyPair, nonce: &str, options: &Map<String, Value>) -> bool {
    let signature = Base64UrlUnpadded::decode_vec(options["sig"].as_str().unwrap()).unwrap();
    pair.verify(nonce.as_bytes(), &signature).is_ok()
}

#[test]
fn a_key_signs_what_the_server_asks() {
    let (pair, seed) = pair();
    let said = options(Login::NKey(&seed), &asks("Xk3_-9"));
    assert_eq!(said["nkey"], json!(pair.public_key()));
    assert!(is_signed_by(&pair, "Xk3_-9", &said));
    assert!(!is_signed_by(&pair, "Xk3_-8", &said));
    assert!(!said.contains_key("jwt"));
}

#[test]
fn a_jwt_is_shown_with_the_signature_of_its_key() {
    let (pair, seed) = pair();
    let credentials = Credentials::new(JWT, seed).unwrap();
    let said = options(Login::Jwt(&credentials), &asks("n"));
    assert_eq!(said["jwt"], json!(JWT));
    assert!(is_signed_by(&pair, "n", &said));
    assert!(!said.contains_key("nkey"));
}

#[test]
fn other_logins_sign_nothing() {
    for login in [Login::None, Login::Token("t"), Login::User { name: "n", password: "p" }] {
        let said = options(login, &asks("n"));
        assert!(!["sig", "nkey", "jwt"].iter().any(|name| said.contains_key(*name)));
        assert_eq!(greeted("INFO {}\r\n").takes(login), Ok(()));
    }
}

#[test]
fn a_server_that_asks_for_no_signature_takes_no_key() {
    let (_, seed) = pair();
    let credentials = Credentials::new(JWT, seed.clone()).unwrap();
    let long = "x".repeat(65);
    for info in [
        "INFO {}\r\n",
        "INFO {\"nonce\":\"\"}\r\n",
        "INFO {\"nonce\":1}\r\n",
        "INFO {\"nonce\":\"a\\u0041\"}\r\n",
        "INFO {\"nonce\":\"unfinished\r\n",
        "INFO {\"a\":{\"nonce\":\"n\"}}\r\n",
        "INFO {\"a\":\"nonce\",\"b\":\"n\"}\r\n",
        "INFO {\"nonces\":\"n\",\"nonc\":\"n\",\"\\\"nonce\":\"n\"}\r\n",
        &format!("INFO {{\"nonce\":\"{long}\"}}\r\n"),
    ] {
        let session = greeted(info);
        for login in [Login::NKey(&seed), Login::Jwt(&credentials)] {
            assert_eq!(session.takes(login), Err(Fault::NoNonce), "{info}");
        }
    }
}

#[test]
fn the_nonce_is_that_of_the_first_line_wherever_it_stands() {
    let long = "x".repeat(10_000);
    let info = format!("INFO {{\"urls\":[\"{long}\"],\"nonce\" : \"n\",\"b\":1}}\r\n");
    let mut session = greeted(&info);
    assert_eq!(session.nonce(), b"n");
    assert_eq!(session.received(b"INFO {\"nonce\":\"m\"}\r\n", NOW), Ok(None));
    assert_eq!(session.nonce(), b"n");
}

#[test]
fn what_is_no_seed_of_a_user_is_told_why() {
    let user = KeyPair::new_user();
    let seed = user.seed().unwrap();
    let other = if &seed[20..21] == "A" { "B" } else { "A" };
    for (text, expected) in [
        (String::new(), SeedError::Letters),
        (format!("{seed} "), SeedError::Letters),
        (seed.to_lowercase(), SeedError::Letters),
        (user.public_key(), SeedError::Letters),
        (format!("{}1{}", &seed[..30], &seed[31..]), SeedError::Letters),
        // The last letter has two bits that stand for nothing.
        (format!("{}B", &seed[..57]), SeedError::Letters),
        (format!("{}{other}{}", &seed[..20], &seed[21..]), SeedError::Checksum),
        (KeyPair::new_account().seed().unwrap(), SeedError::Kind),
        (KeyPair::new_operator().seed().unwrap(), SeedError::Kind),
    ] {
        assert_eq!(Seed::parse(&text).err(), Some(expected), "{text}");
    }
}

#[test]
fn credentials_are_read_as_nsc_writes_them() {
    let (pair, seed) = pair();
    let text = pair.seed().unwrap();
    let begin = format!("-----BEGIN NATS USER JWT-----\n{JWT}\n------END NATS USER JWT------\n");
    let end = format!(
        "\n*** IMPORTANT ***\n\n-----BEGIN USER NKEY SEED-----\n{text}\n------END USER NKEY SEED------\n"
    );
    let file = [&*begin, &end].concat();
    let expected = Credentials::new(JWT, seed).unwrap();
    for file in [file.clone(), file.replace('\n', "\r\n"), [&*end, &begin].concat()] {
        assert_eq!(Credentials::parse(&file), Ok(expected.clone()));
    }
    for (file, error) in [
        (String::new(), SeedError::Jwt),
        (end.clone(), SeedError::Jwt),
        (begin.clone(), SeedError::NoSeed),
        (file.replace(JWT, ""), SeedError::Jwt),
        (file.replace(JWT, "a.b"), SeedError::Jwt),
        (file.replace(JWT, "a..b"), SeedError::Jwt),
        (file.replace(JWT, "a.b.c\""), SeedError::Jwt),
        (file.replace(&text, ""), SeedError::NoSeed),
        (file.replace(&text, "SUAAA"), SeedError::Letters),
    ] {
        assert_eq!(Credentials::parse(&file), Err(error), "{file}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let (pair, seed) = pair();
    let credentials = Credentials::new(JWT, seed.clone()).unwrap();
    let shown = format!(
        "{seed:?} {credentials:?} {:?} {:?} {:?}",
        Login::NKey(&seed),
        Login::Jwt(&credentials),
        seed.public(),
    );
    let public = pair.public_key();
    assert_eq!(shown, format!("Seed(..) Credentials(..) NKey(...) Jwt(...) {public}"));
}

/// An INFO in which the nonce may be anywhere, or not at all, among members of any kind.
fn info() -> impl Strategy<Value = Value> {
    let name = prop_oneof![Just("nonce".to_string()), "[a-z\"\\\\]{0,6}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        "[A-Za-z0-9_-]{0,80}".prop_map(Value::from),
        "[ -~]{0,8}".prop_map(Value::from),
    ];
    let names = name.clone();
    let value = leaf.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((names.clone(), inner), 0..4)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    });
    proptest::collection::vec((name, value), 0..8).prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn seeds_are_those_of_nkeys(bytes in any::<[u8; 32]>(), nonce in "[A-Za-z0-9_-]{1,64}") {
        let pair = KeyPair::new_from_raw(KeyPairType::User, bytes).unwrap();
        let seed = Seed::parse(&pair.seed().unwrap()).unwrap();
        prop_assert_eq!(seed.public().to_string(), pair.public_key());
        prop_assert!(is_signed_by(&pair, &nonce, &options(Login::NKey(&seed), &asks(&nonce))));
    }

    /// A letter that is wrong is found.
    #[test]
    fn a_wrong_letter_is_found(bytes in any::<[u8; 32]>(), at in 0..58_usize, letter in "[A-Z2-7]") {
        let seed = KeyPair::new_from_raw(KeyPairType::User, bytes).unwrap().seed().unwrap();
        let wrong = [&seed[..at], &letter, &seed[at + 1..]].concat();
        prop_assert_eq!(Seed::parse(&wrong).is_ok(), wrong == seed);
    }

    #[test]
    fn no_text_makes_a_panic(text in "\\PC*|S[A-Z2-7]{57}|[-A-Z. \n]{0,200}") {
        let _ = Seed::parse(&text);
        let _ = Credentials::parse(&text);
    }

    /// The nonce is that which a reader of JSON finds.
    #[test]
    fn the_nonce_is_found_among_anything(info in info()) {
        let text = info.to_string();
        let expected = info["nonce"].as_str().filter(|nonce| {
            let is_plain = !nonce.contains(['\\', '"']);
            is_plain && nonce.len() <= 64
        });
        let session = greeted(&format!("INFO {text}\r\n"));
        prop_assert_eq!(session.nonce(), expected.unwrap_or_default().as_bytes());
    }

    /// Whatever comes, in whatever pieces: no panic, and no nonce that is too long.
    #[test]
    fn any_first_line_is_survived(
        line in proptest::collection::vec(prop_oneof![
            any::<u8>(),
            proptest::sample::select(&b"\"\\{}[]:, nonce"[..]),
        ], 0..300),
        cut in 1..50_usize,
    ) {
        let endpoint = EndpointBuf::<64>::parse_with(SCHEMES, "nats://h/p", Policy::default());
        let endpoint = endpoint.unwrap();
        let said: Vec<u8> = [b"INFO ", &line[..], b"\r\n"].concat();
        let (mut whole, mut pieces) =
            (Session::new(&endpoint.get(), NOW), Session::new(&endpoint.get(), NOW));
        let _ = whole.received(&said, NOW);
        for piece in said.chunks(cut) {
            if pieces.received(piece, NOW).is_err() {
                break;
            }
        }
        prop_assert_eq!(whole.nonce(), pieces.nonce());
        prop_assert!(whole.nonce().len() <= 64);
    }
}
