// The page: live picture, figures, zones, events. Everything comes from the daemon's own addresses.
import { Overlay, colourOfPlace } from "/draw.js";

const $ = id => document.getElementById(id);
const STAGES = ["decode", "preprocess", "inference", "postprocess"];
const WINDOW = 60; // Seconds that the histogram and the stages look back.
const EVENTS_SHOWN = 60;

const overlay = new Overlay($("overlay"));
const reports = new Map();  // results by frame, the last few
let camera = "";            // the one that is shown
let settings = null;        // what /api/config says
let history = [];           // status of the last minute

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const here = path => `${path}${path.includes("?") ? "&" : "?"}camera=${encodeURIComponent(camera)}`;
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
const say = text => { $("message").textContent = text; $("message").hidden = !text; };

// ---- live picture -------------------------------------------------------------------------------------------------

// The parts of a multipart answer with their lengths: [frame, JPEG].
async function* parts(body) {
  const reader = body.getReader();
  let bytes = new Uint8Array();
  const more = async () => {
    const { done, value } = await reader.read();
    if (done) throw new Error("ended");
    const joined = new Uint8Array(bytes.length + value.length);
    joined.set(bytes);
    joined.set(value, bytes.length);
    bytes = joined;
  };
  for (;;) {
    let head, end;
    while ((end = (head = new TextDecoder("latin1").decode(bytes.subarray(0, 1024))).indexOf("\r\n\r\n")) < 0) await more();
    const field = name => Number(new RegExp(`${name}: (\\d+)`, "i").exec(head.slice(0, end))[1]);
    const from = end + 4, to = from + field("content-length");
    while (bytes.length < to) await more();
    yield [field("x-frame"), bytes.slice(from, to)];
    bytes = bytes.slice(to);
  }
}

async function watch(signal) {
  const canvas = $("picture"), context = canvas.getContext("2d");
  const response = await fetch(here("/stream.mjpg"), { signal });
  if (response.status === 401) location.reload();
  if (!response.ok) throw new Error(await response.text());
  for await (const [frame, jpeg] of parts(response.body)) {
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
      $("stage").style.aspectRatio = `${bitmap.width} / ${bitmap.height}`;
    }
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    canvas.dataset.frame = frame;
    say("");
    overlay.report = reports.get(frame) || [...reports.values()].pop() || null;
    overlay.paint();
  }
}

let abort = null, results = null;
// Looks at the camera for as long as the page is seen.
async function live() {
  abort?.abort();
  results?.close();
  reports.clear();
  if (document.hidden) return;
  const { signal } = (abort = new AbortController());
  results = new EventSource(here("/api/detections"));
  results.onmessage = ({ data }) => {
    const report = JSON.parse(data);
    reports.set(report.frame, report);
    if (reports.size > 50) reports.delete(reports.keys().next().value);
    showCounts(report);
  };
  while (!signal.aborted) {
    try {
      await watch(signal);
    } catch (error) {
      if (signal.aborted) return;
      say("No picture; trying again");
    }
    await sleep(1500);
  }
}

// ---- figures ------------------------------------------------------------------------------------------------------

const digits = x => (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2));

// Upper end of the class in which the share of all counts is reached.
function quantile(counts, bounds, share) {
  const all = counts.reduce((a, b) => a + b, 0);
  let below = 0;
  const index = counts.findIndex(count => (below += count) >= share * all && all > 0);
  return index < 0 ? "–" : index < bounds.length ? `≤ ${bounds[index]}` : `> ${bounds.at(-1)}`;
}

