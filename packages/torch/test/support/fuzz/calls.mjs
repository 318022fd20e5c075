// What the fuzz test calls: everything the package exports, with arguments that are partly right, and every operator of
// libtorch's dispatcher. Each area chooses a target and returns its name, and what to run.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseSchema, valueFor } from "./schemas.mjs";

/** @typedef {import("./garbage.mjs").Garbage} Garbage */
/** @typedef {{ name: string, run: () => unknown }} Call */

/** Left out: they change the process for the calls that follow. */
const processWide = new Set(["setThreads", "setCacheLimit", "buildFolder"]);
/** Of the addon: what ends or changes the process, and what leaves an owner's duty behind. */
const addonLeftOut = new Set(["setErrorClass", "setThreads", "setCacheLimit", "schemas"]);

/** A list without entries that says it is as long as can be. */
const sparse = new Array(2 ** 32 - 1);
const several = [0, 1, 1, 2, 2, 3, 4, 6];

const isClass = (value) => typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));

/**
 * @param {object} context
 * @param {typeof import("../../../src/index.js")} context.torch
 * @param {Record<string, Function>} context.addon - the native addon's exports
 * @param {Record<string, { args: unknown[] }[]>} context.cases - recorded calls that are right
 * @param {(value: unknown) => unknown} context.decode - a recorded argument as a value
 * @param {string} context.folder - for files
 */
