// The promise in the project's name: a module's loss moves that module and its head, and nothing else; and what comes
// after a module cannot change how it learns. For every registered model, kind of partition, head and classifier.
import "../support/one-thread.js";
import { grad, noGrad, type Parameter, randn, scope } from "@stopgrad/torch";
import { describe, expect, test } from "vitest";
import { moduleSizes, type Partition } from "../../src/experiment/partition.js";
import type { HeadName } from "../../src/heads/index.js";
import { type LocalLoss, losses } from "../../src/losses/index.js";
import type { Stage } from "../../src/models/index.js";
import type { LearningRule } from "../../src/rules/index.js";
import { bytesOf, differing, type Snapshot, snapshot } from "../support/compare.js";
import { makeBatch, makeRule, modelNames, type RuleSetup } from "../support/networks.js";

const partitions: Partition[] = [1, 2, "stage", { cuts: [1, 3] }];
const headNames: HeadName[] = ["linear", "mlp"];
const cases = modelNames.flatMap((model) =>
  partitions.flatMap((partition) =>
    headNames.flatMap((head) =>
      (["attached", "detached"] as const).map((classifier) => ({ model, partition, head, classifier })),
    ),
  ),
);
const title = "$model, partition $partition, head $head, classifier $classifier";

/** What is isolated from each other, first to last: a module's stages and head; a detached classifier comes last. */
interface Group {
  name: string;
  /** Stages that its part of the forward pass runs through. */
  stages: readonly Stage[];
  /** State-dict names of everything that its loss may move, as `rule.stateDict()` has them. */
  names: Set<string>;
}

function groupsOf(rule: LearningRule, setup: RuleSetup): Group[] {
  const { backbone } = rule;
  const prefixed = (prefix: string, names: Iterable<string>) => Array.from(names, (name) => prefix + name);
  const stageNames = (stages: readonly Stage[]) =>
    stages.flatMap((stage) => prefixed("backbone.", stage.stateDict().keys()));
  const headNamesOf = [...(rule.auxiliary?.stateDict().keys() ?? [])];
  let end = 0;
  const groups = moduleSizes(setup.partition!, backbone.stages.length).map((size, at): Group => {
    const stages = backbone.stages.slice(end, end + size);
    end += size;
    const name = rule.moduleNames[at]!;
    const head = headNamesOf.filter((key) => key.startsWith(`${name.replaceAll(".", "_")}.`));
    return { name, stages, names: new Set([...stageNames(stages), ...prefixed("heads.", head)]) };
  });
  const { classifier } = backbone;
  if (classifier && setup.classifier === "detached") {
    groups.push({ name: "classifier", stages: [classifier], names: new Set(stageNames([classifier])) });
  } else if (classifier) {
    for (const name of stageNames([classifier])) groups.at(-1)!.names.add(name);
  }
  return groups;
}

/** Backbone and head parameters under the names of `rule.stateDict()`. */
function parametersOf(rule: LearningRule): Map<string, Parameter> {
  return new Map([
    ...Array.from(rule.backbone.namedParameters(), ([name, p]) => [`backbone.${name}`, p] as const),
    ...Array.from(rule.auxiliary?.namedParameters() ?? [], ([name, p]) => [`heads.${name}`, p] as const),
  ]);
}

const sorted = (names: Iterable<string>) => [...names].sort();

describe.each(cases)(title, (setup) => {
  test("the groups share nothing and leave nothing out", () => {
    const rule = makeRule(setup);
    const all = groupsOf(rule, setup).flatMap(({ names }) => [...names]);
    const expected = [...rule.stateDict().keys()].filter((name) => !name.startsWith("optimizer."));
    expect(sorted(all)).toEqual(sorted(expected));
    rule.dispose();
  });

  test("each local loss reaches exactly the parameters of its own module and head", () => {
    // The loss itself asks autograd, in the middle of the rule's own step, what it depends on.
    const reached: string[][] = [];
    let parameters = new Map<string, Parameter>();
    const loss: LocalLoss = {
      ...losses["cross-entropy"],
      compute(options, input) {
        const value = losses["cross-entropy"].compute(options, input);
        const gradients = grad([value], [...parameters.values()], { retainGraph: true, allowUnused: true });
        reached.push([...parameters.keys()].filter((_, at) => gradients[at] !== null));
        return value;
      },
    };
    const rule = makeRule({ ...setup, loss });
    parameters = parametersOf(rule);
    const result = rule.step(makeBatch(0));
    const groups = groupsOf(rule, setup);
    expect(result.losses.map(({ module }) => module)).toEqual(groups.map(({ name }) => name));
    // What predicts is trained by cross-entropy of its own, not by the local loss; the next test covers it.
    expect(reached).toHaveLength(groups.length - 1);
    for (const [at, names] of reached.entries()) {
      expect(sorted(names)).toEqual(sorted([...groups[at]!.names].filter((name) => parameters.has(name))));
    }
    rule.dispose();
  });

  test("a module's gradients are complete before the next one starts, and no later loss adds to them", () => {
    const rule = makeRule(setup);
    const groups = groupsOf(rule, setup);
    const parameters = parametersOf(rule);
    const gradients = (names: Set<string>) =>
      scope(
        () =>
          new Map(
            [...names].flatMap((name) => {
              const gradient = parameters.get(name)?.grad;
              return gradient ? [[name, bytesOf(gradient)] as const] : [];
            }),
          ),
      );
    const before: Snapshot[] = [];
    for (const group of groups) {
      const [first] = group.stages;
      const forward = first!.forward.bind(first);
      first!.forward = (input) => {
        before.push(new Map(groups.slice(0, before.length).flatMap(({ names }) => [...gradients(names)])));
        expect([...gradients(group.names).keys()], `gradients before the forward of ${group.name}`).toEqual([]);
        return forward(input);
      };
    }
    rule.step(makeBatch(0));
    expect(before).toHaveLength(groups.length);
    for (const [at, group] of groups.entries()) {
      const after = gradients(group.names);
      expect(sorted(after.keys())).toEqual(sorted([...group.names].filter((name) => parameters.has(name))));
      for (const seen of before.slice(at + 1)) {
        expect(differing(new Map([...seen].filter(([name]) => group.names.has(name))), after)).toEqual([]);
      }
    }
    rule.dispose();
  });

  test("whatever the later modules hold, a module learns the same bits", () => {
    const groups = groupsOf(makeRule(setup), setup);
    // The first, the middle and the last but one; every module would only take longer.
    const ends = new Set([0, groups.length >> 1, groups.length - 2].filter((at) => at >= 0 && at < groups.length - 1));
    const train = (firstChanged: number) => {
      const rule = makeRule({ ...setup, optimizer: "sgd", settings: { learningRate: 0.05 } });
      const later = groupsOf(rule, setup)
        .slice(firstChanged)
        .flatMap(({ names }) => [...names]);
      noGrad(() =>
        scope(() => {
          for (const [name, parameter] of parametersOf(rule)) {
            if (later.includes(name)) parameter.add_(randn(parameter.shape));
          }
        }),
      );
      for (let step = 0; step < 2; step++) rule.step(makeBatch(step));
      const state = snapshot(rule.stateDict());
      rule.dispose();
      return state;
    };
    const plain = train(groups.length);
    for (const end of ends) {
      const changed = new Set(differing(plain, train(end + 1)));
      const [mine, later] = [groups.slice(0, end + 1), groups.slice(end + 1)];
      expect(mine.flatMap(({ names }) => [...names].filter((name) => changed.has(name)))).toEqual([]);
      expect(later.every(({ names }) => [...names].some((name) => changed.has(name)))).toBe(true);
    }
  });
});
