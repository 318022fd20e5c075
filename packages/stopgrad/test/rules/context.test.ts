// Context in training steps: no loss reaches a parameter that is not its module's, whatever the topology and the way it
// is computed; frozen nodes stay; a resumed run goes on with the same bits; what predicts is what was trained; redundant
// paths are taken out of use. Whole steps against PyTorch are in greedy-steps.test.ts.
import "../support/one-thread.js";
import {
  arange,
  countMultiplyAdds,
  crossEntropy,
  Generator,
  grad,
  memory,
  noGrad,
  type Parameter,
  randn,
  scope,
  type Tensor,
} from "@stopgrad/torch";
import { beforeAll, describe, expect, test } from "vitest";
import { type ContextNode, type ContextSupply, parseContextCode } from "../../src/contexts/index.js";
import { slice } from "../../src/data/loader.js";
import { moduleSizes } from "../../src/experiment/partition.js";
import { type LocalLoss, losses } from "../../src/losses/index.js";
import { forwardThrough, type Stage } from "../../src/models/index.js";
import { type Batch, type LearningRule, StepMemory } from "../../src/rules/index.js";
import { bytesOf, differing, type Snapshot, snapshot } from "../support/compare.js";
import { makeBatch, makeRule, type RuleSetup, trainingData } from "../support/networks.js";

const IMAGE = [3, 8, 8] as const;
/** Modules of ResNet-20's ten stages. */
const MODULES = 4;

const base: RuleSetup = {
  model: "resnet20",
  options: { width: 4, dropout: 0.2 },
  inputShape: IMAGE,
  partition: MODULES,
  head: "auxiliary",
  classifier: "attached",
};
const reconstruction = { first: { reconstruction: 2, label: 1 }, last: { reconstruction: 1, label: 2 } };

const topology = (code: string, more: Partial<RuleSetup["context"] & object> = {}) => ({
  ...parseContextCode(code)!,
  ...more,
});
const batch = (at: number, count = 8) => makeBatch(at, count, IMAGE);

const CODES = ["E", "R1", "R1E", "R2E", "R16"];
/** Ways of computing a step; each changes what is alive when, and where gradients come from. */
const WAYS: Record<string, (code: string) => Partial<RuleSetup>> = {
  "as it is": (code) => ({ context: topology(code) }),
  "contexts recomputed": (code) => ({ context: topology(code, { recompute: true }) }),
  "modules in segments": (code) => ({ context: topology(code), segments: 2 }),
  "both recomputed": (code) => ({ context: topology(code, { recompute: true }), segments: 2 }),
};
const cases = CODES.flatMap((code) =>
  Object.entries(WAYS).map(([way, setup]) => ({ code, way, setup: { ...base, ...setup(code) } })),
);

/** What is isolated from each other: a module's stages, its head and decoder, and the node before it. */
interface Group {
  readonly stages: readonly Stage[];
  /** Names in `rule.stateDict()`. */
  readonly names: ReadonlySet<string>;
}

function groupsOf(rule: LearningRule): Group[] {
  const { backbone } = rule;
  const all = [...rule.stateDict().keys()];
  let end = 0;
  return moduleSizes(MODULES, backbone.stages.length).map((size, at) => {
    const stages = backbone.stages.slice(end, end + size);
    end += size;
    const isLast = at === MODULES - 1;
    const layers = (isLast ? [...stages, backbone.classifier!] : stages).flatMap((stage) => [
      ...stage.stateDict().keys(),
    ]);
    const name = rule.moduleNames[at]!.replaceAll(".", "_");
    const beside = all.filter(
      (key) =>
        key.startsWith(`heads.${name}.`) ||
        key.startsWith(`heads.${name}_decoder.`) ||
        key.startsWith(`contexts.nodes.${at - 1}.`),
    );
    return { stages, names: new Set([...layers.map((key) => `backbone.${key}`), ...beside]) };
  });
}

/** Every parameter under its name in `rule.stateDict()`. */
function parametersOf(rule: LearningRule): Map<string, Parameter> {
  const under = (prefix: string, network: { namedParameters(): Iterable<[string, Parameter]> } | null) =>
    Array.from(network?.namedParameters() ?? [], ([name, one]) => [prefix + name, one] as const);
  return new Map([
    ...under("backbone.", rule.backbone),
    ...under("heads.", rule.auxiliary),
    ...under("contexts.", rule.context),
  ]);
}

