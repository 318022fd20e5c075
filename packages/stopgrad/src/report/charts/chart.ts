// What a chart of the report is, and which there are.
import type { TopLevelSpec } from "vega-lite";
import { familyFiles } from "../quantities.js";

export type ChartSpec = TopLevelSpec;

export interface Chart {
  /** File name without ending, kebab-case. */
  name: (typeof chartNames)[number] | `${typeof overEpochs}${string}`;
  title: string;
  /** What is drawn and how to read it, one to three sentences. */
  caption: string;
  spec: ChartSpec;
}

/** How the names of charts begin of which there is one for each measure that was taken at several times. */
export const overEpochs = "over-epochs-";

/** Every other name a chart of a report can have, in the order of the report. */
export const chartNames = [
  "information-plane",
  "nhsic-over-epochs",
  "learning-curves",
  "linear-separability",
  "information",
  ...familyFiles,
  "cost",
  "memory-of-modules",
] as const;
