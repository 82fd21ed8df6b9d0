//! An approval cannot be written down.

fn forge(order: risk::ReleasedOrder) -> risk::ApprovedOrder {
    risk::ApprovedOrder { spec: order.spec().clone(), protection: None }
}

fn main() {}
