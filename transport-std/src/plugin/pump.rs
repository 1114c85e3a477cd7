//! The bus as a source, and the task that takes events off it and hands them to the hub.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use pilot_webhook_core::Event;
use tokio::sync::{mpsc, oneshot};

use crate::client::{Incoming, Source};
use crate::hub::Hub;
use crate::plugin::bus::{BusEvent, Subscription};
use crate::plugin::registry::Identity;

/// The service's end of the task.
pub(crate) struct Pump {
    orders: mpsc::UnboundedSender<Order>,
}

enum Order {
    /// Hand over what was published before, and tell when that is done.
    HandOver(oneshot::Sender<()>),
    /// Hand over what was published before, and end.
    Stop,
}

impl Pump {
    /// Must be called within a tokio runtime. The task ends when it is stopped, or with the bus.
    pub(crate) fn start(
        hub: Hub,
        subscription: Subscription,
        identity: Option<Arc<dyn Identity>>,
    ) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let mut bus = Bus {
            node: (identity, hub.clone()),
            subscription,
            orders: Some(received),
            handing_over: None,
            event: None,
        };
        tokio::spawn(async move { hub.pull(&mut bus).await });
        Self { orders }
    }

    /// Completes when all that was published before is with the hub.
    pub(crate) async fn handed_over(&self) {
        let (done, is_done) = oneshot::channel();
        // A task that has ended has no more to hand over.
        let _ = self.orders.send(Order::HandOver(done));
        let _ = is_done.await;
    }

    /// Ends the task. Completes when all that was published before is with the hub.
    pub(crate) async fn stop(&self) {
        let _ = self.orders.send(Order::Stop);
        self.orders.closed().await;
    }
}

/// What is published on the bus, as a source. It never waits: a bus does not.
struct Bus {
    /// Who the events are from: the daemon, or else the hub's node.
    node: (Option<Arc<dyn Identity>>, Hub),
    subscription: Subscription,
    /// `None` when the service is gone.
    orders: Option<mpsc::UnboundedReceiver<Order>>,
    /// How many events are still to be handed over, and who is told then.
    handing_over: Option<(usize, oneshot::Sender<()>)>,
    /// The last one.
    event: Option<BusEvent>,
}

enum Next {
    Event(Option<BusEvent>),
    Order(Option<Order>),
}

impl Source for Bus {
    type Receipt = Infallible;

    fn can_wait(&self) -> bool {
        false
    }

    /// Takes events off the bus as fast as they come.
    async fn next(&mut self) -> Option<Incoming<'_>> {
        self.event = loop {
            if let Some(event) = self.hand_over() {
                break Some(event);
            }
            match poll_fn(|cx| self.poll_next(cx)).await {
                Next::Event(event) => break event,
                Next::Order(Some(Order::HandOver(done))) => {
                    self.handing_over = Some((self.subscription.waiting(), done));
                }
                Next::Order(Some(Order::Stop)) => self.subscription.close(),
                Next::Order(None) => self.orders = None,
            }
        };
        let event = self.event.as_ref()?;
        let (identity, hub) = &self.node;
        let node_id = identity.as_ref().map_or_else(|| hub.node_id(), |id| id.node_id());
        let envelope = Event::new(&event.topic, node_id, event.timestamp);
        Some(Incoming::new(envelope, event.payload.as_str()))
    }
}

impl Bus {
    /// The next of those that are handed over. When there are no more, the one who asked is told.
    fn hand_over(&mut self) -> Option<BusEvent> {
        let (left, _) = self.handing_over.as_mut()?;
        let event = left.checked_sub(1).and_then(|less| {
            *left = less;
            self.subscription.take()
        });
        if event.is_none() {
            let (_, done) = self.handing_over.take()?;
            // The one who asked may be gone.
            let _ = done.send(());
        }
        event
    }

    /// Orders come first: with a busy bus there is always another event.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(orders) = &mut self.orders
            && let Poll::Ready(order) = orders.poll_recv(cx)
        {
            return Poll::Ready(Next::Order(order));
        }
        self.subscription.poll_next(cx).map(Next::Event)
    }
}
