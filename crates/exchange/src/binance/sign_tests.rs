//! The official samples of every kind of key, and a key made for these tests, with the signature that openssl makes.

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
    for secret in [Secret::hmac(SECRET).unwrap(), Secret::ed25519(ED25519).unwrap(), Secret::rsa(RSA).unwrap()] {
        for payload in ["a", "b", "c"] {
            let fixed = secret.sign_fixed(payload.as_bytes());
            assert_eq!(fixed.len(), secret.fixed_signature_len());
            let decoded = match &secret {
                Secret::Hmac(_) => fixed,
                Secret::Ed25519(_) | Secret::Rsa(_) => {
                    fixed.split('%').skip(1).map(|digits| char::from(u8::from_str_radix(digits, 16).unwrap())).collect()
                }
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

/// Made for these tests with `openssl genpkey -algorithm RSA`: no account has it. The official samples print no private
/// key, so they prove nothing.
const RSA: &str = "-----BEGIN PRIVATE KEY-----\n\
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC6PCEfZJVP1XXi\n\
4u/g6VPswBhDKRpU2jnFAOFZ1OBQmf4VfSuZgQjUG4uUOxdNnWgk8fOC4v5ngJox\n\
DsMZRkU0OWRmTpSPdwK7ksC9ynIHH7K1LEavLZPaFoLOPQMbO90uSKxhp/E/0dqN\n\
1/Bj607/Fw0uWR2QpqMVYT27g4KHClHQ8Lfw3G4s3v4hMMZhirzF6qMKY71p6Jvc\n\
6CUdCvdndIiP9fxxwSkpMVTgJ9KciiQp/Gn+Vgk05R0VGSmwttlMp3o+naPPV50Y\n\
3t9p5ZVVm8B81+6UwKxYVHPAZGVCKbwBk7FTcxDT2SLgqAmi89pFFawKBV2CMpXn\n\
wgVy6pCbAgMBAAECggEAAPGFCW+tAfaG3ltf87e64RwoA08V/xAL8t+KRLY7XK0r\n\
CFjV+7UXoltxXZLfD1mYyXcgUK1ttICGR3FXs60TdKxFwe7r+b4UmXao201HPpn+\n\
gcRzpzeH5Dbw+rJ8bYrkF/PuS6BaLISXothRM3BhuhEX1ABHkhAGC3muomCMLLry\n\
a5Qr/ZSH9D05oPVwXu7O60T3w+FWwbOS+BXeoT5qBQmqHRfqa10G77fbm1atr9Xc\n\
jsEygVZcxY7gfTXl7yObSFF9paHSCqwyKvWZ5lGglR4FOn2ymcaXrfCouXxxVlJr\n\
TBFATarZPy8ephHl5xyDVuXRMrqJPkYXCimwNhaZIQKBgQD6IgE339M6n8N70N+m\n\
Y22ukFBhEUpoeLFEl7rP7vjlEffw7PUjfLZaMWs+ANLslO2TZc5QCZRDtfVdZAqI\n\
Bc4kaJ7up9RNYrnsDqz1ZauA/6mkoVlgDr/Z7oX5WLmleLB0KtFA1V/QBYWQrzN2\n\
dmud2vc9e1JG2sHpEVVppd4MlQKBgQC+mm5KSCbcmIka2L8iylAPsRA0+1T8PIcE\n\
QXItxGXqqQHfiMOJUf/IOXmAXAb/2bHaULTXOwcVv/qB7/zI9tRVVY69nV2jJwj+\n\
zK+1pPonz0/qHRfui0B4jo68mzNeCm7Hdrjmh/tqa1hTltEgRm2r569SYKOwPxY3\n\
cBRqn7OsbwKBgC6HatCY+zL5iySaGzBZaIrDX6Be1gePA/KtgtuxKW17JTMU8RjT\n\
1xv5+2gCQTovDe6QTouG7KSX0Xe451icM9eD+qSMZaqrhchKhpPzgK6zYDw2o2iB\n\
9eA1RYi3n3kPdUt2t4wm5PbOQCVE4f7UUnp/w+QU754sjUuspMXNS/vtAoGAAIAP\n\
Qgqmb3XHBlcDSWgWhbQFQt5V/sN55zz0u8IEMnV3F8sYGEgqz6+27etP6WP834HO\n\
t7Hj9t6mHakvlKdxLzgmQ8Eh+cekcma/H07riSc2InspEOs0pBxbq4sMu3Zzi/p3\n\
ycMZmdHmTXHb4qXMq+LTxveR9mhz+nlE1HLO2ekCgYEAyOKtkkhOje+I4Ey2LEhW\n\
Z3lTCsDCxWdxf4W3UyeR+ooP78G/KtDxE4mDm1lLV4khifDKoBXpEqHFJC6xfUBV\n\
3gDj/K3AxL4wvVNwWQ41I2ft1jeTG2Rr1lffCaDGCwk5IZ7l8eCevI+qVeg9L34o\n\
Q4SxzL+N8tYnU1PWRKmuTaI=\n\
-----END PRIVATE KEY-----";

#[test]
fn an_rsa_signature_is_what_openssl_makes() {
    // printf timestamp=1 | openssl dgst -sha256 -sign KEY | base64
    let expected = concat!(
        "g1GNoknTC3Gn+DeRIBGjJ6ildKpAyPF02mJUJOKDWaSAzU/SHyavReS+dlJQKbOQO6bkdWggY0NF/HX1FiEQps6CeRVj37zdXUgy",
        "V0gvG4prD+DlX7myIlAPPaTwXnaWt2XmbokWREZ9krgZ4bQVeE4hOLDBwu4VDvRjrMk6F5xFThYY3Ptt2qMEzNafNNLjdpBnFiRB",
        "XH65jYu79LEvkTqEpKekYLRYRzaMo6dxvsv11a7xffFMfV3WDQutrmPM6p9Okqn9ZeUf4FhbIKJ2F1Wgiu7J+y3KlV2SpSiZ3qH2",
        "yAcmRTjzYPFF9VqNomV/yk/XXo5c8SDeaHBvnZXD6A==",
    );
    let secret = Secret::from_text(RSA).unwrap();
    assert_eq!(secret.sign(b"timestamp=1"), expected);
    assert_eq!(format!("{secret:?}"), "Rsa(redacted)");
    assert_eq!([secret.may_log_on(), Secret::ed25519(ED25519).unwrap().may_log_on()], [false, true]);
}

#[test]
fn keys_in_other_forms_are_refused_with_the_remedy() {
    let encrypted = RSA.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert_eq!(Secret::from_text(&encrypted).unwrap_err(), KeyError::Encrypted);
    let cut = RSA.replacen("MII", "", 1);
    let error = Secret::from_text(&cut).unwrap_err();
    assert!(error.to_string().contains("openssl pkcs8"), "{error}");
}
