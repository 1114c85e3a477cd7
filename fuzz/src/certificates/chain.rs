//! Reads a chain of certificates from an input.
//!
//! A byte for the key that the server holds, and one for the number of certificates. Then for each certificate six
//! bytes: names, keys, rules, usage, whom it is for, and constraints. The rest is damage, four bytes each: which
//! certificate, where (two bytes), and what is done there; it is signed again.

use std::fmt;
use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SigningKey as _,
    date_time_ymd,
};

use crate::tls::NAME;

/// The most certificates.
const CERTIFICATES_MAX: usize = 8;
const FIELDS: usize = 6;
/// The number of the Ed25519 key.
pub(super) const ED25519: usize = 5;

/// Three on P-256, one on P-384, RSA, and Ed25519. Always the same, so that an input is always the same chain, but for
/// its signatures.
pub(super) static KEYS: LazyLock<[KeyPair; 6]> = LazyLock::new(|| {
    [
        include_str!("p256-0.pem"),
        include_str!("p256-1.pem"),
        include_str!("p256-2.pem"),
        include_str!("p384.pem"),
        include_str!("rsa.pem"),
        include_str!("ed25519.pem"),
    ]
    .map(|pem| KeyPair::from_pem(pem).expect("a key"))
});

/// The two trusted certificates: the first two names, with the first key and the one on P-384.
pub(super) fn roots() -> &'static [Vec<u8>; 2] {
    static ROOTS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        [(0, 0), (1, 3)].map(|(name, key)| {
            let mut params = named(name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.self_signed(&KEYS[key]).expect("a root").der().to_vec()
        })
    });
    &ROOTS
}

fn named(name: u8) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("authority {}", name % 4));
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
    params
}

/// What a server shows.
pub(super) struct Chain {
    /// The number of the key that the server holds.
    pub(super) holds: usize,
    pub(super) certificates: Vec<Vec<u8>>,
    fields: Vec<[u8; FIELDS]>,
}

/// By what it was made of.
impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.holds, self.fields)
    }
}

impl Chain {
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let ([holds, count], mut rest) = data.split_first_chunk::<2>()?;
        let mut fields = Vec::new();
        for _ in 0..=usize::from(*count) % CERTIFICATES_MAX {
            let (these, others) = rest.split_first_chunk::<FIELDS>()?;
            fields.push(*these);
            rest = others;
        }
        let mut certificates: Vec<Vec<u8>> = fields.iter().map(certificate).collect();
        while let Some(([which, high, low, how], others)) = rest.split_first_chunk::<4>() {
            let which = usize::from(*which) % certificates.len();
            let at = u16::from_be_bytes([*high, *low]);
            damage(&mut certificates[which], at, *how, signer(&fields[which]));
            rest = others;
        }
        Some(Self { holds: usize::from(*holds) % KEYS.len(), certificates, fields })
    }

    pub(super) fn has_ed25519(&self) -> bool {
        self.holds == ED25519
            || self
                .fields
                .iter()
                .any(|fields| number(fields[1]) == ED25519 || number(fields[1] >> 4) == ED25519)
    }

    /// Do certificates have the same subject, each other's or a root's?
    pub(super) fn shares_a_name(&self) -> bool {
        let names: Vec<u8> = self.fields[1..].iter().map(|fields| fields[0] % 4).collect();
        names
            .iter()
            .any(|name| *name < 2 || names.iter().filter(|other| *other == name).count() > 1)
    }

    pub(super) fn has_ca_without_cert_sign(&self) -> bool {
        self.fields[1..].iter().any(|fields| matches!(fields[3] % 4, 2 | 3))
    }
}

fn number(key: u8) -> usize {
    usize::from(key & 15) % 6
}

fn signer(fields: &[u8; FIELDS]) -> &'static KeyPair {
    &KEYS[number(fields[1] >> 4)]
}

