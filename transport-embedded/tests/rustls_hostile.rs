//! rustls without its standard library: the tests of `tls_hostile.rs`.

#[path = "tls_hostile.rs"]
mod tls_hostile;
