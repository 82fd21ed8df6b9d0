//! Who signs: HMAC-SHA256, RSA and Ed25519 signatures, and the window of time a request is good for.
//!
//! It must never log or show a secret.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use sha2::Sha256;

use super::params::Params;
use crate::model::Refusal;

/// What a key is checked with.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// The shared secret.
    Hmac(String),
    /// The public key: PEM, or base64 of 32 bytes or of the PEM's inner part.
    Ed25519Public(String),
    /// The public key of 2048 to 4096 bits: PEM, or base64 of the PEM's inner part. RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPublic(String),
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac(..)",
            Self::Ed25519Public(_) => "Ed25519Public(..)",
            Self::RsaPublic(_) => "RsaPublic(..)",
        })
    }
}

/// A key ready to check signatures.
#[derive(Clone)]
pub(super) enum Checker {
    Hmac(Vec<u8>),
    Ed25519(Box<VerifyingKey>),
    /// The inner part of the key: modulus and exponent.
    Rsa(Vec<u8>),
}

impl Checker {
    /// `None` where the text is no key.
    pub(super) fn new(material: &KeyMaterial) -> Option<Self> {
        match material {
            KeyMaterial::Hmac(secret) => Some(Self::Hmac(secret.as_bytes().to_vec())),
            KeyMaterial::Ed25519Public(text) => {
                let bytes = inner(text)?;
                // The PEM's inner part is a fixed head of 12 bytes and then the key.
                let key: [u8; 32] = match bytes.len() {
                    32 => bytes.try_into().ok()?,
                    44 => bytes[12..].try_into().ok()?,
                    _ => return None,
                };
                Some(Self::Ed25519(Box::new(VerifyingKey::from_bytes(&key).ok()?)))
            }
            KeyMaterial::RsaPublic(text) => rsa_inner(&inner(text)?).map(Self::Rsa),
        }
    }

    pub(super) fn is_ed25519(&self) -> bool {
        matches!(self, Self::Ed25519(_))
    }

    /// Whether `signature` is that of `payload`.
    pub(super) fn verify(&self, payload: &str, signature: &str) -> bool {
        match self {
            Self::Hmac(secret) => {
                let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
                mac.update(payload.as_bytes());
                hex::decode(signature).is_ok_and(|signature| mac.verify_slice(&signature).is_ok())
            }
            Self::Ed25519(key) => {
                let bytes = STANDARD.decode(signature).ok();
                let signature = bytes.and_then(|bytes| Signature::from_slice(&bytes).ok());
                signature.is_some_and(|signature| key.verify(payload.as_bytes(), &signature).is_ok())
            }
            Self::Rsa(key) => {
                let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
                STANDARD.decode(signature).is_ok_and(|bytes| key.verify(payload.as_bytes(), &bytes).is_ok())
            }
        }
    }
}

/// The bytes of a PEM, or of its inner part alone.
fn inner(text: &str) -> Option<Vec<u8>> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    STANDARD.decode(body).ok()
}

/// The algorithm's name in a key of RSA, and what follows it: the bit string's tag, its long length and no unused bits.
const RSA_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x82];

/// Modulus and exponent out of a public key that names its algorithm; `None` where it names another or is short.
fn rsa_inner(key: &[u8]) -> Option<Vec<u8>> {
    let at = key.windows(RSA_NAME.len()).position(|window| window == RSA_NAME)? + RSA_NAME.len();
    let (length, rest) = key.get(at..)?.split_first_chunk::<2>()?;
    let (unused, key) = rest.split_first()?;
    let is_whole = usize::from(u16::from_be_bytes(*length)) == rest.len() && *unused == 0;
    // A modulus of 2048 bits with its wrapping has more than 256 bytes.
    (is_whole && key.len() > 256).then(|| key.to_vec())
}

/// The text that a REST request signs: query and body without the signature, one after the other.
pub(super) fn rest_payload(query: &str, body: &str) -> String {
    let strip = |text: &str| {
        let kept: Vec<&str> = text.split('&').filter(|pair| !pair.starts_with("signature=")).collect();
        kept.join("&")
    };
    strip(query) + &strip(body)
}

