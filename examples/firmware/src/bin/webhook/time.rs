//! The source of the node's wall time.

use embassy_executor::Spawner;
use embassy_net::Stack;
use firmware::host::{Args, WallClock};
use pilot_webhook_core::Timestamp;
use pilot_webhook_embassy::Webhook;

/// Starts whatever `time=` asks for.
pub(crate) fn start(
    webhook: Webhook,
    spawner: Spawner,
    stack: Stack<'static>,
    args: &Args<'static>,
) -> Result<(), &'static str> {
    match args.get("time").unwrap_or("host") {
        "host" => webhook.wall().set(host()),
        "sntp" => server(webhook, spawner, stack, args)?,
        "unknown" => {}
        _ => return Err("time is host, sntp or unknown"),
    }
    Ok(())
}

fn host() -> Timestamp {
    let now = WallClock::from_host().now();
    Timestamp::new(i64::try_from(now.as_secs()).unwrap_or(i64::MAX), now.subsec_nanos())
}

#[cfg(not(feature = "sntp"))]
fn server(
    _: Webhook,
    _: Spawner,
    _: Stack<'static>,
    _: &Args<'static>,
) -> Result<(), &'static str> {
    Err("built without the feature sntp")
}

#[cfg(feature = "sntp")]
use sntp::server;

#[cfg(feature = "sntp")]
mod sntp {
    use firmware::{host, println};
    use pilot_webhook_embassy::{Sntp, SntpConfig};

    use super::{Args, Spawner, Stack, Webhook};

    pub(super) fn server(
        webhook: Webhook,
        spawner: Spawner,
        stack: Stack<'static>,
        args: &Args<'static>,
    ) -> Result<(), &'static str> {
        let server = args.get("ntp").ok_or("ntp=HOST:PORT is missing")?;
        let (name, port) = server.rsplit_once(':').ok_or("ntp is HOST:PORT")?;
        let port = port.parse().map_err(|_| "ntp is HOST:PORT")?;
        let config = SntpConfig { port, ..SntpConfig::DEFAULT };
        let seed = host::seed().map_err(|_| "no entropy")?;
        let sntp = Sntp::new(stack, name, webhook.wall(), seed, config);
        spawner.spawn(keep_time(sntp).map_err(|_| "no room for the time's task")?);
        Ok(())
    }

    #[embassy_executor::task]
    async fn keep_time(mut sntp: Sntp<'static>) {
        sntp.run(|answer| match answer {
            Ok(now) => println!("time: {now}"),
            Err(error) => println!("time: {error}"),
        })
        .await;
    }
}