function showStatus(status) {
  const now = status.cameras.find(c => c.name === camera);
  if (!now) return;
  // A daemon that has started anew counts anew.
  if (history.length && status.uptime_seconds < history.at(-1).at) history = [];
  history.push({ at: status.uptime_seconds, counts: now.counts });
  history = history.filter(h => status.uptime_seconds - h.at <= WINDOW);
  const { counts } = now, first = history.length > 1 ? history[0].counts : null;
  const since = (get) => get(counts) - (first ? get(first) : 0);
  $("state").textContent = now.state;
  $("state").className = `pill ${now.state}`;
  $("state").title = now.why || "";
  if (now.state !== "running" && !$("picture").dataset.frame) say(now.why || now.state);
  $("about").textContent = `${status.about.model} · ${status.about.precision} · ${status.about.threads} thread${status.about.threads > 1 ? "s" : ""} · ${status.about.version}`;
  $("fps").textContent = counts.process_fps.toFixed(1);
  $("dropped").textContent = counts.skipped_fps.toFixed(1);
  $("camera-fps").textContent = `of ${counts.camera_fps.toFixed(1)}/s` + (counts.damaged ? ` · ${counts.damaged} damaged` : "");
  const rates = history.map(h => h.counts.process_fps), top = Math.max(...rates, 1);
  $("spark").firstElementChild.setAttribute("points", rates.map((r, i) => `${60 - rates.length + i},${15 - (14 * r) / top}`).join(" "));
  const frames = since(c => c.frames), mean = (1e3 * since(c => c.latency_seconds)) / frames;
  $("p50").textContent = frames ? digits(mean) : "–";
  const bounds = status.latency_bounds_ms, classes = counts.latency.map((_, i) => since(c => c.latency[i]));
  $("p95").textContent = `95 % ${quantile(classes, bounds, 0.95)} ms`;
  showHistogram(classes, bounds);
  showStages(STAGES.map(stage => (frames ? (1e3 * since(c => c.stages[stage])) / frames : 0)));
  const { celsius, mhz } = status.host;
  $("celsius").textContent = celsius == null ? "–" : celsius.toFixed(0);
  $("throttled").textContent = status.throttled ? "throttled" : mhz ? `${(mhz / 1e3).toFixed(2)} GHz` : "\u00a0";
  $("throttled").className = status.throttled ? "warn" : "quiet";
}

function showHistogram(counts, bounds) {
  const used = counts.map((count, i) => (count ? i : -1)).filter(i => i >= 0);
  const from = Math.max(0, (used[0] ?? 2) - 2), to = Math.min(counts.length, Math.max((used.at(-1) ?? 0) + 3, from + 8));
  const top = Math.max(...counts, 1), all = counts.reduce((a, b) => a + b, 0) || 1;
  const step = to - from > 11 ? 2 : 1; // Labels have room at every second bar where there are many.
  $("histogram").replaceChildren(...counts.slice(from, to).map((count, i) => {
    const bound = bounds[from + i], bar = make("i"), share = (100 * count) / all;
    bar.style.height = `${(82 * count) / top}%`;
    const name = bound ? `${bound}` : `> ${bounds.at(-1)}`;
    return make("div", { className: count ? "" : "empty", title: `up to ${name} ms: ${share.toFixed(1)} %` }, bar, make("span", { textContent: i % step ? "" : name }));
  }));
}

function showStages(ms) {
  const total = ms.reduce((a, b) => a + b, 0);
  $("total").textContent = `${digits(total)} ms`;
  $("bar").replaceChildren(...STAGES.map((stage, i) => {
    const part = make("i", { className: stage, title: `${stage} ${digits(ms[i])} ms` });
    part.style.width = `${(100 * ms[i]) / (total || 1)}%`;
    return part;
  }));
  $("stages").replaceChildren(...STAGES.flatMap((stage, i) => [
    make("dt", {}, make("i", { className: stage }), stage),
    make("dd", { textContent: digits(ms[i]) }),
  ]));
}

async function poll() {
  for (;;) {
    try {
      const response = await fetch("/api/status");
      if (response.status === 401) location.reload();
      if (!document.hidden) {
        const status = await response.json();
        if (!camera) choose(status.cameras.map(c => c.name));
        showStatus(status);
      }
    } catch {
      $("state").textContent = "daemon not reached";
      $("state").className = "pill lost";
    }
    await sleep(1000);
  }
}

// ---- cameras ------------------------------------------------------------------------------------------------------

