//! `pilot-webhookd run --listen`, as pilot's Go plugin meets it: the real binary, a real receiver.

mod daemon;
mod delivery;
mod ends;
mod original;
mod outbox;
mod signed;
mod standard;
mod traced;
