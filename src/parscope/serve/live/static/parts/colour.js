// Colours of values and of what is no value.

/** Colours of a look: 256 times red, green, blue. */
export function table(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

// Codes of a position: the fates, and one that was analysed and has no value. A map shows what was filled in afterwards
// like what was answered.
export const WAITING = 0, ANSWERED = 1, SKIPPED = 2, LOST = 3, DAMAGED = 4, FILLED = 5, NO_VALUE = 6;

// No colour of a map comes near these greys.
export const FACE = 97, LINE = 64;

/** Whether a dot of the screen belongs to the hatching of a code. */
export function hatched(code, x, y) {
  if (code === WAITING) return x % 6 === 3 && y % 6 === 3;
  if (code === SKIPPED) return y % 4 < 2;
  if (code === LOST) return (x + y) % 6 < 2;
  if (code === DAMAGED) return (x + y) % 6 < 1 || (x - y + 6000) % 6 < 1;
  return false;
}

/** The same in the language of WebGL. */
export const HATCHED = `
bool hatched(int code, int x, int y) {
  if (code == 0) return x % 6 == 3 && y % 6 == 3;
  if (code == 2) return y % 4 < 2;
  if (code == 3) return (x + y) % 6 < 2;
  if (code == 4) return (x + y) % 6 < 1 || (x - y + 6000) % 6 < 1;
  return false;
}`;

/** A colour of the page, [red, green, blue], in light or dark. */
export function tone(element, name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  element.append(probe);
  const found = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  probe.remove();
  return found;
}

/** Some of the values that were measured, in rising order. */
export function sorted(values, codes, all = false) {
  const stride = all ? 1 : Math.max(1, Math.floor(values.length / 8192));
  const picked = new Float32Array(Math.ceil(values.length / stride));
  let n = 0;
  for (let at = 0; at < values.length; at += stride) if (codes[at] === ANSWERED) picked[n++] = values[at];
  return picked.subarray(0, n).sort();
}

/** Limits that leave out the extreme percent on either side; a `centre` (zero or median) is put in the middle. */
export function limits(values, codes, { full = false, centre = null } = {}) {
  const some = sorted(values, codes, full);
  if (!some.length) return null;
  const quantile = (of, share) => of[Math.round(share * (of.length - 1))];
  let low = quantile(some, full ? 0 : 0.01), high = quantile(some, full ? 1 : 0.99);
  if (centre) {
    const middle = centre === "median" ? quantile(some, 0.5) : 0;
    const reach = quantile(some.map((value) => Math.abs(value - middle)).sort(), full ? 1 : 0.99);
    [low, high] = [middle - reach, middle + reach];
  }
  if (high > low) return [low, high];
  const pad = Math.abs(high) * 0.01 || 1;
  return [low - pad, high + pad];
}
