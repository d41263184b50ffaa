// The pattern: the last one, the one under the cursor, or the mean, with the detectors drawn on it.

import { Bar } from "./bar.js";
import { ANSWERED, limits, NO_VALUE } from "./colour.js";
import { Detectors } from "./detectors.js";
import { drawScale, shape } from "./map.js";
import { Surface } from "./surface.js";
import { count, digits, make, say } from "./text.js";

const CHOICES = [["last", "last that was kept"], ["cursor", "under the cursor"], ["mean", "mean of those kept"]];

export class PatternPanel {
  constructor(page) {
    this.page = page;
    this.surface = null;
    [this.log, this.dirty, this.asked, this.byHand] = [true, true, 0, false];
    this.detectors = new Detectors(page, () => { this.dirty = true; });
    this.choice = make("select", { "aria-label": "Which pattern", on: { change: () => this.chosen() } },
      ...CHOICES.map(([value, words]) => make("option", { value }, words)));
    const log = make("input", { type: "checkbox", checked: true });
    log.addEventListener("change", () => { this.log = log.checked; this.byHand = false; this.scale(); });
    this.title = make("p", { class: "which", role: "status" }, "No pattern yet");
    this.value = make("p", { class: "value" }, "\u00a0");
    this.canvas = make("canvas", { role: "img", "aria-label": "Diffraction pattern", on: {
      pointerdown: (event) => this.press(event), pointermove: (event) => this.look(event),
      pointerleave: () => say(this.value, "\u00a0"),
    } });
    this.context = this.canvas.getContext("2d");
    this.barPlace = make("div");
    this.element = make("section", { class: "panel pattern", "aria-label": "Pattern" }, make("h2", {}, "Pattern (counts)"),
      make("div", { class: "choices" }, this.choice, make("label", {}, log, "log scale")), this.title,
      make("div", { class: "stage" }, this.canvas), this.value, this.barPlace, this.detectors.element);
    new ResizeObserver(() => { this.dirty = true; }).observe(this.canvas);
  }

  greet() {
    this.detectors.enable();
    if (this.bar) return;
    this.bar = new Bar({
      table: this.page.tables.intensity, unit: "counts", title: "the pattern", centred: false,
      change: (low, high) => {
        [this.limits, this.byHand, this.dirty] = [[this.shown(low), this.shown(high)], true, true];
        this.label();
      },
      reset: () => { this.byHand = false; this.scale(); },
    });
    this.bar.empty();
    this.barPlace.replaceChildren(this.bar.element);
  }

  /** A number of counts on the scale that is shown, and back. */
  shown(counts) { return this.log ? Math.log10(1 + Math.max(counts, 0)) : counts; }

  counted(value) { return this.log ? 10 ** value - 1 : value; }

  chosen() {
    this.asked = 0;
    this.ask();
  }

  /** Ask for a pattern, not more often than the eye follows. */
  ask() {
    const now = performance.now();
    if (now - this.asked < (this.choice.value === "mean" ? 1000 : 150)) return;
    const which = this.choice.value === "cursor" ? this.page.cursor : this.choice.value;
    if (!which) return;
    this.asked = now;
    this.page.link.ask({ pattern: which });
  }

  follow() {
    this.choice.value = "cursor";
    this.chosen();
  }

  take(text, buffer, offset) {
    const wanted = this.choice.value === "cursor" ? "object" : this.choice.value;
    if ((typeof text.asked === "object" ? "object" : text.asked) !== wanted) return;
    if (text.which === "none") {
      const at = Array.isArray(text.asked) ? ` of y ${text.asked[0]}, x ${text.asked[1]}` : "";
      this.canvas.classList.add("old");
      say(this.title, `The pattern${at} is not kept`);
      return;
    }
    this.canvas.classList.remove("old");
    const [rows, columns] = text.shape;
    this.counts = new Float32Array(buffer, offset, rows * columns);
    if (this.surface?.rows !== rows || this.surface?.columns !== columns) {
      if (this.surface) this.page.painter.forget(this.surface);
      this.surface = new Surface(rows, columns);
      this.page.patternShape = [rows, columns];
      shape(this.canvas, columns, rows);
    }
    say(this.title, text.which === "mean" ? `Mean of ${count(text.of)} patterns`
      : `${text.which === "last" ? "Last kept: " : ""}y ${text.at[0]}, x ${text.at[1]}`);
    this.scale();
  }

  /** Bring counts to the scale that is shown, and choose limits. */
  scale() {
    if (!this.surface) return;
    const { values, codes, rows } = this.surface;
    this.counts.forEach((counts, at) => {
      codes[at] = Number.isFinite(counts) ? ANSWERED : NO_VALUE;
      values[at] = Number.isFinite(counts) ? this.shown(counts) : 0;
    });
    this.surface.touch(0, rows - 1);
    this.dirty = true;
    if (this.byHand) return;
    this.limits = limits(values, codes, { full: true }) ?? [0, 1];
    this.label();
  }

  label() {
    this.bar.show(...this.limits.map((value) => this.counted(value)), this.byHand);
    // In the middle of the bar is the middle of what is shown, which on a log scale is not the mean.
    const middle = this.counted((this.limits[0] + this.limits[1]) / 2);
    say(this.bar.ticks[1], digits(middle));
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = box.width / this.surface.columns;
    return [[(event.clientY - box.top) / scale - 0.5, (event.clientX - box.left) / scale - 0.5], scale];
  }

  press(event) {
    if (!this.surface) return;
    const [at, scale] = this.place(event);
    const drag = this.detectors.press(at, scale);
    if (!drag) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.drag = drag;
    this.canvas.onpointerup = this.canvas.onpointercancel = () => { this.drag = null; };
  }

  look(event) {
    if (!this.surface) return;
    const [at] = this.place(event);
    if (this.drag) this.drag(at);
    const { rows, columns } = this.surface;
    const [y, x] = [Math.min(Math.max(Math.round(at[0]), 0), rows - 1), Math.min(Math.max(Math.round(at[1]), 0), columns - 1)];
    const counts = this.counts[y * columns + x];
    say(this.value, `q_y ${y}, q_x ${x}: ${Number.isFinite(counts) ? `${digits(counts)} counts` : "no value"}`);
  }

  draw() {
    if (!this.dirty || !this.surface) return;
    this.dirty = false;
    const ratio = window.devicePixelRatio || 1;
    const box = this.canvas.getBoundingClientRect();
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (!width || !height) return;
    [this.canvas.width, this.canvas.height] = [width, height];
    const [low, high] = this.limits;
    this.page.painter.paint(this.context, this.surface, {
      table: this.page.tables.intensity, low, high, unit: Math.max(1, Math.round(ratio)), ...this.page.tones,
    });
    this.context.save();
    this.context.scale(ratio, ratio);
    this.detectors.draw(this.context, box.width / this.surface.columns);
    drawScale(this.context, box, this.surface.columns, null);
    this.context.restore();
  }
}
