//! What orders that are open have reserved of a position.
//!
//! It must never count the two legs of one list twice: they reserve one quantity.

use domain::{InstanceId, Purpose, Quantity, Symbol};

use crate::{Ledger, Order};

impl Ledger {
    /// What the open exits of an instance's position may still sell or buy back, in base units. Two legs of one list
    /// reserve one quantity.
    #[must_use]
    pub fn reserved_by_exits(&self, instance: &InstanceId, symbol: &Symbol) -> Quantity {
        let exits = self.open_orders().filter(|order| {
            matches!(order.spec.purpose, Purpose::Exit(_))
                && order.spec.instance == *instance
                && order.spec.symbol == *symbol
        });
        let counts = |order: &&Order| {
            let other = order.spec.oco.as_ref().and_then(|id| self.order(id)).filter(|other| !other.is_done());
            other.is_none_or(|other| (order.open_quantity(), order.id()) > (other.open_quantity(), other.id()))
        };
        exits.filter(counts).map(Order::open_quantity).sum()
    }
}
