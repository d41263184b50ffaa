// Virtual detectors: discs and rings, drawn on a pattern or typed in.

import { make, say } from "./text.js";

const COLOURS = ["#E69F00", "#CC79A7", "#FFFFFF", "#D55E00", "#56B4E9"];
const FIELDS = ["y", "x", "inner", "outer"];
const NEAR = 7;

export class Detectors {
  constructor(page, redraw) {
    Object.assign(this, { page, redraw });
    this.list = [];
    this.tool = "look";
    this.number = 0;
    this.body = make("tbody");
    this.told = make("p", { class: "told", role: "status" });
    const tools = [["look", "Look"], ["disc", "Draw a disc"], ["ring", "Draw a ring"]].map(([name, words]) => {
      const radio = make("input", { type: "radio", name: `tool-${page.id}`, value: name, checked: name === "look" });
      radio.addEventListener("change", () => { this.tool = name; });
      return make("label", {}, radio, words);
    });
    this.add = make("button", { type: "button", on: { click: () => this.create(null) } }, "Add by numbers");
    this.apply = make("button", { type: "button", class: "primary", on: { click: () => this.send() } }, "Use these");
    const head = ["name", "y", "x", "inner", "outer", ""].map((words) => make("th", { scope: "col" }, words));
    this.table = make("table", { class: "detectors", hidden: true },
      make("caption", {}, "Virtual detectors, in px of the detector"), make("thead", {}, make("tr", {}, ...head)), this.body);
    this.element = make("div", { class: "drawing" }, make("div", { class: "tools", role: "radiogroup",
      "aria-label": "What dragging on the pattern does" }, ...tools), this.table,
    make("p", { class: "buttons" }, this.add, this.apply), this.told);
    this.enable();
  }

  /** Without patterns, or the whole address, detectors cannot be used. */
  enable() {
    this.apply.disabled = !this.page.draws || !this.changed;
    this.apply.title = this.page.draws ? "Sum counts over these detectors" : "This page only watches";
  }

  /** Begin a detector where a person presses; returns what to do as they drag. */
  press(at, scale) {
    const [y, x] = at;
    for (const one of [...this.list].reverse()) {
      const distance = Math.hypot(y - one.y, x - one.x);
      const touched = ["outer", "inner"].find((field) => one[field] && Math.abs(distance - one[field]) * scale < NEAR);
      if (touched) return (to) => this.resize(one, touched, Math.hypot(to[0] - one.y, to[1] - one.x));
      if (distance * scale < NEAR) return (to) => { [one.y, one.x] = to; this.edited(); };
    }
    if (this.tool === "look") return null;
    const made = this.create({ y, x, outer: 0.5, inner: 0 }), ring = this.tool === "ring";
    return (to) => {
      made.outer = Math.max(Math.hypot(to[0] - y, to[1] - x), 0.5);
      made.inner = ring ? made.outer / 2 : 0;
      this.edited();
    };
  }

  resize(one, field, radius) {
    if (field === "inner") one.inner = Math.min(Math.max(radius, 0), one.outer - 0.5);
    else one.outer = Math.max(radius, one.inner + 0.5);
    this.edited();
  }

  create(given) {
    const [rows, columns] = this.page.patternShape ?? [1, 1];
    const made = given ?? { y: (rows - 1) / 2, x: (columns - 1) / 2, inner: 0, outer: Math.max(rows / 8, 1) };
    made.name = `vd${++this.number}`;
    made.colour = COLOURS[(this.number - 1) % COLOURS.length];
    this.list.push(made);
    this.rows();
    this.edited();
    return made;
  }

  rows() {
    this.table.hidden = !this.list.length;
    this.body.replaceChildren(...this.list.map((one) => {
      const name = make("input", { type: "text", value: one.name, size: "5", maxlength: "20", "aria-label": "name" });
      name.addEventListener("input", () => { one.name = name.value; this.edited(); });
      const cells = FIELDS.map((field) => {
        const input = make("input", { type: "number", step: "0.5", "aria-label": `${field} of ${one.name} in px` });
        input.addEventListener("input", () => { one[field] = Number(input.value); this.edited(); });
        (one.inputs ??= {})[field] = input;
        return make("td", {}, input);
      });
      const remove = make("button", { type: "button", "aria-label": `Remove ${one.name}`, title: "Remove" }, "×");
      remove.addEventListener("click", () => {
        this.list = this.list.filter((other) => other !== one);
        this.rows();
        this.edited();
      });
      const mark = make("i", { class: "mark" });
      mark.style.background = one.colour;
      return make("tr", {}, make("th", { scope: "row" }, make("span", {}, mark, name)), ...cells, make("td", {}, remove));
    }));
    this.fill();
  }

  /** Write the numbers, but not where somebody is typing. */
  fill() {
    for (const one of this.list) {
      for (const field of FIELDS) {
        if (one.inputs[field] !== document.activeElement) one.inputs[field].value = one[field].toFixed(1);
      }
    }
  }

  edited() {
    this.changed = true;
    say(this.told, "Not in use yet.");
    this.fill();
    this.enable();
    this.redraw();
  }

  async send() {
    const masks = this.list.map(({ name, y, x, inner, outer }) => ({ name, y, x, inner, outer }));
    const answer = await this.page.link.command("masks", masks);
    this.changed = Boolean(answer.fault);
    this.told.classList.toggle("fault", Boolean(answer.fault));
    say(this.told, answer.fault ?? answer.told);
    this.enable();
  }

  /** Draw all, on a context in dots of the pattern times `scale`. */
  draw(context, scale) {
    for (const one of this.list) {
      const [x, y] = [(one.x + 0.5) * scale, (one.y + 0.5) * scale];
      for (const [colour, line] of [["#000000", 5], [one.colour, 2.5]]) {
        [context.strokeStyle, context.lineWidth] = [colour, line];
        for (const radius of [one.inner, one.outer]) {
          if (!radius) continue;
          context.beginPath();
          context.arc(x, y, radius * scale, 0, 2 * Math.PI);
          context.stroke();
        }
        context.beginPath();
        context.moveTo(x - 4, y);
        context.lineTo(x + 4, y);
        context.moveTo(x, y - 4);
        context.lineTo(x, y + 4);
        context.stroke();
      }
      context.font = "600 12px system-ui, 'DejaVu Sans', sans-serif";
      [context.strokeStyle, context.lineWidth, context.fillStyle] = ["#000000", 3, one.colour];
      const place = [x + one.outer * scale * 0.71 + 4, y - one.outer * scale * 0.71 - 2];
      context.strokeText(one.name, ...place);
      context.fillText(one.name, ...place);
    }
  }
}
