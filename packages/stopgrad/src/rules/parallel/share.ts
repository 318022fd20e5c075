// Some consecutive modules of a network, alone in a process: their stages, heads, decoders, contexts and optimizer. A
// share takes what comes before it as tensors and gives what comes after it as tensors; between two shares nothing but
// these has to travel, because no gradient ever goes back.
//
// A step computes what the loop over all modules computes for these: gradients with the weights from before the step, then
// one optimizer step. Optimizers work element by element, so that a part of the parameters moves as it would among all.
import { nn, noGrad, type optim, type Parameter, scope, type Tensor, zeros } from "@stopgrad/torch";
import { History } from "../../contexts/index.js";
import type { Stage } from "../../models/index.js";
import type { PartitionedRule } from "../partitioned.js";
import type { Batch, StepResult } from "../rule.js";
import type { StepMemory } from "../step-memory.js";
import { prefixed, unprefixed, weightsOf } from "../weights.js";
import { historyAt, lastReaders } from "./boundary.js";

/** Modules `from` to before `end`. */
export interface ModuleRange {
  readonly from: number;
  readonly end: number;
}

/** What a step of a share finds, of the modules in it; right answers only in the last one. */
export type SharePass = Pick<StepResult, "losses" | "correct">;

export class ModuleShare {
  readonly #rule: PartitionedRule;
  readonly #range: ModuleRange;
  /** What is trained, and what lies below all of it and is not. */
  readonly #trained: readonly nn.Module[];
  readonly #frozen: readonly Stage[];
  readonly #optimizer: optim.Optimizer;
  /** Numbers of the share's parameters among all that the rule trains, in order. */
  readonly #numbers: readonly number[];
  /** By the names that the rule's state has. */
  readonly #weights: ReadonlyMap<string, Tensor>;

