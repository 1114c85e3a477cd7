//! The options of the admin address.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::history::ANSWER_MAX;
use crate::ingress::address;

#[derive(clap::Args)]
pub(crate) struct AdminOptions {
    /// Serve the page for operators at this address. A port alone is one on loopback. There is no TLS.
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub(crate) admin: Option<SocketAddr>,
    /// The file with the token that the page asks for (white space at its end is ignored). Without it a new one is made at
    /// every start, in a file under --home, $XDG_RUNTIME_DIR, or beside --socket.
    #[arg(long, value_name = "FILE", requires = "admin")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// A further name, or address, by which browsers and scrapers reach the admin address. `localhost` and the address
    /// itself always do. It may be given more than once.
    #[arg(long, value_name = "NAME", requires = "admin")]
    pub(crate) admin_host: Vec<String>,
}

impl AdminOptions {
    /// How many bytes of answers are kept for the page.
    pub(crate) const fn answers(&self) -> usize {
        if self.admin.is_some() { ANSWER_MAX } else { 0 }
    }
}
