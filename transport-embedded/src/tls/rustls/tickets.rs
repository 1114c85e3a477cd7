//! What is remembered of the last server: a ticket, with which the next connection to it needs no
//! certificate, and the group of its key exchange.

use core::cell::RefCell;
use core::fmt;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use pki_types::ServerName;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};

/// One ticket and one group: a webhook has one server.
pub(super) struct Tickets {
    last: Mutex<CriticalSectionRawMutex, RefCell<Last>>,
}

struct Last {
    /// Whether the server of the present connection is known to be authentic.
    is_open: bool,
    /// Whether the ticket came before that was known.
    is_early: bool,
    /// Whether a ticket in what rustls is reading now is short enough.
    is_short: bool,
    ticket: Option<(ServerName<'static>, Tls13ClientSessionValue)>,
    group: Option<(ServerName<'static>, NamedGroup)>,
}

impl Tickets {
    pub(super) const fn new() -> Self {
        let last =
            Last { is_open: false, is_early: false, is_short: false, ticket: None, group: None };
        Self { last: Mutex::new(RefCell::new(last)) }
    }

    /// A handshake begins. A ticket of the last one is forgotten, unless that server was authentic.
    pub(super) fn begin(&self) {
        let early = self.with(|last| {
            last.is_open = false;
            last.ticket.take_if(|_| last.is_early)
        });
        drop(early);
    }

    /// Forgets the ticket.
    pub(super) fn forget(&self) {
        let ticket = self.with(|last| last.ticket.take());
        // Outside the lock, as it frees memory.
        drop(ticket);
    }

    /// The server of the present connection is authentic: its tickets may be kept, and so may one that it sent
    /// along with its proof, as Go's servers do.
    pub(super) fn open(&self) {
        self.with(|last| (last.is_open, last.is_early) = (true, false));
    }

    /// rustls begins to read something, in which tickets are short enough or not. They come back in a
    /// `ClientHello`, of which rustls has several copies at once.
    pub(super) fn reading(&self, is_short: bool) {
        self.with(|last| last.is_short = is_short);
    }

    fn with<T>(&self, change: impl FnOnce(&mut Last) -> T) -> T {
        self.last.lock(|last| change(&mut last.borrow_mut()))
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        drop(self.with(|last| last.group.replace((name, group))));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.with(|last| last.group.as_ref().filter(|(of, _)| of == name).map(|(_, group)| *group))
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let ticket = Some((name, ticket));
        let old = self.with(|last| {
            if last.is_short {
                last.is_early = !last.is_open;
                core::mem::replace(&mut last.ticket, ticket)
            } else {
                ticket
            }
        });
        drop(old);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let ticket = self.with(|last| last.ticket.take_if(|(of, _)| of == name));
        ticket.map(|(_, ticket)| ticket)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}
