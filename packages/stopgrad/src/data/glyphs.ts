// `glyphs`: ten letters and signs drawn from a seed, for demos and tests without a download. Small enough to draw in a
// second, hard enough to tell rules apart: ink may be brighter or darker than the ground, place, size and slant vary,
// and the colour form adds a shaded ground and stray strokes, so that no single pixel says anything about the class
// and a linear classifier stays far below a convolutional network (figures in docs/data.md).
//
// An image is a function of (seed, split, index) alone: a prefix never changes, and train and test share no stream.
// Only +, -, ×, ÷ and square roots are used, which IEEE 754 fixes to the last bit, so every platform draws the same.
import { z } from "zod";
import type { Dataset, DatasetOptions, ImageSet, ImageShape } from "./dataset.js";
import { glyphNames, glyphSegments } from "./glyph-shapes.js";
import { Sfc32 } from "./sfc32.js";

const options = z.strictObject({
  /** 32x32 in colour with clutter, or 28x28 in grey with little. */
  colour: z.boolean().default(true),
  /** Another seed draws other images of the same kind. */
  seed: z.int().min(0).max(0xffffffff).default(0),
});

const trainCount = 60_000;
const testCount = 10_000;

/** How one form is drawn. Lengths in pixels, brightness in [0, 1], angles as tangents. */
interface Form {
  readonly channels: 1 | 3;
  readonly size: number;
  /** Half the height of an upright glyph, lowest and highest. */
  readonly halfHeight: readonly [number, number];
  /** Width over height, lowest and highest. */
  readonly aspect: readonly [number, number];
  /** Largest tangent of half the rotation. */
  readonly halfTurn: number;
  readonly shear: number;
  readonly shift: number;
  /** Half the stroke's width, lowest and highest. */
  readonly halfStroke: readonly [number, number];
  /** Brightness of ink less that of the ground, lowest and highest; the sign is drawn. */
  readonly contrast: readonly [number, number];
  /** Largest difference of a colour channel from the brightness. */
  readonly chroma: number;
  /** Largest difference of brightness across the ground. */
  readonly shade: number;
  /** Stray strokes behind the glyph, fewest and most. */
  readonly strays: readonly [number, number];
  /** Largest brightness of a stray stroke less that of the ground. */
  readonly strayContrast: number;
  /** Stray strokes in the glyph's own ink, most (fewest is 0). */
  readonly inkStrays: number;
  /** Standard deviation of the noise of each pixel and channel, of 255. */
  readonly noise: number;
  /** Of pixel / 255, measured over the first 10,000 training images of seed 0 (channels are alike by construction). */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const grey: Form = {
  channels: 1,
  size: 28,
  halfHeight: [5.5, 10],
  aspect: [0.75, 1.1],
  halfTurn: 0.27,
  shear: 0.25,
  shift: 3.5,
  halfStroke: [0.7, 1.5],
  contrast: [0.18, 0.6],
  chroma: 0,
  shade: 0.1,
  strays: [1, 3],
  strayContrast: 0.25,
  inkStrays: 2,
  noise: 14,
  mean: [0.4984],
  std: [0.2184],
};

const colour: Form = {
  channels: 3,
  size: 32,
  halfHeight: [6.5, 11],
  aspect: [0.75, 1.1],
  halfTurn: 0.27,
  shear: 0.25,
  shift: 4,
  halfStroke: [0.8, 1.7],
  contrast: [0.2, 0.6],
  chroma: 0.25,
  shade: 0.2,
  strays: [2, 5],
  strayContrast: 0.25,
  inkStrays: 1,
  noise: 14,
  mean: [0.4985, 0.4985, 0.4985],
  std: [0.2414, 0.2414, 0.2414],
};

export const glyphs: Dataset = {
  summary: "ten letters and signs drawn from a seed: 32x32 colour with clutter, or 28x28 grey",
  source: "drawn by stopgrad",
  options,
  shape: (given) => shapeOf(formOf(given)),
  classes: () => glyphNames.length,
  trainCount: () => trainCount,
  testCount: () => testCount,
  load: async (given, context) => {
    const { seed } = options.parse(given);
    const form = formOf(given);
    return {
      name: "glyphs",
      train: drawGlyphs(form, seed, 0, Math.min(context.train ?? trainCount, trainCount)),
      test: drawGlyphs(form, seed, 1, Math.min(context.test ?? testCount, testCount)),
      shape: shapeOf(form),
      classes: glyphNames.length,
      classNames: glyphNames,
      mean: form.mean,
      std: form.std,
      readFrom: null,
    };
  },
};

function formOf(given: DatasetOptions): Form {
  return options.parse(given).colour ? colour : grey;
}

function shapeOf(form: Form): ImageShape {
  return [form.channels, form.size, form.size];
}

/** The first `count` images of a split. Labels come in blocks that hold each class once, in an order of their own. */
function drawGlyphs(form: Form, seed: number, split: 0 | 1, count: number): ImageSet {
  const classes = glyphNames.length;
  const pixels = form.channels * form.size * form.size;
  const images = new Uint8Array(count * pixels);
  const labels = new Uint8Array(count);
  const canvas = new Canvas(form.channels, form.size);
  let order: number[] = [];
  for (let i = 0; i < count; i++) {
    const place = i % classes;
    if (place === 0) order = new Sfc32(seed, split, i / classes, 1).permutation(classes);
    const label = order[place]!;
    labels[i] = label;
    const random = new Sfc32(seed, split, i, 0);
    drawImage(canvas, form, glyphSegments[label]!, random);
    canvas.quantise(images, i * pixels, form.noise, random);
  }
  return { images, labels, count };
}

function drawImage(canvas: Canvas, form: Form, glyph: Float64Array, random: Sfc32): void {
  const { size } = form;
  const groundBrightness = random.uniform(0.15, 0.85);
  const shade = random.uniform(-form.shade, form.shade);
  const ground = tint(form, groundBrightness - shade / 2, random);
  const farGround = tint(form, groundBrightness + shade / 2, random);
  canvas.fill(ground, farGround, random.uniform(-1, 1), random.uniform(-1, 1));

  const strays = form.strays[0] + random.integer(form.strays[1] - form.strays[0] + 1);
  for (let i = 0; i < strays; i++) {
    const brightness = groundBrightness + random.uniform(-form.strayContrast, form.strayContrast);
    const colour = tint(form, brightness, random);
    canvas.stroke(strayStroke(size, random), colour, between(form.halfStroke, random));
  }

  // Ink leaves the ground by at least the lowest contrast; where one side has no room it takes the other.
  const contrast = between(form.contrast, random);
  const brighter = random.integer(2) === 1 ? groundBrightness + contrast <= 1 : groundBrightness - contrast < 0;
  const ink = tint(form, groundBrightness + (brighter ? contrast : -contrast), random);
  for (let left = random.integer(form.inkStrays + 1); left > 0; left--) {
    canvas.stroke(strayStroke(size, random), ink, between(form.halfStroke, random));
  }
  canvas.stroke(place(glyph, form, random), ink, between(form.halfStroke, random));
}

/** A colour of about this brightness: each channel differs from it by at most `form.chroma`. */
function tint(form: Form, brightness: number, random: Sfc32): number[] {
  return Array.from({ length: form.channels }, () => brightness + random.uniform(-form.chroma, form.chroma));
}

/** The glyph's segments in pixels after a random shear, stretch, rotation and shift. */
function place(glyph: Float64Array, form: Form, random: Sfc32): Float64Array {
  const t = random.uniform(-form.halfTurn, form.halfTurn);
  const cos = (1 - t * t) / (1 + t * t); // t is the tangent of half the angle
  const sin = (2 * t) / (1 + t * t);
  const height = between(form.halfHeight, random);
  const width = height * between(form.aspect, random);
  const shear = random.uniform(-form.shear, form.shear);
  const centreX = form.size / 2 + random.uniform(-form.shift, form.shift);
  const centreY = form.size / 2 + random.uniform(-form.shift, form.shift);
  const placed = new Float64Array(glyph.length);
  for (let i = 0; i < glyph.length; i += 2) {
    const x = (glyph[i]! + shear * glyph[i + 1]!) * width;
    const y = glyph[i + 1]! * height;
    placed[i] = centreX + cos * x - sin * y;
    placed[i + 1] = centreY + sin * x + cos * y;
  }
  return placed;
}

/** A short curve somewhere in the image, as four segments. */
function strayStroke(size: number, random: Sfc32): Float64Array {
  const reach = size * 0.4;
  const x0 = random.uniform(0, size);
  const y0 = random.uniform(0, size);
  const x2 = x0 + random.uniform(-reach, reach);
  const y2 = y0 + random.uniform(-reach, reach);
  const x1 = (x0 + x2) / 2 + random.uniform(-reach, reach) / 2;
  const y1 = (y0 + y2) / 2 + random.uniform(-reach, reach) / 2;
  const out = new Float64Array(16);
  let x = x0;
  let y = y0;
  for (let i = 0; i < 4; i++) {
    const t = (i + 1) / 4;
    const s = 1 - t;
    out[4 * i] = x;
    out[4 * i + 1] = y;
    x = s * s * x0 + 2 * s * t * x1 + t * t * x2;
    y = s * s * y0 + 2 * s * t * y1 + t * t * y2;
    out[4 * i + 2] = x;
    out[4 * i + 3] = y;
  }
  return out;
}

function between(range: readonly [number, number], random: Sfc32): number {
  return random.uniform(range[0], range[1]);
}

/** Colour planes in floating point, and strokes drawn on them without jagged edges. */
class Canvas {
  /** `[C, S, S]` */
  readonly #planes: Float64Array;
  /** `[S, S]`, share of each pixel that the stroke being drawn covers; all 0 between strokes. */
  readonly #coverage: Float64Array;
  readonly #channels: number;
  readonly #size: number;

