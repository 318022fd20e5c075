// The published weights of reconstruction and label, from the commands and configuration files released with InfoPro
// (arXiv 2101.10832) and Context Supply (arXiv 2312.07636). Loads no tensors.
//
// Where both publish a setting they agree but for two numbers (`CONTEXT_SUPPLY`); what one of them publishes alone is
// given for either. InfoPro's commands are of the contrastive loss, Context Supply's code has the same weights for both.
import type { WeightRange } from "./weights.js";

/** Whose number counts where the two differ. */
export type WeightSource = "infopro" | "context-supply";

/** The setting whose weights are asked for, in the names of experiment files. */
export interface PublishedSetting {
  readonly model: string;
  readonly data: string;
  /** K. */
  readonly modules: number;
  /** Whether the modules are of equal memory (`balance: memory`) and not of equally many stages. */
  readonly balanced: boolean;
}

/** λ₁ and λ₂ of the first module, λ₁ and λ₂ of the last one. */
type Row = readonly [number, number, number, number];
/** Number of modules → weights. */
type Rows = Readonly<Record<number, Row>>;

interface Entry {
  readonly model: string;
  readonly data: string;
  readonly balanced: boolean;
  readonly rows: Rows;
}

const PUBLISHED: readonly Entry[] = [
  {
    model: "resnet32",
    data: "cifar10",
    balanced: false,
    rows: { 2: [5, 1, 0, 0], 4: [6, 0, 1, 2], 8: [5, 0, 0, 2], 16: [5, 0.05, 0.2, 0.5] },
  },
  {
    model: "resnet110",
    data: "cifar10",
    balanced: false,
    rows: { 2: [5, 0.5, 0, 0], 4: [1, 0, 0, 1], 8: [5, 0, 0, 1], 16: [5, 0, 0.5, 1] },
  },
  {
    model: "resnet110",
    data: "stl10",
    balanced: false,
    rows: { 2: [10, 1, 0, 0], 4: [20, 0.2, 5, 2], 8: [20, 0.2, 5, 1], 16: [20, 0.5, 10, 0.1] },
  },
  {
    model: "resnet110",
    data: "svhn",
    balanced: false,
    rows: { 2: [1, 0.1, 0, 0], 4: [5, 0, 0.5, 1], 8: [5, 0, 0.5, 2], 16: [5, 0.2, 0.5, 1] },
  },
  {
    model: "resnet110",
    data: "cifar10",
    balanced: true,
    rows: { 2: [5, 0.1, 0, 0], 3: [5, 0, 5, 0.1], 4: [5, 0, 5, 0.1] },
  },
  // InfoPro only.
  {
    model: "resnet110",
    data: "stl10",
    balanced: true,
    rows: { 2: [20, 1, 0, 0], 3: [20, 0.5, 5, 2], 4: [20, 0.5, 10, 1] },
  },
  // Context Supply only.
  {
    model: "resnet32",
    data: "cifar10",
    balanced: true,
    rows: { 2: [5, 0.1, 0, 0], 3: [5, 0, 5, 0.1], 4: [5, 0, 0, 0.1], 8: [5, 0, 0, 2] },
  },
];

/** Where Context Supply's code has another number than InfoPro's. */
const CONTEXT_SUPPLY: readonly Entry[] = [
  { model: "resnet110", data: "svhn", balanced: false, rows: { 4: [5, 0, 0.5, 0] } },
  { model: "resnet110", data: "cifar10", balanced: true, rows: { 4: [5, 0, 0, 0.1] } },
];

/**
 * The published weights of a setting; null where none are published (`nothingPublished` says what is).
 * @param source - whose number where the two papers' code differs; default InfoPro's
 */
export function publishedWeights(setting: PublishedSetting, source: WeightSource = "infopro"): WeightRange | null {
  const find = (entries: readonly Entry[]) => entries.find((entry) => isOf(entry, setting))?.rows[setting.modules];
  const row = (source === "context-supply" ? find(CONTEXT_SUPPLY) : undefined) ?? find(PUBLISHED);
  if (!row) return null;
  const [firstReconstruction, firstLabel, lastReconstruction, lastLabel] = row;
  return {
    first: { reconstruction: firstReconstruction, label: firstLabel },
    last: { reconstruction: lastReconstruction, label: lastLabel },
  };
}

/**
 * Why there are no published weights, in one sentence: for `nothingPublished({ model: "resnet32", data: "cifar10",
 * modules: 3, balanced: false })`
 *
 *     no published weights for resnet32 on cifar10 cut into 3 modules; published for it are 2, 4, 8 and 16 modules, and
 *     with balance: memory 2, 3, 4 and 8; give weights: { first: …, last: … }
 */
export function nothingPublished({ model, data, modules, balanced }: PublishedSetting): string {
  const asked = `no published weights for ${model} on ${data} cut into ${modules} modules${balanced ? " with balance: memory" : ""}`;
  const cure = "give weights: { first: { reconstruction, label }, last: { reconstruction, label } }";
  const same = PUBLISHED.filter((entry) => entry.model === model && entry.data === data);
  if (same.length === 0) {
    const known = [...new Set(PUBLISHED.map((entry) => `${entry.model} on ${entry.data}`))];
    return `${asked}; published are those of ${listed(known)}; ${cure}`;
  }
  const parts = same.map(({ rows, balanced: isBalanced }) =>
    isBalanced ? `with balance: memory ${listed(Object.keys(rows))}` : `${listed(Object.keys(rows))} modules`,
  );
  return `${asked}; published for it are ${parts.join(", and ")}; ${cure}`;
}

function isOf(entry: Entry, { model, data, balanced }: PublishedSetting): boolean {
  return entry.model === model && entry.data === data && entry.balanced === balanced;
}

/** `2, 4 and 8`. */
function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
