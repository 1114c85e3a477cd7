//! The signatures that a server's authentication depends on: listed in the handshake, checked after it.
//!
//! A check costs a slow core a good part of a second, and webpki makes all of a chain's in one call,
//! inside of embedded-tls. So webpki is told that every signature is right, which makes it walk the paths
//! from the server to a root that are right but for signatures. They are on a list then, and are checked one
//! by one, with time for other tasks before each. The server is authentic if all of one path's and its
//! own are right.
//!
//! The list is short: a server can choose how many certificates it shows, but not how much work they make.

use core::cell::RefCell;
use core::fmt;

use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use heapless::Vec;
use pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use super::algorithms::{ECDSA_MAX, RSA_MAX, SCHEMES, SCHEMES_COUNT, Scheme, ServerKey};
use super::failure::{CertificateFault, TlsFailure};

/// The most signatures that are checked in a handshake, fewer than 16.
///
/// The longest chain that is taken needs six: one for each of its five certificates, and one by which the
/// server proves that it holds its key. The others are for roots of one name.
const CHECKS_MAX: usize = 8;
/// The most paths that are tried. There is more than one only if certificates share a name: the roots before
/// and after a renewal do. Arbitrary.
const PATHS_MAX: usize = 3;
/// Room for all of ECDSA, or for three of RSA with 4,096 bits and some of ECDSA.
const BYTES_MAX: usize = match () {
    () if cfg!(feature = "rsa") => 3 * RSA_MAX + 3 * ECDSA_MAX,
    () => CHECKS_MAX * ECDSA_MAX,
};

/// Why a server is not authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its proof that it holds its key is wrong.
    Proof,
    /// On each path, a signature is wrong.
    Paths,
    /// The same, but more paths or signatures were found than are checked.
    TooMany,
}

impl From<Fault> for TlsFailure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Proof => Self::BadSignature,
            Fault::Paths => Self::CertificateSignature,
            Fault::TooMany => Self::Certificate(CertificateFault::TooComplex),
        }
    }
}

/// The list of one handshake.
///
/// The lock is there because webpki asks that algorithms can be shared; one task does the handshake.
#[derive(Debug)]
pub(super) struct Checks(Mutex<CriticalSectionRawMutex, RefCell<List>>);

/// The checks of a path by their numbers, from the root down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Path {
    /// Four bits each, the last one lowest.
    numbers: u32,
    length: usize,
}

#[derive(Debug)]
struct List {
    /// Each check's key, hash and signature, one behind the other.
    bytes: Vec<u8, BYTES_MAX>,
    checks: Vec<Check, CHECKS_MAX>,
    /// The numbers of the checks that webpki asked for last, four bits each.
    recent: u32,
    paths: Vec<Path, PATHS_MAX>,
    /// Something was not listed, because there was no room.
    overflowed: bool,
}

#[derive(Debug)]
struct Check {
    scheme: &'static Scheme,
    start: usize,
    key: usize,
    hash: usize,
    signature: usize,
    /// Is it right? Not known before it was checked.
    right: Option<bool>,
}