function choose(names) {
  const wanted = decodeURIComponent(location.hash.slice(1));
  camera = names.includes(wanted) ? wanted : names[0];
  $("cameras").replaceChildren(...names.map(name => make("option", { textContent: name, selected: name === camera })));
  $("cameras").hidden = names.length < 2;
  document.title = `${camera} · ocellus`;
  loadSettings();
  live();
}

$("cameras").onchange = () => {
  location.hash = encodeURIComponent($("cameras").value);
  location.reload();
};
document.addEventListener("visibilitychange", () => camera && live());
$("boxes").onchange = () => { overlay.boxes = $("boxes").checked; overlay.paint(); };
$("full").onclick = () => (document.fullscreenElement ? document.exitFullscreen() : $("stage").requestFullscreen());

// ---- zones and lines ----------------------------------------------------------------------------------------------

const ours = () => settings?.cameras.find(c => c.name === camera);
const listOf = kind => ours()[`${kind}s`];

async function loadSettings() {
  const response = await fetch("/api/config");
  if (response.ok) settings = await response.json();
  $("drawing").hidden = !ours();
  showPlaces();
  showScores();
}

function showPlaces() {
  overlay.places = ours() ? ["zone", "line"].flatMap(kind => listOf(kind).map(place => ({ kind, ...place }))) : [];
  overlay.paint();
  $("no-places").hidden = overlay.places.length > 0;
  $("places").replaceChildren(...overlay.places.map(({ kind, name }, index) => {
    const mark = make("i", { className: kind });
    mark.style.background = colourOfPlace(index);
    const count = make("b", { textContent: "–" });
    count.dataset[kind] = name;
    const remove = make("button", { textContent: "✕", title: `Remove ${name}`, onclick: () => removePlace(kind, name) });
    return make("li", {}, mark, make("span", { className: "name", textContent: name }), count, remove);
  }));
}

function showCounts({ detections, zones = [], lines = [] }) {
  const classes = {}, known = seen.size;
  for (const { class: name } of detections) {
    classes[name] = (classes[name] || 0) + 1;
    seen.add(name);
  }
  if (seen.size > known) showScores();
  $("seen").textContent = Object.entries(classes).map(([name, n]) => `${n} × ${name}`).join(", ");
  const put = (kind, name, text) => {
    const element = document.querySelector(`#places [data-${kind}="${CSS.escape(name)}"]`);
    if (element) element.textContent = text;
  };
  for (const { name, inside, entered, left } of zones) put("zone", name, `${inside} in · ${entered} came · ${left} left`);
  for (const { name, forward, backward } of lines) put("line", name, `${forward} → · ${backward} ←`);
}

function hint(text, bad = false) {
  $("hint").hidden = !text;
  $("hint").textContent = text;
  $("hint").className = bad ? "hint bad" : "hint";
}

// What is not in the change stays as it is.
async function save(change) {
  const response = await fetch("/api/config", { method: "PUT", body: JSON.stringify({ camera, ...change }), headers: { "Content-Type": "application/json" } });
  if (response.ok) {
    settings = await response.json();
    hint(settings.kept ? "" : "In effect until the daemon ends: it was started without a configuration file.");
  } else {
    hint(await response.text(), true);
  }
  showPlaces();
  showScores();
}

function begin(kind) {
  overlay.begin(kind);
  $("drawing").hidden = true;
  $("editing").hidden = false;
  const names = overlay.places.map(place => place.name);
  let number = 1;
  while (names.includes(`${kind} ${number}`)) number += 1;
  $("name").value = `${kind} ${number}`;
  $("done").disabled = true;
  hint(kind === "zone" ? "Click the corners of the zone; drag a corner to move it." : "Click the two ends of the line. The arrow shows which way counts as forward.");
}

function stop() {
  $("editing").hidden = true;
  $("drawing").hidden = false;
  hint("");
  return overlay.end();
}

overlay.onchange = what => {
  $("done").disabled = !overlay.complete;
  if (what === "done" && overlay.complete) $("done").click();
};
$("zone").onclick = () => begin("zone");
$("line").onclick = () => begin("line");
$("cancel").onclick = stop;
$("done").onclick = () => {
  const name = $("name").value.trim();
  if (!name) return $("name").focus();
  const { kind, points } = stop();
  save({ [`${kind}s`]: [...listOf(kind), { name, points }] });
};
addEventListener("keydown", event => event.key === "Escape" && overlay.draft && stop());

