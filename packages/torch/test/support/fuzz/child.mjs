// Makes the calls of one run of the fuzz test, in a process of its own: `node child.mjs '{ "seed": 1, "from": 0, … }'`.
// Before each call its number and name are written over `progress`, so that whoever watches knows where it ended.
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { areasOf } from "./calls.mjs";
import { Garbage } from "./garbage.mjs";

/**
 * @typedef {object} Order
 * @property {number} seed
 * @property {number} from - number of the first call
 * @property {number} to - number after the last
 * @property {string} progress - file that tells where it is
 * @property {number} [settle] - calls between two checks that nothing is left behind; default 500
 * @property {string[]} [areas] - some only
 * @property {string} [match] - only targets whose name matches; the others are passed over
 * @property {boolean} [explain] - write every call's arguments to standard error
 * @property {boolean} [unchecked] - call operators that are refused too
 * @property {number} [threads] - worker threads that make calls beside; default 0
 */

/** @type {Order} */
const order = isMainThread ? JSON.parse(process.argv[2]) : workerData;

const fixtures = fileURLToPath(new URL("../../fixtures/", import.meta.url));
const special = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY };

function recordedCases() {
  const cases = {};
  for (const file of readdirSync(fixtures)
    .filter((name) => /^operators.*\.json$/.test(name))
    .sort()) {
    const { operators } = JSON.parse(readFileSync(join(fixtures, file), "utf8"));
    for (const [name, more] of Object.entries(operators)) cases[name] = [...(cases[name] ?? []), ...more];
  }
  return cases;
}

function decodeWith(torch) {
  return function decode(value) {
    if (typeof value === "string" && value in special) return special[value];
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(decode);
    if ("t" in value && "d" in value) {
      const numbers = Float64Array.from(value.d, (one) => (typeof one === "string" ? special[one] : Number(one)));
      return torch.tensor(numbers, { shape: value.s }).to(value.t);
    }
    if ("g" in value) return new torch.Generator(value.g);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decode(item)]));
  };
}

/** Looks at a result as a user would. */
function look(torch, g, result, depth = 0) {
  if (result instanceof torch.Tensor) {
    void [result.shape, result.dtype, result.device, result.requiresGrad, result.isLeaf, String(result)];
    if (result.numel > 1e6 || result.device !== "cpu") return;
    if (g.chance(0.3)) void [result.strides, result.isContiguous, result.storageOffset];
    if (g.chance(0.5)) result.toNumbers();
    if (g.chance(0.3)) result.clone().toTypedArray();
    if (result.requiresGrad && g.chance(0.7)) result.sum().backward();
  } else if (depth < 2 && (Array.isArray(result) || result instanceof Map)) {
    let left = 4;
    for (const item of Array.isArray(result) ? result.slice(0, 4) : result.values()) {
      if (left-- > 0) look(torch, g, item, depth + 1);
    }
  }
}

const allowed = new Set(["TorchError", "TypeError", "RangeError", "FileFormatError"]);
const shown = (value, depth = 0) => {
  try {
    if (typeof value === "symbol" || typeof value === "function" || typeof value === "bigint")
      return String(value).slice(0, 30);
    if (value?.handle !== undefined && value.shape !== undefined) {
      return `${value.isDisposed ? "disposed" : `${value.dtype}[${value.shape}] strides ${value.strides}${value.requiresGrad ? " grad" : ""}`}`;
    }
    if (Array.isArray(value) && depth < 3)
      return `[${value
        .slice(0, 8)
        .map((item) => shown(item, depth + 1))
        .join("; ")}]`;
    return typeof value === "string"
      ? JSON.stringify(value.slice(0, 40))
      : String(Object.is(value, -0) ? "-0" : value).slice(0, 60);
  } catch (error) {
    return `(${error.message})`.slice(0, 60);
  }
};

