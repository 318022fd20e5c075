// All parameters of a network as one vector: random directions in it, and the derivative of a loss along one, by
// forward-mode differentiation.
import {
  forwardGradient,
  type Generator,
  makeDual,
  type nn,
  noGrad,
  Parameter,
  randint,
  randn,
  scope,
  type Tensor,
  unpackDual,
  zeros,
} from "@stopgrad/torch";

export const distributions = ["gaussian", "rademacher"] as const;
export type Distribution = (typeof distributions)[number];

/**
 * A random direction, float32 `[size]` on the CPU: independent entries of mean 0 and variance 1, standard normal, or −1 and
 * 1 with equal probability.
 * @param generator - of the CPU: the same draws for every device
 */
export function drawTangent(size: number, distribution: Distribution, generator: Generator): Tensor {
  if (distribution === "gaussian") return randn([size], { generator });
  return randint(0, 2, [size], { generator, dtype: "float32" }).mul_(2).sub_(1);
}

/** A property that holds a parameter. */
interface Place {
  readonly module: nn.Module;
  readonly key: string;
}

export class ParameterSpace {
  /** Each once, in the order of the modules. */
  readonly parameters: readonly Parameter[];
  /** Number of entries, p. */
  readonly size: number;
  /** Where each parameter is held, in their order. */
  readonly #places: readonly (readonly Place[])[];

  /** @param modules - whose parameters, and those of the modules below them, make up the vector */
  constructor(modules: readonly nn.Module[]) {
    const found = new Map<Parameter, Place[]>();
    for (const module of new Set(modules.flatMap((module) => module.modules()))) {
      for (const [key, value] of Object.entries(module)) {
        if (!(value instanceof Parameter)) continue;
        const places = found.get(value) ?? [];
        places.push({ module, key });
        found.set(value, places);
      }
    }
    this.parameters = [...found.keys()];
    this.#places = [...found.values()];
    this.size = this.parameters.reduce((sum, { numel }) => sum + numel, 0);
  }

  /** The vector of zeros, of the parameters' type and on their device. */
  zeros(): Tensor {
    const { dtype, device } = this.parameters[0]!;
    return zeros([this.size], { dtype, device });
  }

  /**
   * Runs `body` with tangents on all parameters: the derivative of its scalar `along` by the parameters, times `tangent`.
   * Nothing is recorded for a backward pass.
   *
   * @param tangent - `[size]`, of the parameters' type and on their device
   * @param body - gives `along`, the scalar, and whatever else is wanted of the same pass, without tangents
   * @returns what `body` gives, and `slope`, a scalar
   */
  along<B>(
    tangent: Tensor,
    body: () => { along: Tensor; beside: B },
  ): { values: { along: Tensor; beside: B }; slope: Tensor } {
    return scope(() =>
      noGrad(() =>
        forwardGradient(() => {
          const parts = this.#split(tangent);
          const duals = this.parameters.map((parameter, at) => makeDual(parameter, parts[at]!));
          this.#put(duals);
          try {
            const { along, beside } = body();
            const [value, slope] = unpackDual(along);
            return {
              values: { along: value, beside },
              slope: slope ?? zeros([], { dtype: value.dtype, device: value.device }),
            };
          } finally {
            this.#put(this.parameters);
          }
        }),
      ),
    );
  }

  /** Makes a vector the parameters' gradients, as views of it. */
  setGradients(vector: Tensor): void {
    scope(() => {
      for (const [at, part] of this.#split(vector).entries()) this.parameters[at]!.grad = part;
    });
  }

  /** Sets what the modules hold in the parameters' places. */
  #put(tensors: readonly Tensor[]): void {
    for (const [at, places] of this.#places.entries()) {
      for (const { module, key } of places) Reflect.set(module, key, tensors[at]);
    }
  }

  /** Views of each parameter's shape. */
  #split(vector: Tensor): Tensor[] {
    const parts = vector.split(
      this.parameters.map(({ numel }) => numel),
      0,
    );
    return parts.map((part, at) => part.view(this.parameters[at]!.shape));
  }
}
