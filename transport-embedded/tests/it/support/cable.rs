//! Two embassy-net stacks in one process, joined by a cable of memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use embassy_futures::select::{Either, Either3, select, select3};
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};

const NODE: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
const SERVER: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);

/// Frames on their way in one direction, and the waker of the task that waits for them.
#[derive(Default)]
struct Queue {
    frames: VecDeque<Vec<u8>>,
    waker: Option<Waker>,
}

/// One end of the cable.
pub(crate) struct Port {
    receive: Rc<RefCell<Queue>>,
    transmit: Rc<RefCell<Queue>>,
    address: [u8; 6],
}

pub(crate) struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, f: F) -> R {
        f(&mut self.0)
    }
}

pub(crate) struct Transmit(Rc<RefCell<Queue>>);

impl TxToken for Transmit {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        let mut queue = self.0.borrow_mut();
        queue.frames.push_back(frame);
        queue.waker.take().into_iter().for_each(Waker::wake);
        result
    }
}

impl Driver for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Transmit;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received, Transmit)> {
        let mut queue = self.receive.borrow_mut();
        let frame = queue.frames.pop_front();
        queue.waker = Some(cx.waker().clone());
        Some((Received(frame?), Transmit(self.transmit.clone())))
    }

    fn transmit(&mut self, _cx: &mut Context<'_>) -> Option<Transmit> {
        Some(Transmit(self.transmit.clone()))
    }

    fn link_state(&mut self, _cx: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = 1_514;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

fn fixed(address: Ipv4Address) -> Config {
    Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(address, 24),
        gateway: None,
        dns_servers: Default::default(),
    })
}

/// Runs `test` with the node's and the server's stack.
pub(crate) async fn wired<F: Future>(
    test: impl FnOnce(Stack<'static>, Stack<'static>) -> F,
) -> F::Output {
    wired_as(fixed(NODE), |port| port, test).await
}

/// The same; the node has this configuration, and its port this driver.
pub(crate) async fn wired_as<F: Future, D: Driver>(
    config: Config,
    driver: impl FnOnce(Port) -> D,
    test: impl FnOnce(Stack<'static>, Stack<'static>) -> F,
) -> F::Output {
    let queues: [Rc<RefCell<Queue>>; 2] = Default::default();
    let port = |end: usize, last: u8| Port {
        receive: queues[end].clone(),
        transmit: queues[1 - end].clone(),
        address: [2, 0, 0, 0, 0, last],
    };
    let resources = || Box::leak(Box::new(StackResources::<4>::new()));
    let (node, mut node_runner) = embassy_net::new(driver(port(0, 1)), config, resources(), 1);
    let (server, mut server_runner) = embassy_net::new(port(1, 2), fixed(SERVER), resources(), 2);
    let test = tokio::time::timeout(Duration::from_secs(60), test(node, server));
    // The runners never end.
    match select3(test, node_runner.run(), server_runner.run()).await {
        Either3::First(ended) => ended.expect("it hangs"),
        _ => unreachable!(),
    }
}

/// A socket of `stack`, bound to `port`.
pub(crate) fn udp(stack: Stack<'static>, port: u16) -> UdpSocket<'static> {
    let meta = || vec![PacketMetadata::EMPTY; 16].leak();
    let bytes = || vec![0; 4_096].leak();
    let mut socket = UdpSocket::new(stack, meta(), bytes(), meta(), bytes());
    socket.bind(port).unwrap();
    socket
}

/// What comes of `work` while a server that never ends goes on.
pub(crate) async fn while_served<T>(work: impl Future<Output = T>, server: impl Future) -> T {
    match select(work, server).await {
        Either::First(outcome) => outcome,
        Either::Second(_) => panic!("the server ended"),
    }
}
