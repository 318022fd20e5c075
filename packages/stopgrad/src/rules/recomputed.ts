// Gradient checkpointing (Chen et al., arXiv 1604.06174): stages are cut into segments, the forward pass keeps only each
// segment's input, and a segment's activations are computed again when its gradient is due. One segment's activations are
// alive at a time, for one more forward pass of all but the last. Gradients are the ordinary ones bit for bit: dropout
// draws the same masks again, and batch norm's running statistics move once.
import { type Generator, noGrad, scope, type Tensor } from "@stopgrad/torch";
import { forwardThrough, type Stage } from "../models/index.js";
import { withoutMovingStatistics } from "../models/running-statistics.js";

/** One forward pass through some stages and the backward pass that belongs to it, inside the scope of a step. */
export class RecomputedPass {
  /** What each segment was given, behind a stop-gradient. */
  readonly #inputs: Tensor[] = [];
  /** The generator's state before each segment but the last. */
  readonly #states: Tensor[] = [];

  /**
   * @param segments - consecutive stages, at least one list
   * @param dropout - what the stages' masks are drawn from
   */
  constructor(
    private readonly segments: readonly (readonly Stage[])[],
    private readonly dropout: Generator,
  ) {}

  /**
   * @param input - `[N, …]`
   * @param wanted - whether `backward` is to give the gradient with respect to it
   * @returns what the last segment makes of it, with the graph of that segment alone
   */
  forward(input: Tensor, wanted: boolean): Tensor {
    const last = this.segments.length - 1;
    let features = this.#leaf(input, wanted);
    for (const segment of this.segments.slice(0, last)) {
      this.#states.push(this.dropout.getState());
      const given = features;
      const next = noGrad(() => forwardThrough(segment, given));
      features = this.#leaf(next, true);
      next.dispose(); // the leaf holds it, for as long as it is needed
    }
    return forwardThrough(this.segments[last]!, features);
  }

  /** After the last segment's own backward pass. @returns the gradient with respect to the input where it was wanted */
  backward(): Tensor | null {
    const now = this.dropout.getState();
    for (let at = this.segments.length - 2; at >= 0; at--) {
      const gradient = this.#takeGradient();
      scope(() => {
        this.dropout.setState(this.#states[at]!);
        const segment = this.segments[at]!;
        const output = withoutMovingStatistics(segment, () => forwardThrough(segment, this.#inputs[at]!));
        output.backward({ gradient });
      });
      gradient.dispose();
    }
    this.dropout.setState(now);
    return this.#inputs[0]!.requiresGrad ? this.#takeGradient() : null;
  }

  #leaf(features: Tensor, wanted: boolean): Tensor {
    const leaf = features.detach().requiresGrad_(wanted);
    this.#inputs.push(leaf);
    return leaf;
  }

  /** The gradient of the last segment's input that is left; the input is let go. */
  #takeGradient(): Tensor {
    const input = this.#inputs.pop()!;
    const gradient = input.grad!;
    input.grad = null; // what the last segment gave still holds its graph, and that the leaf
    input.dispose();
    return gradient;
  }
}

/** Lists of consecutive stages, as equal as can be; one stage a list where there are fewer than `segments`. */
export function cutIntoSegments(stages: readonly Stage[], segments: number): Stage[][] {
  const count = Math.min(segments, stages.length);
  const end = (at: number) => Math.floor((at * stages.length) / count);
  return Array.from({ length: count }, (_, at) => stages.slice(end(at), end(at + 1)));
}

/** How many segments keep the least where all stages store alike: √stages, rounded up. */
export function usualSegments(stages: number): number {
  return Math.ceil(Math.sqrt(stages));
}
