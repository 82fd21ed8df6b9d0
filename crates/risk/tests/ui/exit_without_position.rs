//! An exit cannot be made without a position, nor a position without the ledger.

fn forge(instance: domain::InstanceId, symbol: domain::Symbol) -> ledger::Position {
    ledger::Position::flat(instance, symbol)
}

fn main() {
    let _ = risk::ExitIntent { quantity: domain::Quantity::ZERO };
}
