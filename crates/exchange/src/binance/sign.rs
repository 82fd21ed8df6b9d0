//! Keys, percent-encoding and signatures.
//!
//! It must never show a key or a secret: `Debug` redacts and errors name only what is wrong. What is signed is exactly
//! what is sent, so everything is percent-encoded before it is signed.

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How long after its timestamp the exchange may still take a signed request, in milliseconds: the exchange's default.
pub(crate) const RECEIVE_WINDOW_MS: u32 = 5000;

/// Why a text is no key or secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The API key is empty or has characters that no header may have.
    #[error("the API key is empty or has characters other than letters, digits, '-' and '_'")]
    BadApiKey,
    /// The secret is empty.
    #[error("the secret is empty")]
    EmptySecret,
    /// The text looks like a private key and is none that can be used.
    #[error("the private key is no Ed25519 key in PKCS#8 (PEM or base64); RSA is not supported")]
    BadPrivateKey,
}

/// What requests are signed with.
#[derive(Clone)]
pub enum Secret {
    /// HMAC-SHA256 with the secret's text.
    Hmac(String),
    /// Ed25519.
    Ed25519(Box<SigningKey>),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac(redacted)",
            Self::Ed25519(_) => "Ed25519(redacted)",
        })
    }
}

impl Secret {
    /// Reads the text of an HMAC secret.
    ///
    /// # Errors
    /// Where there is none.
    pub fn hmac(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() { Err(KeyError::EmptySecret) } else { Ok(Self::Hmac(text.to_owned())) }
    }

    /// Reads an Ed25519 private key: PKCS#8 as PEM, or the base64 inside it alone.
    ///
    /// # Errors
    /// Where it is none.
    pub fn ed25519(text: &str) -> Result<Self, KeyError> {
        let base64: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = BASE64.decode(base64).map_err(|_| KeyError::BadPrivateKey)?;
        let key = SigningKey::from_pkcs8_der(&der).map_err(|_| KeyError::BadPrivateKey)?;
        Ok(Self::Ed25519(Box::new(key)))
    }

    /// Reads either kind: a text with a PEM header is an Ed25519 key, anything else an HMAC secret.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        if text.contains("-----BEGIN") { Self::ed25519(text) } else { Self::hmac(text) }
    }

    /// The signature of `payload` as the exchange takes it: hex for HMAC, base64 for Ed25519.
    #[must_use]
    pub fn sign(&self, payload: &[u8]) -> String {
        match self {
            Self::Hmac(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
                    .expect("invariant: HMAC takes a key of any length");
                mac.update(payload);
                hex::encode(mac.finalize().into_bytes())
            }
            Self::Ed25519(key) => BASE64.encode(key.sign(payload).to_bytes()),
        }
    }

    /// The signature of `payload` percent-encoded for a body, always of [`Secret::fixed_signature_len`] bytes: base64
    /// gets every byte encoded, so that the length of a body is known before it is signed.
    #[must_use]
    pub fn sign_fixed(&self, payload: &[u8]) -> String {
        let signature = self.sign(payload);
        match self {
            Self::Hmac(_) => signature,
            Self::Ed25519(_) => signature.bytes().fold(String::with_capacity(264), |mut text, byte| {
                push_escaped(&mut text, byte);
                text
            }),
        }
    }

    /// How many bytes [`Secret::sign_fixed`] makes.
    #[must_use]
    pub const fn fixed_signature_len(&self) -> usize {
        match self {
            Self::Hmac(_) => 64,
            Self::Ed25519(_) => 88 * 3,
        }
    }
}

/// The key and secret of one account.
#[derive(Clone)]
pub struct Credentials {
    api_key: String,
    secret: Secret,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("api_key", &"redacted").field("secret", &self.secret).finish()
    }
}

impl Credentials {
    /// A key with its secret.
    ///
    /// # Errors
    /// Where the key cannot be one.
    pub fn new(api_key: &str, secret: Secret) -> Result<Self, KeyError> {
        let api_key = api_key.trim();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if api_key.is_empty() || !api_key.bytes().all(allowed) {
            return Err(KeyError::BadApiKey);
        }
        Ok(Self { api_key: api_key.to_owned(), secret })
    }

    /// The key, for the header.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The secret.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// `query` with its signature at the end.
    #[must_use]
    pub fn signed(&self, query: &str) -> String {
        let mut signed = format!("{query}&signature=");
        push_encoded(&mut signed, &self.secret.sign(query.as_bytes()));
        signed
    }
}

