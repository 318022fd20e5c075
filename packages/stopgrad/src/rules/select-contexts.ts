// Takes contexts out of use that the module they feed does not miss. Node after node, on the same training images without
// augmentation, in evaluation mode; later nodes see what earlier ones have become.
import { noGrad, scope, type Tensor } from "@stopgrad/torch";
import { type ContextSupply, type History, type PathSelection, selectPaths } from "../contexts/index.js";
import { slice } from "../data/loader.js";
import { forwardThrough, type Stage } from "../models/index.js";
import type { LocalModule } from "./modules.js";
import type { TrainingData } from "./rule.js";
import { inFull } from "./weights.js";

/** What is looked at. */
export interface SelectionWork {
  /** In evaluation mode, as are the modules. */
  readonly supply: ContextSupply;
  readonly modules: readonly LocalModule[];
  /** Nodes to select at; those before are computed as they are. Selected ones are left as they are. */
  readonly nodes: { readonly from: number; readonly end: number };
  /** Stages below the first module. */
  readonly bottom: readonly Stage[];
  readonly selection: PathSelection;
  readonly training: TrainingData;
  /** Called before each piece of work; what it throws ends it, with the nodes done so far selected. */
  readonly breathe: () => void;
}

/** A batch on its way through the network. */
interface Walker {
  readonly images: Tensor;
  readonly labels: Tensor;
  readonly history: History;
  /** What the last module gave. */
  features: Tensor;
}

export function selectContexts(work: SelectionWork): void {
  const { supply, modules, nodes, bottom, selection, breathe } = work;
  noGrad(() =>
    scope(() => {
      const walkers = walkersOf(work);
      try {
        for (const walker of walkers)
          walker.features = forwardThrough([...bottom, ...modules[0]!.stages], walker.images);
        for (let at = 0; at < nodes.end; at++) {
          const node = supply.nodes[at]!;
          const module = modules[at + 1]!;
          if (at >= nodes.from && !node.isSelected) {
            const lossWith = (active: readonly boolean[]) => {
              breathe();
              return meanLoss(walkers, module, ({ features, history }) => node.forward(features, history, active));
            };
            node.select(selectPaths(node, lossWith, selection.tolerance));
          }
          for (const walker of walkers) {
            const entry = node.forward(walker.features, walker.history);
            walker.history.push(entry.detach());
            walker.features.dispose();
            walker.features = forwardThrough(module.stages, entry);
            entry.dispose();
          }
        }
      } finally {
        for (const { history } of walkers) history.dispose();
      }
    }),
  );
}

function walkersOf({ supply, selection, training }: SelectionWork): Walker[] {
  const { set, batch, normalisation } = training;
  const count = Math.min(selection.images, set.count);
  return Array.from({ length: Math.ceil(count / batch) }, (_, at) => {
    const { images, labels } = slice(set, at * batch, Math.min(batch, count - at * batch), normalisation);
    return { images, labels, history: supply.begin(images), features: images };
  });
}

/** A module's loss over all images. @param enter - what it is given of a batch */
function meanLoss(walkers: readonly Walker[], module: LocalModule, enter: (walker: Walker) => Tensor): number {
  let sum = 0;
  let count = 0;
  for (const walker of walkers) {
    const { images, labels } = walker;
    const loss = scope(() => {
      const hidden = forwardThrough(module.stages, enter(walker));
      const seen = module.readout ? module.readout.forward(hidden) : hidden;
      const output = inFull(seen);
      return module.loss({ output, labels, views: 1, hidden: inFull(hidden), images, signals: null }).item();
    });
    sum += loss * labels.size(0);
    count += labels.size(0);
  }
  return sum / count;
}
