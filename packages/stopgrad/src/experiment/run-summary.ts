// What a run that is done says of itself: accuracy, speed, parameters, memory and cost.
import { countMultiplyAdds, elementSize, noGrad, scope, type Tensor, zeros } from "@stopgrad/torch";
import type { LearningRule } from "../rules/index.js";
import type { RunSummary } from "../store/records.js";
import type { TrainingState } from "./checkpoint.js";
import { networkShape } from "./create-rule.js";
import type { RunSettings } from "./run-settings.js";

/** What was trained. */
export interface Trained {
  /** With the width that was found where a cost is to be matched. */
  readonly settings: RunSettings;
  /** `[C, H, W]` of an image. */
  readonly image: readonly number[];
}

/** @param secondsToFirstStep - null where another process took the run's first step */
export function summariseRun(
  rule: LearningRule,
  state: TrainingState,
  trained: Trained,
  secondsToFirstStep: number | null,
): RunSummary {
  const { seconds, images, peakBytes, trainAccuracy, testAccuracy, stages, epoch } = state;
  const contexts = rule.contextPaths?.();
  return {
    epochs: epoch,
    seconds,
    imagesPerSecond: images / seconds,
    peakBytes,
    trainAccuracy,
    testAccuracy,
    secondsToFirstStep,
    parameters: {
      backbone: countParameters(rule.backbone.parameters()),
      heads: countParameters(rule.auxiliary?.parameters() ?? []),
      ...(rule.context ? { contexts: rule.context.parametersInUse } : {}),
    },
    memory: memoryOf(rule, state),
    ...(contexts ? { contexts } : {}),
    ...(trained.settings.match === null ? {} : { matchedWidth: trained.settings.model.width as number }),
    cost: costOf(rule, state, trained),
    stages,
  };
}

/** Null where no step was watched. */
function memoryOf(rule: LearningRule, { memory }: TrainingState): RunSummary["memory"] {
  if (!memory) return null;
  const { backbone, auxiliary, context } = rule;
  const networks = [backbone, auxiliary, context].map((network) => network?.stateDict().values() ?? []);
  const [parameters, heads, contexts] = networks.map(bytesIn) as [number, number, number];
  const optimizer = scope(() => bytesIn([...rule.stateDict()].flatMap(optimizerTensor)));
  const { gradients, modules } = memory;
  return { parameters, heads, contexts, gradients, optimizer, modules: [...modules] };
}

/** Multiply-adds for one image; null where those of training were not counted from the start. */
function costOf(rule: LearningRule, state: TrainingState, { settings, image }: Trained): RunSummary["cost"] {
  if (!Number.isFinite(state.trainingMultiplyAdds)) return null;
  const { backbone } = rule;
  const countOf = (body: () => Tensor) => countMultiplyAdds(() => noGrad(() => scope(() => void body()))).forward;
  backbone.eval();
  return scope(() => {
    const input = zeros([1, ...image], { device: settings.device });
    const alone = zeros([1, ...networkShape(settings, image)], { device: settings.device });
    const all = countOf(() => rule.logits(input));
    const ofBackbone = Math.min(
      all,
      countOf(() => backbone.forward(alone)),
    );
    return {
      inference: { backbone: ofBackbone, extras: all - ofBackbone },
      training: state.trainingMultiplyAdds / state.epoch,
    };
  });
}

/** Of all these tensors. */
export function bytesIn(tensors: Iterable<Tensor>): number {
  return [...tensors].reduce((sum, { numel, dtype }) => sum + numel * elementSize(dtype), 0);
}

function optimizerTensor([name, tensor]: [string, Tensor]): Tensor[] {
  return name.startsWith("optimizer.") ? [tensor] : [];
}

function countParameters(parameters: readonly Tensor[]): number {
  return parameters.reduce((sum, parameter) => sum + parameter.numel, 0);
}