/// Parameters of a request, percent-encoded as they are added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(String);

impl Query {
    /// No parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        push_encoded(&mut self.0, &value.to_string());
        self
    }

    /// `value` as it stands in an address.
    #[must_use]
    pub fn encoded(value: &str) -> String {
        let mut text = String::with_capacity(value.len());
        push_encoded(&mut text, value);
        text
    }

    /// As it is sent and signed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn push_encoded(text: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            push_escaped(text, byte);
        }
    }
}

fn push_escaped(text: &mut String, byte: u8) {
    write!(text, "%{byte:02X}").expect("invariant: writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u";

    fn order(symbol: &str) -> Query {
        Query::new()
            .with("symbol", symbol)
            .with("side", "BUY")
            .with("type", "LIMIT")
            .with("timeInForce", "GTC")
            .with("quantity", 1)
            .with("price", "0.1")
            .with("recvWindow", 5000)
            .with("timestamp", 1_499_827_319_559_i64)
    }

    #[test]
    fn official_hmac_samples() {
        let secret = Secret::hmac(SECRET).unwrap();
        let first = order("LTCBTC");
        assert_eq!(
            first.as_str(),
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
        );
        let ws = format!(
            "apiKey={KEY}&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
        );
        // Query and body are signed as one text without anything in between.
        let mixed = concat!(
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC",
            "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
        );
        let samples = [
            (first.as_str(), "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
            (mixed, "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"),
            (order("１２３４５６").as_str(), "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
            (ws.as_str(), "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"),
        ]
        .map(|(payload, expected)| (secret.sign(payload.as_bytes()), expected));
        for (signature, expected) in samples {
            assert_eq!(signature, expected);
        }
    }

    #[test]
    fn the_official_ed25519_sample() {
        let payload = ["A", "EXAMPLE", "SPOT", "1", "20240627-11:17:25.223"].join("\u{1}");
        let expected = "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA==";
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{ED25519}\n-----END PRIVATE KEY-----\n");
        for secret in [Secret::ed25519(ED25519).unwrap(), Secret::from_text(&pem).unwrap()] {
            assert_eq!(secret.sign(payload.as_bytes()), expected);
        }
    }

    #[test]
    fn a_fixed_signature_has_its_length_and_decodes_to_the_signature() {
        for secret in [Secret::hmac(SECRET).unwrap(), Secret::ed25519(ED25519).unwrap()] {
            for payload in ["a", "b", "c"] {
                let fixed = secret.sign_fixed(payload.as_bytes());
                assert_eq!(fixed.len(), secret.fixed_signature_len());
                let decoded = match &secret {
                    Secret::Hmac(_) => fixed,
                    Secret::Ed25519(_) => fixed
                        .split('%')
                        .skip(1)
                        .map(|digits| char::from(u8::from_str_radix(digits, 16).unwrap()))
                        .collect(),
                };
                assert_eq!(decoded, secret.sign(payload.as_bytes()));
            }
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let hmac = Credentials::new(KEY, Secret::hmac(SECRET).unwrap()).unwrap();
        assert_eq!(format!("{hmac:?}"), "Credentials { api_key: \"redacted\", secret: Hmac(redacted) }");
        let ed25519 = Credentials::new(KEY, Secret::ed25519(ED25519).unwrap()).unwrap();
        assert_eq!(format!("{ed25519:?}"), "Credentials { api_key: \"redacted\", secret: Ed25519(redacted) }");
    }

    #[test]
    fn texts_that_are_no_keys_are_refused() {
        assert_eq!(Secret::hmac(" \n").unwrap_err(), KeyError::EmptySecret);
        assert_eq!(Secret::ed25519("AAAA").unwrap_err(), KeyError::BadPrivateKey);
        assert_eq!(Secret::ed25519("no base64!").unwrap_err(), KeyError::BadPrivateKey);
        assert_eq!(Credentials::new("a\r\nb", Secret::hmac("s").unwrap()).unwrap_err(), KeyError::BadApiKey);
    }

    #[test]
    fn signed_queries_carry_an_encoded_signature_at_the_end() {
        let credentials = Credentials::new(KEY, Secret::ed25519(ED25519).unwrap()).unwrap();
        let signed = credentials.signed("timestamp=1");
        let (query, signature) = signed.split_once("&signature=").unwrap();
        assert_eq!(query, "timestamp=1");
        assert!(!signature.contains(['+', '/', '=']), "{signature}");
    }
}