function weights(rule: LearningRule): Map<string, Tensor> {
  return new Map([...rule.stateDict()].filter(([name]) => !name.startsWith("optimizer.")));
}

/** The gradients that a step leaves. @param scale - of the gradients before their bits are taken */
function gradientsOf(rule: LearningRule, scale = 1): Snapshot {
  return scope(
    () =>
      new Map(
        [...parametersOf(rule)].flatMap(([name, { grad }]) =>
          grad ? [[name, bytesOf(scale === 1 ? grad : grad.mul(scale))] as const] : [],
        ),
      ),
  );
}

/** Cross-entropy, but the `at`th local loss of a step counts `factor` times. */
function scaledLoss(at: number, factor: number): LocalLoss {
  let calls = 0;
  return {
    ...losses["cross-entropy"],
    compute(options, input) {
      const loss = losses["cross-entropy"].compute(options, input);
      return calls++ % (MODULES - 1) === at ? loss.mul(factor) : loss;
    },
  };
}

const sorted = (names: Iterable<string>) => [...names].sort();

describe.each(cases)("isolation: $code, $way", ({ setup }) => {
  const gradientsWith = (loss: LocalLoss | undefined, scale = 1) => {
    const rule = makeRule({ ...setup, ...(loss ? { loss } : {}) });
    rule.step(batch(0));
    const found = {
      groups: groupsOf(rule),
      gradients: gradientsOf(rule, scale),
      names: [...parametersOf(rule).keys()],
    };
    rule.dispose();
    return found;
  };
  let normal: ReturnType<typeof gradientsWith>;
  let doubled: ReturnType<typeof gradientsWith>;
  beforeAll(() => {
    normal = gradientsWith(undefined);
    doubled = gradientsWith(undefined, 2);
  });

  test("modules with their nodes share nothing, leave nothing out, and every parameter learns", () => {
    const { groups, gradients, names } = normal;
    const rule = makeRule(setup);
    expect(sorted(groups.flatMap((group) => [...group.names]))).toEqual(sorted(weights(rule).keys()));
    expect(sorted(gradients.keys())).toEqual(sorted(names));
    // Biases before a batch norm alone have no gradient but rounding.
    for (const [name, bytes] of gradients) {
      const values = new Float32Array(bytes.buffer);
      expect(values.some((value) => value !== 0) || /conv\d?\.bias$/.test(name), name).toBe(true);
    }
    rule.dispose();
  });

  test.each(Array.from({ length: MODULES - 1 }, (_, at) => at))(
    "a loss of module %i that counts twice doubles the gradients of that module and leaves all others",
    (at) => {
      const { groups, gradients } = gradientsWith(scaledLoss(at, 2));
      for (const [group, { names }] of groups.entries()) {
        const expected = (group === at ? doubled : normal).gradients;
        for (const name of names) {
          if (expected.has(name)) expect(Buffer.compare(gradients.get(name)!, expected.get(name)!), name).toBe(0);
        }
      }
    },
  );

  test("whatever the later modules and nodes hold, a module and its node learn the same bits", () => {
    const train = (firstChanged: number) => {
      const rule = makeRule({ ...setup, optimizer: "sgd", settings: { learningRate: 0.05 } });
      const later = groupsOf(rule)
        .slice(firstChanged)
        .flatMap(({ names }) => [...names]);
      noGrad(() =>
        scope(() => {
          for (const [name, parameter] of parametersOf(rule)) {
            if (later.includes(name)) parameter.add_(randn(parameter.shape, { generator: new Generator(9) }));
          }
        }),
      );
      for (let step = 0; step < 2; step++) rule.step(batch(step));
      const found = { state: snapshot(weights(rule)), groups: groupsOf(rule) };
      rule.dispose();
      return found;
    };
    const plain = train(MODULES);
    for (const first of [1, 2, 3]) {
      const changed = new Set(differing(plain.state, train(first).state));
      const mine = plain.groups.slice(0, first).flatMap(({ names }) => [...names]);
      expect(mine.filter((name) => changed.has(name))).toEqual([]);
      for (const { names } of plain.groups.slice(first)) {
        expect([...names].some((name) => changed.has(name))).toBe(true);
      }
    }
  });
});

