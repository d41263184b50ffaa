// Maps on a canvas: by WebGL, or dot by dot where there is none; both give the same picture.

import { ANSWERED, FACE, HATCHED, hatched, LINE } from "./colour.js";

const CORNERS = `#version 300 es
void main() { gl_Position = vec4(float(gl_VertexID & 1) * 4.0 - 1.0, float(gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }`;

const DOTS = `#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D values;
uniform highp usampler2D codes;
uniform mediump sampler2D colours;
uniform vec2 limits;
uniform vec2 size;
uniform ivec2 extent;
uniform int unit;
uniform vec3 ground;
uniform vec3 dots;
out vec4 colour;
${HATCHED}
void main() {
  ivec2 dot = ivec2(gl_FragCoord.x, size.y - gl_FragCoord.y);
  ivec2 cell = min(dot * extent / ivec2(size), extent - 1);
  int code = int(texelFetch(codes, cell, 0).r);
  if (code == 1) {
    float part = clamp((texelFetch(values, cell, 0).r - limits.x) / (limits.y - limits.x), 0.0, 1.0);
    colour = texelFetch(colours, ivec2(int(part * 255.0 + 0.5), 0), 0);
  } else {
    bool line = hatched(code, dot.x / unit, dot.y / unit);
    if (code == 0) colour = vec4(line ? dots : ground, 1.0);
    else colour = vec4(vec3(line ? ${LINE}.0 : ${FACE}.0) / 255.0, 1.0);
  }
}`;

/** Paints by WebGL; one for all maps, since a browser allows few. */
class GlPainter {
  constructor() {
    this.canvas = document.createElement("canvas");
    const gl = this.gl = this.canvas.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true });
    if (!gl) throw new Error("no WebGL");
    this.most = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, CORNERS], [gl.FRAGMENT_SHADER, DOTS]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    gl.bindVertexArray(gl.createVertexArray());
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.at = (name) => gl.getUniformLocation(program, name);
    ["values", "codes", "colours"].forEach((name, unit) => gl.uniform1i(this.at(name), unit));
    this.textures = new Map();
    this.tables = new Map();
  }

  texture(unit, format, kind, layout, columns, rows, data) {
    const { gl } = this;
    const made = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, made);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    gl.texImage2D(gl.TEXTURE_2D, 0, format, columns, rows, 0, layout, kind, data);
    return made;
  }

  /** Bring the lines that have changed to the graphics card. */
  upload(surface) {
    const { gl } = this;
    const { rows, columns, values, codes } = surface;
    let own = this.textures.get(surface);
    if (!own) {
      own = [this.texture(0, gl.R32F, gl.FLOAT, gl.RED, columns, rows, values),
        this.texture(1, gl.R8UI, gl.UNSIGNED_BYTE, gl.RED_INTEGER, columns, rows, codes)];
      this.textures.set(surface, own);
    }
    own.forEach((texture, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
    });
    const [first, last] = surface.changed;
    if (last <= first) return;
    const [from, to, high] = [first * columns, last * columns, last - first];
    gl.activeTexture(gl.TEXTURE0);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, first, columns, high, gl.RED, gl.FLOAT, values.subarray(from, to));
    gl.activeTexture(gl.TEXTURE1);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, first, columns, high, gl.RED_INTEGER, gl.UNSIGNED_BYTE, codes.subarray(from, to));
  }

  colours(table) {
    const { gl } = this;
    if (!this.tables.has(table)) {
      const padded = new Uint8Array(1024).fill(255);
      for (let at = 0; at < 256; at++) padded.set(table.subarray(3 * at, 3 * at + 3), 4 * at);
      this.tables.set(table, this.texture(2, gl.RGBA8, gl.UNSIGNED_BYTE, gl.RGBA, 256, 1, padded));
    }
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D, this.tables.get(table));
  }

  paint(context, whole, { table, low, high, unit, ground, dots }) {
    const { gl, canvas } = this;
    const { width, height } = context.canvas;
    const surface = whole.fit(width, height, (other) => this.drop(other));
    if (Math.max(surface.rows, surface.columns) > this.most || gl.isContextLost()) return new PlainPainter().paint(...arguments);
    // Never smaller: to size it anew takes longer than to paint.
    if (canvas.width < width) canvas.width = width;
    if (canvas.height < height) canvas.height = height;
    this.upload(surface);
    this.colours(table);
    gl.viewport(0, 0, width, height);
    gl.uniform2f(this.at("limits"), low, high);
    gl.uniform2f(this.at("size"), width, height);
    gl.uniform2i(this.at("extent"), surface.columns, surface.rows);
    gl.uniform1i(this.at("unit"), unit);
    gl.uniform3fv(this.at("ground"), ground.map((part) => part / 255));
    gl.uniform3fv(this.at("dots"), dots.map((part) => part / 255));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    context.drawImage(canvas, 0, canvas.height - height, width, height, 0, 0, width, height);
    surface.done();
    return true;
  }

  forget(surface) {
    this.drop(surface.shown);
  }

  drop(surface) {
    (this.textures.get(surface) ?? []).forEach((texture) => this.gl.deleteTexture(texture));
    this.textures.delete(surface);
  }
}

/** Paints dot by dot. */
class PlainPainter {
  paint(context, whole, { table, low, high, unit, ground, dots }) {
    const { width, height } = context.canvas;
    const surface = whole.fit(width, height, () => {});
    const image = context.createImageData(width, height);
    const scale = 1 / (high - low);
    for (let y = 0, to = 0; y < height; y++) {
      const line = Math.floor(y * surface.rows / height) * surface.columns;
      for (let x = 0; x < width; x++, to += 4) {
        const at = line + Math.floor(x * surface.columns / width);
        const code = surface.codes[at];
        let source = null, from = 0;
        if (code === ANSWERED) {
          const part = Math.min(Math.max((surface.values[at] - low) * scale, 0), 1);
          [source, from] = [table, 3 * Math.floor(part * 255 + 0.5)];
        } else {
          const lined = hatched(code, Math.floor(x / unit), Math.floor(y / unit));
          source = code === 0 ? (lined ? dots : ground) : lined ? [LINE, LINE, LINE] : [FACE, FACE, FACE];
        }
        image.data[to] = source[from];
        image.data[to + 1] = source[from + 1];
        image.data[to + 2] = source[from + 2];
        image.data[to + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
    surface.done();
    return true;
  }

  forget() {}
}

/** The best painter that this browser has. */
export function painter(plain = false) {
  if (plain) return new PlainPainter();
  try {
    return new GlPainter();
  } catch {
    return new PlainPainter();
  }
}
