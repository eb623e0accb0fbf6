//! A Chromium of one test, through a web driver.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::Locator;
use fantoccini::elements::Element;
pub use fantoccini::key::Key;
use fantoccini::wd::WindowHandle;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

/// How long anything may take before a test calls it hung.
const DEADLINE: Duration = Duration::from_secs(60);

/// A browser, and the tab of it that is in front.
#[derive(Debug)]
pub struct Browser(Client);

/// A tab of a browser.
#[derive(Debug, Clone)]
pub struct Tab(WindowHandle);

/// Killed even if the test fails, and the browser with it.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn find(name: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let mut dirs = std::env::split_paths(&path);
    let found = dirs.find_map(|dir| Some(dir.join(name)).filter(|path| path.is_file()));
    found.map(|path| path.to_string_lossy().into_owned())
}

/// Runs `test` with a browser, unless there is none on this machine.
pub async fn with_browser<F: Future<Output = ()> + Send + 'static>(
    dark: bool,
    (width, height): (u32, u32),
    test: impl FnOnce(Browser) -> F,
) {
    let chromium = ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .find_map(|name| find(name));
    let (Some(chromium), Some(driver)) = (chromium, find("chromedriver")) else {
        eprintln!("skipped: there is no chromium or no chromedriver");
        return;
    };
    let profile = tempfile::tempdir().unwrap();
    let mut driver = Command::new(driver)
        .arg("--port=0")
        // What Chromium leaves goes with the profile.
        .env("TMPDIR", profile.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .map(Driver)
        .unwrap();
    let out = driver.0.stdout.take().unwrap();
    let port = BufReader::new(out)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| {
            Some(
                line.split_once("started successfully on port ")?
                    .1
                    .trim_end_matches('.')
                    .to_owned(),
            )
        })
        .expect("the driver names its port");
    let mut args = vec![
        "--headless=new".to_owned(),
        // Containers run tests as root and with little shared memory.
        "--no-sandbox".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-gpu".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-extensions".to_owned(),
        "--disable-background-networking".to_owned(),
        "--hide-scrollbars".to_owned(),
        format!(
            "--user-data-dir={}",
            profile.path().join("profile").display()
        ),
        format!("--window-size={width},{height}"),
    ];
    if dark {
        args.push("--force-dark-mode".to_owned());
        args.push("--blink-settings=preferredColorScheme=0".to_owned());
    }
    let capabilities = json!({
        "goog:chromeOptions": { "binary": chromium, "args": args },
    });
    let Value::Object(capabilities) = capabilities else {
        unreachable!("it is an object")
    };
    let client = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities)
        .connect(&format!("http://127.0.0.1:{port}"))
        .await
        .unwrap();
    client.set_window_size(width, height).await.unwrap();
    let ended = client.clone();
    let test = tokio::spawn(test(Browser(client)));
    let done = tokio::time::timeout(DEADLINE * 3, test).await;
    // Also after a failed test, so that the browser ends before its profile is removed.
    let _ = ended.close().await;
    drop(driver);
    match done {
        Ok(Ok(())) => {}
        Ok(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
        Err(elapsed) => panic!("the test hangs: {elapsed}"),
    }
}

impl Browser {
    pub async fn open(&self, address: &str) {
        self.0.goto(address).await.unwrap();
    }

    /// What the expression `script` is in the page.
    pub async fn value(&self, script: &str) -> Value {
        let script = format!("return {script};");
        self.0.execute(&script, vec![]).await.unwrap()
    }

    /// Waits until the expression `script` is true.
    pub async fn until(&self, script: &str) {
        let is_so = async {
            while self.value(script).await != json!(true) {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, is_so).await;
        let shown = match waited {
            Ok(()) => return,
            Err(_elapsed) => self.text("body").await,
        };
        panic!("it never holds: {script}; {shown}");
    }

    pub async fn element(&self, css: &str) -> Element {
        let found = self.0.find(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    pub async fn text(&self, css: &str) -> String {
        self.element(css).await.text().await.unwrap()
    }

    pub async fn click(&self, css: &str) {
        self.element(css).await.click().await.unwrap();
    }

    /// Types into whatever has the focus.
    pub async fn press(&self, keys: &[Key]) {
        let text: String = keys.iter().map(|key| char::from(*key)).collect();
        let focused = self.0.active_element().await.unwrap();
        focused.send_keys(&text).await.unwrap();
    }

    /// Types into a field.
    pub async fn fill(&self, css: &str, text: &str) {
        self.element(css).await.send_keys(text).await.unwrap();
    }

    /// Chooses from a list.
    pub async fn choose(&self, css: &str, label: &str) {
        let list = self.element(css).await;
        list.select_by_label(label).await.unwrap();
    }

    /// The tab that is in front.
    pub async fn tab(&self) -> Tab {
        Tab(self.0.window().await.unwrap())
    }

    /// Opens a tab and brings it to the front.
    pub async fn open_tab(&self) -> Tab {
        let tab = Tab(self.0.new_window(true).await.unwrap().handle);
        self.bring_to_front(&tab).await;
        tab
    }

    pub async fn bring_to_front(&self, tab: &Tab) {
        self.0.switch_to_window(tab.0.clone()).await.unwrap();
    }

    pub async fn address(&self) -> String {
        self.0.current_url().await.unwrap().to_string()
    }

    /// Checks what can be said of the page `page` without looking: it is in the light or dark colours of its style
    /// sheet, as the browser asks for, and nothing makes it wider than the window.
    pub async fn check_look(&self, page: &str, is_dark: bool) {
        let asked = "matchMedia('(prefers-color-scheme: dark)').matches";
        assert_eq!(self.value(asked).await, is_dark, "{page}");
        let back = "getComputedStyle(document.documentElement).backgroundColor";
        let expected = if is_dark {
            "rgb(20, 23, 26)"
        } else {
            "rgb(251, 251, 250)"
        };
        assert_eq!(self.value(back).await, expected, "{page}");
        let is_wider =
            "document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(self.value(is_wider).await, false, "{page} is too wide");
    }

    /// A picture of the whole page.
    pub async fn picture(&self, (width, height): (u32, u32)) -> Vec<u8> {
        let needed = "document.documentElement.scrollHeight + outerHeight - innerHeight";
        let needed = self.value(needed).await;
        let needed = u32::try_from(needed.as_u64().unwrap_or(0)).unwrap_or(height);
        self.0
            .set_window_size(width, needed.clamp(height, 2_400))
            .await
            .unwrap();
        let picture = self.0.screenshot().await.unwrap();
        self.0.set_window_size(width, height).await.unwrap();
        picture
    }
}

/// The directory for screenshots of the package in the directory `package`.
pub fn pictures(package: &Path, name: &str) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| package.join("target"), PathBuf::from);
    let pictures = target.join(name);
    std::fs::create_dir_all(&pictures).unwrap();
    pictures
}
