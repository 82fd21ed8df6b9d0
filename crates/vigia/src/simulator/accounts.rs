//! The accounts of the simulator and their keys, as the command line gives them.
//!
//! It must never tell a secret that it was given: errors name the account and the kind, not the text after them.

use std::collections::BTreeSet;
use std::str::FromStr;

use anyhow::{Context, bail};
use domain::{Asset, Quantity};
use sha2::{Digest, Sha256};
use simulator::server::{AccountConfig, KeyConfig, KeyMaterial};

use super::BadCall;

/// What `test` has where no account is given.
const DEFAULT_ACCOUNT: &str = "test:USDT=100000,BTC=1";

/// `--account`.
#[derive(Debug, Clone)]
pub(super) struct AccountOption {
    name: String,
    deposits: Vec<(Asset, Quantity)>,
}

/// `--key`.
#[derive(Clone)]
pub(super) struct KeyOption {
    name: String,
    kind: KeyKind,
    api_key: String,
    /// The secret of an HMAC key, the file of a public key.
    material: String,
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Hmac,
    Ed25519,
    Rsa,
}

/// A key that was made here, so its secret may be shown.
pub(super) struct TestKey {
    pub(super) api_key: String,
    pub(super) secret: String,
}

impl std::fmt::Debug for KeyOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyOption").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl FromStr for AccountOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let remedy = || format!("{text:?} is no account; write name:USDT=1000,BTC=0.5");
        let (name, deposits) = text.split_once(':').unwrap_or((text, ""));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err(remedy());
        }
        let deposit = |pair: &str| {
            let (asset, amount) = pair.split_once('=')?;
            Some((Asset::new(asset).ok()?, amount.parse::<Quantity>().ok()?))
        };
        let deposits = deposits.split(',').filter(|pair| !pair.is_empty()).map(deposit);
        let deposits = deposits.collect::<Option<Vec<_>>>().ok_or_else(remedy)?;
        Ok(Self { name: name.to_owned(), deposits })
    }
}

impl FromStr for KeyOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text may hold a secret: it is not told.
        let remedy = || {
            "this is no key; write name:hmac=APIKEY:SECRET, or name:ed25519=APIKEY:FILE or name:rsa=APIKEY:FILE with the \
             public key; an API key has letters, digits, - and _"
                .to_owned()
        };
        let (name, rest) = text.split_once(':').ok_or_else(remedy)?;
        let (kind, rest) = rest.split_once('=').ok_or_else(remedy)?;
        let (api_key, material) = rest.split_once(':').ok_or_else(remedy)?;
        let kind = match kind {
            "hmac" => KeyKind::Hmac,
            "ed25519" => KeyKind::Ed25519,
            "rsa" => KeyKind::Rsa,
            _ => return Err(remedy()),
        };
        let is_api_key = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if api_key.is_empty() || material.is_empty() || !api_key.bytes().all(is_api_key) {
            return Err(remedy());
        }
        Ok(Self { name: name.to_owned(), kind, api_key: api_key.to_owned(), material: material.to_owned() })
    }
}

impl KeyOption {
    fn material(&self) -> anyhow::Result<KeyMaterial> {
        let read = || {
            std::fs::read_to_string(&self.material).with_context(|| {
                format!("the key file {} cannot be read; give a file with a public key", self.material)
            })
        };
        Ok(match self.kind {
            KeyKind::Hmac => KeyMaterial::Hmac(self.material.clone()),
            KeyKind::Ed25519 => KeyMaterial::Ed25519Public(read()?),
            KeyKind::Rsa => KeyMaterial::RsaPublic(read()?),
        })
    }
}

/// The key that is made for an account: always the same for the same name, so that a client need not be told twice. It
/// protects nothing, and nothing is behind it.
fn test_key(name: &str) -> TestKey {
    let text = |what: &str| hex::encode(Sha256::digest(format!("vigia simulator test key, {what} of {name}")));
    TestKey { api_key: text("api key"), secret: text("secret") }
}

