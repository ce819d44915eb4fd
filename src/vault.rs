//! Credentials at rest: sealed with a key of the installation, bound to the name of what they are for.
//!
//! It must not know what the secrets open. Nothing in here is ever shown: no `Debug`, no error and no
//! log has a key or a secret in it.

use crate::disk::{DiskError, write_private};
use chacha20poly1305::aead::{Aead, Generate, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// The key's file in the folder of systemd's credentials.
pub const CREDENTIAL: &str = "ironlist-key";
/// The environment variable that may hold the key, as 64 hexadecimal digits.
pub const VARIABLE: &str = "IRONLIST_VAULT_KEY";
/// The key's file in the data folder, made where nothing else names a key.
pub const FILE: &str = "vault.key";

const KEY: usize = 32;
const NONCE: usize = 24;
/// How sealed bytes begin: the form of what follows.
const FORM: u8 = 1;

/// Where the key of an installation comes from.
#[derive(Clone)]
pub enum KeySource {
    /// A file with 32 bytes, or 64 hexadecimal digits.
    File(PathBuf),
    /// 64 hexadecimal digits.
    Text(SecretString),
    /// A file of the data folder that is made at the first need.
    Made(PathBuf),
}

impl KeySource {
    /// The first of these that is there: systemd's credential, the file that is configured, the
    /// environment, and at last a file of the data folder.
    pub fn find(data: &Path, file: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let credential = variable("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(CREDENTIAL));
        match (credential.filter(|path| path.exists()), file, variable(VARIABLE)) {
            (Some(path), ..) => Self::File(path),
            (None, Some(path), _) => Self::File(path.to_owned()),
            (None, None, Some(text)) => Self::Text(text.into()),
            (None, None, None) => Self::Made(data.join(FILE)),
        }
    }

    /// The key's file, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Made(path) => Some(path),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Text(_) => f.write_str("Text(hidden)"),
            Self::Made(path) => write!(f, "Made({})", path.display()),
        }
    }
}

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key cannot be read.
    #[error("the key of the vault cannot be read from {place}: {error}")]
    Unreadable {
        /// Where it should be.
        place: String,
        /// What the system said.
        error: io::Error,
    },
    /// What is there is no key.
    #[error(
        "what {0} holds is no key: 32 bytes or 64 hexadecimal digits are meant; `openssl rand -hex 32` makes one"
    )]
    BadKey(String),
    /// The key could not be kept.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Sealed with another key, under another name, or damaged.
    #[error(
        "the credentials of {0} cannot be opened with this key; set them again, or bring the old key back"
    )]
    Sealed(String),
    /// The system gave no random bytes, or the message is too long.
    #[error("the credentials could not be sealed")]
    NotSealed,
}

/// Seals secrets and opens them again. The key is read at the first need.
pub struct Vault {
    source: KeySource,
    key: OnceLock<SecretBox<[u8; KEY]>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({:?})", self.source)
    }
}

impl Vault {
    /// A vault with the key of that origin.
    pub fn new(source: KeySource) -> Self {
        Self { source, key: OnceLock::new() }
    }

    /// Where the key comes from.
    pub fn key_source(&self) -> &KeySource {
        &self.source
    }

    /// Seals `secret` under the name of what it is for; makes the key if there is none yet. Blocks on the disk then.
    ///
    /// # Errors
    /// The key cannot be read or made.
    pub fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        let cipher = self.cipher(true)?;
        let nonce = XNonce::try_generate().map_err(|_| VaultError::NotSealed)?;
        let payload = Payload { msg: secret, aad: name.as_bytes() };
        let sealed = cipher.encrypt(&nonce, payload).map_err(|_| VaultError::NotSealed)?;
        Ok([&[FORM][..], nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed under that name.
    ///
    /// # Errors
    /// [`VaultError::Sealed`], or the key cannot be read.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let wrong = || VaultError::Sealed(name.to_owned());
        let (&form, rest) = sealed.split_first().ok_or_else(wrong)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE).filter(|_| form == FORM).ok_or_else(wrong)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| wrong())?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        self.cipher(false)?.decrypt(&nonce, payload).map(Zeroizing::new).map_err(|_| wrong())
    }

    fn cipher(&self, make: bool) -> Result<XChaCha20Poly1305, VaultError> {
        let key = match self.key.get() {
            Some(key) => key,
            None => {
                let read = self.read(make)?;
                self.key.get_or_init(|| read)
            }
        };
        Ok(XChaCha20Poly1305::new(&Key::from(*key.expose_secret())))
    }

    fn read(&self, make: bool) -> Result<SecretBox<[u8; KEY]>, VaultError> {
        match &self.source {
            KeySource::Text(text) => parse(text.expose_secret().as_bytes(), VARIABLE),
            KeySource::File(path) => read(path),
            KeySource::Made(path) if make && !path.exists() => {
                let key = Key::try_generate().map_err(|_| VaultError::NotSealed)?;
                write_private(path, &key)?;
                read(path)
            }
            KeySource::Made(path) => read(path),
        }
    }
}