export function areasOf({ torch, addon, cases, decode, folder }) {
  const { Tensor, nn, optim } = torch;
  const functions = Object.entries(torch).filter(([name, value]) => typeof value === "function" && !isClass(value) && !processWide.has(name)); // biome-ignore format: one line
  const more = [nn, optim].flatMap((space) => Object.entries(space).filter(([, value]) => typeof value === "function" && !isClass(value))); // biome-ignore format: one line
  const everyFunction = [...functions, ...more];
  const unary = functions.filter(([, value]) => value.length <= 1).map(([name]) => name);
  const layers = Object.entries(nn).filter(([, value]) => isClass(value));
  const optimizers = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"];
  const schedules = Object.entries(optim).filter(
    ([name]) => /Schedule$|Momentum$/.test(name) && name !== "sequentialSchedule",
  );
  const members = Object.getOwnPropertyNames(Tensor.prototype).filter((name) => name !== "constructor");
  const schemas = addon.schemas().map(parseSchema);
  const addonNames = Object.keys(addon).filter((name) => !addonLeftOut.has(name));
  const right = Object.entries(cases).flatMap(([name, list]) => (name in torch ? list.map((one) => [name, one]) : []));
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "file");
  const whole = wholeFiles(torch, path);

  const args = (/** @type {Garbage} */ g, first = []) => [
    ...first,
    ...Array.from({ length: g.pick(several) }, () => g.value()),
  ];

  /** @type {Record<string, [weight: number, choose: (g: Garbage) => Call]>} */
  const areas = {
    functions: [
      14,
      (g) => {
        const [name, call] = g.pick(everyFunction);
        return { name, run: () => call(...args(g, g.chance(0.6) ? [g.tensor()] : [])) };
      },
    ],
    almostRight: [
      22,
      (g) => {
        const [name, { args: recorded }] = g.pick(right);
        return {
          name,
          run: () => {
            const given = decode(recorded);
            const at = g.below(given.length);
            const chosen = given[at];
            const optional = typeof chosen === "object" && chosen?.constructor === Object;
            if (optional) given[at] = { ...chosen, ...g.options() };
            else if (typeof chosen === "number") given[at] = g.number();
            else if (Array.isArray(chosen) && g.chance(0.7)) {
              given[at] = g.chance(0.2)
                ? g.trap(chosen)
                : (chosen.with?.(0, 0) ?? chosen.map((item) => (g.chance(0.4) ? g.number() : item)));
            } else given[at] = g.value();
            return torch[name](...given);
          },
        };
      },
    ],
    methods: [
      10,
      (g) => {
        const name = g.pick(members);
        return {
          name,
          run: () => {
            const self = g.tensor();
            const { get, set, value } = Object.getOwnPropertyDescriptor(Tensor.prototype, name);
            if (value)
              return (g.torch.toldOf?.(name, value) ?? value).apply(g.chance(0.97) ? self : g.value(), args(g));
            if (set && g.chance(0.7)) self[name] = g.value();
            return get.call(self);
          },
        };
      },
    ],
    layers: [
      8,
      (g) => {
        const [name, Layer] = g.pick(layers);
        return {
          name,
          run: () => {
            const usual = () => (g.chance(0.7) ? 1 + g.below(4) : g.value());
            const layer = new Layer(
              ...Array.from({ length: g.pick([0, 1, 2, 2, 3, 3]) }, usual),
              ...(g.chance(0.3) ? [g.options()] : []),
            );
            if (!(layer instanceof nn.Module)) return layer;
            try {
              if (g.chance(0.2)) layer.eval();
              if (g.chance(0.1)) layer.to(g.chance(0.7) ? g.pick(["float64", "bfloat16", "float16"]) : g.value());
              if (g.chance(0.15)) return layer[g.pick(["stateDict", "loadStateDict", "requiresGrad_", "train", "zeroGrad", "namedParameters", "children", "apply"])]?.(g.value()); // biome-ignore format: one line
              return layer.forward(...(g.chance(0.8) ? [g.tensor()] : []), ...(g.chance(0.3) ? args(g) : []));
            } finally {
              if (g.chance(0.9)) layer.dispose();
            }
          },
        };
      },
    ],
    optimizers: [
      5,
      (g) => {
        const name = g.pick(optimizers);
        return {
          name,
          run: () => {
            const parameters = Array.from({ length: g.pick([1, 1, 2, 3]) }, () => new torch.Parameter(g.plainTensor({ dtype: g.pick(["float32", "float32", "float64", "bfloat16", "float16"]) }))); // biome-ignore format: one line
            g.made.push(...parameters);
            const optimizer = new optim[name](g.chance(0.9) ? parameters : g.value(), g.chance(0.5) ? {} : g.options());
            try {
              for (const parameter of parameters) if (g.chance(0.8)) parameter.mul(2).sum().backward();
              for (let left = g.below(5); left > 0; left--) optimizerAction(torch, g, optimizer, parameters);
              optimizer.step();
            } finally {
              optimizer.dispose();
              for (const parameter of parameters) parameter.dispose();
            }
          },
        };
      },
    ],
    schedules: [
      1,
      (g) => {
        const [name, make] = g.pick(schedules);
        return {
          name,
          run: () => {
            const schedule = make(g.chance(0.6) ? g.options() : g.value());
            for (const at of [0, 1, 5, g.number()]) if (typeof schedule === "function") schedule(at, 1);
            if (g.chance(0.5)) return schedule;
            const parameter = new torch.Parameter(g.plainTensor({ dtype: "float32" }));
            const optimizer = new optim.SGD([parameter], { learningRate: 0.1 });
            try {
              const scheduler = new optim.Scheduler(optimizer, schedule);
              for (let i = 0; i < 3; i++) scheduler.step();
            } finally {
              optimizer.dispose();
              parameter.dispose();
            }
          },
        };
      },
    ],
    modes: [
      7,
      (g) => {
        const name = g.pick([
          "noGrad",
          "enableGrad",
          "autocast",
          "forwardGradient",
          "detectAnomaly",
          "scope",
          "jvp",
          "vjp",
          "hvp",
          "grad",
        ]);
        const inner = g.chance(0.5)
          ? areas.almostRight[1](g)
          : g.chance(0.5)
            ? areas.modes[1](g)
            : areas.operators[1](g);
        return { name: `${name} of ${inner.name}`, run: () => inMode(torch, g, name, inner.run, unary) };
      },
    ],
    generators: [
      2,
      (g) => {
        const name = g.pick(["manualSeed", "getState", "setState", "dispose", "constructor", "draw"]);
        return {
          name,
          run: () => {
            const generator = new torch.Generator(g.chance(0.8) ? g.below(99) : g.value());
            if (g.chance(0.1)) generator.dispose();
            if (name === "constructor") return undefined;
            if (name === "draw") return torch.rand(g.shape(), { generator });
            if (name === "setState") {
              const state = generator.getState();
              if (g.chance(0.3)) return generator.setState(state);
              if (g.chance(0.4)) state.slice(0, g.below(5000)).fill_(g.below(256));
              return generator.setState(g.chance(0.6) ? state : g.value());
            }
            return generator[name](g.value());
          },
        };
      },
    ],
    files: [
      5,
      (g) => {
        const [name, bytes] = g.pick(whole);
        return { name, run: () => readDamaged(torch, g, name, bytes, path) };
      },
    ],
    scopes: [3, (g) => ({ name: "scope, keep, dispose", run: () => misuseScopes(torch, g) })],
    operators: [
      30,
      (g) => {
        const schema = g.pick(schemas);
        return {
          name: schema.name,
          run: () => {
            const call = torch.operator(schema.name, g.chance(0.95) ? "" : "self other");
            const given = schema.arguments.map((argument) =>
              g.chance(0.04) ? (g.chance(0.1) ? sparse : g.value()) : valueFor(g, argument),
            );
            if (g.chance(0.03)) given.length = g.below(given.length + 1);
            if (g.chance(0.03)) given.push(g.value());
            return call(...given);
          },
        };
      },
    ],
    addon: [
      10,
      (g) => {
        const name = g.pick(addonNames);
        return { name, run: () => callAddon(torch, addon, g, name) };
      },
    ],
  };
  return areas;
}

