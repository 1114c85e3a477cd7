//! Against ring, which rustls has: what it signed is right, and what was changed is right for both or wrong for both.

use std::boxed::Box;
use std::sync::Arc;
use std::vec::Vec;

use pki_types::{AlgorithmIdentifier, PrivateKeyDer, SignatureVerificationAlgorithm, alg_id};
use rustls::SignatureScheme as Code;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::SigningKey;

use super::super::algorithms::SCHEMES;
use super::*;

/// Keys of 2,048, 3,072 and 4,096 bits that openssl made for these tests, because ring makes none.
const KEYS: &[u8] = include_bytes!("rsa_test_keys.pem");
const MESSAGE: &[u8] = b"a certificate, or what else is signed";
const KINDS: [(Code, AlgorithmIdentifier); 6] = [
    (Code::RSA_PKCS1_SHA256, alg_id::RSA_PKCS1_SHA256),
    (Code::RSA_PKCS1_SHA384, alg_id::RSA_PKCS1_SHA384),
    (Code::RSA_PKCS1_SHA512, alg_id::RSA_PKCS1_SHA512),
    (Code::RSA_PSS_SHA256, alg_id::RSA_PSS_SHA256),
    (Code::RSA_PSS_SHA384, alg_id::RSA_PSS_SHA384),
    (Code::RSA_PSS_SHA512, alg_id::RSA_PSS_SHA512),
];

fn keys() -> Vec<Arc<dyn SigningKey>> {
    let keys = PrivateKeyDer::pem_slice_iter(KEYS);
    keys.map(|key| ring::sign::any_supported_type(&key.unwrap()).unwrap()).collect()
}

/// As it is in a certificate.
fn public(key: &dyn SigningKey) -> Vec<u8> {
    let spki = key.public_key().unwrap();
    let (contents, _) = der::contents(&spki).unwrap();
    der::algorithm_and_bits(contents).unwrap().1.to_vec()
}

fn sign(key: &dyn SigningKey, code: Code, message: &[u8]) -> Vec<u8> {
    key.choose_scheme(&[code]).unwrap().sign(message).unwrap()
}

type Verifier = &'static dyn SignatureVerificationAlgorithm;

/// This crate's algorithm and ring's.
fn both(signature: AlgorithmIdentifier) -> (Verifier, Verifier) {
    let is = |algorithm: Verifier| {
        algorithm.signature_alg_id() == signature
            && algorithm.public_key_alg_id() == alg_id::RSA_ENCRYPTION
    };
    let ours = SCHEMES.iter().map(|scheme| scheme as Verifier).find(|scheme| is(*scheme));
    let all = Box::leak(Box::new(ring::default_provider().signature_verification_algorithms)).all;
    (ours.unwrap(), all.iter().copied().find(|algorithm| is(*algorithm)).unwrap())
}

/// Whether both find it right. They must not differ.
#[track_caller]
fn holds(kind: AlgorithmIdentifier, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (ours, rings) = both(kind);
    let ours = ours.verify_signature(key, message, signature).is_ok();
    let rings = rings.verify_signature(key, message, signature).is_ok();
    assert_eq!(ours, rings, "{kind:?} {key:?} {signature:?}");
    ours
}

#[test]
fn what_was_signed_is_right_for_its_kind_key_and_message_only() {
    let keys = keys();
    for key in &keys {
        for (code, kind) in KINDS {
            let signature = sign(&**key, code, MESSAGE);
            for other in &keys {
                let public = public(&**other);
                for (_, other_kind) in KINDS {
                    let same = other_kind == kind && Arc::ptr_eq(key, other);
                    assert_eq!(holds(other_kind, &public, MESSAGE, &signature), same);
                    assert!(!holds(other_kind, &public, b"another message", &signature));
                }
            }
        }
    }
}

#[test]
fn no_bit_of_a_signature_can_be_changed() {
    let keys = keys();
    for (n, (code, kind)) in KINDS.into_iter().enumerate() {
        let key = &*keys[n % keys.len()];
        let public = public(key);
        let signature = sign(key, code, MESSAGE);
        for byte in 0..signature.len() {
            let mut changed = signature.clone();
            changed[byte] ^= 1 << (byte % 8);
            assert!(!holds(kind, &public, MESSAGE, &changed), "{kind:?} {byte}");
        }
    }
}

