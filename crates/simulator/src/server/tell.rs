//! What accounts are told: the model's events in the protocol's form, put into the outbox.
//!
//! It must never leave an event out, nor tell one to another account.

use serde_json::json;

use super::core::Core;
use super::wire;
use super::wire_lists::list_event;
use super::wire_orders::{Detail, execution_report};
use crate::model::{ExecutionKind, ModelEvent, OrderView};

impl Core {
    /// Puts what happened to accounts into the outbox; it leaves with the next commit. `cancel_id` is the id of the
    /// request that cancelled.
    pub(super) fn tell(&mut self, events: &[ModelEvent], cancel_id: Option<&str>) {
        self.is_dirty |= !events.is_empty();
        for event in events {
            let frame = match event {
                ModelEvent::Order { order, execution, .. } => {
                    let canceled = cancel_id.filter(|_| *execution == ExecutionKind::Canceled);
                    let ids = canceled.map(|id| (id, order.client_order_id.as_str()));
                    self.report(order, *execution, Detail { ids, ..Detail::default() })
                }
                ModelEvent::Fill { fill, order, .. } => {
                    self.count_fill(order, fill);
                    self.report(order, ExecutionKind::Trade, Detail { fill: Some(fill), ..Detail::default() })
                }
                ModelEvent::Prevented { order, prevented, .. } => {
                    let detail = Detail { prevented: Some(prevented), ..Detail::default() };
                    self.report(order, ExecutionKind::TradePrevention, detail)
                }
                ModelEvent::Amended { order, original, .. } => {
                    let ids = Some((order.client_order_id.as_str(), original.as_str()));
                    self.report(order, ExecutionKind::Replaced, Detail { ids, ..Detail::default() })
                }
                ModelEvent::List { list, .. } => list_event(list),
                ModelEvent::Balances { account, assets } => {
                    let now = self.now();
                    let balances = self.model.balances(account);
                    let shown =
                        assets.iter().map(|asset| (asset.as_str(), balances.get(asset).copied().unwrap_or_default()));
                    wire::account_position(shown, now)
                }
                ModelEvent::BalanceUpdate { asset, delta, time, .. } => json!({
                    "e": "balanceUpdate", "E": time.as_millis(), "a": asset.as_str(),
                    "d": wire::fixed(delta.value()), "T": time.as_millis(),
                }),
                ModelEvent::ExternalLock { asset, delta, time, .. } => json!({
                    "e": "externalLockUpdate", "E": time.as_millis(), "a": asset.as_str(),
                    "d": wire::fixed(delta.value()), "T": time.as_millis(),
                }),
            };
            self.hub.publish_user(event.account(), &frame);
        }
    }

    fn report(&mut self, order: &OrderView, execution: ExecutionKind, detail: Detail<'_>) -> serde_json::Value {
        self.execution_id += 1;
        execution_report(order, execution, detail, self.execution_id)
    }
}
