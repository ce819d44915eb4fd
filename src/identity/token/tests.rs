//! Tokens that are not quite ours: none is believed.

use super::*;
use crate::vault::KeySource;
use serde_json::{Value, json};

const NOW: Time = Time::from_unix(1_790_000_000);

struct Mint {
    vault: Vault,
    ring: Ring,
    issuer: Uuid,
    claims: Claims,
}

impl Mint {
    fn new() -> Self {
        let vault = Vault::new(KeySource::Text("ab".repeat(32).into()));
        let kept = KeptKey::make(&vault, NOW).unwrap();
        let ring = Ring(vec![Arc::new(SigningKey::open(kept, &vault).0)]);
        let issuer = Uuid::from_u128(7);
        let claims = Claims::new(issuer, &Name::admin(), Uuid::from_u128(9), NOW, 900);
        Self { vault, ring, issuer, claims }
    }

    fn verify(&self, token: &str) -> Result<Claims, Untrue> {
        self.ring.verify(token, self.issuer, NOW)
    }

    fn key(&self) -> &SigningKey {
        &self.ring.0[0]
    }

    /// A token of exactly this head and these claims, with the right key's signature.
    fn signed(&self, head: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let secret =
            self.vault.open(&sealed_as(&self.key().kept.id), &unhex(&self.key().kept.sealed).unwrap());
        let pair = Ed25519KeyPair::from_pkcs8(&secret.unwrap()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())))
    }

    fn head(&self) -> Value {
        json!({"typ": TYPE, "alg": "EdDSA", "kid": self.key().kept.id})
    }

    /// The right head with one member changed or added.
    fn with_head(&self, member: &str, value: Value) -> String {
        let mut head = self.head();
        head[member] = value;
        self.signed(&head.to_string(), &serde_json::to_string(&self.claims).unwrap())
    }

    /// The right claims with one changed or added; null takes it away.
    fn with_claim(&self, claim: &str, value: Value) -> String {
        let mut claims = serde_json::to_value(&self.claims).unwrap();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
            value => claims[claim] = value,
        }
        self.with_claims(&claims.to_string())
    }

    fn with_claims(&self, claims: &str) -> String {
        let head = URL_SAFE_NO_PAD.decode(&self.key().head).unwrap();
        self.signed(std::str::from_utf8(&head).unwrap(), claims)
    }
}

#[test]
fn a_token_of_ours_is_believed_for_its_time() {
    let mint = Mint::new();
    let token = mint.ring.sign(&mint.claims).unwrap();
    assert_eq!(mint.verify(&token), Ok(mint.claims.clone()));
    assert!(token.len() < LONGEST / 2, "{}", token.len());
    let at = |seconds| mint.ring.verify(&token, mint.issuer, NOW.plus(seconds)).map(drop);
    assert_eq!([at(-5), at(904)], [Ok(()), Ok(())]);
    assert_eq!([at(-6), at(905)], [Err(Untrue::Wrong), Err(Untrue::Over)]);
    let same = mint.with_claims(&serde_json::to_string(&mint.claims).unwrap());
    assert_eq!(mint.verify(&same), Ok(mint.claims.clone()), "the tests' own mint makes good tokens");
}

