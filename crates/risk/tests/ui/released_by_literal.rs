//! A released order cannot be written down.

fn forge(order: risk::ApprovedOrder) -> risk::ReleasedOrder {
    risk::ReleasedOrder {
        spec: order.spec().clone(),
        correlation_id: order.correlation_id(),
    }
}

fn main() {}
