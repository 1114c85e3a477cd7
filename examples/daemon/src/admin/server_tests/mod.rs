//! The rules of the admin address.

mod guarded;
mod machines;
mod pages;
mod world;
