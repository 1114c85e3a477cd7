//! Frames, however their bytes come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use proptest::prelude::*;
use tokio::io::{ReadBuf, duplex};

use super::*;

/// Long enough that it never counts.
const LONG: Duration = Duration::from_secs(60);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(1);

/// Bytes that come in pieces.
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    /// After the last piece: the end of the stream, or silence.
    ends: bool,
    /// The most room that a reader ever had ready.
    room: usize,
}

impl Pieces {
    /// `bytes`, cut into pieces of so many bytes, in turn.
    fn new(mut bytes: &[u8], sizes: &[usize]) -> Self {
        let mut pieces = VecDeque::new();
        for size in sizes.iter().cycle() {
            if bytes.is_empty() {
                break;
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(*size));
            pieces.push_back(piece.to_vec());
            bytes = rest;
        }
        Self { pieces, ends: true, room: 0 }
    }

    fn then_silence(mut self) -> Self {
        self.ends = false;
        self
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.room = self.room.max(buffer.remaining());
        let Some(mut piece) = self.pieces.pop_front() else {
            return if self.ends { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        let rest = piece.split_off(piece.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        if !rest.is_empty() {
            self.pieces.push_front(rest);
        }
        Poll::Ready(Ok(()))
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn frame(command: u8, payload: &[u8]) -> Frame {
    Frame { command, payload: payload.to_vec() }
}

/// All frames of a stream, and how it ended.
fn read_all(source: Pieces) -> (Vec<Frame>, Result<(), FrameError>) {
    let mut frames = Frames::new(source, LONG);
    let mut all = Vec::new();
    block_on(async {
        loop {
            match frames.next().await {
                Ok(Some(frame)) => all.push(frame),
                Ok(None) => return (all, Ok(())),
                Err(error) => return (all, Err(error)),
            }
        }
    })
}

#[test]
fn a_frame_is_its_length_its_command_and_its_payload() {
    assert_eq!(frame(0x1B, b"http://h/").encode().unwrap(), b"\0\0\0\x0a\x1bhttp://h/");
    assert_eq!(frame(0x0D, b"").encode().unwrap(), b"\0\0\0\x01\x0d");
}

#[test]
fn frames_without_a_command_are_passed_over() {
    let (frames, end) = read_all(Pieces::new(b"\0\0\0\0\0\0\0\0\0\0\0\x01\x0d\0\0\0\0", &[3]));
    assert_eq!(frames, [frame(0x0D, b"")]);
    assert!(end.is_ok());
}

#[test]
fn the_longest_frame_is_a_mebibyte() {
    let longest = frame(1, &vec![7; FRAME_MAX - 1]);
    let (frames, end) = read_all(Pieces::new(&longest.encode().unwrap(), &[60_000]));
    assert!(frames == [longest] && end.is_ok());
    assert!(matches!(frame(1, &vec![7; FRAME_MAX]).encode(), Err(FrameError::TooLong(1_048_577))));
    for length in [1_048_577, u32::MAX] {
        let (frames, end) = read_all(Pieces::new(&length.to_be_bytes(), &[4]));
        assert!(frames.is_empty());
        assert!(matches!(end, Err(FrameError::TooLong(n)) if n == length as usize), "{end:?}");
    }
}

#[test]
fn a_length_alone_takes_no_memory() {
    let mut claim = (1_048_576_u32).to_be_bytes().to_vec();
    claim.extend([0x1B; 100]);
    let mut frames = Frames::new(Pieces::new(&claim, &[7]), LONG);
    assert!(matches!(block_on(frames.next()), Err(FrameError::Cut)));
    assert!(frames.source.room <= STEP, "{}", frames.source.room);
}

#[test]
fn inside_a_frame_silence_is_a_stall_and_the_end_is_a_cut() {
    let bytes = frame(0x1B, b"http://h/").encode().unwrap();
    for length in 1..bytes.len() {
        let half = &bytes[..length];
        let mut frames = Frames::new(Pieces::new(half, &[64]).then_silence(), SHORT);
        assert!(matches!(block_on(frames.next()), Err(FrameError::Stalled)), "{length}");
        let (frames, end) = read_all(Pieces::new(half, &[64]));
        assert!(frames.is_empty() && matches!(end, Err(FrameError::Cut)), "{length}");
    }
}

#[test]
fn between_frames_silence_may_last() {
    let bytes = frame(0x0D, b"").encode().unwrap();
    let mut frames = Frames::new(Pieces::new(&bytes, &[64]).then_silence(), SHORT);
    block_on(async {
        assert_eq!(frames.next().await.unwrap(), Some(frame(0x0D, b"")));
        // The silence is what is tested.
        assert!(timeout(20 * SHORT, frames.next()).await.is_err());
    });
}

#[test]
fn who_does_not_read_is_not_waited_for() {
    block_on(async {
        let (mut ours, theirs) = duplex(8);
        let long = frame(1, b"more than there is room for");
        assert!(matches!(long.write(&mut ours, SHORT).await, Err(FrameError::Stalled)));
        drop(theirs);
        assert!(matches!(long.write(&mut ours, LONG).await, Err(FrameError::Io(_))));
    });
}

#[test]
fn a_frame_shows_no_payload() {
    assert_eq!(format!("{:?}", frame(0x1B, b"https://h/secret")), "Frame(0x1B, 16 bytes)");
}

fn any_frame() -> impl Strategy<Value = Frame> {
    (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(command, payload)| Frame { command, payload })
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut(
        frames in proptest::collection::vec(any_frame(), 0..8),
        sizes in proptest::collection::vec(1_usize..50, 1..5),
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            bytes.extend(frame.encode().unwrap());
        }
        let (read, end) = read_all(Pieces::new(&bytes, &sizes));
        prop_assert_eq!(read, frames);
        prop_assert!(end.is_ok());
    }

    /// Small lengths are frequent, so that frames are found in it.
    #[test]
    fn garbage_ends_and_what_was_read_of_it_was_there(
        words in proptest::collection::vec(prop_oneof![0_u32..12, any::<u32>()], 0..12),
        sizes in proptest::collection::vec(1_usize..9, 1..5),
    ) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let (frames, _) = read_all(Pieces::new(&bytes, &sizes));
        let mut rest = &bytes[..];
        for frame in frames {
            while let Some(after) = rest.strip_prefix(&[0; 4]) {
                rest = after;
            }
            let encoded = frame.encode().unwrap();
            prop_assert!(rest.starts_with(&encoded));
            rest = &rest[encoded.len()..];
        }
    }
}