impl Checks {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(RefCell::new(List {
            bytes: Vec::new(),
            checks: Vec::new(),
            recent: 0,
            paths: Vec::new(),
            overflowed: false,
        })))
    }

    fn with<T>(&self, change: impl FnOnce(&mut List) -> T) -> T {
        self.0.lock(|list| change(&mut list.borrow_mut()))
    }

    /// Calls `with` what certificates may be signed with. Their signatures are listed instead of checked.
    pub(super) fn listing<T>(
        &self,
        with: impl FnOnce(&[&dyn SignatureVerificationAlgorithm]) -> T,
    ) -> T {
        let listed: [Listed<'_>; SCHEMES_COUNT] =
            SCHEMES.each_ref().map(|scheme| Listed { scheme, checks: self });
        with(&listed.each_ref().map(|scheme| scheme as &dyn SignatureVerificationAlgorithm))
    }

    /// The last `signatures` that webpki asked for make up a path. Returns whether it shall look for more.
    pub(super) fn end_path(&self, signatures: usize) -> bool {
        self.with(|list| {
            let numbers = list.recent & !(u32::MAX << (4 * signatures));
            let path = Path { numbers, length: signatures };
            if !list.paths.contains(&path) {
                list.overflowed |= list.paths.push(path).is_err();
            }
            !list.overflowed
        })
    }

    pub(super) fn has_path(&self) -> bool {
        self.with(|list| !list.paths.is_empty())
    }

    /// Was there no room for something? Then it is not known what is wrong.
    pub(super) fn has_overflowed(&self) -> bool {
        self.with(|list| list.overflowed)
    }

    /// Lists the server's proof that it holds its key: a signature by the scheme of this number in TLS.
    /// Returns the number of the check, if there is room.
    pub(super) fn list_proof(
        &self,
        key: &ServerKey,
        scheme: u16,
        message: &[u8],
        signature: &[u8],
    ) -> Result<u8, TlsFailure> {
        let scheme = key.scheme(scheme).map_err(TlsFailure::UnsupportedAlgorithm)?;
        let hash = scheme.hash(message);
        let listed = self.with(|list| list.add(scheme, [key.bytes(), &hash, signature]));
        listed.ok_or(Fault::TooMany.into())
    }

    /// Checks the proof of this number, and then one path after the other until one is right. Other tasks run
    /// before each signature.
    pub(super) async fn verify(&mut self, proof: u8) -> Result<(), Fault> {
        let list = self.0.get_mut().get_mut();
        if !list.hold(Path { numbers: proof.into(), length: 1 }).await {
            return Err(Fault::Proof);
        }
        for path in list.paths.clone() {
            if list.hold(path).await {
                return Ok(());
            }
        }
        Err(if list.overflowed { Fault::TooMany } else { Fault::Paths })
    }
}

impl List {
    /// Are all these signatures right? Each is checked once, and none behind a wrong one.
    async fn hold(&mut self, path: Path) -> bool {
        for n in (0..path.length).rev() {
            let number = path.numbers >> (4 * n) & 15;
            let Some(check) = self.checks.get_mut(number as usize) else { return false };
            if check.right.is_none() {
                yield_now().await;
                check.right = Some(check.holds(&self.bytes).await);
            }
            if check.right != Some(true) {
                return false;
            }
        }
        true
    }

    /// Lists a check, unless it is there. Returns its number.
    fn add(&mut self, scheme: &'static Scheme, parts: [&[u8]; 3]) -> Option<u8> {
        let known = self.checks.iter().position(|check| {
            core::ptr::eq(check.scheme, scheme) && check.parts(&self.bytes) == Some(parts)
        });
        let number = match known {
            Some(number) => number,
            None => {
                let [key, hash, signature] = parts.map(<[u8]>::len);
                let start = self.bytes.len();
                let check = Check { scheme, start, key, hash, signature, right: None };
                let room = self.bytes.capacity() - self.bytes.len();
                if key + hash + signature > room || self.checks.push(check).is_err() {
                    self.overflowed = true;
                    return None;
                }
                for part in parts {
                    self.bytes.extend_from_slice(part).ok()?;
                }
                self.checks.len() - 1
            }
        };
        u8::try_from(number).ok()
    }
}

impl Check {
    fn parts<'b>(&self, bytes: &'b [u8]) -> Option<[&'b [u8]; 3]> {
        let (key, rest) = bytes.get(self.start..)?.split_at_checked(self.key)?;
        let (hash, rest) = rest.split_at_checked(self.hash)?;
        Some([key, hash, rest.get(..self.signature)?])
    }

    async fn holds(&self, bytes: &[u8]) -> bool {
        let Some([key, hash, signature]) = self.parts(bytes) else { return false };
        self.scheme.holds(key, hash, signature).await
    }
}

/// A kind of signature that is listed instead of checked.
struct Listed<'c> {
    scheme: &'static Scheme,
    checks: &'c Checks,
}

/// webpki asks for it. It would link what prints a list.
impl fmt::Debug for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listed")
    }
}

impl SignatureVerificationAlgorithm for Listed<'_> {
    /// Lists the signature and says that it is right. When there is no room it is not.
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if self.checks.has_overflowed() {
            return Err(InvalidSignature);
        }
        let hash = self.scheme.hash(message);
        self.checks.with(|list| {
            let number = list.add(self.scheme, [public_key, &hash, signature]);
            list.recent = list.recent << 4 | u32::from(number.ok_or(InvalidSignature)?);
            Ok(())
        })
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.scheme.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.scheme.signature_alg_id()
    }
}
