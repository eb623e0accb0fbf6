//! Encrypted connections, and servers that are not trusted.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::server::{command, directory};
use crate::{FAST, Server, count, counters, value};

/// A server with a certificate for `localhost`, and how to reach it.
struct Encrypted {
    server: Server,
    port: String,
    certificates: tempfile::TempDir,
}

/// Runs `openssl` as the user of the server. `None` if it is not installed.
fn openssl(dir: &Path, arguments: &str) -> Option<()> {
    let mut openssl = command(Path::new("openssl"));
    openssl.args(arguments.split_whitespace()).current_dir(dir);
    let done = openssl.output().ok()?;
    let text = String::from_utf8_lossy(&done.stderr);
    if done.status.code() == Some(127) || text.contains("No such file or directory") {
        eprintln!("skipped: openssl is not installed");
        return None;
    }
    assert!(done.status.success(), "{text}");
    Some(())
}

/// A port that the system chose. It does not choose the same one again soon.
fn unused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Encrypted {
    /// `None` if something is not installed, and says so.
    fn start() -> Option<Self> {
        let certificates = directory();
        let dir = certificates.path().join("data");
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650";
        for root in ["root", "other"] {
            let subject = format!("-subj /CN={root} -keyout {root}.key -out {root}.pem");
            openssl(&dir, &format!("req -x509 {key} {subject}"))?;
        }
        let server =
            "-CA root.pem -CAkey root.key -subj /CN=localhost -keyout server.key -out server.pem";
        let names =
            "-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE";
        openssl(&dir, &format!("req -x509 {key} {server} {names}"))?;
        let port = unused_port().to_string();
        let server = Server::start(&[
            FAST[0],
            "listen_addresses=127.0.0.1",
            &format!("port={port}"),
            "ssl=on",
            &format!("ssl_cert_file={}", dir.join("server.pem").display()),
            &format!("ssl_key_file={}", dir.join("server.key").display()),
        ])?;
        Some(Self {
            server,
            port,
            certificates,
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.certificates.path().join("data").join(name)
    }

    fn url(&self, host: &str, parameters: &str) -> String {
        format!(
            "postgres://postgres@{host}:{}/postgres?{parameters}",
            self.port
        )
    }

    /// As [`url`](Self::url), with the roots of a file that are trusted.
    fn trusting(&self, host: &str, mode: &str, roots: &str) -> String {
        let roots = self.file(roots);
        self.url(
            host,
            &format!("sslmode={mode}&sslrootcert={}", roots.display()),
        )
    }

    /// Whether the sessions of stores are encrypted.
    fn are_encrypted(&self) -> String {
        let sql = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                   WHERE application_name = 'eventfold-es'";
        let output = command(&self.server.bin.join("psql"))
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
            .args(["--username=postgres", "--port", &self.port, "--host"])
            .arg(self.server.dir.path().join("socket"))
            .args(["--command", sql])
            .current_dir(self.server.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

#[tokio::test]
async fn sessions_are_encrypted_as_the_url_asks_for() {
    let Some(server) = Encrypted::start() else {
        return;
    };
    let urls = [
        (server.url("localhost", "sslmode=disable"), "f"),
        (server.url("localhost", ""), "t"),
        (server.url("localhost", "sslmode=prefer"), "t"),
        (server.url("localhost", "sslmode=require"), "t"),
        (server.trusting("localhost", "require", "root.pem"), "t"),
        (server.trusting("127.0.0.1", "verify-ca", "root.pem"), "t"),
        (server.trusting("localhost", "verify-full", "root.pem"), "t"),
    ];
    for (counted, (url, encrypted)) in (1..).zip(urls) {
        let store = counters(&url).open().await.unwrap();
        count(&store, "a", 1).await;
        assert_eq!(value(&store, "a").await, counted);
        assert_eq!(
            store.read_events("counter", "a").await.unwrap().len() as u64,
            counted
        );
        assert_eq!(server.are_encrypted(), encrypted, "{url}");
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_refused_and_it_is_said_why() {
    let Some(server) = Encrypted::start() else {
        return;
    };
    let unknown = "`sslrootcert`";
    for (url, says) in [
        (
            server.trusting("localhost", "verify-full", "other.pem"),
            unknown,
        ),
        (
            server.trusting("localhost", "verify-ca", "other.pem"),
            unknown,
        ),
        (
            server.trusting("localhost", "require", "other.pem"),
            unknown,
        ),
        (
            server.trusting("127.0.0.1", "verify-full", "root.pem"),
            "`sslmode=verify-ca`",
        ),
    ] {
        let refused = counters(&url).open().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
        let text = refused.to_string();
        assert!(
            text.contains("certificate") && text.contains(says),
            "{text}"
        );
    }
    for (roots, says) in [
        ("missing.pem", "missing.pem"),
        ("root.key", "no certificate"),
    ] {
        let url = server.trusting("localhost", "verify-full", roots);
        let refused = counters(&url).open().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
        assert!(refused.to_string().contains(says), "{refused}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_a_must() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let refused = counters(format!("{}?sslmode=require", server.url()))
        .open()
        .await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("does not support TLS"), "{text}");
    let store = counters(format!("{}?sslmode=prefer", server.url()))
        .open()
        .await;
    store.unwrap().shutdown().await.unwrap();
}
