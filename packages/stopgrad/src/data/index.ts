// The data sets an experiment file can name. Adding one: a file that exports a `Dataset`, and a line here.
import { cifar10, cifar100 } from "./cifar.js";
import type { Dataset } from "./dataset.js";
import { glyphs } from "./glyphs.js";
import { mnist } from "./mnist.js";

export * from "./dataset.js";
export { type DataEnvironment, dataDirectories } from "./locate.js";
export { classHistogram, subset, take } from "./subset.js";

export const datasets = { glyphs, mnist, cifar10, cifar100 } satisfies Record<string, Dataset>;
export type DatasetName = keyof typeof datasets;
