//! Restrictions: the one concept of safety. The effective permission is the minimum over the scopes that an order touches.
//!
//! Restrictions are only added by breakers and only read by the gate. It must never clear one because of a start.

use std::collections::BTreeMap;

use domain::{FamilyId, InstanceId, Permission, ReasonCode, Scope, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

/// What ends a restriction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// It ends by itself at this moment, in exchange time.
    At(Timestamp),
    /// It ends when the machine that raised it says that its condition is over (recovery done, journal writable).
    Condition,
    /// Only a person ends it.
    OperatorOnly,
}

/// One restriction. There is at most one for a scope and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restriction {
    /// What it applies to.
    pub scope: Scope,
    /// The most that is still permitted there.
    pub permission: Permission,
    /// Why.
    pub reason: ReasonCode,
    /// Since when, in exchange time.
    pub since: Timestamp,
    /// What ends it.
    pub release: Release,
}

/// All restrictions in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restrictions {
    by_scope: BTreeMap<Scope, BTreeMap<ReasonCode, Restriction>>,
}

impl Restrictions {
    /// Those that a restart found in the store.
    #[must_use]
    pub fn new(restored: impl IntoIterator<Item = Restriction>) -> Self {
        let mut restrictions = Self::default();
        for restriction in restored {
            restrictions.raise(restriction);
        }
        restrictions
    }

    /// All of them, by scope.
    pub fn iter(&self) -> impl Iterator<Item = &Restriction> {
        self.by_scope.values().flat_map(BTreeMap::values)
    }

    /// Adds a restriction, or tightens the one of the same scope and reason; it never loosens one. Returns what is in force
    /// now where anything became tighter: that, and not what was asked for, is what must be kept.
    pub fn raise(&mut self, new: Restriction) -> Option<&Restriction> {
        let of_scope = self.by_scope.entry(new.scope.clone()).or_default();
        let (reason, permission, release) = (new.reason, new.permission, new.release);
        let tighter =
            of_scope.get(&reason).is_none_or(|old| permission < old.permission || lasts_longer(release, old.release));
        let in_force = of_scope.entry(reason).or_insert(new);
        in_force.permission = in_force.permission.min(permission);
        if lasts_longer(release, in_force.release) {
            in_force.release = release;
        }
        tighter.then_some(&*in_force)
    }

    /// Takes one restriction away and returns it. The caller has made sure that whoever asks may do so, and that the
    /// loosening is durable.
    pub fn lift(&mut self, scope: &Scope, reason: ReasonCode) -> Option<Restriction> {
        let of_scope = self.by_scope.get_mut(scope)?;
        let lifted = of_scope.remove(&reason);
        if of_scope.is_empty() {
            self.by_scope.remove(scope);
        }
        lifted
    }

    /// Restrictions whose time has come.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> Vec<Restriction> {
        self.iter().filter(|restriction| matches!(restriction.release, Release::At(at) if at <= now)).cloned().collect()
    }

    /// The tightest restriction on an order of `instance` of `family` on `symbol`; `None` means that all is permitted.
    #[must_use]
    pub fn tightest(&self, instance: &InstanceId, family: &FamilyId, symbol: &Symbol) -> Option<&Restriction> {
        if self.by_scope.is_empty() {
            return None;
        }
        [
            Scope::Global,
            Scope::Exchange,
            Scope::Family(family.clone()),
            Scope::Instance(instance.clone()),
            Scope::Symbol(symbol.clone()),
        ]
        .iter()
        .filter_map(|scope| self.by_scope.get(scope))
        .flat_map(BTreeMap::values)
        .min_by_key(|restriction| restriction.permission)
    }

    /// What the whole portfolio is permitted: the minimum over the global and the exchange's scope.
    #[must_use]
    pub fn global_permission(&self) -> Permission {
        [Scope::Global, Scope::Exchange]
            .iter()
            .filter_map(|scope| self.by_scope.get(scope))
            .flat_map(BTreeMap::values)
            .map(|restriction| restriction.permission)
            .min()
            .unwrap_or(Permission::All)
    }
}

