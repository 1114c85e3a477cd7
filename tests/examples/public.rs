//! Serves with the chain of a kind of public receiver, for measurements: `public NUMBER CA-FILE`. Without arguments
//! it lists them.
//!
//! The server is `openssl s_server`. Its port is printed, and the root to trust is written to the file.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what goes wrong ends a measurement"
)]

use pilot_webhook_tests::pki::Authority;
use pilot_webhook_tests::public::RECEIVERS;
use pilot_webhook_tests::real_tls::{Program, RealServer, Setting};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(number) = arguments.next() else {
        for (number, receiver) in RECEIVERS.iter().enumerate() {
            println!("{number}: {} (needs {})", receiver.name, receiver.needs.join(", "));
        }
        return;
    };
    let receiver = &RECEIVERS[number.parse::<usize>().expect("a number")];
    // Where the host's loopback is in QEMU's network.
    let (identity, root) = receiver.chain("10.0.2.2");
    std::fs::write(arguments.next().expect("a file for the CA"), root).unwrap();
    let server =
        RealServer::start(Program::OpenSsl, Setting::Usual, &identity, &Authority::new()).unwrap();
    println!("{}", server.port());
    loop {
        std::thread::park();
    }
}