function optimizerAction(torch, g, optimizer, parameters) {
  const parameter = g.pick(parameters);
  const raw = (name) => g.operator(name);
  g.pick([
    () => optimizer.step(),
    () => optimizer.zeroGrad(g.chance(0.5) ? g.options() : undefined),
    () => parameter.dispose(),
    () => g.pick(Object.values(optimizer.groups[0].state).flat())?.dispose(),
    () => {
      optimizer.learningRate = g.number();
    },
    () => {
      optimizer.groups[0].settings[g.pick(["learningRate", "momentum", "betas", "epsilon", "nesterov"])] = g.value();
    },
    () => optimizer.loadStateDict(g.chance(0.5) ? optimizer.stateDict() : g.value()),
    () =>
      optimizer.loadStateDict(
        new Map([...optimizer.stateDict()].map(([name, value]) => [name, g.chance(0.2) ? g.tensor() : value])),
      ),
    () =>
      torch.optim.clipGradNorm_(g.chance(0.8) ? parameters : g.value(), g.number(), g.chance(0.5) ? {} : g.options()),
    () => torch.optim.clipGradValue_(g.chance(0.8) ? parameters : g.value(), g.number()),
    () => {
      parameter.grad = g.chance(0.5) ? g.plainTensor({ shape: parameter.shape, dtype: parameter.dtype }) : g.tensor();
    },
    // Sizes change behind the optimizer's back.
    () => torch.noGrad(() => raw("aten::resize_")(parameter, g.shape())),
    () => torch.noGrad(() => raw("aten::set_data")(parameter, g.plainTensor())),
    () => parameter.grad && raw("aten::resize_")(parameter.grad, g.shape()),
    () => raw("aten::resize_")(g.pick(Object.values(optimizer.groups[0].state).flat()), g.shape()),
    () => raw("aten::transpose_")(parameter.detach(), 0, -1),
    () => {
      optimizer.groups[0].steps.fill(g.number());
    },
    () => {
      const { steps } = optimizer.groups[0];
      if (steps.buffer.byteLength > 0) structuredClone(steps.buffer, { transfer: [steps.buffer] });
    },
  ])();
}

function inMode(torch, g, name, inner, unary) {
  const differentiable = () => {
    const chosen = g.pick(unary);
    return (...inputs) => (g.chance(0.9) ? torch[chosen](...inputs) : inner());
  };
  const tensors = () => (g.chance(0.9) ? [g.plainTensor({ dtype: "float32" })] : g.value());
  switch (name) {
    case "autocast":
      return torch.autocast(g.chance(0.8) ? "bfloat16" : g.value(), inner, g.chance(0.8) ? {} : g.options());
    case "forwardGradient":
      return torch.forwardGradient(() => {
        const x = g.plainTensor({ dtype: "float32" });
        const dual = torch.makeDual(x, g.chance(0.8) ? torch.onesLike(x) : g.value());
        g.made.push(dual);
        const result = g.chance(0.5) ? inner() : torch[g.pick(unary)](dual);
        return torch.unpackDual(g.chance(0.8) ? (result ?? dual) : g.value());
      });
    case "jvp":
      return torch.jvp(differentiable(), tensors(), tensors());
    case "vjp":
      return torch.vjp(differentiable(), tensors(), g.value());
    case "hvp":
      return torch.hvp((x) => differentiable()(x).sum(), tensors(), tensors());
    case "grad": {
      const x = g.plainTensor({ dtype: "float32" }).requiresGrad_();
      const y = differentiable()(x);
      return torch.grad(g.chance(0.8) ? [y] : g.value(), g.chance(0.8) ? [x] : g.value(), g.chance(0.5) ? {} : { ...g.options(), createGraph: g.chance(0.5) }); // biome-ignore format: one line
    }
    default:
      return torch[name](g.chance(0.95) ? inner : g.value());
  }
}

