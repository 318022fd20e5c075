// The ten shapes of `glyphs`: letters and signs as strokes in a box from -1 to 1, y downwards. Paths use three words of
// SVG: M x y (start), L x y (line), C ax ay bx by x y (cubic Bézier curve). They share parts on purpose (a left stem, a
// peak, a bow), so that telling them apart takes how parts lie to each other, and no shape turns into another by the
// rotations and shears of glyphs.ts or by a flip.

interface GlyphShape {
  readonly name: string;
  readonly path: string;
}

const shapes: readonly GlyphShape[] = [
  { name: "A", path: "M -0.75 1 L 0 -1 L 0.75 1 M -0.45 0.3 L 0.45 0.3" },
  {
    name: "B",
    path: "M -0.6 1 L -0.6 -1 L 0.05 -1 C 0.7 -1 0.7 -0.05 0.05 -0.05 L -0.6 -0.05 M 0.05 -0.05 C 0.85 -0.05 0.85 1 0.05 1 L -0.6 1",
  },
  { name: "E", path: "M 0.6 -1 L -0.6 -1 L -0.6 1 L 0.6 1 M -0.6 0 L 0.4 0" },
  { name: "K", path: "M -0.6 -1 L -0.6 1 M 0.6 -1 L -0.6 0.15 M -0.2 -0.2 L 0.65 1" },
  { name: "R", path: "M -0.6 1 L -0.6 -1 L 0.1 -1 C 0.8 -1 0.8 0.1 0.1 0.1 L -0.6 0.1 M 0.05 0.1 L 0.65 1" },
  {
    name: "S",
    path: "M 0.6 -0.65 C 0.45 -1.1 -0.6 -1.15 -0.6 -0.5 C -0.6 0.1 0.65 -0.1 0.65 0.5 C 0.65 1.15 -0.5 1.1 -0.65 0.6",
  },
  { name: "arrow", path: "M 0 1 L 0 -1 M -0.7 -0.3 L 0 -1 L 0.7 -0.3" },
  {
    name: "heart",
    path: "M 0 1 C -0.4 0.55 -1 0.15 -1 -0.4 C -1 -1.05 -0.2 -1.05 0 -0.45 C 0.2 -1.05 1 -1.05 1 -0.4 C 1 0.15 0.4 0.55 0 1",
  },
  { name: "house", path: "M -0.9 -0.1 L 0 -1 L 0.9 -0.1 M -0.65 -0.3 L -0.65 0.95 L 0.65 0.95 L 0.65 -0.3" },
  {
    name: "star",
    path: "M 0 -1 L 0.6 0.85 L -0.97 -0.3 L 0.97 -0.3 L -0.6 0.85 L 0 -1",
  },
];

/** Straight pieces a curve is cut into: at 10 pixels a unit the error stays below a tenth of a pixel. */
const pieces = 7;

export const glyphNames: readonly string[] = shapes.map((shape) => shape.name);

/** Segments of each shape, `[count, 4]` row-major: x0 y0 x1 y1. */
export const glyphSegments: readonly Float64Array[] = shapes.map((shape) => flatten(shape.path));

function flatten(path: string): Float64Array {
  const out: number[] = [];
  let x = 0;
  let y = 0;
  for (const step of path.split(/ (?=[MLC])/)) {
    const numbers = step.slice(2).split(" ").map(Number);
    if (step.startsWith("M")) [x, y] = numbers as [number, number];
    else if (step.startsWith("L")) lineTo(...(numbers as [number, number]));
    else curveTo(...(numbers as [number, number, number, number, number, number]));
  }
  return Float64Array.from(out);

  function lineTo(toX: number, toY: number): void {
    out.push(x, y, toX, toY);
    x = toX;
    y = toY;
  }
  function curveTo(ax: number, ay: number, bx: number, by: number, ex: number, ey: number): void {
    const startX = x;
    const startY = y;
    for (let i = 1; i <= pieces; i++) {
      const t = i / pieces;
      const s = 1 - t;
      const w0 = s * s * s;
      const w1 = 3 * s * s * t;
      const w2 = 3 * s * t * t;
      const w3 = t * t * t;
      lineTo(w0 * startX + w1 * ax + w2 * bx + w3 * ex, w0 * startY + w1 * ay + w2 * by + w3 * ey);
    }
  }
}
