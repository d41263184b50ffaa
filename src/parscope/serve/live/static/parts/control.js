// Start, stop and arm; to arm asks first, and cannot be overlooked.

import { make, say } from "./text.js";

export class Control {
  constructor(page) {
    this.page = page;
    this.start = this.button("Start", "start", "Analyse patterns again, from the next one on");
    this.stop = this.button("Stop", "stop",
      "Analyse no more: patterns are passed over and counted as skipped, and rules are disarmed. "
      + "A recording goes on, and so does the session.");
    this.arm = make("button", { type: "button", class: "arm", on: { click: () => this.toggle() } }, "Arm rules …");
    this.told = make("span", { class: "told", role: "status" });
    this.element = make("div", { class: "control", role: "group", "aria-label": "Control" },
      this.start, this.stop, this.arm, this.told);
    this.alarm = make("div", { class: "alarm", role: "alert", hidden: true });
    this.off = make("button", { type: "button", on: { click: () => this.send("disarm") } }, "Disarm now");
    this.dialog = this.question();
    this.show({ running: null, armed: false, rules: [] });
  }

  button(words, verb, title) {
    return make("button", { type: "button", title, on: { click: () => this.send(verb) } }, words);
  }

  question() {
    this.list = make("ul");
    const sure = make("input", { type: "checkbox" });
    const yes = make("button", { type: "button", class: "danger", disabled: true }, "Arm");
    const no = make("button", { type: "button", autofocus: true }, "Leave as it is");
    sure.addEventListener("change", () => { yes.disabled = !sure.checked; });
    const title = `arm-${this.page.id}`;
    const dialog = make("dialog", { class: "question", "aria-labelledby": title },
      make("h2", { id: title }, "Let rules act on the instrument?"),
      make("p", {}, "From then on every decision is sent, until you disarm:"), this.list,
      make("label", {}, sure, "I see the instrument, and nobody is in harm's way."), make("p", { class: "buttons" }, no, yes));
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => { dialog.close(); this.send("arm"); });
    dialog.addEventListener("close", () => { sure.checked = false; yes.disabled = true; this.arm.focus(); });
    return dialog;
  }

  toggle() {
    if (this.armed) return this.send("disarm");
    this.list.replaceChildren(...this.rules.map((rule) => make("li", {}, make("code", {}, rule.text))));
    return this.dialog.showModal();
  }

  async send(verb) {
    const answer = await this.page.link.command(verb);
    this.told.classList.toggle("fault", Boolean(answer.fault));
    say(this.told, answer.fault ?? answer.told);
  }

  show({ running, armed, rules, ended }) {
    [this.armed, this.rules] = [armed, rules];
    const able = this.page.commands && !ended;
    this.start.disabled = !able || running === true;
    this.stop.disabled = !able || running !== true;
    this.arm.disabled = !able || (!armed && !rules.length);
    this.arm.title = rules.length || armed ? "" : "There are no rules to arm";
    say(this.arm, armed ? "Disarm" : "Arm rules …");
    this.arm.setAttribute("aria-pressed", String(armed));
    if (this.alarm.hidden === armed) {
      this.alarm.hidden = !armed;
      this.alarm.replaceChildren(...(armed
        ? [make("strong", {}, "ARMED"), make("span", {}, "Rules act on the instrument."), ...(able ? [this.off] : [])] : []));
    }
    if (ended) say(this.told, "");
    else if (!able && !this.told.textContent) say(this.told, "Watching only");
    else if (able && this.told.textContent === "Watching only") say(this.told, "");
  }
}
