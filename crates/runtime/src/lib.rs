//! actix shells, supervision, clock, composition of modes.
