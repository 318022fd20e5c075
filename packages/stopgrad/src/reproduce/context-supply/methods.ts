// How the methods of arXiv 2312.07636 are named in its experiment files, and what is published of them.
//
// A variant is `<method>-k<modules>`, or `e2e`: `dgl-k16`, `contsup-r1e-contrast-decoder-k4`. A method is `greedy-sl`
// (one linear head), `dgl` (1c2f, no context: ContSup[R0]), `infopro` (with a decoder) or `contsup-<context>`; then the
// local loss where a file has both, `softmax` or `contrast`, and `decoder` where ContSup has one.
import type { Published } from "../paper.js";

/** K in most of the paper's tables. */
export const moduleCounts = [2, 4, 8, 16] as const;

/** The variant of a method cut into so many modules. */
export function cut(method: string, modules: number): string {
  return `${method}-k${modules}`;
}

/** All of these methods with all of these K; methods first. */
export function cuts(methods: readonly string[], modules: readonly number[]): string[] {
  return methods.flatMap((method) => modules.map((count) => cut(method, count)));
}

/** Test error in percent and its deviation over five runs. */
type Row = readonly [error: number, deviation: number];

interface Rows {
  readonly e2e: Row;
  /** Method → a row for each of `moduleCounts`. */
  readonly methods: { readonly [method: string]: readonly Row[] };
}

/** arXiv 2101.10832, table 2, as far as our networks go. */
const infoProTable2 = {
  "resnet32 cifar10": {
    e2e: [7.37, 0.1],
    methods: {
      "greedy-sl": [
        [10.3, 0.2],
        [16.07, 0.46],
        [21.19, 0.52],
        [24.59, 0.83],
      ],
      dgl: [
        [8.69, 0.12],
        [11.48, 0.2],
        [14.17, 0.28],
        [16.21, 0.36],
      ],
      "infopro-softmax": [
        [8.13, 0.23],
        [8.64, 0.25],
        [11.4, 0.18],
        [14.23, 0.42],
      ],
      "infopro-contrast": [
        [7.76, 0.12],
        [8.58, 0.17],
        [11.13, 0.19],
        [12.75, 0.11],
      ],
    },
  },
  "resnet110 cifar10": {
    e2e: [6.5, 0.34],
    methods: {
      "greedy-sl": [
        [8.21, 0.24],
        [13.16, 0.28],
        [15.61, 0.57],
        [18.92, 1.27],
      ],
      dgl: [
        [7.7, 0.28],
        [10.5, 0.11],
        [12.46, 0.37],
        [13.8, 0.15],
      ],
      "infopro-softmax": [
        [7.01, 0.34],
        [7.96, 0.06],
        [9.4, 0.27],
        [10.78, 0.28],
      ],
      "infopro-contrast": [
        [6.42, 0.08],
        [7.3, 0.14],
        [8.93, 0.4],
        [9.9, 0.19],
      ],
    },
  },
  "resnet110 svhn": {
    e2e: [3.07, 0.23],
    methods: {
      "greedy-sl": [
        [3.71, 0.16],
        [5.39, 0.22],
        [5.75, 0.1],
        [6.37, 0.42],
      ],
      dgl: [
        [3.61, 0.16],
        [4.97, 0.19],
        [5.35, 0.13],
        [5.55, 0.34],
      ],
      "infopro-softmax": [
        [3.41, 0.08],
        [3.72, 0.03],
        [4.67, 0.07],
        [5.14, 0.08],
      ],
      "infopro-contrast": [
        [3.15, 0.03],
        [3.28, 0.11],
        [3.62, 0.11],
        [3.91, 0.16],
      ],
    },
  },
  "resnet110 stl10": {
    e2e: [22.27, 1.61],
    methods: {
      "greedy-sl": [
        [25.56, 1.37],
        [27.97, 0.75],
        [29.07, 0.76],
        [30.38, 0.39],
      ],
      dgl: [
        [24.96, 1.18],
        [26.77, 0.64],
        [27.33, 0.24],
        [27.73, 0.58],
      ],
      "infopro-softmax": [
        [21.02, 0.51],
        [21.28, 0.27],
        [23.6, 0.49],
        [26.05, 0.71],
      ],
      "infopro-contrast": [
        [20.99, 0.64],
        [22.73, 0.4],
        [25.15, 0.52],
        [26.27, 0.48],
      ],
    },
  },
} as const satisfies Record<string, Rows>;

/** InfoPro* on ResNet-110 and CIFAR-10, batch 1024: modules of equal memory. */
const infoProBalanced = { 2: [6.41, 0.13], 3: [6.74, 0.12], 4: [6.93, 0.2] } as const;

type PublishedVariants = { readonly [variant: string]: Published };

/**
 * Accuracies that are published for a network on a data set.
 * @param variants - those that are wanted; what is not known of them is left out
 */
export function publishedOf(setting: keyof typeof infoProTable2, variants: readonly string[]): PublishedVariants {
  const { e2e, methods }: Rows = infoProTable2[setting];
  const rows = Object.entries(methods).flatMap(([method, list]) =>
    list.map((row, at) => [cut(method, moduleCounts[at]!), accuracy(row)] as const),
  );
  const all = new Map<string, Published>([["e2e", accuracy(e2e)], ...rows]);
  return Object.fromEntries(
    variants.flatMap((variant) => {
      const found = all.get(variant);
      return found === undefined ? [] : [[variant, found]];
    }),
  );
}

/** Of memory-balanced ResNet-110 on CIFAR-10. @param infoPro - what the file calls InfoPro */
export function publishedBalanced(infoPro: string): PublishedVariants {
  const rows = Object.entries(infoProBalanced).map(([modules, row]) => [cut(infoPro, Number(modules)), accuracy(row)]);
  return Object.fromEntries([["e2e", accuracy(infoProTable2["resnet110 cifar10"].e2e)], ...rows]);
}

/** Rounded to what is published, so that 1 − 0.1621 is 0.8379 and nothing beside it. */
function accuracy([error, deviation]: Row): Published {
  return { mean: Math.round(1e4 - 100 * error) / 1e4, std: Math.round(100 * deviation) / 1e4 };
}
