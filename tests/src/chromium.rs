//! Chromium without a window, told what to do by the protocol of its developer tools.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a browser runs at most: one that hangs is ended, and with it the pipe that is read from.
const AT_MOST: Duration = Duration::from_secs(600);
/// How long a page has for what it is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Hands over the two ends of the protocol's pipe as what Chromium takes them for.
const SHELL: &str = r#"exec timeout --kill-after=5 "$0" chromium "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"#;
/// A camera that shows a moving pattern, and everybody may see; no network service of the browser's own.
const OPTIONS: [&str; 12] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "about:blank",
];

/// A browser with one tab. What the page complains of, and asks the network for, is kept.
pub struct Chromium {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    requests: u64,
    session: Option<String>,
    complaints: Vec<String>,
    /// Start of what may be asked for besides the page's own data.
    allowed: Option<String>,
    folder: TempDir,
}

/// What must be installed; `None` when nothing is missing.
#[must_use]
pub fn missing() -> Option<String> {
    let found = Command::new("chromium").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    (!found.is_ok_and(|status| status.success())).then(|| "install Chromium (Debian: apt install chromium)".to_owned())
}

impl Chromium {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started, or does not answer.
    pub fn start() -> Result<Self> {
        Self::start_for(AT_MOST)
    }

    /// Starts one that is ended after this time.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub fn start_for(at_most: Duration) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut process = Command::new("sh")
            .args(["-c", SHELL, &at_most.as_secs().to_string()])
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a shell cannot be run")?;
        let to = process.stdin.take().context("the browser has no input")?;
        let from = BufReader::new(process.stdout.take().context("the browser has no output")?);
        let mut browser =
            Self { process, to, from, requests: 0, session: None, complaints: Vec::new(), allowed: None, folder };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attached =
            browser.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }))?;
        let downloads = json!({ "behavior": "allow", "downloadPath": browser.downloads() });
        browser.call("Browser.setDownloadBehavior", downloads)?;
        browser.session = Some(attached["sessionId"].as_str().context("no session is opened")?.to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Where what is downloaded goes.
    #[must_use]
    pub fn downloads(&self) -> std::path::PathBuf {
        self.folder.path().join("downloads")
    }

    /// Calls a method of the protocol; gives its result.
    ///
    /// # Errors
    /// When the browser refuses it or has ended.
    pub fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.requests += 1;
        let mut request = json!({ "id": self.requests, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            request["sessionId"] = session.as_str().into();
        }
        self.to.write_all(format!("{request}\0").as_bytes()).context("the browser has ended")?;
        loop {
            let message = self.message()?;
            if message["id"] != self.requests {
                self.listen(&message);
                continue;
            }
            ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
            return Ok(message["result"].clone());
        }
    }

    fn message(&mut self) -> Result<Value> {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes)?;
        ensure!(bytes.pop() == Some(0), "the browser has ended");
        serde_json::from_slice(&bytes).context("the browser sends what is no JSON")
    }

    /// Keeps complaints, and requests for anything that is not on this machine.
    fn listen(&mut self, event: &Value) {
        let parameters = &event["params"];
        let bad = match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" | "Log.entryAdded" => true,
            "Runtime.consoleAPICalled" => ["error", "warning", "assert"].iter().any(|kind| parameters["type"] == *kind),
            "Network.requestWillBeSent" => {
                let url = parameters["request"]["url"].as_str().unwrap_or_default();
                let allowed = self.allowed.as_deref();
                !["file:", "data:", "blob:", "about:"].into_iter().chain(allowed).any(|start| url.starts_with(start))
            }
            _ => false,
        };
        if bad {
            self.complaints.push(event.to_string());
        }
    }

    /// Opens a page.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&mut self, page: &Path) -> Result<()> {
        let page = page.canonicalize()?;
        self.navigate(&format!("file://{}", page.display()))
    }

    /// Opens the page of a server on this machine, which may ask for what lies below its address.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn visit(&mut self, address: &str) -> Result<()> {
        self.allowed = Some(address.to_owned());
        self.navigate(address)
    }

    fn navigate(&mut self, address: &str) -> Result<()> {
        let opened = self.call("Page.navigate", json!({ "url": address }))?;
        ensure!(opened["errorText"].is_null(), "{address}: {}", opened["errorText"]);
        self.until("document.readyState === 'complete'")
    }

    /// The value of an expression, of a promise when that is kept.
    ///
    /// # Errors
    /// When it throws.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", parameters)?;
        let thrown = &result["exceptionDetails"];
        ensure!(thrown.is_null(), "the page throws: {thrown}");
        Ok(result["result"]["value"].clone())
    }

    /// Waits till an expression is true.
    ///
    /// # Errors
    /// When it throws, or is not in time.
    pub fn until(&mut self, expression: &str) -> Result<()> {
        self.within(PATIENCE, expression)
    }

    /// The same, for a time of the caller's choice.
    ///
    /// # Errors
    /// Those of [`until`](Self::until).
    pub fn within(&mut self, patience: Duration, expression: &str) -> Result<()> {
        let start = Instant::now();
        while self.evaluate(expression)? != true {
            if start.elapsed() > patience {
                bail!("in vain waited for: {expression}");
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Checks that the page takes no more than the width of a telephone and of a desk's screen, and is dark where that is wanted.
    ///
    /// # Errors
    /// When it is wider, light where it is to be dark, or the browser has ended.
    pub fn expect_fit(&mut self, [desk, height]: [u64; 2]) -> Result<()> {
        let lightest = "Math.max(...getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3))";
        for (dark, width) in [(false, 320), (true, 320), (true, desk)] {
            let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 400 });
            self.call("Emulation.setDeviceMetricsOverride", metrics)?;
            let scheme = if dark { "dark" } else { "light" };
            let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            self.call("Emulation.setEmulatedMedia", media)?;
            let wide = self.evaluate("document.documentElement.scrollWidth")?;
            ensure!(wide.as_u64().is_some_and(|wide| wide <= width), "of {width} pixels the page takes {wide}");
            if dark {
                let lightest = self.evaluate(lightest)?;
                ensure!(lightest.as_f64().is_some_and(|light| light < 64.0), "the dark page is light: {lightest}");
            }
        }
        Ok(())
    }

    /// Presses a key as a person does: `key` is its name, `text` what it types.
    ///
    /// # Errors
    /// When the browser has ended.
    pub fn press(&mut self, key: &str, text: &str) -> Result<()> {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "ArrowRight" => 39,
            "Delete" => 46,
            _ => key.bytes().next().unwrap_or(b' ').to_ascii_uppercase(),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let key = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", key)?;
        }
        Ok(())
    }

    /// Refuses what the pages opened so far have complained of, or asked the network for.
    ///
    /// # Errors
    /// All of it.
    pub fn expect_silence(&mut self) -> Result<()> {
        // What came before this answer is read.
        self.evaluate("0")?;
        ensure!(self.complaints.is_empty(), "the page complains, or asks the network: {}", self.complaints.join("\n"));
        Ok(())
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        self.session = None;
        let _ = self.call("Browser.close", json!({}));
        let _ = self.process.wait();
    }
}
