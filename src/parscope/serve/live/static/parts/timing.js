// How long answers take: a histogram with the deadline, and the percentiles.

import { count, duration, make, percent, say } from "./text.js";

const [WIDE, HIGH, LEFT, FOOT, TOP] = [320, 118, 30, 30, 16];
const SHARES = ["p50", "p90", "p99", "p99.9", "max"];

export class Timing {
  constructor() {
    this.plot = make("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", class: "histogram" });
    this.cells = new Map(SHARES.map((name) => [name, make("dd", {}, "–")]));
    this.missed = make("p", { class: "missed" });
    this.parts = make("p", { class: "quiet" });
    const list = make("dl", { class: "shares" },
      ...SHARES.map((name) => make("div", {}, make("dt", {}, name), this.cells.get(name))));
    this.element = make("section", { class: "panel", "aria-label": "Latency" }, make("h2", {}, "Latency"),
      make("p", { class: "quiet" }, "From the arrival of a pattern to its answer"), this.plot, list, this.missed, this.parts);
  }

  show(latency) {
    for (const [name, cell] of this.cells) say(cell, duration(latency.answer[name]));
    this.tell(latency);
    const key = JSON.stringify([latency.histogram.counts, latency.deadline_us]);
    if (key === this.key) return;
    this.key = key;
    this.draw(latency);
  }

  tell(latency) {
    const { answered, waiting } = latency.fates, due = latency.patterns - waiting;
    this.missed.classList.toggle("bad", answered - latency.missed < due);
    if (!due) {
      say(this.missed, "No answers yet.");
      return say(this.parts, "");
    }
    // Of all patterns: what was passed over or lost was not answered in time either.
    const within = answered - latency.missed;
    say(this.missed, `${percent(within, due)} of the patterns so far (${count(within)} of ${count(due)}) were answered within `
      + `${duration(latency.deadline_us)}; ${count(latency.missed)} of ${count(answered)} answers came later.`);
    if (!answered) return say(this.parts, "");
    const parts = Object.entries(latency.steps).filter(([, of]) => "p50" in of).map(([name, of]) => `${name} ${duration(of.p50)}`);
    const lag = latency.lag_pixels.p50, jitter = latency.jitter.p99;
    return say(this.parts, `Medians: ${parts.join(", ")}`
      + (lag === undefined ? "" : `; ${lag < 10 ? lag.toFixed(1) : lag.toFixed(0)} pixels of lag`)
      + (jitter === undefined ? "." : `. Jitter from the end of the exposure (p99): ${duration(jitter)}.`));
  }

  draw(latency) {
    const { counts } = latency.histogram, deadline = latency.deadline_us;
    // The first bin begins at nothing, which is nowhere on a log scale.
    const edges = latency.histogram.edges.map((edge, at, all) => edge || all[1] * all[1] / all[2]);
    const used = counts.map((number, at) => (number ? at : -1)).filter((at) => at >= 0);
    this.plot.replaceChildren();
    this.plot.setAttribute("aria-label", `Histogram of latencies. ${this.missed.textContent}`);
    const decade = (value) => Math.log10(value);
    const ends = [...(used.length ? [edges[used[0]], edges[used.at(-1) + 1]] : [10, 1000]), deadline];
    const first = Math.floor(decade(Math.min(...ends)) + 1e-9);
    const last = Math.max(Math.ceil(decade(Math.max(...ends) * 1.05)), first + 1);
    const x = (value) => LEFT + (decade(value) - first) / (last - first) * (WIDE - LEFT - 8);
    const top = Math.ceil(Math.log10(Math.max(1, ...counts) + 1));
    const y = (number) => HIGH - FOOT - Math.log10(number + 1) / top * (HIGH - FOOT - TOP);
    this.axes(first, last, x, top, y);
    counts.forEach((number, at) => {
      if (!number) return;
      const late = edges[at] >= deadline * 0.999;
      this.plot.append(make("rect", { x: x(edges[at]) + 0.5, width: Math.max(x(edges[at + 1]) - x(edges[at]) - 1, 1),
        y: y(number), height: HIGH - FOOT - y(number), class: late ? "late" : "intime" }));
    });
    const right = x(deadline) > WIDE * 0.6;
    this.plot.append(make("line", { x1: x(deadline), x2: x(deadline), y1: TOP - 10, y2: HIGH - FOOT, class: "deadline" }),
      make("text", { x: x(deadline) + (right ? -4 : 4), y: TOP - 4, "text-anchor": right ? "end" : "start", class: "due" },
        `deadline ${duration(deadline)}`));
  }

  axes(first, last, x, top, y) {
    this.plot.append(make("line", { x1: LEFT, x2: WIDE - 8, y1: HIGH - FOOT, y2: HIGH - FOOT, class: "axis" }));
    for (let power = first; power <= last; power++) {
      this.plot.append(
        make("line", { x1: x(10 ** power), x2: x(10 ** power), y1: HIGH - FOOT, y2: HIGH - FOOT + 4, class: "axis" }),
        make("text", { x: x(10 ** power), y: HIGH - FOOT + 15, "text-anchor": power === last ? "end" : "middle" },
          duration(10 ** power).replace(".0", "")));
    }
    const every = Math.ceil(top / 3);
    for (let power = 0; power <= top; power += every) {
      const at = y(10 ** power - (power ? 1 : 0));
      const words = ["1", "10", "100", "1k", "10k", "100k", "1M", "10M"][power];
      if (power) this.plot.append(make("line", { x1: LEFT, x2: WIDE - 8, y1: at, y2: at, class: "grid" }),
        make("text", { x: LEFT - 4, y: at + 4, "text-anchor": "end" }, words));
    }
    this.plot.append(make("text", { x: 2, y: HIGH - 2, class: "quiet" }, "patterns (log scale) over latency"));
  }
}
