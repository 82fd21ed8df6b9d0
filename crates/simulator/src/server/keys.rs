//! Keys: whose they are, what they may do, from where, and until when.
//!
//! It must never say why a key is refused: the exchange does not, and neither may a stand-in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::auth::{Checker, check_time};
use super::config::{KeyConfig, KeyPermissions};
use super::core::Core;
use super::params::Params;
use super::shared::{Caller, Identity};
use crate::model::{AccountId, Refusal};

/// What a request needs of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Reading,
    Trading,
}

impl Need {
    /// By the verb of the endpoint: whatever is not asked changes something.
    pub(super) fn of(verb: &str) -> Self {
        if verb == "GET" { Self::Reading } else { Self::Trading }
    }
}

/// A key, whose it is and how it signs.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) account: AccountId,
    pub(super) checker: Checker,
    pub(super) permissions: KeyPermissions,
    addresses: Vec<IpAddr>,
    /// When the server first knew it, in the exchange's time.
    pub(super) created: i64,
    is_revoked: bool,
}

impl Key {
    pub(super) fn is_restricted(&self) -> bool {
        !self.addresses.is_empty()
    }

    fn may(&self, need: Need, from: IpAddr) -> bool {
        let is_permitted = match need {
            Need::Reading => self.permissions.reading,
            Need::Trading => self.permissions.spot_trading,
        };
        is_permitted && (self.addresses.is_empty() || self.addresses.contains(&from))
    }
}

/// All keys.
#[derive(Default)]
pub(super) struct Keys(BTreeMap<String, Key>);

impl Keys {
    /// Adds a key; false where its secret is no key.
    pub(super) fn add(&mut self, account: &AccountId, config: &KeyConfig, now: i64) -> bool {
        let Some(checker) = Checker::new(&config.secret) else { return false };
        let key = Key {
            account: account.clone(),
            checker,
            permissions: config.permissions,
            addresses: config.addresses.clone(),
            created: now,
            is_revoked: false,
        };
        self.0.insert(config.api_key.clone(), key);
        true
    }

    /// A key that is good.
    ///
    /// # Errors
    /// The text is no key (-2014), or the key is unknown or revoked (-2015).
    pub(super) fn find(&self, key: Option<&str>) -> Result<&Key, Refusal> {
        let is_key = |key: &&str| {
            !key.is_empty()
                && key.len() <= 128
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let key = key.filter(is_key).ok_or_else(|| Refusal::new(-2014, "API-key format invalid."))?;
        self.0.get(key).filter(|key| !key.is_revoked).ok_or_else(Refusal::unknown_account)
    }

    /// Whose key it is, good or not, for faults that are aimed at an account.
    pub(super) fn account_of(&self, key: &str) -> Option<&AccountId> {
        self.0.get(key).map(|key| &key.account)
    }

    /// Takes a key away; false where there is none of that name.
    pub(super) fn revoke(&mut self, key: &str) -> bool {
        self.0.get_mut(key).map(|key| key.is_revoked = true).is_some()
    }
}

impl Core {
    /// The account that a request speaks for, after all checks of key, signature and time.
    pub(super) fn authorize(&mut self, caller: &Caller<'_>, need: Need, params: &Params) -> Result<AccountId, Refusal> {
        let in_time = self.check_time(params);
        let (key, signed) = match &caller.identity {
            Identity::Key { key, payload } => (*key, Some(payload)),
            Identity::Session(key) => (Some(key.as_str()), None),
        };
        let key = self.keys.find(key)?;
        if let Some(payload) = signed {
            let signature = params.need("signature")?;
            in_time?;
            if !key.checker.verify(payload, signature) {
                return Err(Refusal::new(-1022, "Signature for this request is not valid."));
            }
        } else {
            in_time?;
        }
        if key.may(need, caller.address) { Ok(key.account.clone()) } else { Err(Refusal::unknown_account()) }
    }

    /// Checks that a request is of now, by the market's clock or by the machine's.
    fn check_time(&mut self, params: &Params) -> Result<(), Refusal> {
        let (now, shown, speed) = (self.now(), self.shown_now(), self.clock.speed());
        match (check_time(params, shown, speed), self.machine_time) {
            (Err(refusal), Some(started)) if refusal.code == -1021 => {
                let passed = i64::try_from(self.wall.elapsed().as_millis()).unwrap_or(i64::MAX);
                // A clock that is wrong on purpose is wrong for everybody.
                let machine = started.saturating_add(passed).saturating_add(shown - now);
                // The market's clock is the one that clients can ask for, so its verdict is told.
                check_time(params, machine, 1.0).map_err(|_| refusal)
            }
            (by_market, _) => by_market,
        }
    }

    /// Takes a key away: what listens with it is told that it ended.
    pub(super) fn revoke(&mut self, key: &str) -> Result<(), String> {
        if !self.keys.revoke(key) {
            return Err(format!("there is no key {key:?}"));
        }
        let now = self.now();
        self.hub.end_subscriptions_of(key, now);
        Ok(())
    }
}
