//! The first event, in twenty lines: those between the two marks are the README's of the crate
//! `pilot-webhook-embassy`. A receiver on the host's loopback, port 8080, gets it.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::{Stack, StackResources};
use firmware::{
    board::{Board, Ethernet},
    executor, host, net, println,
};
use pilot_webhook_embassy::{Json, Options, Resources, Runner, Webhook};
use static_cell::ConstStaticCell;

#[entry]
fn main() -> ! {
    let board = Board::take();
    executor::run(|spawner| task(spawner, board.ethernet))
}

#[embassy_executor::task]
async fn task(spawner: Spawner, ethernet: Ethernet) {
    static SOCKETS: ConstStaticCell<StackResources<3>> =
        ConstStaticCell::new(StackResources::new());
    let Ok(stack) = net::start(spawner, ethernet, SOCKETS.take(), host::seed().unwrap_or(1)).await
    else {
        host::exit(1)
    };
    let seed = host::seed().unwrap_or(2);
    let delivered = app(spawner, stack, seed).await.map(|webhook| webhook.stats().delivered);
    println!("delivered: {}", delivered.unwrap_or_default());
    host::exit(if delivered == Some(1) { 0 } else { 1 })
}

// README: begin
static RESOURCES: ConstStaticCell<Resources<4_096>> = ConstStaticCell::new(Resources::new());

#[embassy_executor::task]
async fn deliver(mut runner: Runner, stack: Stack<'static>) {
    runner.run(stack).await;
}

async fn app(spawner: Spawner, stack: Stack<'static>, seed: u64) -> Option<Webhook> {
    // A random number of its own: message ids are unique by it.
    let options = Options::new(1, seed);
    let (webhook, runner) = pilot_webhook_embassy::new(RESOURCES.take(), options).ok()?;
    webhook.set_url("http://10.0.2.2:8080/hook").ok()?;
    spawner.spawn(deliver(runner, stack).ok()?);
    // From any task or interrupt:
    webhook.emit("node.started", &Json(r#"{"firmware": "1.0.0"}"#)).ok()?;
    webhook.drained().await;
    Some(webhook)
}
// README: end
