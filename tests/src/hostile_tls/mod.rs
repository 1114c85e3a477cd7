//! A TLS 1.3 server whose every message can be set, right or wrong.
//!
//! It is built from the cryptographic primitives, because no real server can be configured to do most of
//! this. It
//! speaks `TLS_AES_128_GCM_SHA256` with P-256 or X25519, blocks, and serves one connection after the other
//! from a thread of its own on a loopback port.

mod keys;
mod messages;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::DecodePrivateKey;
use sha2::{Digest, Sha256};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

use keys::{Keys, Schedule};
use messages::{ClientHello, holds, is_whole, server_hello, vector};
pub use messages::{handshake, record};

/// The default answer to every request.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A certificate chain in DER, the server's own first, and its P-256 key in PKCS#8 DER.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificates.
    pub chain: Vec<Vec<u8>>,
    /// The key.
    pub key: Vec<u8>,
}

/// The first message.
#[derive(Clone, Debug)]
pub enum Hello {
    /// As it should be.
    Good,
    /// A `HelloRetryRequest` for X25519.
    RetryRequest,
    /// With another cipher suite.
    CipherSuite(u16),
    /// With another version than 1.3 in its extension.
    Version(u16),
    /// With another version than 1.2 in its old place.
    LegacyVersion(u16),
    /// With a key share that is P-256's, by another group's number.
    Group(u16),
    /// With a compression method.
    Compression(u8),
    /// With a further extension.
    Extension(Vec<u8>),
    /// With the key share before the version.
    ShareFirst,
    /// Without a key share, as TLS 1.2 has it.
    NoKeyShare,
    /// With a key share that is no point on the curve.
    BadKeyShare,
    /// These bytes on the wire, and then the connection is closed.
    Wire(Vec<u8>),
}

/// A message of the encrypted flight.
#[derive(Clone, Debug)]
pub enum Message {
    /// Without any.
    EncryptedExtensions,
    /// The identity's chain.
    Certificate,
    /// A `Certificate` with this chain.
    Chain(Vec<Vec<u8>>),
    /// Signed as it should be.
    CertificateVerify,
    /// With one bit of the signature flipped.
    BadCertificateVerify,
    /// With a good signature under another scheme's number.
    SchemeCertificateVerify(u16),
    /// Asks for a client's certificate.
    CertificateRequest,
    /// As it should be.
    Finished,
    /// With a wrong MAC.
    BadFinished,
    /// Any handshake message, type and length included.
    Raw(Vec<u8>),
    /// Another one, in which this many bytes from this place on are replaced. It is never as it was.
    Damaged(Box<Self>, usize, usize, Vec<u8>),
}

/// What comes after the handshake, besides answers.
#[derive(Clone, Debug)]
pub enum After {
    /// An encrypted record with this content and type.
    Record(Vec<u8>, u8),
    /// An encrypted record without content, not even a type.
    Empty,
    /// An encrypted record whose tag is wrong.
    BadTag,
    /// These bytes on the wire.
    Wire(Vec<u8>),
    /// A `KeyUpdate`, and new keys from there on. The client is asked for one, too, or not.
    KeyUpdate(bool),
}

impl After {
    fn bytes(&self, out: &mut Keys) -> Vec<u8> {
        match self {
            Self::Record(content, kind) => out.seal(content, *kind),
            Self::Empty => out.seal_raw(&[]),
            Self::BadTag => {
                let mut bytes = out.seal(b"x", 23);
                *bytes.last_mut().unwrap() ^= 1;
                bytes
            }
            Self::Wire(bytes) => bytes.clone(),
            Self::KeyUpdate(asks) => {
                let bytes = out.seal(&handshake(24, &[u8::from(*asks)]), 22);
                *out = out.next();
                bytes
            }
        }
    }
}