test.each(CODES)("%s: the graph of a loss ends at its own module, head and node", (code) => {
  const reached: string[][] = [];
  let parameters = new Map<string, Parameter>();
  const loss: LocalLoss = {
    ...losses["cross-entropy"],
    compute(options, input) {
      const value = losses["cross-entropy"].compute(options, input);
      const found = grad([value], [...parameters.values()], { retainGraph: true, allowUnused: true });
      reached.push([...parameters.keys()].filter((_, at) => found[at] !== null));
      return value;
    },
  };
  const rule = makeRule({ ...base, context: topology(code), loss, reconstruction });
  parameters = parametersOf(rule);
  rule.step(batch(0));
  expect(reached).toHaveLength(MODULES - 1);
  const groups = groupsOf(rule);
  for (const [at, names] of reached.entries()) {
    const own = [...groups[at]!.names].filter((name) => parameters.has(name) && !name.includes("_decoder."));
    expect(sorted(names)).toEqual(sorted(own));
  }
  rule.dispose();
});

/** Weights, statistics, losses and the generator after three steps. */
function trained(setup: RuleSetup, inputs = [0, 1, 2].map((at) => batch(at))) {
  const dropout = new Generator(5);
  const rule = makeRule({ ...setup, dropoutGenerator: dropout });
  const results = inputs.map((input) => rule.step(input));
  const found = { results, state: snapshot(new Map([...rule.stateDict(), ["generator", dropout.getState()]])) };
  rule.dispose();
  return found;
}

describe("contexts computed again instead of stored", () => {
  test.each(CODES.flatMap((code) => ["add", "concatenate", "gated"].map((fusion) => ({ code, fusion }))))(
    "$code, $fusion: the same bits where maps have 16 channels or fewer",
    ({ code, fusion }) => {
      const run = (recompute: boolean) =>
        trained({ ...base, context: topology(code, { recompute, fusion: { name: fusion as "add" } }) });
      const [stored, again] = [run(false), run(true)];
      expect(again.results).toEqual(stored.results);
      expect(differing(stored.state, again.state)).toEqual([]);
    },
  );

  test("within rounding where an encoder is computed in shares of its channels", () => {
    const options = { width: 12 }; // nodes of 12, 24 and 48 channels
    const settings = { learningRate: 0.01 };
    const run = (recompute: boolean) =>
      trained({ ...base, options, optimizer: "sgd", settings, context: topology("R1E", { recompute }) });
    const [stored, again] = [run(false), run(true)];
    for (const [name, bytes] of stored.state) {
      if (!/^(backbone|heads|contexts)\..*(weight|bias|running_mean|running_var)$/.test(name)) continue;
      const other = new Float32Array(again.state.get(name)!.buffer);
      for (const [at, value] of new Float32Array(bytes.buffer).entries()) {
        expect(Math.abs(other[at]! - value), name).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(value)));
      }
    }
  });
});

describe("resuming", () => {
  const setups: Record<string, Partial<RuleSetup>> = {
    R2E: { context: topology("R2E") },
    "R1 recomputed, with decoders": { context: topology("R1", { recompute: true }), reconstruction },
    "E gated, in segments": { context: topology("E", { fusion: { name: "gated" } }), segments: 2 },
    "R1E after a selection": {
      context: topology("R1E", { selection: { after: 1, tolerance: 0.5, images: 16 } }),
    },
  };
  test.each(Object.keys(setups))("%s goes on bit for bit", (name) => {
    const setup: RuleSetup = { ...base, ...setups[name], optimizer: "sgd", settings: { momentum: 0.9 } };
    const dropout = new Generator(5);
    const rule = makeRule({ ...setup, dropoutGenerator: dropout });
    for (const at of [0, 1]) rule.step(batch(at));
    rule.endEpoch!(1, () => {});
    const saved = new Map([...rule.stateDict()].map(([key, tensor]) => [key, tensor.clone()]));
    const generator = dropout.getState();
    const expected = [2, 3].map((at) => rule.step(batch(at)));

    const otherDropout = new Generator(6);
    const other = makeRule({ ...setup, seed: 99, dropoutGenerator: otherDropout });
    other.step(batch(7)); // anything it might hold on to
    other.loadStateDict(saved);
    otherDropout.setState(generator);
    expect(other.contextPaths!()).toEqual(rule.contextPaths!());
    expect([2, 3].map((at) => other.step(batch(at)))).toEqual(expected);
    expect(differing(snapshot(rule.stateDict()), snapshot(other.stateDict()))).toEqual([]);
    rule.dispose();
    other.dispose();
  });

  test("saved contexts of another topology are refused, and nothing is changed", () => {
    const source = makeRule({ ...base, context: topology("R1E"), seed: 3 });
    const rule = makeRule({ ...base, context: topology("E") });
    const before = snapshot(rule.stateDict());
    expect(() => rule.loadStateDict(source.stateDict())).toThrow(/unexpected contexts\.nodes\.1\.previous\.0\.conv/);
    expect(differing(before, snapshot(rule.stateDict()))).toEqual([]);
    source.dispose();
    rule.dispose();
  });
});

