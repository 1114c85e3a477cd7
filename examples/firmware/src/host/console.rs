//! Lines on the host's console.

use core::fmt::{self, Write};

use super::semihosting::write_console;

/// Prints a line on the host's console, from a task or an interrupt.
///
/// Each call stops the core for the host to answer (tens of microseconds under QEMU), so
/// it is for reports, not for a data path.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {
        $crate::host::print_line(::core::format_args!($($argument)*))
    };
}

#[doc(hidden)]
pub fn print_line(text: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; LENGTH], used: 0 };
    // A value that cannot print itself leaves a shortened line.
    let _ = line.write_fmt(text);
    let _ = line.write_char('\n');
    line.flush();
}

/// Holds most lines, so that one line is one call. Longer ones take several.
const LENGTH: usize = 128;

struct Line {
    bytes: [u8; LENGTH],
    used: usize,
}

impl Line {
    fn flush(&mut self) {
        write_console(&self.bytes[..self.used]);
        self.used = 0;
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Bytes, not characters: one cut in two is whole again on the console.
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            if self.used == LENGTH {
                self.flush();
            }
            let free = &mut self.bytes[self.used..];
            let (fits, later) = rest.split_at(free.len().min(rest.len()));
            free[..fits.len()].copy_from_slice(fits);
            self.used += fits.len();
            rest = later;
        }
        Ok(())
    }
}
