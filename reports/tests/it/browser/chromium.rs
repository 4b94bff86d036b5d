//! A headless Chromium, driven by its DevTools protocol over a pair of pipes.
//!
//! `--remote-debugging-pipe` has the browser read its orders from descriptor 3 and answer on 4, as
//! JSON documents that end in a zero byte: no socket, no port, and nothing to depend on.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// What the browser is called where it is not named by the variable `CHROMIUM`.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// One window, no network, no first-run dialogue.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
];

/// The longest that an answer may take: a busy machine starts a browser in seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where Chromium is, if it is anywhere.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let places = env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    places.into_iter().find(|place| place.is_file())
}

/// A running browser with one page; drop ends it.
pub(crate) struct Chromium {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: String,
    calls: u64,
    /// What the page told since [`Chromium::open`], unasked.
    pub(crate) events: Vec<Value>,
    folder: TempDir,
}

impl Chromium {
    /// Starts it with a fresh profile.
    pub(crate) fn start(program: &Path) -> Chromium {
        let folder = TempDir::new().unwrap();
        let said = File::create(folder.path().join("stderr")).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >&2"])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .unwrap();
        let (to, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let from = listen(answers);
        let (session, events) = (String::new(), Vec::new());
        let mut browser = Chromium { child, to, from, session, calls: 0, events, folder };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Gives an order and waits for its answer; what the page tells meanwhile is kept.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut order = json!({ "id": self.calls, "method": method, "params": parameters });
        if !self.session.is_empty() {
            order["sessionId"] = self.session.as_str().into();
        }
        let mut bytes = order.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap_or_else(|error| self.gave_up(method, &error.to_string()));
        loop {
            let message = self.next(method);
            if message["id"] == self.calls {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    /// What `script`, an expression or a promise of one, comes to on the page.
    pub(crate) fn evaluate(&mut self, script: &str) -> Value {
        let parameters =
            json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", parameters);
        assert!(result.get("exceptionDetails").is_none(), "{result}");
        result["result"]["value"].clone()
    }

    /// Opens a file in a window of this width, and waits until it is loaded.
    pub(crate) fn open(&mut self, file: &Path, width: u32, dark: bool) {
        self.resize(width);
        self.paint(dark);
        self.events.clear();
        self.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(loaded) {
            let event = self.next("Page.navigate");
            self.events.push(event);
        }
    }

    /// Makes the window as wide as that, a phone's where it is narrow.
    pub(crate) fn resize(&mut self, width: u32) {
        let size = json!({
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Has the page believe that its reader prefers dark, or light.
    pub(crate) fn paint(&mut self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Moves the mouse.
    pub(crate) fn point_at(&mut self, x: f64, y: f64) {
        let moved = json!({ "type": "mouseMoved", "x": x, "y": y });
        self.call("Input.dispatchMouseEvent", moved);
    }

    /// The whole page as a picture, in base64.
    pub(crate) fn picture(&mut self) -> String {
        let whole = json!({ "format": "png", "captureBeyondViewport": true });
        self.call("Page.captureScreenshot", whole)["data"].as_str().expect("a picture").to_owned()
    }

    fn next(&self, method: &str) -> Value {
        let received = self.from.recv_timeout(PATIENCE);
        received.unwrap_or_else(|error| self.gave_up(method, &error.to_string()))
    }

    fn gave_up(&self, method: &str, why: &str) -> ! {
        let said = fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
        panic!("{method}: no answer from Chromium ({why}); it said:\n{said}")
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the browser's answers on a thread of their own, so that none is waited for in vain.
fn listen(answers: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for message in BufReader::new(answers).split(0).map_while(Result::ok) {
            let message = serde_json::from_slice(&message).expect("a JSON document");
            if sender.send(message).is_err() {
                break;
            }
        }
    });
    receiver
}