#[test]
fn no_byte_of_a_key_can_be_changed() {
    let key = &*keys()[0];
    let public = public(key);
    for (code, kind) in [KINDS[0], KINDS[3]] {
        let signature = sign(key, code, MESSAGE);
        for byte in 0..public.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = public.clone();
                changed[byte] ^= change;
                assert!(!holds(kind, &changed, MESSAGE, &signature), "{kind:?} {byte} {change}");
            }
        }
    }
}

#[test]
fn lengths_count() {
    let key = &*keys()[0];
    let public = public(key);
    for (code, kind) in KINDS {
        let signature = sign(key, code, MESSAGE);
        for wrong in [
            &[][..],
            &[0],
            &signature[1..],
            &signature[..255],
            &[&[0], &signature[..]].concat(),
            &[&signature[..], &[0]].concat(),
            &[0; 256],
            &[0xff; 256],
            &[0xff; 512],
            &[0xff; 600],
        ] {
            assert!(!holds(kind, &public, MESSAGE, wrong));
        }
        for wrong in [&[][..], &public[..public.len() - 1], &[&public[..], &[0]].concat()] {
            assert!(!holds(kind, wrong, MESSAGE, &signature));
        }
    }
}

/// A key of these numbers.
fn key_of(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let integer = |digits: &[u8]| {
        let length = u16::try_from(digits.len()).unwrap().to_be_bytes();
        match digits.len() {
            ..=127 => [&[2, length[1]], digits].concat(),
            128..=255 => [&[2, 0x81, length[1]], digits].concat(),
            _ => [&[2, 0x82, length[0], length[1]], digits].concat(),
        }
    };
    let numbers = [integer(modulus), integer(exponent)].concat();
    let mut key = integer(&numbers);
    key[0] = 0x30;
    key
}

/// With an exponent of one, and with a signature of zero or one, anybody signs.
#[test]
fn keys_and_signatures_that_prove_nothing() {
    let key = public(&*keys()[0]);
    let (modulus, _) = der::two_integers(&key).unwrap();
    let positive = [&[0], modulus].concat();
    let (_, kind) = KINDS[0];
    let hash = Sha256::digest(MESSAGE);
    let encoded = [&[0, 1][..], &[0xff; 202], &[0], Sha256::DIGEST_INFO, &hash].concat();
    assert_eq!(encoded.len(), 256);
    for exponent in [&[1][..], &[2], &[0], &[0xff], &[3, 0], &[1, 0, 0], &[2, 0, 0, 0, 1]] {
        assert!(!holds(kind, &key_of(&positive, exponent), MESSAGE, &encoded), "{exponent:?}");
    }
    // Small and even moduli, and ones that are too long.
    for modulus in [&[3][..], &[0x7f; 255], &positive[..200], &[0x7f; 513], &[0x7e; 256], &[1; 256]]
    {
        assert!(!holds(kind, &key_of(modulus, &[1, 0, 1]), MESSAGE, &encoded));
    }
    // The modulus more than what was signed.
    let signature = sign(&*keys()[0], Code::RSA_PKCS1_SHA256, MESSAGE);
    let mut carry = 0;
    let mut more: Vec<u8> = signature
        .iter()
        .zip(modulus)
        .rev()
        .map(|(a, b)| {
            carry += u16::from(*a) + u16::from(*b);
            let byte = carry.to_be_bytes()[1];
            carry >>= 8;
            byte
        })
        .collect();
    more.reverse();
    assert!(carry > 0 || !holds(kind, &key, MESSAGE, &more));
}

/// With a modulus of a whole number of bytes and one bit, the encoded message is a byte shorter.
#[test]
fn a_modulus_of_2049_bits() {
    // A key and a PSS signature with SHA-256, made for this test.
    let (key, signature) = include_bytes!("rsa_test_2049.bin").split_at(270);
    let (_, kind) = KINDS[3];
    assert!(holds(kind, key, MESSAGE, signature));
    let mut changed = signature.to_vec();
    changed[9] ^= 1;
    assert!(!holds(kind, key, MESSAGE, &changed));
}
