//! Where a store is: [`Place`].

use std::fmt;
use std::path::{Path, PathBuf};

use eventfold_es::inspect::visible;

use crate::failure::{Failure, Result};

/// A directory, or a schema of a database of PostgreSQL.
#[derive(Clone)]
pub(crate) enum Place {
    Directory(PathBuf),
    Schema(Url),
}

/// The URL of a schema. Its texts never have the password.
#[derive(Clone)]
pub(crate) struct Url(String);

impl Place {
    /// What an argument names.
    pub(crate) fn of(named: PathBuf) -> Self {
        match named.to_str().filter(|text| is_url(text)) {
            Some(url) => Self::Schema(Url(url.to_owned())),
            None => Self::Directory(named),
        }
    }

    /// The same place, in which the parameter `--schema` names the schema.
    pub(crate) fn in_schema(&self, schema: Option<&str>) -> Result<Self> {
        match (self, schema) {
            (Self::Directory(_), Some(_)) => Err(Failure::Usage(
                "`--schema` is for a store in PostgreSQL, whose URL takes the place of the directory"
                    .to_owned(),
            )),
            (Self::Directory(dir), None) => Ok(Self::Directory(dir.clone())),
            (Self::Schema(url), schema) => Ok(Self::Schema(url.with(schema))),
        }
    }

    /// The directory, for what only directories have. `instead` says what a schema has.
    pub(crate) fn directory(&self, subcommand: &str, instead: &str) -> Result<&Path> {
        match self {
            Self::Directory(dir) => Ok(dir),
            Self::Schema(_) => Err(Failure::Usage(format!(
                "`{subcommand}` is for stores in directories; of a store in PostgreSQL {instead}"
            ))),
        }
    }
}

/// Fails if the path is the URL of a schema, as [`Place::directory`].
pub(crate) fn check_directory(path: &Path, subcommand: &str, instead: &str) -> Result<()> {
    let place = Place::of(path.to_owned());
    place.directory(subcommand, instead).map(drop)
}

fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

impl Url {
    /// As the library takes it, with the password of the environment if it has none.
    #[cfg(feature = "postgres")]
    pub(crate) fn to_url(&self) -> String {
        let password = std::env::var("PGPASSWORD").unwrap_or_default();
        if password.is_empty() || !self.passwords().is_empty() {
            return self.0.clone();
        }
        parameter(&self.0, "password", &password)
    }

    fn with(&self, schema: Option<&str>) -> Self {
        Self(match schema {
            None => self.0.clone(),
            Some(schema) => parameter(&self.0, "schema", schema),
        })
    }

    /// The passwords in it, as it has them.
    fn passwords(&self) -> Vec<&str> {
        let mut passwords = Vec::new();
        let after = self.0.split_once("://").map_or("", |(_, after)| after);
        let (authority, query) = match after.split_once('?') {
            Some((before, query)) => (before, query),
            None => (after, ""),
        };
        // A password with a slash that nobody encoded is no less secret.
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        passwords.extend(user.split_once(':').map(|(_, password)| password));
        let values = query
            .split('&')
            .filter_map(|one| one.strip_prefix("password="));
        passwords.extend(values);
        passwords.retain(|password| !password.is_empty());
        passwords
    }
}

/// `url` with a further parameter.
fn parameter(url: &str, name: &str, value: &str) -> String {
    use std::fmt::Write as _;
    let before = if url.contains('?') { '&' } else { '?' };
    let mut url = format!("{url}{before}{name}=");
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

/// `text` without the passwords of the URLs among the arguments of this call.
pub(crate) fn without_passwords(mut text: String) -> String {
    let named = std::env::args_os().chain(std::env::var_os("EVENTFOLD_DIR"));
    for named in named {
        let named = named.to_string_lossy();
        // It may be behind the name of an option.
        let Some(start) = named.find("postgres") else {
            continue;
        };
        for password in Url(named[start..].to_owned()).passwords() {
            text = text.replace(password, "***");
        }
    }
    text
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.clone();
        for password in self.passwords() {
            text = text.replace(password, "***");
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(dir) => f.write_str(&visible(&dir.to_string_lossy()).to_string()),
            Self::Schema(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url(text.to_owned())
    }

    #[test]
    fn the_password_of_a_url_is_found_wherever_it_is() {
        for (text, passwords) in [
            ("postgres://db/x", &[][..]),
            ("postgres://ann@db/x", &[]),
            ("postgres://ann:s3@c%2Fret@db:1/x", &["s3@c%2Fret"]),
            ("postgresql://db/x?user=a&password=b%20c", &["b%20c"]),
        ] {
            let found = url(text);
            assert_eq!(found.passwords(), passwords, "{text}");
            let shown = format!("{found:?}");
            assert!(passwords.iter().all(|one| !shown.contains(one)), "{shown}");
        }
    }

    #[test]
    fn a_parameter_is_added_behind_others_and_encoded() {
        let named = url("postgres://db/x").with(Some("a b&c"));
        assert_eq!(named.0, "postgres://db/x?schema=a%20b%26c");
        assert_eq!(
            url("postgres://db/x?a=1").with(Some("b")).0,
            "postgres://db/x?a=1&schema=b"
        );
    }
}
