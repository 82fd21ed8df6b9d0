//! An approval is used up by its release.

fn twice(order: risk::ApprovedOrder, latch: &risk::SafetyLatch, now: domain::Timestamp) {
    let _ = order.release(latch, now);
    let _ = order.release(latch, now);
}

fn main() {}
