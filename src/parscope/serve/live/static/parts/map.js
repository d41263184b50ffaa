// One map: title, values that fill in, cursor, scale bar, colours.

import { Bar, Wheel } from "./bar.js";
import { ANSWERED, FILLED, limits, NO_VALUE, sorted, tone } from "./colour.js";
import { Surface } from "./surface.js";
import { digits, make, roundLength, say, withUnit } from "./text.js";

const WORDS = ["not measured yet", ANSWERED, "skipped", "lost", "damaged", FILLED, "no value"];

export class MapCard {
  constructor(page, hello, shown) {
    Object.assign(this, { page, shown, step: hello.step_nm });
    [this.rows, this.columns] = hello.scan;
    this.cyclic = shown.look === "cyclic";
    this.surface = new Surface(this.rows, this.columns, this.cyclic);
    this.filled = new Uint8Array(this.rows * this.columns);
    this.table = page.tables[shown.look];
    // Directions are of what is left of two values when their middles are taken away.
    this.pair = this.cyclic ? [0, 1].map(() => new Float32Array(this.rows * this.columns)) : null;
    this.middles = [0, 0];
    this.limits = this.cyclic ? [-180, 180] : null;
    this.byHand = false;
    this.stale = this.dirty = true;
    this.build();
  }

  build() {
    const { title, unit } = this.shown;
    this.value = make("span", { class: "value" });
    this.canvas = make("canvas", { tabindex: "0", role: "img", on: {
      pointermove: (event) => this.page.point(this.cell(event)),
      pointerleave: () => this.page.point(null),
      pointerdown: (event) => this.page.pin(this.cell(event)),
      keydown: (event) => this.key(event),
    } });
    this.canvas.setAttribute("aria-label", `Map of ${title}; arrow keys move the cursor, Enter shows the pattern`);
    const [dy, dx] = this.step ?? [1, 1];
    shape(this.canvas, this.columns * dx, this.rows * dy);
    this.context = this.canvas.getContext("2d");
    this.bar = this.cyclic ? new Wheel({ table: this.table, title, axes: this.shown.axes }) : new Bar({
      table: this.table, unit, title, centred: Boolean(this.shown.centre),
      change: (low, high) => this.choose([low, high]),
      reset: () => { [this.byHand, this.stale, this.dirty] = [false, true, true]; this.relimit(); },
    });
    const wide = make("button", { type: "button", class: "enlarge", "aria-pressed": "false", title: "Enlarge" }, "⤢");
    wide.setAttribute("aria-label", `Enlarge ${title}`);
    wide.addEventListener("click", () => {
      wide.setAttribute("aria-pressed", String(this.element.classList.toggle("wide")));
      this.dirty = true;
    });
    const heading = make("h3", {}, unit && !this.cyclic ? `${title} (${unit})` : title);
    this.element = make("section", { class: "map", "data-map": this.shown.name },
      make("header", {}, heading, wide), make("div", { class: "stage" }, this.canvas), this.value, this.bar.element);
    this.element.setAttribute("aria-label", title);
    new ResizeObserver(() => { this.dirty = true; }).observe(this.canvas);
    this.bar.empty();
    this.tell(null);
  }

  /** Limits by hand; they stay when the maps are made anew. */
  choose(limits) {
    [this.limits, this.byHand, this.dirty] = [limits, true, true];
    this.label();
  }

  /** Take lines: a block of values for every column from `first` on, then the fates. */
  take(rows, first, blocks, fates) {
    const { columns, surface, shown } = this;
    const own = shown.columns.map((column) => blocks[column - first]);
    if (own.includes(undefined)) return;
    rows.forEach((row, at) => {
      for (let x = 0; x < columns; x++) {
        const [from, to] = [at * columns + x, row * columns + x];
        this.pair?.forEach((kept, which) => { kept[to] = own[which][from]; });
        const value = this.pair ? this.angle(to) : own[0][from] * shown.scale;
        const valid = Number.isFinite(value);
        surface.values[to] = valid ? value : 0;
        this.filled[to] = fates[from] === FILLED;
        const analysed = fates[from] === ANSWERED || fates[from] === FILLED;
        surface.codes[to] = !analysed ? fates[from] : valid ? ANSWERED : NO_VALUE;
      }
      surface.touch(row, row);
    });
    this.stale = this.dirty = true;
  }

  angle(at) {
    const [y, x] = this.pair.map((kept, which) => kept[at] - this.middles[which]);
    return Math.atan2(y, x) * 180 / Math.PI;
  }

  /** Directions about the middle of what has come so far. */
  turn() {
    if (!this.stale || this.shown.centre !== "median") return;
    this.stale = false;
    const { values, codes } = this.surface;
    this.middles = this.pair.map((kept) => {
      const some = sorted(kept, codes);
      return some.length ? some[some.length >> 1] : 0;
    });
    codes.forEach((code, at) => { if (code === ANSWERED) values[at] = this.angle(at); });
    this.surface.touch(0, this.rows - 1);
    this.dirty = true;
  }

