//! Checks the board support against an echo server: time, the interrupt, entropy, long
//! transfers both ways at once, and connections one after the other.
//!
//! Arguments: `host=10.0.2.2`, `port=7`, `bytes=1000000` for the long transfer,
//! `rounds=20` for the short ones, `idle=0` seconds of doing nothing at the end.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_futures::join::join;
use embassy_net::{
    IpEndpoint, Stack, StackResources,
    dns::DnsQueryType,
    tcp::{TcpReader, TcpSocket, TcpWriter},
};
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::Write;
use firmware::{
    board::Board,
    executor,
    host::{self, Args, Entropy, WallClock},
    net, println,
    soft_interrupt::SoftInterrupt,
    stack,
};
use rand_core::RngCore;
use static_cell::ConstStaticCell;

/// DHCP, DNS and one connection: a connection that leaks leaves no room for the next.
const SOCKETS: usize = 3;
const BUFFER: usize = 4096;
/// Nothing for this long is a stall.
const TIMEOUT: Duration = Duration::from_secs(5);

#[entry]
fn main() -> ! {
    let board = Board::take();
    executor::run(|spawner| task(spawner, board))
}

#[embassy_executor::task]
async fn task(spawner: Spawner, board: Board) {
    let outcome = check_all(spawner, board).await;
    println!("stack: peak {} of {} bytes", stack::peak(), stack::size());
    match outcome {
        Ok(()) => host::exit(0),
        Err(reason) => {
            println!("failed: {reason}");
            host::exit(1)
        }
    }
}

async fn check_all(spawner: Spawner, board: Board) -> Result<(), &'static str> {
    static ARGS: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> =
        ConstStaticCell::new(StackResources::new());

    let args = Args::from_host(ARGS.take()).map_err(|_| "no arguments")?;
    let port = args.parse_or("port", 7).map_err(|_| "bad port")?;
    let bytes = args.parse_or("bytes", 1_000_000).map_err(|_| "bad bytes")?;
    let rounds = args.parse_or("rounds", 20).map_err(|_| "bad rounds")?;
    let idle = args.parse_or("idle", 0).map_err(|_| "bad idle")?;

    let wall = WallClock::from_host();
    check_time().await?;
    check_interrupt(board.soft_interrupt).await?;
    check_entropy()?;

    let seed = host::seed().map_err(|_| "no entropy")?;
    let stack = net::start(spawner, board.ethernet, RESOURCES.take(), seed)
        .await
        .map_err(|_| "the network is already running")?;
    println!("network: address after {} ms", Instant::now().as_millis());
    let name = args.get("host").unwrap_or("10.0.2.2");
    let addresses = stack.dns_query(name, DnsQueryType::A).await.map_err(|_| "no such name")?;
    let address = *addresses.first().ok_or("the name has no address")?;
    check_connections(stack, (address, port).into(), bytes, rounds).await?;

    Timer::after_secs(idle).await;
    let (own, hosts) = (wall.now().as_secs(), WallClock::from_host().now().as_secs());
    println!("clock: {own}, and {hosts} by the host, after {} ms", Instant::now().as_millis());
    if own.abs_diff(hosts) > 1 {
        return Err("the clock is off");
    }
    Ok(())
}

/// Time never goes back and never jumps; sleeps are never short, and hardly long.
async fn check_time() -> Result<(), &'static str> {
    let mut last = Instant::now();
    let mut jump = Duration::MIN;
    for _ in 0..100_000 {
        let now = Instant::now();
        jump = jump.max(now.checked_duration_since(last).ok_or("time went back")?);
        last = now;
    }
    let mut late = Duration::MIN;
    for length in (0..200).map(|step| Duration::from_micros(step * 50)) {
        let due = Instant::now() + length;
        Timer::at(due).await;
        late = late.max(Instant::now().checked_duration_since(due).ok_or("woken early")?);
    }
    println!("time: longest jump {} us, latest alarm {} us", jump.as_micros(), late.as_micros());
    // A busy host may hold up the emulator, but a counter gone wrong is 335 ms or 671 ms off.
    let limit = Duration::from_millis(200);
    if jump > limit || late > limit {
        return Err("time jumped");
    }
    Ok(())
}

static RAISED: AtomicU32 = AtomicU32::new(0);
static EVENT: Signal<CriticalSectionRawMutex, u32> = Signal::new();

