//! Keys, percent-encoding and signatures.
//!
//! It must never show a key or a secret: `Debug` redacts and errors name only what is wrong. What is signed is exactly
//! what is sent, so everything is percent-encoded before it is signed.

use std::fmt::{self, Write};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
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
    #[error(
        "the private key is no Ed25519 key and no RSA key of 2048 to 4096 bits in PKCS#8; convert it with `openssl pkcs8 \
         -topk8 -nocrypt`"
    )]
    BadPrivateKey,
    /// The private key is protected by a passphrase.
    #[error(
        "the private key is encrypted; decrypt it with `openssl pkcs8 -in KEY -out KEY.plain` and protect the file"
    )]
    Encrypted,
}

/// What requests are signed with.
#[derive(Clone)]
pub enum Secret {
    /// HMAC-SHA256 with the secret's text.
    Hmac(String),
    /// Ed25519.
    Ed25519(Box<SigningKey>),
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rsa(Arc<RsaKeyPair>),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac(redacted)",
            Self::Ed25519(_) => "Ed25519(redacted)",
            Self::Rsa(_) => "Rsa(redacted)",
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
        let der = der(text)?;
        let key = SigningKey::from_pkcs8_der(&der).map_err(|_| KeyError::BadPrivateKey)?;
        Ok(Self::Ed25519(Box::new(key)))
    }

    /// Reads an RSA private key of 2048 to 4096 bits: PKCS#8 as PEM, or the base64 inside it alone.
    ///
    /// # Errors
    /// Where it is none.
    pub fn rsa(text: &str) -> Result<Self, KeyError> {
        let key = RsaKeyPair::from_pkcs8(&der(text)?).map_err(|_| KeyError::BadPrivateKey)?;
        Ok(Self::Rsa(Arc::new(key)))
    }

    /// Reads any kind: a text with a PEM header is an Ed25519 or an RSA key, anything else an HMAC secret.
    ///
    /// # Errors
    /// Where it is none of them.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        if !text.contains("-----BEGIN") {
            return Self::hmac(text);
        }
        if text.contains("ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        Self::ed25519(text).or_else(|_| Self::rsa(text))
    }

    /// Whether the exchange lets a session of its WebSocket API log on with this kind of key.
    #[must_use]
    pub const fn may_log_on(&self) -> bool {
        matches!(self, Self::Ed25519(_))
    }

    /// The signature of `payload` as the exchange takes it: hex for HMAC, base64 for Ed25519 and RSA.
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
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                // The randomness blinds the computation; the signature itself is always the same.
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), payload, &mut signature)
                    .expect("invariant: the buffer has the length of the modulus, and the system has randomness");
                BASE64.encode(signature)
            }
        }
    }

    /// The signature of `payload` percent-encoded for a body, always of [`Secret::fixed_signature_len`] bytes: base64
    /// gets every byte encoded, so that the length of a body is known before it is signed.
    #[must_use]
    pub fn sign_fixed(&self, payload: &[u8]) -> String {
        let signature = self.sign(payload);
        match self {
            Self::Hmac(_) => signature,
            Self::Ed25519(_) | Self::Rsa(_) => signature.bytes().fold(String::new(), |mut text, byte| {
                push_escaped(&mut text, byte);
                text
            }),
        }
    }

    /// How many bytes [`Secret::sign_fixed`] makes.
    #[must_use]
    pub fn fixed_signature_len(&self) -> usize {
        match self {
            Self::Hmac(_) => 64,
            Self::Ed25519(_) => 88 * 3,
            Self::Rsa(key) => key.public().modulus_len().div_ceil(3) * 4 * 3,
        }
    }
}

/// The bytes inside a PEM text, or inside its base64 alone.
fn der(text: &str) -> Result<Vec<u8>, KeyError> {
    let base64: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    BASE64.decode(base64).map_err(|_| KeyError::BadPrivateKey)
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
#[path = "sign_tests.rs"]
mod tests;
