//! Hashes and HMAC for rustls, by RustCrypto's sha2 and hmac.

use alloc::boxed::Box;
use core::marker::PhantomData;

use hmac::digest::Digest;
use hmac::{Mac, SimpleHmac};
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::hmac::{Hmac, Key, Tag};

/// A hash function of RustCrypto as rustls wants it: the hash itself, and HMAC over it.
pub(super) struct Hashing<D> {
    algorithm: HashAlgorithm,
    hash: PhantomData<fn() -> D>,
}

pub(super) type Sha256 = Hashing<sha2::Sha256>;
pub(super) static SHA256: Sha256 = Hashing { algorithm: HashAlgorithm::SHA256, hash: PhantomData };

#[cfg(feature = "p384")]
pub(super) type Sha384 = Hashing<sha2::Sha384>;
#[cfg(feature = "p384")]
pub(super) static SHA384: Sha384 = Hashing { algorithm: HashAlgorithm::SHA384, hash: PhantomData };

/// What the traits of rustls ask of a hash function.
pub(super) trait Function:
    Digest + hmac::digest::core_api::BlockSizeUser + Clone + Send + Sync + 'static
{
}

impl<D: Digest + hmac::digest::core_api::BlockSizeUser + Clone + Send + Sync + 'static> Function
    for D
{
}

impl<D: Function> Hash for Hashing<D> {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(D::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&D::digest(data))
    }

    fn output_len(&self) -> usize {
        <D as Digest>::output_size()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }
}

struct Running<D>(D);

impl<D: Function> Context for Running<D> {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

impl<D: Function> Hmac for Hashing<D> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        Box::new(Keyed::<D>(SimpleHmac::new_from_slice(key).expect("a key of any length")))
    }

    fn hash_output_len(&self) -> usize {
        <D as Digest>::output_size()
    }
}

struct Keyed<D: Function>(SimpleHmac<D>);

impl<D: Function> Key for Keyed<D> {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut mac = self.0.clone();
        mac.update(first);
        middle.iter().for_each(|part| mac.update(part));
        mac.update(last);
        Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        <D as Digest>::output_size()
    }
}
