// The addon in several JavaScript threads: each has its own handles, all share the libtorch underneath.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { memory, ones } from "../src/index.js";
import { builtPackage, runScript } from "./support/child.js";

interface Trained {
  losses: number[];
  liveAtStart: number;
  liveAtEnd: number;
  steady: boolean;
  foreign: string;
}

/** Trains a small network; the same seed gives the same losses in every thread. */
const training = `
const { parentPort, workerData } = await import("node:worker_threads");
const torch = await import("${builtPackage}");
const { nn, optim, scope } = torch;
const liveAtStart = torch.memory().liveTensors;
let foreign = "no error";
try {
  // What a handle of another thread is here: a number, refused.
  torch.operator("aten::relu", "self")(workerData.handle);
} catch (error) {
  foreign = error.name + ": " + error.message;
}
const generator = new torch.Generator(workerData.seed);
const network = new nn.Sequential(
  new nn.Conv2d(1, 4, 3, { generator }), new nn.BatchNorm2d(4), new nn.ReLU(), new nn.Flatten(),
  new nn.Dropout(0.2, { generator }), new nn.Linear(4 * 36, 3, { generator }),
);
const optimizer = new optim.Adam(network.parameters());
const losses = [];
let after = 0;
let steady = true;
for (let i = 0; i < workerData.steps; i++) {
  losses.push(scope(() => {
    const images = torch.rand([8, 1, 8, 8], { generator });
    const labels = torch.randint(0, 3, [8], { generator });
    network.zeroGrad();
    const loss = torch.crossEntropy(network.forward(images), labels);
    loss.backward();
    optimizer.step();
    return loss.item();
  }));
  const { liveTensors } = torch.memory();
  if (i > 1 && liveTensors !== after) steady = false;
  after = liveTensors;
}
network.dispose();
optimizer.dispose();
parentPort.postMessage({ losses, liveAtStart, liveAtEnd: torch.memory().liveTensors, steady, foreign });
`;

function start(workerData: { seed: number; steps: number; handle: number }): Worker {
  return new Worker(`(async () => { ${training} })().catch((error) => { throw error; });`, { eval: true, workerData });
}

async function train(seed: number, handle = 0): Promise<Trained> {
  const worker = start({ seed, steps: 40, handle });
  const ended = once(worker, "exit");
  let result: Trained | undefined;
  worker.on("message", (message) => {
    result = message;
  });
  const [code] = await ended;
  expect(code).toBe(0);
  return result!;
}

describe("worker threads", () => {
  it("train at once, each with a handle table of its own, and give the same numbers as alone", async () => {
    const mine = ones([4]);
    const before = memory();
    const [first, second, other] = await Promise.all([train(1, mine.handle), train(1, mine.handle), train(2)]);
    const alone = await train(1);
    expect(first.losses).toEqual(alone.losses);
    expect(second.losses).toEqual(alone.losses);
    expect(other.losses).not.toEqual(alone.losses);
    for (const { liveAtStart, liveAtEnd, steady, foreign } of [first, second, other, alone]) {
      expect([liveAtStart, liveAtEnd, steady]).toEqual([0, 0, true]);
      expect(foreign).toMatch(/^TorchError: aten::relu: expected 'self' to be a tensor, got/);
    }
    expect(mine.toNumbers()).toEqual([1, 1, 1, 1]);
    expect(memory()).toMatchObject({ liveTensors: before.liveTensors, liveBytes: before.liveBytes });
    mine.dispose();
  });

  it("may be stopped in the middle of anything: what they held is freed", () => {
    const { ended, liveBytes, sum } = runScript<{ ended: number; liveBytes: number; sum: number }>(
      `const { Worker } = await import("node:worker_threads");
      const body = '(async () => { const { parentPort } = await import("node:worker_threads");' +
        'const torch = await import("${builtPackage}"); let steps = 0;' +
        'for (;;) torch.scope(() => {' +
        '  const x = torch.rand([4, 4], { requiresGrad: true }); x.matmul(x).relu().sum().backward();' +
        '  x.grad.toTypedArray(); try { torch.zeros([-1]); } catch {}' +
        '  if (++steps === 5) parentPort.postMessage("running"); }); })()';
      torch.memory();
      let ended = 0;
      for (let i = 0; i < 20; i++) {
        const worker = new Worker(body, { eval: true });
        await new Promise((resolve) => worker.once("message", resolve));
        await new Promise((resolve) => setTimeout(resolve, i / 5));
        await worker.terminate();
        ended++;
      }
      const { liveBytes } = torch.memory();
      console.log(JSON.stringify({ ended, liveBytes, sum: torch.ones([3]).sum().item() }));`,
    );
    expect({ ended, liveBytes, sum }).toEqual({ ended: 20, liveBytes: 0, sum: 3 });
  });

  it("may load the addon first, and end before anybody else does", () => {
    const sum = runScript<number>(
      `const { Worker } = await import("node:worker_threads");
      for (let i = 0; i < 3; i++) {
        const body = '(async () => { const torch = await import("${builtPackage}");' +
          'const x = torch.rand([200, 200], { requiresGrad: true }); x.matmul(x).sum().backward(); })()';
        const worker = new Worker(body, { eval: true });
        await new Promise((resolve, reject) => worker.on("exit", resolve).on("error", reject));
      }
      const x = torch.ones([200, 200], { requiresGrad: true });
      x.matmul(x).sum().backward();
      console.log(x.grad.sum().item());`,
    );
    expect(sum).toBe(200 * 200 * 400);
  });
});
