"use strict";
// The viewer of superloop. Names and tokens come from files of strangers: they are written as text, never as HTML.

// --- small tools -----------------------------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const product = (sizes) => sizes.reduce((all, size) => all * size, 1);
const words = (name) => name.replaceAll("_", " ");

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function figure3(value) { // 3 digits
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(2) : value.toPrecision(3);
  return text.replace("-", "\u2212");
}

// --- colors: monotone in lightness, safe for the color-blind ------------------------------------------------------

const SCALES = {
  light: {
    one: "#fbfbf8 #eef7d0 #c7e9b4 #7fcdbb #41b6c4 #1d91c0 #225ea8 #253494 #081d58",
    two: "#053061 #2166ac #4393c3 #92c5de #d1e5f0 #fafaf8 #fee0b6 #fdb863 #e08214 #b35806 #7f3b08",
  },
  dark: {
    one: "#1b1e25 #2e2258 #443983 #31688e #21918c #35b779 #90d743 #fde725",
    two: "#a9d6ff #5fa8e6 #3377b8 #24527f #202f42 #1b1e25 #46301a #83511a #c27a1e #f0a33c #ffd79a",
  },
};
const SERIES = { light: ["#0072b2", "#d55e00", "#009e73", "#b3519b", "#8a6d00", "#55606e"],
  dark: ["#56b4e9", "#f0833a", "#2fc79a", "#e08fc6", "#e6c229", "#a7b0bd"] };

function table(anchors) { // 256 colors as [r, g, b]
  const colors = anchors.split(" ").map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return Array.from({ length: 256 }, (_, index) => {
    const place = (index / 255) * (colors.length - 1);
    const below = Math.min(Math.floor(place), colors.length - 2);
    return colors[below].map((one, c) => Math.round(one + (colors[below + 1][c] - one) * (place - below)));
  });
}

const theme = { name: "light", one: [], two: [], series: [], ink: "", faint: "", rule: "", accent: "", wrong: "", page: "" };

function readTheme() {
  const chosen = $("theme").value;
  const dark = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  theme.name = printing ? "light" : dark ? "dark" : "light";
  document.documentElement.dataset.theme = theme.name;
  theme.one = table(SCALES[theme.name].one);
  theme.two = table(SCALES[theme.name].two);
  theme.series = SERIES[theme.name];
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "faint", "rule", "accent", "wrong", "page"]) theme[name] = style.getPropertyValue(`--${name}`).trim();
}

function colorOf(value, range) { // [r, g, b], or null where there is no number
  if (!Number.isFinite(value)) return null;
  const most = Math.max(-range.low, range.high) || 1;
  let share = clamp(value / most, -1, 1);
  if (range.root) share = Math.sign(share) * Math.sqrt(Math.abs(share));
  return range.low < 0 ? theme.two[Math.round((0.5 + share / 2) * 255)] : theme.one[Math.round(Math.max(0, share) * 255)];
}
const css = (color) => color ? `rgb(${color[0]},${color[1]},${color[2]})` : theme.rule;

// --- traces -------------------------------------------------------------------------------------------------------

let HALVES = null;
function halves() { // the numbers of all 16-bit floats
  if (HALVES) return HALVES;
  HALVES = new Float32Array(65536);
  for (let code = 0; code < 65536; code++) {
    const exponent = (code >> 10) & 31, part = code & 1023;
    const size = exponent === 31 ? (part ? NaN : Infinity)
      : exponent ? (1 + part / 1024) * 2 ** (exponent - 15) : part * 2 ** -24;
    HALVES[code] = code & 32768 ? -size : size;
  }
  return HALVES;
}

