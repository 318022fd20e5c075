// Threads, versions and the exact counts of memory.
import { afterEach, describe, expect, it } from "vitest";
import * as torch from "../src/index.js";
import { buildFolder, emptyCache, memory, resetPeakBytes, scope, setCacheLimit, tensor } from "../src/index.js";
import { runScript } from "./support/child.js";

/** Under the address sanitizer no block is kept, so that it sees every free. */
const reusesBlocks = !buildFolder().includes("sanitize");

/** Bytes that are live beyond those before `body`, at its end, and at most. */
function bytesOf(body: () => void): { live: number; peak: number } {
  resetPeakBytes();
  const before = memory().liveBytes;
  expect(memory().peakBytes).toBe(before);
  body();
  return { live: memory().liveBytes - before, peak: memory().peakBytes - before };
}

describe("bytes", () => {
  it("are the elements' own, without rounding", () => {
    scope(() => {
      expect(bytesOf(() => torch.zeros([3, 5]))).toEqual({ live: 60, peak: 60 });
      expect(bytesOf(() => torch.zeros([7], { dtype: "float64" }))).toEqual({ live: 56, peak: 56 });
      expect(bytesOf(() => torch.zeros([7], { dtype: "bool" }))).toEqual({ live: 7, peak: 7 });
      expect(bytesOf(() => torch.zeros([0, 9]))).toEqual({ live: 0, peak: 0 });
      expect(bytesOf(() => tensor(new Float32Array(1000)))).toEqual({ live: 4000, peak: 4000 });
    });
  });

  it("count shared memory once, until its last tensor goes", () => {
    scope(() => {
      const base = torch.zeros([100]);
      const view = base.narrow(0, 0, 1);
      expect(bytesOf(() => scope(() => base.view([10, 10]).t().expand([5, 10, 10]).detach().dim))).toEqual({
        live: 0,
        peak: 0,
      });
      expect(bytesOf(() => base.dispose()).live).toBe(0);
      expect(bytesOf(() => view.dispose()).live).toBe(-400);
    });
  });

  it("peak where the most lives at once", () => {
    const { live, peak } = bytesOf(() => {
      scope(() => {
        const a = torch.zeros([1000]); // 4000
        const b = a.add(a); // 8000
        a.dispose(); // 4000
        const c = b.add(b); // 8000
        c.add(c).add(b); // 12000, 16000
      });
      scope(() => torch.zeros([10]).dim); // the peak stays
    });
    expect({ live, peak }).toEqual({ live: 0, peak: 16_000 });
  });

  it("include what autograd keeps, until the graph goes", () => {
    scope(() => {
      const x = torch.ones([100], { requiresGrad: true });
      let y = torch.exp(x);
      expect(
        bytesOf(() => {
          const z = torch.sum(torch.exp(y)); // 400 for exp, 4 for the sum; z's graph holds both
          y.dispose();
          y = z;
        }),
      ).toEqual({ live: 404, peak: 404 });
      expect(bytesOf(() => y.backward()).live).toBe(400 - 800 + 400); // a gradient; the saved results stay with y's handles
    });
  });

  it("of a step's gradients and saved activations can be computed by hand", () => {
    scope(() => {
      const weight = torch.zeros([20, 30], { requiresGrad: true });
      const input = torch.ones([10, 30]);
      const forward = bytesOf(() => scope(() => torch.relu(torch.linear(input, weight)).sum()));
      // linear 10·20·4, relu 10·20·4 (saved), the sum 4: all alive together, and the product is freed at the end.
      expect(forward).toEqual({ live: 4 + 800, peak: 4 + 1600 });
      expect(weight.grad).toBeNull();
      const backward = bytesOf(() => scope(() => torch.relu(torch.linear(input, weight)).sum().backward()));
      expect(backward.live).toBe(20 * 30 * 4); // the gradient
    });
  });

  it("come down to what they were when an operator fails", () => {
    const { live } = bytesOf(() => {
      expect(() => scope(() => torch.zeros([10, 10]).matmul(torch.zeros([3, 3])))).toThrow();
    });
    expect(live).toBe(0);
  });
});

