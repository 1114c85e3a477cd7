//! Ethernet drivers, and the IP stack on top of the board's.
//!
//! Both drivers work alike. The chip keeps frames in its own FIFOs and copies nothing to
//! memory by itself. The interrupt handler only masks the chip's interrupts and wakes the
//! stack's task; the task moves frames until nothing is left, and unmasks. Between its
//! last look and the unmasking nothing can be lost: the chip remembers events while
//! masked, and unmasking one raises the interrupt at once.

#[cfg(feature = "board-an386")]
pub mod lan9118;
#[cfg(feature = "board-lm3s6965")]
pub mod stellaris;

#[cfg(not(feature = "dhcp-guard"))]
use core::convert::identity as port;

use embassy_executor::{SpawnError, Spawner};
use embassy_futures::join::join;
use embassy_net::{Config, Runner, Stack, StackResources};
use embassy_time::Timer;

use crate::board::Ethernet;
#[cfg(feature = "dhcp-guard")]
use guarded::{Port, port};

/// The longest frame without its check sequence: 14 bytes of header, 1500 of payload
/// (IEEE 802.3, 3.2.7).
pub(crate) const FRAME: usize = 1514;
/// The length of the frame check sequence (IEEE 802.3, 3.2.9).
pub(crate) const FCS: usize = 4;

#[cfg(not(feature = "dhcp-guard"))]
type Port = Ethernet;

/// The driver, with a guard that keeps a broken DHCP server from being asked without a pause.
#[cfg(feature = "dhcp-guard")]
mod guarded {
    use pilot_webhook_embassy::DhcpGuard;

    use crate::board::Ethernet;

    pub(super) type Port = DhcpGuard<Ethernet>;

    pub(super) const fn port(ethernet: Ethernet) -> Port {
        DhcpGuard::new(ethernet)
    }
}

/// Starts the IP stack on the board's Ethernet port, and waits for an address by DHCP.
///
/// `SOCKETS` counts the program's sockets and two more, for DHCP and DNS. `seed` is for
/// what should be hard to guess: port numbers, TCP sequence numbers, DNS transactions.
///
/// # Errors
///
/// The stack's task is already running: this was called twice.
pub async fn start<const SOCKETS: usize>(
    spawner: Spawner,
    ethernet: Ethernet,
    resources: &'static mut StackResources<SOCKETS>,
    seed: u64,
) -> Result<Stack<'static>, SpawnError> {
    let config = Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(port(ethernet), config, resources, seed);
    spawner.spawn(run(runner)?);
    stack.wait_config_up().await;
    Ok(stack)
}

#[embassy_executor::task]
async fn run(mut runner: Runner<'static, Port>) -> ! {
    join(runner.run(), keep_qemu_turning()).await.0
}

/// Wakes up fifty times a second, for the emulator's sake: its user network waits for
/// data on a new connection only once its main loop has turned, which an alarm of ours
/// makes it do. Without, an answer may come half a second late. Nothing for a real board.
async fn keep_qemu_turning() -> ! {
    loop {
        Timer::after_millis(20).await;
    }
}
