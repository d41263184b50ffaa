// What is going on: phase, progress, counters, rules and the journal.

import { count, digits, duration, make, percent, say } from "./text.js";

const PHASES = { waiting: "Waiting for a series", acquiring: "Acquiring", finished: "Finished", stopped: "Stopped",
  ended: "Session ended" };

const COUNTERS = [
  ["received", "received"], ["answered", "analysed"], ["recorded", "recorded"], ["skipped", "skipped", true], ["filled", "filled in afterwards"],
  ["lost", "lost", true], ["damaged", "damaged", true], ["duplicate", "duplicates", true], ["late", "out of order", true],
  ["stale", "of an old series", true], ["foreign", "of no position", true], ["stalls", "stalls of the ring", true], ["missed", "late answers", true],
  ["ring_high_water", "ring high water"],
];

/** Phase, progress and rate. */
export class Progress {
  constructor() {
    this.phase = make("span", { class: "phase", role: "status" }, "Connecting");
    this.bar = make("progress", { max: "1", value: "0", "aria-label": "Progress of the series" });
    this.words = make("span", { class: "done" });
    this.element = make("div", { class: "progress" }, this.phase, this.bar, this.words);
  }

  show(state) {
    const series = state.series === null || state.series === undefined ? "" : ` · series ${state.series}`;
    const phase = state.ended ? "ended" : state.running === false ? "stopped" : state.phase;
    say(this.phase, `${PHASES[phase]}${series}`);
    this.phase.dataset.phase = phase;
    [this.bar.max, this.bar.value] = [Math.max(state.total, 1), state.done];
    const share = state.total ? `${count(state.done)} of ${count(state.total)} (${Math.floor(100 * state.done / state.total)} %)` : "";
    const rate = state.phase === "acquiring" && !state.ended && state.rate !== null ? ` · ${digits(state.rate)} patterns/s` : "";
    say(this.words, share + rate);
  }
}

/** What must be seen at a glance, whatever is scrolled. */
export class Signs {
  constructor() {
    this.element = make("ul", { class: "signs", "aria-label": "At a glance" });
  }

  show({ latency, fates, counters }) {
    const signs = [
      ["p99", duration(latency.answer.p99), false],
      ["in time", latency.in_time === null ? "–" : percent(latency.in_time, 1), latency.in_time !== null && latency.in_time < 1],
      ["late", count(latency.missed), latency.missed > 0],
      ...["lost", "skipped", "damaged"].map((name) => [name, count(fates[name]), fates[name] > 0]),
      ["stalls", count(counters.stalls), counters.stalls > 0],
    ];
    const key = JSON.stringify(signs);
    if (key === this.key) return;
    this.key = key;
    this.element.replaceChildren(...signs.map(([name, words, bad]) => make("li", { class: bad ? "bad" : "" },
      `${name} `, make("b", {}, words))));
  }
}

/** How many of what; what should be zero and is not stands out. */
export class Counters {
  constructor() {
    this.list = make("dl", { class: "counters" });
    this.cells = new Map();
    this.element = make("section", { class: "panel", "aria-label": "Counters" }, make("h2", {}, "Patterns"), this.list);
  }

  show(counters) {
    for (const [name, words, fault] of COUNTERS) {
      if (!(name in counters)) continue;
      if (!this.cells.has(name)) {
        const cell = make("dd");
        this.cells.set(name, cell);
        this.list.append(make("div", { "data-counter": name }, make("dt", {}, words), cell));
      }
      const value = counters[name], cell = this.cells.get(name);
      const size = counters.ring_size;
      say(cell, name !== "ring_high_water" ? count(value) : size ? `${(100 * value / size).toFixed(0)} %` : bytes(value));
      cell.parentElement.classList.toggle("bad", Boolean(fault) && value > 0);
    }
  }
}

/** What was told of the session, such as why a map stays empty; newest first. */
export class Notes {
  constructor() {
    this.element = make("div", { class: "notes", role: "log", "aria-label": "Messages of the session", hidden: true });
  }

  show({ notes }) {
    const key = notes.join("\n");
    if (key === this.key) return;
    this.key = key;
    this.element.hidden = !notes.length;
    this.element.replaceChildren(...notes.map((note) => make("p", {}, note)));
  }
}

function bytes(number) {
  return number < 1e6 ? `${(number / 1e3).toFixed(0)} kB` : `${(number / 1e6).toFixed(1)} MB`;
}

/** Rules in force, and the last decisions. */
export class Rules {
  constructor() {
    this.mode = make("p", { class: "mode" });
    this.rules = make("ul", { class: "rules" });
    this.body = make("tbody");
    const head = ["position", "rule", "outcome", "after"].map((words) => make("th", { scope: "col" }, words));
    this.table = make("div", { class: "journal", tabindex: "0", role: "region", "aria-label": "Journal of decisions" },
      make("table", {}, make("caption", {}, "Last decisions, newest first"), make("thead", {}, make("tr", {}, ...head)), this.body));
    this.element = make("section", { class: "panel", "aria-label": "Rules" }, make("h2", {}, "Rules"), this.mode, this.rules, this.table);
  }

  show({ rules, journal, armed }) {
    say(this.mode, !rules.length ? "No rules are given." : armed ? "Armed: rules act on the instrument."
      : "Dry run: rules say what they would do, and do nothing.");
    this.mode.classList.toggle("bad", armed && rules.length > 0);
    const key = JSON.stringify([rules, journal]);
    if (key === this.key) return;
    this.key = key;
    this.rules.replaceChildren(...rules.map((rule) => make("li", {}, make("code", {}, rule.text),
      make("span", { class: "quiet" }, ` fired ${count(rule.fired ?? 0)} times${rule.held ? `, held back ${count(rule.held)} times` : ""}`))));
    this.table.hidden = !journal.length;
    this.body.replaceChildren(...journal.map((entry) => make("tr", {},
      make("td", {}, Array.isArray(entry.position) ? entry.position.join(", ") : String(entry.position ?? entry.image ?? "")),
      make("td", {}, make("code", {}, entry.rule ?? "")), make("td", {}, entry.outcome ?? ""),
      make("td", {}, duration(entry.latency_us)))));
  }
}
