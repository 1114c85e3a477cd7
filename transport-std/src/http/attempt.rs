//! An attempt while it resolves and connects: its deadline, and what its end says about kept addresses.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{Endpoint, Host, Message, Reply, Verdict};
use rustls::{ClientConfig, ClientConnection};
use tokio::time::Instant;

use crate::http::config::Shared;
use crate::http::error::HttpError;
use crate::http::report::{HttpReport, Shown};
use crate::http::tls::Tls;

/// An attempt under way. When it fails, the kept addresses of its host are discarded, unless the attempt
/// merely ran out of time before it could use them.
pub(crate) struct Attempt<'a> {
    shared: &'a Shared,
    name: Option<&'a str>,
    /// An attempt before it failed.
    pub(crate) fresh: bool,
    began: Instant,
    is_late: bool,
    outcome: Outcome,
    /// What it meets, if anybody wants to know, and the certificate that it is shown.
    report: Option<Box<(HttpReport, Shown)>>,
}

enum Outcome {
    /// The receiver answered, and need not be asked again.
    Succeeded,
    Failed,
    /// It timed out. An attempt that is dropped counts as such.
    RanOut,
}

impl<'a> Attempt<'a> {
    /// An attempt that begins now.
    pub(crate) fn begin(shared: &'a Shared, endpoint: &Endpoint<'a>, fresh: bool) -> Self {
        let name = match endpoint.host() {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        };
        let began = Instant::now();
        let outcome = Outcome::RanOut;
        Self { shared, name, fresh, began, is_late: false, outcome, report: None }
    }

    /// It is there to send this.
    pub(crate) fn sends(&mut self, message: &Message<'_>) {
        let wanted = self.shared.on_report.is_some();
        self.report = wanted.then(|| Box::new((HttpReport::of(message), Shown::default())));
    }

    /// The deadline for resolving and connecting.
    pub(crate) fn until(&self) -> Instant {
        self.began + self.shared.dial_time
    }

    /// It begins to wait for its host's addresses.
    pub(crate) fn look_up(&mut self) {
        self.is_late = true;
    }

    /// It has its host's addresses. Returns whether that is late: more than half of its time is over.
    pub(crate) fn found(&mut self) -> bool {
        self.is_late = self.began.elapsed() > self.shared.dial_time / 2;
        self.is_late
    }

    /// It knows where to connect to.
    pub(crate) fn resolved(&mut self) {
        if let Some((report, _)) = self.report.as_deref_mut() {
            report.resolved = Some(self.began.elapsed());
        }
    }

    /// It has a connection.
    pub(crate) fn connected(&mut self, address: SocketAddr) {
        if let Some((report, _)) = self.report.as_deref_mut() {
            (report.address, report.connected) = (Some(address), Some(self.began.elapsed()));
        }
    }

    /// What its TLS connection is made with.
    pub(crate) fn config(&self, tls: Tls) -> Arc<ClientConfig> {
        match self.report.as_deref() {
            Some((_, shown)) => tls.showing(Arc::clone(shown)),
            None => tls.config,
        }
    }

    /// Its TLS handshake ended, with a connection or without.
    pub(crate) fn shook(&mut self, tls: Option<&ClientConnection>) {
        if let (Some((report, _)), Some(tls)) = (self.report.as_deref_mut(), tls) {
            report.secured(tls, self.began.elapsed());
        }
    }

    /// Judges the answer, tells what it met, and notes how it ended.
    pub(crate) fn conclude(
        &mut self,
        response: Result<Response, HttpError>,
        message: &Message<'_>,
    ) -> Result<Reply, HttpError> {
        let result = response.map(|response| self.shared.judge(response, message));
        self.tell(Some(&result));
        self.end(result.as_ref().map(|reply| reply.verdict));
        result
    }

    /// How it ended.
    pub(crate) fn end(&mut self, result: Result<Verdict, &HttpError>) {
        self.outcome = match result {
            Ok(Verdict::Later(_)) => Outcome::Failed,
            Ok(_) => Outcome::Succeeded,
            Err(HttpError::LookUpTimedOut { .. }) => Outcome::RanOut,
            Err(HttpError::Connect { error, .. }) if error.kind() == io::ErrorKind::TimedOut => {
                Outcome::RanOut
            }
            Err(_) => Outcome::Failed,
        };
    }

    /// Tells what it met, once.
    fn tell(&mut self, result: Option<&Result<Reply, HttpError>>) {
        let (Some(told), Some(report)) = (&self.shared.on_report, self.report.take()) else {
            return;
        };
        let (mut report, shown) = *report;
        report.took = self.began.elapsed();
        report.certificate = report.certificate.or_else(|| shown.get().map(|shown| shown.to_vec()));
        told(&report, result);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.tell(None);
        let has_failed = match self.outcome {
            Outcome::Succeeded => false,
            Outcome::Failed => true,
            Outcome::RanOut => !self.is_late,
        };
        if has_failed && let Some(name) = self.name {
            self.shared.look_ups.forget(name);
        }
    }
}