fn read(path: &Path) -> Result<SecretBox<[u8; KEY]>, VaultError> {
    let place = path.display().to_string();
    match std::fs::read(path).map(Zeroizing::new) {
        Ok(bytes) => parse(&bytes, &place),
        Err(error) => Err(VaultError::Unreadable { place, error }),
    }
}

fn parse(bytes: &[u8], place: &str) -> Result<SecretBox<[u8; KEY]>, VaultError> {
    let key = <[u8; KEY]>::try_from(bytes).ok().or_else(|| from_hex(bytes.trim_ascii()));
    let key = Zeroizing::new(key.ok_or_else(|| VaultError::BadKey(place.to_owned()))?);
    Ok(SecretBox::init_with_mut(|secret: &mut [u8; KEY]| *secret = *key))
}

fn from_hex(text: &[u8]) -> Option<[u8; KEY]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut key = [0; KEY];
    let pairs = text.chunks_exact(2);
    if text.len() != KEY * 2 {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(pairs) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn vault(digit: &str) -> Vault {
        Vault::new(KeySource::Text(digit.repeat(64).into()))
    }

    #[test]
    fn what_is_sealed_opens_under_its_name_alone() {
        let vault = vault("a");
        let sealed = vault.seal("regtech", b"open sesame").unwrap();
        assert_eq!(&vault.open("regtech", &sealed).unwrap()[..], b"open sesame");
        assert!(matches!(vault.open("secudium", &sealed), Err(VaultError::Sealed(_))));
        assert!(!sealed.windows(4).any(|part| part == b"open"));
        assert_ne!(sealed, vault.seal("regtech", b"open sesame").unwrap(), "never the same nonce");
    }

    #[test]
    fn no_flipped_bit_and_no_other_key_opens_it() {
        let sealed = vault("a").seal("x", b"secret").unwrap();
        assert!(vault("b").open("x", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(vault("a").open("x", &bent).is_err(), "byte {at}");
            assert!(vault("a").open("x", &sealed[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let source = || KeySource::find(folder.path(), None, |_| None);
        assert!(matches!(Vault::new(source()).open("x", &[FORM; 80]), Err(VaultError::Unreadable { .. })));
        let sealed = Vault::new(source()).seal("x", b"secret").unwrap();
        let made = std::fs::metadata(folder.path().join(FILE)).unwrap();
        assert_eq!((made.len(), made.permissions().mode() & 0o777), (32, 0o600));
        assert_eq!(&Vault::new(source()).open("x", &sealed).unwrap()[..], b"secret");
    }

    #[test]
    fn the_key_is_found_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = folder.path().display().to_string();
        let variable = |key: &str| match key {
            "CREDENTIALS_DIRECTORY" => Some(credentials.clone()),
            VARIABLE => Some("ab".repeat(32)),
            _ => None,
        };
        let file = Path::new("/etc/ironlist/key");
        let find = |file, variable: &dyn Fn(&str) -> Option<String>| {
            format!("{:?}", KeySource::find(Path::new("/data"), file, variable))
        };
        assert_eq!(find(None, &|_| None), "Made(/data/vault.key)");
        assert_eq!(find(None, &variable), "Text(hidden)");
        assert_eq!(find(Some(file), &variable), "File(/etc/ironlist/key)");
        std::fs::write(folder.path().join(CREDENTIAL), [7; 32]).unwrap();
        assert_eq!(find(Some(file), &variable), format!("File({credentials}/{CREDENTIAL})"));
    }

    #[test]
    fn keys_are_bytes_or_digits_and_nothing_else() {
        let parsed = |bytes: &[u8]| parse(bytes, "there").map(|key| *key.expose_secret());
        assert_eq!(parsed(&[0xAB; 32]).unwrap(), [0xAB; 32]);
        assert_eq!(parsed(format!("{}\n", "aB".repeat(32)).as_bytes()).unwrap(), [0xAB; 32]);
        for wrong in [&b""[..], b"password", &[b'a'; 63], &[b'g'; 64], &[0; 33]] {
            assert!(matches!(parsed(wrong), Err(VaultError::BadKey(_))));
        }
    }

    #[test]
    fn nothing_shows_a_secret() {
        let shown = format!("{:?}", vault("f"));
        assert!(!shown.contains("ff"), "{shown}");
        let bad = Vault::new(KeySource::Text("not a key".into())).seal("x", b"secret").unwrap_err();
        assert!(!bad.to_string().contains("not a key"));
    }
}