  constructor(channels: number, size: number) {
    this.#channels = channels;
    this.#size = size;
    this.#planes = new Float64Array(channels * size * size);
    this.#coverage = new Float64Array(size * size);
  }

  /** A ground that goes from `near` to `far` along (dx, dy). */
  fill(near: readonly number[], far: readonly number[], dx: number, dy: number): void {
    const size = this.#size;
    const planes = this.#planes;
    const stepX = dx / (2 * size);
    const stepY = dy / (2 * size);
    for (let c = 0, at = 0; c < this.#channels; c++) {
      const from = near[c]!;
      const by = far[c]! - from;
      for (let y = 0; y < size; y++) {
        const row = from + by * (0.5 + (y - size / 2) * stepY - (size / 2) * stepX);
        for (let x = 0; x < size; x++, at++) planes[at] = row + by * x * stepX;
      }
    }
  }

  /**
   * One stroke of one colour along all segments, round ends: a pixel is covered by how far its centre lies inside.
   *
   * @param segments - `[n, 4]`: x0 y0 x1 y1 in pixels, pixel centres at .5
   * @param halfWidth - in pixels, at least 0.5
   */
  stroke(segments: Float64Array, colour: readonly number[], halfWidth: number): void {
    const size = this.#size;
    const coverage = this.#coverage;
    const outer = halfWidth + 0.5;
    const innerSquare = (halfWidth - 0.5) * (halfWidth - 0.5);
    const outerSquare = outer * outer;
    let left = size;
    let right = -1;
    let top = size;
    let bottom = -1;
    for (let i = 0; i < segments.length; i += 4) {
      const x0 = segments[i]!;
      const y0 = segments[i + 1]!;
      const dx = segments[i + 2]! - x0;
      const dy = segments[i + 3]! - y0;
      const squareLength = dx * dx + dy * dy;
      const fromX = Math.max(0, Math.floor(Math.min(x0, x0 + dx) - outer));
      const toX = Math.min(size - 1, Math.floor(Math.max(x0, x0 + dx) + outer));
      const fromY = Math.max(0, Math.floor(Math.min(y0, y0 + dy) - outer));
      const toY = Math.min(size - 1, Math.floor(Math.max(y0, y0 + dy) + outer));
      for (let y = fromY; y <= toY; y++) {
        const py = y + 0.5 - y0;
        for (let x = fromX; x <= toX; x++) {
          const px = x + 0.5 - x0;
          let along = squareLength > 0 ? (px * dx + py * dy) / squareLength : 0;
          along = Math.max(0, Math.min(1, along));
          const awayX = px - along * dx;
          const awayY = py - along * dy;
          const square = awayX * awayX + awayY * awayY;
          if (square >= outerSquare) continue;
          const covered = square <= innerSquare ? 1 : outer - Math.sqrt(square);
          const at = y * size + x;
          if (covered > coverage[at]!) coverage[at] = covered;
        }
      }
      left = Math.min(left, fromX);
      right = Math.max(right, toX);
      top = Math.min(top, fromY);
      bottom = Math.max(bottom, toY);
    }
    const planes = this.#planes;
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const at = y * size + x;
        const covered = coverage[at]!;
        if (covered === 0) continue;
        coverage[at] = 0;
        for (let c = 0; c < this.#channels; c++) {
          const cell = c * size * size + at;
          planes[cell] = planes[cell]! + covered * (colour[c]! - planes[cell]!);
        }
      }
    }
  }

  /** Adds noise (the sum of a draw's four bytes, nearly normal) and writes 0 … 255 into `out` from `offset`. */
  quantise(out: Uint8Array, offset: number, noise: number, random: Sfc32): void {
    const planes = this.#planes;
    const scale = noise / 147.8; // standard deviation of the sum of four uniform bytes
    const shift = 0.5 - 510 * scale; // 510 is its mean
    for (let i = 0; i < planes.length; i++) {
      const bits = random.next();
      const sum = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24);
      const value = Math.floor(255 * planes[i]! + scale * sum + shift);
      out[offset + i] = Math.max(0, Math.min(255, value));
    }
  }
}
