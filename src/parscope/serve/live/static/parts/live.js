// The page: puts the parts together, for a browser's page and for a cell of a notebook.

import { table } from "./colour.js";
import { Control } from "./control.js";
import { MapCard, tonesOf } from "./map.js";
import { painter } from "./paint.js";
import { Counters, Notes, Progress, Rules, Signs } from "./panels.js";
import { PatternPanel } from "./pattern.js";
import { count, make, say } from "./text.js";
import { Timing } from "./timing.js";
import { HELLO, LINES, PATTERN, socketLink, STATE, widgetLink } from "./wire.js";

const LEGEND = [["waiting", "not measured yet"], ["answered", "no value"], ["skipped", "skipped"], ["lost", "lost"], ["damaged", "damaged"],
  ["filled", "filled in afterwards"]];
let pages = 0;

class Page {
  constructor(root, link, { plain = false } = {}) {
    Object.assign(this, { root, link, id: ++pages, painter: painter(plain), cards: [], tables: null });
    [this.cursor, this.pinned, this.full, this.commands, this.draws] = [null, false, false, false, false];
    this.control = new Control(this);
    this.progress = new Progress();
    this.signs = new Signs();
    this.notes = new Notes();
    this.timing = new Timing();
    this.counters = new Counters();
    this.rules = new Rules();
    this.pattern = new PatternPanel(this);
    this.build();
    link.message = (message) => this.take(message);
    link.connected = (there) => this.connected(there);
    link.allowed = () => this.allow();
    link.failed = (fault) => this.fail(fault);
    link.open();
    this.loop();
  }

  build() {
    this.fault = make("p", { class: "offline", role: "alert", hidden: true });
    this.stopped = make("p", { class: "stopped", role: "status", hidden: true },
      "Stopped: patterns are passed over, and counted as skipped. A recording goes on.");
    this.limits = make("select", { on: { change: () => this.relimit() } },
      make("option", { value: "robust" }, "98 % of values"), make("option", { value: "full" }, "all values"));
    this.legend = make("ul", { class: "legend", "aria-label": "Positions without a value" });
    this.maps = make("div", { class: "maps" }, make("p", { class: "nothing" }, "Maps appear with the first series."));
    const bar = make("div", { class: "mapsbar" }, make("label", {}, "Colours span ", this.limits), this.legend);
    const main = make("main", {}, make("section", { class: "mapside", "aria-label": "Maps" }, bar, this.maps),
      make("div", { class: "side" }, this.pattern.element, this.timing.element),
      make("div", { class: "below" }, this.counters.element, this.rules.element));
    this.root.replaceChildren(this.control.alarm, make("header", { class: "top" }, make("h1", {}, "parscope live"),
      this.progress.element, this.signs.element, this.control.element), this.fault, this.stopped, this.notes.element, main, this.control.dialog);
    this.themes();
  }

  /** Colours of the page follow light and dark. */
  themes() {
    this.tones = tonesOf(this.root);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.themed = () => {
      this.tones = tonesOf(this.root);
      this.redraw();
    };
    this.dark.addEventListener("change", this.themed);
  }

  take({ kind, text, buffer, offset }) {
    if (kind === HELLO) this.greet(text);
    else if (kind === LINES) this.lines(text, buffer, offset);
    else if (kind === STATE) this.state(text);
    else if (kind === PATTERN) this.pattern.take(text, buffer, offset);
  }

  greet(hello) {
    const another = hello.generation !== this.hello?.generation;
    // They are always the same, and a painter keeps those that it has seen.
    this.tables ??= Object.fromEntries(Object.entries(hello.looks).map(([name, base64]) => [name, table(base64)]));
    this.hello = hello;
    const wide = new Set(this.cards.filter((card) => card.element.classList.contains("wide")).map((card) => card.shown.name));
    const byHand = new Map(this.cards.filter((card) => card.byHand).map((card) => [card.shown.name, card.limits]));
    this.cards.forEach((card) => this.painter.forget(card.surface));
    this.cards = hello.scan[0] ? hello.maps.map((shown) => new MapCard(this, hello, shown)) : [];
    if (this.cards.length) this.maps.replaceChildren(...this.cards.map((card) => card.element));
    this.cards.filter((card) => wide.has(card.shown.name)).forEach((card) => card.element.querySelector(".enlarge").click());
    this.cards.filter((card) => byHand.has(card.shown.name)).forEach((card) => card.choose(byHand.get(card.shown.name)));
    if (another) this.unpin();
    this.tell();
    this.allow();
    this.pattern.greet();
  }

