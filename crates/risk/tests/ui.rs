//! Proves that nobody outside the gate can make an approved or a released order.

#[test]
fn orders_cannot_be_forged() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
