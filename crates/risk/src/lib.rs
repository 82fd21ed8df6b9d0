//! Risk: restrictions, pre-trade limits, and the gate: the one exit to the world, held by types.
//!
//! Pure. Nothing but [`gate::Gate`] can make an [`order::ApprovedOrder`], and nothing but a release through the
//! [`latch::SafetyLatch`] can make an [`order::ReleasedOrder`] of it; an adapter takes nothing else.
#![deny(clippy::float_arithmetic)]

mod approved;
pub mod gate;
pub mod latch;
pub mod limits;
pub mod order;
mod protect;
pub mod restriction;

pub use approved::{ApprovedOrder, NotReleased, ReleasedOrder};
pub use gate::{Gate, GateView, Refusal};
pub use latch::SafetyLatch;
pub use limits::Limits;
pub use order::{EntryIntent, ExitIntent, OrderIntent, ProtectIntent, Protection, ProtectionStyle};
pub use restriction::{Release, Restriction, Restrictions};
