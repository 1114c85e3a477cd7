//! A headless Chromium, by chromedriver.

use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use url::{ParseError, Url};

/// How long anything may take that a test waits for. Arbitrary: a test that would wait for ever fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often chromedriver is started, at most. Arbitrary.
const STARTS: u32 = 5;

/// A browser with one window. It ends with this.
pub(crate) struct Browser {
    pub(crate) client: Client,
    driver: Driver,
}

struct Driver {
    child: Child,
    profile: TempDir,
}

impl Driver {
    /// Starts it, and says its port. It wants the same one of IPv4 and of IPv6, and ends when another program has one of
    /// the two: then it is started again.
    fn start() -> io::Result<(Self, u16)> {
        for _ in 0..STARTS {
            let mut command = Command::new("chromedriver");
            command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
            let mut driver = Self { child: command.spawn()?, profile: TempDir::new()? };
            let stdout = BufReader::new(driver.child.stdout.take().unwrap());
            let port = stdout.lines().map_while(Result::ok).find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            });
            if let Some(port) = port {
                return Ok((driver, port));
            }
        }
        panic!("chromedriver says no port");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // With its browser, which goes on otherwise when a test has panicked.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// A command that is Chromium's own.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// `None`, loudly, where there is no chromedriver, unless `PILOT_REQUIRE_CHROMIUM=1`.
    pub(crate) async fn start() -> Option<Self> {
        let (driver, port) = match Driver::start() {
            Ok(started) => started,
            Err(error) => {
                let is_needed = std::env::var("PILOT_REQUIRE_CHROMIUM").is_ok_and(|it| it == "1");
                assert!(!is_needed, "chromedriver: {error}");
                eprintln!("SKIPPED: the page is not tested in a browser: chromedriver: {error}");
                return None;
            }
        };
        let options = json!({"args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--hide-scrollbars", "--window-size=1000,900",
            // Nothing but loopback.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
            format!("--user-data-dir={}", driver.profile.path().display()),
        ]});
        let mut wanted = serde_json::Map::new();
        wanted.insert("goog:chromeOptions".to_owned(), options);
        wanted.insert("goog:loggingPrefs".to_owned(), json!({"browser": "ALL"}));
        // A dialog is what a test looks for, and not closed unseen.
        wanted.insert("unhandledPromptBehavior".to_owned(), json!("ignore"));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Some(Self { client, driver })
    }

    pub(crate) async fn end(self) {
        let Self { client, driver } = self;
        client.close().await.unwrap();
        drop(driver);
    }

    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression};"), Vec::new()).await.unwrap()
    }

    /// Waits until an expression in the page, which may be another page by then, is true.
    pub(crate) async fn until(&self, expression: &str) {
        let start = Instant::now();
        loop {
            let script = format!("return !!({expression});");
            if self.client.execute(&script, Vec::new()).await.is_ok_and(|it| it == true) {
                return;
            }
            if start.elapsed() > PATIENCE {
                let text = self.value("document.documentElement.innerText").await;
                panic!("never: {expression}\n{text}");
            }
            // There is no signal: a page is asked.
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn click(&self, css: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Types into what has the focus.
    pub(crate) async fn keys(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Executes a command of Chromium's debugger.
    pub(crate) async fn debug(&self, command: &str, parameters: Value) {
        let body = json!({"cmd": command, "params": parameters});
        self.client.issue_cmd(Own { path: "goog/cdp/execute", body }).await.unwrap();
    }

    /// What was said on the console: errors of scripts, and what the policy refused. Not advice, and not that the token was
    /// asked for.
    pub(crate) async fn console(&self) -> Vec<String> {
        let body = json!({"type": "browser"});
        let log = self.client.issue_cmd(Own { path: "se/log", body }).await.unwrap();
        let lines =
            log.as_array().unwrap().iter().filter(|line| line["source"] != "recommendation");
        lines.map(ToString::to_string).filter(|line| !line.contains("status of 401")).collect()
    }

    /// As people like it: `dark` or `light`.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.debug("Emulation.setEmulatedMedia", features).await;
    }

    /// A phone, or a window, of this size.
    pub(crate) async fn size(&self, width: u32, height: u32, is_phone: bool) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.debug("Emulation.setDeviceMetricsOverride", size).await;
    }
}
