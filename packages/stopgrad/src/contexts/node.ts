// A node stands between two modules and combines what the first gives with its contexts (arXiv 2312.07636):
//
//   h^c = fusion( sg[h], M_0(sg[s_0]), M_1(sg[s_1]), … )
//
// Everything that comes in is behind a stop-gradient and the result is not, so that the networks M learn from the loss of
// the module that follows, and from nothing else.
//
// The ordinary way is `forward`, and the following module's backward pass goes on through the node; the activations of
// all paths are alive meanwhile. `forwardDetached` and `backward` do the same in two halves and compute each path twice
// (three times an encoder's, where the fusion weighs contexts): only one path's activations are alive at a time, and none
// during the following module's passes.
import {
  Buffer,
  enableGrad,
  type Generator,
  nn,
  noGrad,
  operator,
  scope,
  type Tensor,
  tensor,
  zeros,
} from "@stopgrad/torch";
import { type DeviceKind, inPrecision, type Precision } from "../models/precision.js";
import { withoutMovingStatistics } from "../models/running-statistics.js";
import type { FusionTerms } from "./fusion.js";
import type { History } from "./history.js";
import { FeatureTransfer, InputEncoder, type MapSize } from "./networks.js";
import { pathName, type Source } from "./paths.js";

/** What a node is made for. */
export interface NodeContext {
  readonly paths: readonly Source[];
  /** Of the map that the contexts are combined with. */
  readonly channels: number;
  readonly imageChannels: number;
  /** Of a path's source. */
  readonly channelsOf: (source: Source) => number;
  readonly fusion: FusionTerms;
  readonly generator: Generator;
}

/** Raised by every change of a tensor's values; reading it does not wait for a GPU. */
const versionOf = operator<[Tensor], number>("aten::_version", "self", { unchecked: true });

export class ContextNode extends nn.Module {
  /** In the order in which their contexts are added. */
  readonly paths: readonly Source[];
  /** Of the images; null in topologies without one. */
  readonly input: InputEncoder | null;
  /** By slot: nearest source first. */
  readonly previous: readonly FeatureTransfer[];
  readonly fusion: FusionTerms;
  /** uint8 `[P]`: 1 for a path that is in use. See `setActive`. */
  readonly active: Buffer;
  /** uint8 scalar: 1 once a selection was made. See `select`. */
  readonly selected: Buffer;

  /** See `ContextSupply.usePrecision`. */
  precision: Precision = "float32";
  deviceKind: DeviceKind = "cpu";

  #known: { version: number; active: readonly boolean[] } | null = null;

  constructor({ paths, channels, imageChannels, channelsOf, fusion, generator }: NodeContext) {
    super();
    this.paths = paths;
    const encodes = paths[0] === "input-encoder";
    this.input = encodes ? new InputEncoder(imageChannels, channels, generator) : null;
    this.previous = (encodes ? paths.slice(1) : paths).map(
      (source) => new FeatureTransfer(channelsOf(source), channels, generator),
    );
    this.fusion = fusion;
    this.active = scope(() => new Buffer(tensor(new Uint8Array(paths.length).fill(1))));
    this.selected = scope(() => new Buffer(zeros([], { dtype: "uint8" })));
  }

  /** Which paths are in use: what `active` holds. */
  get activePaths(): readonly boolean[] {
    const version = versionOf(this.active);
    if (this.#known?.version !== version) {
      this.#known = { version, active: this.active.toNumbers().map((flag) => flag !== 0) };
    }
    return this.#known.active;
  }

  /**
   * Takes paths into use or out of it; a checkpoint keeps it. A path that is not in use is neither computed nor trained.
   * @throws Error unless there is a flag for every path
   */
  setActive(active: readonly boolean[]): void {
    this.#requireFlags(active);
    noGrad(() => scope(() => this.active.copy_(tensor(Uint8Array.from(active, Number)))));
  }

