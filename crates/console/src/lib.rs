//! What faces people: the control socket, tables, the live screen.
//!
//! It must never ask a machine anything while it works: it shows what the shells published and what the book holds, and
//! the one thing that it can command is an orderly stop.

pub mod book;
pub mod control;
pub mod screen;
pub mod tables;

pub use book::{Book, JournalQuery};
pub use control::{ControlClient, ControlError, ControlServer, Request, Response};
pub use screen::{Output, Screen};

#[cfg(test)]
mod samples;