/// The text that a WebSocket request signs: all parameters but the signature, by name.
pub(super) fn ws_payload(params: &Params) -> String {
    let pairs = params.iter().filter(|(name, _)| *name != "signature");
    pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Checks that a request is of now: at most a second ahead and at most its window behind. At a speed above 1 a client's
/// real milliseconds are many of the market's, so both bounds are widened by it.
pub(super) fn check_time(params: &Params, now: i64, speed: f64) -> Result<(), Refusal> {
    let timestamp = params.integer("timestamp")?.ok_or_else(|| Refusal::missing("timestamp"))?;
    // Microseconds are taken too.
    let timestamp = if timestamp >= 100_000_000_000_000 { timestamp / 1000 } else { timestamp };
    let window: f64 = match params.get("recvWindow") {
        None => 5000.0,
        Some(text) => text.parse().map_err(|_| Refusal::illegal("recvWindow", r"^\d+(\.\d{1,3})?$"))?,
    };
    if !(0.0..=60_000.0).contains(&window) {
        return Err(Refusal::new(-1131, "recvWindow must be less than 60000."));
    }
    let wide = speed.max(1.0);
    if timestamp >= now.saturating_add((1000.0 * wide) as i64) {
        return Err(Refusal::new(-1021, "Timestamp for this request was 1000ms ahead of the server's time."));
    }
    if now.saturating_sub(timestamp) as f64 > window * wide {
        return Err(Refusal::new(-1021, "Timestamp for this request is outside of the recvWindow."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::pkcs8::DecodePrivateKey;
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    const KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";

    #[test]
    fn the_official_hmac_samples_pass() {
        let checker = Checker::new(&KeyMaterial::Hmac(SECRET.into())).unwrap();
        let rest = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        let head = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC";
        let whole = format!("{head}&{rest}");
        let wide = whole.replace("LTCBTC", "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96");
        let cases = [
            (rest_payload(&whole, ""), "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
            (rest_payload("", &whole), "C8DB56825AE71D6D79447849E617115F4A920FA2ACDCAB2B053C4B2838BD6B71"),
            (rest_payload(head, rest), "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"),
            (rest_payload(&wide, "signature=x"), "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
        ];
        for (payload, signature) in cases {
            assert!(checker.verify(&payload, signature), "{payload}");
            assert!(!checker.verify(&format!("{payload}0"), signature));
        }
        assert!(!checker.verify("x", "not hex"));
    }

    #[test]
    fn the_official_ws_sample_passes() {
        let mut params = Params::default();
        for (name, value) in [
            ("type", "LIMIT"),
            ("timestamp", "1645423376532"),
            ("timeInForce", "GTC"),
            ("symbol", "BTCUSDT"),
            ("side", "SELL"),
            ("recvWindow", "100"),
            ("quantity", "0.01000000"),
            ("price", "52000.00"),
            ("apiKey", KEY),
            ("signature", "whatever"),
        ] {
            params.set(name, value);
        }
        let checker = Checker::new(&KeyMaterial::Hmac(SECRET.into())).unwrap();
        let signature = "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24";
        assert!(checker.verify(&ws_payload(&params), signature));
    }

    #[test]
    fn the_official_ed25519_sample_passes() {
        let der = STANDARD.decode("MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u").unwrap();
        let private = SigningKey::from_pkcs8_der(&der).unwrap();
        let payload = "A\x01EXAMPLE\x01SPOT\x011\x0120240627-11:17:25.223";
        let signature = "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA==";
        assert_eq!(STANDARD.encode(private.sign(payload.as_bytes()).to_bytes()), signature);
        let raw = private.verifying_key().to_bytes();
        let mut inner = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        inner.extend_from_slice(&raw);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&inner));
        for text in [STANDARD.encode(raw), STANDARD.encode(&inner), pem] {
            let checker = Checker::new(&KeyMaterial::Ed25519Public(text)).unwrap();
            assert!(checker.verify(payload, signature) && !checker.verify("other", signature));
        }
        assert!(Checker::new(&KeyMaterial::Ed25519Public("nonsense".into())).is_none());
    }

    #[test]
    fn requests_are_good_for_their_window_only() {
        let check = |timestamp: i64, window: Option<&str>, speed: f64| {
            let mut params = Params::default();
            params.set("timestamp", &timestamp.to_string());
            if let Some(window) = window {
                params.set("recvWindow", window);
            }
            check_time(&params, 1_700_000_000_000, speed).map_err(|refusal| refusal.code)
        };
        assert_eq!(check(1_700_000_000_999, None, 1.0), Ok(()));
        assert_eq!(check(1_700_000_001_000, None, 1.0), Err(-1021));
        assert_eq!(check(1_700_000_001_000, None, 2.0), Ok(()));
        assert_eq!(check(1_699_999_995_000, None, 1.0), Ok(()));
        assert_eq!(check(1_699_999_994_999, None, 1.0), Err(-1021));
        assert_eq!(check(1_699_999_994_999, Some("6000.346"), 1.0), Ok(()));
        assert_eq!(check(1_700_000_000_000_000, Some("60001"), 1.0), Err(-1131));
        assert_eq!(check_time(&Params::default(), 0, 1.0).unwrap_err().code, -1102);
    }
}
