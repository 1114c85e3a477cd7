//! The one place that chooses between `log`, `defmt`, both and neither.

macro_rules! debug {
    ($($argument:tt)*) => {{
        #[cfg(feature = "log")]
        log::debug!($($argument)*);
        #[cfg(feature = "defmt")]
        defmt::debug!($($argument)*);
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        let _ = core::format_args!($($argument)*);
    }};
}

macro_rules! warning {
    ($($argument:tt)*) => {{
        #[cfg(feature = "log")]
        log::warn!($($argument)*);
        #[cfg(feature = "defmt")]
        defmt::warn!($($argument)*);
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        let _ = core::format_args!($($argument)*);
    }};
}

pub(crate) use {debug, warning};
