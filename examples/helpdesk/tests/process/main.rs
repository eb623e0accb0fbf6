//! The program itself: killed, told to end, copied.
#![cfg(unix)]

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::{Value, json};

/// A running help desk. Killed even if the test fails.
struct Desk {
    process: Child,
    log: Receiver<String>,
    address: String,
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn helpdesk(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helpdesk"));
    command.arg("--data").arg(data).env("RUST_LOG", "info");
    command
}

/// The whole response, headers and all. `begin` is the first line, and headers.
fn ask(address: &str, begin: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "{begin}\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

impl Desk {
    fn start(data: &Path) -> Self {
        let mut command = helpdesk(data);
        command.args(["--listen", "127.0.0.1:0"]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (send, log) = mpsc::channel();
        // Always, so that the program never waits to write.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let address = String::new();
        let mut desk = Self {
            process,
            log,
            address,
        };
        let open = desk.log_until("the help desk is open");
        let address = open["address"].as_str().unwrap();
        address.clone_into(&mut desk.address);
        desk
    }

    /// Reads the log up to this message.
    fn log_until(&self, message: &str) -> Value {
        for line in &self.log {
            let entry: Value = serde_json::from_str(&line).unwrap();
            if entry["message"] == message {
                return entry;
            }
        }
        panic!("the log ended without `{message}`");
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        ask(&self.address, &format!("{method} {path} HTTP/1.1"), body).unwrap()
    }

    #[track_caller]
    fn put(&self, path: &str, body: &Value) {
        let response = self.ask("PUT", path, &body.to_string());
        assert!(response.starts_with("HTTP/1.1 201"), "{response}");
    }

    fn register(&self) {
        let ann = json!({ "name": "Ann", "email": "ann@example.com" });
        self.put("/api/customers/ann", &ann);
    }

    fn open_ticket(&self, id: &str) {
        let ticket = json!({
            "customer": "ann", "subject": "The printer", "text": "It is on fire.", "queue": "support",
            "answer_within_minutes": 30,
        });
        self.put(&format!("/api/tickets/{id}"), &ticket);
    }

    #[track_caller]
    fn has(&self, id: &str) {
        let list = self.ask("GET", "/api/tickets", "");
        assert!(list.contains(&format!("\"id\":\"{id}\"")), "{list}");
    }
}

#[test]
fn what_was_answered_is_there_after_the_program_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::start(dir.path());
    desk.register();
    for round in 0..3 {
        desk.open_ticket(&format!("t-{round}"));
        drop(desk);
        desk = Desk::start(dir.path());
        desk.has(&format!("t-{round}"));
    }
}

/// Four people write 50 answers each, and send all of them again.
#[test]
fn what_is_sent_again_after_a_kill_takes_effect_once() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(dir.path());
    desk.register();
    desk.open_ticket("t-1");
    let answered = AtomicUsize::new(0);
    let send_all = |address: &str| {
        thread::scope(|scope| {
            for person in 0..4 {
                let answered = &answered;
                scope.spawn(move || {
                    for answer in 0..50 {
                        let begin = format!(
                            "POST /api/tickets/t-1/answers HTTP/1.1\r\nX-Remote-User: p-{person}\r\n\
                             Idempotency-Key: a-{answer}"
                        );
                        let body = json!({ "text": format!("({person}/{answer})") }).to_string();
                        match ask(address, &begin, &body) {
                            Ok(response) if response.starts_with("HTTP/1.1 200") => {
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                            // The program is gone, or went away meanwhile.
                            _ => break,
                        }
                    }
                });
            }
        });
    };
    let address = desk.address.clone();
    thread::scope(|scope| {
        let sending = scope.spawn(|| send_all(&address));
        while answered.load(Ordering::Relaxed) < 60 && !sending.is_finished() {
            thread::yield_now();
        }
        drop(desk);
    });
    let before = answered.swap(0, Ordering::Relaxed);
    assert!((60..200).contains(&before), "it was killed too late");
    let desk = Desk::start(dir.path());
    send_all(&desk.address);
    assert_eq!(answered.load(Ordering::Relaxed), 200);
    let page = desk.ask("GET", "/tickets/t-1", "");
    for person in 0..4 {
        for answer in 0..50 {
            let text = format!("({person}/{answer})");
            assert_eq!(page.matches(&text).count(), 1, "{text}");
        }
    }
}

#[test]
fn the_program_ends_in_order_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::start(dir.path());
    desk.register();
    // Somebody looks at the live page meanwhile.
    let mut live = TcpStream::connect(&desk.address).unwrap();
    live.write_all(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut live = BufReader::new(live);
    let mut status = String::new();
    live.read_line(&mut status).unwrap();
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");

    let pid = desk.process.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(told.success());
    desk.log_until("the help desk is closed");
    assert!(desk.process.wait().unwrap().success());
    let mut rest = String::new();
    live.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the stream is cut off: {rest}");
}

#[test]
fn a_copy_of_the_running_help_desk_is_a_help_desk() {
    let dir = tempfile::tempdir().unwrap();
    let (data, copy) = (dir.path().join("data"), dir.path().join("copy"));
    let desk = Desk::start(&data);
    desk.register();
    desk.open_ticket("t-1");
    let mut backup = helpdesk(&data);
    backup.arg("backup").arg(&copy).stdout(Stdio::null());
    assert!(backup.status().unwrap().success());
    let other = Desk::start(&copy);
    // What was written in the last moment may be left out of a copy that another process takes.
    let list = other.ask("GET", "/customers", "");
    assert!(list.contains("ann@example.com"), "{list}");
    desk.has("t-1");
}

#[test]
fn a_request_is_logged_with_its_trace() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(dir.path());
    desk.register();
    let decided = desk.log_until("answered");
    assert_eq!(
        (&decided["status"], &decided["level"]),
        (&json!(201), &json!("INFO"))
    );
    let span = &decided["span"];
    assert_eq!(
        (&span["name"], &span["method"]),
        (&json!("request"), &json!("PUT"))
    );
    assert_eq!(span["trace_id"].as_str().unwrap().len(), 32, "{decided}");
}
