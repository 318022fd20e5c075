// Ids like one that is not there, for an error message. Ids of one experiment share their beginning and differ in
// variant and seed, so edit distance ranks them well.
import { distance } from "fastest-levenshtein";

/** At most three, nearest first; ids are compared with as many letters as were typed. */
export function nearestIds(typed: string, ids: readonly string[]): string[] {
  const length = Math.max(typed.length, 1);
  return ids
    .map((id) => ({ id, edits: distance(typed, id.slice(0, length)) }))
    .sort((a, b) => a.edits - b.edits || (a.id < b.id ? -1 : 1))
    .slice(0, 3)
    .map(({ id }) => id);
}