function removePlace(kind, name) {
  save({ [`${kind}s`]: listOf(kind).filter(place => place.name !== name) });
}

// ---- thresholds ---------------------------------------------------------------------------------------------------

const CLASSES_SHOWN = 12;
const seen = new Set(); // classes that have been seen since the page is open

// Classes with a threshold of their own, and those that were seen.
function showScores() {
  if (!ours()) return;
  const { score, scores } = ours();
  const classes = [...new Set([...Object.keys(scores), ...seen])].sort().slice(0, CLASSES_SHOWN);
  const row = (name, value, own, onchange, onreset) => {
    const figure = make("b", { textContent: percent(value) });
    const slider = make("input", { type: "range", min: 0.05, max: 0.95, step: 0.01, value, ariaLabel: `Least score: ${name}` });
    slider.oninput = () => { figure.textContent = percent(slider.value); };
    slider.onchange = () => onchange(Number(slider.value));
    const reset = make("button", { textContent: "✕", title: "As all others", onclick: onreset });
    reset.style.visibility = own && onreset ? "" : "hidden";
    return make("li", { className: own ? "" : "quiet" }, make("span", { className: "name", textContent: name }), slider, figure, reset);
  };
  const { hasOwn } = Object;
  $("scores").replaceChildren(
    row("all classes", score, true, value => save({ score: value })),
    ...classes.map(name => row(name, scores[name] ?? score, hasOwn(scores, name),
      value => save({ scores: { ...scores, [name]: value } }),
      () => save({ scores: Object.fromEntries(Object.entries(scores).filter(([other]) => other !== name)) }))),
  );
}

const percent = share => `${Math.round(share * 100)} %`;

// ---- events -------------------------------------------------------------------------------------------------------

const WORDS = { enter: "entered", leave: "left", forward: "crossed", backward: "crossed back over" };
const SIGNS = { enter: "→", leave: "←", forward: "↷", backward: "↶" };
let happened = 0;

// An event is told before its picture has been written.
function picture(path, tries = 3) {
  const image = make("img", { src: path, alt: "", loading: "lazy" });
  image.onerror = () => { if ((tries -= 1) >= 0) setTimeout(() => { image.src = `${path}?${tries}`; }, 1500); };
  return image;
}

function showEvent(event) {
  const text = `${event.class}${event.track ? " #" + event.track : ""} ${WORDS[event.event] || event.event} ${event.place}`;
  const date = new Date(event.time), today = date.toDateString() === new Date().toDateString();
  const time = today ? date.toLocaleTimeString() : date.toLocaleString([], { dateStyle: "short", timeStyle: "short" });
  const path = `/api/events/${encodeURIComponent(event.id)}/snapshot.jpg`;
  const shot = event.snapshot
    ? make("button", { className: "shot", title: "Show the picture", onclick: () => enlarge(path, `${text}, ${time}`) }, picture(path))
    : make("span", { className: "shot", textContent: SIGNS[event.event] || "•" });
  const more = event.seconds == null ? "" : ` · ${event.seconds.toFixed(1)} s`;
  $("events").prepend(make("li", {}, shot, make("div", {}, make("p", { textContent: text, title: text }), make("small", { textContent: `${time}${more}` }))));
  while ($("events").children.length > EVENTS_SHOWN) $("events").lastChild.remove();
  $("no-events").hidden = true;
  $("event-count").textContent = `${(happened += 1)}`;
}

function enlarge(path, text) {
  $("large").querySelector("img").src = path;
  $("large").querySelector("p").textContent = text;
  $("large").showModal();
}
$("large").onclick = () => $("large").close();

const events = new EventSource("/api/events");
// After a lost connection the daemon tells its list anew.
events.onopen = () => { happened = 0; $("events").replaceChildren(); };
events.onmessage = ({ data }) => showEvent(JSON.parse(data));
poll();
