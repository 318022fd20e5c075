// Paths through the information plane: a panel a stage and variant. Epochs by viridis without its palest end.
import { arrows, type BandPoint, band, domain, type Panel, type PathPoint, path, thin } from "../chart-data.js";
import { type Comparison, planeBatch, trajectory, type Variant } from "../comparison.js";
import { joinWords } from "../format.js";
import type { Chart } from "./chart.js";
import { colourOf } from "./colours.js";
import { epochsSentence } from "./curves.js";
import { grid, pageWidth, titleText, topLevel } from "./look.js";
import { limitPoints, positionAxis, significant, splitEvenly } from "./numbers.js";
import { isPlane, measured } from "./plane.js";

/** Viridis from dark violet to yellow-green: later is lighter. */
const epochColours = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30"];

/** An arrowhead with a notch, pointing up: its direction is plain at any angle, a triangle's is not. */
const arrowhead = "M0,-1.1L0.8,1L0,0.5L-0.8,1Z";

/** A panel a stage and variant: the mean path over seeds, epoch as colour; null where nHSIC was not measured. */
export function informationPlaneChart(comparison: Comparison): Chart | null {
  const variants = comparison.variants.filter((variant) => comparison.stages.some((stage) => measured(variant, stage)));
  const { stages } = comparison;
  if (variants.length === 0 || stages.length === 0) return null;

  const bands = splitEvenly(stages, 6);
  const perBand = bands[0]!.length;
  const width = Math.max(110, Math.min(230, Math.floor(pageWidth / perBand) - 36));
  const height = Math.round(Math.max(105, Math.min(165, 0.8 * width)));
  const pointsPerPath = limitPoints(variants.length * stages.length, 8000, 30, 150);
  const lastEpoch = Math.max(
    ...variants.flatMap((variant) =>
      variant.drawn.flatMap((run) => run.metrics.filter(isPlane).map((point) => point.epoch)),
    ),
  );
  const severalSeeds = variants.some((variant) => variant.drawn.length > 1);
  const subtitles = new Map(
    variants.map((variant) => [variant, wrap(variant.label, Math.floor(width / 6.2)).map(titleText)]),
  );
  const lines = Math.max(...[...subtitles.values()].map((text) => text.length));

  const rows = bands.map((bandStages) => {
    const panels = variants.map(() => [] as object[]);
    bandStages.forEach((stage, column) => {
      const drawn = variants.map((variant) => planePaths(variant, stage, pointsPerPath));
      const everything = drawn.flatMap(({ mean, seeds }) => [...mean, ...seeds.flat()]);
      const panel: Panel = {
        width,
        height,
        xDomain: domain(everything.map((point) => point.x)),
        yDomain: domain(everything.map((point) => point.y)),
      };
      variants.forEach((variant, row) => {
        const title = {
          text: titleText(stage),
          subtitle: pad(subtitles.get(variant)!, lines),
          subtitleColor: colourOf(comparison, variant),
        };
        panels[row]!.push(
          planePanel(drawn[row]!, panel, {
            title,
            lastEpoch,
            xTitle: row === variants.length - 1 ? "nHSIC(X,Z)" : null,
            yTitle: column === 0 ? "nHSIC(Y,Z)" : null,
          }),
        );
      });
    });
    return grid(panels.flat(), bandStages.length, { color: "shared" });
  });
  const batches = [...new Set(variants.map(planeBatch).filter((batch) => batch !== null))];
  return {
    name: "information-plane",
    title: "Paths through the information plane",
    caption:
      "A panel for each stage (in network order) and variant. Each dot is one measurement, coloured by epoch; the open " +
      "circle is the untrained network, arrowheads show the direction of training." +
      (severalSeeds ? " Dots: mean over seeds; thin lines: single seeds." : "") +
      (batches.length > 0 ? ` nHSIC on mini-batches of m = ${joinWords(batches.map(String))}.` : "") +
      " Ranges are equal for one stage over variants and differ between stages." +
      epochsSentence(variants),
    spec: topLevel(rows, { color: "shared" }),
  };
}

