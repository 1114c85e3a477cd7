//! The IP stack and one TCP connection: an address by DHCP, a name by DNS, a line to the
//! server, and what it answers to the console.
//!
//! Arguments: `host=10.0.2.2` (a name or an address), `port=7`, `line=hello`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::{Stack, StackResources, dns::DnsQueryType, tcp::TcpSocket};
use embassy_time::Duration;
use embedded_io_async::Write;
use firmware::{
    board::{Board, Ethernet},
    executor,
    host::{self, Args},
    net, println, stack,
};
use static_cell::ConstStaticCell;

/// QEMU's user network has the host's loopback there.
const HOST: &str = "10.0.2.2";
const ECHO_PORT: u16 = 7;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Room for the connection's data each way.
const BUFFER: usize = 1024;
/// DHCP, DNS and the one connection.
const SOCKETS: usize = 3;

#[entry]
fn main() -> ! {
    let board = Board::take();
    executor::run(|spawner| task(spawner, board.ethernet))
}

#[embassy_executor::task]
async fn task(spawner: Spawner, ethernet: Ethernet) {
    let outcome = talk(spawner, ethernet).await;
    println!("stack: peak {} of {} bytes", stack::peak(), stack::size());
    match outcome {
        Ok(()) => host::exit(0),
        Err(reason) => {
            println!("failed: {reason}");
            host::exit(1)
        }
    }
}

async fn talk(spawner: Spawner, ethernet: Ethernet) -> Result<(), &'static str> {
    static ARGS: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> =
        ConstStaticCell::new(StackResources::new());

    let args = Args::from_host(ARGS.take()).map_err(|_| "no arguments")?;
    let host = args.get("host").unwrap_or(HOST);
    let port = args.parse_or("port", ECHO_PORT).map_err(|_| "port is not a number")?;
    let line = args.get("line").unwrap_or("hello");

    let seed = host::seed().map_err(|_| "no entropy")?;
    let stack = net::start(spawner, ethernet, RESOURCES.take(), seed)
        .await
        .map_err(|_| "the network is already running")?;
    if let Some(config) = stack.config_v4() {
        println!("address {}", config.address);
    }
    exchange(stack, host, port, line).await
}

/// Sends the line, ends the sending side, and prints until the server ends too.
async fn exchange(stack: Stack<'_>, host: &str, port: u16, line: &str) -> Result<(), &'static str> {
    static RX: ConstStaticCell<[u8; BUFFER]> = ConstStaticCell::new([0; BUFFER]);
    static TX: ConstStaticCell<[u8; BUFFER]> = ConstStaticCell::new([0; BUFFER]);

    let addresses = stack.dns_query(host, DnsQueryType::A).await.map_err(|_| "no such name")?;
    let &address = addresses.first().ok_or("the name has no address")?;
    println!("{host} is {address}");

    let mut socket = TcpSocket::new(stack, RX.take(), TX.take());
    socket.set_timeout(Some(TIMEOUT));
    socket.connect((address, port)).await.map_err(|_| "cannot connect")?;
    socket.write_all(line.as_bytes()).await.map_err(|_| "cannot send")?;
    socket.write_all(b"\n").await.map_err(|_| "cannot send")?;
    socket.close();

    let mut piece = [0; 64];
    loop {
        match socket.read(&mut piece).await.map_err(|_| "cannot receive")? {
            0 => return Ok(()),
            length => println!("got {}", piece[..length].escape_ascii()),
        }
    }
}