describe("sequential", () => {
  const setup: RuleSetup = { ...base, context: topology("R2E"), schedule: { name: "sequential" }, reconstruction };
  const moved = (rule: LearningRule) => {
    const before = snapshot(weights(rule));
    for (const at of [3, 4]) scope(() => rule.step(batch(at)));
    return differing(before, snapshot(weights(rule)));
  };

  test("a phase moves its own module and the node before it, statistics included, and nothing else", () => {
    const rule = makeRule(setup);
    expect(rule.phases).toHaveLength(MODULES);
    for (const [at, { names }] of groupsOf(rule).entries()) {
      rule.enterPhase(at);
      const own = [...names].filter((name) => !/\.(active|selected)$/.test(name));
      expect(sorted(moved(rule))).toEqual(sorted(own));
    }
    rule.dispose();
  });

  test("with moving statistics frozen nodes follow the images, and their weights do not move", () => {
    const rule = makeRule({ ...setup, schedule: { name: "sequential", statistics: "moving" } });
    rule.enterPhase(2);
    const frozen = moved(rule).filter((name) => name.startsWith("contexts.nodes.0."));
    expect(frozen.length).toBeGreaterThan(0);
    for (const name of frozen) expect(name).toMatch(/running_mean|running_var|num_batches_tracked/);
    rule.dispose();
  });

  test("a frozen part gives what it gives at inference: the head of the module that learns predicts on it", () => {
    const rule = makeRule(setup);
    rule.enterPhase(1);
    rule.backbone.eval();
    const { images } = batch(1);
    scope(() => {
      const found = rule.logits(images).toNumbers();
      const [first, second] = groupsOf(rule);
      const supply = rule.context as ContextSupply;
      const history = supply.begin(images);
      const entry = supply.enter(0, forwardThrough(first!.stages, images), history);
      const hidden = forwardThrough(second!.stages, entry);
      const name = rule.moduleNames[1]!.replaceAll(".", "_");
      const head = [...rule.auxiliary!.namedChildren()].find(([child]) => child === name)![1];
      expect(found).toEqual((head as unknown as { forward(x: Tensor): Tensor }).forward(hidden).toNumbers());
      history.dispose();
    });
    rule.dispose();
  });
});

