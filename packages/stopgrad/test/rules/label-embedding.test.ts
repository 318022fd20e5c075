// Labels in images, by hand: 2x2 images of two channels, three classes, five training images.
import "../support/one-thread.js";
import { Generator, memory, scope, stack, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import {
  createLabelEmbedding,
  embeddedShape,
  type LabelEmbeddingName,
  labelEmbeddings,
  mixesFeatures,
  negativeLabels,
} from "../../src/rules/label-embedding.js";
import type { TrainingData } from "../../src/rules/rule.js";

const int64 = (values: number[], shape = [values.length]) => tensor(BigInt64Array.from(values, BigInt), { shape });

/** Pixel p of channel c of image i is 10 i + 4 c + p; normalised it is half of that, less 1. */
const pixel = (i: number, c: number, p: number) => 10 * i + 4 * c + p;
const seen = (i: number, c: number, p: number) => pixel(i, c, p) / 2 - 1;
/** Class 0: images 1 and 4; class 1: image 2; class 2: images 0 and 3. */
const LABELS = [2, 0, 1, 2, 0];
const FIRST = [1, 2, 0];
const OF_CLASS = [[1, 4], [2], [0, 3]];

function training(labels = LABELS): TrainingData {
  const pixels = labels.flatMap((_, i) => [0, 1].flatMap((c) => [0, 1, 2, 3].map((p) => pixel(i, c, p))));
  return {
    set: {
      images: tensor(Uint8Array.from(pixels), { shape: [labels.length, 2, 2, 2] }),
      labels: int64(labels),
      count: labels.length,
    },
    normalisation: {
      scale: tensor([[[[0.5]], [[0.5]]]]),
      shift: tensor([[[[-1]], [[-1]]]]),
    },
    batch: 2, // the five images come in three parts
    scratch: "",
  };
}

const make = (name: LabelEmbeddingName, generator = new Generator(1)) =>
  createLabelEmbedding(name, { training: training(), classes: 3, generator });

/** Two images of 2x2x2, −1 to 0.5 and 3 to 4.5. */
const X = [0, 1].map((n) => [0, 1].map((c) => [0, 1, 2, 3].map((p) => 4 * n + 0.25 * (4 * c + p) - 1)));
const batch = () => tensor(Float32Array.from(X.flat(2)), { shape: [2, 2, 2, 2] });
const rowsOf = (values: Tensor) => values.flatten(1).toNested() as number[][];

/** By hand: what image n looks like with label y, its channels' pixels flat. */
type Written = (n: number, y: number) => number[];
const mapped = (of: (n: number, c: number, p: number, y: number) => number): Written => {
  return (n, y) => [0, 1].flatMap((c) => [0, 1, 2, 3].map((p) => of(n, c, p, y)));
};
const meanOf = (y: number, c: number, p: number) =>
  OF_CLASS[y]!.reduce((sum, i) => sum + seen(i, c, p), 0) / OF_CLASS[y]!.length;
const exampleOf = (y: number, c: number, p: number) => seen(FIRST[y]!, c, p);
const x = (n: number, c: number, p: number) => X[n]![c]![p]!;
const beside = (of: (y: number, c: number, p: number) => number): Written => {
  return (n, y) => [...mapped(x)(n, y), ...mapped((_, c, p) => of(y, c, p))(n, y)];
};
const byHand: Partial<Record<LabelEmbeddingName, Written>> = {
  "average-subtraction": mapped((n, c, p, y) => x(n, c, p) - meanOf(y, c, p)),
  "average-mixture": mapped((n, c, p, y) => (x(n, c, p) + meanOf(y, c, p)) / 2),
  "average-2channel": beside(meanOf),
  "fixed-example-subtraction": mapped((n, c, p, y) => x(n, c, p) - exampleOf(y, c, p)),
  "fixed-example-mixture": mapped((n, c, p, y) => (x(n, c, p) + exampleOf(y, c, p)) / 2),
  "fixed-example-2channel": beside(exampleOf),
};

/** Group by group: right labels 0 and 2, wrong ones 1 and 0. */
const GROUPS = [
  [0, 2],
  [1, 0],
];

describe("each way, by hand", () => {
  test.each(Object.entries(byHand))("%s", (name, written) => {
    scope(() => {
      const embedding = make(name as LabelEmbeddingName);
      const shape = embeddedShape(name as LabelEmbeddingName, [2, 2, 2]);
      const mixed = embedding.mix(batch(), embedding.forStep(batch(), int64(GROUPS.flat(), [2, 2])));
      expect(mixed.shape).toEqual([4, ...shape]);
      expect(rowsOf(mixed)).toEqual(GROUPS.flatMap((labels) => labels.map((y, n) => written(n, y))));

      const all = embedding.mix(batch(), embedding.forPrediction());
      expect(rowsOf(all)).toEqual([0, 1, 2].flatMap((y) => [0, 1].map((n) => written(n, y))));
      embedding.dispose();
    });
  });

  test("top-left: K pixels of each channel are 0, the label's is the batch's brightest; at prediction the set's", () => {
    scope(() => {
      const embedding = make("top-left");
      const written = (brightest: number) => mapped((n, c, p, y) => (p < 3 ? (p === y ? brightest : 0) : x(n, c, p)));
      const mixed = embedding.mix(batch(), embedding.forStep(batch(), int64(GROUPS.flat(), [2, 2])));
      expect(mixed.shape).toEqual([4, 2, 2, 2]);
      expect(rowsOf(mixed)).toEqual(GROUPS.flatMap((labels) => labels.map((y, n) => written(4.75)(n, y))));
      const all = embedding.mix(batch(), embedding.forPrediction());
      expect(rowsOf(all)).toEqual([0, 1, 2].flatMap((y) => [0, 1].map((n) => written(seen(4, 1, 3))(n, y))));
      embedding.dispose();
    });
  });

  test("the images themselves are not written into", () => {
    scope(() => {
      for (const name of labelEmbeddings) {
        const images = batch();
        const embedding = make(name);
        embedding.mix(images, embedding.forStep(images, int64([1, 1], [1, 2])));
        expect(images.flatten().toNumbers(), name).toEqual(X.flat(2));
        embedding.dispose();
      }
    });
  });

  test("a neutral label is the mean over classes", () => {
    scope(() => {
      for (const name of ["average-subtraction", "random-example-subtraction"] as const) {
        const embedding = make(name);
        const of = name === "average-subtraction" ? meanOf : exampleOf;
        const mixed = embedding.mix(batch(), embedding.neutral());
        expect(mixed.shape).toEqual([2, 2, 2, 2]);
        const expected = mapped((n, c, p) => x(n, c, p) - [0, 1, 2].reduce((sum, y) => sum + of(y, c, p), 0) / 3);
        for (const [n, row] of rowsOf(mixed).entries()) {
          for (const [at, value] of row.entries()) expect(value).toBeCloseTo(expected(n, 0)[at]!, 5);
        }
        embedding.dispose();
      }
      const pixels = make("top-left");
      const row = rowsOf(pixels.mix(batch(), pixels.neutral()))[0]!;
      for (const p of [0, 1, 2]) expect(row[p]).toBeCloseTo(seen(4, 1, 3) / 3, 5);
      expect(row[3]).toBe(x(0, 0, 3));
      pixels.dispose();
    });
  });
});

describe("random examples", () => {
  test("are training images of the class, all of them in time, drawn anew for each row and step", () => {
    scope(() => {
      const embedding = make("random-example-2channel");
      const labels = [0, 1, 2, 0, 2, 1, 0, 2];
      const images = batch().repeat([4, 1, 1, 1]);
      const found = new Map<number, Set<number>>();
      for (let step = 0; step < 12; step++) {
        const mixed = embedding.mix(images, embedding.forStep(images, int64(labels, [1, 8])));
        expect(mixed.shape).toEqual([8, 4, 2, 2]);
        for (const [row, values] of rowsOf(mixed).entries()) {
          const image = (values[8]! + 1) / 5; // its first pixel is 10 i
          expect(values.slice(8)).toEqual(mapped((_, c, p) => seen(image, c, p))(0, 0));
          const label = labels[row]!;
          found.set(label, (found.get(label) ?? new Set()).add(image));
        }
      }
      expect([0, 1, 2].map((label) => [...found.get(label)!].sort())).toEqual(OF_CLASS);
      embedding.dispose();
    });
  });

  test("are decided by the generator, and at prediction are each class's first", () => {
    scope(() => {
      const drawn = (seed: number) => {
        const embedding = make("random-example-mixture", new Generator(seed));
        const images = batch().repeat([8, 1, 1, 1]);
        const labels = int64(Array<number>(16).fill(2), [1, 16]);
        const first = rowsOf(embedding.mix(batch(), embedding.forPrediction()));
        const steps = [0, 1].map(() => rowsOf(embedding.mix(images, embedding.forStep(images, labels))));
        const again = rowsOf(embedding.mix(batch(), embedding.forPrediction()));
        expect(again).toEqual(first);
        embedding.dispose();
        return { first, steps };
      };
      const [one, same, other] = [drawn(1), drawn(1), drawn(2)];
      expect(same).toEqual(one);
      expect(other.steps).not.toEqual(one.steps);
      expect(one.steps[0]).not.toEqual(one.steps[1]);
      const fixed = make("fixed-example-mixture");
      expect(one.first).toEqual(rowsOf(fixed.mix(batch(), fixed.forPrediction())));
      fixed.dispose();
    });
  });
});

describe("negative labels", () => {
  const CLASSES = 5;
  const COUNT = 4000;
  const labels = Array.from({ length: COUNT }, (_, i) => (3 * i) % CLASSES);
  const drawn = (choice: "wrong" | "permuted") =>
    scope(() => negativeLabels(int64(labels), CLASSES, choice, new Generator(3)).toNumbers());

  test("wrong ones never are the label, and each other class comes as often", () => {
    const negatives = drawn("wrong");
    const counts = Array.from({ length: CLASSES }, () => new Array<number>(CLASSES).fill(0));
    for (const [i, negative] of negatives.entries()) counts[labels[i]!]![negative]! += 1;
    for (const [label, row] of counts.entries()) {
      expect(row[label]).toBe(0);
      // 800 draws for each label at 1/4: a standard deviation of 12
      for (const [other, count] of row.entries()) if (other !== label) expect(Math.abs(count - 200)).toBeLessThan(60);
    }
  });

  test("permuted ones are the batch's labels, and one in K is right", () => {
    const negatives = drawn("permuted");
    expect([...negatives].sort()).toEqual([...labels].sort());
    const right = negatives.filter((negative, i) => negative === labels[i]).length;
    expect(Math.abs(right / COUNT - 1 / CLASSES)).toBeLessThan(0.03); // five standard deviations
  });

  test("two classes leave one wrong label", () => {
    scope(() => {
      const negatives = negativeLabels(int64([0, 1, 1, 0]), 2, "wrong", new Generator(9));
      expect(negatives.toNumbers()).toEqual([1, 0, 0, 1]);
    });
  });
});

test("only ways that keep the shape mix with features, and only two channels change the network's input", () => {
  expect(labelEmbeddings.filter(mixesFeatures)).toEqual(
    labelEmbeddings.filter((name) => name.endsWith("subtraction") || name.endsWith("-mixture")),
  );
  for (const name of labelEmbeddings) {
    expect(embeddedShape(name, [3, 8, 9])).toEqual([name.endsWith("2channel") ? 6 : 3, 8, 9]);
  }
});

test("features are mixed with features as images are with images", () => {
  scope(() => {
    const embedding = make("average-subtraction");
    const labels = {
      rows: tensor([
        [10, 20],
        [30, 40],
        [50, 60],
      ]),
      which: int64([2, 0], [1, 2]),
    };
    const mixed = embedding.mix(
      tensor([
        [1, 2],
        [3, 4],
      ]),
      labels,
    );
    expect(mixed.toNested()).toEqual([[-49, -58], [-7, -16]]); // biome-ignore format: a matrix
    embedding.dispose();
  });
});

test("what cannot be done is refused", () => {
  scope(() => {
    const missing = training([2, 0, 0, 2, 0]);
    const generator = new Generator(1);
    expect(() => createLabelEmbedding("average-mixture", { training: missing, classes: 3, generator })).toThrow(
      "labels as images need a training image of each class, got none of class 1",
    );
    expect(() => createLabelEmbedding("top-left", { training: training(), classes: 5, generator })).toThrow(
      "top-left needs a pixel for each of 5 classes, got images of 2x2",
    );
  });
});

test.each(labelEmbeddings)("%s leaves nothing behind", (name) => {
  const before = memory();
  scope(() => {
    const embedding = make(name);
    const [images, labels] = [batch(), int64([0, 1])];
    const draw = () =>
      scope(() => {
        const which = stack([labels, labels], 0);
        embedding.mix(images, embedding.forStep(images, which));
        embedding.mix(images, embedding.forPrediction());
        embedding.mix(images, embedding.neutral());
      });
    draw();
    const { liveTensors } = memory();
    draw();
    expect(memory().liveTensors).toBe(liveTensors);
    embedding.dispose();
  });
  const { liveTensors, liveBytes } = memory();
  expect({ liveTensors, liveBytes }).toEqual({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
});
