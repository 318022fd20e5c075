// Context supply (arXiv 2312.07636): one node at each cut between two modules.
//
// Features of gradient-isolated modules form a chain: what an early module drops is gone for all later ones. Nodes give
// later modules the images or earlier features to look at once more.
//
//   const history = supply.begin(images);
//   for each module i but the last:
//     const entry = supply.enter(i, features, history);   // features: what module i gives, detached
//     … module i + 1 learns from entry …
//     history.push(entry.detach());
//
// Nodes are numbered as the modules they stand behind, from 0.
import { type Generator, nn, scope, type Tensor } from "@stopgrad/torch";
import type { FeatureShape } from "../models/backbone.js";
import { deviceOf, kindOf, layOutFor, type Precision } from "../models/precision.js";
import { entryOf } from "../registry.js";
import type { ContextTopology } from "./code.js";
import type { Fusion } from "./fusion.js";
import { type FusionName, fusions } from "./fusions.js";
import { History } from "./history.js";
import { ContextNode } from "./node.js";
import { pathsOf, type Source } from "./paths.js";
import type { PathSelection } from "./selection.js";

/** The setting `context`, where there is one. */
export interface ContextSettings extends ContextTopology {
  /** A fusion by name, and its options. */
  readonly fusion: { readonly name: FusionName; readonly [option: string]: unknown };
  /** Null: every path stays in use. */
  readonly selection: PathSelection | null;
}

/** What a supply is made for. */
export interface SupplyContext {
  readonly settings: ContextSettings;
  /** Of what each module but the last gives, first to last: `[C, H, W]`. */
  readonly shapes: readonly FeatureShape[];
  /** Of the images: `[C, H, W]`. */
  readonly image: FeatureShape;
  /** Initial values, drawn node by node and path by path. */
  readonly generator: Generator;
}

export class ContextSupply extends nn.Module {
  readonly settings: ContextSettings;
  readonly nodes: readonly ContextNode[];

  /** @throws Error without cuts, without a source of context, or where a module does not give a map */
  constructor({ settings, shapes, image, generator }: SupplyContext) {
    super();
    if (shapes.length === 0)
      throw new Error("context: expected at least two modules, got one; there is no cut to mend");
    if (!settings.fromInput && settings.previousModules < 1) {
      throw new Error("context: expected fromInput or previousModules of at least 1, got neither");
    }
    const [imageChannels] = mapShape(image, "images");
    const channels = shapes.map((shape, at) => mapShape(shape, `the output of module ${at + 1}`)[0]);
    const { name, ...options } = settings.fusion;
    const fusion: Fusion = entryOf(fusions, name);
    const fusionOptions = fusion.options.parse(options);
    const channelsOf = (source: Source) => (typeof source === "string" ? imageChannels : channels[source.feature]!);
    this.settings = settings;
    this.nodes = channels.map((mine, at) => {
      const paths = pathsOf(settings, at);
      const terms = fusion.create(fusionOptions, { channels: mine, paths: paths.length });
      return new ContextNode({ paths, channels: mine, imageChannels, channelsOf, fusion: terms, generator });
    });
  }

  /** Computes every node in `precision` from now on, on the device it is on now. Returns itself. */
  usePrecision(precision: Precision): this {
    const deviceKind = kindOf(deviceOf(this));
    for (const node of this.nodes) {
      node.precision = precision;
      node.deviceKind = deviceKind;
    }
    layOutFor(precision, this);
    return this;
  }

  /** Trainable parameters of all paths in use, and of the fusions. */
  get parametersInUse(): number {
    return this.nodes.reduce((sum, node) => sum + node.parametersInUse, 0);
  }

  /** Begins a pass over the modules. @param images - `[N, C, H, W]`, the network's input; the caller's */
  begin(images: Tensor): History {
    const readers = this.nodes.map(() => -1);
    for (const [at, node] of this.nodes.entries()) {
      for (const [path, source] of node.paths.entries()) {
        if (typeof source !== "string" && node.activePaths[path]) readers[source.feature] = at;
      }
    }
    return new History(images, readers);
  }

  /**
   * What module `node + 1` gets: `ContextNode.forward`.
   * @param node - from 0
   * @param features - `[N, C, H, W]`, what module `node` gives
   * @throws Error when there is no such node
   */
  enter(node: number, features: Tensor, history: History): Tensor {
    const found = this.nodes[node];
    if (!found) throw new Error(`context: expected a node from 0 to ${this.nodes.length - 1}, got ${node}`);
    return found.forward(features, history);
  }

  /**
   * Images through modules and the nodes between them, as at inference.
   * @param images - `[N, C, H, W]`
   * @param modules - first to last, one more than there are nodes
   * @returns what the last module gives
   */
  override forward(images: Tensor, modules: readonly ((features: Tensor) => Tensor)[]): Tensor {
    if (modules.length !== this.nodes.length + 1) {
      throw new Error(`context: expected ${this.nodes.length + 1} modules, got ${modules.length}`);
    }
    return scope(() => {
      const history = this.begin(images);
      try {
        let features = images;
        for (const [at, module] of modules.entries()) {
          const entry = at === 0 ? images : this.enter(at - 1, features, history);
          if (at > 0) history.push(entry.detach());
          if (features !== images) features.dispose();
          features = module(entry);
          if (entry !== images && entry !== features) entry.dispose();
        }
        return features;
      } finally {
        history.dispose();
      }
    });
  }
}

/** @throws Error naming `what` where it is not a map */
function mapShape(shape: FeatureShape, what: string): readonly [channels: number, height: number, width: number] {
  const [channels, height, width, ...more] = shape;
  if (channels === undefined || height === undefined || width === undefined || more.length > 0) {
    throw new Error(`context: expected ${what} to be maps [C, H, W], got [${shape.join(", ")}]; use context: none`);
  }
  return [channels, height, width];
}
