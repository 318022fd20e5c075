// What training and inference cost, a row a variant.
import { summariseKnown } from "../../statistics/index.js";
import type { RunSummary } from "../../store/records.js";
import type { Comparison, Variant } from "../comparison.js";
import { formatFixed, formatMultiplyAdds, multiplyAddUnit, nothing, type Unit } from "../format.js";
import { type Cell, type Column, type Table, textCell } from "../table.js";
import { boldSentence, bracketed, markBest } from "./cells.js";
import { areComparable, differInEpochs, referencesOf } from "./references.js";

/** A row a variant: parameters, and the arithmetic of training, for an image and in all, and of inference. */
export function costsTable(comparison: Comparison): Table {
  const { variants } = comparison;
  const { referenceName, compares, ownOf } = referencesOf(variants);
  const all = variants.map((variant) => ({
    variant,
    parameters: variant.completed[0]?.record.summary?.parameters ?? null,
    // The same for every seed; runs of the first version do not have it.
    cost: variant.completed.map(({ record }) => record.summary!.cost).find((cost) => cost != null) ?? null,
    whole: wholeTraining(variant),
  }));
  const hasContexts = all.some(({ parameters }) => parameters?.contexts !== undefined);
  const training = multiplyAddUnit(Math.max(0, ...all.map(({ cost }) => cost?.training ?? 0)));
  const inference = multiplyAddUnit(Math.max(0, ...all.map(({ cost }) => cost?.inference.backbone ?? 0)));
  const inAll = multiplyAddUnit(Math.max(0, ...all.map(({ whole }) => whole ?? 0)));
  const rows = all.map(({ variant, parameters, cost, whole }): Cell[] => {
    const own = all.find((row) => row.variant === ownOf(variant));
    const trainingRatio = cost && own?.cost?.training ? cost.training / own.cost.training : null;
    const wholeRatio = whole !== null && own?.whole ? whole / own.whole : null;
    const { backbone, extras } = cost?.inference ?? { backbone: null, extras: null };
    return [
      textCell(variant.label),
      ...parameterCells(parameters, hasContexts),
      {
        text:
          cost === null
            ? nothing
            : `${formatMultiplyAdds(cost.training, training)} ${training.name}${bracketed(trainingRatio, " ×", 1, 2)}`,
        data: [cost?.training ?? null, trainingRatio],
      },
      {
        text:
          whole === null
            ? nothing
            : `${formatMultiplyAdds(whole, inAll)} ${inAll.name}${bracketed(wholeRatio, " ×", 1, 2)}`,
        data: [whole, wholeRatio],
      },
      {
        text:
          backbone === null
            ? nothing
            : `${formatMultiplyAdds(backbone, inference)} + ${formatMultiplyAdds(extras, inference)} ${inference.name}`,
        data: [backbone, extras],
      },
    ];
  });
  if (areComparable(variants)) {
    const inUnit = (unit: Unit) => (value: number) => formatMultiplyAdds(value, unit);
    markBest(
      rows,
      hasContexts ? 3 : 2,
      all.map(({ cost }) => cost?.training ?? null),
      -1,
      inUnit(training),
    );
    markBest(
      rows,
      hasContexts ? 4 : 3,
      all.map(({ whole }) => whole),
      -1,
      inUnit(inAll),
    );
  }
  return {
    name: "costs",
    title: "Parameters and multiply-adds",
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      ...parameterColumns(hasContexts),
      {
        title: "training multiply-adds",
        unit: `for an image${compares ? `, ratio to ${referenceName}` : ""}`,
        align: "right",
        fields: ["trainingMultiplyAdds", "trainingMultiplyAddsOfReference"],
      },
      {
        title: "whole training",
        unit: `all images${compares ? `, ratio to ${referenceName}` : ""}`,
        align: "right",
        fields: ["wholeTrainingMultiplyAdds", "wholeTrainingMultiplyAddsOfReference"],
      },
      {
        title: "inference multiply-adds",
        unit: "for an image, backbone + extras",
        align: "right",
        fields: ["inferenceMultiplyAddsBackbone", "inferenceMultiplyAddsExtras"],
      },
    ],
    rows,
    notes: [
      "Multiply-adds of convolutions and matrix products: in training those of a step's forward and backward passes, in " +
        "inference those that evaluation computes. Heads are not needed at inference; extras are what stays beside the " +
        `backbone there${hasContexts ? ", such as the networks that bring modules context" : ""}.`,
      "Multiply-adds for an image are those of a step, as images/s are, on average over training. Whole training: times " +
        "every image of every epoch of all phases, mean over seeds; measuring and evaluation are not in it." +
        (differInEpochs(variants)
          ? " The variants are not trained for the same number of epochs: compare the whole training."
          : "") +
        boldSentence(rows, "the lowest; they are counted, not sampled"),
      ...matchedWidths(variants),
    ],
  };
}

/** Which width was found for variants that are to cost what a context would. */
function matchedWidths(variants: readonly Variant[]): string[] {
  const found = variants.flatMap(({ label, completed }) => {
    const widths = [...new Set(completed.flatMap(({ record }) => record.summary!.matchedWidth ?? []))];
    return widths.length === 0 ? [] : [`${label}: ${widths.join(", ")}`];
  });
  return found.length === 0
    ? []
    : [
        `Widened until inference costs what it would with the context that is left out; model.width of ${found.join("; ")}.`,
      ];
}

/** Multiply-adds of all training, mean over seeds; null where no run has its cost for an image. */
function wholeTraining({ completed }: Variant): number | null {
  const all = completed.map(({ record }) => {
    const { cost, imagesPerSecond, seconds } = record.summary!;
    return cost ? cost.training * Math.round(imagesPerSecond * seconds) : null; // seconds are those of these images
  });
  return summariseKnown(all)?.mean ?? null;
}

/** Contexts have a place only where some variant has them, and then heads are apart: they do not stay. */
function parameterColumns(hasContexts: boolean): Column[] {
  if (!hasContexts) {
    const fields = ["parametersBackbone", "parametersHeads"];
    return [{ title: "parameters", unit: "backbone + heads", align: "right", fields }];
  }
  const fields = ["parametersBackbone", "parametersContexts"];
  return [
    { title: "parameters", unit: "at inference, backbone + contexts", align: "right", fields },
    { title: "heads", unit: "in training alone", align: "right", fields: ["parametersHeads"] },
  ];
}

function parameterCells(parameters: RunSummary["parameters"] | null, hasContexts: boolean): Cell[] {
  const { backbone = null, heads = null } = parameters ?? {};
  const contexts = parameters && (parameters.contexts ?? 0);
  const sum = (a: number | null, b: number | null): Cell => ({
    text: a === null || b === null ? nothing : `${formatFixed(a, 0)} + ${formatFixed(b, 0)}`,
    data: [a, b],
  });
  if (!hasContexts) return [sum(backbone, heads)];
  return [sum(backbone, contexts), { text: heads === null ? nothing : formatFixed(heads, 0), data: [heads] }];
}