/// The handler runs at once and each time, and can wake a task.
async fn check_interrupt(interrupt: SoftInterrupt) -> Result<(), &'static str> {
    const TIMES: u32 = 1000;
    let trigger = interrupt.enable(|| EVENT.signal(RAISED.fetch_add(1, Ordering::Relaxed)));
    for time in 0..TIMES {
        trigger.pend();
        if RAISED.load(Ordering::Relaxed) != time + 1 || EVENT.wait().await != time {
            return Err("an interrupt was lost");
        }
    }
    critical_section::with(|_| (0..TIMES).for_each(|_| trigger.pend()));
    if RAISED.load(Ordering::Relaxed) != TIMES + 1 {
        return Err("interrupts while masked are not one");
    }
    println!("interrupt: raised {TIMES} times, and once more out of {TIMES} while masked");
    Ok(())
}

/// Two generators do not repeat each other.
fn check_entropy() -> Result<(), &'static str> {
    let draw = || Entropy::from_host().map(|mut entropy| entropy.next_u64());
    let (first, second) = (draw(), draw());
    println!("entropy: {first:x?} {second:x?}");
    if first.is_err() || first == second {
        return Err("no entropy");
    }
    Ok(())
}

/// One long echo, then short ones, each over a connection of its own.
async fn check_connections(
    stack: Stack<'_>,
    server: IpEndpoint,
    bytes: usize,
    rounds: usize,
) -> Result<(), &'static str> {
    static RX: ConstStaticCell<[u8; BUFFER]> = ConstStaticCell::new([0; BUFFER]);
    static TX: ConstStaticCell<[u8; BUFFER]> = ConstStaticCell::new([0; BUFFER]);
    let (rx, tx) = (RX.take(), TX.take());

    let start = Instant::now();
    echo(stack, server, rx, tx, bytes).await?;
    println!("echo: {bytes} bytes each way in {} ms", start.elapsed().as_millis());
    let start = Instant::now();
    for round in 0..rounds {
        echo(stack, server, rx, tx, 1 + round).await?;
    }
    println!("echo: {rounds} connections in {} ms", start.elapsed().as_millis());
    Ok(())
}

/// Sends `bytes` and, meanwhile, checks that they come back; closes in good order.
async fn echo(
    stack: Stack<'_>,
    server: IpEndpoint,
    rx: &mut [u8],
    tx: &mut [u8],
    bytes: usize,
) -> Result<(), &'static str> {
    let mut socket = TcpSocket::new(stack, rx, tx);
    socket.set_timeout(Some(TIMEOUT));
    socket.connect(server).await.map_err(|_| "cannot connect")?;
    let (reader, writer) = socket.split();
    let (sent, received) = join(send(writer, bytes), receive(reader, bytes)).await;
    sent.and(received)?;
    socket.close();
    socket.flush().await.map_err(|_| "cannot close")?;
    match socket.read(&mut [0]).await {
        Ok(0) => Ok(()),
        _ => Err("the server sent too much, or did not close"),
    }
}

/// The byte at a position. It differs from those one and 256 places away.
fn pattern(position: usize) -> u8 {
    let [low, high, ..] = position.to_le_bytes();
    low.wrapping_add(high)
}

async fn send(mut writer: TcpWriter<'_>, bytes: usize) -> Result<(), &'static str> {
    let mut piece = [0; 700];
    let mut position = 0;
    while position < bytes {
        let length = piece.len().min(bytes - position);
        (position..).zip(&mut piece[..length]).for_each(|(at, byte)| *byte = pattern(at));
        writer.write_all(&piece[..length]).await.map_err(|_| "cannot send")?;
        position += length;
    }
    writer.flush().await.map_err(|_| "cannot send the rest")
}

async fn receive(mut reader: TcpReader<'_>, bytes: usize) -> Result<(), &'static str> {
    let mut piece = [0; 700];
    let mut position = 0;
    while position < bytes {
        let length = reader.read(&mut piece).await.map_err(|_| "cannot receive")?;
        if length == 0 {
            return Err("the server closed early");
        }
        if !(position..).zip(&piece[..length]).all(|(at, &byte)| byte == pattern(at)) {
            return Err("an echo differs");
        }
        position += length;
    }
    Ok(())
}
