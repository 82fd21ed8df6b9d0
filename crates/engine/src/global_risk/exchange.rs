//! The connection to the exchange in GlobalRisk: while it is not known what happens there, nothing increases exposure.
//!
//! It must never end an outage before what happened meanwhile is booked, nor take a transfer for a gain or a loss.

use domain::{Asset, CorrelationId, Fill, Permission, Quantity, ReasonCode, Scope, Severity, Timestamp};
use risk::{Release, Restriction};

use super::{GlobalRisk, ME};
use crate::Effects;
use crate::message::{Envelope, ExchangeEvent, ReconcilerMessage};
use crate::record::{OutsideCause, Record};

/// Transfers remembered, so that one that is told twice counts once.
const TRANSFERS_KEPT: usize = 64;

/// Something that keeps the exchange from being known.
#[derive(Debug)]
pub(super) struct Outage {
    /// It is over, and the question after what happened meanwhile has this number.
    over: Option<u64>,
    /// Somebody was told of its beginning.
    told: bool,
}

impl GlobalRisk {
    pub(super) fn exchange(&mut self, now: Timestamp, event: ExchangeEvent, effects: &mut Effects) {
        use ReasonCode::{AccountStreamLost, ExchangeUnreachable};
        match event {
            ExchangeEvent::AccountStreamAwaited => self.outage(now, AccountStreamLost, None, effects),
            ExchangeEvent::AccountStreamLost(detail) => {
                let text = format!(
                    "Events of the account do not come: {detail}. The stream is being opened again; no entry is sent \
                     until what happened meanwhile is booked. What rests on the exchange works on."
                );
                self.outage(now, AccountStreamLost, Some(text), effects);
            }
            ExchangeEvent::AccountStreamSubscribed => self.outage_over(AccountStreamLost, effects),
            ExchangeEvent::Unreachable(detail) => {
                let text = format!(
                    "The exchange does not answer: {detail}. Positions are managed with the data at hand, no entry is \
                     sent, cancels and exits are tried and serve as probes."
                );
                self.outage(now, ExchangeUnreachable, Some(text), effects);
            }
            ExchangeEvent::Reachable => self.outage_over(ExchangeUnreachable, effects),
            ExchangeEvent::KeyRefused(detail) => self.key_refused(now, &detail, effects),
            ExchangeEvent::Transfer { asset, delta, time } => self.transfer(now, (asset, delta, time), effects),
            ExchangeEvent::Validated(symbol, order, refusal) => {
                let correlation = self.ledger.order(&order).map(|order| order.correlation_id).unwrap_or_default();
                effects.journal(now, ME, correlation, Record::OrderValidated { symbol, order, refusal });
            }
        }
    }

    /// Nothing can be sent, and nobody but a person can change that: the next start checks the key again.
    fn key_refused(&mut self, now: Timestamp, detail: &str, effects: &mut Effects) {
        let (scope, permission, reason) = (Scope::Exchange, Permission::Exits, ReasonCode::KeyInvalid);
        let known = self.restrictions.iter().any(|found| found.reason == reason);
        self.tighten(Restriction { scope, permission, reason, since: now, release: Release::Condition }, effects);
        if !known {
            let text = format!(
                "The exchange refuses the API key: {detail}. No entry is sent. What rests on the exchange works on. Check \
                 the key and its permissions, and start the service again."
            );
            let correlation = CorrelationId::default();
            Self::alert(now, Severity::Critical, reason, Scope::Exchange, text, correlation, effects);
        }
    }

    fn outage(&mut self, now: Timestamp, reason: ReasonCode, text: Option<String>, effects: &mut Effects) {
        let outage = self.outages.entry(reason).or_insert(Outage { over: None, told: false });
        outage.over = None;
        let tell = text.filter(|_| !std::mem::replace(&mut outage.told, true));
        let (scope, permission, release) = (Scope::Exchange, Permission::Exits, Release::Condition);
        self.tighten(Restriction { scope, permission, reason, since: now, release }, effects);
        if let Some(text) = tell {
            let correlation = CorrelationId::default();
            Self::alert(now, Severity::Critical, reason, Scope::Exchange, text, correlation, effects);
        }
    }

    fn outage_over(&mut self, reason: ReasonCode, effects: &mut Effects) {
        if let Some(outage) = self.outages.get_mut(&reason) {
            self.gaps += 1;
            outage.over = Some(self.gaps);
            effects.send(Envelope::Reconciler(ReconcilerMessage::CloseGap(self.gaps)));
        }
    }

    /// What happened up to question `closed` is booked: outages that were over when it was asked end.
    pub(super) fn gap_closed(&mut self, now: Timestamp, closed: u64, effects: &mut Effects) {
        for (reason, outage) in std::mem::take(&mut self.outages) {
            if outage.over.is_none_or(|gap| gap > closed) {
                self.outages.insert(reason, outage);
                continue;
            }
            self.loosen(now, Scope::Exchange, reason, Permission::All, "reconciliation", effects);
            if outage.told {
                let (reason, what) = match reason {
                    ReasonCode::ExchangeUnreachable => (ReasonCode::ExchangeReachable, "The exchange answers again"),
                    _ => (ReasonCode::AccountStreamRestored, "Events of the account come again"),
                };
                let text = format!("{what}, and what happened meanwhile is booked.");
                let correlation = CorrelationId::default();
                Self::alert(now, Severity::Info, reason, Scope::Exchange, text, correlation, effects);
            }
        }
    }

    /// A commission in an asset of no book comes out of what is held beside them.
    pub(super) fn charge_outside(&mut self, now: Timestamp, fill: &Fill, effects: &mut Effects) {
        let Some(quantity) = self.outside.get_mut(&fill.commission_asset) else { return };
        *quantity -= fill.commission;
        let (asset, quantity) = (fill.commission_asset.clone(), *quantity);
        let cause = OutsideCause::Commission(fill.commission);
        effects.journal(now, ME, CorrelationId::default(), Record::OutsideChanged { asset, quantity, cause });
    }

    /// It is no trade of ours, so it belongs to what is held beside the books.
    fn transfer(&mut self, now: Timestamp, transfer: (Asset, Quantity, Timestamp), effects: &mut Effects) {
        // Two connections are read while one replaces the other.
        if self.transfers.contains(&transfer) {
            return;
        }
        self.transfers.push_back(transfer.clone());
        if self.transfers.len() > TRANSFERS_KEPT {
            self.transfers.pop_front();
        }
        let (asset, delta, _) = transfer;
        let quantity = self.outside.entry(asset.clone()).or_default();
        *quantity += delta;
        let (quantity, cause) = (*quantity, OutsideCause::Transfer(delta));
        let text = format!("{delta} {asset} moved without a trade; {quantity} {asset} are held beside the books now.");
        let correlation = CorrelationId::default();
        effects.journal(now, ME, correlation, Record::OutsideChanged { asset, quantity, cause });
        let (reason, scope) = (ReasonCode::OutsideHolding, Scope::Exchange);
        Self::alert(now, Severity::Warning, reason, scope, text, correlation, effects);
    }
}
