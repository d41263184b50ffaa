// What is painted: numbers with a code for each, and the same for a canvas that has fewer dots than there are positions.

import { ANSWERED, DAMAGED, LOST, NO_VALUE, SKIPPED, WAITING } from "./colour.js";

export class Surface {
  /** `cyclic`: values are angles in degrees, whose mean is a direction. */
  constructor(rows, columns, cyclic = false) {
    Object.assign(this, { rows, columns, cyclic, small: null, shown: this });
    this.values = new Float32Array(rows * columns);
    this.codes = new Uint8Array(rows * columns);
    this.touched();
  }

  /** Note that lines have changed. */
  touch(first, last) {
    this.changed = [Math.min(this.changed[0], first), Math.max(this.changed[1], last + 1)];
  }

  /** All has changed. */
  touched() {
    this.changed = [0, this.rows];
  }

  /** What has changed has been seen to. */
  done() {
    this.changed = [this.rows, 0];
  }

  /** The same with no more positions than a canvas has dots; `forget` is told what is not painted any longer. */
  fit(width, height, forget) {
    const [rows, columns] = [Math.min(this.rows, height), Math.min(this.columns, width)];
    const before = this.shown;
    if (rows === this.rows && columns === this.columns) this.shown = this;
    else if (this.small?.rows !== rows || this.small?.columns !== columns) {
      this.shown = this.small = new Surface(rows, columns, this.cyclic);
    } else this.shown = this.small;
    if (this.shown !== before) {
      forget(before);
      this.touched();
      this.shown.touched();
    }
    if (this.shown !== this) this.gather();
    return this.shown;
  }

  /** Bring the lines that have changed to the small one. */
  gather() {
    const { small } = this, [from, to] = this.changed;
    if (to <= from) return;
    const [first, last] = [Math.floor(from * small.rows / this.rows), Math.ceil(to * small.rows / this.rows)];
    const [tall, wide] = [spans(small.rows, this.rows), spans(small.columns, this.columns)];
    for (let y = first; y < last; y++) {
      for (let x = 0; x < small.columns; x++) this.put(y * small.columns + x, tall[y], wide[x]);
    }
    small.touch(first, last - 1);
    this.done();
  }

  /** One position of the small one. A fault is seen however small it is; other holes if they are half of it. */
  put(to, [top, bottom], [left, right]) {
    const { columns, codes, values, cyclic, small } = this;
    let fault = 0, hole = 0, holes = 0, n = 0, sum = 0, other = 0;
    for (let y = top; y < bottom; y++) {
      for (let at = y * columns + left, end = y * columns + right; at < end; at++) {
        const code = codes[at];
        if (code === ANSWERED) {
          n++;
          if (!cyclic) sum += values[at];
          else {
            sum += Math.cos(values[at] * Math.PI / 180);
            other += Math.sin(values[at] * Math.PI / 180);
          }
        } else if (code === LOST || code === DAMAGED) fault = Math.max(fault, code);
        else if (code === SKIPPED || code === NO_VALUE) {
          holes++;
          hole = hole === SKIPPED ? hole : code;
        }
      }
    }
    small.codes[to] = fault || (holes && holes >= n ? hole : n ? ANSWERED : WAITING);
    small.values[to] = small.codes[to] !== ANSWERED ? 0 : cyclic ? Math.atan2(other, sum) * 180 / Math.PI : sum / n;
  }
}

/** The positions [first, last + 1] that each of some dots has a part of. */
function spans(dots, positions) {
  return Array.from({ length: dots }, (_, at) => [Math.floor(at * positions / dots), Math.ceil((at + 1) * positions / dots)]);
}