#[test]
fn no_bent_head_is_believed_although_the_right_key_signed_it() {
    let mint = Mint::new();
    let id = mint.key().kept.id.clone();
    for (member, value) in [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("HS256")),
        ("alg", json!("RS256")),
        ("alg", json!("ES256")),
        ("alg", json!("Ed25519")),
        ("alg", json!("eddsa")),
        ("alg", json!(["EdDSA"])),
        ("alg", Value::Null),
        ("kid", json!("")),
        ("kid", json!("0000000000000000")),
        ("kid", json!(id.to_uppercase() + "A")),
        ("kid", json!(format!("../../{id}"))),
        ("kid", json!("/dev/null")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", json!(format!("{id}\u{0}"))),
        ("kid", json!(7)),
        ("kid", Value::Null),
        ("typ", json!("JWT")),
        ("typ", json!("at+JWT")),
        ("typ", Value::Null),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"})),
        ("jku", json!("https://example.com/keys")),
        ("x5u", json!("https://example.com/chain")),
        ("x5c", json!(["AAAA"])),
        ("x5t#S256", json!("AAAA")),
    ] {
        let token = mint.with_head(member, value);
        assert_eq!(mint.verify(&token), Err(Untrue::Wrong), "{member}: {token}");
    }
    let twice = mint.head().to_string().replacen('{', r#"{"alg":"none","#, 1);
    let claims = serde_json::to_string(&mint.claims).unwrap();
    assert_eq!(mint.verify(&mint.signed(&twice, &claims)), Err(Untrue::Wrong));
    for head in ["", "{}", "null", "[]", "\u{feff}{}"] {
        assert_eq!(mint.verify(&mint.signed(head, &claims)), Err(Untrue::Wrong), "{head}");
    }
}

#[test]
fn no_bent_claims_are_believed_although_the_right_key_signed_them() {
    let mint = Mint::new();
    let now = NOW.unix();
    for (claim, value) in [
        ("exp", json!((now + 900).to_string())),
        ("exp", json!(now as f64 + 900.5)),
        ("exp", json!(9.0e18)),
        ("exp", json!(-1)),
        ("exp", json!(now - 6)),
        ("exp", json!([now + 900])),
        ("exp", json!({"at": now})),
        ("exp", json!(true)),
        ("exp", json!(u64::MAX)),
        ("exp", Value::Null),
        ("iat", json!(now + 6)),
        ("iat", json!("now")),
        ("iat", Value::Null),
        ("nbf", json!(now + 6)),
        ("nbf", json!(i64::MAX)),
        ("nbf", Value::Null),
        ("iss", json!(Uuid::from_u128(8))),
        ("iss", json!("")),
        ("iss", json!([Uuid::from_u128(7)])),
        ("iss", Value::Null),
        ("aud", json!("other")),
        ("aud", json!(["ironlist"])),
        ("aud", json!(["ironlist", "other"])),
        ("aud", json!("ironlist ")),
        ("aud", Value::Null),
        ("sub", json!("")),
        ("sub", json!("a b")),
        ("sub", json!(["admin"])),
        ("sub", Value::Null),
        ("sid", json!("x")),
        ("sid", Value::Null),
        ("rights", json!(["admin"])),
        ("role", json!("admin")),
    ] {
        let token = mint.with_claim(claim, value.clone());
        assert!(mint.verify(&token).is_err(), "{claim}: {value}");
    }
    let right = serde_json::to_string(&mint.claims).unwrap();
    for claims in [
        right.replacen('{', &format!("{{\"exp\":{},", now + 1), 1),
        right.replacen("\"exp\"", "\"EXP\"", 1),
        format!("{right}{right}"),
        format!("[{right}]"),
        "{}".to_owned(),
        String::new(),
    ] {
        assert_eq!(mint.verify(&mint.with_claims(&claims)), Err(Untrue::Wrong), "{claims}");
    }
}

#[test]
fn no_bent_text_is_believed() {
    let mint = Mint::new();
    let token = mint.ring.sign(&mint.claims).unwrap();
    let [head, claims, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other = Mint::new().ring.sign(&mint.claims).unwrap();
    let long = format!("{token}{}", "A".repeat(LONGEST));
    for bent in [
        "",
        ".",
        "..",
        "...",
        head,
        &format!("{head}."),
        &format!("{head}.{claims}"),
        &format!("{head}.{claims}."),
        &format!("{head}..{signature}"),
        &format!(".{claims}.{signature}"),
        &format!("{token}."),
        &format!(".{token}"),
        &format!("{token}.{signature}"),
        &format!("{head}.{claims}.{claims}.{signature}"),
        &format!(" {token}"),
        &format!("{token} "),
        &format!("{token}\n"),
        &format!("{head} .{claims}.{signature}"),
        &format!("{head}.{claims}=.{signature}"),
        &format!("{token}="),
        &format!("{token}=="),
        &token.replace('.', "%2E"),
        &token.replacen('-', "+", 1).replacen('_', "/", 1).replacen("eyJ", "eyK", 1),
        &token[..token.len() - 1],
        &token[1..],
        &other,
        &format!("{head}.{claims}.{}", other.rsplit('.').next().unwrap()),
        &format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        &format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(b"")),
        &long,
    ] {
        assert_eq!(mint.verify(bent), Err(Untrue::Wrong), "{bent}");
    }
}

#[test]
fn no_letter_of_a_token_can_be_another_one() {
    let mint = Mint::new();
    let token = mint.ring.sign(&mint.claims).unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // The last letter of each part carries bits that a careless reader drops.
    let ends: Vec<usize> = token.match_indices('.').map(|(at, _)| at - 1).chain([token.len() - 1]).collect();
    for at in (0..token.len()).step_by(7).chain(ends.iter().copied()) {
        for letter in alphabet.chars().filter(|letter| !token[at..].starts_with(*letter)) {
            let mut bent = token.clone();
            bent.replace_range(at..=at, letter.encode_utf8(&mut [0; 4]));
            assert_eq!(mint.verify(&bent), Err(Untrue::Wrong), "letter {at}: {letter}");
        }
    }
}

/// A signature is two halves, and the second one, a number below the group's order, must not be taken with the order
/// added to it (RFC 8032, 5.1.7): the same statement would have a second token.
#[test]
fn a_signature_has_one_form() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mint = Mint::new();
    let token = mint.ring.sign(&mint.claims).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    let bent = format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
    assert_eq!(mint.verify(&bent), Err(Untrue::Wrong));
}

#[test]
fn a_token_signed_with_the_public_key_as_a_shared_secret_is_not_believed() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mint = Mint::new();
    let public = unhex(&mint.key().kept.public).unwrap();
    let claims = URL_SAFE_NO_PAD.encode(serde_json::to_string(&mint.claims).unwrap());
    for alg in ["HS256", "EdDSA"] {
        let mut head = mint.head();
        head["alg"] = json!(alg);
        for secret in [&public[..], mint.key().kept.public.as_bytes()] {
            let message = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(head.to_string()));
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
            mac.update(message.as_bytes());
            let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
            assert_eq!(mint.verify(&token), Err(Untrue::Wrong), "{alg}");
        }
    }
}

#[test]
fn a_key_of_another_vault_signs_nothing_and_what_it_signed_verifies() {
    let mint = Mint::new();
    let token = mint.ring.sign(&mint.claims).unwrap();
    let other = Vault::new(KeySource::Text("cd".repeat(32).into()));
    let (opened, told) = SigningKey::open(mint.key().kept.clone(), &other);
    let ring = Ring(vec![Arc::new(opened)]);
    assert!(told.is_err() && ring.sign(&mint.claims).is_err() && ring.signs().is_none());
    assert!(ring.verify(&token, mint.issuer, NOW).is_ok());
}