function misuseScopes(torch, g) {
  const tensors = [];
  const act = (depth) => {
    for (let left = g.below(6); left > 0; left--) {
      g.pick([
        () => tensors.push(g.tensor()),
        () => tensors.length && torch.keep(g.pick(tensors)),
        () => torch.keep(g.value()),
        () => tensors.length && g.pick(tensors).dispose(),
        () => depth < 4 && torch.scope(() => act(depth + 1)),
        () => torch.scope(() => g.value()),
        () => torch.scope(() => [tensors, { a: g.tensor() }, new Map([[1, g.tensor()]])]),
        () => torch.scope(async () => g.tensor()),
        () =>
          torch.scope(() => {
            g.tensor();
            throw new RangeError("thrown in a scope");
          }),
        () => tensors.length && g.pick(tensors).add(g.pick(tensors)),
      ])();
    }
  };
  try {
    act(0);
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

/** Numbers instead of tensors, as the addon takes them. */
function callAddon(torch, addon, g, name) {
  const handleOf = (value) =>
    value instanceof torch.Tensor || value instanceof torch.Generator
      ? value.handle
      : Array.isArray(value) && value.length < 100 && value[0] !== value
        ? Object.getOwnPropertyDescriptor(value, value.length - 1)?.get
          ? handlesBehind(value, handleOf)
          : value.map(handleOf)
        : value;
  const own = (result) => {
    if (typeof result === "number" && addon.isLive(result)) return torch.Tensor.fromHandle(result);
    return Array.isArray(result) ? result.map(own) : result;
  };
  let given;
  if (name === "call") {
    const wanted = g.pick([
      "relu",
      "add.Tensor",
      "stack",
      "zeros",
      "conv2d",
      "index.Tensor",
      "clamp",
      "uniform_",
      "topk",
      "cat",
    ]);
    const { index } = addon.findOperator(`aten::${wanted.split(".")[0]}`, wanted.split(".")[1] ?? "");
    given = [g.chance(0.9) ? index : g.value(), ...Array.from({ length: g.pick(several) }, () => g.value())];
  } else if (/Step$|^clip|^zeroGrad$/.test(name)) {
    const shape = g.shape();
    const dtype = g.pick(["float32", "float32", "float64", "bfloat16"]);
    const count = g.below(3);
    const list = (length) => Array.from({ length }, () => (g.chance(0.9) ? g.plainTensor({ shape: g.chance(0.9) ? shape : g.shape(), dtype }) : g.tensor())); // biome-ignore format: one line
    const parameters = list(count);
    for (const parameter of parameters) {
      if (g.chance(0.8)) parameter.grad = g.plainTensor({ shape: parameter.shape, dtype: parameter.dtype });
    }
    const lists = { adamStep: 3, sgdStep: 1, rmspropStep: 3, adagradStep: 1 }[name] ?? 0;
    given = [parameters, ...Array.from({ length: lists }, () => (g.chance(0.15) ? [] : g.chance(0.1) ? g.trap(list(count)) : list(g.chance(0.95) ? count : g.below(4))))]; // biome-ignore format: one line
    if (lists > 0) given.push(g.chance(0.9) ? new Float64Array(g.chance(0.9) ? count : g.below(4)) : g.value());
    const rest = addon[name] && { adamStep: [5, 2], sgdStep: [4, 2], rmspropStep: [5, 1], adagradStep: [4, 1], clipGradNorm: [2, 1], clipGradValue: [1, 0], zeroGrad: [0, 1] }[name]; // biome-ignore format: one line
    for (let i = 0; i < rest[0]; i++) given.push(g.chance(0.95) ? g.number() : g.value());
    for (let i = 0; i < rest[1]; i++) given.push(g.chance(0.95) ? g.chance(0.5) : g.value());
  } else if (name === "fromBytes" && g.chance(0.7)) {
    const bytes = g.pick([
      new Float32Array(4),
      new Uint8Array(16),
      new Float64Array(2),
      new Float32Array(new SharedArrayBuffer(16)),
    ]);
    const shape = g.chance(0.5) ? [4] : [2, 2];
    // The shape is read while its getter takes the bytes away.
    if (g.chance(0.4)) {
      Object.defineProperty(shape, 0, {
        enumerable: true,
        get: () => {
          if (bytes.buffer instanceof ArrayBuffer && bytes.byteLength)
            structuredClone(bytes, { transfer: [bytes.buffer] });
          return 4;
        },
      });
    }
    given = [bytes, g.chance(0.8) ? "float32" : g.dtype(), shape];
  } else {
    given = Array.from({ length: g.pick([0, 1, 2, 3, 5]) }, () =>
      g.chance(0.5) ? g.tensor() : g.chance(0.02) ? sparse : g.value(),
    );
  }
  // What is recorded twice holds itself: a cycle that only PyTorch's users may make.
  if (name === "backward" && given.length > 3) given[3] = false;
  const result = addon[name](...given.map(handleOf));
  if (name === "generator" || name === "defaultGenerator") addon.releaseGenerator(result);
  else if (name !== "findOperator") return own(result);
  return undefined;
}

/** A list with a getter, of handles. */
function handlesBehind(list, handleOf) {
  const { get } = Object.getOwnPropertyDescriptor(list, list.length - 1);
  const handles = Array.from({ length: list.length - 1 }, (_, at) => handleOf(list[at]));
  Object.defineProperty(handles, handles.length, { enumerable: true, configurable: true, get: () => handleOf(get()) });
  return handles;
}

/** A valid file of each format. */
function wholeFiles(torch, path) {
  const written = (write) => {
    torch.scope(write);
    return readFileSync(path);
  };
  const some = () => ({
    weight: torch.tensor([[1, 2, 3], [4, 5, 6]]), // biome-ignore format: a matrix
    half: torch.tensor([0.5, 2]).to("bfloat16"),
    flags: torch.tensor([true, false]),
    counts: torch.tensor([1, 2], { dtype: "int64" }),
  });
  return [
    ["npy", written(() => torch.writeNpy(path, some().weight))],
    ["npz", written(() => torch.writeNpz(path, some()))],
    ["npz compressed", written(() => torch.writeNpz(path, some(), { compressed: true }))],
    ["safetensors", written(() => torch.saveSafetensors(path, new Map(Object.entries(some())), { note: "kept" }))],
    [
      "checkpoint",
      written(() => torch.saveCheckpoint(path, { model: new Map(Object.entries(some())), epoch: 3, names: ["a"] })),
    ],
  ];
}

function readDamaged(torch, g, name, bytes, path) {
  const damaged = g.chance(0.1)
    ? Buffer.from(Array.from({ length: g.below(200) }, () => g.below(256)))
    : Buffer.from(bytes);
  for (let left = g.pick([0, 1, 1, 2, 5, 20]); left > 0; left--) {
    const at = g.chance(0.5) ? g.below(Math.min(damaged.length, 256)) : g.below(damaged.length);
    damaged[at] = g.chance(0.5) ? damaged[at] ^ (1 << g.below(8)) : g.below(256);
  }
  const cut = g.chance(0.2) ? damaged.subarray(0, g.below(damaged.length)) : damaged;
  if (name === "npy" && g.chance(0.5)) return torch.parseNpy(cut, "bytes");
  writeFileSync(path, cut);
  const options = g.chance(0.8) ? { mapped: g.chance(0.5) } : g.options();
  const readers = [
    () => torch.readNpy(path, options),
    () => torch.readNpz(path, options),
    () => torch.npzHeader(path),
    () => torch.loadSafetensors(path, options),
    () => torch.safetensorsHeader(path),
    () => torch.loadCheckpoint(path, options),
  ];
  const usual = { npy: [0], npz: [1, 2], "npz compressed": [1, 2], safetensors: [3, 4], checkpoint: [5] }[name];
  return readers[g.chance(0.9) ? g.pick(usual) : g.below(readers.length)]();
}
