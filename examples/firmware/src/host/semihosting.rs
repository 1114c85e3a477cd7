//! The calls themselves: "Semihosting for AArch32 and AArch64", Arm IHI 0095.

use core::{
    arch::asm,
    fmt, ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

// Operation numbers, section 2.
const SYS_OPEN: usize = 0x01;
const SYS_CLOSE: usize = 0x02;
const SYS_WRITE: usize = 0x05;
const SYS_READ: usize = 0x06;
const SYS_TIME: usize = 0x11;
const SYS_GET_CMDLINE: usize = 0x15;
const SYS_EXIT_EXTENDED: usize = 0x20;

/// The answer to a failed `SYS_OPEN` or `SYS_GET_CMDLINE`: -1.
const FAILED: usize = usize::MAX;
/// `SYS_OPEN`'s name for the console.
const CONSOLE: &[u8] = b":tt\0";
/// `SYS_OPEN`'s modes are an index into ISO C's list: "r", "rb", "r+", "r+b", "w", ...
const MODE_RB: usize = 1;
const MODE_W: usize = 4;
/// The reason for `SYS_EXIT_EXTENDED` that comes with a status of the program's own.
const ADP_STOPPED_APPLICATION_EXIT: usize = 0x2_0026;

/// The longest name of a file, its final zero included. Arbitrary.
const NAME_SPACE: usize = 160;

/// A call that the host refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file is not there, may not be read, or has too long a name.
    Open,
    /// The file ended, or failed, before the buffer was full.
    Read,
    /// The command line is missing, longer than the buffer, or not UTF-8.
    CommandLine,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "the host cannot open the file",
            Self::Read => "the host's file is too short",
            Self::CommandLine => "the host gives no usable command line",
        })
    }
}

impl core::error::Error for Error {}

/// Has the host carry out `operation`.
///
/// # Safety
///
/// `block` must be what the operation expects: so many words, and where one is a buffer's
/// address, the length in its place too; the buffer writable where the operation writes.
unsafe fn call(operation: usize, block: *mut usize) -> usize {
    let answer;
    // SAFETY: the host touches the memory that the caller vouches for, and r0. `asm!`
    // assumes by default that any memory may be read and written.
    unsafe {
        asm!(
            "bkpt 0xab",
            inout("r0") operation => answer,
            in("r1") block,
            options(nostack, preserves_flags),
        );
    }
    answer
}

/// Ends the program, and QEMU with `status` as its own exit status.
pub fn exit(status: u8) -> ! {
    let mut block = [ADP_STOPPED_APPLICATION_EXIT, status.into()];
    loop {
        // SAFETY: two words, no buffer. A debugger may let the program go on: ask again.
        unsafe { call(SYS_EXIT_EXTENDED, block.as_mut_ptr()) };
    }
}

/// Writes to the console. What the host does not take is lost.
pub(super) fn write_console(text: &[u8]) {
    /// The console's handle; `FAILED` as long as it is not open.
    static HANDLE: AtomicUsize = AtomicUsize::new(FAILED);
    let mut handle = HANDLE.load(Ordering::Relaxed);
    if handle == FAILED {
        handle = open(CONSOLE, MODE_W);
        HANDLE.store(handle, Ordering::Relaxed);
    }
    let mut block = [handle, text.as_ptr().expose_provenance(), text.len()];
    // SAFETY: handle, buffer, length; the host only reads the buffer.
    unsafe { call(SYS_WRITE, block.as_mut_ptr()) };
}

/// Fills `buffer` from the start of a file of the host, which may hold more.
///
/// # Errors
///
/// [`Error::Open`] and [`Error::Read`].
pub(super) fn read_file_exact(name: &str, buffer: &mut [u8]) -> Result<(), Error> {
    if read_file(name, buffer)? == buffer.len() { Ok(()) } else { Err(Error::Read) }
}

/// Reads the start of a file of the host, as much as fits, and returns its length.
///
/// # Errors
///
/// [`Error::Open`].
pub fn read_file(name: &str, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut terminated = [0; NAME_SPACE];
    terminated[..NAME_SPACE - 1]
        .get_mut(..name.len())
        .ok_or(Error::Open)?
        .copy_from_slice(name.as_bytes());
    let handle = open(&terminated[..=name.len()], MODE_RB);
    if handle == FAILED {
        return Err(Error::Open);
    }
    let mut block = [handle, buffer.as_mut_ptr().expose_provenance(), buffer.len()];
    // SAFETY: handle, buffer, length; the buffer is borrowed mutably.
    let missing = unsafe { call(SYS_READ, block.as_mut_ptr()) };
    // SAFETY: the handle is the block's only word here.
    unsafe { call(SYS_CLOSE, block.as_mut_ptr()) };
    Ok(buffer.len().saturating_sub(missing))
}

/// `name` ends in a zero, which the length in the call does not count.
fn open(name: &[u8], mode: usize) -> usize {
    debug_assert_eq!(name.last(), Some(&0));
    let mut block = [name.as_ptr().expose_provenance(), mode, name.len() - 1];
    // SAFETY: name, mode, length; the host only reads the name.
    unsafe { call(SYS_OPEN, block.as_mut_ptr()) }
}

/// The words after QEMU's `-append`, with the image's name before them.
pub(super) fn command_line(buffer: &mut [u8]) -> Result<&str, Error> {
    let mut block = [buffer.as_mut_ptr().expose_provenance(), buffer.len()];
    // SAFETY: buffer and length; the buffer is borrowed mutably.
    let answer = unsafe { call(SYS_GET_CMDLINE, block.as_mut_ptr()) };
    if answer == FAILED {
        return Err(Error::CommandLine);
    }
    let length = block[1];
    let bytes = buffer.get(..length).ok_or(Error::CommandLine)?;
    core::str::from_utf8(bytes).map_err(|_| Error::CommandLine)
}

/// Seconds since 1970, in 32 bits: until 2106.
pub(super) fn unix_seconds() -> usize {
    // SAFETY: the operation takes no block.
    unsafe { call(SYS_TIME, ptr::null_mut()) }
}
