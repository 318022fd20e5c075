// What a loss gets of one module: made up, in any size and type.
import { type DType, Generator, noGrad, randn, type Tensor, tensor } from "@stopgrad/torch";
import type { LocalLoss, LocalLossInput } from "../../src/losses/index.js";

export type Options = Readonly<Record<string, unknown>>;

export const int64 = (values: readonly number[]) => tensor(BigInt64Array.from(values, BigInt));
export const float64 = (values: readonly number[][]) => tensor(values, { dtype: "float64" });

/** The fields that matter to a test; the others are what a module without head, signals and views has. */
export function given(fields: Partial<LocalLossInput> & { output: Tensor; labels: Tensor }): LocalLossInput {
  const { output } = fields;
  return { classes: 4, views: 1, hidden: output, images: output, signals: null, own: null, ...fields };
}

export interface Setup {
  labels: readonly number[];
  classes: number;
  /** Of the module's output without the batch; `[classes]` for losses on class scores. */
  shape: readonly number[];
  dtype?: DType;
  seed?: number;
}

/** Normal features, images and signals for any loss, and what it makes for itself with weights that are not 0. */
export function inputFor(loss: LocalLoss, options: Options, setup: Setup): LocalLossInput {
  const { labels, classes, dtype = "float64", seed = 3 } = setup;
  const shape = loss.outputs === "classes" ? [classes] : setup.shape;
  const generator = new Generator(seed);
  const views = loss.views?.(options) ?? 1;
  const normal = (rows: number, of: readonly number[]) => randn([rows, ...of], { generator, dtype });
  const count = labels.length;
  const own = loss.create?.(options, { shape, classes, outputs: loss.outputs, generator }) ?? null;
  own?.to(dtype as "float64");
  noGrad(() => {
    for (const parameter of own?.parameters() ?? []) parameter.copy_(normal(1, parameter.shape).squeeze(0));
  });
  const output = normal(views * count, shape);
  return {
    output,
    hidden: output,
    labels: int64(labels),
    classes,
    views,
    images: normal(views * count, [2, 3, 3]),
    signals: loss.propagatesLabels ? { input: normal(count, [5]), output: normal(count, shape) } : null,
    own,
  };
}

/** The same with another output, which is also what the module gave. */
export function withOutput(input: LocalLossInput, output: Tensor): LocalLossInput {
  return { ...input, output, hidden: output };
}

/** Derivatives by central differences, one for each number of `at`. */
export function differences(values: readonly number[], step: number, value: (moved: Float64Array) => number): number[] {
  return values.map((_, at) => {
    const [up, down] = [step, -step].map((change) => {
      const moved = Float64Array.from(values);
      moved[at]! += change;
      return value(moved);
    });
    return (up! - down!) / (2 * step);
  });
}
