// Losses against published test vectors, closed forms and their documented values in degenerate batches.
import "../support/one-thread.js";
import { Generator, ones, randn, scope, type Tensor, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { type LocalLoss, type LocalLossInput, losses } from "../../src/losses/index.js";
import { float64, given, int64, type Options } from "./inputs.js";

type Fields = Partial<LocalLossInput> & { output: Tensor; labels: Tensor };

function valueFrom(name: keyof typeof losses, options: Options, make: () => Fields): number {
  const loss: LocalLoss = losses[name];
  return scope(() => loss.compute(loss.options.parse(options), given(make())).item());
}

const normal = (shape: readonly number[], seed = 1) =>
  randn(shape, { generator: new Generator(seed), dtype: "float64" });

describe("supervised-contrastive", () => {
  const rows = [
    [1, 0],
    [0.6, 0.8],
    [0, 1],
    [-0.8, 0.6],
  ];
  const value = (options: Options, output = rows, labels = [0, 0, 1, 1], views = 1) =>
    valueFrom("supervised-contrastive", { views, ...options }, () => ({
      output: float64(output),
      labels: int64(labels),
      views,
    }));

  test.each([
    [0.1, 0.07, 1.521214254651],
    [0.07, 0.07, 1.456593242571],
    [0.1, 0.1, 1.0648499782558],
  ])("published: temperature %d, base %d", (temperature, baseTemperature, expected) => {
    expect(value({ temperature, baseTemperature })).toBeCloseTo(expected, 11);
  });

  test("rows are normalised: their lengths do not count", () => {
    const scaled = rows.map((row, at) => row.map((number) => number * 10 ** (at - 1)));
    expect(value({}, scaled)).toBeCloseTo(value({}), 12);
  });

  test("two views, view by view, are the one-view loss of twice as many images", () => {
    expect(value({}, rows, [0, 1], 2)).toBeCloseTo(value({}, rows, [0, 1, 0, 1], 1), 14);
    expect(value({}, rows, [0, 1], 2)).not.toBeCloseTo(value({}, rows, [0, 0, 1, 1], 1), 3);
  });

  test("an anchor without positives contributes 0 and counts in the mean", () => {
    // Anchors 0 and 1 see each other; 2 is alone in its class.
    const log = (i: number, a: number, b: number) => Math.log(1 + Math.exp(b - a)) / i;
    const cosines = { "01": 0.6, "02": 0, "12": 0.8 };
    const expected = log(3, cosines["01"], cosines["02"]) + log(3, cosines["01"], cosines["12"]);
    expect(value({ temperature: 1, baseTemperature: 1 }, rows.slice(0, 3), [0, 0, 1])).toBeCloseTo(expected, 13);
    expect(value({}, rows, [0, 1, 2, 3])).toBe(0);
  });

  test("identical features: log(V N − 1); one image: 0; rows of zeros: log(V N − 1)", () => {
    const same = rows.map(() => [0.3, -2]);
    expect(value({ baseTemperature: 0.1 }, same)).toBeCloseTo(Math.log(3), 12);
    expect(value({}, rows.slice(0, 1), [0])).toBe(0);
    expect(
      value(
        { baseTemperature: 0.1 },
        rows.map(() => [0, 0]),
      ),
    ).toBeCloseTo(Math.log(3), 12);
  });

  test("a temperature near 0 does not overflow", () => {
    expect(value({ temperature: 1e-5, baseTemperature: 1 })).toBeLessThan(2);
  });

  test("without a head it sees the pooled map", () => {
    scope(() => {
      const map = normal([4, 512, 4, 4]);
      const pooled = map.reshape([4, 512, 2, 2, 2, 2]).mean([3, 5]).reshape([4, 2048]);
      const [ofMap, ofRows] = [map, pooled].map((output) =>
        valueFrom("supervised-contrastive", { views: 1 }, () => ({ output, labels: int64([0, 1, 0, 1]) })),
      );
      expect(ofMap).toBeCloseTo(ofRows!, 12);
    });
  });

  test("rows that are not V views of each image are refused", () => {
    const call = () =>
      valueFrom("supervised-contrastive", {}, () => ({ output: float64(rows), labels: int64([0, 1, 0]), views: 2 }));
    expect(call).toThrow("supervised-contrastive: expected 2 views of 3 images, 6 rows, got [4, 2]");
  });

  test("asks for the views that its option says", () => {
    const { views, options } = losses["supervised-contrastive"] as LocalLoss;
    expect(views!(options.parse({}))).toBe(2);
    expect(views!(options.parse({ views: 1 }))).toBe(1);
    expect(() => options.parse({ views: 3 })).toThrow();
    expect(() => options.parse({ temperature: 0 })).toThrow();
  });
});

describe("simclr", () => {
  const value = (options: Options, output: number[][], labels: number[], views = 2) =>
    valueFrom("simclr", options, () => ({ output: float64(output), labels: int64(labels), views }));
  const rows = [
    [1, 0],
    [0, 1],
    [0.6, 0.8],
    [-0.8, 0.6],
  ];

  test("is the supervised loss with each image a class of its own, whatever the labels", () => {
    const supervised = valueFrom("supervised-contrastive", { temperature: 0.5, baseTemperature: 0.5 }, () => ({
      output: float64(rows),
      labels: int64([0, 1]),
      views: 2,
    }));
    expect(value({}, rows, [3, 3])).toBeCloseTo(supervised, 14);
    expect(value({ temperature: 0.1 }, rows, [3, 3])).not.toBeCloseTo(supervised, 2);
  });

  test("one image: 0; identical features: log(2 N − 1)", () => {
    expect(value({}, rows.slice(0, 2), [0])).toBeCloseTo(0, 14);
    expect(
      value(
        {},
        rows.map(() => [1, 2]),
        [0, 1],
      ),
    ).toBeCloseTo(Math.log(3), 13);
  });

  test("one view is refused", () => {
    expect(() => value({}, rows, [0, 1, 2, 3], 1)).toThrow("simclr: expected 2 views of each image, got 1");
  });
});

describe("similarity-matching", () => {
  const rows = [
    [1, 2, 4],
    [2, 0, 1],
    [0, 1, 5],
    [3, 3, 0],
  ];
  const value = (options: Options, output: Tensor, labels: readonly number[], classes: number) =>
    valueFrom("similarity-matching", options, () => ({ output, labels: int64(labels), classes }));

  test.each(["norm", "root"])("published values, safeguard %s", (safeguard) => {
    scope(() => {
      const at = (target: string) => value({ target, safeguard }, float64(rows), [0, 0, 1, 1], 2);
      // The figures are of cosines without a safeguard, from which each moves them by its own size.
      const places = safeguard === "root" ? 10 : 7;
      expect(at("centred")).toBeCloseTo(1.4137382898379, places);
      expect(at("onehot")).toBeCloseTo(0.9497758149456, places);
    });
  });

  test("off-class targets are −1/(K − 1): of ten classes −1/9", () => {
    scope(() => {
      // Rows at right angles after centring: similarity 0, so that only the two off-class targets are left.
      const output = float64([
        [1, -1, 0, 0],
        [0, 0, 1, -1],
      ]);
      expect(value({ safeguard: "root" }, output, [0, 1], 10)).toBeCloseTo((2 * (1 / 9) ** 2) / 4, 11);
      expect(value({ target: "onehot" }, output, [0, 1], 10)).toBeCloseTo(0, 14);
    });
  });

  test("a perfect match is 0, and no loss is above 4", () => {
    scope(() => {
      const perfect = float64([0, 0, 1, 2].map((label) => [0, 1, 2].map((column) => (column === label ? 7 : 1))));
      expect(value({}, perfect, [0, 0, 1, 2], 3)).toBeCloseTo(0, 14);
      const opposite = float64([
        [1, -1],
        [-1, 1],
      ]);
      expect(value({}, opposite, [0, 0], 2)).toBeCloseTo(2, 7);
    });
  });

  test("maps count by the deviation of each channel, and so not by where things are", () => {
    scope(() => {
      const map = normal([5, 4, 3, 3]);
      const moved = map.flip([2]);
      const labels = [0, 1, 0, 1, 2];
      expect(value({}, moved, labels, 3)).toBeCloseTo(value({}, map, labels, 3), 13);
      expect(value({}, map, labels, 3)).toBeCloseTo(value({}, map.std([2, 3]), labels, 3), 14);
      // Three channels, or one row of pixels: the map itself.
      for (const shape of [
        [5, 3, 3, 3],
        [5, 4, 1, 9],
      ]) {
        const flat = normal(shape);
        expect(value({}, flat, labels, 3)).toBeCloseTo(value({}, flat.reshape([5, -1]), labels, 3), 14);
      }
    });
  });

  test("one image: 0; a row whose entries are all equal: similarity 0 and no gradient", () => {
    scope(() => {
      expect(value({}, float64([[1, 2, 4]]), [0], 3)).toBeCloseTo(0, 7);
      expect(value({}, float64([[2, 2, 2]]), [0], 3)).toBe(1);
      for (const safeguard of ["norm", "root"]) {
        const output = tensor([2, 2, 2, 1, 2, 4, 0, 3, 1], { dtype: "float64" }).reshape([3, 3]).requiresGrad_();
        const loss = losses["similarity-matching"];
        loss
          .compute(loss.options.parse({ safeguard }), given({ output, labels: int64([0, 0, 1]), classes: 2 }))
          .backward();
        expect(output.grad!.toNumbers().slice(0, 3)).toEqual([0, 0, 0]);
        expect(
          output
            .grad!.toNumbers()
            .slice(3)
            .every((number) => number !== 0),
        ).toBe(true);
      }
    });
  });
});

describe("pred and predsim", () => {
  const context = (shape: readonly number[]) =>
    ({ shape, classes: 3, outputs: "features", generator: new Generator(1) }) as const;

  test("predsim is (1 − β) pred + β similarity matching", () => {
    scope(() => {
      const loss: LocalLoss = losses.predsim;
      const [hidden, output] = [normal([5, 4, 3, 3]), normal([5, 4, 3, 3], 2)];
      const own = loss.create!(loss.options.parse({}), context([4, 3, 3]))!.to("float64");
      const input = given({ output, hidden, own, labels: int64([0, 1, 2, 0, 1]), classes: 3 });
      const of = (name: "pred" | "predsim" | "similarity-matching", options: Options = {}) => {
        const entry: LocalLoss = losses[name];
        return entry.compute(entry.options.parse(options), input).item();
      };
      expect(of("predsim")).toBeCloseTo(0.01 * of("pred") + 0.99 * of("similarity-matching"), 13);
      expect(of("predsim", { beta: 0 })).toBeCloseTo(of("pred"), 13);
      expect(of("predsim", { beta: 1 })).toBeCloseTo(of("similarity-matching"), 13);
      // Zero weights: what the bias alone says.
      const bias = own.parameters()[1]!.toNumbers();
      const logSum = Math.log(bias.reduce((sum, b) => sum + Math.exp(b), 0));
      const expected = [0, 1, 2, 0, 1].reduce((sum, label) => sum + (logSum - bias[label]!) / 5, 0);
      expect(of("pred")).toBeCloseTo(expected, 12);
    });
  });

  test("the decoder pools by the heads' rule to as many features as its option says", () => {
    scope(() => {
      const loss: LocalLoss = losses.pred;
      const features = (options: Options, shape: readonly number[]) =>
        loss.create!(loss.options.parse(options), context(shape))!.parameters()[0]!.shape[1];
      expect(features({}, [64, 32, 32])).toBe(2048);
      expect(features({ decoderFeatures: 4096 }, [64, 32, 32])).toBe(4096);
      expect(features({ decoderFeatures: 1024 }, [64, 32, 32])).toBe(1024);
      expect(features({}, [120])).toBe(120);
    });
  });

  test("without their decoder they say so", () => {
    const make = () => ({ output: ones([2, 3]), labels: int64([0, 1]) });
    expect(() => valueFrom("pred", {}, make)).toThrow(/^pred: expected the decoder/);
    expect(() => valueFrom("predsim", {}, make)).toThrow(/^predsim: expected the decoder/);
  });
});

describe("signal-propagation", () => {
  const z = [
    [1, 0],
    [0, 1],
    [1, 1],
  ];
  const left = [
    [1, 0.5],
    [0, 1],
    [1, 0.5],
  ];
  const entered = [
    [2, 0],
    [0.2, 2],
    [1.5, 0.1],
  ];
  const value = (options: Options, labels = [0, 1, 0]) =>
    valueFrom("signal-propagation", options, () => ({
      output: float64(z),
      labels: int64(labels),
      classes: 4,
      signals: { input: float64(entered), output: float64(left) },
    }));

  test("published: soft, and hard with k = 2", () => {
    expect(value({ target: "soft" })).toBeCloseTo(0.8954947285885, 12);
    expect(value({ target: "hard", topK: 2 })).toBeCloseTo(1.9095944409486, 12);
  });

  const logSoftmax = (row: number[]) => {
    const sum = Math.log(row.reduce((total, number) => total + Math.exp(number), 0));
    return row.map((number) => number - sum);
  };
  const products = z.map((a) => left.map((b) => a[0]! * b[0]! + a[1]! * b[1]!));

  test("k above the batch size: all signals, each with weight 1", () => {
    const all = -products.flatMap(logSoftmax).reduce((sum, number) => sum + number, 0) / 3;
    expect(value({})).toBeCloseTo(all, 13);
    expect(value({ topK: 3 })).toBeCloseTo(all, 13);
  });

  test("the largest only: all of them, or the first", () => {
    const oneHot = [
      [1, 0],
      [0, 1],
      [1, 0],
    ];
    const at = (target: string) =>
      valueFrom("signal-propagation", { target }, () => ({
        output: float64(z),
        labels: int64([0, 1, 0]),
        signals: { input: float64(oneHot), output: float64(left) },
      }));
    const a = products.map(logSoftmax);
    expect(at("max-all")).toBeCloseTo(-(a[0]![0]! + a[0]![2]! + a[1]![1]! + a[2]![0]! + a[2]![2]!) / 3, 13);
    expect(at("max-random")).toBeCloseTo(-(a[0]![0]! + a[1]![1]! + a[2]![0]!) / 3, 13);
  });

  test("label-direct: cross-entropy among the classes of the batch", () => {
    // Class 0 has signals 0 and 2, which are equal; class 1 has signal 1; classes 2 and 3 are not there.
    const expected = [0, 1, 0].reduce((sum, label, i) => sum - logSoftmax(products[i]!.slice(0, 2))[label]! / 3, 0);
    expect(value({ target: "label-direct" })).toBeCloseTo(expected, 13);
  });

  test("maps: products over channels, averaged over positions", () => {
    scope(() => {
      const spread = (rows: number[][]) => float64(rows).unsqueeze(2).unsqueeze(3).expand([3, 2, 4, 5]);
      const ofMaps = valueFrom("signal-propagation", { target: "soft" }, () => ({
        output: spread(z),
        labels: int64([0, 1, 0]),
        signals: { input: spread(entered), output: spread(left) },
      }));
      expect(ofMaps).toBeCloseTo(value({ target: "soft" }), 13);
    });
  });

  test("one image: 0 for every target", () => {
    for (const target of ["hard", "soft", "max-all", "max-random", "label-direct"]) {
      const alone = valueFrom("signal-propagation", { target }, () => ({
        output: float64([[1, 2]]),
        labels: int64([2]),
        signals: { input: float64([[1, 0]]), output: float64([[3, 4]]) },
      }));
      expect(alone).toBeCloseTo(0, 14);
    }
  });

  test("nothing flows to the signals that entered; both streams of the output get a gradient", () => {
    scope(() => {
      const [output, before, after] = [z, entered, left].map((rows) => float64(rows).requiresGrad_()) as Tensor[];
      const loss = losses["signal-propagation"];
      const signals = { input: before!, output: after! };
      loss
        .compute(loss.options.parse({ target: "soft" }), given({ output: output!, labels: int64([0, 1, 0]), signals }))
        .backward();
      expect(before!.grad).toBeNull();
      expect(output!.grad).not.toBeNull();
      expect(after!.grad).not.toBeNull();
    });
  });

  test("signals that are missing or of another shape are refused", () => {
    const make = () => ({ output: float64(z), labels: int64([0, 1, 0]) });
    expect(() => valueFrom("signal-propagation", {}, make)).toThrow(/^signal-propagation: expected the label signals/);
    const other = () => ({ ...make(), signals: { input: float64(entered), output: float64(left.slice(1)) } });
    expect(() => valueFrom("signal-propagation", {}, other)).toThrow(
      "signal-propagation: expected a signal for each image, of the shape of the output [3, 2], got [3, 2] before the module and [2, 2] after it",
    );
    expect((losses["signal-propagation"] as LocalLoss).propagatesLabels).toBe(true);
  });
});

describe("hsic-bottleneck", () => {
  const x = [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ];
  const z = [[0], [1], [2], [3]];
  const value = (options: Options, output = z, labels = [0, 0, 1, 1]) =>
    valueFrom("hsic-bottleneck", options, () => ({
      output: float64(output),
      images: float64(x.slice(0, output.length)),
      labels: int64(labels),
      classes: 2,
    }));

  test("the published nHSIC values, weighted", () => {
    const [ofInput, ofLabels] = [2.0231725165769, 0.8702368787649];
    expect(value({ beta: 0 })).toBeCloseTo(ofInput, 11);
    expect(value({ beta: 1, inputWeight: 0, labelKernel: "linear" })).toBeCloseTo(-ofLabels, 11);
    expect(value({ beta: 50, inputWeight: 3, labelKernel: "linear" })).toBeCloseTo(3 * ofInput - 50 * ofLabels, 9);
    expect(value({ beta: 0, distance: "plain" })).toBeCloseTo(2.9815568980868, 11);
  });

  test("the labels' kernel: of two classes, RBF on one-hot rows is a linear one up to scale", () => {
    // Its entries are 1 and exp(−2 / (2 · 25 · 2)): a multiple of the linear kernel once centred, which a ridge of 1e-5
    // of the batch tells apart by what the multiple, 0.02, makes of it.
    const [linear, rbf] = ["linear", "rbf"].map((labelKernel) => value({ beta: 1, inputWeight: 0, labelKernel }));
    const scale = 1 - Math.exp(-2 / 100);
    const shrunk = (factor: number) => factor / (factor + 1e-5);
    expect(rbf! / linear!).toBeCloseTo(shrunk(scale * 0.5) / shrunk(0.5), 10);
  });

  test("one image, or features that are all equal: 0", () => {
    expect(value({}, [[2]], [1])).toBe(0);
    expect(value({}, [[2], [2], [2], [2]])).toBeCloseTo(0, 12);
  });

  test("features that are not finite give NaN, which training reports", () => {
    expect(value({}, [[0], [Number.NaN], [1], [2]])).toBeNaN();
  });
});