describe.skipIf(!reusesBlocks)("the cache", () => {
  afterEach(() => setCacheLimit(2 ** 31));

  it("keeps freed blocks for the next tensor of about the size, and gives them back when asked", () => {
    emptyCache();
    expect(memory().cachedBytes).toBe(0);
    scope(() => torch.zeros([1000]).dim);
    const { cachedBytes } = memory();
    expect(cachedBytes).toBeGreaterThanOrEqual(4000 + 64);
    expect(cachedBytes).toBeLessThanOrEqual(1.125 * (4000 + 64));
    scope(() => {
      torch.zeros([999]);
      expect(memory().cachedBytes).toBe(0);
    });
    emptyCache();
    expect(memory().cachedBytes).toBe(0);
  });

  it("keeps no more than its limit", () => {
    setCacheLimit(10_000);
    scope(() => torch.zeros([5000]).dim);
    expect(memory().cachedBytes).toBe(0);
    scope(() => torch.zeros([2000]).dim);
    expect(memory().cachedBytes).toBeGreaterThan(8000);
    setCacheLimit(0);
    expect(memory().cachedBytes).toBe(0);
    scope(() => torch.zeros([100]).dim);
    expect(memory().cachedBytes).toBe(0);
    expect(() => setCacheLimit(-1)).toThrow("setCacheLimit: expected bytes of at least 0, got -1");
    expect(() => setCacheLimit(0.5)).toThrow(/expected 'bytes' to be an integer, got 0\.5/);
  });

  it("hands out clean memory for zeros after it was used", () => {
    scope(() => torch.full([1000], 7).dim);
    scope(() => expect(torch.zeros([1000]).sum().item()).toBe(0));
  });
});

describe("facts and settings", () => {
  it("sets the number of threads", () => {
    const before = torch.getThreads();
    torch.setThreads(1);
    expect(torch.getThreads()).toBe(1);
    torch.setThreads(2);
    expect(torch.getThreads()).toBe(2);
    torch.setThreads(before);
    for (const wrong of [0, -1, 1.5, 5000, Number.NaN]) expect(() => torch.setThreads(wrong)).toThrow(torch.TorchError);
    expect(torch.getThreads()).toBe(before);
  });

  it("factorizes on one thread of OpenBLAS to the bits of one thread, and gives the threads back", () => {
    const before = torch.getThreads();
    const matrix = torch.scope(() => {
      const rows = torch.randn([128, 300], { generator: new torch.Generator(2), dtype: "float64" });
      return rows.matmul(rows.t());
    });
    const inverse = () => torch.scope(() => torch.choleskyInverse(torch.linalgCholesky(matrix)).toNumbers());
    torch.setThreads(1);
    const expected = torch.withOneBlasThread(inverse);
    torch.setThreads(2);
    const [alone, together] = [torch.withOneBlasThread(inverse), inverse()];
    expect(alone).toEqual(expected);
    // Another order of sums, so that the threads are seen to have come back.
    if (torch.blasLibrary() === "openblas") expect(together).not.toEqual(expected);
    expect(() => torch.withOneBlasThread(() => torch.ones([2, 2]).matmul(torch.ones([3, 3])))).toThrow(
      torch.TorchError,
    );
    if (torch.blasLibrary() === "openblas") expect(inverse()).toEqual(together);
    expect(torch.getThreads()).toBe(2);
    torch.setThreads(before);
    matrix.dispose();
  });

  it("tells versions and devices", () => {
    expect(torch.version()).toMatch(/^\d+\.\d+/);
    expect(torch.configuration()).toMatch(/threads/i);
    expect(torch.devices().slice(0, 1)).toEqual(["cpu"]);
    expect(torch.devices().length).toBe(1 + torch.cudaDevices());
    torch
      .rand([4, 4])
      .matmul(torch.rand([4, 4]))
      .dispose();
    expect(["openblas", "mkl", "blis", "atlas", "accelerate", "reference"]).toContain(torch.blasLibrary());
  });

  it.each(["cuda:0"])("computes on %s where there is one", (device) => {
    scope(() => {
      if (torch.devices().includes(device)) {
        expect(torch.ones([2], { device }).add(1).toDevice("cpu").toNumbers()).toEqual([2, 2]);
      } else {
        expect(() => torch.ones([2], { device })).toThrow(torch.TorchError);
      }
    });
  });
});

describe("the addon", () => {
  it("is not needed to import the package, and says how to build it when it is missing", () => {
    const message = runScript<string>(
      `let message; try { torch.zeros([1]); } catch (error) { message = error.name + ": " + error.message; }
      console.log(JSON.stringify(message));`,
      { env: { STOPGRAD_BUILD: "/nowhere" } },
    );
    expect(message).toBe(
      'TorchError: the native addon is not built: run "npm run setup" (looked for /nowhere/stopgrad_torch.node)',
    );
  });
});
