// `stopgrad doctor` where libtorch sees a GPU and the addon does not, because it was built without CUDA's headers. What a
// machine without one says is in mistakes.test.ts, what one with says in experiment/cuda.test.ts.
import "../support/one-thread.js";
import { expect, it, vi } from "vitest";
import { doctor } from "../../src/cli/doctor.js";

const reason = "libtorch 9.9.9 has CUDA, but the addon was built without CUDA's headers (npm run setup says how)";

vi.mock("@stopgrad/torch", async (original) => {
  const real = await original<typeof import("@stopgrad/torch")>();
  const cuda = { ...real.cuda, isAvailable: () => false, deviceCount: () => 0, whyUnavailable: () => reason };
  const deviceProperties = (device: string) => {
    throw new real.TorchError(`cuda.deviceProperties: ${device} cannot be used, because ${reason}`);
  };
  return { ...real, devices: () => ["cpu", "cuda:0"], cuda: { ...cuda, deviceProperties } };
});

it("says all else there is to say about a machine whose GPU cannot be used", () => {
  const written: string[] = [];
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
  try {
    doctor({ json: true });
  } finally {
    spy.mockRestore();
  }
  const found = JSON.parse(written.join(""));
  expect(found).toMatchObject({ devices: ["cpu", "cuda:0"], gpus: [], blas: expect.any(String), threads: 1 });
  expect(found.matrixProduct.length).toBeGreaterThan(0);
  expect(found.advice[0]).toBe(reason);
});
