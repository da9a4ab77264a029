//! Keys in files, as OpenSSL writes and reads them: private ones as PKCS#8, public ones as SPKI, both in PEM. What memory
//! holds of a private one is overwritten when it is no longer used.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ed25519_dalek::pkcs8::spki;
use ed25519_dalek::pkcs8::spki::der::pem::{LineEnding, decode_label};
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, Error as KeyError, KeypairBytes,
};
use ed25519_dalek::{SigningKey, VerifyingKey};
use model_training::system::hints::{program, quoted};
use model_training::system::{atomic, read};
use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::signing::fingerprint;

/// Makes a key from the system's random numbers. Writes the private one to `path`, readable by its owner alone, and the
/// public one beside it with `.pub` after its name. Gives the public key's path and fingerprint.
///
/// # Errors
/// When a file cannot be written, or exists and `replace` is false.
pub fn generate(path: &Path, replace: bool) -> Result<(PathBuf, String)> {
    let mut seed = Zeroizing::new([0; ed25519_dalek::SECRET_KEY_LENGTH]);
    SysRng.try_fill_bytes(&mut *seed).context("the system gives no random numbers")?;
    let verifying = SigningKey::from_bytes(&seed).verifying_key();
    let public = beside(path);
    for file in [path, &public] {
        let taken = file.symlink_metadata().is_ok() && !replace;
        ensure!(!taken, "{} exists: what it signed would be lost; --force replaces it", file.display());
    }
    // Without the public key beside it, which not every OpenSSL reads.
    let pem = KeypairBytes { secret_key: *seed, public_key: None }.to_pkcs8_pem(LineEnding::LF);
    let pem = pem.context("the private key cannot be written as PEM")?;
    let public_pem = verifying.to_public_key_pem(LineEnding::LF).context("the public key cannot be written as PEM")?;
    atomic::write_private(path, pem.as_bytes(), replace)?;
    atomic::write(&public, public_pem.as_bytes())?;
    Ok((public, fingerprint(verifying.as_bytes())))
}

/// Reads a private key. Where its public key lies beside it, they must fit.
///
/// # Errors
/// When the file cannot be read, or holds no private Ed25519 key in PEM that is not encrypted; says what it holds instead.
pub fn read_key(path: &Path) -> Result<SigningKey> {
    let shown = path.display();
    let bytes = read::bytes(path, read::SETTINGS).with_context(|| format!("cannot read the private key {shown}"))?;
    let bytes = Zeroizing::new(bytes);
    let text = String::from_utf8_lossy(&bytes);
    let Ok(label) = decode_label(text.as_bytes()) else {
        ensure!(
            !is_hexadecimal(&text),
            "{shown} holds a key as 64 hexadecimal digits: docs/updating.md says how to turn it into PEM"
        );
        bail!("{shown} is no key in PEM: `{} keygen FILE` makes one", program())
    };
    match label {
        "PRIVATE KEY" => {}
        "PUBLIC KEY" => bail!("{shown} is a public key: name the private one, without `.pub`"),
        "ENCRYPTED PRIVATE KEY" => {
            let path = quoted(path);
            bail!("{shown} is encrypted: `openssl pkey -in {path} -out FILE` makes a file of it that is not")
        }
        other => bail!("{shown} holds a {other} and no PRIVATE KEY (PKCS#8)"),
    }
    let key = match SigningKey::from_pkcs8_pem(&text) {
        Ok(key) => key,
        Err(KeyError::PublicKey(spki::Error::OidUnknown { oid })) => {
            bail!("{shown} is a private key for another algorithm (OID {oid}): blobs are signed with Ed25519")
        }
        Err(error) => return Err(error).with_context(|| format!("the private key {shown} is damaged")),
    };
    let public = beside(path);
    if let Ok(text) = read::text(&public, read::SETTINGS) {
        let same = VerifyingKey::from_public_key_pem(&text).is_ok_and(|found| found == key.verifying_key());
        ensure!(same, "{} is not the public key of {shown}", public.display());
    }
    Ok(key)
}

/// Reads a public key.
///
/// # Errors
/// When the file cannot be read, or holds no public Ed25519 key in PEM.
pub fn read_public_key(path: &Path) -> Result<VerifyingKey> {
    let shown = path.display();
    let text = read::text(path, read::SETTINGS).with_context(|| format!("cannot read the public key {shown}"))?;
    let key = VerifyingKey::from_public_key_pem(&text);
    key.ok()
        .with_context(|| format!("{shown} is no public Ed25519 key in PEM: name the `.pub` file that `keygen` made"))
}