  /** Choose limits anew, if values have come and nobody has chosen. */
  relimit() {
    if (this.cyclic) return this.turn();
    if (!this.stale || this.byHand) return;
    this.stale = false;
    const found = limits(this.surface.values, this.surface.codes, { full: this.page.full, centre: this.shown.centre });
    if (!found) return;
    this.limits = found;
    this.dirty = true;
    this.label();
  }

  label() {
    this.bar.show(...this.limits, this.byHand);
  }

  cell(event) {
    const box = this.canvas.getBoundingClientRect();
    const within = (part, most) => Math.min(Math.max(Math.floor(part * most), 0), most - 1);
    return [within((event.clientY - box.top) / box.height, this.rows),
      within((event.clientX - box.left) / box.width, this.columns)];
  }

  key(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const at = this.page.cursor ?? [Math.floor(this.rows / 2), Math.floor(this.columns / 2)];
    if (step) {
      const far = event.shiftKey ? 10 : 1;
      this.page.keep([Math.min(Math.max(at[0] + far * step[0], 0), this.rows - 1),
        Math.min(Math.max(at[1] + far * step[1], 0), this.columns - 1)]);
    } else if (event.key === "Enter" || event.key === " ") this.page.pin(at);
    else if (event.key === "Escape") this.page.unpin();
    else return;
    event.preventDefault();
  }

  /** Say what is at a position. */
  tell(at) {
    this.dirty = true;
    if (!at) return say(this.value, "\u00a0");
    const place = at[0] * this.columns + at[1];
    const code = this.surface.codes[place];
    const span = this.limits ? this.limits[1] - this.limits[0] : undefined;
    const words = code === ANSWERED
      ? withUnit(digits(this.surface.values[place], span), this.shown.unit) : WORDS[code];
    return say(this.value, `y ${at[0]}, x ${at[1]}: ${words}${this.filled[place] ? ", filled in afterwards" : ""}`);
  }

  draw() {
    if (!this.dirty) return;
    this.dirty = false;
    const ratio = window.devicePixelRatio || 1;
    const box = this.canvas.getBoundingClientRect();
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (!width || !height) return;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const [low, high] = this.limits ?? [0, 1];
    this.page.painter.paint(this.context, this.surface, {
      table: this.table, low, high, unit: Math.max(1, Math.round(ratio)), ...this.page.tones,
    });
    this.context.save();
    this.context.scale(ratio, ratio);
    drawCursor(this.context, this.page.cursor, box.width / this.columns, box.height / this.rows, this.page.pinned);
    drawScale(this.context, box, this.columns, this.step);
    this.context.restore();
  }
}

/** A box round the position of the cursor, which is seen on any colour. */
function drawCursor(context, at, wide, high, pinned) {
  if (!at) return;
  const [x, y] = [(at[1] + 0.5) * wide, (at[0] + 0.5) * high];
  const [w, h] = [Math.max(wide / 2, 4) + 1, Math.max(high / 2, 4) + 1];
  for (const [colour, line] of [["#ffffff", 4], ["#1b1b1b", 1.5]]) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.strokeRect(x - w, y - h, 2 * w, 2 * h);
    if (!pinned) continue;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + dx * w, y + dy * h);
      context.lineTo(x + dx * (w + 6), y + dy * (h + 6));
    }
    context.stroke();
  }
}

/** A bar of a round length, with its length. */
export function drawScale(context, box, columns, step, unit = step ? "nm" : "px") {
  const each = step ? step[1] : 1;
  const length = roundLength(0.35 * columns * each);
  if (!(length > 0) || box.width < 60) return;
  const wide = length / each * box.width / columns;
  const words = length >= 1000 && step ? `${length / 1000} µm` : `${Number(length.toPrecision(3))} ${unit}`;
  const [x, y] = [8, box.height - 8];
  context.font = "600 12px system-ui, 'DejaVu Sans', sans-serif";
  context.lineJoin = "round";
  context.strokeStyle = "rgba(255, 255, 255, 0.92)";
  context.lineWidth = 3.5;
  context.strokeText(words, x, y - 8);
  context.strokeRect(x, y - 3, wide, 3);
  context.fillStyle = "#1b1b1b";
  context.fillText(words, x, y - 8);
  context.fillRect(x, y - 3, wide, 3);
}

/** A canvas in the proportions of what it shows, no higher than a window has room for. */
export function shape(canvas, wide, high) {
  canvas.style.aspectRatio = `${wide} / ${high}`;
  canvas.style.maxWidth = `calc(70vh * ${wide / high})`;
}

/** Colours of the page that the painter needs. */
export function tonesOf(root) {
  return { ground: tone(root, "waiting"), dots: tone(root, "dots") };
}
