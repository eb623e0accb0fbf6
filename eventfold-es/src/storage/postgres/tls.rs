//! What the URL of a server says about TLS: [`Wanted`]; and who speaks it: [`Tls`].

use std::borrow::Cow;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::SslMode;

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};

#[cfg(feature = "postgres-tls")]
mod rustls;
#[cfg(feature = "postgres-tls")]
pub(super) use self::rustls::{Tls, advice};

/// The parameters of libpq for certificates of clients and for lists of revoked ones.
const ABSENT: [&str; 6] = [
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcertmode",
    "sslcrl",
    "sslcrldir",
];

/// What a URL asks for, with libpq's meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    Disable,
    /// If the server can, with any certificate.
    #[default]
    Prefer,
    /// With any certificate; of a trusted root, if the URL names the roots.
    Require,
    /// With a certificate of a trusted root.
    VerifyCa,
    /// Also for the name of the host.
    VerifyFull,
}

/// What a URL says about TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    mode: Mode,
    /// The file with the roots that are trusted. `None` for those of the system.
    roots: Option<PathBuf>,
}

impl Wanted {
    /// Splits off what `url` says about TLS and the driver does not know. The rest is the driver's.
    pub(super) fn split(url: &str) -> StorageResult<(Cow<'_, str>, Self)> {
        let mut wanted = Self::default();
        let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let Some((before, query)) = url.split_once('?').filter(|_| is_url) else {
            return Ok((Cow::Borrowed(url), wanted));
        };
        let mut rest = String::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy();
            match name {
                "sslmode" => wanted.mode = Mode::of(&value)?,
                "sslrootcert" if value == "system" => wanted.roots = None,
                "sslrootcert" => wanted.roots = Some(PathBuf::from(&*value)),
                name if ABSENT.contains(&name) => {
                    let text = format!(
                        "the URL has `{name}`: certificates of clients and lists of revoked ones \
                         are not supported; use a password"
                    );
                    return Err(StorageError::new(StorageErrorKind::Unsupported, text));
                }
                _ => {
                    rest.push(if rest.is_empty() { '?' } else { '&' });
                    rest.push_str(pair);
                }
            }
        }
        if wanted.roots.is_some() && matches!(wanted.mode, Mode::Disable | Mode::Prefer) {
            let text = "the URL names trusted roots (`sslrootcert`), but its `sslmode` trusts every \
                        server: add `sslmode=verify-full`";
            return Err(StorageError::new(StorageErrorKind::InvalidInput, text));
        }
        Ok((Cow::Owned(format!("{before}{rest}")), wanted))
    }

    /// Notes what the driver has read in a text that is no URL.
    pub(super) fn note(&mut self, mode: SslMode) {
        if mode == SslMode::Require && mode != self.mode() {
            self.mode = Mode::Require;
        }
    }

    /// What the driver has to know.
    pub(super) fn mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }
}

impl Mode {
    fn of(text: &str) -> StorageResult<Self> {
        Ok(match text {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                let text = format!(
                    "the URL has `sslmode={text}`, and this is one of `disable`, `prefer`, \
                     `require`, `verify-ca` and `verify-full`"
                );
                return Err(StorageError::new(StorageErrorKind::InvalidInput, text));
            }
        })
    }
}

/// Speaks no TLS, because the feature is not turned on.
#[cfg(not(feature = "postgres-tls"))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Tls;

#[cfg(not(feature = "postgres-tls"))]
impl Tls {
    /// Fails if TLS is a must.
    pub(super) fn new(wanted: &Wanted) -> StorageResult<Self> {
        if wanted.mode() == SslMode::Require {
            let text = "the URL asks for TLS (`sslmode`): turn on the feature `postgres-tls` of \
                        eventfold-es, or connect within a private network";
            return Err(StorageError::new(StorageErrorKind::Unsupported, text));
        }
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(super) fn connector(self) -> tokio_postgres::NoTls {
        tokio_postgres::NoTls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(url: &str) -> (String, Wanted) {
        let (rest, wanted) = Wanted::split(url).unwrap();
        (rest.into_owned(), wanted)
    }

    #[test]
    fn what_a_url_says_about_tls_is_understood_as_libpq_does() {
        let plain = "postgres://ann:a?b@db/x";
        assert_eq!(wanted("host=db user=ann").1, Wanted::default());
        for (mode, expected) in [
            ("disable", SslMode::Disable),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::Require),
            ("verify-full", SslMode::Require),
        ] {
            let (rest, wanted) = wanted(&format!("postgres://db/x?user=ann&sslmode={mode}"));
            assert_eq!(rest, "postgres://db/x?user=ann");
            assert_eq!(wanted.mode(), expected);
        }
        assert_eq!(Wanted::split(plain).unwrap().1, Wanted::default());
        let (rest, wanted) = wanted(
            "postgres://db/x?sslrootcert=%2Fetc%2Fmy%20ca.pem&sslmode=verify-full&port=5433",
        );
        assert_eq!(rest, "postgres://db/x?port=5433");
        assert_eq!(wanted.mode, Mode::VerifyFull);
        assert_eq!(wanted.roots, Some(PathBuf::from("/etc/my ca.pem")));
    }

    #[test]
    fn what_is_not_supported_of_tls_is_refused_by_name() {
        for (query, named) in [
            ("sslmode=allow", "sslmode=allow"),
            ("sslmode=verify-full&sslcert=a.pem", "sslcert"),
            ("sslrootcert=a.pem", "sslmode=verify-full"),
            ("sslmode=prefer&sslrootcert=a.pem", "sslmode=verify-full"),
        ] {
            let url = format!("postgres://u:secret@db/x?{query}");
            let refused = Wanted::split(&url);
            let text = refused.unwrap_err().to_string();
            assert!(text.contains(named) && !text.contains("secret"), "{text}");
        }
    }

    #[cfg(not(feature = "postgres-tls"))]
    #[test]
    fn without_its_feature_tls_is_refused_where_it_is_a_must() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let refused = Tls::new(&wanted(&format!("postgres://db/x?sslmode={mode}")).1);
            let text = refused.unwrap_err().to_string();
            assert!(text.contains("postgres-tls"), "{text}");
        }
        assert!(Tls::new(&wanted("postgres://db/x?sslmode=prefer").1).is_ok());
    }
}