/// What to say of a private key that others than its owner may read or change.
#[must_use]
pub fn exposure(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = path.metadata().ok()?.permissions().mode();
        (mode & 0o077 != 0)
            .then(|| format!("others may read the private key {}: chmod 600 {}", path.display(), quoted(path)))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Where the public key of a private one lies.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn is_hexadecimal(text: &str) -> bool {
    let digits = text.trim();
    digits.len() == 2 * ed25519_dalek::SECRET_KEY_LENGTH && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::pkcs8::SecretDocument;

    use super::*;

    /// Of RFC 8410, section 10.3.
    const RFC_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    const RFC_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

    fn refusal(path: &Path) -> String {
        format!("{:#}", read_key(path).unwrap_err())
    }

    /// The types that hold private keys here overwrite them.
    #[test]
    fn private_keys_are_wiped() {
        fn is_wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        let mut seed = Zeroizing::new([7; ed25519_dalek::SECRET_KEY_LENGTH]);
        is_wiped(&seed);
        is_wiped(&SigningKey::from_bytes(&seed));
        is_wiped(&KeypairBytes { secret_key: *seed, public_key: None }.to_pkcs8_pem(LineEnding::LF).unwrap());
        zeroize::Zeroize::zeroize(&mut seed);
        assert_eq!(*seed, [0; ed25519_dalek::SECRET_KEY_LENGTH]);
    }

    /// Whether memory that this process can write to holds the bytes of which these are the inverted ones. This thread's stack is
    /// left out.
    #[cfg(target_os = "linux")]
    fn is_in_memory(inverted: &[u8]) -> bool {
        use std::io::{Read, Seek, SeekFrom};

        let on_stack = 0;
        let on_stack = (&raw const on_stack).addr() as u64;
        let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
        let regions = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut holds = |region: &str| {
            let (range, rights) = region.split_once(' ')?;
            let (start, end) = range.split_once('-').filter(|_| rights.starts_with("rw"))?;
            let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
            if (start..end).contains(&on_stack) {
                return None;
            }
            // The search leaves nothing behind itself.
            let mut bytes = Zeroizing::new(vec![0; (end - start) as usize]);
            memory.seek(SeekFrom::Start(start)).ok()?;
            // What another thread has given back meanwhile cannot be read.
            memory.read_exact(&mut bytes).ok()?;
            let same = |window: &[u8]| window.iter().zip(inverted).all(|(&byte, &inverted)| byte == !inverted);
            Some(bytes.windows(inverted.len()).any(same))
        };
        regions.lines().any(|region| holds(region) == Some(true))
    }

    /// Of what the heap held of a private key, as bytes and as text, nothing is left. Copies that the compiler makes on the stack
    /// are not looked for: safe code can neither wipe them nor tell where they are.
    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_is_left_of_a_private_key_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner.key");
        generate(&path, false).unwrap();
        let key = Box::new(read_key(&path).unwrap());
        let seed: Vec<u8> = key.as_bytes().iter().map(|byte| !byte).collect();
        assert!(is_in_memory(&seed), "the search finds a key that is there");
        drop(key);
        assert!(!is_in_memory(&seed), "a key as bytes is left");
        // The digits of PKCS#8 that are the key's.
        let text = std::fs::read(&path).map(Zeroizing::new).unwrap();
        let line = text.split(|&byte| byte == b'\n').nth(1).unwrap();
        let digits: Vec<u8> = line[24..60].iter().map(|digit| !digit).collect();
        assert!(is_in_memory(&digits), "the search finds a text that is there");
        drop(text);
        assert!(!is_in_memory(&digits), "a key as text is left");
    }

    #[test]
    fn keys_are_written_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner.key");
        let (public, shown) = generate(&path, false).unwrap();
        let key = read_key(&path).unwrap();
        assert_eq!(fingerprint(key.verifying_key().as_bytes()), shown);
        let text = std::fs::read_to_string(&public).unwrap();
        assert_eq!(VerifyingKey::from_public_key_pem(&text).unwrap(), key.verifying_key());
        let error = format!("{:#}", generate(&path, false).unwrap_err());
        assert!(error.contains("--force"), "{error}");
        assert_eq!(read_key(&path).unwrap().to_bytes(), key.to_bytes());
        generate(&path, true).unwrap();
        assert_ne!(read_key(&path).unwrap().to_bytes(), key.to_bytes());
    }

    #[test]
    fn the_formats_are_those_of_rfc_8410() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rfc.key");
        std::fs::write(&path, RFC_KEY).unwrap();
        let key = read_key(&path).unwrap();
        assert_eq!(key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap(), RFC_PUBLIC);
        std::fs::write(beside(&path), RFC_PUBLIC).unwrap();
        assert_eq!(read_key(&path).unwrap(), key);
        let written = dir.path().join("written.key");
        generate(&written, false).unwrap();
        let [written, rfc] = [std::fs::read_to_string(&written).unwrap(), RFC_KEY.to_owned()];
        // Version, algorithm and the seed's length are in the first 21 of 64 digits.
        assert_eq!((written.len(), &written[..28 + 21]), (rfc.len(), &rfc[..28 + 21]));
    }

    #[test]
    fn what_is_no_private_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some key");
        let of_x25519 = {
            let (_, document) = SecretDocument::from_pem(RFC_KEY).unwrap();
            let mut der = document.as_bytes().to_vec();
            let oid = der.windows(3).position(|bytes| bytes == [0x2B, 0x65, 0x70]).unwrap();
            der[oid + 2] = 0x6E;
            SecretDocument::try_from(&der[..]).unwrap().to_pem("PRIVATE KEY", LineEnding::LF).unwrap()
        };
        let renamed = |label: &str| RFC_KEY.replace("PRIVATE KEY", label).into_bytes();
        let cases: [(&[u8], &str); 9] = [
            (b"", "no key in PEM"),
            (b"\x89PNG\r\n", "no key in PEM"),
            (&[b'0'; 64], "64 hexadecimal digits"),
            (RFC_PUBLIC.as_bytes(), "public key"),
            (&renamed("ENCRYPTED PRIVATE KEY"), "openssl pkey -in"),
            (&renamed("RSA PRIVATE KEY"), "holds a RSA PRIVATE KEY"),
            (of_x25519.as_bytes(), "another algorithm (OID 1.3.101.110)"),
            (&RFC_KEY.replace("MC4", "MC5").into_bytes(), "damaged"),
            (&RFC_KEY.as_bytes()[..RFC_KEY.len() - 30], "no key in PEM"),
        ];
        for (bytes, expected) in cases {
            std::fs::write(&path, bytes).unwrap();
            let error = refusal(&path);
            assert!(error.contains(expected) && error.contains("some key"), "{error} and not {expected}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(refusal(&path).contains("cannot read"));
    }

    #[test]
    fn a_public_key_of_another_beside_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner.key");
        generate(&path, false).unwrap();
        std::fs::write(beside(&path), RFC_PUBLIC).unwrap();
        assert!(refusal(&path).contains("is not the public key"));
    }

    #[cfg(unix)]
    #[test]
    fn a_private_key_is_its_owner_s_alone_and_others_are_noticed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner.key");
        generate(&path, false).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(exposure(&path), None);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(exposure(&path).is_some_and(|note| note.contains("chmod 600")));
        assert!(read_key(&path).is_ok());
    }

    #[test]
    fn openssl_reads_what_is_written_and_writes_what_is_read() {
        let openssl = |arguments: &[&str]| {
            let output = std::process::Command::new("openssl").args(arguments).output().ok()?;
            Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
        };
        let dir = tempfile::tempdir().unwrap();
        let [ours, theirs] = ["ours.key", "theirs.key"].map(|name| dir.path().join(name));
        let (public, _) = generate(&ours, false).unwrap();
        let [ours, theirs, public] = [&ours, &theirs, &public].map(|path| path.to_str().unwrap());
        let Some((read, text)) = openssl(&["pkey", "-in", ours, "-pubout"]) else {
            assert!(std::env::var_os("CI").is_none(), "openssl is not installed");
            return;
        };
        assert!(read);
        assert_eq!(text, std::fs::read_to_string(public).unwrap());
        assert!(openssl(&["genpkey", "-algorithm", "ed25519", "-out", theirs]).is_some_and(|(made, _)| made));
        let (_, text) = openssl(&["pkey", "-in", theirs, "-pubout"]).unwrap();
        let key = read_key(Path::new(theirs)).unwrap();
        assert_eq!(key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap(), text);
    }
}
