//! `outbox`: people look at an outbox's file, and correct it. A daemon may have the file meanwhile.

mod args;
mod json;
mod out;
mod show;

use pilot_webhook_std::Printable;
use pilot_webhook_std::outbox::{DeadLetter, Item, OutboxFile, Stored, Which};
use serde::Serialize;
use serde_json::json;

pub(crate) use self::args::OutboxCommand;
use self::args::Place;
use self::json::{Event, Record};
use self::out::{Out, Stop};
use self::show::count;
use crate::Failure;

/// Does what the command says. It blocks on the disk and on standard output.
///
/// # Errors
/// When it cannot be done, and when `verify` found something.
pub(crate) fn run(command: &OutboxCommand) -> Result<(), Failure> {
    let mut out = Out::new();
    let done = perform(command, &mut out);
    // Also what was printed before a failure.
    match done.and(out.flush()) {
        Ok(()) | Err(Stop::Enough) => Ok(()),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

fn perform(command: &OutboxCommand, out: &mut Out) -> Result<(), Stop> {
    match command {
        OutboxCommand::Status(place) => status(place, out),
        OutboxCommand::List(place) => list(place, out),
        OutboxCommand::Dead(place) => dead(place, out),
        OutboxCommand::Show { id, place } => show(*id, place, out),
        OutboxCommand::Replay { selection, place } => {
            replay(selection.which("replay")?, place, out)
        }
        OutboxCommand::Purge { waiting: true, anyway, place, .. } => {
            purge_waiting(*anyway, place, out)
        }
        OutboxCommand::Purge { selection, place, .. } => {
            purge(selection.which("purge")?, place, out)
        }
        OutboxCommand::Export { waiting, dead, place } => export(!dead, !waiting, place, out),
        OutboxCommand::Verify(place) => verify(place, out),
    }
}

fn open(place: &Place) -> Result<OutboxFile, Stop> {
    Ok(OutboxFile::open(&place.outbox)?)
}

fn status(place: &Place, out: &mut Out) -> Result<(), Stop> {
    let mut status = open(place)?.status()?;
    if let Some(name) = &place.endpoint {
        status.endpoints.retain(|endpoint| endpoint.name == *name);
        if status.endpoints.is_empty() {
            return Err(no_endpoint(name));
        }
    }
    match (place.json, &place.endpoint) {
        (true, _) => out.line(line(&json::Status::new(&place.outbox, &status))?),
        (false, None) => out.line(show::status(&place.outbox, &status)),
        (false, Some(_)) => status.endpoints.iter().try_for_each(|it| out.line(show::endpoint(it))),
    }
}

fn list(place: &Place, out: &mut Out) -> Result<(), Stop> {
    let mut unfit = Unfit::default();
    open(place)?.each_waiting(place.endpoint(), |endpoint: &str, event: Stored| {
        if place.json {
            unfit.or_print(event.id, Record::waiting(endpoint, &event), out)
        } else {
            out.line(show::waiting(endpoint, &event))
        }
    })?;
    unfit.verdict()
}

fn dead(place: &Place, out: &mut Out) -> Result<(), Stop> {
    let mut unfit = Unfit::default();
    open(place)?.each_dead(place.endpoint(), |letter: DeadLetter| {
        if place.json {
            unfit.or_print(letter.event.id, Record::dead(&letter), out)
        } else {
            out.line(show::dead(&letter))
        }
    })?;
    unfit.verdict()
}

fn show(id: u64, place: &Place, out: &mut Out) -> Result<(), Stop> {
    let file = open(place)?;
    let items = file.show(id, place.endpoint())?;
    if items.is_empty() {
        let last = file.status()?.last_id;
        return Err(Failure::runtime(if id > last {
            format!("there is no event {id}: the last one is {last}")
        } else {
            format!("event {id} is not in the file any more: it was delivered, removed or replayed")
        })
        .into());
    }
    let mut unfit = Unfit::default();
    for (item, number) in items.iter().zip(1..) {
        match item {
            // One after the other, with an empty line between them.
            _ if !place.json && number > 1 => out.line(format_args!("\n{}", show::item(item)))?,
            _ if !place.json => out.line(show::item(item))?,
            Item::Waiting { endpoint, event } => {
                unfit.or_print(id, Record::waiting(endpoint, event), out)?;
            }
            Item::Dead(letter) => unfit.or_print(id, Record::dead(letter), out)?,
        }
    }
    unfit.verdict()
}

fn replay(which: Which<'_>, place: &Place, out: &mut Out) -> Result<(), Stop> {
    let file = open(place)?;
    check_there(&file, which, place.endpoint())?;
    let asked = file.replay(which, place.endpoint())?;
    let live = file.status()?.is_live;
    if place.json {
        return out.line(json!({"asked": asked, "live": live}));
    }
    let letters = count(asked, "dead letter");
    out.line(match (asked, live) {
        (0, _) => "nothing to replay that was not asked for before".to_owned(),
        (_, true) => format!("{letters} to be replayed: the daemon does it as soon as it has room"),
        (_, false) => format!("{letters} to be replayed: the next daemon on this file does it"),
    })
}

fn purge(which: Which<'_>, place: &Place, out: &mut Out) -> Result<(), Stop> {
    let file = open(place)?;
    check_there(&file, which, place.endpoint())?;
    let purged = file.purge(which, place.endpoint())?;
    if place.json {
        out.line(json!({"purged": purged}))
    } else {
        out.line(format_args!("{} removed", count(purged, "dead letter")))
    }
}

/// Removes what waits for an endpoint. With a daemon on the file that has to be meant.
fn purge_waiting(anyway: bool, place: &Place, out: &mut Out) -> Result<(), Stop> {
    let file = open(place)?;
    let name = place.endpoint().unwrap_or_default();
    if !anyway && file.status()?.is_live {
        let name = Printable::new(name, 1_024);
        return Err(Failure::runtime(format!(
            "a daemon has the file: if it delivers for {name}, what it has read is sent all the same, and counted as \
             removed. To do it anyway: --anyway"
        ))
        .into());
    }
    let purged = file.purge_waiting(name)?;
    if place.json {
        out.line(json!({"purged": purged}))
    } else {
        out.line(format_args!("{} removed that waited", count(purged, "event")))
    }
}

/// An id that is no dead letter's is a mistake. A pattern that nothing matches may be none.
fn check_there(file: &OutboxFile, which: Which<'_>, endpoint: Option<&str>) -> Result<(), Stop> {
    let Which::Id(id) = which else { return Ok(()) };
    let items = file.show(id, endpoint)?;
    if items.iter().any(|item| matches!(item, Item::Dead(_))) {
        return Ok(());
    }
    Err(Failure::runtime(match items.is_empty() {
        false => format!("event {id} waits, and is no dead letter (see --waiting)"),
        true => format!("there is no dead letter {id}"),
    })
    .into())
}

fn export(waiting: bool, dead: bool, place: &Place, out: &mut Out) -> Result<(), Stop> {
    let file = open(place)?;
    let mut unfit = Unfit::default();
    let mut print = |event: Stored| unfit.or_print(event.id, Event::new(&event), out);
    match place.endpoint() {
        _ if !waiting => {}
        // Once, for however many endpoints it waits.
        None => file.each_event(&mut print)?,
        endpoint => file.each_waiting(endpoint, |_, event| print(event))?,
    }
    if dead {
        file.each_dead(place.endpoint(), |letter| print(letter.event))?;
    }
    unfit.verdict()
}

/// The whole file is checked. The account that is shown is that of the endpoint, if one was named.
fn verify(place: &Place, out: &mut Out) -> Result<(), Stop> {
    let file = open(place)?;
    let ledger = match place.endpoint() {
        Some(name) => {
            let endpoints = file.status()?.endpoints;
            let named = endpoints.iter().find(|endpoint| endpoint.name == name);
            Some(named.ok_or_else(|| no_endpoint(name))?.ledger)
        }
        None => None,
    };
    let found = file.verify()?;
    let ledger = ledger.unwrap_or(found.ledger);
    if place.json {
        out.line(line(&json::Verified::new(&found, ledger))?)?;
    } else if found.problems.is_empty() {
        out.line(format_args!("all is well: {ledger}"))?;
    } else {
        found
            .problems
            .iter()
            .flat_map(|what| what.lines())
            .try_for_each(|what| out.line(Printable::new(what, 1_024)))?;
    }
    match found.problems.len() as u64 {
        0 => Ok(()),
        problems => {
            let problems = count(problems, "problem");
            let path = Printable::new(place.outbox.display(), 1_024);
            Err(Failure::runtime(format!("outbox {path}: {problems}")).into())
        }
    }
}

fn no_endpoint(name: &str) -> Stop {
    let name = Printable::new(name, 1_024);
    Failure::runtime(format!("the outbox has no endpoint {name}")).into()
}

fn line(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(Failure::runtime)
}

/// Events that cannot be shown as JSON, as their data is not. The others are shown all the same.
#[derive(Default)]
struct Unfit {
    events: u64,
    first: u64,
}

impl Unfit {
    fn or_print(
        &mut self,
        id: u64,
        event: Option<impl Serialize>,
        out: &mut Out,
    ) -> Result<(), Stop> {
        let Some(event) = event else {
            if self.events == 0 {
                self.first = id;
            }
            self.events += 1;
            return Ok(());
        };
        out.line(line(&event)?)
    }

    fn verdict(&self) -> Result<(), Stop> {
        let Self { events, first } = self;
        match events {
            0 => Ok(()),
            1 => Err(Failure::runtime(format!("event {first} is left out: its data is not JSON"))),
            _ => Err(Failure::runtime(format!(
                "{events} events are left out, the first is {first}: their data is not JSON"
            ))),
        }
        .map_err(Stop::from)
    }
}