async function run() {
  const torch = await import(new URL("../../../dist/index.js", import.meta.url).href);
  const build = torch.buildFolder();
  const addon = createRequire(import.meta.url)(join(build, "stopgrad_torch.node"));
  torch.memory();
  const folder = mkdtempSync(join(tmpdir(), "stopgrad-fuzz-"));
  if (isMainThread) process.chdir(folder);
  const progress = isMainThread ? openSync(order.progress, "w+") : null;
  const plainOperator = torch.operator;
  const unchecked = { ...torch, operator: (name, names) => plainOperator(name, names, { unchecked: true }) };
  let given = order.unchecked ? unchecked : torch;
  if (order.explain) {
    const plain = given.operator;
    given = { ...given };
    const tell =
      (name, call) =>
      (...args) => {
        process.stderr.write(`${name}(${args.map((one) => shown(one)).join(", ")})\n`);
        return call(...args);
      };
    for (const [name, value] of Object.entries(given)) {
      if (typeof value === "function" && !/^class\b/.test(String(value))) given[name] = tell(name, value);
    }
    given.toldOf = (name, value) =>
      function (...args) {
        process.stderr.write(`${shown(this)}.${name}(${args.map((one) => shown(one)).join(", ")})\n`);
        return value.apply(this, args);
      };
    given.operator = (name, names, options) => tell(name, plain(name, names, options));
  }
  const explained = order.explain
    ? new Proxy(addon, {
        get:
          (target, name) =>
          (...args) => {
            process.stderr.write(`addon.${String(name)}(${args.map((one) => shown(one)).join(", ")})\n`);
            return target[name](...args);
          },
      })
    : addon;
  const operators = new Map();
  const all = areasOf({ torch: given, addon: explained, cases: recordedCases(), decode: decodeWith(torch), folder });
  const chosen = Object.entries(all).filter(([name]) => !order.areas || order.areas.includes(name));
  const weights = chosen.reduce((sum, [, [weight]]) => sum + weight, 0);
  const report = { calls: 0, answers: 0, errors: 0, byArea: {}, faults: [], slowest: { seconds: 0, name: "" } };
  // The collector finds what nobody holds in a few rounds, and tells in the next turn of the event loop.
  const settled = async (expected) => {
    for (let round = 0; round < 20; round++) {
      globalThis.gc();
      await setImmediate();
      if (round > 2 && expected?.liveTensors === torch.memory().liveTensors) break;
    }
    return torch.memory();
  };
  const beside = isMainThread ? startBeside(order.threads ?? 0) : [];
  const before = await settled();
  let since = order.from;
  // A function of its own: what a call made must be out of reach when it is checked that nothing is left.
  const make = (call) => {
    const g = new Garbage(given, Math.imul(order.seed, 0x9e3779b1) ^ Math.imul(call + 1, 0x85ebca6b), operators);
    let at = g.below(weights);
    const [area, [, choose]] = chosen.find(([, [weight]]) => {
      at -= weight;
      return at < 0;
    });
    let target;
    try {
      target = torch.scope(() => choose(g));
    } catch (error) {
      report.faults.push({ call, name: area, problem: `cannot be prepared: ${error.stack}` });
      return;
    }
    if (order.match && !new RegExp(order.match).test(target.name)) return;
    const name = `${area}: ${target.name}`;
    if (progress !== null) writeSync(progress, `${call} ${name}`.slice(0, 250).padEnd(250), 0);
    if (order.explain) process.stderr.write(`${call} ${name}\n`);
    report.byArea[area] ??= [0, 0];
    const [answers, errors] = report.byArea[area];
    const started = performance.now();
    let fault;
    try {
      if (isMainThread && order.threads === undefined) torch.manualSeed(call);
      torch.scope(() => {
        try {
          look(torch, g, target.run());
        } finally {
          addon.setGradEnabled(true);
          for (const tensor of g.made) if (!tensor.isDisposed) addon.setGrad(tensor.handle, null);
        }
      });
      report.answers++;
      report.byArea[area] = [answers + 1, errors];
    } catch (error) {
      report.errors++;
      report.byArea[area] = [answers, errors + 1];
      if (order.explain) process.stderr.write(`  ${error.stack}\n`);
      if (!allowed.has(error?.name)) fault = `threw ${error?.stack ?? String(error)}`;
      else if (/Exception raised from/.test(error.message)) fault = `error with a backtrace: ${error.message}`;
    }
    if (fault) report.faults.push({ call, name, problem: fault.slice(0, 600) });
    report.calls++;
    const seconds = (performance.now() - started) / 1000;
    if (seconds > report.slowest.seconds) report.slowest = { seconds, name: `${call} ${name}` };
  };
  for (let call = order.from; call < order.to; call++) {
    make(call);
    if (torch.getThreads() > 4) torch.setThreads(1);
    if (call - since + 1 >= (order.settle ?? 500) || call + 1 === order.to) {
      const after = await settled(before);
      const bytesCount = isMainThread && beside.length === 0;
      if (after.liveTensors !== before.liveTensors || (bytesCount && after.liveBytes !== before.liveBytes)) {
        report.faults.push({ call, name: "checked", problem: `left behind since call ${since}: ${after.liveTensors - before.liveTensors} tensors, ${after.liveBytes - before.liveBytes} bytes` }); // biome-ignore format: one line
        Object.assign(before, after);
      }
      since = call + 1;
      report.next = since;
      report.rss = process.memoryUsage.rss();
      if (isMainThread) writeFileSync(`${order.progress}.report`, JSON.stringify(report));
    }
  }
  await Promise.all(
    beside.map(async ({ ended }) => {
      const { calls, answers, errors, faults } = await ended;
      report.calls += calls;
      report.answers += answers;
      report.errors += errors;
      report.faults.push(...faults);
    }),
  );
  if (isMainThread) {
    const after = await settled();
    if (after.liveBytes !== before.liveBytes) report.faults.push({ call: order.to, name: "end", problem: `${after.liveBytes - before.liveBytes} bytes are left behind` }); // biome-ignore format: one line
  }
  rmSync(folder, { recursive: true, force: true });
  report.rss = process.memoryUsage.rss();
  if (progress !== null) closeSync(progress);
  return report;
}

/** Worker threads that make calls of their own at the same time. */
function startBeside(count) {
  return Array.from({ length: count }, (_, index) => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { ...order, seed: order.seed + 1000 * (index + 1) },
    });
    return {
      ended: new Promise((resolve, reject) => {
        let report;
        worker.on("message", (message) => {
          report = message;
        });
        worker.on("error", reject);
        worker.on("exit", () => resolve(report));
      }),
    };
  });
}

// What an async function that a scope refused throws later is nobody's.
process.on("unhandledRejection", () => {});
const report = await run();
if (isMainThread) console.log(`\n${JSON.stringify(report)}`);
else parentPort.postMessage(report);