interface PlanePaths {
  mean: PathPoint[];
  seeds: PathPoint[][];
}

function planePaths(variant: Variant, stage: string, limit: number): PlanePaths {
  const over = (key: string) => variant.drawn.map((run) => trajectory(run, key, stage));
  const asTrajectory = (points: readonly BandPoint[]) => points.map(({ epoch, mean }) => ({ epoch, value: mean }));
  const xs = over("nhsicXZ");
  const ys = over("nhsicYZ");
  const seeds = xs.map((x, index) => path(x, ys[index]!)).filter((points) => points.length > 0);
  return {
    mean: thin(path(asTrajectory(band(xs)), asTrajectory(band(ys))), limit),
    seeds: seeds.length > 1 && seeds.length <= 10 ? seeds.map((points) => thin(points, limit)) : [],
  };
}

function planePanel(
  paths: PlanePaths,
  panel: Panel,
  options: { title: object; lastEpoch: number; xTitle: string | null; yTitle: string | null },
): object {
  const x = positionAxis("x", panel.xDomain, panel.width, 4, options.xTitle);
  const y = positionAxis("y", panel.yDomain, panel.height, 4, options.yTitle);
  const order = { field: "epoch", type: "quantitative" };
  const points = paths.mean.map(rounded);
  const color = {
    field: "epoch",
    type: "quantitative",
    // The square root gives the first epochs, where most happens, more of the colours.
    scale: { type: "sqrt", domain: [0, options.lastEpoch || 1], range: epochColours },
    legend: { title: "epoch", orient: "top", direction: "horizontal", gradientLength: 260, tickCount: 6 },
  };
  const layers: object[] = [];
  if (paths.seeds.length > 0) {
    layers.push({
      data: { values: paths.seeds.flatMap((seed, index) => seed.map((point) => ({ ...rounded(point), seed: index }))) },
      mark: { type: "line", color: "#bbbbbb", strokeWidth: 0.7 },
      encoding: { x, y, order, detail: { field: "seed" } },
    });
  }
  layers.push(
    { data: { values: points }, mark: { type: "line", color: "#777777", strokeWidth: 1.1 }, encoding: { x, y, order } },
    {
      data: { values: points },
      mark: { type: "circle", size: 22, opacity: 1 },
      encoding: {
        x,
        y,
        color,
        tooltip: [
          { field: "epoch", title: "epoch", format: ".4~g" },
          { field: "x", title: "nHSIC(X,Z)", format: ".2f" },
          { field: "y", title: "nHSIC(Y,Z)", format: ".3f" },
        ],
      },
    },
    {
      data: { values: arrows(paths.mean, panel).map((arrow) => ({ ...rounded(arrow), angle: arrow.angle })) },
      mark: { type: "point", shape: arrowhead, filled: true, size: 120, stroke: "white", strokeWidth: 0.7, opacity: 1 },
      encoding: { x, y, color, angle: { field: "angle", type: "quantitative", scale: null } },
    },
    {
      data: { values: points.slice(0, 1) },
      mark: {
        type: "point",
        shape: "circle",
        filled: true,
        opacity: 1,
        fill: "white",
        stroke: "#222222",
        strokeWidth: 1.5,
        size: 50,
      },
      encoding: { x, y },
    },
  );
  return { title: options.title, width: panel.width, height: panel.height, layer: layers };
}

function rounded({ epoch, x, y }: PathPoint): PathPoint {
  return { epoch: significant(epoch), x: significant(x), y: significant(y) };
}

/** Lines of at most `limit` characters, broken at spaces where there are any. */
function wrap(text: string, limit: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).flatMap((long) => chunks(long, limit))) {
    if (line !== "" && line.length + 1 + word.length > limit) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function chunks(word: string, size: number): string[] {
  return word.length <= size ? [word] : [word.slice(0, size), ...chunks(word.slice(size), size)];
}

function pad(lines: readonly string[], length: number): string[] {
  return [...lines, ...Array.from({ length: length - lines.length }, () => " ")];
}
