// The allocator where libtorch's newer interface uses it: copies that are made only when one side is written to (since
// 2.3 through `copy_data`), and the peak over a copy. Counts on every libtorch are in runtime.test.ts.
import { describe, expect, it } from "vitest";
import { memory, operator, resetPeakBytes, scope, type Tensor, tensor, version } from "../src/index.js";

const [major = 0, minor = 0] = version().split(".").map(Number);
const hasLazyClones = major > 2 || (major === 2 && minor >= 3);

describe.skipIf(!hasLazyClones)("a lazy clone (libtorch 2.3 and newer)", () => {
  it("takes no bytes until it is written to, and then exactly its own", () => {
    const lazyClone = operator<[Tensor], Tensor>("aten::_lazy_clone", "self", { unchecked: true });
    scope(() => {
      const values = Float32Array.from({ length: 1003 }, (_, i) => i - 500);
      const base = tensor(values);
      const same = tensor(values); // a number would be a tensor of its own for a moment
      resetPeakBytes();
      const before = memory().liveBytes;
      const copy = lazyClone(base);
      expect(memory().liveBytes - before).toBe(0);
      copy.add_(same);
      expect(memory().liveBytes - before).toBe(4 * 1003);
      expect(memory().peakBytes - before).toBe(4 * 1003);
      expect(base.toTypedArray()).toEqual(values);
      expect(copy.toTypedArray()).toEqual(values.map((value) => 2 * value));
      base.dispose();
      expect(memory().liveBytes - before).toBe(0);
      copy.dispose();
      expect(memory().liveBytes - before).toBe(-4 * 1003);
      expect(memory().peakBytes - before).toBe(4 * 1003);
    });
  });

  it("leaves its bytes to the other side when it goes first", () => {
    const lazyClone = operator<[Tensor], Tensor>("aten::_lazy_clone", "self", { unchecked: true });
    scope(() => {
      const base = tensor(new Float64Array([1, 2, 3]));
      const before = memory().liveBytes;
      lazyClone(base).dispose();
      expect(memory().liveBytes - before).toBe(0);
      base.add_(1); // the only owner left: written in place
      expect(memory().liveBytes - before).toBe(0);
      expect(base.toNumbers()).toEqual([2, 3, 4]);
      base.dispose();
      expect(memory().liveBytes - before).toBe(-24);
    });
  });
});
