//! Writes the certificates of the feature `roots`, from `webpki-roots`, to `roots.rs`.

#[cfg(feature = "roots")]
#[path = "build/certificate.rs"]
mod certificate;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/certificate.rs");
    #[cfg(feature = "roots")]
    roots::write()?;
    Ok(())
}

#[cfg(feature = "roots")]
mod roots {
    use std::path::PathBuf;
    use std::{env, fs, io};

    use webpki_roots::TLS_SERVER_ROOTS;

    use crate::certificate::certificate;

    /// The common names of the roots above the servers of Let's Encrypt, Google, Amazon, DigiCert, Sectigo and
    /// Microsoft. The documentation of `ROOTS` has the same list.
    const NAMES: [&str; 18] = [
        "ISRG Root X1",
        "ISRG Root X2",
        "GTS Root R1",
        "GTS Root R4",
        "Amazon Root CA 1",
        "Amazon Root CA 2",
        "Amazon Root CA 3",
        "Amazon Root CA 4",
        "DigiCert Global Root G2",
        "DigiCert Global Root G3",
        "DigiCert TLS ECC P384 Root G5",
        "DigiCert TLS RSA4096 Root G5",
        "USERTrust ECC Certification Authority",
        "USERTrust RSA Certification Authority",
        "Sectigo Public Server Authentication Root E46",
        "Sectigo Public Server Authentication Root R46",
        "Microsoft ECC Root Certificate Authority 2017",
        "Microsoft RSA Root Certificate Authority 2017",
    ];

    pub(crate) fn write() -> io::Result<()> {
        let mut certificates = Vec::new();
        for name in NAMES {
            let Some(root) = TLS_SERVER_ROOTS.iter().find(|root| is_called(&root.subject, name))
            else {
                println!("cargo::warning=webpki-roots has no {name} any more");
                continue;
            };
            // A constraint must not get lost. None of them has one.
            if root.name_constraints.is_none() && is_verified(&root.subject_public_key_info) {
                certificates.push(certificate(&root.subject, &root.subject_public_key_info));
            }
        }
        let list: Vec<_> = certificates.iter().map(|bytes| format!("&{bytes:?},\n")).collect();
        let folder = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
        fs::write(PathBuf::from(folder).join("roots.rs"), format!("[\n{}]", list.concat()))
    }

    /// Whether this subject has this common name.
    fn is_called(subject: &[u8], name: &str) -> bool {
        const COMMON_NAME: &[u8] = &[6, 3, 0x55, 4, 3];
        const TEXTS: [u8; 2] = [0x0c, 0x13];
        let Ok(length) = u8::try_from(name.len()) else { return false };
        TEXTS.into_iter().any(|tag| {
            let wanted = [COMMON_NAME, &[tag, length], name.as_bytes()].concat();
            subject.windows(wanted.len()).any(|part| part == wanted)
        })
    }

    /// Whether a signature by this key can be verified with the features that are on.
    fn is_verified(key: &[u8]) -> bool {
        const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
        const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
        // Within the algorithm, which comes first.
        let has = |kind: &[u8]| key.windows(kind.len()).take(16).any(|part| part == kind);
        let is_on = |feature| env::var_os(feature).is_some();
        (!has(RSA) || is_on("CARGO_FEATURE_RSA")) && (!has(P384) || is_on("CARGO_FEATURE_P384"))
    }
}
