// Numbers and words as people read them, and the elements that hold them.

/** Make an element: attributes by name, `on` a mapping of listeners, then children. */
export function make(tag, { on = {}, ...attributes } = {}, ...children) {
  const space = ["svg", "rect", "line", "text", "g", "path"].includes(tag) ? "http://www.w3.org/2000/svg" : null;
  const made = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  for (const [name, listener] of Object.entries(on)) made.addEventListener(name, listener);
  made.append(...children);
  return made;
}

/** Set a text only where it has changed: readers of screens are not told twice. */
export function say(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

const PREFIXES = ["", "k", "M", "G", "T"];

/** A number with the digits that a span asks for; large ones with a prefix, as the largest beside it has: 12.4 k. */
export function digits(value, span = Math.abs(value), largest = Math.abs(value)) {
  if (!Number.isFinite(value)) return "–";
  if (!value) return "0";
  const size = Math.max(Math.abs(value), span, largest);
  const group = size >= 1e4 ? Math.min(Math.floor(Math.log10(size) / 3), PREFIXES.length - 1) : 0;
  const [scaled, width] = [value / 10 ** (3 * group), (span || size || 1) / 10 ** (3 * group)];
  if (size && size < 1e-3) return minus(value.toExponential(1));
  const decimals = Math.min(Math.max(2 - Math.floor(Math.log10(width)), 0), 5);
  return minus(scaled.toFixed(decimals)) + (group ? `\u202f${PREFIXES[group]}` : "");
}

/** A minus sign in place of a hyphen, and no minus before nothing. */
function minus(words) {
  return words.replace(/^-(?=0(\.0*)?$)/, "").replace("-", "−");
}

/** How many, with thousands apart. */
export function count(number) {
  return Math.round(number).toLocaleString("en-US");
}

/** A share in percent: never 0 where there is one, never 100 where one is missing. */
export function percent(part, whole) {
  const share = whole ? 100 * part / whole : 0;
  const words = share && share < 10 ? Number(share.toPrecision(2)).toString() : share.toFixed(share < 99 ? 0 : 2);
  return `${part < whole && words === "100.00" ? "99.99" : words.replace(/\.00$/, "")} %`;
}

/** A time given in µs. */
export function duration(microseconds) {
  if (microseconds === null || microseconds === undefined) return "–";
  const [value, unit] = microseconds < 1e3 ? [microseconds, "µs"] : microseconds < 1e6 ? [microseconds / 1e3, "ms"]
    : [microseconds / 1e6, "s"];
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)}\u202f${unit}`;
}

/** A number and its unit, the unit perhaps empty. */
export function withUnit(words, unit) {
  return unit ? `${words}\u202f${unit}` : words;
}

/** The largest of 1, 2, 5 times a power of ten that is not above a length. */
export function roundLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((factor) => factor * power).find((length) => length <= most * 1.0001) ?? power;
}