/// A certificate as these bytes say.
fn certificate(fields: &[u8; FIELDS]) -> Vec<u8> {
    let [names, _, rules, usage, whom, constraints] = *fields;
    let mut params = named(names);
    params.is_ca = match rules % 8 {
        0..=2 => IsCa::Ca(BasicConstraints::Unconstrained),
        3 => IsCa::Ca(BasicConstraints::Constrained(0)),
        4 => IsCa::Ca(BasicConstraints::Constrained(1)),
        5 => IsCa::ExplicitNoCa,
        _ => IsCa::NoCa,
    };
    match rules >> 3 & 7 {
        1 => params.not_after = date_time_ymd(2026, 11, 22),
        2 => params.not_before = date_time_ymd(2026, 11, 24),
        _ => {}
    }
    params.key_usages = match usage % 4 {
        0 => vec![],
        1 => vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature],
        2 => vec![KeyUsagePurpose::DigitalSignature],
        _ => vec![KeyUsagePurpose::CrlSign],
    };
    params.extended_key_usages = match usage >> 2 & 7 {
        1 => vec![ExtendedKeyUsagePurpose::ServerAuth],
        2 => vec![ExtendedKeyUsagePurpose::ClientAuth],
        3 => vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth],
        4 => vec![ExtendedKeyUsagePurpose::Any],
        _ => vec![],
    };
    if usage >> 5 == 7 {
        let mut unknown =
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55_555, 1], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
    }
    let for_whom: &[&str] = match whom % 8 {
        0..=2 => &[NAME],
        3 => &["*.test"],
        4 => &["other.test"],
        5 => &["127.0.0.1"],
        6 => &["other.test", "RECEIVER.test"],
        _ => &[],
    };
    let for_whom: Vec<String> = for_whom.iter().map(|name| (*name).into()).collect();
    params.subject_alt_names = CertificateParams::new(for_whom).expect("names").subject_alt_names;
    let tree = |name: &str| vec![GeneralSubtree::DnsName(name.into())];
    let constraint = |permitted, excluded| {
        Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded })
    };
    params.name_constraints = match constraints % 16 {
        1 => constraint(tree("test"), vec![]),
        2 => constraint(tree("other.test"), vec![]),
        3 => constraint(vec![], tree(NAME)),
        4 => constraint(vec![], tree("other.test")),
        5 => constraint(tree(NAME), tree("other.test")),
        _ => None,
    };
    let issuer = Issuer::new(named(names >> 4), signer(fields));
    let key = &KEYS[number(fields[1])];
    params.signed_by(key, &issuer).expect("a certificate").der().to_vec()
}

/// Changes a byte of what is signed, and signs that again; or a byte behind it, and does not.
fn damage(certificate: &mut [u8], at: u16, how: u8, key: &KeyPair) {
    // The outer sequence has a length of two bytes, and so has what is signed, the first in it.
    let [0x30, 0x82, _, _, 0x30, 0x82, high, low, ..] = *certificate else { return };
    let end = 8 + usize::from(u16::from_be_bytes([high, low]));
    let place = usize::from(at) % certificate.len();
    certificate[place] ^= how.max(1);
    if !(4..end).contains(&place) || end > certificate.len() {
        return;
    }
    let signature = key.sign(&certificate[4..end]).expect("a signature");
    // A shorter or longer one does not fit, and is left as it is.
    if let Some(tail) = certificate.len().checked_sub(signature.len())
        && certificate[tail - 3..tail].ends_with(&[signature.len() as u8 + 1, 0])
    {
        certificate[tail..].copy_from_slice(&signature);
    }
}

#[cfg(test)]
pub(crate) const WORDS: &[&str] = &["\0\0\0\0", "\0\x10\0\0\0\0", "\x11\x11\0\x01\x04\0"];

#[cfg(test)]
pub(crate) fn grammar() -> proptest::prelude::BoxedStrategy<Vec<u8>> {
    use proptest::collection::vec;
    use proptest::prelude::*;

    // From the root down: each is signed by the one above, with a new name and key, and most rules are good.
    let rules = prop_oneof![8 => Just(0_u8), 1 => any::<u8>()];
    let usage = prop_oneof![6 => Just(0_u8), 4 => Just(1), 2 => Just(5), 1 => any::<u8>()];
    let constraints = prop_oneof![6 => Just(0_u8), 2 => 1_u8..6];
    let own = (0_u8..4, 0_u8..6, rules, usage, 0_u8..8, constraints);
    let leaf = prop_oneof![4 => Just(0_u8), 1 => 0_u8..8];
    let leaf_rules = prop_oneof![6 => Just(7_u8), 1 => any::<u8>()];
    let cheat = prop_oneof![3 => Just(None), 1 => (any::<prop::sample::Index>(), 0_usize..6, any::<u8>()).prop_map(Some)];
    let damage = prop_oneof![2 => Just(vec![]), 1 => vec(any::<u8>(), 4..9)];
    let holds = prop_oneof![9 => Just(None), 1 => (0_u8..6).prop_map(Some)];
    (any::<bool>(), vec(own, 1..7), leaf, leaf_rules, cheat, damage, holds)
        .prop_map(|(second, cas, leaf, leaf_rules, cheat, damage, holds)| {
            let (mut name, mut key) = if second { (1, 3) } else { (0, 0) };
            let mut fields = Vec::new();
            for (subject, subject_key, rules, usage, whom, constraints) in cas {
                let names = subject | name << 4;
                fields.push([names, subject_key | key << 4, rules, usage, whom, constraints]);
                (name, key) = (subject, subject_key);
            }
            let last = fields.last_mut().expect("one at least");
            (last[2], last[4], last[5]) = (leaf_rules, leaf, 0);
            fields.reverse();
            if let Some((which, field, value)) = cheat {
                let which = which.index(fields.len());
                fields[which][field] = value;
            }
            let holds = holds.unwrap_or(fields[0][1] & 15);
            let count = u8::try_from(fields.len() - 1).expect("few");
            [vec![holds, count], fields.concat(), damage].concat()
        })
        .boxed()
}
