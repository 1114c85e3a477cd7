//! What a server's certificate says, for people.

use jiff::Timestamp;
use x509_cert::der::Decode as _;
use x509_cert::time::Time;

/// The most letters of a name: whoever made the certificate chose them. Arbitrary: more than names have.
const NAME_MAX: usize = 256;

pub(super) struct Certificate {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) valid_from: Timestamp,
    pub(super) valid_until: Timestamp,
}

impl Certificate {
    /// From DER.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let parsed = x509_cert::Certificate::from_der(der).ok()?.tbs_certificate;
        Some(Self {
            subject: name(&parsed.subject.to_string()),
            issuer: name(&parsed.issuer.to_string()),
            valid_from: time(parsed.validity.not_before)?,
            valid_until: time(parsed.validity.not_after)?,
        })
    }
}

fn name(text: &str) -> String {
    let text = if text.is_empty() { "(no name)" } else { text };
    pilot_webhook_std::Printable::new(text, NAME_MAX).to_string()
}

fn time(time: Time) -> Option<Timestamp> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times_are_read() {
        let mut params = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "a\u{1b}[2J");
        params.not_before = rcgen::date_time_ymd(2001, 2, 3);
        params.not_after = rcgen::date_time_ymd(2096, 5, 6);
        let der = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let read = Certificate::parse(der.der()).unwrap();
        assert!(read.subject.starts_with("CN=a") && !read.subject.contains('\u{1b}'));
        assert_eq!(read.subject, read.issuer);
        assert_eq!(read.valid_from.to_string(), "2001-02-03T00:00:00Z");
        assert_eq!(read.valid_until.to_string(), "2096-05-06T00:00:00Z");
        assert!(Certificate::parse(b"no certificate").is_none());
    }
}
