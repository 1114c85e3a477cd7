//! The task that takes events off the bus and hands them to the client.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use pilot_webhook_core::{Event, Json};
use tokio::sync::{mpsc, oneshot};

use crate::client::handle::Client;
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
        client: Client,
        subscription: Subscription,
        identity: Option<Arc<dyn Identity>>,
    ) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let task = Task { client, subscription, identity, orders: Some(received) };
        tokio::spawn(task.run());
        Self { orders }
    }

    /// Completes when all that was published before is with the client.
    pub(crate) async fn handed_over(&self) {
        let (done, is_done) = oneshot::channel();
        // A task that has ended has no more to hand over.
        let _ = self.orders.send(Order::HandOver(done));
        let _ = is_done.await;
    }

    /// Ends the task. Completes when all that was published before is with the client.
    pub(crate) async fn stop(&self) {
        let _ = self.orders.send(Order::Stop);
        self.orders.closed().await;
    }
}

struct Task {
    client: Client,
    subscription: Subscription,
    identity: Option<Arc<dyn Identity>>,
    /// `None` when the service is gone.
    orders: Option<mpsc::UnboundedReceiver<Order>>,
}

enum Next {
    Event(Option<BusEvent>),
    Order(Option<Order>),
}

impl Task {
    /// Takes events off the bus as fast as they come: emitting never blocks.
    async fn run(mut self) {
        loop {
            match poll_fn(|cx| self.poll_next(cx)).await {
                Next::Event(Some(event)) => self.emit(&event),
                Next::Event(None) => return,
                Next::Order(Some(Order::HandOver(done))) => {
                    for _ in 0..self.subscription.waiting() {
                        let Some(event) = self.subscription.take() else { break };
                        self.emit(&event);
                    }
                    // The one who asked may be gone.
                    let _ = done.send(());
                }
                Next::Order(Some(Order::Stop)) => self.subscription.close(),
                Next::Order(None) => self.orders = None,
            }
        }
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

    fn emit(&self, event: &BusEvent) {
        let identity = self.identity.as_ref();
        let node_id = identity.map_or_else(|| self.client.node_id(), |id| id.node_id());
        let envelope = Event::new(&event.topic, node_id, event.timestamp);
        // What is not taken is counted; that the queue is full is logged by the client.
        let _ = self.client.emit_event(&envelope, &Json(event.payload.as_str()));
    }
}
