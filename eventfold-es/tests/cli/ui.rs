//! The console that the command serves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::{call, command};

/// The command while it serves.
struct Serving {
    child: Child,
    /// `127.0.0.1:…`.
    address: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    fn start(dir: &std::path::Path, args: &[&str]) -> Self {
        let args = [&["ui", "--json"], args].concat();
        let mut child = command(dir, &args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let url = line["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
        Self {
            child,
            address: address.to_owned(),
        }
    }

    fn ask(&self, method: &str, path: &str, host: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[tokio::test]
async fn ui_serves_the_directory_read_only_on_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let store = crate::shop::open(dir.path()).await;
    store.shutdown().await.unwrap();
    for args in [&[][..], &[dir.path().to_str().unwrap()]] {
        let serving = Serving::start(dir.path(), args);
        assert!(serving.address.starts_with("127.0.0.1:"));
        let first = serving.ask("GET", "/", &serving.address);
        assert!(first.starts_with("HTTP/1.1 200"), "{first}");
        assert!(first.contains("read-only"), "{first}");
        let foreign = serving.ask("GET", "/", "evil.example");
        assert!(foreign.starts_with("HTTP/1.1 421"), "{foreign}");
        let write = serving.ask("POST", "/discard", &serving.address);
        assert!(write.starts_with("HTTP/1.1 403"), "{write}");
    }
}

#[test]
fn ui_of_a_directory_without_a_store_or_on_a_port_in_use_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let called = call(dir.path(), &["ui"]);
    assert_eq!(called.code, 3, "{}", called.errors);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = crate::shop::open(dir.path()).await;
        store.shutdown().await.unwrap();
    });
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let called = call(dir.path(), &["ui", "--port", &port]);
    assert_eq!(called.code, 6, "{}", called.errors);
    assert!(
        called
            .errors
            .contains(&format!("cannot listen on port {port}"))
    );
}
