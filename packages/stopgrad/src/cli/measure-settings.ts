// Options of a measure on the command line, `--set option=value`, against the measure's own schema.
import { parse } from "yaml";
import type { z } from "zod";
import { describe, shapeAt, shapeOf } from "../experiment/describe.js";
import { didYouMean } from "../experiment/suggest.js";
import { show } from "../experiment/tree.js";
import type { Measure } from "../measures/index.js";
import { UsageError } from "./context.js";

/**
 * `distance=plain sigma=5` against the measure's own options, one by one and together.
 * @param flags - for what is no option but a flag of the command: `{ images: "--samples" }`
 * @throws UsageError for what is no option, or not what it may be
 */
export function parseSettings(
  where: string,
  entry: Pick<Measure, "options" | "refused">,
  given: readonly string[],
  flags: Readonly<Record<string, string>> = {},
): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  const known = Object.keys(entry.options.shape);
  for (const text of given) {
    const at = text.indexOf("=");
    if (at < 1) throw new UsageError(`${where}: expected option=value, got ${text}`);
    const key = text.slice(0, at);
    if (!known.includes(key)) {
      const meant = Object.hasOwn(flags, key) ? `; did you mean the flag ${flags[key]}?` : didYouMean(key, known);
      throw new UsageError(`${where}: unknown option ${key} (known: ${known.join(", ")})${meant}`);
    }
    try {
      settings[key] = parse(text.slice(at + 1));
    } catch {
      throw new UsageError(`${where}: ${key}: expected ${expected(entry, key)}, got ${text.slice(at + 1)}`);
    }
  }
  const checked = entry.options.safeParse(settings);
  if (checked.success) {
    const refused = entry.refused?.(checked.data, { images: null, dimensions: null });
    if (refused) throw new UsageError(`${where}: ${refused.option}: ${refused.message}`);
    return checked.data;
  }
  const issue = (checked.error as z.ZodError).issues[0]!;
  const key = String(issue.path[0]);
  throw new UsageError(`${where}: ${key}: expected ${expected(entry, key)}, got ${show(settings[key])}`);
}

/** What an option may be, in words. */
function expected(entry: Pick<Measure, "options">, option: string): string {
  return describe(shapeAt(shapeOf(entry.options), [option]) ?? {});
}
