//! Where a store on a server is, and how it uses the server: [`PgOptions`].

use std::fmt;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::storage::commit::CONFLICT_ROUNDS;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::postgres::tls::{Tls, Wanted};

/// The schema, unless the builder names one.
const SCHEMA: &str = "eventfold";
/// The longest name of a schema, in bytes. The server would cut off the rest.
const LONGEST_SCHEMA: usize = 63;
/// How long a call waits for the server, unless the builder says otherwise.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// After how long an idle connection asks whether the server is still there: two hours by the driver, unless the URL
/// says otherwise. A peer that is gone is to be noticed sooner.
const DRIVERS_KEEPALIVES_IDLE: Duration = Duration::from_secs(2 * 60 * 60);
const KEEPALIVES_IDLE: Duration = Duration::from_secs(30);

/// Where a store on a server is. Its texts never have the password.
#[derive(Clone)]
pub(crate) struct PgOptions {
    url: String,
    pub(crate) schema: String,
    pub(crate) allow_unsynced: bool,
    pub(crate) command_timeout: Duration,
    /// How often a command is decided at most.
    pub(crate) conflict_rounds: u32,
}

impl PgOptions {
    /// The schema is `eventfold`, unless the URL has the parameter `schema`.
    pub(crate) fn new(url: String) -> Self {
        let (url, schema) = take_schema(url);
        Self {
            url,
            schema: schema.unwrap_or_else(|| SCHEMA.to_owned()),
            allow_unsynced: false,
            command_timeout: COMMAND_TIMEOUT,
            conflict_rounds: CONFLICT_ROUNDS,
        }
    }

    /// How to connect. Fails if the URL or the schema cannot be used.
    pub(super) fn config(&self) -> StorageResult<Config> {
        let invalid = |text: String| StorageError::new(StorageErrorKind::InvalidInput, text);
        let (url, wanted) = Wanted::split(&self.url)?;
        let mut config: Config = url.parse().map_err(|error| {
            invalid(format!(
                "the URL of the server cannot be used: {error}; the correct format looks like \
                 `postgres://user:password@host:5432/database`"
            ))
        })?;
        if self.schema.is_empty() || self.schema.contains('\0') {
            let text = "the name of the schema is empty or has the character NUL";
            return Err(invalid(text.to_owned()));
        }
        if self.schema.len() > LONGEST_SCHEMA {
            return Err(invalid(format!(
                "the name of the schema has {} bytes, more than the server's {LONGEST_SCHEMA}",
                self.schema.len()
            )));
        }
        if self.schema.starts_with("pg_") {
            let text =
                "the name of the schema begins with `pg_`, which the server keeps for itself";
            return Err(invalid(text.to_owned()));
        }
        if wanted != Wanted::default() {
            config.ssl_mode(wanted.mode());
        }
        if config.get_application_name().is_none() {
            config.application_name("eventfold-es");
        }
        if config.get_keepalives_idle() == DRIVERS_KEEPALIVES_IDLE {
            config.keepalives_idle(KEEPALIVES_IDLE);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(self.command_timeout);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT.min(self.command_timeout));
        }
        Ok(config)
    }

    /// How to speak TLS. Fails if the URL asks for what cannot be done.
    pub(super) fn tls(&self, config: &Config) -> StorageResult<Tls> {
        let (_, mut wanted) = Wanted::split(&self.url)?;
        wanted.note(config.get_ssl_mode());
        Tls::new(&wanted)
    }

    /// The schema in a sentence, with the database and the server.
    pub(super) fn place(&self, config: &Config) -> String {
        let hosts = config.get_hosts().iter().enumerate().map(|(i, host)| {
            let ports = config.get_ports();
            let port = ports.get(i).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        });
        let hosts: Vec<_> = hosts.collect();
        let database = config.get_dbname().or(config.get_user());
        format!(
            "the schema `{}` of the database `{}` on {}",
            self.schema,
            database.unwrap_or_default(),
            hosts.join(", ")
        )
    }
}

/// Takes the parameter `schema` out of a URL. The driver knows no such parameter.
fn take_schema(url: String) -> (String, Option<String>) {
    let Some((before, query)) = url.split_once('?') else {
        return (url, None);
    };
    let mut schema = None;
    let mut rest = Vec::new();
    for parameter in query.split('&') {
        match parameter.strip_prefix("schema=") {
            Some(name) => schema = Some(percent_decoded(name)),
            None => rest.push(parameter),
        }
    }
    let url = if rest.is_empty() {
        before.to_owned()
    } else {
        format!("{before}?{}", rest.join("&"))
    };
    (url, schema)
}

/// A part of a URL, in which bytes may be written as `%2F`.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let written = after.get(..2).filter(|_| *first == b'%');
        let written = written.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = written.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Debug for PgOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgOptions")
            .field("schema", &self.schema)
            .field("allow_unsynced", &self.allow_unsynced)
            .field("command_timeout", &self.command_timeout)
            .field("conflict_rounds", &self.conflict_rounds)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for PgOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = Wanted::split(&self.url).ok();
        match config.and_then(|(url, _)| url.parse().ok()) {
            Some(config) => f.write_str(&self.place(&config)),
            None => write!(f, "the schema `{}`", self.schema),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_the_options_has_the_password() {
        let options = PgOptions::new("postgres://ann:secret@db:5433/orders".to_owned());
        assert_eq!(
            options.to_string(),
            "the schema `eventfold` of the database `orders` on db:5433"
        );
        assert!(!format!("{options:?}").contains("secret"));
        for broken in [
            "postgres://ann:secret@db:port/x",
            "postgres://ann:secret@db/x?what=1",
        ] {
            let options = PgOptions::new(broken.to_owned());
            let error = options.config().unwrap_err();
            assert_eq!(error.kind(), StorageErrorKind::InvalidInput);
            let text = format!("{error} {options} {options:?}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_url_for_postgres_may_name_the_schema() {
        for (url, left, schema) in [
            ("postgres://db/x", "postgres://db/x", SCHEMA),
            ("postgres://db/x?schema=shop", "postgres://db/x", "shop"),
            (
                "postgres://db/x?connect_timeout=3&schema=a%20%C3%A9&application_name=b",
                "postgres://db/x?connect_timeout=3&application_name=b",
                "a \u{e9}",
            ),
            ("postgres://db/x?schema=%zz%4", "postgres://db/x", "%zz%4"),
        ] {
            let options = PgOptions::new(url.to_owned());
            assert_eq!(
                (options.url.as_str(), options.schema.as_str()),
                (left, schema)
            );
        }
    }

    #[test]
    fn a_schema_that_the_server_cannot_have_is_refused() {
        for name in [
            String::new(),
            "a\0".to_owned(),
            "x".repeat(64),
            "pg_x".to_owned(),
        ] {
            let mut options = PgOptions::new("postgres://db".to_owned());
            options.schema = name;
            let error = options.config().unwrap_err();
            assert_eq!(error.kind(), StorageErrorKind::InvalidInput, "{error}");
        }
    }
}