/// What a server does on one connection.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The first message.
    pub hello: Hello,
    /// What follows it, encrypted.
    pub flight: Vec<Message>,
    /// The most bytes of handshake messages in a record; each message has records of its own then.
    pub split: Option<usize>,
    /// Inverts this bit of the flight on the wire (`ServerHello` included), counted from 0.
    pub flip_wire: Option<usize>,
    /// Inverts this bit of the flight before it is encrypted: what the server itself believes.
    pub flip_plain: Option<usize>,
    /// The flight is not encrypted.
    pub unencrypted: bool,
    /// An encrypted record without content in the middle of the flight.
    pub empty_record: bool,
    /// What comes right behind the flight, under the keys of what follows it.
    pub early: Vec<After>,
    /// What comes after the handshake, before a request is read.
    pub after: Vec<After>,
    /// What comes behind each answer, in the same segment.
    pub behind: Vec<After>,
    /// The answer to each request.
    pub answer: Vec<u8>,
    /// Closes the connection once this many requests were answered.
    pub requests: usize,
}

impl Behaviour {
    /// A good server with this flight.
    pub fn flight(flight: impl Into<Vec<Message>>) -> Self {
        Self {
            hello: Hello::Good,
            flight: flight.into(),
            split: None,
            flip_wire: None,
            flip_plain: None,
            unencrypted: false,
            empty_record: false,
            early: Vec::new(),
            after: Vec::new(),
            behind: Vec::new(),
            answer: ANSWER.to_vec(),
            requests: usize::MAX,
        }
    }

    /// A good server.
    pub fn good() -> Self {
        Self::flight([
            Message::EncryptedExtensions,
            Message::Certificate,
            Message::CertificateVerify,
            Message::Finished,
        ])
    }
}

/// What the servers saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Connections accepted.
    pub connections: usize,
    /// Handshakes that the client finished.
    pub handshakes: usize,
    /// Decrypted application data. Of a client that should have gone away there is none.
    pub received: Vec<u8>,
    /// Handshakes in which the client offered to resume a session.
    pub resumptions: usize,
    /// The client's ephemeral keys and randoms.
    pub hellos: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of the last flight on the wire.
    pub wire_length: usize,
    /// The same before encryption.
    pub plain_length: usize,
}

/// A server in a thread. The thread ends with the process.
#[derive(Clone, Debug)]
pub struct HostileServer {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl HostileServer {
    /// A server that behaves the same on every connection.
    pub fn start(identity: Identity, behaviour: Behaviour) -> Self {
        Self::start_with(identity, move |_| behaviour.clone())
    }

    /// A server that behaves as `behave(n)` on the n-th connection.
    pub fn start_with(
        identity: Identity,
        behave: impl Fn(usize) -> Behaviour + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let seen = server.seen.clone();
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                seen.lock().unwrap().connections += 1;
                let mut connection = Connection {
                    stream: stream.unwrap(),
                    identity: &identity,
                    behaviour: behave(n),
                    seen: &seen,
                    transcript: Vec::new(),
                };
                // An error is no failure: most clients end the connection early.
                let _ = connection.wait().and_then(|()| connection.serve());
            }
        });
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it saw so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

/// What such a server sends to a client that says this.
///
/// # Panics
/// When that is no good `ClientHello`.
pub fn flight(identity: &Identity, behaviour: Behaviour, client_hello: &[u8]) -> Vec<u8> {
    let stream = Memory { input: client_hello, output: Vec::new() };
    let (seen, transcript) = (&Mutex::default(), Vec::new());
    let mut connection = Connection { stream, identity, behaviour, seen, transcript };
    // It ends where the client would go on.
    let _ = connection.serve();
    connection.stream.output
}

/// A client that has said what it says.
struct Memory<'m> {
    input: &'m [u8],
    output: Vec<u8>,
}