  /** What may be done from here. */
  allow() {
    this.commands = Boolean(this.hello?.control) && this.link.commands;
    this.draws = Boolean(this.hello?.draws) && this.link.commands;
    this.pattern.detectors.enable();
    // Without anybody who takes commands, nobody says which rules there are; whether they act is still told.
    this.rules.element.hidden = !this.hello?.control;
    if (this.latest) this.control.show(this.latest);
  }

  lines({ edition, rows, first, columns }, buffer, offset) {
    if (edition !== this.hello?.edition) return;
    const length = rows.length * this.hello.scan[1];
    const blocks = Array.from({ length: columns }, (_, at) => new Float32Array(buffer, offset + 4 * length * at, length));
    const fates = new Uint8Array(buffer, offset + 4 * length * columns, length);
    this.cards.forEach((card) => card.take(rows, first, blocks, fates));
    if (this.cursor) this.tell();
  }

  state(state) {
    this.latest = state;
    this.progress.show(state);
    this.signs.show(state);
    this.notes.show(state);
    this.stopped.hidden = state.running !== false;
    if (state.ended) this.end();
    this.control.show(state);
    this.rules.show(state);
    this.counters.show(state.counters);
    this.timing.show(state.latency);
    this.cards.forEach((card) => card.relimit());
    this.holes(state.fates);
    this.root.classList.toggle("armed", state.armed);
    if (this.root.id === "live") document.title = `${state.armed ? "ARMED · " : ""}${this.progress.phase.textContent} · parscope live`;
    if (this.pattern.choice.value !== "cursor" && state.phase !== "waiting") this.pattern.ask();
  }

  /** Which holes there are, and how they look. */
  holes(fates) {
    const words = LEGEND.filter(([name]) => name === "answered" || fates[name] || name === "lost")
      .map(([name, sentence]) => `${name}|${sentence}${name !== "answered" && fates[name] ? ` ${count(fates[name])}` : ""}`);
    if (words.join() === this.shownHoles) return;
    this.shownHoles = words.join();
    this.legend.replaceChildren(...words.map((one) => {
      const [name, sentence] = one.split("|");
      return make("li", {}, make("i", { class: `swatch ${name}` }), sentence);
    }));
  }

  connected(there) {
    say(this.fault, "No connection. What you see may be old; trying again …");
    this.fault.hidden = there;
    this.root.classList.toggle("cut", !there);
  }

  /** Nothing new will come, for a reason that a person must know. */
  fail(fault) {
    say(this.fault, fault);
    this.fault.hidden = false;
    this.root.classList.add("cut");
  }

  end() {
    this.link.end();
    say(this.fault, "The session has ended. You see its last state; the next session prints an address of its own.");
    this.fault.hidden = false;
    this.root.classList.remove("cut");
  }

  /** The pointer is over a position, or over none. */
  point(at) {
    if (this.pinned) return;
    this.cursor = at;
    this.tell();
    if (at && this.pattern.choice.value === "cursor") this.pattern.ask();
  }

  /** Keep the cursor here and show the pattern; once more to let it go. */
  pin(at) {
    if (this.pinned && this.cursor?.join() === at.join()) this.unpin(at);
    else this.keep(at);
  }

  keep(at) {
    [this.pinned, this.cursor] = [true, at];
    this.tell();
    this.pattern.follow();
  }

  unpin(at = null) {
    [this.pinned, this.cursor] = [false, at];
    this.tell();
  }

  tell() {
    this.cards.forEach((card) => card.tell(this.cursor));
  }

  relimit() {
    this.full = this.limits.value === "full";
    this.cards.forEach((card) => { card.stale = true; card.relimit(); });
  }

  redraw() {
    this.cards.forEach((card) => { card.dirty = true; });
    this.pattern.dirty = true;
  }

  loop() {
    if (this.gone) return;
    this.cards.forEach((card) => card.draw());
    this.pattern.draw();
    requestAnimationFrame(() => this.loop());
  }

  close() {
    this.gone = true;
    this.dark.removeEventListener("change", this.themed);
    this.link.close?.();
  }
}

/** Put the page into an element. */
export function mount(root, link, options = {}) {
  return new Page(root, link, options);
}

const own = typeof document === "undefined" ? null : document.querySelector("body.parscope-page > #live");
if (own) {
  const plain = new URLSearchParams(window.location.search).get("paint") === "plain";
  window.parscope = mount(own, socketLink(), { plain });
}

export default {
  render({ model, el }) {
    const root = document.createElement("div");
    root.className = "parscope-live";
    el.append(root);
    const page = mount(root, widgetLink(model));
    return () => page.close();
  },
};