fn lasts_longer(new: Release, old: Release) -> bool {
    match (new, old) {
        (Release::At(new), Release::At(old)) => new > old,
        (Release::OperatorOnly | Release::Condition, Release::At(_)) | (Release::OperatorOnly, Release::Condition) => {
            true
        }
        (Release::At(_) | Release::Condition | Release::OperatorOnly, Release::Condition | Release::OperatorOnly) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn restriction(scope: Scope, permission: Permission, reason: ReasonCode, release: Release) -> Restriction {
        Restriction { scope, permission, reason, since: Timestamp::EPOCH, release }
    }

    fn ids() -> (InstanceId, FamilyId, Symbol) {
        ("a".parse().unwrap(), "trend".parse().unwrap(), "BTCUSDT".parse().unwrap())
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        let (instance, family, symbol) = ids();
        prop_oneof![
            Just(Scope::Global),
            Just(Scope::Exchange),
            Just(Scope::Family(family)),
            Just(Scope::Instance(instance)),
            Just(Scope::Symbol(symbol)),
            Just(Scope::Instance("other".parse().unwrap())),
        ]
    }

    fn any_restriction() -> impl Strategy<Value = Restriction> {
        let permission = prop::sample::select(vec![
            Permission::Nothing,
            Permission::GuardedExits,
            Permission::Exits,
            Permission::All,
        ]);
        let reason = prop::sample::select(vec![ReasonCode::Recovery, ReasonCode::SafeMode, ReasonCode::OperatorPause]);
        let release = prop_oneof![
            (0i64..100).prop_map(|at| Release::At(Timestamp::from_millis(at))),
            Just(Release::Condition),
            Just(Release::OperatorOnly)
        ];
        (any_scope(), permission, reason, release).prop_map(|(s, p, r, e)| restriction(s, p, r, e))
    }

    fn effective(restrictions: &Restrictions) -> Permission {
        let (instance, family, symbol) = ids();
        restrictions.tightest(&instance, &family, &symbol).map_or(Permission::All, |found| found.permission)
    }

    proptest! {
        /// Raising never loosens: whatever is raised, the effective permission only falls.
        #[test]
        fn raising_only_tightens(raised in prop::collection::vec(any_restriction(), 1..20)) {
            let mut restrictions = Restrictions::default();
            for new in raised {
                let before = effective(&restrictions);
                let touches = !matches!(&new.scope, Scope::Instance(id) if id.as_str() == "other");
                let limit = if touches { new.permission } else { Permission::All };
                restrictions.raise(new);
                prop_assert_eq!(effective(&restrictions), before.min(limit));
            }
        }

        #[test]
        fn the_order_of_raising_does_not_matter(
            raised in prop::collection::vec(any_restriction(), 0..12).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
        ) {
            prop_assert_eq!(Restrictions::new(raised.0), Restrictions::new(raised.1));
        }
    }

    /// A second raise that permits more and lasts longer must not be what is kept of the first.
    #[test]
    fn what_is_in_force_is_told_and_not_what_was_asked_for() {
        let mut restrictions = Restrictions::default();
        let at = Release::At(Timestamp::from_millis(50));
        restrictions.raise(restriction(Scope::Global, Permission::Nothing, ReasonCode::SafeMode, at));
        let wider = restriction(Scope::Global, Permission::Exits, ReasonCode::SafeMode, Release::OperatorOnly);
        let in_force = restrictions.raise(wider).unwrap();
        assert_eq!((in_force.permission, in_force.release), (Permission::Nothing, Release::OperatorOnly));
        let weaker = restriction(Scope::Global, Permission::Exits, ReasonCode::SafeMode, at);
        assert_eq!(restrictions.raise(weaker), None);
    }

    #[test]
    fn a_restriction_with_a_time_expires_and_others_do_not() {
        let mut restrictions = Restrictions::default();
        let at = Release::At(Timestamp::from_millis(50));
        restrictions.raise(restriction(Scope::Global, Permission::Exits, ReasonCode::OperatorPause, at));
        restrictions.raise(restriction(
            Scope::Exchange,
            Permission::Exits,
            ReasonCode::SafeMode,
            Release::OperatorOnly,
        ));
        assert_eq!(restrictions.expired(Timestamp::from_millis(49)), []);
        assert_eq!(restrictions.expired(Timestamp::from_millis(50)).len(), 1);
        restrictions.lift(&Scope::Global, ReasonCode::OperatorPause);
        assert_eq!(restrictions.global_permission(), Permission::Exits);
    }
}