impl Read for Memory<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.input.read(buf)
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.output.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An ephemeral public key for the client's key share, and the secret that the two make.
fn agree(hello: &ClientHello<'_>) -> (Vec<u8>, Vec<u8>) {
    if hello.group == [0, 29] {
        let mut secret = [0; 32];
        rand_core::RngCore::fill_bytes(&mut rand_core::OsRng, &mut secret);
        let public = x25519(secret, X25519_BASEPOINT_BYTES);
        return (public.to_vec(), x25519(secret, hello.key_share.try_into().unwrap()).to_vec());
    }
    let secret = p256::ecdh::EphemeralSecret::random(&mut rand_core::OsRng);
    let client_key = p256::PublicKey::from_sec1_bytes(hello.key_share).unwrap();
    let public = p256::EncodedPoint::from(secret.public_key());
    let shared = secret.diffie_hellman(&client_key);
    (public.as_bytes().to_vec(), shared.raw_secret_bytes().to_vec())
}

struct Connection<'c, S> {
    stream: S,
    identity: &'c Identity,
    behaviour: Behaviour,
    seen: &'c Mutex<Seen>,
    /// All handshake messages so far.
    transcript: Vec<u8>,
}

impl Connection<'_, TcpStream> {
    fn wait(&self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.stream.set_read_timeout(Some(Duration::from_secs(5)))
    }
}