/// The accounts with their keys, and those keys that were made here.
pub(super) fn resolve(
    accounts: &[AccountOption],
    keys: &[KeyOption],
) -> anyhow::Result<(Vec<AccountConfig>, Vec<TestKey>)> {
    let accounts = match accounts {
        [] => vec![DEFAULT_ACCOUNT.parse().map_err(anyhow::Error::msg)?],
        given => given.to_vec(),
    };
    let (mut names, mut api_keys) = (BTreeSet::new(), BTreeSet::new());
    for account in &accounts {
        if !names.insert(account.name.as_str()) {
            bail!(BadCall(format!("--account {} is there twice: each account once", account.name)));
        }
    }
    for key in keys {
        if !names.contains(key.name.as_str()) {
            let name = &key.name;
            bail!(BadCall(format!(
                "--key names the account {name}, which is not there: add --account {name}:USDT=1000"
            )));
        }
        if !api_keys.insert(key.api_key.as_str()) {
            bail!(BadCall(format!("--key has the API key {} twice: each API key once", key.api_key)));
        }
    }
    let (mut configs, mut made) = (Vec::new(), Vec::new());
    for account in &accounts {
        let mut own = Vec::new();
        for key in keys.iter().filter(|key| key.name == account.name) {
            own.push(KeyConfig::new(&key.api_key, key.material()?));
        }
        if own.is_empty() {
            let key = test_key(&account.name);
            own.push(KeyConfig::new(&key.api_key, KeyMaterial::Hmac(key.secret.clone())));
            made.push(key);
        }
        configs.push(AccountConfig { id: account.name.clone(), keys: own, deposits: account.deposits.clone() });
    }
    Ok((configs, made))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_without_a_key_gets_a_test_key_that_stays() {
        let (configs, made) = resolve(&[], &[]).unwrap();
        let (again, _) = resolve(&["test".parse().unwrap()], &[]).unwrap();
        assert_eq!((configs.len(), made.len(), configs[0].deposits.len()), (1, 1, 2));
        let [key] = configs[0].keys.as_slice() else { unreachable!("one key") };
        assert_eq!((key.api_key.len(), &key.api_key), (64, &again[0].keys[0].api_key));
        assert_ne!(made[0].api_key, made[0].secret);
    }

    #[test]
    fn keys_belong_to_accounts() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("public.pem");
        std::fs::write(&file, "x").unwrap();
        let accounts: [AccountOption; 2] = ["a:USDT=5,BTC=0.5".parse().unwrap(), "b".parse().unwrap()];
        let keys: [KeyOption; 2] =
            ["a:hmac=K1:S1".parse().unwrap(), format!("a:ed25519=K2:{}", file.display()).parse().unwrap()];
        let (configs, made) = resolve(&accounts, &keys).unwrap();
        let shown: Vec<_> =
            configs.iter().map(|config| (config.id.as_str(), config.keys.len(), config.deposits.len())).collect();
        assert_eq!((shown, made.len()), (vec![("a", 2, 2), ("b", 1, 0)], 1));
        assert_eq!(configs[0].keys[1].secret, KeyMaterial::Ed25519Public("x".into()));
    }

    #[test]
    fn mistakes_are_told_with_a_remedy_and_without_the_secret() {
        for bad in ["", ":USDT=1", "a b:USDT=1", "a:USDT", "a:USDT=x"] {
            assert!(bad.parse::<AccountOption>().unwrap_err().contains("write name:"), "{bad}");
        }
        for bad in ["geheim", "a:geheim", "a:hmac=geheim", "a:hmac=:geheim", "a:md5=k:geheim", "a:hmac=k k:geheim"] {
            let error = bad.parse::<KeyOption>().unwrap_err();
            assert!(error.contains("write name:hmac") && !error.contains("geheim"), "{bad}: {error}");
        }
        let key = |text: &str| [text.parse::<KeyOption>().unwrap()];
        let account = || ["a".parse::<AccountOption>().unwrap()];
        assert!(!format!("{:?}", key("a:hmac=k:geheim")).contains("geheim"));
        let error = |keys: &[KeyOption]| resolve(&account(), keys).err().unwrap().to_string();
        assert!(error(&key("b:hmac=k:geheim")).contains("add --account b"));
        assert!(error(&key("a:ed25519=k:/nowhere/x.pem")).contains("give a file"));
        assert!(error(&[key("a:hmac=k:s")[0].clone(), key("a:hmac=k:t")[0].clone()]).contains("each API key once"));
        let twice: [AccountOption; 2] = ["a".parse().unwrap(), "a:BTC=1".parse().unwrap()];
        assert!(resolve(&twice, &[]).err().unwrap().to_string().contains("each account once"));
    }
}
