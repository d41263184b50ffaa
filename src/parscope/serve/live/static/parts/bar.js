// The colours of a map with their numbers: a bar whose ends can be dragged, or a wheel for angles.

import { digits, make, say, withUnit } from "./text.js";

/** A bar of colours; `change(low, high)` is called when a person moves an end, `reset` when they let it go to itself. */
export class Bar {
  constructor({ table, unit, title, centred, change, reset }) {
    Object.assign(this, { unit, centred, change });
    this.strip = make("canvas", { class: "strip", width: 256, height: 1, "aria-hidden": "true" });
    const context = this.strip.getContext("2d");
    const image = context.createImageData(256, 1);
    for (let at = 0; at < 256; at++) image.data.set([...table.subarray(3 * at, 3 * at + 3), 255], 4 * at);
    context.putImageData(image, 0, 0);
    this.ends = ["low", "high"].map((name, end) => this.end(name, end, title));
    this.ticks = [0, 1, 2].map(() => make("span"));
    this.auto = make("button", { class: "auto", type: "button", hidden: true, on: { click: reset } }, "auto");
    this.auto.title = `Choose the limits of ${title} automatically again`;
    const track = make("div", { class: "track" }, this.strip, ...this.ends);
    this.element = make("div", { class: "bar" }, track, make("div", { class: "ticks" }, ...this.ticks), this.auto);
    [this.low, this.high] = [0, 1];
  }

  end(name, end, title) {
    const label = `${end ? "Upper" : "Lower"} limit of ${title}`;
    const made = make("div", { class: `end ${name}`, role: "slider", tabindex: "0", "aria-label": label });
    made.title = "Drag, or use the arrow keys";
    made.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.move(end, [this.low, this.high][end] + step * (this.high - this.low) * 0.05);
    });
    made.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      made.focus();
      made.setPointerCapture(event.pointerId);
      const [start, from, span] = [event.clientX, [this.low, this.high][end], this.high - this.low];
      const width = this.strip.getBoundingClientRect().width;
      made.onpointermove = (moved) => this.move(end, from + span * (moved.clientX - start) / width);
      made.onpointerup = made.onpointercancel = () => { made.onpointermove = null; };
    });
    return made;
  }

  move(end, value) {
    let [low, high] = [this.low, this.high];
    const least = (high - low) * 1e-3;
    if (this.centred) {
      const middle = (low + high) / 2;
      const reach = Math.max(Math.abs(value - middle), least);
      [low, high] = [middle - reach, middle + reach];
    } else if (end) high = Math.max(value, low + least);
    else low = Math.min(value, high - least);
    this.change(low, high);
  }

  /** Show limits. */
  show(low, high, byHand) {
    [this.low, this.high] = [low, high];
    const span = high - low;
    const places = [low, (low + high) / 2, high];
    places.forEach((value, at) => {
      const clean = Math.abs(value) < span * 1e-6 ? 0 : value;
      say(this.ticks[at], digits(clean, span, Math.max(Math.abs(low), Math.abs(high))));
    });
    this.ends.forEach((made, end) => {
      const value = end ? high : low;
      made.setAttribute("aria-valuenow", String(value));
      made.setAttribute("aria-valuetext", withUnit(digits(value, span), this.unit));
    });
    this.auto.hidden = !byHand;
  }

  /** Nothing to show yet. */
  empty() {
    this.ticks.forEach((tick) => say(tick, ""));
  }
}

/** A wheel: the colour of every direction, as it is seen on the map. */
export class Wheel {
  constructor({ table, title, axes }) {
    const side = 128, canvas = make("canvas", { class: "wheel", width: side, height: side, role: "img" });
    canvas.setAttribute("aria-label", `Colours of ${title}: 0 degrees to the right, 90 degrees down`);
    const context = canvas.getContext("2d"), image = context.createImageData(side, side);
    const middle = (side - 1) / 2;
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const radius = Math.hypot(y - middle, x - middle);
        const inside = Math.min(Math.max(middle - radius, 0), 1) * Math.min(Math.max(radius - middle * 0.42, 0), 1);
        const part = (Math.atan2(y - middle, x - middle) / Math.PI + 1) / 2;
        const from = 3 * Math.floor(part * 255 + 0.5);
        image.data.set([...table.subarray(from, from + 3), 255 * inside], 4 * (y * side + x));
      }
    }
    context.putImageData(image, 0, 0);
    const words = make("p", {}, `Colour: where it points in the axes of the ${axes}. 0° is to the right (+x), 90° down (+y).`);
    this.element = make("div", { class: "bar wheelbar" }, canvas, words);
  }

  show() {}

  empty() {}
}