async function decode(array) {
  const packed = Uint8Array.from(atob(array.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = product(array.shape), wide = array.form === "half";
  const codes = wide ? new Uint16Array(count) : new Uint8Array(count);
  for (let i = 0; i < count; i++) codes[i] = wide ? planes[i] | (planes[count + i] << 8) : planes[i];
  const [sequences, timesteps] = array.shape, size = product(array.shape.slice(2));
  if (array.delta)
    for (let s = 0; s < sequences; s++)
      for (let i = (s * timesteps + 1) * size; i < (s + 1) * timesteps * size; i++) codes[i] += codes[i - size];
  const numbers = new Float32Array(count);
  if (wide) {
    const known = halves();
    for (let i = 0; i < count; i++) numbers[i] = known[codes[i]] * array.scale;
  } else
    for (let i = 0; i < count; i++) numbers[i] = codes[i] === 255 ? NaN : (codes[i] - array.zero) * array.scale;
  return numbers;
}

const ROOTS = ["slots", "stack", "tape", "vector", "source"]; // contents, whose small numbers are to be seen, too
const MATRICES = ["slots", "stack", "tape", "links", "source"];

class Trace { // an array (sequence, timestep, lead, slots, width)
  constructor(facts, numbers) {
    Object.assign(this, facts);
    this.numbers = numbers;
    this.data = null;
    [this.sequences, this.timesteps] = facts.shape;
    const sizes = facts.shape.slice(2);
    this.sizes = sizes;
    const matrix = MATRICES.includes(facts.kind) && sizes.length > 1;
    this.labelled = facts.labels.length ? sizes.lastIndexOf(facts.labels.length) : -1; // the axis of the labels
    this.slotAxis = sizes.length - (matrix ? 2 : 1);
    this.width = matrix ? sizes[sizes.length - 1] : 1;
    this.slots = sizes[sizes.length - (matrix ? 2 : 1)];
    this.lead = product(sizes.slice(0, matrix ? -2 : -1));
    this.size = product(sizes);
    this.short = facts.part ? facts.name.slice(facts.part.length + 1) : facts.name;
    let low = 0, high = 0;
    for (const value of numbers) if (Number.isFinite(value)) { if (value < low) low = value; if (value > high) high = value; }
    this.range = { low, high, root: ROOTS.includes(facts.kind) };
  }
  at(sequence, t) { // the offset of a timestep's numbers
    return (Math.min(sequence, this.sequences - 1) * this.timesteps + clamp(t, 0, this.timesteps - 1)) * this.size;
  }
  axis(fromLast) { return this.axes[this.axes.length - fromLast] || "entry"; }
  entry(index) { // "head 0, slot 5"
    const named = [];
    let rest = index;
    for (let axis = this.sizes.length - 1; axis >= 0; axis--) {
      const at = rest % this.sizes[axis];
      rest = (rest - at) / this.sizes[axis];
      const label = axis === this.labelled ? this.labels[at] : undefined;
      if (this.sizes[axis] > 1 || label !== undefined)
        named.unshift(label !== undefined ? label : `${this.axes[axis] || "entry"} ${at}`);
    }
    return named.join(", ");
  }
  used() { // slots up to the last that is used, so that the bottom of a deep stack is not drawn
    if (this.usedSlots) return this.usedSlots;
    const largest = new Float32Array(this.slots);
    for (let i = 0; i < this.numbers.length; i++) {
      const slot = Math.floor(i / this.width) % this.slots, size = Math.abs(this.numbers[i]);
      if (!Number.isFinite(size)) largest[slot] = Infinity;
      else if (size > largest[slot]) largest[slot] = size;
    }
    const limit = Math.max(0, ...largest.filter(Number.isFinite)) * 1e-3;
    let last = this.slots;
    while (last > 1 && !(largest[last - 1] > limit)) last--;
    this.usedSlots = last > 1 || largest[0] > limit ? last : this.slots;
    this.empty = !largest.slice(this.usedSlots).some((size) => size > 0);
    return this.usedSlots;
  }
}

function less(after, before, one, other, lengths) { // a trace of the difference of two sequences
  const timesteps = Math.min(after.timesteps, before.timesteps, lengths), numbers = new Float32Array(timesteps * after.size);
  const from = after.at(one, 0), less = before.at(other, 0), exact = one === other && after.base && after.base === before ? after.less : null;
  for (let i = 0; i < numbers.length; i++) {
    if (exact) { numbers[i] = exact[from + i]; continue; }
    const value = after.numbers[from + i] - before.numbers[less + i];
    numbers[i] = Number.isNaN(after.numbers[from + i]) && Number.isNaN(before.numbers[less + i]) ? 0 : value;
  }
  const facts = Object.fromEntries(["name", "part", "of_cell", "source", "kind", "axes", "labels", "state"].map((key) => [key, after[key]]));
  const trace = new Trace({ ...facts, shape: [1, timesteps, ...after.sizes], difference: true, form: after.form, scale: after.scale }, numbers);
  const most = Math.max(-trace.range.low, trace.range.high);
  trace.usedSlots = Math.max(after.used(), before.used());
  trace.empty = after.empty && before.empty;
  trace.range = { low: -most, high: most, root: true };
  return trace;
}

// --- canvases -------------------------------------------------------------------------------------------------------

const FONT = "11px system-ui, -apple-system, 'Segoe UI', sans-serif";

function prepare(canvas, width, height) {
  const density = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = FONT;
  pen.textBaseline = "middle";
  return pen;
}

function heat(pen, x, y, width, height, rows, columns, get, range) { // cells, or pixels where there are many
  const cell = Math.min(width / columns, height / rows);
  if (cell >= 5 && rows * columns < 4000) {
    const gap = cell >= 9 ? 1 : 0.5;
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        pen.fillStyle = css(colorOf(get(r, c), range));
        pen.fillRect(x + (c * width) / columns, y + (r * height) / rows, width / columns - gap, height / rows - gap);
      }
    return;
  }
  const density = window.devicePixelRatio || 1;
  const down = Math.max(1, Math.min(rows, Math.round(height * density))), across = Math.max(1, Math.min(columns, Math.round(width * density)));
  const image = new ImageData(across, down), none = [1, 3, 5].map((from) => parseInt(theme.rule.slice(from, from + 2), 16)).concat(255);
  for (let i = 0; i < down; i++) {
    const r0 = Math.floor((i * rows) / down), r1 = Math.max(r0 + 1, Math.floor(((i + 1) * rows) / down));
    for (let j = 0; j < across; j++) {
      const c0 = Math.floor((j * columns) / across), c1 = Math.max(c0 + 1, Math.floor(((j + 1) * columns) / across));
      let most = get(r0, c0); // the largest of those that share a pixel
      for (let r = r0; r < r1; r++) for (let c = c0; c < c1; c++) { const v = get(r, c); if (!(Math.abs(v) <= Math.abs(most))) most = v; }
      const color = colorOf(most, range), at = 4 * (i * across + j);
      image.data.set(color ? [color[0], color[1], color[2], 255] : none, at);
    }
  }
  const scratch = document.createElement("canvas");
  scratch.width = across;
  scratch.height = down;
  scratch.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(scratch, x, y, width, height);
}

function text(pen, string, x, y, { align = "left", color = theme.ink, room = Infinity, bold = false } = {}) {
  let shown = string;
  pen.font = bold ? `bold ${FONT}` : FONT;
  if (pen.measureText(shown).width > room) {
    while (shown.length > 1 && pen.measureText(`${shown}…`).width > room) shown = shown.slice(0, -1);
    shown = room < 8 ? "" : `${shown}…`;
  }
  pen.textAlign = align;
  pen.fillStyle = color;
  pen.fillText(shown, x, y);
  pen.font = FONT;
}

// --- panels: each knows how high it is, draws itself, and says what is under a point -------------------------------

class Panel {
  constructor(pane, title, traces) {
    Object.assign(this, { pane, title, traces });
    this.canvas = make("canvas", { role: "img" });
    this.frame = make("div", { class: "frame" }, this.canvas);
    this.caption = make("p", { class: "caption" });
    this.element = make("figure", {}, make("figcaption", {}, make("h4", {}, title)), this.frame, this.caption);
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerdown", (event) => { this.point(event); this.press(event); });
    this.canvas.addEventListener("pointerleave", hideTip);
  }
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
  point(event) {
    this.found = null;
    const [x, y] = this.place(event), found = this.hit(x, y);
    if (found) showTip(found, event); else hideTip();
  }
  press() { pick(this.found, this.pane); }
  get width() { return this.frame.clientWidth; }
  refresh(force) {
    if (!this.width) return; // folded
    this.draw(prepare(this.canvas, this.width, this.height(this.width)), this.width, this.canvas.clientHeight, force);
    if (!playing) this.canvas.setAttribute("aria-label", this.say());
  }
  number(trace, index, t = now) {
    this.found = { trace, index };
    const value = trace.numbers[trace.at(this.pane.sequence, t) + index];
    const rounded = trace.form === "byte" ? ` ± ${figure3(trace.scale / 2)}` : "";
    const entry = trace.entry(index);
    return `${trace.short}${entry ? `, ${entry}` : ""}\n${trace.difference ? "difference " : ""}${figure3(value)}${rounded}`;
  }
  say() { return `${this.title}, ${this.traces.map((trace) => largest(trace, this.pane.sequence)).join("; ")}`; }
}

function largest(trace, sequence) {
  const from = trace.at(sequence, now);
  let best = 0;
  for (let i = 0; i < trace.size; i++) if (Math.abs(trace.numbers[from + i]) > Math.abs(trace.numbers[from + best])) best = i;
  const entry = trace.entry(best);
  return `${words(trace.short)}: largest ${figure3(trace.numbers[from + best])}${entry ? ` at ${entry}` : ""}`;
}

function legend(trace) { // the scale of the colors
  const canvas = make("canvas", { class: "scale", "aria-hidden": "true" });
  const element = make("span", { class: "legend" }, figure3(trace.range.low < 0 ? -Math.max(-trace.range.low, trace.range.high) : 0), canvas,
    figure3(trace.range.low < 0 ? Math.max(-trace.range.low, trace.range.high) : trace.range.high));
  canvas.width = 90;
  canvas.height = 1;
  const pen = canvas.getContext("2d");
  for (let x = 0; x < 90; x++) {
    const most = Math.max(-trace.range.low, trace.range.high), share = x / 89;
    pen.fillStyle = css(colorOf(trace.range.low < 0 ? most * (2 * share - 1) : most * share, trace.range));
    pen.fillRect(x, 0, 1, 1);
  }
  return element;
}

class MemoryPanel extends Panel { // slots from top to bottom, their numbers from left to right, weights beside them
  constructor(pane, title, memory, lead, beside, links, position) {
    super(pane, title, [memory, ...beside].filter(Boolean));
    Object.assign(this, { memory, lead, beside, links, position });
    const first = memory || beside[0];
    this.slots = pane.used(first);
    this.names = pane.slotNames(first.kind === "source" ? beside[0] : first);
    this.heads = beside.some((trace) => trace.lead > 1 && (!memory || memory.lead === 1));
    this.bars = [];
    beside.forEach((trace, index) => {
      for (let head = 0; head < trace.lead; head++)
        if (!memory || memory.lead === 1 || trace.lead !== memory.lead || head === lead) this.bars.push({ trace, head, color: index });
    });
    if (first.slots > this.slots) this.note = `${words(first.axis(memory ? 2 : 1))}s from ${this.slots} to ${first.slots - 1} stay ${first.empty ? "empty" : "below 0.1% of the largest number"}`;
  }
  row() { return clamp(400 / this.slots, 3, this.memory && this.memory.kind === "stack" ? 20 : 18); }
  top() { return this.heads ? 18 : this.memory && this.memory.kind === "stack" ? 8 : 3; }
  height() { return Math.ceil(this.row() * this.slots) + this.top() + 6; }
  layout(width) {
    const longest = this.names.length ? Math.max(...this.names.slice(0, this.slots).map((name) => name.length)) : String(this.slots).length;
    const stack = this.memory && this.memory.kind === "stack";
    const left = stack && !this.names.length ? 40 : clamp(longest * 6.5 + 10, 26, 110), arcs = this.links ? clamp(width * 0.16, 36, 110) : 0;
    const share = this.memory ? 0.4 : 1, widest = !this.memory ? 160 : this.memory.kind === "source" ? 110 : 56;
    const bar = this.bars.length ? clamp((width * share - left) / this.bars.length, 10, widest) : 0;
    const room = width - left - bar * this.bars.length - arcs - 14;
    return { left, bar, x: left + bar * this.bars.length + (this.bars.length ? 6 : 0), arcs,
      cells: this.memory ? clamp(this.memory.width * 30, 20, Math.max(20, room)) : 0, top: this.top(), row: this.row() };
  }
  draw(pen, width) {
    const { left, bar, x, cells, arcs, top, row } = this.layout(width), high = row * this.slots;
    const t = now, stack = this.memory && this.memory.kind === "stack";
    const every = Math.max(1, Math.ceil(12 / row));
    for (let slot = 0; slot < this.slots; slot++) {
      const target = this.names.length && slot === this.pane.target, y = top + (slot + 0.5) * row;
      const name = stack && !this.names.length && slot === 0 ? "top ▸" : this.names[slot] ?? String(slot);
      if (slot % every === 0 || target) text(pen, name, left - 6, y, { align: "right", color: target ? theme.accent : theme.faint, room: left - 6, bold: Boolean(target) });
    }
    this.bars.forEach(({ trace, head, color }, index) => {
      const from = trace.at(this.pane.sequence, t) + head * trace.slots, at = left + index * bar, room = bar - 4;
      const signed = trace.range.low < 0, most = Math.max(-trace.range.low, trace.range.high) || 1, zero = signed ? at + room / 2 : at;
      pen.fillStyle = theme.rule;
      pen.globalAlpha = 0.45;
      pen.fillRect(at, top, room, high);
      pen.globalAlpha = 1;
      if (trace.lead > 1 && this.bars.filter((other) => other.trace === trace).length > 1)
        text(pen, String(head), at + room / 2, 8, { align: "center", color: theme.series[color % 6], room });
      pen.fillStyle = theme.series[color % 6];
      for (let slot = 0; slot < this.slots; slot++) {
        const long = (trace.numbers[from + slot] / most) * (signed ? room / 2 : room), thick = Math.max(1, row - (row > 6 ? 2 : 0.5));
        pen.fillRect(Math.min(zero, zero + long), top + slot * row + (row - thick) / 2, Math.abs(long), thick);
      }
    });
    if (this.memory) {
      const from = this.memory.at(this.pane.sequence, t) + this.lead * this.memory.slots * this.memory.width;
      heat(pen, x, top, cells, high, this.slots, this.memory.width, (r, c) => this.memory.numbers[from + r * this.memory.width + c], this.memory.range);
      pen.strokeStyle = stack ? theme.ink : theme.rule;
      pen.lineWidth = stack ? 2 : 1;
      pen.beginPath();
      if (stack) { // open at the top
        pen.moveTo(x - 3, top - 6); pen.lineTo(x - 3, top + high + 2); pen.lineTo(x + cells + 2, top + high + 2); pen.lineTo(x + cells + 2, top - 6);
      } else pen.rect(x - 1, top - 1, cells + 1, high + 1);
      pen.stroke();
      pen.lineWidth = 1;
    }
    if (this.links) this.drawArcs(pen, x + cells + 6, arcs, top, row);
    if (this.position) {
      const t2 = this.position.state ? t + 1 : t, at = this.position.numbers[this.position.at(this.pane.sequence, t2)];
      if (at > -1 && at < this.slots) text(pen, "▸", left - 1, top + (at + 0.5) * row, { align: "center", color: theme.accent, bold: true });
    }
    const order = this.links ? orderOf(this.links, this.pane.sequence) : "";
    this.caption.replaceChildren(...this.bars.filter(({ head, trace }, i) => this.bars.findIndex((other) => other.trace === trace) === i).map(({ trace, color }) => {
      const mark = make("span", { class: "mark" }, "■");
      mark.style.color = theme.series[color % 6];
      return make("span", { class: "key" }, mark, ` ${words(trace.short)}`);
    }), ...(this.memory ? [legend(this.memory)] : []), ...(order ? [make("span", { class: "key" }, order)] : []), ...(this.note ? [make("span", { class: "key" }, this.note)] : []));
  }
  drawArcs(pen, x, room, top, row) { // from a slot to the one that was written after it
    const size = this.links.slots, from = this.links.at(this.pane.sequence, now), found = [];
    let most = 0;
    for (let i = 0; i < size * size; i++) most = Math.max(most, Math.abs(this.links.numbers[from + i]));
    for (let to = 0; to < this.slots; to++)
      for (let before = 0; before < this.slots; before++) {
        const value = Math.abs(this.links.numbers[from + to * size + before]);
        if (value > 0.05 && value > most * 0.15 && to !== before) found.push([value, before, to]);
      }
    found.sort((one, other) => other[0] - one[0]);
    for (const [value, before, to] of found.slice(0, 200)) {
      const y0 = top + (before + 0.5) * row, y1 = top + (to + 0.5) * row, bend = x + clamp(Math.abs(y1 - y0) * 0.6 + 8, 12, room * 1.6);
      pen.globalAlpha = clamp(value / most, 0.15, 1);
      pen.strokeStyle = pen.fillStyle = theme.accent;
      pen.lineWidth = 1.4;
      pen.beginPath();
      pen.moveTo(x, y0);
      pen.quadraticCurveTo(bend, (y0 + y1) / 2, x, y1);
      pen.stroke();
      pen.beginPath();
      pen.moveTo(x, y1); pen.lineTo(x + 6, y1 + (y0 < y1 ? -5 : 1)); pen.lineTo(x + 6, y1 + (y0 < y1 ? -1 : 5));
      pen.fill();
    }
    pen.globalAlpha = 1;
    pen.lineWidth = 1;
  }
  hit(px, py) {
    const { left, bar, x, cells, top, row } = this.layout(this.width), slot = Math.floor((py - top) / row);
    if (slot < 0 || slot >= this.slots) return "";
    const named = this.names[slot] !== undefined && this.names !== this.traces[0].labels ? ` (${this.names[slot]})` : "";
    if (px >= left && px < left + bar * this.bars.length) {
      const { trace, head } = this.bars[Math.floor((px - left) / bar)];
      return this.number(trace, head * trace.slots + slot) + named;
    }
    if (!this.memory || px < x || px >= x + cells) return "";
    const column = Math.floor(((px - x) / cells) * this.memory.width);
    return this.number(this.memory, (this.lead * this.memory.slots + slot) * this.memory.width + column) + named;
  }
}

function orderOf(links, sequence) { // "order of writing: 3 → 7 → 1"
  const size = links.slots, from = links.at(sequence, now), next = new Map(), follows = new Set();
  if (links.difference) return "";
  for (let before = 0; before < size; before++) {
    let best = -1;
    for (let to = 0; to < size; to++) if (to !== before && links.numbers[from + to * size + before] > (best < 0 ? 0.3 : links.numbers[from + best * size + before])) best = to;
    if (best >= 0) { next.set(before, best); follows.add(best); }
  }
  const chains = [], seen = new Set();
  for (const start of [...next.keys()].filter((slot) => !follows.has(slot)).concat([...next.keys()])) {
    if (seen.has(start)) continue;
    const chain = [start];
    seen.add(start);
    let slot = start;
    while (next.has(slot) && !seen.has(next.get(slot))) { slot = next.get(slot); chain.push(slot); seen.add(slot); }
    if (chain.length > 1) chains.push(chain);
  }
  chains.sort((one, other) => other.length - one.length);
  return chains.length ? `order of writing: ${chains.slice(0, 3).map((chain) => (chain.length > 24 ? `… ${chain.slice(-24).join(" → ")}` : chain.join(" → "))).join("; ")}` : "";
}

class TapePanel extends Panel { // from left to right, the head in the middle
  constructor(pane, title, memory, lead) {
    super(pane, title, [memory]);
    Object.assign(this, { memory, lead });
  }
  height() { return clamp(this.memory.width * 16, 24, 200) + 40; }
  layout(width) {
    const shown = Math.min(this.memory.slots, Math.max(3, Math.floor(width / 12)));
    const cell = Math.min(34, width / shown), before = Math.floor((shown - 1) / 2);
    return { shown, cell, before, x: (width - cell * shown) / 2, top: 18 };
  }
  slot(column, before) { return (((column - before) % this.memory.slots) + this.memory.slots) % this.memory.slots; }
  draw(pen, width, height) {
    const { shown, cell, before, x, top } = this.layout(width), high = height - 40;
    const from = this.memory.at(this.pane.sequence, now) + this.lead * this.memory.slots * this.memory.width;
    heat(pen, x, top, cell * shown, high, this.memory.width, shown, (r, c) => this.memory.numbers[from + this.slot(c, before) * this.memory.width + r], this.memory.range);
    pen.strokeStyle = theme.rule;
    pen.beginPath();
    pen.moveTo(x, top - 2.5); pen.lineTo(x + cell * shown, top - 2.5);
    pen.moveTo(x, top + high + 1.5); pen.lineTo(x + cell * shown, top + high + 1.5);
    pen.stroke();
    pen.strokeStyle = theme.accent;
    pen.lineWidth = 2;
    pen.strokeRect(x + before * cell - 1.5, top - 2, cell + 2, high + 3);
    pen.lineWidth = 1;
    text(pen, "▼ head", x + (before + 0.5) * cell - 5, 7, { color: theme.accent });
    const every = Math.max(1, Math.ceil(24 / cell));
    for (let c = 0; c < shown; c++) if ((c - before) % every === 0)
      text(pen, c === before ? "0" : c > before ? `+${c - before}` : `\u2212${before - c}`, x + (c + 0.5) * cell, top + high + 12, { align: "center", color: theme.faint });
    this.caption.replaceChildren(legend(this.memory), ...(shown < this.memory.slots ? [make("span", { class: "key" }, `${shown} of ${this.memory.slots} slots`)] : []));
  }
  hit(px, py) {
    const { shown, cell, before, x, top } = this.layout(this.width), c = Math.floor((px - x) / cell), high = this.canvas.clientHeight - 40;
    const r = Math.floor(((py - top) / high) * this.memory.width);
    if (c < 0 || c >= shown || r < 0 || r >= this.memory.width) return "";
    return this.number(this.memory, (this.lead * this.memory.slots + this.slot(c, before)) * this.memory.width + r);
  }
}

class BarsPanel extends Panel { // actions and gates, a bar for each
  constructor(pane, title, traces) {
    super(pane, title, traces);
    this.rows = traces.flatMap((trace) => Array.from({ length: trace.size }, (_, index) => ({ trace, index })));
  }
  height() { return this.rows.length * 18 + 4; }
  layout(width) { return { left: clamp(width * 0.42, 90, 190), right: 64 }; }
  draw(pen, width) {
    const { left, right } = this.layout(width), room = Math.max(10, width - left - right);
    this.rows.forEach(({ trace, index }, row) => {
      const value = trace.numbers[trace.at(this.pane.sequence, now) + index], y = row * 18 + 9;
      const low = Math.min(0, trace.range.low), high = Math.max(trace.range.high, trace.kind === "actions" && !trace.difference ? 1 : 0), wide = high - low || 1;
      const entry = trace.entry(index), zero = left + (-low / wide) * room, end = left + ((clamp(value, low, high) - low) / wide) * room;
      text(pen, `${words(trace.short)}${entry ? ` · ${entry}` : ""}`, left - 8, y, { align: "right", room: left - 10 });
      pen.fillStyle = theme.rule;
      pen.globalAlpha = 0.45;
      pen.fillRect(left, row * 18 + 3, room, 12);
      pen.globalAlpha = 1;
      pen.fillStyle = theme.series[this.traces.indexOf(trace) % 6];
      if (Number.isFinite(value)) pen.fillRect(Math.min(zero, end), row * 18 + 3, Math.max(1, Math.abs(end - zero)), 12);
      text(pen, figure3(value), left + room + 6, y, { color: theme.ink });
    });
  }
  hit(x, y) {
    const found = this.rows[Math.floor(y / 18)];
    return found ? this.number(found.trace, found.index) : "";
  }
}

class StripPanel extends Panel { // a vector, or matrices beside each other
  constructor(pane, title, trace) {
    super(pane, title, [trace]);
    this.trace = trace;
    this.matrix = trace.kind === "links";
    this.rows = this.matrix ? trace.slots : trace.lead;
    this.columns = this.matrix ? trace.width : trace.slots;
    this.copies = this.matrix ? trace.lead : 1;
    this.top = this.matrix || this.rows > 1 ? 16 : 3;
  }
  grid(width) {
    const across = this.matrix ? clamp(Math.floor(width / 150), 1, this.copies) : 1;
    const cell = this.matrix ? clamp(Math.min((width - 20 - 10 * across) / across, 260) / Math.max(this.columns, this.rows), 0.5, 22) : Math.min(26, (width - 20) / this.columns);
    const high = this.matrix ? Math.max(1, cell * this.rows) : this.rows * clamp(cell, 14, 20);
    return { across, cell, high, wide: cell * this.columns };
  }
  height(width) {
    const { across, high } = this.grid(width);
    return Math.ceil(this.copies / across) * (high + this.top + 6) + 2;
  }
  corner(copy, { across, high, wide }) { return [16 + (copy % across) * (wide + 16), this.top + Math.floor(copy / across) * (high + this.top + 6)]; }
  draw(pen, width) {
    const grid = this.grid(width), from = this.trace.at(this.pane.sequence, now);
    for (let copy = 0; copy < this.copies; copy++) {
      const [x, y] = this.corner(copy, grid), start = from + copy * this.rows * this.columns;
      heat(pen, x, y, grid.wide, grid.high, this.rows, this.columns, (r, c) => this.trace.numbers[start + r * this.columns + c], this.trace.range);
      pen.strokeStyle = theme.rule;
      pen.strokeRect(x - 0.5, y - 0.5, grid.wide + 1, grid.high + 1);
      if (this.matrix || this.rows > 1) {
        text(pen, `${this.copies > 1 ? `${copy}: ` : ""}${this.trace.axis(1)} →`, x, 8 + y - 16, { color: theme.faint, room: grid.wide + 14 });
        pen.save();
        pen.translate(x - 9, y);
        pen.rotate(-Math.PI / 2);
        text(pen, `← ${this.trace.axis(2)}`, 0, 0, { align: "right", color: theme.faint, room: grid.high });
        pen.restore();
      }
    }
    this.caption.replaceChildren(legend(this.trace));
  }
  hit(px, py) {
    const grid = this.grid(this.width);
    for (let copy = 0; copy < this.copies; copy++) {
      const [x, y] = this.corner(copy, grid), c = Math.floor(((px - x) / grid.wide) * this.columns), r = Math.floor(((py - y) / grid.high) * this.rows);
      if (c >= 0 && c < this.columns && r >= 0 && r < this.rows) return this.number(this.trace, (copy * this.rows + r) * this.columns + c);
    }
    return "";
  }
}

const GUTTER = 44, EDGE = 8, STRIP = { left: 68, right: 20 }; // of everything that has timesteps from left to right

class TimePanel extends Panel { // a trace over all timesteps, with a cursor
  constructor(pane, trace, position) {
    super(pane, words(trace.short), [trace]);
    Object.assign(this, { trace, position });
    const slots = pane.used(trace);
    this.entries = [];
    for (let lead = 0; lead < trace.lead; lead++)
      for (let i = 0; i < slots * trace.width; i++) this.entries.push(lead * trace.slots * trace.width + i);
    this.shared = slots;
    this.line = this.entries.length === 1 || trace.kind === "position" || (trace.kind === "scalar" && this.entries.length <= 4);
    this.cursor = make("div", { class: "cursor" });
    this.frame.append(this.cursor);
    this.canvas.classList.add("timed");
    this.names = trace.width === 1 || trace.labelled === trace.slotAxis ? pane.slotNames(trace) : [];
    this.drawn = "";
    this.canvas.addEventListener("pointermove", (event) => { if (event.buttons) this.press(event); });
  }
  height() { return this.line ? 64 : clamp(this.entries.length * (this.entries.length < 30 ? 12 : 5), 26, 170) + 16; }
  span() { const room = this.width - GUTTER - EDGE; return { room, step: room / this.pane.timesteps }; }
  press(event) { seek(Math.floor((this.place(event)[0] - GUTTER) / this.span().step)); }
  refresh(force) {
    if (!this.width) return;
    const { step } = this.span(), key = `${this.pane.sequence} ${this.width} ${theme.name}`;
    this.cursor.style.left = `${GUTTER + now * step}px`;
    this.cursor.style.width = `${Math.max(2, step)}px`;
    this.cursor.style.height = `${this.height() - 16}px`;
    if (force || key !== this.drawn) {
      this.drawn = key;
      this.draw(prepare(this.canvas, this.width, this.height()), this.width, this.height());
    }
    if (!playing) this.canvas.setAttribute("aria-label", `${this.title} over all timesteps; ${largest(this.trace, this.pane.sequence)} at timestep ${now}`);
  }
  draw(pen, width, height) {
    const { room, step } = this.span(), high = height - 16, { trace } = this, length = Math.min(this.pane.length, trace.timesteps);
    const from = trace.at(this.pane.sequence, 0), count = this.entries.length;
    if (this.line) this.drawLines(pen, step, high, length, from);
    else {
      heat(pen, GUTTER, 0, step * length, high, count, length, (r, c) => trace.numbers[from + c * trace.size + this.entries[r]], trace.range);
      const row = high / count, every = Math.max(1, Math.ceil((row < 11 ? 15 : 11) / row));
      if (trace.lead > 1) {
        for (let lead = 1; lead < trace.lead; lead++) { pen.fillStyle = theme.faint; pen.fillRect(GUTTER - 6, (lead * high) / trace.lead - 0.5, step * length + 6, 1); }
        if (high / trace.lead >= 10) for (let lead = 0; lead < trace.lead; lead++) text(pen, `${trace.axes.length > 1 ? trace.axes[0].slice(0, 5) : ""} ${lead}`, GUTTER - 4, ((lead + 0.5) * high) / trace.lead, { align: "right", color: theme.faint, room: GUTTER - 4 });
      } else for (let r = 0; r < count; r += trace.width) {
        const slot = r / trace.width, target = this.names.length && slot === this.pane.target, label = this.names[slot];
        const steps = Math.max(1, Math.ceil(every / trace.width)), close = !target && this.pane.target >= 0 && Math.abs(slot - this.pane.target) < steps;
        if ((slot % steps === 0 && !close) || target) text(pen, label ?? String(slot), GUTTER - 4, clamp((r + trace.width / 2) * row, steps > 1 ? 5 : 0, high - 3), { align: "right", color: target ? theme.accent : theme.faint, room: GUTTER - 4, bold: Boolean(target) });
      }
      if (this.position) this.drawPath(pen, step, row, length);
    }
    pen.fillStyle = theme.rule;
    if (length < this.pane.timesteps) pen.fillRect(GUTTER + length * step, 0, 1, high);
    pen.fillRect(GUTTER, high + 0.5, room, 1);
    const ticks = Math.max(1, Math.ceil(this.pane.timesteps / Math.max(2, room / 60) / 5) * 5);
    for (let t = 0; t < this.pane.timesteps; t += this.pane.timesteps < 12 ? Math.ceil(14 / step) : ticks) text(pen, String(t), GUTTER + (t + 0.5) * step, high + 9, { align: "center", color: theme.faint });
    const lines = this.line && count > 1 ? this.entries.slice(0, 12) : [];
    this.caption.replaceChildren(...(this.line ? [] : [legend(trace)]), ...lines.map((entry, index) => {
      const mark = make("span", { class: "mark" }, "■");
      mark.style.color = theme.series[index % 6];
      return make("span", { class: "key" }, mark, ` ${trace.entry(entry)}`);
    }));
  }
  drawLines(pen, step, high, length, from) {
    const { trace } = this, { low, high: top } = trace.range, wide = top - low || 1, y = (value) => high - 3 - ((value - low) / wide) * (high - 8);
    text(pen, figure3(top), GUTTER - 4, 7, { align: "right", color: theme.faint, room: GUTTER - 4 });
    text(pen, figure3(low), GUTTER - 4, high - 6, { align: "right", color: theme.faint, room: GUTTER - 4 });
    if (low < 0) { pen.fillStyle = theme.rule; pen.fillRect(GUTTER, y(0), step * length, 1); }
    this.entries.slice(0, 12).forEach((entry, index) => {
      pen.strokeStyle = theme.series[index % 6];
      pen.lineWidth = 1.6;
      pen.beginPath();
      for (let t = 0; t < length; t++) {
        const value = trace.numbers[from + t * trace.size + entry];
        if (Number.isFinite(value)) pen.lineTo(GUTTER + (t + 0.5) * step, y(value));
      }
      pen.stroke();
    });
    pen.lineWidth = 1;
  }
  drawPath(pen, step, row, length) {
    const { position } = this;
    pen.strokeStyle = theme.accent;
    pen.lineWidth = 1.6;
    pen.beginPath();
    for (let t = 0; t < length; t++) {
      const at = position.numbers[position.at(this.pane.sequence, position.state ? t + 1 : t)];
      pen.lineTo(GUTTER + (t + 0.5) * step, (clamp(at, -0.5, this.entries.length - 0.5) + 0.5) * row);
    }
    pen.stroke();
    pen.lineWidth = 1;
  }
  hit(x, y) {
    const { step } = this.span(), t = Math.floor((x - GUTTER) / step), high = this.height() - 16;
    if (t < 0 || t >= Math.min(this.pane.length, this.trace.timesteps) || y > high) return "";
    if (this.line) return `timestep ${t}\n${this.entries.slice(0, 4).map((entry) => this.number(this.trace, entry, t)).join("\n")}`;
    const row = clamp(Math.floor((y / high) * this.entries.length), 0, this.entries.length - 1);
    const name = nameOfSlot(this, row);
    return `timestep ${t}\n${this.number(this.trace, this.entries[row], t)}${name}`;
  }
}

function nameOfSlot(panel, row) { // the label of a slot that the trace's own labels do not say
  const { trace } = panel, label = panel.names[Math.floor(row / trace.width)];
  return label !== undefined && trace.lead === 1 && trace.labels[0] !== panel.names[0] ? ` (${label})` : "";
}

class Strip extends Panel { // the tokens along the slider
  constructor(pane) {
    super(pane, pane.name, []);
    this.element = this.frame;
    this.canvas.setAttribute("aria-hidden", "true"); // the slider says the tokens
    this.canvas.classList.add("timed");
    this.canvas.addEventListener("pointermove", (event) => { if (event.buttons) this.press(event); });
  }
  rows() { return ["inputs", "answers", "targets"].filter((kind) => this.pane.run.tokens[kind] || this.pane.run.vectors[kind]); }
  heightOf(kind) { const vectors = this.pane.run.vectors[kind]; return vectors ? clamp(vectors.size * 3, 14, 33) + 3 : 16; }
  height() { return Math.max(1, this.rows().reduce((sum, kind) => sum + this.heightOf(kind), 0)); }
  step() { return (this.width - STRIP.left - STRIP.right) / Math.max(1, timesteps - 1); } // as far apart as the places of the slider
  press(event) { seek(Math.round((this.place(event)[0] - STRIP.left) / this.step())); }
  draw(pen) {
    const step = this.step(), { pane } = this, wrong = pane.wrong(), cell = clamp(step, 3, 26);
    pen.fillStyle = theme.accent;
    pen.globalAlpha = 0.18;
    pen.fillRect(STRIP.left + now * step - Math.max(cell, 6) / 2, 0, Math.max(cell, 6), this.height());
    pen.globalAlpha = 1;
    let top = 0;
    for (const kind of this.rows()) {
      const high = this.heightOf(kind), vectors = pane.run.vectors[kind], y = top + high / 2;
      text(pen, kind.slice(0, -1), STRIP.left - 20, y, { align: "right", color: theme.faint });
      let free = -Infinity;
      for (let t = 0; t < pane.length; t++) {
        const x = STRIP.left + t * step, missed = kind === "answers" && wrong[t];
        if (vectors) {
          const from = vectors.at(pane.sequence, t), one = (high - 3) / vectors.size;
          for (let i = 0; i < vectors.size; i++) {
              if (!Number.isFinite(vectors.numbers[from + i])) continue; // there is none
              pen.fillStyle = css(colorOf(vectors.numbers[from + i], vectors.range));
              pen.fillRect(x - cell / 2, top + i * one, Math.max(1, cell - (cell > 4 ? 1 : 0)), Math.max(0.5, one - (one > 3 ? 0.5 : 0)));
            }
          if (missed) { pen.strokeStyle = theme.wrong; pen.lineWidth = 2; pen.strokeRect(x - cell / 2, top, Math.max(2, cell - 1), high - 3); pen.lineWidth = 1; }
          continue;
        }
        const token = pane.token(kind, t);
        if (token === "" ) continue;
        const wide = Math.min(pen.measureText(token).width, 60);
        if (missed) { pen.fillStyle = theme.wrong; pen.fillRect(x - Math.max(3, Math.min(cell, wide + 4)) / 2, top + high - 3, Math.max(3, Math.min(cell, wide + 4)), 2); }
        if (t !== now && (x - wide / 2 < free || Math.abs(t - now) * step < (wide + pen.measureText(pane.token(kind, now)).width) / 2 + 2)) continue;
        text(pen, token, x, y, { align: "center", color: missed ? theme.wrong : theme.ink, room: t === now ? 200 : 60, bold: Boolean(missed) || t === now });
        free = x + wide / 2 + 3;
      }
      top += high;
    }
  }
  hit(x) {
    const t = Math.round((x - STRIP.left) / this.step());
    return t >= 0 && t < this.pane.length ? `timestep ${t}\n${this.pane.said(t)}` : "";
  }
}

// --- panes: a sequence of a run, or a difference ------------------------------------------------------------------

class Pane {
  constructor(letter, run, sequence, traces, difference = "") {
    Object.assign(this, { letter, run, sequence, traces, difference });
    this.facts = run.sequences[sequence];
    if (difference) this.sequence = 0;
    this.timesteps = timesteps;
    this.length = Math.min(this.facts.length, run.timesteps, difference ? traces[0]?.timesteps ?? 0 : Infinity);
    this.target = this.facts.target ?? -1;
    this.usedOf = new Map();
    this.name = `${letter}${run.name ? `: ${run.name}` : ""}`;
    for (const trace of traces) {
      if (trace.kind === "tape" || trace.kind === "source") continue;
      const key = `${trace.part} ${trace.slots}`, there = ["slots", "stack", "weights"].includes(trace.kind);
      const whole = !there || trace.part === this.facts.slots_of;
      this.usedOf.set(key, Math.max(this.usedOf.get(key) || 1, whole ? trace.slots : trace.used()));
    }
  }
  used(trace) { return this.usedOf.get(`${trace.part} ${trace.slots}`) || trace.slots; }
  slotNames(trace) { return trace.part === this.facts.slots_of && this.facts.slots.length === trace.slots ? this.facts.slots : trace.labelled === trace.slotAxis ? trace.labels : []; }
  wrong() { return (this.run.tokens.wrong || [])[this.facts.index] || []; }
  token(kind, t) { const lines = this.run.tokens[kind]; return (lines && lines[this.facts.index][t]) || ""; }
  said(t) { // "input a, answer b, wrong: should be c"
    const parts = [], answer = this.token("answers", t), target = this.token("targets", t);
    if (this.token("inputs", t) !== "") parts.push(`input ${this.token("inputs", t)}`);
    if (answer !== "") parts.push(`answer ${answer}`);
    if (this.wrong()[t]) parts.push(target ? `wrong: should be ${target}` : "wrong");
    else if (target !== "" && answer === "") parts.push(`target ${target}`);
    return parts.join(", ");
  }
  build() {
    this.panels = [];
    const { facts } = this, title = facts.title || `sequence ${facts.row}`;
    const mark = facts.correct === null ? [] : [make("span", { class: facts.correct ? "right" : "missed" }, facts.correct ? " ✓ correct" : " ✗ wrong")];
    const select = (label, names, value, change) => {
      const box = make("select", { "aria-label": `${label} of ${this.letter}`, onchange: (event) => change(Number(event.target.value)) },
        ...names.map((name, index) => make("option", { value: index }, name)));
      box.value = value;
      return make("label", {}, `${label} `, box);
    };
    const pickers = choice.mode === "difference" ? [] : [
      ...(runs.length > 1 ? [select("Run", runs.map((run, index) => run.name || `run ${index}`), runs.indexOf(this.run), (index) => choose(this.letter, { run: index }))] : []),
      ...(this.run.sequences.length > 1 ? [select("Sequence", this.run.sequences.map((one) => `${one.row}${one.title ? ` · ${one.title}` : ""}${one.correct === false ? " ✗" : ""}`), facts.index, (index) => choose(this.letter, { sequence: index }))] : [])];
    const head = make("div", { class: "pane-head" }, make("h2", {}, this.difference || `${choice.mode === "one" ? "" : `${this.letter}: `}${this.run.name && runs.length > 1 ? `${this.run.name}, ` : ""}${title}`, ...(this.difference ? [] : mark)), ...pickers);
    this.element = make("section", { class: "pane", "aria-label": this.difference || this.letter }, head);
    const parts = [...new Set(this.traces.filter((trace) => !["source", "tokens"].includes(trace.kind)).map((trace) => trace.part))];
    const rank = (part) => (part === facts.slots_of && part ? 0 : this.traces.some((trace) => trace.part === part && trace.of_cell) ? 2 : part === "" ? 3 : 1);
    parts.sort((one, other) => rank(one) - rank(other) || (one < other ? -1 : 1));
    const first = rank(parts[0]);
    for (const part of parts) this.element.append(this.part(part, rank(part) <= Math.max(1, first)));
    return this.element;
  }
  part(part, open) {
    const all = this.traces.filter((trace) => trace.part === part && !["source", "tokens"].includes(trace.kind));
    const minor = (trace) => ["control", "read"].includes(trace.short) || (part === "" && trace.short === "outputs" && open === false);
    const shown = all.filter((trace) => !minor(trace)), rest = all.filter(minor);
    const details = make("details", open ? { open: "", class: "part" } : { class: "part" }, make("summary", {}, make("h3", {}, part || "the model")));
    details.addEventListener("toggle", () => refresh(true));
    details.append(this.rows(part, shown.length ? shown : rest));
    if (shown.length && rest.length) {
      const more = make("details", { class: "more" }, make("summary", {}, `${rest.map((trace) => words(trace.short)).join(", ")}`));
      more.addEventListener("toggle", () => refresh(true));
      more.append(this.rows(part, rest));
      details.append(more);
    }
    details.append(this.numbersOf(all));
    return details;
  }
  rows(part, traces) {
    const state = [], kinds = (kind) => traces.filter((trace) => trace.kind === kind);
    const position = kinds("position")[0], weights = kinds("weights"), taken = new Set(), bars = [];
    const single = (trace) => trace.lead * trace.slots === 1;
    for (const memory of traces.filter((trace) => ["slots", "stack"].includes(trace.kind))) {
      if (memory.slots === 1 && memory.lead === 1 && memory.width === 1) continue;
      const beside = weights.filter((trace) => trace.slots === memory.slots && !taken.has(trace));
      beside.forEach((trace) => taken.add(trace));
      const links = kinds("links").find((trace) => trace.lead === 1 && trace.slots === memory.slots && trace.width === memory.slots);
      for (let lead = 0; lead < Math.min(memory.lead, 8); lead++)
        state.push(new MemoryPanel(this, `${words(memory.short)}${memory.lead > 1 ? `, ${memory.axes.slice(0, -2).join(", ")}: ${lead}` : ""}`, memory, lead, beside, links, memory.kind === "slots" ? position : null));
    }
    for (const memory of kinds("tape")) for (let lead = 0; lead < Math.min(memory.lead, 8); lead++)
      state.push(new TapePanel(this, `${words(memory.short)}${memory.lead > 1 ? `, ${memory.axes[0]}: ${lead}` : ""}`, memory, lead));
    for (const trace of weights.filter((one) => !taken.has(one))) { // attention: weights on the rows of a source
      const source = this.traces.find((one) => one.kind === "source" && one.name === trace.source && one.slots === trace.slots);
      const group = weights.filter((one) => !taken.has(one) && one.slots === trace.slots && one.axis(1) === trace.axis(1) && one.source === trace.source);
      if (taken.has(trace)) continue;
      group.forEach((one) => taken.add(one));
      state.push(new MemoryPanel(this, source ? `${words(group.map((one) => one.short).join(", "))} on ${words(source.short)}` : words(group.map((one) => one.short).join(", ")), source, 0, group, null, position));
    }
    for (const trace of traces) {
      if (["actions", "scalar", "position"].includes(trace.kind)) { if (trace.size <= (trace.lead > 1 ? 8 : 24)) bars.push(trace); else state.push(new StripPanel(this, words(trace.short), trace)); }
      else if (trace.kind === "vector" || trace.kind === "links") state.push(new StripPanel(this, words(trace.short), trace));
    }
    if (bars.length) state.push(new BarsPanel(this, bars.some((trace) => trace.kind === "actions") ? "actions and gates" : bars.map((trace) => words(trace.short)).join(", "), bars));
    const overTime = traces.filter((trace) => trace.kind !== "links" && trace.timesteps > 1).map((trace) => new TimePanel(this, trace, trace.kind === "weights" && trace.lead === 1 && position && position.size === 1 ? position : null));
    overTime.sort((one, other) => (one.trace.width > 1) - (other.trace.width > 1));
    this.panels.push(...state, ...overTime);
    return make("div", { class: "columns" }, make("div", { class: "column" }, make("p", { class: "over" }, "At this timestep"), ...state.map((panel) => panel.element)),
      make("div", { class: "column" }, make("p", { class: "over" }, "Over time"), ...overTime.map((panel) => panel.element)));
  }
  numbersOf(traces) { // for screen readers, and to copy
    const body = make("div", { class: "numbers" }), details = make("details", { class: "more" }, make("summary", {}, "Numbers at this timestep"), body);
    const fill = () => {
      if (!details.open) return;
      body.replaceChildren(...traces.map((trace) => {
        const from = trace.at(this.sequence, now), columns = MATRICES.includes(trace.kind) ? trace.width : trace.slots, count = Math.min(trace.size / columns, 200), wide = Math.min(columns, 64);
        const rows = Array.from({ length: count }, (_, r) => make("tr", {}, make("th", { scope: "row" }, trace.entry(r * columns).replace(/,? ?[^,]* 0$/, "") || String(r)),
          ...Array.from({ length: wide }, (_, c) => make("td", {}, figure3(trace.numbers[from + r * columns + c])))));
        const cut = count * wide < trace.size ? ` (the first ${count} × ${wide})` : "";
        return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": trace.name }, make("table", {}, make("caption", {}, `${trace.name}${cut}`), ...rows));
      }));
    };
    details.addEventListener("toggle", fill);
    this.fills = [...(this.fills || []), fill];
    return details;
  }
  refresh(force) {
    for (const panel of this.panels) panel.refresh(force);
    if (force) for (const column of this.element.querySelectorAll(".column:first-child")) { // stays in sight where it fits
      const top = $("transport").offsetHeight;
      column.classList.toggle("stays", column.offsetHeight + top + 20 < window.innerHeight);
      column.style.top = `${top + 4}px`;
    }
    if (!playing) for (const fill of this.fills || []) fill();
  }
}

function changeList() {
  const list = Object.entries(changes).map(([name, t]) => make("li", {}, make("button", { type: "button", class: "link", onclick: () => seek(t) }, `${name} from timestep ${t}`)));
  const text = list.length ? "The traces that differ, in any sequence, and since when:" : "All traces are equal, to the last bit.";
  return make("details", { class: "more", open: "" }, make("summary", {}, "What changes"), make("p", {}, text), make("ul", { class: "changes" }, ...list));
}

// --- what if: the panel of a live page, which a server answers -------------------------------------------------------

function follow(panel) { // the timestep of the slider, and the sequence that is shown
  const at = $("what-if-at");
  at.addEventListener("change", () => seek(Number(at.value)));
  for (const name of ["set", "entry", "value", "off", "swap", "other"]) {
    const field = $(`what-if-${name}`);
    for (const event of ["input", "click"]) if (field) field.addEventListener(event, () => { field.closest(".kind").querySelector("[type=radio]").checked = true; });
  }
  panel.querySelector("form").addEventListener("submit", () => { panel.querySelector("[type=submit]").textContent = "Running …"; });
}

function pick(found, pane) { // a number of a memory, to be changed
  const tensor = $("what-if-set");
  if (!found || !tensor || ![...tensor.options].some((option) => option.value === found.trace.name)) return;
  tensor.value = found.trace.name;
  const places = [];
  let rest = found.index;
  for (let axis = found.trace.axes.length - 1; axis >= 0; axis--) { places.unshift(rest % found.trace.sizes[axis]); rest = Math.floor(rest / found.trace.sizes[axis]); }
  $("what-if-entry").value = places.join(", ");
  $("what-if-row").value = String(pane.facts.row);
  tensor.closest(".kind").querySelector("[type=radio]").checked = true;
  setTimeout(() => $("what-if-value").focus({ preventScroll: true })); // after the click, which takes the focus
}

// --- the page -----------------------------------------------------------------------------------------------------

let runs = [], changes = null, panes = [], strips = [], timesteps = 1, now = 0, playing = 0, printing = false, waiting = false;
const choice = { mode: "one", A: { run: 0, sequence: 0 }, B: { run: 0, sequence: 0 } };

function choose(letter, change) {
  Object.assign(choice[letter], change);
  choice[letter].sequence = Math.min(choice[letter].sequence, runs[choice[letter].run].sequences.length - 1);
  layOut();
  const again = document.querySelector(`select[aria-label="${"run" in change ? "Run" : "Sequence"} of ${letter}"]`);
  if (again) again.focus();
}

function tracesOf({ run }) { return runs[run].traces.filter((trace) => trace.kind !== "tokens"); }

function layOut() {
  const { A, B, mode } = choice, used = mode === "one" ? [A] : [A, B];
  timesteps = Math.max(...used.map(({ run, sequence }) => Math.min(runs[run].timesteps, runs[run].sequences[sequence].length)));
  now = clamp(now, 0, timesteps - 1);
  $("slider").max = timesteps - 1;
  panes = [new Pane("A", runs[A.run], A.sequence, tracesOf(A))];
  if (mode === "two") panes.push(new Pane("B", runs[B.run], B.sequence, tracesOf(B)));
  if (mode === "difference") {
    const both = tracesOf(B).map((trace) => [trace, tracesOf(A).find((one) => one.name === trace.name && String(one.sizes) === String(trace.sizes) && one.kind !== "source")]).filter((pair) => pair[1]);
    const shared = Math.min(...[A, B].map(({ run, sequence }) => runs[run].sequences[sequence].length));
    panes.push(new Pane("B", runs[B.run], B.sequence, both.map(([after, before]) => less(after, before, B.sequence, A.sequence, shared)), "Difference: B − A"));
  }
  document.body.dataset.mode = mode;
  $("main").replaceChildren(...(mode === "difference" ? [difference(), ...panes.map((pane) => pane.build())] : panes.map((pane) => pane.build())));
  const real = mode === "difference" ? [panes[0], new Pane("B", runs[B.run], B.sequence, [])] : panes;
  strips = real.map((pane) => new Strip(pane)).filter((strip) => strip.rows().length);
  $("strips").replaceChildren(...strips.flatMap((strip) => [...(strips.length > 1 ? [make("p", { class: "strip-name" }, strip.pane.name)] : []), strip.element]));
  refresh(true);
}

function difference() { // what is compared
  const box = (letter) => {
    const options = runs.flatMap((run, r) => run.sequences.map((one, s) => {
      const option = make("option", { value: `${r} ${s}` }, `${run.name ? `${run.name}, ` : ""}sequence ${one.row}${one.title ? ` · ${one.title}` : ""}`);
      if (choice[letter].run === r && choice[letter].sequence === s) option.selected = true;
      return option;
    }));
    return make("label", {}, `${letter} `, make("select", { "aria-label": `${letter} of the difference`, onchange: (event) => {
      [choice[letter].run, choice[letter].sequence] = event.target.value.split(" ").map(Number);
      layOut();
    } }, ...options));
  };
  return make("div", { class: "compared" }, box("A"), box("B"), ...(changes ? [changeList()] : []));
}

function seek(t) {
  const to = clamp(t, 0, timesteps - 1);
  if (to === now) return;
  now = to;
  refresh(false);
}

function refresh(force) {
  if (waiting) { waiting = force || waiting === "force" ? "force" : true; return; }
  waiting = force ? "force" : true;
  requestAnimationFrame(() => { const all = waiting === "force"; waiting = false; draw(all); });
}

function draw(force) {
  const slider = $("slider");
  slider.value = now;
  if ($("what-if-at")) $("what-if-at").value = now;
  const said = strips.map((strip) => strip.pane.said(now)).filter(Boolean);
  const line = `timestep ${now} of ${timesteps - 1}${said.length ? `: ${said.join("; ")}` : ""}`;
  slider.setAttribute("aria-valuetext", line);
  $("now").textContent = line;
  $("now").classList.toggle("missed", strips.some((strip) => strip.pane.wrong()[now]));
  for (const strip of strips) strip.refresh(force);
  for (const pane of panes) pane.refresh(force);
}

function play(start) {
  clearInterval(playing);
  playing = 0;
  if (start) {
    if (now >= timesteps - 1) seek(0);
    playing = setInterval(() => { if (now >= timesteps - 1) play(false); else seek(now + 1); }, 1000 / Number($("speed").value));
  } else refresh(false);
  $("play").textContent = start ? "❚❚" : "▶";
  $("play").setAttribute("aria-label", start ? "Stop" : "Play");
}

function showTip(string, event) {
  const tip = $("tip");
  tip.textContent = string;
  tip.hidden = false;
  tip.style.left = `${clamp(event.clientX + 14, 4, window.innerWidth - tip.offsetWidth - 6)}px`;
  tip.style.top = `${event.clientY + 18 + tip.offsetHeight > window.innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
}
function hideTip() { $("tip").hidden = true; }

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event, typed = target.closest ? target.closest("select, textarea, input:not([type=range])") : null;
  const pressed = target.closest ? target.closest("button, summary, .scroll") : null;
  const step = event.shiftKey ? 10 : 1;
  const moves = { ArrowRight: now + step, ArrowUp: now + step, ArrowLeft: now - step, ArrowDown: now - step, Home: 0, End: timesteps - 1, PageUp: now + 10, PageDown: now - 10 };
  const scrolls = ["ArrowUp", "ArrowDown", "PageUp", "PageDown"].includes(event.key) && target !== $("slider");
  if (typed || scrolls || (pressed && pressed.matches(".scroll"))) return;
  if (event.key === " " && !pressed) play(!playing);
  else if (event.key in moves) seek(moves[event.key]);
  else return;
  event.preventDefault();
}

async function start() {
  const facts = JSON.parse($("data").textContent);
  for (const [index, run] of facts.runs.entries()) {
    const traces = [];
    for (const array of run.arrays) {
      const numbers = await decode(array);
      const { data, ...rest } = array;
      if (array.kind === "less") { // the difference from the other run, with its own 3 digits
        const trace = traces.find((one) => one.name === array.name);
        if (trace) Object.assign(trace, { less: numbers, base: runs[0].traces.find((one) => one.name === array.name) });
        continue;
      }
      const trace = new Trace(rest, numbers);
      traces.push(trace);
    }
    const vectors = Object.fromEntries(traces.filter((trace) => trace.kind === "tokens").map((trace) => [trace.name, trace]));
    run.sequences.forEach((sequence, at) => { sequence.index = at; });
    runs.push({ ...run, traces, vectors, index });
  }
  changes = facts.changes;
  now = facts.at;
  choice.A.sequence = choice.B.sequence = Math.max(0, runs[0].sequences.findIndex((one) => one.row === facts.row));
  if (runs.length > 1) { // one scale for both
    for (const trace of runs[0].traces) {
      const other = runs[1].traces.find((one) => one.name === trace.name && one.kind === trace.kind);
      if (other) trace.range = other.range = { low: Math.min(trace.range.low, other.range.low), high: Math.max(trace.range.high, other.range.high), root: trace.range.root };
    }
    choice.mode = "two";
    choice.B.run = 1;
  } else if (runs[0].sequences.length > 1) choice.B.sequence = choice.A.sequence ? 0 : 1;
  const several = runs.length > 1 || runs[0].sequences.length > 1;
  const modes = [["one", "one"], ["two", "two side by side"], ["difference", "the difference of two"]];
  $("mode").append(...modes.map(([value, name]) => make("option", { value }, name)));
  $("mode").value = choice.mode;
  $("mode-label").hidden = !several;
  const coarse = [...new Set(runs.flatMap((run) => run.traces.filter((trace) => trace.form === "byte").map((trace) => `${trace.name} to steps of ${figure3(trace.scale)}`)))];
  const rounding = `In this page ${facts.rounding}${coarse.length ? `; coarser, to save room: ${coarse.join(", ")}` : ""}. Smaller differences of two sequences are not seen.${runs.length > 1 && changes ? ` Differences of the two runs on the same sequence have 3 digits of their own${runs[1].traces.every((trace) => trace.less || !(trace.name in changes)) ? "" : ", where there is room"}.` : ""}`;
  $("rounding").textContent = rounding;
  $("footer").textContent = `${rounding}${facts.left_out.length ? ` Left out, as they are too large: ${facts.left_out.join(", ")}.` : ""}`;
  readTheme();
  layOut();
  if ($("what-if")) follow($("what-if"));

  $("slider").addEventListener("input", (event) => seek(Number(event.target.value)));
  $("first").addEventListener("click", () => seek(0));
  $("back").addEventListener("click", () => seek(now - 1));
  $("forward").addEventListener("click", () => seek(now + 1));
  $("last").addEventListener("click", () => seek(timesteps - 1));
  $("play").addEventListener("click", () => play(!playing));
  $("speed").addEventListener("change", () => { if (playing) play(true); });
  $("mode").addEventListener("change", (event) => { choice.mode = event.target.value; layOut(); });
  $("theme").addEventListener("change", () => { readTheme(); refresh(true); });
  $("print").addEventListener("click", () => window.print());
  $("help-button").addEventListener("click", () => { $("help").hidden = !$("help").hidden; $("help-button").setAttribute("aria-expanded", String(!$("help").hidden)); });
  document.addEventListener("keydown", onKey);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readTheme(); refresh(true); });
  new ResizeObserver(() => refresh(true)).observe($("main"));
  window.addEventListener("scroll", hideTip, { passive: true });
  for (const [name, value] of [["beforeprint", true], ["afterprint", false]])
    window.addEventListener(name, () => { printing = value; play(false); readTheme(); waiting = false; draw(true); });
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  const old = typeof DecompressionStream === "undefined";
  const why = old ? "This browser is too old: it has no DecompressionStream. Chrome 80, Firefox 113 and Safari 16.4 have it." : `The traces cannot be shown: ${error.message}`;
  $("main").replaceChildren(make("p", { role: "alert" }, why));
  if (!old) console.error(error);
});
