//! A help desk of one test, and what people do with it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use eventfold_es::{AggregateStore, ManualClock, http};
use eventfold_es_tests_browser::Browser;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long anything may take before a test calls it hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A help desk in this process, with a clock that the test drives.
pub(crate) struct Desk {
    pub(crate) address: String,
    store: AggregateStore,
    clock: ManualClock,
    end: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
    _dir: TempDir,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(SystemTime::now());
        let place = AggregateStore::builder(dir.path()).clock(clock.clone());
        let store = helpdesk::open(place).await.unwrap();
        let app = helpdesk::app(&store, Vec::new()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (end, ended) = oneshot::channel();
        let serving = http::serve(listener, app, &store, async { drop(ended.await) });
        let served = tokio::spawn(serving.into_future());
        Self {
            address,
            store,
            clock,
            end,
            served,
            _dir: dir,
        }
    }

    /// Lets time pass, and waits for what follows from that.
    pub(crate) async fn pass(&self, minutes: u64) {
        self.settle().await;
        self.clock.advance(Duration::from_secs(60 * minutes));
        self.settle().await;
    }

    pub(crate) async fn settle(&self) {
        let head = self.store.head();
        self.store.wait_until_settled(head, PATIENCE).await.unwrap();
    }

    pub(crate) async fn close(self) {
        self.end.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }
}

/// A help desk in a process of its own. Killed even if the test fails.
pub(crate) struct Program {
    process: Child,
    pub(crate) address: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Program {
    /// Starts it on `listen`, which may have port 0.
    pub(crate) fn start(data: &Path, listen: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_helpdesk"));
        command.arg("--data").arg(data).args(["--listen", listen]);
        command.env("RUST_LOG", "info").stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut log = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it does not open");
            let entry: Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = entry["address"].as_str() {
                break address.to_owned();
            }
        };
        // Somebody must read the rest.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Self { process, address }
    }

    pub(crate) fn kill(mut self) -> String {
        self.process.kill().unwrap();
        std::mem::take(&mut self.address)
    }
}

pub(crate) async fn register(browser: &Browser, desk: &str, name: &str, email: &str) {
    browser.open(&format!("{desk}/customers")).await;
    browser.fill("[name=name]", name).await;
    browser.fill("[name=email]", email).await;
    browser.click("form button").await;
    let is_shown = format!("document.querySelector('#customers').innerText.includes('{email}')");
    browser.until(&is_shown).await;
}

/// Opens a ticket of the first customer, in the tab that is in front, which shows it then.
pub(crate) async fn open_ticket(browser: &Browser, desk: &str, subject: &str, text: &str) {
    browser.open(&format!("{desk}/new")).await;
    browser.choose("[name=queue]", "support").await;
    browser.fill("[name=subject]", subject).await;
    browser.fill("[name=text]", text).await;
    browser.click("form button").await;
    browser
        .until("location.pathname.startsWith('/tickets/')")
        .await;
    browser
        .until("document.querySelector('#ticket') !== null")
        .await;
}

/// Presses the button with this text, after what `fields` say was typed.
pub(crate) async fn press(browser: &Browser, form: &str, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        browser
            .fill(&format!("form[action$='{form}'] [name={name}]"), value)
            .await;
    }
    browser
        .click(&format!("form[action$='{form}'] button"))
        .await;
}

/// Waits until the element says this, in the tab that is in front.
pub(crate) async fn says(browser: &Browser, css: &str, text: &str) {
    let all =
        format!("[...document.querySelectorAll(\"{css}\")].map(it => it.innerText).join(' ')");
    browser.until(&format!("{all}.includes('{text}')")).await;
}