describe("evaluation", () => {
  test.each(CODES)("%s: logits and stages are those of the modules with the nodes between", (code) => {
    const rule = makeRule({ ...base, context: topology(code) });
    for (const at of [0, 1]) rule.step(batch(at));
    rule.backbone.eval();
    const { images } = batch(5);
    scope(() => {
      const modules = groupsOf(rule).map(
        ({ stages }) =>
          (entry: Tensor) =>
            forwardThrough(stages, entry),
      );
      const logits = rule.logits(images).toNumbers();
      const features = (rule.context as ContextSupply).forward(images, modules);
      expect(logits).toEqual(rule.backbone.classifier!.forward(features).toNumbers());
      expect(logits).not.toEqual(rule.backbone.forward(images).toNumbers());
      const outputs = rule.readStages(images, (output) => output.toNumbers());
      expect(outputs).toHaveLength(rule.backbone.stages.length);
      expect(outputs.at(-1)).toEqual(features.toNumbers());
    });
    rule.dispose();
  });

  test("stages are read behind the node that feeds them", () => {
    const rule = makeRule({ ...base, context: topology("R1E") });
    rule.backbone.eval();
    rule.context!.eval();
    const { images } = batch(5);
    scope(() => {
      const outputs = rule.readStages(images, (output) => output.toNumbers());
      const supply = rule.context as ContextSupply;
      const history = supply.begin(images);
      const expected: number[][] = [];
      let features = images;
      for (const [at, { stages }] of groupsOf(rule).entries()) {
        if (at > 0) {
          features = supply.enter(at - 1, features, history);
          history.push(features.detach());
        }
        for (const stage of stages) {
          features = stage.forward(features);
          expected.push(features.toNumbers());
        }
      }
      expect(outputs).toEqual(expected);
      history.dispose();
    });
    rule.dispose();
  });

  test("moves no statistic and no weight", () => {
    const rule = makeRule({ ...base, context: topology("R2E") });
    rule.step(batch(0));
    rule.backbone.eval();
    const before = snapshot(weights(rule));
    scope(() => rule.logits(batch(1).images));
    scope(() => rule.readStages(batch(1).images, () => 0));
    expect(differing(before, snapshot(weights(rule)))).toEqual([]);
    rule.dispose();
  });
});

describe("memory", () => {
  const live = () => {
    const { liveTensors, liveBytes } = memory();
    return { liveTensors, liveBytes };
  };

  test.each(cases)("$code, $way: a step, evaluation and a selection leave nothing behind", ({ setup }) => {
    const inputs = [0, 1, 2].map((at) => batch(at));
    const selection = { after: 1, tolerance: 0, images: 16 };
    const before = live();
    scope(() => {
      const rule = makeRule({ ...setup, context: { ...setup.context, selection }, reconstruction });
      const work = (input: Batch) =>
        scope(() => {
          rule.step(input);
          rule.backbone.eval();
          rule.logits(input.images);
          rule.readStages(input.images, () => 0);
        });
      work(inputs[0]!);
      const counts = live();
      for (const input of inputs.slice(1)) {
        work(input);
        expect(live()).toEqual(counts);
      }
      trainingData(setup); // made once for all rules
      const { liveTensors } = live();
      rule.endEpoch!(1, () => {});
      expect(live().liveTensors).toBe(liveTensors);
      rule.dispose();
    });
    expect(live()).toEqual(before);
  });

  test("neither does a phase that ends before later nodes, which would read what it holds", () => {
    const rule = makeRule({ ...base, context: topology("R16"), schedule: { name: "sequential" } });
    const input = batch(0);
    rule.enterPhase(2);
    const counts = Array.from({ length: 3 }, () => {
      scope(() => {
        rule.step(input);
        rule.backbone.eval();
        rule.logits(input.images);
      });
      return live();
    });
    expect(counts[2]).toEqual(counts[1]);
    rule.dispose();
  });

  test("nor a step that fails between two nodes", () => {
    let calls = 0;
    const loss: LocalLoss = {
      ...losses["cross-entropy"],
      compute(options, input) {
        if (++calls === 6) throw new Error("failed"); // the third module's, of the second step
        return losses["cross-entropy"].compute(options, input);
      },
    };
    const rule = makeRule({ ...base, context: topology("R16"), loss });
    const input = batch(0);
    scope(() => rule.step(input));
    for (const parameter of parametersOf(rule).values()) parameter.grad = null;
    const before = live();
    expect(() => scope(() => rule.step(input))).toThrow("failed");
    for (const parameter of parametersOf(rule).values()) parameter.grad = null;
    expect(live()).toEqual(before);
    rule.dispose();
  });

  test("a selection that is interrupted leaves nothing behind, and is made the next time", () => {
    const rule = makeRule({
      ...base,
      context: topology("R1E", { selection: { after: 1, tolerance: 10, images: 16 } }),
    });
    rule.step(batch(0));
    const before = live();
    let calls = 0;
    const stop = () => {
      if (++calls > 3) throw new Error("stopped");
    };
    expect(() => rule.endEpoch!(1, stop)).toThrow("stopped");
    expect(live()).toEqual(before);
    rule.endEpoch!(1, () => {});
    expect((rule.context as ContextSupply).nodes.every(({ isSelected }) => isSelected)).toBe(true);
    rule.dispose();
  });
});

