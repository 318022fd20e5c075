// Forward gradient (Baydin et al., arXiv 2202.08587): end-to-end training without a backward pass. A random direction v is
// drawn over all parameters, the derivative D of the loss along it is computed together with the loss by forward-mode
// differentiation, and D · v stands for the gradient: on average it is the gradient, and its squared length is as many
// times the gradient's as there are parameters (plus 2 for Gaussian directions), which is why it learns slowly.
//
// Nothing is kept for a backward pass: two neighbouring activations and their tangents are alive at a time.
import { crossEntropy, type nn, type optim, scope, stack, type Tensor } from "@stopgrad/torch";
import { z } from "zod";
import { type Backbone, deviceOf, forwardThrough, kindOf, readThrough, type Stage } from "../models/index.js";
import { distributions, drawTangent, ParameterSpace } from "./parameter-space.js";
import {
  type Batch,
  type LearningRule,
  NOT_PARTITIONED,
  type Phase,
  type Rule,
  type RuleContext,
  type StepResult,
} from "./rule.js";
import { correctIn, inFull, prefixed, requireFit, unprefixed, weightsOf } from "./weights.js";

const options = z.strictObject({
  /** Directions a step, whose estimates are averaged. */
  tangents: z.int().positive().default(1),
  /** Of a direction's entries: standard normal, or −1 and 1. */
  distribution: z.enum(distributions).default("gaussian"),
});
type Options = z.output<typeof options>;

export const forwardGradient: Rule = {
  summary:
    "end to end without a backward pass: the loss's derivative along random directions, by forward-mode differentiation",
  source: "arXiv 2202.08587; arXiv 2402.09050, appendix",
  options,
  ignores: [...NOT_PARTITIONED, "classifier", "schedule", "loss", "head", "nhsic"],
  create: (given, context) => new ForwardGradientRule(context, options.parse(given)),
};

const NETWORK = "network";

/**
 * Each direction has a forward pass of its own, with dropout's masks of its own, and moves batch norm's running
 * statistics once; loss and right answers are means over them.
 */
class ForwardGradientRule implements LearningRule {
  readonly backbone: Backbone;
  readonly auxiliary: nn.Module | null = null;
  readonly context = null;
  readonly moduleNames: readonly string[] = [NETWORK];
  readonly phases: readonly Phase[] = [{ name: "all", epochs: null, learningRate: null }];
  readonly views = 1;
  readonly #context: RuleContext;
  readonly #options: Options;
  /** Stages that are not trained. */
  readonly #bottom: readonly Stage[];
  readonly #trained: readonly Stage[];
  readonly #space: ParameterSpace;
  readonly #optimizer: optim.Optimizer;

  constructor(context: RuleContext, given: Options) {
    const { backbone, precision, frozenStages, optimizer } = context;
    this.#context = context;
    this.#options = given;
    this.backbone = backbone.usePrecision(precision);
    const { stages, classifier } = backbone;
    this.#bottom = stages.slice(0, frozenStages);
    this.#trained = [...stages.slice(frozenStages), ...(classifier ? [classifier] : [])];
    this.#space = new ParameterSpace(this.#trained);
    this.#optimizer = optimizer.entry.create(optimizer.settings, this.#space.parameters);
  }

  enterPhase(): void {}

  step({ images, labels }: Batch, meanwhile?: () => void): StepResult {
    this.backbone.train();
    for (const stage of this.#bottom) stage.eval();
    const { tangents, distribution } = this.#options;
    const device = deviceOf(this.backbone);
    return scope(() => {
      const input = forwardThrough(this.#bottom, images).detach();
      const readings: Tensor[] = [];
      const estimate = this.#space.zeros();
      for (let i = 0; i < tangents; i++) {
        readings.push(
          scope(() => {
            const tangent = drawTangent(this.#space.size, distribution, this.#context.ruleGenerator).toDevice(device);
            const { values, slope } = this.#space.along(tangent, () => {
              const logits = inFull(forwardThrough(this.#trained, input));
              return { along: crossEntropy(logits, labels), beside: correctIn(logits, labels) };
            });
            estimate.addcmul_(tangent, slope, 1 / tangents);
            return stack([values.along, values.beside.to("float32")], 0);
          }),
        );
      }
      this.#space.setGradients(estimate);
      this.#optimizer.step();
      if (kindOf(device) === "cuda") meanwhile?.();
      const [loss, correct] = stack(readings, 0).mean([0]).toNumbers();
      return { losses: [{ module: NETWORK, loss: loss! }], loss: loss!, correct: correct! };
    });
  }

  logits(images: Tensor): Tensor {
    return scope(() => inFull(this.backbone.forward(images)));
  }

  readStages<R>(images: Tensor, read: (output: Tensor, at: number) => R): R[] {
    return readThrough(this.backbone.stages, images, read);
  }

  setLearningRate(rate: number): void {
    this.#optimizer.learningRate = rate;
  }

  stateDict(): Map<string, Tensor> {
    return new Map([...weightsOf(this.backbone, null), ...prefixed("optimizer.", this.#optimizer.stateDict())]);
  }

  loadStateDict(saved: ReadonlyMap<string, Tensor>): void {
    // All that can be refused is refused before anything is changed; the optimizer looks at all of its own first.
    requireFit(weightsOf(this.backbone, null), saved);
    this.#optimizer.loadStateDict(unprefixed("optimizer.", saved));
    this.backbone.loadStateDict(unprefixed("backbone.", saved));
  }

  dispose(): void {
    this.#optimizer.dispose();
    this.backbone.dispose();
  }
}
