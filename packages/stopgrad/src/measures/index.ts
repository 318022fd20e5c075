// The measures an experiment file and `stopgrad measure` can name. Adding one: a file, and a line here.
import { hsic } from "./hsic.js";
import type { PairMeasure } from "./measure.js";
import { nhsic } from "./nhsic.js";

export { type BatchMean, batchMean, measurePairs, type PairResult } from "./batches.js";
export { MeasureError, type PairMeasure } from "./measure.js";

export const measures = { nhsic, hsic } satisfies Record<string, PairMeasure>;
export type MeasureName = keyof typeof measures;
