//! The constructor of an approval is the gate's own.

fn forge(spec: domain::OrderSpec, latch: &risk::SafetyLatch) -> risk::ApprovedOrder {
    risk::ApprovedOrder::new(spec, None, domain::CorrelationId(0), domain::Timestamp::EPOCH, latch)
}

fn main() {}
