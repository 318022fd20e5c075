// The data sets an experiment file can name. Adding one: a file that exports a `Dataset`, and a line here.
import { cifar10, cifar100 } from "./cifar.js";
import type { Dataset } from "./dataset.js";
import { folder } from "./folder.js";
import { glyphs } from "./glyphs.js";
import { mnist } from "./mnist.js";
import { stl10 } from "./stl10.js";
import { svhn } from "./svhn.js";

export * from "./dataset.js";
export { cacheDirectory, type DataEnvironment, dataDirectories } from "./locate.js";
export { classHistogram, subset, take } from "./subset.js";

export const datasets = { glyphs, mnist, cifar10, cifar100, svhn, stl10, folder } satisfies Record<string, Dataset>;
export type DatasetName = keyof typeof datasets;
