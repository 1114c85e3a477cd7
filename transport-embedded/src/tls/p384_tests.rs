//! Against p384's own multiplication, and against ring, which rustls has.

use std::boxed::Box;
use std::vec::Vec;

use embassy_futures::block_on;
use pki_types::{SignatureVerificationAlgorithm, alg_id};
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PublicKeyData as _, SigningKey as _};
use rustls::crypto::ring;

use super::super::algorithms::SCHEMES;
use super::*;

type Verifier = &'static dyn SignatureVerificationAlgorithm;

/// Scalars whose halves are the least, the greatest, and any others.
fn scalars() -> Vec<Scalar> {
    let mut shift = FieldBytes::default();
    shift[HALF - 1] = 1;
    let shift = Scalar::reduce(&shift);
    let any = Scalar::from(0x1234_5678_9abc_def0_u64).square() * shift.square().square().square();
    let edges = [Scalar::ZERO, Scalar::ONE, shift, shift - Scalar::ONE, -Scalar::ONE];
    edges.into_iter().chain([-shift, any, -any]).collect()
}

#[test]
fn a_combination_in_pieces_is_the_sum_of_both_products() {
    let point = ProjectivePoint::GENERATOR * scalars()[6];
    for point in [point, -ProjectivePoint::GENERATOR] {
        for a in scalars() {
            for b in scalars() {
                let whole = ProjectivePoint::GENERATOR * a + point * b;
                assert_eq!(block_on(combination(a, b, point)), whole, "{a:?} {b:?}");
            }
        }
    }
}

/// Whether ours and ring's find it right. They must not differ.
#[track_caller]
fn holds(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let is = |algorithm: &Verifier| {
        algorithm.signature_alg_id() == alg_id::ECDSA_SHA384
            && algorithm.public_key_alg_id() == alg_id::ECDSA_P384
    };
    let ours = SCHEMES.iter().map(|scheme| scheme as Verifier).find(is).unwrap();
    let all = Box::leak(Box::new(ring::default_provider().signature_verification_algorithms)).all;
    let rings = all.iter().copied().find(is).unwrap();
    let ours = ours.verify_signature(key, message, signature).is_ok();
    assert_eq!(ours, rings.verify_signature(key, message, signature).is_ok());
    ours
}

#[test]
fn what_was_signed_is_right_and_what_was_changed_is_wrong() {
    for _ in 0..2 {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let (key, signature) = (pair.der_bytes(), pair.sign(b"a certificate").unwrap());
        assert!(holds(key, b"a certificate", &signature));
        assert!(!holds(key, b"another one", &signature));
        for at in (0..signature.len()).step_by(3) {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert!(!holds(key, b"a certificate", &changed), "{at}");
        }
        for at in [0, 1, 48, 49, 96] {
            let mut changed = key.to_vec();
            changed[at] ^= 1;
            assert!(!holds(&changed, b"a certificate", &signature), "{at}");
        }
    }
}

#[test]
fn a_key_is_an_uncompressed_point_of_the_curve() {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let (key, signature) = (pair.der_bytes(), pair.sign(b"a certificate").unwrap());
    let compressed = [&[2 + (key[96] & 1)], &key[1..49]].concat();
    let longer = [key, &[0]].concat();
    for other in [&[][..], &[0], &[4], &compressed, &key[..96], &longer, &[0; 97]] {
        assert!(!holds(other, b"a certificate", &signature), "{other:?}");
    }
}

/// A signature of two numbers, each as many bytes long.
fn signature(r: [u8; 49], s: [u8; 49]) -> Vec<u8> {
    let number = |bytes: [u8; 49]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(48);
        let zeros = if bytes[zeros] < 0x80 { zeros } else { zeros - 1 };
        let digits = &bytes[zeros..];
        [&[2, u8::try_from(digits.len()).unwrap()], digits].concat()
    };
    let numbers = [number(r), number(s)].concat();
    [&[0x30, u8::try_from(numbers.len()).unwrap()], &*numbers].concat()
}

#[test]
fn numbers_that_no_signature_has_are_refused() {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    // The order of the group, and numbers beside it.
    let mut order = [0; 49];
    order[1..].copy_from_slice(&FieldBytes::from(-Scalar::ONE));
    order[48] += 1;
    let (mut less, mut one) = (order, [0; 49]);
    (less[48], one[48]) = (order[48] - 1, 1);
    let numbers = [[0; 49], one, less, order, [0x7f; 49]];
    for r in numbers {
        for s in numbers {
            assert!(!holds(pair.der_bytes(), b"a certificate", &signature(r, s)));
        }
    }
}
