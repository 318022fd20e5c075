// Resizing by matrix products, as it is done on a GPU, beside libtorch's own.
import "../support/one-thread.js";
import { memory, noGrad, scope, tensor } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { resize, resizeByProducts } from "../../src/reconstruction/resize.js";
import { expectClose } from "../support/compare.js";
import { imagesOf, values } from "../support/formula.js";

describe.each([
  [[4, 5], 9, 7],
  [[1, 1], 3, 3],
  [[1, 4], 2, 4],
  [[6, 3], 2, 8],
  [[8, 8], 32, 32],
  [[5, 5], 1, 1],
] as const)("%j to %i x %i", (size, height, width) => {
  test("libtorch's values and gradients", () => {
    scope(() => {
      const make = () =>
        imagesOf("map", [2, 3, ...size])
          .to("float64")
          .requiresGrad_();
      const probe = tensor(values("probe", 6 * height * width), { shape: [2, 3, height, width] });
      const [mine, theirs] = [make(), make()];
      const [result, expected] = [resizeByProducts(mine, height, width), resize(theirs, height, width)];
      expect(result.shape).toEqual([2, 3, height, width]);
      expectClose(result.toNumbers(), expected.toNumbers(), 4e-6); // parts are of 32 bits, of positions up to 8
      result.mul(probe).sum().backward();
      expected.mul(probe).sum().backward();
      expectClose(mine.grad!.toNumbers(), theirs.grad!.toNumbers(), 1e-5);
    });
  });
});

test("a map of the right size is left as it is", () => {
  scope(() => {
    const map = imagesOf("map", [2, 3, 4, 5]);
    expect(resize(map, 4, 5)).toBe(map);
    expectClose(resizeByProducts(map, 4, 5).toNumbers(), map.toNumbers(), 1e-6);
  });
});

test("leaves nothing behind, and keeps the type", () => {
  scope(() => {
    const map = imagesOf("map", [2, 3, 4, 5]).to("bfloat16");
    noGrad(() => {
      const before = memory().liveTensors;
      const result = resizeByProducts(map, 8, 8);
      expect(memory().liveTensors - before).toBe(1);
      expect(result.dtype).toBe("bfloat16");
    });
  });
});
