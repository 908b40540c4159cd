//! The page in a real browser: Chromium without a window, driven through its DevTools protocol over a pipe.

use super::scene::Scene;
use crate::temp_dir::TempDir;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const PATIENCE: Duration = Duration::from_secs(30);

struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    last: u64,
    session: Option<String>,
}

impl Browser {
    /// `None`, with a message, where there is no Chromium.
    fn start(dir: &TempDir) -> Option<Browser> {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
        let found = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        let Some(program) = found.into_iter().find(|path| path.is_file()) else {
            println!("skipped: no Chromium (Debian: apt install chromium)");
            return None;
        };
        // The browser speaks on descriptors 3 and 4; the shell makes them of its own input and output.
        let script = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut process = Command::new("sh")
            .args(["-c", script])
            .arg(program)
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .arg(format!("--user-data-dir={}", dir.path("profile").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut browser = Browser { process, to, from, last: 0, session: None };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        Some(browser)
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).unwrap();
            bytes.pop();
            let answer: Value = serde_json::from_slice(&bytes).expect("the browser lives");
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
        }
    }

    fn evaluate(&mut self, script: &str) -> Value {
        let result = self.call("Runtime.evaluate", json!({"expression": script, "returnByValue": true}));
        assert!(result["exceptionDetails"].is_null(), "{script}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Waits until a script gives something true.
    fn wait(&mut self, script: &str) -> Value {
        let start = Instant::now();
        loop {
            let value = self.evaluate(script);
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            if start.elapsed() > PATIENCE {
                let text = self.evaluate("document.body.innerText");
                panic!("{script} is never true on the page:\n{}", text.as_str().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A click at a point of an element, in parts of its extent.
    fn click(&mut self, element: &str, [x, y]: [f64; 2]) {
        let script = format!(
            "(() => {{ const e = document.querySelector('{element}'); e.scrollIntoView({{block: 'center'}}); \
             const r = e.getBoundingClientRect(); return [r.x + {x} * r.width, r.y + {y} * r.height]; }})()"
        );
        let at = self.evaluate(&script);
        for kind in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1}),
            );
        }
    }

    fn resize(&mut self, width: u32, height: u32, phone: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": if phone { 2 } else { 1 }, "mobile": phone});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Keeps a picture of the page where `OCELLUS_PICTURES` says, for people to look at.
    fn picture(&mut self, name: &str, scheme: &str) {
        let Some(folder) = std::env::var_os("OCELLUS_PICTURES") else { return };
        let scheme_value = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", scheme_value);
        std::thread::sleep(Duration::from_millis(1500));
        let shot =
            self.call("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true}));
        let bytes = base64(shot["data"].as_str().unwrap());
        std::fs::write(PathBuf::from(folder).join(format!("{name}-{scheme}.png")), bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<u32> =
        text.bytes().filter_map(|c| Some(DIGITS.iter().position(|&d| d == c)? as u32)).collect();
    let group = |four: &[u32]| {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}

/// Frames change, a zone is drawn with the mouse and arrives at the daemon, the page shows who is in it, and a threshold is
/// changed.
#[test]
#[ignore = "starts a browser"]
fn the_page_lives_in_a_browser() {
    let dir = TempDir::new("serve-browser");
    let Some(mut browser) = Browser::start(&dir) else { return };
    dir.picture("pictures/1.jpg", 320, 240);
    let scene = Scene::new(None, Some(dir.path("pictures")));
    browser.resize(1360, 850, false);
    browser.call("Page.navigate", json!({"url": format!("http://{}/", scene.address)}));
    let frame = browser.wait("Number(document.getElementById('picture')?.dataset.frame || 0)");
    browser.wait(&format!(
        "Number(document.getElementById('picture').dataset.frame) > {}",
        frame.as_f64().unwrap() + 20.0
    ));
    browser.wait("document.getElementById('fps').textContent > '1'");
    browser.wait("document.querySelectorAll('#events li').length === 1");
    // The square is grey on dark: some pixel of the picture is bright, wherever it is now.
    browser.wait(
        "(() => { const c = document.getElementById('picture'); \
         return c.getContext('2d').getImageData(0, 90, c.width, 1).data.some((x, i) => i % 4 < 3 && x > 150) })()",
    );
    browser.wait("!document.getElementById('drawing').hidden");
    browser.click("#zone", [0.5, 0.5]);
    for corner in [[0.1, 0.2], [0.5, 0.2], [0.5, 0.8], [0.1, 0.8]] {
        browser.click("#overlay", corner);
    }
    browser.evaluate("document.getElementById('name').value = 'left'");
    browser.picture("drawing", "dark");
    browser.click("#done", [0.5, 0.5]);
    let count = browser.wait("document.querySelector('#places [data-zone=left]')?.textContent.includes('came') && document.querySelector('#places [data-zone=left]').textContent");
    println!("the page says of the zone: {count}");
    let kept: Value = serde_json::from_str(&scene.settings.read()).unwrap();
    let zone = &kept["cameras"][0]["zones"][0];
    assert_eq!((&zone["name"], zone["points"].as_array().unwrap().len()), (&"left".into(), 4), "{kept}");
    for (at, expected) in [(&zone["points"][0], [0.1, 0.2]), (&zone["points"][2], [0.5, 0.8])] {
        assert!((0..2).all(|i| (at[i].as_f64().unwrap() - expected[i]).abs() < 0.01), "{zone}");
    }
    // The second row is the first class that was seen.
    browser.wait("document.querySelectorAll('#scores li').length === 2");
    browser.evaluate(
        "(() => { const s = document.querySelector('#scores li:last-child input'); s.value = 0.6; \
         s.dispatchEvent(new Event('change')); })()",
    );
    browser.wait("document.querySelector('#scores li:last-child:not(.quiet) b')?.textContent === '60 %'");
    assert!(scene.settings.read().contains("\"scores\":{\"person\":0.6}"), "{}", scene.settings.read());
    for scheme in ["light", "dark"] {
        browser.resize(1360, 850, false);
        browser.picture("desktop", scheme);
        browser.resize(390, 844, true);
        browser.picture("phone", scheme);
    }
    let wide = browser.evaluate("document.documentElement.scrollWidth");
    assert!(wide.as_f64().unwrap() <= 390.0, "a phone shows all of {wide} pixels");
}