  /** Trainable parameters of the paths in use, and of the feature's own term: what inference needs of the node. */
  get parametersInUse(): number {
    const { activePaths, fusion } = this;
    const unused = activePaths.filter((isActive) => !isActive).length;
    const ofFusion = countIn(fusion) - unused * fusion.parametersOfPath;
    return activePaths.reduce((sum, isActive, path) => sum + (isActive ? countIn(this.#networkOf(path)) : 0), ofFusion);
  }

  /** Whether `select` was called, also before a checkpoint. On a GPU asking waits. */
  get isSelected(): boolean {
    return this.selected.item() !== 0;
  }

  /** As `setActive`, for good: `isSelected` from now on. */
  select(active: readonly boolean[]): void {
    this.setActive(active);
    noGrad(() => this.selected.fill_(1));
  }

  /** Whether anything here has a gradient: with no path in use, `add` and `gated` give the feature as it is. */
  get learns(): boolean {
    return this.activePaths.includes(true) || this.fusion.projects;
  }

  /**
   * The combined feature, which the networks of this node learn through.
   * @param features - `[N, C, H, W]`, what the module before gives
   * @param history - of this pass, up to the node before
   * @param active - paths to use; default: those in use
   * @returns `[N, C, H, W]`, a tensor of its own
   */
  override forward(features: Tensor, history: History, active = this.activePaths): Tensor {
    this.#requireFlags(active);
    return scope(() => {
      const own = features.detach();
      let total = this.#inPrecision(() => this.fusion.forward(own));
      for (const path of this.paths.keys()) {
        if (!active[path]) continue;
        const sum = scope(() => total.add(this.#term(path, own, history)));
        total.dispose();
        total = sum;
      }
      return total;
    });
  }

  /** The same without a graph. In training mode it moves running statistics, as `forward` does. */
  forwardDetached(features: Tensor, history: History): Tensor {
    return noGrad(() => this.forward(features, history));
  }

  /**
   * The same, written over the features where nothing needs them any more: with every fusion that does not project them.
   * `backward` may then be given what this returns as its features.
   * @returns `features` itself, or a tensor of its own
   */
  forwardOver(features: Tensor, history: History): Tensor {
    if (this.fusion.projects) return this.forwardDetached(features, history);
    return noGrad(() => {
      for (const [path, isActive] of this.activePaths.entries()) {
        if (isActive) scope(() => features.add_(this.#term(path, features, history)));
      }
      return features;
    });
  }

  /**
   * The gradients that a backward pass through `forward` gives, after `forwardDetached`: path by path, each computed
   * again, and an encoder's in shares of its channels. The same bits, but for rounding in an encoder of more than 16
   * channels. Running statistics stay as they are.
   * @param features - the same as in `forwardDetached`
   * @param history - in the same state: before this node's feature is pushed
   * @param gradient - `[N, C, H, W]`, of the combined feature
   */
  backward(features: Tensor, history: History, gradient: Tensor): void {
    enableGrad(() =>
      withoutMovingStatistics([this], () => {
        if (this.fusion.projects)
          this.#send(() => this.#inPrecision(() => this.fusion.forward(features.detach())), gradient);
        for (const [path, isActive] of this.activePaths.entries()) {
          if (!isActive) continue;
          if (this.paths[path] === "input-encoder") this.#sendThroughEncoder(path, features, history, gradient);
          else this.#send(() => this.#term(path, features, history), gradient);
        }
      }),
    );
  }

  #send(compute: () => Tensor, gradient: Tensor): void {
    scope(() => {
      const term = compute();
      if (term.requiresGrad) term.backward({ gradient });
    });
  }

  #sendThroughEncoder(path: number, features: Tensor, history: History, gradient: Tensor): void {
    const size = [features.size(2), features.size(3)] as const;
    scope(() => {
      let passed = gradient;
      if (this.fusion.weighs) {
        const context = noGrad(() => this.#inPrecision(() => this.#contextOf(path, size, history)));
        const entry = context.to(features.dtype).requiresGrad_();
        this.#inPrecision(() => this.fusion.ofContext(entry, path)).backward({ gradient });
        passed = entry.grad!;
      }
      this.input!.backward(history.images.detach(), size, passed, (body) => this.#inPrecision(body));
    });
  }

  /** What a path adds, in the features' shape and type. */
  #term(path: number, features: Tensor, history: History): Tensor {
    return scope(() =>
      this.#inPrecision(() => {
        const context = this.#contextOf(path, [features.size(2), features.size(3)], history);
        return this.fusion.ofContext(context.to(features.dtype), path);
      }),
    );
  }

  #contextOf(path: number, size: MapSize, history: History): Tensor {
    const source = this.paths[path]!;
    const given = typeof source === "string" ? history.images.detach() : history.feature(source.feature);
    return this.#networkOf(path).forward(given, size);
  }

  #networkOf(path: number): InputEncoder | FeatureTransfer {
    if (this.paths[path] === "input-encoder") return this.input!;
    return this.previous[this.input ? path - 1 : path]!;
  }

  #inPrecision(body: () => Tensor): Tensor {
    return inPrecision(this.precision, body, this.deviceKind);
  }

  #requireFlags(active: readonly boolean[]): void {
    if (active.length === this.paths.length) return;
    const names = this.paths.map(pathName).join(", ");
    throw new Error(
      `context: expected a flag for each of the ${this.paths.length} paths (${names}), got ${active.length}`,
    );
  }
}

function countIn(network: nn.Module): number {
  return network.parameters().reduce((sum, { numel }) => sum + numel, 0);
}
