//! An approval can be used once: it is neither Clone nor Deserialize.

fn needs_clone<T: Clone>() {}
fn needs_deserialize<T: serde::de::DeserializeOwned>() {}

fn main() {
    needs_clone::<risk::ApprovedOrder>();
    needs_deserialize::<risk::ApprovedOrder>();
    needs_clone::<risk::ReleasedOrder>();
    needs_deserialize::<risk::ReleasedOrder>();
}