test.each(["R1E", "R2"])("%s in bfloat16: near float32, and what lasts is float32", (code) => {
  const setup = { ...base, options: { width: 8 }, context: topology(code), reconstruction };
  const [half, full] = (["bfloat16", "float32"] as const).map((precision) => {
    const rule = makeRule({ ...setup, precision });
    const { losses } = rule.step(batch(0, 32));
    expect([...rule.stateDict().values()].every(({ dtype }) => dtype !== "bfloat16")).toBe(true);
    for (const [name, parameter] of parametersOf(rule)) expect(parameter.grad?.dtype, name).toBe("float32");
    rule.backbone.eval();
    expect(scope(() => rule.logits(batch(1).images).dtype)).toBe("float32");
    rule.dispose();
    return losses;
  });
  expect(half).not.toEqual(full);
  for (const [at, { loss }] of half!.entries()) expect(Math.abs(loss / full![at]!.loss - 1)).toBeLessThan(0.05);
});

describe("selection", () => {
  const { set, normalisation } = trainingData({ model: "resnet20", inputShape: IMAGE });
  const all: Batch = { ...slice(set, 0, set.count, normalisation), indices: arange(0, set.count) };
  const selection = { after: 1, tolerance: 0.01, images: set.count };
  const setup: RuleSetup = {
    ...base,
    options: { width: 4 },
    partition: 3,
    optimizer: "sgd",
    settings: { learningRate: 0.1, momentum: 0.9 },
    context: topology("R1E", { selection }),
  };
  const nodesOf = (rule: LearningRule) => (rule.context as ContextSupply).nodes;

  /** What a path adds is 0, and stays it: its last batch norm gives 0, where the rectifier has no gradient. */
  function silence(node: ContextNode, path: "input" | 0): void {
    const norm = path === "input" ? node.input!.bn2 : node.previous[path]!.bn;
    noGrad(() => {
      norm.weight!.zero_();
      norm.bias!.zero_();
    });
  }

  /** Nodes that have learned to be of use, but for one path of the second. */
  function made(silent: "input" | 0 | null, more: Partial<RuleSetup> = {}): LearningRule {
    const rule = makeRule({ ...setup, ...more });
    if (silent !== null) silence(nodesOf(rule)[1]!, silent);
    for (let step = 0; step < 25; step++) scope(() => rule.step(all));
    return rule;
  }

  test.each([
    { silent: "input", second: [false, true], used: ["module 1"], unused: ["input"] },
    { silent: 0, second: [true, false], used: ["input"], unused: ["module 1"] },
    { silent: null, second: [true, true], used: ["input", "module 1"], unused: [] },
  ] as const)("of the second node's paths the one that adds nothing goes: $silent", ({ silent, second, ...paths }) => {
    const rule = made(silent);
    const [, , third] = rule.moduleNames;
    expect(rule.contextPaths!()!.map(({ used }) => used)).toEqual([["input"], ["input", "module 1"]]);
    const cost = () => {
      rule.backbone.eval();
      return countMultiplyAdds(() => scope(() => void rule.logits(all.images))).forward;
    };
    const stored = () => {
      const watched = new StepMemory("cpu");
      rule.watchMemory!(watched);
      scope(() => rule.step(all));
      return watched.modules[2]!.context;
    };
    const before = { cost: cost(), stored: stored() };
    rule.endEpoch!(1, () => {});
    expect(nodesOf(rule).map(({ activePaths }) => [...activePaths])).toEqual([[true], second]);
    expect(rule.contextPaths!()![1]).toEqual({ module: third, ...paths });
    const after = { cost: cost(), stored: stored() };
    if (silent === null) {
      expect(after).toEqual(before);
    } else {
      // By hand, for 20 images of 8 x 8: the encoder's convolutions from 3 over 12 to 8 channels; 1 x 1 from the 4 channels
      // of what the first module gives, which is of the images' size, to 8.
      const saved = silent === "input" ? 20 * 64 * 9 * (3 * 12 + 12 * 8) : 20 * 64 * 4 * 8;
      expect(before.cost - after.cost).toBe(saved);
      expect(after.stored).toBeLessThan(before.stored);
    }
    rule.dispose();
  });

  test("is made once, at the end of its epoch, and a checkpoint keeps it", () => {
    const rule = made("input");
    rule.endEpoch!(2, () => {}); // not its epoch
    expect(nodesOf(rule).map(({ isSelected }) => isSelected)).toEqual([false, false]);
    rule.endEpoch!(1, () => {});
    expect(nodesOf(rule).map(({ isSelected }) => isSelected)).toEqual([true, true]);
    // By now another path would go.
    silence(nodesOf(rule)[0]!, "input");
    silence(nodesOf(rule)[1]!, 0);
    const paths = rule.contextPaths!();
    rule.endEpoch!(1, () => {});
    expect(rule.contextPaths!()).toEqual(paths);

    const other = makeRule({ ...setup, seed: 8 });
    other.loadStateDict(rule.stateDict());
    expect(other.contextPaths!()).toEqual(paths);
    other.endEpoch!(1, () => {});
    expect(other.contextPaths!()).toEqual(paths);
    // What is out of use is not trained.
    const before = snapshot(nodesOf(other)[1]!.input!.stateDict());
    other.step(all);
    expect(differing(before, snapshot(nodesOf(other)[1]!.input!.stateDict()))).toEqual([]);
    rule.dispose();
    other.dispose();
  });

  test("moves nothing but the flags, and looks at the module's own loss in evaluation", () => {
    const seen: number[] = [];
    let watching = false;
    const loss: LocalLoss = {
      ...losses["cross-entropy"],
      compute(options, input) {
        const value = losses["cross-entropy"].compute(options, input);
        if (watching) seen.push(value.item());
        return value;
      },
    };
    const rule = made(null, { loss });
    const before = snapshot(weights(rule));
    watching = true;
    rule.endEpoch!(1, () => {});
    const changed = differing(before, snapshot(weights(rule)));
    expect(changed.filter((name) => !/\.(active|selected)$/.test(name))).toEqual([]);
    // The first node's module: with its one path, then without.
    rule.backbone.eval();
    rule.auxiliary!.eval();
    scope(() => {
      const [first, second] = moduleStages(rule, 3);
      const name = rule.moduleNames[1]!.replaceAll(".", "_");
      const head = [...rule.auxiliary!.namedChildren()].find(([child]) => child === name)![1];
      const history = (rule.context as ContextSupply).begin(all.images);
      const features = forwardThrough(first!, all.images);
      const expected = [true, false].map((flag) => {
        const entry = nodesOf(rule)[0]!.forward(features, history, [flag]);
        const hidden = forwardThrough(second!, entry);
        const logits = (head as unknown as { forward(x: Tensor): Tensor }).forward(hidden);
        return crossEntropy(logits, all.labels).item();
      });
      // 16 images at a time, then the 4 that are left; the last module's loss is the classifier's.
      expect(seen).toHaveLength(4);
      for (const [at, value] of expected.entries()) {
        expect((16 * seen[2 * at]! + 4 * seen[2 * at + 1]!) / 20).toBeCloseTo(value, 5);
      }
      history.dispose();
    });
    rule.dispose();
  });

  test("in sequential training it is of the node before the module that learns", () => {
    const rule = makeRule({ ...setup, schedule: { name: "sequential" } });
    const selected = () => nodesOf(rule).map(({ isSelected }) => isSelected);
    for (const [phase, expected] of [
      [false, false],
      [true, false],
      [true, true],
    ].entries()) {
      rule.enterPhase(phase);
      scope(() => rule.step(all));
      rule.endEpoch!(1, () => {});
      expect(selected()).toEqual(expected);
    }
    rule.dispose();
  });

  test("without the setting there are no paths to list and nothing is selected", () => {
    const rule = makeRule({ ...setup, context: topology("R1E") });
    rule.step(all);
    rule.endEpoch!(1, () => {});
    expect(rule.contextPaths!()).toBeNull();
    expect(nodesOf(rule).some(({ isSelected }) => isSelected)).toBe(false);
    rule.dispose();
  });
});

function moduleStages(rule: LearningRule, modules: number): Stage[][] {
  let end = 0;
  return moduleSizes(modules, rule.backbone.stages.length).map((size) => {
    end += size;
    return rule.backbone.stages.slice(end - size, end);
  });
}
