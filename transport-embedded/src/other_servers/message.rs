//! A DNS question, and the addresses in an answer to it (RFC 1035, section 4).

use core::net::Ipv4Addr;

use embassy_net::IpAddress;
use embassy_net::dns::DnsQueryType;
use heapless::Vec;

use super::Addresses;

const HEADER: usize = 12;
const NAME: usize = 255;
const CLASS_INTERNET: u16 = 1;

/// A question that was encoded.
pub(super) struct Question {
    bytes: Vec<u8, { HEADER + NAME + 4 }>,
    kind: DnsQueryType,
}

impl Question {
    /// Asks for the addresses of `name`; `None` if it is no name for DNS.
    pub(super) fn new(id: u16, name: &str, kind: DnsQueryType) -> Option<Self> {
        let mut bytes = Vec::from_slice(&id.to_be_bytes()).ok()?;
        // A query for one question, which the server should pass on.
        bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
        for label in name.strip_suffix('.').unwrap_or(name).split('.') {
            let length =
                u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
            bytes.push(length).ok()?;
            bytes.extend_from_slice(label.as_bytes()).ok()?;
        }
        bytes.push(0).ok()?;
        bytes.extend_from_slice(&u16::from(kind).to_be_bytes()).ok()?;
        bytes.extend_from_slice(&CLASS_INTERNET.to_be_bytes()).ok()?;
        Some(Self { bytes, kind })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The addresses that `answer` tells, none if there are none. `None` if it is no answer to this, or the server
    /// cannot say.
    pub(super) fn addresses(&self, answer: &[u8]) -> Option<Addresses> {
        const NO_ERROR: u8 = 0;
        const NO_SUCH_NAME: u8 = 3;
        let (id, asked) = (self.bytes.get(..2)?, self.bytes.get(HEADER..)?);
        let mut rest = answer.get(HEADER..)?.strip_prefix(asked)?;
        let [flags, code] = word(answer, 2)?.to_be_bytes();
        // A response to a query, to one question.
        if !answer.starts_with(id) || flags & 0xf8 != 0x80 || word(answer, 4)? != 1 {
            return None;
        }
        let mut addresses = Addresses::new();
        let records = match code & 15 {
            NO_ERROR => word(answer, 6)?,
            NO_SUCH_NAME => 0,
            _ => return None,
        };
        for _ in 0..records {
            let (address, behind) = self.record(rest)?;
            rest = behind;
            // As many as there is room for.
            let _ = address.map(|address| addresses.push(address));
        }
        Some(addresses)
    }

    /// The address in the first record, if it is one that was asked for, and what follows the record. Its name is passed
    /// over: the server has followed the aliases.
    fn record<'a>(&self, bytes: &'a [u8]) -> Option<(Option<IpAddress>, &'a [u8])> {
        const FIELDS: usize = 10;
        let bytes = skip_name(bytes)?;
        let (data, rest) = bytes.get(FIELDS..)?.split_at_checked(word(bytes, 8)?.into())?;
        let is_asked = word(bytes, 0)? == self.kind.into() && word(bytes, 2)? == CLASS_INTERNET;
        let address = match self.kind {
            DnsQueryType::A => data.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).into()),
            #[cfg(feature = "proto-ipv6")]
            DnsQueryType::Aaaa => {
                data.first_chunk::<16>().map(|octets| core::net::Ipv6Addr::from(*octets).into())
            }
            _ => None,
        };
        Some((address.filter(|_| is_asked), rest))
    }
}

/// What follows a name.
fn skip_name(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, rest) = bytes.split_first()?;
        bytes = match length {
            0 => return Some(rest),
            1..64 => rest.get(usize::from(*length)..)?,
            // The rest of the name stands elsewhere.
            0xc0.. => return rest.get(1..),
            _ => return None,
        };
    }
}

/// The number at this place.
fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec as Bytes;

    const HOST: [u8; 4] = [192, 0, 2, 1];

    fn question() -> Question {
        Question::new(0x1234, "hooks.example", DnsQueryType::A).unwrap()
    }

    /// An answer with these flags and records.
    fn answer(flags: [u8; 2], count: u8, records: &[u8]) -> Bytes<u8> {
        let head = [&[0x12, 0x34][..], &flags, &[0, 1, 0, count, 0, 0, 0, 0]].concat();
        [&head, &question().bytes()[HEADER..], records].concat()
    }

    /// By a reference to the question's name.
    fn of_kind(kind: u8, data: &[u8]) -> Bytes<u8> {
        let length = u8::try_from(data.len()).unwrap();
        [&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, length], data].concat()
    }

    #[test]
    fn a_question_is_a_query_for_one_name() {
        let mut expected = Bytes::from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5]);
        expected.extend(b"hooks\x07example\0\0\x01\0\x01");
        assert_eq!(question().bytes(), expected);
        assert_eq!(
            Question::new(0x1234, "hooks.example.", DnsQueryType::A).unwrap().bytes(),
            expected
        );
        let long = ["a".repeat(63).as_str(); 5].join(".");
        for name in ["", ".", "a..b", &"a".repeat(64), &long] {
            assert!(Question::new(1, name, DnsQueryType::A).is_none(), "{name}");
        }
    }

    #[test]
    fn addresses_are_found_behind_aliases() {
        let alias = of_kind(5, b"\x01a\xc0\x0c");
        let long = [&b"\x01a\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04"[..], &HOST].concat();
        let records = [alias, long, of_kind(1, &HOST), of_kind(28, &[0; 16])].concat();
        let found = question().addresses(&answer([0x81, 0x80], 4, &records)).unwrap();
        let host = IpAddress::from(Ipv4Addr::from(HOST));
        assert_eq!(found, [host, host]);
        let whole = answer([0x81, 0x80], 1, &of_kind(1, &HOST));
        assert_eq!(question().addresses(&whole).unwrap(), [host]);
        assert!((0..whole.len()).all(|length| question().addresses(&whole[..length]).is_none()));
        let many = answer([0x81, 0x80], 9, &of_kind(1, &HOST).repeat(9));
        assert_eq!(question().addresses(&many).unwrap().len(), Addresses::new().capacity());
    }

    #[test]
    fn that_there_is_none_is_an_answer_and_an_error_is_not() {
        for (flags, expected) in [
            ([0x81, 0x80], Some(0)),
            ([0x81, 0x83], Some(0)),
            ([0x81, 0x82], None),
            ([0x81, 0x85], None),
            ([0x01, 0x80], None),
            ([0xa1, 0x80], None),
        ] {
            let found = question().addresses(&answer(flags, 0, &[]));
            assert_eq!(found.map(|found| found.len()), expected, "{flags:?}");
        }
    }

    #[test]
    fn an_answer_to_something_else_is_none() {
        let good = answer([0x81, 0x80], 1, &of_kind(1, &HOST));
        // The id, the number of questions, the name, the type.
        for at in [0, 1, 5, 14, 27, 28] {
            let mut other = good.clone();
            other[at] ^= 0x40;
            assert!(question().addresses(&other).is_none(), "{at}");
        }
        for data in [&HOST[..3], &[]] {
            let odd = answer([0x81, 0x80], 1, &of_kind(1, data));
            assert!(question().addresses(&odd).unwrap().is_empty());
        }
    }
}
