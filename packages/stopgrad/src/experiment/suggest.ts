// "Did you mean": the known word nearest to one that nobody knows. Spelling is compared without case, hyphens and
// underscores and in American form, so that `optimiser`, `batch_norm` and `Learning-Rate` find their keys at once;
// otherwise by edit distance, by a shared beginning, and by a few names this field uses for the same thing.
import { distance } from "fastest-levenshtein";

/** What people who come from other tools type, flattened as `flatten` does → the key here. */
const ALIASES: Readonly<Record<string, string>> = {
  lr: "learningRate",
  wd: "weightDecay",
  bs: "batch",
  numepochs: "epochs",
  maxepochs: "epochs",
  numclasses: "classes",
  ce: "cross-entropy",
  xent: "cross-entropy",
  supcon: "supervised-contrastive",
  e2e: "1",
  lw: "stage",
  amp: "precision",
  dtype: "precision",
  criterion: "loss",
  auxiliary: "head",
  network: "model",
  backbone: "model",
  dataset: "data",
};

function flatten(word: string): string {
  return word
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "")
    .replace(/is(e|er|ed|ing|ation)$/, "iz$1")
    .replace(/our/g, "or")
    .replace(/tre$/, "ter");
}

/** The candidate that means the same word, whatever its case, hyphens or spelling; undefined when there is none. */
export function sameWord(word: string, candidates: Iterable<string>): string | undefined {
  const flat = flatten(word);
  const alias = ALIASES[flat];
  for (const candidate of candidates) {
    if ((flat !== "" && flatten(candidate) === flat) || candidate === alias) return candidate;
  }
  return undefined;
}

/**
 * The candidate nearest to `word`, or undefined when none is near: at most one edit in three letters (one at least),
 * or one is the beginning of the other (three letters or more).
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const list = [...candidates];
  const same = sameWord(word, list);
  if (same !== undefined) return same;
  const flat = flatten(word);
  if (flat === "") return undefined;
  let best: string | undefined;
  let bestEdits = Math.max(1, Math.floor(flat.length / 3)) + 1;
  for (const candidate of list) {
    const edits = editsBetween(flat, flatten(candidate));
    if (edits < bestEdits && edits < flat.length) [best, bestEdits] = [candidate, edits];
  }
  return (
    best ??
    list.find((candidate) => {
      const other = flatten(candidate);
      return Math.min(flat.length, other.length) >= 3 && (other.startsWith(flat) || flat.startsWith(other));
    })
  );
}

/** `; did you mean lenet5?`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const found = nearest(word, candidates);
  return found === undefined ? "" : `; did you mean ${found}?`;
}

/** Levenshtein distance, but two neighbouring letters exchanged are one edit: the commonest slip (`modle`). */
function editsBetween(a: string, b: string): number {
  const exchanged = [...a].some((_, i) => i > 0 && a.slice(0, i - 1) + a[i] + a[i - 1] + a.slice(i + 1) === b);
  return exchanged ? 1 : distance(a, b);
}