impl<S: Read + Write> Connection<'_, S> {
    fn serve(&mut self) -> io::Result<()> {
        let (_, client_hello) = self.read_record()?;
        let hello = ClientHello::parse(&client_hello);
        let entry = (hello.key_share.to_vec(), hello.random.to_vec());
        {
            let mut seen = self.seen.lock().unwrap();
            seen.hellos.push(entry);
            seen.resumptions += usize::from(hello.resumes);
        }
        self.transcript.extend_from_slice(&client_hello);
        let (public, shared) = agree(&hello);
        let message = match &self.behaviour.hello {
            Hello::Wire(bytes) => return self.stream.write_all(bytes),
            sent => server_hello(sent, &hello, &public),
        };
        self.transcript.extend_from_slice(&message);
        let mut wire = record(22, &message);

        let handshake = Schedule::handshake(&shared);
        let mut out = Keys::new(&handshake.traffic("s hs traffic", &self.transcript));
        let mut inn = Keys::new(&handshake.traffic("c hs traffic", &self.transcript));
        let mut plain_length = 0;
        let mut plain = Vec::new();
        for message in self.behaviour.flight.clone() {
            let mut bytes = self.message(&message, &out);
            let flip = self.behaviour.flip_plain.and_then(|bit| bit.checked_sub(plain_length * 8));
            if let Some(byte) = flip.and_then(|bit| bytes.get_mut(bit / 8)) {
                *byte ^= 1 << (flip.unwrap() % 8);
            }
            plain_length += bytes.len();
            self.transcript.extend_from_slice(&bytes);
            match self.behaviour.split {
                _ if self.behaviour.unencrypted => wire.extend(record(22, &bytes)),
                Some(size) => {
                    bytes.chunks(size).for_each(|chunk| wire.extend(out.seal(chunk, 22)));
                }
                None => plain.extend(bytes),
            }
            if self.behaviour.empty_record {
                wire.extend(out.seal_raw(&[]));
            }
        }
        if !plain.is_empty() {
            wire.extend(out.seal(&plain, 22));
        }
        let flip = self.behaviour.flip_wire;
        if let Some((bit, byte)) = flip.and_then(|bit| Some((bit, wire.get_mut(bit / 8)?))) {
            *byte ^= 1 << (bit % 8);
        }
        {
            let mut seen = self.seen.lock().unwrap();
            (seen.wire_length, seen.plain_length) = (wire.len(), plain_length);
        }
        let master = handshake.master();
        let server_secret = master.traffic("s ap traffic", &self.transcript);
        let client_secret = master.traffic("c ap traffic", &self.transcript);
        out = Keys::new(&server_secret);
        for early in &self.behaviour.early {
            wire.extend(early.bytes(&mut out));
        }
        self.stream.write_all(&wire)?;

        // The client's flight: its Finished, after an empty Certificate if one was asked for.
        loop {
            let (kind, content) = self.read_encrypted(&mut inn)?;
            if kind != 22 {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if holds(&content, 20) {
                break;
            }
        }
        self.seen.lock().unwrap().handshakes += 1;
        inn = Keys::new(&client_secret);
        for after in &self.behaviour.after {
            self.stream.write_all(&after.bytes(&mut out))?;
        }
        self.requests(&mut inn, &mut out)
    }

    /// Answers whatever ends like a request.
    fn requests(&mut self, inn: &mut Keys, out: &mut Keys) -> io::Result<()> {
        for _ in 0..self.behaviour.requests {
            let mut request = Vec::new();
            while !is_whole(&request) {
                let (kind, content) = self.read_encrypted(inn)?;
                if kind == 22 && holds(&content, 24) {
                    *inn = inn.next();
                    continue;
                }
                if kind != 23 {
                    return Ok(());
                }
                self.seen.lock().unwrap().received.extend_from_slice(&content);
                request.extend(content);
            }
            let pieces = self.behaviour.answer.chunks(8_192);
            let mut bytes: Vec<u8> = pieces.flat_map(|piece| out.seal(piece, 23)).collect();
            for behind in &self.behaviour.behind {
                bytes.extend(behind.bytes(out));
            }
            self.stream.write_all(&bytes)?;
        }
        Ok(())
    }

    /// A message of the flight, as it follows on the transcript.
    fn message(&self, message: &Message, keys: &Keys) -> Vec<u8> {
        let certificate = |chain: &[Vec<u8>]| {
            let entries = chain.iter().flat_map(|der| [vector(3, der), vec![0, 0]].concat());
            let entries: Vec<u8> = entries.collect();
            handshake(11, &[vec![0], vector(3, &entries)].concat())
        };
        match message {
            Message::EncryptedExtensions => handshake(8, &[0, 0]),
            Message::Certificate => certificate(&self.identity.chain),
            Message::Chain(chain) => certificate(chain),
            Message::CertificateVerify => self.certificate_verify(0x0403, 0),
            Message::BadCertificateVerify => self.certificate_verify(0x0403, 1),
            Message::SchemeCertificateVerify(scheme) => self.certificate_verify(*scheme, 0),
            Message::CertificateRequest => {
                // No context, and the one signature algorithm that every client has.
                let extension = [0, 13, 0, 4, 0, 2, 4, 3];
                handshake(13, &[vec![0], vector(2, &extension)].concat())
            }
            Message::Finished => handshake(20, &keys.finished(&self.transcript)),
            Message::BadFinished => handshake(20, &[7; 32]),
            Message::Raw(bytes) => bytes.clone(),
            Message::Damaged(message, at, length, with) => {
                let good = self.message(message, keys);
                let at = at % good.len();
                let mut bytes = good.clone();
                bytes.splice(at..good.len().min(at + length), with.iter().copied());
                if bytes == good {
                    bytes[at] ^= 1;
                }
                bytes
            }
        }
    }

    fn certificate_verify(&self, scheme: u16, flip: u8) -> Vec<u8> {
        let key = SigningKey::from_pkcs8_der(&self.identity.key).unwrap();
        let mut signed = vec![b' '; 64];
        signed.extend_from_slice(b"TLS 1.3, server CertificateVerify\0");
        signed.extend_from_slice(&Sha256::digest(&self.transcript));
        let signature: DerSignature = key.sign(&signed);
        let mut signature = signature.as_bytes().to_vec();
        *signature.last_mut().unwrap() ^= flip;
        handshake(15, &[scheme.to_be_bytes().to_vec(), vector(2, &signature)].concat())
    }

    fn read_record(&mut self) -> io::Result<([u8; 5], Vec<u8>)> {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header)?;
        let mut content = vec![0; u16::from_be_bytes([header[3], header[4]]).into()];
        self.stream.read_exact(&mut content)?;
        Ok((header, content))
    }

    fn read_encrypted(&mut self, keys: &mut Keys) -> io::Result<(u8, Vec<u8>)> {
        let (mut header, mut content) = self.read_record()?;
        // A client may send one for the sake of middleboxes (RFC 8446, appendix D.4).
        if header[0] == 20 {
            (header, content) = self.read_record()?;
        }
        if header[0] != 23 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        keys.open(&header, &content).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