  /**
   * Takes the modules out of a rule and frees everything else of it; the rule is the share's from now on.
   * @throws Error where modules cannot learn apart from the others
   */
  constructor(rule: PartitionedRule, range: ModuleRange) {
    const refused = refusalOf(rule);
    if (refused !== null) throw new Error(`parallel: ${refused}`);
    this.#rule = rule;
    this.#range = range;
    const { bottom, optimizer, context } = rule.parts();
    this.#frozen = range.from === 0 ? bottom : [];
    this.#trained = networksOf(rule, range);
    const mine = new Set<Tensor>([...this.#trained, ...this.#frozen].flatMap((one) => [...one.stateDict().values()]));
    const all = weightsOf(rule.backbone, rule.auxiliary, rule.context);
    this.#weights = new Map([...all].filter(([, tensor]) => mine.has(tensor)));
    const parameters = [...optimizer.parameters.entries()].filter(([, parameter]) => mine.has(parameter));
    this.#numbers = parameters.map(([number]) => number);
    optimizer.dispose();
    for (const tensor of all.values()) if (!mine.has(tensor)) tensor.dispose();
    const own = parameters.map(([, parameter]): Parameter => parameter);
    this.#optimizer = context.optimizer.entry.create(context.optimizer.settings, own);
  }

  /** Trained by this share. */
  get parameters(): readonly Parameter[] {
    return this.#optimizer.parameters;
  }

  set learningRate(rate: number) {
    this.#optimizer.learningRate = rate;
  }

  /**
   * One step on one batch.
   * @param arrived - by name: `images`, `labels`, `indices`, and in front of any module but the first `features` and
   *   `history.<node>`; handles may be freed here, their memory is not changed
   * @param depart - given the same for the next share, as soon as they are there; not called by the last one
   * @param memory - watches this step
   */
  step(
    arrived: ReadonlyMap<string, Tensor>,
    depart: (tensors: ReadonlyMap<string, Tensor>) => void,
    memory: StepMemory | null = null,
  ): SharePass {
    const { from, end } = this.#range;
    const rule = this.#rule;
    for (const network of this.#trained) network.train();
    for (const stage of this.#frozen) stage.eval();
    this.#optimizer.zeroGrad();
    rule.watchMemory(memory);
    return scope(() => {
      const taken = (name: string) => arrived.get(name)!;
      const batch: Batch = { images: taken("images"), labels: taken("labels"), indices: taken("indices") };
      const history = this.#historyOf(batch.images, arrived);
      try {
        const pass = rule.passModules(batch, this.#range, from === 0 ? null : taken("features"), history);
        if (end < rule.moduleNames.length) {
          const looked = historyAt(rule.context, end);
          const earlier = looked.map((node): [string, Tensor] => [`history.${node}`, history!.feature(node)]);
          depart(new Map([...Object.entries(batch), ["features", pass.features], ...earlier]));
        }
        this.#optimizer.step();
        return { losses: pass.losses, correct: pass.correct };
      } finally {
        history?.dispose();
        memory?.end();
        rule.watchMemory(null);
      }
    });
  }

  /** The history as it is in front of the share's first module. */
  #historyOf(images: Tensor, arrived: ReadonlyMap<string, Tensor>): History | null {
    const { context } = this.#rule;
    if (!context) return null;
    const history = new History(images, lastReaders(context));
    for (let node = 0; node < this.#range.from - 1; node++) {
      // What nobody looks back at any more did not travel; its place is counted all the same.
      history.push(arrived.get(`history.${node}`)?.detach() ?? zeros([0]));
    }
    return history;
  }

  /** The share of the rule's state: the weights themselves and `optimizer.state.<number>.…`, numbered as the rule does. */
  stateDict(): Map<string, Tensor> {
    const state = [...this.#optimizer.stateDict()].flatMap(([name, tensor]): [string, Tensor][] => {
      const [kind, number, ...rest] = name.split(".");
      return kind === "state" ? [[[kind, this.#numbers[Number(number)], ...rest].join("."), tensor]] : [];
    });
    return new Map([...this.#weights, ...prefixed("optimizer.", new Map(state))]);
  }

  /** Copies the share's part of a rule's state in; the optimizer's settings stay. */
  loadStateDict(saved: ReadonlyMap<string, Tensor>): void {
    scope(() => {
      const places = new Map(this.#numbers.map((number, at) => [String(number), at]));
      const settings = [...this.#optimizer.stateDict()].filter(([name]) => name.startsWith("param_groups."));
      const state = [...unprefixed("optimizer.state.", saved)].flatMap(([name, tensor]): [string, Tensor][] => {
        const [number, ...rest] = name.split(".");
        const place = places.get(number!);
        return place === undefined ? [] : [[["state", place, ...rest].join("."), tensor]];
      });
      this.#optimizer.loadStateDict(new Map([...settings, ...state]));
      noGrad(() => {
        for (const [name, tensor] of this.#weights) tensor.copy_(saved.get(name)!);
      });
    });
  }

  dispose(): void {
    this.#optimizer.dispose();
    for (const tensor of this.#weights.values()) tensor.dispose();
  }
}

/** What modules are trained with; for the last one the classifier too. */
function networksOf(rule: PartitionedRule, { from, end }: ModuleRange): nn.Module[] {
  const { modules, classifier } = rule.parts();
  const mine = modules.slice(from, end);
  const predictor = end === modules.length ? (rule.backbone.classifier ?? classifier) : null;
  const beside = [...(rule.auxiliary?.byName ?? [])].filter(([name]) =>
    mine.some((module) => ["", ".loss", ".decoder"].some((part) => name === module.name + part)),
  );
  return [
    ...mine.flatMap(({ stages }) => stages),
    ...(predictor ? [predictor] : []),
    ...beside.map(([, network]) => network),
    ...(rule.context?.nodes.slice(Math.max(0, from - 1), end - 1) ?? []),
  ];
}

/** Why the modules of a rule cannot learn apart, without a full stop; null where they can. */
export function refusalOf(rule: PartitionedRule): string | null {
  const { modules, context } = rule.parts();
  if (modules.length < 2) return "there is one module, and nothing that could learn beside it";
  if (context.schedule.name !== "simultaneous") {
    return `in a ${context.schedule.name} schedule one module learns at a time; use simultaneous`;
  }
  if (context.loss.entry.propagatesLabels) return "the loss sends labels through the modules, which ties them together";
  if (rule.phases.length > 1) return "the classifier learns when everything else is done; use attached or detached";
  if (context.context?.selection) return "a selection takes context paths out of use for all modules at once";
  if (rule.backbone.modules().some((one) => one instanceof nn.Dropout && one.p > 0)) {
    return "masks of dropout are drawn for one module after the other, which would learn beside each other; use dropout 0";
  }
  return null;
}
