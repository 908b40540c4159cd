// What lies over the picture: boxes, zones and lines, and drawing them with mouse or finger.
// All points are fractions of the picture's width and height, so that they fit any size of it.

// The colours that the daemon itself draws with, by class.
const CLASSES = ["#d62839", "#2684de", "#2ead60", "#f7a428", "#895cd6", "#00b0b0", "#ec60a4", "#8bc334", "#4854c4", "#fcd340", "#ba7646", "#68ccf4"];
const PLACES = ["#2dd4bf", "#fbbf24", "#a78bfa", "#f472b6", "#60a5fa", "#a3e635"];
const GRAB = 18; // Pixels around a corner that take hold of it.

export const colourOfPlace = index => PLACES[index % PLACES.length];

export class Overlay {
  report = null;
  places = [];       // {kind: "zone" | "line", name, points}, as settings have them
  boxes = true;
  draft = null;      // what is being drawn
  onchange = () => {};

  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    canvas.addEventListener("pointerdown", event => this.press(event));
    canvas.addEventListener("pointermove", event => this.move(event));
    canvas.addEventListener("pointerup", () => { this.held = null; });
    canvas.addEventListener("dblclick", () => this.draft && this.onchange("done"));
    new ResizeObserver(() => this.paint()).observe(canvas);
  }

  // Begins to draw a zone or a line.
  begin(kind) {
    this.draft = { kind, points: [] };
    this.canvas.classList.add("draws");
    this.paint();
  }

  // Ends drawing; gives what was drawn.
  end() {
    const draft = this.draft;
    this.draft = this.held = null;
    this.canvas.classList.remove("draws");
    this.paint();
    return draft;
  }

  get complete() {
    return this.draft && this.draft.points.length >= (this.draft.kind === "zone" ? 3 : 2);
  }

  // Where the picture lies in the canvas: it is fitted into it, in its middle.
  get area() {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    const { width = 16, height = 9 } = this.report || {};
    const scale = Math.min(w / width, h / height);
    return { x: (w - width * scale) / 2, y: (h - height * scale) / 2, w: width * scale, h: height * scale };
  }

  press(event) {
    if (!this.draft) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    const { points, kind } = this.draft;
    const near = points.findIndex(point => this.distance(point, event) < GRAB);
    if (near === 0 && kind === "zone" && points.length >= 3 && !this.moved) return this.onchange("done");
    if (near >= 0) {
      this.held = points[near];
    } else if (kind === "zone" || points.length < 2) {
      points.push(this.held = this.point(event));
    }
    this.paint();
    this.onchange("draft");
  }

  move(event) {
    if (!this.draft || !this.held) return;
    [this.held[0], this.held[1]] = this.point(event);
    this.paint();
  }

  point(event) {
    const { x, y, w, h } = this.area, share = t => Math.min(1, Math.max(0, Math.round(t * 1e4) / 1e4));
    return [share((event.offsetX - x) / w), share((event.offsetY - y) / h)];
  }

  distance([px, py], event) {
    const { x, y, w, h } = this.area;
    return Math.hypot(x + px * w - event.offsetX, y + py * h - event.offsetY);
  }

  paint() {
    const { canvas, context: c } = this, ratio = devicePixelRatio || 1;
    const [w, h] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio].map(Math.round);
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, w, h);
    this.places.forEach((place, index) => this.paintPlace(place, colourOfPlace(index)));
    if (this.boxes && this.report) this.paintBoxes(this.report);
    if (this.draft) this.paintPlace({ ...this.draft, name: "" }, "#ffffff", true);
  }

  paintPlace({ kind, name, points }, colour, corners = false) {
    if (!points.length) return;
    const c = this.context, { x, y, w, h } = this.area;
    const at = points.map(([px, py]) => [x + px * w, y + py * h]);
    c.beginPath();
    at.forEach(([px, py], i) => (i ? c.lineTo(px, py) : c.moveTo(px, py)));
    if (kind === "zone") c.closePath();
    c.lineJoin = "round";
    if (kind === "zone") {
      c.fillStyle = colour + "24";
      c.fill();
    }
    c.strokeStyle = "#0007"; c.lineWidth = 4; c.stroke();
    c.strokeStyle = colour; c.lineWidth = 2; c.stroke();
    if (kind === "line" && at.length === 2) this.arrow(at, colour);
    if (corners) at.forEach(([px, py]) => {
      c.beginPath();
      c.arc(px, py, 6, 0, 7);
      c.fillStyle = colour; c.fill();
      c.strokeStyle = "#000a"; c.stroke();
    });
    if (name) {
      const top = at.reduce((a, b) => (b[1] < a[1] ? b : a));
      this.label(name, top[0], top[1] - 4, colour);
    }
  }

  // From the middle of a line to the side that counts as forward: its right, seen from the first point.
  arrow([[ax, ay], [bx, by]], colour) {
    const c = this.context, length = Math.hypot(bx - ax, by - ay) || 1;
    const [nx, ny] = [-(by - ay) / length, (bx - ax) / length], [mx, my] = [(ax + bx) / 2, (ay + by) / 2];
    c.beginPath();
    c.moveTo(mx + nx * 16, my + ny * 16);
    c.lineTo(mx + ny * 7, my - nx * 7);
    c.lineTo(mx - ny * 7, my + nx * 7);
    c.fillStyle = colour;
    c.fill();
  }

  paintBoxes({ detections, width, height }) {
    const c = this.context, area = this.area;
    for (const { box, class: name, class_id, score, track } of [...detections].reverse()) {
      const colour = CLASSES[class_id % CLASSES.length];
      const [x1, x2] = [box[0], box[2]].map(x => area.x + (x / width) * area.w);
      const [y1, y2] = [box[1], box[3]].map(y => area.y + (y / height) * area.h);
      c.strokeStyle = "#0006"; c.lineWidth = 4; c.strokeRect(x1, y1, x2 - x1, y2 - y1);
      c.strokeStyle = colour; c.lineWidth = 2; c.strokeRect(x1, y1, x2 - x1, y2 - y1);
      this.label(`${name}${track ? " #" + track : ""} ${Math.round(score * 100)}%`, x1 - 1, y1 - 1, colour);
    }
  }

  label(text, x, y, colour) {
    const c = this.context;
    c.font = "600 12px system-ui, sans-serif";
    const width = c.measureText(text).width + 10, area = this.area;
    x = Math.max(area.x, Math.min(x, area.x + area.w - width));
    y = Math.max(area.y + 18, y);
    c.fillStyle = colour;
    c.beginPath();
    c.roundRect(x, y - 18, width, 18, 4);
    c.fill();
    const [r, g, b] = [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16));
    c.fillStyle = 0.3 * r + 0.59 * g + 0.11 * b > 140 ? "#0b1413" : "#fff";
    c.fillText(text, x + 5, y - 5);
  }
}
